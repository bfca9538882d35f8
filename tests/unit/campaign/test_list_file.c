/* Files behind a list: plain and gzip, whole and broken, kept and not. */
#include "campaign/list_file.h"

#include "bunshin/error.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

struct directory {
	char path[64], list[96], kept[96];
};

static int enter(void **state)
{
	struct directory *directory = calloc(1, sizeof(*directory));

	strcpy(directory->path, "/tmp/bunshin-list-XXXXXX");
	if (!mkdtemp(directory->path))
		return -1;
	snprintf(directory->list, sizeof(directory->list), "%s/list", directory->path);
	snprintf(directory->kept, sizeof(directory->kept), "%s/kept", directory->path);
	*state = directory;
	return 0;
}

static int leave(void **state)
{
	struct directory *directory = *state;

	unlink(directory->list);
	unlink(directory->kept);
	assert_int_equal(rmdir(directory->path), 0);
	free(directory);
	return 0;
}

static void write_file(const char *path, const void *bytes, size_t len)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

/* Appends one gzip member. */
static void pack(struct buf *out, const char *text, size_t len)
{
	z_stream stream = {0};
	unsigned char block[4096];
	int code;

	assert_int_equal(
		deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	stream.next_in = (unsigned char *)(uintptr_t)text;
	stream.avail_in = (unsigned)len;
	do {
		stream.next_out = block;
		stream.avail_out = sizeof(block);
		code = deflate(&stream, Z_FINISH);
		buf_append(out, (char *)block, sizeof(block) - stream.avail_out);
	} while (code == Z_OK);
	assert_int_equal(code, Z_STREAM_END);
	deflateEnd(&stream);
}

/* A whole pass in pieces of `piece` bytes; its error. */
static int read_pass(struct list_file *file, size_t piece, struct buf *out)
{
	struct recipients_input input = list_file_rewind(file);
	char bytes[4096];
	size_t len;
	int err;

	buf_clear(out);
	do {
		err = input.read(input.arg, bytes, piece, &len);
		if (!err)
			buf_append(out, bytes, len);
	} while (!err && len > 0);
	return err;
}

static void check_sha256(const struct list_file *file, const void *bytes, size_t len)
{
	unsigned char expected[DIGEST_SHA256_BYTES];
	struct digest digest;

	assert_int_equal(digest_init(&digest, "SHA256"), 0);
	assert_int_equal(digest_once(&digest, bytes, len, expected), 0);
	digest_free(&digest);
	assert_non_null(list_file_sha256(file));
	assert_memory_equal(list_file_sha256(file), expected, DIGEST_SHA256_BYTES);
}

/* Twice, in pieces of several sizes: the same text, and the hash of what is on the disk. */
static void check(const char *path, const struct buf *bytes, const char *text, size_t len)
{
	static const size_t pieces[] = {1, 3, 4096};
	struct buf error = BUF_INIT(1000), out = BUF_INIT(1 << 24);
	struct list_file file;

	write_file(path, buf_string(bytes), bytes->len);
	assert_int_equal(list_file_open(&file, path, NULL, &error), 0);
	assert_null(list_file_sha256(&file));
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(read_pass(&file, pieces[i], &out), 0);
		assert_int_equal(out.len, len);
		assert_memory_equal(buf_string(&out), text, len);
		check_sha256(&file, buf_string(bytes), bytes->len);
	}
	list_file_close(&file);
	list_file_close(&file);
	buf_free(&error);
	buf_free(&out);
}

static void plain(void **state)
{
	const struct directory *directory = *state;
	struct buf bytes = BUF_INIT(1000);

	check(directory->list, &bytes, "", 0);
	buf_append_string(&bytes, "to\nU1\n");
	check(directory->list, &bytes, "to\nU1\n", 6);
	buf_free(&bytes);
}

static void gzip(void **state)
{
	const struct directory *directory = *state;
	struct buf bytes = BUF_INIT(100000);

	pack(&bytes, "to\nU1\n", 6);
	check(directory->list, &bytes, "to\nU1\n", 6);
	pack(&bytes, "", 0);
	pack(&bytes, "U2\n", 3);
	check(directory->list, &bytes, "to\nU1\nU2\n", 9);
	buf_free(&bytes);
}

/* 16 MiB of zeros are 16 KiB of gzip. */
static void a_bomb_goes_through_a_block(void **state)
{
	const struct directory *directory = *state;
	static char zeros[16 << 20];
	struct buf error = BUF_INIT(1000), bytes = BUF_INIT(100000);
	struct recipients_input input;
	struct list_file file;
	char block[100];
	uint64_t total = 0;
	size_t len;

	pack(&bytes, zeros, sizeof(zeros));
	assert_true(bytes.len < 20000);
	write_file(directory->list, bytes.data, bytes.len);
	assert_int_equal(list_file_open(&file, directory->list, NULL, &error), 0);
	input = list_file_rewind(&file);
	do {
		assert_int_equal(input.read(input.arg, block, sizeof(block), &len), 0);
		assert_true(len <= sizeof(block));
		total += len;
	} while (len > 0);
	assert_int_equal(total, sizeof(zeros));
	list_file_close(&file);
	buf_free(&bytes);
	buf_free(&error);
}

static int read_bytes(
	const char *path, const char *bytes, size_t len, struct buf *out, char *reason)
{
	struct buf error = BUF_INIT(1000);
	struct list_file file;
	int err;

	write_file(path, bytes, len);
	assert_int_equal(list_file_open(&file, path, NULL, &error), 0);
	err = read_pass(&file, 4096, out);
	strcpy(reason, file.reason);
	assert_true(err || list_file_sha256(&file));
	list_file_close(&file);
	buf_free(&error);
	return err;
}

/* Cut off after every byte, and with every byte changed. */
static void gzip_that_is_broken(void **state)
{
	const struct directory *directory = *state;
	static const char text[] = "to,name\nU1,a\nU2,b\nU3,c\n";
	struct buf bytes = BUF_INIT(100000), out = BUF_INIT(1 << 20);
	char reason[256];

	pack(&bytes, text, strlen(text));
	for (size_t len = 2; len < bytes.len; len++) {
		assert_int_equal(
			read_bytes(directory->list, bytes.data, len, &out, reason), ERR_SYNTAX);
		assert_non_null(strstr(reason, "ends in the middle, after "));
		assert_memory_equal(buf_string(&out), text, out.len);
	}
	assert_int_equal(read_bytes(directory->list, bytes.data, bytes.len, &out, reason), 0);
	for (size_t i = 2; i < bytes.len; i++) {
		int err;

		bytes.data[i] ^= 0x55;
		err = read_bytes(directory->list, bytes.data, bytes.len, &out, reason);
		/* Time, flags and system of the header are not part of what is checked. */
		assert_true(err == ERR_SYNTAX || (err == 0 && i < 10));
		assert_true(err == 0 || reason[0]);
		bytes.data[i] ^= 0x55;
	}
	buf_append_string(&bytes, "junk");
	assert_int_equal(
		read_bytes(directory->list, bytes.data, bytes.len, &out, reason), ERR_SYNTAX);
	assert_string_equal(reason, "the gzip data is corrupt after 23 bytes of text");
	buf_free(&bytes);
	buf_free(&out);
}

/* What cannot be read twice. */
static void a_pipe(void **state)
{
	const struct directory *directory = *state;
	struct buf error = BUF_INIT(1000), out = BUF_INIT(1000);
	char path[64];

	for (int kept = 0; kept < 2; kept++) {
		struct list_file file;
		int fds[2];

		assert_int_equal(pipe(fds), 0);
		assert_int_equal(write(fds[1], "to\nU1\n", 6), 6);
		close(fds[1]);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[0]);
		assert_int_equal(
			list_file_open(&file, path, kept ? directory->kept : NULL, &error), 0);
		close(fds[0]);
		for (int pass = 0; pass < 2; pass++) {
			assert_int_equal(read_pass(&file, 4096, &out), 0);
			assert_string_equal(buf_string(&out), "to\nU1\n");
		}
		assert_int_equal(access(directory->kept, F_OK), kept ? 0 : -1);
		list_file_close(&file);
	}
	buf_free(&error);
	buf_free(&out);
}

static void what_cannot_be_opened(void **state)
{
	const struct directory *directory = *state;
	struct buf error = BUF_INIT(1000);
	struct list_file file;

	assert_int_equal(list_file_open(&file, directory->list, NULL, &error), ERR_NOT_FOUND);
	assert_non_null(strstr(buf_string(&error), "No such file"));
	list_file_close(&file);
	buf_clear(&error);
	assert_int_equal(list_file_open(&file, directory->path, NULL, &error), ERR_ARGUMENT);
	assert_non_null(strstr(buf_string(&error), "is a directory"));
	list_file_close(&file);
	buf_free(&error);
}

static void check_format(const char *path, const char *text, enum recipients_format expected)
{
	struct buf error = BUF_INIT(1000), bytes = BUF_INIT(1000), out = BUF_INIT(1000);
	struct list_file file;

	for (int packed = 0; packed < 2; packed++) {
		buf_clear(&bytes);
		if (packed)
			pack(&bytes, text, strlen(text));
		else
			buf_append_string(&bytes, text);
		write_file(path, bytes.data, bytes.len);
		assert_int_equal(list_file_open(&file, path, NULL, &error), 0);
		assert_int_equal(list_file_format(&file), expected);
		assert_int_equal(read_pass(&file, 4096, &out), 0);
		assert_string_equal(buf_string(&out), text);
		list_file_close(&file);
	}
	buf_free(&error);
	buf_free(&bytes);
	buf_free(&out);
}

static void formats(void **state)
{
	const struct directory *directory = *state;

	check_format(directory->list, "to\nU1\n", RECIPIENTS_CSV);
	check_format(directory->list, "{\"to\":\"U1\"}\n", RECIPIENTS_JSONL);
	assert_int_equal(recipients_guess_format("a.csv.gz", "{", 1), RECIPIENTS_CSV);
	assert_int_equal(recipients_guess_format("a.jsonl.gz", "to", 2), RECIPIENTS_JSONL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(plain, enter, leave),
		cmocka_unit_test_setup_teardown(gzip, enter, leave),
		cmocka_unit_test_setup_teardown(a_bomb_goes_through_a_block, enter, leave),
		cmocka_unit_test_setup_teardown(gzip_that_is_broken, enter, leave),
		cmocka_unit_test_setup_teardown(a_pipe, enter, leave),
		cmocka_unit_test_setup_teardown(what_cannot_be_opened, enter, leave),
		cmocka_unit_test_setup_teardown(formats, enter, leave),
	};

	return cmocka_run_group_tests_name("campaign/list_file", tests, NULL, NULL);
}
