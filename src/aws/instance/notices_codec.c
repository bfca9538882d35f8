#include "aws/instance/notices_codec.h"

#include "base/json.h"
#include "base/utf8.h"
#include "bunshin/error.h"

#include <string.h>

#define STATE_MAX_BYTES 64

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
	const char *word, *name;
} actions[] = {
	[SPOT_TERMINATE] = {"terminate", "terminated"},
	[SPOT_STOP] = {"stop", "stopped"},
	[SPOT_HIBERNATE] = {"hibernate", "hibernated"},
};

const char *spot_action_name(enum spot_action action)
{
	return actions[action].name;
}

/* One object, into `json`, which is to be freed however it ends. */
static int object_parse(struct json *json, const char *text, size_t len)
{
	int err = len <= NOTICE_MAX_BYTES ? json_parse(json, text, len) : ERR_TOO_LARGE;

	if (err == ERR_NOMEM)
		return err;
	return err == 0 && json_root(json)->kind == JSON_OBJECT ? 0 : ERR_PROTOCOL;
}

static int time_read(const struct json *json, const char *name, int64_t *ret_epoch_ms)
{
	const char *text = json_text(json_member(json_root(json), name));

	return text != NULL && units_parse_rfc3339(text, ret_epoch_ms) == 0 ? 0 : ERR_PROTOCOL;
}

static int action_read(const struct json *json, enum spot_action *ret_action)
{
	const char *text = json_text(json_member(json_root(json), "action"));

	for (size_t i = 0; text != NULL && i < COUNT_OF(actions); i++) {
		if (strcmp(text, actions[i].word) == 0) {
			*ret_action = (enum spot_action)i;
			return 0;
		}
	}
	return ERR_PROTOCOL;
}

int spot_notice_read(const char *text, size_t len, struct spot_notice *ret_notice)
{
	struct spot_notice notice;
	struct json json = {0};
	int err = object_parse(&json, text, len);

	if (err == 0)
		err = action_read(&json, &notice.action);
	if (err == 0)
		err = time_read(&json, "time", &notice.time_epoch_ms);
	json_free(&json);
	if (err == 0)
		*ret_notice = notice;
	return err;
}

int rebalance_notice_read(const char *text, size_t len, int64_t *ret_epoch_ms)
{
	struct json json = {0};
	int err = object_parse(&json, text, len);

	if (err == 0)
		err = time_read(&json, "noticeTime", ret_epoch_ms);
	json_free(&json);
	return err;
}

/* Without the line break that may be behind it. */
static size_t line_length(const char *text, size_t len)
{
	if (len > 0 && text[len - 1] == '\n')
		len--;
	return len > 0 && text[len - 1] == '\r' ? len - 1 : len;
}

static bool is_letter(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == ':';
}

static bool is_word(const char *text, size_t len, const char *word)
{
	return strlen(word) == len && memcmp(text, word, len) == 0;
}

int lifecycle_state_read(const char *text, size_t len, bool *ret_terminating)
{
	len = line_length(text, len);
	if (len == 0 || len > STATE_MAX_BYTES)
		return ERR_PROTOCOL;
	for (size_t i = 0; i < len; i++)
		if (!is_letter(text[i]))
			return ERR_PROTOCOL;
	*ret_terminating =
		is_word(text, len, "Terminated") || is_word(text, len, "Warmed:Terminated");
	return 0;
}

bool instance_id_read(const char *text, char ret_id[INSTANCE_ID_SIZE])
{
	size_t len = line_length(text, strlen(text));

	if (len < 3 || len >= INSTANCE_ID_SIZE || strncmp(text, "i-", 2) != 0 ||
		strspn(text + 2, "0123456789abcdef") != len - 2)
		return false;
	memcpy(ret_id, text, len);
	ret_id[len] = '\0';
	return true;
}

bool instance_group_read(const char *text, char ret_group[INSTANCE_GROUP_SIZE])
{
	size_t len = line_length(text, strlen(text));

	if (len == 0 || len >= INSTANCE_GROUP_SIZE || !utf8_is_valid(text, len))
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			return false;
	memcpy(ret_group, text, len);
	ret_group[len] = '\0';
	return true;
}
