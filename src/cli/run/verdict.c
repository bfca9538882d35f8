#include "cli/run/verdict.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NUMBER_SIZE 32
#define TIME_SIZE 32
#define DAY_S 86400
#define SOON_MS INT64_C(5400000) /* an end within 90 minutes is said in minutes */

const char *verdict_state_name(enum verdict_state state)
{
	static const char *const names[] = {[VERDICT_STARTING] = "starting",
		[VERDICT_IDLE] = "idle",
		[VERDICT_SENDING] = "sending",
		[VERDICT_LATE] = "late",
		[VERDICT_HELD_UP] = "held_up",
		[VERDICT_PAUSED] = "paused",
		[VERDICT_STOPPING] = "stopping"};

	return names[state];
}

/* ---- words */

__attribute__((format(printf, 2, 3))) static void say(
	struct verdict *verdict, const char *format, ...)
{
	size_t len = strlen(verdict->words);
	va_list args;

	va_start(args, format);
	vsnprintf(verdict->words + len, sizeof(verdict->words) - len, format, args);
	va_end(args);
}

static void judge(struct verdict *verdict, enum verdict_state state, enum admin_health health)
{
	verdict->state = state;
	verdict->health = health;
}

/* "1,980"; of less than ten with a decimal, "0.3". */
static const char *number(double value, char text[NUMBER_SIZE])
{
	char digits[NUMBER_SIZE];
	size_t len, out = 0;

	if (!(value >= 0))
		value = 0;
	if (value > 1e15)
		value = 1e15;
	if (value < 9.95 && value != floor(value)) {
		snprintf(text, NUMBER_SIZE, "%.1f", value);
		return text;
	}
	len = (size_t)snprintf(digits, sizeof(digits), "%.0f", value);
	for (size_t i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			text[out++] = ',';
		text[out++] = digits[i];
	}
	text[out] = '\0';
	return text;
}

static const char *plural(double count)
{
	return count == 1 ? "" : "s";
}

/* "about 4 min 10 s", rounded up to what can be meant. */
static const char *span(int64_t ms, char text[TIME_SIZE])
{
	int64_t s = (ms + 999) / 1000;

	if (s < 60)
		snprintf(text, TIME_SIZE, "about %" PRId64 " s", s > 0 ? s : 1);
	else if (s < 600)
		snprintf(text, TIME_SIZE, "about %" PRId64 " min %" PRId64 " s", s / 60,
			s % 60 / 10 * 10);
	else
		snprintf(text, TIME_SIZE, "about %" PRId64 " min", (s + 30) / 60);
	return text;
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* "09:12"; of another day with its date, "2026-11-27 09:12" (days to civil: H. Hinnant). */
static const char *clock_time(
	const struct verdict_figures *figures, int64_t ms, char text[TIME_SIZE])
{
	int64_t local_s = floor_div(ms, 1000) + figures->utc_offset_s;
	int64_t now_s = floor_div(figures->now_ms, 1000) + figures->utc_offset_s;
	int64_t day = floor_div(local_s, DAY_S), s = local_s - day * DAY_S;
	int64_t z = day + 719468, era = floor_div(z, 146097), doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
	int month = (int)(mp < 10 ? mp + 3 : mp - 9);

	if (floor_div(now_s, DAY_S) == day)
		snprintf(text, TIME_SIZE, "%02d:%02d", (int)(s / 3600), (int)(s / 60 % 60));
	else
		snprintf(text, TIME_SIZE, "%04d-%02d-%02d %02d:%02d",
			(int)(yoe + era * 400 + (month <= 2)) % 10000, month,
			(int)(doy - (153 * mp + 2) / 5 + 1), (int)(s / 3600), (int)(s / 60 % 60));
	return text;
}

/* ---- what can be added to a row */

static int64_t waiting(const struct verdict_figures *figures)
{
	return (figures->visible > 0 ? figures->visible : 0) +
	       (figures->in_flight > 0 ? figures->in_flight : 0);
}

static bool misses_deadline(const struct verdict_figures *figures)
{
	return figures->deadline_ms > figures->now_ms && figures->empty_ms > figures->deadline_ms;
}

static const char *deadline_owner(const struct verdict_figures *figures)
{
	return figures->deadline_of && figures->deadline_of[0] ? figures->deadline_of
							       : "the messages";
}

static void say_deadline(struct verdict *verdict, const struct verdict_figures *figures)
{
	char empty[TIME_SIZE], deadline[TIME_SIZE];

	if (misses_deadline(figures))
		say(verdict, "; at this pace the queue is empty at %s, the deadline of %s is %s",
			clock_time(figures, figures->empty_ms, empty), deadline_owner(figures),
			clock_time(figures, figures->deadline_ms, deadline));
	else if (figures->deadline_ms > figures->now_ms && waiting(figures) > 0)
		say(verdict, "; the deadline of %s is %s", deadline_owner(figures),
			clock_time(figures, figures->deadline_ms, deadline));
}

static void say_waiting(struct verdict *verdict, const struct verdict_figures *figures)
{
	char count[NUMBER_SIZE];

	if (waiting(figures) > 0)
		say(verdict, "; %s message%s in the queue", number((double)waiting(figures), count),
			plural((double)waiting(figures)));
}

static const struct admin_check *worst_check(
	const struct verdict_figures *figures, enum admin_health at_least)
{
	const struct admin_check *worst = NULL;

	for (size_t i = 0; i < figures->check_count; i++)
		if (figures->checks[i].health >= at_least &&
			(!worst || figures->checks[i].health > worst->health))
			worst = &figures->checks[i];
	return worst;
}

static void say_check(struct verdict *verdict, const struct admin_check *check)
{
	say(verdict, "%s%s%s", check->name, check->detail[0] ? ": " : " has failed", check->detail);
}

/* ---- the rows */

static bool is_stopping(const struct verdict_figures *figures, struct verdict *verdict)
{
	char busy[NUMBER_SIZE];

	if (!figures->stopping)
		return false;
	judge(verdict, VERDICT_STOPPING, ADMIN_DEGRADED);
	say(verdict, "stopping");
	if (figures->busy > 0)
		say(verdict, ": %s request%s in flight may finish",
			number((double)figures->busy, busy), plural((double)figures->busy));
	return true;
}

/* Before the first answer of the queue these have failed because nobody has asked yet. */
static const struct admin_check *failed_while_starting(const struct verdict_figures *figures)
{
	for (size_t i = 0; i < figures->check_count; i++) {
		const struct admin_check *check = &figures->checks[i];

		if (check->health == ADMIN_FAILED && strcmp(check->name, "workers") != 0 &&
			strcmp(check->detail, "not asked yet") != 0)
			return check;
	}
	return NULL;
}

static bool is_without_workers(const struct verdict_figures *figures, struct verdict *verdict)
{
	const struct admin_check *check = failed_while_starting(figures);

	if (figures->receiving > 0)
		return false;
	if (figures->died == 0 && figures->silent == 0) {
		if (check)
			return false;
		judge(verdict, VERDICT_STARTING, ADMIN_DEGRADED);
		say(verdict, "starting: none of %u worker%s receives yet", figures->wanted,
			plural(figures->wanted));
		return true;
	}
	judge(verdict, VERDICT_HELD_UP, ADMIN_FAILED);
	say(verdict, "held up: no worker receives");
	if (figures->died > 0)
		say(verdict, ", %u died and will be started again: the log says why",
			figures->died);
	if (figures->silent > 0)
		say(verdict, ", %u %s silent", figures->silent,
			figures->silent == 1 ? "is" : "are");
	return true;
}

static bool is_paused(const struct verdict_figures *figures, struct verdict *verdict)
{
	const struct admin_check *check = failed_while_starting(figures);

	if (!figures->paused)
		return false;
	judge(verdict, VERDICT_PAUSED, check ? ADMIN_FAILED : ADMIN_DEGRADED);
	say(verdict, "paused: nothing is sent until it is resumed");
	say_waiting(verdict, figures);
	if (check) {
		say(verdict, "; besides, ");
		say_check(verdict, check);
	}
	say_deadline(verdict, figures);
	return true;
}

static bool has_failed_check(const struct verdict_figures *figures, struct verdict *verdict)
{
	const struct admin_check *check = failed_while_starting(figures);

	if (!check)
		check = worst_check(figures, ADMIN_FAILED);
	if (!check)
		return false;
	judge(verdict, VERDICT_HELD_UP, ADMIN_FAILED);
	say(verdict, "held up: ");
	say_check(verdict, check);
	say_deadline(verdict, figures);
	return true;
}

static bool is_refusal(int status)
{
	return status == 401 || status == 403;
}

static bool is_broken(const struct verdict_figures *figures, struct verdict *verdict)
{
	const char *reason = figures->open_reason && figures->open_reason[0] ? figures->open_reason
									     : "no answer";

	if (figures->open == 0)
		return false;
	judge(verdict, VERDICT_HELD_UP,
		figures->open >= figures->destinations ? ADMIN_FAILED : ADMIN_DEGRADED);
	say(verdict, "held up: %s ", figures->open_name);
	if (is_refusal(figures->open_status))
		say(verdict,
			"refuses the token (%d): mend it; a probe is sent every 5 s, later every "
			"minute",
			figures->open_status);
	else if (figures->open_status > 0)
		say(verdict, "fails again and again (%d); a probe is sent every few seconds",
			figures->open_status);
	else
		say(verdict, "fails again and again (%s); a probe is sent every few seconds",
			reason);
	if (figures->open > 1)
		say(verdict, "; %u of %u destinations are shut off", figures->open,
			figures->destinations);
	say_deadline(verdict, figures);
	return true;
}

static void say_failing(struct verdict *verdict, const struct verdict_figures *figures)
{
	const struct verdict_failing *most = &figures->failing;
	const char *who =
		most->destination && most->destination[0] ? most->destination : "the provider";
	int percent = (int)(most->share * 100 + 0.5);

	if (most->share > 0 && most->status > 0)
		say(verdict, "held up: %s answers %d to %d %% of the attempts", who, most->status,
			percent);
	else if (most->share > 0)
		say(verdict, "held up: %d %% of the attempts at %s fail: %s", percent, who,
			most->reason && most->reason[0] ? most->reason : "no answer");
	else
		say(verdict, "held up: %d %% of the attempts fail",
			(int)(figures->failing_share * 100 + 0.5));
}

static bool is_failing(const struct verdict_figures *figures, struct verdict *verdict)
{
	char accepted[NUMBER_SIZE], rate[NUMBER_SIZE];

	if (!(figures->attempts_in_window >= VERDICT_ATTEMPTS_MIN) ||
		!(figures->failing_share >= VERDICT_FAILING))
		return false;
	judge(verdict, VERDICT_HELD_UP,
		figures->failing_share >= VERDICT_FAILING_DEAD ? ADMIN_FAILED : ADMIN_DEGRADED);
	say_failing(verdict, figures);
	if (figures->rate > 0)
		say(verdict, "; the rate is down to %s/s of %s/s",
			number(figures->accepted, accepted), number(figures->rate, rate));
	else
		say(verdict, "; %s/s are accepted", number(figures->accepted, accepted));
	if (figures->limit > 0 && figures->limit < figures->configured)
		say(verdict, ", with %" PRId64 " of %" PRId64 " slots", figures->limit,
			figures->configured);
	say_deadline(verdict, figures);
	return true;
}

static bool is_throttled(const struct verdict_figures *figures, struct verdict *verdict)
{
	char count[NUMBER_SIZE];

	if (figures->sqs_throttled >= 0.5)
		say(verdict, "held up: SQS asks to slow down, %s times a second",
			number(figures->sqs_throttled, count));
	else if (figures->sqs_errors >= 0.5)
		say(verdict, "held up: %s calls to SQS fail each second: the log says why",
			number(figures->sqs_errors, count));
	else
		return false;
	judge(verdict, VERDICT_HELD_UP, ADMIN_DEGRADED);
	say_deadline(verdict, figures);
	return true;
}

static bool is_late(const struct verdict_figures *figures, struct verdict *verdict)
{
	char expired[NUMBER_SIZE], accepted[NUMBER_SIZE], empty[TIME_SIZE], deadline[TIME_SIZE];

	if (figures->expired >= VERDICT_EXPIRING_MIN) {
		judge(verdict, VERDICT_LATE, ADMIN_FAILED);
		say(verdict, "late: %s messages a second are past their deadline and not sent",
			number(figures->expired, expired));
		say_waiting(verdict, figures);
		say_deadline(verdict, figures);
		return true;
	}
	if (!misses_deadline(figures))
		return false;
	judge(verdict, VERDICT_LATE, ADMIN_DEGRADED);
	say(verdict, "late: at %s messages/s the queue is empty at %s, the deadline of %s is %s",
		number(figures->accepted, accepted), clock_time(figures, figures->empty_ms, empty),
		deadline_owner(figures), clock_time(figures, figures->deadline_ms, deadline));
	return true;
}

static bool moves(const struct verdict_figures *figures)
{
	return figures->received > 0 || figures->attempts > 0 || figures->accepted > 0 ||
	       figures->busy > 0;
}

/* Of a figure that is not known, nobody can say that it stands still. */
static bool stands_still(const struct verdict_figures *figures, struct verdict *verdict)
{
	char count[NUMBER_SIZE];

	if (moves(figures) || isnan(figures->received) || isnan(figures->attempts))
		return false;
	if (figures->held > 0)
		say(verdict, "held up: %s message%s held and none was sent for 10 s",
			number((double)figures->held, count), figures->held == 1 ? " is" : "s are");
	else if (figures->visible > 0)
		say(verdict, "held up: %s message%s in the queue and none was received for 10 s",
			number((double)figures->visible, count),
			figures->visible == 1 ? " waits" : "s wait");
	else
		return false;
	judge(verdict, VERDICT_HELD_UP, ADMIN_DEGRADED);
	say_deadline(verdict, figures);
	return true;
}

static bool is_sending(const struct verdict_figures *figures, struct verdict *verdict)
{
	char count[NUMBER_SIZE], time[TIME_SIZE];
	int64_t left_ms = figures->empty_ms - figures->now_ms;

	if (!moves(figures) && figures->held <= 0 && figures->visible <= 0)
		return false;
	judge(verdict, VERDICT_SENDING, ADMIN_OK);
	say(verdict, "sending %s messages/s", number(figures->accepted, count));
	if (figures->empty_ms >= 0 && left_ms > 0 && left_ms <= SOON_MS)
		say(verdict, "; the queue is empty in %s", span(left_ms, time));
	else if (figures->empty_ms >= 0 && left_ms > 0)
		say(verdict, "; the queue is empty at %s",
			clock_time(figures, figures->empty_ms, time));
	else
		say_waiting(verdict, figures);
	say_deadline(verdict, figures);
	return true;
}

static bool is_idle(const struct verdict_figures *figures, struct verdict *verdict)
{
	char count[NUMBER_SIZE];

	judge(verdict, VERDICT_IDLE, ADMIN_OK);
	say(verdict, "nothing to send");
	if (figures->delayed > 0)
		say(verdict, " now; %s message%s delayed", number((double)figures->delayed, count),
			figures->delayed == 1 ? " is" : "s are");
	return true;
}

/* The state does not change for a check that is degraded; its words are said. */
static void heed_checks(const struct verdict_figures *figures, struct verdict *verdict)
{
	const struct admin_check *worst = worst_check(figures, ADMIN_DEGRADED);

	if (!worst || verdict->health != ADMIN_OK)
		return;
	verdict->health = ADMIN_DEGRADED;
	say(verdict, "; ");
	say_check(verdict, worst);
}

void verdict_of(const struct verdict_figures *figures, struct verdict *ret_verdict)
{
	static bool (*const rows[])(
		const struct verdict_figures *figures, struct verdict *verdict) = {is_stopping,
		is_without_workers, is_paused, has_failed_check, is_broken, is_failing,
		is_throttled, is_late, stands_still, is_sending, is_idle};

	ret_verdict->words[0] = '\0';
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i](figures, ret_verdict))
			break;
	heed_checks(figures, ret_verdict);
}
