#include "config/queues_file.h"

#include "bunshin/error.h"
#include "config/document.h"
#include "config/quote.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define ERRORS_MAX 100
#define JSON_MAX_BYTES ((size_t)1 << 20)
#define ENTRY_KEYS "expected name, attributes, redrive or tags"
#define NO_ENTRY SIZE_MAX

/* The walk over the document. Functions return 0 or ERR_NOMEM; what is wrong is reported. */
struct walk {
	struct queues_file *file;
	yaml_document_t *document;
	struct buf *errors;
	size_t entry; /* being read */
};

static struct queues_place place_of(const yaml_node_t *node)
{
	return (struct queues_place){node->start_mark.line + 1, node->start_mark.column + 1};
}

static void append_name(struct buf *errors, const char *name)
{
	size_t len = strlen(name);
	bool plain = len > 0 && len <= 80 &&
		     strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				  "_-") == len;

	if (plain)
		buf_append_string(errors, name);
	else
		quote_append(errors, name, len);
}

__attribute__((format(printf, 7, 0))) static void report(struct queues_file *file,
	struct buf *errors, struct queues_place place, size_t entry, const char *member,
	const char *name, const char *format, va_list args)
{
	if (++file->error_count > ERRORS_MAX) {
		if (file->error_count == ERRORS_MAX + 1)
			buf_appendf(errors, "%s: too many errors, stopped here\n", file->path);
		return;
	}
	buf_appendf(errors, "%s:%zu:%zu: ", file->path, place.line, place.column);
	if (entry != NO_ENTRY)
		buf_appendf(errors, "queues[%zu]", entry);
	if (member != NULL) {
		buf_append_string(errors, entry != NO_ENTRY ? "." : "");
		append_name(errors, member);
	}
	if (name != NULL) {
		buf_append_char(errors, '.');
		append_name(errors, name);
	}
	if (entry != NO_ENTRY || member != NULL)
		buf_append_string(errors, ": ");
	buf_vappendf(errors, format, args);
	buf_append_char(errors, '\n');
}

void queues_file_report(struct queues_file *file, struct buf *errors, struct queues_place place,
	size_t entry, const char *member, const char *name, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report(file, errors, place, entry, member, name, format, args);
	va_end(args);
}

__attribute__((format(printf, 5, 6))) static int complain(struct walk *walk,
	const yaml_node_t *node, const char *member, const char *name, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report(walk->file, walk->errors, place_of(node), walk->entry, member, name, format, args);
	va_end(args);
	return walk->errors->err == ERR_NOMEM ? ERR_NOMEM : 0;
}

static const yaml_node_t *node_at(const struct walk *walk, int index)
{
	return yaml_document_get_node(walk->document, index);
}

/* A key's or a value's text; NULL: it is none, or holds a NUL. */
static const char *text_of(const yaml_node_t *node)
{
	const char *text = document_text(node);

	return text != NULL && strlen(text) == node->data.scalar.length ? text : NULL;
}

/* A pair of a map. `key` is NULL when it is no good, which has been reported. */
struct member {
	const char *key;
	const yaml_node_t *key_node, *value;
};

static int read_member(struct walk *walk, const yaml_node_t *map, const yaml_node_pair_t *pair,
	const char *inside, struct member *ret)
{
	ret->key_node = node_at(walk, pair->key);
	ret->value = node_at(walk, pair->value);
	ret->key = text_of(ret->key_node);
	if (ret->key == NULL)
		return complain(walk, ret->key_node, inside, NULL, "expected a key, got %s",
			document_kind(ret->key_node));
	for (const yaml_node_pair_t *p = map->data.mapping.pairs.start; p < pair; p++) {
		const yaml_node_t *earlier = node_at(walk, p->key);
		const char *text = text_of(earlier);

		if (text == NULL || strcmp(text, ret->key) != 0)
			continue;
		complain(walk, ret->key_node, inside != NULL ? inside : ret->key,
			inside != NULL ? ret->key : NULL, "given twice; the first is on line %zu",
			earlier->start_mark.line + 1);
		ret->key = NULL;
		break;
	}
	return walk->errors->err == ERR_NOMEM ? ERR_NOMEM : 0;
}

#define EACH_PAIR(pair, map)                                                 \
	for (const yaml_node_pair_t *pair = (map)->data.mapping.pairs.start; \
		pair < (map)->data.mapping.pairs.top; pair++)

/* A plain word that JSON has, too: a number, true or false. */
static bool is_json_word(const yaml_node_t *node, const char *text)
{
	size_t digits = strspn(*text == '-' ? text + 1 : text, "0123456789");

	if (node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return false;
	if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
		return true;
	text += *text == '-';
	return digits > 0 && digits < 16 && text[digits] == '\0' && (text[0] != '0' || digits == 1);
}

/* The node as JSON: policies are JSON texts, and are easier to read as YAML. */
static void append_json(const struct walk *walk, const yaml_node_t *node, struct buf *out)
{
	const char *separator = "";

	if (node->type == YAML_MAPPING_NODE) {
		buf_append_char(out, '{');
		EACH_PAIR(pair, node)
		{
			const char *key = text_of(node_at(walk, pair->key));

			buf_appendf(out, "%s\"", separator);
			if (key != NULL)
				buf_append_json(out, key, strlen(key));
			buf_append_string(out, "\":");
			append_json(walk, node_at(walk, pair->value), out);
			separator = ",";
		}
		buf_append_char(out, '}');
	} else if (node->type == YAML_SEQUENCE_NODE) {
		buf_append_char(out, '[');
		for (const yaml_node_item_t *item = node->data.sequence.items.start;
			item < node->data.sequence.items.top; item++) {
			buf_append_string(out, separator);
			append_json(walk, node_at(walk, *item), out);
			separator = ",";
		}
		buf_append_char(out, ']');
	} else if (document_is_null(node)) {
		buf_append_string(out, "null");
	} else {
		const char *text = (const char *)node->data.scalar.value;

		if (is_json_word(node, text)) {
			buf_append_string(out, text);
			return;
		}
		buf_append_char(out, '"');
		buf_append_json(out, text, node->data.scalar.length);
		buf_append_char(out, '"');
	}
}

/* A scalar's text, or the JSON of a map or list where that is allowed. *ret NULL: reported. */
static int read_value(struct walk *walk, const yaml_node_t *node, const char *member,
	const char *name, bool or_json, char **ret)
{
	struct buf json = BUF_INIT(JSON_MAX_BYTES);
	const char *text = text_of(node);

	*ret = NULL;
	if (text != NULL) {
		*ret = strdup(text);
		return *ret != NULL ? 0 : ERR_NOMEM;
	}
	if (!or_json || node->type == YAML_SCALAR_NODE)
		return complain(walk, node, member, name, "expected a value, got %s",
			node->type == YAML_SCALAR_NODE && !document_is_null(node)
				? "a text with a NUL character"
				: document_kind(node));
	append_json(walk, node, &json);
	*ret = buf_take(&json, NULL);
	buf_free(&json);
	return *ret != NULL ? 0 : ERR_NOMEM;
}

/* The map of attributes, or of tags. */
static int read_pairs(struct walk *walk, const char *member, const yaml_node_t *node, bool or_json,
	struct queues_pairs *ret)
{
	size_t count;

	if (document_is_null(node))
		return 0;
	if (node->type != YAML_MAPPING_NODE)
		return complain(
			walk, node, member, NULL, "expected a map, got %s", document_kind(node));
	count = (size_t)(node->data.mapping.pairs.top - node->data.mapping.pairs.start);
	ret->list = calloc(count + 1, sizeof(*ret->list));
	if (ret->list == NULL)
		return ERR_NOMEM;
	EACH_PAIR(pair, node)
	{
		struct queues_pair *into = &ret->list[ret->count];
		struct member item;
		int err = read_member(walk, node, pair, member, &item);

		if (err == 0 && item.key != NULL)
			err = read_value(walk, item.value, member, item.key, or_json, &into->value);
		if (err < 0)
			return err;
		if (into->value == NULL)
			continue;
		ret->count++;
		into->place = place_of(item.value);
		into->name = strdup(item.key);
		if (into->name == NULL)
			return ERR_NOMEM;
	}
	return 0;
}

static int read_redrive(struct walk *walk, const yaml_node_t *node, struct queues_entry *entry)
{
	size_t errors_before = walk->file->error_count;
	int err = 0;

	if (node->type != YAML_MAPPING_NODE)
		return complain(walk, node, "redrive", NULL,
			"expected a map of queue and max_receives, got %s", document_kind(node));
	EACH_PAIR(pair, node)
	{
		struct member item;

		err = read_member(walk, node, pair, "redrive", &item);
		if (err == 0 && item.key == NULL)
			continue;
		if (err == 0 && strcmp(item.key, "queue") == 0) {
			entry->redrive_queue_place = place_of(item.value);
			err = read_value(walk, item.value, "redrive", item.key, false,
				&entry->redrive_queue);
		} else if (err == 0 && strcmp(item.key, "max_receives") == 0) {
			entry->max_receives_place = place_of(item.value);
			err = read_value(
				walk, item.value, "redrive", item.key, false, &entry->max_receives);
		} else if (err == 0) {
			err = complain(walk, item.key_node, "redrive", item.key,
				"unknown key; expected queue or max_receives");
		}
		if (err < 0)
			return err;
	}
	if (walk->file->error_count == errors_before && entry->redrive_queue == NULL)
		err = complain(walk, node, "redrive", "queue", "missing, but required");
	if (walk->file->error_count == errors_before && entry->max_receives == NULL)
		err = complain(walk, node, "redrive", "max_receives", "missing, but required");
	return err;
}

static int read_entry_member(
	struct walk *walk, const struct member *item, struct queues_entry *entry)
{
	if (strcmp(item->key, "name") == 0) {
		entry->name_place = place_of(item->value);
		return read_value(walk, item->value, "name", NULL, false, &entry->name);
	}
	if (strcmp(item->key, "attributes") == 0)
		return read_pairs(walk, "attributes", item->value, true, &entry->attributes);
	if (strcmp(item->key, "tags") == 0) {
		entry->tags_place = place_of(item->value);
		return read_pairs(walk, "tags", item->value, false, &entry->tags);
	}
	if (strcmp(item->key, "redrive") == 0)
		return read_redrive(walk, item->value, entry);
	return complain(walk, item->key_node, item->key, NULL, "unknown key; " ENTRY_KEYS);
}

static int read_entry(struct walk *walk, const yaml_node_t *node, struct queues_entry *entry)
{
	bool named = false;
	int err = 0;

	if (node->type != YAML_MAPPING_NODE)
		return complain(walk, node, NULL, NULL, "expected a map of a queue, got %s",
			document_kind(node));
	EACH_PAIR(pair, node)
	{
		struct member item;

		err = read_member(walk, node, pair, NULL, &item);
		if (err == 0 && item.key != NULL) {
			named = named || strcmp(item.key, "name") == 0;
			err = read_entry_member(walk, &item, entry);
		}
		if (err < 0)
			return err;
	}
	return named ? 0 : complain(walk, node, "name", NULL, "missing, but required");
}

static int by_name(const void *a, const void *b)
{
	const struct queues_entry *x = *(const struct queues_entry *const *)a;
	const struct queues_entry *y = *(const struct queues_entry *const *)b;
	int order = strcmp(x->name, y->name);

	return order != 0 ? order : (x < y ? -1 : 1);
}

/* Two entries of one name, in n log n. */
static int check_names(struct walk *walk)
{
	struct queues_file *file = walk->file;
	struct queues_entry **sorted = calloc(file->count + 1, sizeof(struct queues_entry *));
	size_t count = 0;

	if (sorted == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < file->count; i++)
		if (file->entries[i].name != NULL)
			sorted[count++] = &file->entries[i];
	qsort(sorted, count, sizeof(struct queues_entry *), by_name);
	for (size_t i = 1; i < count; i++)
		if (strcmp(sorted[i - 1]->name, sorted[i]->name) == 0)
			queues_file_report(file, walk->errors, sorted[i]->name_place,
				(size_t)(sorted[i] - file->entries), "name", NULL,
				"a queue of this name is declared on line %zu already",
				sorted[i - 1]->name_place.line);
	free(sorted);
	return 0;
}

static int read_list(struct walk *walk, const yaml_node_t *node)
{
	const yaml_node_item_t *items = node->data.sequence.items.start;
	size_t count;

	if (document_is_null(node))
		return 0;
	if (node->type != YAML_SEQUENCE_NODE)
		return complain(walk, node, "queues", NULL, "expected a list of queues, got %s",
			document_kind(node));
	count = (size_t)(node->data.sequence.items.top - items);
	if (count > QUEUES_FILE_QUEUES_MAX)
		return complain(walk, node, "queues", NULL, "expected at most %d queues, got %zu",
			QUEUES_FILE_QUEUES_MAX, count);
	walk->file->entries = calloc(count + 1, sizeof(*walk->file->entries));
	if (walk->file->entries == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < count; i++) {
		int err;

		walk->entry = i;
		walk->file->count = i + 1;
		err = read_entry(walk, node_at(walk, items[i]), &walk->file->entries[i]);
		if (err < 0)
			return err;
	}
	walk->entry = NO_ENTRY;
	return check_names(walk);
}

static int read_root(struct walk *walk)
{
	const yaml_node_t *root = yaml_document_get_root_node(walk->document);
	int err = 0;

	if (root == NULL || document_is_null(root))
		return 0;
	if (root->type != YAML_MAPPING_NODE)
		return complain(walk, root, NULL, NULL,
			"expected a map with the key queues, got %s", document_kind(root));
	EACH_PAIR(pair, root)
	{
		struct member item;

		walk->entry = NO_ENTRY;
		err = read_member(walk, root, pair, NULL, &item);
		if (err == 0 && item.key != NULL) {
			if (strcmp(item.key, "queues") == 0)
				err = read_list(walk, item.value);
			else
				err = complain(walk, item.key_node, item.key, NULL,
					"unknown key; expected queues");
		}
		if (err < 0)
			return err;
	}
	return 0;
}

int queues_file_load(const char *path, struct queues_file **ret, struct buf *errors)
{
	struct queues_file *file = calloc(1, sizeof(*file));
	yaml_document_t document;
	struct walk walk = {
		.file = file, .document = &document, .errors = errors, .entry = NO_ENTRY};
	int err;

	if (file == NULL)
		return ERR_NOMEM;
	file->path = strdup(path);
	err = file->path == NULL ? ERR_NOMEM : document_read(path, &document, errors);
	if (err == 0) {
		err = read_root(&walk);
		yaml_document_delete(&document);
	}
	if (err == 0 && file->error_count > 0)
		err = ERR_CONFIG;
	if (err < 0) {
		queues_file_free(file);
		return err;
	}
	*ret = file;
	return 0;
}

static void free_pairs(struct queues_pairs *pairs)
{
	/* The one behind the last may be half read. */
	for (size_t i = 0; pairs->list != NULL && i <= pairs->count; i++) {
		free(pairs->list[i].name);
		free(pairs->list[i].value);
	}
	free(pairs->list);
}

void queues_file_free(struct queues_file *file)
{
	if (file == NULL)
		return;
	for (size_t i = 0; i < file->count; i++) {
		free_pairs(&file->entries[i].attributes);
		free_pairs(&file->entries[i].tags);
		free(file->entries[i].name);
		free(file->entries[i].redrive_queue);
		free(file->entries[i].max_receives);
	}
	free(file->entries);
	free(file->path);
	free(file);
}
