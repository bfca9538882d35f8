/* src/campaign: recipient lists, the messages made of them, and the producer. */
#include "sweep.h"

#include "base/manual_clock.h"
#include "bunshin/error.h"
#include "campaign/check.h"
#include "campaign/csv.h"
#include "campaign/producer.h"
#include "campaign/recipients.h"
#include "campaign/rejects_file.h"
#include "campaign/row_set.h"
#include "campaign/schedule.h"
#include "campaign/suppression.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct buf wide = BUF_INIT((size_t)4 << 20);	 /* 500 columns */
static struct buf long_rows = BUF_INIT((size_t)4 << 20); /* of 300 KB */
static struct buf json_lines = BUF_INIT((size_t)4 << 20);

static struct buf keys = BUF_INIT((size_t)1 << 20); /* 4,000, so that the set grows */

static const char broken_csv[] =
	"to,name\nU1,a\nU2\nU3,\"b\n\"\nU4,\xff\nU5,x\"y\nU6,\"never closed";
static const char packed_csv[] = "to,text\nU1,a\nU2,b\nU3,a\nU4,b\nU5,b\n";
static const char broken_lines[] =
	"{\"to\":\"U1\",\"name\":\"a\"}\n[]\n{\"to\":\"\"}\n{\"to\":{\"x\":[1,\"abc\"]}}\n{";

static int enter(void **state)
{
	buf_append_string(&wide, "to");
	for (int i = 1; i < 500; i++)
		buf_appendf(&wide, ",c%d", i);
	for (int row = 0; row < 3; row++)
		for (int i = 0; i < 500; i++)
			buf_appendf(&wide, "%s\"v\"\"%d\"", i ? "," : "\n", row + i);
	buf_append_string(&long_rows, "to,name\n");
	for (int row = 0; row < 3; row++) {
		buf_appendf(&long_rows, "U%d,\"", row);
		for (int i = 0; i < 100000; i++)
			buf_append_string(&long_rows, "\xe3\x81\x8a");
		buf_append_string(&long_rows, "\"\n");
	}
	for (int row = 0; row < 3; row++) {
		buf_appendf(&json_lines, "{\"to\":\"U%d\",\"name\":\"n\",\"list\":[0", row);
		for (int i = 0; i < 20000; i++)
			buf_appendf(&json_lines, ",{\"a\\n\":%d}", i);
		buf_append_string(&json_lines, "]}\n");
	}
	buf_append_string(&keys, "to\n");
	for (int i = 1; i < 4000; i++)
		buf_appendf(&keys, "U%d\n", i);
	return wide.err || long_rows.err || json_lines.err || keys.err;
}

static int leave(void **state)
{
	buf_free(&wide);
	buf_free(&long_rows);
	buf_free(&json_lines);
	buf_free(&keys);
	return 0;
}

/* ---- CSV */

static int feed_csv(struct csv *csv, const char *text, size_t len)
{
	size_t used;
	int event = CSV_MORE;

	while (len > 0 && event >= 0) {
		event = csv_feed(csv, text, len < 4096 ? len : 4096, &used);
		text += used;
		len -= used;
	}
	return event < 0 ? event : csv_end(csv);
}

static int read_csv(const void *arg)
{
	static const struct csv_limits limits = {1 << 20, 2 << 20, 1000};
	const struct buf *text = arg;
	struct csv *csv = NULL;
	int err;

	sweep_on();
	err = csv_new(&limits, &csv);
	if (!err)
		err = feed_csv(csv, text->data, text->len);
	sweep_off();
	csv_free(csv);
	return err < 0 ? err : 0;
}

/* ---- lists and messages */

struct source {
	const char *text;
	size_t len;
};

static int read_source(void *arg, char *bytes, size_t size, size_t *ret_len)
{
	struct source *source = arg;
	size_t len = source->len < size ? source->len : size;

	memcpy(bytes, source->text, len);
	source->text += len;
	source->len -= len;
	*ret_len = len;
	return 0;
}

struct list_case {
	const struct buf *large;
	const char *text; /* without one */
	const char *template;
	int rows, valid;  /* undisturbed */
	const char *rule; /* of the first pass; NULL: none */
	unsigned pack;	  /* rows of a pack; 0: none */
	int messages;	  /* undisturbed, with packs */
};

static struct source source_of(const struct list_case *c)
{
	return c->large ? (struct source){c->large->data, c->large->len}
			: (struct source){c->text, strlen(c->text)};
}

static int read_list(const void *arg)
{
	const struct list_case *c = arg;
	struct source source = source_of(c);
	const struct recipients_input input = {read_source, &source};
	enum recipients_format format = recipients_guess_format("-", source.text, source.len);
	struct buf out = BUF_INIT((size_t)8 << 20);
	struct recipients *recipients = NULL;
	int err, rows = 0, valid = 0;

	sweep_on();
	err = recipients_new(format, &input, &recipients);
	while (!err && (err = recipients_next(recipients)) > 0) {
		rows++;
		valid += err == RECIPIENTS_ROW;
		err = err == RECIPIENTS_ROW ? recipients_append_json(recipients, &out) : 0;
	}
	sweep_off();
	if (!err) {
		assert_int_equal(rows, c->rows);
		assert_int_equal(valid, c->valid);
	}
	recipients_free(recipients);
	buf_free(&out);
	return err;
}

static int make_messages(struct recipients *recipients, const struct template *template,
	const struct list_case *c, struct campaign_check *check)
{
	const struct messages_options options = {.template = template,
		.campaign = "morning",
		.destination = "line",
		.deadline_epoch_ms = 1800000000000,
		.key = MESSAGES_KEY_ROW,
		.pack_field = c->pack > 0 ? "to" : NULL};
	static const uint8_t hash_key[SIPHASH_KEY_BYTES] = {1};
	struct campaign_check_rules rules = {0};
	struct buf error = BUF_INIT(1000);
	struct messages *messages = NULL;
	int err = messages_new(recipients, &options, &messages);

	if (!err)
		err = key_set_new(hash_key, &rules.keys);
	if (!err)
		err = validate_new(&rules.validate);
	if (!err && c->rule)
		err = validate_add(rules.validate, c->rule, &error);
	if (!err && c->pack > 0)
		err = packer_new(c->pack, &rules.packer);
	if (!err)
		err = campaign_check(messages, recipients, &rules, NULL, NULL, check);
	packer_free(rules.packer);
	validate_free(rules.validate);
	key_set_free(rules.keys);
	messages_free(messages);
	buf_free(&error);
	return err;
}

static int check_list(const void *arg)
{
	const struct list_case *c = arg;
	struct source source = source_of(c);
	const struct recipients_input input = {read_source, &source};
	enum recipients_format format = recipients_guess_format("-", source.text, source.len);
	struct buf error = BUF_INIT(1000);
	struct recipients *recipients = NULL;
	struct template *template = NULL;
	struct campaign_check check = {0};
	int err = 0;

	sweep_on();
	if (c->template)
		err = message_template_compile(c->template, strlen(c->template), &template, &error);
	if (!err)
		err = recipients_new(format, &input, &recipients);
	if (!err)
		err = make_messages(recipients, template, c, &check);
	sweep_off();
	if (!err) {
		assert_int_equal(check.rows, c->rows);
		assert_int_equal(check.valid, c->valid);
		assert_int_equal(check.messages, c->pack > 0 ? c->messages : c->valid);
	}
	recipients_free(recipients);
	template_free(template);
	buf_free(&error);
	return err;
}

/* ---- who is left out */

struct suppression_case {
	enum suppression_format format;
	uint64_t count;
};

static int read_suppression(const void *arg)
{
	static const uint8_t hash_key[SIPHASH_KEY_BYTES] = {1};
	const struct suppression_case *c = arg;
	struct source source = {keys.data, keys.len};
	const struct recipients_input input = {read_source, &source};
	struct buf error = BUF_INIT(1000);
	struct key_set *set = NULL;
	uint64_t count = 0;
	int err;

	sweep_on();
	err = key_set_new(hash_key, &set);
	if (!err)
		err = suppression_read(&input, c->format, "to", set, &count, &error);
	sweep_off();
	assert_int_equal(error.len, 0);
	if (!err) {
		assert_int_equal(count, c->count);
		assert_int_equal(key_set_count(set), c->count);
		assert_int_equal(key_set_add(set, "U3999", 5), KEY_SUPPRESSED);
	}
	key_set_free(set);
	buf_free(&error);
	return err;
}

static int note_rejects(const void *arg)
{
	const struct campaign_reject reject = {
		.place = {2, 3}, .why = JOURNAL_REJECT_DUPLICATE, .line = 3, .reason = "twice"};
	struct row_set rows = {0};
	struct rejects_file *file = NULL;
	const char *path = arg;
	int err;

	sweep_on();
	err = row_set_init(&rows, (uint64_t)1 << 30);
	for (uint64_t row = 1; !err && row < 100000; row += 7000)
		err = row_set_add(&rows, row);
	if (!err)
		err = rejects_file_new(path, &file);
	sweep_off();
	if (!err) {
		assert_true(row_set_has(&rows, 98001) && !row_set_has(&rows, 98002));
		assert_int_equal(rejects_file_add(file, &reject), 0);
		assert_int_equal(rejects_file_finish(file), 0);
		assert_int_equal(unlink(path), 0);
	}
	rejects_file_free(file);
	row_set_free(&rows);
	return err;
}

/* ---- the producer, on a queue in virtual time */

#define ROWS 35
#define CALLS_MAX 400

struct call {
	struct stage *stage;
	struct clock_timer timer;
	queue_batch_done *done;
	void *arg;
	size_t count;
	int results[QUEUE_BATCH_MAX];
	bool over;
};

enum trouble { TROUBLE_NONE, TROUBLE_THROTTLED, TROUBLE_REFUSED };

struct stage {
	struct manual_clock clock;
	enum trouble trouble;
	size_t body_bytes;
	char *body;
	struct call calls[CALLS_MAX];
	size_t call_count;
	int row; /* the source's next */
	unsigned stored[ROWS + 1], settled[ROWS + 1];
	int errors[ROWS + 1];
	unsigned finished;
	int err;
};

static void call_over(struct clock_timer *timer)
{
	struct call *call = (struct call *)(void *)((char *)timer - offsetof(struct call, timer));

	call->over = true;
	call->done(call->arg, call->results, call->count, "");
}

/* Row 3 is throttled twice; or a whole call that holds row 3 is refused, and so is row 3 alone. */
static int judge(
	const struct stage *stage, const struct queue_send entries[], size_t count, int results[])
{
	bool has_row_3 = false;

	for (size_t i = 0; i < count; i++) {
		bool is_row_3 = atoi(entries[i].body) == 3;

		has_row_3 |= is_row_3;
		results[i] =
			is_row_3 && stage->trouble == TROUBLE_THROTTLED && stage->call_count < 12
				? ERR_THROTTLED
				: 0;
	}
	for (size_t i = 0; has_row_3 && stage->trouble == TROUBLE_REFUSED && i < count; i++)
		results[i] = ERR_REFUSED;
	return 0;
}

static int send_batch(void *impl, const struct queue_send entries[], size_t count,
	queue_batch_done *done, void *arg, struct queue_call **ret_call)
{
	struct stage *stage = impl;
	struct call *call = &stage->calls[stage->call_count];
	int err;

	assert_in_range(count, 1, QUEUE_BATCH_MAX);
	assert_true(stage->call_count < CALLS_MAX);
	*call = (struct call){.stage = stage, .done = done, .arg = arg, .count = count};
	call->timer.fire = call_over;
	judge(stage, entries, count, call->results);
	err = clock_timer_after(manual_clock_table(&stage->clock), &call->timer, 10000);
	if (err)
		return err;
	stage->call_count++;
	for (size_t i = 0; i < count; i++)
		stage->stored[atoi(entries[i].body)] += call->results[i] == 0;
	*ret_call = (struct queue_call *)(void *)call;
	return 0;
}

static void cancel(void *impl, struct queue_call *queue_call)
{
	struct stage *stage = impl;
	struct call *call = (struct call *)(void *)queue_call;

	assert_false(call->over);
	call->over = true;
	clock_timer_clear(manual_clock_table(&stage->clock), &call->timer);
}

static int next_row(void *arg, struct campaign_message *ret_message, struct buf *reason)
{
	static const struct queue_attribute attribute = {"IdempotencyKey", "String", "key", 3};
	struct stage *stage = arg;
	int row = stage->row++;

	if (row > ROWS)
		return 0;
	memset(stage->body, ' ', stage->body_bytes);
	stage->body[snprintf(stage->body, 16, "%d", row)] = ' ';
	*ret_message = (struct campaign_message){.body = stage->body,
		.body_bytes = stage->body_bytes,
		.attributes = &attribute,
		.attribute_count = 1,
		.place = {(uint64_t)row, (uint64_t)row + 1}};
	return 1;
}

static void on_settled(void *arg, const struct recipients_place *places, size_t count, int err,
	bool unconfirmed, const char *reason)
{
	struct stage *stage = arg;

	assert_non_null(reason);
	stage->settled[places[0].row]++;
	stage->errors[places[0].row] = err;
}

static void on_finished(void *arg, int err, const char *reason)
{
	struct stage *stage = arg;

	stage->finished++;
	stage->err = err;
}

/* Says once of each row what became of it, and never that it is in the queue when it is not. */
static void check_rows(const struct stage *stage, const struct producer_totals *totals)
{
	uint64_t unsent = totals->unsent.row ? totals->unsent.row : (uint64_t)stage->row;

	assert_int_equal(totals->in_flight, 0);
	assert_int_equal(totals->waiting, 0);
	for (int row = 1; row <= ROWS; row++) {
		assert_true(stage->settled[row] <= 1);
		if ((uint64_t)row < unsent && row < stage->row)
			assert_int_equal(stage->settled[row], 1);
		if ((uint64_t)row >= unsent)
			assert_int_equal(stage->settled[row], 0);
		if (stage->settled[row] && !stage->errors[row])
			assert_true(stage->stored[row] > 0);
	}
}

static void check_undisturbed(const struct stage *stage)
{
	for (int row = 1; row <= ROWS; row++) {
		bool refused = row == 3 && stage->trouble == TROUBLE_REFUSED;

		assert_int_equal(stage->settled[row], 1);
		assert_int_equal(stage->errors[row], refused ? ERR_REFUSED : 0);
	}
}

struct produce_case {
	enum trouble trouble;
	size_t body_bytes;
	int64_t rate; /* a second; 0: none */
};

static const struct queue_ops queue_ops = {.send_batch = send_batch, .cancel = cancel};

static int produce(const void *arg)
{
	static struct stage stage;
	const struct produce_case *c = arg;
	const struct producer_source source = {next_row, &stage};
	const struct producer_events events = {on_settled, on_finished, &stage};
	struct producer_options options = producer_defaults;
	struct producer *producer = NULL;
	int err;

	stage = (struct stage){.trouble = c->trouble, .body_bytes = c->body_bytes, .row = 1};
	stage.body = malloc(c->body_bytes);
	assert_non_null(stage.body);
	options.in_flight = 2;
	options.rate_count = c->rate;
	options.rate_per_ms = 1000;
	manual_clock_init(&stage.clock, 42, 0);
	sweep_on();
	err = producer_new((struct queue){&queue_ops, &stage}, manual_clock_table(&stage.clock),
		&source, &events, &options, &producer);
	if (!err)
		err = producer_start(producer);
	if (!err) {
		while (!stage.finished && manual_clock_step(&stage.clock))
			;
		err = stage.err;
		assert_int_equal(stage.finished, 1);
	}
	sweep_off();
	if (stage.finished)
		check_rows(&stage, producer_totals(producer));
	if (!sweep_has_failed())
		check_undisturbed(&stage);
	producer_free(producer);
	assert_false(manual_clock_step(&stage.clock)); /* no timer is left behind */
	manual_clock_free(&stage.clock);
	free(stage.body);
	return err;
}

static int parse_time(const void *arg)
{
	struct schedule_instant instant = {7, 7};
	struct buf error = BUF_INIT(1000);
	int rc;

	sweep_on();
	rc = schedule_parse(arg, &instant, &error);
	sweep_off();
	if (rc != 0)
		assert_true(instant.epoch_ms == 7 && instant.offset_s == 7);
	if (!sweep_has_failed())
		assert_int_equal(rc, 0);
	assert_string_equal(getenv("TZ"), ":Asia/Kathmandu");
	buf_free(&error);
	return rc;
}

int main(void)
{
	static const struct list_case wide_list = {
		.large = &wide, .rows = 3, .valid = 3, .rule = "c7=v.*"};
	static const struct list_case long_list = {.large = &long_rows,
		.template = "{\"to\":\"{{to}}\",\"text\":\"{{name}}\"}",
		.rows = 3,
		.valid = 3};
	static const struct list_case long_bodies = {.large = &long_rows, .rows = 3, .valid = 3};
	static const struct list_case lines_list = {.large = &json_lines,
		.template = "{\"to\":\"{{to}}\",\"text\":\"{{list.7}} {{name|x}}\"}",
		.rows = 3,
		.valid = 3,
		.rule = "to=U[0-9]+"};
	static const struct list_case packed_list = {
		.text = packed_csv, .rows = 5, .valid = 5, .pack = 2, .messages = 3};
	static const struct list_case packed_long = {
		.large = &long_rows, .rows = 3, .valid = 3, .pack = 500, .messages = 3};
	static const struct list_case broken_list = {.text = broken_csv,
		.template = "{\"to\":\"{{to}}\",\"text\":\"{{name}}\"}",
		.rows = 6,
		.valid = 2};
	static const struct list_case broken_line_rows = {
		.text = broken_lines, .rows = 5, .valid = 3};
	static const struct list_case broken_line_list = {
		.text = broken_lines, .template = "{{to}} {{name}}", .rows = 5, .valid = 1};
	static const struct suppression_case of_lines = {SUPPRESSION_LINES, 4000};
	static const struct suppression_case of_rows = {SUPPRESSION_CSV, 3999};
	static const struct produce_case throttled = {TROUBLE_THROTTLED, 20, 0};
	static const struct produce_case refused = {TROUBLE_REFUSED, 20, 0};
	static const struct produce_case large = {TROUBLE_NONE, 300000, 0};
	static const struct produce_case slow = {TROUBLE_THROTTLED, 20, 3};
	static struct buf broken = {.max = sizeof(broken_csv)};
	static const struct sweep table[] = {
		SWEEP("csv: 500 columns", read_csv, .arg = &wide),
		SWEEP("csv: fields of 300 KB", read_csv, .arg = &long_rows),
		SWEEP("csv: broken rows", read_csv, .arg = &broken),
		SWEEP("recipients: CSV of 500 columns", read_list, .arg = &wide_list),
		SWEEP("recipients: CSV of 300 KB a row", read_list, .arg = &long_list),
		SWEEP("recipients: broken CSV", read_list, .arg = &broken_list),
		SWEEP("recipients: JSON lines of 300 KB", read_list, .arg = &lines_list),
		SWEEP("recipients: broken JSON lines", read_list, .arg = &broken_line_rows),
		SWEEP("messages: 500 columns as JSON", check_list, .arg = &wide_list),
		SWEEP("messages: 300 KB by a template", check_list, .arg = &long_list),
		SWEEP("messages: 300 KB as JSON", check_list, .arg = &long_bodies),
		SWEEP("messages: JSON lines by a template", check_list, .arg = &lines_list),
		SWEEP("packs of two", check_list, .arg = &packed_list),
		SWEEP("packs: 300 KB", check_list, .arg = &packed_long),
		SWEEP("messages: broken CSV", check_list, .arg = &broken_list),
		SWEEP("messages: broken JSON lines", check_list, .arg = &broken_line_list),
		SWEEP("suppression: lines", read_suppression, .arg = &of_lines),
		SWEEP("suppression: CSV", read_suppression, .arg = &of_rows),
		SWEEP("rejects: rows and their file", note_rejects,
			.arg = "memory_campaign.rejects"),
		SWEEP("producer: one row throttled twice", produce, .arg = &throttled),
		SWEEP("producer: a batch refused and taken apart", produce, .arg = &refused),
		SWEEP("producer: batches split at 1 MiB", produce, .arg = &large),
		SWEEP("producer: three a second", produce, .arg = &slow),
		SWEEP("schedule: a time in a zone", parse_time,
			.arg = "2026-11-27 08:00 Asia/Tokyo"),
	};
	int failed;

	setenv("TZ", ":Asia/Kathmandu", 1);
	buf_append_string(&broken, broken_csv);
	failed = SWEEP_TABLE("campaign", table, enter, leave);
	buf_free(&broken);
	return failed;
}
