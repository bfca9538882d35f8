#include "base/pieces.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define LARGEST 4096
#define KEPT 64

static int keep(void **state)
{
	pieces_keep();
	return 0;
}

static int drop(void **state)
{
	pieces_drop();
	return 0;
}

/* Every size, used to its last byte (the sanitizers watch), twice: from malloc(), and kept. */
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

/* The rest goes to free(): a later malloc() of theirs may give the same, so only those are looked
 * for. */
static void so_many_are_kept(void **state)
{
	void *pieces[KEPT + 10];

	for (size_t i = 0; i < KEPT + 10; i++)
		pieces[i] = pieces_get(3000);
	for (size_t i = 0; i < KEPT + 10; i++)
		pieces_give_back(pieces[i]);
	for (size_t i = KEPT; i-- > 0;)
		assert_ptr_equal(pieces_get(3000), pieces[i]);
	for (size_t i = 0; i < KEPT; i++)
		pieces_give_back(pieces[i]);
}

static void *elsewhere(void *arg)
{
	void **pieces = arg;

	pieces_give_back(pieces[0]);
	pieces[1] = pieces_get(200);
	return NULL;
}

/* What another thread gets or gives back is not kept, and is as good. */
static void other_threads_keep_nothing(void **state)
{
	void *pieces[2] = {pieces_get(200), NULL}, *own = pieces_get(200);
	pthread_t thread;

	pieces_give_back(own);
	assert_int_equal(pthread_create(&thread, NULL, elsewhere, pieces), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_non_null(pieces[1]);
	assert_ptr_not_equal(pieces[1], own);
	assert_ptr_equal(pieces_get(200), own);
	pieces_give_back(pieces[1]);
	assert_ptr_equal(pieces_get(200), pieces[1]);
	pieces_give_back(own);
	pieces_give_back(pieces[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_size_has_its_room, keep, drop),
		cmocka_unit_test_setup_teardown(the_latest_comes_first, keep, drop),
		cmocka_unit_test_setup_teardown(resizing_keeps_the_content, keep, drop),
		cmocka_unit_test_setup_teardown(texts_are_copied, keep, drop),
		cmocka_unit_test_setup_teardown(what_cannot_be_is_refused, keep, drop),
		cmocka_unit_test_setup_teardown(so_many_are_kept, keep, drop),
		cmocka_unit_test_setup_teardown(other_threads_keep_nothing, keep, drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
