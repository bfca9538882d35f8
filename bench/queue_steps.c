#include "queue_steps.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADERS_MAX 512
#define REQUEST_MAX ((size_t)64 << 10)
#define URL_MAX 1000

void traffic_init(struct traffic *traffic)
{
	if (strlen(traffic->queue_url) > URL_MAX)
		die("a queue URL of more than %d characters", URL_MAX);
	traffic->request = malloc(HEADERS_MAX + REQUEST_MAX);
	traffic->filler = malloc(traffic->body_bytes + 1);
	if (traffic->request == NULL || traffic->filler == NULL)
		die("out of memory");
	memset(traffic->filler, 'x', traffic->body_bytes);
	traffic->filler[traffic->body_bytes - NUMBER_DIGITS] = '\0';
}

/* The headers go in front of the body, into room that was left for them. */
static void post(struct traffic *traffic, struct connection *connection, const char *operation,
	size_t body_bytes)
{
	char headers[HEADERS_MAX];
	int len = snprintf(headers, sizeof(headers),
		"POST / HTTP/1.1\r\nHost: %s:%d\r\nContent-Type: application/x-amz-json-1.0\r\n"
		"X-Amz-Target: AmazonSQS.%s\r\nContent-Length: %zu\r\n\r\n",
		traffic->address.host, ntohs(traffic->address.socket.sin_port), operation,
		body_bytes);
	char *start = traffic->request + HEADERS_MAX - len;

	memcpy(start, headers, (size_t)len);
	traffic->requests++;
	connection->began_ns = now_ns();
	wire_write(&connection->wire, start, (size_t)len + body_bytes);
}

static char *begin_body(struct traffic *traffic)
{
	char *at = traffic->request + HEADERS_MAX;

	return at + sprintf(at, "{\"QueueUrl\":\"%s\"", traffic->queue_url);
}

static void end_body(
	struct traffic *traffic, struct connection *connection, const char *operation, char *end)
{
	*end++ = '}';
	post(traffic, connection, operation, (size_t)(end - (traffic->request + HEADERS_MAX)));
}

static char *write_message(struct traffic *traffic, char *at)
{
	return at + sprintf(at, "\"MessageBody\":\"%0*zu%s\"", NUMBER_DIGITS,
			    traffic->next_number++, traffic->filler);
}

void step_send(struct traffic *traffic, struct connection *connection)
{
	char *at = begin_body(traffic);

	connection->step = STEP_SEND;
	traffic->sending++;
	connection->held = traffic->to_send < traffic->batch ? traffic->to_send : traffic->batch;
	traffic->to_send -= connection->held;
	if (traffic->batch == 1) {
		*at++ = ',';
		end_body(traffic, connection, "SendMessage", write_message(traffic, at));
		return;
	}
	at += sprintf(at, ",\"Entries\":[");
	for (size_t i = 0; i < connection->held; i++) {
		at += sprintf(at, "%s{\"Id\":\"%zu\",", i > 0 ? "," : "", i);
		at = write_message(traffic, at);
		*at++ = '}';
	}
	*at++ = ']';
	end_body(traffic, connection, "SendMessageBatch", at);
}

void step_receive(struct traffic *traffic, struct connection *connection)
{
	char *at = begin_body(traffic);

	connection->step = STEP_RECEIVE;
	connection->asked =
		traffic->to_receive < traffic->batch ? traffic->to_receive : traffic->batch;
	traffic->to_receive -= connection->asked;
	at += sprintf(at,
		",\"MaxNumberOfMessages\":%zu,\"WaitTimeSeconds\":1,\"VisibilityTimeout\":600,"
		"\"MessageSystemAttributeNames\":[\"ApproximateReceiveCount\"]",
		connection->asked);
	end_body(traffic, connection, "ReceiveMessage", at);
}

void step_delete(struct traffic *traffic, struct connection *connection)
{
	char *at = begin_body(traffic);

	connection->step = STEP_DELETE;
	if (traffic->batch == 1) {
		at += sprintf(at, ",\"ReceiptHandle\":\"%s\"", connection->handles[0]);
		end_body(traffic, connection, "DeleteMessage", at);
		return;
	}
	at += sprintf(at, ",\"Entries\":[");
	for (size_t i = 0; i < connection->held; i++)
		at += sprintf(at, "%s{\"Id\":\"%zu\",\"ReceiptHandle\":\"%s\"}", i > 0 ? "," : "",
			i, connection->handles[i]);
	*at++ = ']';
	end_body(traffic, connection, "DeleteMessageBatch", at);
}

static size_t occurrences(const char *text, const char *word)
{
	size_t count = 0;

	while ((text = strstr(text, word)) != NULL) {
		text += strlen(word);
		count++;
	}
	return count;
}

static void expect_all(
	const struct traffic *traffic, const struct connection *connection, const char *body)
{
	bool good;

	if (traffic->batch > 1)
		good = strstr(body, "\"Failed\":[{") == NULL &&
		       occurrences(body, "\"Id\":") == connection->held;
	else /* a delete's 200 says all */
		good = connection->step == STEP_DELETE || strstr(body, "\"MessageId\":") != NULL;
	if (!good)
		die("not all of a batch succeeded: %s", body);
}

/* How many of the answer's messages had not been received before. */
static size_t note_numbers(struct traffic *traffic, const char *body)
{
	static const char key[] = "\"Body\":\"";
	size_t fresh = 0;

	while ((body = strstr(body, key)) != NULL) {
		size_t number = strtoul(body += sizeof(key) - 1, NULL, 10);
		uint8_t bit = (uint8_t)(1 << number % 8);

		if (number >= traffic->numbers)
			die("a message that was never sent: %.20s", body);
		if (traffic->seen[number / 8] & bit)
			traffic->twice++;
		else
			fresh++;
		traffic->seen[number / 8] |= bit;
	}
	return fresh;
}

/* Gives claims back for what did not come, or came for the second time. */
static void take_messages(struct traffic *traffic, struct connection *connection, const char *body)
{
	static const char key[] = "\"ReceiptHandle\":\"";
	const char *at = body;
	size_t fresh;

	connection->held = 0;
	while ((at = strstr(at, key)) != NULL) {
		size_t len;

		at += sizeof(key) - 1;
		len = strcspn(at, "\"");
		if (len >= HANDLE_MAX || connection->held == connection->asked)
			die("an answer that this program does not expect: %s", body);
		memcpy(connection->handles[connection->held], at, len);
		connection->handles[connection->held++][len] = '\0';
	}
	traffic->received += connection->held;
	fresh = traffic->seen != NULL ? note_numbers(traffic, body) : connection->held;
	traffic->to_receive += connection->asked - fresh;
}

void step_finish(struct traffic *traffic, struct connection *connection, const char *body)
{
	uint64_t took = now_ns() - connection->began_ns;

	switch (connection->step) {
	case STEP_SEND:
		expect_all(traffic, connection, body);
		traffic->sent += connection->held;
		traffic->sending--;
		if (traffic->receives_sent)
			traffic->to_receive += connection->held;
		break;
	case STEP_RECEIVE:
		take_messages(traffic, connection, body);
		if (connection->held == 0) {
			traffic->empty++;
			traffic->empty_in_a_row++;
			return; /* a wait, not work */
		}
		break;
	case STEP_DELETE:
		expect_all(traffic, connection, body);
		traffic->deleted += connection->held;
		connection->held = 0;
		break;
	case STEP_COUNT:
		break;
	}
	traffic->empty_in_a_row = 0;
	latency_add(&traffic->took[connection->step], took);
}
