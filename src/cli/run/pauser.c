#include "cli/run/pauser.h"

#include "aws/sqs_tags.h"
#include "base/log.h"
#include "bunshin/error.h"
#include "cli/run/control_board.h"
#include "http/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REFUSED_US UINT64_C(1000000)
#define WORDS_SIZE 900

struct pauser {
	struct pauser_options options;
	struct queue_call *call; /* NULL: nothing is under way */
	bool paused;		 /* what is wanted */
	uint64_t asked_us;
	char peer[HTTP_PEER_SIZE];
	uint64_t refused_us; /* 0: never */
	uint64_t left_out;   /* refusals since that line */
};

static uint64_t now_us(const struct pauser *pauser)
{
	return clock_monotonic_us(pauser->options.clock);
}

static void failed(struct pauser *pauser, int err, const char *permission, const char *detail)
{
	char words[WORDS_SIZE];

	if (err == ERR_ACCESS_DENIED)
		snprintf(words, sizeof(words), "these workers may not do that (%s): %s", permission,
			detail);
	else
		snprintf(words, sizeof(words), "%s", detail[0] ? detail : error_message(err));
	log_warn(pauser->paused ? "cannot pause the queue" : "cannot resume the queue",
		LOG_STR("remote", pauser->peer), LOG_ERR(err), LOG_STR("reason", words));
	pauser->options.done(pauser->options.arg, words);
}

static void succeeded(struct pauser *pauser, const struct control_news *news)
{
	control_board_set(pauser->options.board, pauser->options.queue_url, news);
	log_info(pauser->paused ? "paused over the admin port" : "resumed over the admin port",
		LOG_STR("remote", pauser->peer));
	pauser->options.done(pauser->options.arg, NULL);
}

/* Of tags that cannot be read now only what was just set is known. */
static void on_listed(void *arg, const struct sqs_outcome *outcome, const struct sqs_tags *tags)
{
	struct pauser *pauser = arg;
	char reason[CONTROL_REASON_SIZE];
	struct control_news news;

	pauser->call = NULL;
	if (!control_board_get(pauser->options.board, pauser->options.queue_url, &news))
		news = (struct control_news){.readable = true};
	if (outcome->err) {
		if (!news.readable) {
			failed(pauser, outcome->err, "sqs:ListQueueTags", outcome->detail);
			return;
		}
	} else {
		const struct control_tags values = {
			.paused = sqs_tags_find(tags, CONTROL_TAG_PAUSED),
			.rate = sqs_tags_find(tags, CONTROL_TAG_RATE),
			.cancelled = sqs_tags_find(tags, CONTROL_TAG_CANCELLED)};

		control_read(&values, &news.control, reason);
		news.readable = true;
	}
	news.control.paused = pauser->paused;
	news.read_us = pauser->asked_us;
	succeeded(pauser, &news);
}

static void on_set(void *arg, const struct sqs_outcome *outcome, const struct sqs_tags *tags)
{
	struct pauser *pauser = arg;
	int err = outcome->err;

	pauser->call = NULL;
	if (err) {
		failed(pauser, err, pauser->paused ? "sqs:TagQueue" : "sqs:UntagQueue",
			outcome->detail);
		return;
	}
	pauser->asked_us = now_us(pauser);
	err = sqs_list_queue_tags(pauser->options.client, pauser->options.queue_url, on_listed,
		pauser, &pauser->call);
	if (err) {
		pauser->call = NULL;
		failed(pauser, err, "sqs:ListQueueTags", "");
	}
}

int pauser_set(struct pauser *pauser, bool paused, const char *peer)
{
	static const struct sqs_tag tag = {.key = CONTROL_TAG_PAUSED, .value = "true"};
	static const char *const key = CONTROL_TAG_PAUSED;
	const struct pauser_options *options = &pauser->options;
	int err;

	if (pauser->call)
		return ERR_PENDING;
	pauser->paused = paused;
	snprintf(pauser->peer, sizeof(pauser->peer), "%s", peer);
	if (paused)
		err = sqs_tag_queue(options->client, options->queue_url, &tag, 1, on_set, pauser,
			&pauser->call);
	else
		err = sqs_untag_queue(options->client, options->queue_url, &key, 1, on_set, pauser,
			&pauser->call);
	if (err)
		pauser->call = NULL;
	return err;
}

void pauser_refused(struct pauser *pauser, const char *why, const char *peer)
{
	if (pauser->refused_us != 0 && now_us(pauser) - pauser->refused_us < REFUSED_US) {
		pauser->left_out++;
		return;
	}
	log_warn("refused to change anything over the admin port", LOG_STR("remote", peer),
		LOG_STR("reason", why), LOG_INT("left_out", pauser->left_out));
	pauser->refused_us = now_us(pauser);
	pauser->left_out = 0;
}

int pauser_new(const struct pauser_options *options, struct pauser **ret_pauser)
{
	struct pauser *pauser = calloc(1, sizeof(*pauser));

	if (!pauser)
		return ERR_NOMEM;
	pauser->options = *options;
	*ret_pauser = pauser;
	return 0;
}

void pauser_free(struct pauser *pauser)
{
	if (!pauser)
		return;
	if (pauser->call)
		sqs_call_cancel(pauser->options.client, pauser->call);
	free(pauser);
}
