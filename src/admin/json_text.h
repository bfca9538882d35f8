/*
 * Text of others in JSON: from another process, which may have gone mad, or from a provider.
 */
#ifndef ADMIN_JSON_TEXT_H
#define ADMIN_JSON_TEXT_H

#include "base/buf.h"

/*
 * Appends a JSON string with its quotes; NULL: null. What is no UTF-8 becomes a question mark, so
 * that the document is valid whatever the text is.
 */
void json_text_write(struct buf *out, const char *text);

#endif
