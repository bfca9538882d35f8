/*
 * Error codes, shared by every layer.
 *
 * A function that can fail returns 0 or one of these negative codes. Callers act on the class;
 * people read the message. Libraries return, the edge logs once.
 */
#ifndef BUNSHIN_ERROR_H
#define BUNSHIN_ERROR_H

/* What a caller can do about an error. */
enum error_class {
	ERROR_NONE,	 /* no error */
	ERROR_TRANSIENT, /* the other side or the network failed: the same call may work later */
	ERROR_THROTTLED, /* asked to slow down: the same call will work later, slower */
	ERROR_AUTH,	 /* credentials refused: no call will work until they change */
	ERROR_PERMANENT, /* this very call can never work */
	ERROR_LOCAL,	 /* this process is short of something, or was told to stop */
};

/*
 * X(name, value, class, message). Values are stable: they appear in logs and test data.
 */
#define ERROR_LIST(X)                                                                         \
	X(ERR_NOMEM, -1, ERROR_LOCAL, "out of memory")                                        \
	X(ERR_CANCELLED, -2, ERROR_LOCAL, "cancelled")                                        \
	X(ERR_IO, -3, ERROR_LOCAL, "input/output error")                                      \
	X(ERR_LIMIT, -4, ERROR_LOCAL, "a local limit was reached")                            \
	X(ERR_STORE, -5, ERROR_LOCAL, "the database failed")                                  \
	X(ERR_PENDING, -6, ERROR_LOCAL, "not known yet")                                      \
	X(ERR_ARGUMENT, -10, ERROR_PERMANENT, "invalid argument")                             \
	X(ERR_TOO_LARGE, -11, ERROR_PERMANENT, "larger than the limit")                       \
	X(ERR_SYNTAX, -12, ERROR_PERMANENT, "malformed input")                                \
	X(ERR_TEMPLATE, -13, ERROR_PERMANENT, "the template cannot be filled")                \
	X(ERR_CONFIG, -14, ERROR_PERMANENT, "invalid configuration")                          \
	X(ERR_NOT_FOUND, -15, ERROR_PERMANENT, "not found")                                   \
	X(ERR_NOT_ALLOWED, -16, ERROR_PERMANENT, "the configuration does not allow it")       \
	X(ERR_DNS, -20, ERROR_TRANSIENT, "the host name does not resolve")                    \
	X(ERR_CONNECT, -21, ERROR_TRANSIENT, "could not connect")                             \
	X(ERR_TLS, -22, ERROR_TRANSIENT, "TLS failed")                                        \
	X(ERR_TIMEOUT, -23, ERROR_TRANSIENT, "timed out")                                     \
	X(ERR_NETWORK, -24, ERROR_TRANSIENT, "the connection broke")                          \
	X(ERR_PROTOCOL, -25, ERROR_TRANSIENT, "the answer was malformed")                     \
	X(ERR_ANSWER_TOO_LARGE, -26, ERROR_TRANSIENT, "the answer was larger than the limit") \
	X(ERR_UNAVAILABLE, -27, ERROR_TRANSIENT, "the service failed")                        \
	X(ERR_THROTTLED, -30, ERROR_THROTTLED, "the service asks to slow down")               \
	X(ERR_OVER_LIMIT, -31, ERROR_THROTTLED, "too many messages in flight")                \
	X(ERR_NO_CREDENTIALS, -40, ERROR_AUTH, "no credentials found")                        \
	X(ERR_BAD_CREDENTIALS, -41, ERROR_AUTH, "the credentials were refused")               \
	X(ERR_EXPIRED_CREDENTIALS, -42, ERROR_AUTH, "the credentials have expired")           \
	X(ERR_CLOCK_SKEW, -43, ERROR_AUTH, "this machine's clock is too far off")             \
	X(ERR_ACCESS_DENIED, -44, ERROR_AUTH, "access denied")                                \
	X(ERR_QUEUE_MISSING, -50, ERROR_PERMANENT, "the queue does not exist")                \
	X(ERR_RECEIPT_INVALID, -51, ERROR_PERMANENT, "the receipt handle is no longer valid") \
	X(ERR_REFUSED, -52, ERROR_PERMANENT, "the service refused the request")

enum error_code {
	ERR_OK = 0,
#define X(name, value, class, message) name = value,
	ERROR_LIST(X)
#undef X
};

/* All three take any int; an unknown code is ERROR_LOCAL, "ERR_UNKNOWN", "unknown error". */
enum error_class error_class(int code);
const char *error_name(int code);		      /* "ERR_TIMEOUT"; static */
const char *error_message(int code);		      /* "timed out"; static */
const char *error_class_name(enum error_class class); /* "transient"; static */

#endif
