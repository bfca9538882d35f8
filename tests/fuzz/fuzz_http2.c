/*
 * Any bytes behind the preface of HTTP/2, in two pieces: whole requests reach the handler within
 * their bounds, each is answered or gone once, and nothing is left when the client has closed.
 */
#include "fuzz.h"

#include "http/http2_server.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

enum { BODY_MAX = 64, HEADERS_MAX = 512, STREAMS = 8, KEPT_MAX = 4 };

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";

struct fuzzed {
	uv_loop_t loop;
	struct http2_server *server;
	struct http_call *kept[KEPT_MAX];
	size_t kept_count;
	unsigned handled, answered, gone;
};

static void on_header(void *arg, const char *name, const char *value)
{
	size_t *sum = arg;

	FUZZ_CHECK(strpbrk(value, "\r\n") == NULL);
	*sum += strlen(name) + strlen(value);
}

static void reply(struct fuzzed *fuzzed, struct http_call *call)
{
	const char *headers[] = {"X-Path", http_call_path(call), NULL};
	size_t body_bytes;
	const char *body = http_call_body(call, &body_bytes);

	fuzzed->answered++;
	http_call_reply(call,
		&(struct http_reply){
			.status = 200, .body = body, .body_bytes = body_bytes, .headers = headers});
}

static void on_gone(void *arg, struct http_call *call)
{
	struct fuzzed *fuzzed = arg;

	for (size_t i = 0; i < fuzzed->kept_count; i++)
		if (fuzzed->kept[i] == call)
			fuzzed->kept[i] = NULL;
	fuzzed->gone++;
}

/* Half of the requests are answered at once, the others later, in the opposite order. */
static void on_call(void *arg, struct http_call *call)
{
	struct fuzzed *fuzzed = arg;
	size_t sum = 0, body_bytes;

	FUZZ_CHECK(http_call_body(call, &body_bytes)[body_bytes] == '\0');
	FUZZ_CHECK(body_bytes <= BODY_MAX);
	FUZZ_CHECK(http_call_method(call)[0] != '\0');
	http_call_each_header(call, on_header, &sum);
	FUZZ_CHECK(sum <= HEADERS_MAX);
	http_call_query(call, "a");
	http_call_header(call, "HOST");
	FUZZ_CHECK(http_call_is_alive(call));
	if (fuzzed->handled++ % 2 == 0 || fuzzed->kept_count == KEPT_MAX) {
		reply(fuzzed, call);
		return;
	}
	fuzzed->kept[fuzzed->kept_count++] = call;
	http_call_keep(call, on_gone, fuzzed);
}

static void turn(struct fuzzed *fuzzed)
{
	for (int i = 0; i < 4; i++)
		uv_run(&fuzzed->loop, UV_RUN_NOWAIT);
}

static int connect_to(const struct fuzzed *fuzzed)
{
	const char *address = http2_server_address(fuzzed->server);
	struct sockaddr_in name;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	FUZZ_CHECK(uv_ip4_addr("127.0.0.1", (int)strtol(strchr(address, ':') + 1, NULL, 10),
			   &name) == 0);
	FUZZ_CHECK(fd >= 0);
	FUZZ_CHECK(connect(fd, (const struct sockaddr *)(const void *)&name, sizeof(name)) == 0);
	return fd;
}

static void play(struct fuzzed *fuzzed, const uint8_t *data, size_t size)
{
	int fd = connect_to(fuzzed);
	size_t half = size / 2;

	/* What the server does not take any more need not arrive. */
	(void)!send(fd, preface, sizeof(preface), MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)!send(fd, data, half, MSG_NOSIGNAL | MSG_DONTWAIT);
	turn(fuzzed);
	(void)!send(fd, data + half, size - half, MSG_NOSIGNAL | MSG_DONTWAIT);
	turn(fuzzed);
	for (size_t i = fuzzed->kept_count; i > 0; i--) {
		struct http_call *call = fuzzed->kept[i - 1];

		fuzzed->kept[i - 1] = NULL;
		if (call != NULL)
			reply(fuzzed, call);
	}
	turn(fuzzed);
	close(fd);
	turn(fuzzed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzzed fuzzed = {0};
	const struct http2_server_options options = {
		.listen = "127.0.0.1:0",
		.max_body_bytes = BODY_MAX,
		.header_memory_bytes = HEADERS_MAX,
		.max_streams = STREAMS,
		.first_streams = 2,
		.goaway_after = 12,
		.handler = on_call,
		.arg = &fuzzed,
	};
	struct http2_server_totals totals;
	char error[256];

	FUZZ_CHECK(uv_loop_init(&fuzzed.loop) == 0);
	FUZZ_CHECK(http2_server_new(&fuzzed.loop, &options, error, sizeof(error), &fuzzed.server) ==
		   0);
	play(&fuzzed, data, size);
	http2_server_totals(fuzzed.server, &totals);
	FUZZ_CHECK(totals.connections == 1 && totals.most_streams <= STREAMS);
	http2_server_close(fuzzed.server);
	FUZZ_CHECK(fuzzed.answered + fuzzed.gone == fuzzed.handled && fuzzed.handled <= 12);
	uv_run(&fuzzed.loop, UV_RUN_DEFAULT);
	FUZZ_CHECK(uv_loop_close(&fuzzed.loop) == 0);
	return 0;
}
