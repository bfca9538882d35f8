/*
 * What can be changed over the admin port: POST /control/pause and /control/resume, with the token
 * (guard.h). Private to admin; docs/operations.md has it for users.
 *
 * Answers are JSON: {"ok":true,"paused":true,"words":"..."}, or {"ok":false,"error":"...",
 * "command":"..."} with what to run instead.
 *
 *	200	done
 *	401	no token, or a wrong one
 *	403	of a foreign page; or there is no token, and so nobody may
 *	405	not POST
 *	409	another change is under way
 *	429	a second has not passed since a wrong token
 *	502	the queue refuses it: its words are in `error`
 */
#ifndef ADMIN_CONTROL_H
#define ADMIN_CONTROL_H

#include "admin/admin.h"
#include "admin/guard.h"
#include "http/server.h"

#include <stdint.h>

struct control_door {
	const struct admin_options *options; /* borrowed */
	struct guard guard;
	struct http_call *waiting; /* for admin_changed(); NULL: none */
	bool pausing;		   /* what it waits for */
};

void control_door_init(struct control_door *door, const struct admin_options *options);
/* Is it about this? Then control_door_handle() answers the call, or keeps it. */
bool control_door_is_at(const char *path);
void control_door_handle(struct control_door *door, struct http_call *call, uint64_t now_ms);
/* Answers the call that waits, if it still does. */
void control_door_changed(struct control_door *door, const char *error);

#endif
