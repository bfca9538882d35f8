#include "base/metrics_arena.h"

#include <string.h>

#define WORD sizeof(uint64_t)

/* The words below are read and written whole: others may do so at the same time. */
static uint64_t load(const void *at)
{
	return __atomic_load_n((const uint64_t *)at, __ATOMIC_RELAXED);
}

/* In front of the entries; a cache line of its own. */
struct head {
	uint64_t used; /* bytes in use, this head included; 0: none */
	uint64_t padding[7];
};

/* In front of an entry's value, behind which are its texts, each with its NUL. */
struct entry_head {
	uint32_t bytes; /* of the whole entry, a multiple of 8 */
	uint16_t kind, rule;
	uint16_t name_bytes, labels_bytes, help_bytes, decimals;
};

_Static_assert(sizeof(struct entry_head) == 2 * WORD, "read as two words");

static size_t value_bytes(enum metric_kind kind)
{
	_Static_assert(sizeof(struct gauge) == WORD && sizeof(struct counter) == WORD, "one word");

	return kind == METRIC_HISTOGRAM ? sizeof(struct histogram) : WORD;
}

static size_t texts_bytes(const struct metrics_entry *entry)
{
	size_t bytes = entry->name_bytes + entry->labels_bytes + entry->help_bytes + 3;

	return (bytes + WORD - 1) & ~(WORD - 1);
}

/* The texts lie behind one another. */
static void point(struct metrics_entry *entry, const char *texts)
{
	entry->name = texts;
	entry->labels = entry->name + entry->name_bytes + 1;
	entry->help = entry->labels + entry->labels_bytes + 1;
}

size_t metrics_entry_bytes(const struct metrics_entry *entry)
{
	return value_bytes(entry->kind) + texts_bytes(entry);
}

void metrics_entry_place(const struct metrics_entry *entry, void *memory, struct metrics_entry *ret)
{
	struct metrics_entry placed = *entry;
	char *texts = (char *)memory + value_bytes(entry->kind);

	memset(memory, 0, metrics_entry_bytes(entry));
	point(&placed, texts);
	memcpy(texts, entry->name, entry->name_bytes);
	memcpy(texts + (placed.labels - texts), entry->labels, entry->labels_bytes);
	memcpy(texts + (placed.help - texts), entry->help, entry->help_bytes);
	placed.value = memory;
	*ret = placed;
}

/* Writing. */

void metrics_arena_init(struct metrics_arena *arena, void *memory, size_t bytes)
{
	*arena = (struct metrics_arena){
		.memory = memory, .bytes = bytes, .used = sizeof(struct head)};
}

static bool is_short(const struct metrics_entry *entry)
{
	return entry->name_bytes <= METRICS_NAME_MAX && entry->help_bytes <= METRICS_HELP_MAX &&
	       entry->labels_bytes <= METRICS_LABELS_MAX;
}

bool metrics_arena_add(
	struct metrics_arena *arena, const struct metrics_entry *entry, struct metrics_entry *ret)
{
	size_t bytes = sizeof(struct entry_head) + metrics_entry_bytes(entry);
	char *at = arena->memory + arena->used;
	struct entry_head head = {.bytes = (uint32_t)bytes,
		.kind = (uint16_t)entry->kind,
		.rule = (uint16_t)entry->rule,
		.name_bytes = (uint16_t)entry->name_bytes,
		.labels_bytes = (uint16_t)entry->labels_bytes,
		.help_bytes = (uint16_t)entry->help_bytes,
		.decimals = (uint16_t)entry->decimals};

	if (!is_short(entry) || arena->used > arena->bytes || bytes > arena->bytes - arena->used)
		return false;
	memcpy(at, &head, sizeof(head));
	metrics_entry_place(entry, at + sizeof(head), ret);
	arena->used += bytes;
	__atomic_store_n(
		&((struct head *)(void *)arena->memory)->used, arena->used, __ATOMIC_RELEASE);
	return true;
}

/* Reading. */

void metrics_reader_init(struct metrics_reader *reader, const void *memory, size_t bytes)
{
	uint64_t used = 0;

	if (bytes >= sizeof(struct head))
		used = __atomic_load_n(&((const struct head *)memory)->used, __ATOMIC_ACQUIRE);
	*reader = (struct metrics_reader){.memory = memory,
		.at = sizeof(struct head),
		.used = used < bytes ? (size_t)used : bytes};
}

bool metrics_reader_next(struct metrics_reader *reader, struct metrics_entry *ret)
{
	const char *at = reader->memory + reader->at;
	struct entry_head head;
	uint64_t words[2];

	if (reader->used < reader->at || reader->used - reader->at < sizeof(head))
		return false;
	words[0] = load(at);
	words[1] = load(at + WORD);
	memcpy(&head, words, sizeof(head));
	if (head.kind > METRIC_HISTOGRAM || head.rule > METRIC_MIN ||
		head.decimals > METRICS_DECIMALS_MAX)
		return false;
	*ret = (struct metrics_entry){.kind = head.kind,
		.rule = head.rule,
		.decimals = head.decimals,
		.name_bytes = head.name_bytes,
		.labels_bytes = head.labels_bytes,
		.help_bytes = head.help_bytes,
		/* Read only: the const goes since a registry has the same struct. */
		.value = (void *)(uintptr_t)(at + sizeof(head))};
	if (!is_short(ret) || head.bytes != sizeof(head) + metrics_entry_bytes(ret) ||
		head.bytes > reader->used - reader->at)
		return false;
	point(ret, at + sizeof(head) + value_bytes(ret->kind));
	reader->at += head.bytes;
	return true;
}

static bool is_word(char c, bool first)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
	       (!first && c >= '0' && c <= '9');
}

static bool is_name(const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (!is_word(text[i], i == 0) && text[i] != ':')
			return false;
	return bytes > 0;
}

static bool is_control(char c)
{
	return (unsigned char)c < ' ' || c == 0x7f;
}

static bool is_help(const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (is_control(text[i]) && text[i] != '\n')
			return false;
	return true;
}

/* One NAME="VALUE", in whose value a quote, a backslash and a line feed are escaped. NULL: no. */
static const char *skip_label(const char *p, const char *end)
{
	const char *name = p;

	while (p < end && is_word(*p, p == name))
		p++;
	if (p == name || end - p < 2 || p[0] != '=' || p[1] != '"')
		return NULL;
	for (p += 2; p < end && *p != '"'; p++) {
		if (is_control(*p))
			return NULL;
		if (*p == '\\' && (++p == end || (*p != '"' && *p != '\\' && *p != 'n')))
			return NULL;
	}
	return p < end ? p + 1 : NULL;
}

static bool are_labels(const char *text, size_t bytes)
{
	const char *p = text, *end = text + bytes;

	if (bytes == 0)
		return true;
	while ((p = skip_label(p, end)) != NULL) {
		if (p == end)
			return true;
		if (*p++ != ',')
			return false;
	}
	return false;
}

bool metrics_entry_take(struct metrics_entry *entry, char texts[METRICS_TEXTS_MAX + 8])
{
	size_t bytes = texts_bytes(entry);

	for (size_t i = 0; i < bytes; i += WORD) {
		uint64_t word = load(entry->name + i);

		memcpy(texts + i, &word, sizeof(word));
	}
	point(entry, texts);
	texts[entry->name_bytes] = '\0';
	texts[entry->name_bytes + 1 + entry->labels_bytes] = '\0';
	texts[entry->name_bytes + 1 + entry->labels_bytes + 1 + entry->help_bytes] = '\0';
	return is_name(entry->name, entry->name_bytes) &&
	       are_labels(entry->labels, entry->labels_bytes) &&
	       is_help(entry->help, entry->help_bytes);
}
