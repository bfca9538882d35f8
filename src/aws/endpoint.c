#include "aws/endpoint.h"

#include "bunshin/error.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static bool is_lower_alphanumeric(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* Length of a host name, an IPv4 address or a bracketed IPv6 address at the start; 0: none. */
static size_t host_span(const char *text)
{
	size_t len = 0;

	if (text[0] == '[') {
		len = 1 + strspn(text + 1, "0123456789abcdefABCDEF:.");
		return len > 2 && text[len] == ']' ? len + 1 : 0;
	}
	while (is_lower_alphanumeric(lower(text[len])) || text[len] == '-' || text[len] == '_' ||
		(text[len] == '.' && len > 0 && text[len - 1] != '.'))
		len++;
	return len <= 253 ? len : 0;
}

/* ":443" -> 443 and its length; 0 when there is none; -1 when it is none. */
static int port_parse(const char *text, size_t *ret_len)
{
	size_t digits = text[0] == ':' ? strspn(text + 1, "0123456789") : 0;
	int port = 0;

	*ret_len = 0;
	if (text[0] != ':')
		return 0;
	if (digits == 0 || digits > 5)
		return -1;
	for (size_t i = 0; i < digits; i++)
		port = port * 10 + (text[1 + i] - '0');
	*ret_len = digits + 1;
	return port >= 1 && port <= 65535 ? port : -1;
}

int endpoint_parse(const char *text, struct endpoint *ret_endpoint, size_t *ret_len)
{
	bool secure = strncasecmp(text, "https://", 8) == 0;
	size_t scheme_bytes = secure ? 8 : 7;
	size_t host_bytes, port_bytes;
	char name[ENDPOINT_HOST_SIZE];
	const char *host = text + scheme_bytes;
	const char *rest;
	int port;

	if (!secure && strncasecmp(text, "http://", 7) != 0)
		return ERR_ARGUMENT;
	host_bytes = host_span(host);
	if (host_bytes == 0 || host_bytes > 253)
		return ERR_ARGUMENT;
	port = port_parse(host + host_bytes, &port_bytes);
	rest = host + host_bytes + port_bytes;
	if (port < 0 || (*rest != '\0' && *rest != '/'))
		return ERR_ARGUMENT;
	for (size_t i = 0; i < host_bytes; i++)
		name[i] = lower(host[i]);
	name[host_bytes] = '\0';
	memcpy(ret_endpoint->name, name, host_bytes + 1);
	if (port == 0 || port == (secure ? 443 : 80))
		memcpy(ret_endpoint->host, name, host_bytes + 1);
	else
		snprintf(ret_endpoint->host, sizeof(ret_endpoint->host), "%.253s:%d", name, port);
	snprintf(ret_endpoint->origin, sizeof(ret_endpoint->origin), "%s://%s",
		secure ? "https" : "http", ret_endpoint->host);
	*ret_len = (size_t)(rest - text);
	return 0;
}

static bool ends_in(const char *text, const char *suffix)
{
	size_t len = strlen(text), suffix_bytes = strlen(suffix);

	return len > suffix_bytes && strcmp(text + len - suffix_bytes, suffix) == 0;
}

bool endpoint_is_loopback(const struct endpoint *endpoint)
{
	const char *name = endpoint->name;
	char inside[ENDPOINT_HOST_SIZE];
	unsigned char ipv4[4];
	struct in6_addr ipv6;

	/* Four decimal numbers without leading zeros: what inet_aton() would make of others is no
	 * matter of looks. */
	if (inet_pton(AF_INET, name, ipv4) == 1)
		return ipv4[0] == 127;
	if (name[0] == '[') {
		snprintf(inside, sizeof(inside), "%.*s", (int)strcspn(name + 1, "]"), name + 1);
		return inet_pton(AF_INET6, inside, &ipv6) == 1 && IN6_IS_ADDR_LOOPBACK(&ipv6);
	}
	return strcmp(name, "localhost") == 0 || ends_in(name, ".localhost");
}
