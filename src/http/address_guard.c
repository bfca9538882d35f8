#include "http/address_guard.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define IPV4(a, b, c, d, length)                        \
	{                                               \
		.bytes = {a, b, c, d}, .bits = (length) \
	}
/* The first four of eight groups; what is not written is 0. */
#define IPV6(a, b, c, d, length)                                                             \
	{                                                                                    \
		.bytes = {(a) >> 8, (a)&255, (b) >> 8, (b)&255, (c) >> 8, (c)&255, (d) >> 8, \
			(d)&255},                                                            \
		.bits = (length), .is_ipv6 = true                                            \
	}
#define IPV6_ENDING(a, b, c, d, y, z)                                                        \
	{                                                                                    \
		.bytes = {(a) >> 8, (a)&255, (b) >> 8, (b)&255, (c) >> 8, (c)&255, (d) >> 8, \
			(d)&255, 0, 0, 0, 0, (y) >> 8, (y)&255, (z) >> 8, (z)&255},          \
		.bits = 128, .is_ipv6 = true                                                 \
	}

struct special {
	struct address_range range;
	const char *what;
};

/* Where instances get their credentials and user data from. */
static const struct address_range metadata[] = {
	IPV4(169, 254, 169, 254, 32), /* AWS, Google, Azure, Oracle, DigitalOcean, OpenStack */
	IPV4(169, 254, 170, 2, 32),   /* credentials of ECS tasks */
	IPV4(169, 254, 170, 23, 32),  /* of EKS pods */
	IPV4(168, 63, 129, 16, 32),   /* Azure's host, a public address */
	IPV4(100, 100, 100, 200, 32), /* Alibaba */
	IPV4(192, 0, 0, 192, 32),     /* Oracle */
	IPV4(169, 254, 42, 42, 32),   /* Scaleway */
	IPV4(169, 254, 0, 23, 32),    /* Tencent */
	IPV6_ENDING(0xfd00, 0x0ec2, 0, 0, 0, 0x254),  /* AWS */
	IPV6_ENDING(0xfd00, 0x0ec2, 0, 0, 0, 0x23),   /* EKS pods */
	IPV6_ENDING(0xfd20, 0x00ce, 0, 0, 0, 0x254),  /* Google */
	IPV6_ENDING(0xfd00, 0x0042, 0, 0, 0, 0x42),   /* Scaleway */
	IPV6_ENDING(0xfe80, 0, 0, 0, 0xa9fe, 0xa9fe), /* OpenStack */
};

/* The first that has the address says what it is. */
static const struct special specials[] = {
	{IPV4(0, 0, 0, 0, 8), "an unspecified address"}, /* Linux connects to itself */
	{IPV4(10, 0, 0, 0, 8), "a private address"},
	{IPV4(100, 64, 0, 0, 10), "a shared address of a carrier's NAT"},
	{IPV4(127, 0, 0, 0, 8), "a loopback address"},
	{IPV4(169, 254, 0, 0, 16), "a link-local address"},
	{IPV4(172, 16, 0, 0, 12), "a private address"},
	{IPV4(192, 0, 0, 0, 24), "a reserved address"},
	{IPV4(192, 0, 2, 0, 24), "a documentation address"},
	{IPV4(192, 88, 99, 0, 24), "a 6to4 relay's address"},
	{IPV4(192, 168, 0, 0, 16), "a private address"},
	{IPV4(198, 18, 0, 0, 15), "a benchmark's address"},
	{IPV4(198, 51, 100, 0, 24), "a documentation address"},
	{IPV4(203, 0, 113, 0, 24), "a documentation address"},
	{IPV4(224, 0, 0, 0, 4), "a multicast address"},
	{IPV4(255, 255, 255, 255, 32), "a broadcast address"},
	{IPV4(240, 0, 0, 0, 4), "a reserved address"},
	{IPV6_ENDING(0, 0, 0, 0, 0, 0), "an unspecified address"},
	{IPV6_ENDING(0, 0, 0, 0, 0, 1), "a loopback address"},
	{IPV6(0xfc00, 0, 0, 0, 7), "a private address"},
	{IPV6(0xfe80, 0, 0, 0, 10), "a link-local address"},
	{IPV6(0xfec0, 0, 0, 0, 10), "a site-local address"},
	{IPV6(0xff00, 0, 0, 0, 8), "a multicast address"},
	{IPV6(0x2001, 0, 0, 0, 32), "a Teredo address"},
	{IPV6(0x2001, 0x0db8, 0, 0, 32), "a documentation address"},
	{IPV6(0x2001, 0, 0, 0, 23), "a reserved address"},
	{IPV6(0x2002, 0, 0, 0, 16), "a 6to4 address"},
	{IPV6(0x3fff, 0, 0, 0, 20), "a documentation address"},
};

static const struct special mapped[] = {
	{{.bytes = {[10] = 255, [11] = 255}, .bits = 96, .is_ipv6 = true},
		"an IPv4-mapped address"},
	{{.bits = 96, .is_ipv6 = true}, "an IPv4-compatible address"},
};

static const struct address_range global = IPV6(0x2000, 0, 0, 0, 3);
static const struct address_range nat64 = IPV6(0x0064, 0xff9b, 0, 0, 96);

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *find(
	const struct special *rows, size_t count, const struct address_range *address)
{
	for (size_t i = 0; i < count; i++)
		if (address_range_has(&rows[i].range, address))
			return rows[i].what;
	return NULL;
}

static bool is_metadata(const struct address_range *address)
{
	for (size_t i = 0; i < COUNT(metadata); i++)
		if (address_range_has(&metadata[i], address))
			return true;
	return false;
}

static const char *what_it_is(const struct address_range *address)
{
	struct address_range inner = {.bits = 32};
	const char *what;

	if (is_metadata(address))
		return "a metadata service's address";
	what = find(specials, COUNT(specials), address);
	if (what == NULL)
		what = find(mapped, COUNT(mapped), address);
	if (what != NULL || !address->is_ipv6 || address_range_has(&global, address))
		return what;
	if (!address_range_has(&nat64, address))
		return "an address outside of the public ones";
	memcpy(inner.bytes, address->bytes + 12, 4);
	return what_it_is(&inner) != NULL ? "the NAT64 form of an address that is not public"
					  : NULL;
}

static bool is_allowed(const struct address_guard *guard, const struct address_range *address)
{
	bool by_itself = is_metadata(address);

	for (size_t i = 0; i < guard->count; i++)
		if ((!by_itself || address_range_is_one(&guard->allowed[i])) &&
			address_range_has(&guard->allowed[i], address))
			return true;
	return false;
}

const char *address_guard_problem(const struct address_guard *guard, const struct sockaddr *address)
{
	struct address_range range;
	const char *what;

	if (!address_range_of(address, &range))
		return "no IP address";
	what = what_it_is(&range);
	return what == NULL || is_allowed(guard, &range) ? NULL : what;
}

bool address_guard_admits(const struct address_guard *guard, const struct sockaddr *address,
	struct address_refusal *refusal)
{
	const char *problem = address_guard_problem(guard, address);
	struct address_range range;

	if (problem == NULL) {
		refusal->opened = true;
		return true;
	}
	refusal->problem = problem;
	refusal->address[0] = '\0';
	if (address_range_of(address, &range))
		inet_ntop(address->sa_family, range.bytes, refusal->address,
			sizeof(refusal->address));
	return false;
}
