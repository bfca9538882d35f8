/* Tokens of Google: refused ones, and where copies of them are. */
#include "base/log.h"
#include "base/log_secrets.h"
#include "bunshin/error.h"
#include "http/client.h"
#include "token_world.h"

#include <fcntl.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <curl/curl.h>

#define MINUTE_US UINT64_C(60000000)

static struct token_world world;
static struct config_destination destinations[2];
static struct auth *auth;

/* So many destinations with one account, as two workers with one destination have it. */
static void open_auth(size_t count)
{
	struct auth_options options;
	struct buf error = BUF_INIT(1000);

	memset(destinations, 0, sizeof(destinations));
	for (size_t i = 0; i < count; i++)
		destinations[i].auth.type = CONFIG_AUTH_GOOGLE;
	token_world_open(&world, destinations, count);
	options = token_world_options(&world);
	assert_int_equal(auth_new(&options, &auth, &error), 0);
	token_world_until(&world, 1);
	/* Who has waited for another's looks again after 50 ms. */
	manual_clock_advance(&world.clock, 100000);
	token_world_settle(&world, auth);
}

static void close_auth(void)
{
	auth_free(auth);
	token_world_close(&world);
	assert_int_equal(log_secrets_longest(), 0);
}

static int asked(void)
{
	return atomic_load(&world.endpoint->asked);
}

static void assert_token(size_t index, int number)
{
	char token[TOKEN_WORLD_TEXT_BYTES + 1], value[200];

	assert_int_equal(token_world_sign(&world, auth, index, value, sizeof(value)), 0);
	token_world_text(number, token);
	assert_int_equal(strncmp(value, "Bearer ", 7), 0);
	assert_string_equal(value + 7, token);
	explicit_bzero(token, sizeof(token));
	explicit_bzero(value, sizeof(value));
}

static int64_t now_ms(void)
{
	return clock_wall_epoch_ms(manual_clock_table(&world.clock));
}

/* A request that began `ago_ms` before now was answered with 401. */
static void refuse(size_t index, int64_t ago_ms)
{
	struct http_signer signer = auth_signer(auth, index);

	signer.ops->refused(signer.impl, now_ms() - ago_ms);
	manual_clock_advance(&world.clock, 1);
	uv_run(&world.loop, UV_RUN_DEFAULT);
}

static void refused_ones_are_renewed_once(void **state)
{
	open_auth(1);
	assert_token(0, 1);
	/* It has only just come: something else is refused. */
	refuse(0, 0);
	manual_clock_advance(&world.clock, 4 * MINUTE_US);
	refuse(0, 0);
	assert_int_equal(asked(), 1);
	manual_clock_advance(&world.clock, MINUTE_US);
	refuse(0, 0);
	assert_int_equal(asked(), 2);
	assert_token(0, 2);
	/* The answers to what went out with the first one. */
	for (int i = 0; i < 10; i++)
		refuse(0, 60000);
	/* And those to the second, which is no better: no loop. */
	for (int i = 0; i < 100; i++)
		refuse(0, 0);
	assert_int_equal(asked(), 2);
	assert_token(0, 2);
	close_auth();
}

static void one_worker_renews_for_all(void **state)
{
	open_auth(2);
	assert_int_equal(asked(), 1);
	assert_token(0, 1);
	assert_token(1, 1);
	manual_clock_advance(&world.clock, 5 * MINUTE_US);
	refuse(0, 100);
	refuse(1, 100);
	assert_int_equal(asked(), 2);
	assert_token(0, 2);
	assert_token(1, 2);
	close_auth();
}

/* The one that is refused serves on while no other can be had: it may be refused to some only. */
static void what_cannot_be_renewed_serves_on(void **state)
{
	open_auth(1);
	manual_clock_advance(&world.clock, 10 * MINUTE_US);
	atomic_store(&world.endpoint->status, 500);
	refuse(0, 0);
	for (int i = 0; i < 20; i++)
		refuse(0, 0);
	/* The next is asked for a second later at the earliest, whatever is refused. */
	assert_int_equal(asked(), 2);
	assert_token(0, 1);
	atomic_store(&world.endpoint->status, 200);
	manual_clock_advance(&world.clock, 2 * MINUTE_US);
	uv_run(&world.loop, UV_RUN_DEFAULT);
	assert_token(0, asked());
	close_auth();
}

/* Nothing was sent with a token, so nothing can have been refused for one. */
static void without_a_token_nothing_is_refused(void **state)
{
	struct auth_options options;
	struct buf error = BUF_INIT(1000);
	char value[200];

	memset(destinations, 0, sizeof(destinations));
	destinations[0].auth.type = CONFIG_AUTH_GOOGLE;
	token_world_open(&world, destinations, 1);
	atomic_store(&world.endpoint->status, 403);
	options = token_world_options(&world);
	assert_int_equal(auth_new(&options, &auth, &error), 0);
	token_world_until(&world, 1);
	assert_int_equal(
		token_world_sign(&world, auth, 0, value, sizeof(value)), ERR_NO_CREDENTIALS);
	refuse(0, 0);
	assert_int_equal(asked(), 1);
	close_auth();
}

/* ---- the log, and memory */

static void assert_hidden(int number, bool hidden)
{
	char token[TOKEN_WORLD_TEXT_BYTES + 1], text[100];

	token_world_text(number, token);
	snprintf(text, sizeof(text), "said %s.", token);
	log_redact(text);
	assert_int_equal(strstr(text, token) == NULL, hidden);
	explicit_bzero(token, sizeof(token));
	explicit_bzero(text, sizeof(text));
}

#define VEIL 0x5A
/* free() writes to the first bytes of what it was given, which hides a copy that nobody wiped. */
#define HEAD_BYTES 16
#define TAIL_BYTES (TOKEN_WORLD_TEXT_BYTES - HEAD_BYTES)
#define CHUNK_BYTES ((size_t)(1 << 20) + 100)
#define MAPPING_MAX ((size_t)64 << 20) /* larger ones are the sanitizer's own */

static unsigned count_in(const char *bytes, size_t len, const char *veiled)
{
	unsigned count = 0;

	for (size_t i = 0; i + TAIL_BYTES <= len; i++) {
		size_t same = 0;

		while (same < TAIL_BYTES && (bytes[i + same] ^ VEIL) == veiled[same])
			same++;
		count += same == TAIL_BYTES;
	}
	return count;
}

static unsigned count_in_mapping(
	char *chunk, int memory, size_t from, size_t to, const char *veiled)
{
	unsigned count = 0;

	while (from < to) {
		size_t wanted = to - from < CHUNK_BYTES ? to - from : CHUNK_BYTES;
		ssize_t n = pread(memory, chunk, wanted, (off_t)from);

		if (n <= 0)
			break;
		count += count_in(chunk, (size_t)n, veiled);
		explicit_bzero(chunk, CHUNK_BYTES);
		if ((size_t)n == to - from)
			break;
		from += (size_t)n - (TAIL_BYTES - 1); /* what the edge cuts is in the next */
	}
	return count;
}

/* How often a token is in the private memory of this process, so not in the workers' table. */
static unsigned copies_of(int number)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	char *chunk =
		mmap(NULL, CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char token[TOKEN_WORLD_TEXT_BYTES + 1], veiled[TAIL_BYTES], line[500];
	unsigned count = 0;

	assert_true(maps != NULL && memory >= 0 && chunk != MAP_FAILED);
	token_world_text(number, token);
	for (size_t i = 0; i < TAIL_BYTES; i++)
		veiled[i] = (char)(token[HEAD_BYTES + i] ^ VEIL);
	explicit_bzero(token, sizeof(token));
	while (fgets(line, sizeof(line), maps) != NULL) {
		size_t from, to;
		char mode[5];

		assert_int_equal(sscanf(line, "%zx-%zx %4s", &from, &to, mode), 3);
		if (strncmp(mode, "rw", 2) == 0 && mode[3] == 'p' && to - from <= MAPPING_MAX)
			count += count_in_mapping(chunk, memory, from, to, veiled);
	}
	fclose(maps);
	close(memory);
	munmap(chunk, CHUNK_BYTES);
	return count;
}

static void renew(void)
{
	manual_clock_advance(&world.clock, 55 * MINUTE_US);
	uv_run(&world.loop, UV_RUN_DEFAULT);
}

/*
 * What curl frees is wiped here (it says nothing of what it holds meanwhile): whatever is left is
 * ours. The current token is in the signer, in its header and in the log's table; the one before in
 * the header's former and in the table.
 */
static void replaced_tokens_leave_no_copy(void **state)
{
	open_auth(1);
	assert_token(0, 1);
	assert_hidden(1, true);
	assert_int_equal(copies_of(1), 3);
	renew();
	assert_token(0, 2);
	assert_hidden(1, true);
	assert_hidden(2, true);
	assert_int_equal(copies_of(1), 2);
	assert_int_equal(copies_of(2), 3);
	renew();
	assert_token(0, 3);
	assert_hidden(1, false);
	assert_hidden(3, true);
	assert_int_equal(copies_of(1), 0);
	assert_int_equal(copies_of(2), 2);
	/* One that is refused for its form: it would be good for longer than there is. */
	atomic_store(&world.endpoint->life_s, 1000000);
	renew();
	assert_in_range(asked(), 4, 10);
	assert_int_equal(copies_of(4), 0);
	close_auth();
	for (int i = 1; i <= 4; i++) {
		assert_int_equal(copies_of(i), 0);
		assert_hidden(i, false);
	}
}

/* ---- curl's memory */

static void wiping_free(void *memory)
{
	if (memory != NULL)
		explicit_bzero(memory, malloc_usable_size(memory));
	free(memory);
}

static void *wiping_realloc(void *memory, size_t size)
{
	size_t former = memory != NULL ? malloc_usable_size(memory) : 0;
	void *moved = malloc(size);

	if (moved == NULL)
		return NULL;
	if (memory != NULL)
		memcpy(moved, memory, former < size ? former : size);
	wiping_free(memory);
	return moved;
}

static int start(void **state)
{
	token_world_start(&world);
	return curl_global_init_mem(
		CURL_GLOBAL_DEFAULT, malloc, wiping_free, wiping_realloc, strdup, calloc);
}

static int stop(void **state)
{
	token_world_stop(&world);
	curl_global_cleanup();
	log_clear_secrets();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused_ones_are_renewed_once),
		cmocka_unit_test(one_worker_renews_for_all),
		cmocka_unit_test(what_cannot_be_renewed_serves_on),
		cmocka_unit_test(without_a_token_nothing_is_refused),
		cmocka_unit_test(replaced_tokens_leave_no_copy),
	};

	return cmocka_run_group_tests_name("cli/auth_google", tests, start, stop);
}
