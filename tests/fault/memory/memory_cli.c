/* src/cli: event files, the event log, and a worker put together from a configuration. */
#include "sweep.h"

#include "base/log.h"
#include "base/loop_clock.h"
#include "bunshin/error.h"
#include "cli/event_file.h"
#include "cli/run/event_log.h"
#include "cli/run/worker.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOW INT64_C(1800000000000)

static struct buf records = BUF_INIT(EVENT_FILE_MAX_BYTES);
static struct buf many = BUF_INIT(EVENT_FILE_MAX_BYTES);
static struct buf bare = BUF_INIT(EVENT_FILE_MAX_BYTES);

static void append_records(struct buf *text, int count)
{
	buf_append_string(text, "{\"Records\":[");
	for (int i = 0; i < count; i++)
		buf_appendf(text,
			"%s{\"messageId\":\"m-%d\",\"receiptHandle\":\"r\",\"body\":\"a\\nb\","
			"\"attributes\":{\"ApproximateReceiveCount\":\"3\",\"SentTimestamp\":"
			"\"17\"},\"messageAttributes\":{\"Campaign\":{\"stringValue\":\"spring\","
			"\"dataType\":\"String\"},\"Blob\":{\"binaryValue\":\"AA==\","
			"\"dataType\":\"Binary\"},\"IdempotencyKey\":{\"stringValue\":\"key\","
			"\"dataType\":\"String\"}}}",
			i ? "," : "", i);
	buf_append_string(text, "]}");
}

static int parse_event(const void *arg)
{
	const struct buf *text = arg;
	struct event_file *file = NULL;
	struct buf error = BUF_INIT(1024);
	int err;

	sweep_on();
	err = event_file_parse(text->data, text->len, NOW, &file, &error);
	sweep_off();
	assert_int_equal(!file, err != 0);
	event_file_free(file);
	buf_free(&error);
	return err;
}

static int refuse_event(const void *arg)
{
	static const char text[] = "{\"Records\":[{\"body\":\"a\"},{\"body\":{}}]}";
	struct event_file *file = NULL;
	struct buf error = BUF_INIT(1024);
	int err;

	sweep_on();
	err = event_file_parse(text, sizeof(text) - 1, NOW, &file, &error);
	sweep_off();
	assert_null(file);
	buf_free(&error);
	/* What is wrong with the text is wrong with or without the words for it. */
	return err == ERR_SYNTAX ? 0 : err;
}

static int log_events(const void *arg)
{
	static const struct queue_message message = {.message_id = "m-1", .receive_count = 3};
	static const struct target_result result = {.status = 400,
		.retry_after_ms = -1,
		.reason = "",
		.request_id = "r-9",
		.excerpt = "no such user",
		.excerpt_bytes = 12};
	struct clock_timer room = {.fire = NULL};
	struct event_log log;
	struct loop_clock *clock;
	uv_loop_t loop;

	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(loop_clock_new(&loop, &clock), 0);
	event_log_init(&log, loop_clock_table(clock));
	/* The clock's room for timers, which a process has long before it logs a failure. */
	assert_int_equal(clock_timer_after(loop_clock_table(clock), &room, 1), 0);
	clock_timer_clear(loop_clock_table(clock), &room);
	sweep_on();
	for (int kind = 0; kind < EVENT_LOG_KINDS; kind++)
		for (int i = 0; i < 2 * EVENT_LOG_FIRST; i++)
			event_log_write(&log, &(struct delivery_event){.kind = kind,
						      .message = &message,
						      .destination = "line",
						      .result = &result,
						      .reason = "refused by the provider",
						      .operation = ""});
	event_log_close(&log);
	sweep_off();
	loop_clock_close(clock);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	return 0;
}

static char directory[] = "/tmp/bunshin-fault-XXXXXX", ledger[40], rates[64];

/*
 * Up to the first poll: nothing of a worker that cannot be made is left, but for the files that it
 * shares with others; the first run makes them.
 */
static int open_worker(const void *arg)
{
	const struct config_override overrides[] = {
		{"queue.url", "http://127.0.0.1:1/000000000000/q", "--queue-url"},
		{"ledger.path", ledger, "test"}, {"ledger.size", "1MiB", "test"}};
	const struct worker_hooks hooks = {0};
	struct buf error = BUF_INIT(1024);
	struct worker *worker = NULL;
	struct config *config = NULL;
	struct metrics *metrics;
	struct host host = {0};
	struct loop_clock *clock;
	uv_loop_t loop;
	int err;

	assert_int_equal(
		config_load(arg, &config_process_environment, overrides, 3, &config, &error), 0);
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(loop_clock_new(&loop, &clock), 0);
	sweep_on();
	metrics = metrics_new();
	err = metrics ? host_open(&host, config, NULL, &error) : ERR_NOMEM;
	if (!err)
		err = worker_new(&loop, loop_clock_table(clock), config, &host, metrics, &hooks,
			&worker, &error);
	sweep_off();
	assert_int_equal(!worker, err != 0);
	if (!err)
		worker_close(worker);
	loop_clock_close(clock);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	host_close(&host);
	metrics_free(metrics);
	config_free(config);
	buf_free(&error);
	return err;
}

static int enter(void **state)
{
	assert_non_null(mkdtemp(directory));
	snprintf(ledger, sizeof(ledger), "%s/ledger", directory);
	snprintf(rates, sizeof(rates), "%s.rates", ledger);
	append_records(&records, 3);
	append_records(&many, 5000);
	for (int i = 0; i < 1 << 20; i++)
		buf_append_char(&bare, 'x');
	setenv("LINE_TOKEN", "token", 1);
	setenv("FAILURE_URL", "http://127.0.0.1:1/000000000000/f", 1);
	setenv("AWS_ACCESS_KEY_ID", "id", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
	log_configure(
		LOG_LEVEL_INFO, LOG_FORMAT_JSON, open("/dev/null", O_WRONLY | O_CLOEXEC), NULL);
	return records.err || many.err || bare.err;
}

static int leave(void **state)
{
	buf_free(&records);
	buf_free(&many);
	buf_free(&bare);
	log_clear_secrets();
	unlink(ledger);
	unlink(rates);
	return rmdir(directory);
}

int main(void)
{
	static const struct sweep table[] = {
		SWEEP("event file: three records", parse_event, .arg = &records),
		SWEEP("event file: 5,000 records", parse_event, .arg = &many),
		SWEEP("event file: a bare body of 1 MiB", parse_event, .arg = &bare),
		SWEEP("event file: a record that is none", refuse_event, .degrades = true),
		SWEEP("event log: every kind", log_events, .allocates_nothing = true),
		SWEEP("worker: line-push.yaml", open_worker,
			.arg = SOURCE_ROOT "/conf/destinations/line-push.yaml"),
	};

	return SWEEP_TABLE("cli", table, enter, leave);
}
