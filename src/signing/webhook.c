#include "signing/webhook.h"

#include "base/base64.h"
#include "bunshin/error.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Of the key in base64, with the NUL. */
#define SECRET_TEXT_SIZE ((WEBHOOK_SECRET_BYTES_MAX + 2) / 3 * 4 + 1)
#define TIMESTAMP_SIZE 24 /* ".", a signed 64-bit number, ".", the NUL */

int webhook_secret_decode(
	const char *text, unsigned char ret_key[WEBHOOK_SECRET_BYTES_MAX], size_t *ret_bytes)
{
	char copy[SECRET_TEXT_SIZE];
	size_t len, bytes = 0;
	int err;

	explicit_bzero(ret_key, WEBHOOK_SECRET_BYTES_MAX);
	if (strncmp(text, WEBHOOK_SECRET_PREFIX, strlen(WEBHOOK_SECRET_PREFIX)) == 0)
		text += strlen(WEBHOOK_SECRET_PREFIX);
	len = strlen(text);
	if (len >= sizeof(copy))
		return strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789+/=") == len
			       ? ERR_LIMIT
			       : ERR_SYNTAX;
	memcpy(copy, text, len);
	err = base64_decode(copy, len, &bytes);
	if (err == 0 && (bytes < WEBHOOK_SECRET_BYTES_MIN || bytes > WEBHOOK_SECRET_BYTES_MAX))
		err = ERR_LIMIT;
	if (err == 0) {
		memcpy(ret_key, copy, bytes);
		*ret_bytes = bytes;
	}
	explicit_bzero(copy, sizeof(copy));
	return err;
}

void webhook_keys_free(struct webhook_keys *keys)
{
	for (size_t i = 0; i < keys->count; i++)
		hmac_key_free(keys->keys[i]);
	*keys = (struct webhook_keys){.count = 0};
}

int webhook_sign(const struct webhook_keys *keys, const char *id, int64_t timestamp_s,
	const void *body, size_t body_bytes, struct buf *out)
{
	char timestamp[TIMESTAMP_SIZE];
	int len = snprintf(timestamp, sizeof(timestamp), ".%" PRId64 ".", timestamp_s);
	const struct hmac_part parts[] = {
		{id, strlen(id)}, {timestamp, (size_t)len}, {body, body_bytes}};
	unsigned char mac[HMAC_BYTES_MAX];
	size_t bytes;
	int err = 0;

	if (id[0] == '\0' || strchr(id, '.') != NULL)
		return ERR_ARGUMENT;
	for (size_t i = 0; i < keys->count && err == 0; i++) {
		err = hmac_sign(keys->keys[i], parts, 3, mac, &bytes);
		if (err == 0)
			err = buf_append_string(out, i == 0 ? "v1," : " v1,");
		if (err == 0)
			err = base64_encode(out, mac, bytes);
	}
	return err;
}

static int append_hex(struct buf *out, const unsigned char *bytes, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	char *to = buf_reserve(out, 2 * len);

	if (to == NULL)
		return out->err;
	for (size_t i = 0; i < len; i++) {
		to[2 * i] = digits[bytes[i] >> 4];
		to[2 * i + 1] = digits[bytes[i] & 15];
	}
	buf_advance(out, 2 * len);
	return 0;
}

int webhook_sign_plain(const struct webhook_keys *keys, enum webhook_encoding encoding,
	const char *prefix, int64_t timestamp_s, const void *body, size_t body_bytes,
	struct buf *out)
{
	char timestamp[TIMESTAMP_SIZE];
	int len = snprintf(timestamp, sizeof(timestamp), "%" PRId64 ".", timestamp_s);
	const struct hmac_part parts[] = {
		{timestamp, timestamp_s < 0 ? 0 : (size_t)len}, {body, body_bytes}};
	unsigned char mac[HMAC_BYTES_MAX];
	size_t bytes;
	int err = 0;

	for (size_t i = 0; i < keys->count && err == 0; i++) {
		err = hmac_sign(keys->keys[i], parts, 2, mac, &bytes);
		if (err == 0)
			err = buf_appendf(out, "%s%s", i == 0 ? "" : ",", prefix);
		if (err == 0)
			err = encoding == WEBHOOK_HEX ? append_hex(out, mac, bytes)
						      : base64_encode(out, mac, bytes);
	}
	return err;
}
