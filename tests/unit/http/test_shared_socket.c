/* Servers on a listening socket that somebody else opened, and that others accept on too. */
#include "world.h"

#include "bunshin/error.h"
#include "failmalloc.h"
#include "http/listen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct stage {
	struct world world;
	int fd;
	char address[LISTEN_TEXT_MAX];
	struct sockaddr_un path; /* of a unix socket */
	struct http_server *servers[3];
};

static void open_stage(struct stage *stage)
{
	int family;

	memset(stage, 0, sizeof(*stage));
	world_open(&stage->world);
	assert_int_equal(listen_open("127.0.0.1:0", &stage->fd, &family, stage->address), 0);
}

static void close_stage(struct stage *stage)
{
	for (size_t i = 0; i < 3; i++)
		http_server_close(stage->servers[i]);
	world_close(&stage->world);
	close(stage->fd);
}

static void serve(struct stage *stage, size_t i)
{
	const struct http_server_options options = {
		.listen_fd = stage->fd, .handler = world_echo, .arg = &stage->world};

	assert_int_equal(http_server_new(&stage->world.loop, &options, &stage->servers[i]), 0);
	assert_string_equal(http_server_address(stage->servers[i]), "");
}

static void end(struct stage *stage, size_t i)
{
	http_server_close(stage->servers[i]);
	stage->servers[i] = NULL;
	world_settle(&stage->world);
}

static void assert_answers(struct stage *stage)
{
	struct raw raw;

	raw_open(&raw, &stage->world, stage->address);
	raw_send_string(&raw, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
	world_until(&stage->world, &raw.ended, 1);
	assert_int_equal(raw.answers, 1);
	raw_close(&raw, &stage->world);
}

static void the_end_of_one_server_leaves_the_others(void **state)
{
	struct stage stage;

	open_stage(&stage);
	for (size_t i = 0; i < 3; i++)
		serve(&stage, i);
	for (unsigned i = 0; i < 20; i++)
		assert_answers(&stage);
	end(&stage, 1);
	for (unsigned i = 0; i < 20; i++)
		assert_answers(&stage);
	end(&stage, 0);
	assert_answers(&stage);
	close_stage(&stage);
}

/* Nobody accepts for a while; whoever comes then is answered by the next. */
static void a_gap_between_two_servers(void **state)
{
	struct stage stage;
	struct raw raw;

	open_stage(&stage);
	serve(&stage, 0);
	assert_answers(&stage);
	end(&stage, 0);
	raw_open(&raw, &stage.world, stage.address);
	raw_send_string(&raw, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
	world_until(&stage.world, &raw.connected, 1);
	world_settle(&stage.world);
	assert_int_equal(raw.answers, 0);
	serve(&stage, 1);
	world_until(&stage.world, &raw.ended, 1);
	assert_int_equal(raw.answers, 1);
	raw_close(&raw, &stage.world);
	close_stage(&stage);
}

static void the_lender_may_close_first(void **state)
{
	struct stage stage;

	open_stage(&stage);
	serve(&stage, 0);
	close(stage.fd);
	assert_answers(&stage);
	assert_answers(&stage);
	stage.fd = -1;
	close_stage(&stage);
}

static void no_socket(void **state)
{
	static const int numbers[] = {-1, 0};
	struct http_server *server = NULL;
	struct world world;

	world_open(&world);
	for (size_t i = 0; i < 2; i++) {
		const struct http_server_options options = {
			.listen_fd = numbers[i], .handler = world_echo, .arg = &world};

		assert_int_equal(http_server_new(&world.loop, &options, &server), ERR_ARGUMENT);
	}
	const struct http_server_options closed = {
		.listen_fd = 1000, .handler = world_echo, .arg = &world};

	assert_int_equal(http_server_new(&world.loop, &closed, &server), ERR_IO);
	assert_int_equal(errno, EBADF);
	assert_null(server);
	world_close(&world);
}

/* What a blocking client of a unix socket gets, while the loop turns. */
static void ask_unix(struct stage *stage, char *ret_answer, size_t size)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t len = 0;
	ssize_t n;

	assert_int_equal(connect(fd, (struct sockaddr *)&stage->path, sizeof(stage->path)), 0);
	assert_int_equal(send(fd, request, strlen(request), 0), strlen(request));
	do {
		uv_run(&stage->world.loop, UV_RUN_NOWAIT);
		n = recv(fd, ret_answer + len, size - 1 - len, MSG_DONTWAIT);
		len += n > 0 ? (size_t)n : 0;
	} while (n > 0 || (n < 0 && errno == EAGAIN));
	ret_answer[len] = '\0';
	close(fd);
}

static void unix_sockets(void **state)
{
	char directory[] = "/tmp/bunshin-shared-XXXXXX", answer[1024];
	struct stage stage = {.path.sun_family = AF_UNIX};

	assert_non_null(mkdtemp(directory));
	world_open(&stage.world);
	snprintf(stage.path.sun_path, sizeof(stage.path.sun_path), "%s/s", directory);
	stage.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(stage.fd, (struct sockaddr *)&stage.path, sizeof(stage.path)), 0);
	assert_int_equal(listen(stage.fd, 16), 0);
	serve(&stage, 0);
	serve(&stage, 1);
	for (unsigned i = 0; i < 5; i++) {
		ask_unix(&stage, answer, sizeof(answer));
		assert_memory_equal(answer, "HTTP/1.1 200 ", 13);
		if (i == 2)
			end(&stage, 0);
	}
	/* Its file is its owner's to remove. */
	end(&stage, 1);
	assert_int_equal(access(stage.path.sun_path, F_OK), 0);
	unlink(stage.path.sun_path);
	rmdir(directory);
	close_stage(&stage);
}

static int open_and_close(void *arg)
{
	struct stage *stage = arg;
	const struct http_server_options options = {
		.listen_fd = stage->fd, .handler = world_echo, .arg = &stage->world};
	int err = http_server_new(&stage->world.loop, &options, &stage->servers[0]);

	if (err == 0)
		end(stage, 0);
	/* The library under it does not say what it lacked. */
	return err == ERR_IO ? ERR_NOMEM : err;
}

static void short_of_memory(void **state)
{
	struct stage stage;

	open_stage(&stage);
	failmalloc_sweep(open_and_close, &stage);
	serve(&stage, 0);
	assert_answers(&stage);
	close_stage(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_end_of_one_server_leaves_the_others),
		cmocka_unit_test(a_gap_between_two_servers),
		cmocka_unit_test(the_lender_may_close_first),
		cmocka_unit_test(no_socket),
		cmocka_unit_test(unix_sockets),
		cmocka_unit_test(short_of_memory),
	};

	return cmocka_run_group_tests_name("http/shared_socket", tests, NULL, NULL);
}
