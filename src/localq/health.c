#include "localq/health.h"

#include "bunshin/error.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

int health_init(struct health *health)
{
	memset(health, 0, sizeof(*health));
	return uv_mutex_init(&health->mutex) == 0 ? 0 : ERR_NOMEM;
}

void health_destroy(struct health *health)
{
	uv_mutex_destroy(&health->mutex);
}

void health_failed(struct health *health, const char *reason, int64_t now_epoch_ms)
{
	uv_mutex_lock(&health->mutex);
	if (!health->failing)
		health->since_epoch_ms = now_epoch_ms;
	health->failing = true;
	snprintf(health->reason, sizeof(health->reason), "%s", reason);
	uv_mutex_unlock(&health->mutex);
}

void health_recovered(struct health *health)
{
	uv_mutex_lock(&health->mutex);
	health->failing = false;
	uv_mutex_unlock(&health->mutex);
}

/* The database's words as JSON: printable ASCII as it is, the rest as question marks. */
static void escape(const char *text, char *ret)
{
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			*ret++ = '\\';
		*ret++ = *text >= 0x20 && *text < 0x7f ? *text : '?';
	}
	*ret = '\0';
}

int health_report(struct health *health, char ret[HEALTH_TEXT_MAX])
{
	char reason[2 * HEALTH_REASON_MAX];
	bool failing;

	uv_mutex_lock(&health->mutex);
	failing = health->failing;
	if (failing) {
		escape(health->reason, reason);
		snprintf(ret, HEALTH_TEXT_MAX,
			"{\"status\":\"failing\",\"reason\":\"%s\",\"since\":%" PRId64 "}\n",
			reason, health->since_epoch_ms);
	} else {
		snprintf(ret, HEALTH_TEXT_MAX, "{\"status\":\"ok\"}\n");
	}
	uv_mutex_unlock(&health->mutex);
	return failing ? 503 : 200;
}
