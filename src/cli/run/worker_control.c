#include "cli/run/worker_control.h"

#include "bunshin/error.h"
#include "cli/run/control_reader.h"

#include <stdlib.h>

#define FOLLOW_US UINT64_C(250000)
#define TICK_US UINT64_C(1000000)
/* Read within that, it is as good as what a reading every few seconds gives. */
#define FRESH_US CONTROL_INTERVAL_MAX_US
#define STALE_US UINT64_C(30000000)
#define HELD_BACK_MAX_US UINT64_C(2000000)

struct worker_control {
	struct worker_control_options options;
	struct delivery *delivery; /* NULL: it has not begun */
	struct control_reader *reader;
	struct control_news news;			     /* the latest of both */
	void (*done)(void *arg, int err, const char *words); /* NULL: nobody waits for it */
	void *arg;
	struct clock_timer follow, patience;
	uint64_t ticked_us;
	uint64_t asked_us;  /* by itself, the latest */
	uint64_t worked_us; /* there was work, the latest */
	uint64_t received;  /* messages, as counted then */
	struct gauge *paused, *rate, *age_s, *readable;
};

static uint64_t now_us(const struct worker_control *control)
{
	return clock_monotonic_us(control->options.clock);
}

static uint64_t age_us(const struct worker_control *control)
{
	return now_us(control) - control->news.read_us;
}

/* Goes by the news, unless they are older than those known. */
static void take(struct worker_control *control, const struct control_news *news)
{
	const struct control *in_force = delivery_control(control->delivery);

	if (news->read_us >= control->news.read_us)
		control->news = *news;
	if (in_force && control_equal(in_force, &control->news.control)) {
		delivery_trust_control(control->delivery);
		return;
	}
	delivery_set_control(control->delivery, &control->news.control);
	/* At the start only what keeps the worker from ever having something else to say. */
	if (control->options.changed && (in_force || control->news.control.paused))
		control->options.changed(control->options.arg);
}

/* Nobody needs to be held back any longer. */
static void answer(struct worker_control *control, int err, const char *words)
{
	void (*done)(void *arg, int err, const char *words) = control->done;

	control->done = NULL;
	if (done)
		done(control->arg, err, words);
}

static void told(void *arg, int err, const struct control_news *news, const char *words)
{
	struct worker_control *control = arg;

	clock_timer_clear(control->options.clock, &control->patience);
	if (control->options.shown_on)
		control_board_update(control->options.shown_on, control->options.queue_url, news);
	/* What may not be read asks nothing, or what it asked last. */
	if (!err || !news->readable) {
		take(control, news);
		err = 0;
	} else {
		delivery_trust_control(control->delivery);
	}
	answer(control, err, words);
}

static int ask(struct worker_control *control)
{
	control->asked_us = now_us(control);
	return control_reader_ask(control->reader);
}

static void patience_over(struct clock_timer *timer)
{
	struct worker_control *control =
		(struct worker_control *)(void *)((char *)timer -
						  offsetof(struct worker_control, patience));

	delivery_trust_control(control->delivery);
}

/* What is on the board, if it is news. */
static void look_at(struct worker_control *control, const struct board *board)
{
	struct control_news news;

	if (!board || !control_board_get(board, control->options.queue_url, &news))
		return;
	if (news.read_us > control->news.read_us)
		take(control, &news);
	control->news.readable = news.readable;
}

static void look_at_board(struct worker_control *control)
{
	look_at(control, control->options.board);
}

void worker_control_wanted(void *arg)
{
	struct worker_control *control = arg;

	look_at_board(control);
	if (age_us(control) <= STALE_US)
		return;
	/* Without memory for the timer, or for the question, it goes on by what is known. */
	if (clock_timer_after(control->options.clock, &control->patience, HELD_BACK_MAX_US) ||
		ask(control))
		delivery_trust_control(control->delivery);
}

/* Is there anything that control is about? A pause is: it has to be seen when it ends. */
static bool works(struct worker_control *control)
{
	struct delivery_stats stats;

	delivery_get_stats(control->delivery, &stats);
	if (delivery_held(control->delivery) > 0 || stats.received != control->received ||
		control->news.control.paused)
		control->worked_us = now_us(control);
	control->received = stats.received;
	return now_us(control) - control->worked_us <= STALE_US;
}

static void tick(struct worker_control *control)
{
	bool busy = works(control);
	bool is_stale =
		age_us(control) > STALE_US && now_us(control) - control->asked_us > STALE_US;

	if (!control->options.board)
		control_reader_tick(control->reader, busy);
	else if (is_stale && busy && control->news.readable)
		(void)ask(control); /* the monitor is not there */
	if (is_stale && !busy && control->news.readable)
		delivery_doubt_control(control->delivery);
}

static void follow(struct clock_timer *timer)
{
	struct worker_control *control =
		(struct worker_control *)(void *)((char *)timer -
						  offsetof(struct worker_control, follow));

	clock_timer_after(control->options.clock, timer, FOLLOW_US);
	look_at_board(control);
	look_at(control, control->options.shown_on);
	if (now_us(control) - control->ticked_us < TICK_US)
		return;
	control->ticked_us = now_us(control);
	tick(control);
}

void worker_control_begin(struct worker_control *control, struct delivery *delivery,
	void (*done)(void *arg, int err, const char *words), void *arg)
{
	int err;

	control->delivery = delivery;
	control->done = done;
	control->arg = arg;
	if (!clock_timer_is_set(&control->follow))
		clock_timer_after(control->options.clock, &control->follow, FOLLOW_US);
	look_at_board(control);
	if (control->news.read_us != 0 && age_us(control) <= FRESH_US) {
		answer(control, 0, "");
		return;
	}
	err = ask(control);
	if (err)
		answer(control, err, error_message(err));
}

void worker_control_show(struct worker_control *control)
{
	const struct control *in_force = &control->news.control;
	uint64_t per_second = 0;

	if (in_force->rate_count > 0)
		per_second = (in_force->rate_count * 1000 + (uint64_t)in_force->rate_per_ms - 1) /
			     (uint64_t)in_force->rate_per_ms;
	gauge_set(control->paused, in_force->paused);
	gauge_set(control->rate, (int64_t)per_second);
	gauge_set(control->age_s, control->news.read_us ? (int64_t)(age_us(control) / 1000000) : 0);
	gauge_set(control->readable, control->news.readable && control->news.read_us != 0);
}

static int open_metrics(struct worker_control *control)
{
	struct metrics *metrics = control->options.metrics;

	control->paused = metrics_gauge_max(metrics, "bunshin_control_paused",
		"1 while nothing is received since bunshin campaign pause.", "");
	control->rate = metrics_gauge_max(metrics, "bunshin_control_rate",
		"Attempts a second of the fleet, a destination, by bunshin campaign rate, rounded "
		"up; 0: none.",
		"");
	control->age_s = metrics_gauge_max(metrics, "bunshin_control_age_seconds",
		"Since the queue's tags were read; they are not read while there is no work.", "");
	control->readable = metrics_gauge_min(metrics, "bunshin_control_readable",
		"0 while the queue's tags may not be read (sqs:ListQueueTags).", "");
	return control->paused && control->rate && control->age_s && control->readable ? 0
										       : ERR_NOMEM;
}

int worker_control_new(
	const struct worker_control_options *options, struct worker_control **ret_control)
{
	struct worker_control *control = calloc(1, sizeof(*control));
	struct control_reader_options reader = {.clock = options->clock,
		.client = options->client,
		.queue_url = options->queue_url,
		.speaks = options->board == NULL,
		.told = told,
		.arg = control};
	int err;

	if (!control)
		return ERR_NOMEM;
	control->options = *options;
	control->news.readable = true;
	control->follow.fire = follow;
	control->patience.fire = patience_over;
	/* Of a tag that does not read, what the others go by. */
	if (options->board)
		(void)control_board_get(options->board, options->queue_url, &control->news);
	err = open_metrics(control);
	if (!err)
		err = control_reader_new(&reader, &control->news, &control->reader);
	/* Whatever its age: it is judged when the worker begins. */
	control->news.read_us = 0;
	if (err) {
		worker_control_free(control);
		return err;
	}
	*ret_control = control;
	return 0;
}

void worker_control_free(struct worker_control *control)
{
	if (!control)
		return;
	clock_timer_clear(control->options.clock, &control->follow);
	clock_timer_clear(control->options.clock, &control->patience);
	control_reader_free(control->reader);
	free(control);
}
