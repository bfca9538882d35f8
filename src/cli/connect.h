/*
 * The way from a queue URL to a ready SQS client: credentials, region, endpoint.
 */
#ifndef CLI_CONNECT_H
#define CLI_CONNECT_H

#include "aws/credentials.h"
#include "aws/sqs_client.h"
#include "base/buf.h"
#include "bunshin/clock.h"

#include <uv.h>

/* Zeroed before connect_open(); everything in it is owned by it. */
struct connect {
	struct credentials *credentials;
	struct sqs_client *client;
};

/*
 * endpoint, else AWS_ENDPOINT_URL_SQS, else AWS_ENDPOINT_URL, else the host of queue_url. The
 * region is read from queue_url, else AWS_REGION, else AWS_DEFAULT_REGION, else it is
 * us-east-1 (a host that names no region is not AWS's). Credentials: the environment; asked for at
 * once, so that a missing key is an error here and not at the first call.
 *
 * 0, or an error code with a sentence for people in `error`; connect_close() is needed after
 * either.
 */
int connect_open(struct connect *connect, uv_loop_t *loop, struct clock clock,
	const char *queue_url, const char *endpoint, struct buf *error);
/* Closes the client; the credentials go too, so no call may be started afterwards. */
void connect_close(struct connect *connect);

#endif
