/*
 * The ECS agent's task scale-in protection endpoint. Pure, hostile input.
 * Source: ECS developer guide, "Amazon ECS task scale-in protection endpoint".
 */
#ifndef AWS_INSTANCE_TASK_PROTECTION_CODEC_H
#define AWS_INSTANCE_TASK_PROTECTION_CODEC_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

#define TASK_PROTECTION_MAX_BYTES ((size_t)16 << 10)
#define TASK_PROTECTION_REASON_SIZE 512

/*
 * From the value of ECS_AGENT_URI (NULL: not set) appends the URL of the endpoint. 0; ERR_NOMEM; or
 * ERR_CONFIG with a sentence: not set, no URL, more than 2048 bytes, a query or a fragment in it,
 * or a host that a container's credentials may not be asked from over plain http
 * (credentials/container_uri.h).
 */
int task_protection_uri(
	const char *agent_uri, struct buf *url, char reason[TASK_PROTECTION_REASON_SIZE]);

/*
 * What the answer to PUT says. `held`: what was asked for. 0 when that is set now; else a sentence
 * of printable ASCII in `reason`, and ERR_REFUSED ("failure": the task cannot be protected), what
 * aws/error_codes.h makes of an "error" or of the status, ERR_PROTOCOL, or ERR_NOMEM.
 */
int task_protection_read(int status, const char *text, size_t len, bool held,
	char reason[TASK_PROTECTION_REASON_SIZE]);

#endif
