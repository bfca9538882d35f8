#include "token_world.h"

#include "../signing/keys.h"
#include "bunshin/error.h"
#include "cli/auth/token_memory.h"
#include "config/template.h"
#include "signing/google.h"
#include "signing/jwt.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- the endpoint, in the child */

void token_world_text(int number, char ret[TOKEN_WORLD_TEXT_BYTES + 1])
{
	memset(ret, 'a' + number % 26, TOKEN_WORLD_TEXT_BYTES);
	ret[TOKEN_WORLD_TEXT_BYTES] = '\0';
	for (size_t i = TOKEN_WORLD_TEXT_BYTES; i > TOKEN_WORLD_TEXT_BYTES - 8; number /= 10)
		ret[--i] = (char)('0' + number % 10);
}

/* Up to the end of the body; false: the other side is gone. */
static bool read_request(int connection)
{
	char request[16384];
	size_t len = 0;

	while (len < sizeof(request) - 1) {
		ssize_t n = read(connection, request + len, sizeof(request) - 1 - len);
		const char *blank, *length;

		if (n <= 0)
			return false;
		len += (size_t)n;
		request[len] = '\0';
		blank = strstr(request, "\r\n\r\n");
		length = strcasestr(request, "\r\nContent-Length:");
		if (blank != NULL && length != NULL &&
			len >= (size_t)(blank + 4 - request) + strtoul(length + 17, NULL, 10))
			return true;
	}
	return false;
}

static void answer(int connection, struct token_endpoint *endpoint)
{
	char token[TOKEN_WORLD_TEXT_BYTES + 1], body[256], text[512];
	int status = atomic_load(&endpoint->status);
	int len;

	token_world_text(atomic_load(&endpoint->asked) + 1, token);
	if (status == 200)
		len = snprintf(body, sizeof(body),
			"{\"access_token\":\"%s\",\"token_type\":\"Bearer\",\"expires_in\":%d}",
			token, atomic_load(&endpoint->life_s));
	else
		len = snprintf(body, sizeof(body), "{\"error\":\"of the test\"}");
	len = snprintf(text, sizeof(text),
		"HTTP/1.1 %d X\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", status, len,
		body);
	/* Counted before it is sent: who has the answer sees the count. */
	atomic_fetch_add(&endpoint->asked, 1);
	if (write(connection, text, (size_t)len) != len)
		_exit(1);
}

static void serve(int listener, struct token_endpoint *endpoint)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		int connection = accept(listener, NULL, NULL);

		if (connection >= 0 && read_request(connection))
			answer(connection, endpoint);
		if (connection >= 0)
			close(connection);
	}
}

void token_world_start(struct token_world *world)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);

	memset(world, 0, sizeof(*world));
	world->endpoint = mmap(NULL, sizeof(*world->endpoint), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(world->endpoint != MAP_FAILED);
	world->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(world->listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(world->listener, 16), 0);
	assert_int_equal(getsockname(world->listener, (struct sockaddr *)&address, &len), 0);
	snprintf(world->uri, sizeof(world->uri), "http://127.0.0.1:%d/token",
		ntohs(address.sin_port));
	world->server = fork();
	if (world->server == 0)
		serve(world->listener, world->endpoint);
	assert_true(world->server > 0);
}

void token_world_stop(struct token_world *world)
{
	kill(world->server, SIGKILL);
	waitpid(world->server, NULL, 0);
	close(world->listener);
	munmap(world->endpoint, sizeof(*world->endpoint));
}

/* ---- our side */

static void read_account(struct token_world *world, struct google_account **ret_account)
{
	struct buf text = BUF_INIT(1 << 16);
	const char *problem = "";

	buf_append_string(&text, "{\"type\":\"service_account\",\"client_email\":\"a@b.c\","
				 "\"private_key\":\"");
	buf_append_json(&text, KEY_RFC_RSA, strlen(KEY_RFC_RSA));
	buf_appendf(&text, "\",\"token_uri\":\"%s\"}", world->uri);
	assert_int_equal(
		google_account_read(buf_string(&text), text.len, ret_account, &problem), 0);
	buf_free(&text);
}

static void give_keys(struct token_world *world, struct config_destination *destination)
{
	static char name[] = "d", method[] = "POST", scope[] = "s", key_id[] = "K", team[] = "T",
		    whsec[] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		    secret[] = "the-secret-of-the-test", header[] = "X-Signature";
	struct config_auth *auth = &destination->auth;
	struct buf error = BUF_INIT(1000);

	assert_int_equal(
		template_compile("https://h/x", TEMPLATE_URL, &destination->request.url, &error),
		0);
	destination->name = name;
	destination->request.method = method;
	if (auth->type == CONFIG_AUTH_GOOGLE) {
		auth->scope = scope;
		read_account(world, &auth->account);
	} else if (auth->type == CONFIG_AUTH_APNS) {
		auth->key_id = key_id;
		auth->team_id = team;
		auth->renew_ms = 3000000;
		assert_int_equal(
			jwt_key_read(JWT_ES256, KEY_RFC_EC, strlen(KEY_RFC_EC), &auth->key), 0);
	} else if (auth->type == CONFIG_AUTH_STANDARD_WEBHOOKS) {
		auth->secrets.rows[0] = whsec;
		auth->secrets.count = 1;
	} else if (auth->type == CONFIG_AUTH_HMAC) {
		auth->secrets.rows[0] = secret;
		auth->secrets.count = 1;
		auth->header = header;
	}
}

void token_world_open(
	struct token_world *world, struct config_destination *destinations, size_t count)
{
	atomic_store(&world->endpoint->asked, 0);
	atomic_store(&world->endpoint->status, 200);
	atomic_store(&world->endpoint->life_s, 3600);
	assert_int_equal(uv_loop_init(&world->loop), 0);
	manual_clock_init(&world->clock, 1, TOKEN_WORLD_EPOCH_MS);
	assert_int_equal(token_memory_open_any(NULL, &world->tokens), 0);
	for (size_t i = 0; i < count; i++)
		give_keys(world, &destinations[i]);
	world->config = (struct config){.destinations = destinations, .destination_count = count};
}

void token_world_close(struct token_world *world)
{
	uv_run(&world->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&world->loop), 0);
	for (size_t i = 0; i < world->config.destination_count; i++) {
		struct config_destination *destination = &world->config.destinations[i];

		template_free(destination->request.url);
		google_account_free(destination->auth.account);
		jwt_key_free(destination->auth.key);
	}
	mapped_file_close(&world->tokens);
	manual_clock_free(&world->clock);
}

struct auth_options token_world_options(struct token_world *world)
{
	return (struct auth_options){.loop = &world->loop,
		.clock = manual_clock_table(&world->clock),
		.config = &world->config,
		.tokens = &world->tokens};
}

void token_world_settle(struct token_world *world, const struct auth *auth)
{
	while (auth_is_waiting(auth))
		uv_run(&world->loop, UV_RUN_ONCE);
}

void token_world_until(struct token_world *world, int asked)
{
	while (atomic_load(&world->endpoint->asked) < asked)
		uv_run(&world->loop, UV_RUN_NOWAIT);
	/* The answer itself; the loop is alive while it has not come. */
	uv_run(&world->loop, UV_RUN_DEFAULT);
}

struct signed_value {
	char *text;
	size_t size;
};

static int take(void *arg, const char *name, const char *value, const char *shown)
{
	struct signed_value *into = arg;

	if (strcasecmp(name, "Authorization") == 0)
		snprintf(into->text, into->size, "%s", value);
	if (shown != NULL)
		assert_null(strstr(shown, "ya29"));
	return 0;
}

int token_world_sign(struct token_world *world, const struct auth *auth, size_t index,
	char *ret_value, size_t size)
{
	struct http_signer signer = auth_signer(auth, index);
	struct buf body = BUF_INIT(100), headers = BUF_INIT(100), reason = BUF_INIT(1000);
	const struct http_signer_request request = {.method = "POST",
		.url = "https://h/x",
		.body = &body,
		.headers = &headers,
		.idempotency_key = "k",
		.now_epoch_ms = clock_wall_epoch_ms(manual_clock_table(&world->clock))};
	struct signed_value into = {ret_value, size};
	int err;

	ret_value[0] = '\0';
	err = signer.ops->sign(signer.impl, &request, take, &into, &reason);
	buf_free(&reason);
	return err;
}
