#include "bunshin/error.h"
#include "config/destination.h"
#include "config/document.h"
#include "config/reader.h"

#include <stdlib.h>
#include <string.h>

static const char *process_getenv(void *arg, const char *name)
{
	(void)arg;
	return getenv(name);
}

const struct config_environment config_process_environment = {.getenv = process_getenv};

static int read_file(struct reader *reader, const char *path, struct where *wheres)
{
	struct scope scope = {.prefix = "", .shown = "", .base = reader->config, .wheres = wheres};
	yaml_document_t document;
	yaml_node_t *root;
	int err;

	reader->config->path = strdup(path);
	if (reader->config->path == NULL)
		return ERR_NOMEM;
	err = document_read(path, &document, reader->errors);
	if (err != 0)
		return err;
	reader->document = &document;
	root = yaml_document_get_root_node(&document);
	if (root != NULL)
		err = reader_read_map(reader, &scope, root);
	yaml_document_delete(&document);
	return err;
}

static int apply_overrides(struct reader *reader, const struct config_override *overrides,
	size_t count, struct where *wheres)
{
	for (size_t i = 0; i < count; i++) {
		const struct option *option = option_find(overrides[i].key);
		int err;

		if (option == NULL || option->type > OPTION_SCALAR_LAST ||
			option_place(option) != OPTION_IN_CONFIG)
			return ERR_ARGUMENT;
		if (overrides[i].value == NULL)
			continue;
		err = reader_override(reader, option, &overrides[i], wheres);
		if (err != 0)
			return err;
	}
	return 0;
}

static bool is_fifo(const char *url)
{
	size_t len = strlen(url);

	return len >= strlen(".fifo") && strcmp(url + len - strlen(".fifo"), ".fifo") == 0;
}

static bool is_same(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* What is sent to the results queue is read back from the log, so there is one. */
static int settle_outcomes(struct reader *reader, const struct where *wheres)
{
	struct config *config = reader->config;
	struct where results = where_of(wheres, option_find("queue.results_url"));
	struct where keep = where_of(wheres, option_find("outcomes.keep"));
	struct where size = where_of(wheres, option_find("outcomes.size"));
	const char *url = config->queue.results_url, *wrong = NULL;
	int err = 0;

	if (is_same(url, config->queue.url))
		wrong = "the same queue as queue.url";
	else if (is_same(url, config->queue.failure_url))
		wrong = "the same queue as queue.failure_url";
	else if (url != NULL && is_fifo(url))
		wrong = "a FIFO queue; results go to a standard one";
	if (wrong != NULL)
		err = reader_report(reader, results, "queue.results_url", "%s", wrong);
	if (err == 0 && config->outcomes.keep_bytes < config->outcomes.size_bytes)
		err = reader_report(reader, where_is_given(keep) ? keep : size,
			where_is_given(keep) ? "outcomes.keep" : "outcomes.size",
			"outcomes.keep is less than outcomes.size");
	if (err == 0 && url != NULL && config->outcomes.path == NULL) {
		config->outcomes.path = strdup(CONFIG_OUTCOMES_PATH);
		err = config->outcomes.path == NULL ? ERR_NOMEM : 0;
	}
	return err;
}

/* One name for the service, not two. */
static int settle_tracing(struct reader *reader, const struct where *wheres)
{
	const struct config_pairs *resource = &reader->config->tracing.resource;

	for (size_t i = 0; i < resource->count; i++)
		if (strcmp(resource->rows[i].name, "service.name") == 0)
			return reader_report(reader,
				where_of(wheres, option_find("tracing.resource")),
				"tracing.resource", "service.name is set by tracing.service_name");
	return 0;
}

/* What no single option can tell. */
static int check_together(struct reader *reader, const struct where *wheres)
{
	const struct config *config = reader->config;
	struct where base = where_of(wheres, option_find("retry.base"));
	struct where cap = where_of(wheres, option_find("retry.cap"));
	int err = 0;

	if (config->retry.base_ms > config->retry.cap_ms)
		err = reader_report(reader, where_is_given(base) ? base : cap,
			where_is_given(base) ? "retry.base" : "retry.cap",
			"retry.base is longer than retry.cap");
	if (err == 0)
		err = destination_settle_retry(reader);
	if (err == 0 && is_same(config->queue.url, config->queue.failure_url))
		err = reader_report(reader, where_of(wheres, option_find("queue.failure_url")),
			"queue.failure_url", "the same queue as queue.url");
	if (err == 0)
		err = settle_outcomes(reader, wheres);
	if (err == 0)
		err = settle_tracing(reader, wheres);
	if (err == 0 && config->instance.lifecycle_hook != NULL &&
		config->instance.notices == CONFIG_NOTICES_NONE)
		err = reader_report(reader,
			where_of(wheres, option_find("instance.lifecycle_hook")),
			"instance.lifecycle_hook",
			"instance.notices is none, so nobody learns when to complete it");
	return err;
}

static int load(struct reader *reader, const char *path, const struct config_override *overrides,
	size_t override_count)
{
	struct where *wheres = calloc(option_count, sizeof(*wheres));
	int err =
		wheres == NULL ? ERR_NOMEM : option_set_defaults(OPTION_IN_CONFIG, reader->config);

	if (err == 0 && path != NULL)
		err = read_file(reader, path, wheres);
	if (err == 0)
		err = apply_overrides(reader, overrides, override_count, wheres);
	if (err == 0)
		err = check_together(reader, wheres);
	if (err == 0 && reader_is_full(reader))
		buf_appendf(reader->errors, "%s: too many errors, stopped here\n",
			path != NULL ? path : "configuration");
	if (err == 0 && reader->error_count > 0)
		err = ERR_CONFIG;
	free(reader->destination_wheres);
	free(wheres);
	return err;
}

int config_load(const char *path, const struct config_environment *environment,
	const struct config_override *overrides, size_t override_count, struct config **ret_config,
	struct buf *errors)
{
	struct config *config = calloc(1, sizeof(*config));
	struct reader reader = {.environment = environment, .config = config, .errors = errors};
	int err = config == NULL ? ERR_NOMEM : load(&reader, path, overrides, override_count);

	if (err != 0) {
		config_free(config);
		return err;
	}
	*ret_config = config;
	return 0;
}

void config_free(struct config *config)
{
	if (config == NULL)
		return;
	for (size_t i = 0; i < config->destination_count; i++)
		destination_free(&config->destinations[i]);
	free(config->destinations);
	free(config->path);
	free(config->queue.url);
	free(config->queue.endpoint);
	free(config->queue.failure_url);
	free(config->queue.results_url);
	free(config->outcomes.path);
	free(config->ledger.path);
	free(config->instance.lifecycle_hook);
	free(config->instance.autoscaling_group);
	free(config->admin.listen);
	free(config->admin.token);
	names_free(&config->admin.hosts);
	free(config->metrics.namespace);
	free(config->tracing.endpoint);
	pairs_free(&config->tracing.headers);
	free(config->tracing.service_name);
	pairs_free(&config->tracing.resource);
	shown_free(config);
	free(config);
}

const struct config_destination *config_find_destination(
	const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->destination_count; i++)
		if (strcmp(config->destinations[i].name, name) == 0)
			return &config->destinations[i];
	return NULL;
}
