/*
 * Twilio, Programmable Messaging: a message is created by a form.
 *
 * www.twilio.com/docs: "Messages resource", "Error and warning dictionary" (20003, 20404, 20429,
 * 20500, 21211, 21602, 21603, 21604, 21610, 21612, 21614, 63017), "Test credentials" (the numbers
 * +1500555000N). 100 messages a second for a short code.
 *
 * Recipients: "+" and 8 to 15 digits. Of +1500555NNN, what follows says what becomes of it, so that
 * Twilio's own test numbers do here what they do there: the last digit 1: invalid, 2: cannot be
 * routed, 4: has unsubscribed, 9: no mobile number; 5: 500 once, 7: 63017 once, 8: 20429 once.
 */
#include "cli/sink/play.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { SID_BYTES = 34, NUMBER_MAX = 17, BODY_MAX_CHARACTERS = 1600 };

static const struct play_mark marks[] = {
	{"1", 400, "21211", "Invalid 'To' Phone Number", false},
	{"2", 400, "21612", "The 'To' phone number is not currently reachable via SMS or MMS",
		false},
	{"4", 400, "21610", "Attempt to send to unsubscribed recipient", false},
	{"9", 400, "21614", "'To' number is not a valid mobile number", false},
	{"5", 500, "20500", "An internal server error has occurred", true},
	{"7", 429, "63017", "Channel rate limit exceeded", true},
	{"8", 429, "20429", "Too Many Requests", true},
	{NULL, 0, NULL, NULL, false},
};

static void refuse(struct play_answer *answer, int status, const char *code, const char *message)
{
	play_refuse(answer, status);
	buf_appendf(&answer->body,
		"{\"code\":%s,\"message\":\"%s\",\"more_info\":"
		"\"https://www.twilio.com/docs/errors/%s\",\"status\":%d}",
		code, message, code, status);
}

static bool is_sid(const char *text, const char *kind)
{
	return strncmp(text, kind, 2) == 0 && play_is_hex(text + 2, SID_BYTES - 2);
}

/* "/2010-04-01/Accounts/AC.../Messages.json" */
static bool is_path(const char *path, bool *ret_is_account)
{
	static const char start[] = "/2010-04-01/Accounts/";

	*ret_is_account = false;
	if (strncmp(path, start, strlen(start)) != 0)
		return false;
	path += strlen(start);
	*ret_is_account = is_sid(path, "AC");
	return strcmp(path + strcspn(path, "/"), "/Messages.json") == 0;
}

static bool has_basic(const struct play_request *request)
{
	const char *value = http_call_header(request->call, "Authorization");

	return value && strncasecmp(value, "Basic ", 6) == 0 && value[6 + strspn(value + 6, " ")];
}

static int hex_digit(char c)
{
	const char *at = c ? strchr("0123456789abcdef0123456789ABCDEF", c) : NULL;

	if (!at)
		return -1;
	return (int)(at - "0123456789abcdef0123456789ABCDEF") % 16;
}

/* A field of the form, decoded, cut at size; its full length, or 0: there is none or it is empty.
 */
static size_t form_field(
	const struct play_request *request, const char *name, char *ret_text, size_t size)
{
	size_t name_bytes = strlen(name), len = 0;
	const char *at = request->body, *end = request->body + request->body_bytes;

	*ret_text = '\0';
	while (at < end && !((size_t)(end - at) > name_bytes && memcmp(at, name, name_bytes) == 0 &&
				   at[name_bytes] == '=')) {
		at = memchr(at, '&', (size_t)(end - at));
		if (!at++)
			return 0;
	}
	if (at >= end)
		return 0;
	for (at += name_bytes + 1; at < end && *at != '&'; at++, len++) {
		char c = *at == '+' ? ' ' : *at;

		if (c == '%' && end - at > 2 && hex_digit(at[1]) >= 0 && hex_digit(at[2]) >= 0) {
			c = (char)(hex_digit(at[1]) << 4 | hex_digit(at[2]));
			at += 2;
		}
		if (len + 1 < size) {
			ret_text[len] = c;
			ret_text[len + 1] = '\0';
		}
	}
	return len;
}

static const struct play_mark *judge(struct play *play, const char *to)
{
	size_t digits = *to == '+' ? strspn(to + 1, "0123456789") : 0;

	if (digits < 8 || digits > 15 || to[1 + digits] != '\0')
		return &marks[0];
	if (strncmp(to, "+1500555", 8) != 0)
		return NULL;
	return play_mark(play, marks, to, digits);
}

static void send_message(
	struct play *play, const struct play_request *request, struct play_answer *answer)
{
	char to[NUMBER_MAX + 2], other[8];
	const struct play_mark *mark;
	size_t to_bytes = form_field(request, "To", to, sizeof(to)), body_bytes;

	if (to_bytes == 0) {
		refuse(answer, 400, "21604", "A 'To' phone number is required.");
		return;
	}
	if (form_field(request, "From", other, sizeof(other)) == 0 &&
		form_field(request, "MessagingServiceSid", other, sizeof(other)) == 0) {
		refuse(answer, 400, "21603", "A 'From' phone number is required.");
		return;
	}
	body_bytes = form_field(request, "Body", other, sizeof(other));
	if (body_bytes == 0) {
		refuse(answer, 400, "21602", "Message body is required.");
		return;
	}
	if (body_bytes > (size_t)4 * BODY_MAX_CHARACTERS) {
		refuse(answer, 400, "21617",
			"The concatenated message body exceeds the 1600 character limit");
		return;
	}
	mark = judge(play, to);
	if (mark) {
		refuse(answer, mark->status, mark->code, mark->message);
		return;
	}
	play_accept(answer, 201, 1);
	buf_appendf(&answer->body,
		"{\"sid\":\"SM%032" PRIx64 "\",\"status\":\"queued\",\"to\":\"%s\","
		"\"error_code\":null,\"error_message\":null}",
		play->requests, to);
}

static void answer_twilio(
	struct play *play, const struct play_request *request, struct play_answer *answer)
{
	bool is_account, is_ours = is_path(request->path, &is_account);

	if (!is_ours)
		refuse(answer, 404, "20404", "The requested resource was not found");
	else if (!has_basic(request))
		refuse(answer, 401, "20003", "Authenticate");
	else if (!is_account)
		refuse(answer, 404, "20404", "The requested resource was not found");
	else if (strcmp(request->method, "POST") != 0)
		refuse(answer, 405, "20004", "Method not allowed");
	else if (!play_allows(play, &play->passed, play->options.rate_count, request->now_us)) {
		refuse(answer, 429, "20429", "Too Many Requests");
		answer->verdict = PLAY_THROTTLED;
	} else
		send_message(play, request, answer);
}

const struct play_provider play_twilio = {
	.name = "twilio",
	.rate_count = 100,
	.rate_per_ms = 1000,
	.answer = answer_twilio,
};
