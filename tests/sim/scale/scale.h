/*
 * The real core in great numbers: thousands of workers and millions of messages in virtual time,
 * within the limits of SQS and of a provider. How long does the last message take, beside what
 * arithmetic says?
 *
 * What goes wrong here is only what load brings about: throttling, limits, visibility that runs
 * out. Faults are the other program's (../sim.h), which keeps a thousand times as much about each
 * message. What must not happen is checked at every call, too (world_broken()).
 */
#ifndef SCALE_SCALE_H
#define SCALE_SCALE_H

#include "base/list.h"
#include "base/mapped_file.h"
#include "base/timer_heap.h"
#include "bunshin/queue.h"
#include "bunshin/target.h"
#include "delivery/delivery.h"
#include "events.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MS UINT64_C(1000)
#define S (1000 * MS)
#define EPOCH_MS INT64_C(1800000000000) /* wall time at instant 0 */
#define HANDLE_MAX 24
#define ID_MAX 16

struct world;

struct options {
	uint64_t seed;
	unsigned workers, workers_per_host;
	uint32_t messages;
	unsigned concurrency;
	bool adaptive;
	uint64_t rate;		     /* a second, of the whole fleet; 0: none is configured */
	uint64_t provider_rate;	     /* 429 above, a second; 0: none */
	uint64_t provider_window_us; /* what it counts in, by its own clock */
	uint64_t provider_us;	     /* the median of its latency */
	size_t in_flight_limit;	     /* of the queue */
	uint64_t queue_rate;	     /* requests a second of each kind; 0: not limited */
	uint64_t queue_min_us, queue_max_us; /* there and back */
	unsigned visibility_s, wait_s;
	uint64_t start_us;		    /* workers start within this time */
	uint64_t deadline_us;		    /* of one message in a hundred; 0: none */
	uint64_t limit_us;		    /* everything has ended by then */
	uint64_t progress_us;		    /* a line to stderr so often; 0: none */
	uint64_t cpu_max_s, memory_max_mib; /* of this program */
};

/* ---- queue.c */

enum api { API_RECEIVE, API_DELETE, API_CHANGE, API_ATTRIBUTES, APIS };

struct queue_call {
	struct event event;
	struct list node; /* in its worker's calls */
	struct list wait; /* among the long polls that wait */
	struct worker *worker;
	enum api api;
	bool coming; /* it has been carried out, the answer is on its way */
	int err;     /* of the whole call */
	size_t count;
	struct queue_receive params;
	uint32_t receipts[QUEUE_BATCH_MAX], serials[QUEUE_BATCH_MAX];
	unsigned visibility_s[QUEUE_BATCH_MAX];
	int results[QUEUE_BATCH_MAX];
	queue_receive_done *receive_done;
	queue_batch_done *batch_done;
	queue_attributes_done *attributes_done;
	void *arg;
	struct queue_call *pool_next;
};

/* One message: nothing but what must be known of ten million. */
struct mail {
	uint16_t receives;
	uint8_t accepted; /* by the provider, told or not */
	bool deleted;
};

/* A receive of a message that is in flight. Its handle says where it lies here, and its serial. */
struct receipt {
	struct event event; /* visible again */
	struct world *world;
	uint32_t mail, serial;
	uint32_t worker;
	uint32_t free_next;
	uint64_t visible_us;
	bool used, attempted, accepted, throttled;
};

/* How many were started in the current window of time. */
struct per_window {
	uint64_t window, count;
};

struct queue_side {
	uint32_t fresh; /* messages from here on were never received */
	uint32_t *back; /* a ring: they were, and are visible again */
	size_t back_first, back_count, back_capacity;
	struct receipt *receipts;
	size_t receipt_count, receipt_capacity;
	uint32_t receipt_free; /* UINT32_MAX: none */
	uint32_t serial;
	size_t in_flight, in_flight_most;
	struct list waiting; /* long polls */
	struct per_window started[APIS];
	uint64_t requests[APIS], throttled, empty_receives, stale_deletes;
	uint64_t backed_off; /* came back after a 429 */
	uint64_t ran_out;    /* came back since their visibility had ended in a worker's hands */
	uint32_t deleted;
	struct queue_call *pool;
};

/* The table of one worker. */
struct queue queue_table(struct worker *worker);
void queue_open(struct world *world);
void queue_close(struct world *world);
/* NULL: it is a receipt no more. */
struct receipt *queue_receipt(struct world *world, const char *handle);
struct receipt *queue_receipt_at(struct world *world, uint32_t index, uint32_t serial);

/* ---- provider.c */

struct target_attempt {
	struct event event;
	struct worker *worker;
	uint32_t receipt, serial, mail;
	uint64_t started_us;
	bool throttled;
	target_done *done;
	void *arg;
	struct target_attempt *pool_next;
};

struct provider_side {
	struct per_window started;
	uint64_t attempts, throttled, out, out_most;
	uint64_t last_accepted_us;
	uint32_t accepted; /* messages, each once */
	uint64_t duplicates;
	struct target_attempt *pool;
};

struct target provider_table(struct worker *worker);
/* The mean of its latency, by the table that it is drawn from. */
uint64_t provider_mean_us(const struct options *options);
void provider_close(struct world *world);

/* ---- worker.c */

struct host {
	struct mapped_file ledger, rates;
	struct rate rate;
};

struct worker {
	struct world *world;
	struct host *host;
	uint32_t index;
	unsigned out;	   /* attempts */
	struct list calls; /* under way */
	struct event start;
	struct delivery *delivery; /* NULL: not started, or over */
	struct metrics *metrics;
	struct ledger ledger;
	uint64_t random;
	uint64_t lag; /* what its timers' lateness is drawn from */
};

void workers_open(struct world *world);
/* All at once: a clean stop. */
void workers_drain(struct world *world);
void workers_close(struct world *world);

/* ---- world.c */

struct world {
	struct options options;
	uint64_t now_us;
	uint64_t random;
	struct events events;
	struct timer_heap timers; /* of all workers */
	uint64_t steps;
	uint64_t progress; /* lines of it that were due */
	struct mail *mails;
	struct queue_side queue;
	struct provider_side provider;
	unsigned host_count;
	struct host *hosts;
	struct worker *workers;
	unsigned running;	     /* workers */
	size_t core_bytes;	     /* memory of one that has not started, with its metrics */
	struct delivery_stats stats; /* of all of them, as they stopped */
};

/* Until every message has ended and every worker has stopped. */
void world_run(struct world *world, const struct options *options);
void world_close(struct world *world);
/* Ends the program: 1, with the instant. */
_Noreturn void world_broken(const struct world *world, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void *world_alloc(size_t count, size_t bytes); /* zeroed, never NULL */
uint64_t world_draw(struct world *world, uint64_t bound);
int64_t world_wall_ms(const struct world *world);
/* One more in this window: whether so many were allowed. limit 0: always. */
bool per_window_take(struct per_window *per, uint64_t now_us, uint64_t window_us, uint64_t limit);
/* INT64_MAX: it has none. */
int64_t mail_deadline_ms(const struct options *options, uint32_t mail);

/* ---- report.c */

/* What arithmetic says. */
struct prediction {
	double per_s;	   /* messages */
	const char *bound; /* what allows no more */
	double ramp_s;	   /* until the workers have started and the first answers are there */
	double total_s;
};

struct prediction report_predict(const struct options *options);
void report_print(const struct world *world, bool json);
/* Where the run is, as a line to stderr. */
void report_progress(const struct world *world);
/* What this program has used so far. */
double report_cpu_s(void);
double report_memory_mib(void);
/* Of any one message. */
unsigned report_most_receives(const struct world *world);
/* To SQS, for a message. */
double report_requests(const struct world *world);
/* The last acceptance by the prediction. */
double report_ratio(const struct world *world);

#endif
