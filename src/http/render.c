#include "http/render.h"

#include "base/units.h"
#include "bunshin/error.h"
#include "config/url.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ATTRIBUTES_PREFIX "attributes."

void render_init(struct render *render, const struct config_destination *destination,
	const struct target_request *request, struct json *json)
{
	*render = (struct render){.destination = destination,
		.request = request,
		.message = request->messages[0],
		.json = json};
}

static void parse_fields(struct render *render)
{
	const struct json_value *root;
	int err = json_parse(render->json, render->message->body, render->message->body_bytes);

	if (err == ERR_NOMEM)
		render->err = err;
	root = err == 0 ? json_root(render->json) : NULL;
	render->fields =
		root != NULL && root->kind == JSON_OBJECT ? RENDER_FIELDS : RENDER_NO_FIELDS;
}

static bool find_field(struct render *render, const char *name, struct template_value *value)
{
	const struct json_value *field;

	if (render->fields == RENDER_UNPARSED)
		parse_fields(render);
	if (render->fields != RENDER_FIELDS)
		return false;
	field = json_path(json_root(render->json), name);
	if (field == NULL)
		return false;
	value->is_json = field->kind != JSON_STRING;
	value->text = value->is_json ? field->raw : field->string;
	value->text_bytes = value->is_json ? field->raw_bytes : field->string_bytes;
	return true;
}

static bool give_text(struct template_value *value, const char *text, size_t len)
{
	*value = (struct template_value){.text = text, .text_bytes = len};
	return true;
}

static bool give_number(struct render *render, struct template_value *value, int64_t number)
{
	int len = snprintf(render->number, sizeof(render->number), "%" PRId64, number);

	*value = (struct template_value){
		.text = render->number, .text_bytes = (size_t)len, .is_json = true};
	return true;
}

static bool give_list(struct template_value *value, const struct target_request *request)
{
	*value = (struct template_value){.text = request->recipients,
		.text_bytes = request->recipients_bytes,
		.is_json = true};
	return true;
}

/* SQS's Number takes "+1", ".5" and "007" too, which are no numbers in JSON. */
static bool is_json_number(const char *text, size_t len)
{
	char copy[40]; /* SQS: up to 38 digits */
	const char *at = copy;
	size_t digits;

	if (len == 0 || len >= sizeof(copy))
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	at += *at == '-';
	digits = strspn(at, "0123456789");
	if (digits == 0 || (digits > 1 && *at == '0'))
		return false;
	at += digits;
	if (*at == '.') {
		digits = strspn(at + 1, "0123456789");
		if (digits == 0)
			return false;
		at += 1 + digits;
	}
	return at == copy + len;
}

static bool find_attribute(struct render *render, const char *name, struct template_value *value)
{
	const struct queue_message *message = render->message;

	for (size_t i = 0; i < message->attribute_count; i++) {
		const struct queue_attribute *attribute = &message->attributes[i];

		if (strcmp(attribute->name, name) != 0)
			continue;
		give_text(value, attribute->value, attribute->value_bytes);
		value->is_json = strncmp(attribute->type, "Number", 6) == 0 &&
				 is_json_number(attribute->value, attribute->value_bytes);
		return true;
	}
	return false;
}

static bool find_built_in(struct render *render, const char *name, struct template_value *value)
{
	const struct queue_message *message = render->message;

	if (strcmp(name, "body") == 0)
		return give_text(value, message->body, message->body_bytes);
	if (strcmp(name, "message_id") == 0)
		return give_text(value, message->message_id, strlen(message->message_id));
	if (strcmp(name, "receive_count") == 0)
		return give_number(render, value, message->receive_count);
	if (strcmp(name, "sent_epoch_ms") == 0 && message->sent_epoch_ms != 0)
		return give_number(render, value, message->sent_epoch_ms);
	if (strcmp(name, "first_received_at") == 0 && message->first_received_epoch_ms != 0) {
		units_format_rfc3339(message->first_received_epoch_ms, render->number);
		return give_text(value, render->number, strlen(render->number));
	}
	if (strncmp(name, ATTRIBUTES_PREFIX, strlen(ATTRIBUTES_PREFIX)) == 0)
		return find_attribute(render, name + strlen(ATTRIBUTES_PREFIX), value);
	return false;
}

/* A template_lookup. */
static bool look_up(void *arg, const char *name, struct template_value *value)
{
	struct render *render = arg;
	const struct target_request *request = render->request;

	if (strcmp(name, "idempotency_key") == 0)
		return give_text(value, request->idempotency_key, strlen(request->idempotency_key));
	if (request->recipients != NULL && strcmp(name, render->destination->batch.field) == 0)
		return give_list(value, request);
	return find_field(render, name, value) || find_built_in(render, name, value);
}

static int render_part(struct render *render, const struct template *template, const char *part,
	struct buf *out, struct buf *reason)
{
	int err = template_render(template, look_up, render, out, reason);

	if (render->err != 0)
		return render->err;
	if (err == ERR_TEMPLATE && render->fields == RENDER_NO_FIELDS)
		buf_append_string(reason, " (the message body is not a JSON object)");
	if (err == ERR_TOO_LARGE) {
		buf_appendf(reason, "the %s is larger than %zu bytes", part, out->max);
		err = ERR_TEMPLATE;
	}
	return err;
}

int render_url(struct render *render, struct buf *out, struct buf *reason)
{
	const struct template *template = render->destination->request.url;
	const struct config_hosts *hosts = &render->destination->request.allow_hosts;
	const char *source = template_source(template), *url;
	size_t origin = url_origin_bytes(source);
	int err = render_part(render, template, "URL", out, reason);

	if (err != 0)
		return err;
	url = buf_string(out);
	if (hosts->count > 0)
		err = host_rules_check(hosts->rows, hosts->count, url, reason);
	if (err != 0)
		return err;
	if (strlen(url) != out->len ||
		(hosts->count == 0 && (strncmp(url, source, origin) != 0 ||
					      strchr("/?#", url[origin]) == NULL))) {
		buf_append_string(reason, "the URL has lost its host");
		return ERR_TEMPLATE;
	}
	if (strchr(url, '\\') != NULL) {
		buf_append_string(
			reason, "the URL holds a backslash, which some servers take for /");
		return ERR_TEMPLATE;
	}
	return 0;
}

int render_header(struct render *render, size_t index, struct buf *out, struct buf *reason)
{
	const struct config_header *header = &render->destination->request.headers[index];

	return render_part(render, header->value, header->name, out, reason);
}

int render_body(struct render *render, struct buf *out, struct buf *reason)
{
	const struct template *template = render->destination->request.body;
	int err;

	if (template != NULL)
		return render_part(render, template, "body", out, reason);
	err = buf_append(out, render->message->body, render->message->body_bytes);
	if (err == ERR_TOO_LARGE) {
		buf_append_string(reason, "the message body is too large");
		err = ERR_TEMPLATE;
	}
	return err;
}
