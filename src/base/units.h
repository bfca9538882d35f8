/*
 * Text to number, with units: what the configuration and the command line share. Each parses the
 * whole string or fails with ERR_SYNTAX (not of this form) or ERR_LIMIT (does not fit), leaving
 * *ret untouched.
 */
#ifndef BASE_UNITS_H
#define BASE_UNITS_H

#include <stddef.h>
#include <stdint.h>

/* "500ms", "20s", "5m", "2h"; an integer and a unit, nothing else ("0" alone is also taken). */
int units_parse_duration_ms(const char *text, int64_t *ret_ms);
/* "512", "64KiB", "1MiB", "2GiB". */
int units_parse_bytes(const char *text, uint64_t *ret_bytes);
/* Decimal digits with an optional leading minus. */
int units_parse_int(const char *text, int64_t *ret);
/* "2000/s", "100/m", "50/h": how many in how many milliseconds; both at least 1. */
int units_parse_rate(const char *text, int64_t *ret_count, int64_t *ret_per_ms);
/* "0", "1", "0.01": of a whole, from 0 to 1 with up to six decimals, in millionths. */
int units_parse_share(const char *text, int64_t *ret_millionths);
/* RFC 3339 ("2026-11-23T08:00:00+09:00", fraction optional) to milliseconds since 1970 UTC. */
int units_parse_rfc3339(const char *text, int64_t *ret_epoch_ms);

/* The shortest exact form: 1500 -> "1500ms", 20000 -> "20s"; at most UNITS_TEXT_MAX with NUL. */
#define UNITS_TEXT_MAX 32
const char *units_format_duration_ms(int64_t ms, char text[UNITS_TEXT_MAX]);
const char *units_format_bytes(uint64_t bytes, char text[UNITS_TEXT_MAX]);
const char *units_format_share(int64_t millionths, char text[UNITS_TEXT_MAX]); /* "0.01" */
/* "2026-11-23T08:00:00.123Z" */
const char *units_format_rfc3339(int64_t epoch_ms, char text[UNITS_TEXT_MAX]);

#endif
