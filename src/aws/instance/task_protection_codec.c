#include "aws/instance/task_protection_codec.h"

#include "aws/credentials/container_uri.h"
#include "aws/error_codes.h"
#include "base/json.h"
#include "bunshin/error.h"

#include <stdio.h>
#include <string.h>

#define PATH "/task-protection/v1/state"
#define WORDS_SIZE 200 /* of what the agent says, and of each part of it */

int task_protection_uri(
	const char *agent_uri, struct buf *url, char reason[TASK_PROTECTION_REASON_SIZE])
{
	size_t len;
	int err;

	if (agent_uri == NULL) {
		snprintf(reason, TASK_PROTECTION_REASON_SIZE,
			"ECS_AGENT_URI is not set: this is no container of an ECS task, or its "
			"agent is too old for task protection");
		return ERR_CONFIG;
	}
	err = container_uri_check("ECS_AGENT_URI", agent_uri, reason);
	if (err != 0)
		return err;
	if (strpbrk(agent_uri, "?#") != NULL) {
		snprintf(reason, TASK_PROTECTION_REASON_SIZE,
			"ECS_AGENT_URI has a query or a fragment in it");
		return ERR_CONFIG;
	}
	len = strlen(agent_uri);
	while (len > 0 && agent_uri[len - 1] == '/')
		len--;
	buf_append(url, agent_uri, len);
	return buf_append_string(url, PATH) != 0 ? ERR_NOMEM : 0;
}

/* A member's text, without what a terminal or a log would stumble over; "" without it. */
static void words_read(
	const struct json_value *object, const char *name, char ret_words[WORDS_SIZE])
{
	const char *text = json_text(json_member(object, name));
	size_t len = 0;

	for (; text != NULL && text[len] != '\0' && len + 1 < WORDS_SIZE; len++)
		ret_words[len] = text[len] >= ' ' && text[len] <= '~' ? text[len] : '?';
	ret_words[len] = '\0';
}

static void reason_write(
	char reason[TASK_PROTECTION_REASON_SIZE], const char *code, const char *words, int status)
{
	snprintf(reason, TASK_PROTECTION_REASON_SIZE, "the ECS agent: %s (HTTP %d)%s%s",
		code[0] != '\0' ? code : "no code", status, words[0] != '\0' ? ": " : "", words);
}

/* NULL: it is not there, or null. */
static const struct json_value *part_of(const struct json *json, const char *name)
{
	const struct json_value *part = json_member(json_root(json), name);

	return part != NULL && part->kind != JSON_NULL ? part : NULL;
}

/* The answer that says no by itself. */
static int refusal_read(
	const struct json *json, int status, char reason[TASK_PROTECTION_REASON_SIZE])
{
	const struct json_value *failure = part_of(json, "failure");
	const struct json_value *error = part_of(json, "error");
	char code[AWS_ERROR_CODE_SIZE], said[WORDS_SIZE], words[WORDS_SIZE];
	int err;

	if (failure != NULL) {
		words_read(failure, "Reason", said);
		words_read(failure, "Detail", words);
		reason_write(reason, said, words, status);
		return ERR_REFUSED;
	}
	words_read(error, "Code", said);
	words_read(error, "Message", words);
	aws_error_code_copy(said, code);
	reason_write(reason, code, words, status);
	err = aws_error_of_code(code, 0);
	return err != 0 ? err : aws_error_of_status(status);
}

static int answer_read(
	const struct json *json, int status, bool held, char reason[TASK_PROTECTION_REASON_SIZE])
{
	const struct json_value *protection = part_of(json, "protection");
	const struct json_value *enabled = json_member(protection, "ProtectionEnabled");

	if (status != 200 || part_of(json, "failure") != NULL || part_of(json, "error") != NULL)
		return refusal_read(json, status, reason);
	if (enabled == NULL || enabled->kind != (held ? JSON_TRUE : JSON_FALSE)) {
		snprintf(reason, TASK_PROTECTION_REASON_SIZE,
			"the ECS agent's answer does not say that protection is %s",
			held ? "on" : "off");
		return ERR_PROTOCOL;
	}
	return 0;
}

int task_protection_read(int status, const char *text, size_t len, bool held,
	char reason[TASK_PROTECTION_REASON_SIZE])
{
	struct json json = {0};
	int err = len <= TASK_PROTECTION_MAX_BYTES ? json_parse(&json, text, len) : ERR_TOO_LARGE;

	reason[0] = '\0';
	if (err == 0) {
		err = answer_read(&json, status, held, reason);
	} else if (err == ERR_NOMEM) {
		snprintf(reason, TASK_PROTECTION_REASON_SIZE, "%s", error_message(err));
	} else {
		snprintf(reason, TASK_PROTECTION_REASON_SIZE,
			"the ECS agent's answer is no JSON (HTTP %d)", status);
		err = status == 200 ? ERR_PROTOCOL : aws_error_of_status(status);
	}
	json_free(&json);
	return err;
}
