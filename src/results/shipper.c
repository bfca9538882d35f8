#include "results/shipper.h"

#include "bunshin/error.h"
#include "results/log_batch.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BACKOFF_MIN_US UINT64_C(500000)
#define BACKOFF_MAX_US UINT64_C(60000000)
/* Tenths of a call that may be saved up: so many calls may be not full in a row. */
#define CREDIT_CALL 10
#define CREDIT_MAX (10 * CREDIT_CALL)
#define CREDIT_START (3 * CREDIT_CALL)

struct results_shipper {
	struct results_shipper_options options;
	struct log_number *number; /* the log's own; NULL until it has one */
	struct log_reader own;
	struct log_number adopted; /* of nobody; sent beside it */
	struct log_reader orphan;
	struct clock_timer wake; /* the next look at what there is */
	struct clock_timer adopt;
	struct queue_call *call;
	struct log_batch batch;	   /* what the call sends; what failed of it stays */
	struct log_reader *source; /* it was read from there; NULL: it holds nothing */
	struct log_position end;   /* and so far */
	unsigned failures;	   /* calls in a row */
	uint64_t waiting_since_us; /* the first line that has not been sent; 0: none */
	unsigned credit;
	bool hurried; /* the next call is not to be saved up for */
	bool finishing;
	struct clock_timer finish; /* calls finish_done */
	void (*finish_done)(void *arg, uint64_t left);
	void *finish_arg;
	struct counter *sent, *requests, *failed, *broken;
	struct gauge *waiting;
};

static uint64_t now_of(const struct results_shipper *shipper)
{
	return clock_monotonic_us(shipper->options.clock);
}

static void wake_after(struct results_shipper *shipper, uint64_t delay_us)
{
	clock_timer_after(shipper->options.clock, &shipper->wake, delay_us);
}

static void tell(struct results_shipper *shipper, int err, const char *detail)
{
	counter_add(shipper->failed, 1);
	if (shipper->options.trouble)
		shipper->options.trouble(
			shipper->options.arg, err, detail[0] ? detail : error_message(err));
}

/* Full jitter above a quarter: 60 s at most. */
static uint64_t backoff_us(struct results_shipper *shipper)
{
	unsigned doublings = shipper->failures < 10 ? shipper->failures : 10;
	uint64_t bound = BACKOFF_MIN_US << doublings;

	if (bound > BACKOFF_MAX_US)
		bound = BACKOFF_MAX_US;
	return bound / 4 + clock_random(shipper->options.clock) % (bound - bound / 4);
}

/* ---- the end */

static uint64_t unsent(struct results_shipper *shipper)
{
	return shipper->number ? log_files_unsent(shipper->number) : 0;
}

static void finish_fired(struct clock_timer *timer)
{
	struct results_shipper *shipper =
		(struct results_shipper *)(void *)((char *)timer -
						   offsetof(struct results_shipper, finish));

	void (*done)(void *arg, uint64_t left) = shipper->finish_done;

	clock_timer_clear(shipper->options.clock, &shipper->wake);
	results_shipper_show(shipper);
	shipper->finish_done = NULL;
	if (done)
		done(shipper->finish_arg, unsent(shipper));
}

/* Nothing more is going to be sent. */
static void finish_soon(struct results_shipper *shipper)
{
	if (shipper->finishing)
		clock_timer_after(shipper->options.clock, &shipper->finish, 0);
}

/* ---- files of nobody */

static void drop_adopted(struct results_shipper *shipper)
{
	log_reader_close(&shipper->orphan);
	shipper->orphan.number = NULL;
	log_files_release(&shipper->adopted);
}

static void adopt_again(struct results_shipper *shipper)
{
	clock_timer_after(shipper->options.clock, &shipper->adopt,
		SHIPPER_ADOPT_US / 2 +
			clock_random(shipper->options.clock) % (SHIPPER_ADOPT_US / 2));
}

static void adopt_fired(struct clock_timer *timer)
{
	struct results_shipper *shipper =
		(struct results_shipper *)(void *)((char *)timer -
						   offsetof(struct results_shipper, adopt));

	adopt_again(shipper);
	shipper->number = results_log_number(shipper->options.log);
	if (!shipper->number || shipper->adopted.held || shipper->finishing)
		return;
	if (!log_files_adopt(shipper->number->directory, -1, &shipper->adopted))
		return;
	log_reader_open(&shipper->orphan, &shipper->adopted);
	if (!shipper->call && !shipper->failures)
		wake_after(shipper, 0);
}

/* ---- sending */

/* All of the batch is with the queue. */
static void confirm(struct results_shipper *shipper)
{
	struct log_reader *source = shipper->source;

	shipper->credit += (unsigned)(shipper->batch.records < CREDIT_MAX ? shipper->batch.records
									  : CREDIT_MAX);
	shipper->credit = shipper->credit > CREDIT_CALL ? shipper->credit - CREDIT_CALL : 0;
	if (shipper->credit > CREDIT_MAX)
		shipper->credit = CREDIT_MAX;
	counter_add(shipper->sent, shipper->batch.records);
	source->at = shipper->end;
	log_files_set_sent(source->number, source->at);
	shipper->source = NULL;
	shipper->waiting_since_us = 0;
}

/* Leaves in the batch what was not taken. True: nothing. */
static bool keep_failed(struct results_shipper *shipper, const int results[], int *ret_err)
{
	struct log_batch *batch = &shipper->batch;
	size_t count = 0;

	*ret_err = 0;
	for (size_t i = 0; i < batch->count; i++) {
		if (!results[i])
			continue;
		*ret_err = *ret_err ? *ret_err : results[i];
		batch->entries[count++] = batch->entries[i];
	}
	batch->count = count;
	return count == 0;
}

static void call_failed(struct results_shipper *shipper, int err, const char *detail)
{
	enum error_class class = error_class(err);

	tell(shipper, err, detail);
	if (class == ERROR_AUTH || class == ERROR_PERMANENT)
		finish_soon(shipper);
	wake_after(shipper, backoff_us(shipper));
	shipper->failures++;
}

/* Or else what comes in the next second shares a call. */
static bool is_more(const struct results_shipper *shipper)
{
	return shipper->batch.full || shipper->finishing || shipper->hurried ||
	       shipper->orphan.number ||
	       (shipper->own.number && shipper->own.at.sequence < shipper->own.number->sequence);
}

static void sent(void *arg, const int results[], size_t count, const char *detail)
{
	struct results_shipper *shipper = arg;
	int err;

	shipper->call = NULL;
	if (!keep_failed(shipper, results, &err)) {
		call_failed(shipper, err, detail);
		return;
	}
	shipper->failures = 0;
	confirm(shipper);
	wake_after(shipper, is_more(shipper) ? 0 : SHIPPER_LINGER_US);
}

static void send_batch(struct results_shipper *shipper)
{
	struct queue queue = shipper->options.queue;
	const struct log_batch *batch = &shipper->batch;
	struct queue_send entries[QUEUE_BATCH_MAX] = {0};
	int err;

	for (size_t i = 0; i < batch->count; i++) {
		entries[i].body = batch->bytes + batch->entries[i].at;
		entries[i].body_bytes = batch->entries[i].len;
	}
	counter_add(shipper->requests, 1);
	err = queue.ops->send_batch(
		queue.impl, entries, batch->count, sent, shipper, &shipper->call);
	if (err)
		call_failed(shipper, err, "");
}

/* ---- what is to be sent */

static bool has_moved(struct log_position from, struct log_position to)
{
	return from.sequence != to.sequence || from.offset != to.offset;
}

/* Fills the batch from there. False: there is nothing. */
static bool read_from(struct results_shipper *shipper, struct log_reader *source)
{
	uint64_t broken = shipper->batch.broken;
	bool written = source == &shipper->orphan;
	int err = log_reader_fill(source, &shipper->batch, written, &shipper->end);

	counter_add(shipper->broken, shipper->batch.broken - broken);
	if (err)
		tell(shipper, err, "reading the outcome log");
	else if (shipper->batch.count == 0 && has_moved(source->number->sent, shipper->end))
		log_files_set_sent(source->number, shipper->end);
	if (err || shipper->batch.count == 0)
		return false;
	shipper->source = source;
	return true;
}

/* Whether what is in the batch is worth a call now. */
static bool is_worth_it(struct results_shipper *shipper)
{
	uint64_t now_us = now_of(shipper);

	if (shipper->finishing || shipper->hurried || shipper->batch.full ||
		shipper->source == &shipper->orphan ||
		shipper->credit + shipper->batch.records >= CREDIT_CALL)
		return true;
	if (!shipper->waiting_since_us)
		shipper->waiting_since_us = now_us;
	return now_us - shipper->waiting_since_us >= SHIPPER_WAIT_MAX_US;
}

static bool read_own(struct results_shipper *shipper)
{
	if (!shipper->own.number) {
		shipper->number = results_log_number(shipper->options.log);
		if (!shipper->number)
			return false;
		log_reader_open(&shipper->own, shipper->number);
		/* From now on there is a place from which on it has not been sent. */
		if (shipper->number->sent.sequence == 0)
			log_files_set_sent(shipper->number, (struct log_position){1, 0});
	}
	return read_from(shipper, &shipper->own);
}

static bool read_orphan(struct results_shipper *shipper)
{
	if (shipper->finishing || !shipper->orphan.number)
		return false;
	if (read_from(shipper, &shipper->orphan))
		return true;
	drop_adopted(shipper);
	return false;
}

static void look(struct results_shipper *shipper)
{
	bool own;

	if (!shipper->finishing && !clock_timer_is_set(&shipper->adopt))
		adopt_again(shipper); /* there was no memory for it */
	if (shipper->call)
		return;
	if (shipper->source) { /* what failed, again */
		send_batch(shipper);
		return;
	}
	own = read_own(shipper);
	if (own && is_worth_it(shipper)) {
		shipper->hurried = false;
		send_batch(shipper);
		return;
	}
	shipper->source = NULL;
	if (read_orphan(shipper))
		send_batch(shipper);
	else if (own)
		wake_after(shipper, SHIPPER_LINGER_US);
	else
		finish_soon(shipper);
}

static void wake_fired(struct clock_timer *timer)
{
	look((struct results_shipper *)(void *)((char *)timer -
						offsetof(struct results_shipper, wake)));
}

void results_shipper_poke(struct results_shipper *shipper)
{
	uint64_t end = results_log_end(shipper->options.log);
	const struct log_reader *own = &shipper->own;
	bool is_full = own->number && (own->at.sequence != own->number->sequence ||
					      end - own->at.offset >= LOG_BATCH_BYTES);

	if (shipper->call)
		return;
	if (!clock_timer_is_set(&shipper->wake))
		wake_after(shipper, SHIPPER_LINGER_US);
	if (is_full && !shipper->failures && shipper->wake.due_us > now_of(shipper))
		wake_after(shipper, 0);
}

void results_shipper_hurry(struct results_shipper *shipper)
{
	shipper->hurried = true;
	if (!shipper->call && !shipper->failures)
		wake_after(shipper, 0);
}

void results_shipper_finish(struct results_shipper *shipper, uint64_t until_us,
	void (*done)(void *arg, uint64_t left), void *arg)
{
	shipper->finishing = true;
	shipper->finish_done = done;
	shipper->finish_arg = arg;
	clock_timer_clear(shipper->options.clock, &shipper->adopt);
	if (!shipper->call && !shipper->failures)
		wake_after(shipper, 0);
	/* Without memory for the timer there is only now. */
	if (clock_timer_set(shipper->options.clock, &shipper->finish, until_us))
		finish_fired(&shipper->finish);
}

void results_shipper_show(struct results_shipper *shipper)
{
	gauge_set(shipper->waiting, (int64_t)unsent(shipper));
}

/* ---- life */

static int open_metrics(struct results_shipper *shipper)
{
	struct metrics *metrics = shipper->options.metrics;

	shipper->sent = metrics_counter(metrics, "bunshin_results_sent_total",
		"Outcomes that the results queue has confirmed.", "");
	shipper->requests = metrics_counter(metrics, "bunshin_results_requests_total",
		"Calls that send outcomes to the results queue.", "");
	shipper->failed = metrics_counter(metrics, "bunshin_results_failed_total",
		"Those calls that failed, wholly or for a part.", "");
	shipper->broken = metrics_counter(metrics, "bunshin_results_broken_total",
		"Lines of the outcome log that were not sent since they are no whole lines.", "");
	shipper->waiting = metrics_gauge(metrics, "bunshin_results_waiting_bytes",
		"Bytes of the outcome log that have not been sent to the results queue yet.", "");
	return shipper->sent && shipper->requests && shipper->failed && shipper->broken &&
			       shipper->waiting
		       ? 0
		       : ERR_NOMEM;
}

int results_shipper_new(
	const struct results_shipper_options *options, struct results_shipper **ret_shipper)
{
	struct results_shipper *shipper = calloc(1, sizeof(*shipper));

	if (!shipper)
		return ERR_NOMEM;
	shipper->options = *options;
	shipper->own.fd = shipper->orphan.fd = -1;
	shipper->credit = CREDIT_START;
	shipper->wake.fire = wake_fired;
	shipper->adopt.fire = adopt_fired;
	shipper->finish.fire = finish_fired;
	if (open_metrics(shipper)) {
		results_shipper_free(shipper);
		return ERR_NOMEM;
	}
	wake_after(shipper, SHIPPER_LINGER_US);
	adopt_again(shipper);
	*ret_shipper = shipper;
	return 0;
}

void results_shipper_free(struct results_shipper *shipper)
{
	struct clock clock;

	if (!shipper)
		return;
	clock = shipper->options.clock;
	if (shipper->call)
		shipper->options.queue.ops->cancel(shipper->options.queue.impl, shipper->call);
	clock_timer_clear(clock, &shipper->wake);
	clock_timer_clear(clock, &shipper->adopt);
	clock_timer_clear(clock, &shipper->finish);
	log_reader_close(&shipper->own);
	drop_adopted(shipper);
	free(shipper->batch.bytes);
	free(shipper);
}
