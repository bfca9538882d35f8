#include "cli/sink_record.h"

#include "base/utf8.h"
#include "bunshin/error.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define FLUSH_BYTES ((size_t)256 << 10)
#define LINES_MAX_BYTES ((size_t)64 << 20) /* one record of the largest body, all of it escaped */

int sink_record_open(struct sink_record *record, const char *path)
{
	record->fd = -1;
	buf_init(&record->lines, LINES_MAX_BYTES);
	if (!path)
		return 0;
	record->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	return record->fd < 0 ? ERR_IO : 0;
}

static void append_text(struct buf *out, const char *text, size_t len)
{
	buf_append_char(out, '"');
	buf_append_json(out, text, len);
	buf_append_char(out, '"');
}

static void append_base64(struct buf *out, const char *bytes, size_t len)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	buf_append_char(out, '"');
	for (size_t i = 0; i < len; i += 3) {
		size_t have = len - i < 3 ? len - i : 3;
		unsigned group = 0;

		for (size_t j = 0; j < 3; j++)
			group = group << 8 | (j < have ? (unsigned char)bytes[i + j] : 0);
		for (size_t j = 0; j < 4; j++)
			buf_append_char(
				out, j <= have ? digits[group >> (18 - 6 * j) & 0x3f] : '=');
	}
	buf_append_char(out, '"');
}

/* Header bytes are Latin-1 by tradition: what is not UTF-8 is shown as if it were that. */
static void append_header_value(struct buf *out, const char *value)
{
	if (utf8_is_valid(value, strlen(value))) {
		buf_append_json(out, value, strlen(value));
		return;
	}
	for (; *value; value++) {
		char character[UTF8_SEQUENCE_MAX];

		buf_append_json(out, character, utf8_encode((unsigned char)*value, character));
	}
}

struct headers {
	const struct http_call *call;
	struct buf *out;
	const char *name; /* the inner walk's */
	bool any, any_value;
};

/* The inner walk: every value that came under one name. */
static void visit_value(void *arg, const char *name, const char *value)
{
	struct headers *headers = arg;

	if (strcasecmp(name, headers->name) != 0)
		return;
	if (headers->any_value)
		buf_append_string(headers->out, ", ");
	headers->any_value = true;
	append_header_value(headers->out, value);
}

static void visit_header(void *arg, const char *name, const char *value)
{
	struct headers *headers = arg;

	/* http_call_header gives the first of a name; the others are joined to it. */
	if (http_call_header(headers->call, name) != value)
		return;
	if (headers->any)
		buf_append_char(headers->out, ',');
	headers->any = true;
	buf_append_char(headers->out, '"');
	append_header_value(headers->out, name);
	buf_append_string(headers->out, "\":\"");
	headers->name = name;
	headers->any_value = false;
	http_call_each_header(headers->call, visit_value, headers);
	buf_append_char(headers->out, '"');
}

int sink_record_add(struct sink_record *record, const struct http_call *call, int64_t time_epoch_ms,
	int status, uint64_t recipients)
{
	struct buf *out = &record->lines;
	struct headers headers = {.call = call, .out = out};
	size_t body_bytes;
	const char *body = http_call_body(call, &body_bytes);
	const char *path = http_call_path(call), *method = http_call_method(call);

	if (record->fd < 0)
		return 0;
	buf_appendf(out, "{\"time_epoch_ms\":%" PRId64 ",\"method\":", time_epoch_ms);
	append_text(out, method, strlen(method));
	buf_append_string(out, ",\"path\":\"");
	append_header_value(out, path);
	buf_append_string(out, "\",\"headers\":{");
	http_call_each_header(call, visit_header, &headers);
	if (utf8_is_valid(body, body_bytes)) {
		buf_append_string(out, "},\"body\":");
		append_text(out, body, body_bytes);
	} else {
		buf_append_string(out, "},\"body_base64\":");
		append_base64(out, body, body_bytes);
	}
	if (recipients > 0)
		buf_appendf(out, ",\"recipients\":%" PRIu64, recipients);
	if (status != 0)
		buf_appendf(out, ",\"status\":%d}\n", status);
	else
		buf_append_string(out, ",\"status\":null}\n");
	if (out->err != 0)
		return out->err;
	return out->len >= FLUSH_BYTES ? sink_record_flush(record) : 0;
}

int sink_record_flush(struct sink_record *record)
{
	const char *bytes = buf_string(&record->lines);
	size_t left = record->lines.len;

	while (left > 0) {
		ssize_t n = write(record->fd, bytes, left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ERR_IO;
		bytes += n;
		left -= (size_t)n;
	}
	buf_clear(&record->lines);
	return 0;
}

int sink_record_close(struct sink_record *record)
{
	int rc = record->fd < 0 ? 0 : sink_record_flush(record);

	if (record->fd >= 0)
		close(record->fd);
	record->fd = -1;
	buf_free(&record->lines);
	return rc;
}
