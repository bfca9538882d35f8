/*
 * Credentials under watch: what becomes of them, in the log, in metrics and for readiness.
 */
#ifndef CLI_RUN_CREDENTIALS_WATCH_H
#define CLI_RUN_CREDENTIALS_WATCH_H

#include "aws/credentials.h"
#include "base/metrics.h"

#define CREDENTIALS_WATCH_WORDS_SIZE (CREDENTIALS_REASON_MAX + 128)

struct credentials_watch {
	struct credentials *credentials;
	bool told_once;
	enum credentials_state told; /* the state that the log knows */
	struct counter *renewals, *failures;
	struct gauge *expiry_s, *usable, *failing;
};

/*
 * Zeroed before. Observes the credentials, which outlive it, from now on, and tells their state at
 * once. 0 or ERR_NOMEM.
 */
int credentials_watch_open(
	struct credentials_watch *watch, struct credentials *credentials, struct metrics *metrics);
/* Brings the metrics up to date; before they are read. */
void credentials_watch_show(struct credentials_watch *watch);

/* How they are doing, in words: "" when all is well. */
enum credentials_health { CREDENTIALS_FINE, CREDENTIALS_FAILING, CREDENTIALS_GONE };
enum credentials_health credentials_watch_health(
	const struct credentials_watch *watch, char ret_words[CREDENTIALS_WATCH_WORDS_SIZE]);

#endif
