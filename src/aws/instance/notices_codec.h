/*
 * What the metadata of an EC2 instance says of its end. Pure, hostile input.
 * Sources: EC2 user guide, "Spot Instance interruption notices" and "EC2 instance rebalance
 * recommendations"; EC2 Auto Scaling user guide, "Retrieve the target lifecycle state through
 * instance metadata".
 */
#ifndef AWS_INSTANCE_NOTICES_CODEC_H
#define AWS_INSTANCE_NOTICES_CODEC_H

#include "base/units.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NOTICE_MAX_BYTES ((size_t)4 << 10)

enum spot_action { SPOT_TERMINATE, SPOT_STOP, SPOT_HIBERNATE };

/* /latest/meta-data/spot/instance-action; 404 there: none. */
struct spot_notice {
	enum spot_action action;
	int64_t time_epoch_ms;
};

/*
 * {"action":"terminate","time":"2017-09-18T08:22:00Z"}; members that are not known are not looked
 * at. 0; ERR_PROTOCOL: anything else, more than NOTICE_MAX_BYTES included; ERR_NOMEM. Outputs are
 * set on 0 only.
 */
int spot_notice_read(const char *text, size_t len, struct spot_notice *ret_notice);
const char *spot_action_name(enum spot_action action); /* "terminated"; static */
/* The same of {"noticeTime":"2020-10-27T08:22:00Z"}. */
int rebalance_notice_read(const char *text, size_t len, int64_t *ret_epoch_ms);

/*
 * /latest/meta-data/autoscaling/target-lifecycle-state: one word, maybe with a line break behind
 * it. 0, with whether the instance is being scaled in (Terminated, Warmed:Terminated); every other
 * state, one that is not known yet included, is none of its end: a stop into a warm pool shuts the
 * system down in the usual way. ERR_PROTOCOL: no word.
 */
int lifecycle_state_read(const char *text, size_t len, bool *ret_terminating);

/* A name out of the metadata, checked and without its line break; false: it is none. */
#define INSTANCE_ID_SIZE 20	 /* "i-" and 8 or 17 hexadecimal digits */
#define INSTANCE_GROUP_SIZE 1021 /* 255 characters of UTF-8 */
bool instance_id_read(const char *text, char ret_id[INSTANCE_ID_SIZE]);
bool instance_group_read(const char *text, char ret_group[INSTANCE_GROUP_SIZE]);

#endif
