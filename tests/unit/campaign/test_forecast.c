/* The finish and the price, to the exact value. */
#include "campaign/forecast.h"

#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define EIGHT INT64_C(1795734000000) /* 2026-11-27 08:00 +09:00 */
#define MINUTE 60000
#define TOKYO (9 * 3600)

static void check(const struct forecast_input *input, const char *expected)
{
	struct forecast forecast;
	struct buf out = BUF_INIT(1000);

	forecast_make(input, &forecast);
	forecast_append(input, &forecast, &out);
	assert_string_equal(buf_string(&out), expected);
	buf_free(&out);
}

static struct forecast_input two_million(void)
{
	return (struct forecast_input){.recipients = 2000000,
		.begin = {EIGHT, TOKYO},
		.deadline = {EIGHT + 60 * MINUTE, 0},
		.destination_per_s = 2000};
}

static void in_time(void **state)
{
	struct forecast_input input = two_million();
	struct forecast forecast;

	forecast_make(&input, &forecast);
	assert_int_equal(forecast.limit, FORECAST_DESTINATION);
	assert_int_equal(forecast.done_epoch_ms, EIGHT + 1000000);
	assert_int_equal(forecast.late_epoch_ms, EIGHT + 1111111);
	assert_int_equal(forecast.expired, 0);
	assert_int_equal(forecast.expired_late, 0);
	check(&input, "16.7 of 60.0 min at 2,000/s; done about 08:16:40, with retries by 08:18:31; "
		      "deadline 09:00:00");
}

static void too_late(void **state)
{
	struct forecast_input input = two_million();
	struct forecast forecast;

	input.deadline.epoch_ms = EIGHT + 10 * MINUTE;
	forecast_make(&input, &forecast);
	assert_int_equal(forecast.expired, 800000);
	assert_int_equal(forecast.expired_late, 920000);
	check(&input, "16.7 of 10.0 min at 2,000/s; done about 08:16:40, with retries by 08:18:31; "
		      "deadline 08:10:00; about 800,000 will expire unsent");
	input.deadline.epoch_ms = EIGHT + 17 * MINUTE;
	check(&input, "16.7 of 17.0 min at 2,000/s; done about 08:16:40, with retries by 08:18:31; "
		      "deadline 08:17:00; with retries up to 164,000 may expire unsent");
	/* the deadline has passed before it begins */
	input.deadline.epoch_ms = EIGHT - 1;
	forecast_make(&input, &forecast);
	assert_int_equal(forecast.expired, 2000000);
}

static void without_a_deadline(void **state)
{
	struct forecast_input input = two_million();

	input.deadline.epoch_ms = 0;
	check(&input, "16.7 min at 2,000/s; done about 08:16:40, with retries by 08:18:31");
	input.destination_per_s = 0.5;
	check(&input, "1111.1 h at 0.5/s; done about 2027-01-12 15:06:40, with retries by "
		      "2027-01-17 18:34:04");
	input.recipients = 90;
	input.destination_per_s = 10;
	check(&input, "9.0 s at 10/s; done about 08:00:09, with retries by 08:00:10");
	input.deadline.epoch_ms = EIGHT + 60 * MINUTE;
	check(&input, "9.0 s of 60.0 min at 10/s; done about 08:00:09, with retries by 08:00:10; "
		      "deadline 09:00:00");
}

static void the_least_decides(void **state)
{
	static const struct {
		double push, destination, queue;
		uint64_t slots;
		int64_t latency_ms;
		enum forecast_limit limit;
		double per_s;
	} rows[] = {
		{0, 0, 0, 0, 0, FORECAST_UNKNOWN, 0},
		{0, 0, 0, 500, 0, FORECAST_UNKNOWN, 0},
		{0, 0, 0, 0, 100, FORECAST_UNKNOWN, 0},
		{100, 0, 0, 0, 0, FORECAST_PUSH, 100},
		{100, 50, 0, 0, 0, FORECAST_DESTINATION, 50},
		{100, 50, 20, 0, 0, FORECAST_QUEUE, 20},
		{100, 50, 20, 1, 100, FORECAST_SLOTS, 10},
		{100, 50, 20, 500, 100, FORECAST_QUEUE, 20},
		{100, 100, 100, 10, 100, FORECAST_PUSH, 100},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct forecast_input input = {.recipients = 1,
			.push_per_s = rows[i].push,
			.destination_per_s = rows[i].destination,
			.queue_per_s = rows[i].queue,
			.slots = rows[i].slots,
			.latency_ms = rows[i].latency_ms};
		struct forecast forecast;

		forecast_make(&input, &forecast);
		assert_int_equal(forecast.limit, rows[i].limit);
		assert_true(forecast.per_s == rows[i].per_s);
	}
}

static void nothing_known(void **state)
{
	struct forecast_input input = two_million();

	input.destination_per_s = 0;
	check(&input, "no rate is known, so neither is the end; give the workers' configuration "
		      "with --config FILE, or --rate N/s");
}

/* The rates are of requests; what they come to is recipients. */
static void many_recipients_in_one_request(void **state)
{
	struct forecast_input input = two_million();
	struct forecast forecast;

	input.push_per_s = input.queue_per_s = input.destination_per_s = 0;
	input.latency_ms = 0;
	input.attempts = 4000;
	input.destination_per_s = 200;
	forecast_make(&input, &forecast);
	assert_int_equal(forecast.limit, FORECAST_DESTINATION);
	assert_true(forecast.per_s == 100000);
	assert_int_equal(forecast.done_epoch_ms - input.begin.epoch_ms, 20000);
	input.slots = 30;
	input.latency_ms = 1000;
	forecast_make(&input, &forecast);
	assert_int_equal(forecast.limit, FORECAST_SLOTS);
	assert_true(forecast.per_s == 15000);
	input.push_per_s = 2000; /* of recipients already */
	forecast_make(&input, &forecast);
	assert_int_equal(forecast.limit, FORECAST_PUSH);
	assert_true(forecast.per_s == 2000);
}

static void slow_beyond_measure(void **state)
{
	const struct forecast_input input = {
		.recipients = UINT64_MAX, .push_per_s = 1e-9, .deadline = {INT64_MAX, 0}};
	struct forecast forecast;

	forecast_make(&input, &forecast);
	assert_int_equal(forecast.done_epoch_ms, INT64_C(3000000000000));
}

static void prices(void **state)
{
	const struct forecast_price_input small = {.recipients = 2000000,
		.messages = 2000000,
		.requests = 200000,
		.chunks = 200000,
		.sqs_price = FORECAST_SQS_PRICE,
		.provider_price = 3};
	const struct forecast_price_input large = {.recipients = 15,
		.messages = 15,
		.requests = 2,
		.chunks = 30,
		.sqs_price = FORECAST_SQS_PRICE_FIFO};
	struct forecast_price price;

	forecast_price(&small, &price);
	assert_int_equal(price.send_requests, 200000);
	assert_int_equal(price.worker_requests, 400000); /* 0.2 a message */
	assert_true(price.sqs > 0.2399 && price.sqs < 0.2401);
	assert_true(price.provider == 6000000);
	forecast_price(&large, &price);
	assert_int_equal(price.send_requests, 30);
	assert_int_equal(price.worker_requests, 32);
	assert_true(price.provider == 0);
}

static void written_prices(void **state)
{
	static const struct {
		const char *text;
		double price;
		const char *currency;
	} rows[] = {{"3 JPY", 3, "JPY"}, {"3JPY", 3, "JPY"}, {"0.0079 USD", 0.0079, "USD"},
		{"0", 0, ""}, {"12.50", 12.5, ""}, {"3 円", 3, "円"}, {"1 EURO", 1, "EURO"}};
	static const char *const wrong[] = {"", "JPY", "JPY 3", ".5", "3.", "3,5", "-1", "1e3",
		"3 JPY extra", "3 ninebytes", "1234567890123456", "0x10", "1 J\x01", "3 J\x7f"};
	const char *currency;
	double price;

	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(forecast_parse_price(rows[i].text, &price, &currency), 0);
		assert_true(price == rows[i].price);
		assert_string_equal(currency, rows[i].currency);
	}
	for (size_t i = 0; i < COUNT(wrong); i++) {
		price = 7;
		assert_int_equal(forecast_parse_price(wrong[i], &price, &currency), ERR_SYNTAX);
		assert_true(price == 7);
	}
}

static void check_money(double amount, const char *currency, const char *expected)
{
	struct buf out = BUF_INIT(100);

	forecast_append_money(&out, amount, currency);
	assert_string_equal(buf_string(&out), expected);
	buf_free(&out);
}

static void money(void **state)
{
	check_money(0, "USD", "0.0000 USD");
	check_money(0.0012, "USD", "0.0012 USD");
	check_money(0.24, "USD", "0.2400 USD");
	check_money(1, "", "1.00");
	check_money(6000000, "JPY", "6,000,000.00 JPY");
	check_money(1234567.5, "", "1,234,567.50");
	check_money(1e20, "X", "1.000e+20 X");
}

static void the_hour(void **state)
{
	static const struct {
		int64_t epoch_ms;
		int offset_s;
		bool on;
	} rows[] = {{EIGHT, TOKYO, true}, {EIGHT - 1, TOKYO, false}, {EIGHT + 119999, TOKYO, true},
		{EIGHT + 120000, TOKYO, false}, {EIGHT, 5 * 3600 + 2700, false},
		{EIGHT + 30 * MINUTE, 19800, true}};

	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(forecast_is_on_the_hour((struct schedule_instant){
					 rows[i].epoch_ms, rows[i].offset_s}),
			rows[i].on);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_time),
		cmocka_unit_test(too_late),
		cmocka_unit_test(without_a_deadline),
		cmocka_unit_test(the_least_decides),
		cmocka_unit_test(nothing_known),
		cmocka_unit_test(many_recipients_in_one_request),
		cmocka_unit_test(slow_beyond_measure),
		cmocka_unit_test(prices),
		cmocka_unit_test(written_prices),
		cmocka_unit_test(money),
		cmocka_unit_test(the_hour),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
