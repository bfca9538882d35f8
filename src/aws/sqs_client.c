#include "aws/sqs_client.h"

#include "aws/sqs_call.h"
#include "bunshin/error.h"

#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_TIMEOUT_MS 10000
#define DEFAULT_MAX_IN_FLIGHT 1024
#define DEFAULT_MAX_ATTEMPTS 3
#define DEAD_PEER_MS 10000

/*
 * Ten messages come to 1 MiB each, and a character can take six bytes as a JSON escape. Only long
 * polls get that much; what batches answer is a few kilobytes.
 */
#define RECEIVE_ANSWER_MAX ((size_t)64 << 20)
#define OTHER_ANSWER_MAX ((size_t)1 << 20)
#define AUTHORIZATION_MAX 4096

void sqs_client_destroy(struct sqs_client *client)
{
	list_for_each_safe (node, &client->calls)
		sqs_call_free(list_entry(node, struct queue_call, node));
	list_for_each_safe (node, &client->spare)
		sqs_call_free(list_entry(node, struct queue_call, node));
	http_client_close(client->polls);
	http_client_close(client->others);
	sigv4_free(client->signer);
	sqs_decoder_free(&client->decoder);
	buf_free(&client->authorization);
	free(client);
}

static int endpoint_set(struct sqs_client *client, const struct sqs_client_options *options)
{
	struct endpoint regional;
	size_t len;
	int err =
		endpoint_of_region("sqs", options->region, (struct endpoint_variant){0}, &regional);

	if (err != 0)
		return err;
	snprintf(client->region, sizeof(client->region), "%s", options->region);
	client->endpoint = regional;
	if (options->endpoint == NULL)
		return 0;
	err = endpoint_parse(options->endpoint, &client->endpoint, &len);
	if (err == 0 && options->endpoint[len] == '/')
		len++;
	return err == 0 && options->endpoint[len] != '\0' ? ERR_ARGUMENT : err;
}

static int http_clients_open(
	struct sqs_client *client, uv_loop_t *loop, const struct sqs_client_options *options)
{
	struct http_client_options http = {
		.max_in_flight = client->max_in_flight,
		.timeout_ms = client->timeout_ms,
		.max_answer_bytes = RECEIVE_ANSWER_MAX,
		.max_request_bytes = SQS_REQUEST_MAX,
		.version = HTTP_VERSION_1_1,
		.ca_file = options->ca_file,
		.dead_peer_ms = DEAD_PEER_MS,
	};
	int err = http_client_new(loop, &http, &client->polls);

	if (err != 0)
		return err;
	http.max_answer_bytes = OTHER_ANSWER_MAX;
	return http_client_new(loop, &http, &client->others);
}

int sqs_client_new(uv_loop_t *loop, struct clock clock, struct credentials *credentials,
	const struct sqs_client_options *options, struct sqs_client **ret_client)
{
	struct sqs_client *client = calloc(1, sizeof(*client));
	int err;

	if (client == NULL)
		return ERR_NOMEM;
	client->clock = clock;
	client->credentials = credentials;
	client->timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : DEFAULT_TIMEOUT_MS;
	client->max_in_flight =
		options->max_in_flight > 0 ? options->max_in_flight : DEFAULT_MAX_IN_FLIGHT;
	client->max_attempts =
		options->max_attempts > 0 ? options->max_attempts : DEFAULT_MAX_ATTEMPTS;
	client->clock_corrected = options->clock_corrected;
	client->arg = options->arg;
	list_init(&client->calls);
	list_init(&client->spare);
	sqs_retry_bucket_init(&client->bucket);
	buf_init(&client->authorization, AUTHORIZATION_MAX);
	if ((err = endpoint_set(client, options)) != 0 || (err = sigv4_new(&client->signer)) != 0 ||
		(err = sqs_decoder_init(&client->decoder)) != 0 ||
		(err = http_clients_open(client, loop, options)) != 0) {
		sqs_client_destroy(client);
		return err;
	}
	*ret_client = client;
	return 0;
}

void sqs_client_close(struct sqs_client *client)
{
	if (client == NULL)
		return;
	if (client->completing)
		client->closed = true; /* done when `done` is back */
	else
		sqs_client_destroy(client);
}

const struct sqs_client_stats *sqs_client_stats(const struct sqs_client *client)
{
	return &client->stats;
}
