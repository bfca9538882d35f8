/* The verdict: each row of its table, and what is said. */
#include "cli/run/verdict.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#define NOW_MS INT64_C(1764144000000) /* 2025-11-26 08:00:00 UTC */
#define MINUTE_MS INT64_C(60000)

/* A fleet that has nothing to do. */
static struct verdict_figures idle(void)
{
	return (struct verdict_figures){.now_ms = NOW_MS,
		.wanted = 2,
		.receiving = 2,
		.destinations = 1,
		.limit = 500,
		.configured = 500,
		.rate = NAN,
		.empty_ms = -1,
		.deadline_ms = -1};
}

static struct verdict_figures sending(void)
{
	struct verdict_figures figures = idle();

	figures.received = figures.attempts = figures.accepted = 1980;
	figures.attempts_in_window = 19800;
	figures.busy = 240;
	figures.held = 300;
	figures.visible = 495000;
	figures.in_flight = 300;
	figures.empty_ms = NOW_MS + 250000;
	return figures;
}

static void assert_verdict(const struct verdict_figures *figures, enum verdict_state state,
	enum admin_health health, const char *words)
{
	struct verdict verdict;

	verdict_of(figures, &verdict);
	assert_string_equal(verdict.words, words);
	assert_int_equal(verdict.state, state);
	assert_int_equal(verdict.health, health);
}

static void nothing_to_do(void **state)
{
	struct verdict_figures figures = idle();

	assert_verdict(&figures, VERDICT_IDLE, ADMIN_OK, "nothing to send");
	figures.visible = figures.in_flight = figures.delayed = -1;
	assert_verdict(&figures, VERDICT_IDLE, ADMIN_OK, "nothing to send");
	figures.delayed = 1;
	assert_verdict(
		&figures, VERDICT_IDLE, ADMIN_OK, "nothing to send now; 1 message is delayed");
	figures.delayed = 1234567;
	assert_verdict(&figures, VERDICT_IDLE, ADMIN_OK,
		"nothing to send now; 1,234,567 messages are delayed");
}

static void at_work(void **state)
{
	struct verdict_figures figures = sending();

	assert_verdict(&figures, VERDICT_SENDING, ADMIN_OK,
		"sending 1,980 messages/s; the queue is empty in about 4 min 10 s");
	figures.empty_ms = NOW_MS + 42100;
	assert_verdict(&figures, VERDICT_SENDING, ADMIN_OK,
		"sending 1,980 messages/s; the queue is empty in about 43 s");
	figures.empty_ms = NOW_MS + 26 * MINUTE_MS + 1000;
	assert_verdict(&figures, VERDICT_SENDING, ADMIN_OK,
		"sending 1,980 messages/s; the queue is empty in about 26 min");
	figures.empty_ms = NOW_MS + 120 * MINUTE_MS;
	assert_verdict(&figures, VERDICT_SENDING, ADMIN_OK,
		"sending 1,980 messages/s; the queue is empty at 10:00");
	figures.empty_ms = NOW_MS + 24 * 60 * MINUTE_MS;
	figures.utc_offset_s = 9 * 3600;
	assert_verdict(&figures, VERDICT_SENDING, ADMIN_OK,
		"sending 1,980 messages/s; the queue is empty at 2025-11-27 17:00");
	figures.empty_ms = -1;
	figures.accepted = 0.34;
	assert_verdict(&figures, VERDICT_SENDING, ADMIN_OK,
		"sending 0.3 messages/s; 495,300 messages in the queue");
	/* A deadline that is kept. */
	figures.utc_offset_s = 0;
	figures.deadline_ms = NOW_MS + 60 * MINUTE_MS;
	figures.deadline_of = "morning-coupon";
	assert_verdict(&figures, VERDICT_SENDING, ADMIN_OK,
		"sending 0.3 messages/s; 495,300 messages in the queue; the deadline of "
		"morning-coupon is 09:00");
}

static void too_late(void **state)
{
	struct verdict_figures figures = sending();

	figures.accepted = 400;
	figures.deadline_ms = NOW_MS + 60 * MINUTE_MS;
	figures.deadline_of = "morning-coupon";
	figures.empty_ms = NOW_MS + 72 * MINUTE_MS;
	assert_verdict(&figures, VERDICT_LATE, ADMIN_DEGRADED,
		"late: at 400 messages/s the queue is empty at 09:12, the deadline of "
		"morning-coupon is 09:00");
	/* One that is over says nothing of what is ahead. */
	figures.deadline_ms = NOW_MS - 1;
	assert_verdict(&figures, VERDICT_SENDING, ADMIN_OK,
		"sending 400 messages/s; the queue is empty in about 72 min");
	figures.expired = 12;
	assert_verdict(&figures, VERDICT_LATE, ADMIN_FAILED,
		"late: 12 messages a second are past their deadline and not sent; 495,300 "
		"messages in the queue");
	figures.expired = 0.01;
	assert_int_not_equal(figures.expired >= VERDICT_EXPIRING_MIN, 1);
	assert_verdict(&figures, VERDICT_SENDING, ADMIN_OK,
		"sending 400 messages/s; the queue is empty in about 72 min");
}

static void provider_fails(void **state)
{
	struct verdict_figures figures = sending();

	figures.failing = (struct verdict_failing){
		.destination = "line", .status = 429, .reason = "", .share = 0.38};
	figures.failing_share = 0.4;
	figures.accepted = 120;
	figures.rate = 2000;
	figures.limit = 60;
	assert_verdict(&figures, VERDICT_HELD_UP, ADMIN_DEGRADED,
		"held up: line answers 429 to 38 % of the attempts; the rate is down to 120/s of "
		"2,000/s, with 60 of 500 slots");
	figures.deadline_ms = NOW_MS + 60 * MINUTE_MS;
	figures.deadline_of = "";
	figures.empty_ms = NOW_MS + 61 * MINUTE_MS;
	figures.limit = 500;
	assert_verdict(&figures, VERDICT_HELD_UP, ADMIN_DEGRADED,
		"held up: line answers 429 to 38 % of the attempts; the rate is down to 120/s of "
		"2,000/s; at this pace the queue is empty at 09:01, the deadline of the messages "
		"is "
		"09:00");
	figures.deadline_ms = -1;
	figures.rate = NAN;
	figures.failing_share = 0.96;
	figures.failing = (struct verdict_failing){.reason = "timed out", .share = 0.96};
	assert_verdict(&figures, VERDICT_HELD_UP, ADMIN_FAILED,
		"held up: 96 % of the attempts at the provider fail: timed out; 120/s are "
		"accepted");
	figures.failing.share = 0;
	assert_verdict(&figures, VERDICT_HELD_UP, ADMIN_FAILED,
		"held up: 96 % of the attempts fail; 120/s are accepted");
	/* Few attempts, or few that fail, are no outage. */
	figures.attempts_in_window = 9;
	assert_verdict(&figures, VERDICT_SENDING, ADMIN_OK,
		"sending 120 messages/s; the queue is empty in about 61 min");
	figures.attempts_in_window = 1000;
	figures.failing_share = 0.09;
	assert_verdict(&figures, VERDICT_SENDING, ADMIN_OK,
		"sending 120 messages/s; the queue is empty in about 61 min");
}

static void breaker_is_open(void **state)
{
	struct verdict_figures figures = sending();

	figures.open = 1;
	figures.open_name = "line";
	figures.open_status = 401;
	assert_verdict(&figures, VERDICT_HELD_UP, ADMIN_FAILED,
		"held up: line refuses the token (401): mend it; a probe is sent every 5 s, later "
		"every minute");
	figures.destinations = 3;
	figures.open = 2;
	figures.open_status = 500;
	assert_verdict(&figures, VERDICT_HELD_UP, ADMIN_DEGRADED,
		"held up: line fails again and again (500); a probe is sent every few seconds; 2 "
		"of "
		"3 destinations are shut off");
	figures.open = 1;
	figures.open_status = 0;
	figures.open_reason = "could not connect";
	assert_verdict(&figures, VERDICT_HELD_UP, ADMIN_DEGRADED,
		"held up: line fails again and again (could not connect); a probe is sent every "
		"few "
		"seconds");
}

static void checks_have_failed(void **state)
{
	struct admin_check checks[] = {{"workers", ADMIN_OK, ""},
		{"credentials", ADMIN_FAILED, "the keys have expired"}, {"queue", ADMIN_OK, ""}};
	struct verdict_figures figures = sending();

	figures.checks = checks;
	figures.check_count = 3;
	figures.open = 1;
	figures.open_name = "line";
	assert_verdict(&figures, VERDICT_HELD_UP, ADMIN_FAILED,
		"held up: credentials: the keys have expired");
	figures.paused = true;
	assert_verdict(&figures, VERDICT_PAUSED, ADMIN_FAILED,
		"paused: nothing is sent until it is resumed; 495,300 messages in the queue; "
		"besides, credentials: the keys have expired");
	figures.paused = false;
	figures.open = 0;
	checks[1] = (struct admin_check){"credentials", ADMIN_DEGRADED, "cannot be renewed"};
	assert_verdict(&figures, VERDICT_SENDING, ADMIN_DEGRADED,
		"sending 1,980 messages/s; the queue is empty in about 4 min 10 s; credentials: "
		"cannot be renewed");
	checks[1] = (struct admin_check){"deletes", ADMIN_FAILED, ""};
	assert_verdict(&figures, VERDICT_HELD_UP, ADMIN_FAILED, "held up: deletes has failed");
}

static void no_workers(void **state)
{
	struct admin_check checks[] = {
		{"workers", ADMIN_FAILED, "0 of 2 are receiving; 2 starting"},
		{"queue", ADMIN_FAILED, "not asked yet"}};
	struct verdict_figures figures = idle();

	figures.checks = checks;
	figures.check_count = 2;
	figures.receiving = 0;
	figures.starting = 2;
	assert_verdict(&figures, VERDICT_STARTING, ADMIN_DEGRADED,
		"starting: none of 2 workers receives yet");
	checks[1].detail = "the host name does not resolve";
	assert_verdict(&figures, VERDICT_HELD_UP, ADMIN_FAILED,
		"held up: queue: the host name does not resolve");
	figures.died = 2;
	assert_verdict(&figures, VERDICT_HELD_UP, ADMIN_FAILED,
		"held up: no worker receives, 2 died and will be started again: the log says why");
	figures.died = 0;
	figures.silent = 1;
	assert_verdict(&figures, VERDICT_HELD_UP, ADMIN_FAILED,
		"held up: no worker receives, 1 is silent");
	figures.stopping = true;
	figures.paused = true;
	assert_verdict(&figures, VERDICT_STOPPING, ADMIN_DEGRADED, "stopping");
	figures.busy = 1;
	assert_verdict(&figures, VERDICT_STOPPING, ADMIN_DEGRADED,
		"stopping: 1 request in flight may finish");
}

static void paused(void **state)
{
	struct verdict_figures figures = idle();

	figures.paused = true;
	assert_verdict(&figures, VERDICT_PAUSED, ADMIN_DEGRADED,
		"paused: nothing is sent until it is resumed");
	figures.visible = 1;
	assert_verdict(&figures, VERDICT_PAUSED, ADMIN_DEGRADED,
		"paused: nothing is sent until it is resumed; 1 message in the queue");
	figures.deadline_ms = NOW_MS + MINUTE_MS;
	figures.deadline_of = "spring";
	assert_verdict(&figures, VERDICT_PAUSED, ADMIN_DEGRADED,
		"paused: nothing is sent until it is resumed; 1 message in the queue; the deadline "
		"of spring is 08:01");
}

static void sqs_fails(void **state)
{
	struct verdict_figures figures = sending();

	figures.sqs_throttled = 3;
	assert_verdict(&figures, VERDICT_HELD_UP, ADMIN_DEGRADED,
		"held up: SQS asks to slow down, 3 times a second");
	figures.sqs_throttled = 0.1;
	figures.sqs_errors = 0.7;
	assert_verdict(&figures, VERDICT_HELD_UP, ADMIN_DEGRADED,
		"held up: 0.7 calls to SQS fail each second: the log says why");
}

static void still(void **state)
{
	struct verdict_figures figures = idle();

	figures.visible = 12;
	assert_verdict(&figures, VERDICT_HELD_UP, ADMIN_DEGRADED,
		"held up: 12 messages wait in the queue and none was received for 10 s");
	figures.held = 1;
	assert_verdict(&figures, VERDICT_HELD_UP, ADMIN_DEGRADED,
		"held up: 1 message is held and none was sent for 10 s");
	/* Before there are two samples nobody knows. */
	figures.received = figures.attempts = figures.accepted = NAN;
	assert_verdict(&figures, VERDICT_SENDING, ADMIN_OK,
		"sending 0 messages/s; 12 messages in the queue");
}

/* Whatever the figures are: a sentence that ends, and known words. */
static void any_figures(void **state)
{
	char name[2000];
	struct admin_check check = {"queue", ADMIN_FAILED, name};
	struct verdict_figures figures = sending();
	struct verdict verdict;

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	figures.checks = &check;
	figures.check_count = 1;
	verdict_of(&figures, &verdict);
	assert_int_equal(strlen(verdict.words), VERDICT_WORDS_SIZE - 1);
	figures = sending();
	figures.accepted = 1e300;
	figures.empty_ms = figures.deadline_ms = INT64_MAX;
	figures.deadline_of = name;
	figures.visible = figures.in_flight = INT64_MAX / 2;
	verdict_of(&figures, &verdict);
	assert_string_equal(verdict_state_name(verdict.state), "sending");
	figures.now_ms = 0;
	figures.utc_offset_s = -43200;
	figures.empty_ms = 1;
	verdict_of(&figures, &verdict);
	assert_true(strlen(verdict.words) < VERDICT_WORDS_SIZE);
}

static void names(void **state)
{
	assert_string_equal(verdict_state_name(VERDICT_STARTING), "starting");
	assert_string_equal(verdict_state_name(VERDICT_IDLE), "idle");
	assert_string_equal(verdict_state_name(VERDICT_SENDING), "sending");
	assert_string_equal(verdict_state_name(VERDICT_LATE), "late");
	assert_string_equal(verdict_state_name(VERDICT_HELD_UP), "held_up");
	assert_string_equal(verdict_state_name(VERDICT_PAUSED), "paused");
	assert_string_equal(verdict_state_name(VERDICT_STOPPING), "stopping");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_to_do),
		cmocka_unit_test(at_work),
		cmocka_unit_test(too_late),
		cmocka_unit_test(provider_fails),
		cmocka_unit_test(breaker_is_open),
		cmocka_unit_test(checks_have_failed),
		cmocka_unit_test(no_workers),
		cmocka_unit_test(paused),
		cmocka_unit_test(sqs_fails),
		cmocka_unit_test(still),
		cmocka_unit_test(any_figures),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
