/*
 * The demo's reconciliation: every recipient against what the provider recorded, byte for byte.
 *
 * The bodies expected are made here from the recipient list, the campaign's template and the
 * destination's, with cJSON: none of the code that made the real ones, so that it can be wrong.
 */
#ifndef CLI_DEMO_CHECK_H
#define CLI_DEMO_CHECK_H

#include "base/buf.h"

#include <stddef.h>
#include <stdint.h>

struct demo_result {
	size_t recipients;
	size_t accepted;       /* recipients whose body was accepted at least once */
	size_t missing;	       /* recipients whose body was never accepted */
	size_t duplicates;     /* accepted requests beyond the first for one recipient */
	int64_t last_epoch_ms; /* arrival of the last accepted request; 0: none */
	size_t unexpected;     /* accepted requests with a body that nobody expected */
	char example[512];     /* of a difference; "" when there is none */
};

/*
 * recipients: a CSV file; message_template: text of the campaign's template; request_template: text
 * of the destination's body (both JSON); record: the provider's JSON lines. 0; ERR_IO, ERR_SYNTAX
 * or ERR_NOMEM with a sentence in `error`.
 */
int demo_check(const char *recipients, const char *message_template, const char *request_template,
	const char *record, struct demo_result *ret_result, struct buf *error);

#endif
