/* The admin port's socket: where it may be, what it replaces and what it leaves alone. */
#include "base/log.h"
#include "bunshin/error.h"
#include "cli/run/admin_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[] = "/tmp/bunshin-admin-XXXXXX";
static char made[sizeof(directory)], path[64], listen_text[80];
static FILE *log_file;
static struct buf error;

static int set_up(void **state)
{
	strcpy(made, directory);
	if (!mkdtemp(made))
		return 1;
	snprintf(path, sizeof(path), "%s/admin.sock", made);
	snprintf(listen_text, sizeof(listen_text), "unix:%s", path);
	error = (struct buf)BUF_INIT(4096);
	log_file = tmpfile();
	log_configure(LOG_LEVEL_INFO, LOG_FORMAT_JSON, fileno(log_file), NULL);
	return log_file == NULL;
}

static int tear_down(void **state)
{
	log_configure(LOG_LEVEL_INFO, LOG_FORMAT_AUTO, 2, NULL);
	fclose(log_file);
	buf_free(&error);
	unlink(path);
	return rmdir(made);
}

struct opened {
	int fd, err;
	char address[ADMIN_ADDRESS_SIZE];
	struct admin_file file;
};

static struct opened open_at(const char *listen)
{
	struct opened opened = {.fd = 77};

	buf_clear(&error);
	opened.err = admin_socket_open(listen, &opened.fd, opened.address, &opened.file, &error);
	return opened;
}

static void close_it(const struct opened *opened)
{
	admin_socket_close(opened->fd, opened->address, &opened->file);
}

static bool is_there(void)
{
	struct stat status;

	return lstat(path, &status) == 0;
}

/* Whether somebody listens: what connecting to it says. */
static int connecting(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), result;

	memcpy(address.sun_path, path, strlen(path) + 1);
	result = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 ? 0 : errno;
	close(fd);
	return result;
}

static bool was_warned(void)
{
	char text[4096];
	size_t len;

	rewind(log_file);
	len = fread(text, 1, sizeof(text) - 1, log_file);
	text[len] = '\0';
	return strstr(text, "the admin port is in use") != NULL;
}

/* What a process that was killed leaves: a socket that nobody listens on. */
static void leave_stale(void)
{
	struct opened opened = open_at(listen_text);

	assert_int_equal(opened.err, 0);
	close(opened.fd);
	assert_int_equal(connecting(), ECONNREFUSED);
}

static void none(void **state)
{
	struct opened opened = open_at(NULL);

	assert_int_equal(opened.err, 0);
	assert_int_equal(opened.fd, -1);
	assert_string_equal(opened.address, "");
	close_it(&opened);
}

static void tcp(void **state)
{
	struct opened first = open_at("127.0.0.1:0"), second;

	assert_int_equal(first.err, 0);
	assert_true(first.fd >= 0);
	assert_memory_equal(first.address, "127.0.0.1:", 10);
	assert_true(atoi(first.address + 10) > 0);
	second = open_at(first.address);
	assert_int_equal(second.err, 0);
	assert_int_equal(second.fd, -1);
	assert_string_equal(second.address, "");
	assert_true(was_warned());
	close_it(&second);
	close_it(&first);
}

static void a_unix_socket(void **state)
{
	struct opened opened;
	struct stat status;
	mode_t mask = umask(0);

	opened = open_at(listen_text);
	assert_int_equal(opened.err, 0);
	assert_string_equal(opened.address, listen_text);
	assert_int_equal(stat(path, &status), 0);
	assert_true(S_ISSOCK(status.st_mode));
	assert_int_equal(status.st_mode & 07777, 0660);
	assert_int_equal(umask(mask), 0);
	assert_int_equal(fcntl(opened.fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	assert_int_equal(fcntl(opened.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(connecting(), 0);
	close_it(&opened);
	assert_false(is_there());
}

static void in_use_by_another(void **state)
{
	struct opened first = open_at(listen_text), second = open_at(listen_text);

	assert_int_equal(second.err, 0);
	assert_int_equal(second.fd, -1);
	assert_true(was_warned());
	close_it(&second);
	assert_int_equal(connecting(), 0);
	close_it(&first);
}

static void a_stale_one_is_replaced(void **state)
{
	struct opened opened;

	leave_stale();
	opened = open_at(listen_text);
	assert_int_equal(opened.err, 0);
	assert_true(opened.fd >= 0);
	assert_int_equal(connecting(), 0);
	assert_false(was_warned());
	close_it(&opened);
	assert_false(is_there());
}

static void assert_refused(const char *words)
{
	struct opened opened = open_at(listen_text);
	char expected[256];

	assert_int_equal(opened.err, ERR_IO);
	assert_int_equal(opened.fd, -1);
	snprintf(expected, sizeof(expected), "admin.listen: cannot listen on %s: %s", listen_text,
		words);
	assert_string_equal(buf_string(&error), expected);
	assert_true(is_there());
}

static void a_file_is_left_alone(void **state)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	struct stat status;

	assert_int_equal(write(fd, "precious", 8), 8);
	close(fd);
	assert_refused("File exists");
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_size, 8);
}

static void a_directory_is_left_alone(void **state)
{
	assert_int_equal(mkdir(path, 0700), 0);
	assert_refused("File exists");
	assert_int_equal(rmdir(path), 0);
}

/* Even one that leads to a stale socket. */
static void a_link_is_left_alone(void **state)
{
	char target[80];

	snprintf(target, sizeof(target), "%s/target", made);
	leave_stale();
	assert_int_equal(rename(path, target), 0);
	assert_int_equal(symlink(target, path), 0);
	assert_refused("File exists");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/nowhere/at/all", path), 0);
	assert_refused("File exists");
	assert_int_equal(unlink(target), 0);
}

static void a_path_that_is_none(void **state)
{
	char text[256] = "unix:/tmp/";
	struct opened opened;

	memset(text + 10, 'x', 5 + 108 - 10);
	opened = open_at(text);
	assert_int_equal(opened.err, ERR_ARGUMENT);
	assert_int_equal(opened.fd, -1);
	assert_true(error.len > 0);
	assert_int_equal(open_at("unix:").err, ERR_ARGUMENT);
	assert_int_equal(open_at("9797").err, ERR_ARGUMENT);
	assert_int_equal(open_at("unix:/nowhere/at/all/admin.sock").err, ERR_IO);
	assert_non_null(strstr(buf_string(&error), "No such file or directory"));
}

/* Another has taken its place: that one's is not removed. */
static void only_its_own_is_removed(void **state)
{
	struct opened first = open_at(listen_text), second;

	assert_int_equal(unlink(path), 0);
	second = open_at(listen_text);
	assert_int_equal(second.err, 0);
	close_it(&first);
	assert_int_equal(connecting(), 0);
	close_it(&second);
	assert_false(is_there());
	second = open_at(listen_text);
	assert_int_equal(unlink(path), 0);
	close_it(&second);
}

/* Though a child that still drains has it open. */
static void removed_while_another_process_has_it(void **state)
{
	struct opened opened = open_at(listen_text);
	int copy = dup(opened.fd);

	assert_true(copy >= 0);
	assert_int_equal(connecting(), 0);
	close_it(&opened);
	assert_false(is_there());
	close(copy);
}

/* All find a stale one at the same time: exactly one gets the address, and it answers. */
static void many_at_once(void **state)
{
	enum { PROCESSES = 12, ROUNDS = 20 };

	for (int round = 0; round < ROUNDS; round++) {
		pid_t children[PROCESSES];
		int go[2], stop[2], tried[2], got = 0;
		char byte;

		leave_stale();
		assert_int_equal(pipe(go) | pipe(stop) | pipe(tried), 0);
		for (int i = 0; i < PROCESSES; i++) {
			children[i] = fork();
			assert_true(children[i] >= 0);
			if (children[i] != 0)
				continue;
			close(go[1]);
			close(stop[1]);
			(void)!read(go[0], &byte, 1);

			struct opened opened = open_at(listen_text);

			/* It keeps it until all have tried. */
			(void)!write(tried[1], "", 1);
			(void)!read(stop[0], &byte, 1);
			_exit(opened.err ? 2 : opened.fd >= 0);
		}
		close(go[1]);
		for (int i = 0; i < PROCESSES; i++)
			assert_int_equal(read(tried[0], &byte, 1), 1);
		assert_int_equal(connecting(), 0);
		close(stop[1]);
		for (int i = 0; i < PROCESSES; i++) {
			int status;

			assert_int_equal(waitpid(children[i], &status, 0), children[i]);
			assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
			got += WEXITSTATUS(status);
		}
		close(go[0]);
		close(stop[0]);
		close(tried[0]);
		close(tried[1]);
		assert_int_equal(got, 1);
		assert_int_equal(connecting(), ECONNREFUSED);
		unlink(path);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(none),
		TEST(tcp),
		TEST(a_unix_socket),
		TEST(in_use_by_another),
		TEST(a_stale_one_is_replaced),
		TEST(a_file_is_left_alone),
		TEST(a_directory_is_left_alone),
		TEST(a_link_is_left_alone),
		TEST(a_path_that_is_none),
		TEST(only_its_own_is_removed),
		TEST(removed_while_another_process_has_it),
		TEST(many_at_once),
	};

	return cmocka_run_group_tests_name("admin_socket", tests, NULL, NULL);
}
