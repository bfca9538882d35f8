#include "config/destination.h"

#include "base/units.h"
#include "bunshin/error.h"
#include "config/document.h"
#include "config/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
	/* What depends on request.allow_hosts waits for it. */
	problem = url_template_chooses_host(buf_string(&value.text))
			  ? NULL
			  : url_template_problem(buf_string(&value.text));
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
	case OPTION_CONDITIONS:
		return destination_read_when(reader, scope, path, node);
	case OPTION_SECRETS:
		return destination_read_secrets(reader, scope, path, option, node);
	case OPTION_HOSTS:
		return destination_read_hosts(reader, scope, path, node);
	case OPTION_ADDRESSES:
		return destination_read_addresses(reader, scope, path, node);
	default:
		return destination_read_statuses(reader, scope, path, option, node);
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
	err = destination_compile(reader, where_of(scope->wheres, option), path, text, context,
		&destination->request.body);
	if (err == 0 && destination->request.body != NULL && text->hidden)
		err = shown_set(
			reader->config, &destination->request.body, buf_string(&text->shown));
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
		return reader_report(reader, where_of(scope->wheres, option), path,
			"destinations[%zu] is called \"%s\" too",
			(size_t)(other - reader->config->destinations), other->name);
	}
	return 0;
}

static int read_destination(struct reader *reader, size_t index, const yaml_node_t *node)
{
	struct config_destination *destination = &reader->config->destinations[index];
	char shown[READER_PATH_MAX];
	struct body_draft body = {0};
	struct scope scope = {.prefix = option_prefix(OPTION_IN_DESTINATION),
		.shown = shown,
		.base = destination,
		.wheres = &reader->destination_wheres[index * option_count],
		.body = &body};
	int err = option_set_defaults(OPTION_IN_DESTINATION, destination);

	snprintf(shown, sizeof(shown), "destinations[%zu].", index);
	if (err == 0)
		err = reader_read_map(reader, &scope, node);
	if (err == 0 && (node->type == YAML_MAPPING_NODE || document_is_null(node)))
		err = reader_check_required(reader, &scope, node);
	if (err == 0)
		err = check_unique(reader, &scope);
	if (err == 0)
		err = destination_check_statuses(reader, &scope);
	if (err == 0)
		err = destination_check_hosts(reader, &scope);
	if (err == 0)
		err = destination_check_auth(reader, &scope);
	if (err == 0 && body.given)
		err = compile_body(reader, &scope);
	if (err == 0)
		err = destination_check_batch(reader, &scope);
	substitution_free(&body.text);
	return err;
}

int destination_read_list(struct reader *reader, const char *path, const yaml_node_t *node)
{
	size_t count;
	int err = reader_list(reader, path, node, CONFIG_DESTINATIONS_MAX, &count);

	if (err != 0 || count == 0)
		return err;
	reader->destination_wheres = calloc(count * option_count, sizeof(struct where));
	reader->config->destinations = calloc(count, sizeof(struct config_destination));
	if (reader->destination_wheres == NULL || reader->config->destinations == NULL)
		return ERR_NOMEM;
	reader->config->destination_count = count;
	for (size_t i = 0; i < count && err == 0 && !reader_is_full(reader); i++)
		err = read_destination(reader, i, reader_item(reader, node, i));
	return err;
}

/* base and cap of one destination; a value below 0 is not its own. */
static int check_retry(struct reader *reader, size_t index)
{
	const struct config *config = reader->config;
	const struct config_destination *destination = &config->destinations[index];
	const struct where *wheres = &reader->destination_wheres[index * option_count];
	bool own_base = destination->retry.base_ms >= 0, own_cap = destination->retry.cap_ms >= 0;
	int64_t base_ms = own_base ? destination->retry.base_ms : config->retry.base_ms;
	int64_t cap_ms = own_cap ? destination->retry.cap_ms : config->retry.cap_ms;
	char base[UNITS_TEXT_MAX], cap[UNITS_TEXT_MAX], path[READER_PATH_MAX];

	if (base_ms <= cap_ms || (!own_base && !own_cap))
		return 0;
	units_format_duration_ms(base_ms, base);
	units_format_duration_ms(cap_ms, cap);
	snprintf(
		path, sizeof(path), "destinations[%zu].retry.%s", index, own_base ? "base" : "cap");
	if (own_base)
		return reader_report(reader,
			where_of(wheres, option_find("destinations[].retry.base")), path,
			"%s is longer than the cap, %s", base, cap);
	return reader_report(reader, where_of(wheres, option_find("destinations[].retry.cap")),
		path, "%s is shorter than the base, %s", cap, base);
}

int destination_settle_retry(struct reader *reader)
{
	struct config *config = reader->config;
	int err = 0;

	for (size_t i = 0; i < config->destination_count && err == 0; i++) {
		err = check_retry(reader, i);
		option_inherit(config, &config->destinations[i]);
	}
	return err;
}

void destination_free(struct config_destination *destination)
{
	free(destination->name);
	destination_free_when(destination);
	free(destination->request.method);
	template_free(destination->request.url);
	free(destination->request.allow_hosts.rows);
	free(destination->request.allow_addresses.rows);
	for (size_t i = 0; i < destination->request.header_count; i++) {
		free(destination->request.headers[i].name);
		template_free(destination->request.headers[i].value);
	}
	free(destination->request.headers);
	free(destination->request.attribute_headers);
	template_free(destination->request.body);
	free(destination->batch.field);
	destination_free_auth(&destination->auth);
	free(destination->accept.ranges);
	free(destination->outcomes.retry.ranges);
	free(destination->outcomes.throttle.ranges);
	free(destination->outcomes.breaker.ranges);
	free(destination->outcomes.permanent.ranges);
	free(destination->outcomes.quota.ranges);
	free(destination->outcomes.unregistered.ranges);
	free(destination->outcomes.ambiguous.ranges);
	free(destination->retry_after_path);
	destination_free_rules(destination);
	free(destination->ca_file);
}
