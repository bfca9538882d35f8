/* What the workers of a machine share: the ledger and the rates, in memory that survives them. */
#include "chance.h"
#include "delivery/ledger.h"
#include "sim.h"

#include <stdlib.h>
#include <string.h>

#define STREAM_LEDGER 70

static void open_file(
	struct mapped_file *file, size_t bytes, const struct mapped_file_kind *kind, void *arg)
{
	if (mapped_file_anonymous(bytes, kind, arg, file))
		abort();
}

void fleet_map(struct host *host, struct sim *sim)
{
	const struct plan *plan = &sim->plan;
	size_t bytes = LEDGER_BYTES_MIN + plan->messages * 16 * LEDGER_SLOT_BYTES;
	uint8_t key[16];

	for (unsigned i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)chance_bits(plan->seed, STREAM_LEDGER, i);
	if (plan->ledger == PLAN_TINY_LEDGER)
		bytes = LEDGER_BYTES_MIN;
	if (plan->ledger != PLAN_NO_LEDGER)
		open_file(&host->ledger, bytes, &ledger_file, key);
	host->ledger_is_whole = plan->ledger == PLAN_LEDGER;
	open_file(&host->rates, RATE_FILE_BYTES, &rate_file, NULL);
	for (unsigned i = 0; i < plan->destinations; i++) {
		const struct plan_destination *d = &plan->destination[i];

		if (!d->rate)
			continue;
		host->rate[i] =
			rate_make(rate_cell_of(host->rates.memory, host->rates.bytes, d->name),
				d->rate, d->rate_per_ms, 1);
		/* What the contract allows within a second: the burst, the rate, and one. */
		host->rings[i].size = (unsigned)((host->rate[i].burst_ns + 1000000000) /
						 host->rate[i].interval_ns) +
				      1;
	}
}

void fleet_attach(struct worker *worker)
{
	struct sim *sim = worker->sim;

	worker->ledger = (struct ledger){0};
	if (sim->plan.ledger != PLAN_NO_LEDGER &&
		ledger_attach(worker->host->ledger.memory, worker->host->ledger.bytes,
			sim->plan.window_ms, &worker->ledger))
		abort();
}

/* Bits flip, words are torn, blocks turn to zero or to what they were not. */
void fleet_damage(struct host *host, struct sim *sim, struct chance *chance)
{
	size_t words = (host->ledger.bytes - LEDGER_HEADER_BYTES) / sizeof(uint64_t);
	uint64_t *memory = (uint64_t *)host->ledger.memory + LEDGER_HEADER_BYTES / sizeof(uint64_t);
	size_t count = CHANCE_ONE(chance, 1, 10, 1000);

	if (sim->plan.ledger == PLAN_NO_LEDGER)
		return;
	host->ledger_is_whole = false;
	sim_trace(sim, TRACE_DAMAGE, TRACE_NONE, TRACE_NONE, host->index, count);
	while (count-- > 0) {
		size_t at = chance_draw(chance, words);

		switch (chance_draw(chance, 4)) {
		case 0:
			memory[at] ^= UINT64_C(1) << chance_draw(chance, 64);
			break;
		case 1:
			memory[at] = 0;
			break;
		case 2:
			memory[at] = chance_draw(chance, UINT64_MAX);
			break;
		default:
			memory[at] = memory[chance_draw(chance, words)];
			break;
		}
	}
}
