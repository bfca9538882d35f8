/* A text as the input of a list. */
#ifndef TEST_TEXT_SOURCE_H
#define TEST_TEXT_SOURCE_H

#include <stddef.h>

struct text_source {
	const char *text; /* what is left of it */
	size_t len;
};

/* A recipients_input's read(); arg is a struct text_source *. */
int text_source_read(void *arg, char *bytes, size_t size, size_t *ret_len);

#endif
