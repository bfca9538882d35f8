/*
 * Queues that are declared beforehand, as `bunshin queue --config` does: each is created or, when
 * it is there, brought in line. What a declaration does not name stays as it is; no queue is ever
 * deleted. The same operations do it that clients call, so the same rules hold.
 */
#ifndef LOCALQ_DECLARE_H
#define LOCALQ_DECLARE_H

#include "localq/fault.h"

#include <stdbool.h>
#include <stddef.h>

struct service;

/* An attribute (SQS's names) or a tag. */
struct declared_pair {
	const char *name, *value;
};

/* Everything borrowed. */
struct declaration {
	const char *name;
	const struct declared_pair *attributes; /* without RedrivePolicy and FifoQueue */
	size_t attribute_count;
	const struct declared_pair *tags;
	size_t tag_count;
	/* The dead-letter queue, declared anywhere in the list or there; "": none; NULL: as it is.
	 */
	const char *redrive_queue;
	unsigned max_receives;
	/* Set by declare_queues. */
	enum { DECLARED_AS_IT_WAS, DECLARED_CREATED, DECLARED_CHANGED } outcome;
};

struct declarations {
	struct declaration *list;
	size_t count;
	/* Set with ERR_REFUSED: which one was refused, whether for its dead-letter queue, and why.
	 */
	size_t refused;
	bool refused_redrive;
	struct problem problem;
};

/*
 * Creates and changes in one transaction of its own, so on an error nothing is created, also when
 * the process dies on the way. Returns 0; ERR_REFUSED; ERR_STORE or ERR_NOMEM, `detail`
 * (STORE_DETAIL_MAX bytes) then saying what is wrong.
 */
int declare_queues(struct service *service, struct declarations *declarations, char *detail);

/*
 * Checks without a store, each FAULT_NONE or with the problem filled: a name with its .fifo, one
 * attribute, one tag.
 */
enum fault declare_check_name(const char *name, struct problem *problem);
enum fault declare_check_attribute(const char *name, const char *value, struct problem *problem);
enum fault declare_check_tag(const char *name, const char *value, struct problem *problem);

#endif
