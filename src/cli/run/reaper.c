#include "cli/run/reaper.h"

#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#define INTERVAL_US 1000000

/* The next that waits to be reaped; 0: none. It goes on waiting. */
static pid_t peek(void)
{
	siginfo_t info = {.si_pid = 0};

	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 ? info.si_pid : 0;
}

static void look(struct clock_timer *timer)
{
	struct reaper *reaper =
		(struct reaper *)(void *)((char *)timer - offsetof(struct reaper, timer));
	pid_t pid;

	clock_timer_after(reaper->clock, timer, INTERVAL_US);
	pid = peek();
	if (pid != 0 && pid == reaper->seen) {
		waitpid(pid, NULL, WNOHANG);
		pid = peek();
	}
	reaper->seen = pid;
}

void reaper_start(struct reaper *reaper, struct clock clock)
{
	*reaper = (struct reaper){.clock = clock, .timer = {.fire = look}};
	if (getpid() == 1)
		clock_timer_after(clock, &reaper->timer, INTERVAL_US);
}

void reaper_stop(struct reaper *reaper)
{
	clock_timer_clear(reaper->clock, &reaper->timer);
}
