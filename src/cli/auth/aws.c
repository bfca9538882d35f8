/*
 * Signature Version 4 with the credentials that the queue is read with.
 */
#include "aws/endpoint.h"
#include "aws/sigv4.h"
#include "bunshin/error.h"
#include "cli/auth/signers.h"

#include <stdlib.h>
#include <string.h>

#define SCRATCH_MAX ((size_t)64 << 10)

struct aws_signer {
	const struct config_auth *config;
	struct credentials *credentials;
	const char *region;
	struct sigv4 *sigv4;
	struct buf authorization, path; /* scratch */
};

/* Host, and what is in the request so far. False: more than can be signed. */
static bool collect(const struct http_signer_request *request, const struct endpoint *endpoint,
	struct sigv4_header headers[SIGV4_HEADERS_MAX], size_t *ret_count)
{
	const char *at = buf_string(request->headers), *end = at + request->headers->len;
	size_t count = 0;

	headers[count++] = (struct sigv4_header){"Host", endpoint->host};
	while (at < end) {
		const char *value = at + strlen(at) + 1;

		if (count == SIGV4_HEADERS_MAX)
			return false;
		headers[count++] = (struct sigv4_header){at, value};
		at = value + strlen(value) + 1;
	}
	*ret_count = count;
	return true;
}

static int get_keys(
	struct aws_signer *signer, const struct credentials_set **ret, struct buf *reason)
{
	char words[CREDENTIALS_REASON_MAX] = "";
	int err = signer->credentials ? credentials_get(signer->credentials, ret, words)
				      : ERR_NO_CREDENTIALS;

	if (!err)
		return 0;
	buf_appendf(reason, "no AWS credentials to sign with%s%s", words[0] ? ": " : "", words);
	return err == ERR_NOMEM || error_class(err) == ERROR_AUTH ? err : ERR_NO_CREDENTIALS;
}

/* With the request's path without its query in signer->path. */
static int make(struct aws_signer *signer, const struct http_signer_request *request,
	const struct credentials_set *keys, const struct endpoint *endpoint, const char *query,
	char date[SIGV4_DATE_SIZE])
{
	struct sigv4_header headers[SIGV4_HEADERS_MAX];
	struct sigv4_request to_sign = {.method = request->method,
		.path = buf_string(&signer->path),
		.query = query,
		.headers = headers,
		.body = buf_string(request->body),
		.body_bytes = request->body->len};

	if (!collect(request, endpoint, headers, &to_sign.header_count))
		return ERR_ARGUMENT;
	buf_clear(&signer->authorization);
	return sigv4_sign(signer->sigv4, &to_sign, keys, signer->region, signer->config->service,
		request->now_epoch_ms, &signer->authorization, date);
}

static int add_all(struct aws_signer *signer, const struct credentials_set *keys, const char *date,
	http_signer_add *add, void *arg)
{
	const char *authorization = buf_string(&signer->authorization);
	const char *signature = strstr(authorization, "Signature=");
	struct buf shown = BUF_INIT(SCRATCH_MAX);
	int err = add(arg, "X-Amz-Date", date, NULL);

	if (!err && keys->session_token[0])
		err = add(arg, "X-Amz-Security-Token", keys->session_token, "[hidden]");
	if (!err)
		err = buf_append(
			&shown, authorization, signature ? (size_t)(signature - authorization) : 0);
	if (!err)
		err = buf_append_string(&shown, "Signature=[hidden]");
	if (!err)
		err = add(arg, "Authorization", authorization, buf_string(&shown));
	buf_free(&shown);
	return err;
}

static int sign(void *impl, const struct http_signer_request *request, http_signer_add *add,
	void *arg, struct buf *reason)
{
	struct aws_signer *signer = impl;
	const struct credentials_set *keys;
	char date[SIGV4_DATE_SIZE];
	struct endpoint endpoint;
	size_t origin = 0, path = 0;
	int err = get_keys(signer, &keys, reason);

	if (err)
		return err;
	err = endpoint_parse(request->url, &endpoint, &origin);
	if (!err) {
		path = strcspn(request->url + origin, "?#");
		buf_clear(&signer->path);
		err = buf_append(&signer->path, request->url + origin, path);
	}
	if (!err) {
		const char *query = request->url + origin + path;

		err = make(signer, request, keys, &endpoint, *query == '?' ? query + 1 : "", date);
	}
	if (!err)
		return add_all(signer, keys, date, add, arg);
	if (err == ERR_NOMEM)
		return err;
	buf_append_string(reason, "this request cannot be signed for AWS");
	return ERR_TEMPLATE;
}

static void aws_free(void *impl)
{
	struct aws_signer *signer = impl;

	sigv4_free(signer->sigv4);
	buf_free(&signer->authorization);
	buf_free(&signer->path);
	free(signer);
}

int auth_aws_new(const struct auth_options *options, const struct config_destination *destination,
	struct auth_signer *ret, struct buf *error)
{
	static const struct http_signer_ops ops = {.sign = sign, .wants_headers = true};
	const struct config_auth *config = &destination->auth;
	struct aws_signer *signer = calloc(1, sizeof(*signer));
	int err;

	if (!signer)
		return ERR_NOMEM;
	signer->config = config;
	signer->credentials = options->credentials;
	signer->region = config->region ? config->region : options->region;
	buf_init(&signer->authorization, SCRATCH_MAX);
	buf_init(&signer->path, SCRATCH_MAX);
	err = signer->region || !options->credentials ? sigv4_new(&signer->sigv4) : ERR_CONFIG;
	if (err == ERR_CONFIG)
		buf_appendf(
			error, "destination %s: auth.region: not known, set it", destination->name);
	if (err) {
		aws_free(signer);
		return err;
	}
	*ret = (struct auth_signer){.signer = {.ops = &ops, .impl = signer}, .free = aws_free};
	return 0;
}
