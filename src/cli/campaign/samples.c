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

/* Where the first value of an array ends. */
static size_t end_of_first(const char *array)
{
	size_t at = 1;

	if (array[at] != '"')
		return at + strcspn(array + at, ",]");
	for (at++; array[at] != '"'; at++)
		at += array[at] == '\\';
	return at + 1;
}

/* The body, but of a pack's recipients the first. */
static int append_text(const struct campaign_message *message, struct buf *out)
{
	const struct pack_field *field = &message->field;
	size_t end = field->at + field->bytes;

	if (message->place_count < 2)
		return buf_append(out, message->body, message->body_bytes);
	buf_append(out, message->body, field->at + end_of_first(message->body + field->at));
	buf_appendf(out, ", ... and %zu more]", message->place_count - 1);
	return buf_append(out, message->body + end, message->body_bytes - end);
}

static int keep(
	struct campaign_sample *sample, const struct campaign_message *message, bool with_key)
{
	struct buf text = BUF_INIT(2 * MESSAGE_MAX_BYTES);
	int err = append_text(message, &text);

	*sample = (struct campaign_sample){
		.place = message->place,
		.recipients = campaign_message_recipients(message),
		.text_bytes = text.len,
		.bytes = message->body_bytes,
	};
	sample->shown_bytes =
		copy_beginning(sample->body, CAMPAIGN_SAMPLE_BYTES, buf_string(&text), text.len);
	if (with_key && message->key)
		sample->key_bytes = copy_beginning(
			sample->key, CAMPAIGN_SAMPLE_KEY_BYTES, message->key, message->key_bytes);
	buf_free(&text);
	return err;
}

/* What a pass has found so far. */
struct pass {
	const struct campaign_plan *plan;
	struct campaign_sample *samples, last;
	uint64_t seen;
	size_t count;
};

/*
 * Packs may be fewer than the check has counted, when some of their rows are in the queue already:
 * any of them may be the last.
 */
static int consider(struct pass *pass, const struct campaign_message *message)
{
	const struct campaign_plan *plan = pass->plan;
	uint64_t nth = ++pass->seen;
	struct campaign_sample *sample = NULL;

	if (nth == 1 || nth == (plan->check.messages + 1) / 2)
		sample = &pass->samples[pass->count++];
	else if (nth == plan->check.messages || plan->pack > 0)
		sample = &pass->last;
	return sample ? keep(sample, message, plan->key_column != NULL) : 0;
}

static int read_all(struct pass *pass, struct messages *messages, struct packer *packer)
{
	struct campaign_message message;
	int rc = 0;

	while (rc == 0 && pass->seen < pass->plan->check.messages) {
		int event = packer ? packer_next(packer, messages, &message)
				   : messages_next(messages, &message);

		if (event == RECIPIENTS_END)
			break;
		if (event == RECIPIENTS_ROW)
			rc = consider(pass, &message);
		else if (event < 0)
			rc = event;
	}
	return rc;
}

int campaign_samples_take(struct campaign_plan *plan,
	struct campaign_sample samples[CAMPAIGN_SAMPLES], size_t *ret_count)
{
	struct pass pass = {.plan = plan, .samples = samples};
	struct recipients *recipients = NULL;
	struct messages *messages = NULL;
	struct packer *packer = NULL;
	int rc = campaign_plan_pass(plan, &recipients, &messages);

	if (rc == 0)
		rc = campaign_plan_packer(plan, &packer);
	if (rc == 0)
		rc = read_all(&pass, messages, packer);
	if (pass.last.recipients > 0)
		samples[pass.count++] = pass.last;
	packer_free(packer);
	messages_free(messages);
	recipients_free(recipients);
	*ret_count = pass.count;
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
	if (at < sample->text_bytes)
		buf_appendf(out, "  ... and %zu bytes more\n", sample->text_bytes - at);
}
