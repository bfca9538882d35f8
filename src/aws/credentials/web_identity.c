#include "aws/credentials/provider.h"
#include "aws/credentials/set.h"
#include "aws/sts.h"
#include "aws/sts_codec.h"
#include "base/buf.h"
#include "bunshin/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TOKEN_MAX 20000 /* STS API: WebIdentityToken */

struct web_identity {
	struct sts *sts;
	const struct aws_settings *settings; /* what they say; NULL: what is said below */
	char *role_arn, *session_name, *token_file;
	char made_up[STS_SESSION_NAME_SIZE]; /* one name a process, for those who read the trail */
	struct query_call *call;	     /* under way */
	credentials_done *done;
	void *arg;
};

__attribute__((format(printf, 3, 4))) static int fail(
	char reason[CREDENTIALS_REASON_MAX], int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(reason, CREDENTIALS_REASON_MAX, format, args);
	va_end(args);
	return err;
}

/* Appends the file, one byte more than there may be at most. 0 or an errno. */
static int descriptor_read(int fd, struct buf *token)
{
	while (token->len <= TOKEN_MAX) {
		ssize_t count = read(fd, token->data + token->len, TOKEN_MAX + 1 - token->len);

		if (count == 0)
			return 0;
		if (count < 0 && errno != EINTR)
			return errno;
		if (count > 0)
			buf_advance(token, (size_t)count);
	}
	return 0;
}

static int file_read(const char *path, struct buf *token)
{
	/* A pipe that nobody writes to would hold the loop. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat status;
	int error;

	if (fd < 0)
		return errno;
	if (fstat(fd, &status) != 0)
		error = errno;
	else if (S_ISDIR(status.st_mode))
		error = EISDIR;
	else
		error = descriptor_read(fd, token);
	close(fd);
	return error;
}

/* It rotates, so it is read each time. `token` has room for it. */
static int token_read(const char *path, struct buf *token, char reason[CREDENTIALS_REASON_MAX])
{
	int error = file_read(path, token);

	if (error != 0)
		return fail(
			reason, ERR_IO, "web identity token file %s: %s", path, strerror(error));
	if (token->len > TOKEN_MAX)
		return fail(reason, ERR_NO_CREDENTIALS,
			"web identity token file %s: more than %d bytes", path, TOKEN_MAX);
	while (token->len > 0 &&
		(token->data[token->len - 1] == '\n' || token->data[token->len - 1] == '\r'))
		buf_truncate(token, token->len - 1);
	if (token->len == 0)
		return fail(reason, ERR_NO_CREDENTIALS, "web identity token file %s: empty", path);
	if (strlen(token->data) != token->len || !credentials_is_graphic(token->data))
		return fail(reason, ERR_NO_CREDENTIALS,
			"web identity token file %s: a blank or an odd character in it", path);
	return 0;
}

static void answered(void *arg, int err, const char *reason)
{
	struct web_identity *identity = arg;

	identity->call = NULL;
	identity->done(identity->arg, err, reason);
}

static int ask(struct web_identity *identity, const struct sts_role *role, const char *token_file,
	struct credentials_set *ret_set, char reason[CREDENTIALS_REASON_MAX])
{
	struct buf token = BUF_INIT(TOKEN_MAX + 1);
	int err;

	if (buf_reserve(&token, TOKEN_MAX + 1) == NULL)
		return fail(reason, ERR_NOMEM, "%s", error_message(ERR_NOMEM));
	err = token_read(token_file, &token, reason);
	if (err == 0) {
		err = sts_assume_role_with_web_identity(identity->sts, role, buf_string(&token),
			ret_set, answered, identity, &identity->call);
		if (err != 0)
			fail(reason, err, "AssumeRoleWithWebIdentity: %s", error_message(err));
	}
	buf_wipe(&token);
	return err;
}

static const char *variable(const struct web_identity *identity, const char *name)
{
	return aws_settings_variable(identity->settings, name);
}

static int web_identity_get(void *impl, struct credentials_set *ret_set, credentials_done *done,
	void *arg, char reason[CREDENTIALS_REASON_MAX])
{
	struct web_identity *identity = impl;
	struct sts_role role = {identity->role_arn, identity->session_name, NULL, 0};
	const char *token_file = identity->token_file;
	int err;

	if (identity->settings != NULL) {
		token_file = variable(identity, "AWS_WEB_IDENTITY_TOKEN_FILE");
		role.role_arn = variable(identity, "AWS_ROLE_ARN");
		role.session_name = variable(identity, "AWS_ROLE_SESSION_NAME");
	}
	if (token_file == NULL)
		return ERR_NOT_FOUND;
	if (role.role_arn == NULL)
		return fail(reason, ERR_NO_CREDENTIALS,
			"AWS_WEB_IDENTITY_TOKEN_FILE is set but AWS_ROLE_ARN is not");
	if (role.session_name == NULL)
		role.session_name = identity->made_up;
	identity->done = done;
	identity->arg = arg;
	err = ask(identity, &role, token_file, ret_set, reason);
	return err == 0 ? CREDENTIALS_LATER : err;
}

static void web_identity_cancel(void *impl)
{
	struct web_identity *identity = impl;

	if (identity->call != NULL)
		sts_cancel(identity->call);
	identity->call = NULL;
}

static void web_identity_free(void *impl)
{
	struct web_identity *identity = impl;

	web_identity_cancel(identity);
	free(identity->role_arn);
	free(identity->session_name);
	free(identity->token_file);
	free(identity);
}

static struct web_identity *web_identity_new(const struct credentials_context *context)
{
	struct web_identity *identity = calloc(1, sizeof(*identity));

	if (identity == NULL)
		return NULL;
	identity->sts = context->sts;
	sts_session_name(context->clock, identity->made_up);
	return identity;
}

static struct credentials_provider provider_of(struct web_identity *identity)
{
	return (struct credentials_provider){.name = "web identity",
		.get = web_identity_get,
		.cancel = web_identity_cancel,
		.free = web_identity_free,
		.impl = identity};
}

int credentials_web_identity(
	const struct credentials_context *context, struct credentials_provider *ret_provider)
{
	struct web_identity *identity = web_identity_new(context);

	if (identity == NULL)
		return ERR_NOMEM;
	identity->settings = context->settings;
	*ret_provider = provider_of(identity);
	return 0;
}

int credentials_web_identity_of(const struct credentials_context *context, const char *role_arn,
	const char *session_name, const char *token_file, struct credentials_provider *ret_provider)
{
	struct web_identity *identity = web_identity_new(context);

	if (identity == NULL)
		return ERR_NOMEM;
	identity->role_arn = strdup(role_arn);
	identity->token_file = strdup(token_file);
	if (session_name != NULL)
		identity->session_name = strdup(session_name);
	if (identity->role_arn == NULL || identity->token_file == NULL ||
		(session_name != NULL && identity->session_name == NULL)) {
		web_identity_free(identity);
		return ERR_NOMEM;
	}
	*ret_provider = provider_of(identity);
	return 0;
}
