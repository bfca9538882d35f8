/*
 * A path to a server that is farther away than it is: what comes from there comes so much
 * later, of which a request's way takes half a tick of far.h and an answer's the rest.
 *
 *	far_path --to http://ADDRESS:PORT --after MILLISECONDS
 */
#include "far.h"

#include "base/list.h"
#include "wire.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_MAX ((size_t)256 << 10)

/* Bytes on their way. */
struct chunk {
	struct chunk *next;
	uint64_t sent_us;
	size_t len; /* 0: the end */
	char bytes[];
};

/* One connection here and one there. */
struct path {
	struct far_socket near, far;
	struct clock_timer timer;    /* of the first chunk; or the path is over */
	struct chunk *first, **last; /* from afar */
};

static struct wire_address address;
static uint64_t after_us;

static struct chunk *take_first(struct path *path)
{
	struct chunk *chunk = path->first;

	path->first = chunk->next;
	if (path->first == NULL)
		path->last = &path->first;
	return chunk;
}

static void end(struct path *path)
{
	far_close(&path->near);
	far_close(&path->far);
	far_after(&path->timer, 0);
}

static void on_due(struct clock_timer *timer)
{
	struct path *path = list_entry(timer, struct path, timer);
	struct chunk *chunk;
	uint64_t now = far_now_us(), due_us;
	bool open = path->near.fd >= 0;

	if (!open) {
		while (path->first != NULL)
			free(take_first(path));
		free(path);
		return;
	}
	while (open && path->first != NULL && path->first->sent_us + after_us <= now) {
		chunk = take_first(path);
		open = chunk->len > 0 && far_write(&path->near, chunk->bytes, chunk->len);
		free(chunk);
	}
	if (!open) {
		end(path);
	} else if (path->first != NULL) {
		due_us = path->first->sent_us + after_us;
		far_after(&path->timer, due_us > now ? due_us - now : 0);
	}
}

static void on_far(struct far_socket *socket)
{
	struct path *path = list_entry(socket, struct path, far);
	static char bytes[CHUNK_MAX];
	long got = far_read(socket, bytes, sizeof(bytes));
	size_t len = got > 0 ? (size_t)got : 0;
	struct chunk *chunk;

	if (got == 0)
		return;
	chunk = malloc(sizeof(*chunk) + len);
	if (chunk == NULL)
		die("out of memory");
	*chunk = (struct chunk){.sent_us = far_now_us(), .len = len};
	memcpy(chunk->bytes, bytes, len);
	if (path->first == NULL)
		far_after(&path->timer, after_us);
	*path->last = chunk;
	path->last = &chunk->next;
	if (got < 0)
		far_close(socket);
}

static void on_near(struct far_socket *socket)
{
	struct path *path = list_entry(socket, struct path, near);
	static char bytes[CHUNK_MAX];
	long got = far_read(socket, bytes, sizeof(bytes));

	/* Once the far end is gone only what is on the way from there counts. */
	if (got < 0)
		end(path);
	else if (got > 0 && path->far.fd >= 0 && !far_write(&path->far, bytes, (size_t)got))
		end(path);
}

static void on_taken(int fd)
{
	struct path *path = calloc(1, sizeof(*path));

	if (path == NULL)
		die("out of memory");
	path->timer.fire = on_due;
	path->last = &path->first;
	far_watch(&path->near, fd, on_near);
	far_watch(&path->far, wire_connect(&address), on_far);
}

static _Noreturn void usage(void)
{
	die("far_path --to http://ADDRESS:PORT --after MILLISECONDS");
}

int main(int argc, char **argv)
{
	static const struct option table[] = {
		{"to", required_argument, NULL, 't'}, {"after", required_argument, NULL, 'a'}, {0}};
	const char *to = NULL;
	double after_ms = -1;
	int option;

	while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
		if (option == 't')
			to = optarg;
		else if (option != 'a' || sscanf(optarg, "%lf", &after_ms) != 1)
			usage();
	}
	if (optind != argc || to == NULL || !(after_ms >= 0))
		usage();
	wire_parse(to, &address);
	after_us = (uint64_t)(after_ms * 1000);
	after_us -= after_us < FAR_TICK_US ? after_us : FAR_TICK_US;
	far_serve(on_taken);
}
