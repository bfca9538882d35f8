/*
 * Which requests of browsers come from a page of this very server. A browser says where a request
 * comes from (Fetch Standard: Origin on every POST, and Sec-Fetch-Site); programs say neither and
 * are not asked. An Origin must be the very host and port that the request was made to (the Host
 * header), Sec-Fetch-Site must be same-origin or none. "null" (a file, a sandboxed frame) is
 * foreign.
 *
 * That alone does not stop DNS rebinding, where a page of evil.example makes that name lead here
 * and is then of the same origin. A Host that no stranger can have is an IP address, localhost, a
 * name without a dot, below .localhost, .local, .internal or .home.arpa (RFC 6761, 6762, 8375;
 * ICANN reserved .internal), or one that the operator names. Pure.
 */
#ifndef HTTP_ORIGIN_H
#define HTTP_ORIGIN_H

#include <stdbool.h>
#include <stddef.h>

/* What a request says of itself; each may be NULL: not given. */
struct origin_request {
	const char *host;	    /* Host */
	const char *origin;	    /* Origin */
	const char *sec_fetch_site; /* Sec-Fetch-Site */
};

enum origin_verdict {
	ORIGIN_FINE,	     /* no browser's, or of a page of ours */
	ORIGIN_FOREIGN,	     /* of a page of another origin */
	ORIGIN_UNKNOWN_HOST, /* of a page of the same origin, by a name that a stranger could have
			      */
};

/* `hosts` are the operator's. */
enum origin_verdict origin_judge(
	const struct origin_request *request, const char *const hosts[], size_t host_count);

/* Of that kind, or one of the operator's. host: a Host header; NULL is not. */
bool origin_is_safe_host(const char *host, const char *const hosts[], size_t host_count);

#endif
