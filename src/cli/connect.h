/*
 * The way from a queue URL to a ready SQS client: settings, endpoint, region, credentials.
 */
#ifndef CLI_CONNECT_H
#define CLI_CONNECT_H

#include "aws/credentials/provider.h"
#include "aws/endpoint_choice.h"
#include "aws/imds.h"
#include "aws/settings.h"
#include "aws/sqs_client.h"
#include "aws/sts.h"
#include "base/buf.h"
#include "bunshin/clock.h"

#include <stdbool.h>
#include <uv.h>

struct connect_options {
	const char *queue_url;
	const char *endpoint; /* NULL: none is configured */
	bool allow_insecure;  /* plain http to SQS and STS on another machine */
	/*
	 * True: when credentials cannot be had just now it is logged, the search goes on, and the
	 * client's calls wait for it. False: it is an error.
	 */
	bool patient;
	/*
	 * Of struct runtime: connect_open() gives up once this is not 0. NULL: nobody interrupts.
	 */
	const unsigned *interrupts;
};

/*
 * Zeroed before connect_open(); everything in it is owned by it, and it stays where it is until
 * connect_close(). What could be found out before an error is there after it.
 */
struct connect {
	struct aws_settings *settings;
	struct endpoint_choice endpoint, sts_endpoint; /* named_by NULL: not known */
	struct http_client *metadata;
	struct credentials_context context;
	struct imds *imds; /* while the instance's region is asked for */
	struct sts *sts;
	struct credentials *credentials;
	struct sqs_client *client;
};

/*
 * Chooses endpoint and region (aws/endpoint_choice.h), and looks for credentials: environment,
 * profile, web identity, container, and, where no container says otherwise, the EC2 instance. Runs
 * the loop until that search has ended. From inside the loop it may be called only when the
 * environment holds the keys and the queue is on this machine, since then nothing is waited for.
 *
 * 0, or an error code with a sentence for people in `error`: ERR_CONFIG (settings, endpoint,
 * region), ERR_ARGUMENT (queue_url is none), ERR_CANCELLED (interrupted), ERR_NO_CREDENTIALS or a
 * provider's code of class auth or permanent (there are none), a transient one (unless patient),
 * ERR_NOMEM, ERR_IO. connect_close() is needed after any.
 */
int connect_open(struct connect *connect, uv_loop_t *loop, struct clock clock,
	const struct connect_options *options, struct buf *error);
/* Closes the client; the credentials go too, so no call may be started afterwards. */
void connect_close(struct connect *connect);

#endif
