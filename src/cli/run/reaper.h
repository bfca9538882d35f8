/*
 * What the first process of a container owes to the others: orphans become its children, and remain
 * as zombies until it waits for them.
 */
#ifndef CLI_RUN_REAPER_H
#define CLI_RUN_REAPER_H

#include "bunshin/clock.h"

#include <sys/types.h>

struct reaper {
	struct clock clock;
	struct clock_timer timer;
	pid_t seen; /* a zombie that was there at the last look */
};

/*
 * From now on takes up a zombie that has been there for two looks, a second apart: this process's
 * own children, which libuv waits for, are gone by then. Where this process is not the first one it
 * does nothing.
 */
void reaper_start(struct reaper *reaper, struct clock clock);
void reaper_stop(struct reaper *reaper);

#endif
