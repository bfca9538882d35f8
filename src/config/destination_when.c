/*
 * The conditions that a message without a Destination attribute must meet.
 */
#include "bunshin/error.h"
#include "config/destination.h"
#include "config/document.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int read_value(struct reader *reader, const char *path, const yaml_node_t *node,
	struct config_condition *condition)
{
	char **field = &condition->values[condition->value_count];
	struct substitution value = {0};
	bool fits;
	int err = reader_substitute(
		reader, node, path, "a text, a number, true or false", &value, &fits);

	if (err == 0 && fits) {
		*field = strdup(buf_string(&value.text));
		err = *field == NULL ? ERR_NOMEM : 0;
	}
	if (err == 0 && fits) {
		condition->value_count++;
		if (value.hidden)
			err = shown_set(reader->config, field, buf_string(&value.shown));
	}
	substitution_free(&value);
	return err;
}

static int read_values(struct reader *reader, const char *path, const yaml_node_t *node,
	struct config_condition *condition)
{
	bool is_list = node->type == YAML_SEQUENCE_NODE;
	char item_path[READER_PATH_MAX + 24];
	size_t count = 1;
	int err = 0;

	if (is_list)
		count = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
	if (count == 0 || count > CONFIG_CONDITION_VALUES_MAX)
		return reader_report(reader, reader_where(node), path,
			"expected a value or a list of 1 to %d (like [ja, en]), got %s",
			CONFIG_CONDITION_VALUES_MAX,
			count == 0 ? "an empty list" : "a longer list");
	condition->values = calloc(count, sizeof(*condition->values));
	if (condition->values == NULL)
		return ERR_NOMEM;
	if (!is_list)
		return read_value(reader, path, node, condition);
	for (size_t i = 0; i < count && err == 0; i++) {
		snprintf(item_path, sizeof(item_path), "%s[%zu]", path, i);
		err = read_value(reader, item_path, reader_item(reader, node, i), condition);
	}
	return err;
}

static bool has_condition(const struct config_destination *destination, const char *path)
{
	for (size_t i = 0; i < destination->when_count; i++)
		if (strcmp(destination->when[i].path, path) == 0)
			return true;
	return false;
}

static int read_condition(
	struct reader *reader, const struct scope *scope, const yaml_node_pair_t *pair)
{
	struct config_destination *destination = scope->base;
	struct config_condition *condition = &destination->when[destination->when_count];
	struct entry entry;
	int err = reader_entry(reader, scope, pair, &entry);

	if (err != 0 || entry.name == NULL)
		return err;
	if (!option_is_json_path(entry.name))
		return reader_report(reader, reader_where(entry.key), entry.path,
			"expected a field's path of 1 to %d bytes (like user.lang)",
			OPTION_JSON_PATH_MAX);
	if (has_condition(destination, entry.name))
		return reader_report(reader, reader_where(entry.key), entry.path, "given twice");
	condition->path = strdup(entry.name);
	if (condition->path == NULL)
		return ERR_NOMEM;
	destination->when_count++;
	return read_values(reader, entry.path, entry.value, condition);
}

int destination_read_when(
	struct reader *reader, const struct scope *scope, const char *path, const yaml_node_t *node)
{
	struct config_destination *destination = scope->base;
	bool is_map = node->type == YAML_MAPPING_NODE;
	char shown[READER_PATH_MAX + 1];
	struct scope inner = *scope;
	size_t count = 0;
	int err = 0;

	if (document_is_null(node))
		return 0;
	if (is_map)
		count = (size_t)(node->data.mapping.pairs.top - node->data.mapping.pairs.start);
	if (count == 0 || count > CONFIG_CONDITIONS_MAX)
		return reader_report(reader, reader_where(node), path,
			"expected a map of 1 to %d conditions (like {user.lang: [ja, en]}), got %s",
			CONFIG_CONDITIONS_MAX,
			!is_map	     ? document_kind(node)
			: count == 0 ? "an empty map"
				     : "a larger map");
	destination->when = calloc(count, sizeof(*destination->when));
	if (destination->when == NULL)
		return ERR_NOMEM;
	stpcpy(stpcpy(shown, path), ".");
	inner.shown = shown;
	for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
		pair < node->data.mapping.pairs.top && err == 0 && !reader_is_full(reader); pair++)
		err = read_condition(reader, &inner, pair);
	return err;
}

void destination_free_when(struct config_destination *destination)
{
	for (size_t i = 0; i < destination->when_count; i++) {
		struct config_condition *condition = &destination->when[i];

		for (size_t j = 0; j < condition->value_count; j++)
			free(condition->values[j]);
		free(condition->values);
		free(condition->path);
	}
	free(destination->when);
}
