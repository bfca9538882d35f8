#include "variables.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define VARIABLES_MAX 8

static struct {
	const char *name, *value;
} variables[VARIABLES_MAX];

const char *variables_get(const char *name)
{
	for (size_t i = 0; i < VARIABLES_MAX; i++)
		if (variables[i].name != NULL && strcmp(variables[i].name, name) == 0)
			return variables[i].value;
	return NULL;
}

void variables_set(const char *name, const char *value)
{
	size_t i = 0;

	while (variables[i].name != NULL && strcmp(variables[i].name, name) != 0)
		assert_in_range(++i, 0, VARIABLES_MAX - 1);
	variables[i].name = name;
	variables[i].value = value;
}

void variables_clear(void)
{
	memset(variables, 0, sizeof(variables));
}
