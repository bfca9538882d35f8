#include "cli/top/poll.h"

#include "base/utf8.h"
#include "bunshin/error.h"
#include "cli/admin_address.h"
#include "cli/printable.h"
#include "cli/run/admin_socket.h"
#include "http/client.h"

#include <inttypes.h>
#include <stdlib.h>

#define ANSWER_MAX_BYTES ((size_t)2 << 20)

struct poll {
	struct poll_options options;
	struct http_client *client;
	struct http_exchange *exchange; /* under way */
	bool asked_again;
	struct status *good, *spare; /* `good` counts once there is an answer */
	bool has_status;
	struct history history;
	struct buf text, error;
};

static void ask(struct poll *poll, const char *page, http_done *done);

/* ---- answers */

static void finish(struct poll *poll)
{
	poll->asked_again = false;
	poll->options.done(poll->options.arg);
}

/* Raw control characters stand between JSON's tokens only, and there they are white space. */
static int copy_line(struct buf *to, const struct buf *from)
{
	size_t step;

	buf_clear(to);
	for (size_t i = 0; i < from->len; i += step) {
		uint32_t c;

		step = utf8_sequence(from->data + i, from->len - i);
		if (step == 0)
			return ERR_PROTOCOL;
		c = utf8_decode(from->data + i, step);
		if (c < 0x20)
			buf_append_char(to, ' ');
		else if (printable_acts(c))
			buf_appendf(to, "\\u%04x", (unsigned)c);
		else
			buf_append(to, from->data + i, step);
	}
	while (to->len > 0 && to->data[to->len - 1] == ' ')
		buf_truncate(to, to->len - 1);
	return buf_append_char(to, '\n');
}

static void take_status(struct poll *poll, const struct buf *body)
{
	struct status *status = poll->spare;
	int err = status_read(status, buf_string(body), body->len, &poll->error);

	if (err == 0) {
		poll->spare = poll->good;
		poll->good = status;
		poll->has_status = true;
		if (copy_line(&poll->text, body) < 0)
			buf_append_string(&poll->error, "the answer is too large");
	}
	if (err == 0 || poll->error.len > 0)
		return;
	buf_append_string(&poll->error, error_message(err));
}

/* Why there is nothing to read; false: there is. */
static bool tell_failure(struct poll *poll, const struct http_response *response)
{
	if (response->err)
		buf_append_string(&poll->error,
			response->detail[0] ? response->detail : error_message(response->err));
	else if (response->status == 404)
		buf_append_string(&poll->error, "there is no /status.json (HTTP 404): is it "
						"`bunshin run`, of this version?");
	else if (response->status != 200)
		buf_appendf(&poll->error, "HTTP %d", response->status);
	else
		return false;
	return true;
}

static void on_history(
	void *arg, struct http_exchange *exchange, const struct http_response *response)
{
	struct poll *poll = arg;
	struct buf ignored = BUF_INIT(1024);

	poll->exchange = NULL;
	/* Without it there are no charts. */
	if (response->err == 0 && response->status == 200)
		(void)history_read(
			&poll->history, buf_string(response->body), response->body->len, &ignored);
	buf_free(&ignored);
	finish(poll);
}

static void ask_history(struct poll *poll)
{
	struct buf page = BUF_INIT(128);

	buf_appendf(&page, "/history.json?since=%" PRId64, history_since(&poll->history));
	ask(poll, buf_string(&page), on_history);
	buf_free(&page);
}

static void on_status(
	void *arg, struct http_exchange *exchange, const struct http_response *response)
{
	struct poll *poll = arg;

	poll->exchange = NULL;
	/* The server has closed what was kept open meanwhile, no more. */
	if (response->err && response->stale && !poll->asked_again) {
		poll->asked_again = true;
		ask(poll, "/status.json", on_status);
		return;
	}
	if (!tell_failure(poll, response))
		take_status(poll, response->body);
	if (poll->error.len == 0 && poll->options.with_history)
		ask_history(poll);
	else
		finish(poll);
}

/* ---- questions */

static void ask(struct poll *poll, const char *page, http_done *done)
{
	struct http_exchange *exchange = http_exchange_new(poll->client);
	int err = exchange ? 0 : ERR_NOMEM;

	if (exchange) {
		http_exchange_set_method(exchange, "GET");
		admin_address_url(poll->options.address, page, http_exchange_url(exchange));
		err = http_exchange_start(exchange, done, poll);
	}
	poll->exchange = err == 0 ? exchange : NULL;
	if (err == 0)
		return;
	buf_append_string(&poll->error, error_message(err));
	finish(poll);
}

void poll_start(struct poll *poll)
{
	if (poll->exchange)
		return;
	buf_clear(&poll->error);
	ask(poll, "/status.json", on_status);
}

const char *poll_error(const struct poll *poll)
{
	return poll->error.len > 0 ? buf_string(&poll->error) : NULL;
}

const struct status *poll_status(const struct poll *poll)
{
	return poll->has_status ? poll->good : NULL;
}

const struct buf *poll_text(const struct poll *poll)
{
	return &poll->text;
}

const struct history *poll_history(const struct poll *poll)
{
	return &poll->history;
}

int poll_open(const struct poll_options *options, struct poll **ret_poll)
{
	struct http_client_options client = {.timeout_ms = options->timeout_ms,
		.connect_timeout_ms = options->timeout_ms,
		.max_answer_bytes = ANSWER_MAX_BYTES,
		.unix_path = admin_socket_path(options->address),
		.version = HTTP_VERSION_1_1,
		.no_proxy = true};
	struct poll *poll = calloc(1, sizeof(*poll));
	int err = poll ? 0 : ERR_NOMEM;

	if (err == 0) {
		poll->options = *options;
		poll->text = BUF_INIT(4 * ANSWER_MAX_BYTES);
		poll->error = BUF_INIT(4096);
		poll->good = calloc(1, sizeof(*poll->good));
		poll->spare = calloc(1, sizeof(*poll->spare));
		if (!poll->good || !poll->spare)
			err = ERR_NOMEM;
	}
	if (err == 0)
		err = http_client_new(options->loop, &client, &poll->client);
	if (err < 0) {
		poll_close(poll);
		return err;
	}
	*ret_poll = poll;
	return 0;
}

static void free_status(struct status *status)
{
	if (status)
		status_free(status);
	free(status);
}

void poll_close(struct poll *poll)
{
	if (!poll)
		return;
	http_client_close(poll->client);
	free_status(poll->good);
	free_status(poll->spare);
	buf_free(&poll->text);
	buf_free(&poll->error);
	free(poll);
}
