/*
 * Which hosts a message may choose: the rules of destinations[].request.allow_hosts. Pure.
 *
 * A host is a name of RFC 1123 (and _), as it is written: nothing is decoded, mapped or resolved,
 * so what is compared here is what is asked for. Names in other scripts are their xn-- forms. Not a
 * host: an address in any notation (a last label of digits or of 0x and hex digits is read as one
 * by resolvers), a name with a dot at its end, anything percent-encoded.
 */
#ifndef CONFIG_HOST_RULE_H
#define CONFIG_HOST_RULE_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOST_NAME_MAX_BYTES 253

struct host_rule {
	char name[HOST_NAME_MAX_BYTES + 1]; /* in lower case; without the "*." */
	bool subdomains; /* *.NAME: any number of labels before it, but at least one */
	bool plain_http; /* http, and then not https */
	uint16_t port;
};

/*
 * "[http://]NAME[:PORT]" or "[http://]*.NAME[:PORT]"; https:// may be written. NULL, or what is
 * wrong (static), *ret_rule being untouched then.
 */
const char *host_rule_parse(const char *text, struct host_rule *ret_rule);
/* As host_rule_parse() takes it. The buffer's error. */
int host_rule_append(const struct host_rule *rule, struct buf *out);

/*
 * Whether a request to this URL may be made by one of the rules. 0; or ERR_NOT_ALLOWED with the
 * reason appended; or ERR_NOMEM. Only the part up to the first / ? or # is looked at.
 */
int host_rules_check(
	const struct host_rule *rules, size_t count, const char *url, struct buf *reason);

#endif
