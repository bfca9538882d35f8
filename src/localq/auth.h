/*
 * Checks the AWS Signature Version 4 of a request (SigV4, tasks 1-4). A pure function of its
 * arguments; it shares nothing with the client's signer on purpose.
 */
#ifndef LOCALQ_AUTH_H
#define LOCALQ_AUTH_H

#include "localq/fault.h"
#include "localq/hasher.h"

#include <stddef.h>
#include <stdint.h>

#define AUTH_SKEW_MAX_S (15 * 60)
#define AUTH_HEADERS_MAX 64

struct auth_header {
	const char *name; /* in any case */
	const char *value;
};

/* Borrowed. */
struct auth_request {
	const char *method;
	const char *path;		   /* decoded */
	const struct auth_header *headers; /* in the order of arrival */
	size_t header_count;
	const char *body;
	size_t body_bytes;
};

struct auth_key {
	const char *access_key;
	const char *secret_key;
	const char *region;
};

/*
 * FAULT_NONE: the request was signed with this key at most AUTH_SKEW_MAX_S from `now_epoch_s`,
 * with host and every x-amz- header under the signature. Otherwise why not, `problem` filled:
 * NO_SIGNATURE, INCOMPLETE_SIGNATURE, UNKNOWN_KEY, BAD_SIGNATURE (a wrong date included, as SQS
 * does), INTERNAL (out of memory).
 */
enum fault auth_check(struct hasher *hasher, const struct auth_key *key,
	const struct auth_request *request, int64_t now_epoch_s, struct problem *problem);

#endif
