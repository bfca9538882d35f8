#include "campaign/tally_print.h"

#include "base/units.h"
#include "base/utf8.h"
#include "campaign/figures.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { BAR_MAX = 40, BAR_MIN = 8, INDENT = 14 };

#define RED "\033[31m"
#define YELLOW "\033[33m"
#define GREEN "\033[32m"
#define PLAIN "\033[0m"

static const struct {
	const char *words, *hint;
} limits[RESULT_LIMITS] = {
	[RESULT_LIMIT_NONE] = {"nothing: there is less to do than the workers could", ""},
	[RESULT_LIMIT_QUEUE] = {"the queue hands out less than there are slots",
		"is the list still being sent? else start more workers"},
	[RESULT_LIMIT_CONCURRENCY] = {"all slots are busy",
		"raise `concurrency`, or start more workers"},
	[RESULT_LIMIT_PROVIDER] = {"the provider throttles or has become slow",
		"its answers set the pace: see its latency in /metrics"},
	[RESULT_LIMIT_RATE] = {"the rate that is set",
		"if the provider takes more: `rate`, `bunshin campaign rate`"},
	[RESULT_LIMIT_BREAKER] = {"a breaker is open: the provider fails, or refuses the keys",
		"`bunshin health` and the workers' log say why"},
	[RESULT_LIMIT_QUOTA] = {"the provider's quota is used up",
		"raise it there: the workers go on by themselves within a minute"},
	[RESULT_LIMIT_PAUSED] = {"it is paused", "`bunshin campaign resume` goes on"},
};

void tally_reason_copy(struct tally_reason *reason, const struct results_reason *from)
{
	reason->outcome = from->outcome;
	reason->status = from->status;
	reason->count = from->count;
	snprintf(reason->reason, sizeof(reason->reason), "%s", from->reason);
	snprintf(reason->sample_key, sizeof(reason->sample_key), "%s", from->sample_key);
	snprintf(reason->sample_request_id, sizeof(reason->sample_request_id), "%s",
		from->sample_request_id);
}

static uint64_t ended_of(const struct tally *tally)
{
	return tally->accepted + tally->failed + tally->expired + tally->cancelled;
}

/* Rounded down: 100 % is all of it. */
static unsigned percent_of(const struct tally *tally)
{
	uint64_t ended = ended_of(tally);

	if (tally->total == 0)
		return 0;
	return (unsigned)(ended < UINT64_MAX / 100 ? ended * 100 / tally->total
						   : ended / (tally->total / 100));
}

/* ---- times and rates */

static void append_time(struct buf *out, int64_t epoch_ms, int64_t now_epoch_ms)
{
	time_t at = (time_t)(epoch_ms / 1000), now = (time_t)(now_epoch_ms / 1000);
	struct tm at_parts, now_parts;
	char text[64];
	bool same_day;

	if (!localtime_r(&at, &at_parts) || !localtime_r(&now, &now_parts)) {
		buf_append_string(out, "?");
		return;
	}
	same_day = at_parts.tm_yday == now_parts.tm_yday && at_parts.tm_year == now_parts.tm_year;
	if (strftime(text, sizeof(text), same_day ? "%H:%M:%S" : "%Y-%m-%d %H:%M:%S", &at_parts) ==
		0)
		text[0] = '\0';
	buf_append_string(out, text);
}

static void append_zone(struct buf *out, int64_t epoch_ms)
{
	time_t at = (time_t)(epoch_ms / 1000);
	struct tm parts;
	char text[64];

	if (localtime_r(&at, &parts) && strftime(text, sizeof(text), " %Z", &parts) > 0)
		buf_append_string(out, text);
}

static void append_rate(struct buf *out, double rate)
{
	if (rate < 0) {
		buf_append_string(out, "-");
		return;
	}
	if (rate > 0 && rate < 10) {
		buf_appendf(out, "%.1f/s", rate);
		return;
	}
	figures_append_count(out, (uint64_t)(rate + 0.5));
	buf_append_string(out, "/s");
}

static void append_rates(struct buf *out, const struct tally *tally)
{
	append_rate(out, tally->rate_now);
	buf_append_string(out, " now, ");
	append_rate(out, tally->rate_average);
	buf_append_string(out, " on average");
}

static int64_t seconds_between(int64_t from_epoch_ms, int64_t to_epoch_ms)
{
	return (to_epoch_ms - from_epoch_ms + 500) / 1000;
}

static void append_end(struct buf *out, const struct tally_view *view)
{
	const struct tally *tally = &view->tally;
	int64_t now = view->now_epoch_ms;

	if (tally->end_from_epoch_ms == 0) {
		buf_append_string(out, tally->done	 ? "all have ended"
				       : tally->at_least ? "nobody can tell: the total is not known"
				       : tally->stale	 ? "nobody can tell: nothing new is heard"
							 : "nobody can tell yet");
		return;
	}
	append_time(out, tally->end_from_epoch_ms, now);
	buf_append_string(out, " to ");
	append_time(out, tally->end_to_epoch_ms, now);
	append_zone(out, tally->end_to_epoch_ms);
	buf_append_string(out, " (in ");
	figures_append_duration(out, seconds_between(now, tally->end_from_epoch_ms));
	buf_append_string(out, " to ");
	figures_append_duration(out, seconds_between(now, tally->end_to_epoch_ms));
	buf_append_string(out, ")");
}

static void append_would_expire(struct buf *out, const struct tally *tally)
{
	if (tally->would_expire_from != tally->would_expire_to) {
		figures_append_count(out, tally->would_expire_from);
		buf_append_string(out, " to ");
	}
	figures_append_count(out, tally->would_expire_to);
	buf_append_string(out, " will expire");
}

static void append_verdict(struct buf *out, const struct tally *tally)
{
	switch (tally->deadline) {
	case TALLY_IN_TIME:
		buf_append_string(out, "in time");
		break;
	case TALLY_MAYBE_LATE:
		buf_append_string(out, "maybe late: ");
		append_would_expire(out, tally);
		break;
	case TALLY_LATE:
		buf_append_string(out, "too late: ");
		append_would_expire(out, tally);
		break;
	case TALLY_UNCERTAIN:
		buf_append_string(out, "nobody can tell yet");
		break;
	case TALLY_NO_DEADLINE:
	default:
		buf_append_string(out, tally->done ? "done" : "nothing is left");
		break;
	}
}

static void append_deadline(struct buf *out, const struct tally_view *view)
{
	int64_t left = view->deadline_epoch_ms - view->now_epoch_ms;

	append_time(out, view->deadline_epoch_ms, view->now_epoch_ms);
	append_zone(out, view->deadline_epoch_ms);
	if (left > 0) {
		buf_append_string(out, " (in ");
		figures_append_duration(out, seconds_between(0, left));
		buf_append_string(out, "): ");
	} else {
		buf_append_string(out, " (past): ");
	}
	append_verdict(out, &view->tally);
}

/* ---- the screen */

struct screen {
	const struct tally_view *view;
	struct buf line; /* reused */
	struct buf *out;
	unsigned columns, rows, row;
	bool colour;
};

/* Columns of a character: what may be wide is taken to be. */
static unsigned columns_of(const char *text, size_t bytes)
{
	return bytes < 3 || (bytes == 3 && (unsigned char)text[0] == 0xe0) ? 1 : 2;
}

/* Ends the line that stands in screen->line. */
static void end_line(struct screen *screen, const char *colour)
{
	const char *text = buf_string(&screen->line);
	size_t at = 0, bytes;
	unsigned columns = 0;

	if (screen->row++ < screen->rows) {
		while (at < screen->line.len) {
			bytes = utf8_sequence(text + at, screen->line.len - at);
			bytes = bytes ? bytes : 1;
			columns += columns_of(text + at, bytes);
			if (columns > screen->columns)
				break;
			at += bytes;
		}
		if (screen->colour && colour)
			buf_append_string(screen->out, colour);
		buf_append(screen->out, text, at);
		if (screen->colour && colour)
			buf_append_string(screen->out, PLAIN);
		buf_append_char(screen->out, '\n');
	}
	buf_clear(&screen->line);
}

/* "  label       ": what follows is appended to screen->line. */
static struct buf *begin_line(struct screen *screen, const char *label)
{
	buf_appendf(&screen->line, "  %-*s", INDENT - 2, label);
	return &screen->line;
}

static void put_count(struct screen *screen, const char *label, uint64_t count, const char *note,
	const char *colour)
{
	struct buf number = BUF_INIT(64);

	figures_append_count(&number, count);
	buf_appendf(begin_line(screen, label), "%13s%s%s", buf_string(&number), note[0] ? "  " : "",
		note);
	end_line(screen, colour);
	buf_free(&number);
}

static void put_title(struct screen *screen)
{
	const struct tally_view *view = screen->view;

	buf_appendf(&screen->line, "campaign %s", view->campaign[0] ? view->campaign : "(none)");
	if (view->has_journal && !view->is_sent) {
		buf_append_string(&screen->line, ": sending the list, ");
		figures_append_count(&screen->line, view->confirmed);
		buf_append_string(&screen->line, " of ");
		figures_append_count(&screen->line, view->to_send);
		buf_append_string(&screen->line, " in the queue");
	} else if (view->tally.done) {
		buf_append_string(&screen->line, ": done");
	}
	end_line(screen, NULL);
}

static void put_bar(struct screen *screen)
{
	const struct tally *tally = &screen->view->tally;
	unsigned percent = percent_of(tally), width = BAR_MAX, filled;
	struct buf figures = BUF_INIT(200);

	if (tally->at_least) {
		figures_append_count(&screen->line, ended_of(tally));
		buf_append_string(&screen->line, " ended; the total is not known");
		end_line(screen, NULL);
		return;
	}
	buf_appendf(&figures, "%3u%%  ", percent);
	figures_append_count(&figures, ended_of(tally));
	buf_append_string(&figures, " of ");
	figures_append_count(&figures, tally->total);
	buf_append_string(&figures, " ended");
	if (figures.len + 3 + width > screen->columns)
		width = screen->columns > figures.len + 3
				? screen->columns - (unsigned)figures.len - 3
				: 0;
	if (width >= BAR_MIN) {
		filled = width * percent / 100;
		buf_append_char(&screen->line, '[');
		for (unsigned i = 0; i < width; i++)
			buf_append_char(&screen->line, i < filled ? '=' : i == filled ? '>' : ' ');
		buf_append_string(&screen->line, "] ");
	}
	buf_append(&screen->line, buf_string(&figures), figures.len);
	end_line(screen, NULL);
	buf_free(&figures);
}

static void put_identity(struct screen *screen)
{
	const struct tally *tally = &screen->view->tally;

	put_count(screen, "waiting", tally->waiting, "", NULL);
	put_count(screen, "in flight", tally->in_flight, "", NULL);
	put_count(screen, "accepted", tally->accepted, "by the provider", NULL);
	put_count(screen, "retrying", tally->retrying, "", NULL);
	put_count(screen, "failed", tally->failed, "", tally->failed ? RED : NULL);
	put_count(screen, "expired", tally->expired, "not sent", tally->expired ? RED : NULL);
	put_count(screen, "cancelled", tally->cancelled, "not sent", NULL);
	put_count(screen, "total", tally->total, tally->at_least ? "or more" : "", NULL);
	if (tally->uncertain > 0)
		put_count(screen, "uncertain", tally->uncertain,
			"not accepted, yet no answer came: maybe sent", YELLOW);
}

static void put_time(struct screen *screen)
{
	const struct tally_view *view = screen->view;
	const struct tally *tally = &view->tally;
	const char *colour = tally->deadline == TALLY_LATE	   ? RED
			     : tally->deadline == TALLY_MAYBE_LATE ? YELLOW
			     : tally->deadline == TALLY_IN_TIME	   ? GREEN
								   : NULL;

	append_rates(begin_line(screen, "rate"), tally);
	end_line(screen, NULL);
	append_end(begin_line(screen, "end"), view);
	end_line(screen, tally->deadline == TALLY_LATE ? RED : NULL);
	if (view->deadline_epoch_ms == 0)
		return;
	append_deadline(begin_line(screen, "deadline"), view);
	end_line(screen, colour);
}

static void append_silence(struct buf *out, const struct tally_view *view)
{
	if (view->last_heard_epoch_ms == 0) {
		buf_append_string(out, "none has been heard of");
		return;
	}
	buf_append_string(out, "none heard of for ");
	figures_append_duration(
		out, seconds_between(view->last_heard_epoch_ms, view->now_epoch_ms));
}

static void put_workers(struct screen *screen)
{
	const struct tally *tally = &screen->view->tally;

	if (tally->done)
		return;
	if (tally->workers == 0) {
		append_silence(begin_line(screen, "workers"), screen->view);
		end_line(screen, YELLOW);
		return;
	}
	buf_appendf(begin_line(screen, "held up by"), "%s", limits[tally->limit].words);
	end_line(screen, tally->limit >= RESULT_LIMIT_BREAKER ? YELLOW : NULL);
	if (limits[tally->limit].hint[0]) {
		buf_appendf(begin_line(screen, ""), "%s", limits[tally->limit].hint);
		end_line(screen, NULL);
	}
	buf_appendf(begin_line(screen, "workers"), "%u, of which %u say so", tally->workers,
		tally->limit_workers);
	end_line(screen, NULL);
}

static void put_reasons(struct screen *screen)
{
	for (size_t i = 0; i < screen->view->reason_count; i++) {
		const struct tally_reason *reason = &screen->view->reasons[i];
		struct buf note = BUF_INIT(2048);

		if (i == 0) {
			end_line(screen, NULL);
			buf_append_string(&screen->line, "not accepted, by reason");
			end_line(screen, NULL);
		}
		if (reason->status > 0)
			buf_appendf(&note, "%d ", reason->status);
		buf_append_string(
			&note, reason->reason[0] ? reason->reason : "no reason was given");
		put_count(screen, result_outcome_name(reason->outcome), reason->count,
			buf_string(&note), NULL);
		buf_appendf(&screen->line, "      such as key %s%s%s", reason->sample_key,
			reason->sample_request_id[0] ? ", request " : "",
			reason->sample_request_id);
		end_line(screen, NULL);
		buf_free(&note);
	}
}

static void put_troubles(struct screen *screen)
{
	const struct tally_view *view = screen->view;

	if (view->unreadable > 0) {
		buf_append_string(begin_line(screen, "unreadable"), "");
		figures_append_count(&screen->line, view->unreadable);
		buf_append_string(&screen->line, " results made no sense and were left out");
		end_line(screen, YELLOW);
	}
	if (view->trouble) {
		buf_appendf(begin_line(screen, "trouble"), "%s", view->trouble);
		end_line(screen, RED);
	}
}

int tally_print_screen(const struct tally_view *view, unsigned columns, unsigned rows, bool colour,
	struct buf *out)
{
	struct screen screen = {.view = view,
		.line = BUF_INIT(4096),
		.out = out,
		.columns = columns,
		.rows = rows,
		.colour = colour};

	put_title(&screen);
	put_bar(&screen);
	put_identity(&screen);
	put_time(&screen);
	put_workers(&screen);
	put_troubles(&screen);
	put_reasons(&screen);
	if (screen.line.err)
		out->err = screen.line.err;
	buf_free(&screen.line);
	return out->err;
}

/* ---- a line */

int tally_print_sentence(const struct tally_view *view, struct buf *out)
{
	const struct tally *tally = &view->tally;

	buf_appendf(out,
		"%s%" PRIu64 " = waiting %" PRIu64 " + in flight %" PRIu64 " + accepted %" PRIu64
		" + retrying %" PRIu64 " + failed %" PRIu64 " + expired %" PRIu64
		" + cancelled %" PRIu64,
		tally->at_least ? "at least " : "", tally->total, tally->waiting, tally->in_flight,
		tally->accepted, tally->retrying, tally->failed, tally->expired, tally->cancelled);
	if (tally->uncertain > 0)
		buf_appendf(out, " (uncertain %" PRIu64 ")", tally->uncertain);
	buf_append_string(out, "; ");
	append_rates(out, tally);
	buf_append_string(out, "; end ");
	append_end(out, view);
	if (view->deadline_epoch_ms > 0) {
		buf_append_string(out, "; deadline ");
		append_deadline(out, view);
	}
	if (tally->done)
		return out->err;
	if (tally->workers > 0)
		buf_appendf(out, "; held up by %s (%u of %u workers)", limits[tally->limit].words,
			tally->limit_workers, tally->workers);
	else {
		buf_append_string(out, "; workers: ");
		append_silence(out, view);
	}
	return out->err;
}

/* ---- JSON */

static void put_json_count(struct buf *out, const char *name, uint64_t count)
{
	buf_appendf(out, ",\"%s\":%" PRIu64, name, count);
}

static void put_json_time(struct buf *out, const char *name, int64_t epoch_ms)
{
	char text[UNITS_TEXT_MAX];

	if (epoch_ms > 0)
		buf_appendf(out, ",\"%s\":\"%s\"", name, units_format_rfc3339(epoch_ms, text));
	else
		buf_appendf(out, ",\"%s\":null", name);
}

static void put_json_rate(struct buf *out, const char *name, double rate)
{
	if (rate < 0)
		buf_appendf(out, ",\"%s\":null", name);
	else
		buf_appendf(out, ",\"%s\":%.1f", name, rate);
}

static void put_json_reasons(struct buf *out, const struct tally_view *view)
{
	buf_append_string(out, ",\"reasons\":[");
	for (size_t i = 0; i < view->reason_count; i++) {
		const struct tally_reason *reason = &view->reasons[i];

		buf_appendf(out, "%s{\"outcome\":\"%s\",\"status\":%d,\"count\":%" PRIu64,
			i ? "," : "", result_outcome_name(reason->outcome), reason->status,
			reason->count);
		figures_append_json(out, "reason", reason->reason);
		figures_append_json(out, "sample_key", reason->sample_key);
		figures_append_json(out, "sample_request_id", reason->sample_request_id);
		buf_append_char(out, '}');
	}
	buf_append_char(out, ']');
}

int tally_print_json(const struct tally_view *view, struct buf *out)
{
	static const char *const verdicts[] = {
		[TALLY_NO_DEADLINE] = "none",
		[TALLY_UNCERTAIN] = "unknown",
		[TALLY_IN_TIME] = "in time",
		[TALLY_MAYBE_LATE] = "maybe late",
		[TALLY_LATE] = "late",
	};
	const struct tally *tally = &view->tally;
	char text[UNITS_TEXT_MAX];

	buf_appendf(out, "{\"at\":\"%s\"", units_format_rfc3339(view->now_epoch_ms, text));
	figures_append_json(out, "campaign", view->campaign);
	put_json_count(out, "total", tally->total);
	buf_appendf(out, ",\"at_least\":%s", tally->at_least ? "true" : "false");
	put_json_count(out, "waiting", tally->waiting);
	put_json_count(out, "in_flight", tally->in_flight);
	put_json_count(out, "accepted", tally->accepted);
	put_json_count(out, "retrying", tally->retrying);
	put_json_count(out, "failed", tally->failed);
	put_json_count(out, "expired", tally->expired);
	put_json_count(out, "cancelled", tally->cancelled);
	put_json_count(out, "uncertain", tally->uncertain);
	buf_appendf(out, ",\"done\":%s", tally->done ? "true" : "false");
	put_json_rate(out, "rate_now", tally->rate_now);
	put_json_rate(out, "rate_average", tally->rate_average);
	put_json_time(out, "end_from", tally->end_from_epoch_ms);
	put_json_time(out, "end_to", tally->end_to_epoch_ms);
	put_json_time(out, "deadline", view->deadline_epoch_ms);
	figures_append_json(out, "deadline_verdict", verdicts[tally->deadline]);
	put_json_count(out, "would_expire_from", tally->would_expire_from);
	put_json_count(out, "would_expire_to", tally->would_expire_to);
	if (tally->workers > 0)
		figures_append_json(out, "limit", result_limit_name(tally->limit));
	else
		buf_append_string(out, ",\"limit\":null");
	put_json_count(out, "limit_workers", tally->limit_workers);
	put_json_count(out, "workers", tally->workers);
	put_json_time(out, "last_heard", view->last_heard_epoch_ms);
	if (view->has_journal)
		buf_appendf(out, ",\"sent\":%s,\"confirmed\":%" PRIu64,
			view->is_sent ? "true" : "false", view->confirmed);
	else
		buf_append_string(out, ",\"sent\":null,\"confirmed\":null");
	put_json_count(out, "unreadable", view->unreadable);
	figures_append_json(out, "source", view->source);
	if (view->trouble)
		figures_append_json(out, "trouble", view->trouble);
	else
		buf_append_string(out, ",\"trouble\":null");
	put_json_reasons(out, view);
	buf_append_char(out, '}');
	return out->err;
}
