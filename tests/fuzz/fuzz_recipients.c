/* Any text, as CSV and as JSON lines: rows become JSON objects that parse, errors have a place. */
#include "fuzz.h"

#include "base/json.h"
#include "campaign/recipients.h"

#include <string.h>

struct source {
	const uint8_t *bytes;
	size_t len, step;
};

static int read_source(void *arg, char *bytes, size_t size, size_t *ret_len)
{
	struct source *source = arg;
	size_t len = source->len < source->step ? source->len : source->step;

	FUZZ_CHECK(len <= size);
	memcpy(bytes, source->bytes, len);
	source->bytes += len;
	source->len -= len;
	*ret_len = len;
	return 0;
}

static void check_row(struct recipients *recipients, struct json *json, struct buf *text)
{
	const struct json_value *root, *member;

	buf_clear(text);
	FUZZ_CHECK(recipients_append_json(recipients, text) == 0);
	FUZZ_CHECK(json_parse(json, buf_string(text), text->len) == 0);
	root = json_root(json);
	FUZZ_CHECK(root->kind == JSON_OBJECT);
	for (member = json_first(root); member; member = json_next(root, member)) {
		struct template_value value;

		/* The look-up is by C string. */
		if (strlen(member->name) == member->name_bytes)
			FUZZ_CHECK(recipients_lookup(recipients, member->name, &value));
	}
}

static void read_as(enum recipients_format format, const uint8_t *data, size_t size, size_t step)
{
	struct source source = {data, size, step};
	const struct recipients_input input = {read_source, &source};
	struct recipients *recipients;
	struct json json = {0};
	struct buf text = BUF_INIT((size_t)16 << 20);
	uint64_t row = 0;
	int event;

	FUZZ_CHECK(recipients_new(format, &input, &recipients) == 0);
	while ((event = recipients_next(recipients)) != RECIPIENTS_END) {
		const struct recipients_error *error = recipients_error(recipients);
		struct recipients_place place = recipients_place(recipients);

		if (event == RECIPIENTS_ROW)
			check_row(recipients, &json, &text);
		else
			FUZZ_CHECK(event == RECIPIENTS_INVALID && error->reason[0] &&
				   error->line >= 1 && error->column >= 1);
		FUZZ_CHECK(place.row == row + 1 ||
			   (place.row == 0 && event == RECIPIENTS_INVALID && error->fatal));
		row = place.row;
	}
	FUZZ_CHECK(recipients_next(recipients) == RECIPIENTS_END);
	recipients_free(recipients);
	json_free(&json);
	buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	read_as(RECIPIENTS_CSV, data, size, 1 + size % 40);
	read_as(RECIPIENTS_JSONL, data, size, 1 + size % 40);
	return 0;
}
