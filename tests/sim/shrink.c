#include "shrink.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define RUNS_MAX 1000 /* of each of the passes */
#define SHOWN_IDS 60  /* more are not worth a command line */

struct shrinking {
	struct sim_options options;
	enum invariant invariant;
	unsigned runs;
};

static bool breaks(
	struct shrinking *shrinking, const struct fault_set *faults, const struct fault_set *mails)
{
	static struct sim sim;
	struct sim_options options = shrinking->options;
	bool same;

	options.keep_trace = options.record_faults = false;
	options.only_faults = faults;
	options.only_mails = mails;
	shrinking->runs++;
	sim_run(&sim, &options);
	same = sim.verdict.broken && sim.verdict.invariant == shrinking->invariant;
	sim_end(&sim);
	return same;
}

/* Removes what is not needed, chunk by chunk, the chunks ever smaller (Zeller's ddmin). */
static void minimise(struct shrinking *shrinking, struct fault_set *set, struct fault_set *faults,
	struct fault_set *mails)
{
	uint32_t *kept = malloc((set->count + 1) * sizeof(kept[0]));
	unsigned runs_max = shrinking->runs + RUNS_MAX;
	size_t chunk = set->count;

	if (!kept)
		abort();
	while (chunk > 0 && shrinking->runs < runs_max) {
		bool removed = false;

		for (size_t at = 0; at < set->count && shrinking->runs < runs_max;) {
			struct fault_set whole = *set;
			size_t n = set->count - at < chunk ? set->count - at : chunk;

			memcpy(kept, set->ids, at * sizeof(kept[0]));
			memcpy(kept + at, set->ids + at + n,
				(set->count - at - n) * sizeof(kept[0]));
			*set = (struct fault_set){.ids = kept, .count = set->count - n};
			if (breaks(shrinking, faults, mails)) {
				memcpy(whole.ids, kept, set->count * sizeof(kept[0]));
				whole.count = set->count;
				removed = true;
			} else {
				at += n;
			}
			*set = whole;
		}
		if (chunk > 1)
			chunk = (chunk + 1) / 2;
		else if (!removed)
			break;
	}
	free(kept);
}

/* Often the message concerned is all that is needed. */
static void keep_one(struct shrinking *shrinking, struct fault_set *mails,
	const struct fault_set *faults, uint32_t mail)
{
	struct fault_set one = {.ids = &mail, .count = 1};

	if (mail == TRACE_NONE || !breaks(shrinking, faults, &one))
		return;
	mails->ids[0] = mail;
	mails->count = 1;
}

/* All faults that came in the failing run. */
static void find_faults(const struct sim_options *from, struct fault_set *ret)
{
	static struct sim sim;
	struct sim_options options = *from;

	options.record_faults = true;
	options.keep_trace = false;
	sim_run(&sim, &options);
	*ret = sim.faults.fired;
	sim.faults.fired = (struct fault_set){0};
	sim_end(&sim);
	fault_set_sort(ret);
}

static void print_set(const char *option, const char *format, const struct fault_set *set, FILE *to)
{
	fprintf(to, " %s ", option);
	if (!set->count)
		fputs("none", to);
	for (size_t i = 0; i < set->count; i++) {
		if (i)
			fputc(',', to);
		if (*format == 'x')
			fprintf(to, "%" PRIx32, set->ids[i]);
		else
			fprintf(to, "%" PRIu32, set->ids[i]);
	}
}

/* The last run, with its trace, and how to have it again. */
static void print_run(const struct sim_options *options, FILE *to)
{
	static struct sim sim;
	struct sim_options last = *options;
	bool few;

	last.keep_trace = true;
	sim_run(&sim, &last);
	few = last.only_mails && last.only_mails->count <= 6;
	trace_print(&sim.trace, few ? TRACE_NONE : sim.verdict.mail, true, to);
	fprintf(to, "%s broken at %.6f s: %s\n", invariant_name(sim.verdict.invariant),
		(double)sim.verdict.at_us / 1e6, sim.verdict.words);
	fprintf(to, "(%s: %s)\n", invariant_name(sim.verdict.invariant),
		invariant_words(sim.verdict.invariant));
	fprintf(to, "again: bunshin-sim --seed %" PRIu64 " --messages %zu", last.seed,
		last.messages);
	if (last.classes != FAULTS_ALL) {
		fputs(" --faults ", to);
		if (!last.classes)
			fputs("none", to);
		for (unsigned class = 0, any = 0; class < FAULT_CLASSES; class ++)
			if (last.classes >> class & 1)
				fprintf(to, "%s%s", any++ ? "," : "", fault_class_name(class));
	}
	if (last.only_faults && last.only_faults->count <= SHOWN_IDS)
		print_set("--only-faults", "x", last.only_faults, to);
	if (last.only_mails && last.only_mails->count <= SHOWN_IDS)
		print_set("--only-messages", "u", last.only_mails, to);
	fputs(" --trace --brief\n", to);
	sim_end(&sim);
}

void shrink_report(
	const struct sim_options *options, const struct verdict *verdict, bool shrink, FILE *to)
{
	struct shrinking shrinking = {.options = *options, .invariant = verdict->invariant};
	struct fault_set faults = {0}, mails = {0};
	size_t all;

	fprintf(to, "seed %" PRIu64 ": %s broken at %.6f s: %s\n", options->seed,
		invariant_name(verdict->invariant), (double)verdict->at_us / 1e6, verdict->words);
	fflush(to);
	if (!shrink) {
		fprintf(to, "again: bunshin-sim --seed %" PRIu64 " --messages %zu\n", options->seed,
			options->messages);
		return;
	}
	find_faults(options, &faults);
	all = faults.count;
	mails.ids = malloc(options->messages * sizeof(mails.ids[0]));
	if (!mails.ids)
		abort();
	for (uint32_t i = 0; i < options->messages; i++)
		if (!options->only_mails || fault_set_has(options->only_mails, i))
			mails.ids[mails.count++] = i;
	keep_one(&shrinking, &mails, &faults, verdict->mail);
	minimise(&shrinking, &faults, &faults, &mails);
	minimise(&shrinking, &mails, &faults, &mails);
	minimise(&shrinking, &faults, &faults, &mails);
	fprintf(to, "shrunk in %u runs to %zu of %zu faults and %zu of %zu messages:\n",
		shrinking.runs, faults.count, all, mails.count, options->messages);
	shrinking.options.only_faults = &faults;
	shrinking.options.only_mails = &mails;
	print_run(&shrinking.options, to);
	free(faults.ids);
	free(mails.ids);
}
