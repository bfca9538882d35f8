/*
 * A list of host names, or one alone: admin.hosts.
 */
#include "bunshin/error.h"
#include "config/document.h"
#include "config/quote.h"
#include "config/reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A rule that is a name and nothing else. */
static const char *name_problem(const char *text)
{
	struct host_rule rule;
	const char *problem = host_rule_parse(text, &rule);

	if (problem == NULL && (rule.subdomains || strcasecmp(rule.name, text) != 0))
		problem = "has more than a name";
	return problem;
}

static int add(struct reader *reader, struct config_names *names, const char *path,
	const yaml_node_t *node)
{
	struct substitution value = {0};
	struct buf message = BUF_INIT(512);
	const char *text, *problem = NULL;
	bool fits;
	int err = reader_substitute(reader, node, path, "a host's name", &value, &fits);

	text = buf_string(&value.text);
	/* ${NAME:-} of one that is not there. */
	if (err != 0 || !fits || text[0] == '\0')
		goto out;
	problem = name_problem(text);
	if (problem == NULL) {
		names->rows[names->count] = strdup(text);
		err = names->rows[names->count] != NULL ? 0 : ERR_NOMEM;
		names->count += err == 0;
	} else if (reader->environment->missing == NULL) {
		buf_append_string(
			&message, "expected a host's name (like worker.example.com), but ");
		quote_append(&message, value.shown.data, value.shown.len);
		buf_appendf(&message, " %s", problem);
		err = message.err == ERR_NOMEM ? ERR_NOMEM
					       : reader_report(reader, reader_where(node), path,
							 "%s", buf_string(&message));
	}
out:
	buf_free(&message);
	substitution_free(&value);
	return err;
}

int names_read(struct reader *reader, const struct scope *scope, const char *path,
	const struct option *option, const yaml_node_t *node)
{
	struct config_names *names =
		(struct config_names *)(void *)((char *)scope->base + option->offset);
	bool is_list = node->type == YAML_SEQUENCE_NODE;
	char item[READER_PATH_MAX + 24];
	size_t count = 1;
	int err = 0;

	if (document_is_null(node))
		return 0;
	if (is_list)
		count = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
	if ((!is_list && document_text(node) == NULL) || count > CONFIG_NAMES_MAX)
		return reader_report(reader, reader_where(node), path,
			"expected a list of names, at most %d, got %s", CONFIG_NAMES_MAX,
			is_list ? "a longer one" : document_kind(node));
	if (count == 0)
		return 0;
	names->rows = calloc(count, sizeof(*names->rows));
	if (names->rows == NULL)
		return ERR_NOMEM;
	if (!is_list)
		return add(reader, names, path, node);
	for (size_t i = 0; i < count && err == 0; i++) {
		snprintf(item, sizeof(item), "%s[%zu]", path, i);
		err = add(reader, names, item, reader_item(reader, node, i));
	}
	return err;
}

void names_free(struct config_names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->rows[i]);
	free(names->rows);
}
