#include "cli/run/host.h"

#include "base/log.h"
#include "bunshin/error.h"
#include "cli/run/ledger_survey.h"
#include "config/options.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

static bool is_default(const char *path)
{
	return strcmp(path, option_find("ledger.path")->fallback) == 0;
}

/* path NULL: memory of this process. `reason` is a sentence on failure. */
static int open_one(const char *path, size_t bytes, const struct mapped_file_kind *kind, void *arg,
	struct mapped_file *ret, struct buf *reason)
{
	int err;

	if (!path)
		return mapped_file_anonymous(bytes, kind, arg, ret);
	err = mapped_file_open(path, bytes, kind, arg, ret, reason);
	if (!err && ret->replaced)
		log_error("a file could not be used and was moved aside; what it knew is forgotten",
			LOG_STR("path", path), LOG_STR("reason", buf_string(reason)));
	if (!err)
		buf_clear(reason);
	return err;
}

static int open_both(
	struct host *host, const struct config *config, const char *path, struct buf *error)
{
	char rates[PATH_MAX];
	unsigned char key[16];
	int err;

	if (getrandom(key, sizeof(key), 0) != (ssize_t)sizeof(key))
		return ERR_IO;
	err = open_one(path, (size_t)config->ledger.size_bytes, &ledger_file, key,
		&host->ledger_file, error);
	if (err)
		return err;
	if (path && snprintf(rates, sizeof(rates), "%s.rates", path) >= (int)sizeof(rates))
		return ERR_TOO_LARGE;
	return open_one(
		path ? rates : NULL, RATE_FILE_BYTES, &rate_file, NULL, &host->rate_file, error);
}

/* Uses on what is in memory. False: there is none. */
static bool borrow(struct host *host, const struct host *before)
{
	if (!before || !before->in_memory)
		return false;
	*host = *before;
	return true;
}

static int open_memory(struct host *host, const struct config *config, const struct host *before,
	struct buf *error)
{
	if (borrow(host, before))
		return 0;
	host->in_memory = true;
	return open_both(host, config, NULL, error);
}

int host_open(struct host *host, const struct config *config, const struct host *before,
	struct buf *error)
{
	const char *path = config->ledger.path;
	int err = path ? open_both(host, config, path, error)
		       : open_memory(host, config, before, error);

	/* Without a setting of its own the program must run anywhere, though it says what is less.
	 */
	if (err == ERR_IO && path && is_default(path)) {
		log_warn("no ledger on disk: what was accepted is forgotten when this program ends",
			LOG_STR("reason", buf_string(error)));
		buf_clear(error);
		host_close(host);
		path = NULL;
		err = open_memory(host, config, before, error);
	}
	if (!err)
		err = ledger_attach(host->ledger_file.memory, host->ledger_file.bytes,
			config->ledger.window_ms, &host->ledger);
	if (err) {
		if (error->len == 0)
			buf_append_string(error, error_message(err));
		host_close(host);
		return err;
	}
	/* What is in one that was there is counted later (ledger_survey.h). */
	if (path && host->ledger_file.created)
		ledger_survey_tell(
			&(struct ledger_stats){.slots = ledger_places(&host->ledger)}, path);
	return 0;
}

void host_close(struct host *host)
{
	if (!host->in_memory) {
		mapped_file_close(&host->ledger_file);
		mapped_file_close(&host->rate_file);
	}
	*host = (struct host){0};
}

struct rate_cell *host_control_cell(
	const struct host *host, const struct config_destination *destination)
{
	char name[96];

	/* A destination has 64 characters at most, and no blank among them. */
	snprintf(name, sizeof(name), "control %s", destination->name);
	return rate_cell_of(host->rate_file.memory, host->rate_file.bytes, name);
}

int host_rate(const struct host *host, const struct config *config,
	const struct config_destination *destination, struct rate *ret)
{
	struct rate_cell *cell;

	*ret = (struct rate){0};
	if (!destination->rate.count)
		return 0;
	cell = rate_cell_of(host->rate_file.memory, host->rate_file.bytes, destination->name);
	if (!cell)
		return ERR_LIMIT;
	*ret = rate_make(cell, (uint64_t)destination->rate.count, destination->rate.per_ms,
		(uint64_t)config->fleet_hosts);
	return 0;
}
