/*
 * The admin page: three files that are part of the program. Its script is a client of the endpoint
 * like any other (SQS's JSON protocol and the operations of operations_page.c), so it can do
 * nothing that a request could not.
 */
#ifndef LOCALQ_PAGE_H
#define LOCALQ_PAGE_H

#include "http/server.h"

#include <stdbool.h>

/*
 * Answers GET and HEAD of / and of the page's other files; false: the request is for none of them,
 * and is still to be answered. With signed_only the page says that it is off: a script in a browser
 * has no key to sign with.
 */
bool page_serve(struct http_call *http, bool signed_only);

#endif
