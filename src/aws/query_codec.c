#include "aws/query_codec.h"

#include "aws/xml_fields.h"
#include "bunshin/error.h"

#include <stdio.h>
#include <string.h>

#define FIXED_BYTES 256 /* names, version, numbers */
#define HIDE_WINDOW 12	/* bytes of a secret that no message has by chance */

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* ---- forms */

void query_form_value(struct buf *form, const char *value)
{
	static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					 "0123456789-._~";

	for (; *value != '\0'; value++) {
		if (strchr(unreserved, *value) != NULL)
			buf_append_char(form, *value);
		else
			buf_appendf(form, "%%%02X", (unsigned)(unsigned char)*value);
	}
}

void query_form_pair(struct buf *form, const char *name, const char *value)
{
	buf_appendf(form, "&%s=", name);
	query_form_value(form, value);
}

void query_form_begin(struct buf *form, const char *action, const char *version, size_t value_bytes)
{
	buf_reserve(form, FIXED_BYTES + 3 * value_bytes);
	buf_appendf(form, "Action=%s&Version=%s", action, version);
}

/* ---- errors */

/* The first line that is not empty. */
static void message_clean(char message[QUERY_MESSAGE_SIZE])
{
	size_t from = strspn(message, " \t\r\n");
	size_t len = strcspn(message + from, "\r\n");

	memmove(message, message + from, len);
	message[len] = '\0';
	for (char *p = message; *p != '\0'; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
	}
}

static bool is_row_of(
	const struct query_code *row, const char *code, const struct query_failure *failure)
{
	return strcmp(row->code, code) == 0 &&
	       (row->message == NULL ||
		       strncmp(failure->message, row->message, strlen(row->message)) == 0);
}

int query_answer_error(int status, int64_t skew_ms, const char *text, size_t len,
	const struct query_code codes[], size_t count, struct query_failure *ret_failure)
{
	char problem[XML_PROBLEM_SIZE], code[AWS_ERROR_CODE_SIZE];
	const struct xml_field fields[] = {
		{"Code", code, sizeof(code), false},
		{"Message", ret_failure->message, sizeof(ret_failure->message), true},
	};
	int err = xml_fields_read(
		text, len, "ErrorResponse/Error/", fields, COUNT_OF(fields), problem);

	if (err == ERR_NOMEM)
		return err;
	aws_error_code_copy(code, ret_failure->code);
	message_clean(ret_failure->message);
	for (size_t i = 0; i < count; i++) {
		if (is_row_of(&codes[i], code, ret_failure))
			return codes[i].err;
	}
	err = aws_error_of_code(code, skew_ms);
	return err != 0 ? err : aws_error_of_status(status);
}

void query_message_hide(char *message, const char *secret, size_t len)
{
	size_t window = len < HIDE_WINDOW ? len : HIDE_WINDOW;

	if (window < 4)
		return; /* it would blot out ordinary words */
	for (; strlen(message) >= window; message++) {
		if (memmem(secret, len, message, window) != NULL) {
			message[0] = '\0';
			return;
		}
	}
}
