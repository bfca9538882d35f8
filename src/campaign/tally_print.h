/*
 * Where a campaign stands, as text: a screen for a terminal, a line for a log, an object for a
 * program. Pure but for the time zone, which is the process's.
 *
 * "Accepted" is by the provider. Whether a phone ever showed it nobody here knows, so no text says
 * "delivered".
 */
#ifndef CAMPAIGN_TALLY_PRINT_H
#define CAMPAIGN_TALLY_PRINT_H

#include "base/buf.h"
#include "campaign/tally.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TALLY_REASONS_MAX 5

struct tally_reason {
	enum result_outcome outcome;
	int status;
	uint64_t count;
	char reason[513], sample_key[257], sample_request_id[257];
};

/* All that is shown; everything borrowed. */
struct tally_view {
	const char *campaign; /* "": messages without a campaign */
	struct tally tally;
	int64_t now_epoch_ms;
	int64_t deadline_epoch_ms;   /* 0: none */
	int64_t last_heard_epoch_ms; /* of a worker; 0: never */
	/* Of the list: in the queue, and to be sent at all; confirmed 0 and valid 0: no journal. */
	bool has_journal, is_sent;
	uint64_t confirmed, to_send;
	size_t reason_count;
	struct tally_reason reasons[TALLY_REASONS_MAX];
	uint64_t unreadable; /* messages of the results queue, or lines, that made no sense */
	const char *source;  /* where results come from: "queue", "logs", or "database" */
	const char *trouble; /* why nothing new comes at the moment; NULL: nothing is wrong */
};

/* Copies, cutting what is too long. */
void tally_reason_copy(struct tally_reason *reason, const struct results_reason *from);

/*
 * The screen, in lines of at most `columns` columns that end in "\n", at most `rows` of them; what
 * does not fit is left out from the end. With colours when `colour`. 0 or the buffer's error.
 */
int tally_print_screen(const struct tally_view *view, unsigned columns, unsigned rows, bool colour,
	struct buf *out);
/* One line without its "\n". */
int tally_print_sentence(const struct tally_view *view, struct buf *out);
/* One object without a "\n". */
int tally_print_json(const struct tally_view *view, struct buf *out);

#endif
