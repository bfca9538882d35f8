/*
 * Bodies as rows make them, one a line, that are to be packed: no input crashes, and what is packed
 * is JSON whose list holds the values of its rows, byte for byte and in order.
 */
#include "fuzz.h"

#include "base/json.h"
#include "base/recipient_key.h"
#include "bunshin/error.h"
#include "campaign/packer.h"

#include <string.h>

#define ROWS_MAX 64

struct row {
	const char *body;
	size_t body_bytes;
	struct pack_field field;
};

static struct row rows[ROWS_MAX + 1];
static size_t row_count;
static unsigned seen[ROWS_MAX + 1];

static bool is_part(const struct campaign_message *pack, size_t at, const char *part, size_t len)
{
	return at + len <= pack->body_bytes && memcmp(pack->body + at, part, len) == 0;
}

static void check_pack(const struct campaign_message *pack)
{
	struct json json = {0};
	const struct json_value *root, *list, *value;
	size_t end = pack->field.at + pack->field.bytes;

	FUZZ_CHECK(pack->place_count >= 1 && pack->place_count <= 3);
	FUZZ_CHECK(json_parse(&json, pack->body, pack->body_bytes) == 0);
	root = json_root(&json);
	list = json_member(root, "to");
	FUZZ_CHECK(list && list->kind == JSON_ARRAY && list->count == pack->place_count);
	FUZZ_CHECK(list->raw == pack->body + pack->field.at);
	FUZZ_CHECK(list->raw_bytes == pack->field.bytes);
	value = json_first(list);
	for (size_t i = 0; i < pack->place_count; i++, value = json_next(list, value)) {
		const struct row *row = &rows[pack->places[i].row];
		size_t behind = row->field.at + row->field.bytes;

		FUZZ_CHECK(seen[pack->places[i].row]++ == 0);
		FUZZ_CHECK(value->raw_bytes == row->field.bytes);
		FUZZ_CHECK(memcmp(value->raw, row->body + row->field.at, row->field.bytes) == 0);
		FUZZ_CHECK(is_part(pack, 0, row->body, row->field.at));
		FUZZ_CHECK(is_part(pack, end, row->body + behind, row->body_bytes - behind));
		FUZZ_CHECK(end + row->body_bytes - behind == pack->body_bytes);
	}
	json_free(&json);
}

static void take(struct packer *packer, bool all)
{
	struct campaign_message pack;

	while (packer_take(packer, all, &pack) > 0)
		check_pack(&pack);
}

/* What was found after others is what is found alone. */
static void check_alone(
	const char *body, size_t body_bytes, int err, const struct pack_field *field)
{
	struct pack_field alone = {0};
	struct pack_finder finder;
	const char *reason;

	pack_finder_init(&finder, "to");
	FUZZ_CHECK(pack_finder_find(&finder, body, body_bytes, &alone, &reason) == err);
	FUZZ_CHECK(err != 0 || (alone.at == field->at && alone.bytes == field->bytes));
	pack_finder_free(&finder);
}

static void add(
	struct packer *packer, struct pack_finder *finder, const char *body, size_t body_bytes)
{
	static const char key[] = "6fa459ea-ee8a-5ca4-894e-db77e160355e";
	const struct queue_attribute attribute = {"IdempotencyKey", "String", key, sizeof(key) - 1};
	struct campaign_message message = {.body = body,
		.body_bytes = body_bytes,
		.attributes = &attribute,
		.attribute_count = 1,
		.idempotency_key = key};
	const char *reason = NULL;
	int err = pack_finder_find(finder, body, body_bytes, &message.field, &reason);

	FUZZ_CHECK(err == 0 || (err == ERR_SYNTAX && reason));
	check_alone(body, body_bytes, err, &message.field);
	if (err != 0)
		return;
	FUZZ_CHECK(message.field.at + message.field.bytes < body_bytes);
	rows[++row_count] = (struct row){body, body_bytes, message.field};
	message.place = (struct recipients_place){row_count, row_count};
	FUZZ_CHECK(packer_add(packer, &message) == 0);
	take(packer, false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *at = (const char *)data, *end = at + size;
	struct pack_finder finder;
	struct packer *packer;

	pack_finder_init(&finder, "to");
	row_count = 0;
	memset(seen, 0, sizeof(seen));
	FUZZ_CHECK(packer_new(3, &packer) == 0);
	while (at < end && row_count < ROWS_MAX) {
		const char *feed = memchr(at, '\n', (size_t)(end - at));

		add(packer, &finder, at, (size_t)((feed ? feed : end) - at));
		at = feed ? feed + 1 : end;
	}
	take(packer, true);
	for (size_t row = 1; row <= row_count; row++)
		FUZZ_CHECK(seen[row] == 1);
	packer_free(packer);
	pack_finder_free(&finder);
	return 0;
}
