#include "supervisor/failures.h"

#include <stdlib.h>
#include <string.h>

const char *failure_outcome_name(enum failure_outcome outcome)
{
	static const char *const names[FAILURE_OUTCOMES] = {[FAILURE_FAILED] = "failed",
		[FAILURE_FAILED_LEFT] = "failed_left",
		[FAILURE_EXPIRED] = "expired",
		[FAILURE_LOST] = "lost",
		[FAILURE_RETRYING] = "retrying"};

	return names[outcome];
}

void failure_text(char *to, size_t size, const char *from, size_t len)
{
	if (!from)
		len = 0;
	if (len >= size)
		for (len = size - 1; len > 0 && ((unsigned char)from[len] & 0xc0) == 0x80;)
			len--;
	if (len > 0)
		memcpy(to, from, len);
	memset(to + len, 0, size - len);
}

static bool is_like(const struct failure_group *a, const struct failure_group *b)
{
	return a->outcome == b->outcome && a->status == b->status &&
	       strcmp(a->destination, b->destination) == 0 && strcmp(a->class, b->class) == 0 &&
	       strcmp(a->reason, b->reason) == 0;
}

struct failure_group *failures_find(struct failures *failures, const struct failure_group *like)
{
	for (size_t i = 0; i < failures->count; i++)
		if (is_like(&failures->groups[i], like))
			return &failures->groups[i];
	return NULL;
}

static struct failure_group *place_for(struct failures *failures)
{
	struct failure_group *oldest = &failures->groups[0];

	if (failures->count < FAILURES_MAX)
		return &failures->groups[failures->count++];
	for (size_t i = 1; i < FAILURES_MAX; i++)
		if (failures->groups[i].last_ms < oldest->last_ms)
			oldest = &failures->groups[i];
	return oldest;
}

struct failure_group *failures_get(struct failures *failures, const struct failure_group *like)
{
	struct failure_group *group = failures_find(failures, like);

	if (group)
		return group;
	group = place_for(failures);
	*group = *like;
	group->count = 0;
	return group;
}

static void add_group(struct failures *failures, const struct failure_group *from)
{
	struct failure_group *group = failures_find(failures, from);
	uint64_t count;

	if (!group && failures->count == FAILURES_MAX) {
		group = place_for(failures);
		/* Of what is heard of later there is room, however many workers have told. */
		if (group->last_ms < from->last_ms)
			*group = *from;
		return;
	}
	if (!group)
		group = failures_get(failures, from);
	count = group->count + from->count;
	if (group->count == 0 || from->last_ms >= group->last_ms)
		*group = *from;
	group->count = count;
}

void failures_add(struct failures *failures, const struct failures *from)
{
	for (size_t i = 0; i < from->count; i++)
		add_group(failures, &from->groups[i]);
}

#define END(text) ((text)[sizeof(text) - 1] = '\0')

/* False: it cannot be. */
static bool mend_group(struct failure_group *group)
{
	END(group->destination);
	END(group->class);
	END(group->reason);
	END(group->message_id);
	END(group->campaign);
	END(group->request_id);
	END(group->answer);
	return group->outcome < FAILURE_OUTCOMES && group->count > 0 &&
	       group->count <= INT64_MAX / 2 && group->status >= 0 && group->last_ms > 0;
}

void failures_mend(struct failures *failures)
{
	size_t count = failures->count < FAILURES_MAX ? failures->count : FAILURES_MAX, kept = 0;

	for (size_t i = 0; i < count; i++) {
		if (!mend_group(&failures->groups[i]))
			continue;
		if (kept != i)
			failures->groups[kept] = failures->groups[i];
		kept++;
	}
	failures->count = kept;
}

static int by_latest(const void *a, const void *b)
{
	const struct failure_group *left = a, *right = b;

	if (left->last_ms != right->last_ms)
		return left->last_ms > right->last_ms ? -1 : 1;
	return left->count == right->count ? 0 : left->count > right->count ? -1 : 1;
}

void failures_sort(struct failures *failures)
{
	qsort(failures->groups, failures->count, sizeof(failures->groups[0]), by_latest);
}
