#include "cli/sink/play.h"

#include "bunshin/error.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define BODY_MAX_BYTES ((size_t)2 << 20)
#define SECOND_US ((uint64_t)1000000)

static const struct play_provider *const providers[] = {
	&play_apns, &play_fcm, &play_lambda, &play_line, &play_slack, &play_telegram, &play_twilio};

const struct play_provider *play_find(const char *name)
{
	for (size_t i = 0; i < sizeof(providers) / sizeof(providers[0]); i++)
		if (strcmp(providers[i]->name, name) == 0)
			return providers[i];
	return NULL;
}

const char *play_names(void)
{
	return "apns, fcm, lambda, line, slack, telegram or twilio";
}

void play_init(struct play *play, const struct play_options *options)
{
	uint64_t window_us =
		options->rate_count ? (uint64_t)options->rate_per_ms * 1000 : SECOND_US;

	*play = (struct play){.options = *options};
	window_init(&play->arrivals, SECOND_US);
	window_init(&play->passed, window_us);
	window_init(&play->passed_other, window_us);
}

void play_free(struct play *play)
{
	sink_keys_free(&play->accepted);
	sink_keys_free(&play->once);
	sink_keys_free(&play->reached);
	json_free(&play->json);
}

void play_answer(struct play *play, const struct http_call *call, int64_t now_epoch_ms,
	uint64_t now_us, struct play_answer *answer)
{
	struct play_request request = {
		.call = call,
		.method = http_call_method(call),
		.path = http_call_path(call),
		.now_epoch_ms = now_epoch_ms,
		.now_us = now_us,
	};

	request.body = http_call_body(call, &request.body_bytes);
	*answer = (struct play_answer){
		.content_type = "application/json", .body = BUF_INIT(BODY_MAX_BYTES)};
	play->requests++;
	window_add(&play->arrivals, now_us);
	play->totals.most = play->arrivals.most;
	play->options.provider->answer(play, &request, answer);
	if (answer->verdict == PLAY_ACCEPTED)
		play->totals.recipients += answer->recipients;
	if (answer->body.err != 0)
		play->broken = true;
}

bool play_allows(struct play *play, struct window *passed, int64_t count, uint64_t now_us)
{
	uint64_t limit = (uint64_t)count + (uint64_t)count / 50;

	if (count != 0 && window_count(passed, now_us) >= limit) {
		play->totals.throttled++;
		return false;
	}
	window_add(passed, now_us);
	return true;
}

int64_t play_wait_s(struct window *passed, uint64_t now_us)
{
	uint64_t wait_us = window_wait_us(passed, now_us);

	return wait_us <= SECOND_US ? 1 : (int64_t)((wait_us + SECOND_US - 1) / SECOND_US);
}

const struct play_mark *play_mark(
	struct play *play, const struct play_mark *marks, const char *id, size_t offset)
{
	bool is_new;

	if (strlen(id) < offset)
		return NULL;
	while (marks->text && strncasecmp(id + offset, marks->text, strlen(marks->text)) != 0)
		marks++;
	if (!marks->text)
		return NULL;
	if (!marks->once)
		return marks;
	if (sink_keys_add(&play->once, sink_key_of(id), &is_new) < 0) {
		play->broken = true;
		return marks;
	}
	return is_new ? marks : NULL;
}

void play_remember(struct play *play, const char *key)
{
	bool is_new;

	if (key && sink_keys_add(&play->accepted, sink_key_of(key), &is_new) < 0)
		play->broken = true;
}

void play_reach(struct play *play, const char *id)
{
	bool is_new = true;

	if (sink_keys_add(&play->reached, sink_key_of(id), &is_new) < 0)
		play->broken = true;
	play->totals.repeated += !is_new;
}

void play_refuse(struct play_answer *answer, int status)
{
	answer->verdict = PLAY_REFUSED;
	answer->status = status;
}

void play_accept(struct play_answer *answer, int status, uint64_t recipients)
{
	answer->verdict = PLAY_ACCEPTED;
	answer->status = status;
	answer->recipients = recipients;
}

void play_header(struct play_answer *answer, const char *name, const char *value)
{
	char *copy = answer->values[answer->header_count];

	if (answer->header_count == PLAY_HEADERS_MAX)
		return;
	snprintf(copy, PLAY_HEADER_SIZE, "%s", value);
	answer->headers[2 * answer->header_count] = name;
	answer->headers[2 * answer->header_count + 1] = copy;
	answer->header_count++;
}

void play_uuid(struct sink_key key, char ret_uuid[PLAY_UUID_SIZE])
{
	snprintf(ret_uuid, PLAY_UUID_SIZE, "%08x-%04x-4%03x-%04x-%012" PRIx64,
		(unsigned)(key.high >> 32), (unsigned)(key.high >> 16 & 0xffff),
		(unsigned)(key.high & 0xfff), (unsigned)(key.low >> 48 & 0x3fff) | 0x8000,
		key.low & UINT64_C(0xffffffffffff));
}

bool play_is_hex(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] == '\0' || !strchr("0123456789abcdefABCDEF", text[i]))
			return false;
	return true;
}

bool play_is_uuid(const char *text)
{
	static const size_t groups[] = {8, 4, 4, 4, 12};

	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		if (i > 0 && *text++ != '-')
			return false;
		if (!play_is_hex(text, groups[i]))
			return false;
		text += groups[i];
	}
	return *text == '\0';
}

const char *play_bearer(const struct play_request *request)
{
	const char *value = http_call_header(request->call, "Authorization");

	if (!value || strncasecmp(value, "Bearer ", 7) != 0)
		return NULL;
	value += 7 + strspn(value + 7, " ");
	return *value ? value : NULL;
}

const struct json_value *play_json(struct play *play, const struct play_request *request)
{
	int err = json_parse(&play->json, request->body, request->body_bytes);

	if (err == ERR_NOMEM)
		play->broken = true;
	return err == 0 ? json_root(&play->json) : NULL;
}
