/*
 * Header fields of a destination: which are allowed, which are secret, and what the Content-Type
 * says about the body.
 */
#include "base/log.h"
#include "bunshin/error.h"
#include "config/destination.h"
#include "config/document.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NAME_MAX_BYTES 128
#define SECRET_WORD_MIN_BYTES 8

#define ALPHANUMERIC "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

/* A token of RFC 9110, section 5.6.2. */
static bool is_token(const char *name)
{
	size_t len = strspn(name, ALPHANUMERIC "!#$%&'*+-.^_`|~");

	return len >= 1 && len <= NAME_MAX_BYTES && name[len] == '\0';
}

/* What frames the message or belongs to the connection is the client's own. */
static bool is_client_owned(const char *name)
{
	static const char *const names[] = {
		"Connection",
		"Content-Length",
		"Expect",
		"Keep-Alive",
		"Proxy-Connection",
		"TE",
		"Trailer",
		"Transfer-Encoding",
		"Upgrade",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcasecmp(names[i], name) == 0)
			return true;
	return false;
}

const char *destination_header_problem(const char *name)
{
	return !is_token(name)	       ? "not a header's name"
	       : is_client_owned(name) ? "set by the HTTP client itself"
				       : NULL;
}

static bool ends_with(const char *name, const char *end)
{
	size_t len = strlen(name), end_len = strlen(end);

	return len >= end_len && strcasecmp(name + len - end_len, end) == 0;
}

static bool is_secret_name(const char *name)
{
	return strcasecmp(name, "Authorization") == 0 ||
	       strcasecmp(name, "Proxy-Authorization") == 0 || strcasecmp(name, "Cookie") == 0 ||
	       ends_with(name, "key") || ends_with(name, "token") || ends_with(name, "secret") ||
	       ends_with(name, "password");
}

/* Is the text {{name}} and nothing else? */
static bool is_only(const char *text, const char *name)
{
	if (strncmp(text, "{{", 2) != 0)
		return false;
	text += 2 + strspn(text + 2, " ");
	if (strncmp(text, name, strlen(name)) != 0)
		return false;
	text += strlen(name);
	text += strspn(text, " ");
	return strcmp(text, "}}") == 0;
}

static bool is_public_value(const char *text)
{
	return is_only(text, "idempotency_key") || is_only(text, "message_id");
}

/*
 * Registers a secret value: the whole, so that it is gone in one piece; each long word of it, since
 * a provider may repeat the token without its "Bearer"; and what came from the environment.
 */
int destination_register_secret(const struct substitution *value)
{
	const char *text = buf_string(&value->text);
	int err = strstr(text, "{{") == NULL ? log_add_secret(text) : 0;

	while (*text != '\0' && err == 0) {
		size_t len = strcspn(text, " ;,");

		if (len >= SECRET_WORD_MIN_BYTES && strcspn(text, "{}") >= len) {
			char *word = strndup(text, len);

			err = word == NULL ? ERR_NOMEM : log_add_secret(word);
			free(word);
		}
		text += len + strspn(text + len, " ;,");
	}
	for (size_t i = 0; i < value->parts.len && err == 0; i += strlen(value->parts.data + i) + 1)
		err = log_add_secret(value->parts.data + i);
	return err;
}

static int add_header(struct reader *reader, struct config_destination *destination,
	const char *name, const char *path, const yaml_node_t *node)
{
	struct config_header *header =
		&destination->request.headers[destination->request.header_count];
	struct substitution value = {0};
	bool fits;
	int err = reader_substitute(reader, node, path, "a header's value", &value, &fits);

	if (err != 0 || !fits)
		goto out;
	header->secret =
		value.hidden || (is_secret_name(name) && !is_public_value(buf_string(&value.text)));
	if (header->secret && (err = destination_register_secret(&value)) != 0)
		goto out;
	err = destination_compile(
		reader, reader_where(node), path, &value, TEMPLATE_HEADER, &header->value);
	if (header->value == NULL)
		goto out;
	header->name = strdup(name);
	if (header->name == NULL) {
		template_free(header->value);
		header->value = NULL;
		err = ERR_NOMEM;
		goto out;
	}
	destination->request.header_count++;
out:
	substitution_free(&value);
	return err;
}

bool destination_has_header(const struct config_destination *destination, const char *name)
{
	for (size_t i = 0; i < destination->request.header_count; i++)
		if (strcasecmp(destination->request.headers[i].name, name) == 0)
			return true;
	return false;
}

static int read_header(
	struct reader *reader, const struct scope *scope, const yaml_node_pair_t *pair)
{
	struct entry entry;
	int err = reader_entry(reader, scope, pair, &entry);
	const char *problem;

	if (err != 0 || entry.name == NULL)
		return err;
	problem = destination_header_problem(entry.name);
	if (problem == NULL && destination_has_header(scope->base, entry.name))
		problem = "given twice";
	if (problem != NULL)
		return reader_report(reader, reader_where(entry.key), entry.path, "%s", problem);
	return add_header(reader, scope->base, entry.name, entry.path, entry.value);
}

int destination_read_headers(
	struct reader *reader, const struct scope *scope, const char *path, const yaml_node_t *node)
{
	struct config_destination *destination = scope->base;
	struct scope inner = *scope;
	char shown[READER_PATH_MAX + 1];
	size_t count;
	int err = 0;

	if (document_is_null(node))
		return 0;
	if (node->type != YAML_MAPPING_NODE)
		return reader_report(reader, reader_where(node), path,
			"expected a map of header names to values, got %s", document_kind(node));
	count = (size_t)(node->data.mapping.pairs.top - node->data.mapping.pairs.start);
	if (count > CONFIG_HEADERS_MAX)
		return reader_report(reader, reader_where(node), path,
			"expected at most %d, got %zu", CONFIG_HEADERS_MAX, count);
	if (count == 0)
		return 0;
	destination->request.headers = calloc(count, sizeof(struct config_header));
	if (destination->request.headers == NULL)
		return ERR_NOMEM;
	stpcpy(stpcpy(shown, path), ".");
	inner.shown = shown;
	for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
		pair < node->data.mapping.pairs.top && err == 0 && !reader_is_full(reader); pair++)
		err = read_header(reader, &inner, pair);
	return err;
}

static bool media_type_is(const char *type, size_t len, const char *end)
{
	size_t end_len = strlen(end);

	return len >= end_len && strncasecmp(type + len - end_len, end, end_len) == 0;
}

enum template_context destination_body_context(
	const struct config_destination *destination, const char *body)
{
	for (size_t i = 0; i < destination->request.header_count; i++) {
		const char *type = template_source(destination->request.headers[i].value);
		size_t len = strcspn(type, "; ");

		if (strcasecmp(destination->request.headers[i].name, "Content-Type") != 0)
			continue;
		if (media_type_is(type, len, "/json") || media_type_is(type, len, "+json"))
			return TEMPLATE_JSON;
		if (media_type_is(type, len, "/x-www-form-urlencoded"))
			return TEMPLATE_FORM;
		return TEMPLATE_TEXT;
	}
	body += strspn(body, " \t\r\n");
	if (body[0] == '[' || (body[0] == '{' && body[1] != '{'))
		return TEMPLATE_JSON;
	return TEMPLATE_TEXT;
}
