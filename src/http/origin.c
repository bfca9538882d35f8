#include "http/origin.h"

#include <string.h>
#include <strings.h>

/* The host's length without its port; 0: there is none. */
static size_t host_length(const char *host)
{
	const char *end;

	if (*host == '[') {
		end = strchr(host, ']');
		return end != NULL ? (size_t)(end + 1 - host) : 0;
	}
	return strcspn(host, ":");
}

static bool equals(const char *host, size_t len, const char *name)
{
	return strlen(name) == len && strncasecmp(host, name, len) == 0;
}

static bool ends_with(const char *host, size_t len, const char *suffix)
{
	size_t suffix_len = strlen(suffix);

	return len > suffix_len && strncasecmp(host + len - suffix_len, suffix, suffix_len) == 0;
}

/* 127.0.0.1 or [::1]: what looks like an address and is none leads nowhere. */
static bool is_address(const char *host, size_t len)
{
	return *host == '[' || strspn(host, "0123456789.") == len;
}

bool origin_is_safe_host(const char *host, const char *const hosts[], size_t host_count)
{
	static const char *const suffixes[] = {".localhost", ".local", ".internal", ".home.arpa"};
	size_t len = host != NULL ? host_length(host) : 0;

	if (len == 0)
		return false;
	if (is_address(host, len) || memchr(host, '.', len) == NULL)
		return true;
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
		if (ends_with(host, len, suffixes[i]))
			return true;
	for (size_t i = 0; i < host_count; i++)
		if (equals(host, len, hosts[i]))
			return true;
	return false;
}

/* Is the origin, "http://host:port", of this Host? A proxy may have made https of http. */
static bool is_same(const char *origin, const char *host)
{
	if (strncmp(origin, "http://", 7) == 0)
		origin += 7;
	else if (strncmp(origin, "https://", 8) == 0)
		origin += 8;
	else
		return false;
	return strcasecmp(origin, host) == 0;
}

enum origin_verdict origin_judge(
	const struct origin_request *request, const char *const hosts[], size_t host_count)
{
	const char *site = request->sec_fetch_site;

	if (request->origin == NULL && site == NULL)
		return ORIGIN_FINE;
	if (site != NULL && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)
		return ORIGIN_FOREIGN;
	if (request->host == NULL ||
		(request->origin != NULL && !is_same(request->origin, request->host)))
		return ORIGIN_FOREIGN;
	return origin_is_safe_host(request->host, hosts, host_count) ? ORIGIN_FINE
								     : ORIGIN_UNKNOWN_HOST;
}
