/*
 * What the services of the AWS Query protocol share (STS, Auto Scaling): a form goes out, XML comes
 * back, an error in ErrorResponse. Pure, text in and text out.
 */
#ifndef AWS_QUERY_CODEC_H
#define AWS_QUERY_CODEC_H

#include "aws/error_codes.h"
#include "base/buf.h"

#include <stddef.h>
#include <stdint.h>

#define QUERY_MESSAGE_SIZE 300

/*
 * Begins a form in an empty buffer: "Action=NAME&Version=DATE". Room is made for value_bytes of
 * values that are all encoded, so that what is appended does not move and buf_wipe() reaches all of
 * it. The buffer's error sticks.
 */
void query_form_begin(
	struct buf *form, const char *action, const char *version, size_t value_bytes);
/* "&NAME=VALUE", the value percent-encoded. */
void query_form_pair(struct buf *form, const char *name, const char *value);
/* The encoded value alone. */
void query_form_value(struct buf *form, const char *value);

/* A code of a service's own, or one whose HTTP status does not say it. */
struct query_code {
	const char *code;
	const char *message; /* begins so; NULL: any does */
	int err;
};

struct query_failure {
	char code[AWS_ERROR_CODE_SIZE]; /* "" when there is none */
	/*
	 * The first line of what the service says, blanks for control characters. Further lines are
	 * the request as it should have been signed, its token included.
	 */
	char message[QUERY_MESSAGE_SIZE];
};

/*
 * What an answer that is no success means; the table comes before the codes of all services. Never
 * 0; ERR_NOMEM when it could not be read. skew_ms: as in aws/error_codes.h.
 */
int query_answer_error(int status, int64_t skew_ms, const char *text, size_t len,
	const struct query_code codes[], size_t count, struct query_failure *ret_failure);

/*
 * Cuts `message` where `len` bytes of a secret begin to be repeated, 12 of them or all. No service
 * should do that.
 */
void query_message_hide(char *message, const char *secret, size_t len);

#endif
