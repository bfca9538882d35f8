/*
 * The digests by which SQS lets both sides check what they got (SQS developer guide, "Calculating
 * the MD5 message digest for message attributes").
 */
#ifndef AWS_MESSAGE_MD5_H
#define AWS_MESSAGE_MD5_H

#include "aws/digest.h"
#include "bunshin/queue.h"

#define MESSAGE_MD5_SIZE (2 * DIGEST_MD5_BYTES + 1) /* lower-case hex and a NUL */

/* Each takes an "MD5" digest and returns 0 or ERR_NOMEM. */
int message_md5_body(
	struct digest *md5, const char *body, size_t len, char ret_md5[MESSAGE_MD5_SIZE]);
/* Of at most QUEUE_ATTRIBUTES_MAX attributes, in any order; ERR_ARGUMENT for more. */
int message_md5_attributes(struct digest *md5, const struct queue_attribute *attributes,
	size_t count, char ret_md5[MESSAGE_MD5_SIZE]);

#endif
