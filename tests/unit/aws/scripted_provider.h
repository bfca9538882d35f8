/* A provider of keys that does what it is told, and counts. */
#ifndef TESTS_SCRIPTED_PROVIDER_H
#define TESTS_SCRIPTED_PROVIDER_H

#include "aws/credentials.h"
#include "base/manual_clock.h"

#define WALL_EPOCH_MS INT64_C(1795420800000) /* where the tests' clocks begin */

struct scripted {
	struct manual_clock *clock;
	/* What it says from now on. */
	bool later;		  /* at scripted_answer(), not at once */
	int err;		  /* instead of keys */
	const char *reason;	  /* with it; NULL: "" */
	bool keep;		  /* the keys of the last time again */
	int64_t life_ms;	  /* how long keys live from when they come; 0: for ever */
	int64_t expires_epoch_ms; /* unless 0, instead of that */
	unsigned fail_at;	  /* the get of this number says `fail_err`; 0: none does */
	int fail_err;
	bool outlives;
	const char *id; /* unless NULL, instead of "AKID1", "AKID2", ... */

	/* What it was asked. */
	unsigned gets, frees;
	unsigned number;   /* of the keys of the last time */
	bool came_expired; /* they did */
	bool asked;	   /* and has not answered */
	struct credentials_set *set;
	credentials_done *done;
	void *arg;
};

struct credentials_provider scripted_provider(const char *name, struct scripted *scripted);
/* Ends the get that is under way. */
void scripted_answer(struct scripted *scripted);

/* Keys of a number; no text of them is in this program before it is asked for them. */
void scripted_secret(unsigned number, char text[41]);
void scripted_token(unsigned number, char text[81]);

#endif
