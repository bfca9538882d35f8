/*
 * Hostile failures: attributes of any bytes are read, matched, grouped and printed, and nothing
 * that a terminal acts upon comes out. The input: lines of NAME=VALUE; what follows an empty line
 * is the body.
 */
#include "fuzz.h"

#include "base/utf8.h"
#include "campaign/failures.h"
#include "campaign/redrive.h"
#include "cli/printable.h"

#include <string.h>

static struct queue_attribute attributes[QUEUE_ATTRIBUTES_MAX];
static char names[QUEUE_ATTRIBUTES_MAX][64];

static void check_printable(const char *text, size_t len)
{
	struct buf out = BUF_INIT((size_t)8 << 20);

	printable_append(&out, text, len, len);
	FUZZ_CHECK(out.err == 0 && utf8_is_valid(buf_string(&out), out.len));
	for (size_t i = 0; i < out.len; i++)
		FUZZ_CHECK((unsigned char)out.data[i] >= 0x20 && out.data[i] != 0x7f);
	buf_clear(&out);
	printable_append_json(&out, text, len);
	FUZZ_CHECK(out.err == 0 && utf8_is_valid(buf_string(&out), out.len));
	for (size_t i = 0; i < out.len; i++)
		FUZZ_CHECK((unsigned char)out.data[i] >= 0x20 && out.data[i] != 0x7f);
	buf_free(&out);
}

/* Reads the lines; returns where the body begins. */
static size_t read_attributes(const char *text, size_t len, size_t *ret_count)
{
	size_t at = 0, count = 0;

	while (at < len && count < QUEUE_ATTRIBUTES_MAX) {
		const char *end = memchr(text + at, '\n', len - at), *equals;
		size_t line = end ? (size_t)(end - text) - at : len - at, name;

		if (line == 0)
			break;
		equals = memchr(text + at, '=', line);
		name = equals ? (size_t)(equals - text) - at : 0;
		if (name > 0 && name < sizeof(names[0])) {
			memcpy(names[count], text + at, name);
			names[count][name] = '\0';
			attributes[count] = (struct queue_attribute){names[count],
				text[at] == 'D' ? "Number" : "String", equals + 1, line - name - 1};
			count++;
		}
		at += line + 1;
	}
	*ret_count = count;
	return at < len ? at : len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct failure_filter filter = {.reason = "refused", .status = -1};
	const char *text = (const char *)data;
	struct queue_message message = {.message_id = "m", .receive_count = 2};
	struct failure_outgoing outgoing;
	struct failure_groups *groups;
	struct failure failure;
	char words[FAILURE_REASON_MAX];
	bool keyless;
	size_t body = read_attributes(text, size, &message.attribute_count), count;

	message.attributes = attributes;
	message.body = text + body;
	message.body_bytes = size - body;
	failure_read(&message, &failure);
	FUZZ_CHECK(failure.status >= 0 && failure.status <= 999);
	FUZZ_CHECK(failure.attempts >= 0 && failure.first_received_ms >= 0);
	failure_words(&failure, words);
	FUZZ_CHECK(utf8_is_valid(words, strlen(words)));
	failure_matches(&failure, &filter);
	FUZZ_CHECK(failure_groups_new(&groups) == 0);
	FUZZ_CHECK(failure_groups_add(groups, &failure, 1) == 0);
	FUZZ_CHECK(failure_groups_add(groups, &failure, 1) == 0);
	FUZZ_CHECK(failure_groups_sorted(groups, &count)[0]->count == 2 && count == 1);
	failure_groups_free(groups);
	FUZZ_CHECK(redrive_prepare(&failure,
			   &(struct redrive_options){.target_url = "http://h/1/q",
				   .target_fifo = true,
				   .drop_deadline = true},
			   &outgoing, &keyless) == 0);
	FUZZ_CHECK(outgoing.send.attribute_count <= QUEUE_ATTRIBUTES_MAX);
	for (size_t i = 0; i < outgoing.send.attribute_count; i++)
		FUZZ_CHECK(strcmp(outgoing.send.attributes[i].name, "Deadline") != 0);
	check_printable(text, size);
	return 0;
}
