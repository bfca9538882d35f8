/*
 * When a campaign will be done, and what it costs: from what is known before it begins. Pure.
 */
#ifndef CAMPAIGN_FORECAST_H
#define CAMPAIGN_FORECAST_H

#include "base/buf.h"
#include "campaign/schedule.h"

#include <stdbool.h>
#include <stdint.h>

/* SQS, requests 1 to 100,000 million of a month in US East; most regions are near it. */
#define FORECAST_SQS_PRICE 0.40
#define FORECAST_SQS_PRICE_FIFO 0.50

/* What holds the delivery back, by what is known. */
enum forecast_limit {
	FORECAST_UNKNOWN,     /* nothing is */
	FORECAST_PUSH,	      /* --rate: how fast messages are put in */
	FORECAST_DESTINATION, /* `rate` of the workers' destination */
	FORECAST_QUEUE,	      /* the queue's tag bunshin:rate */
	FORECAST_SLOTS,	      /* answers take time, and so many can be waited for at once */
};

struct forecast_input {
	uint64_t recipients;
	/*
	 * Requests to the provider that they take when nothing fails: as many, or fewer where one
	 * is for several. 0: as many.
	 */
	uint64_t attempts;
	struct schedule_instant begin;	  /* of the delivery */
	struct schedule_instant deadline; /* epoch_ms 0: none */
	double push_per_s;		  /* recipients a second; 0: not known */
	/* Requests a second, over the whole fleet; 0: not known. */
	double destination_per_s, queue_per_s;
	/* Requests that the fleet can have in flight, and how long an answer takes; 0: not known.
	 */
	uint64_t slots;
	int64_t latency_ms;
};

struct forecast {
	enum forecast_limit limit;
	/* Recipients: the least that is known; with FORECAST_UNKNOWN all else is 0. */
	double per_s;
	/* Every attempt accepted; and every tenth spent on an attempt that is not. */
	int64_t done_epoch_ms, late_epoch_ms;
	/* Recipients that the deadline leaves unsent in these two cases. */
	uint64_t expired, expired_late;
};

void forecast_make(const struct forecast_input *input, struct forecast *ret_forecast);

/*
 * "16.7 of 60.0 min at 2,000/s; done about 08:16:40, with retries by 08:18:31; deadline 09:00:00",
 * "...; about 123,000 will expire"; or that no rate is known and what to give.
 */
void forecast_append(
	const struct forecast_input *input, const struct forecast *forecast, struct buf *out);

struct forecast_price_input {
	uint64_t recipients;
	uint64_t messages;     /* that they are in */
	uint64_t requests;     /* SendMessageBatch */
	uint64_t chunks;       /* of 64 KiB, each begun, in those requests: what is billed */
	double sqs_price;      /* of a million requests */
	double provider_price; /* of a recipient; 0: not known */
};

struct forecast_price {
	/*
	 * What is billed as requests: the sends, and what workers need for as many: receives (of as
	 * many chunks) and deletes, ten messages each. Retries, long polls that find nothing and
	 * visibility changes come on top.
	 */
	uint64_t send_requests, worker_requests;
	double sqs, provider;
};

void forecast_price(const struct forecast_price_input *input, struct forecast_price *ret_price);

/*
 * "0.08", "3 JPY", "0.0079 USD": a price and, maybe, its currency: up to 8 printable bytes without
 * a blank, borrowed from the text ("" without one). 0 or ERR_SYNTAX, nothing touched.
 */
int forecast_parse_price(const char *text, double *ret_price, const char **ret_currency);
/* 1234567.5 as "1,234,567.50"; below 1 with four digits behind the point. */
void forecast_append_money(struct buf *out, double amount, const char *currency);
/* 1234567 as "1,234,567". */
void forecast_append_count(struct buf *out, uint64_t count);

/*
 * True within the first two minutes of an hour: when everybody's timers fire. FCM's documentation
 * ("Best practices when sending FCM messages at scale") asks to keep off them.
 */
bool forecast_is_on_the_hour(struct schedule_instant begin);

#endif
