#include "base/metrics_arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* In front of the entries. */
struct head {
	uint64_t used; /* bytes in use, this head included; 0: none yet */
	uint64_t padding[7];
};

/* In front of each entry's texts; behind them, aligned, its value. */
struct entry_head {
	uint32_t bytes; /* of the whole entry */
	uint16_t kind, rule;
	uint16_t name, help, labels; /* bytes of each, its NUL included */
	uint16_t padding;
};

struct metrics_arena {
	struct head *head;
	size_t bytes;
};

#define TEXTS_MAX (METRICS_NAME_MAX + METRICS_HELP_MAX + METRICS_LABELS_MAX + 3)

size_t metrics_value_bytes(enum metric_kind kind)
{
	_Static_assert(sizeof(struct gauge) == sizeof(struct counter), "one word each");

	return kind == METRIC_HISTOGRAM ? sizeof(struct histogram) : sizeof(struct counter);
}

static size_t texts_of(const struct entry_head *head)
{
	return (size_t)head->name + head->help + head->labels;
}

static size_t value_at(const struct entry_head *head)
{
	return (sizeof(*head) + texts_of(head) + 7) & ~(size_t)7;
}

struct metrics_arena *metrics_arena_new(void *memory, size_t bytes)
{
	struct metrics_arena *arena = malloc(sizeof(*arena));

	if (!arena || bytes < sizeof(struct head)) {
		free(arena);
		return NULL;
	}
	arena->head = memory;
	arena->bytes = bytes;
	__atomic_store_n(&arena->head->used, sizeof(struct head), __ATOMIC_RELEASE);
	return arena;
}

/* Bytes with the NUL; 0: longer than that, or with a control character. */
static uint16_t measure(const char *text, size_t max)
{
	size_t len = strnlen(text, max + 1);

	if (len > max)
		return 0;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			return 0;
	return (uint16_t)(len + 1);
}

bool metrics_arena_add(
	struct metrics_arena *arena, const struct metrics_entry *entry, struct metrics_entry *ret)
{
	struct entry_head head = {.kind = (uint16_t)entry->kind,
		.rule = (uint16_t)entry->rule,
		.name = measure(entry->name, METRICS_NAME_MAX),
		.help = measure(entry->help, METRICS_HELP_MAX),
		.labels = measure(entry->labels, METRICS_LABELS_MAX)};
	size_t used = arena->head->used;
	char *at = (char *)arena->head + used, *text = at + sizeof(head);

	if (head.name <= 1 || head.help == 0 || head.labels == 0)
		return false;
	head.bytes = (uint32_t)(value_at(&head) + metrics_value_bytes(entry->kind));
	if (head.bytes > arena->bytes - used)
		return false;
	memcpy(at, &head, sizeof(head));
	ret->name = memcpy(text, entry->name, head.name);
	ret->help = memcpy(text + head.name, entry->help, head.help);
	ret->labels = memcpy(text + head.name + head.help, entry->labels, head.labels);
	ret->kind = entry->kind;
	ret->rule = entry->rule;
	ret->value = at + value_at(&head);
	__atomic_store_n(&arena->head->used, used + head.bytes, __ATOMIC_RELEASE);
	return true;
}

size_t metrics_arena_used(const void *memory, size_t bytes)
{
	const struct head *head = memory;
	uint64_t used = __atomic_load_n(&head->used, __ATOMIC_ACQUIRE);

	return used < bytes ? (size_t)used : bytes;
}

static bool is_well_formed(const struct entry_head *head, size_t room)
{
	return head->kind <= METRIC_HISTOGRAM && head->rule <= METRIC_MIN && head->name > 1 &&
	       head->name <= METRICS_NAME_MAX + 1 && head->help > 0 &&
	       head->help <= METRICS_HELP_MAX + 1 && head->labels > 0 &&
	       head->labels <= METRICS_LABELS_MAX + 1 && head->bytes <= room &&
	       head->bytes == value_at(head) + metrics_value_bytes(head->kind);
}

static bool are_texts(const char *texts, const struct entry_head *head)
{
	return measure(texts, METRICS_NAME_MAX) == head->name &&
	       measure(texts + head->name, METRICS_HELP_MAX) == head->help &&
	       measure(texts + head->name + head->help, METRICS_LABELS_MAX) == head->labels;
}

void metrics_arena_each(const void *memory, size_t bytes,
	bool (*visit)(void *arg, const struct metrics_entry *entry), void *arg)
{
	size_t used = metrics_arena_used(memory, bytes), at = sizeof(struct head);
	char texts[TEXTS_MAX + 1];
	struct entry_head head;

	while (at < used && used - at >= sizeof(head)) {
		const char *entry = (const char *)memory + at;

		memcpy(&head, entry, sizeof(head));
		if (!is_well_formed(&head, used - at))
			return;
		memcpy(texts, entry + sizeof(head), texts_of(&head));
		/* Whatever it was, now it ends. */
		texts[texts_of(&head)] = '\0';
		if (!are_texts(texts, &head))
			return;

		const struct metrics_entry copy = {.kind = head.kind,
			.rule = head.rule,
			.name = texts,
			.help = texts + head.name,
			.labels = texts + head.name + head.help,
			.value = (void *)(uintptr_t)(entry + value_at(&head))};

		if (!visit(arg, &copy))
			return;
		at += head.bytes;
	}
}
