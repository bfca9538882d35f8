#include "aws/endpoint_choice.h"

#include "bunshin/error.h"

#include <stdio.h>
#include <string.h>

#define DEFAULT_REGION "us-east-1"
#define QUEUE_URL "the queue URL"

static int refuse_variant(struct endpoint_variant variant, const struct endpoint_choice *choice,
	const char *what, struct buf *error)
{
	const char *wanted = "FIPS (AWS_USE_FIPS_ENDPOINT, use_fips_endpoint)";

	if (variant.fips && variant.dual_stack)
		wanted = "FIPS and dual stack (AWS_USE_FIPS_ENDPOINT, AWS_USE_DUALSTACK_ENDPOINT)";
	else if (variant.dual_stack)
		wanted = "dual stack (AWS_USE_DUALSTACK_ENDPOINT, use_dualstack_endpoint)";
	buf_appendf(error, "%s is wanted, but %s names %s, %s: one of them has to go", wanted,
		choice->named_by, choice->endpoint.origin, what);
	return ERR_CONFIG;
}

static int check_scheme(
	const struct endpoint_choice *choice, bool allow_insecure, struct buf *error)
{
	const struct endpoint *endpoint = &choice->endpoint;

	if (strncmp(endpoint->origin, "https:", 6) == 0 || allow_insecure ||
		endpoint_is_loopback(endpoint))
		return 0;
	buf_appendf(error,
		"%s names %s, and everybody on the way to another machine can read plain http: use "
		"https, or set queue.allow_insecure_endpoint to true (campaign send: "
		"--allow-insecure-endpoint)",
		choice->named_by, endpoint->origin);
	return ERR_CONFIG;
}

/* An endpoint that somebody named. */
static int take_named(const char *text, const struct endpoint_wishes *wishes,
	struct endpoint_choice *choice, struct buf *error)
{
	size_t len;
	int err = endpoint_parse(text, &choice->endpoint, &len);

	if (err != 0 || (text[len] != '\0' && strcmp(text + len, "/") != 0)) {
		buf_appendf(error, "%s is not http(s)://HOST[:PORT]", choice->named_by);
		return ERR_CONFIG;
	}
	if (wishes->variant.fips || wishes->variant.dual_stack)
		return refuse_variant(wishes->variant, choice, "which is as it is", error);
	return check_scheme(choice, wishes->allow_insecure, error);
}

static int take_regional(const char *service, const char *region, struct endpoint_variant variant,
	const char *region_named_by, struct endpoint_choice *choice, struct buf *error)
{
	if (endpoint_of_region(service, region, variant, &choice->endpoint) == 0)
		return 0;
	buf_appendf(error, "%s is not a region's name", region_named_by);
	return ERR_CONFIG;
}

/* A name of AWS's, as a VPC endpoint's, or somebody else's: it is what it is. */
static int take_host(const struct endpoint_name *name, const struct endpoint_wishes *wishes,
	struct endpoint_choice *choice, struct buf *error)
{
	const struct endpoint_variant missing = {
		wishes->variant.fips && !name->variant.fips,
		wishes->variant.dual_stack && !name->variant.dual_stack,
	};

	if (missing.fips || missing.dual_stack)
		return refuse_variant(missing, choice,
			name->kind == ENDPOINT_VPC ? "a VPC endpoint" : "which is as it is", error);
	return check_scheme(choice, wishes->allow_insecure, error);
}

static int take_queue_url(const struct sqs_queue_url *queue, const struct endpoint_wishes *wishes,
	struct endpoint_choice *choice, struct buf *error)
{
	struct endpoint_variant variant = wishes->variant;
	struct endpoint_name name;
	size_t len;

	choice->named_by = QUEUE_URL;
	if (endpoint_parse(queue->endpoint, &choice->endpoint, &len) != 0) {
		buf_append_string(error, QUEUE_URL " is not http(s)://HOST[:PORT]/ACCOUNT/NAME");
		return ERR_CONFIG;
	}
	endpoint_read_name(&choice->endpoint, &name);
	if (name.kind != ENDPOINT_REGIONAL && name.kind != ENDPOINT_LEGACY)
		return take_host(&name, wishes, choice, error);
	variant.fips = variant.fips || name.variant.fips;
	variant.dual_stack = variant.dual_stack || name.variant.dual_stack;
	return take_regional("sqs", name.region, variant, QUEUE_URL, choice, error);
}

/* Of the endpoint that is chosen. */
static int choose_region(const char *queue_region, const struct endpoint_wishes *wishes,
	struct endpoint_choice *choice, struct buf *error)
{
	char own[sizeof(choice->region)];
	const char *region = DEFAULT_REGION;
	struct endpoint unused;

	endpoint_region(&choice->endpoint, own, sizeof(own));
	choice->region_named_by = "the default";
	choice->ask_region = false;
	if (queue_region[0] != '\0') {
		region = queue_region;
		choice->region_named_by = QUEUE_URL;
	} else if (own[0] != '\0') {
		region = own;
		choice->region_named_by = choice->named_by;
	} else if (wishes->region != NULL) {
		region = wishes->region;
		choice->region_named_by = wishes->region_origin;
	} else {
		choice->ask_region = !endpoint_is_loopback(&choice->endpoint);
	}
	if (endpoint_of_region("sqs", region, (struct endpoint_variant){0}, &unused) != 0) {
		buf_appendf(error, "%s is not a region's name", choice->region_named_by);
		return ERR_CONFIG;
	}
	snprintf(choice->region, sizeof(choice->region), "%s", region);
	return 0;
}

int endpoint_choice_sqs(const struct sqs_queue_url *queue, const struct endpoint_wishes *wishes,
	struct endpoint_choice *ret_choice, struct buf *error)
{
	struct endpoint_choice choice = {.named_by = "queue.endpoint"};
	int err;

	if (wishes->configured != NULL) {
		err = take_named(wishes->configured, wishes, &choice, error);
	} else if (wishes->from_settings != NULL) {
		choice.named_by = wishes->settings_origin;
		err = take_named(wishes->from_settings, wishes, &choice, error);
	} else {
		err = take_queue_url(queue, wishes, &choice, error);
	}
	if (err == 0)
		err = choose_region(queue->region, wishes, &choice, error);
	if (err == 0)
		*ret_choice = choice;
	return err;
}

int endpoint_choice_sts(const struct endpoint_choice *queue, const struct endpoint_wishes *wishes,
	struct endpoint_choice *ret_choice, struct buf *error)
{
	struct endpoint_wishes own = *wishes;
	struct endpoint_choice choice = {.named_by = wishes->settings_origin};
	int err;

	if (own.region == NULL) {
		own.region = queue->region;
		own.region_origin = queue->region_named_by;
	}
	if (own.from_settings != NULL) {
		err = take_named(own.from_settings, &own, &choice, error);
	} else {
		choice.named_by = own.region_origin;
		err = take_regional(
			"sts", own.region, own.variant, own.region_origin, &choice, error);
	}
	if (err == 0)
		err = choose_region("", &own, &choice, error);
	if (err == 0)
		*ret_choice = choice;
	return err;
}

int endpoint_choice_autoscaling(const char *region, const struct endpoint_wishes *wishes,
	struct endpoint_choice *ret_choice, struct buf *error)
{
	static const char origin[] = "the instance's metadata";
	struct endpoint_choice choice = {.named_by = origin, .region_named_by = origin};
	int err;

	if (wishes->from_settings != NULL) {
		choice.named_by = wishes->settings_origin;
		err = take_named(wishes->from_settings, wishes, &choice, error);
	} else {
		err = take_regional("autoscaling", region, wishes->variant, origin, &choice, error);
	}
	if (err != 0)
		return err;
	snprintf(choice.region, sizeof(choice.region), "%s", region);
	*ret_choice = choice;
	return 0;
}
