/*
 * Who may change something over the admin port: whoever sends the token, and is no web page of
 * somebody else's. Pure: time is an argument.
 *
 * The token comes in a header (RFC 6750, section 2.1: "Authorization: Bearer TOKEN"), which no form
 * and no link of a foreign page can send, and which a script of one may send only after a preflight
 * request that is never answered with leave. Besides, a browser's request must be of this very
 * origin (http/origin.h). Its name may be any: a page that came here under a name of its own has no
 * token.
 */
#ifndef ADMIN_GUARD_H
#define ADMIN_GUARD_H

#include "http/origin.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GUARD_TRY_MS 1000 /* after a wrong token, before the next one is looked at */

struct guard {
	const char *token; /* borrowed; NULL: nobody may change anything */
	bool tried;	   /* a wrong one was sent */
	uint64_t tried_ms; /* when, the latest */
};

struct guard_request {
	struct origin_request origin;
	const char *authorization; /* NULL: not given */
};

enum guard_verdict {
	GUARD_FINE,
	GUARD_FOREIGN,	 /* of a page of another origin */
	GUARD_READ_ONLY, /* there is no token */
	GUARD_MISSING,	 /* none was sent */
	GUARD_TOO_SOON,	 /* within GUARD_TRY_MS of a wrong one: not looked at, right or wrong */
	GUARD_WRONG,
};

/*
 * Who may read: everybody who reaches the port, but no page of somebody else's. A page of another
 * origin gets no answer to read from its browser. One whose name was made to lead here (DNS
 * rebinding) is of the same origin, and its requests have neither an Origin nor, over plain http, a
 * Sec-Fetch-Site. So a browser, which says what languages it wants and that it is Mozilla, must
 * have come by a name that no stranger can have. Programs are not asked: a scraper may know the
 * port by any name.
 */
struct guard_reader {
	/* Headers; each may be NULL: not given. */
	const char *host, *origin, *sec_fetch_site, *accept_language, *user_agent;
};

/* `hosts` are the operator's names for the port. */
bool guard_may_read(
	const struct guard_reader *reader, const char *const hosts[], size_t host_count);

/* The time that it takes says nothing of how much of a wrong token is right. */
enum guard_verdict guard_judge(
	struct guard *guard, const struct guard_request *request, uint64_t now_ms);

#endif
