#include "config/address_range.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#define IPV4_BITS 32
#define IPV6_BITS 128
/* Wider than any range of special addresses; all of them is what no rule would be. */
#define IPV4_BITS_MIN 8
#define IPV6_BITS_MIN 7

static unsigned all_bits(const struct address_range *range)
{
	return range->is_ipv6 ? IPV6_BITS : IPV4_BITS;
}

static bool same_bits(const unsigned char *a, const unsigned char *b, unsigned bits)
{
	unsigned rest = bits % 8;

	if (memcmp(a, b, bits / 8) != 0)
		return false;
	return rest == 0 || ((a[bits / 8] ^ b[bits / 8]) >> (8 - rest)) == 0;
}

static bool is_zero_beyond(const struct address_range *range)
{
	for (unsigned bit = range->bits; bit < all_bits(range); bit++)
		if (range->bytes[bit / 8] & (0x80u >> bit % 8))
			return false;
	return true;
}

/* "8" to "128", in one way of writing it; UINT_MAX: it is none. */
static unsigned parse_bits(const char *text)
{
	size_t len = strspn(text, "0123456789");
	unsigned bits = 0;

	if (len == 0 || len > 3 || text[len] != '\0' || text[0] == '0')
		return UINT32_MAX;
	while (*text != '\0')
		bits = bits * 10 + (unsigned)(*text++ - '0');
	return bits;
}

const char *address_range_parse(const char *text, struct address_range *ret_range)
{
	struct address_range range = {0};
	char address[INET6_ADDRSTRLEN];
	size_t len = strcspn(text, "/");

	if (len >= sizeof(address))
		return "is no address";
	memcpy(address, text, len);
	address[len] = '\0';
	range.is_ipv6 = strchr(address, ':') != NULL;
	if (inet_pton(range.is_ipv6 ? AF_INET6 : AF_INET, address, range.bytes) != 1)
		return "is no address";
	range.bits = text[len] == '/' ? parse_bits(text + len + 1) : all_bits(&range);
	if (range.bits > all_bits(&range))
		return range.is_ipv6 ? "has a length behind its / that is not 7 to 128"
				     : "has a length behind its / that is not 8 to 32";
	if (range.bits < (range.is_ipv6 ? IPV6_BITS_MIN : IPV4_BITS_MIN))
		return range.is_ipv6 ? "is wider than /7" : "is wider than /8";
	if (!is_zero_beyond(&range))
		return "has bits beyond its length";
	*ret_range = range;
	return NULL;
}

int address_range_append(const struct address_range *range, struct buf *out)
{
	char address[INET6_ADDRSTRLEN];
	int err;

	inet_ntop(range->is_ipv6 ? AF_INET6 : AF_INET, range->bytes, address, sizeof(address));
	err = buf_append_string(out, address);
	if (err == 0 && !address_range_is_one(range))
		err = buf_appendf(out, "/%u", range->bits);
	return err;
}

bool address_range_of(const struct sockaddr *address, struct address_range *ret_range)
{
	struct sockaddr_in ipv4;
	struct sockaddr_in6 ipv6;

	*ret_range = (struct address_range){0};
	if (address->sa_family == AF_INET) {
		memcpy(&ipv4, address, sizeof(ipv4));
		memcpy(ret_range->bytes, &ipv4.sin_addr, sizeof(ipv4.sin_addr));
	} else if (address->sa_family == AF_INET6) {
		memcpy(&ipv6, address, sizeof(ipv6));
		memcpy(ret_range->bytes, &ipv6.sin6_addr, sizeof(ipv6.sin6_addr));
		ret_range->is_ipv6 = true;
	} else {
		return false;
	}
	ret_range->bits = all_bits(ret_range);
	return true;
}

bool address_range_has(const struct address_range *range, const struct address_range *inner)
{
	return range->is_ipv6 == inner->is_ipv6 && range->bits <= inner->bits &&
	       same_bits(range->bytes, inner->bytes, range->bits);
}

bool address_range_is_one(const struct address_range *range)
{
	return range->bits == all_bits(range);
}
