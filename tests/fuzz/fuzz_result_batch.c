/* Any file as an outcome log: what is sent of it is whole lines, within SQS's limits. */
#include "fuzz.h"

#include "results/log_batch.h"
#include "results/record.h"

#include <string.h>

static void check_entry(const struct log_batch *batch, size_t i)
{
	const struct log_entry *entry = &batch->entries[i];
	const char *line = batch->bytes + entry->at, *end = line + entry->len;

	FUZZ_CHECK(entry->len > 0 && entry->len <= LOG_ENTRY_BYTES);
	FUZZ_CHECK(entry->at + entry->len <= LOG_BATCH_BYTES);
	while (line < end) {
		const char *next = memchr(line, '\n', (size_t)(end - line));

		FUZZ_CHECK(next && result_line_is_whole(line, (size_t)(next - line) + 1));
		line = next + 1;
	}
}

static size_t pack(struct log_batch *batch, const uint8_t *data, size_t size, bool ended)
{
	size_t done;

	memcpy(batch->bytes, data, size);
	done = log_batch_pack(batch, size, ended);
	FUZZ_CHECK(done <= size && batch->count <= QUEUE_BATCH_MAX);
	FUZZ_CHECK(done == size || batch->full || !ended);
	for (size_t i = 0; i < batch->count; i++)
		check_entry(batch, i);
	return done;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct log_batch batch = {.bytes = malloc(LOG_BATCH_BYTES)};
	size_t done;

	FUZZ_CHECK(batch.bytes);
	if (size > LOG_BATCH_BYTES)
		size = LOG_BATCH_BYTES;
	done = pack(&batch, data, size, false);
	/* The rest is done with once nothing follows. */
	pack(&batch, data + done, size - done, true);
	free(batch.bytes);
	return 0;
}
