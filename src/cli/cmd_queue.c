/*
 * bunshin queue: the embedded SQS-compatible queue as a process of its own.
 */
#include "base/log.h"
#include "bunshin/error.h"
#include "cli/cli.h"
#include "cli/runtime.h"
#include "localq/endpoint.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND "queue"

struct settings {
	const char *listen;
	const char *dir;
	bool memory;
	const char *access_key;
	const char *secret_key;
	const char *region;
	char default_dir[PATH_MAX];
};

struct queue_process {
	struct settings settings;
	struct runtime runtime;
	struct endpoint *endpoint;
};

/* Without --data: where the XDG base directory specification puts state. As parse(). */
static int choose_directory(struct settings *settings)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	int length;

	if (settings->dir != NULL)
		return -1;
	if (state != NULL && *state == '/')
		length = snprintf(settings->default_dir, PATH_MAX, "%s/bunshin/queue", state);
	else if (home != NULL && *home == '/')
		length = snprintf(
			settings->default_dir, PATH_MAX, "%s/.local/state/bunshin/queue", home);
	else
		return cli_usage_error(COMMAND, "HOME is not set: give --data DIR or --memory");
	if (length >= PATH_MAX)
		return cli_usage_error(COMMAND, "HOME is too long: give --data DIR");
	settings->dir = settings->default_dir;
	return -1;
}

/* -1 to go on, else the exit code. */
static int parse(int argc, char **argv, struct settings *settings)
{
	const struct cli_option options[] = {
		{"listen", 0, CLI_STRING, "ADDR", &settings->listen, 0, 0,
			"address and port, port 0 for any free one [127.0.0.1:9324]"},
		{"data", 0, CLI_STRING, "DIR", &settings->dir, 0, 0,
			"directory that keeps the queues [~/.local/state/bunshin/queue]"},
		{"memory", 0, CLI_FLAG, NULL, &settings->memory, 0, 0,
			"keep nothing: the queues end with the process"},
		{"access-key", 0, CLI_STRING, "ID", &settings->access_key, 0, 0,
			"take only requests signed with this key [any signature, or none]"},
		{"secret-key", 0, CLI_STRING, "KEY", &settings->secret_key, 0, 0,
			"the secret that belongs to --access-key"},
		{"region", 0, CLI_STRING, "NAME", &settings->region, 0, 0,
			"region in ARNs and signatures [us-east-1]"},
		{0},
	};
	const struct cli_usage usage = {
		.command = COMMAND,
		.arguments = "[options]",
		.description = "Runs a queue that speaks Amazon SQS's JSON protocol. What was "
			       "acknowledged survives a crash, unless --memory is given.",
		.options = options,
	};
	int first, count, code;

	code = cli_parse(&usage, argc, argv, &first, &count);
	if (code >= 0)
		return code;
	if (settings->memory && settings->dir != NULL)
		return cli_usage_error(COMMAND, "--data and --memory exclude each other");
	if ((settings->access_key != NULL) != (settings->secret_key != NULL))
		return cli_usage_error(COMMAND, "--access-key and --secret-key go together");
	return settings->memory ? -1 : choose_directory(settings);
}

static void store_failed(void *arg, const char *detail)
{
	(void)arg;
	log_error("a transaction failed, its requests were answered with 500",
		LOG_STR("reason", detail));
}

/* For people and scripts: the first line is the endpoint, the third one can be pasted. */
static void print_welcome(const struct queue_process *process)
{
	const struct settings *settings = &process->settings;
	const char *address = endpoint_address(process->endpoint);
	const char *key = settings->access_key != NULL ? settings->access_key : "local";

	printf("listening on http://%s\n", address);
	if (settings->memory)
		printf("queues are kept in memory only\n");
	else
		printf("queues are kept in %s\n", settings->dir);
	printf("\n  export AWS_ENDPOINT_URL_SQS=http://%s AWS_REGION=%s AWS_ACCESS_KEY_ID=%s "
	       "AWS_SECRET_ACCESS_KEY=%s\n\n",
		address, settings->region, key, settings->access_key != NULL ? "..." : "local");
	printf("then, for a first queue%s:\n\n",
		settings->access_key != NULL ? " (with a client that signs)" : "");
	printf("  curl -s -H 'X-Amz-Target: AmazonSQS.CreateQueue' "
	       "-H 'Content-Type: application/x-amz-json-1.0' "
	       "-d '{\"QueueName\":\"morning\"}' http://%s/\n\n",
		address);
	fflush(stdout);
}

static void on_endpoint_closed(void *arg)
{
	struct queue_process *process = arg;

	process->endpoint = NULL;
	uv_stop(&process->runtime.loop);
}

static void on_signal(void *arg, unsigned count)
{
	struct queue_process *process = arg;

	if (count == 1)
		endpoint_close(process->endpoint, on_endpoint_closed, process);
}

static int start(struct queue_process *process, char detail[ENDPOINT_DETAIL_MAX])
{
	const struct settings *settings = &process->settings;
	const struct endpoint_options options = {
		.listen = settings->listen,
		.dir = settings->dir,
		.region = settings->region,
		.access_key = settings->access_key,
		.secret_key = settings->secret_key,
		.failed = store_failed,
		.arg = process,
	};
	int err = runtime_open(&process->runtime, on_signal, process);

	if (err < 0) {
		snprintf(detail, ENDPOINT_DETAIL_MAX, "the event loop cannot start");
		return err;
	}
	err = endpoint_new(&process->runtime.loop, process->runtime.clock, &options,
		&process->endpoint, detail);
	if (err < 0)
		runtime_close(&process->runtime);
	return err;
}

int cmd_queue(int argc, char **argv)
{
	struct queue_process process = {
		.settings = {.listen = "127.0.0.1:9324", .region = "us-east-1"},
	};
	char detail[ENDPOINT_DETAIL_MAX];
	int code = parse(argc, argv, &process.settings);
	int err;

	if (code >= 0)
		return code;
	if (process.settings.secret_key != NULL)
		log_add_secret(process.settings.secret_key);
	err = start(&process, detail);
	if (err < 0) {
		cli_error(COMMAND, "%s", detail);
		return err == ERR_ARGUMENT ? CLI_USAGE : CLI_FAILED;
	}
	print_welcome(&process);
	uv_run(&process.runtime.loop, UV_RUN_DEFAULT);
	runtime_close(&process.runtime);
	return CLI_DONE;
}
