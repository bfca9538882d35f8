/*
 * Text inside HTML. A document written with it holds nothing of what somebody else wrote but text:
 * no tag, no attribute, no reference.
 */
#ifndef BASE_HTML_H
#define BASE_HTML_H

#include "base/buf.h"

/*
 * Appends `text` so that it reads as itself between two tags and inside a quoted attribute:
 * < > & " and ' become references. Characters that HTML has no place for (C0 and C1 controls, DEL)
 * become a space, each byte that is not UTF-8 becomes U+FFFD. 0 or the buffer's error.
 */
int html_append(struct buf *out, const char *text);

#endif
