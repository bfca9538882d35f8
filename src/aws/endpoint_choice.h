/*
 * Which endpoint is asked, in which region it is signed for, and what decided: pure.
 *
 * SQS's endpoint, the first that is there:
 *	queue.endpoint (or --endpoint)
 *	AWS_ENDPOINT_URL_SQS, AWS_ENDPOINT_URL, the profile's services section and endpoint_url
 *	the queue URL's host. AWS's own regional names become the region's endpoint in the wanted
 *	variant (and in the one that the name itself says), over https; so do the legacy ones, whose
 *	certificates are not for every client. The name of a VPC endpoint, and every other, stays.
 * Region: what the queue URL's host says, else the endpoint's, else AWS_REGION, AWS_DEFAULT_REGION
 * or the profile, else the EC2 instance's, else us-east-1 (a host that names no region is seldom
 * AWS's). For this machine itself, EC2 is not asked.
 *
 * As in the SDKs a FIPS or dual-stack endpoint is not to be had with one that is named. Plain http
 * to another machine is refused unless it is allowed.
 */
#ifndef AWS_ENDPOINT_CHOICE_H
#define AWS_ENDPOINT_CHOICE_H

#include "aws/endpoint.h"
#include "aws/sqs_queue.h"
#include "base/buf.h"

#include <stdbool.h>

/* Borrowed; what is not set is NULL. */
struct endpoint_wishes {
	const char *configured;	     /* queue.endpoint; SQS's only */
	const char *from_settings;   /* aws_settings_endpoint() of the service */
	const char *settings_origin; /* what named it */
	struct endpoint_variant variant;
	const char *region;	   /* aws_settings_region() */
	const char *region_origin; /* what named it */
	bool allow_insecure;	   /* queue.allow_insecure_endpoint */
};

struct endpoint_choice {
	struct endpoint endpoint;
	const char *named_by; /* "queue.endpoint", "AWS_ENDPOINT_URL", "the queue URL": borrowed */
	char region[64];
	const char *region_named_by; /* "the queue URL", "AWS_REGION", "the default": borrowed */
	bool ask_region; /* the EC2 instance's region is better than `region`, the default */
};

/*
 * 0; ERR_CONFIG with a sentence for people in `error` (which never holds what came before or after
 * an endpoint's host).
 */
int endpoint_choice_sqs(const struct sqs_queue_url *queue, const struct endpoint_wishes *wishes,
	struct endpoint_choice *ret_choice, struct buf *error);
/*
 * STS's: what the settings name, else the regional endpoint of their region, else of the queue's.
 * wishes->configured is not looked at.
 */
int endpoint_choice_sts(const struct endpoint_choice *queue, const struct endpoint_wishes *wishes,
	struct endpoint_choice *ret_choice, struct buf *error);
/*
 * Auto Scaling's: what the settings name, else the regional endpoint. `region` is the instance's
 * own, in which its group is, and signed for; wishes->configured and ->region are not looked at.
 */
int endpoint_choice_autoscaling(const char *region, const struct endpoint_wishes *wishes,
	struct endpoint_choice *ret_choice, struct buf *error);

#endif
