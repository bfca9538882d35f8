#include "campaign/forecast.h"

#include "bunshin/error.h"
#include "bunshin/queue.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPENT_ON_RETRIES 0.1
#define CURRENCY_MAX 8
#define SPAN_MAX_S 3e9 /* a hundred years; what is slower is as good as that */
#define ON_THE_HOUR_MS ((int64_t)2 * 60 * 1000)

/* the finish */

static void consider(struct forecast *forecast, enum forecast_limit limit, double per_s)
{
	if (per_s <= 0 || (forecast->limit != FORECAST_UNKNOWN && per_s >= forecast->per_s))
		return;
	forecast->limit = limit;
	forecast->per_s = per_s;
}

static int64_t done_at(const struct forecast_input *input, double per_s)
{
	double seconds = (double)input->recipients / per_s;

	return input->begin.epoch_ms +
	       (int64_t)((seconds < SPAN_MAX_S ? seconds : SPAN_MAX_S) * 1000);
}

static uint64_t expired_at(const struct forecast_input *input, double per_s)
{
	double seconds = (double)(input->deadline.epoch_ms - input->begin.epoch_ms) / 1000;
	double sent = seconds > 0 ? seconds * per_s : 0;

	if (input->deadline.epoch_ms == 0 || sent >= (double)input->recipients)
		return 0;
	return input->recipients - (uint64_t)sent;
}

/* In one request, on average. */
static double recipients_of_one(const struct forecast_input *input)
{
	return input->attempts > 0 ? (double)input->recipients / (double)input->attempts : 1;
}

void forecast_make(const struct forecast_input *input, struct forecast *ret_forecast)
{
	struct forecast forecast = {.limit = FORECAST_UNKNOWN};
	double slow, of_one = recipients_of_one(input);

	consider(&forecast, FORECAST_PUSH, input->push_per_s);
	consider(&forecast, FORECAST_DESTINATION, input->destination_per_s * of_one);
	consider(&forecast, FORECAST_QUEUE, input->queue_per_s * of_one);
	if (input->latency_ms > 0)
		consider(&forecast, FORECAST_SLOTS,
			(double)input->slots * 1000 / (double)input->latency_ms * of_one);
	if (forecast.limit != FORECAST_UNKNOWN) {
		slow = forecast.per_s * (1 - SPENT_ON_RETRIES);
		forecast.done_epoch_ms = done_at(input, forecast.per_s);
		forecast.late_epoch_ms = done_at(input, slow);
		forecast.expired = expired_at(input, forecast.per_s);
		forecast.expired_late = expired_at(input, slow);
	}
	*ret_forecast = forecast;
}

/* text */

void forecast_append_count(struct buf *out, uint64_t count)
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%" PRIu64, count);

	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			buf_append_char(out, ',');
		buf_append_char(out, digits[i]);
	}
}

static double unit_of(double seconds)
{
	return seconds < 120 ? 1 : seconds < 3.0 * 3600 ? 60 : 3600;
}

static const char *unit_name(double unit)
{
	return unit < 60 ? "s" : unit < 3600 ? "min" : "h";
}

/* "16.7 of 60.0 min", "5.0 s of 60.0 min" */
static void append_spans(struct buf *out, double took_s, double there_s)
{
	double unit = unit_of(took_s), there_unit = unit_of(there_s);

	buf_appendf(out, "%.1f", took_s / unit);
	if (there_s <= 0 || unit != there_unit)
		buf_appendf(out, " %s", unit_name(unit));
	if (there_s > 0)
		buf_appendf(out, " of %.1f %s", there_s / there_unit, unit_name(there_unit));
}

static void append_rate(struct buf *out, double per_s)
{
	buf_append_string(out, " at ");
	if (per_s >= 10)
		forecast_append_count(out, (uint64_t)(per_s + 0.5));
	else
		buf_appendf(out, "%.3g", per_s);
	buf_append_string(out, "/s");
}

/* With the date where it is another day than the beginning's. */
static void append_instant(struct buf *out, const struct forecast_input *input, int64_t epoch_ms)
{
	const struct schedule_instant instant = {epoch_ms, input->begin.offset_s};
	char text[SCHEDULE_TEXT_MAX], first[SCHEDULE_TEXT_MAX];

	schedule_format(instant, text);
	schedule_format(input->begin, first);
	if (strncmp(text, first, 10) == 0)
		buf_append_string(out, schedule_format_time(instant, text));
	else
		buf_appendf(out, "%.19s", text);
}

static void append_expired(struct buf *out, const struct forecast *forecast)
{
	if (forecast->expired > 0) {
		buf_append_string(out, "; about ");
		forecast_append_count(out, forecast->expired);
		buf_append_string(out, " will expire unsent");
	} else if (forecast->expired_late > 0) {
		buf_append_string(out, "; with retries up to ");
		forecast_append_count(out, forecast->expired_late);
		buf_append_string(out, " may expire unsent");
	}
}

void forecast_append(
	const struct forecast_input *input, const struct forecast *forecast, struct buf *out)
{
	bool has_deadline = input->deadline.epoch_ms != 0;

	if (forecast->limit == FORECAST_UNKNOWN) {
		buf_append_string(out, "no rate is known, so neither is the end; give the workers' "
				       "configuration with --config FILE, or --rate N/s");
		return;
	}
	append_spans(out, (double)(forecast->done_epoch_ms - input->begin.epoch_ms) / 1000,
		has_deadline ? (double)(input->deadline.epoch_ms - input->begin.epoch_ms) / 1000
			     : 0);
	append_rate(out, forecast->per_s);
	buf_append_string(out, "; done about ");
	append_instant(out, input, forecast->done_epoch_ms);
	buf_append_string(out, ", with retries by ");
	append_instant(out, input, forecast->late_epoch_ms);
	if (has_deadline) {
		buf_append_string(out, "; deadline ");
		append_instant(out, input, input->deadline.epoch_ms);
	}
	append_expired(out, forecast);
}

/* prices */

void forecast_price(const struct forecast_price_input *input, struct forecast_price *ret_price)
{
	uint64_t chunks = input->chunks > input->requests ? input->chunks : input->requests;
	uint64_t deletes = (input->messages + QUEUE_BATCH_MAX - 1) / QUEUE_BATCH_MAX;

	ret_price->send_requests = chunks;
	ret_price->worker_requests = chunks + deletes;
	ret_price->sqs = (double)(chunks + chunks + deletes) / 1e6 * input->sqs_price;
	ret_price->provider = (double)input->recipients * input->provider_price;
}

int forecast_parse_price(const char *text, double *ret_price, const char **ret_currency)
{
	size_t whole = strspn(text, "0123456789");
	size_t len = whole;
	double divisor = 1;
	const char *currency;

	if (text[len] == '.') {
		size_t fraction = strspn(text + len + 1, "0123456789");

		if (fraction == 0)
			return ERR_SYNTAX;
		len += 1 + fraction;
	}
	currency = text + len + strspn(text + len, " ");
	if (whole == 0 || len > 15 || strlen(currency) > CURRENCY_MAX)
		return ERR_SYNTAX;
	for (const char *c = currency; *c != '\0'; c++)
		if ((unsigned char)*c <= ' ' || *c == '\x7f' || strchr("0123456789.,+-", *c))
			return ERR_SYNTAX;
	/* Not strtod: the point is a point in every locale. */
	*ret_price = 0;
	for (size_t i = 0; i < len; i++)
		if (text[i] != '.')
			*ret_price = *ret_price * 10 + (text[i] - '0');
	for (size_t i = whole + 1; i < len; i++)
		divisor *= 10;
	*ret_price /= divisor;
	*ret_currency = currency;
	return 0;
}

void forecast_append_money(struct buf *out, double amount, const char *currency)
{
	if (amount < 1) {
		buf_appendf(out, "%.4f", amount);
	} else {
		uint64_t cents = amount < 1e15 ? (uint64_t)(amount * 100 + 0.5) : 0;

		if (cents == 0) {
			buf_appendf(out, "%.3e", amount);
		} else {
			forecast_append_count(out, cents / 100);
			buf_appendf(out, ".%02u", (unsigned)(cents % 100));
		}
	}
	if (currency[0] != '\0')
		buf_appendf(out, " %s", currency);
}

bool forecast_is_on_the_hour(struct schedule_instant begin)
{
	int64_t local_ms = begin.epoch_ms + (int64_t)begin.offset_s * 1000;

	return local_ms % 3600000 < ON_THE_HOUR_MS;
}
