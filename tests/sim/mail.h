/*
 * One message of the run: what is in it, where the queue has it, and what is known of its life,
 * which the invariants are about.
 */
#ifndef SIM_MAIL_H
#define SIM_MAIL_H

#include "base/list.h"
#include "bunshin/queue.h"
#include "events.h"
#include "plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim;
struct mail;

enum mail_place {
	MAIL_TO_COME,
	MAIL_VISIBLE,
	MAIL_IN_FLIGHT,
	/* The ends. */
	MAIL_DELETED,
	MAIL_REDRIVEN, /* in the queue's own dead-letter queue */
	MAIL_LEFT,     /* hopeless, and watched for long enough */
};

/* What is known on one host of an idempotency key at a destination: what its ledger must know. */
struct key_facts {
	bool ever_accepted;	  /* a worker here was told so */
	bool accepted;		  /* and has had the time to write it down */
	int64_t accepted_wall_ms; /* when a worker here was told */
	int64_t claimed_wall_ms;  /* no attempt of before is out after this; INT64_MIN: none is */
};

struct mail_key {
	struct key_facts host[PLAN_HOSTS_MAX];
	unsigned accepted; /* by the provider, told or not */
};

/* One receive of a message: its handle, and what became of it. */
struct receipt {
	struct mail *mail;
	uint32_t index; /* among all receipts: what its handle says */
	uint32_t nth;	/* 1: the message's first */
	uint32_t life;	/* of the worker that asked for it */
	unsigned worker;
	struct list node;     /* in the worker's list, from arrival to settlement */
	uint64_t received_us; /* by the queue's clock */
	uint64_t arrived_us;  /* at the worker; 0: not yet */
	uint64_t believed_us; /* virtual instant up to which the worker may think it has it */
	uint64_t asked_us;    /* when its receive was started */
	uint64_t extended_us; /* when its latest extension was answered */
	uint64_t accepted_us; /* when the worker was told of its acceptance */
	uint64_t ended;	      /* which of the worker's events told what became of it; 0: none yet */
	unsigned extensions_out, attempts_out;
	bool lost;	    /* the worker has given it up */
	bool unsent_delete; /* the worker wants to delete it without a send */
	bool called_off;    /* since its campaign is cancelled */
	bool started, accepted, copy_issued, copied, delete_issued, delete_told, return_issued,
		return_done;
};

struct mail {
	struct sim *sim;
	uint32_t index;
	/* Content */
	char *body;
	size_t body_bytes;
	struct queue_attribute attributes[QUEUE_ATTRIBUTES_MAX];
	size_t attribute_count;
	size_t strings_bytes; /* of everything, each with its NUL */
	char id[16];
	char idempotency_key[24];
	char group_id[12];	    /* "": none */
	int64_t deadline_wall_ms;   /* INT64_MAX: none */
	int64_t not_before_wall_ms; /* INT64_MIN: none */
	bool malformed;
	bool refused;	   /* the provider will never take it */
	bool hopeless;	   /* it may stay in the queue for good */
	int destination;   /* -1: none that exists */
	unsigned campaign; /* operator_campaigns, or past them */
	struct mail_key *key;
	/* In the queue */
	enum mail_place place;
	struct list node;   /* standard: among the visible ones */
	struct event event; /* comes, or is visible again */
	uint32_t receive_count;
	struct receipt *latest;
	struct mail *group_before, *group_next; /* FIFO: its neighbours in the group */
	struct group *group;
	int64_t sent_wall_ms, first_wall_ms;
	bool came_back;	 /* once deleted */
	bool seen_twice; /* still visible after its latest receive */
	/* Its life */
	bool ended; /* counted as such */
	uint32_t starts, accepted_told, failed_told, cancelled, cut, outlived;
	uint32_t accepted; /* by the provider, told or not */
	uint32_t copies, copies_told;
	bool expired_somewhere, called_off;
};

/* FIFO: the messages of one group, in order. */
struct group {
	struct mail *last;	/* of all that will ever be */
	struct mail *unsettled; /* the first one whose turn may not be over yet */
	struct mail *undeleted; /* the first one that may still be in the queue */
	struct list visible;	/* in order */
	unsigned in_flight;
	struct list node; /* in the queue's list of groups that can be received from */
};

/* Everything about message `index`; it is not in the queue yet. */
void mail_make(struct sim *sim, uint32_t index);
/* When it is put into the queue. */
uint64_t mail_put_us(const struct sim *sim, uint32_t index);

#endif
