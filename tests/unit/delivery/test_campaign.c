/* Outcomes by campaign: names from outside, a bounded number of them, as labels. */
#include "bunshin/error.h"
#include "delivery/campaign.h"
#include "failmalloc.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct metrics *metrics;
static struct campaigns *campaigns;

static int set_up(void **state)
{
	metrics = metrics_new();
	campaigns = calloc(1, sizeof(*campaigns));
	if (!metrics || !campaigns)
		return 1;
	campaigns->metrics = metrics;
	return 0;
}

static int tear_down(void **state)
{
	metrics_free(metrics);
	free(campaigns);
	return 0;
}

static void count_bytes(const char *name, size_t bytes, enum campaign_outcome outcome)
{
	struct queue_attribute attributes[] = {
		{.name = "Other", .type = "String", .value = "x", .value_bytes = 1},
		{.name = "Campaign", .type = "String", .value = name, .value_bytes = bytes},
	};
	struct queue_message message = {.attributes = attributes, .attribute_count = 2};

	campaign_count(campaigns, &message, INT64_MAX, outcome);
}

static void count(const char *name, enum campaign_outcome outcome)
{
	count_bytes(name, strlen(name), outcome);
}

struct search {
	const char *labels;
	int64_t value;
	size_t series;
};

static void look(void *arg, const struct metric_series *series)
{
	struct search *search = arg;

	if (strcmp(series->name, "bunshin_campaign_messages_total") != 0)
		return;
	assert_int_equal(series->kind, METRIC_COUNTER);
	search->series++;
	if (search->labels && strcmp(series->labels, search->labels) == 0)
		search->value = (int64_t)series->counter->value;
}

/* -1: no such series. */
static int64_t value_of(struct metrics *of, const char *labels)
{
	struct search search = {.labels = labels, .value = -1};

	metrics_each(of, look, &search);
	return search.value;
}

static size_t series(void)
{
	struct search search = {0};

	metrics_each(metrics, look, &search);
	return search.series;
}

static void each_outcome(void **state)
{
	static const char *const names[] = {
		"accepted", "suppressed", "failed", "expired", "cancelled", "retried"};

	for (int outcome = 0; outcome < CAMPAIGN_OUTCOMES; outcome++)
		for (int n = 0; n <= outcome; n++)
			count("morning", outcome);
	for (int outcome = 0; outcome < CAMPAIGN_OUTCOMES; outcome++) {
		char labels[64];

		snprintf(labels, sizeof(labels), "campaign=\"morning\",outcome=\"%s\"",
			names[outcome]);
		assert_int_equal(value_of(metrics, labels), outcome + 1);
	}
	assert_int_equal(series(), CAMPAIGN_OUTCOMES);
}

static void with_deadline(const char *name, int64_t deadline_epoch_ms)
{
	struct queue_attribute attribute = {
		.name = "Campaign", .type = "String", .value = name, .value_bytes = strlen(name)};
	struct queue_message message = {.attributes = &attribute, .attribute_count = 1};

	campaign_count(campaigns, &message, deadline_epoch_ms, CAMPAIGN_ACCEPTED);
}

struct deadline_search {
	const char *labels;
	int64_t value;
};

static void look_for_deadline(void *arg, const struct metric_series *series)
{
	struct deadline_search *search = arg;

	if (strcmp(series->name, CAMPAIGN_DEADLINE_METRIC) == 0 &&
		strcmp(series->labels, search->labels) == 0)
		search->value = series->gauge->value;
}

/* -1: no such series. */
static int64_t deadline_of(const char *labels)
{
	struct deadline_search search = {.labels = labels, .value = -1};

	metrics_each(metrics, look_for_deadline, &search);
	return search.value;
}

/* The latest, whichever comes last, in whole seconds. */
static void deadline(void **state)
{
	with_deadline("a", INT64_MAX);
	assert_int_equal(deadline_of("campaign=\"a\""), -1);
	with_deadline("a", 1764147600000);
	assert_int_equal(deadline_of("campaign=\"a\""), 1764147600);
	with_deadline("a", 1764147600001);
	with_deadline("a", 1764140000000);
	assert_int_equal(deadline_of("campaign=\"a\""), 1764147601);
	with_deadline("b", 1000);
	assert_int_equal(deadline_of("campaign=\"b\""), 1);
	assert_int_equal(deadline_of("campaign=\"a\""), 1764147601);
}

static void absent_and_empty(void **state)
{
	struct queue_message message = {0};

	for (int outcome = 0; outcome < CAMPAIGN_OUTCOMES; outcome++) {
		campaign_count(campaigns, &message, INT64_MAX, outcome);
		count("", outcome);
	}
	assert_int_equal(series(), 0);
	/* Nor does the empty name hide another one, or be found where there is none. */
	count("a", CAMPAIGN_ACCEPTED);
	count("", CAMPAIGN_ACCEPTED);
	assert_int_equal(value_of(metrics, "campaign=\"a\",outcome=\"accepted\""), 1);
	assert_int_equal(series(), 1);
}

/* Sixty-four names; then all new ones together. Known ones go on as they are. */
static void sixty_four_names(void **state)
{
	char name[16], labels[64];

	for (int i = 0; i < CAMPAIGNS_MAX; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		count(name, CAMPAIGN_ACCEPTED);
	}
	assert_int_equal(series(), 64);
	assert_int_equal(value_of(metrics, "campaign=\"other\",outcome=\"accepted\""), -1);
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		count(name, CAMPAIGN_ACCEPTED);
	}
	for (int i = 0; i < CAMPAIGNS_MAX; i++) {
		snprintf(labels, sizeof(labels), "campaign=\"c%d\",outcome=\"accepted\"", i);
		assert_int_equal(value_of(metrics, labels), 2);
	}
	assert_int_equal(value_of(metrics, "campaign=\"other\",outcome=\"accepted\""), 136);
	assert_int_equal(series(), 65);
	/* One after the other, back and forth. */
	count("c0", CAMPAIGN_FAILED);
	count("c63", CAMPAIGN_FAILED);
	count("new", CAMPAIGN_FAILED);
	count("c0", CAMPAIGN_FAILED);
	assert_int_equal(value_of(metrics, "campaign=\"c0\",outcome=\"failed\""), 2);
	assert_int_equal(value_of(metrics, "campaign=\"c63\",outcome=\"failed\""), 1);
	assert_int_equal(value_of(metrics, "campaign=\"other\",outcome=\"failed\""), 1);
}

/* One that is called "other" is counted with the others, whichever came first. */
static void called_other(void **state)
{
	char too_long[CAMPAIGN_NAME_MAX + 2];

	memset(too_long, 'x', sizeof(too_long));
	too_long[CAMPAIGN_NAME_MAX + 1] = '\0';
	count("other", CAMPAIGN_EXPIRED);
	count(too_long, CAMPAIGN_EXPIRED);
	count("other", CAMPAIGN_EXPIRED);
	assert_int_equal(value_of(metrics, "campaign=\"other\",outcome=\"expired\""), 3);
	assert_int_equal(series(), 1);
}

static void lengths(void **state)
{
	char name[CAMPAIGN_NAME_MAX + 2], labels[128];

	memset(name, 'x', sizeof(name));
	for (size_t bytes = CAMPAIGN_NAME_MAX - 1; bytes <= CAMPAIGN_NAME_MAX + 1; bytes++)
		count_bytes(name, bytes, CAMPAIGN_ACCEPTED);
	for (size_t bytes = CAMPAIGN_NAME_MAX - 1; bytes <= CAMPAIGN_NAME_MAX; bytes++) {
		snprintf(labels, sizeof(labels), "campaign=\"%.*s\",outcome=\"accepted\"",
			(int)bytes, name);
		assert_int_equal(value_of(metrics, labels), 1);
	}
	assert_int_equal(value_of(metrics, "campaign=\"other\",outcome=\"accepted\""), 1);
	/* A prefix is another one. */
	count("x", CAMPAIGN_ACCEPTED);
	assert_int_equal(value_of(metrics, "campaign=\"x\",outcome=\"accepted\""), 1);
	assert_int_equal(series(), 4);
}

/* The exposition format has three bytes that a label must escape; other control characters go. */
static void escaping(void **state)
{
	char longest[CAMPAIGN_NAME_MAX], labels[256], *at = labels;

	count("a\"b", CAMPAIGN_ACCEPTED);
	count("a\\b", CAMPAIGN_ACCEPTED);
	count("a\nb", CAMPAIGN_ACCEPTED);
	count("\\n", CAMPAIGN_ACCEPTED);
	count("\n", CAMPAIGN_ACCEPTED);
	count("\xe5\x88\x86\t", CAMPAIGN_ACCEPTED);
	count("\xe5\x88\x86\r", CAMPAIGN_ACCEPTED);
	count("\x01\x1f\x7f \xc2\x80", CAMPAIGN_ACCEPTED);
	assert_int_equal(value_of(metrics, "campaign=\"a\\\"b\",outcome=\"accepted\""), 1);
	assert_int_equal(value_of(metrics, "campaign=\"a\\\\b\",outcome=\"accepted\""), 1);
	assert_int_equal(value_of(metrics, "campaign=\"a\\nb\",outcome=\"accepted\""), 1);
	assert_int_equal(value_of(metrics, "campaign=\"\\\\n\",outcome=\"accepted\""), 1);
	assert_int_equal(value_of(metrics, "campaign=\"\\n\",outcome=\"accepted\""), 1);
	assert_int_equal(value_of(metrics, "campaign=\"\xe5\x88\x86?\",outcome=\"accepted\""), 2);
	assert_int_equal(value_of(metrics, "campaign=\"??? \xc2\x80\",outcome=\"accepted\""), 1);
	/* All of it escaped: twice as long, and whole. */
	memset(longest, '"', sizeof(longest));
	count_bytes(longest, sizeof(longest), CAMPAIGN_SUPPRESSED);
	at += sprintf(at, "campaign=\"");
	for (size_t i = 0; i < sizeof(longest); i++)
		at += sprintf(at, "\\\"");
	sprintf(at, "\",outcome=\"suppressed\"");
	assert_int_equal(value_of(metrics, labels), 1);
}

static void a_nul_inside(void **state)
{
	count_bytes("a\0b", 3, CAMPAIGN_ACCEPTED);
	count_bytes("\0", 1, CAMPAIGN_ACCEPTED);
	count_bytes("a\0", 2, CAMPAIGN_ACCEPTED);
	assert_int_equal(value_of(metrics, "campaign=\"other\",outcome=\"accepted\""), 3);
	assert_int_equal(series(), 1);
}

/* A label value must be UTF-8, or the whole exposition is refused: attributes may be binary. */
static void no_text(void **state)
{
	static const char *const names[] = {"\xff", "a\xc3", "\xed\xa0\x80", "\xf4\x90\x80\x80"};

	for (size_t i = 0; i < 4; i++)
		count(names[i], CAMPAIGN_ACCEPTED);
	assert_int_equal(value_of(metrics, "campaign=\"other\",outcome=\"accepted\""), 4);
	assert_int_equal(series(), 1);
}

/* Short of memory it is not counted, and nothing else happens; later it is. */
static void no_memory(void **state)
{
	unsigned long k = 0;
	bool failed;

	do {
		failmalloc_arm(++k);
		count("a", CAMPAIGN_ACCEPTED);
		failed = failmalloc_disarm();
		if (failed)
			assert_int_equal(
				value_of(metrics, "campaign=\"a\",outcome=\"accepted\""), -1);
	} while (failed);
	assert_true(k > 1);
	assert_int_equal(value_of(metrics, "campaign=\"a\",outcome=\"accepted\""), 1);
	assert_int_equal(campaigns->count, 1);
}

/* ---- in the core: each end counts once, and nothing but an end does */

static struct world world;

static void in_the_core(void **state)
{
	static const char *const live[] = {"Campaign", "String", "m", NULL};
	static const char *const late[] = {
		"Campaign", "String", "m", "Deadline", "Number", "1800000000001", NULL};
	static const char *const known[] = {
		"Campaign", "String", "m", "IdempotencyKey", "String", "known", NULL};
	static uint8_t key[SIPHASH_KEY_BYTES];
	struct mapped_file file;
	struct ledger ledger;
	size_t index;

	assert_int_equal(mapped_file_anonymous(LEDGER_BYTES_MIN, &ledger_file, key, &file), 0);
	assert_int_equal(ledger_attach(file.memory, file.bytes, 3600000, &ledger), 0);
	world_init(&world, &(struct world_options){.failure_queue = true, .ledger = &ledger});
	ledger_accept(&ledger, ledger_key_of(&ledger, "lane0", "known"), (struct ledger_claim){0},
		WORLD_EPOCH_MS);
	/* Accepted, retried and then accepted, failed; the copy of that fails twice. */
	fake_target_answer(&world.targets[0], 1, (struct answer){.status = 200});
	fake_target_answer(
		&world.targets[0], 1, (struct answer){.status = 503, .retry_after_ms = 1000});
	fake_target_answer(&world.targets[0], 1, (struct answer){.status = 400});
	fake_queue_fail(&world.failure_queue,
		(struct fault){
			.op = OP_SEND, .times = 2, .err = ERR_UNAVAILABLE, .entry = WHOLE_CALL});
	for (int i = 0; i < 3; i++)
		world_add_with(&world, live);
	index = world_add_with(&world, late);
	world.queue.messages[index]->deadline_epoch_ms = WORLD_EPOCH_MS + 1;
	index = world_add_with(&world, known);
	world.queue.messages[index]->accepted_elsewhere = true;
	world_start(&world);
	world_run_until_done(&world, 60 * S);
	assert_int_equal(value_of(world.metrics, "campaign=\"m\",outcome=\"accepted\""), 2);
	assert_int_equal(value_of(world.metrics, "campaign=\"m\",outcome=\"failed\""), 1);
	assert_int_equal(value_of(world.metrics, "campaign=\"m\",outcome=\"expired\""), 1);
	assert_int_equal(value_of(world.metrics, "campaign=\"m\",outcome=\"suppressed\""), 1);
	world_end(&world);
	mapped_file_close(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_outcome, set_up, tear_down),
		cmocka_unit_test_setup_teardown(deadline, set_up, tear_down),
		cmocka_unit_test_setup_teardown(absent_and_empty, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sixty_four_names, set_up, tear_down),
		cmocka_unit_test_setup_teardown(called_other, set_up, tear_down),
		cmocka_unit_test_setup_teardown(lengths, set_up, tear_down),
		cmocka_unit_test_setup_teardown(escaping, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_nul_inside, set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_text, set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_memory, set_up, tear_down),
		cmocka_unit_test(in_the_core),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
