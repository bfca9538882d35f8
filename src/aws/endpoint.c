#include "aws/endpoint.h"

#include "bunshin/error.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define REGION_MAX 63

/* DNS suffixes of AWS's partitions (botocore's endpoints.json); the first is the default. */
static const struct partition {
	const char *region_prefix;
	const char *suffix;
	const char *dual_stack_suffix;
} partitions[] = {
	{"", "amazonaws.com", "api.aws"},
	{"cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"},
	{"eusc-", "amazonaws.eu", "api.amazonwebservices.eu"},
	{"us-iso-", "c2s.ic.gov", "api.aws.ic.gov"},
	{"us-isob-", "sc2s.sgov.gov", "api.aws.scloud"},
	{"eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"},
	{"us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"},
};

#define PARTITIONS (sizeof(partitions) / sizeof(partitions[0]))

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

static const struct partition *partition_of(const char *region)
{
	for (size_t i = 1; i < PARTITIONS; i++) {
		if (strncmp(region, partitions[i].region_prefix,
			    strlen(partitions[i].region_prefix)) == 0)
			return &partitions[i];
	}
	return &partitions[0];
}

static bool region_is_valid(const char *region, size_t len)
{
	if (len == 0 || len > REGION_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!is_lower_alphanumeric(region[i]) && region[i] != '-')
			return false;
	}
	return region[0] != '-' && region[len - 1] != '-';
}

int endpoint_of_region(const char *region, struct endpoint *ret_endpoint)
{
	char text[ENDPOINT_ORIGIN_SIZE];
	size_t len;

	if (!region_is_valid(region, strlen(region)))
		return ERR_ARGUMENT;
	snprintf(text, sizeof(text), "https://sqs.%s.%s", region, partition_of(region)->suffix);
	return endpoint_parse(text, ret_endpoint, &len);
}

/* Length of the name before one of AWS's suffixes, its dot not counted; 0: not AWS's. */
static size_t before_suffix(const char *name)
{
	/* LocalStack's own names follow AWS's pattern. */
	const char *suffixes[2 * PARTITIONS + 1] = {"localhost.localstack.cloud"};
	size_t len = strlen(name);

	for (size_t i = 0; i < PARTITIONS; i++) {
		suffixes[1 + 2 * i] = partitions[i].suffix;
		suffixes[2 + 2 * i] = partitions[i].dual_stack_suffix;
	}
	for (size_t i = 0; i < 2 * PARTITIONS + 1; i++) {
		size_t suffix_bytes = strlen(suffixes[i]);

		if (len > suffix_bytes + 1 && name[len - suffix_bytes - 1] == '.' &&
			strcmp(name + len - suffix_bytes, suffixes[i]) == 0)
			return len - suffix_bytes - 1;
	}
	return 0;
}

static bool label_is(const char *label, size_t len, const char *text)
{
	return strlen(text) == len && memcmp(label, text, len) == 0;
}

void endpoint_region(const struct endpoint *endpoint, char *ret_region, size_t region_bytes)
{
	size_t end = before_suffix(endpoint->name);
	const char *last = NULL; /* the label before the one looked at */
	const char *region = NULL;
	size_t last_bytes = 0, label_bytes = 0, len = 0;

	ret_region[0] = '\0';
	for (size_t at = 0; at < end; at += label_bytes + 1) {
		const char *label = endpoint->name + at;

		label_bytes = strcspn(label, ".");
		if (last != NULL && (label_is(last, last_bytes, "sqs") ||
					    label_is(last, last_bytes, "sqs-fips"))) {
			region = label;
			len = label_bytes;
			break;
		}
		if (label_is(label, label_bytes, "queue")) {
			region = last != NULL ? last : "us-east-1";
			len = last != NULL ? last_bytes : strlen(region);
			break;
		}
		last = label;
		last_bytes = label_bytes;
	}
	if (region == NULL || !region_is_valid(region, len) || len >= region_bytes)
		return;
	memcpy(ret_region, region, len);
	ret_region[len] = '\0';
}
