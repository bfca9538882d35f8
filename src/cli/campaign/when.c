#include "cli/campaign/when.h"

#include "aws/sqs_queue.h"
#include "base/units.h"
#include "bunshin/error.h"
#include "cli/campaign/send.h"
#include "cli/cli.h"

#include <inttypes.h>
#include <stdio.h>

#define COMMAND CAMPAIGN_COMMAND
#define RATE_MAX 1000000000 /* as of the option `rate` in a configuration */

static int read_time(const char *option, const char *text, struct schedule_instant base,
	int64_t now_epoch_ms, struct schedule_instant *ret)
{
	struct buf error = BUF_INIT(1000);
	char span[SCHEDULE_TEXT_MAX];
	int rc = schedule_parse_deadline(text, base, ret, &error);
	int code = -1;

	if (rc < 0)
		code = cli_usage_error(COMMAND, "--%s: %s", option,
			error.len > 0 ? buf_string(&error) : error_message(rc));
	else if (ret->epoch_ms <= now_epoch_ms)
		code = cli_usage_error(COMMAND, "--%s: %s is already past, %s ago", option, text,
			schedule_format_span(now_epoch_ms - ret->epoch_ms, span));
	buf_free(&error);
	return code;
}

static int check_prefill(const struct campaign_when *when, const char *queue_url)
{
	if (when->prefill_ms < 0)
		return -1;
	if (!when->at_text)
		return cli_usage_error(COMMAND,
			"--prefill needs --at: it puts the messages in ahead of that instant");
	if (queue_url && sqs_queue_url_is_fifo(queue_url))
		return cli_usage_error(COMMAND,
			"--prefill: %s is a FIFO queue, and SQS takes no delay for single messages "
			"there",
			queue_url);
	return -1;
}

static int check_rate(struct campaign_when *when)
{
	if (!when->rate_text)
		return -1;
	if (units_parse_rate(when->rate_text, &when->rate_count, &when->rate_per_ms) < 0 ||
		when->rate_count > RATE_MAX)
		return cli_usage_error(COMMAND,
			"--rate: expected a rate like 2000/s, 100/m or 50/h, got \"%s\"",
			when->rate_text);
	return -1;
}

int campaign_when_check(struct campaign_when *when, const char *queue_url, int64_t now_epoch_ms)
{
	struct schedule_instant start = schedule_local(now_epoch_ms);
	int code = -1;

	if (when->at_text && when->at_text[0] == '+')
		return cli_usage_error(COMMAND, "--at: expected a time, not a duration, got \"%s\"",
			when->at_text);
	if (when->at_text)
		code = read_time("at", when->at_text, start, now_epoch_ms, &when->at);
	if (code < 0 && when->at_text)
		start = when->at;
	if (code < 0 && when->deadline_text)
		code = read_time(
			"deadline", when->deadline_text, start, now_epoch_ms, &when->deadline);
	if (code < 0 && when->deadline_text && when->at_text &&
		when->deadline.epoch_ms <= when->at.epoch_ms)
		code = cli_usage_error(COMMAND, "--deadline: %s is not after --at, %s",
			when->deadline_text, when->at_text);
	if (code < 0)
		code = check_prefill(when, queue_url);
	return code < 0 ? check_rate(when) : code;
}

void campaign_when_pace(const struct campaign_when *when, struct producer_options *options)
{
	options->rate_count = when->rate_count;
	options->rate_per_ms = when->rate_per_ms;
	options->visible_epoch_ms = when->prefill_ms >= 0 ? when->at.epoch_ms : 0;
}

struct schedule_instant campaign_when_begin(const struct campaign_when *when, int64_t now_epoch_ms)
{
	return when->at_text ? when->at : schedule_local(now_epoch_ms);
}

void campaign_when_tell_hidden(
	const struct campaign_when *when, uint64_t sent, int64_t now_epoch_ms)
{
	char text[SCHEDULE_TEXT_MAX];

	if (when->prefill_ms < 0 || sent == 0 || now_epoch_ms >= when->at.epoch_ms)
		return;
	cli_error(COMMAND,
		"%" PRIu64 " are in the queue, hidden until %s; they will be delivered then", sent,
		schedule_format(when->at, text));
}
