/*
 * Which addresses a request may go to whose host a message has chosen. Pure.
 *
 * Only what is public is: the name is the message's, and so is what its owner lets it resolve to.
 * Everything that IANA's registries of special-purpose addresses (RFC 6890) call not globally
 * reachable is refused, of IPv6 everything outside of 2000::/3, and the addresses that clouds give
 * their metadata services. NAT64's (RFC 6052) is judged by the IPv4 address in it, because on a
 * network with DNS64 every IPv4 host has such an address. Forms that carry another address and
 * that no public server has (IPv4-mapped and -compatible, 6to4, Teredo) are refused as a whole.
 *
 * The address is looked at when a connection to it is about to be opened, so it makes no difference
 * what the name resolved to before, or will next.
 */
#ifndef HTTP_ADDRESS_GUARD_H
#define HTTP_ADDRESS_GUARD_H

#include "config/address_range.h"

#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

/* Borrowed. What is allowed although it is not public. */
struct address_guard {
	const struct address_range *allowed;
	size_t count;
};

/*
 * NULL: it may be connected to. Else what it is, for a sentence: "a private address" (static).
 *
 * A metadata service's address is allowed only by a range that has nothing else in it.
 */
const char *address_guard_problem(
	const struct address_guard *guard, const struct sockaddr *address);

/* What one request was refused. Zeroed before each. */
struct address_refusal {
	const char *problem;		/* of the last address; NULL: none was refused */
	char address[INET6_ADDRSTRLEN]; /* that one */
	bool opened;			/* another was not */
};

/* Notes it, and says whether the address may be connected to. */
bool address_guard_admits(const struct address_guard *guard, const struct sockaddr *address,
	struct address_refusal *refusal);

#endif
