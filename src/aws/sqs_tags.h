/*
 * The tags of a queue. SQS API model 2012-11-05: ListQueueTags, TagQueue, UntagQueue.
 *
 * Texts: a key of 1-128 and a value of 0-256 characters, both of letters, digits, blanks and
 * _ . : / = + - @, at most 50 tags a queue ("Amazon SQS quotas", "Tag restrictions"). Letters and
 * digits beyond ASCII are taken by SQS, but not here. Keys that begin with "aws:" are AWS's own:
 * they are read, and refused in requests. An account's calls for tags are limited to 30 a second
 * together.
 *
 * Calls promise what those of sqs_client.h do. All three may be repeated without harm.
 */
#ifndef AWS_SQS_TAGS_H
#define AWS_SQS_TAGS_H

#include "aws/sqs_client.h"

#define SQS_TAGS_MAX 50
#define SQS_TAG_KEY_MAX 128
#define SQS_TAG_VALUE_MAX 256

struct sqs_tag {
	const char *key;
	const char *value;
};

/* Borrowed for the callback. */
struct sqs_tags {
	struct sqs_tag tags[SQS_TAGS_MAX];
	size_t count;
};

/* tags: NULL on an error; empty for the two that answer nothing. */
typedef void sqs_tags_done(
	void *arg, const struct sqs_outcome *outcome, const struct sqs_tags *tags);

int sqs_list_queue_tags(struct sqs_client *client, const char *queue_url, sqs_tags_done *done,
	void *arg, struct queue_call **ret_call);
/* Adds them, or replaces their values; other tags stay. ERR_ARGUMENT: none, too many, or a text
 * that SQS does not take. */
int sqs_tag_queue(struct sqs_client *client, const char *queue_url, const struct sqs_tag tags[],
	size_t count, sqs_tags_done *done, void *arg, struct queue_call **ret_call);
/* Keys that the queue does not have are fine. */
int sqs_untag_queue(struct sqs_client *client, const char *queue_url, const char *const keys[],
	size_t count, sqs_tags_done *done, void *arg, struct queue_call **ret_call);

/* The value of a key, or NULL. */
const char *sqs_tags_find(const struct sqs_tags *tags, const char *key);

#endif
