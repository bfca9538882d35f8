#include "cli/run/control_reader.h"

#include "aws/sqs_tags.h"
#include "base/log.h"
#include "base/random.h"
#include "bunshin/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct control_reader {
	struct control_reader_options options;
	struct control_news news;
	struct queue_call *asking;
	uint64_t asking_us; /* when it was asked */
	uint64_t next_us;   /* the next reading, while there is work */
	unsigned failures;  /* in a row */
	bool told_failing, told_denied;
	char bad[CONTROL_REASON_SIZE]; /* of a tag that does not read, as told */
};

static uint64_t now_us(const struct control_reader *reader)
{
	return clock_monotonic_us(reader->options.clock);
}

/* Permission, or a service without tags: nothing that another try within the minute will mend. */
static bool is_denial(int err)
{
	enum error_class class = error_class(err);

	return err == ERR_ACCESS_DENIED || (class == ERROR_PERMANENT && err != ERR_QUEUE_MISSING);
}

static void plan_next(struct control_reader *reader)
{
	uint64_t random = clock_random(reader->options.clock);
	uint64_t delay_us = CONTROL_INTERVAL_MIN_US +
			    random_below(random, CONTROL_INTERVAL_MAX_US - CONTROL_INTERVAL_MIN_US);

	for (unsigned i = 1; i < reader->failures && delay_us < CONTROL_DENIED_US; i++)
		delay_us *= 2;
	if (delay_us > CONTROL_DENIED_US || (reader->failures > 0 && !reader->news.readable))
		delay_us = CONTROL_DENIED_US;
	reader->next_us = now_us(reader) + delay_us;
}

/* ---- the log */

static void tell_change(const struct control_reader *reader, const struct control *before)
{
	const struct control *control = &reader->news.control;
	char rate[CONTROL_RATE_SIZE];

	if (!reader->options.speaks || control_equal(control, before))
		return;
	control_rate_text(control->rate_count, control->rate_per_ms, rate);
	log_info("control by the queue's tags has changed",
		LOG_STR("paused", control->paused ? "true" : "false"),
		LOG_STR("rate", rate[0] ? rate : "off"), LOG_STR("cancelled", control->cancelled));
}

/* Once, until it says something else. */
static void tell_bad(struct control_reader *reader, const char *reason)
{
	if (reader->options.speaks && reason[0] && strcmp(reason, reader->bad) != 0)
		log_warn("a tag of the queue is not understood", LOG_STR("reason", reason));
	snprintf(reader->bad, sizeof(reader->bad), "%s", reason);
}

static void tell_failure(struct control_reader *reader, int err, const char *words)
{
	bool *told = reader->news.readable ? &reader->told_failing : &reader->told_denied;

	if (reader->options.speaks && !*told)
		log_warn(reader->news.readable
				 ? "the queue's tags cannot be read now: what they asked last holds"
				 : "the queue's tags may not be read (sqs:ListQueueTags): bunshin "
				   "campaign pause, rate and cancel do not reach this host",
			LOG_ERR(err), LOG_STR("reason", words));
	*told = true;
}

static void tell_readable(struct control_reader *reader)
{
	if (reader->options.speaks && (reader->told_failing || reader->told_denied))
		log_info("the queue's tags can be read again");
	reader->told_failing = reader->told_denied = false;
}

/* ---- a reading */

static void failed(struct control_reader *reader, int err, const char *words)
{
	reader->failures++;
	reader->news.readable = !is_denial(err);
	plan_next(reader);
	tell_failure(reader, err, words);
}

static void answered(void *arg, const struct sqs_outcome *outcome, const struct sqs_tags *tags)
{
	struct control_reader *reader = arg;
	const struct control before = reader->news.control;
	char reason[CONTROL_REASON_SIZE] = "";

	reader->asking = NULL;
	if (outcome->err) {
		failed(reader, outcome->err, outcome->detail);
	} else {
		const struct control_tags values = {
			.paused = sqs_tags_find(tags, CONTROL_TAG_PAUSED),
			.rate = sqs_tags_find(tags, CONTROL_TAG_RATE),
			.cancelled = sqs_tags_find(tags, CONTROL_TAG_CANCELLED)};

		control_read(&values, &reader->news.control, reason);
		reader->news.read_us = reader->asking_us;
		reader->news.readable = true;
		reader->failures = 0;
		plan_next(reader);
		tell_readable(reader);
		tell_bad(reader, reason);
		tell_change(reader, &before);
	}
	reader->options.told(reader->options.arg, outcome->err, &reader->news,
		outcome->err ? outcome->detail : "");
}

int control_reader_ask(struct control_reader *reader)
{
	int err;

	if (reader->asking)
		return 0;
	reader->asking_us = now_us(reader);
	err = sqs_list_queue_tags(reader->options.client, reader->options.queue_url, answered,
		reader, &reader->asking);
	if (err) {
		reader->asking = NULL;
		failed(reader, err, error_message(err));
	}
	return err;
}

void control_reader_tick(struct control_reader *reader, bool works)
{
	bool never = reader->news.read_us == 0 && reader->news.readable;

	if ((works || never) && now_us(reader) >= reader->next_us)
		(void)control_reader_ask(reader);
}

const struct control_news *control_reader_news(const struct control_reader *reader)
{
	return &reader->news;
}

int control_reader_new(const struct control_reader_options *options,
	const struct control_news *before, struct control_reader **ret_reader)
{
	struct control_reader *reader = calloc(1, sizeof(*reader));

	if (!reader)
		return ERR_NOMEM;
	reader->options = *options;
	reader->news.readable = true;
	if (before)
		reader->news.control = before->control;
	*ret_reader = reader;
	return 0;
}

void control_reader_free(struct control_reader *reader)
{
	if (!reader)
		return;
	if (reader->asking)
		sqs_call_cancel(reader->options.client, reader->asking);
	free(reader);
}
