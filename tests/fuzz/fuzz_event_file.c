/* An event file is whatever somebody pipes into `bunshin invoke`. */
#include "fuzz.h"

#include "cli/event_file.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct event_file *file = NULL;
	struct buf error = BUF_INIT(4096);
	size_t sum = 0;

	if (event_file_parse((const char *)data, size, 1800000000000, &file, &error) == 0) {
		for (size_t i = 0; i < event_file_count(file); i++) {
			const struct queue_message *m = event_file_message(file, i);

			for (size_t k = 0; k < m->body_bytes; k++)
				sum += (unsigned char)m->body[k];
			for (size_t k = 0; k < m->attribute_count; k++)
				sum += m->attributes[k].value_bytes + strlen(m->attributes[k].name);
			sum += strlen(m->idempotency_key) + strlen(m->message_id);
		}
	}
	event_file_free(file);
	buf_free(&error);
	FUZZ_CHECK(sum < SIZE_MAX); /* every byte was readable */
	return 0;
}
