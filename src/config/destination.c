#include "config/destination.h"

#include "bunshin/error.h"
#include "config/document.h"
#include "config/quote.h"
#include "config/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATUSES_MAX 64

int destination_compile(struct reader *reader, struct where where, const char *path,
	const struct substitution *value, enum template_context context,
	struct template **ret_template)
{
	struct buf error = BUF_INIT(1024);
	int err = template_compile(buf_string(&value->text), context, ret_template, &error);

	if (err == ERR_SYNTAX)
		err = reader_report(reader, where, path, "%s",
			value->hidden ? "not a template, once its secret is filled in"
				      : buf_string(&error));
	buf_free(&error);
	return err;
}

static int read_url(
	struct reader *reader, const struct scope *scope, const char *path, const yaml_node_t *node)
{
	struct config_destination *destination = scope->base;
	struct substitution value = {0};
	const char *problem;
	bool fits;
	int err = reader_substitute(reader, node, path, "an http or https URL", &value, &fits);

	if (err == 0 && fits)
		err = destination_compile(reader, reader_where(node), path, &value, TEMPLATE_URL,
			&destination->request.url);
	if (destination->request.url == NULL)
		goto out;
	problem = url_template_problem(buf_string(&value.text));
	if (problem != NULL)
		err = reader_report(reader, reader_where(node), path, "%s", problem);
	else if (value.hidden)
		err = shown_set(
			reader->config, &destination->request.url, buf_string(&value.shown));
out:
	substitution_free(&value);
	return err;
}

static int read_body(
	struct reader *reader, const struct scope *scope, const char *path, const yaml_node_t *node)
{
	if (document_is_null(node))
		return 0;
	return reader_substitute(
		reader, node, path, "a text", &scope->body->text, &scope->body->given);
}

static int read_statuses(struct reader *reader, const char *path, const yaml_node_t *node,
	struct config_status_range *range)
{
	const struct option *option = option_find("destinations[].accept");
	struct substitution value = {0};
	struct buf message = BUF_INIT(512);
	bool fits;
	int err = reader_substitute(
		reader, node, path, "a status code or a range of them", &value, &fits);

	if (err == 0 && fits && option_parse_statuses(buf_string(&value.text), range) != 0) {
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

static int read_accept(
	struct reader *reader, const struct scope *scope, const char *path, const yaml_node_t *node)
{
	struct config_destination *destination = scope->base;
	bool is_list = node->type == YAML_SEQUENCE_NODE;
	yaml_node_item_t *items = is_list ? node->data.sequence.items.start : NULL;
	size_t count = is_list ? (size_t)(node->data.sequence.items.top - items) : 0;
	struct config_status_range *ranges;
	char item_path[READER_PATH_MAX + 16];
	int err = 0;

	if (count == 0 || count > STATUSES_MAX)
		return reader_report(reader, reader_where(node), path,
			"expected a list of 1 to %d status codes and ranges (like [200-299, 409]), "
			"got %s",
			STATUSES_MAX,
			!is_list     ? document_kind(node)
			: count == 0 ? "an empty list"
				     : "a longer list");
	ranges = calloc(count, sizeof(*ranges));
	if (ranges == NULL)
		return ERR_NOMEM;
	free(destination->accept);
	destination->accept = ranges;
	destination->accept_count = count;
	for (size_t i = 0; i < count && err == 0; i++) {
		snprintf(item_path, sizeof(item_path), "%s[%zu]", path, i);
		err = read_statuses(reader, item_path,
			yaml_document_get_node(reader->document, items[i]), &ranges[i]);
	}
	return err;
}

int destination_read_option(struct reader *reader, const struct scope *scope, const char *path,
	const struct option *option, const yaml_node_t *node)
{
	switch (option->type) {
	case OPTION_URL_TEMPLATE:
		return read_url(reader, scope, path, node);
	case OPTION_BODY:
		return read_body(reader, scope, path, node);
	case OPTION_HEADERS:
		return destination_read_headers(reader, scope, path, node);
	default:
		return read_accept(reader, scope, path, node);
	}
}

static int compile_body(struct reader *reader, const struct scope *scope)
{
	struct config_destination *destination = scope->base;
	const struct option *option = option_find("destinations[].request.body");
	const struct substitution *text = &scope->body->text;
	enum template_context context =
		destination_body_context(destination, buf_string(&text->text));
	char path[READER_PATH_MAX];
	int err;

	snprintf(path, sizeof(path), "%srequest.body", scope->shown);
	err = destination_compile(reader, scope->wheres[option - options], path, text, context,
		&destination->request.body);
	if (err == 0 && destination->request.body != NULL && text->hidden)
		err = shown_set(
			reader->config, &destination->request.body, buf_string(&text->shown));
	return err;
}

/* What no option was given for, although it must be. */
static int check_required(struct reader *reader, const struct scope *scope, const yaml_node_t *node)
{
	char path[READER_PATH_MAX];
	int err = 0;

	for (size_t i = 0; i < option_count && err == 0; i++) {
		if (!options[i].required || scope->wheres[i].line != 0)
			continue;
		snprintf(path, sizeof(path), "%s%s", scope->shown,
			options[i].path + strlen(OPTIONS_LIST_PREFIX));
		err = reader_report(reader, reader_where(node), path, "missing, but required");
	}
	return err;
}

static int check_unique(struct reader *reader, const struct scope *scope)
{
	const struct config_destination *destination = scope->base;
	const struct option *option = option_find("destinations[].name");
	char path[READER_PATH_MAX];

	for (const struct config_destination *other = reader->config->destinations;
		destination->name != NULL && other < destination; other++) {
		if (other->name == NULL || strcmp(other->name, destination->name) != 0)
			continue;
		snprintf(path, sizeof(path), "%sname", scope->shown);
		return reader_report(reader, scope->wheres[option - options], path,
			"destinations[%zu] is called \"%s\" too",
			(size_t)(other - reader->config->destinations), other->name);
	}
	return 0;
}

static int set_defaults(struct config_destination *destination)
{
	const struct option *accept = option_find("destinations[].accept");
	char text[16];
	int err = option_set_defaults(true, destination);

	if (err != 0)
		return err;
	destination->accept = calloc(1, sizeof(*destination->accept));
	if (destination->accept == NULL)
		return ERR_NOMEM;
	destination->accept_count = 1;
	/* "[200-299]" */
	snprintf(text, sizeof(text), "%.*s", (int)strlen(accept->fallback) - 2,
		accept->fallback + 1);
	return option_parse_statuses(text, destination->accept);
}

static int read_destination(struct reader *reader, size_t index, const yaml_node_t *node)
{
	struct config_destination *destination = &reader->config->destinations[index];
	struct where *wheres = calloc(option_count, sizeof(*wheres));
	struct body_draft body = {0};
	char shown[READER_PATH_MAX];
	struct scope scope = {.prefix = OPTIONS_LIST_PREFIX,
		.shown = shown,
		.base = destination,
		.wheres = wheres,
		.body = &body};
	int err = wheres == NULL ? ERR_NOMEM : set_defaults(destination);

	snprintf(shown, sizeof(shown), "destinations[%zu].", index);
	if (err == 0)
		err = reader_read_map(reader, &scope, node);
	if (err == 0 && (node->type == YAML_MAPPING_NODE || document_is_null(node)))
		err = check_required(reader, &scope, node);
	if (err == 0)
		err = check_unique(reader, &scope);
	if (err == 0 && body.given)
		err = compile_body(reader, &scope);
	substitution_free(&body.text);
	free(wheres);
	return err;
}

int destination_read_list(struct reader *reader, const yaml_node_t *node)
{
	yaml_node_item_t *items;
	size_t count;
	int err = 0;

	if (document_is_null(node))
		return 0;
	if (node->type != YAML_SEQUENCE_NODE)
		return reader_report(reader, reader_where(node), "destinations",
			"expected a list of maps, got %s", document_kind(node));
	items = node->data.sequence.items.start;
	count = (size_t)(node->data.sequence.items.top - items);
	if (count > CONFIG_DESTINATIONS_MAX)
		return reader_report(reader, reader_where(node), "destinations",
			"expected at most %d, got %zu", CONFIG_DESTINATIONS_MAX, count);
	if (count == 0)
		return 0;
	reader->config->destinations = calloc(count, sizeof(struct config_destination));
	if (reader->config->destinations == NULL)
		return ERR_NOMEM;
	reader->config->destination_count = count;
	for (size_t i = 0; i < count && err == 0 && !reader_is_full(reader); i++)
		err = read_destination(
			reader, i, yaml_document_get_node(reader->document, items[i]));
	return err;
}

void destination_free(struct config_destination *destination)
{
	free(destination->name);
	free(destination->request.method);
	template_free(destination->request.url);
	for (size_t i = 0; i < destination->request.header_count; i++) {
		free(destination->request.headers[i].name);
		template_free(destination->request.headers[i].value);
	}
	free(destination->request.headers);
	template_free(destination->request.body);
	free(destination->accept);
	free(destination->ca_file);
}
