/*
 * Wakes a loop from another thread, as uv_async_t does. libuv 1.44's lets the woken loop spin until
 * the sender is back from its write (uv__async_spin): with two threads that wake each other all the
 * time that is a twentieth of their CPU time.
 */
#ifndef BASE_WAKEUP_H
#define BASE_WAKEUP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>

/* Embedded by its user; the fields are private. */
struct wakeup {
	uv_poll_t poll;
	int fd;
	atomic_bool sent; /* and not seen yet */
	void (*woken)(void *arg);
	void (*closed)(void *arg);
	void *arg;
};

/*
 * On the loop's thread. The loop lives as long as this is open. Returns 0, or ERR_IO with nothing
 * to close.
 */
int wakeup_open(uv_loop_t *loop, struct wakeup *wakeup, void (*woken)(void *arg), void *arg);

/*
 * From any thread: woken() is called on the loop's, after this; once, or once for several. What was
 * written before is visible there.
 */
void wakeup_send(struct wakeup *wakeup);

/*
 * On the loop's thread, when no other one sends any more. woken() is not called again; closed(arg),
 * if it is not NULL, when the memory may go, on a later turn.
 */
void wakeup_close(struct wakeup *wakeup, void (*closed)(void *arg));

#endif
