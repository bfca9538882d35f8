#include "faults.h"

#include "arena.h"
#include "chance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STREAM_LEVEL 1
#define STREAM_FAULT 2

static const char *const class_names[FAULT_CLASSES] = {
	[FAULT_CRASH] = "crash",
	[FAULT_DRAIN] = "drain",
	[FAULT_STOP] = "stop",
	[FAULT_QUEUE] = "queue",
	[FAULT_DUPLICATE] = "duplicate",
	[FAULT_SLOW] = "slow",
	[FAULT_PROVIDER] = "provider",
	[FAULT_CLOCK] = "clock",
	[FAULT_LEDGER] = "ledger",
	[FAULT_MEMORY] = "memory",
	[FAULT_MESSAGE] = "message",
};

static const struct {
	enum fault_class class;
	uint32_t ppm;
} kinds[FAULT_KINDS] = {
#define X(name, class, ppm) [name] = {class, ppm},
	FAULT_LIST(X)
#undef X
};

const char *fault_class_name(enum fault_class class)
{
	return class_names[class];
}

enum fault_class fault_class_of(enum fault_kind kind)
{
	return kinds[kind].class;
}

static unsigned draw_level(uint64_t seed, enum fault_class class)
{
	struct chance chance = chance_of(seed, STREAM_LEVEL, class);

	return (unsigned)CHANCE_ONE(&chance, 0, 0, 1, 1, 2, 3);
}

void faults_init(struct faults *faults, uint64_t seed, unsigned classes,
	const struct fault_set *only, bool recording)
{
	*faults = (struct faults){.seed = seed, .only = only, .recording = recording};
	for (int kind = 0; kind < FAULT_KINDS; kind++) {
		enum fault_class class = kinds[kind].class;
		uint32_t ppm = kinds[kind].ppm;

		if (!(classes >> class & 1))
			continue;
		/* Each kind within one class of its own mind, too. */
		for (unsigned level = draw_level(seed, class); level > 0; level--) {
			faults->ppm[kind] = ppm;
			if (ppm < FAULT_ALWAYS / 5)
				ppm *= 5;
		}
		if (kinds[kind].ppm != FAULT_ALWAYS &&
			chance_below(seed, STREAM_LEVEL, FAULT_CLASSES + (uint64_t)kind, 4) == 0)
			faults->ppm[kind] = 0;
	}
}

void faults_free(struct faults *faults)
{
	free(faults->fired.ids);
	faults->fired = (struct fault_set){0};
}

unsigned faults_level(const struct faults *faults, enum fault_class class)
{
	for (int kind = 0; kind < FAULT_KINDS; kind++)
		if (kinds[kind].class == class && faults->ppm[kind])
			return draw_level(faults->seed, class);
	return 0;
}

static void record(struct faults *faults, uint32_t id)
{
	if (faults->fired.count == faults->fired_capacity) {
		faults->fired_capacity = faults->fired_capacity ? faults->fired_capacity * 2 : 256;
		faults->fired.ids = arena_grow(
			faults->fired.ids, faults->fired_capacity * sizeof(faults->fired.ids[0]));
	}
	faults->fired.ids[faults->fired.count++] = id;
}

bool faults_decide(struct faults *faults, enum fault_kind kind, uint64_t which)
{
	uint64_t bits =
		chance_bits(faults->seed, STREAM_FAULT, which * FAULT_KINDS + (uint64_t)kind);
	uint32_t id = (uint32_t)chance_mix(bits);

	if (random_below(bits, FAULT_ALWAYS) >= faults->ppm[kind])
		return false;
	if (faults->only && !fault_set_has(faults->only, id))
		return false;
	faults->counts[kind]++;
	if (faults->recording)
		record(faults, id);
	return true;
}

static int class_named(const char *name, size_t len)
{
	for (int class = 0; class < FAULT_CLASSES; class ++)
		if (strlen(class_names[class]) == len && memcmp(class_names[class], name, len) == 0)
			return class;
	return -1;
}

bool faults_parse(const char *text, unsigned *ret_classes)
{
	unsigned classes = 0;

	for (;;) {
		size_t len = strcspn(text, ",");
		bool leaves_out = *text == '-';
		int class = class_named(text + leaves_out, len - leaves_out);

		if (len == 3 && memcmp(text, "all", 3) == 0)
			classes = FAULTS_ALL;
		else if (len == 4 && memcmp(text, "none", 4) == 0)
			classes = 0;
		else if (class < 0)
			return false;
		else if (leaves_out)
			classes &= ~(1u << class);
		else
			classes |= 1u << class;
		if (text[len] == '\0')
			break;
		text += len + 1;
	}
	*ret_classes = classes;
	return true;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

void fault_set_sort(struct fault_set *set)
{
	if (set->count)
		qsort(set->ids, set->count, sizeof(set->ids[0]), compare);
}

bool fault_set_has(const struct fault_set *set, uint32_t id)
{
	return set->count && bsearch(&id, set->ids, set->count, sizeof(id), compare);
}

bool fault_set_parse(const char *text, struct fault_set *ret_set)
{
	struct fault_set set = {.ids = malloc((strlen(text) + 1) * sizeof(set.ids[0]))};

	if (!set.ids)
		abort();
	while (*text && strcmp(text, "none") != 0) {
		char *end;
		unsigned long id = strtoul(text, &end, 16);

		if (end == text || (*end != ',' && *end != '\0') || id > UINT32_MAX) {
			free(set.ids);
			return false;
		}
		set.ids[set.count++] = (uint32_t)id;
		text = *end ? end + 1 : end;
	}
	fault_set_sort(&set);
	*ret_set = set;
	return true;
}
