#include "text_source.h"

#include <string.h>

int text_source_read(void *arg, char *bytes, size_t size, size_t *ret_len)
{
	struct text_source *source = arg;
	size_t len = source->len < size ? source->len : size;

	memcpy(bytes, source->text, len);
	source->text += len;
	source->len -= len;
	*ret_len = len;
	return 0;
}
