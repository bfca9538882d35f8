/* credential_process:
 * https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html */
#include "aws/credentials/provider.h"
#include "aws/credentials/words.h"
#include "base/json.h"
#include "base/units.h"
#include "bunshin/error.h"

#include <openssl/crypto.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OUTPUT_MAX ((size_t)64 << 10)
#define WORDS_MAX 63
#define TOOL_SIZE 200

struct process {
	uv_loop_t *loop;
	struct clock clock;
	int64_t timeout_ms;
	char *command;
	struct run *run; /* NULL: none under way */
};

/*
 * One child. It outlives the get(): its handle stays open until the child has been reaped, since
 * libuv reaps only what it has a handle for.
 */
struct run {
	struct process *owner; /* NULL: the get() has ended */
	struct credentials_set *set;
	credentials_done *done;
	void *arg;
	struct clock_timer deadline;
	uv_process_t child;
	uv_pipe_t output;
	unsigned open; /* handles that are not closed */
	bool has_exited, output_ended;
	int64_t status;
	int signal;
	char tool[TOOL_SIZE]; /* the first word, for reasons: another may be a password */
	size_t len;
	char text[OUTPUT_MAX + 1];
};

static int say(const char *tool, int err, char reason[CREDENTIALS_REASON_MAX], const char *format,
	...) __attribute__((format(printf, 4, 5)));

static int say(
	const char *tool, int err, char reason[CREDENTIALS_REASON_MAX], const char *format, ...)
{
	char what[CREDENTIALS_REASON_MAX - TOOL_SIZE - 32];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	snprintf(reason, CREDENTIALS_REASON_MAX, "credential_process %s: %s", tool, what);
	return err;
}

/* ---- the life of a run */

static void handle_closed(uv_handle_t *handle)
{
	struct run *run = handle->data;

	if (--run->open > 0)
		return;
	OPENSSL_cleanse(run->text, sizeof(run->text));
	free(run);
}

static void close_output(struct run *run)
{
	if (!uv_is_closing((uv_handle_t *)&run->output))
		uv_close((uv_handle_t *)&run->output, handle_closed);
}

/* The get() has ended; what still has to be closed or reaped goes on without its owner. */
static void abandon(struct run *run)
{
	clock_timer_clear(run->owner->clock, &run->deadline);
	run->owner->run = NULL;
	run->owner = NULL;
	/* Once it has been reaped, its number may be another's. */
	if (!run->has_exited)
		kill(-run->child.pid, SIGKILL);
	close_output(run);
}

static void finish(struct run *run, int err, const char *reason)
{
	credentials_done *done = run->done;
	void *arg = run->arg;

	if (err != 0)
		credentials_wipe(run->set);
	abandon(run);
	done(arg, err, reason);
}

/* ---- what it says */

static bool is_version_1(const char *text, size_t len)
{
	struct json json = {0};
	int64_t version = 0;

	if (json_parse(&json, text, len) == 0)
		json_int(json_member(json_root(&json), "Version"), &version);
	if (json.strings != NULL)
		OPENSSL_cleanse(json.strings, json.strings_capacity);
	json_free(&json);
	return version == 1;
}

static int read_answer(const struct run *run, char reason[CREDENTIALS_REASON_MAX])
{
	char what[CREDENTIALS_REASON_MAX] = "", moment[UNITS_TEXT_MAX];
	int64_t now = clock_wall_epoch_ms(run->owner->clock);
	int err;

	err = credentials_read_json(run->text, run->len, run->set, what, sizeof(what));
	if (err != 0)
		return say(run->tool, err, reason, "%s", what);
	if (!is_version_1(run->text, run->len))
		return say(run->tool, ERR_PROTOCOL, reason, "its \"Version\" is not 1");
	if (run->set->expires_epoch_ms != 0 && run->set->expires_epoch_ms <= now)
		return say(run->tool, ERR_EXPIRED_CREDENTIALS, reason,
			"its credentials expired at %s",
			units_format_rfc3339(run->set->expires_epoch_ms, moment));
	return 0;
}

/* It has exited. Its output may still be open, held by what it started. */
static void conclude(struct run *run)
{
	char reason[CREDENTIALS_REASON_MAX] = "";
	int err;

	if (run->signal != 0)
		err = say(run->tool, ERR_UNAVAILABLE, reason, "killed by signal %d", run->signal);
	else if (run->status != 0)
		err = say(run->tool, ERR_UNAVAILABLE, reason, "ended with exit code %lld",
			(long long)run->status);
	else
		err = read_answer(run, reason);
	/* Half an answer: the rest may be on its way through a child of its own. */
	if (err != 0 && run->signal == 0 && run->status == 0 && !run->output_ended)
		return;
	finish(run, err, reason);
}

static void exited(uv_process_t *child, int64_t status, int signal)
{
	struct run *run = child->data;

	run->has_exited = true;
	run->status = status;
	run->signal = signal;
	uv_close((uv_handle_t *)child, handle_closed);
	if (run->owner != NULL)
		conclude(run);
}

static void allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf)
{
	struct run *run = handle->data;

	*ret_buf = uv_buf_init(run->text + run->len, (unsigned)(sizeof(run->text) - run->len));
}

static void output_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct run *run = stream->data;
	char reason[CREDENTIALS_REASON_MAX];

	run->len += n > 0 ? (size_t)n : 0;
	if (n < 0) {
		run->output_ended = true;
		close_output(run);
	}
	if (run->len > OUTPUT_MAX)
		finish(run,
			say(run->tool, ERR_ANSWER_TOO_LARGE, reason,
				"its output is longer than %zu bytes", OUTPUT_MAX),
			reason);
	else if (run->has_exited)
		conclude(run);
}

static void deadline_passed(struct clock_timer *timer)
{
	struct run *run = (struct run *)(void *)((char *)timer - offsetof(struct run, deadline));
	char reason[CREDENTIALS_REASON_MAX], limit[UNITS_TEXT_MAX];

	units_format_duration_ms(run->owner->timeout_ms, limit);
	finish(run,
		say(run->tool, ERR_TIMEOUT, reason,
			run->has_exited ? "no whole answer within %s"
					: "did not end within %s and was killed",
			limit),
		reason);
}

/* ---- starting */

/* On failure the run goes as soon as libuv has closed its handles. */
static int start(struct run *run, char *words[], char reason[CREDENTIALS_REASON_MAX])
{
	struct process *owner = run->owner;
	uv_stdio_container_t stdio[3] = {
		{.flags = UV_IGNORE},
		{.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
			.data.stream = (uv_stream_t *)&run->output},
		{.flags = UV_INHERIT_FD, .data.fd = 2},
	};
	/* Detached: leader of a process group, so that its children can be killed with it. */
	uv_process_options_t options = {
		.file = words[0],
		.args = words,
		.exit_cb = exited,
		.flags = UV_PROCESS_DETACHED,
		.stdio_count = 3,
		.stdio = stdio,
	};
	int err;

	uv_pipe_init(owner->loop, &run->output, 0);
	run->child.data = run->output.data = run;
	run->open = 2;
	err = uv_spawn(owner->loop, &run->child, &options);
	if (err != 0) {
		say(run->tool, err, reason, "cannot be run: %s", uv_strerror(err));
		run->has_exited = true;
		abandon(run);
		uv_close((uv_handle_t *)&run->child, handle_closed);
		return err == UV_ENOENT || err == UV_EACCES ? ERR_CONFIG : ERR_IO;
	}
	uv_read_start((uv_stream_t *)&run->output, allocate, output_read);
	return CREDENTIALS_LATER;
}

/* The timer first: a child that nothing limits must not come to be. */
static int run_new(struct process *process, const char *tool, struct run **ret_run)
{
	struct run *run = calloc(1, sizeof(*run));
	int err;

	if (run == NULL)
		return ERR_NOMEM;
	run->owner = process;
	run->deadline.fire = deadline_passed;
	snprintf(run->tool, sizeof(run->tool), "%s", tool);
	err = clock_timer_after(
		process->clock, &run->deadline, (uint64_t)process->timeout_ms * 1000);
	if (err != 0) {
		free(run);
		return err;
	}
	process->run = run;
	*ret_run = run;
	return 0;
}

static int process_get(void *impl, struct credentials_set *ret_set, credentials_done *done,
	void *arg, char reason[CREDENTIALS_REASON_MAX])
{
	struct process *process = impl;
	char *words[WORDS_MAX + 1] = {NULL};
	char *command = strdup(process->command);
	struct run *run;
	size_t count = 0;
	int err;

	if (command == NULL)
		return ERR_NOMEM;
	err = words_split(command, words, WORDS_MAX, &count);
	if (err == 0 && count > 0) {
		err = run_new(process, words[0], &run);
		if (err == 0) {
			run->set = ret_set;
			run->done = done;
			run->arg = arg;
			err = start(run, words, reason);
		}
	} else {
		snprintf(reason, CREDENTIALS_REASON_MAX, "credential_process: %s",
			err == ERR_SYNTAX  ? "a quote without its end, or a backslash at the end"
			: err == ERR_LIMIT ? "more than 63 words"
					   : "no command");
		err = ERR_CONFIG;
	}
	OPENSSL_cleanse(command, strlen(process->command));
	free(command);
	return err;
}

static void process_cancel(void *impl)
{
	struct process *process = impl;

	if (process->run != NULL)
		abandon(process->run);
}

static void process_free(void *impl)
{
	struct process *process = impl;

	process_cancel(process);
	OPENSSL_cleanse(process->command, strlen(process->command));
	free(process->command);
	free(process);
}

int credentials_process(const struct credentials_context *context, const char *command,
	int64_t timeout_ms, struct credentials_provider *ret_provider)
{
	struct process *process = calloc(1, sizeof(*process));

	if (process == NULL)
		return ERR_NOMEM;
	process->command = strdup(command);
	if (process->command == NULL) {
		free(process);
		return ERR_NOMEM;
	}
	process->loop = context->loop;
	process->clock = context->clock;
	process->timeout_ms = timeout_ms;
	*ret_provider = (struct credentials_provider){.name = "process",
		.get = process_get,
		.cancel = process_cancel,
		.free = process_free,
		.impl = process};
	return 0;
}
