/* The file of the rows that are not sent. */
#include "campaign/rejects_file.h"

#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct directory {
	char path[64], file[96], unfinished[104];
};

static int enter(void **state)
{
	struct directory *directory = calloc(1, sizeof(*directory));

	strcpy(directory->path, "/tmp/bunshin-rejects-XXXXXX");
	if (!mkdtemp(directory->path))
		return -1;
	snprintf(directory->file, sizeof(directory->file), "%s/x.csv", directory->path);
	snprintf(directory->unfinished, sizeof(directory->unfinished), "%s.tmp", directory->file);
	*state = directory;
	return 0;
}

static int leave(void **state)
{
	struct directory *directory = *state;

	unlink(directory->file);
	assert_int_equal(rmdir(directory->path), 0);
	free(directory);
	return 0;
}

static const struct campaign_reject rejects[] = {
	{{2, 3}, JOURNAL_REJECT_INVALID, 3, 7, "expected 2 fields, got 1", NULL, 0, false},
	{{5, 9}, JOURNAL_REJECT_DUPLICATE, 9, 1, "its \"key\"", "a\n\"b\",c", 7, false},
};

static void check_text(const char *path, const char *expected)
{
	FILE *file = fopen(path, "r");
	char text[1000];
	size_t len;

	assert_non_null(file);
	len = fread(text, 1, sizeof(text) - 1, file);
	text[len] = '\0';
	fclose(file);
	assert_string_equal(text, expected);
}

static void rows_are_written(void **state)
{
	const struct directory *directory = *state;
	struct rejects_file *file;

	assert_int_equal(rejects_file_new(directory->file, &file), 0);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(rejects_file_add(file, &rejects[i]), 0);
	assert_int_equal(access(directory->file, F_OK), -1);
	assert_int_equal(rejects_file_rows(file), 2);
	assert_int_equal(rejects_file_finish(file), 0);
	check_text(directory->file, "line,row,key,reason,detail\n"
				    "3,2,,invalid,\"expected 2 fields, got 1\"\n"
				    "9,5,\"a\n\"\"b\"\",c\",duplicate,\"its \"\"key\"\"\"\n");
	rejects_file_free(file);
	assert_int_equal(access(directory->unfinished, F_OK), -1);
}

/* And that of an earlier run goes. */
static void no_row_no_file(void **state)
{
	const struct directory *directory = *state;
	struct rejects_file *file;

	for (int i = 0; i < 2; i++) {
		if (i == 0)
			assert_int_equal(fclose(fopen(directory->file, "w")), 0);
		assert_int_equal(rejects_file_new(directory->file, &file), 0);
		assert_int_equal(rejects_file_finish(file), 0);
		rejects_file_free(file);
		assert_int_equal(access(directory->file, F_OK), -1);
	}
	rejects_file_free(NULL);
}

static void what_is_not_finished_goes(void **state)
{
	const struct directory *directory = *state;
	struct rejects_file *file;

	assert_int_equal(rejects_file_new(directory->file, &file), 0);
	assert_int_equal(rejects_file_add(file, &rejects[0]), 0);
	assert_int_equal(access(directory->unfinished, F_OK), 0);
	rejects_file_free(file);
	assert_int_equal(access(directory->unfinished, F_OK), -1);
	assert_int_equal(access(directory->file, F_OK), -1);
}

static void what_cannot_be_written(void **state)
{
	struct rejects_file *file;

	assert_int_equal(rejects_file_new("/nonexistent/x.csv", &file), 0);
	assert_int_equal(rejects_file_add(file, &rejects[0]), ERR_IO);
	assert_string_equal(rejects_file_reason(file),
		"cannot write /nonexistent/x.csv: No such file or directory");
	rejects_file_free(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(rows_are_written, enter, leave),
		cmocka_unit_test_setup_teardown(no_row_no_file, enter, leave),
		cmocka_unit_test_setup_teardown(what_is_not_finished_goes, enter, leave),
		cmocka_unit_test_setup_teardown(what_cannot_be_written, enter, leave),
	};

	return cmocka_run_group_tests_name("campaign/rejects_file", tests, NULL, NULL);
}
