/*
 * Maps of names to texts: header fields with secret values, attributes.
 */
#include "bunshin/error.h"
#include "config/destination.h"
#include "config/document.h"
#include "config/reader.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NAME_MAX_BYTES 255
#define VALUE_MAX_BYTES 4096

static const char *name_problem(const struct option *option, const char *name)
{
	size_t len = strlen(name);

	if (option->secret)
		return strcasecmp(name, "Content-Type") == 0 ? "always application/json"
							     : destination_header_problem(name);
	if (len < 1 || len > NAME_MAX_BYTES)
		return "not a name of 1 to 255 bytes";
	for (size_t i = 0; i < len; i++)
		if (name[i] <= ' ' || name[i] > '~')
			return "not a name of printable ASCII without blanks";
	return NULL;
}

/* A header field's value is printable ASCII; other texts may be anything but control characters. */
static const char *value_problem(const struct option *option, const char *value)
{
	if (strlen(value) > VALUE_MAX_BYTES)
		return "a text longer than 4096 bytes";
	for (const char *at = value; *at != '\0'; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			return "a text with a control character";
		else if (option->secret && (unsigned char)*at > '~')
			return "a text that is not ASCII";
	return NULL;
}

static bool has_name(
	const struct option *option, const struct config_pairs *pairs, const char *name)
{
	for (size_t i = 0; i < pairs->count; i++)
		if ((option->secret ? strcasecmp : strcmp)(pairs->rows[i].name, name) == 0)
			return true;
	return false;
}

static int add(struct config_pairs *pairs, const char *name, const char *value)
{
	struct config_pair pair = {.name = strdup(name), .value = strdup(value)};

	if (pair.name == NULL || pair.value == NULL) {
		free(pair.name);
		free(pair.value);
		return ERR_NOMEM;
	}
	pairs->rows[pairs->count++] = pair;
	return 0;
}

static int read_value(struct reader *reader, const struct entry *entry, const struct option *option,
	struct config_pairs *pairs)
{
	struct substitution value = {0};
	const char *problem;
	bool fits;
	int err = reader_substitute(reader, entry->value, entry->path, "a text", &value, &fits);

	if (err != 0 || !fits)
		goto out;
	problem = value_problem(option, buf_string(&value.text));
	if (problem != NULL)
		err = reader_report(reader, reader_where(entry->value), entry->path,
			"expected a text, got %s", problem);
	else if (option->secret)
		err = destination_register_secret(&value);
	if (problem == NULL && err == 0)
		err = add(pairs, entry->name, buf_string(&value.text));
	if (problem == NULL && err == 0 && !option->secret && value.hidden)
		err = shown_set(reader->config, &pairs->rows[pairs->count - 1].value,
			buf_string(&value.shown));
out:
	substitution_free(&value);
	return err;
}

static int read_pair(struct reader *reader, const struct scope *scope, const struct option *option,
	const yaml_node_pair_t *pair, struct config_pairs *pairs)
{
	struct entry entry;
	const char *problem;
	int err = reader_entry(reader, scope, pair, &entry);

	if (err != 0 || entry.name == NULL)
		return err;
	problem = name_problem(option, entry.name);
	if (problem == NULL && has_name(option, pairs, entry.name))
		problem = "given twice";
	if (problem != NULL)
		return reader_report(reader, reader_where(entry.key), entry.path, "%s", problem);
	return read_value(reader, &entry, option, pairs);
}

int pairs_read(struct reader *reader, const struct scope *scope, const char *path,
	const struct option *option, const yaml_node_t *node)
{
	struct config_pairs *pairs =
		(struct config_pairs *)(void *)((char *)scope->base + option->offset);
	char shown[READER_PATH_MAX + 1];
	struct scope inner = *scope;
	size_t count;
	int err = 0;

	if (document_is_null(node))
		return 0;
	if (node->type != YAML_MAPPING_NODE)
		return reader_report(reader, reader_where(node), path,
			"expected a map of names to texts, got %s", document_kind(node));
	count = (size_t)(node->data.mapping.pairs.top - node->data.mapping.pairs.start);
	if (count > CONFIG_PAIRS_MAX)
		return reader_report(reader, reader_where(node), path,
			"expected at most %d, got %zu", CONFIG_PAIRS_MAX, count);
	if (count == 0)
		return 0;
	pairs->rows = calloc(count, sizeof(*pairs->rows));
	if (pairs->rows == NULL)
		return ERR_NOMEM;
	stpcpy(stpcpy(shown, path), ".");
	inner.shown = shown;
	for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
		pair < node->data.mapping.pairs.top && err == 0 && !reader_is_full(reader); pair++)
		err = read_pair(reader, &inner, option, pair, pairs);
	return err;
}

void pairs_free(struct config_pairs *pairs)
{
	for (size_t i = 0; i < pairs->count; i++) {
		free(pairs->rows[i].name);
		free(pairs->rows[i].value);
	}
	free(pairs->rows);
	*pairs = (struct config_pairs){0};
}
