/*
 * Members of a JSON document of which none need be there: the first that has another type than
 * asked for sticks, and is named.
 */
#ifndef CLI_TOP_READER_H
#define CLI_TOP_READER_H

#include "base/buf.h"
#include "base/json.h"

#include <stdbool.h>
#include <stddef.h>

struct reader {
	struct buf *error; /* a sentence, with the first error */
	int err;	   /* 0 or ERR_PROTOCOL */
};

/*
 * All of them: object NULL, or a member that is missing or null, is unknown. Texts are borrowed
 * from the document.
 */
double reader_number(struct reader *reader, const struct json_value *object, const char *name);
const char *reader_text(struct reader *reader, const struct json_value *object, const char *name);
bool reader_flag(struct reader *reader, const struct json_value *object, const char *name);
const struct json_value *reader_object(
	struct reader *reader, const struct json_value *object, const char *name);
const struct json_value *reader_array(
	struct reader *reader, const struct json_value *object, const char *name);
/* Of a value itself, which is not NULL; `name` is for the error. NAN for null and on an error. */
double reader_value(struct reader *reader, const struct json_value *value, const char *name);
void reader_fail(struct reader *reader, const char *name, const char *wanted);

#endif
