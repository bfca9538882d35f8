#include "campaign/failures.h"

#include "base/hash.h"
#include "base/recipient_key.h"
#include "base/units.h"
#include "base/utf8.h"
#include "bunshin/error.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS 2048 /* of the table of groups: a power of two, twice what it holds at most */

struct failure_groups {
	struct failure_group *groups[FAILURE_GROUPS_MAX];
	uint64_t keys[FAILURE_GROUPS_MAX]; /* hash of what a group is of */
	uint16_t slots[SLOTS];		   /* 1 + index; 0: free */
	const struct failure_group *sorted[FAILURE_GROUPS_MAX];
	size_t count;
	uint64_t others;
};

const struct queue_attribute *failure_attribute(
	const struct queue_message *message, const char *name)
{
	for (size_t i = 0; i < message->attribute_count; i++)
		if (strcmp(message->attributes[i].name, name) == 0)
			return &message->attributes[i];
	return NULL;
}

bool failure_attribute_is_ours(const char *name)
{
	static const char *const names[] = {
		"FailureReason", "FailureStatus", "FailureBody", "Attempts", "FirstReceived"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static struct failure_text text_of(const struct queue_message *message, const char *name)
{
	const struct queue_attribute *attribute = failure_attribute(message, name);

	if (!attribute)
		return (struct failure_text){"", 0};
	return (struct failure_text){attribute->value, attribute->value_bytes};
}

/* The value as a C string: false when it is too long, or holds a NUL. */
static bool short_text(const struct queue_attribute *attribute, char *ret, size_t size)
{
	if (!attribute || attribute->value_bytes >= size ||
		memchr(attribute->value, '\0', attribute->value_bytes))
		return false;
	memcpy(ret, attribute->value, attribute->value_bytes);
	ret[attribute->value_bytes] = '\0';
	return true;
}

static int64_t number_of(
	const struct queue_message *message, const char *name, int64_t max, int64_t otherwise)
{
	char text[32];
	int64_t number;

	if (!short_text(failure_attribute(message, name), text, sizeof(text)) ||
		units_parse_int(text, &number) != 0 || number < 0 || number > max)
		return otherwise;
	return number;
}

/* As workers read it (delivery/message.h): Number of milliseconds, or String of RFC 3339. */
static int64_t deadline_of(const struct queue_message *message)
{
	const struct queue_attribute *attribute = failure_attribute(message, "Deadline");
	char text[64];
	int64_t instant;
	bool number;

	if (!short_text(attribute, text, sizeof(text)))
		return INT64_MAX;
	number = strncmp(attribute->type, "Number", 6) == 0;
	if ((number ? units_parse_int(text, &instant) : units_parse_rfc3339(text, &instant)) != 0)
		return INT64_MAX;
	return instant;
}

/* 0: it is no message for many, or its keys are none. */
static uint64_t count_keys(const struct queue_message *message)
{
	const struct queue_attribute *keys = failure_attribute(message, "RecipientKeys");

	if (!keys || strncmp(keys->type, "Binary", 6) != 0 ||
		keys->value_bytes % RECIPIENT_KEY_BYTES != 0)
		return 0;
	return keys->value_bytes / RECIPIENT_KEY_BYTES;
}

void failure_read(const struct queue_message *message, struct failure *ret)
{
	bool copied = failure_attribute(message, "FailureReason") != NULL;
	uint64_t keys = count_keys(message);

	*ret = (struct failure){
		.message = message,
		.origin = copied		       ? FAILURE_COPIED
			  : message->receive_count > 1 ? FAILURE_MOVED
						       : FAILURE_SENT,
		.reason = text_of(message, "FailureReason"),
		.campaign = text_of(message, "Campaign"),
		.destination = text_of(message, "Destination"),
		.recipients = keys > 0 ? keys : 1,
		.packed = keys > 0,
		.deadline_epoch_ms = deadline_of(message),
		.body = {"", 0},
	};
	if (!copied)
		return;
	ret->body = text_of(message, "FailureBody");
	ret->status = (int)number_of(message, "FailureStatus", 999, 0);
	ret->attempts = number_of(message, "Attempts", UINT32_MAX, 0);
	ret->first_received_ms = number_of(message, "FirstReceived", INT64_MAX, 0);
}

bool failure_is_past(const struct failure *failure, int64_t now_epoch_ms)
{
	return now_epoch_ms >= failure->deadline_epoch_ms;
}

/* Copies what fits, whole characters only, without the bytes that are none. */
static size_t cut(const char *bytes, size_t len, char *ret, size_t size)
{
	size_t n = 0, step;

	for (size_t i = 0; i < len; i += step) {
		step = utf8_sequence(bytes + i, len - i);
		if (step == 0 || bytes[i] == '\0') {
			step = 1;
			if (n + 1 > size)
				break;
			ret[n++] = '?';
			continue;
		}
		if (n + step > size)
			break;
		memcpy(ret + n, bytes + i, step);
		n += step;
	}
	return n;
}

static void cut_text(const struct failure_text *text, char *ret, size_t size)
{
	ret[cut(text->bytes, text->len, ret, size - 1)] = '\0';
}

static void moved_words(uint32_t receives, char ret[FAILURE_REASON_MAX])
{
	snprintf(ret, FAILURE_REASON_MAX, "moved by SQS after %" PRIu32 " receive%s", receives,
		receives == 1 ? "" : "s");
}

void failure_words(const struct failure *failure, char ret[FAILURE_REASON_MAX])
{
	/* The receive that shows it is one of this queue. */
	if (failure->origin == FAILURE_COPIED)
		cut_text(&failure->reason, ret, FAILURE_REASON_MAX);
	else if (failure->origin == FAILURE_MOVED)
		moved_words(failure->message->receive_count - 1, ret);
	else
		snprintf(ret, FAILURE_REASON_MAX, "sent to this queue without a reason");
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool holds(const char *text, const char *word)
{
	for (;; text++) {
		size_t i = 0;

		while (word[i] != '\0' && lower(text[i]) == lower(word[i]))
			i++;
		if (word[i] == '\0')
			return true;
		if (*text == '\0')
			return false;
	}
}

static bool is(const struct failure_text *text, const char *wanted)
{
	return strlen(wanted) == text->len && memcmp(wanted, text->bytes, text->len) == 0;
}

bool failure_filter_is_empty(const struct failure_filter *filter)
{
	return !filter->campaign && !filter->destination && !filter->reason &&
	       !filter->message_id && filter->status < 0;
}

bool failure_matches(const struct failure *failure, const struct failure_filter *filter)
{
	char words[FAILURE_REASON_MAX];

	if (filter->campaign && !is(&failure->campaign, filter->campaign))
		return false;
	if (filter->destination && !is(&failure->destination, filter->destination))
		return false;
	if (filter->message_id && strcmp(failure->message->message_id, filter->message_id) != 0)
		return false;
	if (filter->status >= 0 && filter->status != failure->status)
		return false;
	if (!filter->reason)
		return true;
	failure_words(failure, words);
	return holds(words, filter->reason);
}

int failure_groups_new(struct failure_groups **ret_groups)
{
	*ret_groups = calloc(1, sizeof(**ret_groups));
	return *ret_groups ? 0 : ERR_NOMEM;
}

void failure_groups_free(struct failure_groups *groups)
{
	if (!groups)
		return;
	for (size_t i = 0; i < groups->count; i++)
		free(groups->groups[i]);
	free(groups);
}

/* What a message is grouped by: texts that are cut alike are alike. */
struct key {
	enum failure_origin origin;
	int status;
	char reason[FAILURE_REASON_MAX], campaign[FAILURE_NAME_MAX], destination[FAILURE_NAME_MAX];
};

static void make_key(const struct failure *failure, struct key *ret)
{
	ret->origin = failure->origin;
	ret->status = failure->status;
	/* The number of receives is not what tells moved messages apart. */
	if (failure->origin == FAILURE_COPIED)
		failure_words(failure, ret->reason);
	else
		ret->reason[0] = '\0';
	cut_text(&failure->campaign, ret->campaign, sizeof(ret->campaign));
	cut_text(&failure->destination, ret->destination, sizeof(ret->destination));
}

static uint64_t hash_key(const struct key *key)
{
	uint64_t hash = hash_bytes(key->reason, strlen(key->reason));

	hash = hash * 31 + hash_bytes(key->campaign, strlen(key->campaign));
	hash = hash * 31 + hash_bytes(key->destination, strlen(key->destination));
	return hash * 31 + (uint64_t)key->status * 4 + key->origin;
}

static bool is_of(const struct failure_group *group, const struct key *key)
{
	return group->origin == key->origin && group->status == key->status &&
	       (key->origin != FAILURE_COPIED || strcmp(group->reason, key->reason) == 0) &&
	       strcmp(group->campaign, key->campaign) == 0 &&
	       strcmp(group->destination, key->destination) == 0;
}

/* The group of that key, made when there is room; NULL with 0: there is none. */
static int find_group(
	struct failure_groups *groups, const struct key *key, struct failure_group **ret_group)
{
	uint64_t hash = hash_key(key);
	size_t slot = hash & (SLOTS - 1);
	struct failure_group *group;

	*ret_group = NULL;
	for (; groups->slots[slot] != 0; slot = (slot + 1) & (SLOTS - 1)) {
		size_t i = groups->slots[slot] - 1u;

		if (groups->keys[i] == hash && is_of(groups->groups[i], key)) {
			*ret_group = groups->groups[i];
			return 0;
		}
	}
	if (groups->count == FAILURE_GROUPS_MAX)
		return 0;
	group = calloc(1, sizeof(*group));
	if (!group)
		return ERR_NOMEM;
	group->origin = key->origin;
	group->status = key->status;
	memcpy(group->reason, key->reason, sizeof(group->reason));
	memcpy(group->campaign, key->campaign, sizeof(group->campaign));
	memcpy(group->destination, key->destination, sizeof(group->destination));
	groups->keys[groups->count] = hash;
	groups->groups[groups->count++] = group;
	groups->slots[slot] = (uint16_t)groups->count;
	*ret_group = group;
	return 0;
}

static void add_sample(struct failure_group *group, const struct failure *failure)
{
	const struct queue_message *message = failure->message;

	if (group->count == 0) {
		group->body_bytes =
			cut(message->body, message->body_bytes, group->body, sizeof(group->body));
		group->answer_bytes = cut(failure->body.bytes, failure->body.len, group->answer,
			sizeof(group->answer));
	}
	if (group->sample_count < FAILURE_SAMPLES_MAX)
		snprintf(group->samples[group->sample_count++], sizeof(group->samples[0]), "%s",
			message->message_id);
}

int failure_groups_add(
	struct failure_groups *groups, const struct failure *failure, int64_t now_epoch_ms)
{
	int64_t sent_ms = failure->message->sent_epoch_ms;
	uint32_t receives = failure->message->receive_count;
	struct failure_group *group;
	struct key key;
	int err;

	make_key(failure, &key);
	err = find_group(groups, &key, &group);
	if (err)
		return err;
	if (!group) {
		groups->others++;
		return 0;
	}
	add_sample(group, failure);
	group->recipients += failure->recipients;
	if (sent_ms > 0 && (group->first_ms == 0 || sent_ms < group->first_ms))
		group->first_ms = sent_ms;
	if (sent_ms > group->last_ms)
		group->last_ms = sent_ms;
	if (group->count == 0 || receives < group->least_receives) {
		group->least_receives = receives;
		if (group->origin != FAILURE_COPIED)
			failure_words(failure, group->reason);
	}
	group->past += failure_is_past(failure, now_epoch_ms);
	group->count++;
	return 0;
}

const struct failure_group *const *failure_groups_sorted(
	struct failure_groups *groups, size_t *ret_count)
{
	size_t n = groups->count;

	/* Insertion: stable, which qsort() is not; a thousand are few. */
	for (size_t i = 0; i < n; i++) {
		const struct failure_group *group = groups->groups[i];
		size_t at = i;

		while (at > 0 && groups->sorted[at - 1]->count < group->count) {
			groups->sorted[at] = groups->sorted[at - 1];
			at--;
		}
		groups->sorted[at] = group;
	}
	*ret_count = n;
	return groups->sorted;
}

uint64_t failure_groups_others(const struct failure_groups *groups)
{
	return groups->others;
}
