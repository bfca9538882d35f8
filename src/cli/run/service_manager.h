/*
 * What the service manager is told (sd_notify(3)), where there is one.
 */
#ifndef CLI_RUN_SERVICE_MANAGER_H
#define CLI_RUN_SERVICE_MANAGER_H

#include <stdint.h>

/*
 * "READY=1\nSTATUS=receiving"; "RELOADING=1" gets the time that must go with it. Without a service
 * manager it does nothing.
 */
void service_notify(const char *state);
/* How often it wants to hear WATCHDOG=1, in milliseconds; 0: never. */
int64_t service_watchdog_ms(void);

#endif
