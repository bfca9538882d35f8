/*
 * The delivery core in an invented world: a queue, a failure queue, providers and a clock, all in
 * virtual time, around the real core. Everything that the core asks of the three tables is checked
 * when it asks, and the whole after every step of the clock, against the promises; the first thing
 * that breaks one fails the test and says when.
 *
 *	struct world w;
 *
 *	world_init(&w, &(struct world_options){.concurrency = 2});
 *	world_add(&w, 5);
 *	world_start(&w);
 *	world_run_to(&w, 3 * S);
 *	world_end(&w);
 *
 * BUNSHIN_TEST_TRACE=1 prints what happens. BUNSHIN_TEST_MEMCHECK=1, for valgrind, checks the whole
 * after one step in 64 only: it costs more there than the rest, and other runs check each time.
 */
#ifndef TESTS_DELIVERY_WORLD_H
#define TESTS_DELIVERY_WORLD_H

#include "base/manual_clock.h"
#include "delivery/delivery.h"
#include "fake_list.h"
#include "fake_queue.h"
#include "fake_target.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MS UINT64_C(1000)
#define S (1000 * MS)
#define HOUR (3600 * S)
#define WORLD_EPOCH_MS INT64_C(1800000000000) /* wall time at instant 0 */
#define WORLD_LANES_MAX 4
#define WORLD_EVENTS_MAX 4096

/* Zero is a default everywhere. */
struct world_options {
	uint64_t seed;
	const char *label;    /* said when a check fails */
	unsigned lanes;	      /* destinations, named "lane0", "lane1", ...; 1 */
	unsigned concurrency; /* of each; 10 */
	unsigned lane_concurrency[WORLD_LANES_MAX]; /* of one */
	unsigned receivers;
	unsigned wait_s;	/* 20; WORLD_NO_WAIT: 0 */
	unsigned visibility_s;	/* 30 */
	size_t held_bytes;	/* unlimited */
	unsigned max_attempts;	/* 10 */
	struct backoff backoff; /* 1 s, 300 s */
	int64_t grace_ms;	/* 10 s; WORLD_NO_GRACE: 0 */
	bool failure_queue;
	/* A FIFO queue, and a core that keeps the order of its groups. */
	bool fifo;
	struct ledger *ledger; /* of the core; the test's own */
	bool doubts;	       /* on_control_wanted is of use */
	unsigned fleet_hosts;
	/* Has a last word on each destination. */
	void (*adjust)(struct delivery_destination *destination, unsigned lane);
};

#define WORLD_NO_WAIT 1000
#define WORLD_NO_GRACE INT64_MIN

/* What the observer was told. */
struct world_event {
	enum delivery_event_kind kind;
	uint64_t at_us;
	size_t message; /* SIZE_MAX: none */
	int err;
	int64_t delay_ms;
	enum delivery_event_kind of; /* DELIVERY_RECIPIENTS */
	size_t recipients;
	char destination[16], operation[32], reason[96];
};

struct world {
	struct manual_clock clock;
	struct world_options options;
	struct fake_queue queue, failure_queue;
	struct fake_target targets[WORLD_LANES_MAX];
	struct fake_list list;
	struct metrics *metrics;
	struct delivery *delivery; /* NULL before world_start and after world_free_delivery */
	struct world_event events[WORLD_EVENTS_MAX];
	size_t event_count;
	size_t event_totals[DELIVERY_QUEUE_CONNECTED + 1];
	uint64_t left[DELIVERY_LEFT_DROPPED + 1]; /* of this core's messages, how they left */
	uint64_t told, kept; /* events; those that had been told at the latest before_delete */
	size_t world_timers; /* timers in the heap that are not the core's */
	size_t live_batches;
	uint64_t attempts_before; /* of cores before this one */
	unsigned restarts;
	bool random_is_fixed;
	uint64_t random_fixed;
	unsigned long timers_set; /* by the core, again or anew */
	unsigned long fail_timer; /* the n-th timer that the core sets anew from now on fails */
	unsigned long fail_timers_more; /* and so many after it */
	unsigned long failed_timers;
	bool short_of_memory;	/* what the core cannot do for want of memory is forgiven */
	size_t forgotten;	/* messages received but, for want of memory, not taken */
	struct control control; /* in force */
	bool doubted;		/* it is in doubt */
	unsigned control_wanted;
	void (*on_control_wanted)(struct world *world); /* NULL: control is never doubted */
	bool draining, inside_drain;
	unsigned drained; /* how often drain_done was called */
	size_t drained_held;
	uint64_t drained_us;
	bool free_when_drained;
	bool trace;
	unsigned long steps; /* of the clock */
	/* Sees each event as it is told. */
	void (*on_event)(struct world *world, const struct delivery_event *event);
	bool duplicates_are_fine; /* a message that was accepted may be sent again */
};

/* Everything but the core; then the core. world_init_core returns delivery_new()'s code. */
void world_init_outside(struct world *world, const struct world_options *options);
int world_init_core(struct world *world);
void world_init(struct world *world, const struct world_options *options);
/* Frees the core, checks that nothing of it is left, lets an hour pass, frees the rest. */
void world_end(struct world *world);
/* The first half of it: the core is gone afterwards and nothing of it may move again. */
void world_free_delivery(struct world *world);

/* After world_free_delivery: another core, with metrics of its own, in the same world. */
void world_restart(struct world *world);

/* Adds messages to the source queue, visible now; the index of the first. */
size_t world_add(struct world *world, size_t count);
/* One with attributes, NULL-terminated triples of name, type, value. */
size_t world_add_with(struct world *world, const char *const attributes[]);
/* One with a body of its own. */
size_t world_add_body(struct world *world, const char *body);
/* `count` of one message group (fifo). */
size_t world_add_group(struct world *world, const char *group_id, size_t count);

void world_start(struct world *world);
void world_drain(struct world *world);
/* As the core's own; checks from now on that nothing is started against it. */
void world_set_control(struct world *world, const struct control *control);
void world_doubt_control(struct world *world);
void world_trust_control(struct world *world);

/* One timer; false: nothing is set any more. */
bool world_step(struct world *world);
void world_run_to(struct world *world, uint64_t instant_us);
/* Until the source queue is empty and the core holds nothing; fails past the limit. */
void world_run_until_done(struct world *world, uint64_t limit_us);
/*
 * Two worlds of one time: workers that share nothing but what their cores were given. From one and
 * the same instant to another, step by step in order.
 */
void world_run_both_to(struct world *a, struct world *b, uint64_t instant_us);

/* Seconds of visibility that a message's receive was put back with; fails when it was not. */
unsigned world_returned_for(struct world *world, size_t message, uint32_t receipt);

uint64_t world_now_us(const struct world *world);
int64_t world_wall_ms(const struct world *world);
struct delivery_stats world_stats(const struct world *world);
/* The n-th event (0: the first) of a kind; fails when there is none. */
const struct world_event *world_event(struct world *world, enum delivery_event_kind kind, size_t n);

/* Fails the running test with the instant and the label. */
_Noreturn void world_fail(const struct world *world, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void world_trace(const struct world *world, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Memory that allocation failures spare. Never NULL; free() it. */
void *world_alloc(size_t size);
void *world_grow(void *old, size_t old_size, size_t size);
char *world_copy(const char *text, size_t size);
/* Timers of the world itself. They never fail. */
void world_timer_set(struct world *world, struct clock_timer *timer, uint64_t due_us);
void world_timer_clear(struct world *world, struct clock_timer *timer);
/* First thing in a `fire` of the world's. */
void world_timer_fired(struct world *world);
uint64_t world_random(struct world *world);

#endif
