/*
 * One attempt: of a message alone in attempt_start(), and what other kinds of attempts (packed.h)
 * share with it. Private to delivery.
 */
#ifndef DELIVERY_ATTEMPT_H
#define DELIVERY_ATTEMPT_H

#include "bunshin/target.h"
#include "delivery/outcome.h"

#include <stdbool.h>
#include <stdint.h>

struct lane;
struct ledger_claim;
struct message;

/*
 * Sends a message, or sees to it in another way when the ledger says so. False: none of the lane
 * can be started for now.
 */
bool attempt_start(struct message *message);

/* Until when, in wall time, a claim holds that an attempt makes now. */
int64_t attempt_claim_end_ms(const struct lane *lane, int64_t now_ms);
/* The target_departs of a message's attempt. */
void attempt_departs(void *message);
/* A request has been started: counted. */
void attempt_started(struct lane *lane, uint64_t now_us);
/* No token now. Returns false, as attempt_start(). */
bool attempt_waits_for_token(struct lane *lane, uint64_t now_us, uint64_t wait_us);
/* A start that failed: nothing is started for a moment. Its delay is ATTEMPT_START_PAUSE_MS. */
#define ATTEMPT_START_PAUSE_MS 100
void attempt_pause(struct lane *lane, uint64_t now_us);

/* What the table makes of it; `result` may be led to `unclear`, a copy that says unanswered. */
enum outcome attempt_outcome(
	struct lane *lane, const struct target_result **result, struct target_result *unclear);
/* What the answer says about the destination, whatever becomes of what was sent; counted. */
void attempt_ended(struct lane *lane, uint64_t started_us, enum outcome outcome,
	const struct target_result *result);

/* What an answer means for what was sent. */
struct verdict {
	enum { VERDICT_ACCEPTED, VERDICT_FAILED, VERDICT_LATER } kind;
	const char *reason; /* FAILED */
	int64_t delay_ms;   /* LATER */
	/* FAILED, but of several in one request each alone may be accepted. */
	bool may_be_one;
};
struct verdict attempt_verdict(
	const struct message *message, enum outcome outcome, const struct target_result *result);
/* What becomes of a message that was sent, whose claim has been seen to. */
void attempt_judge(
	struct message *message, const struct target_result *result, enum outcome outcome);
/* Claims its key. False: not to be sent now; the message has been seen to. */
bool attempt_claim(struct message *message);
/* For people; "" with an answer. */
const char *attempt_words(const struct target_result *result);

#endif
