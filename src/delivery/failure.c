#include "delivery/failure.h"

#include "base/utf8.h"
#include "bunshin/error.h"

#include <stdlib.h>
#include <string.h>

/* SQS refuses a message for one byte that is not text, and a provider may answer anything. */
static void make_text(char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes;) {
		unsigned char c = (unsigned char)text[i];
		size_t step = utf8_sequence(text + i, bytes - i);
		bool control = c < 0x20 && c != '\t' && c != '\n' && c != '\r';
		bool noncharacter = step == 3 && memcmp(text + i, "\xef\xbf", 2) == 0 &&
				    (unsigned char)text[i + 2] >= 0xbe;

		if (step == 0 || control || noncharacter) {
			text[i] = '?';
			step = 1;
		}
		i += step;
	}
}

/* All but the excerpt. 0 or ERR_NOMEM. */
static int keep_answer(struct failure *failure, const struct target_result *result)
{
	failure->attempted = true;
	failure->err = result->err;
	failure->status = result->err ? 0 : result->status;
	failure->unanswered = result->unanswered;
	if (!result->request_id[0])
		return 0;
	failure->request_id = strndup(result->request_id, FAILURE_REQUEST_ID_MAX);
	return failure->request_id ? 0 : ERR_NOMEM;
}

/* 0 or ERR_NOMEM. */
static int keep_excerpt(struct failure *failure, const struct target_result *result)
{
	size_t bytes = result->excerpt_bytes < FAILURE_EXCERPT_MAX ? result->excerpt_bytes
								   : FAILURE_EXCERPT_MAX;

	if (bytes == 0)
		return 0;
	failure->excerpt = malloc(bytes);
	if (!failure->excerpt)
		return ERR_NOMEM;
	memcpy(failure->excerpt, result->excerpt, bytes);
	failure->excerpt_bytes = bytes;
	make_text(failure->excerpt, failure->excerpt_bytes);
	return 0;
}

struct failure *failure_new(const char *reason, const struct target_result *result)
{
	struct failure *failure = calloc(1, sizeof(*failure));

	if (!failure)
		return NULL;
	failure->references = 1;
	failure->reason = strdup(reason);
	if (!failure->reason ||
		(result && (keep_answer(failure, result) || keep_excerpt(failure, result)))) {
		failure_unref(failure);
		return NULL;
	}
	make_text(failure->reason, strlen(failure->reason));
	return failure;
}

struct failure *failure_ref(struct failure *failure)
{
	failure->references++;
	return failure;
}

void failure_unref(struct failure *failure)
{
	if (!failure || --failure->references > 0)
		return;
	free(failure->reason);
	free(failure->excerpt);
	free(failure->request_id);
	free(failure);
}

bool failure_result(const struct failure *failure, struct target_result *ret_result)
{
	*ret_result = (struct target_result){.err = failure->err,
		.status = failure->status,
		.retry_after_ms = -1,
		.reason = failure->err ? failure->reason : "",
		.request_id = failure->request_id ? failure->request_id : "",
		.excerpt = failure->excerpt ? failure->excerpt : "",
		.excerpt_bytes = failure->excerpt_bytes,
		.unanswered = failure->unanswered};
	return failure->attempted;
}
