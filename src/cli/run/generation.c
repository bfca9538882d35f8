#include "cli/run/generation.h"

#include "base/log.h"
#include "bunshin/error.h"
#include "cli/run/outcomes.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Those that this process may run on: a container's or a unit's CPU set is one of them. */
static unsigned online_cores(void)
{
	cpu_set_t cores;

	if (sched_getaffinity(0, sizeof(cores), &cores))
		return 1;
	return (unsigned)CPU_COUNT(&cores);
}

static int read_config(const struct run_request *request, struct config **ret, struct buf *errors)
{
	const struct config_override overrides[] = {
		{"queue.url", request->url, "--queue-url"},
		{"queue.endpoint", request->endpoint, "--endpoint"},
		{"workers", request->workers, "--workers"},
		{"admin.listen", request->admin_listen, "--admin-listen"},
	};
	int err = config_load(request->path, &config_process_environment, overrides,
		sizeof(overrides) / sizeof(overrides[0]), ret, errors);

	/* A file that cannot be read is the user's to mend like one that is wrong. */
	return err == ERR_NOMEM || err == 0 ? err : ERR_CONFIG;
}

static int check_complete(const struct config *config, const char *path, struct buf *errors)
{
	if (!config->queue.url) {
		buf_appendf(errors, "%s: no queue: set queue.url or give --queue-url\n", path);
		return ERR_CONFIG;
	}
	if (config->destination_count == 0) {
		buf_appendf(errors, "%s: no destination is configured\n", path);
		return ERR_CONFIG;
	}
	return 0;
}

static void count_workers(struct generation *generation)
{
	const struct config *config = generation->config;

	generation->workers_min = (unsigned)config->workers.min;
	generation->workers_max = (unsigned)config->workers.max;
	if (generation->workers_max == 0)
		generation->workers_min = generation->workers_max = online_cores();
}

static bool is_same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static int open_listener(
	struct generation *generation, const struct generation *before, struct buf *errors)
{
	const char *listen = generation->config->admin.listen;
	struct listener *listener;
	int err;

	/* One that was in use by another may be free by now. */
	if (before && before->listener->fd >= 0 &&
		is_same_text(listen, before->config->admin.listen)) {
		generation->listener = before->listener;
		generation->listener->generations++;
		return 0;
	}
	listener = calloc(1, sizeof(*listener));
	if (!listener)
		return ERR_NOMEM;
	err = admin_socket_open(listen, &listener->fd, listener->address, &listener->file, errors);
	if (err) {
		free(listener);
		return err;
	}
	listener->generations = 1;
	generation->listener = listener;
	return 0;
}

static void release_listener(struct listener *listener)
{
	if (!listener || --listener->generations > 0)
		return;
	admin_socket_close(listener->fd, listener->address, &listener->file);
	free(listener);
}

int generation_load(const struct run_request *request, unsigned number,
	const struct generation *before, struct generation **ret_generation, struct buf *errors)
{
	struct generation *generation = calloc(1, sizeof(*generation));
	int err;

	if (!generation)
		return ERR_NOMEM;
	generation->number = number;
	err = read_config(request, &generation->config, errors);
	if (!err)
		err = check_complete(generation->config, request->path, errors);
	if (!err) {
		if (!before)
			log_configure(generation->config->log.level, generation->config->log.format,
				STDERR_FILENO, NULL);
		count_workers(generation);
		err = host_open(&generation->host, generation->config,
			before ? &before->host : NULL, errors);
		if (!err)
			err = outcomes_check(generation->config->outcomes.path, errors);
		if (!err)
			err = open_listener(generation, before, errors);
		if (err)
			buf_append_string(errors, "\n");
	}
	if (err) {
		generation_free(generation);
		return err;
	}
	*ret_generation = generation;
	return 0;
}

void generation_free(struct generation *generation)
{
	if (!generation)
		return;
	release_listener(generation->listener);
	host_close(&generation->host);
	config_free(generation->config);
	free(generation);
}
