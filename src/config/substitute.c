#include "config/substitute.h"

#include "base/log.h"
#include "base/utf8.h"
#include "bunshin/error.h"
#include "config/file.h"
#include "config/quote.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define REFERENCE_MAX_BYTES 4096

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"

/* ERR_CONFIG, unless the memory for the reason was missing. */
static int failed(struct buf *error)
{
	return error->err == ERR_NOMEM ? ERR_NOMEM : ERR_CONFIG;
}

/* One replacement: into the value, into what is shown, and into the list of parts. */
static int add_part(struct substitution *result, const char *value, bool hidden)
{
	buf_append_string(&result->text, value);
	buf_append_string(&result->shown, hidden ? SUBSTITUTE_HIDDEN : value);
	buf_append(&result->parts, value, strlen(value) + 1);
	result->hidden |= hidden;
	return hidden ? log_add_secret(value) : 0;
}

/* "file "PATH" PROBLEM: DETAIL" */
static int refuse_file(struct buf *error, const char *what, const char *path, const char *problem,
	const char *detail)
{
	buf_appendf(error, "%s ", what);
	quote_append(error, path, strlen(path));
	buf_appendf(error, " %s%s", problem, detail);
	return failed(error);
}

static int add_file(
	struct substitution *result, const char *path, const char *what, struct buf *error)
{
	struct buf content = BUF_INIT(SUBSTITUTE_FILE_MAX_BYTES);
	int err = file_read(path, true, &content);
	const char *problem = err == ERR_IO ? strerror(errno) : "";

	while (content.len > 0 &&
		(content.data[content.len - 1] == '\n' || content.data[content.len - 1] == '\r'))
		buf_truncate(&content, content.len - 1);
	if (err == ERR_IO)
		err = refuse_file(error, what, path, "cannot be read: ", problem);
	else if (err == ERR_TOO_LARGE)
		err = refuse_file(error, what, path, "is larger than ", "64KiB");
	else if (err == 0 && (!utf8_is_valid(buf_string(&content), content.len) ||
				     strlen(buf_string(&content)) != content.len))
		err = refuse_file(error, what, path, "is not UTF-8 text", "");
	else if (err == 0)
		err = add_part(result, buf_string(&content), true);
	buf_wipe(&content);
	return err;
}

static int add_credential(struct substitution *result, const char *name,
	const struct config_environment *environment, struct buf *error)
{
	const char *directory = environment->getenv(environment->arg, "CREDENTIALS_DIRECTORY");
	struct buf path = BUF_INIT(REFERENCE_MAX_BYTES);
	int err;

	if (name[0] == '\0' || strchr(name, '/') != NULL || strcmp(name, ".") == 0 ||
		strcmp(name, "..") == 0) {
		buf_append_string(error, "not the name of a credential: ");
		quote_append(error, name, strlen(name));
		return failed(error);
	}
	if (directory == NULL || directory[0] == '\0') {
		buf_appendf(error,
			"credential %s: CREDENTIALS_DIRECTORY is not set; systemd sets it for a "
			"service with LoadCredential=",
			name);
		return failed(error);
	}
	err = buf_appendf(&path, "%s/%s", directory, name);
	if (err == ERR_TOO_LARGE) {
		buf_append_string(error, "CREDENTIALS_DIRECTORY is too long");
		err = failed(error);
	}
	if (err == 0)
		err = add_file(result, path.data, "credential", error);
	buf_free(&path);
	return err;
}

/* "NAME" or "NAME:-default"; the reference is writable. */
static int add_variable(struct substitution *result, char *reference,
	const struct config_environment *environment, struct buf *error)
{
	size_t len = strspn(reference, LETTERS "0123456789");
	const char *fallback = strncmp(reference + len, ":-", 2) == 0 ? reference + len + 2 : NULL;
	const char *value;

	if (strspn(reference, LETTERS) == 0 || (reference[len] != '\0' && fallback == NULL)) {
		buf_append_string(error, "expected ${NAME}, ${NAME:-default}, ${file:PATH} or "
					 "${credential:NAME}, got ");
		quote_append(error, reference, strlen(reference));
		buf_append_string(error, " in the braces; a literal ${ is written $${");
		return failed(error);
	}
	reference[len] = '\0';
	value = environment->getenv(environment->arg, reference);
	if (fallback != NULL && (value == NULL || value[0] == '\0'))
		value = fallback;
	if (value == NULL) {
		buf_appendf(error, "environment variable %s is not set", reference);
		return failed(error);
	}
	if (!utf8_is_valid(value, strlen(value))) {
		buf_appendf(error, "environment variable %s is not valid UTF-8", reference);
		return failed(error);
	}
	return add_part(result, value, false);
}

/* The text between "${" and "}". */
static int add_reference(struct substitution *result, const char *text, size_t len,
	const struct config_environment *environment, struct buf *error)
{
	char *reference = strndup(text, len);
	size_t told = error->len;
	int err;

	if (reference == NULL)
		return ERR_NOMEM;
	if (strncmp(reference, "file:", 5) == 0)
		err = add_file(result, reference + 5, "file", error);
	else if (strncmp(reference, "credential:", 11) == 0)
		err = add_credential(result, reference + 11, environment, error);
	else
		err = add_variable(result, reference, environment, error);
	if (err == ERR_CONFIG && environment->missing != NULL) {
		buf_truncate(error, told);
		err = add_part(result, environment->missing, false);
	}
	free(reference);
	return err;
}

static void add_literal(struct substitution *result, const char *text, size_t len)
{
	buf_append(&result->text, text, len);
	buf_append(&result->shown, text, len);
}

static int substitute_all(const char *text, const struct config_environment *environment,
	struct substitution *result, struct buf *error)
{
	while (*text != '\0') {
		size_t len = strcspn(text, "$");
		const char *close;
		int err;

		add_literal(result, text, len);
		text += len;
		if (text[0] == '\0')
			break;
		if (text[1] != '{') {
			add_literal(result, "$", 1);
			text += text[1] == '$' ? 2 : 1;
			continue;
		}
		close = strchr(text, '}');
		if (close == NULL) {
			buf_append_string(error, "${ without a closing brace; a literal ${ is "
						 "written $${");
			return failed(error);
		}
		err = add_reference(
			result, text + 2, (size_t)(close - text - 2), environment, error);
		if (err != 0)
			return err;
		text = close + 1;
	}
	return 0;
}

int substitute(const char *text, const struct config_environment *environment,
	struct substitution *result, struct buf *error)
{
	int err;

	buf_init(&result->text, SUBSTITUTE_MAX_BYTES);
	buf_init(&result->shown, SUBSTITUTE_MAX_BYTES);
	buf_init(&result->parts, SUBSTITUTE_MAX_BYTES);
	err = substitute_all(text, environment, result, error);
	if (err != 0)
		return err;
	if (result->text.err == ERR_NOMEM || result->shown.err == ERR_NOMEM ||
		result->parts.err == ERR_NOMEM)
		return ERR_NOMEM;
	if (result->text.err != 0 || result->shown.err != 0 || result->parts.err != 0) {
		buf_append_string(error, "larger than 4MiB when filled in");
		return failed(error);
	}
	return 0;
}

void substitution_free(struct substitution *result)
{
	buf_wipe(&result->text);
	buf_free(&result->shown);
	buf_wipe(&result->parts);
	*result = (struct substitution){0};
}
