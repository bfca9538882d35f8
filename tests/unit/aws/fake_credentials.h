/*
 * Keys under a test's own control, in the place of src/aws/credentials.c: the same functions, as
 * aws/credentials.h promises them, for the tests of what the client does with each of their
 * answers. What credentials_new() is given is not asked; the keys are AKIDEXAMPLE, until told.
 */
#ifndef TESTS_FAKE_CREDENTIALS_H
#define TESTS_FAKE_CREDENTIALS_H

#include "aws/credentials.h"

/* From now on get() says this. err 0: keys of this id, of a generation of their own. */
void fake_credentials_say(
	struct credentials *credentials, int err, const char *id, const char *reason);
/* Whether refused() begins a search (true), or says that no other keys can be had. */
void fake_credentials_renewable(struct credentials *credentials, bool renewable);
/* Searches that refused() has begun. */
unsigned fake_credentials_searches(const struct credentials *credentials);
/* A search has ended: those who wait are told. */
void fake_credentials_found(struct credentials *credentials);
/* How many wait. */
size_t fake_credentials_waiting(const struct credentials *credentials);

#endif
