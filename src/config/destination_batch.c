/*
 * What a destination with batches may say: a request that is for many may be made of nothing that
 * is of one of them alone.
 */
#include "bunshin/error.h"
#include "config/destination.h"

#include <stdio.h>
#include <string.h>

static int report(
	struct reader *reader, const struct scope *scope, const char *key, const char *what)
{
	char full[128], path[READER_PATH_MAX];

	snprintf(full, sizeof(full), "destinations[].%s", key);
	snprintf(path, sizeof(path), "%s%s", scope->shown, key);
	return reader_report(reader, where_of(scope->wheres, option_find(full)), path, "%s", what);
}

/* A built-in variable that each message has its own of (http/http_target.h). */
static bool is_of_one_message(const char *name)
{
	static const char *const names[] = {
		"body", "message_id", "receive_count", "sent_epoch_ms", "first_received_at"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	/* Messages of different campaigns never share a request. */
	return strncmp(name, "attributes.", 11) == 0 && strcmp(name, "attributes.Campaign") != 0;
}

/* One template's variables, looked through. */
struct search {
	const struct config_destination *destination;
	bool is_body;
	unsigned lists; /* times that the list stands in it */
	char what[320]; /* what is wrong with it; "": nothing */
};

static void look_at_list(struct search *search, const char *name)
{
	if (strcmp(name, search->destination->batch.field) != 0)
		snprintf(search->what, sizeof(search->what),
			"has {{%.100s}}: with batches {{%.64s}} is the list of the recipients, as "
			"a whole",
			name, search->destination->batch.field);
	else if (!search->is_body)
		snprintf(search->what, sizeof(search->what),
			"has {{%.64s}}, which is the list of the recipients: that stands in the "
			"body alone",
			name);
	search->lists++;
}

static void look_at(void *arg, const char *name, bool has_default)
{
	struct search *search = arg;
	const char *field = search->destination->batch.field;
	size_t len = field != NULL ? strlen(field) : 0;

	if (search->what[0] != '\0' || strcmp(name, "idempotency_key") == 0)
		return;
	if (field == NULL)
		snprintf(search->what, sizeof(search->what),
			"has {{%.100s}}, which each message has its own of: with batch.format "
			"records only {{idempotency_key}} is the request's",
			name);
	else if (strncmp(name, field, len) == 0 && (name[len] == '\0' || name[len] == '.'))
		look_at_list(search, name);
	else if (is_of_one_message(name))
		snprintf(search->what, sizeof(search->what),
			"has {{%.100s}}, which each message has its own of: a request with "
			"batches is for many",
			name);
}

static int check_template(struct reader *reader, const struct scope *scope, const char *key,
	const struct template *template, struct search *search)
{
	if (template == NULL)
		return 0;
	template_each_variable(template, look_at, search);
	return search->what[0] != '\0' ? report(reader, scope, key, search->what) : 0;
}

/* It is there, and as a list. */
static int check_list(struct reader *reader, const struct scope *scope, unsigned lists)
{
	const struct config_destination *destination = scope->base;
	const char *field = destination->batch.field;
	char what[320];

	if (lists == 0)
		snprintf(what, sizeof(what),
			"does not have {{%.64s}} in it, the list of the recipients", field);
	else if (template_has_in_string(destination->request.body, field))
		snprintf(what, sizeof(what),
			"has {{%.64s}} between quotes: it is a list, which stands without them",
			field);
	else
		return 0;
	return report(reader, scope, "request.body", what);
}

static int check_templates(struct reader *reader, const struct scope *scope)
{
	const struct config_destination *destination = scope->base;
	struct search url = {.destination = destination};
	struct search body = {.destination = destination, .is_body = true};
	int err = check_template(reader, scope, "request.url", destination->request.url, &url);

	for (size_t i = 0; i < destination->request.header_count && err == 0; i++) {
		const struct config_header *header = &destination->request.headers[i];
		struct search search = {.destination = destination};

		if (header->value != NULL)
			err = check_template(
				reader, scope, "request.headers", header->value, &search);
	}
	if (err == 0)
		err = check_template(
			reader, scope, "request.body", destination->request.body, &body);
	if (err != 0 || destination->batch.field == NULL || body.what[0] != '\0')
		return err;
	return check_list(reader, scope, body.lists);
}

/* What belongs to which format. */
static int check_format(struct reader *reader, const struct scope *scope)
{
	const struct config_destination *destination = scope->base;
	bool is_list = destination->batch.format == CONFIG_BATCH_LIST;
	int err = 0;

	if (is_list && destination->batch.field == NULL)
		err = report(reader, scope, "batch.field",
			"missing; batch.format list needs the field that the recipients are in");
	if (!is_list && destination->batch.field != NULL)
		err = report(reader, scope, "batch.field", "only with batch.format list");
	if (err == 0 && !is_list && scope->body->given)
		err = report(reader, scope, "request.body",
			"not with batch.format records, which is a body of its own");
	if (err == 0 && is_list && !scope->body->given)
		err = report(reader, scope, "request.body",
			"missing; batch.format list needs one, to put the list into");
	if (err == 0 && destination->request.attribute_headers != NULL)
		err = report(reader, scope, "request.attribute_headers",
			"not with batches: each message has attributes of its own");
	return err;
}

/* Nothing but max makes batches, and without them the others would say nothing. */
static int check_unused(struct reader *reader, const struct scope *scope)
{
	const struct config_destination *destination = scope->base;
	const struct {
		const char *key;
		bool is_set;
	} rows[] = {
		{"batch.linger", destination->batch.linger_ms != 0},
		{"batch.field", destination->batch.field != NULL},
		{"batch.format", destination->batch.format != CONFIG_BATCH_LIST},
	};
	int err = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && err == 0; i++)
		if (rows[i].is_set)
			err = report(reader, scope, rows[i].key, "only with batch.max above 1");
	return err;
}

int destination_check_batch(struct reader *reader, const struct scope *scope)
{
	const struct config_destination *destination = scope->base;
	size_t errors = reader->error_count;
	int err;

	if (destination->batch.max <= 1)
		return check_unused(reader, scope);
	err = check_format(reader, scope);
	if (err == 0 && reader->error_count == errors)
		err = check_templates(reader, scope);
	return err;
}
