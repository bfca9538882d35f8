/*
 * bunshin queue: the embedded SQS-compatible queue as a process of its own.
 */
#include "base/buf.h"
#include "base/log.h"
#include "bunshin/error.h"
#include "cli/cli.h"
#include "cli/queue/declared.h"
#include "cli/queue/welcome.h"
#include "cli/runtime.h"
#include "localq/endpoint.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND "queue"
#define FAILURE_LOG_INTERVAL_US 10000000

struct settings {
	const char *listen;
	const char *dir;
	bool memory;
	const char *access_key;
	const char *secret_key;
	const char *region;
	const char *sync;   /* NULL: normal */
	const char *config; /* NULL: no queues are declared */
	struct cli_strings page_hosts;
	char default_dir[PATH_MAX];
};

struct queue_process {
	struct settings settings;
	struct declared *declared; /* NULL: none are */
	struct runtime runtime;
	struct endpoint *endpoint;
	uint64_t failure_logged_us; /* 0: never */
	uint64_t failures;	    /* since then */
	bool recovery_due;	    /* to be logged */
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
		{"sync", 0, CLI_STRING, "normal|full", &settings->sync, 0, 0,
			"what was acknowledged survives the process's death; full: power loss, too "
			"[normal]"},
		{"config", 'c', CLI_STRING, "FILE", &settings->config, 0, 0,
			"YAML file of queues to create or bring in line at the start"},
		{"access-key", 0, CLI_STRING, "ID", &settings->access_key, 0, 0,
			"take only requests signed with this key [any signature, or none]"},
		{"secret-key", 0, CLI_STRING, "KEY", &settings->secret_key, 0, 0,
			"the secret that belongs to --access-key"},
		{"region", 0, CLI_STRING, "NAME", &settings->region, 0, 0,
			"region in ARNs and signatures [us-east-1]"},
		{"page-host", 0, CLI_STRINGS, "NAME", &settings->page_hosts, 0, 0,
			"a host name by which browsers may reach the admin page, too"},
		{0},
	};
	const struct cli_usage usage = {
		.command = COMMAND,
		.arguments = "[options]",
		.description = "Runs a queue that speaks Amazon SQS's protocols. What was "
			       "acknowledged survives a crash, unless --memory is given. The "
			       "address it prints is also an admin page for a browser.",
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
	if (settings->sync != NULL && settings->memory)
		return cli_usage_error(COMMAND, "--sync and --memory exclude each other: "
						"nothing is kept that could survive");
	if (settings->sync != NULL && strcmp(settings->sync, "normal") != 0 &&
		strcmp(settings->sync, "full") != 0)
		return cli_usage_error(COMMAND, "--sync is normal or full, not %s", settings->sync);
	return settings->memory ? -1 : choose_directory(settings);
}

/* Thousands of requests a second may fail: one line now and then, with their number. */
static void store_failed(void *arg, const char *detail)
{
	struct queue_process *process = arg;
	uint64_t now = clock_monotonic_us(process->runtime.clock);

	process->failures++;
	if (process->failure_logged_us != 0 &&
		now - process->failure_logged_us < FAILURE_LOG_INTERVAL_US)
		return;
	log_error("the database fails, what cannot be kept is answered with 500",
		LOG_STR("reason", detail), LOG_INT("failures", process->failures));
	process->failure_logged_us = now;
	process->failures = 0;
	process->recovery_due = true;
}

static void store_recovered(void *arg)
{
	struct queue_process *process = arg;

	if (process->recovery_due)
		log_info("the database works again", LOG_INT("failures", process->failures));
	process->recovery_due = false;
}

static void print_welcome(struct queue_process *process)
{
	const struct settings *settings = &process->settings;
	const struct welcome welcome = {
		.address = endpoint_address(process->endpoint),
		.dir = settings->memory ? NULL : settings->dir,
		.region = settings->region,
		.access_key = settings->access_key,
		.config = settings->config,
		.declarations = declared_list(process->declared),
	};

	welcome_print(&welcome, stdout);
}

/* What is wrong with the file, line by line. */
static int config_error(int err, const struct buf *errors)
{
	if (errors->len > 0)
		fprintf(stderr, "%s", buf_string(errors));
	else
		cli_error(COMMAND, "%s", error_message(err));
	return err == ERR_NOMEM ? CLI_FAILED : CLI_USAGE;
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
		.sync_full = settings->sync != NULL && strcmp(settings->sync, "full") == 0,
		.region = settings->region,
		.access_key = settings->access_key,
		.secret_key = settings->secret_key,
		.page_hosts = settings->page_hosts.values,
		.page_host_count = settings->page_hosts.count,
		.declarations = declared_list(process->declared),
		.failed = store_failed,
		.recovered = store_recovered,
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

/* As the process does once its options are read. Returns the exit code. */
static int run(struct queue_process *process)
{
	char detail[ENDPOINT_DETAIL_MAX];
	struct buf errors = BUF_INIT((size_t)1 << 20);
	int err = 0, code;

	if (process->settings.config != NULL)
		err = declared_load(process->settings.config, &process->declared, &errors);
	if (err < 0) {
		code = config_error(err, &errors);
		buf_free(&errors);
		return code;
	}
	err = start(process, detail);
	if (err == ERR_REFUSED) {
		declared_explain(process->declared, &errors);
		code = config_error(err, &errors);
		buf_free(&errors);
		return code;
	}
	if (err < 0) {
		cli_error(COMMAND, "%s", detail);
		return err == ERR_ARGUMENT ? CLI_USAGE : CLI_FAILED;
	}
	print_welcome(process);
	uv_run(&process->runtime.loop, UV_RUN_DEFAULT);
	runtime_close(&process->runtime);
	return CLI_DONE;
}

int cmd_queue(int argc, char **argv)
{
	struct queue_process process = {
		.settings = {.listen = "127.0.0.1:9324", .region = "us-east-1"},
	};
	int code = parse(argc, argv, &process.settings);

	if (code >= 0)
		return code;
	if (process.settings.secret_key != NULL)
		log_add_secret(process.settings.secret_key);
	code = run(&process);
	declared_free(process.declared);
	return code;
}
