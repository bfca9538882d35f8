/* Secrets of the chain: hidden from the log while they matter, and gone from memory afterwards. */
#include "aws/credentials/provider.h"
#include "base/log.h"
#include "base/log_secrets.h"
#include "bunshin/error.h"
#include "failmalloc.h"
#include "scripted_provider.h"

#include <fcntl.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define HOUR INT64_C(3600000)

static struct manual_clock manual;
static struct scripted scripted;
static struct credentials *credentials;

static int setup(void **state)
{
	struct credentials_provider provider;

	manual_clock_init(&manual, 1, WALL_EPOCH_MS);
	scripted = (struct scripted){.clock = &manual, .life_ms = HOUR};
	provider = scripted_provider("only", &scripted);
	assert_int_equal(
		credentials_new(manual_clock_table(&manual), &provider, 1, &credentials), 0);
	return 0;
}

static int teardown(void **state)
{
	credentials_free(credentials);
	manual_clock_free(&manual);
	log_clear_secrets();
	return 0;
}

/* From one set of keys to the next. */
static void rotate(void)
{
	const struct credentials_set *set;

	assert_int_equal(credentials_get(credentials, &set, NULL), 0);
	manual_clock_step(&manual);
	assert_int_equal(credentials_get(credentials, &set, NULL), 0);
	assert_int_equal(set->generation, scripted.number);
}

/* ---- the log */

static void assert_hidden(unsigned number, bool hidden)
{
	char secret[41], token[81], text[200];

	scripted_secret(number, secret);
	scripted_token(number, token);
	snprintf(text, sizeof(text), "%s %s", secret, token);
	log_redact(text);
	assert_int_equal(strstr(text, secret) == NULL, hidden);
	assert_int_equal(strstr(text, token) == NULL, hidden);
}

static void current_and_last_are_hidden(void **state)
{
	const struct credentials_set *set;

	assert_int_equal(credentials_get(credentials, &set, NULL), 0);
	assert_hidden(1, true);
	for (unsigned i = 2; i < 20; i++) {
		rotate();
		assert_hidden(i, true);
		assert_hidden(i - 1, true);
		assert_hidden(i - 2, false);
	}
	/* Those that come back unchanged count once. */
	scripted.keep = true;
	rotate();
	rotate();
	assert_hidden(19, true);
	assert_hidden(18, true);
	scripted.keep = false;
	rotate();
	rotate();
	assert_hidden(19, false);
	credentials_free(credentials);
	credentials = NULL;
	assert_int_equal(log_secrets_longest(), 0);
}

/* The configuration may hold the same secret, in a header say. */
static void what_others_hide_stays_hidden(void **state)
{
	const struct credentials_set *set;

	assert_int_equal(credentials_get(credentials, &set, NULL), 0);
	assert_int_equal(log_add_secret(set->secret_access_key), 0);
	assert_int_equal(log_add_secret(set->session_token), 0);
	for (int i = 0; i < 5; i++)
		rotate();
	assert_hidden(1, true);
	assert_hidden(2, false);
}

/* What cannot be hidden is not used, until it can. */
static void keys_that_memory_does_not_hide(void **state)
{
	const struct credentials_set *set;
	unsigned long k = 0;
	unsigned failures = 0;
	bool failed;

	do {
		int err;

		teardown(NULL);
		setup(NULL);
		failmalloc_arm(++k);
		err = credentials_get(credentials, &set, NULL);
		failed = failmalloc_disarm() > 0;
		failures += err != 0;
		assert_true(err == 0 || (failed && err == ERR_NOMEM));
		assert_hidden(1, err == 0);
		assert_true(err == 0 || log_secrets_longest() == 0);
		/* And by itself all is well a second later. */
		if (err != 0)
			assert_int_not_equal(credentials_get(credentials, &set, NULL), 0);
		manual_clock_advance(&manual, 1000000);
		assert_int_equal(credentials_get(credentials, &set, NULL), 0);
		assert_hidden(scripted.number, true);
		/* Even when it was the timer of the renewal. */
		scripted.gets = 0;
		manual_clock_advance(&manual, (uint64_t)HOUR * 1000);
		assert_int_equal(scripted.gets, 1);
	} while (failed);
	assert_in_range(failures, 4, 20);
}

/* ---- memory */

/* Where the sanitizer replaces malloc, it alone knows. */
__attribute__((weak)) size_t __sanitizer_get_current_allocated_bytes(void);

static size_t allocated_bytes(void)
{
	if (__sanitizer_get_current_allocated_bytes != NULL)
		return __sanitizer_get_current_allocated_bytes();
	return mallinfo2().uordblks;
}

static void rotations_need_no_more_memory(void **state)
{
	size_t before = 0;

	for (int i = 0; i < 10000; i++) {
		rotate();
		if (i == 10)
			before = allocated_bytes();
	}
	assert_in_range(scripted.number, 10001, 10001);
	assert_int_equal(allocated_bytes(), before);
}

#define VEIL 0x5A
#define MAPPING_MAX ((size_t)64 << 20) /* larger ones are the sanitizer's own */

static unsigned count_in(const char *bytes, size_t len, const char *veiled, size_t veiled_len)
{
	unsigned count = 0;

	for (size_t i = 0; i + veiled_len <= len; i++) {
		size_t same = 0;

		while (same < veiled_len && (bytes[i + same] ^ VEIL) == veiled[same])
			same++;
		count += same == veiled_len;
	}
	return count;
}

#define CHUNK_BYTES ((size_t)(1 << 20) + 100)

static unsigned count_in_mapping(
	char *chunk, int memory, size_t from, size_t to, const char *veiled, size_t veiled_len)
{
	unsigned count = 0;

	while (from < to) {
		size_t wanted = to - from < CHUNK_BYTES ? to - from : CHUNK_BYTES;
		ssize_t n = pread(memory, chunk, wanted, (off_t)from);

		if (n <= 0)
			break;
		count += count_in(chunk, (size_t)n, veiled, veiled_len);
		explicit_bzero(chunk, CHUNK_BYTES);
		if ((size_t)n == to - from)
			break;
		/* What the edge of two chunks cuts is in the second, whole. */
		from += (size_t)n - (veiled_len - 1);
	}
	return count;
}

/* How often a text is in the writable memory of this process; veiled, so as not to count itself. */
static unsigned count_in_memory(const char *veiled, size_t veiled_len)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	/* Shared, so that it is no private mapping: it must not be read into itself. */
	char *chunk =
		mmap(NULL, CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char line[500];
	unsigned count = 0;

	assert_non_null(maps);
	assert_true(memory >= 0 && chunk != MAP_FAILED);
	while (fgets(line, sizeof(line), maps) != NULL) {
		size_t from, to;
		char mode[5];

		assert_int_equal(sscanf(line, "%zx-%zx %4s", &from, &to, mode), 3);
		if (strncmp(mode, "rw", 2) == 0 && mode[3] == 'p' && to - from <= MAPPING_MAX)
			count += count_in_mapping(chunk, memory, from, to, veiled, veiled_len);
	}
	fclose(maps);
	close(memory);
	munmap(chunk, CHUNK_BYTES);
	return count;
}

/* free() writes to the first bytes of what it was given, which hides a copy that nobody wiped. */
#define HEAD_BYTES 16

static unsigned copies_of(char *text, size_t len)
{
	char veiled[80];
	size_t tail_bytes = len - HEAD_BYTES;

	for (size_t i = 0; i < tail_bytes; i++)
		veiled[i] = (char)(text[HEAD_BYTES + i] ^ VEIL);
	explicit_bzero(text, len);
	return count_in_memory(veiled, tail_bytes);
}

static unsigned copies_of_secret(unsigned number)
{
	char text[41];

	scripted_secret(number, text);
	return copies_of(text, 40);
}

static unsigned copies_of_token(unsigned number)
{
	char text[81];

	scripted_token(number, text);
	return copies_of(text, 80);
}

static void replaced_keys_leave_no_copy(void **state)
{
	const struct credentials_set *set;

	assert_int_equal(credentials_get(credentials, &set, NULL), 0);
	/* In the set and in the log's table. */
	assert_int_equal(copies_of_secret(1), 2);
	assert_int_equal(copies_of_token(1), 2);
	rotate();
	assert_int_equal(copies_of_secret(1), 2);
	assert_int_equal(copies_of_secret(2), 2);
	rotate();
	assert_int_equal(copies_of_secret(1), 0);
	assert_int_equal(copies_of_token(1), 0);
	assert_int_equal(copies_of_secret(2), 2);
	assert_int_equal(copies_of_secret(3), 2);
	/* A set that was refused for its form. */
	scripted.id = "not a key";
	manual_clock_step(&manual);
	assert_int_equal(scripted.number, 4);
	assert_int_equal(copies_of_secret(4), 0);
	assert_int_equal(copies_of_token(4), 0);
	credentials_free(credentials);
	credentials = NULL;
	for (unsigned i = 1; i < 5; i++) {
		assert_int_equal(copies_of_secret(i), 0);
		assert_int_equal(copies_of_token(i), 0);
	}
}

/* The reader of an answer has memory of its own, where the texts are unescaped. */
static void answers_leave_no_copy(void **state)
{
	static const char *const accounts[] = {"123456789012", "too long for an account"};
	static struct credentials_set set;
	char secret[41], token[81], text[300], reason[CREDENTIALS_REASON_MAX];

	for (unsigned i = 0; i < 2; i++) {
		int err;

		scripted_secret(100 + i, secret);
		scripted_token(100 + i, token);
		snprintf(text, sizeof(text),
			"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"%s\",\"Token\":\"%s\","
			"\"AccountId\":\"%s\"}",
			secret, token, accounts[i]);
		err = credentials_read_json(text, strlen(text), &set, reason, sizeof(reason));
		assert_int_equal(err, i == 0 ? 0 : ERR_PROTOCOL);
		explicit_bzero(text, sizeof(text));
		explicit_bzero(secret, sizeof(secret));
		explicit_bzero(token, sizeof(token));
		assert_int_equal(copies_of_secret(100 + i), i == 0);
		assert_int_equal(copies_of_token(100 + i), i == 0);
		credentials_wipe(&set);
		assert_int_equal(copies_of_secret(100 + i), 0);
		assert_int_equal(copies_of_token(100 + i), 0);
	}
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(current_and_last_are_hidden),
		TEST(what_others_hide_stays_hidden),
		TEST(keys_that_memory_does_not_hide),
		TEST(rotations_need_no_more_memory),
		TEST(replaced_keys_leave_no_copy),
		TEST(answers_leave_no_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
