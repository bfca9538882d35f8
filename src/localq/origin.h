/*
 * Which requests of browsers are taken. Without signatures whoever reaches the port may send and
 * purge, and a browser reaches it for every page that its user visits: so what a foreign page asks
 * is refused.
 *
 * A browser says where a request comes from (Fetch Standard: Origin on every POST, and
 * Sec-Fetch-Site); programs say neither and are not asked. An Origin must be the very host and port
 * that the request was made to (the Host header), Sec-Fetch-Site must be same-origin or none.
 * "null" (a file, a sandboxed frame) is foreign.
 *
 * That alone does not stop DNS rebinding, where a page of evil.example makes that name lead here
 * and is then of the same origin. So the Host of a browser's request must be one that no stranger
 * can have: an IP address, localhost, a name without a dot, below .localhost, .local, .internal or
 * .home.arpa (RFC 6761, 6762, 8375; ICANN reserved .internal), or one that the operator names.
 */
#ifndef LOCALQ_ORIGIN_H
#define LOCALQ_ORIGIN_H

#include <stddef.h>

/* What a request says of itself; each may be NULL: not given. */
struct origin_request {
	const char *host;	    /* Host */
	const char *origin;	    /* Origin */
	const char *sec_fetch_site; /* Sec-Fetch-Site */
};

/* Why it is refused: a sentence for people, static. NULL: it is not. `hosts` are the operator's. */
const char *origin_refusal(
	const struct origin_request *request, const char *const hosts[], size_t host_count);

#endif
