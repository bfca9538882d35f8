/*
 * The machine that this runs on, as the configuration wants it watched and protected
 * (aws/instance/instance.h); what becomes of it goes to the log.
 */
#ifndef CLI_RUN_MONITOR_INSTANCE_H
#define CLI_RUN_MONITOR_INSTANCE_H

#include "aws/instance/instance.h"
#include "base/buf.h"
#include "cli/connect.h"
#include "config/config.h"

/* The configuration asks for any of it. */
bool monitor_instance_is_needed(const struct config *config);
/*
 * connect: open; borrowed, as the configuration. leave: as in struct instance_options. 0, or an
 * error code with a sentence in `error`.
 */
int monitor_instance_open(const struct config *config, const struct connect *connect,
	void (*leave)(void *arg, const char *why), void *arg, struct instance **ret_instance,
	struct buf *error);

#endif
