/*
 * What went wrong, in groups: messages and attempts that failed in the same way, with how many they
 * were and one of them as a sample. Pure: tables of rows without pointers, so that they can lie in
 * memory that processes share, and be added up.
 */
#ifndef SUPERVISOR_FAILURES_H
#define SUPERVISOR_FAILURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAILURES_MAX 24 /* groups of one worker, and of all of them together */
#define FAILURE_DESTINATION_SIZE 68
#define FAILURE_CLASS_SIZE 16
#define FAILURE_REASON_SIZE 160
#define FAILURE_ID_SIZE 104
#define FAILURE_CAMPAIGN_SIZE 68
#define FAILURE_ANSWER_SIZE 516

enum failure_outcome {
	FAILURE_FAILED,	     /* terminal: copied to the failure queue */
	FAILURE_FAILED_LEFT, /* terminal: left to the queue's redrive policy */
	FAILURE_EXPIRED,     /* past its deadline, not sent */
	FAILURE_LOST,	     /* visibility ran out */
	FAILURE_RETRYING,    /* an attempt, and there will be another */
	FAILURE_OUTCOMES
};

struct failure_group {
	/* What they have in common. */
	uint32_t outcome; /* enum failure_outcome; below FAILURE_OUTCOMES */
	int32_t status;	  /* 0: there was no answer */
	char destination[FAILURE_DESTINATION_SIZE]; /* "": none is known */
	char class[FAILURE_CLASS_SIZE];
	char reason[FAILURE_REASON_SIZE];
	/* How many, and when the latest was. */
	uint64_t count;
	int64_t last_ms;
	/* One of them, lately; texts "" where there is nothing to say. */
	char message_id[FAILURE_ID_SIZE];
	char campaign[FAILURE_CAMPAIGN_SIZE];
	char request_id[FAILURE_ID_SIZE];
	char answer[FAILURE_ANSWER_SIZE];
	uint32_t attempt;
	uint32_t unused; /* 0: no bytes of the memory are left as they were */
};

struct failures {
	size_t count;
	struct failure_group groups[FAILURES_MAX];
};

/* The group that has those things in common with `like`; NULL: there is none. */
struct failure_group *failures_find(struct failures *failures, const struct failure_group *like);
/*
 * The same, or a new one with these things, of no failures yet; when the table is full, that of the
 * group of which nothing was heard for longest, which is forgotten.
 */
struct failure_group *failures_get(struct failures *failures, const struct failure_group *like);
/* Adds all groups of `from`; the sample is that of the later one. */
void failures_add(struct failures *failures, const struct failures *from);
/* Of a table of any bytes: ends its texts, and takes out the groups that there cannot be. */
void failures_mend(struct failures *failures);
/* The latest first. */
void failures_sort(struct failures *failures);

/* "failed", "failed_left", "expired", "lost", "retrying"; static. */
const char *failure_outcome_name(enum failure_outcome outcome);
/* Copies a text, cut between two characters, and fills the rest with zeros; NULL: "". */
void failure_text(char *to, size_t size, const char *from, size_t len);

#endif
