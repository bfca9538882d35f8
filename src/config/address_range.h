/*
 * Ranges of IP addresses, as one writes them (CIDR). Pure.
 */
#ifndef CONFIG_ADDRESS_RANGE_H
#define CONFIG_ADDRESS_RANGE_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

struct sockaddr;

/* An address, or all that begin with its first bits. */
struct address_range {
	unsigned char bytes[16]; /* in network order; 4 of them for IPv4 */
	unsigned bits;
	bool is_ipv6; /* an IPv4-mapped address is an IPv6 one */
};

/*
 * "10.0.0.0/8", "fd00::/8", or one address alone; at least /8, for IPv6 /7, without bits beyond the
 * first. NULL, or what is wrong (static), *ret_range being untouched then.
 */
const char *address_range_parse(const char *text, struct address_range *ret_range);
/* As address_range_parse() takes it. The buffer's error. */
int address_range_append(const struct address_range *range, struct buf *out);

/* A socket's address, as a range of one. False: of neither family. */
bool address_range_of(const struct sockaddr *address, struct address_range *ret_range);
/* Is all of `inner` in it? */
bool address_range_has(const struct address_range *range, const struct address_range *inner);
bool address_range_is_one(const struct address_range *range);

#endif
