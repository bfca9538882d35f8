/*
 * STS's requests and answers: pure, text in and text out, over aws/query_codec.h. The root of an
 * answer is named after the operation.
 */
#ifndef AWS_STS_CODEC_H
#define AWS_STS_CODEC_H

#include "aws/query_codec.h"
#include "aws/sts.h"
#include "aws/xml_fields.h"
#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sts_operation { STS_ASSUME_ROLE, STS_ASSUME_WITH_WEB_IDENTITY, STS_GET_CALLER_IDENTITY };

/* "AssumeRole"; static. */
const char *sts_operation_name(enum sts_operation operation);

/*
 * Forms (sts_form.c). Each appends to an empty `form`, whose memory is reserved before, so that
 * buf_wipe() reaches all of it. Returns 0 or the buffer's error.
 */
int sts_form_assume_role(struct buf *form, const struct sts_role *role);
/* The token is what stands behind *ret_token_at, encoded. */
int sts_form_web_identity(
	struct buf *form, const struct sts_role *role, const char *token, size_t *ret_token_at);
int sts_form_identity(struct buf *form);

/*
 * Answers (sts_answer.c). Each returns 0; ERR_PROTOCOL with what is wrong in `problem`; or
 * ERR_NOMEM. Outputs are set on 0 only. Keys and token are printable ASCII without blanks then, and
 * the keys expire. account_id and principal stay "" when the answer does not say.
 */
int sts_answer_credentials(enum sts_operation operation, const char *text, size_t len,
	struct credentials_set *ret_set, char problem[XML_PROBLEM_SIZE]);
int sts_answer_identity(const char *text, size_t len, struct sts_identity *ret_identity,
	char problem[XML_PROBLEM_SIZE]);

/* Codes of STS's own, for query_answer_error(). */
#define STS_CODES 3
extern const struct query_code sts_codes[STS_CODES];

#endif
