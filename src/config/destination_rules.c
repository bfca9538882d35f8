/*
 * The rules that look into an answer's body.
 */
#include "bunshin/error.h"
#include "config/destination.h"
#include "config/document.h"

#include <stdio.h>
#include <stdlib.h>

static struct where where_in(const struct scope *scope, const char *path)
{
	return where_of(scope->wheres, option_find(path));
}

/* What no single option of a rule can tell. */
static int check_rule(struct reader *reader, const struct scope *scope, const yaml_node_t *node)
{
	const struct config_rule *rule = scope->base;
	char path[READER_PATH_MAX];

	if (rule->path == NULL && rule->equals != NULL) {
		snprintf(path, sizeof(path), "%sequals", scope->shown);
		return reader_report(reader,
			where_in(scope, "destinations[].outcomes.when_body[].equals"), path,
			"only together with path");
	}
	if (rule->equals != NULL && rule->contains != NULL) {
		snprintf(path, sizeof(path), "%scontains", scope->shown);
		return reader_report(reader,
			where_in(scope, "destinations[].outcomes.when_body[].contains"), path,
			"not together with equals");
	}
	if (rule->path == NULL && rule->contains == NULL) {
		snprintf(path, sizeof(path), "%spath", scope->shown);
		return reader_report(reader, reader_where(node), path,
			"missing; a rule needs path, contains or both");
	}
	return 0;
}

static int read_rule(struct reader *reader, const char *list_path, size_t index,
	struct config_rule *rule, const yaml_node_t *node)
{
	struct where *wheres = calloc(option_count, sizeof(*wheres));
	char shown[READER_PATH_MAX + 24];
	struct scope scope = {.prefix = option_prefix(OPTION_IN_RULE),
		.shown = shown,
		.base = rule,
		.wheres = wheres};
	size_t errors = reader->error_count;
	int err = wheres == NULL ? ERR_NOMEM : option_set_defaults(OPTION_IN_RULE, rule);

	snprintf(shown, sizeof(shown), "%s[%zu].", list_path, index);
	if (err == 0)
		err = reader_read_map(reader, &scope, node);
	if (err == 0 && (node->type == YAML_MAPPING_NODE || document_is_null(node)))
		err = reader_check_required(reader, &scope, node);
	/* An option that was refused looks as if it had not been given. */
	if (err == 0 && reader->error_count == errors)
		err = check_rule(reader, &scope, node);
	free(wheres);
	return err;
}

int destination_read_rules(
	struct reader *reader, const struct scope *scope, const char *path, const yaml_node_t *node)
{
	struct config_destination *destination = scope->base;
	size_t count;
	int err = reader_list(reader, path, node, CONFIG_RULES_MAX, &count);

	if (err != 0 || count == 0)
		return err;
	destination->outcomes.rules = calloc(count, sizeof(struct config_rule));
	if (destination->outcomes.rules == NULL)
		return ERR_NOMEM;
	destination->outcomes.rule_count = count;
	for (size_t i = 0; i < count && err == 0 && !reader_is_full(reader); i++)
		err = read_rule(reader, path, i, &destination->outcomes.rules[i],
			reader_item(reader, node, i));
	return err;
}

void destination_free_rules(struct config_destination *destination)
{
	for (size_t i = 0; i < destination->outcomes.rule_count; i++) {
		struct config_rule *rule = &destination->outcomes.rules[i];

		free(rule->statuses.ranges);
		free(rule->path);
		free(rule->equals);
		free(rule->contains);
	}
	free(destination->outcomes.rules);
}
