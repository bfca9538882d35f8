#include "cli/campaign/samples.h"

#include "base/utf8.h"
#include "bunshin/error.h"
#include "cli/campaign/send.h"

#include <stdbool.h>
#include <string.h>

/* Whole characters of the text, at most so many bytes; returns how many. */
static size_t copy_beginning(char *to, size_t most, const char *text, size_t bytes)
{
	size_t len = 0, step;

	while (len < bytes) {
		step = utf8_sequence(text + len, bytes - len);
		if (step == 0 || len + step > most)
			break;
		len += step;
	}
	memcpy(to, text, len);
	to[len] = '\0';
	return len;
}

static void keep(
	struct campaign_sample *sample, const struct campaign_message *message, bool with_key)
{
	sample->place = message->place;
	sample->bytes = message->body_bytes;
	sample->shown_bytes = copy_beginning(
		sample->body, CAMPAIGN_SAMPLE_BYTES, message->body, message->body_bytes);
	sample->key_bytes = 0;
	sample->key[0] = '\0';
	if (with_key && message->key)
		sample->key_bytes = copy_beginning(
			sample->key, CAMPAIGN_SAMPLE_KEY_BYTES, message->key, message->key_bytes);
}

/* Is the nth of `valid` messages one of those that are shown? */
static bool is_wanted(uint64_t nth, uint64_t valid)
{
	return nth == 1 || nth == (valid + 1) / 2 || nth == valid;
}

int campaign_samples_take(struct campaign_plan *plan, uint64_t valid,
	struct campaign_sample samples[CAMPAIGN_SAMPLES], size_t *ret_count)
{
	struct recipients *recipients = NULL;
	struct messages *messages = NULL;
	struct campaign_message message;
	uint64_t seen = 0;
	size_t count = 0;
	int rc = campaign_plan_pass(plan, &recipients, &messages);

	while (rc == 0 && seen < valid) {
		int event = messages_next(messages, &message);

		if (event == RECIPIENTS_END)
			break;
		if (event == RECIPIENTS_ROW && is_wanted(++seen, valid))
			keep(&samples[count++], &message, plan->key_column != NULL);
		rc = event < 0 ? event : 0;
	}
	messages_free(messages);
	recipients_free(recipients);
	*ret_count = count;
	return rc;
}

const char *campaign_sample_name(size_t index, size_t count)
{
	if (index == 0)
		return "first";
	return index + 1 < count ? "middle" : "last";
}

/* One character; true: it ended a line. */
static bool append_character(struct buf *out, const char *text, size_t len)
{
	unsigned char first = (unsigned char)text[0];

	if (first == '\n') {
		buf_append_char(out, '\n');
		return true;
	}
	if (first == '\t')
		buf_append_char(out, ' ');
	else if (first < 0x20 || first == 0x7f)
		buf_appendf(out, "\\x%02x", first);
	else if (len == 2 && first == 0xc2 && (unsigned char)text[1] < 0xa0) /* C1 controls */
		buf_appendf(out, "\\x%02x", (unsigned char)text[1]);
	else
		buf_append(out, text, len);
	return false;
}

void campaign_sample_append_key(const struct campaign_sample *sample, struct buf *out)
{
	size_t len;

	if (sample->key_bytes == 0)
		return;
	buf_append_string(out, ", key ");
	for (size_t at = 0; at < sample->key_bytes; at += len) {
		len = utf8_sequence(sample->key + at, sample->key_bytes - at);
		if (sample->key[at] == '\n')
			buf_append_string(out, "\\n");
		else
			append_character(out, sample->key + at, len);
	}
}

void campaign_sample_append(const struct campaign_sample *sample, struct buf *out)
{
	unsigned lines = 0;
	size_t at = 0, len;

	buf_append_string(out, "  ");
	while (at < sample->shown_bytes && lines < CAMPAIGN_SAMPLE_LINES) {
		len = utf8_sequence(sample->body + at, sample->shown_bytes - at);
		if (append_character(out, sample->body + at, len) &&
			++lines < CAMPAIGN_SAMPLE_LINES)
			buf_append_string(out, "  ");
		at += len;
	}
	if (lines < CAMPAIGN_SAMPLE_LINES)
		buf_append_char(out, '\n');
	if (at < sample->bytes)
		buf_appendf(out, "  ... and %zu bytes more\n", sample->bytes - at);
}
