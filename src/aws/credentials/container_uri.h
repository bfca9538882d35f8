/* Where a container's credentials are asked for. Pure. */
#ifndef AWS_CREDENTIALS_CONTAINER_URI_H
#define AWS_CREDENTIALS_CONTAINER_URI_H

#include "aws/credentials.h"
#include "base/buf.h"

#include <stdbool.h>

#define CONTAINER_HOST "http://169.254.170.2" /* of the ECS agent; RELATIVE_URI is under it */

/*
 * From the values of AWS_CONTAINER_CREDENTIALS_RELATIVE_URI (wins) and _FULL_URI, NULL where unset,
 * appends the URL. Returns 0; ERR_NOT_FOUND: neither is set; ERR_CONFIG with a sentence in
 * `reason`; ERR_NOMEM.
 *
 * The request carries a token and its answer secret keys, so plain http is for hosts that are this
 * machine or its own hypervisor's or orchestrator's: 127.0.0.0/8, [::1], localhost, 169.254.170.2
 * (ECS), 169.254.170.23 and [fd00:ec2::23] (EKS).
 */
int container_uri(const char *relative, const char *full, struct buf *url,
	char reason[CREDENTIALS_REASON_MAX]);

/*
 * The same of a URL from another variable, which the reason names: 0, or ERR_CONFIG with a
 * sentence.
 */
int container_uri_check(const char *variable, const char *uri, char reason[CREDENTIALS_REASON_MAX]);

/* Can be an Authorization header: printable ASCII, and there is some. */
bool container_token_is_valid(const char *token);

#endif
