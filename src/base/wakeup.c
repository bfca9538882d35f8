#include "base/wakeup.h"

#include "base/list.h"
#include "bunshin/error.h"

#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct wakeup *wakeup = list_entry(poll, struct wakeup, poll);
	uint64_t count;
	ssize_t got = read(wakeup->fd, &count, sizeof(count));

	(void)status; /* an eventfd has no errors */
	(void)events;
	(void)got;
	/* Before woken() looks: what is sent from here on wakes again. */
	atomic_store(&wakeup->sent, false);
	wakeup->woken(wakeup->arg);
}

int wakeup_open(uv_loop_t *loop, struct wakeup *wakeup, void (*woken)(void *arg), void *arg)
{
	wakeup->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (wakeup->fd < 0)
		return ERR_IO;
	if (uv_poll_init(loop, &wakeup->poll, wakeup->fd) < 0) {
		close(wakeup->fd);
		return ERR_IO;
	}
	atomic_init(&wakeup->sent, false);
	wakeup->woken = woken;
	wakeup->arg = arg;
	uv_poll_start(&wakeup->poll, UV_READABLE, on_readable);
	return 0;
}

void wakeup_send(struct wakeup *wakeup)
{
	uint64_t one = 1;
	ssize_t written;

	if (atomic_exchange(&wakeup->sent, true))
		return;
	/* Cannot block, nor fail: the count is at most 1. */
	written = write(wakeup->fd, &one, sizeof(one));
	(void)written;
}

static void on_closed(uv_handle_t *handle)
{
	struct wakeup *wakeup = list_entry((uv_poll_t *)handle, struct wakeup, poll);

	if (wakeup->closed != NULL)
		wakeup->closed(wakeup->arg);
}

void wakeup_close(struct wakeup *wakeup, void (*closed)(void *arg))
{
	wakeup->closed = closed;
	uv_close((uv_handle_t *)&wakeup->poll, on_closed);
	close(wakeup->fd);
}
