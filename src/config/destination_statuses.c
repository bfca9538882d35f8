/*
 * Sets of status codes, and that a destination's do not overlap.
 */
#include "bunshin/error.h"
#include "config/destination.h"
#include "config/document.h"
#include "config/quote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct config_status_set *set_of(const struct option *option, void *base)
{
	void *field = (char *)base + option->offset;

	return field;
}

static int read_range(struct reader *reader, const char *path, const struct option *option,
	const yaml_node_t *node, struct config_status_range *range)
{
	struct substitution value = {0};
	struct buf message = BUF_INIT(512);
	bool fits;
	int err = reader_substitute(
		reader, node, path, "a status code or a range of them", &value, &fits);

	if (err == 0 && fits &&
		option_parse_statuses(option, buf_string(&value.text), range) != 0) {
		buf_appendf(&message,
			"expected a status code or a range from %d to %d (like 200-299), got ",
			(int)option->min, (int)option->max);
		quote_append(&message, value.shown.data, value.shown.len);
		err = message.err == ERR_NOMEM ? ERR_NOMEM
					       : reader_report(reader, reader_where(node), path,
							 "%s", buf_string(&message));
	}
	buf_free(&message);
	substitution_free(&value);
	return err;
}

static int read_ranges(struct reader *reader, const char *path, const struct option *option,
	const yaml_node_t *node, struct config_status_set *set)
{
	char item_path[READER_PATH_MAX + 24];
	int err = 0;

	if (node->type != YAML_SEQUENCE_NODE)
		return read_range(reader, path, option, node, set->ranges);
	for (size_t i = 0; i < set->count && err == 0; i++) {
		snprintf(item_path, sizeof(item_path), "%s[%zu]", path, i);
		err = read_range(
			reader, item_path, option, reader_item(reader, node, i), &set->ranges[i]);
	}
	return err;
}

/* Of a list, or of one range alone. */
static size_t count_ranges(const yaml_node_t *node)
{
	if (node->type != YAML_SEQUENCE_NODE)
		return document_text(node) != NULL;
	return (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
}

int destination_read_statuses(struct reader *reader, const struct scope *scope, const char *path,
	const struct option *option, const yaml_node_t *node)
{
	struct config_status_set *set = set_of(option, scope->base);
	bool is_list = node->type == YAML_SEQUENCE_NODE;
	bool may_be_empty = strcmp(option->fallback, "[]") == 0;
	size_t count = count_ranges(node);

	if ((count == 0 && !(is_list && may_be_empty)) || count > CONFIG_STATUSES_MAX)
		return reader_report(reader, reader_where(node), path,
			"expected a list of %s%d status codes and ranges (like [200-299, 409]), "
			"got %s",
			may_be_empty ? "at most " : "1 to ", CONFIG_STATUSES_MAX,
			!is_list     ? document_kind(node)
			: count == 0 ? "an empty list"
				     : "a longer list");
	free(set->ranges);
	*set = (struct config_status_set){0};
	if (count == 0)
		return 0;
	set->ranges = calloc(count, sizeof(*set->ranges));
	if (set->ranges == NULL)
		return ERR_NOMEM;
	set->count = count;
	return read_ranges(reader, path, option, node, set);
}

/* What two ranges have in common. A range that was wrong is 0-0, and has nothing in common. */
static bool intersect(struct config_status_range a, struct config_status_range b,
	struct config_status_range *ret_common)
{
	int first = a.first > b.first ? a.first : b.first;
	int last = a.last < b.last ? a.last : b.last;

	if (a.first == 0 || b.first == 0 || first > last)
		return false;
	*ret_common = (struct config_status_range){first, last};
	return true;
}

/* Reports that a range of `later`, the index-th, is in `earlier`, too. */
static int report_common(struct reader *reader, const struct scope *scope,
	const struct option *earlier, const struct option *later, size_t index,
	struct config_status_range common)
{
	size_t prefix = strlen(scope->prefix);
	struct where where = where_of(scope->wheres, later);
	char path[READER_PATH_MAX + 24], range[32];
	bool is_default = !where_is_given(where_of(scope->wheres, earlier));

	snprintf(path, sizeof(path), "%s%s", scope->shown, later->path + prefix);
	if (where.node->type == YAML_SEQUENCE_NODE) {
		snprintf(
			path, sizeof(path), "%s%s[%zu]", scope->shown, later->path + prefix, index);
		where = reader_where(reader_item(reader, where.node, index));
	}
	if (common.first == common.last)
		snprintf(range, sizeof(range), "%d", common.first);
	else
		snprintf(range, sizeof(range), "%d-%d", common.first, common.last);
	return reader_report(reader, where, path, "%s is in %s%s%s%s, too", range, scope->shown,
		earlier->path + prefix, is_default ? ", by default " : "",
		is_default ? earlier->fallback : "");
}

/* The first overlap of two sets. */
static int check_pair(struct reader *reader, const struct scope *scope,
	const struct option *earlier, const struct option *later)
{
	const struct config_status_set *a = set_of(earlier, scope->base);
	const struct config_status_set *b = set_of(later, scope->base);
	struct config_status_range common;

	for (size_t j = 0; j < b->count; j++)
		for (size_t i = 0; i < a->count; i++)
			if (intersect(a->ranges[i], b->ranges[j], &common))
				return report_common(reader, scope, earlier, later, j, common);
	return 0;
}

static bool is_set(const struct option *option)
{
	return option->type == OPTION_STATUSES && option_place(option) == OPTION_IN_DESTINATION;
}

/*
 * Only the first set of the table has a default that holds anything, so the later one of a pair
 * that overlaps was given.
 */
int destination_check_statuses(struct reader *reader, const struct scope *scope)
{
	int err = 0;

	for (size_t later = 0; later < option_count && err == 0; later++)
		for (size_t earlier = 0; is_set(&options[later]) && earlier < later && err == 0;
			earlier++)
			if (is_set(&options[earlier]))
				err = check_pair(reader, scope, &options[earlier], &options[later]);
	return err;
}
