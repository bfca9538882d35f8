#include "localq/auth.h"

#include "base/buf.h"
#include "base/hex.h"
#include "localq/text.h"

#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define ALGORITHM "AWS4-HMAC-SHA256"
#define CANONICAL_MAX ((size_t)256 << 10)

/* A piece of the Authorization header. */
struct piece {
	const char *start;
	size_t len;
};

struct authorization {
	struct piece access_key, date, region, service, terminator; /* of Credential= */
	struct piece signed_headers;
	struct piece signature;
};

static const char *header(const struct auth_request *request, const char *name, size_t name_len)
{
	for (size_t i = 0; i < request->header_count; i++)
		if (strncasecmp(request->headers[i].name, name, name_len) == 0 &&
			request->headers[i].name[name_len] == '\0')
			return request->headers[i].value;
	return NULL;
}

static bool piece_is(struct piece piece, const char *text)
{
	return piece.len == strlen(text) && memcmp(piece.start, text, piece.len) == 0;
}

/* Cuts everything up to `separator` off the front of *rest; the whole rest when there is none. */
static struct piece cut(struct piece *rest, char separator)
{
	const char *end = memchr(rest->start, separator, rest->len);
	struct piece piece = {rest->start, end != NULL ? (size_t)(end - rest->start) : rest->len};
	size_t used = piece.len + (end != NULL);

	rest->start += used;
	rest->len -= used;
	return piece;
}

static bool strip_prefix(struct piece *piece, const char *prefix)
{
	size_t len = strlen(prefix);

	if (piece->len < len || memcmp(piece->start, prefix, len) != 0)
		return false;
	piece->start += len;
	piece->len -= len;
	return true;
}

static enum fault parse_authorization(
	const char *text, struct authorization *ret, struct problem *problem)
{
	struct piece rest = {text, strlen(text)};

	memset(ret, 0, sizeof(*ret));
	if (!strip_prefix(&rest, ALGORITHM))
		return problem_set(problem, FAULT_INCOMPLETE_SIGNATURE,
			"Unsupported AWS 'algorithm': '%.64s'", text);
	while (rest.len > 0) {
		struct piece field = cut(&rest, ',');

		while (field.len > 0 && *field.start == ' ')
			strip_prefix(&field, " ");
		if (strip_prefix(&field, "Credential=")) {
			ret->access_key = cut(&field, '/');
			ret->date = cut(&field, '/');
			ret->region = cut(&field, '/');
			ret->service = cut(&field, '/');
			ret->terminator = field;
		} else if (strip_prefix(&field, "SignedHeaders=")) {
			ret->signed_headers = field;
		} else if (strip_prefix(&field, "Signature=")) {
			ret->signature = field;
		}
	}
	if (ret->access_key.len == 0 || ret->signed_headers.len == 0 || ret->signature.len == 0)
		return problem_set(problem, FAULT_INCOMPLETE_SIGNATURE,
			"Authorization header requires 'Credential', 'SignedHeaders' and "
			"'Signature' parameters. Authorization=%.200s",
			text);
	return FAULT_NONE;
}

static bool is_signed(struct piece signed_headers, const char *name)
{
	size_t len = strlen(name);

	while (signed_headers.len > 0) {
		struct piece one = cut(&signed_headers, ';');

		if (one.len == len && strncasecmp(one.start, name, len) == 0)
			return true;
	}
	return false;
}

static enum fault check_signed_headers(
	const struct auth_request *request, struct piece signed_headers, struct problem *problem)
{
	for (size_t i = 0; i < request->header_count; i++) {
		const char *name = request->headers[i].name;

		if (strcasecmp(name, "host") != 0 && strncasecmp(name, "x-amz-", 6) != 0)
			continue;
		if (!is_signed(signed_headers, name))
			return problem_set(problem, FAULT_BAD_SIGNATURE,
				"'%.64s' must be a 'SignedHeader' in the AWS Authorization.", name);
	}
	return FAULT_NONE;
}

static enum fault check_scope(const struct authorization *authorization, const struct auth_key *key,
	const char *amz_date, struct problem *problem)
{
	size_t len = strlen(key->access_key);

	if (authorization->access_key.len != len ||
		CRYPTO_memcmp(authorization->access_key.start, key->access_key, len) != 0)
		return problem_set(problem, FAULT_UNKNOWN_KEY,
			"The security token included in the request is invalid.");
	if (!piece_is(authorization->region, key->region))
		return problem_set(problem, FAULT_BAD_SIGNATURE,
			"Credential should be scoped to a valid region, not '%.*s'. ",
			(int)(authorization->region.len < 64 ? authorization->region.len : 64),
			authorization->region.start);
	if (!piece_is(authorization->service, "sqs"))
		return problem_set(problem, FAULT_BAD_SIGNATURE,
			"Credential should be scoped to correct service: 'sqs'. ");
	if (!piece_is(authorization->terminator, "aws4_request"))
		return problem_set(problem, FAULT_BAD_SIGNATURE,
			"Credential should be scoped with a valid terminator: 'aws4_request'.");
	if (authorization->date.len != 8 || memcmp(authorization->date.start, amz_date, 8) != 0)
		return problem_set(problem, FAULT_BAD_SIGNATURE,
			"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of "
			"date from HTTP");
	return FAULT_NONE;
}

/* "20260102T030405Z"; false when it is anything else. */
static bool parse_amz_date(const char *text, int64_t *ret_epoch_s)
{
	struct tm tm = {0};
	char back[20];
	time_t seconds;

	if (strlen(text) != 16 || sscanf(text, "%4d%2d%2dT%2d%2d%2dZ", &tm.tm_year, &tm.tm_mon,
					  &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec) != 6)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	seconds = timegm(&tm);
	if (gmtime_r(&seconds, &tm) == NULL ||
		strftime(back, sizeof(back), "%Y%m%dT%H%M%SZ", &tm) != 16 ||
		strcmp(back, text) != 0)
		return false;
	*ret_epoch_s = seconds;
	return true;
}

static void format_amz_date(int64_t epoch_s, char ret[20])
{
	time_t seconds = (time_t)epoch_s;
	struct tm tm = {0};

	gmtime_r(&seconds, &tm);
	if (strftime(ret, 20, "%Y%m%dT%H%M%SZ", &tm) == 0)
		*ret = '\0';
}

static enum fault check_date(const char *amz_date, int64_t now, struct problem *problem)
{
	char now_text[20], bound_text[20];
	int64_t at;

	if (!parse_amz_date(amz_date, &at))
		return problem_set(problem, FAULT_INCOMPLETE_SIGNATURE,
			"Date must be in ISO-8601 'basic format'. Got '%.32s'.", amz_date);
	format_amz_date(now, now_text);
	if (at < now - AUTH_SKEW_MAX_S) {
		format_amz_date(now - AUTH_SKEW_MAX_S, bound_text);
		return problem_set(problem, FAULT_BAD_SIGNATURE,
			"Signature expired: %s is now earlier than %s (%s - 15 min.)", amz_date,
			bound_text, now_text);
	}
	if (at > now + AUTH_SKEW_MAX_S) {
		format_amz_date(now + AUTH_SKEW_MAX_S, bound_text);
		return problem_set(problem, FAULT_BAD_SIGNATURE,
			"Signature not yet current: %s is still later than %s (%s + 15 min.)",
			amz_date, bound_text, now_text);
	}
	return FAULT_NONE;
}

/* The path as it was on the wire, encoded once more, as for every service but S3. */
static void append_path(struct buf *buf, const char *path)
{
	for (const char *p = *path != '\0' ? path : "/"; *p != '\0'; p++) {
		uint8_t c = (uint8_t)*p;

		if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
			strchr("-._~/", c) != NULL)
			buf_append_char(buf, *p);
		else
			buf_appendf(buf, "%%25%02X", c);
	}
}

/* Trimmed, inner runs of spaces made one. */
static void append_header_value(struct buf *buf, const char *value)
{
	bool space = false, started = false;

	for (; *value != '\0'; value++) {
		if (*value == ' ' || *value == '\t') {
			space = started;
			continue;
		}
		if (space)
			buf_append_char(buf, ' ');
		buf_append_char(buf, *value);
		space = false;
		started = true;
	}
}

static void append_header(struct buf *buf, const struct auth_request *request, struct piece name)
{
	bool first = true;

	buf_append(buf, name.start, name.len);
	buf_append_char(buf, ':');
	for (size_t i = 0; i < request->header_count; i++) {
		const struct auth_header *one = &request->headers[i];

		if (strncasecmp(one->name, name.start, name.len) != 0 ||
			one->name[name.len] != '\0')
			continue;
		if (!first)
			buf_append_char(buf, ',');
		append_header_value(buf, one->value);
		first = false;
	}
	buf_append_char(buf, '\n');
}

static int hash_hex(struct hasher *hasher, const void *bytes, size_t len, char ret[65])
{
	uint8_t hash[HASHER_SHA256_BYTES];
	int err = hasher_sha256(hasher, bytes, len, hash);

	if (err == 0)
		hex_print(hash, sizeof(hash), ret);
	return err;
}

/* Hashes the canonical request; the query string of SQS's JSON protocol is always empty. */
static int canonical_hash(struct hasher *hasher, const struct auth_request *request,
	struct piece signed_headers, char ret[65])
{
	struct buf buf = BUF_INIT(CANONICAL_MAX);
	struct piece rest = signed_headers;
	char body_hash[65];
	int err = hash_hex(hasher, request->body, request->body_bytes, body_hash);

	if (err < 0)
		return err;
	buf_appendf(&buf, "%s\n", request->method);
	append_path(&buf, request->path);
	buf_append_string(&buf, "\n\n");
	while (rest.len > 0)
		append_header(&buf, request, cut(&rest, ';'));
	buf_append_char(&buf, '\n');
	buf_append(&buf, signed_headers.start, signed_headers.len);
	buf_append_char(&buf, '\n');
	err = buf_append_string(&buf, body_hash);
	if (err == 0)
		err = hash_hex(hasher, buf_string(&buf), buf.len, ret);
	buf_free(&buf);
	return err;
}

/* The signature that the request should carry, in hex. */
static int expected_signature(const struct auth_key *key, const struct authorization *authorization,
	const char *amz_date, const char *canonical, char ret[65])
{
	struct buf buf = BUF_INIT(CANONICAL_MAX);
	uint8_t mac[HASHER_SHA256_BYTES];
	struct piece scope[] = {authorization->date, authorization->region, authorization->service,
		authorization->terminator};
	int err;

	buf_appendf(&buf, "AWS4%s", key->secret_key);
	err = buf.err;
	if (err == 0)
		err = hasher_hmac_sha256(buf.data, buf.len, scope[0].start, scope[0].len, mac);
	for (size_t i = 1; i < 4 && err == 0; i++)
		err = hasher_hmac_sha256(mac, sizeof(mac), scope[i].start, scope[i].len, mac);
	buf_wipe(&buf);
	buf_clear(&buf);
	buf_appendf(&buf, "%s\n%s\n", ALGORITHM, amz_date);
	for (size_t i = 0; i < 4; i++) {
		buf_append(&buf, scope[i].start, scope[i].len);
		buf_append_char(&buf, i < 3 ? '/' : '\n');
	}
	buf_append_string(&buf, canonical);
	if (err == 0)
		err = buf.err;
	if (err == 0)
		err = hasher_hmac_sha256(mac, sizeof(mac), buf.data, buf.len, mac);
	buf_free(&buf);
	if (err == 0)
		hex_print(mac, sizeof(mac), ret);
	OPENSSL_cleanse(mac, sizeof(mac));
	return err;
}

static enum fault check_signature(struct hasher *hasher, const struct auth_key *key,
	const struct auth_request *request, const struct authorization *authorization,
	const char *amz_date, struct problem *problem)
{
	char canonical[65], expected[65];
	int err = canonical_hash(hasher, request, authorization->signed_headers, canonical);

	if (err == 0)
		err = expected_signature(key, authorization, amz_date, canonical, expected);
	if (err < 0)
		return problem_set(problem, FAULT_INTERNAL, "Out of memory.");
	if (authorization->signature.len != 64 ||
		CRYPTO_memcmp(authorization->signature.start, expected, 64) != 0)
		return problem_set(problem, FAULT_BAD_SIGNATURE,
			"The request signature we calculated does not match the signature you "
			"provided. Check your AWS Secret Access Key and signing method. Consult "
			"the "
			"service documentation for details.");
	return FAULT_NONE;
}

enum fault auth_check(struct hasher *hasher, const struct auth_key *key,
	const struct auth_request *request, int64_t now_epoch_s, struct problem *problem)
{
	const char *text = header(request, "authorization", 13);
	const char *amz_date = header(request, "x-amz-date", 10);
	struct authorization authorization;
	enum fault fault;

	if (text == NULL)
		return problem_set(
			problem, FAULT_NO_SIGNATURE, "Request is missing Authentication Token");
	fault = parse_authorization(text, &authorization, problem);
	if (fault != FAULT_NONE)
		return fault;
	if (amz_date == NULL)
		return problem_set(problem, FAULT_INCOMPLETE_SIGNATURE,
			"Authorization header requires existence of a 'X-Amz-Date' header.");
	fault = check_date(amz_date, now_epoch_s, problem);
	if (fault == FAULT_NONE)
		fault = check_scope(&authorization, key, amz_date, problem);
	if (fault == FAULT_NONE)
		fault = check_signed_headers(request, authorization.signed_headers, problem);
	if (fault == FAULT_NONE)
		fault = check_signature(hasher, key, request, &authorization, amz_date, problem);
	return fault;
}
