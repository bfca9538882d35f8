/*
 * Any socket address is judged; what a range has is allowed by it and by nothing else. The first
 * byte says the family, 16 bytes are the address, the rest is the text of a range.
 */
#include "fuzz.h"

#include "http/address_guard.h"

#include <string.h>

static void check_range(const struct address_range *range)
{
	struct buf text = BUF_INIT(100);
	struct address_range again;

	FUZZ_CHECK(address_range_append(range, &text) == 0);
	FUZZ_CHECK(address_range_parse(buf_string(&text), &again) == NULL);
	FUZZ_CHECK(memcmp(range, &again, sizeof(again)) == 0);
	FUZZ_CHECK(address_range_has(range, range));
	buf_free(&text);
}

static void check_admits(const struct address_guard *guard, const struct sockaddr *address)
{
	struct address_refusal refusal = {0};
	bool admits = address_guard_admits(guard, address, &refusal);

	FUZZ_CHECK(admits == (address_guard_problem(guard, address) == NULL));
	FUZZ_CHECK(admits == refusal.opened && admits == (refusal.problem == NULL));
	FUZZ_CHECK(strlen(refusal.address) < sizeof(refusal.address));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	union {
		struct sockaddr any;
		struct sockaddr_in ipv4;
		struct sockaddr_in6 ipv6;
	} address = {0};
	struct address_range range, one;
	const struct address_guard none = {0}, guard = {&range, 1};
	char *text;

	if (size < 17)
		return 0;
	if (data[0] % 3 == 0) {
		address.ipv4.sin_family = AF_INET;
		memcpy(&address.ipv4.sin_addr, data + 1, 4);
	} else {
		address.ipv6.sin6_family = data[0] % 3 == 1 ? AF_INET6 : data[0];
		memcpy(&address.ipv6.sin6_addr, data + 1, 16);
	}
	check_admits(&none, &address.any);
	text = strndup((const char *)data + 17, size - 17);
	FUZZ_CHECK(text);
	if (address_range_parse(text, &range) == NULL) {
		check_range(&range);
		check_admits(&guard, &address.any);
		if (address_guard_problem(&none, &address.any) !=
			address_guard_problem(&guard, &address.any)) {
			FUZZ_CHECK(address_range_of(&address.any, &one));
			FUZZ_CHECK(address_range_has(&range, &one));
		}
	}
	free(text);
	return 0;
}
