#include "far.h"

#include "base/timer_heap.h"
#include "wire.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_MAX 256
#define BACKLOG 16384
#define UNREAD_MAX_MS 60000 /* the other side reads nothing for so long: it hangs */

static int poller;
static struct timer_heap timers;
static struct far_socket listener;
static void (*on_taken)(int fd);
static volatile sig_atomic_t stopped;

uint64_t far_now_us(void)
{
	return now_ns() / 1000;
}

void far_watch(struct far_socket *socket, int fd, void (*readable)(struct far_socket *socket))
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = socket};

	socket->fd = fd;
	socket->readable = readable;
	if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) != 0)
		die("epoll_ctl: %s", strerror(errno));
}

void far_close(struct far_socket *socket)
{
	if (socket->fd >= 0)
		close(socket->fd);
	socket->fd = -1;
}

long far_read(const struct far_socket *socket, void *bytes, size_t room)
{
	ssize_t got = recv(socket->fd, bytes, room, MSG_DONTWAIT);

	if (got > 0)
		return got;
	return got < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

bool far_write(const struct far_socket *socket, const void *bytes, size_t len)
{
	const char *left = bytes;

	while (len > 0) {
		ssize_t sent = send(socket->fd, left, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		struct pollfd room = {.fd = socket->fd, .events = POLLOUT};

		if (sent >= 0) {
			left += sent;
			len -= (size_t)sent;
		} else if (errno != EAGAIN) {
			return false;
		} else if (poll(&room, 1, UNREAD_MAX_MS) == 0) {
			die("nobody reads what is sent");
		}
	}
	return true;
}

void far_after(struct clock_timer *timer, uint64_t delay_us)
{
	if (timer_heap_set(&timers, timer, far_now_us() + delay_us) != 0)
		die("out of memory");
}

static void take(struct far_socket *socket)
{
	int fd;

	while ((fd = wire_accept(socket->fd)) >= 0)
		on_taken(fd);
	if (errno != EAGAIN && errno != ECONNABORTED)
		die("accept: %s", strerror(errno));
}

static void on_stop(int number)
{
	stopped = number;
}

static void sleep_until_tick(void)
{
	uint64_t tick_us = (far_now_us() / FAR_TICK_US + 1) * FAR_TICK_US;
	struct timespec until = {
		.tv_sec = (time_t)(tick_us / 1000000), .tv_nsec = (long)(tick_us % 1000000 * 1000)};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static void read_all(void)
{
	struct epoll_event events[EVENTS_MAX];
	int count;

	do {
		count = epoll_wait(poller, events, EVENTS_MAX, 0);
		for (int i = 0; i < count; i++) {
			struct far_socket *socket = events[i].data.ptr;

			if (socket->fd >= 0)
				socket->readable(socket);
		}
	} while (count == EVENTS_MAX);
}

static void fire_due(void)
{
	uint64_t now = far_now_us();
	struct clock_timer *first;

	while ((first = timer_heap_first(&timers)) != NULL && first->due_us <= now) {
		timer_heap_clear(&timers, first);
		first->fire(first);
	}
}

_Noreturn void far_serve(void (*taken)(int fd))
{
	struct sigaction stop = {.sa_handler = on_stop};
	int port;

	sigaction(SIGTERM, &stop, NULL);
	on_taken = taken;
	poller = epoll_create1(EPOLL_CLOEXEC);
	far_watch(&listener, wire_listen(BACKLOG, &port), take);
	printf("listening on http://127.0.0.1:%d\n", port);
	fflush(stdout);
	while (!stopped) {
		sleep_until_tick();
		read_all();
		fire_due();
	}
	_exit(0); /* connections are open */
}
