/* The Date header (RFC 9110, 5.6.7). */
#ifndef AWS_HTTP_DATE_H
#define AWS_HTTP_DATE_H

#include <stdint.h>

/*
 * "Sun, 06 Nov 1994 08:49:37 GMT", the one form that may still be sent, to milliseconds since 1970
 * UTC. 0, or ERR_SYNTAX with *ret untouched. The name of the weekday is not checked.
 */
int http_date_parse(const char *text, int64_t *ret_epoch_ms);

#endif
