/* bunshin campaign control, and what the verbs that change it share. */
#include "cli/campaign/control.h"

#include "aws/sqs_queue.h"
#include "bunshin/error.h"
#include "cli/campaign/campaign.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 16384

/* ---- calls for tags, each to its end */

struct tag_call {
	struct control_command *command;
	struct queue_call *call;
	bool answered;
	int err;
	char words[700];
};

static void keep_value(char to[CONTROL_VALUE_SIZE], const struct sqs_tags *tags, const char *key)
{
	const char *value = sqs_tags_find(tags, key);

	snprintf(to, CONTROL_VALUE_SIZE, "%s", value ? value : "");
}

static void keep_tags(struct control_command *command, const struct sqs_tags *tags)
{
	const struct control_tags values = {.paused = sqs_tags_find(tags, CONTROL_TAG_PAUSED),
		.rate = sqs_tags_find(tags, CONTROL_TAG_RATE),
		.cancelled = sqs_tags_find(tags, CONTROL_TAG_CANCELLED)};

	keep_value(command->paused, tags, CONTROL_TAG_PAUSED);
	keep_value(command->rate, tags, CONTROL_TAG_RATE);
	keep_value(command->cancelled, tags, CONTROL_TAG_CANCELLED);
	command->control = (struct control){.paused = false};
	command->trouble[0] = '\0';
	control_read(&values, &command->control, command->trouble);
}

static void on_tags(void *arg, const struct sqs_outcome *outcome, const struct sqs_tags *tags)
{
	struct tag_call *call = arg;

	call->call = NULL;
	call->answered = true;
	call->err = outcome->err;
	snprintf(call->words, sizeof(call->words), "%s", outcome->detail);
	if (!outcome->err && tags->count > 0)
		keep_tags(call->command, tags);
}

/* -1, or the exit code. `permission` is what the call takes, `action` what it is for. */
static int finish_call(struct tag_call *call, int err, const char *action, const char *permission)
{
	struct control_command *command = call->command;

	if (!err)
		err = runtime_await(
			&command->runtime.loop, &call->answered, &command->runtime.signal_count);
	if (call->call)
		sqs_call_cancel(command->connect.client, call->call);
	if (!err)
		err = call->err;
	if (!err)
		return -1;
	if (err == ERR_CANCELLED)
		cli_error(command->name, "interrupted");
	else if (err == ERR_ACCESS_DENIED)
		cli_error(command->name, "may not %s (%s): %s", action, permission, call->words);
	else
		cli_error(command->name, "cannot %s: %s", action,
			call->words[0] ? call->words : error_message(err));
	return cli_exit_code(err);
}

/* Reads the tags again. -1 or the exit code. */
static int control_refresh(struct control_command *command)
{
	struct tag_call call = {.command = command};
	const struct sqs_tags none = {.count = 0};
	int err;

	keep_tags(command, &none);
	err = sqs_list_queue_tags(
		command->connect.client, command->queue_url, on_tags, &call, &call.call);
	return finish_call(&call, err, "read the queue's tags", "sqs:ListQueueTags");
}

int control_put(struct control_command *command, const char *key, const char *value)
{
	struct tag_call call = {.command = command};
	const struct sqs_tag tag = {.key = key, .value = value};
	int code, err;

	if (value)
		err = sqs_tag_queue(command->connect.client, command->queue_url, &tag, 1, on_tags,
			&call, &call.call);
	else
		err = sqs_untag_queue(command->connect.client, command->queue_url, &key, 1, on_tags,
			&call, &call.call);
	code = finish_call(
		&call, err, "change the queue's tags", value ? "sqs:TagQueue" : "sqs:UntagQueue");
	if (code >= 0)
		return code;
	command->changed = true;
	command->set_us = clock_monotonic_us(command->runtime.clock);
	command->set_epoch_ms = clock_wall_epoch_ms(command->runtime.clock);
	return control_refresh(command);
}

/* ---- the beginning and the end of a verb */

static void on_signal(void *arg, unsigned count)
{
	struct control_command *command = arg;

	uv_stop(&command->runtime.loop);
}

int control_open(struct control_command *command)
{
	struct connect_options options = {.interrupts = &command->runtime.signal_count};
	struct buf error = BUF_INIT(4096);
	struct sqs_queue_url parts;
	int err;

	if (!command->queue_url)
		return cli_usage_error(command->name, "--queue-url is missing");
	if (sqs_queue_url_parse(command->queue_url, &parts) < 0)
		return cli_usage_error(
			command->name, "--queue-url: \"%s\" is no queue URL", command->queue_url);
	if (command->results_url && sqs_queue_url_parse(command->results_url, &parts) < 0)
		return cli_usage_error(command->name, "--results-url: \"%s\" is no queue URL",
			command->results_url);
	if (runtime_open(&command->runtime, on_signal, command)) {
		cli_error(command->name, "cannot start an event loop");
		command->queue_url = NULL;
		return CLI_FAILED;
	}
	options.queue_url = command->queue_url;
	options.endpoint = command->endpoint;
	options.allow_insecure = command->allow_insecure;
	err = connect_open(&command->connect, &command->runtime.loop, command->runtime.clock,
		&options, &error);
	if (err)
		cli_error(command->name, "%s",
			error.len > 0 ? buf_string(&error) : error_message(err));
	buf_free(&error);
	if (err)
		return err == ERR_CONFIG || err == ERR_ARGUMENT ? CLI_USAGE : cli_exit_code(err);
	return control_refresh(command);
}

void control_close(struct control_command *command)
{
	if (!command->runtime.loop_clock)
		return;
	connect_close(&command->connect);
	runtime_close(&command->runtime);
}

/* ---- what is printed */

static void say_effect(const struct control_command *command, const struct control_effect *effect)
{
	if (effect->interrupted)
		printf("interrupted while waiting for the effect; what was set stays set\n");
	if (effect->workers > 0 && effect->seconds >= 0)
		printf("in force on %u of %u worker%s after %.1f s%s\n", effect->in_force,
			effect->workers, effect->workers == 1 ? "" : "s", effect->seconds,
			effect->in_flight > 0 ? "; requests in flight finish" : "");
	else if (effect->workers > 0)
		printf("in force on %u of %u worker%s so far\n", effect->in_force, effect->workers,
			effect->workers == 1 ? "" : "s");
	else if (effect->asked)
		printf("no worker was heard of in the results: see below\n");
	if (effect->queue_in_flight >= 0 && effect->queue_empty_seconds >= 0)
		printf("nothing of the queue is in flight any more after %.1f s\n",
			effect->queue_empty_seconds);
	else if (effect->queue_in_flight >= 0)
		printf("%" PRId64
		       " messages of the queue are in flight, or wait to be tried again\n",
			effect->queue_in_flight);
	if (effect->workers == 0)
		printf("workers that have work read this within %d s, idle ones before they send "
		       "again; who has taken it over is in the results (--results-url)\n",
			CONTROL_READ_WITHIN_S);
}

static void add_names(cJSON *root, const char *cancelled)
{
	cJSON *names = cJSON_AddArrayToObject(root, "cancelled");
	char copy[CONTROL_TAG_MAX + 1], *rest = copy, *name;

	snprintf(copy, sizeof(copy), "%s", cancelled);
	while ((name = strsep(&rest, " ")))
		if (name[0])
			cJSON_AddItemToArray(names, cJSON_CreateString(name));
}

static void print_json(const struct control_command *command, const struct control_effect *effect)
{
	const struct control *control = &command->control;
	char rate[CONTROL_RATE_SIZE], id[CONTROL_ID_SIZE];
	cJSON *root = cJSON_CreateObject();
	char *text;

	control_rate_text(control->rate_count, control->rate_per_ms, rate);
	control_id(control, id);
	cJSON_AddStringToObject(root, "queue", command->queue_url);
	cJSON_AddBoolToObject(root, "changed", command->changed);
	cJSON_AddBoolToObject(root, "paused", control->paused);
	if (rate[0])
		cJSON_AddStringToObject(root, "rate", rate);
	else
		cJSON_AddNullToObject(root, "rate");
	add_names(root, control->cancelled);
	cJSON_AddStringToObject(root, "control", id);
	if (command->trouble[0])
		cJSON_AddStringToObject(root, "trouble", command->trouble);
	if (effect->asked) {
		cJSON_AddNumberToObject(root, "workers", effect->workers);
		cJSON_AddNumberToObject(root, "in_force", effect->in_force);
		if (effect->seconds >= 0)
			cJSON_AddNumberToObject(root, "seconds", effect->seconds);
	}
	if (effect->queue_in_flight >= 0)
		cJSON_AddNumberToObject(root, "in_flight", (double)effect->queue_in_flight);
	text = cJSON_PrintUnformatted(root);
	if (text)
		puts(text);
	free(text);
	cJSON_Delete(root);
}

int control_finish(struct control_command *command, const char *did)
{
	struct control_effect effect = {.seconds = -1, .queue_in_flight = -1};
	struct buf error = BUF_INIT(4096);
	int err = 0;

	if (command->trouble[0])
		cli_error(command->name, "%s", command->trouble);
	if (!command->json) {
		printf("%s\n", did);
		fflush(stdout);
	}
	if (!command->no_wait)
		err = control_effect_wait(command, CONTROL_EFFECT_MAX_S, &effect, &error);
	if (err)
		cli_error(command->name, "cannot see who has taken it over: %s",
			error.len > 0 ? buf_string(&error) : error_message(err));
	if (command->json)
		print_json(command, &effect);
	else if (!command->no_wait)
		say_effect(command, &effect);
	buf_free(&error);
	if (fflush(stdout) || err == ERR_CONFIG)
		return CLI_FAILED;
	/* It is set; that somebody whom we know of does not act by it yet is worth a code. */
	return effect.workers > effect.in_force && !effect.interrupted ? CLI_TEMPORARY : CLI_DONE;
}

/* ---- the verb */

static int parse(struct control_command *command, int argc, char **argv)
{
	const struct cli_option options[] = {CONTROL_OPTIONS(command), {0}};
	const struct cli_usage usage = {command->name, "--queue-url URL [options]",
		"Shows what the queue's tags ask of its workers: whether they are paused, the "
		"rate\n"
		"of the fleet, and the campaigns that are cancelled; and, from the results, how\n"
		"many of them act by it.",
		options, 0, 0};
	int first, count;

	return cli_parse(&usage, argc, argv, &first, &count);
}

static int show(struct control_command *command)
{
	struct control_effect effect = {.seconds = -1, .queue_in_flight = -1};
	const struct control *control = &command->control;
	struct buf error = BUF_INIT(4096);
	char rate[CONTROL_RATE_SIZE];
	int err = 0;

	if (command->trouble[0])
		cli_error(command->name, "%s", command->trouble);
	if (!command->no_wait)
		err = control_effect_wait(command, 0, &effect, &error);
	if (err)
		cli_error(command->name, "cannot see who has taken it over: %s",
			error.len > 0 ? buf_string(&error) : error_message(err));
	buf_free(&error);
	if (command->json) {
		print_json(command, &effect);
		return fflush(stdout) ? CLI_FAILED : CLI_DONE;
	}
	control_rate_text(control->rate_count, control->rate_per_ms, rate);
	printf("paused     %s\nrate       %s\ncancelled  %s\n", control->paused ? "yes" : "no",
		rate[0] ? rate : "off", control->cancelled[0] ? control->cancelled : "none");
	if (effect.asked)
		printf("in force   on %u of %u workers heard of lately\n", effect.in_force,
			effect.workers);
	return fflush(stdout) ? CLI_FAILED : CLI_DONE;
}

int campaign_control(int argc, char **argv)
{
	struct control_command command = {.name = "campaign control", .directory = "."};
	int code = parse(&command, argc, argv);

	if (code < 0)
		code = control_open(&command);
	if (code < 0)
		code = show(&command);
	control_close(&command);
	return code;
}
