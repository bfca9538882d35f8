/*
 * The client that may connect to some addresses only, with names whose addresses the test decides:
 * libcurl's getaddrinfo() is this file's.
 */
#include "world.h"

#include "bunshin/error.h"
#include "http/address_guard.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWERS_MAX 4

/* The k-th look-up of a name is answered with the k-th of these, the last one repeating. */
static struct {
	pthread_mutex_t lock;		  /* libcurl asks on threads */
	const char *answers[ANSWERS_MAX]; /* addresses, parted by blanks; NULL: the end */
	unsigned asked;
} names = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void answer_with(const char *first, const char *second)
{
	pthread_mutex_lock(&names.lock);
	names.answers[0] = first;
	names.answers[1] = second;
	names.asked = 0;
	pthread_mutex_unlock(&names.lock);
}

static const char *next_answer(void)
{
	const char *answer;

	pthread_mutex_lock(&names.lock);
	answer = names.answers[names.asked > 0 && names.answers[1] != NULL ? 1 : 0];
	names.asked++;
	pthread_mutex_unlock(&names.lock);
	return answer;
}

static struct addrinfo *row(const char *address, int port)
{
	struct addrinfo *info = calloc(1, sizeof(*info) + sizeof(struct sockaddr_in6));
	struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};

	info->ai_socktype = SOCK_STREAM;
	info->ai_protocol = IPPROTO_TCP;
	info->ai_addr = (struct sockaddr *)(void *)(info + 1);
	if (inet_pton(AF_INET, address, &ipv4.sin_addr) == 1) {
		info->ai_family = AF_INET;
		info->ai_addrlen = sizeof(ipv4);
		memcpy(info->ai_addr, &ipv4, sizeof(ipv4));
	} else {
		inet_pton(AF_INET6, address, &ipv6.sin6_addr);
		info->ai_family = AF_INET6;
		info->ai_addrlen = sizeof(ipv6);
		memcpy(info->ai_addr, &ipv6, sizeof(ipv6));
	}
	return info;
}

/* Addresses as they are; every name by the answers. */
int getaddrinfo(const char *restrict name, const char *restrict service,
	const struct addrinfo *restrict hints, struct addrinfo **restrict ret)
{
	unsigned char bytes[16];
	bool is_address =
		inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
	const char *answer = is_address ? name : next_answer();
	struct addrinfo **next = ret;
	char address[64];
	int len;

	while (sscanf(answer, " %63s%n", address, &len) == 1) {
		*next = row(address, service != NULL ? atoi(service) : 0);
		next = &(*next)->ai_next;
		answer += len;
	}
	return 0;
}

void freeaddrinfo(struct addrinfo *info)
{
	while (info != NULL) {
		struct addrinfo *next = info->ai_next;

		free(info);
		info = next;
	}
}

struct stage {
	struct world world;
	struct address_range allowed;
	struct address_guard guard;
	const char *port;
};

/* allow: NULL, or what is allowed. The server listens on all of the loopback's addresses. */
static void stage_open(struct stage *stage, const char *allow)
{
	const struct http_server_options server = {
		.listen = "0.0.0.0:0", .handler = world_echo, .arg = &stage->world};
	struct http_client_options options = {.timeout_ms = 5000, .guard = &stage->guard};

	memset(stage, 0, sizeof(*stage));
	world_open(&stage->world);
	world_server(&stage->world, &server);
	stage->port = strrchr(http_server_address(stage->world.server), ':');
	if (allow != NULL) {
		assert_null(address_range_parse(allow, &stage->allowed));
		stage->guard = (struct address_guard){&stage->allowed, 1};
	}
	world_client(&stage->world, &options);
}

static const struct outcome *ask(struct stage *stage, const char *host)
{
	char address[128];

	snprintf(address, sizeof(address), "%s%s", host, stage->port);
	world_request(&stage->world, address, "/hook", "body");
	print_message("%s: %d %d %s\n", host, stage->world.last.err, stage->world.last.status,
		stage->world.last.detail);
	return &stage->world.last;
}

static void assert_refused(struct stage *stage, const char *host, const char *what)
{
	unsigned handled = stage->world.handled;
	uint64_t opened = http_client_connections_opened(stage->world.client);
	const struct outcome *last = ask(stage, host);
	char detail[256];

	snprintf(detail, sizeof(detail),
		"the host's address %s, which request.allow_addresses does not have", what);
	assert_int_equal(last->err, ERR_NOT_ALLOWED);
	assert_int_equal(error_class(last->err), ERROR_PERMANENT);
	assert_string_equal(last->detail, detail);
	assert_false(last->sent);
	assert_int_equal(stage->world.handled, handled);
	assert_int_equal(http_client_connections_opened(stage->world.client), opened);
}

/* Not even when the URL names the address itself, in any notation. */
static void test_addresses_of_urls(void **state)
{
	static const char *const hosts[] = {
		"127.0.0.1", "127.1", "2130706433", "0x7f000001", "017700000001"};
	struct stage stage;

	stage_open(&stage, NULL);
	answer_with("127.0.0.1", NULL);
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
		assert_refused(&stage, hosts[i], "127.0.0.1 is a loopback address");
	assert_refused(&stage, "[::ffff:127.0.0.1]", "::ffff:127.0.0.1 is an IPv4-mapped address");
	assert_refused(&stage, "[::1]", "::1 is a loopback address");
	assert_refused(&stage, "0.0.0.0", "0.0.0.0 is an unspecified address");
	assert_refused(
		&stage, "169.254.169.254", "169.254.169.254 is a metadata service's address");
	world_close(&stage.world);
}

static void test_names(void **state)
{
	struct stage stage;

	stage_open(&stage, NULL);
	answer_with("10.0.0.1", NULL);
	assert_refused(&stage, "private.example", "10.0.0.1 is a private address");
	answer_with("169.254.169.254", NULL);
	assert_refused(
		&stage, "metadata.example", "169.254.169.254 is a metadata service's address");
	answer_with("fd00:ec2::254", NULL);
	assert_refused(
		&stage, "metadata6.example", "fd00:ec2::254 is a metadata service's address");
	answer_with("64:ff9b::10.0.0.1", NULL);
	assert_refused(&stage, "nat64.example",
		"64:ff9b::a00:1 is the NAT64 form of an address that is not public");
	/* All of several; the last one that was tried is named. */
	answer_with("10.0.0.1 192.168.0.1", NULL);
	assert_refused(&stage, "two.example", "192.168.0.1 is a private address");
	world_close(&stage.world);
}

/* Where one of several addresses may be connected to, the request goes there. */
static void test_mixed_answers(void **state)
{
	static const char *const answers[] = {"127.0.0.2 127.0.0.1", "127.0.0.1 127.0.0.2",
		"::1 127.0.0.2", "10.0.0.1 127.0.0.2"};
	struct stage stage;
	char host[32];

	stage_open(&stage, "127.0.0.2");
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		answer_with(answers[i], NULL);
		snprintf(host, sizeof(host), "mixed%zu.example", i);
		assert_int_equal(ask(&stage, host)->status, 200);
	}
	world_close(&stage.world);
}

/* One that was allowed was not there: that is no rule's fault, and may be otherwise next time. */
static void test_mixed_answers_with_nobody_there(void **state)
{
	struct stage stage;
	const struct outcome *last;

	stage_open(&stage, "127.0.0.2");
	stage.port = ":1"; /* nobody listens there */
	answer_with("127.0.0.2 10.0.0.1", NULL);
	last = ask(&stage, "absent.example");
	assert_int_equal(last->err, ERR_CONNECT);
	assert_false(last->sent);
	world_close(&stage.world);
}

/*
 * Rebinding: the name's address is fine when it is first asked for, and this machine's when the
 * connection is made. 127.0.0.2 is allowed here as a public one would be; the server is at both.
 */
static void test_rebinding(void **state)
{
	const struct http_client_options *options;
	struct stage stage;

	stage_open(&stage, "127.0.0.2");
	answer_with("127.0.0.2", "127.0.0.1");
	assert_int_equal(ask(&stage, "rebind.example")->status, 200);
	assert_int_equal(stage.world.handled, 1);
	/* A client of its own, since the first has the connection and the address in its cache. */
	options = &(struct http_client_options){.timeout_ms = 5000, .guard = &stage.guard};
	http_client_close(stage.world.client);
	world_client(&stage.world, options);
	assert_refused(&stage, "rebind.example", "127.0.0.1 is a loopback address");
	assert_int_equal(stage.world.handled, 1);
	assert_int_equal(names.asked, 2);
	world_close(&stage.world);
}

/* What was checked when it was opened serves the next requests to that host. */
static void test_kept_alive(void **state)
{
	struct stage stage;

	stage_open(&stage, "127.0.0.2");
	answer_with("127.0.0.2", NULL);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ask(&stage, "kept.example")->status, 200);
	assert_int_equal(http_client_connections_opened(stage.world.client), 1);
	world_close(&stage.world);
}

/* libcurl answers for localhost by itself. */
static void test_localhost(void **state)
{
	struct stage stage;
	const struct outcome *last;

	stage_open(&stage, NULL);
	last = ask(&stage, "localhost");
	assert_int_equal(last->err, ERR_NOT_ALLOWED);
	last = ask(&stage, "a.b.localhost");
	assert_int_equal(last->err, ERR_NOT_ALLOWED);
	assert_int_equal(stage.world.handled, 0);
	world_close(&stage.world);
	stage_open(&stage, "127.0.0.0/8");
	assert_int_equal(ask(&stage, "localhost")->status, 200);
	world_close(&stage.world);
}

/* A proxy would resolve the name itself, and go wherever that leads. */
static void test_no_proxy_is_used(void **state)
{
	static const char *const variables[] = {
		"http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"};
	struct stage stage;
	char url[64];

	stage_open(&stage, NULL);
	snprintf(url, sizeof(url), "http://127.0.0.1%s", stage.port);
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		setenv(variables[i], url, 1);
	http_client_close(stage.world.client);
	world_client(&stage.world,
		&(struct http_client_options){.timeout_ms = 5000, .guard = &stage.guard});
	answer_with("10.0.0.1", NULL);
	assert_refused(&stage, "proxied.example", "10.0.0.1 is a private address");
	assert_refused(&stage, "10.0.0.1", "10.0.0.1 is a private address");
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		unsetenv(variables[i]);
	world_close(&stage.world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses_of_urls),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_mixed_answers),
		cmocka_unit_test(test_mixed_answers_with_nobody_there),
		cmocka_unit_test(test_rebinding),
		cmocka_unit_test(test_kept_alive),
		cmocka_unit_test(test_localhost),
		cmocka_unit_test(test_no_proxy_is_used),
	};

	return cmocka_run_group_tests_name("http/guarded", tests, NULL, NULL);
}
