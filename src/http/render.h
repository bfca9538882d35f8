/*
 * From a message to the parts of a request: a destination's templates, filled with the variables
 * that http/http_target.h lists. Nothing here sends.
 */
#ifndef HTTP_RENDER_H
#define HTTP_RENDER_H

#include "base/buf.h"
#include "base/json.h"
#include "bunshin/target.h"
#include "config/config.h"

/* One message's variables; the body is parsed when a template first asks for a field. */
struct render {
	const struct config_destination *destination;
	const struct target_request *request;
	const struct queue_message *message; /* its first */
	struct json *json;		     /* memory, reused from message to message */
	enum { RENDER_UNPARSED, RENDER_NO_FIELDS, RENDER_FIELDS } fields;
	int err;	 /* ERR_NOMEM when the parser ran out of memory */
	char number[32]; /* a built-in number's text, good until the next look-up */
};

/* Everything is borrowed and outlives the render. */
void render_init(struct render *render, const struct config_destination *destination,
	const struct target_request *request, struct json *json);

/*
 * Each appends to `out`. 0; ERR_TEMPLATE with the reason appended to `reason`; or ERR_NOMEM. Past
 * the maximum of `out` is ERR_TEMPLATE too: no later try would be smaller.
 *
 * The URL is sure to have the origin that its template has; or, where messages choose the host, one
 * that request.allow_hosts has (else ERR_NOT_ALLOWED, reason as above).
 */
int render_url(struct render *render, struct buf *out, struct buf *reason);
int render_header(struct render *render, size_t index, struct buf *out, struct buf *reason);
int render_body(struct render *render, struct buf *out, struct buf *reason);

#endif
