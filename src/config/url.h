/*
 * The checks on URLs that a configuration may hold. Pure.
 */
#ifndef CONFIG_URL_H
#define CONFIG_URL_H

#include <stdbool.h>
#include <stddef.h>

/*
 * How much of the text is "http(s)://HOST[:PORT]"; 0: it does not start with one. HOST is a
 * name of letters, digits, _ . and -, or an IPv6 address in brackets; no user and no password.
 */
size_t url_origin_bytes(const char *url);

/* An origin and nothing else but a slash. */
bool url_is_endpoint(const char *url);
/* An origin and a path or none: printable ASCII without blank, quotes, \, ? and #, no . and .. */
bool url_is_base(const char *url);
/* An origin, then /ACCOUNT/NAME, as SQS and everything compatible with it names queues. */
bool url_is_queue(const char *url);

/*
 * Why the text is no template of a request URL, or NULL when it is one: an origin without
 * variables, ended by / ? # or the text, and nothing that must be percent-encoded outside of
 * the variables. The reason is static.
 */
const char *url_template_problem(const char *source);

/* Whether a variable stands in the scheme, the host or the port of such a template. */
bool url_template_chooses_host(const char *source);
/*
 * The same as url_template_problem() for a template whose host a message chooses: it begins with
 * http:// or https:// or with a raw variable, and what is beside the variables fits into a host.
 */
const char *url_chosen_template_problem(const char *source);

#endif
