/*
 * The profile in force, out of the shared files. At each get() the files are read anew and a chain
 * of providers is built from what they say: one that has keys, and around it an assume_role.c for
 * each role_arn on the way to it.
 *
 * Source: AWS SDKs and Tools Reference Guide, "Assume role credential provider". In the profile in
 * force a role_arn comes before keys, in one that source_profile names keys come first (botocore,
 * SDKs); thus a profile may name itself to have both.
 */
#include "aws/credentials/provider.h"
#include "aws/credentials/shared_files.h"
#include "base/units.h"
#include "bunshin/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHAIN_MAX 8
#define PROCESS_TIMEOUT_MS 60000
#define DURATION_MIN_S 900
#define DURATION_MAX_S 43200

struct profile {
	struct credentials_context context;
	/*
	 * Built by the last get(). It stays for a turn of the loop after its `done`, which is no
	 * place to free it from.
	 */
	struct credentials_provider chain; /* get NULL: there is none */
	struct clock_timer release;
	bool is_busy;
	struct credentials_set *set;
	credentials_done *done;
	void *arg;
	char account_id[16]; /* the profile's aws_account_id, where it belongs to the keys */
};

/* A walk along source_profile. Its texts are the files'. */
struct walk {
	const struct credentials_context *context;
	const struct shared_files *files;
	const char *names[CHAIN_MAX + 1]; /* the profile in force first; the last may be again */
	size_t count;
	/* roles[i] is to be assumed with the keys of roles[i + 1], the last with those of the end.
	 */
	struct credentials_role roles[CHAIN_MAX];
	size_t role_count;
	const char *credential_source; /* of the last role; NULL: it has a source_profile */
	char *reason;
};

typedef int constructor(
	const struct credentials_context *context, struct credentials_provider *ret_provider);

static const struct {
	const char *name;
	constructor *construct;
} credential_sources[] = {
	{"Environment", credentials_environment},
	{"EcsContainer", credentials_container},
	{"Ec2InstanceMetadata", credentials_instance},
};

static int refuse(const struct walk *walk, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* "the profile "x" ...", of the one where the walk stands. */
static int refuse(const struct walk *walk, int err, const char *format, ...)
{
	va_list args;
	int len = snprintf(walk->reason, CREDENTIALS_REASON_MAX, "the profile \"%s\" ",
		walk->names[walk->count - 1]);

	if (len < 0 || len >= CREDENTIALS_REASON_MAX)
		return err;
	va_start(args, format);
	vsnprintf(walk->reason + len, CREDENTIALS_REASON_MAX - (size_t)len, format, args);
	va_end(args);
	return err;
}

/* For what only the AWS CLI can do. */
static int refuse_to_ask(const struct walk *walk, const char *why)
{
	return refuse(walk, ERR_NO_CREDENTIALS,
		"%s, which needs a person: put \"credential_process = aws configure "
		"export-credentials --profile %s --format process\" into a profile",
		why, walk->names[walk->count - 1]);
}

/* A key of the profile where the walk stands. */
static const char *value_of(const struct walk *walk, const char *key)
{
	return shared_files_get(walk->files, walk->names[walk->count - 1], key);
}

static bool has_keys(const struct walk *walk)
{
	return value_of(walk, "aws_access_key_id") != NULL ||
	       value_of(walk, "aws_secret_access_key") != NULL;
}

/* Web identity is a role too, but one that needs no other keys. */
static bool assumes_role(const struct walk *walk)
{
	if (value_of(walk, "role_arn") == NULL || value_of(walk, "web_identity_token_file") != NULL)
		return false;
	return walk->count == 1 || !has_keys(walk);
}

/* ---- following source_profile */

static int read_role(const struct walk *walk, struct credentials_role *ret_role)
{
	const char *duration = value_of(walk, "duration_seconds");
	int64_t duration_s = 0;

	if (value_of(walk, "mfa_serial") != NULL)
		return refuse_to_ask(walk, "assumes its role with a code (mfa_serial)");
	if (duration != NULL && (units_parse_int(duration, &duration_s) != 0 ||
					duration_s < DURATION_MIN_S || duration_s > DURATION_MAX_S))
		return refuse(walk, ERR_CONFIG,
			"has a duration_seconds that is no number from 900 to 43200");
	*ret_role = (struct credentials_role){
		.role_arn = value_of(walk, "role_arn"),
		.session_name = value_of(walk, "role_session_name"),
		.external_id = value_of(walk, "external_id"),
		.duration_s = (unsigned)duration_s,
	};
	return 0;
}

/* Whether the walk has been at `name`; at the profile where it stands it may stay, for its keys. */
static bool is_loop(const struct walk *walk, const char *name)
{
	size_t last = walk->count - 1;

	for (size_t i = 0; i < walk->count; i++) {
		if (strcmp(walk->names[i], name) == 0 && (i != last || !has_keys(walk)))
			return true;
	}
	return false;
}

static int step_to(struct walk *walk, const char *source)
{
	if (!shared_files_has_profile(walk->files, source))
		return refuse(walk, ERR_CONFIG,
			"names the source_profile \"%s\", which is in neither of the shared files",
			source);
	if (is_loop(walk, source))
		return refuse(
			walk, ERR_CONFIG, "closes a loop: its source_profile is \"%s\"", source);
	walk->names[walk->count++] = source;
	return 0;
}

/* Takes the role of the profile where the walk stands, and goes on to where its keys are. */
static int take_role(struct walk *walk)
{
	const char *source = value_of(walk, "source_profile");
	int err;

	walk->credential_source = value_of(walk, "credential_source");
	if (source == NULL && walk->credential_source == NULL)
		return refuse(walk, ERR_CONFIG,
			"has a role_arn and neither source_profile nor credential_source");
	if (source != NULL && walk->credential_source != NULL)
		return refuse(walk, ERR_CONFIG, "has both source_profile and credential_source");
	if (walk->role_count == CHAIN_MAX)
		return refuse(
			walk, ERR_CONFIG, "is the end of a chain of more than %d roles", CHAIN_MAX);
	err = read_role(walk, &walk->roles[walk->role_count]);
	if (err != 0)
		return err;
	walk->role_count++;
	return source != NULL ? step_to(walk, source) : 0;
}

static int follow(struct walk *walk)
{
	int err = 0;

	while (err == 0 && walk->credential_source == NULL && assumes_role(walk))
		err = take_role(walk);
	return err;
}

/* ---- the keys at its end */

static int build_named(const struct walk *walk, struct credentials_provider *ret_provider)
{
	for (size_t i = 0; i < sizeof(credential_sources) / sizeof(credential_sources[0]); i++) {
		if (strcmp(credential_sources[i].name, walk->credential_source) == 0)
			return credential_sources[i].construct(walk->context, ret_provider);
	}
	return refuse(walk, ERR_CONFIG,
		"has the credential_source \"%s\": Environment, EcsContainer and "
		"Ec2InstanceMetadata are known",
		walk->credential_source);
}

static int build_static(const struct walk *walk, struct credentials_provider *ret_provider)
{
	const char *id = value_of(walk, "aws_access_key_id");
	const char *secret = value_of(walk, "aws_secret_access_key");
	const char *token = value_of(walk, "aws_session_token");
	int err;

	if (id == NULL || secret == NULL)
		return refuse(walk, ERR_NO_CREDENTIALS, "has no %s, but the other half of the pair",
			id == NULL ? "aws_access_key_id" : "aws_secret_access_key");
	err = credentials_static(id, secret, token, ret_provider);
	if (err == ERR_ARGUMENT)
		return refuse(walk, ERR_NO_CREDENTIALS, "has a key or token that is too long");
	return err;
}

static int build_web_identity(const struct walk *walk, struct credentials_provider *ret_provider)
{
	const char *role_arn = value_of(walk, "role_arn");

	if (role_arn == NULL)
		return refuse(walk, ERR_CONFIG, "has a web_identity_token_file, but no role_arn");
	return credentials_web_identity_of(walk->context, role_arn,
		value_of(walk, "role_session_name"), value_of(walk, "web_identity_token_file"),
		ret_provider);
}

static int build_nothing(const struct walk *walk)
{
	static const char *const keys[] = {"sso_session", "sso_start_url", "login_session"};
	char why[64];

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (value_of(walk, keys[i]) == NULL)
			continue;
		snprintf(why, sizeof(why), "signs in with a browser (%s)", keys[i]);
		return refuse_to_ask(walk, why);
	}
	if (walk->role_count == 0)
		return ERR_NOT_FOUND;
	return refuse(walk, ERR_NO_CREDENTIALS, "is a source_profile without credentials");
}

static int build_base(const struct walk *walk, struct credentials_provider *ret_provider)
{
	const char *command = value_of(walk, "credential_process");

	if (walk->credential_source != NULL)
		return build_named(walk, ret_provider);
	if (value_of(walk, "web_identity_token_file") != NULL)
		return build_web_identity(walk, ret_provider);
	if (has_keys(walk))
		return build_static(walk, ret_provider);
	if (command != NULL)
		return credentials_process(
			walk->context, command, PROCESS_TIMEOUT_MS, ret_provider);
	return build_nothing(walk);
}

static int build_chain(const struct walk *walk, struct credentials_provider *ret_provider)
{
	struct credentials_provider provider;
	int err = build_base(walk, &provider);

	for (size_t i = walk->role_count; err == 0 && i-- > 0;)
		err = credentials_assume_role(walk->context, &walk->roles[i], provider, &provider);
	if (err == 0)
		*ret_provider = provider;
	return err;
}

/* ---- the provider */

/* For keys that come without one, as SDKs use it. Not where a role's account is another. */
static void read_account_id(struct profile *profile, const struct walk *walk)
{
	const char *id = value_of(walk, "aws_account_id");

	profile->account_id[0] = '\0';
	if (walk->role_count == 0 && id != NULL && strlen(id) == 12 &&
		strspn(id, "0123456789") == 12)
		memcpy(profile->account_id, id, 13);
}

static int profile_build(struct profile *profile, const struct shared_files *files,
	char reason[CREDENTIALS_REASON_MAX])
{
	const struct aws_settings *settings = profile->context.settings;
	struct walk walk = {
		.context = &profile->context,
		.files = files,
		.names = {aws_settings_profile(settings)},
		.count = 1,
		.reason = reason,
	};
	int err;

	if (!shared_files_has_profile(files, walk.names[0])) {
		if (!aws_settings_profile_is_named(settings))
			return ERR_NOT_FOUND;
		return refuse(
			&walk, ERR_CONFIG, "of AWS_PROFILE is in neither of the shared files");
	}
	err = follow(&walk);
	if (err != 0)
		return err;
	read_account_id(profile, &walk);
	return build_chain(&walk, &profile->chain);
}

static int profile_read(struct profile *profile, char reason[CREDENTIALS_REASON_MAX])
{
	struct shared_files *files = NULL;
	struct buf error = BUF_INIT(CREDENTIALS_REASON_MAX - 1);
	int err = shared_files_read(aws_settings_lookup(profile->context.settings), &files, &error);

	if (err == 0)
		err = profile_build(profile, files, reason);
	else if (err != ERR_NOMEM)
		snprintf(reason, CREDENTIALS_REASON_MAX, "%s", buf_string(&error));
	shared_files_free(files);
	buf_free(&error);
	return err == ERR_SYNTAX || err == ERR_TOO_LARGE ? ERR_CONFIG : err;
}

static void release(struct profile *profile)
{
	clock_timer_clear(profile->context.clock, &profile->release);
	if (profile->chain.get != NULL)
		profile->chain.free(profile->chain.impl);
	profile->chain.get = NULL;
}

static void release_fired(struct clock_timer *timer)
{
	release((struct profile *)(void *)((char *)timer - offsetof(struct profile, release)));
}

/* What the chain answered becomes the profile's answer; the code may change with its reason. */
static int conclude(struct profile *profile, int err, struct credentials_set *set,
	char reason[CREDENTIALS_REASON_MAX])
{
	const char *name = aws_settings_profile(profile->context.settings);

	/* The profile does say where its keys are: the search ends here. */
	if (err == ERR_NOT_FOUND) {
		snprintf(reason, CREDENTIALS_REASON_MAX,
			"the profile \"%s\": no credentials where it says that they are", name);
		return ERR_NO_CREDENTIALS;
	}
	if (err != 0)
		return err;
	if (set->principal[0] == '\0')
		snprintf(set->principal, sizeof(set->principal), "profile %s", name);
	if (set->account_id[0] == '\0')
		memcpy(set->account_id, profile->account_id, sizeof(set->account_id));
	return 0;
}

static void chain_done(void *arg, int err, const char *reason)
{
	struct profile *profile = arg;
	char text[CREDENTIALS_REASON_MAX];

	profile->is_busy = false;
	snprintf(text, sizeof(text), "%s", reason != NULL ? reason : "");
	err = conclude(profile, err, profile->set, text);
	/* Without the memory for a timer it goes with the next get(). */
	(void)clock_timer_after(profile->context.clock, &profile->release, 0);
	profile->done(profile->arg, err, text);
}

static int profile_get(void *impl, struct credentials_set *ret_set, credentials_done *done,
	void *arg, char reason[CREDENTIALS_REASON_MAX])
{
	struct profile *profile = impl;
	int err;

	release(profile);
	err = profile_read(profile, reason);
	if (err != 0)
		return err;
	profile->set = ret_set;
	profile->done = done;
	profile->arg = arg;
	err = profile->chain.get(profile->chain.impl, ret_set, chain_done, profile, reason);
	profile->is_busy = err == CREDENTIALS_LATER;
	if (profile->is_busy)
		return err;
	err = conclude(profile, err, ret_set, reason);
	release(profile);
	return err;
}

static void profile_cancel(void *impl)
{
	struct profile *profile = impl;

	if (profile->is_busy && profile->chain.cancel != NULL)
		profile->chain.cancel(profile->chain.impl);
	profile->is_busy = false;
	release(profile);
}

static void profile_free(void *impl)
{
	profile_cancel(impl);
	free(impl);
}

int credentials_profile(
	const struct credentials_context *context, struct credentials_provider *ret_provider)
{
	struct profile *profile = calloc(1, sizeof(*profile));

	if (profile == NULL)
		return ERR_NOMEM;
	profile->context = *context;
	profile->release.fire = release_fired;
	*ret_provider = (struct credentials_provider){.name = "profile",
		.get = profile_get,
		.cancel = profile_cancel,
		.free = profile_free,
		.impl = profile};
	return 0;
}
