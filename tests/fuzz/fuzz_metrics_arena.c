/* Whatever lies in a worker's arena: what is read of it is well formed, and the reading ends. */
#include "fuzz.h"

#include "base/metrics_arena.h"

#include <string.h>

static void check_text(const char *text, size_t max)
{
	size_t len = strlen(text);

	FUZZ_CHECK(len <= max);
	for (size_t i = 0; i < len; i++)
		FUZZ_CHECK((unsigned char)text[i] >= ' ' && text[i] != 0x7f);
}

struct reading {
	const uint8_t *memory;
	size_t size, entries;
};

static bool check_entry(void *arg, const struct metrics_entry *entry)
{
	struct reading *reading = arg;
	const uint8_t *value = entry->value;

	FUZZ_CHECK(entry->kind <= METRIC_HISTOGRAM && entry->rule <= METRIC_MIN);
	FUZZ_CHECK(entry->name[0] != '\0');
	check_text(entry->name, METRICS_NAME_MAX);
	check_text(entry->help, METRICS_HELP_MAX);
	check_text(entry->labels, METRICS_LABELS_MAX);
	FUZZ_CHECK(value > reading->memory && (uintptr_t)value % 8 == 0);
	FUZZ_CHECK(value + metrics_value_bytes(entry->kind) <= reading->memory + reading->size);
	reading->entries++;
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t bytes = size < 64 ? 64 : (size + 63) & ~(size_t)63;
	uint8_t *memory = aligned_alloc(64, bytes);
	struct reading reading = {.memory = memory, .size = bytes};
	struct metrics *sum = metrics_new();

	FUZZ_CHECK(memory != NULL && sum != NULL);
	memset(memory, 0, bytes);
	memcpy(memory, data, size);
	FUZZ_CHECK(metrics_arena_used(memory, bytes) <= bytes);
	metrics_arena_each(memory, bytes, check_entry, &reading);
	FUZZ_CHECK(reading.entries <= bytes / 24);
	FUZZ_CHECK(metrics_collect(sum, memory, bytes, true) == 0);
	metrics_free(sum);
	free(memory);
	return 0;
}
