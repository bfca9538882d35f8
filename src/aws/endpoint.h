/* Where AWS's requests go: the endpoint's text taken apart, and SQS's own endpoints by region. */
#ifndef AWS_ENDPOINT_H
#define AWS_ENDPOINT_H

#include <stddef.h>

#define ENDPOINT_ORIGIN_SIZE 300
#define ENDPOINT_HOST_SIZE 280

struct endpoint {
	char origin[ENDPOINT_ORIGIN_SIZE]; /* "https://host:8443": lower case, no default port */
	char host[ENDPOINT_HOST_SIZE];	   /* "host:8443": the Host header, as it is signed */
	char name[ENDPOINT_HOST_SIZE];	   /* "host": without the port; IPv6 in brackets */
};

/*
 * Reads http(s)://host[:port] at the start of text and says how much that was; what follows is ""
 * or starts with '/'. Returns 0, or ERR_ARGUMENT: another scheme, user names, an empty or odd
 * host, a port outside 1-65535.
 */
int endpoint_parse(const char *text, struct endpoint *ret_endpoint, size_t *ret_len);

/* SQS's endpoint in a region, of the partition that the region's name says. 0 or ERR_ARGUMENT. */
int endpoint_of_region(const char *region, struct endpoint *ret_endpoint);

/*
 * The region in one of SQS's own host names (regional, FIPS, dual-stack, VPC or legacy), or "".
 * Writes at most region_bytes with the NUL.
 */
void endpoint_region(const struct endpoint *endpoint, char *ret_region, size_t region_bytes);

#endif
