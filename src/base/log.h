/*
 * Levelled, structured log on stderr: readable text on a terminal, entries with fields where
 * stderr is systemd's journal, one JSON object a line otherwise. Every registered secret is
 *replaced by [redacted] wherever it would appear in the message or a value, as it is or as it looks
 *once escaped.
 *
 *	log_info("worker started", LOG_STR("queue", url), LOG_INT("slots", 500));
 *
 *	2026-11-23T08:00:00.123Z INFO  worker started queue=https://... slots=500
 *	{"time":"2026-11-23T08:00:00.123Z","level":"info","message":"worker started",...}
 *
 * An entry of the journal has the text form without time and level as its MESSAGE, a PRIORITY, and
 * each field once more as BUNSHIN_KEY. When the journal does not take it, the text goes to
 * descriptor `fd`, with the priority before it as <N> (sd-daemon(3)).
 *
 * A line is one write(2) of at most LOG_LINE_MAX bytes: what does not fit is cut between two
 * characters, and `truncated` marks the line. Control characters are escaped in both forms and
 * ill-formed UTF-8 becomes U+FFFD, so a value can neither break a line nor drive a terminal. A
 * line that the descriptor does not take within a moment is dropped: logging never blocks for
 * long and never fails. Nothing is allocated. Keys are the code's own plain words.
 *
 * The log is process-wide, single-threaded state for the edge: libraries below cli do not log.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "bunshin/clock.h"
#include "bunshin/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_LINE_MAX 8192 /* bytes, the newline included */

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_AUTO, LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

struct log_field {
	const char *key; /* NULL ends the list */
	enum { LOG_FIELD_STRING, LOG_FIELD_INT, LOG_FIELD_BYTES, LOG_FIELD_ID } kind;
	const char *string; /* NULL leaves the field out */
	size_t len;
	int64_t number;
};

#define LOG_STR(k, v) ((struct log_field){.key = (k), .kind = LOG_FIELD_STRING, .string = (v)})
#define LOG_BYTES(k, v, n) \
	((struct log_field){.key = (k), .kind = LOG_FIELD_BYTES, .string = (v), .len = (n)})
#define LOG_INT(k, v) \
	((struct log_field){.key = (k), .kind = LOG_FIELD_INT, .number = (int64_t)(v)})
/* What kind of line it is, for the journal alone: 32 hex digits; its MESSAGE_ID. */
#define LOG_ID(v) ((struct log_field){.key = "-", .kind = LOG_FIELD_ID, .string = (v)})
/* The code's name and class, as two fields: error=, class=. */
#define LOG_ERR(code) \
	LOG_STR("error", error_name(code)), LOG_STR("class", error_class_name(error_class(code)))

#define log_debug(...) LOG_AT(LOG_LEVEL_DEBUG, __VA_ARGS__, {0})
#define log_info(...) LOG_AT(LOG_LEVEL_INFO, __VA_ARGS__, {0})
#define log_warn(...) LOG_AT(LOG_LEVEL_WARN, __VA_ARGS__, {0})
#define log_error(...) LOG_AT(LOG_LEVEL_ERROR, __VA_ARGS__, {0})
#define LOG_AT(level, message, ...)                                                         \
	do {                                                                                \
		if (log_enabled(level))                                                     \
			log_write(level, message, (const struct log_field[]){__VA_ARGS__}); \
	} while (0)

/*
 * Until this is called: info, auto, descriptor 2, the system's wall clock. `clock` (may be
 * NULL: the system's) is copied and gives the timestamps. fd is borrowed.
 */
void log_configure(enum log_level level, enum log_format format, int fd, const struct clock *clock);
/* From now on every line has the field worker=NUMBER behind its message; 0: none has. */
void log_set_worker(unsigned number);
bool log_enabled(enum log_level level);
void log_write(enum log_level level, const char *message, const struct log_field fields[]);

/*
 * From now on `secret` (copied) never appears in a line. Shorter than 4 bytes is ignored, since
 * it would blot out ordinary words. Returns 0 or ERR_NOMEM.
 */
int log_add_secret(const char *secret);
/*
 * Takes one log_add_secret() of the same text back; after the last of them it is wiped and may
 * appear again. One that was never added is ignored. Allocates nothing.
 */
void log_remove_secret(const char *secret);
/*
 * Replaces every registered secret in text, in place: by [redacted], or by stars where it is
 * shorter than that, so that the text never grows.
 */
void log_redact(char *text);
/* Forgets (and wipes) all secrets; for tests and a clean exit. */
void log_clear_secrets(void);

#endif
