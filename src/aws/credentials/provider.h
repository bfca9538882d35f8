/*
 * Where credentials come from: one file a provider. credentials.c asks them in order, keeps what
 * the first that has any gave, and asks that one again before it expires.
 *
 *	environment.c	AWS_ACCESS_KEY_ID, ...
 *	profile.c	the shared files: keys, role_arn with source_profile or credential_source,
 *			credential_process, web identity
 *	web_identity.c	AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN, through STS
 *	container.c	ECS (relative URI) and EKS Pod Identity (full URI)
 *	instance.c	the role of the EC2 instance, through IMDSv2
 *	static.c	keys given by the program (tests, demo)
 *	process.c	the output of a credential_process; profile.c's
 *	assume_role.c	AssumeRole over another provider's keys; profile.c's
 */
#ifndef AWS_CREDENTIALS_PROVIDER_H
#define AWS_CREDENTIALS_PROVIDER_H

#include "aws/credentials.h"
#include "aws/settings.h"
#include "bunshin/clock.h"
#include "http/client.h"

#include <uv.h>

struct sts;

/* How providers reach the world; borrowed, outlives them. */
struct credentials_context {
	uv_loop_t *loop;
	struct clock clock;
	const struct aws_settings *settings;
	/* For link-local and loopback addresses: never through a proxy; 1 s to connect. */
	struct http_client *metadata;
	struct sts *sts;
};

/*
 * Each makes a provider: 0 or ERR_NOMEM. Nothing is asked or read yet. All have credentials.h's
 * contract for `get`; their reasons name what was looked at (a variable, a file, an address), never
 * a key.
 */
int credentials_environment(
	const struct credentials_context *context, struct credentials_provider *ret_provider);
int credentials_profile(
	const struct credentials_context *context, struct credentials_provider *ret_provider);
int credentials_web_identity(
	const struct credentials_context *context, struct credentials_provider *ret_provider);
int credentials_container(
	const struct credentials_context *context, struct credentials_provider *ret_provider);
int credentials_instance(
	const struct credentials_context *context, struct credentials_provider *ret_provider);

/*
 * web_identity.c, for the keys of a profile as well: the token file is read at each `get`. Copies.
 * session_name NULL: one is made up ("bunshin-" and random digits).
 */
int credentials_web_identity_of(const struct credentials_context *context, const char *role_arn,
	const char *session_name, const char *token_file,
	struct credentials_provider *ret_provider);

/*
 * process.c: runs `command` (copied) at each `get`, split as a shell would into words but without
 * a shell, and reads one JSON object from its standard output: Version 1, AccessKeyId,
 * SecretAccessKey, SessionToken?, Expiration?, AccountId?. Killed, and its process group with it,
 * after timeout_ms, by a cancel, or past 64 KiB; it is reaped on later turns of the loop. Once it
 * has ended well with a whole answer, what it left in the background is not waited for. Its
 * standard error goes to ours, since that is where a log-in tool says what it wants.
 * Errors: ERR_CONFIG (no such program, an odd command), ERR_IO, ERR_UNAVAILABLE (its exit code or
 * signal), ERR_TIMEOUT, ERR_ANSWER_TOO_LARGE, ERR_PROTOCOL, ERR_EXPIRED_CREDENTIALS. The reason
 * names the command's first word only: another may be a password.
 */
int credentials_process(const struct credentials_context *context, const char *command,
	int64_t timeout_ms, struct credentials_provider *ret_provider);

/* assume_role.c: copies the texts, takes `source` over (also on failure). */
struct credentials_role {
	const char *role_arn;
	const char *session_name; /* NULL: made up */
	const char *external_id;  /* NULL: none */
	unsigned duration_s;	  /* 0: STS's default */
};
int credentials_assume_role(const struct credentials_context *context,
	const struct credentials_role *role, struct credentials_provider source,
	struct credentials_provider *ret_provider);

/*
 * For providers that read JSON: takes AccessKeyId, SecretAccessKey, Token (or SessionToken),
 * Expiration (RFC 3339), AccountId out of one object; what it does not say is "" (0: never) in the
 * set, whose other members stay. 0; ERR_PROTOCOL with what is wrong, never a value, in `reason`;
 * ERR_NOMEM. `text` is the caller's to wipe. provider.c.
 */
int credentials_read_json(const char *text, size_t len, struct credentials_set *ret_set,
	char *reason, size_t reason_bytes);
/* Copies a text (NULL: "") into one field of the set; false: it does not fit and stays out. */
bool credentials_copy(char *field, size_t field_bytes, const char *text);

#endif
