/* A chain of credentials over scripted providers, in virtual time. */
#ifndef TEST_CHAIN_WORLD_H
#define TEST_CHAIN_WORLD_H

#include "aws/credentials.h"
#include "scripted_provider.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define PROVIDERS 3

extern struct manual_clock manual;
extern struct scripted scripted[PROVIDERS];
extern struct credentials *credentials;
extern const struct credentials_set *set; /* of the last get that gave one */
extern char reason[CREDENTIALS_REASON_MAX];
extern char changes[1000]; /* " ready:1 stale:1": what the observer was told */

/* For cmocka: nothing but the clock and the providers; that nothing is left. */
int setup(void **state);
int teardown(void **state);
/* The first `count` providers, as scripted. */
void open_chain(size_t count);

void advance_ms(int64_t ms);
/* What is due now. */
void turn(void);
int64_t now_ms(void);
/* The random number that the chain will draw next. */
uint64_t next_random(void);

/* credentials_get(), into `set` and `reason`. */
int get(void);
void assert_keys(unsigned number, uint64_t generation);
void assert_none(int err, const char *why);
void assert_state(enum credentials_state state);
/* Nobody is asked before delay_ms are over, and then somebody is. */
void assert_asked_after(struct scripted *one, int64_t delay_ms);

/* A waiter, and what it does when it fires. */
struct recorder {
	struct credentials_waiter waiter;
	unsigned fired;
	unsigned again; /* times to wait again */
	struct recorder *unwaits;
	bool gets, refuses, frees;
};

void wait_for(struct recorder *recorder);

#endif
