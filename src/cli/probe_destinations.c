#include "cli/probe_destinations.h"

#include "bunshin/error.h"
#include "cli/auth/auth.h"
#include "cli/auth/token_memory.h"
#include "config/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void ended(void *arg)
{
	bool *flag = arg;

	*flag = true;
}

static int take_header(void *arg, const char *name, const char *value, const char *shown)
{
	return 0;
}

/* A request like one of its own, as far as that is known without a message. */
static int sign_one(const struct auth *auth, struct clock clock,
	const struct config_destination *destination, struct buf *words)
{
	struct http_signer signer = auth_signer(auth, 0);
	const char *source = template_source(destination->request.url);
	size_t origin = url_origin_bytes(source);
	struct buf body = BUF_INIT(1024), headers = BUF_INIT(1024);
	struct http_signer_request request = {.method = destination->request.method,
		.body = &body,
		.headers = &headers,
		.idempotency_key = "probe",
		.now_epoch_ms = clock_wall_epoch_ms(clock)};
	char url[512] = "https://probe.invalid/";
	int err;

	if (origin > 0 && origin + 2 <= sizeof(url))
		snprintf(url, sizeof(url), "%.*s/", (int)origin, source);
	request.url = url;
	err = buf_append_string(&body, "{}");
	if (!err)
		err = signer.ops->sign(signer.impl, &request, take_header, NULL, words);
	buf_free(&body);
	buf_free(&headers);
	return err;
}

static int ask_one(struct runtime *runtime, const struct auth_options *options, struct buf *words)
{
	struct auth *auth = NULL;
	bool done = false;
	int err = auth_new(options, &auth, words);

	if (!err && auth_is_waiting(auth)) {
		auth_observe(auth, ended, &done);
		err = runtime_await(&runtime->loop, &done, NULL);
	}
	if (!err)
		err = sign_one(auth, runtime->clock, &options->config->destinations[0], words);
	/* Rather why there is no token than that there is none. */
	if (err && auth && auth_failure(auth, 0))
		err = auth_failure(auth, 0);
	auth_free(auth);
	return err;
}

static void ask(struct runtime *runtime, const struct config *config, size_t index,
	struct auth_options options, struct probe_destination *row)
{
	struct config one = *config;
	struct buf words = BUF_INIT(PROBE_WORDS_MAX - 1);

	one.destinations = &config->destinations[index];
	one.destination_count = 1;
	options.config = &one;
	row->name = one.destinations[0].name;
	row->auth = config_auth_type_name(one.destinations[0].auth.type);
	row->err = ask_one(runtime, &options, &words);
	if (row->err)
		snprintf(row->words, sizeof(row->words), "auth.type %s: %s", row->auth,
			words.len > 0 ? buf_string(&words) : error_message(row->err));
	buf_free(&words);
}

int probe_destinations_ask(struct runtime *runtime, const struct config *config,
	struct credentials *credentials, const char *region, struct probe_destinations *ret)
{
	struct mapped_file tokens = {0};
	const struct auth_options options = {.loop = &runtime->loop,
		.clock = runtime->clock,
		.tokens = &tokens,
		.credentials = credentials,
		.region = region};
	/* One more: nothing is asked for with a size of 0. */
	struct probe_destinations all = {
		.rows = calloc(config->destination_count + 1, sizeof(*all.rows))};
	int err = all.rows ? 0 : ERR_NOMEM;

	if (!err && auth_shares_tokens(config))
		err = token_memory_open_any(config->ledger.path, &tokens);
	for (size_t i = 0; i < config->destination_count && !err; i++)
		if (config->destinations[i].auth.type != CONFIG_AUTH_NONE)
			ask(runtime, config, i, options, &all.rows[all.count++]);
	mapped_file_close(&tokens);
	if (err) {
		probe_destinations_free(&all);
		return err;
	}
	*ret = all;
	return 0;
}

void probe_destinations_free(struct probe_destinations *destinations)
{
	free(destinations->rows);
	*destinations = (struct probe_destinations){0};
}
