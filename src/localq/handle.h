/*
 * Receipt handles: where a message lies and which receive handed it out, sealed so that a made-up
 * one is told from a stale one. 40 characters of base64.
 */
#ifndef LOCALQ_HANDLE_H
#define LOCALQ_HANDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HANDLE_TEXT_BYTES 40 /* without the NUL */
#define HANDLE_KEY_BYTES 16

struct handle {
	int64_t message;     /* the row */
	int64_t received_ms; /* when this receive was, for the 12 hours; below 2^48 */
	uint32_t lane;	     /* the lane it was received from (store.h) */
	uint32_t receives;   /* the message's receive count then: tells this receive from others */
};

void handle_write(const struct handle *handle, const uint8_t key[HANDLE_KEY_BYTES],
	char ret[HANDLE_TEXT_BYTES + 1]);
/* False: nothing that handle_write made with this key. */
bool handle_read(
	const char *text, size_t len, const uint8_t key[HANDLE_KEY_BYTES], struct handle *ret);

#endif
