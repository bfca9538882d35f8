#include "config/reader.h"

#include "bunshin/error.h"
#include "config/destination.h"
#include "config/document.h"
#include "config/quote.h"

#include <stdio.h>
#include <string.h>

#define KEY_CHARACTERS "abcdefghijklmnopqrstuvwxyz_"
#define PATH_CHARACTERS KEY_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"

bool reader_is_full(const struct reader *reader)
{
	return reader->error_count >= READER_ERRORS_MAX;
}

struct where reader_where(const yaml_node_t *node)
{
	return (struct where){.line = node->start_mark.line + 1,
		.column = node->start_mark.column + 1,
		.node = node};
}

struct where where_of(const struct where *wheres, const struct option *option)
{
	return wheres[option - options];
}

bool where_is_given(struct where where)
{
	return where.origin != NULL || where.line != 0;
}

static void append_where(struct reader *reader, struct where where)
{
	const char *path = reader->config->path;

	if (where.origin != NULL)
		buf_appendf(reader->errors, "%s: ", where.origin);
	else if (path != NULL && where.line != 0)
		buf_appendf(reader->errors, "%s:%zu:%zu: ", path, where.line, where.column);
	else if (path != NULL)
		buf_appendf(reader->errors, "%s: ", path);
}

int reader_report(
	struct reader *reader, struct where where, const char *path, const char *format, ...)
{
	va_list args;

	if (reader_is_full(reader))
		return 0;
	reader->error_count++;
	append_where(reader, where);
	if (path != NULL)
		buf_appendf(reader->errors, "%s: ", path);
	va_start(args, format);
	buf_vappendf(reader->errors, format, args);
	va_end(args);
	buf_append_char(reader->errors, '\n');
	return reader->errors->err == ERR_NOMEM ? ERR_NOMEM : 0;
}

int reader_substitute(struct reader *reader, const yaml_node_t *node, const char *path,
	const char *expected, struct substitution *result, bool *ret_fits)
{
	struct buf error = BUF_INIT(1024);
	const char *text = document_text(node);
	int err;

	*ret_fits = false;
	if (text == NULL)
		return reader_report(reader, reader_where(node), path, "expected %s, got %s",
			expected, document_kind(node));
	if (strlen(text) != node->data.scalar.length)
		return reader_report(reader, reader_where(node), path,
			"expected %s, got a text with a NUL character", expected);
	err = substitute(text, reader->environment, result, &error);
	if (err == ERR_CONFIG)
		err = reader_report(reader, reader_where(node), path, "%s", buf_string(&error));
	else
		*ret_fits = err == 0;
	buf_free(&error);
	return err;
}

/* expected ..., got "20" */
static int report_unfit(struct reader *reader, struct where where, const char *path,
	const struct option *option, int unfit, const char *text)
{
	struct buf message = BUF_INIT(1024);
	int err;

	buf_append_string(&message, "expected ");
	if (unfit == ERR_LIMIT)
		buf_append_string(&message, "whole seconds");
	else
		option_append_expectation(option, &message);
	buf_append_string(&message, ", got ");
	if (text == NULL)
		buf_append_string(&message, "nothing");
	else
		quote_append(&message, text, strlen(text));
	err = message.err == ERR_NOMEM
		      ? ERR_NOMEM
		      : reader_report(reader, where, path, "%s", buf_string(&message));
	buf_free(&message);
	return err;
}

/*
 * A secret, whose text is nowhere shown. What config_print() wrote instead of one is read as none,
 * and printed as it was.
 */
static int set_secret(
	struct reader *reader, const struct option *option, const char *text, void *base)
{
	const char *field = (const char *)base + option->offset;
	bool is_printed = strcmp(text, SUBSTITUTE_HIDDEN) == 0;
	int err = option_set(option, is_printed ? NULL : text, base);

	if (err == 0 && !is_printed)
		err = log_add_secret(text);
	return err != 0 ? err : shown_set(reader->config, field, SUBSTITUTE_HIDDEN);
}

int reader_read_scalar(struct reader *reader, const struct scope *scope, const char *path,
	const struct option *option, const yaml_node_t *node)
{
	struct buf expected = BUF_INIT(512);
	struct substitution value = {0};
	const char *field = (const char *)scope->base + option->offset;
	bool is_text = option->type >= OPTION_WORD;
	bool fits = true;
	int err;

	if (document_is_null(node)) {
		err = option_set(option, NULL, scope->base);
	} else {
		err = option_append_expectation(option, &expected);
		if (err == 0)
			err = reader_substitute(
				reader, node, path, buf_string(&expected), &value, &fits);
		if (err == 0 && fits && option->secret)
			err = set_secret(reader, option, buf_string(&value.text), scope->base);
		else if (err == 0 && fits)
			err = option_set(option, buf_string(&value.text), scope->base);
	}
	if (err == ERR_SYNTAX || err == ERR_LIMIT)
		err = report_unfit(reader, reader_where(node), path, option, err,
			document_is_null(node) ? NULL
			: option->secret       ? SUBSTITUTE_HIDDEN
					       : buf_string(&value.shown));
	else if (err == 0 && fits && is_text && value.hidden && !option->secret)
		err = shown_set(reader->config, field, buf_string(&value.shown));
	substitution_free(&value);
	buf_free(&expected);
	return err;
}

static int read_option(struct reader *reader, const struct scope *scope, const char *path,
	const struct option *option, const yaml_node_t *node)
{
	scope->wheres[option - options] = reader_where(node);
	if (option->type == OPTION_WORKERS && node->type == YAML_MAPPING_NODE)
		return workers_read_map(reader, scope, node);
	if (option->type <= OPTION_SCALAR_LAST)
		return reader_read_scalar(reader, scope, path, option, node);
	if (option->type == OPTION_PAIRS)
		return pairs_read(reader, scope, path, option, node);
	if (option->type == OPTION_NAMES)
		return names_read(reader, scope, path, option, node);
	return destination_read_option(reader, scope, path, option, node);
}

/* `unknown key; did you mean "wait"?`, or the keys that there are. */
static int report_unknown(
	struct reader *reader, const struct scope *scope, const char *path, const yaml_node_t *key)
{
	struct buf hint = BUF_INIT(512);
	int err = option_append_suggestion(
		scope->prefix, (const char *)key->data.scalar.value, &hint);

	if (err != ERR_NOMEM)
		err = reader_report(
			reader, reader_where(key), path, "unknown key%s", buf_string(&hint));
	buf_free(&hint);
	return err;
}

/* The node of an earlier pair with the same key. */
static const yaml_node_t *find_earlier(
	struct reader *reader, const yaml_node_t *map, const yaml_node_pair_t *pair)
{
	const yaml_node_t *key = yaml_document_get_node(reader->document, pair->key);

	for (const yaml_node_pair_t *p = map->data.mapping.pairs.start; p < pair; p++) {
		const yaml_node_t *other = yaml_document_get_node(reader->document, p->key);

		if (other->type == YAML_SCALAR_NODE &&
			other->data.scalar.length == key->data.scalar.length &&
			memcmp(other->data.scalar.value, key->data.scalar.value,
				key->data.scalar.length) == 0)
			return other;
	}
	return NULL;
}

static int read_key(struct reader *reader, const yaml_node_t *key, const char **ret_text)
{
	const char *text = (const char *)key->data.scalar.value;

	*ret_text = NULL;
	if (key->type != YAML_SCALAR_NODE)
		return reader_report(reader, reader_where(key), NULL, "expected a key, got %s",
			document_kind(key));
	if (strlen(text) != key->data.scalar.length)
		return reader_report(reader, reader_where(key), NULL, "a key with a NUL character");
	*ret_text = text;
	return 0;
}

static int make_path(const struct scope *scope, const char *key, char path[READER_PATH_MAX])
{
	struct buf quoted = BUF_INIT(READER_PATH_MAX);
	size_t len = strlen(key);
	int err = 0;

	if (len == 0 || len > 64 || strspn(key, PATH_CHARACTERS) != len) {
		err = quote_append(&quoted, key, len);
		key = buf_string(&quoted);
	}
	snprintf(path, READER_PATH_MAX, "%s%s", scope->shown, key);
	buf_free(&quoted);
	return err == ERR_NOMEM ? err : 0;
}

static int read_section(
	struct reader *reader, const struct scope *scope, const char *key, const yaml_node_t *node)
{
	char prefix[READER_PATH_MAX], shown[READER_PATH_MAX];
	struct scope inner = *scope;

	snprintf(prefix, sizeof(prefix), "%s%s.", scope->prefix, key);
	snprintf(shown, sizeof(shown), "%s%s.", scope->shown, key);
	inner.prefix = prefix;
	inner.shown = shown;
	return reader_read_map(reader, &inner, node);
}

/* What the table calls a key: a path, with [] for a list. Dots and brackets are no part of a key.
 */
static bool table_path(
	const struct scope *scope, const char *key, const char *suffix, char path[READER_PATH_MAX])
{
	size_t len = strlen(key);

	if (len > 64 || strspn(key, KEY_CHARACTERS) != len)
		return false;
	snprintf(path, READER_PATH_MAX, "%s%s%s", scope->prefix, key, suffix);
	return true;
}

static int read_known(struct reader *reader, const struct scope *scope, const char *key,
	const char *path, const yaml_node_t *node)
{
	char in_table[READER_PATH_MAX];
	const struct option *option;

	table_path(scope, key, "", in_table);
	option = option_find(in_table);
	if (option != NULL)
		return read_option(reader, scope, path, option, node);
	if (option_is_section(in_table))
		return read_section(reader, scope, key, node);
	if (scope->prefix[0] == '\0')
		return destination_read_list(reader, path, node);
	return destination_read_rules(reader, scope, path, node);
}

static bool is_known(const struct scope *scope, const char *key)
{
	char path[READER_PATH_MAX];

	if (!table_path(scope, key, "", path))
		return false;
	if (option_find(path) != NULL || option_is_section(path))
		return true;
	table_path(scope, key, "[]", path);
	return option_is_section(path);
}

int reader_entry(struct reader *reader, const struct scope *scope, const yaml_node_pair_t *pair,
	struct entry *ret_entry)
{
	int err;

	ret_entry->key = yaml_document_get_node(reader->document, pair->key);
	ret_entry->value = yaml_document_get_node(reader->document, pair->value);
	err = read_key(reader, ret_entry->key, &ret_entry->name);
	if (err != 0 || ret_entry->name == NULL)
		return err;
	return make_path(scope, ret_entry->name, ret_entry->path);
}

static int read_pair(struct reader *reader, const struct scope *scope, const yaml_node_t *map,
	const yaml_node_pair_t *pair)
{
	const yaml_node_t *earlier;
	struct entry entry;
	int err = reader_entry(reader, scope, pair, &entry);

	if (err != 0 || entry.name == NULL)
		return err;
	if (!is_known(scope, entry.name))
		return report_unknown(reader, scope, entry.path, entry.key);
	earlier = find_earlier(reader, map, pair);
	if (earlier != NULL)
		return reader_report(reader, reader_where(entry.key), entry.path,
			"given twice; the first is on line %zu", earlier->start_mark.line + 1);
	return read_known(reader, scope, entry.name, entry.path, entry.value);
}

int reader_read_map(struct reader *reader, const struct scope *scope, const yaml_node_t *node)
{
	char path[READER_PATH_MAX];
	int err = 0;

	if (document_is_null(node))
		return 0;
	if (node->type != YAML_MAPPING_NODE) {
		snprintf(path, sizeof(path), "%s", scope->shown);
		path[path[0] != '\0' ? strlen(path) - 1 : 0] = '\0';
		return reader_report(reader, reader_where(node), path[0] == '\0' ? NULL : path,
			"expected a map of options, got %s", document_kind(node));
	}
	for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
		pair < node->data.mapping.pairs.top && err == 0 && !reader_is_full(reader); pair++)
		err = read_pair(reader, scope, node, pair);
	return err;
}

int reader_list(struct reader *reader, const char *path, const yaml_node_t *node, size_t max,
	size_t *ret_count)
{
	size_t count;

	*ret_count = 0;
	if (document_is_null(node))
		return 0;
	if (node->type != YAML_SEQUENCE_NODE)
		return reader_report(reader, reader_where(node), path,
			"expected a list of maps, got %s", document_kind(node));
	count = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
	if (count > max)
		return reader_report(reader, reader_where(node), path,
			"expected at most %zu, got %zu", max, count);
	*ret_count = count;
	return 0;
}

const yaml_node_t *reader_item(const struct reader *reader, const yaml_node_t *list, size_t index)
{
	return yaml_document_get_node(reader->document, list->data.sequence.items.start[index]);
}

int reader_check_required(struct reader *reader, const struct scope *scope, const yaml_node_t *node)
{
	char path[READER_PATH_MAX];
	int err = 0;

	for (size_t i = 0; i < option_count && err == 0; i++) {
		const char *prefix = option_prefix(option_place(&options[i]));

		if (!options[i].required || strcmp(prefix, scope->prefix) != 0 ||
			where_is_given(scope->wheres[i]))
			continue;
		snprintf(
			path, sizeof(path), "%s%s", scope->shown, options[i].path + strlen(prefix));
		err = reader_report(reader, reader_where(node), path, "missing, but required");
	}
	return err;
}

int reader_override(struct reader *reader, const struct option *option,
	const struct config_override *override, struct where *wheres)
{
	struct where where = {.origin = override->origin};
	int err = option_set(option, override->value, reader->config);

	wheres[option - options] = where;
	if (err == ERR_SYNTAX || err == ERR_LIMIT)
		return report_unfit(reader, where, option->path, option, err, override->value);
	return err == 0 ? shown_set(reader->config, (const char *)reader->config + option->offset,
				  NULL)
			: err;
}
