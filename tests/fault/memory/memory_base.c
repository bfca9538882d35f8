/* src/base: the JSON reader, buffers, the log's secrets, metrics, timers. */
#include "sweep.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/log.h"
#include "base/loop_clock.h"
#include "base/metrics.h"
#include "base/timer_heap.h"
#include "bunshin/error.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MANY_TIMERS 300
#define MANY_SERIES 40

static struct buf large = BUF_INIT((size_t)8 << 20);
static struct buf escaped = BUF_INIT((size_t)8 << 20);

static int enter(void **state)
{
	buf_append_char(&large, '[');
	for (int i = 0; i < 20000; i++)
		buf_appendf(&large, "%s{\"to\":\"U%d\",\"text\":\"\\u304a\\n\",\"n\":[%d,null]}",
			i ? "," : "", i, i);
	buf_append_char(&large, ']');
	buf_append_char(&escaped, '"');
	for (int i = 0; i < 100000; i++)
		buf_append_string(&escaped, "\\ud83d\\udc4b");
	buf_append_char(&escaped, '"');
	log_configure(
		LOG_LEVEL_INFO, LOG_FORMAT_JSON, open("/dev/null", O_WRONLY | O_CLOEXEC), NULL);
	return large.err || escaped.err;
}

static int leave(void **state)
{
	buf_free(&large);
	buf_free(&escaped);
	return 0;
}

/* A small document, then this one in the same memory. */
static int parse(const void *arg)
{
	const struct buf *text = arg;
	struct json json = {0};
	int err;

	sweep_on();
	err = json_parse(&json, "[1]", 3);
	if (!err)
		err = json_parse(&json, text->data, text->len);
	sweep_off();
	assert_int_equal(!json_root(&json), err != 0);
	/* A parser that failed is as good as new. */
	assert_int_equal(json_parse(&json, text->data, text->len), 0);
	json_free(&json);
	return err;
}

static int fill_buffer(const void *arg)
{
	struct buf buf = BUF_INIT(100000);
	int err;

	sweep_on();
	for (int i = 0; i < 500; i++) {
		size_t len = buf.len;

		buf_append_string(&buf, "abc");
		buf_appendf(&buf, "%0200d", i);
		buf_append_json(&buf, "\"\n", 2);
		buf_append_char(&buf, '.');
		if (buf_reserve(&buf, 10) != NULL) {
			memset(buf.data + buf.len, 'r', 10);
			buf_advance(&buf, 10);
		}
		if (buf.err)
			assert_true(buf.len >= len);
		buf_truncate(&buf, buf.len > 150 ? buf.len - 150 : 0);
	}
	err = buf.err;
	sweep_off();
	assert_int_equal(strlen(buf_string(&buf)), buf.len);
	if (err)
		assert_null(buf_take(&buf, NULL)); /* half a content escapes nobody */
	buf_wipe(&buf);
	return err;
}

/* Each secret is hidden as it is and as it looks escaped, or not at all and somebody is told. */
static int add_secrets(const void *arg)
{
	static const char *const secrets[] = {"plain text", "with \"quotes\"", "plain text",
		"a\nline\xe3\x81\x8a", "0123456789abcdef0123456789abcdef"};
	size_t added = 0;
	int err = 0;

	sweep_on();
	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]) && !err; i++) {
		err = log_add_secret(secrets[i]);
		added += !err;
		/* Nothing half-added: a line can be written at any time. */
		log_info("plain text", LOG_STR("v", secrets[i]));
	}
	sweep_off();
	for (size_t i = 0; i < added; i++) {
		char text[64];

		snprintf(text, sizeof(text), "<%s>", secrets[i]);
		log_redact(text);
		assert_null(strstr(text, secrets[i]));
	}
	log_clear_secrets();
	return err;
}

static int log_lines(const void *arg)
{
	assert_int_equal(log_add_secret("s3cr3t!"), 0);
	sweep_on();
	log_info("m s3cr3t!", LOG_STR("v", "a\nb"), LOG_INT("n", 1), LOG_ERR(ERR_NOMEM));
	log_info("cut", LOG_BYTES("large", large.data, large.len));
	sweep_off();
	log_clear_secrets();
	return 0;
}

static void count_series(void *arg, const struct metric_series *series)
{
	assert_non_null(series->name);
	assert_int_equal(!series->counter + !series->gauge + !series->histogram, 2);
	++*(int *)arg;
}

static int register_metrics(const void *arg)
{
	struct metrics *metrics;
	int err, registered = 0, seen = 0;

	sweep_on();
	metrics = metrics_new();
	err = metrics ? 0 : ERR_NOMEM;
	for (int i = 0; i < MANY_SERIES && !err; i++) {
		char name[32];
		void *value;

		snprintf(name, sizeof(name), "m%d", i / 2);
		value = i % 2 ? (void *)metrics_counter(metrics, name, "help", "a=\"1\"")
			      : (void *)metrics_histogram(metrics, name, "help", "a=\"2\"");
		err = value ? 0 : ERR_NOMEM;
		registered += !err;
	}
	sweep_off();
	if (metrics)
		metrics_each(metrics, count_series, &seen);
	assert_int_equal(seen, registered);
	metrics_free(metrics);
	return err;
}

/* In memory that others read; then as such another does. */
static int collect_metrics(const void *arg)
{
	static _Alignas(64) char memory[1 << 16];
	struct metrics *metrics, *sum;
	struct counter *counter = NULL;
	int err = 0, counted = 0, seen = 0;

	memset(memory, 0, sizeof(memory));
	sweep_on();
	metrics = metrics_new_in(memory, sizeof(memory));
	sum = metrics_new();
	for (int i = 0; i < MANY_SERIES && metrics; i++) {
		char name[32];

		snprintf(name, sizeof(name), "m%d", i);
		counter = metrics_counter(metrics, name, "help", "a=\"1\"");
		if (counter)
			counter_add(counter, 1);
		counted += counter != NULL;
	}
	if (!metrics || !sum || counted < MANY_SERIES)
		err = ERR_NOMEM;
	if (!err)
		err = metrics_collect(sum, memory, sizeof(memory), true);
	if (!err)
		err = metrics_add(sum, metrics);
	sweep_off();
	if (!err)
		assert_int_equal(metrics_counter(sum, "m39", "help", "a=\"1\"")->value, 2);
	metrics_free(sum);
	/* What was registered can be read. */
	sum = metrics_new();
	assert_int_equal(metrics_collect(sum, memory, sizeof(memory), true), 0);
	metrics_each(sum, count_series, &seen);
	assert_int_equal(seen, counted);
	metrics_free(sum);
	metrics_free(metrics);
	return err;
}

static void fire(struct clock_timer *timer)
{
}

static int set_timers(const void *arg)
{
	static struct clock_timer timers[MANY_TIMERS];
	struct timer_heap heap = {0};
	int err = 0;

	sweep_on();
	for (size_t i = 0; i < MANY_TIMERS && !err; i++) {
		err = timer_heap_set(&heap, &timers[i], MANY_TIMERS - i);
		assert_int_equal(clock_timer_is_set(&timers[i]), !err);
	}
	/* One that is set can always be moved. */
	if (timer_heap_first(&heap))
		assert_int_equal(timer_heap_set(&heap, timer_heap_first(&heap), 0), 0);
	sweep_off();
	timer_heap_free(&heap);
	for (size_t i = 0; i < MANY_TIMERS; i++)
		assert_false(clock_timer_is_set(&timers[i]));
	return err;
}

static int open_loop_clock(const void *arg)
{
	struct loop_clock *clock = NULL;
	struct clock_timer timer = {.fire = fire};
	uv_loop_t loop;
	int err;

	/* libuv's own memory is not what fails here: it allocates inside its shared library. */
	assert_int_equal(uv_loop_init(&loop), 0);
	sweep_on();
	err = loop_clock_new(&loop, &clock);
	if (!err) {
		err = clock_timer_after(loop_clock_table(clock), &timer, 1000000);
		assert_int_equal(clock_timer_is_set(&timer), !err);
	}
	sweep_off();
	loop_clock_close(clock);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	return err;
}

int main(void)
{
	static const struct sweep table[] = {
		SWEEP("json: 1.2 MB, 100,000 values", parse, .arg = &large),
		SWEEP("json: a string of 1.2 MB, all escapes", parse, .arg = &escaped),
		SWEEP("buf: every way to append", fill_buffer),
		SWEEP("log: secrets", add_secrets),
		SWEEP("log: lines", log_lines, .allocates_nothing = true),
		SWEEP("metrics: 40 series", register_metrics),
		SWEEP("metrics: 40 series in shared memory, collected", collect_metrics),
		SWEEP("timer_heap: 300 timers", set_timers),
		SWEEP("loop_clock: a clock and a timer", open_loop_clock),
	};

	return SWEEP_TABLE("base", table, enter, leave);
}
