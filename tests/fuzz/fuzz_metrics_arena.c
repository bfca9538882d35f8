/*
 * Memory of metrics that holds anything: reading it ends, what is read can be shown, it is what was
 * there, and the same when it is read again.
 *
 * Input: the memory as it lies. It is read as it is, and once more with as many bytes in use as
 * there are, since most inputs are not of the length that they say.
 */
#include "fuzz.h"

#include "base/metrics.h"
#include "base/siphash.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define HEAD 64
#define ENTRY_MIN 32 /* head, value, and three texts of nothing but their NULs */

struct look {
	size_t series;
	uint64_t sum; /* of all, so that two readings can be compared */
};

static bool is_one_of(const char *text, size_t bytes, const char *more)
{
	for (size_t i = 0; i < bytes; i++)
		if (!(text[i] >= '0' && text[i] <= '9') &&
			!((text[i] | 0x20) >= 'a' && (text[i] | 0x20) <= 'z') &&
			!strchr(more, text[i]))
			return false;
	return bytes > 0 && !(text[0] >= '0' && text[0] <= '9');
}

/* Said again, and not shared with metrics_arena.c: NAME="...", with commas between. */
static bool are_labels(const char *text)
{
	while (*text != '\0') {
		size_t name = strcspn(text, "=");

		if (!is_one_of(text, name, "_") || strncmp(text + name, "=\"", 2) != 0)
			return false;
		for (text += name + 2; *text != '"'; text++) {
			if ((unsigned char)*text < 0x20 || *text == 0x7f)
				return false;
			if (*text == '\\' && !strchr("\"\\n", *++text))
				return false;
			if (*text == '\0')
				return false;
		}
		text++;
		if (*text == ',' && text[1] != '\0')
			text++;
		else if (*text != '\0')
			return false;
	}
	return true;
}

static void look_at(void *arg, const struct metric_series *series)
{
	static const uint8_t key[SIPHASH_KEY_BYTES];
	struct look *look = arg;
	uint64_t hash[2], buckets = 0;

	FUZZ_CHECK(strlen(series->name) <= METRICS_NAME_MAX);
	FUZZ_CHECK(strlen(series->labels) <= METRICS_LABELS_MAX);
	FUZZ_CHECK(strlen(series->help) <= METRICS_HELP_MAX);
	FUZZ_CHECK(is_one_of(series->name, strlen(series->name), "_:"));
	FUZZ_CHECK(are_labels(series->labels));
	for (const char *p = series->help; *p; p++)
		FUZZ_CHECK(*p == '\n' || ((unsigned char)*p >= 0x20 && *p != 0x7f));
	look->series++;
	siphash_128(key, series->name, strlen(series->name), hash);
	look->sum += hash[0];
	siphash_128(key, series->labels, strlen(series->labels), hash);
	look->sum ^= hash[0];
	if (series->counter)
		look->sum += series->counter->value;
	if (series->gauge)
		look->sum += 3 * (uint64_t)series->gauge->value;
	if (!series->histogram)
		return;
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		look->sum += (i + 5) * series->histogram->buckets[i];
		buckets += series->histogram->buckets[i];
	}
	FUZZ_CHECK(buckets == series->histogram->count);
	look->sum += 7 * series->histogram->sum;
}

static struct look look_into(const struct metrics *metrics)
{
	struct look look = {0};

	metrics_each(metrics, look_at, &look);
	return look;
}

static struct metrics *collect(const void *memory, size_t size, bool gauges)
{
	struct metrics *metrics = metrics_new();

	FUZZ_CHECK(metrics);
	FUZZ_CHECK(metrics_collect(metrics, memory, size, gauges) == 0);
	return metrics;
}

static bool is_same(struct look a, struct look b)
{
	return a.series == b.series && a.sum == b.sum;
}

/* Summed up in memory of its own, of the same size, it is the same there. */
static void check_sum(const struct metrics *metrics, const void *memory, size_t size)
{
	size_t room = (size + HEAD + 63) / 64 * 64;
	void *shared = aligned_alloc(64, room);
	struct metrics *sum, *read;

	FUZZ_CHECK(shared);
	memset(shared, 0, room);
	sum = metrics_new_in(shared, room);
	FUZZ_CHECK(sum);
	FUZZ_CHECK(metrics_collect(sum, memory, size, true) == 0);
	FUZZ_CHECK(is_same(look_into(sum), look_into(metrics)));
	read = collect(shared, room, true);
	FUZZ_CHECK(is_same(look_into(read), look_into(metrics)));
	metrics_free(read);
	metrics_free(sum);
	free(shared);
}

static void check(const void *memory, size_t size)
{
	struct metrics *metrics = collect(memory, size, true);
	struct metrics *counts = collect(memory, size, false);
	struct metrics *twice = metrics_new(), *added = collect(memory, size, true);
	struct look look = look_into(metrics);

	FUZZ_CHECK(look.series <= size / ENTRY_MIN);
	FUZZ_CHECK(look_into(counts).series <= look.series);
	check_sum(metrics, memory, size);
	FUZZ_CHECK(metrics_add(twice, metrics) == 0);
	FUZZ_CHECK(is_same(look_into(twice), look));
	/* Once from the memory and once from a registry. */
	FUZZ_CHECK(metrics_add(twice, metrics) == 0);
	FUZZ_CHECK(metrics_add(added, metrics) == 0);
	FUZZ_CHECK(is_same(look_into(twice), look_into(added)));
	metrics_free(metrics);
	metrics_free(counts);
	metrics_free(twice);
	metrics_free(added);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t used = size;
	/* Of exactly its size, and aligned. */
	uint8_t *memory = malloc(size ? size : 1);

	FUZZ_CHECK(memory);
	memcpy(memory, data, size);
	check(memory, size);
	if (size >= HEAD) {
		memcpy(memory, &used, sizeof(used));
		check(memory, size);
	}
	free(memory);
	return 0;
}
