/* The rules of repetition, and of the clock's correction: both pure. */
#include "aws/sqs_error.h"
#include "aws/sqs_retry.h"
#include "aws/sqs_skew.h"
#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#define HALF (UINT64_MAX / 2 + 1) /* the random draw of one half, exactly */
#define MANY 100		  /* attempts that no test gets to */

static const int repeated[] = {ERR_DNS, ERR_CONNECT, ERR_TLS, ERR_TIMEOUT, ERR_NETWORK,
	ERR_PROTOCOL, ERR_UNAVAILABLE, ERR_THROTTLED};

static void what_is_repeated(void **state)
{
	static const int all[] = {
#define X(name, value, class, message) name,
		ERROR_LIST(X)
#undef X
	};
	size_t count = 0;

	for (size_t i = 0; i < COUNT_OF(all); i++)
		count += sqs_retry_is_for(all[i]);
	assert_int_equal(count, COUNT_OF(repeated));
	for (size_t i = 0; i < COUNT_OF(repeated); i++)
		assert_true(sqs_retry_is_for(repeated[i]));
	assert_false(sqs_retry_is_for(0));
}

/* Of many attempts that fail alike, all drawing one half. */
static void delays_double_up_to_20_s(void **state)
{
	static const int64_t delays_ms[] = {
		25, 50, 100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000};
	static const int64_t throttled_ms[] = {500, 1000, 2000, 4000, 8000, 10000, 10000};
	struct sqs_retry_bucket bucket;
	struct sqs_retry retry = {0}, throttled = {0};

	sqs_retry_bucket_init(&bucket);
	for (size_t i = 0; i < COUNT_OF(delays_ms); i++) {
		struct sqs_retry_decision decision =
			sqs_retry_failed(&retry, &bucket, ERR_NETWORK, MANY, -1, HALF);

		assert_true(decision.again);
		assert_int_equal(decision.delay_ms, delays_ms[i]);
	}
	for (size_t i = 0; i < COUNT_OF(throttled_ms); i++) {
		struct sqs_retry_decision decision =
			sqs_retry_failed(&throttled, &bucket, ERR_THROTTLED, MANY, -1, HALF);

		assert_true(decision.again);
		assert_int_equal(decision.delay_ms, throttled_ms[i]);
	}
	assert_int_equal(retry.attempts, COUNT_OF(delays_ms));
}

static int64_t delay_of(int err, int64_t retry_after_ms, uint64_t random)
{
	struct sqs_retry_bucket bucket;
	struct sqs_retry retry = {0};

	sqs_retry_bucket_init(&bucket);
	return sqs_retry_failed(&retry, &bucket, err, 3, retry_after_ms, random).delay_ms;
}

static void jitter_is_full(void **state)
{
	assert_int_equal(delay_of(ERR_NETWORK, -1, 0), 0);
	assert_int_equal(delay_of(ERR_NETWORK, -1, UINT64_MAX), 49);
	assert_int_equal(delay_of(ERR_THROTTLED, -1, 0), 0);
	assert_int_equal(delay_of(ERR_THROTTLED, -1, UINT64_MAX), 999);
}

/* Between t and t + 5 s, whatever the server says. */
static void a_named_time_is_kept_to_within_bounds(void **state)
{
	assert_int_equal(delay_of(ERR_NETWORK, 0, HALF), 25);
	assert_int_equal(delay_of(ERR_NETWORK, 24, HALF), 25);
	assert_int_equal(delay_of(ERR_NETWORK, 26, HALF), 26);
	assert_int_equal(delay_of(ERR_NETWORK, 5025, HALF), 5025);
	assert_int_equal(delay_of(ERR_NETWORK, 5026, HALF), 5025);
	assert_int_equal(delay_of(ERR_THROTTLED, INT64_MAX, UINT64_MAX), 5999);
}

static void attempts_are_bounded(void **state)
{
	struct sqs_retry_bucket bucket;
	struct sqs_retry retry = {0}, single = {0}, refused = {0};
	struct sqs_retry_decision decision;

	sqs_retry_bucket_init(&bucket);
	assert_true(sqs_retry_failed(&retry, &bucket, ERR_TIMEOUT, 3, -1, 0).again);
	assert_true(sqs_retry_failed(&retry, &bucket, ERR_TIMEOUT, 3, -1, 0).again);
	decision = sqs_retry_failed(&retry, &bucket, ERR_TIMEOUT, 3, 4000, HALF);
	assert_false(decision.again || decision.exhausted);
	assert_int_equal(decision.delay_ms, 0);
	assert_int_equal(bucket.tokens, 500 - 2 * 14);
	assert_false(sqs_retry_failed(&single, &bucket, ERR_TIMEOUT, 1, -1, 0).again);
	decision = sqs_retry_failed(&refused, &bucket, ERR_REFUSED, 3, 4000, HALF);
	assert_false(decision.again || decision.exhausted);
	assert_int_equal(decision.delay_ms, 0);
	assert_int_equal(bucket.tokens, 500 - 2 * 14);
}

static void success_gives_tokens_back(void **state)
{
	struct sqs_retry_bucket bucket = {.tokens = 100};
	struct sqs_retry plain = {0}, once = {0}, twice = {0};

	sqs_retry_succeeded(&plain, &bucket);
	assert_int_equal(bucket.tokens, 101);
	sqs_retry_failed(&once, &bucket, ERR_NETWORK, 3, -1, 0);
	assert_int_equal(bucket.tokens, 87);
	sqs_retry_succeeded(&once, &bucket);
	assert_int_equal(bucket.tokens, 101);
	/* The first repetition failed: its cost stays paid, the second one's comes back. */
	sqs_retry_failed(&twice, &bucket, ERR_NETWORK, 3, -1, 0);
	sqs_retry_failed(&twice, &bucket, ERR_THROTTLED, 3, -1, 0);
	assert_int_equal(bucket.tokens, 82);
	sqs_retry_succeeded(&twice, &bucket);
	assert_int_equal(bucket.tokens, 87);
	/* Never more than it held at first. */
	bucket.tokens = 499;
	once.cost = 14;
	sqs_retry_succeeded(&once, &bucket);
	assert_int_equal(bucket.tokens, 500);
	sqs_retry_succeeded(&plain, &bucket);
	assert_int_equal(bucket.tokens, 500);
}

/* One call after the other against a service that is gone; how many attempts each makes. */
static unsigned attempts_of_a_call(struct sqs_retry_bucket *bucket, int err, int64_t *ret_waited_ms)
{
	struct sqs_retry retry = {0};
	struct sqs_retry_decision decision;

	*ret_waited_ms = 0;
	do {
		decision = sqs_retry_failed(&retry, bucket, err, 3, -1, HALF);
		*ret_waited_ms += decision.delay_ms;
	} while (decision.again);
	return retry.attempts;
}

static void in_a_total_outage_one_attempt_is_left_and_its_wait(void **state)
{
	struct sqs_retry_bucket bucket;
	int64_t waited_ms;

	sqs_retry_bucket_init(&bucket);
	/* 500 tokens are 35 repetitions, so 17 calls with two each, one with one, 10 tokens left */
	for (int call = 0; call < 17; call++) {
		assert_int_equal(attempts_of_a_call(&bucket, ERR_CONNECT, &waited_ms), 3);
		assert_int_equal(waited_ms, 25 + 50);
	}
	assert_int_equal(attempts_of_a_call(&bucket, ERR_CONNECT, &waited_ms), 2);
	assert_int_equal(waited_ms, 25 + 50);
	assert_int_equal(bucket.tokens, 10);
	for (int call = 0; call < 100; call++) {
		assert_int_equal(attempts_of_a_call(&bucket, ERR_CONNECT, &waited_ms), 1);
		assert_int_equal(waited_ms, 25);
	}
	assert_int_equal(bucket.tokens, 10);
	/* A throttle is cheaper: two more. */
	assert_int_equal(attempts_of_a_call(&bucket, ERR_THROTTLED, &waited_ms), 3);
	assert_int_equal(attempts_of_a_call(&bucket, ERR_THROTTLED, &waited_ms), 1);
	assert_int_equal(waited_ms, 500);
	assert_int_equal(bucket.tokens, 0);
	/* The service is back: fourteen calls that succeed make one repetition good. */
	for (int call = 0; call < 14; call++)
		sqs_retry_succeeded(&(struct sqs_retry){0}, &bucket);
	assert_int_equal(attempts_of_a_call(&bucket, ERR_CONNECT, &waited_ms), 2);
}

static void exhaustion_says_so(void **state)
{
	struct sqs_retry_bucket bucket = {.tokens = 13};
	struct sqs_retry retry = {0};
	struct sqs_retry_decision decision =
		sqs_retry_failed(&retry, &bucket, ERR_UNAVAILABLE, 3, 700, HALF);

	assert_false(decision.again);
	assert_true(decision.exhausted);
	assert_int_equal(decision.delay_ms, 700);
	assert_int_equal(bucket.tokens, 13);
	assert_int_equal(retry.cost, 0);
}

#define MINUTE ((int64_t)60000)

static void the_offset_is_from_the_middle_of_the_exchange(void **state)
{
	static const struct {
		struct sqs_skew_sample sample;
		bool measured;
		int64_t offset_ms;
	} cases[] = {
		{{1000, 1000, 5000, false}, true, 4000},
		{{1000, 21000, 11000, false}, true, 0},
		{{1000, 1001, 5000, false}, true, 4000},
		{{10 * MINUTE, 10 * MINUTE, 1, false}, true, 1 - 10 * MINUTE},
		{{1000, 15 * MINUTE + 999, 5000, false}, true, 5000 - (1000 + 449999)},
		{{1000, 15 * MINUTE + 1000, 5000, false}, false, 0},
		{{1000, 999, 5000, false}, false, 0},
		{{1000, 1000, 0, false}, false, 0},
		{{1000, 1000, 5000, true}, false, 0},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		int64_t offset_ms = 77;

		assert_int_equal(sqs_skew_measure(&cases[i].sample, &offset_ms), cases[i].measured);
		assert_int_equal(offset_ms, cases[i].measured ? cases[i].offset_ms : 77);
	}
}

/* Date 5000 was made in [5000, 5999] of the other clock, and in [sent, received] of this one. */
static void the_offset_lies_between_two(void **state)
{
	const struct sqs_skew_sample sample = {1000, 1300, 5000, false};
	const struct sqs_skew_sample none = {1000, 1300, 0, false};
	int64_t least_ms = 77, most_ms = 77;

	assert_false(sqs_skew_bounds(&none, &least_ms, &most_ms));
	assert_int_equal(least_ms, 77);
	assert_true(sqs_skew_bounds(&sample, &least_ms, &most_ms));
	assert_int_equal(least_ms, 3700);
	assert_int_equal(most_ms, 4999);
}

static void an_offset_is_taken_when_it_matters(void **state)
{
	static const struct {
		int64_t in_force_ms, measured_ms, taken_ms;
	} cases[] = {
		{0, 4 * MINUTE - 1, 0},
		{0, -4 * MINUTE + 1, 0},
		{0, 4 * MINUTE, 4 * MINUTE},
		{0, -4 * MINUTE, -4 * MINUTE},
		{10 * MINUTE, 7 * MINUTE, 10 * MINUTE},
		{10 * MINUTE, 6 * MINUTE, 6 * MINUTE},
		{10 * MINUTE, 14 * MINUTE, 14 * MINUTE},
		{10 * MINUTE, 0, 0},
		{10 * MINUTE, 3 * MINUTE, 0},
		{5 * MINUTE, 2 * MINUTE, 5 * MINUTE},
		{5 * MINUTE, -3 * MINUTE, 0},
		{5 * MINUTE, -5 * MINUTE, -5 * MINUTE},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++)
		assert_int_equal(sqs_skew_adopt(cases[i].in_force_ms, cases[i].measured_ms),
			cases[i].taken_ms);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_repeated),
		cmocka_unit_test(delays_double_up_to_20_s),
		cmocka_unit_test(jitter_is_full),
		cmocka_unit_test(a_named_time_is_kept_to_within_bounds),
		cmocka_unit_test(attempts_are_bounded),
		cmocka_unit_test(success_gives_tokens_back),
		cmocka_unit_test(in_a_total_outage_one_attempt_is_left_and_its_wait),
		cmocka_unit_test(exhaustion_says_so),
		cmocka_unit_test(the_offset_is_from_the_middle_of_the_exchange),
		cmocka_unit_test(the_offset_lies_between_two),
		cmocka_unit_test(an_offset_is_taken_when_it_matters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
