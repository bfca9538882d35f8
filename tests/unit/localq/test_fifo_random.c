/* A FIFO queue against a model of it, by seed: thousands of steps, everything compared at each. */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEEDS 30
#define STEPS 1200
#define GROUPS 5
#define MESSAGES 2000
#define IDS 12 /* deduplication ids, few, so that they meet again */
#define VISIBILITY_MS 7000
#define REPEAT_MS 300000

enum place { GONE, HERE };

static struct message {
	enum place place;
	int group, received;
	int64_t visible_ms; /* when in flight */
	char handle[64], id[40];
} messages[MESSAGES];

static struct remembered {
	int64_t until_ms;
	int message;
} remembered[GROUPS][IDS];

static struct world world;
static int count; /* of messages, in the order of their sends */
static bool per_group;
static uint64_t state;

static uint32_t draw(uint32_t below)
{
	/* xorshift64* */
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (uint32_t)((state * UINT64_C(2685821657736338717)) >> 33) % below;
}

static int64_t now(void)
{
	return clock_wall_epoch_ms(world.service.clock);
}

static bool in_flight(const struct message *message)
{
	return message->place == HERE && message->received > 0 && message->visible_ms > now();
}

static bool is_blocked(int group)
{
	for (int i = 0; i < count; i++)
		if (messages[i].group == group && in_flight(&messages[i]))
			return true;
	return false;
}

static const char *text(const cJSON *object, const char *name)
{
	const char *found = cJSON_GetStringValue(cJSON_GetObjectItem(object, name));

	assert_non_null(found);
	return found;
}

static void send(void)
{
	int group = (int)draw(GROUPS), id = (int)draw(IDS);
	struct remembered *place = &remembered[per_group ? group : 0][id];
	const cJSON *answer;

	if (count == MESSAGES)
		return;
	answer = world_ok(&world, "SendMessage",
		"{\"QueueUrl\":\"/q.fifo\",\"MessageBody\":\"%d\",\"MessageGroupId\":\"g%d\","
		"\"MessageDeduplicationId\":\"d%d\"}",
		count, group, id);
	if (place->until_ms > now()) {
		assert_string_equal(text(answer, "MessageId"), messages[place->message].id);
		return;
	}
	*place = (struct remembered){now() + REPEAT_MS, count};
	messages[count] = (struct message){.place = HERE, .group = group};
	snprintf(messages[count].id, sizeof(messages[count].id), "%s", text(answer, "MessageId"));
	count++;
}

/* The first of its group that is here, and of which nothing is in flight: the next that may come.
 */
static int next_of(int group)
{
	for (int i = 0; i < count; i++)
		if (messages[i].group == group && messages[i].place == HERE)
			return i;
	return -1;
}

static void receive(void)
{
	int max = 1 + (int)draw(10), expected = 0, next[GROUPS], got = 0;
	bool open[GROUPS];
	const cJSON *message, *list;

	for (int group = 0; group < GROUPS; group++) {
		open[group] = !is_blocked(group);
		next[group] = next_of(group);
		for (int i = 0; open[group] && i < count; i++)
			expected += messages[i].group == group && messages[i].place == HERE;
	}
	list = cJSON_GetObjectItem(world_ok(&world, "ReceiveMessage",
					   "{\"QueueUrl\":\"/q.fifo\",\"MaxNumberOfMessages\":%d,"
					   "\"AttributeNames\":[\"All\"]}",
					   max),
		"Messages");
	cJSON_ArrayForEach(message, list)
	{
		int number = atoi(text(message, "Body")), group = messages[number].group;
		const cJSON *attributes = cJSON_GetObjectItem(message, "Attributes");

		assert_true(open[group]);
		assert_int_equal(number, next[group]);
		assert_string_equal(text(message, "MessageId"), messages[number].id);
		messages[number].received++;
		assert_int_equal(atoi(text(attributes, "ApproximateReceiveCount")),
			messages[number].received);
		messages[number].visible_ms = now() + VISIBILITY_MS;
		snprintf(messages[number].handle, sizeof(messages[number].handle), "%s",
			text(message, "ReceiptHandle"));
		do
			next[group]++;
		while (next[group] < count && (messages[next[group]].group != group ||
						      messages[next[group]].place != HERE));
		got++;
	}
	/* All there is, up to what was asked for. */
	assert_int_equal(got, expected < max ? expected : max);
}

/* One that was received at some time, in flight or not, there or not; -1: there is none. */
static int any_received(void)
{
	int start = count > 0 ? (int)draw((uint32_t)count) : 0;

	for (int i = 0; i < count; i++)
		if (messages[(start + i) % count].received > 0)
			return (start + i) % count;
	return -1;
}

static void delete_one(void)
{
	int i = any_received();

	if (i < 0)
		return;
	if (in_flight(&messages[i]) || messages[i].place == GONE) {
		world_ok(&world, "DeleteMessage",
			"{\"QueueUrl\":\"/q.fifo\",\"ReceiptHandle\":\"%s\"}", messages[i].handle);
		messages[i].place = GONE;
	} else {
		world_refused(&world, "InvalidParameterValue", "DeleteMessage",
			"{\"QueueUrl\":\"/q.fifo\",\"ReceiptHandle\":\"%s\"}", messages[i].handle);
	}
}

static void change_one(void)
{
	int i = any_received(), seconds = draw(2) == 0 ? 0 : (int)draw(20);

	if (i < 0 || !in_flight(&messages[i]))
		return;
	world_ok(&world, "ChangeMessageVisibility",
		"{\"QueueUrl\":\"/q.fifo\",\"ReceiptHandle\":\"%s\",\"VisibilityTimeout\":%d}",
		messages[i].handle, seconds);
	messages[i].visible_ms = now() + 1000 * seconds;
}

static void compare_counts(void)
{
	int visible = 0, hidden = 0;
	char expected[48];

	for (int i = 0; i < count; i++) {
		visible += messages[i].place == HERE && !in_flight(&messages[i]);
		hidden += in_flight(&messages[i]);
	}
	snprintf(expected, sizeof(expected), "%d %d 0", visible, hidden);
	assert_string_equal(world_counts(&world, "q.fifo"), expected);
}

static void run(uint64_t seed)
{
	state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	per_group = seed % 2 == 1;
	count = 0;
	memset(messages, 0, sizeof(messages));
	memset(remembered, 0, sizeof(remembered));
	world_open(&world, NULL);
	world_ok(&world, "CreateQueue",
		"{\"QueueName\":\"q.fifo\",\"Attributes\":{\"FifoQueue\":\"true\","
		"\"VisibilityTimeout\":\"%d\",\"DeduplicationScope\":\"%s\"}}",
		VISIBILITY_MS / 1000, per_group ? "messageGroup" : "queue");
	for (int step = 0; step < STEPS; step++) {
		uint32_t what = draw(100);

		if (what < 35)
			send();
		else if (what < 60)
			receive();
		else if (what < 80)
			delete_one();
		else if (what < 90)
			change_one();
		else
			world_advance_ms(&world, draw(10) == 0 ? 100000 : draw(3000));
		compare_counts();
	}
	world_close(&world);
}

static void as_the_model(void **unused)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		print_message("seed %d\n", (int)seed);
		run(seed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(as_the_model)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
