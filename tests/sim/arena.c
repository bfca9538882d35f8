#include "arena.h"

#include "invariant.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Before every block. */
struct arena_block {
	struct arena_block *next, **link; /* link: what points here; NULL: nobody's */
	struct arena *arena;
	size_t bytes;
};

_Static_assert(sizeof(struct arena_block) % 16 == 0, "blocks keep malloc's alignment");

/* Made by the linker: --wrap=NAME turns calls of NAME into calls of __wrap_NAME. */
void *__real_malloc(size_t size);
void *__real_realloc(void *old, size_t size);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t len);
void __wrap_free(void *memory);
void __wrap___assert_fail(
	const char *assertion, const char *file, unsigned line, const char *function);

static struct arena *entered;

struct arena *arena_enter(struct arena *arena)
{
	struct arena *before = entered;

	entered = arena;
	return before;
}

static void link_block(struct arena *arena, struct arena_block *block)
{
	block->arena = arena;
	block->link = NULL;
	if (!arena)
		return;
	block->next = arena->blocks;
	block->link = &arena->blocks;
	if (block->next)
		block->next->link = &block->next;
	arena->blocks = block;
	arena->count++;
}

static void unlink_block(struct arena_block *block)
{
	if (!block->link)
		return;
	*block->link = block->next;
	if (block->next)
		block->next->link = block->link;
	block->arena->count--;
}

static void *block_new(struct arena *arena, size_t bytes)
{
	struct arena_block *block;

	if (bytes > SIZE_MAX - sizeof(*block))
		return NULL;
	block = __real_malloc(sizeof(*block) + bytes);
	if (!block)
		return NULL;
	block->bytes = bytes;
	link_block(arena, block);
	return block + 1;
}

static bool fails(void)
{
	return entered && entered->fail_in && --entered->fail_in == 0 && entered->fails(entered);
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : block_new(entered, size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	void *memory;

	if (size && count > SIZE_MAX / size)
		return NULL;
	memory = __wrap_malloc(count * size);
	if (memory)
		memset(memory, 0, count * size);
	return memory;
}

void *__wrap_realloc(void *old, size_t size)
{
	struct arena_block *block, *moved;
	struct arena *arena;

	if (!old)
		return __wrap_malloc(size);
	if (size > SIZE_MAX - sizeof(*block) || fails())
		return NULL;
	block = (struct arena_block *)old - 1;
	arena = block->arena;
	unlink_block(block);
	moved = __real_realloc(block, sizeof(*block) + size);
	link_block(arena, moved ? moved : block);
	if (!moved)
		return NULL;
	moved->bytes = size;
	return moved + 1;
}

char *__wrap_strndup(const char *text, size_t len)
{
	size_t bytes = strnlen(text, len);
	char *copy = __wrap_malloc(bytes + 1);

	if (!copy)
		return NULL;
	memcpy(copy, text, bytes);
	copy[bytes] = '\0';
	return copy;
}

char *__wrap_strdup(const char *text)
{
	return __wrap_strndup(text, strlen(text));
}

void __wrap_free(void *memory)
{
	struct arena_block *block;

	if (!memory)
		return;
	block = (struct arena_block *)memory - 1;
	unlink_block(block);
	__real_free(block);
}

/* An assertion of the core is one more invariant. */
void __wrap___assert_fail(
	const char *assertion, const char *file, unsigned line, const char *function)
{
	invariant_assertion(assertion, file, line, function);
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
	void *memory = block_new(arena, bytes);

	if (!memory)
		abort();
	return memset(memory, 0, bytes);
}

void *arena_grow(void *old, size_t bytes)
{
	struct arena *before = arena_enter(NULL);
	void *memory = __wrap_realloc(old, bytes);

	arena_enter(before);
	if (!memory)
		abort();
	return memory;
}

void arena_drop(struct arena *arena)
{
	struct arena_block *block = arena->blocks, *next;

	for (; block; block = next) {
		next = block->next;
		__real_free(block);
	}
	arena->blocks = NULL;
	arena->count = 0;
	arena->fail_in = 0;
}
