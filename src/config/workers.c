/*
 * `workers` as a map: between how many processes there are.
 */
#include "config/reader.h"

#include <string.h>

enum end { END_MIN, END_MAX, ENDS };

/* No rows of the table: it knows them as the row "workers". */
static const struct option ends[ENDS] = {
	[END_MIN] = {"workers.min", OPTION_INT, .offset = offsetof(struct config, workers.min),
		.min = 1, .max = CONFIG_WORKERS_MAX, .fallback = "2"},
	[END_MAX] = {"workers.max", OPTION_INT, .offset = offsetof(struct config, workers.max),
		.min = 1, .max = CONFIG_WORKERS_MAX, .fallback = "16"},
};

static int read_end(struct reader *reader, const struct scope *scope, const yaml_node_pair_t *pair,
	struct where given[ENDS])
{
	struct entry entry;
	int err = reader_entry(reader, scope, pair, &entry);
	enum end end = END_MIN;

	if (err != 0 || entry.name == NULL)
		return err;
	while (end < ENDS && strcmp(entry.name, ends[end].path + strlen(scope->prefix)) != 0)
		end++;
	if (end == ENDS)
		return reader_report(reader, reader_where(entry.key), entry.path,
			"unknown key; expected min and max");
	if (where_is_given(given[end]))
		return reader_report(reader, reader_where(entry.key), entry.path, "given twice");
	given[end] = reader_where(entry.value);
	return reader_read_scalar(reader, scope, entry.path, &ends[end], entry.value);
}

/* An end that was refused is 0 still, and has been reported. */
static int check_ends(
	struct reader *reader, const yaml_node_t *node, const struct where given[ENDS])
{
	const struct config_workers *workers = &reader->config->workers;
	int err = 0;

	for (enum end end = END_MIN; end < ENDS && err == 0; end++)
		if (!where_is_given(given[end]))
			err = reader_report(reader, reader_where(node), ends[end].path,
				"missing, but required");
	if (err == 0 && workers->max != 0 && workers->max < workers->min)
		err = reader_report(reader, given[END_MAX], ends[END_MAX].path,
			"workers.max is less than workers.min");
	return err;
}

int workers_read_map(struct reader *reader, const struct scope *scope, const yaml_node_t *node)
{
	struct scope inner = *scope;
	struct where given[ENDS] = {0};
	int err = 0;

	inner.prefix = "workers.";
	inner.shown = "workers.";
	reader->config->workers = (struct config_workers){0};
	for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
		pair < node->data.mapping.pairs.top && err == 0 && !reader_is_full(reader); pair++)
		err = read_end(reader, &inner, pair, given);
	return err != 0 ? err : check_ends(reader, node, given);
}
