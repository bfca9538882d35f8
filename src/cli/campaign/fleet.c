#include "cli/campaign/fleet.h"

#include "bunshin/error.h"
#include "config/config.h"

#include <stdio.h>
#include <unistd.h>

/* Harmless wherever a secret stands: in a URL, a header, a body. */
#define MISSING "missing"

static const struct config_destination *find(
	const struct config *config, const char *path, const char *name, struct buf *errors)
{
	const struct config_destination *found = NULL;

	if (name)
		found = config_find_destination(config, name);
	else if (config->destination_count > 0)
		found = &config->destinations[0];
	if (found)
		return found;
	if (config->destination_count == 0) {
		buf_appendf(errors, "%s has no destinations\n", path);
		return NULL;
	}
	buf_appendf(errors, "%s has no destination \"%.100s\"; it has", path, name);
	for (size_t i = 0; i < config->destination_count; i++)
		buf_appendf(errors, "%s %s", i > 0 ? "," : "", config->destinations[i].name);
	buf_append_char(errors, '\n');
	return NULL;
}

static void fill(struct campaign_fleet *fleet, const struct config *config,
	const struct config_destination *destination)
{
	int64_t workers = config->workers.max;

	*fleet = (struct campaign_fleet){0};
	snprintf(fleet->destination, sizeof(fleet->destination), "%s", destination->name);
	if (destination->rate.count > 0)
		fleet->per_s =
			(double)destination->rate.count * 1000 / (double)destination->rate.per_ms;
	fleet->batch_max = (uint64_t)destination->batch.max;
	if (destination->batch.max > 1 && destination->batch.format == CONFIG_BATCH_LIST)
		snprintf(fleet->batch_field, sizeof(fleet->batch_field), "%s",
			destination->batch.field);
	if (workers == 0) {
		workers = sysconf(_SC_NPROCESSORS_ONLN);
		fleet->cores_guessed = true;
	}
	if (workers > 0)
		fleet->slots = (uint64_t)destination->concurrency * (uint64_t)workers *
			       (uint64_t)config->fleet_hosts;
}

int campaign_fleet_read(const char *path, const char *destination, struct campaign_fleet *ret_fleet,
	struct buf *errors)
{
	struct config_environment environment = config_process_environment;
	const struct config_destination *found;
	struct config *config = NULL;
	int rc;

	environment.missing = MISSING;
	rc = config_load(path, &environment, NULL, 0, &config, errors);
	if (rc == ERR_NOMEM)
		return rc;
	if (rc < 0)
		return ERR_CONFIG;
	found = find(config, path, destination, errors);
	if (found)
		fill(ret_fleet, config, found);
	config_free(config);
	return found ? 0 : ERR_CONFIG;
}
