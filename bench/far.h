/*
 * What the programs that stand for something far away have in common: a server on loopback, in one
 * thread, that looks for bytes and at what is due about once in a millisecond, as something far
 * away would answer late anyway. They share two cores with what is measured: a server that wakes
 * for each request takes twice the CPU time. Whatever goes wrong ends the program with a line on
 * stderr.
 */
#ifndef BENCH_FAR_H
#define BENCH_FAR_H

#include "bunshin/clock.h"

#include <stdbool.h>

/*
 * Bytes wait for half of it until they are read, and what is due for half of it, on average. It
 * drifts through the kernel's own ticks, by which that samples how busy the machine is.
 */
#define FAR_TICK_US UINT64_C(1037)

/* CLOCK_MONOTONIC. */
uint64_t far_now_us(void);

/* Embedded in what its owner keeps about a connection. */
struct far_socket {
	int fd; /* -1: closed */
	void (*readable)(struct far_socket *socket);
};

/*
 * Takes connections on a free port of 127.0.0.1; says "listening on http://127.0.0.1:PORT", and
 * serves until a SIGTERM ends the program with 0. `taken` is called with each new connection's
 * descriptor.
 */
_Noreturn void far_serve(void (*taken)(int fd));

/* `readable` is called while there are bytes, or an end. It is closed by far_close() alone. */
void far_watch(struct far_socket *socket, int fd, void (*readable)(struct far_socket *socket));

/* Its memory may be freed by a timer, not before: the socket may have an event in this tick. */
void far_close(struct far_socket *socket);

/* What was read, at most `room`; 0: nothing now; -1: it has ended. */
long far_read(const struct far_socket *socket, void *bytes, size_t room);

/* All of it, waiting while the other side does not read. False: that has ended. */
bool far_write(const struct far_socket *socket, const void *bytes, size_t len);

/* `fire`, which is filled in, is called once after that time, outside of every `readable`. */
void far_after(struct clock_timer *timer, uint64_t delay_us);

#endif
