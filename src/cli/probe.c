#include "cli/probe.h"

#include "aws/sqs_queue.h"
#include "aws/sqs_tags.h"
#include "bunshin/error.h"
#include "cli/cli.h"
#include "cli/runtime.h"

#include <stdio.h>

#define WORDS_MAX 4096

struct probe {
	struct runtime runtime;
	struct probe_findings findings;
	bool answered;
	struct queue_probe_result *asked_for; /* where the answer of the queue under way goes */
};

/* ---- whose keys these are */

static void identity_known(void *arg, int err, const char *reason)
{
	struct probe *probe = arg;

	probe->answered = true;
	probe->findings.identity_known = !err;
	if (err)
		buf_append_string(
			&probe->findings.identity_words, reason[0] ? reason : error_message(err));
}

/*
 * Keys of another service are nothing to show to AWS: STS is asked only where the queue is AWS's,
 * or where somebody has named an STS.
 */
static bool sts_is_wanted(const struct connect *connect)
{
	return endpoint_is_aws(&connect->endpoint.endpoint) ||
	       aws_settings_endpoint(connect->settings, "sts", NULL) != NULL;
}

static void ask_identity(struct probe *probe)
{
	struct probe_findings *findings = &probe->findings;
	struct connect *connect = &findings->connect;
	const struct credentials_set *keys;
	struct query_call *call;
	int err;

	if (!sts_is_wanted(connect)) {
		buf_append_string(&findings->identity_words,
			"not asked: the queue is not on AWS, and no endpoint of STS is set");
		return;
	}
	probe->answered = false;
	err = credentials_get(connect->credentials, &keys, NULL);
	if (!err)
		err = sts_get_caller_identity(
			connect->sts, keys, &findings->identity, identity_known, probe, &call);
	if (!err)
		err = runtime_await(&probe->runtime.loop, &probe->answered, NULL);
	if (err)
		buf_append_string(&findings->identity_words, error_message(err));
}

/* ---- the queues */

static void queue_known(void *arg, const struct queue_probe_result *result)
{
	struct probe *probe = arg;

	probe->answered = true;
	*probe->asked_for = *result;
}

static void ask_queue(
	struct probe *probe, struct probe_queue *asked, enum queue_probe_extent extent)
{
	struct sqs_queue *queue = NULL;
	struct queue_probe *started = NULL;
	int err = sqs_queue_new(probe->findings.connect.client, asked->url, &queue);

	probe->answered = false;
	probe->asked_for = &asked->result;
	asked->asked = true;
	if (!err)
		err = queue_probe_start(
			sqs_queue_table(queue), extent, queue_known, probe, &started);
	if (!err)
		err = runtime_await(&probe->runtime.loop, &probe->answered, NULL);
	if (err) {
		asked->result.attributes.err = err;
		queue_probe_cancel(started);
	}
	sqs_queue_free(queue);
}

static void set_tags(struct probe *probe, int err, const char *detail)
{
	struct queue_probe_answer *tags = &probe->findings.tags;

	probe->answered = true;
	tags->err = err;
	tags->words[0] = '\0';
	if (err)
		snprintf(tags->words, sizeof(tags->words),
			"%s (sqs:ListQueueTags), so bunshin campaign pause, rate and cancel do not "
			"reach workers: %s",
			err == ERR_ACCESS_DENIED ? "may not read the tags" : "cannot read the tags",
			detail[0] ? detail : error_message(err));
}

static void tags_known(void *arg, const struct sqs_outcome *outcome, const struct sqs_tags *tags)
{
	set_tags(arg, outcome->err, outcome->detail);
}

static void ask_tags(struct probe *probe)
{
	struct probe_findings *findings = &probe->findings;
	struct queue_call *call;
	int err;

	probe->answered = false;
	err = sqs_list_queue_tags(
		findings->connect.client, findings->queue.url, tags_known, probe, &call);
	if (!err)
		err = runtime_await(&probe->runtime.loop, &probe->answered, NULL);
	if (err)
		set_tags(probe, err, "");
}

static void ask_aws(struct probe *probe, const struct config *config)
{
	struct probe_findings *findings = &probe->findings;
	const struct connect_options options = {.queue_url = config->queue.url,
		.endpoint = config->queue.endpoint,
		.allow_insecure = config->queue.allow_insecure_endpoint};

	findings->connect_err = connect_open(&findings->connect, &probe->runtime.loop,
		probe->runtime.clock, &options, &findings->connect_words);
	findings->now_epoch_ms = clock_wall_epoch_ms(probe->runtime.clock);
	if (findings->connect_err)
		return;
	ask_identity(probe);
	ask_queue(probe, &findings->queue, QUEUE_PROBE_ALL);
	if (!findings->queue.result.attributes.err ||
		findings->queue.result.attributes.err == ERR_ACCESS_DENIED)
		ask_tags(probe);
	if (findings->failure_queue.url)
		ask_queue(probe, &findings->failure_queue, QUEUE_PROBE_ATTRIBUTES);
	if (findings->results_queue.url)
		ask_queue(probe, &findings->results_queue, QUEUE_PROBE_ATTRIBUTES);
}

static void ask(struct probe *probe, const struct config *config)
{
	struct connect *connect = &probe->findings.connect;
	int err;

	ask_aws(probe, config);
	err = probe_destinations_ask(&probe->runtime, config, connect->credentials,
		connect->endpoint.region, &probe->findings.destinations);
	if (err)
		cli_error("check", "%s", error_message(err));
}

int probe(const struct config *config, bool json)
{
	struct probe probe = {.findings = {.path = config->path,
				      .connect_words = BUF_INIT(WORDS_MAX),
				      .identity_words = BUF_INIT(WORDS_MAX),
				      .queue.url = config->queue.url,
				      .tags.err = ERR_PENDING,
				      .failure_queue.url = config->queue.failure_url,
				      .results_queue.url = config->queue.results_url}};
	int code;

	/* Signals keep their default action: there is nothing to bring to an end. */
	if (runtime_open(&probe.runtime, NULL, NULL)) {
		cli_error("check", "cannot start an event loop");
		return CLI_FAILED;
	}
	ask(&probe, config);
	if (json)
		probe_print_json(&probe.findings);
	else
		probe_print_text(&probe.findings);
	code = probe_exit_code(&probe.findings);
	probe_destinations_free(&probe.findings.destinations);
	connect_close(&probe.findings.connect);
	runtime_close(&probe.runtime);
	buf_free(&probe.findings.connect_words);
	buf_free(&probe.findings.identity_words);
	return code;
}
