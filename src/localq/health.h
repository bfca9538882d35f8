/*
 * Whether the store can keep what is sent: for GET /_health. Set where transactions are committed,
 * asked where HTTP is answered; both may run on threads of their own.
 */
#ifndef LOCALQ_HEALTH_H
#define LOCALQ_HEALTH_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#define HEALTH_REASON_MAX 256
#define HEALTH_TEXT_MAX (2 * HEALTH_REASON_MAX + 128)

struct health {
	uv_mutex_t mutex;
	bool failing;
	int64_t since_epoch_ms;
	char reason[HEALTH_REASON_MAX];
};

/* 0 or ERR_NOMEM. */
int health_init(struct health *health);
void health_destroy(struct health *health);

/* A transaction failed; the first failure in a row sets the time. */
void health_failed(struct health *health, const char *reason, int64_t now_epoch_ms);
/* A transaction that wrote something has been committed. */
void health_recovered(struct health *health);

/* {"status":"ok"} or {"status":"failing",...}; the HTTP status that says the same: 200 or 503. */
int health_report(struct health *health, char ret[HEALTH_TEXT_MAX]);

#endif
