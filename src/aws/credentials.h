/*
 * Credentials: a table of providers (credentials/provider.h), asked in order; the keys of the first
 * that has any, kept, and renewed in the background before they expire.
 *
 * Renewal: at a random instant between half and all of the last `early` time, which is 15 minutes
 * or half of what the keys had left when they came, whichever is less. The random part keeps a
 * fleet that was started at one instant from asking at one instant. One request at a time. While it
 * fails it is repeated with exponential back-off and full jitter (1 s to 1 min), and the old keys
 * serve to their end; those of a provider that `outlives` serve on after it, since then the service
 * decides ("static stability", AWS SDKs), and are asked for every 2 to 10 minutes. Keys that come
 * already expired by this machine's clock are used: it may be the clock that is wrong.
 *
 * Keys are wiped from memory when they are replaced; the current and the last set are registered
 * with base/log.h as secrets.
 */
#ifndef AWS_CREDENTIALS_H
#define AWS_CREDENTIALS_H

#include "base/list.h"
#include "bunshin/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CREDENTIALS_KEY_MAX 256
#define CREDENTIALS_TOKEN_MAX 16384
#define CREDENTIALS_PRINCIPAL_MAX 2048
#define CREDENTIALS_REASON_MAX 512

/* Wiped by credentials_wipe(); never logged. */
struct credentials_set {
	char access_key_id[CREDENTIALS_KEY_MAX];
	char secret_access_key[CREDENTIALS_KEY_MAX];
	char session_token[CREDENTIALS_TOKEN_MAX]; /* "" when there is none */
	int64_t expires_epoch_ms;		   /* 0: never */
	/* Whose they are, as far as the provider knows; for people. "" when it does not. */
	char account_id[16];
	char principal[CREDENTIALS_PRINCIPAL_MAX]; /* "profile work", "role NAME", an ARN */
	uint64_t generation; /* differs whenever the keys do; for caches. The chain's to set */
};

#define CREDENTIALS_LATER 1 /* `done` will be called */

/* Once, from the loop, never from inside get(). err and reason as get()'s; reason is borrowed. */
typedef void credentials_done(void *arg, int err, const char *reason);

struct credentials_provider {
	const char *name; /* "environment", "profile", "container", ...; static */
	/*
	 * Fills *ret_set (zeroed before), now or later; it lives until `done` or cancel. Returns 0
	 * (filled); CREDENTIALS_LATER; ERR_NOT_FOUND: not configured here, try the next; any other
	 * code ends the search, with a reason for people in `reason` (never a key). One get at a
	 * time.
	 */
	int (*get)(void *impl, struct credentials_set *ret_set, credentials_done *done, void *arg,
		char reason[CREDENTIALS_REASON_MAX]);
	/* Gives a get() that is under way up: `done` is not called. NULL where get is never later.
	 */
	void (*cancel)(void *impl);
	void (*free)(void *impl); /* cancels */
	void *impl;
	bool outlives; /* its keys are used past their expiry while no new ones can be had */
};

struct credentials;

enum credentials_state {
	CREDENTIALS_SEARCHING, /* none yet; the first search is under way or will be repeated */
	CREDENTIALS_READY,
	CREDENTIALS_STALE,  /* in use, but renewing them fails: `reason` */
	CREDENTIALS_ENDED,  /* expired, and renewing fails */
	CREDENTIALS_ABSENT, /* no provider has any, or one says for good that it cannot */
};

struct credentials_status {
	enum credentials_state state;
	const char *source;	  /* name of the provider that answered, or "none" */
	const char *account_id;	  /* of the keys in use; "" unknown */
	const char *principal;	  /* the same */
	int64_t expires_epoch_ms; /* of the keys in use; 0: never, or none */
	int64_t renewed_epoch_ms; /* when they came; 0: none yet */
	uint64_t renewals;	  /* sets of keys so far, the first included */
	uint64_t failures;	  /* renewals (and first searches) that failed, in all */
	unsigned failures_in_row;
	const char *reason; /* of the last failure while failing; else "" */
};

/*
 * Takes the providers over (also on failure), copying the table. Nothing is asked. 0 or ERR_NOMEM.
 */
int credentials_new(struct clock clock, const struct credentials_provider *providers, size_t count,
	struct credentials **ret_credentials);
/*
 * Cancels, wipes; waiters are not called, and need no unwait. May be called from a waiter's `fire`.
 * NULL is fine.
 */
void credentials_free(struct credentials *credentials);

/*
 * `changed` runs, from the loop or from inside credentials_start(), the first credentials_get() and
 * credentials_refused(), whenever the state does or new keys come; it must not free the
 * credentials. One observer.
 */
void credentials_observe(struct credentials *credentials,
	void (*changed)(void *arg, const struct credentials_status *status), void *arg);
/* Begins the first search; again after ABSENT. Harmless while one is under way or keys are there.
 */
void credentials_start(struct credentials *credentials);

/*
 * The keys to sign with, borrowed until the loop turns or credentials_refused() is called. Starts a
 * search when none has begun.
 * 0; ERR_PENDING: they are being looked for, or ended and are being renewed: see
 * credentials_wait(); ERR_NO_CREDENTIALS (no provider has any), ERR_EXPIRED_CREDENTIALS (they ended
 * and cannot be renewed), or the provider's own code: for good, or until the next search, which
 * begins by itself. `reason` (may be NULL) then says why.
 */
int credentials_get(struct credentials *credentials, const struct credentials_set **ret_set,
	char reason[CREDENTIALS_REASON_MAX]);
/*
 * The service refused keys of this generation as expired or unknown. True: they have been replaced
 * since, or a renewal is under way now and worth waiting for; false: no other keys can be had (they
 * are fixed, or were renewed, or failed to be, less than 10 s ago). A provider that answers at once
 * is asked right here.
 */
bool credentials_refused(struct credentials *credentials, uint64_t generation);

/* Zero it and fill `fire` in. */
struct credentials_waiter {
	struct list node;
	void (*fire)(struct credentials_waiter *waiter);
};
/*
 * `fire` runs once, from the loop, when the search or renewal under way has ended, however; at the
 * next turn of the loop when none is. It may wait again, unwait others, and free the credentials.
 * One that waits already begins anew.
 */
void credentials_wait(struct credentials *credentials, struct credentials_waiter *waiter);
/* Harmless on one that does not wait. */
void credentials_unwait(struct credentials_waiter *waiter);

/* Borrowed; of this moment. */
const struct credentials_status *credentials_status(struct credentials *credentials);
const char *credentials_state_name(enum credentials_state state); /* "ready"; static */

void credentials_wipe(struct credentials_set *set);

/*
 * credentials/static.c: fixed keys, copied. session_token may be NULL; without an id (NULL or "")
 * the provider is not configured. 0, ERR_NOMEM, or ERR_ARGUMENT: longer than a credentials_set
 * holds, or an id without a secret.
 */
int credentials_static(const char *access_key_id, const char *secret_access_key,
	const char *session_token, struct credentials_provider *ret_provider);

#endif
