/*
 * request.allow_hosts and allow_addresses: which hosts a message may choose.
 */
#include "bunshin/error.h"
#include "config/destination.h"
#include "config/document.h"
#include "config/quote.h"
#include "config/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the two lists differ in. */
struct kind {
	const char *expected, *expected_list;
	/* Stores the index-th. NULL, or what is wrong with the text (static). */
	const char *(*take)(struct config_destination *destination, const char *text);
};

static const char *take_host(struct config_destination *destination, const char *text)
{
	struct config_hosts *hosts = &destination->request.allow_hosts;
	const char *problem = host_rule_parse(text, &hosts->rows[hosts->count]);

	hosts->count += problem == NULL;
	return problem;
}

static const char *take_address(struct config_destination *destination, const char *text)
{
	struct config_addresses *addresses = &destination->request.allow_addresses;
	const char *problem = address_range_parse(text, &addresses->rows[addresses->count]);

	addresses->count += problem == NULL;
	return problem;
}

static const struct kind hosts = {
	.expected = "a host (like hooks.example.com or *.example.com)",
	.expected_list = "a list of hosts",
	.take = take_host,
};

static const struct kind addresses = {
	.expected = "an address or a range (like 10.0.0.0/8)",
	.expected_list = "a list of addresses",
	.take = take_address,
};

static int report_item(struct reader *reader, const yaml_node_t *node, const char *path,
	const struct kind *kind, const struct substitution *value, const char *problem)
{
	struct buf message = BUF_INIT(512);
	int err;

	buf_appendf(&message, "expected %s, but ", kind->expected);
	quote_append(&message, value->shown.data, value->shown.len);
	buf_appendf(&message, " %s", problem);
	err = message.err == ERR_NOMEM
		      ? ERR_NOMEM
		      : reader_report(reader, reader_where(node), path, "%s", buf_string(&message));
	buf_free(&message);
	return err;
}

static int read_item(struct reader *reader, const struct scope *scope, const char *path,
	const struct kind *kind, const yaml_node_t *node)
{
	struct substitution value = {0};
	const char *problem = NULL;
	bool fits;
	int err = reader_substitute(reader, node, path, kind->expected, &value, &fits);

	/* ${NAME:-} of a host that is not there. */
	if (err == 0 && fits && value.text.len > 0)
		problem = kind->take(scope->base, buf_string(&value.text));
	/* Who has none of the environment's values has something else in their place. */
	if (problem != NULL && reader->environment->missing == NULL)
		err = report_item(reader, node, path, kind, &value, problem);
	substitution_free(&value);
	return err;
}

/* The nodes of a list, or 1 of a scalar; SIZE_MAX: it is neither, or too many. */
static size_t count_items(const yaml_node_t *node)
{
	size_t count;

	if (document_is_null(node))
		return 0;
	if (node->type != YAML_SEQUENCE_NODE)
		return document_text(node) != NULL ? 1 : SIZE_MAX;
	count = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
	return count <= CONFIG_ALLOWED_MAX ? count : SIZE_MAX;
}

static int read_items(struct reader *reader, const struct scope *scope, const char *path,
	const struct kind *kind, const yaml_node_t *node, size_t count)
{
	char item[READER_PATH_MAX + 24];
	int err = 0;

	if (node->type != YAML_SEQUENCE_NODE)
		return read_item(reader, scope, path, kind, node);
	for (size_t i = 0; i < count && err == 0; i++) {
		snprintf(item, sizeof(item), "%s[%zu]", path, i);
		err = read_item(reader, scope, item, kind, reader_item(reader, node, i));
	}
	return err;
}

static int report_list(
	struct reader *reader, const yaml_node_t *node, const char *path, const struct kind *kind)
{
	return reader_report(reader, reader_where(node), path, "expected %s, at most %d, got %s",
		kind->expected_list, CONFIG_ALLOWED_MAX,
		node->type == YAML_SEQUENCE_NODE ? "a longer one" : document_kind(node));
}

int destination_read_hosts(
	struct reader *reader, const struct scope *scope, const char *path, const yaml_node_t *node)
{
	struct config_destination *destination = scope->base;
	size_t count = count_items(node);

	if (count == SIZE_MAX)
		return report_list(reader, node, path, &hosts);
	if (count == 0)
		return 0;
	destination->request.allow_hosts.rows = calloc(count, sizeof(struct host_rule));
	if (destination->request.allow_hosts.rows == NULL)
		return ERR_NOMEM;
	return read_items(reader, scope, path, &hosts, node, count);
}

int destination_read_addresses(
	struct reader *reader, const struct scope *scope, const char *path, const yaml_node_t *node)
{
	struct config_destination *destination = scope->base;
	size_t count = count_items(node);

	if (count == SIZE_MAX)
		return report_list(reader, node, path, &addresses);
	if (count == 0)
		return 0;
	destination->request.allow_addresses.rows = calloc(count, sizeof(struct address_range));
	if (destination->request.allow_addresses.rows == NULL)
		return ERR_NOMEM;
	return read_items(reader, scope, path, &addresses, node, count);
}

static int report(
	struct reader *reader, const struct scope *scope, const char *name, const char *what)
{
	char path[READER_PATH_MAX], option[64];

	snprintf(path, sizeof(path), "%srequest.%s", scope->shown, name);
	snprintf(option, sizeof(option), "destinations[].request.%s", name);
	return reader_report(
		reader, where_of(scope->wheres, option_find(option)), path, "%s", what);
}

/* With a host that messages choose. */
static int check_chosen(struct reader *reader, const struct scope *scope, const char *source)
{
	const struct config_destination *destination = scope->base;
	const char *problem = url_chosen_template_problem(source);
	bool given = where_is_given(
		where_of(scope->wheres, option_find("destinations[].request.allow_hosts")));

	if (destination->request.allow_hosts.count == 0) {
		/* What was refused has been reported. */
		if (given && reader->error_count > 0)
			return 0;
		return report(reader, scope, "url", url_template_problem(source));
	}
	if (problem != NULL)
		return report(reader, scope, "url", problem);
	if (destination_has_header(destination, "Host"))
		return report(reader, scope, "headers",
			"Host is not for a URL whose host messages choose");
	return 0;
}

int destination_check_hosts(struct reader *reader, const struct scope *scope)
{
	const struct config_destination *destination = scope->base;
	const char *source;

	if (destination->request.url == NULL)
		return 0;
	source = template_source(destination->request.url);
	if (url_template_chooses_host(source))
		return check_chosen(reader, scope, source);
	if (url_template_problem(source) != NULL)
		return 0; /* reported */
	if (destination->request.allow_hosts.count > 0)
		return report(reader, scope, "allow_hosts",
			"is for a request.url with a variable in its host");
	if (destination->request.allow_addresses.count > 0)
		return report(reader, scope, "allow_addresses",
			"is for a request.url with a variable in its host");
	return 0;
}
