#include "localq/tree.h"

#include "bunshin/error.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool ran_out; /* of memory, in the present parse */

static void *allocate(size_t size)
{
	void *memory = malloc(size);

	ran_out |= memory == NULL;
	return memory;
}

static bool is_blank(const char *from, const char *end)
{
	while (from < end && *from != '\0' && strchr(" \t\r\n", *from) != NULL)
		from++;
	return from == end;
}

int tree_parse(const char *text, size_t len, cJSON **ret)
{
	cJSON_Hooks hooks = {.malloc_fn = allocate, .free_fn = free};
	const char *end = NULL;
	cJSON *root;

	cJSON_InitHooks(&hooks);
	ran_out = false;
	root = cJSON_ParseWithLengthOpts(text, len, &end, 0);
	if (root == NULL)
		return ran_out ? ERR_NOMEM : ERR_SYNTAX;
	if (!is_blank(end, text + len)) {
		cJSON_Delete(root);
		return ERR_SYNTAX;
	}
	*ret = root;
	return 0;
}
