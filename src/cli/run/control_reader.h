/*
 * Reads the tags of the queue that say what its workers are to do (delivery/control.h), now and
 * then.
 *
 * While there is work, every 5 s, a second more or less by chance so that the hosts of a fleet do
 * not ask at once; while there is none, not at all: whoever gets work then asks first
 * (worker_control.h). A reading that failed is made again after 5 s, 10, 20, 40 and at most 60 s:
 * an account's calls for tags share 30 a second, which 150 busy hosts use up, and then each reads a
 * little less often. Where tags may not be read (no permission, or a service that has none) it is
 * tried once a minute.
 */
#ifndef CLI_RUN_CONTROL_READER_H
#define CLI_RUN_CONTROL_READER_H

#include "aws/sqs_client.h"
#include "bunshin/clock.h"
#include "cli/run/control_board.h"

#define CONTROL_INTERVAL_MIN_US UINT64_C(4000000)
#define CONTROL_INTERVAL_MAX_US UINT64_C(6000000)
#define CONTROL_DENIED_US UINT64_C(60000000)
#define CONTROL_WORDS_SIZE 700

struct control_reader;

/*
 * A reading has ended. err 0: news are what it found. Else they are what was known before but for
 * `readable`, and `words` say why, for people. news->readable false with an error: the tags may not
 * be read, which is no failure of this moment. From the loop.
 */
typedef void control_reader_told(
	void *arg, int err, const struct control_news *news, const char *words);

struct control_reader_options {
	struct clock clock;
	struct sqs_client *client;
	const char *queue_url;
	/* It tells changes, bad tags and failures in the log: of the readers of a host one. */
	bool speaks;
	control_reader_told *told;
	void *arg;
};

/* All is borrowed and outlives it. before (may be NULL): what is in force already. 0, ERR_NOMEM. */
int control_reader_new(const struct control_reader_options *options,
	const struct control_news *before, struct control_reader **ret_reader);
/* Before the client goes. NULL is fine. */
void control_reader_free(struct control_reader *reader);

/* Asks now, unless it does so already. 0, or the error of a request that could not be sent: then
 * `told` is not called. */
int control_reader_ask(struct control_reader *reader);
/* To be called each second; works: there is something that control is about. */
void control_reader_tick(struct control_reader *reader, bool works);
const struct control_news *control_reader_news(const struct control_reader *reader);

#endif
