/* Packs: which rows go together, what a packed message is, and when one goes out. */
#include "campaign/packer.h"

#include "base/recipient_key.h"
#include "bunshin/error.h"
#include "text_source.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A list, its messages and a packer. */
struct stage {
	struct text_source source;
	struct recipients_input input;
	struct recipients *recipients;
	struct messages *messages;
	struct packer *packer;
	struct template *template;
};

static void open_stage(
	struct stage *stage, const char *list, const char *template, unsigned most, bool fifo)
{
	struct messages_options options = {.campaign = "morning",
		.deadline_epoch_ms = 7,
		.key_space = {9},
		.key = MESSAGES_KEY_ROW,
		.pack_field = "to",
		.fifo = fifo};
	struct buf error = BUF_INIT(1000);

	*stage = (struct stage){.source = {list, strlen(list)}};
	stage->input = (struct recipients_input){text_source_read, &stage->source};
	if (template)
		assert_int_equal(message_template_compile(
					 template, strlen(template), &stage->template, &error),
			0);
	options.template = stage->template;
	assert_int_equal(recipients_new(recipients_guess_format("-", list, stage->source.len),
				 &stage->input, &stage->recipients),
		0);
	assert_int_equal(messages_new(stage->recipients, &options, &stage->messages), 0);
	assert_int_equal(packer_new(most, &stage->packer), 0);
	buf_free(&error);
}

static void close_stage(struct stage *stage)
{
	packer_free(stage->packer);
	messages_free(stage->messages);
	recipients_free(stage->recipients);
	template_free(stage->template);
}

static const struct queue_attribute *attribute(
	const struct campaign_message *message, const char *name)
{
	for (size_t i = 0; i < message->attribute_count; i++)
		if (strcmp(message->attributes[i].name, name) == 0)
			return &message->attributes[i];
	return NULL;
}

/* "rows: body", one a line, or "! reason" of a row that cannot be packed. */
static void describe(struct stage *stage, struct buf *out)
{
	struct campaign_message message;
	int event;

	while ((event = packer_next(stage->packer, stage->messages, &message)) != RECIPIENTS_END) {
		assert_true(event > 0);
		if (event == RECIPIENTS_INVALID) {
			buf_appendf(out, "! %s\n", messages_error(stage->messages)->reason);
			continue;
		}
		assert_int_equal(message.place.row, message.places[0].row);
		for (size_t i = 0; i < message.place_count; i++)
			buf_appendf(out, "%s%" PRIu64, i > 0 ? "," : "", message.places[i].row);
		buf_appendf(out, ": %s\n", message.body);
	}
	assert_int_equal(packer_next(stage->packer, stage->messages, &message), RECIPIENTS_END);
}

static void assert_packs(
	const char *list, const char *template, unsigned most, const char *expected)
{
	struct buf out = BUF_INIT(100000);
	struct stage stage;

	open_stage(&stage, list, template, most, false);
	describe(&stage, &out);
	assert_string_equal(buf_string(&out), expected);
	buf_free(&out);
	close_stage(&stage);
}

static void rows_of_one_content_go_together(void **state)
{
	assert_packs("to,text\nU1,a\nU2,a\nU3,a\n", NULL, 500,
		"1,2,3: {\"to\":[\"U1\",\"U2\",\"U3\"],\"text\":\"a\"}\n");
	assert_packs("to,text\nU1,a\nU2,b\nU3,a\nU4,b\nU5,c\n", NULL, 500,
		"1,3: {\"to\":[\"U1\",\"U3\"],\"text\":\"a\"}\n"
		"2,4: {\"to\":[\"U2\",\"U4\"],\"text\":\"b\"}\n"
		"5: {\"to\":[\"U5\"],\"text\":\"c\"}\n");
	assert_packs("to\nU1\nU2\nU3\n", NULL, 1,
		"1: {\"to\":[\"U1\"]}\n2: {\"to\":[\"U2\"]}\n3: {\"to\":[\"U3\"]}\n");
}

static void a_full_one_goes_out_first(void **state)
{
	assert_packs("to,text\nU1,b\nU2,a\nU3,a\nU4,a\nU5,b\n", NULL, 2,
		"2,3: {\"to\":[\"U2\",\"U3\"],\"text\":\"a\"}\n"
		"1,5: {\"to\":[\"U1\",\"U5\"],\"text\":\"b\"}\n"
		"4: {\"to\":[\"U4\"],\"text\":\"a\"}\n");
}

static void a_template_decides_what_is_alike(void **state)
{
	assert_packs("to,name\nU1,Ann\nU2,Bob\n", "{\"text\": \"hi\", \"to\" : \"{{to}}\" }\n", 9,
		"1,2: {\"text\": \"hi\", \"to\" : [\"U1\",\"U2\"] }\n");
	assert_packs("to,name\nU1,Ann\nU2,Bob\n", "{\"text\":\"hi {{name}}\",\"to\":\"{{to}}\"}", 9,
		"1: {\"text\":\"hi Ann\",\"to\":[\"U1\"]}\n2: {\"text\":\"hi "
		"Bob\",\"to\":[\"U2\"]}\n");
	/* The recipient stands elsewhere, too: then no two are alike. */
	assert_packs("to\nU1\nU2\n", "{\"to\":\"{{to}}\",\"id\":\"{{to}}\"}", 9,
		"1: {\"to\":[\"U1\"],\"id\":\"U1\"}\n2: {\"to\":[\"U2\"],\"id\":\"U2\"}\n");
}

static void values_stay_as_they_are_written(void **state)
{
	assert_packs("{\"to\":12}\n{\"to\":-3e2}\n{\"to\":\"a,\\\"]\\u0041\"}\n{\"to\":12}\n", NULL,
		9, "1,2,3,4: {\"to\":[12,-3e2,\"a,\\\"]\\u0041\",12]}\n");
	assert_packs("{\"\\u0074o\":\"U1\"}\n", NULL, 9, "1: {\"\\u0074o\":[\"U1\"]}\n");
}

static void what_cannot_be_packed(void **state)
{
	static const char why[] = "! cannot be packed by \"to\": the message ";
	struct buf expected = BUF_INIT(1000);

	buf_appendf(&expected, "%shas no text or number there\n", why);
	buf_appendf(&expected, "%shas no text or number there\n", why);
	buf_appendf(&expected, "%shas an empty text there\n", why);
	buf_appendf(&expected, "%sdoes not have this member\n", why);
	buf_appendf(&expected, "%shas this member more than once\n", why);
	buf_append_string(&expected, "6: {\"to\":[\"U6\"]}\n");
	assert_packs("{\"to\":[\"U1\"]}\n{\"to\":null}\n{\"to\":\"\"}\n{\"id\":\"U4\"}\n"
		     "{\"to\":\"U5\",\"to\":\"U5\"}\n{\"to\":\"U6\"}\n",
		NULL, 9, buf_string(&expected));
	buf_clear(&expected);
	buf_appendf(&expected, "%sis no JSON object\n", why);
	assert_packs("to\nU1\n", "hello {{to}}", 9, buf_string(&expected));
	assert_packs("to\nU1\n", "[\"{{to}}\"]", 9, buf_string(&expected));
	buf_free(&expected);
}

/* The attributes: those of the rows, their keys in order, and the key of them all. */
static void a_pack_carries_its_keys(void **state)
{
	static const char list[] = "to\nU1\nU2\nU3\n";
	struct recipient_key keys[3];
	char text[RECIPIENT_KEY_TEXT_SIZE];
	struct campaign_message message;
	struct stage stage;

	open_stage(&stage, list, NULL, 3, true);
	for (int i = 0; i < 3; i++) {
		struct campaign_message row;

		assert_int_equal(messages_next(stage.messages, &row), RECIPIENTS_ROW);
		keys[i] = recipient_key_of_text(row.idempotency_key);
		assert_int_equal(packer_take(stage.packer, false, &message), 0);
		assert_int_equal(packer_add(stage.packer, &row), 0);
		assert_int_equal(packer_first(stage.packer).row, 1);
	}
	assert_int_equal(packer_take(stage.packer, false, &message), 1);
	assert_int_equal(packer_first(stage.packer).row, 0);
	assert_int_equal(message.attribute_count, 4);
	assert_string_equal(attribute(&message, "RecipientKeys")->type, "Binary");
	assert_int_equal(attribute(&message, "RecipientKeys")->value_bytes, sizeof(keys));
	assert_memory_equal(attribute(&message, "RecipientKeys")->value, keys, sizeof(keys));
	assert_string_equal(attribute(&message, "Campaign")->value, "morning");
	assert_string_equal(attribute(&message, "Deadline")->value, "7");
	keys[0] = recipient_key_batch(keys, 3);
	recipient_key_print(&keys[0], text);
	assert_string_equal(attribute(&message, "IdempotencyKey")->value, text);
	assert_int_equal(attribute(&message, "IdempotencyKey")->value_bytes, 36);
	/* On a FIFO queue a group of its own. */
	assert_string_equal(message.group_id, text);
	assert_string_equal(message.deduplication_id, text);
	assert_string_equal(message.idempotency_key, text);
	assert_memory_equal(
		message.body + message.field.at, "[\"U1\",\"U2\",\"U3\"]", message.field.bytes);
	close_stage(&stage);
}

/* A list of so many rows of one content of about so many bytes. */
static char *make_list(unsigned rows, unsigned contents, size_t bytes)
{
	struct buf list = BUF_INIT((size_t)1 << 28);

	buf_append_string(&list, "to,text\n");
	for (unsigned row = 0; row < rows; row++) {
		buf_appendf(&list, "U%032u,%u", row, row % contents);
		for (size_t i = 0; i < bytes; i++)
			buf_append_char(&list, 'x');
		buf_append_char(&list, '\n');
	}
	assert_int_equal(list.err, 0);
	return buf_take(&list, NULL);
}

struct sums {
	size_t packs, most, rows, largest;
};

/* Goes through all of it; every row is in one pack, at most so many of a pack. */
static struct sums take_all(unsigned rows, unsigned contents, size_t bytes, unsigned most)
{
	unsigned char *seen = calloc(rows + 1, 1);
	char *list = make_list(rows, contents, bytes);
	struct sums sums = {0};
	struct campaign_message message;
	struct stage stage;
	int event;

	assert_non_null(seen);
	open_stage(&stage, list, NULL, most, false);
	while ((event = packer_next(stage.packer, stage.messages, &message)) == RECIPIENTS_ROW) {
		size_t size = message_bytes(
			message.body_bytes, message.attributes, message.attribute_count);

		assert_int_equal(attribute(&message, "RecipientKeys")->value_bytes,
			message.place_count * RECIPIENT_KEY_BYTES);
		for (size_t i = 0; i < message.place_count; i++) {
			assert_int_equal(seen[message.places[i].row]++, 0);
			assert_true(i == 0 || message.places[i].row > message.places[i - 1].row);
		}
		sums.packs++;
		sums.rows += message.place_count;
		sums.most = message.place_count > sums.most ? message.place_count : sums.most;
		sums.largest = size > sums.largest ? size : sums.largest;
	}
	assert_int_equal(event, RECIPIENTS_END);
	assert_int_equal(sums.rows, rows);
	close_stage(&stage);
	free(list);
	free(seen);
	return sums;
}

static void two_million_are_four_thousand(void **state)
{
	struct sums sums = take_all(20000, 1, 300, 500);

	assert_int_equal(sums.packs, 40);
	assert_int_equal(sums.most, 500);
}

/* As large as it may be, to the byte: one recipient more would be too much. */
static void no_pack_is_too_large(void **state)
{
	size_t of_one = 33 + 3 + RECIPIENT_KEY_BYTES; /* quotes and comma */
	struct sums sums = take_all(12000, 1, 300, PACKER_ROWS_MAX);

	assert_true(sums.packs == 3 || sums.packs == 4);
	assert_true(sums.largest <= PACKER_MESSAGE_MAX_BYTES);
	assert_true(sums.largest + of_one > PACKER_MESSAGE_MAX_BYTES);
	/* One that is larger by itself goes alone. */
	sums = take_all(3, 1, 300000, 500);
	assert_int_equal(sums.packs, 3);
	assert_true(sums.largest > 300000);
}

/* Contents that take turns: as many as may be open are packed, of more the oldest goes out. */
static void so_many_contents_at_a_time(void **state)
{
	struct sums sums = take_all(PACKER_OPEN_MAX * 4, PACKER_OPEN_MAX, 10, 4);

	assert_int_equal(sums.packs, PACKER_OPEN_MAX);
	sums = take_all((PACKER_OPEN_MAX + 1) * 3, PACKER_OPEN_MAX + 1, 10, 4);
	assert_int_equal(sums.packs, (PACKER_OPEN_MAX + 1) * 3);
}

/* Long contents: what is open is bounded in bytes, too. */
static void so_many_bytes_at_a_time(void **state)
{
	unsigned contents = (unsigned)(PACKER_OPEN_MAX_BYTES / 200000) + 10;
	struct sums sums = take_all(contents * 2, contents, 200000, 4);

	assert_true(sums.packs > contents);
	assert_true(contents < PACKER_OPEN_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_of_one_content_go_together),
		cmocka_unit_test(a_full_one_goes_out_first),
		cmocka_unit_test(a_template_decides_what_is_alike),
		cmocka_unit_test(values_stay_as_they_are_written),
		cmocka_unit_test(what_cannot_be_packed),
		cmocka_unit_test(a_pack_carries_its_keys),
		cmocka_unit_test(two_million_are_four_thousand),
		cmocka_unit_test(no_pack_is_too_large),
		cmocka_unit_test(so_many_contents_at_a_time),
		cmocka_unit_test(so_many_bytes_at_a_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
