/*
 * A scripted SQS on a plain socket, in the test's own loop: it says byte for byte what it is told
 * to, which a real HTTP server would refuse to, and keeps every request as it came. Around it a
 * world: a loop, a clock in virtual time, credentials and a client. Allocation failures spare it.
 */
#ifndef TESTS_FAKE_SQS_H
#define TESTS_FAKE_SQS_H

#include "aws/sqs_client.h"
#include "base/list.h"
#include "base/manual_clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#define FAKE_STEPS_MAX 512

/* Every test's wall time: 2026-01-02T03:04:05Z, also the Date of fake_answer(). */
#define WORLD_EPOCH_MS 1767323045000

struct fake_request {
	char *head; /* request line and headers, NUL-terminated */
	char *body;
	size_t body_bytes;
};

struct fake_step {
	char *raw; /* NULL: no answer ever */
	size_t raw_bytes;
	bool close;	   /* cut the connection after that */
	uint64_t delay_ms; /* before that */
};

struct fake_sqs {
	uv_tcp_t listener;
	int port;
	struct list connections;
	struct fake_step steps[FAKE_STEPS_MAX];
	size_t step_count;	    /* request i is answered by step i, */
	struct fake_step otherwise; /* and those past the script by this one, if it is set */
	struct fake_request requests[FAKE_STEPS_MAX];
	size_t request_count;
};

struct world {
	uv_loop_t loop;
	struct manual_clock clock;
	struct credentials *credentials;
	struct fake_sqs fake;
	struct sqs_client *client;
	char endpoint[64];
	char queue_url[96];
};

/* For worlds of other clients. Closing ends on later turns of the loop, freeing is for after that.
 */
void fake_open(struct fake_sqs *fake, uv_loop_t *loop);
void fake_close(struct fake_sqs *fake);
void fake_free(struct fake_sqs *fake);

/* What the next request not yet scripted gets. `raw` is copied. */
struct fake_step *fake_script(struct fake_sqs *fake, const char *raw, size_t raw_bytes);
/* The same with a whole HTTP answer: status, "Name: value\r\n" lines or "", and a body. */
struct fake_step *fake_answer(
	struct fake_sqs *fake, int status, const char *headers, const char *body);
/* No answer, the connection stays open. */
void fake_silence(struct fake_sqs *fake);
/* Closes the oldest connection. */
void fake_hang_up(struct fake_sqs *fake);
/* The answer to all requests past the script. */
void fake_otherwise(struct fake_sqs *fake, int status, const char *body);
/* Value of a header of request i (case of the name does not matter), or NULL; valid till the next.
 */
const char *fake_header(const struct fake_sqs *fake, size_t i, const char *name);

/* Zero in an option means the client's own default. token may be NULL. */
struct world *world_open(const struct sqs_client_options *options, const char *session_token);
/* Turns the loop until *flag is set; a timer of the clock fires as soon as it is set. */
void world_run(struct world *world, const bool *flag);
/* The next two leave the clock alone. Until the fake has had this many requests. */
void world_run_requests(struct world *world, size_t count);
/* Until a timer is set; returns in how many microseconds it fires. */
uint64_t world_run_to_timer(struct world *world);
/* The random number that will be drawn next. */
uint64_t world_next_random(const struct world *world);
/* Closes what is open and demands that the loop closes clean. */
void world_close(struct world *world);

/* How a receive or a batch ended. Zeroed before; a batch that came is let go. */
struct ending {
	bool done;
	int err;
	char detail[600];
	size_t messages;	  /* received */
	struct sqs_client *close; /* from inside of `done` */
};
sqs_receive_done ending_of_receive; /* arg: a struct ending */
sqs_batch_done ending_of_batch;	    /* the same */

#endif
