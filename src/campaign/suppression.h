/*
 * A suppression file: the keys of those who are not to be sent anything. One key a line; or, where
 * its name says so, CSV or JSON lines with the column that the recipients' key is in.
 *
 * In a file of lines a line ends with LF or CRLF, empty ones are ignored, spaces belong to the key,
 * and a byte order mark at the start is dropped. What is wrong anywhere in it is an error of the
 * whole: to send to somebody who asked not to be is worse than not to begin.
 */
#ifndef CAMPAIGN_SUPPRESSION_H
#define CAMPAIGN_SUPPRESSION_H

#include "base/buf.h"
#include "campaign/key_set.h"
#include "campaign/recipients.h"

#define SUPPRESSION_LINE_MAX ((size_t)64 << 10) /* bytes */

enum suppression_format { SUPPRESSION_LINES, SUPPRESSION_CSV, SUPPRESSION_JSONL };

/* Pure: by the ending of its name, .gz left out; anything else is lines. */
enum suppression_format suppression_format_of(const char *name);

/*
 * Reads the input to its end into the set. `column` is not used for lines. 0 with how many keys
 * there were, repeated ones included; ERR_SYNTAX with "LINE: what is wrong" in `error`; ERR_NOMEM;
 * or the input's own error.
 */
int suppression_read(const struct recipients_input *input, enum suppression_format format,
	const char *column, struct key_set *set, uint64_t *ret_count, struct buf *error);

#endif
