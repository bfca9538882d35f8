/*
 * Messages of any content as Lambda's event, read back: what comes is what went. The messages are
 * those of an event file, which reads the same shape, so each input goes round twice.
 */
#include "fuzz.h"

#include "base/utf8.h"
#include "cli/event_file.h"
#include "http/event_records.h"

#include <string.h>

#define NOW INT64_C(1800000000000)

enum { RECORDS_MAX = 64 };

static void check_text(const char *a, const char *b)
{
	FUZZ_CHECK((a == NULL) == (b == NULL));
	FUZZ_CHECK(a == NULL || strcmp(a, b) == 0);
}

static void check_bytes(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
	FUZZ_CHECK(a_bytes == b_bytes && memcmp(a, b, a_bytes) == 0);
}

static void check_same(const struct queue_message *a, const struct queue_message *b)
{
	check_text(a->message_id, b->message_id);
	check_text(a->receipt_handle, b->receipt_handle);
	check_bytes(a->body, a->body_bytes, b->body, b->body_bytes);
	check_text(a->group_id, b->group_id);
	check_text(a->trace_header, b->trace_header);
	check_text(a->sender_id, b->sender_id);
	check_text(a->sequence_number, b->sequence_number);
	check_text(a->deduplication_id, b->deduplication_id);
	check_text(a->dead_letter_source, b->dead_letter_source);
	check_text(a->idempotency_key, b->idempotency_key);
	FUZZ_CHECK(a->receive_count == b->receive_count);
	FUZZ_CHECK(a->sent_epoch_ms == b->sent_epoch_ms);
	FUZZ_CHECK(a->first_received_epoch_ms == b->first_received_epoch_ms);
	FUZZ_CHECK(a->attribute_count == b->attribute_count);
	for (size_t i = 0; i < a->attribute_count; i++) {
		const struct queue_attribute *x = &a->attributes[i], *y = &b->attributes[i];

		check_text(x->name, y->name);
		check_text(x->type, y->type);
		check_bytes(x->value, x->value_bytes, y->value, y->value_bytes);
	}
}

static struct event_file *parse(const char *text, size_t len)
{
	struct event_file *file = NULL;
	struct buf error = BUF_INIT(4096);

	if (event_file_parse(text, len, NOW, &file, &error) != 0)
		file = NULL;
	buf_free(&error);
	return file;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct queue_message *messages[RECORDS_MAX];
	struct event_file *file = parse((const char *)data, size), *back;
	struct buf event = BUF_INIT((size_t)64 << 20);
	size_t count = file ? event_file_count(file) : 0;

	for (size_t i = 0; i < count && i < RECORDS_MAX; i++)
		messages[i] = event_file_message(file, i);
	/* A body that is no text cannot come from a queue, only from a file. */
	if (count == 0 || count > RECORDS_MAX ||
		!utf8_is_valid(messages[0]->body, messages[0]->body_bytes)) {
		event_file_free(file);
		return 0;
	}
	FUZZ_CHECK(event_records_append(&event, messages, count, "arn:aws:sqs:r:1:q", "r") == 0);
	back = parse(event.data, event.len);
	FUZZ_CHECK(back != NULL && event_file_count(back) == count);
	for (size_t i = 0; i < count; i++)
		check_same(messages[i], event_file_message(back, i));
	event_file_free(back);
	event_file_free(file);
	buf_free(&event);
	return 0;
}
