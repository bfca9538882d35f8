/*
 * The first pass over a list: which of its rows are messages to be sent, and why the others are
 * not. Nothing is sent before it has come to the end.
 */
#ifndef CAMPAIGN_CHECK_H
#define CAMPAIGN_CHECK_H

#include "campaign/journal.h"
#include "campaign/key_set.h"
#include "campaign/messages.h"
#include "campaign/packer.h"
#include "campaign/validate.h"

struct campaign_check_rules {
	struct validate *validate; /* NULL: none */
	/* What is known before the first row: suppressed ones. NULL: rows may have the same key. */
	struct key_set *keys;
	struct packer *packer; /* counts the packs as they will be sent; NULL: a row is a message */
	/* Recipients that a worker puts into one request of a pack; 0: all of them. */
	uint64_t batch_max;
};

/* What a whole list comes to. */
struct campaign_check {
	uint64_t rows;	/* read */
	uint64_t valid; /* of them, to be sent */
	/* Of them, not; each row once, for the first of these reasons. */
	uint64_t invalid, malformed, suppressed, duplicate;
	uint64_t settled;  /* of them, neither: an earlier run has sent them; 0 after
			      campaign_check() */
	uint64_t messages; /* that the valid ones make */
	uint64_t attempts; /* requests to the provider that they take when nothing fails */
	uint64_t requests; /* SendMessageBatch calls that the valid ones take when nothing fails */
	uint64_t chunks;   /* of 64 KiB, each begun, that these calls hold: what SQS bills */
	bool fatal;	   /* the list itself is broken: rows behind the last one were not read */
};

static inline uint64_t campaign_check_left_out(const struct campaign_check *check)
{
	return check->rows - check->valid - check->settled;
}

/* A row that is not to be sent. All is borrowed. */
struct campaign_reject {
	struct recipients_place place;
	enum journal_reject why;
	uint64_t line, column; /* where in the list, from 1 */
	const char *reason;
	const char *key; /* NULL: it has none, or is not known */
	size_t key_bytes;
	bool fatal; /* of the list: nothing behind it was read */
};

/*
 * Reads everything to the end. `recipients` is what `messages` reads from. `reject` (may be NULL)
 * is called for each row that is not to be sent, in order; it returns 0, or an error code that ends
 * the pass. 0, recipients_next's negative code, or ERR_NOMEM.
 */
int campaign_check(struct messages *messages, struct recipients *recipients,
	const struct campaign_check_rules *rules,
	int (*reject)(void *arg, const struct campaign_reject *reject), void *arg,
	struct campaign_check *ret_check);

#endif
