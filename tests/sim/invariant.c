#include "invariant.h"

#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name, *words;
} rows[INVARIANTS] = {
#define X(name, words) [name] = {#name, words},
	INVARIANT_LIST(X)
#undef X
};

/* The run under way, for assertions. */
static struct sim *under_way;

const char *invariant_name(enum invariant invariant)
{
	return rows[invariant].name;
}

const char *invariant_words(enum invariant invariant)
{
	return rows[invariant].words;
}

enum invariant invariant_named(const char *name)
{
	int i = 0;

	while (i < INVARIANTS && strcmp(rows[i].name, name) != 0)
		i++;
	return (enum invariant)i;
}

void invariant_broken(
	struct sim *sim, enum invariant invariant, const struct mail *mail, const char *format, ...)
{
	struct verdict *verdict = &sim->verdict;
	va_list args;

	verdict->broken = true;
	verdict->invariant = invariant;
	verdict->at_us = sim->now_us;
	verdict->mail = mail ? mail->index : TRACE_NONE;
	va_start(args, format);
	vsnprintf(verdict->words, sizeof(verdict->words), format, args);
	va_end(args);
	longjmp(sim->broken, 1);
}

void invariant_watch(struct sim *sim)
{
	under_way = sim;
}

void invariant_assertion(
	const char *assertion, const char *file, unsigned line, const char *function)
{
	const char *slash = strrchr(file, '/');

	if (!under_way) {
		fprintf(stderr, "%s:%u: %s: assertion failed: %s\n", file, line, function,
			assertion);
		abort();
	}
	invariant_broken(under_way, INV_ASSERT, NULL, "%s:%u: %s: %s", slash ? slash + 1 : file,
		line, function, assertion);
}

bool invariant_has_expired(const struct worker *worker, const struct mail *mail)
{
	return worker_wall_ms(worker) >= mail->deadline_wall_ms ||
	       worker->host->wall_max_ms >= mail->deadline_wall_ms;
}
