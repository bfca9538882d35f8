/* The names that AWS's own endpoints have, by partition, region and variant: both ways. */
#include "aws/endpoint.h"
#include "bunshin/error.h"

#include <stdio.h>
#include <string.h>

#define REGION_MAX 63
#define LABELS_MAX 4

/* partitions.json of the AWS SDKs, version 1.1; the first is the default. */
static const struct partition {
	const char *region_prefix;
	const char *name;
	const char *suffix;
	const char *dual_stack_suffix;
	bool plain_is_fips; /* where there is no dual stack */
} partitions[] = {
	{"", "aws", "amazonaws.com", "api.aws", false},
	{"us-gov-", "aws-us-gov", "amazonaws.com", "api.aws", true},
	{"cn-", "aws-cn", "amazonaws.com.cn", "api.amazonwebservices.com.cn", false},
	{"eusc-", "aws-eusc", "amazonaws.eu", "api.amazonwebservices.eu", false},
	{"us-iso-", "aws-iso", "c2s.ic.gov", "api.aws.ic.gov", false},
	{"us-isob-", "aws-iso-b", "sc2s.sgov.gov", "api.aws.scloud", false},
	{"eu-isoe-", "aws-iso-e", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk", false},
	{"us-isof-", "aws-iso-f", "csp.hci.ic.gov", "api.aws.hci.ic.gov", false},
};

#define PARTITIONS (sizeof(partitions) / sizeof(partitions[0]))

static const struct partition *partition_of(const char *region)
{
	for (size_t i = 1; i < PARTITIONS; i++) {
		if (strncmp(region, partitions[i].region_prefix,
			    strlen(partitions[i].region_prefix)) == 0)
			return &partitions[i];
	}
	return &partitions[0];
}

const char *endpoint_partition(const char *region)
{
	return partition_of(region)->name;
}

static bool region_is_valid(const char *region)
{
	size_t len = strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return len > 0 && len <= REGION_MAX && region[len] == '\0' && region[0] != '-' &&
	       region[len - 1] != '-';
}

int endpoint_of_region(const char *service, const char *region, struct endpoint_variant variant,
	struct endpoint *ret_endpoint)
{
	const struct partition *partition = partition_of(region);
	bool fips = variant.fips && (variant.dual_stack || !partition->plain_is_fips);
	char text[ENDPOINT_ORIGIN_SIZE];
	size_t len;

	if (!region_is_valid(region))
		return ERR_ARGUMENT;
	snprintf(text, sizeof(text), "https://%s%s.%s.%s", service, fips ? "-fips" : "", region,
		variant.dual_stack ? partition->dual_stack_suffix : partition->suffix);
	return endpoint_parse(text, ret_endpoint, &len);
}

/* A host name in labels, without the domain that AWS, or LocalStack, has at its end. */
struct host {
	char text[ENDPOINT_HOST_SIZE];
	const char *labels[LABELS_MAX];
	size_t count;
	const char *suffix;
	bool dual_stack;
	bool local_stack;
};

/* Cuts the suffix off, if it is there. */
static bool suffix_take(struct host *host, const char *suffix)
{
	size_t len = strlen(host->text), suffix_bytes = strlen(suffix);

	if (len <= suffix_bytes + 1 || host->text[len - suffix_bytes - 1] != '.' ||
		strcmp(host->text + len - suffix_bytes, suffix) != 0)
		return false;
	host->text[len - suffix_bytes - 1] = '\0';
	host->suffix = suffix;
	return true;
}

static bool any_suffix_take(struct host *host)
{
	for (size_t i = 0; i < PARTITIONS; i++) {
		if (suffix_take(host, partitions[i].suffix))
			return true;
		host->dual_stack = suffix_take(host, partitions[i].dual_stack_suffix);
		if (host->dual_stack)
			return true;
	}
	/* Its own names follow AWS's pattern. */
	host->local_stack = suffix_take(host, "localhost.localstack.cloud");
	return host->local_stack;
}

/* False: not AWS's domain, or more labels than any of its names has. */
static bool host_split(const char *name, struct host *ret_host)
{
	char *rest = NULL;

	*ret_host = (struct host){.count = 0};
	snprintf(ret_host->text, sizeof(ret_host->text), "%s", name);
	if (!any_suffix_take(ret_host))
		return false;
	for (char *label = strtok_r(ret_host->text, ".", &rest); label != NULL;
		label = strtok_r(NULL, ".", &rest)) {
		if (ret_host->count == LABELS_MAX)
			return false;
		ret_host->labels[ret_host->count++] = label;
	}
	return true;
}

static bool is_service(const char *label, bool *ret_fips)
{
	*ret_fips = strcmp(label, "sqs-fips") == 0 || strcmp(label, "sts-fips") == 0;
	return *ret_fips || strcmp(label, "sqs") == 0 || strcmp(label, "sts") == 0;
}

/* The kind and the region of a host whose domain is AWS's; OTHER when it fits no pattern. */
static enum endpoint_kind kind_of(const struct host *host, const char **ret_region, bool *ret_fips)
{
	const char *const *labels = host->labels;

	*ret_fips = false;
	if (host->count == 2 && is_service(labels[0], ret_fips)) {
		*ret_region = labels[1];
		return ENDPOINT_REGIONAL;
	}
	if (host->count == 4 && strncmp(labels[0], "vpce-", 5) == 0 &&
		is_service(labels[1], ret_fips) && strcmp(labels[3], "vpce") == 0) {
		*ret_region = labels[2];
		return ENDPOINT_VPC;
	}
	if (host->count == 2 && strcmp(labels[1], "queue") == 0) {
		*ret_region = labels[0];
		return ENDPOINT_LEGACY;
	}
	if (host->count == 1 && strcmp(labels[0], "queue") == 0) {
		*ret_region = "us-east-1";
		return ENDPOINT_LEGACY;
	}
	return ENDPOINT_OTHER;
}

/* The domain is of the partition that the region says. */
static bool is_of_partition(const struct host *host, const char *region)
{
	const struct partition *partition = partition_of(region);

	return strcmp(host->suffix,
		       host->dual_stack ? partition->dual_stack_suffix : partition->suffix) == 0;
}

void endpoint_read_name(const struct endpoint *endpoint, struct endpoint_name *ret_name)
{
	struct host host;
	const char *region;
	bool fips;
	enum endpoint_kind kind = ENDPOINT_OTHER;

	*ret_name = (struct endpoint_name){.kind = ENDPOINT_OTHER};
	if (host_split(endpoint->name, &host))
		kind = kind_of(&host, &region, &fips);
	if (kind == ENDPOINT_OTHER || !region_is_valid(region) ||
		(!host.local_stack && !is_of_partition(&host, region)))
		return;
	snprintf(ret_name->region, sizeof(ret_name->region), "%s", region);
	/* Somebody who names a port wants what listens there. */
	if (host.local_stack || strcmp(endpoint->host, endpoint->name) != 0)
		return;
	ret_name->kind = kind;
	ret_name->variant = (struct endpoint_variant){fips, host.dual_stack};
}

bool endpoint_is_aws(const struct endpoint *endpoint)
{
	struct endpoint_name name;

	endpoint_read_name(endpoint, &name);
	return name.kind != ENDPOINT_OTHER;
}

void endpoint_region(const struct endpoint *endpoint, char *ret_region, size_t region_bytes)
{
	struct endpoint_name name;

	endpoint_read_name(endpoint, &name);
	snprintf(ret_region, region_bytes, "%s",
		strlen(name.region) < region_bytes ? name.region : "");
}
