/* The instance metadata service: every answer to both kinds of request, and none. */
#include "metadata_world.h"

#include "aws/imds.h"
#include "bunshin/error.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATH "/latest/meta-data/placement/region"
#define TOKEN_PATH "/latest/api/token"
#define SECOND_US 1000000

struct outcome {
	unsigned calls;
	int err, status;
	char body[64];
	bool has_body;
	char reason[CREDENTIALS_REASON_MAX];
};

static void on_done(void *arg, int err, int status, const char *body, const char *reason)
{
	struct outcome *outcome = arg;

	outcome->calls++;
	outcome->err = err;
	outcome->status = status;
	outcome->has_body = body != NULL;
	snprintf(outcome->body, sizeof(outcome->body), "%s", body != NULL ? body : "");
	snprintf(outcome->reason, sizeof(outcome->reason), "%s", reason);
}

static struct imds *open_all(struct world *world)
{
	struct imds *imds;

	world_open(world);
	world_load(world);
	assert_int_equal(imds_new(&world->context, &imds), 0);
	return imds;
}

static void close_all(struct world *world, struct imds *imds)
{
	imds_free(imds);
	world_close(world);
}

static struct imds_call *start(struct imds *imds, struct outcome *outcome)
{
	struct imds_call *call;

	memset(outcome, 0, sizeof(*outcome));
	assert_int_equal(imds_get(imds, PATH, on_done, outcome, &call), 0);
	assert_int_equal(outcome->calls, 0);
	return call;
}

static void get(struct world *world, struct imds *imds, struct outcome *outcome)
{
	start(imds, outcome);
	world_until(world, &outcome->calls, 1);
}

static void assert_got(const struct outcome *outcome, const char *body)
{
	if (outcome->err != 0)
		fail_msg("%s: %s", error_name(outcome->err), outcome->reason);
	assert_int_equal(outcome->calls, 1);
	assert_int_equal(outcome->status, 200);
	assert_string_equal(outcome->body, body);
	assert_string_equal(outcome->reason, "");
}

static void assert_failed(const struct outcome *outcome, int err, int status, const char *reason)
{
	if (outcome->err != err || outcome->status != status ||
		strstr(outcome->reason, reason) == NULL)
		fail_msg("%s, status %d, \"%s\"; not %s, status %d, \"%s\"",
			error_name(outcome->err), outcome->status, outcome->reason, error_name(err),
			status, reason);
	assert_int_equal(outcome->calls, 1);
	assert_false(outcome->has_body);
}

static void assert_put(const struct world *world, size_t i)
{
	assert_string_equal(world->requests[i].method, "PUT");
	assert_string_equal(world->requests[i].path, TOKEN_PATH);
	assert_string_equal(world->requests[i].ttl, "21600");
	assert_null(world->requests[i].token);
}

static void assert_get(const struct world *world, size_t i, const char *token)
{
	assert_string_equal(world->requests[i].method, "GET");
	assert_string_equal(world->requests[i].path, PATH);
	assert_null(world->requests[i].ttl);
	if (token == NULL)
		assert_null(world->requests[i].token);
	else
		assert_string_equal(world->requests[i].token, token);
}

static void test_token_then_gets_with_it(void **state)
{
	struct world world;
	struct imds *imds = open_all(&world);
	struct outcome outcome;

	world_token(&world, "TOKEN==", "21600");
	world_answer(&world, 200, "eu-west-1");
	world_answer(&world, 200, "again");
	get(&world, imds, &outcome);
	assert_got(&outcome, "eu-west-1");
	get(&world, imds, &outcome);
	assert_got(&outcome, "again");
	assert_put(&world, 0);
	assert_get(&world, 1, "TOKEN==");
	assert_get(&world, 2, "TOKEN==");
	close_all(&world, imds);
}

static void test_concurrent_gets_share_one_put(void **state)
{
	struct world world;
	struct imds *imds = open_all(&world);
	struct outcome outcomes[4];

	world_token(&world, "T", NULL);
	for (int i = 0; i < 4; i++)
		world_answer(&world, 200, "x");
	for (int i = 0; i < 3; i++)
		start(imds, &outcomes[i]);
	world_settle(&world);
	start(imds, &outcomes[3]);
	for (int i = 0; i < 4; i++) {
		world_until(&world, &outcomes[i].calls, 1);
		assert_got(&outcomes[i], "x");
	}
	assert_put(&world, 0);
	for (size_t i = 1; i < 5; i++)
		assert_get(&world, i, "T");
	close_all(&world, imds);
}

/* Until two minutes before the end that the answer names; a token of seconds, half of its time. */
static void test_token_is_renewed_before_its_end(void **state)
{
	static const struct {
		const char *ttl;
		unsigned lives_s;
	} cases[] = {{"21600", 21480}, {NULL, 21480}, {"300", 180}, {"241", 121}, {"240", 120},
		{"10", 5}, {"1", 1}, {"0", 21480}, {"-5", 21480}, {"21601", 21480}, {"soon", 21480},
		{"99999999999999999999", 21480}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world world;
		struct imds *imds = open_all(&world);
		struct outcome outcome;

		world_token(&world, "first", cases[i].ttl);
		world_answer(&world, 200, "a");
		world_answer(&world, 200, "b");
		world_token(&world, "second", cases[i].ttl);
		world_answer(&world, 200, "c");
		get(&world, imds, &outcome);
		manual_clock_advance(&world.clock, (uint64_t)cases[i].lives_s * SECOND_US - 1);
		get(&world, imds, &outcome);
		assert_got(&outcome, "b");
		manual_clock_advance(&world.clock, 1);
		get(&world, imds, &outcome);
		assert_got(&outcome, "c");
		assert_get(&world, 2, "first");
		assert_put(&world, 3);
		assert_get(&world, 4, "second");
		close_all(&world, imds);
	}
}

static void test_401_renews_the_token_once(void **state)
{
	struct world world;
	struct imds *imds = open_all(&world);
	struct outcome outcome;

	world_token(&world, "old", NULL);
	world_answer(&world, 200, "a");
	world_answer(&world, 401, NULL);
	world_token(&world, "new", NULL);
	world_answer(&world, 200, "b");
	get(&world, imds, &outcome);
	get(&world, imds, &outcome);
	assert_got(&outcome, "b");
	assert_get(&world, 2, "old");
	assert_put(&world, 3);
	assert_get(&world, 4, "new");

	world_answer(&world, 401, NULL);
	world_token(&world, "newer", NULL);
	world_answer(&world, 401, NULL);
	get(&world, imds, &outcome);
	assert_failed(&outcome, ERR_REFUSED, 401, "answers " PATH " with HTTP 401");
	close_all(&world, imds);
}

/* Two were sent with the token that ended; they get one new one, not two. */
static void test_401_of_two_renews_once(void **state)
{
	struct world world;
	struct imds *imds = open_all(&world);
	struct outcome outcomes[2];

	world_token(&world, "old", NULL);
	world_answer(&world, 401, NULL);
	world_answer(&world, 401, NULL);
	world_token(&world, "new", NULL);
	world_answer(&world, 200, "x");
	world_answer(&world, 200, "x");
	start(imds, &outcomes[0]);
	start(imds, &outcomes[1]);
	world_until(&world, &outcomes[0].calls, 1);
	world_until(&world, &outcomes[1].calls, 1);
	assert_got(&outcomes[0], "x");
	assert_got(&outcomes[1], "x");
	close_all(&world, imds);
}

static void test_answers_to_the_put(void **state)
{
	static char long_token[1025];
	static const struct {
		int status;
		const char *body;
		int err, reported;
		const char *reason;
	} cases[] = {
		{400, "Bad Request", ERR_REFUSED, 400, "gives no session token (HTTP 400)"},
		{401, "", ERR_REFUSED, 401, "(HTTP 401)"},
		{403, "", ERR_REFUSED, 403, "is switched off for this instance (HTTP 403)"},
		{404, "", ERR_NOT_FOUND, 0, "gives no session tokens (HTTP 404): it is not EC2's"},
		{405, "", ERR_NOT_FOUND, 405, "gives no session tokens (HTTP 405)"},
		{302, "", ERR_PROTOCOL, 302, "(HTTP 302)"},
		{204, NULL, ERR_PROTOCOL, 204, "(HTTP 204)"},
		{200, "", ERR_PROTOCOL, 200, "a session token that is none"},
		{200, "a b", ERR_PROTOCOL, 200, "a session token that is none"},
		{200, "a\tb", ERR_PROTOCOL, 200, "a session token that is none"},
		{200, "\r\nX-Evil: 1", ERR_PROTOCOL, 200, "a session token that is none"},
		{200, "caf\xc3\xa9", ERR_PROTOCOL, 200, "a session token that is none"},
		{200, "<html>not a token</html>", ERR_PROTOCOL, 200, "that is none"},
		{200, long_token, ERR_PROTOCOL, 200, "a session token that is none"},
	};

	memset(long_token, 't', 1024);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world world;
		struct imds *imds = open_all(&world);
		struct outcome outcome;

		world_answer(&world, cases[i].status, cases[i].body);
		get(&world, imds, &outcome);
		assert_failed(&outcome, cases[i].err, cases[i].reported, cases[i].reason);
		if (cases[i].reported != 0 && cases[i].status != 200)
			assert_non_null(strstr(outcome.reason, world.endpoint));
		/* It is asked anew the next time. */
		world_token(&world, "T\r\nX-Evil: 1", NULL);
		world_answer(&world, 200, "x");
		get(&world, imds, &outcome);
		assert_got(&outcome, "x");
		assert_get(&world, 2, "T");
		close_all(&world, imds);
	}
}

static void test_failed_put_tells_all_who_wait(void **state)
{
	struct world world;
	struct imds *imds = open_all(&world);
	struct outcome outcomes[3];

	world_answer(&world, 403, NULL);
	for (int i = 0; i < 3; i++)
		start(imds, &outcomes[i]);
	for (int i = 0; i < 3; i++) {
		world_until(&world, &outcomes[i].calls, 1);
		assert_failed(&outcomes[i], ERR_REFUSED, 403, "switched off");
	}
	close_all(&world, imds);
}

static void test_answers_to_the_get(void **state)
{
	static char huge[70000], largest[65537];
	static const struct {
		int status;
		const char *body;
		int err;
		const char *reason;
	} cases[] = {
		{404, "<html>404</html>", ERR_NOT_FOUND, "answers " PATH " with HTTP 404"},
		{403, "", ERR_REFUSED, "HTTP 403"},
		{400, "", ERR_REFUSED, "HTTP 400"},
		{301, "", ERR_PROTOCOL, "HTTP 301"},
		{204, NULL, ERR_PROTOCOL, "HTTP 204"},
		{418, "", ERR_PROTOCOL, "HTTP 418"},
		{200, huge, ERR_PROTOCOL, "too large or no text"},
		{200, largest, 0, NULL},
		{200, "", 0, NULL},
		{200, "two\nlines", 0, NULL},
	};

	memset(huge, 'h', sizeof(huge) - 1);
	memset(largest, 'l', sizeof(largest) - 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world world;
		struct imds *imds = open_all(&world);
		struct outcome outcome;

		world_token(&world, "T", NULL);
		world_answer(&world, cases[i].status, cases[i].body);
		get(&world, imds, &outcome);
		if (cases[i].err != 0)
			assert_failed(&outcome, cases[i].err, cases[i].status, cases[i].reason);
		else
			assert_memory_equal(outcome.body, cases[i].body,
				strlen(cases[i].body) < 63 ? strlen(cases[i].body) : 63);
		close_all(&world, imds);
	}
}

/* 429, 5xx and broken connections: three attempts of each request, pauses with full jitter. */
static void test_what_may_pass_is_tried_three_times(void **state)
{
	struct world world;
	struct imds *imds = open_all(&world);
	struct outcome outcome;

	world_answer(&world, 503, NULL);
	world_cut(&world);
	world_token(&world, "T", NULL);
	world_answer(&world, 429, NULL);
	world_cut(&world);
	world_answer(&world, 200, "x");
	get(&world, imds, &outcome);
	assert_got(&outcome, "x");
	for (size_t i = 0; i < 3; i++) {
		assert_put(&world, i);
		assert_get(&world, 3 + i, "T");
	}
	for (size_t i = 0; i < 2; i++) {
		uint64_t most_us = 500000 << i;

		assert_in_range(
			world.requests[i + 1].came_us - world.requests[i].came_us, 1, most_us - 1);
		assert_in_range(world.requests[i + 4].came_us - world.requests[i + 3].came_us, 1,
			most_us - 1);
	}
	close_all(&world, imds);
}

static void test_what_does_not_pass_is_told(void **state)
{
	static const struct {
		bool put, cut;
		int err, status;
		const char *reason;
	} cases[] = {
		{true, false, ERR_UNAVAILABLE, 500, "gives no session token (HTTP 500)"},
		{true, true, ERR_NETWORK, 0, "does not answer the request for a session token"},
		{false, false, ERR_UNAVAILABLE, 500, "answers " PATH " with HTTP 500"},
		{false, true, ERR_NETWORK, 0, "does not answer " PATH},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world world;
		struct imds *imds = open_all(&world);
		struct outcome outcome;

		if (!cases[i].put)
			world_token(&world, "T", NULL);
		for (int k = 0; k < 3; k++) {
			if (cases[i].cut)
				world_cut(&world);
			else
				world_answer(&world, 500, NULL);
		}
		get(&world, imds, &outcome);
		assert_failed(&outcome, cases[i].err, cases[i].status, cases[i].reason);
		close_all(&world, imds);
	}
}

/* A container with a hop limit of 1: the request arrives, the answer with the token never does. */
static void test_hop_limit(void **state)
{
	struct world world;
	struct imds *imds = open_all(&world);
	struct outcome outcome;

	for (int i = 0; i < 3; i++)
		world_silence(&world);
	get(&world, imds, &outcome);
	assert_failed(&outcome, ERR_TIMEOUT, 0,
		"aws ec2 modify-instance-metadata-options --instance-id ID "
		"--http-put-response-hop-limit 2");
	close_all(&world, imds);
}

static void test_silence_to_the_get(void **state)
{
	struct world world;
	struct imds *imds = open_all(&world);
	struct outcome outcome;

	world_token(&world, "T", NULL);
	world_silence(&world);
	world_answer(&world, 200, "x");
	get(&world, imds, &outcome);
	assert_got(&outcome, "x");
	for (int i = 0; i < 3; i++)
		world_silence(&world);
	get(&world, imds, &outcome);
	assert_failed(&outcome, ERR_TIMEOUT, 0, "does not answer " PATH);
	assert_null(strstr(outcome.reason, "hop"));
	close_all(&world, imds);
}

/* ---- not on EC2 */

static void get_from(const char *endpoint, struct outcome *outcome)
{
	struct world world;
	struct imds *imds;

	world_open(&world);
	variables_set("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint);
	world_load(&world);
	assert_int_equal(imds_new(&world.context, &imds), 0);
	get(&world, imds, outcome);
	/* Once is enough, whatever the clock says. */
	assert_true(http_client_connections_opened(world.client) <= 1);
	close_all(&world, imds);
}

static void test_nobody_there(void **state)
{
	struct outcome outcome;

	get_from("http://127.0.0.1:1", &outcome);
	assert_failed(&outcome, ERR_NOT_FOUND, 0, "nobody answers at http://127.0.0.1:1 (");
	assert_non_null(strstr(outcome.reason, "this is no EC2 instance"));
	get_from("http://255.255.255.255", &outcome); /* no connection to it can be */
	assert_failed(&outcome, ERR_NOT_FOUND, 0, "nobody answers at http://255.255.255.255 (");
	get_from("ftp://127.0.0.1", &outcome);
	assert_failed(&outcome, ERR_CONFIG, 0, "is no http URL: \"ftp://127.0.0.1\"");
	get_from("http://a b", &outcome);
	assert_failed(&outcome, ERR_CONFIG, 0, "is no http URL");
}

/* A listener that nobody accepts from, its backlog full: connecting to it takes for ever. */
static void test_time_out_before_a_connection(void **state)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	struct sockaddr *any = (struct sockaddr *)&address;
	socklen_t size = sizeof(address);
	struct outcome outcome;
	char endpoint[64];
	int fds[8];

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (size_t i = 0; i < 8; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		assert_true(fds[i] >= 0);
		if (i == 0) {
			assert_int_equal(bind(fds[0], any, size), 0);
			assert_int_equal(listen(fds[0], 0), 0);
			assert_int_equal(getsockname(fds[0], any, &size), 0);
		} else {
			connect(fds[i], any, size);
		}
	}
	snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%d", ntohs(address.sin_port));
	get_from(endpoint, &outcome);
	assert_failed(&outcome, ERR_NOT_FOUND, 0, "nobody answers at");
	for (size_t i = 0; i < 8; i++)
		close(fds[i]);
}

/* It was there an hour ago: then it is the network, and worth another try. */
static void test_nobody_there_any_more(void **state)
{
	struct world world;
	struct imds *imds = open_all(&world);
	struct outcome outcome;

	world_token(&world, "T", NULL);
	world_answer(&world, 200, "x");
	get(&world, imds, &outcome);
	http_server_close(world.server);
	world.server = NULL;
	world_settle(&world);
	get(&world, imds, &outcome);
	assert_failed(&outcome, ERR_NETWORK, 0, "does not answer " PATH);
	close_all(&world, imds);
}

static void test_switched_off_by_a_variable(void **state)
{
	struct world world;
	struct imds *imds;
	struct outcome outcome;

	world_open(&world);
	variables_set("AWS_EC2_METADATA_DISABLED", "true");
	world_load(&world);
	assert_int_equal(imds_new(&world.context, &imds), 0);
	get(&world, imds, &outcome);
	assert_failed(&outcome, ERR_NOT_FOUND, 0, "AWS_EC2_METADATA_DISABLED is true");
	assert_int_equal(world.clock.now_us, 0);
	close_all(&world, imds);
}

/* ---- version 1 */

static struct imds *open_v1(struct world *world)
{
	struct imds *imds;

	world_open(world);
	variables_set("AWS_EC2_METADATA_V1_DISABLED", "false");
	world_load(world);
	assert_int_equal(imds_new(&world->context, &imds), 0);
	return imds;
}

static void test_version_1_where_it_is_allowed(void **state)
{
	static const int statuses[] = {403, 404, 405, 0};

	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		struct world world;
		struct imds *imds = open_v1(&world);
		size_t puts = statuses[i] != 0 ? 1 : 3;
		struct outcome outcome;

		for (size_t k = 0; k < puts; k++) {
			if (statuses[i] != 0)
				world_answer(&world, statuses[i], NULL);
			else
				world_silence(&world);
		}
		world_answer(&world, 200, "a");
		world_answer(&world, 200, "b");
		get(&world, imds, &outcome);
		assert_got(&outcome, "a");
		get(&world, imds, &outcome);
		assert_got(&outcome, "b");
		assert_put(&world, puts - 1);
		assert_get(&world, puts, NULL);
		assert_get(&world, puts + 1, NULL);
		/* Five minutes later a token is asked for again. */
		manual_clock_advance(&world.clock, (uint64_t)300 * SECOND_US);
		world_token(&world, "T", NULL);
		world_answer(&world, 200, "c");
		get(&world, imds, &outcome);
		assert_got(&outcome, "c");
		assert_get(&world, puts + 3, "T");
		close_all(&world, imds);
	}
}

static void test_version_1_does_not_hide_other_errors(void **state)
{
	struct world world;
	struct imds *imds = open_v1(&world);
	struct outcome outcome;

	world_answer(&world, 400, NULL);
	get(&world, imds, &outcome);
	assert_failed(&outcome, ERR_REFUSED, 400, "HTTP 400");
	/* It wants a token and gives none. */
	world_answer(&world, 405, NULL);
	world_answer(&world, 401, NULL);
	world_answer(&world, 405, NULL);
	world_answer(&world, 401, NULL);
	get(&world, imds, &outcome);
	assert_failed(&outcome, ERR_REFUSED, 401, "HTTP 401");
	close_all(&world, imds);
}

/* ---- cancel and free, in each phase */

static void noop_script(struct world *world)
{
}

static void script_put_silence(struct world *world)
{
	world_silence(world);
}

static void script_put_fails(struct world *world)
{
	world_answer(world, 503, NULL);
}

static void script_get_silence(struct world *world)
{
	world_token(world, "T", NULL);
	world_silence(world);
}

static void script_get_fails(struct world *world)
{
	world_token(world, "T", NULL);
	world_answer(world, 503, NULL);
}

static const struct phase {
	void (*script)(struct world *world);
	size_t requests; /* to come before the cancel */
} phases[] = {
	{noop_script, 0},	 /* imds_get() has just returned */
	{script_put_silence, 1}, /* PUT under way */
	{script_put_fails, 1},	 /* between two PUTs */
	{script_get_silence, 2}, /* GET under way */
	{script_get_fails, 2},	 /* between two GETs */
};

static void reach(struct world *world, const struct phase *phase)
{
	phase->script(world);
	world_until_requests(world, phase->requests);
	if (phase->requests > 0)
		world_settle(world);
}

static void test_cancel_in_each_phase(void **state)
{
	for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
		struct world world;
		struct imds *imds = open_all(&world);
		struct outcome outcome;
		struct imds_call *call = start(imds, &outcome);

		reach(&world, &phases[i]);
		imds_cancel(call);
		world_settle(&world);
		assert_int_equal(outcome.calls, 0);
		close_all(&world, imds);
	}
}

static void test_free_in_each_phase(void **state)
{
	for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
		struct world world;
		struct imds *imds = open_all(&world);
		struct outcome outcome;

		start(imds, &outcome);
		reach(&world, &phases[i]);
		close_all(&world, imds);
		assert_int_equal(outcome.calls, 0);
	}
	imds_free(NULL);
}

/* The PUT goes on for the next one, who gets its token. */
static void test_cancel_leaves_the_put_to_others(void **state)
{
	struct world world;
	struct imds *imds = open_all(&world);
	struct outcome first, second;
	struct imds_call *call = start(imds, &first);

	world_token(&world, "T", NULL);
	world_answer(&world, 200, "x");
	manual_clock_advance(&world.clock, 0);
	start(imds, &second);
	imds_cancel(call);
	world_until(&world, &second.calls, 1);
	assert_got(&second, "x");
	assert_int_equal(first.calls, 0);
	close_all(&world, imds);
}

/* `done` of the first of three does what it likes to the others. */
struct meddler {
	struct imds *imds;
	struct imds_call *calls[3];
	struct outcome again;
	enum { CANCEL, FREE, ASK_AGAIN } deed;
	unsigned count;
};

static void on_meddle(void *arg, int err, int status, const char *body, const char *reason)
{
	struct meddler *meddler = arg;

	if (meddler->count++ > 0)
		return;
	switch (meddler->deed) {
	case CANCEL:
		imds_cancel(meddler->calls[1]);
		imds_cancel(meddler->calls[2]);
		break;
	case FREE:
		imds_free(meddler->imds);
		meddler->imds = NULL;
		break;
	case ASK_AGAIN:
		start(meddler->imds, &meddler->again);
		break;
	}
	assert_int_equal(reason[0] == '\0', err == 0); /* it is still there */
}

static void test_meddling_inside_done(void **state)
{
	for (int deed = CANCEL; deed <= ASK_AGAIN; deed++) {
		for (int fails = 0; fails < 2; fails++) {
			struct world world;
			struct meddler meddler = {.imds = open_all(&world), .deed = deed};

			for (int i = 0; i < 3; i++)
				assert_int_equal(imds_get(meddler.imds, PATH, on_meddle, &meddler,
							 &meddler.calls[i]),
					0);
			if (fails) {
				world_answer(&world, 403, NULL);
			} else {
				world_token(&world, "T", NULL);
				world_answer(&world, 200, "x");
				world_silence(&world);
				world_silence(&world);
			}
			if (deed == ASK_AGAIN && fails)
				world_answer(&world, 403, NULL);
			if (deed == ASK_AGAIN && !fails)
				world_answer(&world, 200, "x");
			world_until(&world, &meddler.count, 1);
			if (deed == ASK_AGAIN)
				world_until(&world, &meddler.again.calls, 1);
			if (deed == ASK_AGAIN && fails)
				assert_int_equal(meddler.count, 3);
			world_until_requests(&world, world.step_count);
			close_all(&world, meddler.imds);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_token_then_gets_with_it),
		cmocka_unit_test(test_concurrent_gets_share_one_put),
		cmocka_unit_test(test_token_is_renewed_before_its_end),
		cmocka_unit_test(test_401_renews_the_token_once),
		cmocka_unit_test(test_401_of_two_renews_once),
		cmocka_unit_test(test_answers_to_the_put),
		cmocka_unit_test(test_failed_put_tells_all_who_wait),
		cmocka_unit_test(test_answers_to_the_get),
		cmocka_unit_test(test_what_may_pass_is_tried_three_times),
		cmocka_unit_test(test_what_does_not_pass_is_told),
		cmocka_unit_test(test_hop_limit),
		cmocka_unit_test(test_silence_to_the_get),
		cmocka_unit_test(test_nobody_there),
		cmocka_unit_test(test_time_out_before_a_connection),
		cmocka_unit_test(test_nobody_there_any_more),
		cmocka_unit_test(test_switched_off_by_a_variable),
		cmocka_unit_test(test_version_1_where_it_is_allowed),
		cmocka_unit_test(test_version_1_does_not_hide_other_errors),
		cmocka_unit_test(test_cancel_in_each_phase),
		cmocka_unit_test(test_free_in_each_phase),
		cmocka_unit_test(test_cancel_leaves_the_put_to_others),
		cmocka_unit_test(test_meddling_inside_done),
	};

	return cmocka_run_group_tests_name("aws/imds", tests, NULL, NULL);
}
