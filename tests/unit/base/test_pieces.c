#include "base/pieces.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define LARGEST 4096
#define MANY 200000

static int keep(void **state)
{
	pieces_keep();
	return 0;
}

/* Every size, used to its last byte, twice: new, and given back. */
static void every_size_has_its_room(void **state)
{
	for (size_t i = 0; i < 2; i++) {
		for (size_t bytes = 0; bytes <= LARGEST + 100; bytes++) {
			unsigned char *piece = pieces_get(bytes);

			assert_non_null(piece);
			assert_int_equal((uintptr_t)piece % _Alignof(max_align_t), 0);
			memset(piece, 0xff, bytes);
			pieces_give_back(piece);
			piece = pieces_get_zeroed(bytes, 1);
			assert_non_null(piece);
			for (size_t k = 0; k < bytes; k++)
				assert_int_equal(piece[k], 0);
			pieces_give_back(piece);
		}
	}
	pieces_give_back(NULL);
}

static void the_latest_comes_first(void **state)
{
	void *first = pieces_get(100), *second = pieces_get(100);

	pieces_give_back(first);
	pieces_give_back(second);
	assert_ptr_equal(pieces_get(112), second); /* 97 to 112 bytes are one size */
	assert_ptr_equal(pieces_get(97), first);
	pieces_give_back(first);
	pieces_give_back(second);
}

/* What was given back serves down to one byte more than the size below, and nothing above. */
static void each_size_has_pieces_of_its_own(void **state)
{
	static const size_t sizes[] = {16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320,
		384, 448, 512, 640, 768, 896, 1024, 1280, 1536, 1792, 2048, 2560, 3072, 3584,
		LARGEST};
	size_t before = 0;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		void *piece = pieces_get(sizes[i]), *other = pieces_get(sizes[i]), *larger;

		assert_true(labs((char *)piece - (char *)other) >= (long)sizes[i]);
		pieces_give_back(other);
		pieces_give_back(piece);
		assert_ptr_equal(pieces_get(before + 1), piece);
		larger = pieces_get(sizes[i] + 1);
		assert_ptr_not_equal(larger, other);
		pieces_give_back(larger);
		pieces_give_back(piece);
		before = sizes[i];
	}
}

/* None overlaps another, or loses what it has while others come and go. */
static void many_at_a_time(void **state)
{
	static unsigned char *pieces[MANY];
	unsigned seed = 1;

	for (size_t i = 0; i < 3 * (size_t)MANY; i++) {
		size_t k = i % MANY, bytes = 1 + (k * 7919) % 600;

		/* Some go before their turn. */
		seed = seed * 1103515245 + 12345;
		if (pieces[k] != NULL) {
			for (size_t n = 0; n < bytes; n++)
				assert_int_equal(pieces[k][n], (unsigned char)k);
			pieces_give_back(pieces[k]);
			pieces[k] = NULL;
			if (seed >> 31)
				continue;
		}
		pieces[k] = pieces_get(bytes);
		assert_non_null(pieces[k]);
		memset(pieces[k], (unsigned char)k, bytes);
	}
	for (size_t k = 0; k < MANY; k++)
		pieces_give_back(pieces[k]);
}

static void resizing_keeps_the_content(void **state)
{
	static const size_t sizes[] = {
		1, 64, 65, 80, 81, 1000, 100, 4096, 4097, 9000, 100, 20000, 1, 64};
	unsigned char *piece = NULL;
	size_t before = 0;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t kept = before < sizes[i] ? before : sizes[i];

		piece = pieces_resize(piece, sizes[i]);
		assert_non_null(piece);
		for (size_t k = 0; k < kept; k++)
			assert_int_equal(piece[k], (unsigned char)(k * 7));
		for (size_t k = 0; k < sizes[i]; k++)
			piece[k] = (unsigned char)(k * 7);
		before = sizes[i];
	}
	pieces_give_back(piece);
}

static void texts_are_copied(void **state)
{
	char *empty = pieces_copy(""), *text = pieces_copy("x=y");

	assert_string_equal(empty, "");
	assert_string_equal(text, "x=y");
	pieces_give_back(text);
	pieces_give_back(empty);
}

static void what_cannot_be_is_refused(void **state)
{
	void *piece = pieces_get(10), *large = pieces_get(LARGEST + 1);

	assert_null(pieces_get(SIZE_MAX));
	assert_null(pieces_get(SIZE_MAX - 1));
	assert_null(pieces_get_zeroed(SIZE_MAX / 2, 3));
	assert_null(pieces_resize(piece, SIZE_MAX));
	assert_null(pieces_resize(large, SIZE_MAX));
	pieces_give_back(piece);
	pieces_give_back(large);
}

static void *elsewhere(void *arg)
{
	void **pieces = arg;

	pieces_give_back(pieces[0]);
	pieces[1] = pieces_get(200);
	pieces[2] = pieces_resize(pieces[2], 300);
	return NULL;
}

/* What another thread gives back is handed out once there is no other; what it gets is as good. */
static void other_threads_have_malloc(void **state)
{
	void *others[100], *own, *returned, *resized;
	void *pieces[3] = {pieces_get(3500), NULL, pieces_get(200)};
	pthread_t thread;
	size_t count = 0;

	own = pieces[0];
	memset(pieces[2], 'x', 200);
	resized = pieces[2];
	assert_int_equal(pthread_create(&thread, NULL, elsewhere, pieces), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_non_null(pieces[1]);
	assert_ptr_not_equal(pieces[2], resized);
	for (size_t i = 0; i < 200; i++)
		assert_int_equal(((char *)pieces[2])[i], 'x');
	do {
		assert_true(count < 100);
		returned = pieces_get(3500);
		others[count++] = returned;
	} while (returned != own);
	pieces[2] = pieces_resize(pieces[2], 5000);
	assert_int_equal(((char *)pieces[2])[199], 'x');
	pieces_give_back(pieces[1]);
	pieces_give_back(pieces[2]);
	while (count > 0)
		pieces_give_back(others[--count]);
}

/* In a process of its own, whose addresses they are. 0: so it was. */
static int use_up(void)
{
	enum { COUNT = (1 << 30) / LARGEST };
	char *first, *piece;

	pieces_keep();
	first = pieces_get(LARGEST);
	for (size_t i = 1; i < COUNT; i++)
		if (pieces_get(LARGEST) != first + i * LARGEST)
			return 1;
	piece = pieces_get(LARGEST);
	if (piece == NULL || piece == first + (size_t)COUNT * LARGEST)
		return 2;
	memset(piece, 1, LARGEST);
	pieces_give_back(piece); /* free() takes no other */
	pieces_give_back(first);
	return pieces_get(LARGEST) == first ? 0 : 3;
}

static void past_the_end_there_is_malloc(void **state)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(use_up());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_size_has_its_room), /* malloc() alone */
		cmocka_unit_test(past_the_end_there_is_malloc),
		cmocka_unit_test_setup(every_size_has_its_room, keep),
		cmocka_unit_test_setup(the_latest_comes_first, keep),
		cmocka_unit_test_setup(each_size_has_pieces_of_its_own, keep),
		cmocka_unit_test_setup(resizing_keeps_the_content, keep),
		cmocka_unit_test_setup(texts_are_copied, keep),
		cmocka_unit_test_setup(what_cannot_be_is_refused, keep),
		cmocka_unit_test_setup(many_at_a_time, keep),
		cmocka_unit_test_setup(other_threads_have_malloc, keep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
