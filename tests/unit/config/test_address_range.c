/* Ranges of addresses, as they are written and what is in them. */
#include "config/address_range.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_ranges(void **state)
{
	static const struct {
		const char *text, *written;
		unsigned bits;
	} cases[] = {
		{"10.0.0.0/8", "10.0.0.0/8", 8},
		{"10.1.2.3", "10.1.2.3", 32},
		{"10.1.2.3/32", "10.1.2.3", 32},
		{"10.1.2.2/31", "10.1.2.2/31", 31},
		{"fd00:ec2::254", "fd00:ec2::254", 128},
		{"FC00::/7", "fc00::/7", 7},
		{"::1/128", "::1", 128},
		{"::ffff:10.0.0.0/104", "::ffff:10.0.0.0/104", 104},
		{"2001:db8:8000::/33", "2001:db8:8000::/33", 33},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct address_range range;
		struct buf out = BUF_INIT(100);

		print_message("%s\n", cases[i].text);
		assert_null(address_range_parse(cases[i].text, &range));
		assert_int_equal(range.bits, cases[i].bits);
		assert_int_equal(address_range_append(&range, &out), 0);
		assert_string_equal(buf_string(&out), cases[i].written);
		buf_free(&out);
	}
}

static void test_what_is_no_range(void **state)
{
	static const char *const cases[][2] = {
		{"", "is no address"},
		{"/8", "is no address"},
		{"localhost", "is no address"},
		{"10", "is no address"},
		{"10.1", "is no address"},
		{"010.0.0.1", "is no address"},
		{"0x0a.0.0.1", "is no address"},
		{"10.0.0.256", "is no address"},
		{"10.0.0.1 ", "is no address"},
		{"[::1]", "is no address"},
		{"fe80::1%eth0", "is no address"},
		{"::1::", "is no address"},
		{"1234567890123456789012345678901234567890123456", "is no address"},
		{"10.0.0.0/", "has a length behind its / that is not 8 to 32"},
		{"10.0.0.0/33", "has a length behind its / that is not 8 to 32"},
		{"10.0.0.0/08", "has a length behind its / that is not 8 to 32"},
		{"10.0.0.0/255.0.0.0", "has a length behind its / that is not 8 to 32"},
		{"10.0.0.0/-8", "has a length behind its / that is not 8 to 32"},
		{"10.0.0.0/4294967304", "has a length behind its / that is not 8 to 32"},
		{"::/129", "has a length behind its / that is not 7 to 128"},
		{"0.0.0.0/0", "has a length behind its / that is not 8 to 32"},
		{"0.0.0.0/1", "is wider than /8"},
		{"::/6", "is wider than /7"},
		{"10.0.0.1/8", "has bits beyond its length"},
		{"10.128.0.0/8", "has bits beyond its length"},
		{"10.0.0.1/31", "has bits beyond its length"},
		{"fd00::1/64", "has bits beyond its length"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct address_range range = {.bits = 77};
		const char *problem = address_range_parse(cases[i][0], &range);

		print_message("%s\n", cases[i][0]);
		assert_non_null(problem);
		assert_string_equal(problem, cases[i][1]);
		assert_int_equal(range.bits, 77);
	}
}

static struct address_range range_of(const char *text)
{
	struct address_range range;

	assert_null(address_range_parse(text, &range));
	return range;
}

static void test_has(void **state)
{
	static const struct {
		const char *range, *inner;
		bool has;
	} cases[] = {
		{"10.0.0.0/8", "10.0.0.0", true},
		{"10.0.0.0/8", "10.255.255.255", true},
		{"10.0.0.0/8", "11.0.0.0", false},
		{"10.0.0.0/8", "9.255.255.255", false},
		{"10.0.0.0/8", "10.0.0.0/8", true},
		{"10.0.0.0/9", "10.0.0.0/8", false},
		{"172.16.0.0/12", "172.31.255.255", true},
		{"172.16.0.0/12", "172.32.0.0", false},
		{"10.0.0.1", "10.0.0.1", true},
		{"10.0.0.1", "10.0.0.0", false},
		{"fc00::/7", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true},
		{"fc00::/7", "fe00::", false},
		{"::1", "::1", true},
		{"::1", "::", false},
		/* Of two families. */
		{"10.0.0.0/8", "::ffff:10.0.0.1", false},
		{"::/8", "0.0.0.1", false},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct address_range range = range_of(cases[i].range);
		struct address_range inner = range_of(cases[i].inner);

		print_message("%s %s\n", cases[i].range, cases[i].inner);
		assert_int_equal(address_range_has(&range, &inner), cases[i].has);
	}
}

/* Every length: the first and the last in it, and the two beside it. */
static void test_every_length(void **state)
{
	for (unsigned bits = 8; bits <= 32; bits++) {
		uint32_t size = bits == 8 ? 1u << 24 : 1u << (32 - bits);
		uint32_t first = (172u << 24 | 0x5a5a5a5au >> 8) & ~(size - 1);
		const struct {
			uint32_t address;
			bool has;
		} cases[] = {{first, true}, {first + size - 1, true}, {first - 1, false},
			{first + size, false}};
		struct address_range range = {.bits = bits};

		first = htonl(first);
		memcpy(range.bytes, &first, 4);
		for (size_t i = 0; i < COUNT(cases); i++) {
			const struct sockaddr_in ipv4 = {
				.sin_family = AF_INET, .sin_addr.s_addr = htonl(cases[i].address)};
			struct address_range one;

			assert_true(address_range_of((const struct sockaddr *)&ipv4, &one));
			assert_true(address_range_is_one(&one));
			assert_int_equal(address_range_has(&range, &one), cases[i].has);
		}
	}
}

static void test_of_sockets(void **state)
{
	const struct sockaddr_un unix_socket = {.sun_family = AF_UNIX};
	const struct sockaddr_in6 ipv6 = {
		.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT, .sin6_scope_id = 3};
	struct address_range range, loopback = range_of("::1");

	assert_false(address_range_of((const struct sockaddr *)&unix_socket, &range));
	assert_true(address_range_of((const struct sockaddr *)&ipv6, &range));
	assert_memory_equal(&range, &loopback, sizeof(range));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_what_is_no_range),
		cmocka_unit_test(test_has),
		cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_of_sockets),
	};

	return cmocka_run_group_tests_name("config/address_range", tests, NULL, NULL);
}
