/* The rows above the lists. */
#include "cli/top/layout.h"
#include "cli/top/words.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#define LABEL_COLUMNS 10u
#define LABELLED_FROM 30u /* columns of a screen; a narrower one has room for the items alone */
#define TEXT_MAX ((size_t)16 << 10)
#define CHECKS_SHOWN 3

/* A row of "label  item  item ..." being written; what has no room is left out from the end. */
struct flow {
	struct canvas *canvas;
	unsigned row, start, column;
	bool full;
};

static struct flow flow_begin(struct canvas *canvas, unsigned row, const char *label)
{
	unsigned start = canvas->width < LABELLED_FROM ? 0 : LABEL_COLUMNS;

	if (start > 0)
		canvas_put(canvas, row, 0, LABEL_COLUMNS - 1, STYLE_STRONG, label);
	return (struct flow){canvas, row, start, start, false};
}

static void flow_text(struct flow *flow, enum style style, const char *text)
{
	unsigned columns = canvas_measure(flow->canvas, text);
	bool first = flow->column == flow->start;
	unsigned at = first ? flow->column : flow->column + 2;

	if (flow->full)
		return;
	if (!first && at + columns > flow->canvas->width) {
		flow->full = true;
		return;
	}
	flow->column = at + canvas_put(flow->canvas, flow->row, at, columns, style, text);
}

typedef void words(struct buf *out, double number);

/* "name 12 after"; either may be "". */
static void flow_item(struct flow *flow, enum style style, const char *name, words *write,
	double number, const char *after)
{
	struct buf text = BUF_INIT(256);

	buf_appendf(&text, "%s%s", name, name[0] ? " " : "");
	write(&text, number);
	buf_append_string(&text, after);
	flow_text(flow, style, buf_string(&text));
	buf_free(&text);
}

static enum style bad_if(double number)
{
	return number > 0 ? STYLE_BAD : STYLE_PLAIN;
}

/* ---- who speaks, and whether it does */

static void append_title(const struct top_view *view, struct buf *text)
{
	const struct status *status = view->status;

	buf_append_string(text, "bunshin");
	if (!status) {
		buf_appendf(text, " at %s", view->address);
		return;
	}
	buf_appendf(text, " %s on %s", status->version, status->host);
	if (status->queue_name[0])
		buf_appendf(text, ", queue %s", status->queue_name);
	if (isnan(status->started_ms))
		return;
	buf_append_string(text, ", up ");
	words_span(text, status->now_ms - status->started_ms);
}

static double time_shown(const struct top_view *view)
{
	return view->status ? view->status->now_ms : view->now_ms;
}

static unsigned draw_title(const struct top_view *view, struct canvas *canvas, unsigned row)
{
	struct buf left = BUF_INIT(TEXT_MAX), right = BUF_INIT(64);
	unsigned room = canvas->width, columns;

	append_title(view, &left);
	words_clock(&right, time_shown(view));
	columns = canvas_measure(canvas, buf_string(&right));
	if (canvas->width > columns + 2) {
		canvas_put(canvas, row, canvas->width - columns, columns, STYLE_TITLE,
			buf_string(&right));
		room -= columns + 2;
	}
	canvas_put(canvas, row, 0, room, STYLE_TITLE, buf_string(&left));
	canvas_style_row(canvas, row, STYLE_TITLE);
	buf_free(&left);
	buf_free(&right);
	return row + 1;
}

/* Of a block of text, which others follow: with the date, in front. */
static unsigned draw_dated_title(const struct top_view *view, struct canvas *canvas, unsigned row)
{
	struct buf text = BUF_INIT(TEXT_MAX);

	words_instant(&text, time_shown(view));
	buf_append_string(&text, ": ");
	append_title(view, &text);
	canvas_put(canvas, row, 0, canvas->width, STYLE_TITLE, buf_string(&text));
	buf_free(&text);
	return row + 1;
}

static unsigned draw_away(
	const struct top_view *view, unsigned word_rows, struct canvas *canvas, unsigned row)
{
	struct buf text = BUF_INIT(TEXT_MAX);

	buf_append_string(&text, "NO ANSWER since ");
	words_clock(&text, view->away_since_ms);
	buf_append_string(&text, " (");
	words_span(&text, view->now_ms - view->away_since_ms);
	buf_appendf(&text, "): %s: %s", view->address, view->away_words);
	if (view->status) {
		buf_append_string(&text, "; below is how it was at ");
		words_clock(&text, view->status->now_ms);
	}
	row += canvas_wrap(canvas, row, 0, word_rows, STYLE_BAD, buf_string(&text));
	buf_free(&text);
	return row;
}

static unsigned draw_paused(const struct top_view *view, struct canvas *canvas, unsigned row)
{
	struct buf text = BUF_INIT(128);

	buf_append_string(&text, "DISPLAY PAUSED at ");
	words_clock(&text, view->paused_since_ms);
	buf_append_string(&text, "; p goes on");
	canvas_put(canvas, row, 0, canvas->width, STYLE_WARNING, buf_string(&text));
	buf_free(&text);
	return row + 1;
}

static unsigned draw_verdict(
	const struct status *status, unsigned word_rows, struct canvas *canvas, unsigned row)
{
	struct buf text = BUF_INIT(TEXT_MAX);
	enum style style = STYLE_BAD;

	if (strcmp(status->health, "ok") == 0)
		style = STYLE_GOOD;
	else if (strcmp(status->health, "degraded") == 0)
		style = STYLE_WARNING;
	for (const char *c = status->health; *c; c++)
		buf_append_char(&text, (char)toupper((unsigned char)*c));
	if (style != STYLE_GOOD && status->state[0]) {
		buf_append_string(&text, " (");
		words_state(&text, status->state);
		buf_append_char(&text, ')');
	}
	buf_appendf(&text, ": %s", status->words);
	row += canvas_wrap(canvas, row, 0, word_rows, style, buf_string(&text));
	buf_free(&text);
	return row;
}

/* ---- what there is of all that */

static unsigned draw_control(const struct status *status, struct canvas *canvas, unsigned row)
{
	struct flow flow;

	if (!status->paused && isnan(status->control_rate_per_second))
		return row;
	flow = flow_begin(canvas, row, "Control");
	if (status->paused)
		flow_text(&flow, STYLE_WARNING, "queue paused");
	if (!isnan(status->control_rate_per_second))
		flow_item(&flow, STYLE_WARNING, "at most", words_rate,
			status->control_rate_per_second, "/s");
	return row + 1;
}

static unsigned draw_cancelled(const struct status *status, struct canvas *canvas, unsigned row)
{
	struct flow flow;
	struct buf text = BUF_INIT(TEXT_MAX);

	if (status->cancelled_count == 0)
		return row;
	flow = flow_begin(canvas, row, "Cancelled");
	for (size_t i = 0; i < status->cancelled_count; i++)
		buf_appendf(&text, "%s%s", i == 0 ? "" : ", ", status->cancelled[i]);
	if (status->cancelled_more > 0)
		buf_appendf(&text, ", ... %zu more", status->cancelled_more);
	flow_text(&flow, STYLE_PLAIN, buf_string(&text));
	buf_free(&text);
	return row + 1;
}

static unsigned draw_rates(const struct status *status, struct canvas *canvas, unsigned row)
{
	struct flow flow = flow_begin(canvas, row, "Rates/s");

	flow_item(&flow, STYLE_STRONG, "accepted", words_rate, status->rates.accepted, "");
	flow_item(&flow, bad_if(status->rates.failed), "failed", words_rate, status->rates.failed,
		"");
	flow_item(&flow, bad_if(status->rates.expired), "expired", words_rate,
		status->rates.expired, "");
	flow_item(&flow, STYLE_PLAIN, "retried", words_rate, status->rates.retried, "");
	flow_item(&flow, STYLE_PLAIN, "attempts", words_rate, status->rates.attempts, "");
	flow_item(&flow, STYLE_PLAIN, "received", words_rate, status->rates.received, "");
	return row + 1;
}

static unsigned draw_chart(const struct top_view *view, enum chart chart, const char *label,
	struct canvas *canvas, unsigned row)
{
	unsigned figures = canvas->width >= 60 ? 26 : canvas->width >= 40 ? 13 : 0;
	unsigned columns = canvas->width > LABEL_COLUMNS + figures
				   ? canvas->width - LABEL_COLUMNS - figures
				   : 0;
	struct buf text = BUF_INIT(256);
	unsigned step;
	double max;

	canvas_put(canvas, row, 0, LABEL_COLUMNS - 1, STYLE_STRONG, label);
	step = chart_draw(view->history, chart, canvas, row, LABEL_COLUMNS, columns, &max);
	buf_append_string(&text, "max ");
	if (chart == CHART_ACCEPTED) {
		words_rate(&text, max);
		buf_append_string(&text, "/s");
	} else {
		words_ms(&text, max);
	}
	if (canvas->width >= 60)
		buf_appendf(&text, ", %u min", (step * columns + 30) / 60);
	if (figures > 0)
		canvas_put(canvas, row, LABEL_COLUMNS + columns + 1, figures - 1, STYLE_PLAIN,
			buf_string(&text));
	buf_free(&text);
	return row + 1;
}

/* "attempt 120/310/800 ms" */
static void flow_latency(struct flow *flow, const char *name, const struct status_latency *latency)
{
	const double values[] = {latency->p50, latency->p95, latency->p99};
	struct buf text = BUF_INIT(256);

	buf_append_string(&text, name);
	for (size_t i = 0; i < 3; i++) {
		buf_append_char(&text, i == 0 ? ' ' : '/');
		words_count(&text, values[i]);
	}
	buf_append_string(&text, " ms");
	flow_text(flow, STYLE_PLAIN, buf_string(&text));
	buf_free(&text);
}

static unsigned draw_latency(const struct status *status, struct canvas *canvas, unsigned row)
{
	struct flow flow = flow_begin(canvas, row, "Latency");

	flow_latency(&flow, "attempt", &status->attempt);
	flow_latency(&flow, "acceptance", &status->acceptance);
	flow_text(&flow, STYLE_FAINT, "(p50/p95/p99)");
	return row + 1;
}

static unsigned draw_backlog(const struct status *status, struct canvas *canvas, unsigned row)
{
	struct flow flow = flow_begin(canvas, row, "Backlog");
	struct buf text = BUF_INIT(256);

	flow_item(&flow, STYLE_STRONG, "", words_count, status->visible, " waiting");
	if (!isnan(status->empty_ms)) {
		buf_append_string(&text, "empty in ");
		words_span(&text, status->empty_ms - status->now_ms);
		buf_append_string(&text, ", at ");
		words_clock(&text, status->empty_ms);
		flow_text(&flow, STYLE_STRONG, buf_string(&text));
	}
	flow_item(&flow, STYLE_PLAIN, "", words_count, status->in_flight, " in flight");
	if (!isnan(status->falling_per_second))
		flow_item(&flow, STYLE_PLAIN, "falling", words_rate, status->falling_per_second,
			"/s");
	flow_item(&flow, STYLE_PLAIN, "", words_count, status->delayed, " delayed");
	buf_free(&text);
	return row + 1;
}

static unsigned draw_slots(const struct status *status, struct canvas *canvas, unsigned row)
{
	struct flow flow = flow_begin(canvas, row, "Slots");
	struct buf text = BUF_INIT(256);

	words_count(&text, status->busy);
	buf_append_string(&text, " of ");
	words_count(&text, status->limit);
	buf_append_string(&text, " busy");
	flow_text(&flow, STYLE_PLAIN, buf_string(&text));
	flow_item(&flow, STYLE_PLAIN, "", words_count, status->held, " messages held");
	flow_item(&flow, STYLE_PLAIN, "in", words_bytes, status->held_bytes, "");
	buf_free(&text);
	return row + 1;
}

/* Those that are well say nothing; the failed first. */
static unsigned draw_checks(const struct status *status, struct canvas *canvas, unsigned row)
{
	unsigned shown = 0;

	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < status->check_count && shown < CHECKS_SHOWN; i++) {
			const struct status_check *check = &status->checks[i];
			bool failed = strcmp(check->health, "failed") == 0;
			struct buf text = BUF_INIT(TEXT_MAX);
			struct flow flow;

			if (strcmp(check->health, "ok") == 0 || failed != (pass == 0))
				continue;
			flow = flow_begin(canvas, row + shown++, "Check");
			buf_appendf(&text, "%s %s: %s", check->name, check->health, check->detail);
			flow_text(&flow, failed ? STYLE_BAD : STYLE_WARNING, buf_string(&text));
			buf_free(&text);
		}
	return row + shown;
}

static unsigned draw_totals(const struct status *status, struct canvas *canvas, unsigned row)
{
	struct flow flow = flow_begin(canvas, row, "Totals");
	double failed = status->totals.failed;

	flow_item(&flow, STYLE_PLAIN, "accepted", words_count, status->totals.accepted, "");
	flow_item(&flow, bad_if(failed), "failed", words_count, failed, "");
	flow_item(&flow, bad_if(status->totals.failed_left), "left", words_count,
		status->totals.failed_left, "");
	flow_item(&flow, bad_if(status->totals.expired), "expired", words_count,
		status->totals.expired, "");
	flow_item(&flow, STYLE_PLAIN, "retried", words_count, status->totals.retried, "");
	flow_item(&flow, STYLE_PLAIN, "lost", words_count, status->totals.lost, "");
	flow_item(&flow, STYLE_PLAIN, "received", words_count, status->totals.received, "");
	flow_item(&flow, STYLE_PLAIN, "suppressed", words_count, status->totals.suppressed, "");
	flow_item(&flow, STYLE_PLAIN, "cancelled", words_count, status->totals.cancelled, "");
	flow_item(&flow, STYLE_PLAIN, "postponed", words_count, status->totals.postponed, "");
	flow_item(&flow, STYLE_PLAIN, "attempts", words_count, status->totals.attempts, "");
	return row + 1;
}

static void words_usd(struct buf *out, double usd)
{
	if (isnan(usd))
		buf_append_char(out, '-');
	else
		buf_appendf(out, "$%.2f", usd);
}

static unsigned draw_sqs(const struct status *status, struct canvas *canvas, unsigned row)
{
	struct flow flow = flow_begin(canvas, row, "SQS");

	flow_item(&flow, STYLE_PLAIN, "", words_rate, status->sqs_per_second, " requests/s");
	flow_item(&flow, bad_if(status->sqs_throttled), "throttled", words_count,
		status->sqs_throttled, "");
	flow_item(&flow, bad_if(status->sqs_errors), "errors", words_count, status->sqs_errors, "");
	flow_item(&flow, STYLE_PLAIN, "about", words_usd, status->sqs_cost_usd, "");
	return row + 1;
}

static unsigned draw_waiting(const struct top_view *view, struct canvas *canvas, unsigned row)
{
	struct buf text = BUF_INIT(TEXT_MAX);

	buf_appendf(&text, "waiting for the first answer from %s", view->address);
	row += canvas_wrap(canvas, row, 0, 2, STYLE_PLAIN, buf_string(&text));
	buf_free(&text);
	return row;
}

unsigned head_draw(
	const struct top_view *view, const struct head_options *options, struct canvas *canvas)
{
	const struct status *status = view->status;
	unsigned row = 0;

	if (options->title)
		row = options->dated ? draw_dated_title(view, canvas, row)
				     : draw_title(view, canvas, row);
	if (view->away_since_ms > 0)
		row = draw_away(view, options->word_rows, canvas, row);
	if (view->paused_since_ms > 0)
		row = draw_paused(view, canvas, row);
	if (!status) {
		return view->away_since_ms > 0 ? row : draw_waiting(view, canvas, row);
	}
	row = draw_verdict(status, options->word_rows, canvas, row);
	row = draw_control(status, canvas, row);
	row = draw_rates(status, canvas, row);
	if (options->charts) {
		row = draw_chart(view, CHART_ACCEPTED, "Accepted", canvas, row);
		row = draw_chart(view, CHART_ATTEMPT_P99, "Att. p99", canvas, row);
	}
	row = draw_latency(status, canvas, row);
	row = draw_backlog(status, canvas, row);
	row = draw_checks(status, canvas, row);
	row = draw_slots(status, canvas, row);
	row = draw_cancelled(status, canvas, row);
	if (options->tall) {
		row = draw_totals(status, canvas, row);
		row = draw_sqs(status, canvas, row);
	}
	return row;
}
