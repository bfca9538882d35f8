/*
 * Text that somebody else wrote, for a terminal: no byte of it moves the cursor, changes a colour
 * or the direction of writing, or ends the line.
 */
#ifndef CLI_PRINTABLE_H
#define CLI_PRINTABLE_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Is the character more than ink? Controls (C0, DEL, C1), line and paragraph separators, marks of
 * the direction of writing.
 */
bool printable_acts(uint32_t c);
/*
 * Appends at most max_bytes of the text, whole characters only: control characters as \n, \t, \x1b
 * or \u{202e}, bytes that are no UTF-8 as \xff. What is cut is told: "... (1234 bytes in all)".
 */
void printable_append(struct buf *out, const char *text, size_t len, size_t max_bytes);
/* All of it as a JSON string, quotes included; what is no UTF-8 becomes U+FFFD. */
void printable_append_json(struct buf *out, const char *text, size_t len);

#endif
