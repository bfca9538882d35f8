/*
 * A worker's admin port: its metrics, and the checks behind /readyz.
 */
#ifndef CLI_ADMIN_PORT_H
#define CLI_ADMIN_PORT_H

#include "base/buf.h"
#include "cli/worker.h"

#include <uv.h>

struct admin_port;

/*
 * Opens it on `listen` (NULL: none) and logs where. The worker is borrowed and outlives the port. 0
 * with *ret_port NULL when there is none, or when the address is in use: another worker of the host
 * has it, which is a warning, since delivery matters more. Otherwise an error code with a sentence
 * for people in `error`.
 */
int admin_port_open(uv_loop_t *loop, const char *listen, struct worker *worker,
	struct admin_port **ret_port, struct buf *error);
/* The memory of the server goes on a later turn of the loop. NULL is fine, here and below. */
void admin_port_close(struct admin_port *port);

/* As worker_hooks.receive_result. */
void admin_port_receive_result(struct admin_port *port, int err, const char *detail);

#endif
