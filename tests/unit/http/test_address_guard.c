/*
 * What an address is called, and what is allowed by name. Which addresses are public at all is
 * compared with another implementation in check_address_guard.py.
 */
#include "http/address_guard.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

union address {
	struct sockaddr any;
	struct sockaddr_in ipv4;
	struct sockaddr_in6 ipv6;
	struct sockaddr_un path;
};

static union address address_of(const char *text)
{
	union address address = {0};

	if (inet_pton(AF_INET6, text, &address.ipv6.sin6_addr) == 1) {
		address.ipv6.sin6_family = AF_INET6;
	} else {
		memset(&address, 0, sizeof(address));
		assert_int_equal(inet_pton(AF_INET, text, &address.ipv4.sin_addr), 1);
		address.ipv4.sin_family = AF_INET;
	}
	return address;
}

static const char *problem(const struct address_guard *guard, const char *text)
{
	union address address = address_of(text);
	const char *what = address_guard_problem(guard, &address.any);

	print_message("%s: %s\n", text, what != NULL ? what : "public");
	return what != NULL ? what : "public";
}

#define METADATA "a metadata service's address"
#define NAT64_FORM "the NAT64 form of an address that is not public"
#define OUTSIDE "an address outside of the public ones"

static void test_names(void **state)
{
	static const char *const cases[][2] = {
		{"8.8.8.8", "public"},
		{"1.1.1.1", "public"},
		{"223.255.255.255", "public"},
		{"0.0.0.0", "an unspecified address"},
		{"0.1.2.3", "an unspecified address"},
		{"10.0.0.1", "a private address"},
		{"172.16.0.1", "a private address"},
		{"172.31.255.255", "a private address"},
		{"172.32.0.0", "public"},
		{"192.168.255.255", "a private address"},
		{"100.64.0.1", "a shared address of a carrier's NAT"},
		{"127.0.0.1", "a loopback address"},
		{"127.255.255.255", "a loopback address"},
		{"169.254.1.1", "a link-local address"},
		{"192.0.0.8", "a reserved address"},
		{"192.0.2.1", "a documentation address"},
		{"198.51.100.1", "a documentation address"},
		{"203.0.113.1", "a documentation address"},
		{"192.88.99.1", "a 6to4 relay's address"},
		{"198.19.255.255", "a benchmark's address"},
		{"224.0.0.1", "a multicast address"},
		{"239.255.255.255", "a multicast address"},
		{"240.0.0.1", "a reserved address"},
		{"255.255.255.255", "a broadcast address"},
		/* Metadata, wherever it lies. */
		{"169.254.169.254", METADATA},
		{"169.254.170.2", METADATA},
		{"169.254.170.23", METADATA},
		{"169.254.42.42", METADATA},
		{"169.254.0.23", METADATA},
		{"168.63.129.16", METADATA},
		{"168.63.129.15", "public"},
		{"100.100.100.200", METADATA},
		{"192.0.0.192", METADATA},
		{"fd00:ec2::254", METADATA},
		{"fd00:ec2::23", METADATA},
		{"fd20:ce::254", METADATA},
		{"fd00:42::42", METADATA},
		{"fe80::a9fe:a9fe", METADATA},
		{"fd00:ec2::253", "a private address"},
		/* IPv6. */
		{"2606:4700::1111", "public"},
		{"2a00::", "public"},
		{"3ffe:ffff::1", "public"},
		{"::", "an unspecified address"},
		{"::1", "a loopback address"},
		{"::2", "an IPv4-compatible address"},
		{"::127.0.0.1", "an IPv4-compatible address"},
		{"::ffff:127.0.0.1", "an IPv4-mapped address"},
		{"::ffff:8.8.8.8", "an IPv4-mapped address"},
		{"::ffff:0:8.8.8.8", OUTSIDE}, /* SIIT */
		{"fc00::1", "a private address"},
		{"fdff::1", "a private address"},
		{"fe80::1", "a link-local address"},
		{"febf::1", "a link-local address"},
		{"fec0::1", "a site-local address"},
		{"ff02::1", "a multicast address"},
		{"2001:db8::1", "a documentation address"},
		{"3fff:fff::1", "a documentation address"},
		{"2001::1", "a Teredo address"},
		{"2001:0:53aa:64c::8080:8080", "a Teredo address"},
		{"2001:2::1", "a reserved address"},
		{"2001:1ff::1", "a reserved address"},
		{"2001:200::1", "public"},
		{"2002:7f00:1::1", "a 6to4 address"},
		{"2002:808:808::1", "a 6to4 address"},
		{"100::1", OUTSIDE},
		{"4000::1", OUTSIDE},
		{"5f00::1", OUTSIDE},
		{"1fff::1", OUTSIDE},
		/* NAT64: by what is in it. */
		{"64:ff9b::8.8.8.8", "public"},
		{"64:ff9b::10.0.0.1", NAT64_FORM},
		{"64:ff9b::127.0.0.1", NAT64_FORM},
		{"64:ff9b::169.254.169.254", NAT64_FORM},
		{"64:ff9b::168.63.129.16", NAT64_FORM},
		{"64:ff9b::1:808:808", OUTSIDE},
		{"64:ff9b:1::8.8.8.8", OUTSIDE},
	};
	const struct address_guard guard = {0};

	for (size_t i = 0; i < COUNT(cases); i++)
		assert_string_equal(problem(&guard, cases[i][0]), cases[i][1]);
}

static void test_allowed_by_name(void **state)
{
	static const char *const texts[] = {
		"10.0.0.0/8", "169.254.0.0/16", "fc00::/7", "127.0.0.1"};
	struct address_range ranges[COUNT(texts)], metadata;
	const struct address_guard guard = {ranges, COUNT(texts)}, other = {&metadata, 1};

	for (size_t i = 0; i < COUNT(texts); i++)
		assert_null(address_range_parse(texts[i], &ranges[i]));
	assert_string_equal(problem(&guard, "10.255.255.255"), "public");
	assert_string_equal(problem(&guard, "127.0.0.1"), "public");
	assert_string_equal(problem(&guard, "127.0.0.2"), "a loopback address");
	assert_string_equal(problem(&guard, "192.168.0.1"), "a private address");
	assert_string_equal(problem(&guard, "fd12::1"), "public");
	assert_string_equal(problem(&guard, "169.254.1.1"), "public");
	/* What carries an allowed address is not that address. */
	assert_string_equal(problem(&guard, "::ffff:10.0.0.1"), "an IPv4-mapped address");
	assert_string_equal(problem(&guard, "64:ff9b::10.0.0.1"), NAT64_FORM);
	/* A range around it is not the name of a metadata service. */
	assert_string_equal(problem(&guard, "169.254.169.254"), METADATA);
	assert_string_equal(problem(&guard, "fd00:ec2::254"), METADATA);
	assert_null(address_range_parse("169.254.169.254", &metadata));
	assert_string_equal(problem(&other, "169.254.169.254"), "public");
	assert_string_equal(problem(&other, "169.254.170.2"), METADATA);
}

/* The zone does not matter, nor does what is no address. */
static void test_other_forms(void **state)
{
	const struct address_guard guard = {0};
	union address address = address_of("fe80::1"), path = {.path.sun_family = AF_UNIX};

	address.ipv6.sin6_scope_id = 2;
	address.ipv6.sin6_port = htons(443);
	assert_string_equal(address_guard_problem(&guard, &address.any), "a link-local address");
	assert_string_equal(address_guard_problem(&guard, &path.any), "no IP address");
}

static void test_refusals(void **state)
{
	const struct address_guard guard = {0};
	struct address_refusal refusal = {0};
	union address address = address_of("10.0.0.1");

	assert_false(address_guard_admits(&guard, &address.any, &refusal));
	assert_string_equal(refusal.problem, "a private address");
	assert_string_equal(refusal.address, "10.0.0.1");
	assert_false(refusal.opened);
	address = address_of("fd00:ec2::254");
	assert_false(address_guard_admits(&guard, &address.any, &refusal));
	assert_string_equal(refusal.problem, METADATA);
	assert_string_equal(refusal.address, "fd00:ec2::254");
	address = address_of("8.8.8.8");
	assert_true(address_guard_admits(&guard, &address.any, &refusal));
	assert_true(refusal.opened);
	address = (union address){.path.sun_family = AF_UNIX};
	assert_false(address_guard_admits(&guard, &address.any, &refusal));
	assert_string_equal(refusal.address, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_allowed_by_name),
		cmocka_unit_test(test_other_forms),
		cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests_name("http/address_guard", tests, NULL, NULL);
}
