/*
 * What the workers of one host have in common, in files that they map: the ledger and, beside it,
 * the token buckets of the rates.
 */
#ifndef CLI_RUN_HOST_H
#define CLI_RUN_HOST_H

#include "base/buf.h"
#include "base/mapped_file.h"
#include "config/config.h"
#include "delivery/ledger.h"
#include "delivery/rate.h"

struct host {
	struct mapped_file ledger_file, rate_file;
	struct ledger ledger;
	bool in_memory; /* no files; it stays mapped until the process ends, for its successors */
};

/*
 * Opens ledger.path and the same with ".rates" behind it. With
 * ledger.path null, and where the default one cannot be opened, both are memory of this process and
 * the children that it forks; the latter is logged as a warning. `before` (may be NULL) is what a
 * configuration that this one replaces has open: where both are in memory, the same memory is used
 * on, since nothing that was accepted may be forgotten. 0, or an error code with a sentence in
 * `error`, then closed. Blocks for milliseconds where a ledger is made.
 */
int host_open(struct host *host, const struct config *config, const struct host *before,
	struct buf *error);
/* A zeroed one is fine. */
void host_close(struct host *host);

/* The rate of a destination; cell NULL: it has none. 0, or ERR_LIMIT: too many on this host. */
int host_rate(const struct host *host, const struct config *config,
	const struct config_destination *destination, struct rate *ret);

/*
 * The cell of the rate that `campaign rate` sets, which is beside the destination's own: a service
 * of the same host that has a destination of this name, but another queue, is not slowed by it.
 * NULL: too many on this host.
 */
struct rate_cell *host_control_cell(
	const struct host *host, const struct config_destination *destination);

#endif
