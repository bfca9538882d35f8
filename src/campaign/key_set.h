/*
 * The recipient keys that were met so far: for duplicates in a list, and for those that a
 * suppression file names.
 *
 * It keeps 80 bits of a keyed hash of each, 10 bytes and what open addressing leaves free: at most
 * 36 MiB for two million, and never two tables at a time, since it grows a 256th part after the
 * other. Two different keys of n are taken for one with a probability below n^2 / 2^81: 2e-12 for
 * two million. Pure.
 */
#ifndef CAMPAIGN_KEY_SET_H
#define CAMPAIGN_KEY_SET_H

#include "base/siphash.h"

#include <stddef.h>
#include <stdint.h>

enum key_set_answer { KEY_NEW, KEY_DUPLICATE, KEY_SUPPRESSED };

struct key_set;

/* hash_key: random bytes, so that nobody can make two keys collide. 0 or ERR_NOMEM. */
int key_set_new(const uint8_t hash_key[SIPHASH_KEY_BYTES], struct key_set **ret_set);
void key_set_free(struct key_set *set); /* NULL is fine */

/* Whoever has this key is not to be sent anything. 0 or ERR_NOMEM. Twice is once. */
int key_set_suppress(struct key_set *set, const char *key, size_t bytes);
/* Notes a recipient's key and says whether it was known; or ERR_NOMEM. */
int key_set_add(struct key_set *set, const char *key, size_t bytes);

uint64_t key_set_count(const struct key_set *set); /* different keys, suppressed ones included */
size_t key_set_bytes(const struct key_set *set);   /* memory held */

#endif
