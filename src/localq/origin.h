/*
 * Which requests of browsers are taken. Without signatures whoever reaches the port may send and
 * purge, and a browser reaches it for every page that its user visits: so what a foreign page asks
 * is refused, and what a page of ours asks under a name that a stranger could have (http/origin.h
 * says which).
 */
#ifndef LOCALQ_ORIGIN_H
#define LOCALQ_ORIGIN_H

#include "http/origin.h"

/* Why it is refused: a sentence for people, static. NULL: it is not. `hosts` are the operator's. */
const char *origin_refusal(
	const struct origin_request *request, const char *const hosts[], size_t host_count);

#endif
