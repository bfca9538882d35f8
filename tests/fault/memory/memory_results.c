/* src/results: the outcome log and its shipper, which go on when there is memory again. */
#include "sweep.h"

#include "base/manual_clock.h"
#include "bunshin/error.h"
#include "directory.h"
#include "results/log_batch.h"
#include "results/log_files.h"
#include "results/shipper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define S UINT64_C(1000000)
#define RECORDS 60u

/* ---- lines */

static int write_lines(const void *arg)
{
	const struct result_record record = {.outcome = RESULT_FAILED,
		.key = "k",
		.campaign = "c",
		.destination = "d",
		.message_id = "m",
		.reason = "a \"reason\"",
		.request_id = "r"};
	struct buf out = BUF_INIT(1 << 16);
	struct json json = {0};
	struct result_record read;
	struct result_status status;
	enum result_line kind;
	int err = 0;

	sweep_on();
	for (int i = 0; !err && i < 20; i++)
		err = result_record_append(&record, &out);
	if (!err)
		err = result_line_read(
			&json, buf_string(&out), out.len / 20, &kind, &read, &status);
	sweep_off();
	if (!err)
		assert_string_equal(read.reason, record.reason);
	json_free(&json);
	buf_free(&out);
	return err;
}

/* ---- log and shipper */

struct stage {
	char path[DIRECTORY_PATH_SIZE];
	struct manual_clock clock;
	struct metrics *metrics;
	struct results_log *log;
	struct results_shipper *shipper;
	unsigned appended;
	unsigned arrived[RECORDS + 1];
	struct clock_timer answer;
	queue_batch_done *done; /* of the call under way */
	void *arg;
	size_t count;
	unsigned finished;
};

static void answer_fired(struct clock_timer *timer)
{
	struct stage *stage =
		(struct stage *)(void *)((char *)timer - offsetof(struct stage, answer));
	static const int results[QUEUE_BATCH_MAX];
	queue_batch_done *done = stage->done;

	stage->done = NULL;
	done(stage->arg, results, stage->count, "");
}

static int send_batch(void *impl, const struct queue_send entries[], size_t count,
	queue_batch_done *done, void *arg, struct queue_call **ret_call)
{
	struct stage *stage = impl;
	char *memory;

	assert_null(stage->done);
	/* As a client does: it may find no memory. */
	memory = malloc(entries[0].body_bytes);
	if (!memory || clock_timer_after(manual_clock_table(&stage->clock), &stage->answer, 1000)) {
		free(memory);
		return ERR_NOMEM;
	}
	free(memory);
	for (size_t i = 0; i < count; i++)
		for (const char *line = entries[i].body, *end = line + entries[i].body_bytes;
			line < end;
			line = (const char *)memchr(line, '\n', (size_t)(end - line)) + 1) {
			const char *key = strstr(line, "\"key\":\"k");

			assert_non_null(key);
			stage->arrived[atoi(key + 8)]++;
		}
	stage->done = done;
	stage->arg = arg;
	stage->count = count;
	*ret_call = (struct queue_call *)(void *)stage;
	return 0;
}

static void cancel(void *impl, struct queue_call *call)
{
	struct stage *stage = impl;

	clock_timer_clear(manual_clock_table(&stage->clock), &stage->answer);
	stage->done = NULL;
}

static const struct queue_ops ops = {.send_batch = send_batch, .cancel = cancel};

static void append(struct stage *stage)
{
	char key[16];
	const struct result_record record = {.outcome = RESULT_ACCEPTED,
		.key = key,
		.campaign = "",
		.destination = "",
		.message_id = "",
		.reason = "",
		.request_id = ""};

	snprintf(key, sizeof(key), "k%u", stage->appended++);
	results_log_append(stage->log, &record);
	results_log_flush(stage->log);
	results_shipper_poke(stage->shipper);
}

static void finished(void *arg, uint64_t left)
{
	struct stage *stage = arg;

	stage->finished++;
}

static uint64_t counted(struct stage *stage, const char *name)
{
	return metrics_counter(stage->metrics, name, "", "")->value;
}

static int open_stage(struct stage *stage)
{
	const struct results_log_options log = {.clock = manual_clock_table(&stage->clock),
		.directory = stage->path,
		.file_bytes = 500,
		.keep_bytes = 1 << 20,
		.shipped = true,
		.metrics = stage->metrics};
	struct results_shipper_options shipper = {
		.clock = log.clock, .queue = {&ops, stage}, .metrics = stage->metrics};
	int err = results_log_new(&log, &stage->log);

	shipper.log = stage->log;
	return err ? err : results_shipper_new(&shipper, &stage->shipper);
}

/* What is written arrives once memory is there again, once; what is not is counted. */
static void check_arrived(struct stage *stage)
{
	uint64_t written = counted(stage, "bunshin_outcomes_written_total"), arrived = 0;

	assert_int_equal(written + counted(stage, "bunshin_outcomes_lost_total"), stage->appended);
	for (unsigned i = 0; i < stage->appended; i++) {
		assert_in_range(stage->arrived[i], 0, 1);
		arrived += stage->arrived[i];
	}
	assert_int_equal(arrived, written);
}

/* arg: until when there is no memory; NULL: for the writing, else for the end too. */
static int log_and_ship(const void *arg)
{
	struct stage stage = {.answer.fire = answer_fired};
	int err;

	directory_make(stage.path);
	manual_clock_init(&stage.clock, 1, 1700000000000);
	stage.metrics = metrics_new();
	sweep_on();
	err = open_stage(&stage);
	while (!err && stage.appended < RECORDS) {
		append(&stage);
		manual_clock_advance(&stage.clock, S / 5);
	}
	if (!err && arg)
		results_shipper_finish(
			stage.shipper, stage.clock.now_us + 100 * S, finished, &stage);
	sweep_off();
	if (!err && !arg)
		append(&stage);
	if (!err) {
		manual_clock_advance(&stage.clock, 200 * S);
		if (arg)
			assert_int_equal(stage.finished, 1);
		if (!arg || !sweep_has_failed())
			check_arrived(&stage);
	}
	results_shipper_free(stage.shipper);
	results_log_free(stage.log);
	metrics_free(stage.metrics);
	manual_clock_free(&stage.clock);
	directory_remove(stage.path);
	return err;
}

int main(void)
{
	static const struct sweep table[] = {
		SWEEP("lines: written and read", write_lines),
		SWEEP("log and shipper: all arrives once there is memory", log_and_ship,
			.degrades = true),
		SWEEP("log and shipper: the end", log_and_ship, .arg = "", .degrades = true),
	};

	return SWEEP_TABLE("results", table, NULL, NULL);
}
