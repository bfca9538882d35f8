#include "cli/runtime.h"

#include "base/loop_clock.h"
#include "bunshin/error.h"

#include <assert.h>
#include <signal.h>
#include <sys/resource.h>

static void signalled(uv_signal_t *handle, int number)
{
	struct runtime *runtime = handle->data;

	runtime->on_signal(runtime->arg, ++runtime->signal_count);
}

static void hung_up(uv_signal_t *handle, int number)
{
	struct runtime *runtime = handle->data;

	runtime->on_hangup(runtime->arg);
}

static int watch(struct runtime *runtime, uv_signal_t *handle, uv_signal_cb callback, int number)
{
	if (uv_signal_init(&runtime->loop, handle))
		return ERR_IO;
	handle->data = runtime;
	/* Waiting for a signal alone must not keep the loop alive. */
	uv_unref((uv_handle_t *)handle);
	return uv_signal_start(handle, callback, number) ? ERR_IO : 0;
}

/* Each connection is a descriptor, and the soft limit is often 1024: what is allowed is taken. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int runtime_open(struct runtime *runtime, void (*on_signal)(void *arg, unsigned count), void *arg)
{
	int err;

	*runtime = (struct runtime){.on_signal = on_signal, .arg = arg};
	raise_descriptor_limit();
	if (uv_loop_init(&runtime->loop))
		return ERR_IO;
	err = loop_clock_new(&runtime->loop, &runtime->loop_clock);
	if (err) {
		uv_loop_close(&runtime->loop);
		return err;
	}
	runtime->clock = loop_clock_table(runtime->loop_clock);
	if (!on_signal)
		return 0;
	err = watch(runtime, &runtime->signals[0], signalled, SIGTERM);
	if (!err)
		err = watch(runtime, &runtime->signals[1], signalled, SIGINT);
	if (err)
		runtime_close(runtime);
	return err;
}

int runtime_watch_hangup(struct runtime *runtime, void (*on_hangup)(void *arg))
{
	runtime->on_hangup = on_hangup;
	return watch(runtime, &runtime->signals[2], hung_up, SIGHUP);
}

int runtime_await(uv_loop_t *loop, const bool *answered, const unsigned *interrupts)
{
	while (!*answered) {
		if (interrupts && *interrupts)
			return ERR_CANCELLED;
		if (!uv_run(loop, UV_RUN_ONCE) && !*answered)
			return ERR_IO;
	}
	/* A signal that came together with the answer would be forgotten otherwise. */
	return interrupts && *interrupts ? ERR_CANCELLED : 0;
}

void runtime_close(struct runtime *runtime)
{
	for (size_t i = 0; i < sizeof(runtime->signals) / sizeof(runtime->signals[0]); i++)
		if (runtime->signals[i].data)
			uv_close((uv_handle_t *)&runtime->signals[i], NULL);
	loop_clock_close(runtime->loop_clock);
	/* Again: a uv_stop() from before makes the first run end early. */
	while (uv_run(&runtime->loop, UV_RUN_DEFAULT))
		;
	int left = uv_loop_close(&runtime->loop);
	assert(left == 0);
	(void)left;
}
