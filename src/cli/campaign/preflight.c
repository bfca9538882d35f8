#include "cli/campaign/preflight.h"

#include "aws/sqs_queue.h"
#include "bunshin/error.h"
#include "cli/campaign/confirm.h"
#include "cli/campaign/send.h"
#include "cli/cli.h"
#include "cli/connect.h"
#include "cli/runtime.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define COMMAND CAMPAIGN_COMMAND
#define TEXT_MAX ((size_t)64 << 10)

/* the command line */

static int read_price(
	const char *option, const char *text, double *ret_price, const char **ret_unit)
{
	if (!text || forecast_parse_price(text, ret_price, ret_unit) == 0)
		return -1;
	return cli_usage_error(
		COMMAND, "--%s: expected a price like 0.08 or \"3 JPY\", got \"%s\"", option, text);
}

static int read_fleet(struct campaign_preflight *preflight, const char *destination)
{
	struct buf errors = BUF_INIT(TEXT_MAX);
	int rc = campaign_fleet_read(
		preflight->config_path, destination, &preflight->fleet, &errors);

	if (rc < 0)
		fputs(errors.len > 0 ? buf_string(&errors) : "out of memory\n", stderr);
	buf_free(&errors);
	return rc == 0 ? -1 : rc == ERR_NOMEM ? CLI_FAILED : CLI_USAGE;
}

int campaign_preflight_check(struct campaign_preflight *preflight, const char *destination)
{
	int code;

	preflight->sqs_price = -1;
	preflight->sqs_currency = "USD";
	preflight->currency = "";
	code = read_price("price-per-message", preflight->price_text, &preflight->price,
		&preflight->currency);
	if (code < 0)
		code = read_price("sqs-price", preflight->sqs_price_text, &preflight->sqs_price,
			&preflight->sqs_currency);
	if (code < 0 && preflight->config_path)
		code = read_fleet(preflight, destination);
	return code;
}

/* the facts */

/* As the delivery sees it: what is put in ahead of time does not hold it up. 0: not known. */
static double push_rate(const struct campaign_plan *plan, int64_t now_epoch_ms)
{
	const struct campaign_when *when = &plan->when;
	int64_t ahead_ms = when->prefill_ms > 0 ? when->prefill_ms : 0;
	double seconds;

	if (when->rate_count == 0)
		return 0;
	if (ahead_ms > when->at.epoch_ms - now_epoch_ms && when->at_text)
		ahead_ms = when->at.epoch_ms - now_epoch_ms;
	seconds = (double)plan->check.valid * (double)when->rate_per_ms / 1000 /
			  (double)when->rate_count -
		  (double)ahead_ms / 1000;
	return seconds > 0 ? (double)plan->check.valid / seconds : 0;
}

/* Of the workers to the provider, when everything that can be gathered is. */
static uint64_t count_attempts(const struct campaign_plan *plan)
{
	uint64_t most = plan->preflight.fleet.batch_max;

	if (plan->pack > 0 || most <= 1)
		return plan->check.attempts;
	return (plan->check.messages + most - 1) / most;
}

static void forecast(struct preflight_facts *facts)
{
	const struct campaign_plan *plan = facts->plan;
	const struct campaign_preflight *options = &plan->preflight;
	bool fifo = plan->queue_url && sqs_queue_url_is_fifo(plan->queue_url);
	const struct forecast_price_input price = {
		.recipients = plan->check.valid,
		.messages = plan->check.messages,
		.requests = plan->check.requests,
		.chunks = plan->check.chunks,
		.sqs_price = options->sqs_price >= 0 ? options->sqs_price
			     : fifo		     ? FORECAST_SQS_PRICE_FIFO
						     : FORECAST_SQS_PRICE,
		.provider_price = options->price,
	};

	facts->input = (struct forecast_input){
		.recipients = plan->check.valid,
		.attempts = count_attempts(plan),
		.begin = campaign_when_begin(&plan->when, facts->now_epoch_ms),
		.deadline = plan->when.deadline,
		.destination_per_s = options->fleet.per_s,
		.slots = options->fleet.slots,
		.latency_ms = options->latency_ms,
	};
	facts->input.push_per_s = push_rate(plan, facts->now_epoch_ms);
	forecast_make(&facts->input, &facts->forecast);
	forecast_price(&price, &facts->price);
}

static void on_signal(void *arg, unsigned count)
{
	struct runtime *runtime = arg;

	uv_stop(&runtime->loop);
}

/* Asks the queue over a connection of its own. 0, or what kept it from asking, in `error`. */
static int ask_queue(struct preflight_facts *facts, struct buf *error)
{
	const struct campaign_plan *plan = facts->plan;
	struct runtime runtime;
	struct connect connect = {0};
	const struct connect_options options = {.queue_url = plan->queue_url,
		.endpoint = plan->endpoint,
		.allow_insecure = plan->allow_insecure,
		.interrupts = &runtime.signal_count};
	int rc = runtime_open(&runtime, on_signal, &runtime);

	if (rc < 0)
		return rc;
	rc = connect_open(&connect, &runtime.loop, runtime.clock, &options, error);
	if (rc == 0)
		rc = campaign_ask(&runtime, connect.client, plan->queue_url, &facts->answer);
	facts->asked = rc == 0;
	if (rc == 0 && campaign_answer_is_fatal(&facts->answer)) {
		rc = facts->answer.err;
		buf_append_string(error, facts->answer.words);
	}
	connect_close(&connect);
	runtime_close(&runtime);
	return rc;
}

static int take_samples(struct campaign_plan *plan, struct preflight_facts *facts)
{
	return campaign_samples_take(plan, facts->samples, &facts->sample_count);
}

/* the three ways to show them */

static int tell(int rc, const struct buf *error)
{
	if (rc == ERR_CANCELLED)
		cli_error(COMMAND, "interrupted before anything was sent");
	else
		cli_error(COMMAND, "%s", error->len > 0 ? buf_string(error) : error_message(rc));
	return rc == ERR_CANCELLED ? CLI_FAILED : cli_exit_code(rc);
}

static bool has_colours(int fd)
{
	const char *no_color = getenv("NO_COLOR");

	return cli_is_terminal(fd) && !(no_color && *no_color);
}

static int dry_run(struct campaign_plan *plan, struct preflight_facts *facts, struct buf *text)
{
	struct buf error = BUF_INIT(2048);
	int rc = plan->queue_url ? ask_queue(facts, &error) : 0;
	int code = CLI_DONE;
	int taken = rc == ERR_CANCELLED ? rc : take_samples(plan, facts);

	if (taken == 0 && plan->json)
		preflight_append_json(facts, text);
	else if (taken == 0)
		preflight_append(facts, has_colours(STDOUT_FILENO), text);
	fputs(buf_string(text), stdout);
	fflush(stdout);
	if (rc == 0)
		rc = taken;
	if (rc < 0)
		code = tell(rc, &error);
	buf_free(&error);
	return code;
}

static bool ask_person(int terminal, const struct campaign_plan *plan)
{
	char number[24], question[MESSAGES_NAME_MAX + 100];
	const char *what = plan->pack > 0 ? "the number of recipients" : "the number of messages";
	const char *word = plan->name ? plan->name : number;

	snprintf(number, sizeof(number), "%" PRIu64, plan->check.valid);
	snprintf(question, sizeof(question), "Type %s (%s) to send it: ", word,
		plan->name ? "the campaign's name" : what);
	if (campaign_confirm(terminal, question, word))
		return true;
	cli_error(COMMAND, "not confirmed; nothing was sent");
	return false;
}

static int on_terminal(
	int terminal, struct campaign_plan *plan, struct preflight_facts *facts, struct buf *text)
{
	struct buf error = BUF_INIT(2048);
	int rc = ask_queue(facts, &error);
	int code = -1;

	if (rc == 0)
		rc = take_samples(plan, facts);
	if (rc < 0) {
		code = tell(rc, &error);
	} else {
		preflight_append(facts, has_colours(STDERR_FILENO), text);
		fputs(buf_string(text), stderr);
		if (!plan->preflight.yes && !ask_person(terminal, plan))
			code = CLI_FAILED;
	}
	buf_free(&error);
	return code;
}

int campaign_preflight(struct campaign_plan *plan)
{
	struct preflight_facts facts = {.plan = plan, .now_epoch_ms = (int64_t)time(NULL) * 1000};
	struct buf text = BUF_INIT(TEXT_MAX);
	int terminal = plan->dry_run ? -1 : campaign_confirm_open();
	int code = -1;

	forecast(&facts);
	if (plan->dry_run) {
		code = dry_run(plan, &facts, &text);
	} else if (terminal >= 0) {
		code = on_terminal(terminal, plan, &facts, &text);
	} else {
		preflight_append_brief(&facts, &text);
		fputs(buf_string(&text), stderr);
	}
	if (terminal >= 0)
		close(terminal);
	buf_free(&text);
	return code;
}
