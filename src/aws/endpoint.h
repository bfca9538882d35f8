/* Where AWS's requests go: the endpoint's text taken apart, and SQS's own endpoints by region. */
#ifndef AWS_ENDPOINT_H
#define AWS_ENDPOINT_H

#include <stdbool.h>
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

struct endpoint_variant {
	bool fips, dual_stack;
};

/*
 * The endpoint of a service ("sqs", "sts") in a region, of the partition that the region's name
 * says, in the wanted variant; every partition has all four (partitions.json of the AWS SDKs, as of
 * 2026). In GovCloud the plain endpoint is the FIPS one. 0, or ERR_ARGUMENT: no region's name.
 */
int endpoint_of_region(const char *service, const char *region, struct endpoint_variant variant,
	struct endpoint *ret_endpoint);

/* The partition of a region, as it stands in ARNs: "aws", "aws-cn"; static. */
const char *endpoint_partition(const char *region);

/* Names this machine itself: localhost and its subdomains, 127.0.0.0/8, [::1]. */
bool endpoint_is_loopback(const struct endpoint *endpoint);

/* Which of the names that AWS has for SQS and STS an endpoint is. */
enum endpoint_kind {
	ENDPOINT_OTHER,	   /* none, a region in another partition's domain, or a port of its own */
	ENDPOINT_REGIONAL, /* sqs[-fips].REGION.SUFFIX */
	ENDPOINT_LEGACY,   /* REGION.queue.SUFFIX, queue.amazonaws.com; SQS only */
	ENDPOINT_VPC,	   /* vpce-ID.sqs[-fips].REGION.vpce.SUFFIX */
};

struct endpoint_name {
	enum endpoint_kind kind;
	/* "" when the host does not name one; LocalStack's names do, though they are OTHER. */
	char region[64];
	struct endpoint_variant variant; /* what the name says; in GovCloud FIPS goes unsaid */
};

void endpoint_read_name(const struct endpoint *endpoint, struct endpoint_name *ret_name);
/* One of AWS's own host names for SQS or STS, in any partition. */
bool endpoint_is_aws(const struct endpoint *endpoint);
/*
 * The region in one of SQS's or STS's host names, or "". Writes at most region_bytes with the NUL.
 */
void endpoint_region(const struct endpoint *endpoint, char *ret_region, size_t region_bytes);

#endif
