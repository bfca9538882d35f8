/* A document is refused, or every value of it is what its text says. */
#include "fuzz.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/utf8.h"
#include "bunshin/error.h"

#include <string.h>

static void check_same(const struct json_value *a, const struct json_value *b)
{
	FUZZ_CHECK(a->kind == b->kind && a->count == b->count);
	FUZZ_CHECK(a->string_bytes == b->string_bytes);
	FUZZ_CHECK(a->kind != JSON_STRING || memcmp(a->string, b->string, a->string_bytes) == 0);
}

/* Its own text, alone, is a document that means the same. */
static void check_raw(const struct json_value *value)
{
	struct json json = {0};

	FUZZ_CHECK(json_parse(&json, value->raw, value->raw_bytes) == 0);
	check_same(value, json_root(&json));
	json_free(&json);
}

static void check_string(const struct json_value *value)
{
	struct buf buf = BUF_INIT(1 << 20);
	struct json json = {0};

	FUZZ_CHECK(value->string_bytes + 2 <= value->raw_bytes);
	FUZZ_CHECK(value->string[value->string_bytes] == '\0');
	FUZZ_CHECK(utf8_is_valid(value->string, value->string_bytes));
	buf_append_char(&buf, '"');
	buf_append_json(&buf, value->string, value->string_bytes);
	FUZZ_CHECK(buf_append_char(&buf, '"') == 0);
	FUZZ_CHECK(json_parse(&json, buf.data, buf.len) == 0);
	check_same(value, json_root(&json));
	json_free(&json);
	buf_free(&buf);
}

static void check_children(const struct json_value *value)
{
	const struct json_value *child = json_first(value);
	size_t count = 0;

	for (; child; child = json_next(value, child)) {
		FUZZ_CHECK((child->name != NULL) == (value->kind == JSON_OBJECT));
		FUZZ_CHECK(!child->name || json_member(value, child->name) ||
			   strlen(child->name) != child->name_bytes);
		FUZZ_CHECK(child->raw > value->raw);
		FUZZ_CHECK(child->raw + child->raw_bytes < value->raw + value->raw_bytes);
		count++;
	}
	FUZZ_CHECK(count == value->count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct json json = {0};
	int err = json_parse(&json, text, size);

	if (err) {
		FUZZ_CHECK(err == ERR_SYNTAX || err == ERR_TOO_LARGE);
		FUZZ_CHECK(!json_root(&json) && json.error_offset <= size);
		json_free(&json);
		return 0;
	}
	FUZZ_CHECK(utf8_is_valid(text, size));
	FUZZ_CHECK(json_root(&json)->span == json.count);
	/* Checking every value by its own text is quadratic; a sample of a large one will do. */
	for (size_t i = 0; i < json.count; i++) {
		const struct json_value *value = &json.values[i];

		FUZZ_CHECK(value->span > 0 && i + value->span <= json.count);
		if (i < 50)
			check_raw(value);
		if (value->kind == JSON_STRING && i < 50)
			check_string(value);
		else if (value->kind == JSON_ARRAY || value->kind == JSON_OBJECT)
			check_children(value);
	}
	json_free(&json);
	return 0;
}
