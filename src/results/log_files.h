/*
 * The files of outcome logs in a directory. Private to results.
 *
 * Each process that writes has a number N of its own there:
 *
 *	outcomes-N.jsonl	what is being written now
 *	outcomes-N.jsonl.S	what was written before it, S counting up from 1; the file that is
 *being written will be the next S outcomes-N.position	up to where it was sent to the results
 *queue. Whoever has this one locked (flock) has the number
 *
 * A process that ends gives its number up, however it ends; the next one that starts takes the
 * lowest that is free and goes on with its files.
 */
#ifndef RESULTS_LOG_FILES_H
#define RESULTS_LOG_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_NUMBERS_MAX 10000
#define LOG_NAME_SIZE 64
#define LOG_SEQUENCE_MAX (UINT64_C(1) << 53)

/* Of a number: a place in what was ever written under it. Value type. */
struct log_position {
	uint64_t sequence; /* of the file; 0: unknown, everything that is there comes after it */
	uint64_t offset;   /* in it */
};

/* A number that is held. Zeroed: none. */
struct log_number {
	bool held;
	unsigned number;
	int directory, lock; /* descriptors */
	uint64_t sequence;   /* that outcomes-N.jsonl has */
	struct log_position sent;
};

/*
 * Opens the directory, makes it (0750) when it is missing and its parent is there. The descriptor,
 * or a negative errno.
 */
int log_files_open(const char *directory);

/* Takes the lowest number that is free. 0 or a negative errno (EMFILE: all are taken). */
int log_files_take(int directory, struct log_number *ret_number);
/*
 * Takes the next number above `after` (-1: any) that is free and has something in its files that
 * has not been sent. False: there is none, or it cannot be found out. The next call goes on with
 * the number that this one took.
 */
bool log_files_adopt(int directory, int after, struct log_number *ret_number);
/* Gives it up. A zeroed one is fine. The directory stays open. */
void log_files_release(struct log_number *number);

/* What is there up to it has been sent. 0 or a negative errno: it will be sent again one day. */
int log_files_set_sent(struct log_number *number, struct log_position position);
/* The file of a sequence for reading; a negative errno. */
int log_files_read(const struct log_number *number, uint64_t sequence);
/* The lowest sequence above `sequence` of which there is a file: number->sequence at the end. */
uint64_t log_files_next(const struct log_number *number, uint64_t sequence);
/* Bytes in its files behind what has been sent. */
uint64_t log_files_unsent(const struct log_number *number);

/* outcomes-N.jsonl for appending, made (0640) when it is missing; a negative errno. */
int log_files_write(const struct log_number *number);
/* outcomes-N.jsonl becomes the former one; sequence is one more. 0 or a negative errno. */
int log_files_rotate(struct log_number *number);

/*
 * Deletes former files, of all numbers, until they have at most keep bytes together: what has been
 * sent first, the oldest first. Without `unsent` (nobody sends them), by age alone. Returns
 * how many bytes of what it deleted had not been sent.
 */
uint64_t log_files_prune(int directory, uint64_t keep, bool unsent);

#endif
