/*
 * bunshin check --probe: whether the requests of each destination can be signed, which for a token
 * of somebody else's means asking for it (or finding the one that the workers of this host share).
 * Nothing is sent to the destinations themselves.
 */
#ifndef CLI_PROBE_DESTINATIONS_H
#define CLI_PROBE_DESTINATIONS_H

#include "aws/credentials.h"
#include "cli/runtime.h"
#include "config/config.h"

#include <stddef.h>

#define PROBE_WORDS_MAX 1024

/* One with an `auth`. */
struct probe_destination {
	const char *name; /* the configuration's */
	const char *auth; /* "google"; static */
	int err;	  /* 0: it signs */
	char words[PROBE_WORDS_MAX];
};

struct probe_destinations {
	struct probe_destination *rows;
	size_t count;
};

/*
 * Takes as long as the slowest token does to come or to fail. credentials: AWS's; NULL: none.
 * region may be NULL. 0 or ERR_NOMEM.
 */
int probe_destinations_ask(struct runtime *runtime, const struct config *config,
	struct credentials *credentials, const char *region, struct probe_destinations *ret);
void probe_destinations_free(struct probe_destinations *destinations);

#endif
