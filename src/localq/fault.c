#include "localq/fault.h"

#include "localq/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct fault_row rows[] = {{NULL, NULL, 0},
#define X(name, type, code, status) {type, code, status},
	FAULT_LIST(X)
#undef X
};

const struct fault_row *fault_row(enum fault fault)
{
	return &rows[fault];
}

enum fault problem_set(struct problem *problem, enum fault fault, const char *format, ...)
{
	va_list args;
	size_t len, at;

	problem->fault = fault;
	va_start(args, format);
	vsnprintf(problem->message, sizeof(problem->message), format, args);
	va_end(args);
	/* The text quotes what the client sent, and the cut may go through a character. */
	len = strlen(problem->message);
	while ((at = text_valid_prefix(problem->message, len)) < len)
		problem->message[at] = '?';
	return fault;
}
