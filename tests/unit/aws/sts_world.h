/*
 * A loop, a clock in virtual time, a scripted peer, and an STS client that talks to it. And the
 * answers of STS, in the shapes that its API reference documents.
 */
#ifndef TESTS_STS_WORLD_H
#define TESTS_STS_WORLD_H

#include "aws/sts.h"
#include "base/manual_clock.h"
#include "fake_sqs.h"

#include <stdbool.h>
#include <stdint.h>

#define STS_WORLD_REGION "eu-west-1"
#define STS_WORLD_ROLE "arn:aws:iam::123456789012:role/demo"

struct sts_world {
	uv_loop_t loop;
	struct manual_clock clock;
	struct fake_sqs fake;
	struct sts *sts;
};

struct sts_world *sts_world_open(void);
/* Closes what is open and demands that the loop closes clean, with no timer left. */
void sts_world_close(struct sts_world *world);
/* Each turns the loop until it is so. */
void sts_world_run(struct sts_world *world, const bool *flag);
void sts_world_run_requests(struct sts_world *world, size_t count);
/* Until a timer of the clock is set; returns how far ahead it is due, in us. */
uint64_t sts_world_run_timer(struct sts_world *world);

/* Scripts an answer with the Content-Type that STS sends and the Date of the world. */
struct fake_step *sts_world_answer(struct sts_world *world, int status, const char *body);
struct fake_step *sts_world_answer_at(
	struct sts_world *world, int status, const char *headers, const char *body);
/* "AKIDn", "secret-n", "token-n", until 2026-01-02T04:04:05Z. */
void sts_world_answer_keys(struct sts_world *world, const char *operation, int n);
/* The documented shape of an error. */
void sts_world_answer_error(
	struct sts_world *world, int status, const char *code, const char *message);
#define STS_WORLD_EXPIRY_MS (WORLD_EPOCH_MS + 3600000)

/*
 * Demands that request i is this form, posted the way STS wants it, and signed with these keys at
 * this time; keys NULL: not signed at all.
 */
void sts_world_assert_request(struct sts_world *world, size_t i, const char *form,
	const struct credentials_set *keys, int64_t epoch_ms);

/* What a `done` was told; the reason is copied. */
struct sts_told {
	bool done;
	int err;
	char reason[CREDENTIALS_REASON_MAX];
	struct sts *close; /* closed from inside */
};
void sts_world_told(void *arg, int err, const char *reason);

#endif
