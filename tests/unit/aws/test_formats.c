/* The small codecs of the layer: UUID, base64, hex, the Date header, MD5 of messages. */
#include "aws/digest.h"
#include "aws/http_date.h"
#include "aws/message_md5.h"
#include "aws/uuid.h"
#include "base/base64.h"
#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static void uuid_v5_is_that_of_others(void **state)
{
	static const unsigned char dns[16] = {0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, 0x80,
		0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8};
	char text[UUID_TEXT_SIZE];

	/* All by Python's uuid.uuid5(). */
	assert_int_equal(uuid_v5(dns, "www.example", 11, ".com", 4, text), 0);
	assert_string_equal(text, "2ed6657d-e927-568b-95e1-2665a8aea6a2");
	assert_int_equal(uuid_v5(uuid_namespace_url, "", 0, "", 0, text), 0);
	assert_string_equal(text, "1b4db7eb-4057-5ddf-91e0-36dec72071f5");
	assert_int_equal(
		uuid_v5(uuid_namespace_url, "https://sqs.us-east-1.amazonaws.com/123456789012/demo",
			53, "11111111-2222-3333-4444-555555555555", 36, text),
		0);
	assert_string_equal(text, "8d6b9670-5fe4-59fb-99f4-9dc315dd13f7");
}

static void uuid_is_read_back(void **state)
{
	static const char *const wrong[] = {"", "6ba7b811-9dad-11d1-80b4-00c04fd430c",
		"6ba7b811-9dad-11d1-80b4-00c04fd430c8 ", "6ba7b8119dad11d180b400c04fd430c8",
		"6ba7b811-9dad-11d1-80b4-00c04fd430g8", "6ba7b811_9dad-11d1-80b4-00c04fd430c8"};
	unsigned char bytes[16];

	assert_int_equal(uuid_parse("6BA7b811-9dad-11d1-80b4-00c04fd430c8", bytes), 0);
	assert_memory_equal(bytes, uuid_namespace_url, 16);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(uuid_parse(wrong[i], bytes), ERR_SYNTAX);
}

static void uuid_v4_has_its_marks(void **state)
{
	char text[UUID_TEXT_SIZE];

	uuid_v4(0, 0, text);
	assert_string_equal(text, "00000000-0000-4000-8000-000000000000");
	uuid_v4(UINT64_MAX, UINT64_MAX, text);
	assert_string_equal(text, "ffffffff-ffff-4fff-bfff-ffffffffffff");
}

static void base64_both_ways(void **state)
{
	static const char *const cases[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="},
		{"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="},
		{"foobar", "Zm9vYmFy"}, {"\xff\xfe\xfd", "//79"}, {"\xfb\xff", "+/8="}};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct buf out = BUF_INIT(100);
		char text[20];
		size_t bytes;

		assert_int_equal(base64_encode(&out, cases[i][0], strlen(cases[i][0])), 0);
		assert_string_equal(buf_string(&out), cases[i][1]);
		strcpy(text, cases[i][1]);
		assert_int_equal(base64_decode(text, strlen(text), &bytes), 0);
		assert_int_equal(bytes, strlen(cases[i][0]));
		assert_memory_equal(text, cases[i][0], bytes);
		buf_free(&out);
	}
}

/* Of all texts of four characters, those decode that encoding can make, and no others. */
static void base64_decodes_only_what_encoding_makes(void **state)
{
	static const char letters[] = "AQgwBf/+=- \n";
	size_t count = strlen(letters), total = count * count * count * count;

	for (size_t n = 0; n < total; n++) {
		char text[5] = {letters[n % count], letters[n / count % count],
			letters[n / count / count % count], letters[n / count / count / count]};
		char decoded[5];
		struct buf again = BUF_INIT(10);
		size_t bytes = 0;

		memcpy(decoded, text, 5);
		if (base64_decode(decoded, 4, &bytes) == 0) {
			base64_encode(&again, decoded, bytes);
			assert_string_equal(buf_string(&again), text);
		} else {
			assert_true(strpbrk(text, "= \n-") != NULL);
		}
		buf_free(&again);
	}
}

static void base64_refuses(void **state)
{
	static const char *const cases[] = {"Zg", "Zg=", "Z===", "====", "Zh==", "Zm9=", "Zm=v",
		"Zg==Zg==", "Zm9v\n", "Zm 9", "Zm9-", "Zm9_", "Zm9vZ"};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char text[20];
		size_t bytes = 77;

		strcpy(text, cases[i]);
		assert_int_equal(base64_decode(text, strlen(text), &bytes), ERR_SYNTAX);
		assert_int_equal(bytes, 77);
	}
}

static void date_header(void **state)
{
	static const struct {
		const char *text;
		int64_t epoch_ms; /* -1: refused */
	} cases[] = {
		{"Sun, 06 Nov 1994 08:49:37 GMT", 784111777000},
		{"Thu, 01 Jan 1970 00:00:00 GMT", 0},
		{"Tue, 29 Feb 2028 23:59:59 GMT", 1835481599000},
		{"Fri, 31 Dec 9999 23:59:59 GMT", 253402300799000},
		{"Mon, 29 Feb 2027 00:00:00 GMT", -1},
		{"Sun, 31 Apr 2026 00:00:00 GMT", -1},
		{"Sun, 00 Nov 1994 08:49:37 GMT", -1},
		{"Sun, 06 Nov 1994 24:00:00 GMT", -1},
		{"Sun, 06 Nov 1994 08:60:00 GMT", -1},
		{"Sun, 06 Nov 1994 08:49:60 GMT", -1},
		{"Sun, 06 Nov 1969 08:49:37 GMT", -1},
		{"Sun, 06 nov 1994 08:49:37 GMT", -1},
		{"Sun, 06 anF 1994 08:49:37 GMT", -1},
		{"Sun, 06 Nov 1994 08:49:37 UTC", -1},
		{"Sun, 6 Nov 1994 08:49:37 GMT", -1},
		{"Sun, 06 Nov 1994 08:49:37 GMT ", -1},
		{"Sunday, 06-Nov-94 08:49:37 GMT", -1},
		{"Sun Nov  6 08:49:37 1994", -1},
		{"", -1},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		int64_t epoch_ms = -1;
		int err = http_date_parse(cases[i].text, &epoch_ms);

		assert_int_equal(epoch_ms, cases[i].epoch_ms);
		assert_int_equal(err, cases[i].epoch_ms < 0 ? ERR_SYNTAX : 0);
	}
}

static struct queue_attribute string_attribute(const char *name, const char *value)
{
	return (struct queue_attribute){name, "String", value, strlen(value)};
}

static void md5_of_attributes(void **state)
{
	const char trace[] = "traceparent\x1e"
			     "00-774062d6c37081a5a0b9b5b88e30627c-2d2482211f6489da-01";
	const struct queue_attribute hello = string_attribute("Hello", "There");
	/* Out of order: the digest sorts. */
	const struct queue_attribute two[] = {
		string_attribute("my_attribute_name_2", "my_attribute_value_2"),
		string_attribute("my_attribute_name_1", "my_attribute_value_1"),
	};
	const struct queue_attribute binary = {"attr1", "Binary", trace, strlen(trace)};
	const struct queue_attribute system = string_attribute("AWSTraceHeader",
		"Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1");
	struct queue_attribute many[QUEUE_ATTRIBUTES_MAX + 1];
	struct digest md5;
	char text[MESSAGE_MD5_SIZE];

	assert_int_equal(digest_init(&md5, "MD5"), 0);
	assert_int_equal(message_md5_attributes(&md5, &hello, 1, text), 0);
	assert_string_equal(text, "a311262e065454b75da111d535b8dacd");
	assert_int_equal(message_md5_attributes(&md5, two, 2, text), 0);
	assert_string_equal(text, "c48838208d2b4e14e3ca0093a8443f09");
	assert_int_equal(message_md5_attributes(&md5, &binary, 1, text), 0);
	assert_string_equal(text, "8cbe4db156db8a94db8b801b7addb984");
	assert_int_equal(message_md5_attributes(&md5, &system, 1, text), 0);
	assert_string_equal(text, "5ae4d5d7636402d80f4eb6d213245a88");
	assert_int_equal(message_md5_body(&md5, "abc", 3, text), 0);
	assert_string_equal(text, "900150983cd24fb0d6963f7d28e17f72");
	assert_int_equal(message_md5_body(&md5, "", 0, text), 0);
	assert_string_equal(text, "d41d8cd98f00b204e9800998ecf8427e");
	for (size_t i = 0; i <= QUEUE_ATTRIBUTES_MAX; i++)
		many[i] = hello;
	assert_int_equal(
		message_md5_attributes(&md5, many, QUEUE_ATTRIBUTES_MAX + 1, text), ERR_ARGUMENT);
	digest_free(&md5);
	digest_free(&md5);
}

static void unknown_digest(void **state)
{
	struct digest digest = {0};

	assert_int_equal(digest_init(&digest, "MD-NONE"), ERR_NOMEM);
	assert_null(digest.context);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(uuid_v5_is_that_of_others),
		cmocka_unit_test(uuid_is_read_back),
		cmocka_unit_test(uuid_v4_has_its_marks),
		cmocka_unit_test(base64_both_ways),
		cmocka_unit_test(base64_decodes_only_what_encoding_makes),
		cmocka_unit_test(base64_refuses),
		cmocka_unit_test(date_header),
		cmocka_unit_test(md5_of_attributes),
		cmocka_unit_test(unknown_digest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
