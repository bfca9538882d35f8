/*
 * The shared files and the words of a command: no input crashes, what is looked up is sound and the
 * same each time, and errors name a place. A byte of value 1 parts the config file from the
 * credentials file.
 */
#include "fuzz.h"

#include "aws/credentials/shared_files.h"
#include "aws/credentials/words.h"
#include "bunshin/error.h"

#include <stdbool.h>
#include <string.h>

#define WORDS_MAX 64

static const char *const profiles[] = {"default", "a", "b c", "work"};
static const char *const keys[] = {"region", "role_arn", "aws_secret_access_key", "services"};

static int parse(
	const uint8_t *data, size_t size, struct shared_files **ret_files, struct buf *error)
{
	const uint8_t *part = size > 0 ? memchr(data, 1, size) : NULL;
	size_t config_bytes = part != NULL ? (size_t)(part - data) : size;

	return shared_files_parse("CONFIG", (const char *)data, config_bytes, "CREDENTIALS",
		part != NULL ? (const char *)part + 1 : NULL,
		part != NULL ? size - config_bytes - 1 : 0, ret_files, error);
}

static void check_error(int err, const struct buf *error)
{
	const char *text = buf_string(error);
	const char *rest;

	FUZZ_CHECK(err == ERR_SYNTAX);
	FUZZ_CHECK(strncmp(text, "CONFIG:", 7) == 0 || strncmp(text, "CREDENTIALS:", 12) == 0);
	rest = strchr(text, ':') + 1;
	FUZZ_CHECK(rest[0] >= '1' && rest[0] <= '9');
	FUZZ_CHECK(strncmp(rest + strspn(rest, "0123456789"), ": ", 2) == 0);
}

static void check_value(const char *value, const char *again)
{
	FUZZ_CHECK((value == NULL) == (again == NULL));
	if (value == NULL)
		return;
	FUZZ_CHECK(strcmp(value, again) == 0);
	FUZZ_CHECK(value[0] != '\0' && strchr(" \t\r\n", value[0]) == NULL);
	FUZZ_CHECK(strchr(" \t\r\n", value[strlen(value) - 1]) == NULL);
}

static void check_files(struct shared_files *files, struct shared_files *again)
{
	for (size_t p = 0; p < sizeof(profiles) / sizeof(profiles[0]); p++) {
		bool exists = shared_files_has_profile(files, profiles[p]);

		for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
			const char *value = shared_files_get(files, profiles[p], keys[k]);

			check_value(value, shared_files_get(again, profiles[p], keys[k]));
			FUZZ_CHECK(value == NULL || exists);
		}
	}
	check_value(shared_files_get_service(files, "a", "sqs", "endpoint_url"),
		shared_files_get_service(again, "a", "sqs", "endpoint_url"));
	shared_files_forget_keys(again);
	for (size_t p = 0; p < sizeof(profiles) / sizeof(profiles[0]); p++) {
		const char *region = shared_files_get(files, profiles[p], "region");

		check_value(region, shared_files_get(again, profiles[p], "region"));
		FUZZ_CHECK(shared_files_get(again, profiles[p], "aws_secret_access_key") == NULL);
	}
}

static void check_words(const uint8_t *data, size_t size)
{
	char *text = calloc(size + 1, 1);
	char *words[WORDS_MAX];
	size_t count;

	FUZZ_CHECK(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	if (words_split(text, words, WORDS_MAX, &count) == 0) {
		FUZZ_CHECK(count <= WORDS_MAX);
		for (size_t i = 0; i < count; i++)
			FUZZ_CHECK(words[i] >= text && words[i] + strlen(words[i]) <= text + size);
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf error = BUF_INIT(1000);
	struct shared_files *files, *again;
	int err = parse(data, size, &files, &error);

	FUZZ_CHECK(parse(data, size, &again, &error) == err);
	if (err == 0) {
		check_files(files, again);
		shared_files_free(files);
		shared_files_free(again);
	} else {
		check_error(err, &error);
	}
	buf_free(&error);
	check_words(data, size);
	return 0;
}
