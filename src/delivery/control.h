/*
 * What `bunshin campaign pause | resume | rate | cancel` ask of every worker of a queue, as tags of
 * that queue:
 *
 *	bunshin:paused		"true"; "false", or no tag: not paused
 *	bunshin:rate		"N/s", "N/m", "N/h": attempts of the whole fleet, a destination;
 *				beside the configured rate, so that the lower one counts
 *	bunshin:cancelled	campaigns, parted by blanks: a name of up to 32 characters that SQS
 *				takes in a tag and that has no blank in it, as it is; of any name
 *				"=" and the first 16 hex digits of its SHA-256
 *
 * Pure: the text of the tags in, a value out. Any text is fine; SQS's own bound is 256 characters,
 * so that is what is read of bytes too.
 */
#ifndef DELIVERY_CONTROL_H
#define DELIVERY_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONTROL_TAG_PAUSED "bunshin:paused"
#define CONTROL_TAG_RATE "bunshin:rate"
#define CONTROL_TAG_CANCELLED "bunshin:cancelled"
#define CONTROL_TAG_MAX 256 /* bytes of a tag's value (SQS quota) */
#define CONTROL_RATE_MAX INT64_C(1000000000)
#define CONTROL_REASON_SIZE 128
#define CONTROL_ID_SIZE 17
#define CONTROL_RATE_SIZE 24

/* A value type of fixed size, without pointers: it is copied into memory that processes share. All
 * zero: nothing is asked. */
struct control {
	bool paused;
	uint64_t rate_count;		     /* 0: none */
	int64_t rate_per_ms;		     /* 1000, 60000 or 3600000 when there is a rate */
	char cancelled[CONTROL_TAG_MAX + 1]; /* the tag's value, "" none */
};

/* The values of the three tags; NULL: the queue does not have it. */
struct control_tags {
	const char *paused, *rate, *cancelled;
};

/*
 * Brings what is in force up to what the tags ask. Of a tag with a value that does not read the
 * part of `control` stays as it is; ERR_SYNTAX then, with a sentence about the first of them in
 * `reason`, else 0.
 */
int control_read(
	const struct control_tags *tags, struct control *control, char reason[CONTROL_REASON_SIZE]);

bool control_equal(const struct control *a, const struct control *b);
/* Which control it is: 16 hex digits, the same for what control_equal() says is the same. */
void control_id(const struct control *control, char ret_id[CONTROL_ID_SIZE]);

/* A campaign of this name is cancelled. A name of no bytes is none. */
bool control_cancels(const struct control *control, const char *campaign, size_t bytes);

/* "500/s" as the tag holds it. 0; ERR_SYNTAX: it is none, or not 1 to CONTROL_RATE_MAX. */
int control_rate_read(const char *text, uint64_t *ret_count, int64_t *ret_per_ms);
/* The other way round; "" for none. */
void control_rate_text(uint64_t count, int64_t per_ms, char ret[CONTROL_RATE_SIZE]);

/*
 * The value of CONTROL_TAG_CANCELLED with one more campaign at its end, the latest; as it is when
 * it has it already. ERR_LIMIT: there is no room, the first ones are those to be forgotten.
 * ERR_ARGUMENT: a name of no bytes. `value` is at most CONTROL_TAG_MAX bytes.
 */
int control_cancelled_add(const char *value, const char *campaign, char ret[CONTROL_TAG_MAX + 1]);
/* Without it; ERR_NOT_FOUND: it is not there. ret is "" when it was the only one. */
int control_cancelled_remove(
	const char *value, const char *campaign, char ret[CONTROL_TAG_MAX + 1]);

#endif
