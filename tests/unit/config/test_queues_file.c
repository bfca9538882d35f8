/* The form of the file that declares queues. */
#include "bunshin/error.h"
#include "config/queues_file.h"
#include "failmalloc.h"
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct queues_file *load(const char *text)
{
	struct buf errors = BUF_INIT(65536);
	struct queues_file *file = NULL;

	fixture_write("queues.yaml", text, strlen(text));
	if (queues_file_load("queues.yaml", &file, &errors) != 0)
		fail_msg("%s", buf_string(&errors));
	buf_free(&errors);
	return file;
}

static void test_all_of_it(void **state)
{
	struct queues_file *file = load("queues:\n"
					"  - name: a\n"
					"    attributes: {DelaySeconds: 5, Policy: '{}'}\n"
					"    redrive: {max_receives: 3, queue: b}\n"
					"    tags: {x: 'y z', \"ü\": ''}\n"
					"  - {name: b}\n");
	const struct queues_entry *a = &file->entries[0];

	assert_int_equal(file->count, 2);
	assert_string_equal(file->path, "queues.yaml");
	assert_string_equal(a->name, "a");
	assert_int_equal(a->name_place.line, 2);
	assert_int_equal(a->name_place.column, 11);
	assert_int_equal(a->attributes.count, 2);
	assert_string_equal(a->attributes.list[0].name, "DelaySeconds");
	assert_string_equal(a->attributes.list[0].value, "5");
	assert_int_equal(a->attributes.list[0].place.column, 32);
	assert_string_equal(a->attributes.list[1].value, "{}");
	assert_string_equal(a->redrive_queue, "b");
	assert_string_equal(a->max_receives, "3");
	assert_int_equal(a->max_receives_place.line, 4);
	assert_int_equal(a->tags.count, 2);
	assert_string_equal(a->tags.list[0].value, "y z");
	assert_string_equal(a->tags.list[1].name, "ü");
	assert_string_equal(a->tags.list[1].value, "");
	assert_string_equal(file->entries[1].name, "b");
	assert_null(file->entries[1].redrive_queue);
	queues_file_free(file);
}

static void test_maps_become_json(void **state)
{
	static const char *const rows[][2] = {
		{"{a: 1, b: -2, c: true, d: false, e: null}",
			"{\"a\":1,\"b\":-2,\"c\":true,\"d\":false,\"e\":null}"},
		{"{a: '1', b: \"true\", c: yes, d: 1.5, e: 007, f: 12345678901234567}",
			"{\"a\":\"1\",\"b\":\"true\",\"c\":\"yes\",\"d\":\"1.5\",\"e\":\"007\","
			"\"f\":\"12345678901234567\"}"},
		{"[a, [b, {c: []}], {}, '-', -0, 0]", "[\"a\",[\"b\",{\"c\":[]}],{},\"-\",-0,0]"},
		{"{\"q\\\"\\\\\\n\": \"\\t\\x01 ü\"}", "{\"q\\\"\\\\\\n\":\"\\t\\u0001 ü\"}"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct queues_file *file;
		char text[512];

		snprintf(text, sizeof(text), "queues: [{name: a, attributes: {Policy: %s}}]",
			rows[i][0]);
		file = load(text);
		assert_string_equal(file->entries[0].attributes.list[0].value, rows[i][1]);
		queues_file_free(file);
	}
}

/* A hundred mistakes are told, then one line says that there are more. */
static void test_many_mistakes(void **state)
{
	struct buf text = BUF_INIT(65536), errors = BUF_INIT(1 << 20);
	struct queues_file *file = NULL;
	size_t lines = 0;

	buf_append_string(&text, "queues:\n");
	for (int i = 0; i < 150; i++)
		buf_append_string(&text, "  - {x: 1, name: a b}\n");
	fixture_write("queues.yaml", text.data, text.len);
	assert_int_equal(queues_file_load("queues.yaml", &file, &errors), ERR_CONFIG);
	for (const char *c = errors.data; *c != '\0'; c++)
		lines += *c == '\n';
	assert_int_equal(lines, 101);
	assert_non_null(strstr(errors.data, "queues.yaml: too many errors, stopped here\n"));
	buf_free(&text);
	buf_free(&errors);
}

static int load_once(void *arg)
{
	struct buf errors = BUF_INIT(65536);
	struct queues_file *file = NULL;
	int err = queues_file_load(arg, &file, &errors);

	queues_file_free(file);
	buf_free(&errors);
	return err;
}

static void test_without_memory(void **state)
{
	static const char text[] =
		"queues: [{name: a, attributes: {P: {a: [1]}, V: 1}, tags: {t: u},"
		" redrive: {queue: b, max_receives: 3}}, {name: b}]";
	static char path[] = "queues.yaml";

	fixture_write(path, text, sizeof(text) - 1);
	assert_true(failmalloc_sweep(load_once, path) > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_of_it),
		cmocka_unit_test(test_maps_become_json),
		cmocka_unit_test(test_many_mistakes),
		cmocka_unit_test(test_without_memory),
	};

	return cmocka_run_group_tests(tests, fixture_enter, fixture_leave);
}
