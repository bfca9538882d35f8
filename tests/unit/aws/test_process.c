/* credential_process: real children, of /bin/sh, and a time-out in virtual time. */
#include "aws/credentials/provider.h"
#include "base/manual_clock.h"
#include "bunshin/error.h"
#include "failmalloc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define KEYS "\"AccessKeyId\":\"AKID\",\"SecretAccessKey\":\"SECRET\""
#define ANSWER "{\"Version\":1," KEYS "}"
#define NOW_EPOCH_MS 1800000000000
#define TIMEOUT_MS 60000

static char directory[] = "/tmp/process_XXXXXX";
static char script_path[100], note_path[100];
static uv_loop_t loop;
static struct manual_clock time_source;
static struct credentials_context context;
static size_t descriptors; /* open before the test */

/* ---- what a get() came to */

static struct credentials_set set;
static unsigned done_calls;
static int done_err;
static char done_reason[CREDENTIALS_REASON_MAX];

static void done(void *arg, int err, const char *reason)
{
	assert_ptr_equal(arg, &set);
	done_calls++;
	done_err = err;
	snprintf(done_reason, sizeof(done_reason), "%s", reason);
}

static size_t count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t count = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

static int setup(void **state)
{
	assert_int_equal(uv_loop_init(&loop), 0);
	/* libuv opens what it needs for signals once. */
	uv_run(&loop, UV_RUN_NOWAIT);
	manual_clock_init(&time_source, 1, NOW_EPOCH_MS);
	context = (struct credentials_context){
		.loop = &loop, .clock = manual_clock_table(&time_source)};
	memset(&set, 0, sizeof(set));
	done_calls = 0;
	done_err = 1;
	return 0;
}

static int teardown(void **state)
{
	assert_false(manual_clock_step(&time_source)); /* no timer is left */
	manual_clock_free(&time_source);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	/* Reaped, all of them. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	assert_int_equal(count_descriptors(), descriptors);
	return 0;
}

static struct credentials_provider provider_of(const char *command)
{
	struct credentials_provider provider;

	assert_int_equal(credentials_process(&context, command, TIMEOUT_MS, &provider), 0);
	assert_string_equal(provider.name, "process");
	return provider;
}

static int get(const struct credentials_provider *provider)
{
	done_reason[0] = '\0';
	return provider->get(provider->impl, &set, done, &set, done_reason);
}

/* Runs a command to its end. */
static int run(const char *command)
{
	struct credentials_provider provider = provider_of(command);
	int err = get(&provider);

	if (err == CREDENTIALS_LATER) {
		assert_int_equal(done_calls, 0);
		uv_run(&loop, UV_RUN_DEFAULT);
		assert_int_equal(done_calls, 1);
		done_calls = 0;
		err = done_err;
	}
	provider.free(provider.impl);
	return err;
}

static void write_script(const char *text)
{
	FILE *file = fopen(script_path, "w");

	assert_non_null(file);
	fprintf(file, "#!/bin/sh\n%s\n", text);
	assert_int_equal(fchmod(fileno(file), 0700), 0);
	fclose(file);
}

static int run_script(const char *text)
{
	write_script(text);
	return run(script_path);
}

static void check_reason(const char *reason)
{
	char expected[CREDENTIALS_REASON_MAX];

	snprintf(expected, sizeof(expected), "credential_process %s: %s", script_path, reason);
	assert_string_equal(done_reason, expected);
}

static void check_wiped(void)
{
	static const struct credentials_set empty;

	assert_memory_equal(&set, &empty, sizeof(set));
}

static void check_failed(const char *text, int expected_err, const char *reason)
{
	assert_int_equal(run_script(text), expected_err);
	check_reason(reason);
	check_wiped();
}

/*
 * Starts a script and waits until it has written two numbers into $NOTE: of a process that does not
 * end, which becomes ours with its parent's end (PR_SET_CHILD_SUBREAPER), and its own.
 */
struct stuck {
	struct credentials_provider provider;
	int pid, script_pid;
};

static struct stuck start_stuck(const char *text)
{
	struct stuck stuck = {.pid = 0};
	FILE *file = NULL;

	unlink(note_path);
	setenv("NOTE", note_path, 1);
	write_script(text);
	stuck.provider = provider_of(script_path);
	assert_int_equal(get(&stuck.provider), CREDENTIALS_LATER);
	while (file == NULL || fscanf(file, "%d %d end", &stuck.pid, &stuck.script_pid) != 2 ||
		fgetc(file) != '\n') {
		uv_run(&loop, UV_RUN_NOWAIT);
		usleep(1000);
		if (file != NULL)
			fclose(file);
		file = fopen(note_path, "r");
	}
	fclose(file);
	unsetenv("NOTE");
	return stuck;
}

static void check_timed_out(struct stuck *stuck, const char *reason)
{
	uv_run(&loop, UV_RUN_NOWAIT);
	manual_clock_advance(&time_source, TIMEOUT_MS * 1000 - 1);
	assert_int_equal(done_calls, 0);
	manual_clock_advance(&time_source, 1);
	assert_int_equal(done_calls, 1);
	assert_int_equal(done_err, ERR_TIMEOUT);
	check_reason(reason);
	check_wiped();
	stuck->provider.free(stuck->provider.impl);
	uv_run(&loop, UV_RUN_DEFAULT);
	done_calls = 0;
}

static void check_killed(pid_t pid)
{
	int status;

	/* Ours once its parent has died. */
	while (waitpid(pid, &status, 0) != pid)
		usleep(1000);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
}

/* ---- tests */

static void answer_is_taken(void **state)
{
	assert_int_equal(run_script("echo '{\"Version\":1," KEYS ",\"SessionToken\":\"TOKEN\","
				    "\"Expiration\":\"2100-01-02T03:04:05Z\","
				    "\"AccountId\":\"123456789012\"}'"),
		0);
	assert_string_equal(done_reason, "");
	assert_string_equal(set.access_key_id, "AKID");
	assert_string_equal(set.secret_access_key, "SECRET");
	assert_string_equal(set.session_token, "TOKEN");
	assert_string_equal(set.account_id, "123456789012");
	assert_int_equal(set.expires_epoch_ms, 4102542245000);
}

static void command_is_split_into_words(void **state)
{
	assert_int_equal(
		run("printf '%s\"%s\":1,\"AccessKeyId\":\"a b\",\"SecretAccessKey\":\"$HOME\"}'"
		    " \"{\" Ver\\sion"),
		0);
	assert_string_equal(set.access_key_id, "a b");
	assert_string_equal(set.secret_access_key, "$HOME");
}

static void environment_is_ours_and_input_empty(void **state)
{
	setenv("PROCESS_TEST", "ours", 1);
	assert_int_equal(run_script("in=$(cat; echo end)\n"
				    "echo '{\"Version\":1,\"AccessKeyId\":\"'$PROCESS_TEST'\","
				    "\"SecretAccessKey\":\"'$in'\"}'"),
		0);
	unsetenv("PROCESS_TEST");
	assert_string_equal(set.access_key_id, "ours");
	assert_string_equal(set.secret_access_key, "end");
}

static void no_descriptor_of_ours_is_handed_on(void **state)
{
	char command[200], text[20] = "";
	FILE *file;

	snprintf(command, sizeof(command), "sh -c 'exec ls /proc/self/fd >%s'", note_path);
	assert_int_equal(run(command), ERR_PROTOCOL);
	file = fopen(note_path, "r");
	assert_non_null(file);
	assert_int_equal(fread(text, 1, sizeof(text) - 1, file), 8);
	fclose(file);
	assert_string_equal(text, "0\n1\n2\n3\n"); /* 3: the directory that ls reads */
}

static void errors_go_to_our_errors(void **state)
{
	char text[20] = "";
	int saved = dup(2);
	int file = open(note_path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(dup2(file, 2), 2);
	assert_int_equal(run_script("echo sign in >&2; echo '" ANSWER "'"), 0);
	assert_int_equal(dup2(saved, 2), 2);
	close(saved);
	assert_int_equal(pread(file, text, sizeof(text) - 1, 0), 8);
	assert_string_equal(text, "sign in\n");
	close(file);
}

static void provider_can_be_asked_again(void **state)
{
	struct credentials_provider provider =
		provider_of("sh -c 'echo "
			    "\"{\\\"Version\\\":1,"
			    "\\\"AccessKeyId\\\":\\\"$0\\\","
			    "\\\"SecretAccessKey\\\":\\\"s\\\"}\"' x");

	for (unsigned i = 1; i <= 3; i++) {
		assert_int_equal(get(&provider), CREDENTIALS_LATER);
		uv_run(&loop, UV_RUN_DEFAULT);
		assert_int_equal(done_calls, i);
		assert_int_equal(done_err, 0);
		assert_string_equal(set.access_key_id, "x");
	}
	provider.free(provider.impl);
}

static void exit_codes_and_signals_are_errors(void **state)
{
	check_failed("exit 1", ERR_UNAVAILABLE, "ended with exit code 1");
	check_failed("echo '" ANSWER "'; exit 255", ERR_UNAVAILABLE, "ended with exit code 255");
	check_failed("echo '" ANSWER "'; kill -9 $$", ERR_UNAVAILABLE, "killed by signal 9");
	check_failed("kill -15 $$", ERR_UNAVAILABLE, "killed by signal 15");
}

static void answers_that_are_none(void **state)
{
	static const struct {
		const char *script, *reason;
		int err;
	} cases[] = {
		{"echo '{" KEYS "}'", "its \"Version\" is not 1", ERR_PROTOCOL},
		{"echo '{\"Version\":2," KEYS "}'", "its \"Version\" is not 1", ERR_PROTOCOL},
		{"echo '{\"Version\":\"1\"," KEYS "}'", "its \"Version\" is not 1", ERR_PROTOCOL},
		{"echo '{\"Version\":1," KEYS ",\"Expiration\":\"2027-01-15T08:00:00Z\"}'",
			"its credentials expired at 2027-01-15T08:00:00.000Z",
			ERR_EXPIRED_CREDENTIALS},
	};
	/* The rest of the reason is credentials_read_json()'s. */
	static const char *const garbage[] = {":", "echo garbage", "echo '" ANSWER "x'",
		"echo '{\"Version\":1,\"AccessKeyId\":\"a\"}'", "printf '{\"Version\":1,\"\\000'"};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_failed(cases[i].script, cases[i].err, cases[i].reason);
	for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
		assert_int_equal(run_script(garbage[i]), ERR_PROTOCOL);
		assert_non_null(strstr(done_reason, script_path));
		assert_null(strstr(done_reason, "SECRET"));
	}
}

static void output_has_a_limit(void **state)
{
	static const char padded[] = "head -c $((%zu - %zu)) /dev/zero | tr '\\000' ' '\n"
				     "printf '%%s' '" ANSWER "'";
	char script[300];

	snprintf(script, sizeof(script), padded, (size_t)65536, strlen(ANSWER));
	assert_int_equal(run_script(script), 0);
	memset(&set, 0, sizeof(set));
	snprintf(script, sizeof(script), padded, (size_t)65537, strlen(ANSWER));
	check_failed(script, ERR_ANSWER_TOO_LARGE, "its output is longer than 65536 bytes");
	/* Without an end, from a child that ignores what it can ignore. */
	check_failed("trap '' PIPE TERM; while :; do echo yyyyyyyyyyyyyyyy; done 2>/dev/null",
		ERR_ANSWER_TOO_LARGE, "its output is longer than 65536 bytes");
}

static void time_out_kills_the_whole_group(void **state)
{
	/* Said all, but does not end; a child of its own holds the pipe. */
	struct stuck stuck = start_stuck("trap '' TERM INT HUP; echo '" ANSWER "'\n"
					 "sleep 1000 & echo $! $$ end >$NOTE; wait; wait");

	check_timed_out(&stuck, "did not end within 1m and was killed");
	check_killed(stuck.pid);
	/* The same without any output. */
	stuck = start_stuck("exec >&-; sleep 1000 & echo $! $$ end >$NOTE; wait");
	check_timed_out(&stuck, "did not end within 1m and was killed");
	check_killed(stuck.pid);
}

/* An agent that a log-in tool starts, with the tool's output still open. */
static void what_stays_in_the_background_is_not_waited_for(void **state)
{
	struct stuck stuck = start_stuck("echo '" ANSWER "'; sleep 1000 & echo $! $$ end >$NOTE");

	while (done_calls == 0)
		uv_run(&loop, UV_RUN_ONCE);
	assert_int_equal(done_err, 0);
	assert_string_equal(set.access_key_id, "AKID");
	stuck.provider.free(stuck.provider.impl);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(kill(stuck.pid, SIGKILL), 0);
	check_killed(stuck.pid);
}

static void background_may_finish_the_answer(void **state)
{
	assert_int_equal(run_script("printf '{\"Version\":1,'\n"
				    "(while kill -0 $$; do sleep 0.01; done\n"
				    " echo '" KEYS "}') 2>/dev/null &"),
		0);
	assert_string_equal(set.access_key_id, "AKID");
	while (waitpid(-1, NULL, 0) > 0)
		;
}

static void half_an_answer_held_open_times_out(void **state)
{
	struct stuck stuck = start_stuck("printf '{'; sleep 1000 & echo $! $$ end >$NOTE");

	while (kill(stuck.script_pid, 0) == 0)
		uv_run(&loop, UV_RUN_NOWAIT);
	check_timed_out(&stuck, "no whole answer within 1m");
	assert_int_equal(kill(stuck.pid, SIGKILL), 0);
	check_killed(stuck.pid);
}

static void closed_output_is_not_the_end(void **state)
{
	check_failed("exec >&-; exit 3", ERR_UNAVAILABLE, "ended with exit code 3");
}

static void commands_that_cannot_be_run(void **state)
{
	char too_many[200] = "a";

	assert_int_equal(run("/nonexistent/tool --password hunter2"), ERR_CONFIG);
	assert_string_equal(done_reason, "credential_process /nonexistent/tool: cannot be run: "
					 "no such file or directory");
	assert_int_equal(run("/dev/null"), ERR_CONFIG);
	assert_string_equal(
		done_reason, "credential_process /dev/null: cannot be run: permission denied");
	assert_int_equal(run("tool 'hunter2"), ERR_CONFIG);
	assert_string_equal(done_reason, "credential_process: a quote without its end, or a "
					 "backslash at the end");
	assert_int_equal(run(" "), ERR_CONFIG);
	assert_string_equal(done_reason, "credential_process: no command");
	for (size_t i = 0; i < 63; i++)
		strcat(too_many, " b");
	assert_int_equal(run(too_many), ERR_CONFIG);
	assert_string_equal(done_reason, "credential_process: more than 63 words");
}

static void cancel_kills(void **state)
{
	struct stuck stuck = start_stuck("sleep 1000 & echo $! $$ end >$NOTE; wait");
	const struct credentials_provider *provider = &stuck.provider;

	provider->cancel(provider->impl);
	provider->cancel(provider->impl);
	check_killed(stuck.pid);
	/* Another may be asked for at once. */
	assert_int_equal(get(provider), CREDENTIALS_LATER);
	uv_run(&loop, UV_RUN_NOWAIT);
	provider->free(provider->impl);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(done_calls, 0);
	while (waitpid(-1, NULL, 0) > 0)
		;
}

static void free_from_done(void *arg, int err, const char *reason)
{
	struct credentials_provider *provider = arg;

	assert_int_equal(err, 0);
	provider->free(provider->impl);
	done_calls++;
}

static void provider_may_go_in_its_done(void **state)
{
	struct credentials_provider provider = provider_of("echo '" ANSWER "'");
	char reason[CREDENTIALS_REASON_MAX];

	assert_int_equal(provider.get(provider.impl, &set, free_from_done, &provider, reason),
		CREDENTIALS_LATER);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(done_calls, 1);
}

/* libuv ends the process when it has no memory: up to uv_spawn() only. */
static int begin(void *arg)
{
	struct credentials_provider provider;
	int err = credentials_process(&context, "/nonexistent", TIMEOUT_MS, &provider);

	if (err != 0)
		return err;
	err = get(&provider);
	provider.free(provider.impl);
	return err;
}

static void memory_may_fail(void **state)
{
	int err = ERR_NOMEM;

	for (unsigned long k = 1; k <= 20; k++) {
		failmalloc_arm(k);
		err = begin(NULL);
		if (failmalloc_disarm() == 0)
			break;
		assert_int_equal(err, ERR_NOMEM);
	}
	assert_int_equal(err, ERR_CONFIG);
}

static int make_directory(void **state)
{
	if (mkdtemp(directory) == NULL)
		return 1;
	/* What this test itself was handed on. */
	for (int fd = 3; fd < 1024; fd++)
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	snprintf(script_path, sizeof(script_path), "%s/script", directory);
	snprintf(note_path, sizeof(note_path), "%s/note", directory);
	/* What libuv opens once and keeps, for signals, is there before anything is counted. */
	setup(NULL);
	assert_int_equal(run("true"), ERR_PROTOCOL);
	manual_clock_free(&time_source);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	descriptors = count_descriptors();
	return prctl(PR_SET_CHILD_SUBREAPER, 1);
}

static int remove_directory(void **state)
{
	unlink(script_path);
	unlink(note_path);
	return rmdir(directory);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(answer_is_taken),
		TEST(command_is_split_into_words),
		TEST(environment_is_ours_and_input_empty),
		TEST(no_descriptor_of_ours_is_handed_on),
		TEST(errors_go_to_our_errors),
		TEST(provider_can_be_asked_again),
		TEST(exit_codes_and_signals_are_errors),
		TEST(answers_that_are_none),
		TEST(output_has_a_limit),
		TEST(time_out_kills_the_whole_group),
		TEST(what_stays_in_the_background_is_not_waited_for),
		TEST(background_may_finish_the_answer),
		TEST(half_an_answer_held_open_times_out),
		TEST(closed_output_is_not_the_end),
		TEST(commands_that_cannot_be_run),
		TEST(cancel_kills),
		TEST(provider_may_go_in_its_done),
		TEST(memory_may_fail),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
