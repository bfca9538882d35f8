#include "cli/run/service_manager.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>
#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

void service_notify(const char *state)
{
#ifdef HAVE_SYSTEMD
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (strcmp(state, "RELOADING=1") == 0)
		sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
			(uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
	else
		sd_notify(0, state);
#else
	(void)state;
#endif
}

int64_t service_watchdog_ms(void)
{
	uint64_t usec = 0;

#ifdef HAVE_SYSTEMD
	if (sd_watchdog_enabled(0, &usec) <= 0)
		return 0;
#endif
	return (int64_t)(usec / 1000);
}
