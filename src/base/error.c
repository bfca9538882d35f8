#include "bunshin/error.h"

#include <stddef.h>

struct error_row {
	int code;
	enum error_class class;
	const char *name;
	const char *message;
};

static const struct error_row rows[] = {{ERR_OK, ERROR_NONE, "ERR_OK", "no error"},
#define X(name, value, class, message) {name, class, #name, message},
	ERROR_LIST(X)
#undef X
};

static const struct error_row unknown = {0, ERROR_LOCAL, "ERR_UNKNOWN", "unknown error"};

static const struct error_row *find(int code)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].code == code)
			return &rows[i];
	return &unknown;
}

enum error_class error_class(int code)
{
	return find(code)->class;
}

const char *error_name(int code)
{
	return find(code)->name;
}

const char *error_message(int code)
{
	return find(code)->message;
}

const char *error_class_name(enum error_class class)
{
	static const char *const names[] = {
		[ERROR_NONE] = "none",
		[ERROR_TRANSIENT] = "transient",
		[ERROR_THROTTLED] = "throttled",
		[ERROR_AUTH] = "auth",
		[ERROR_PERMANENT] = "permanent",
		[ERROR_LOCAL] = "local",
	};

	return names[class];
}
