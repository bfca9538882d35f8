/* Figures as `bunshin top` writes them. NAN, which is unknown, is "-". */
#ifndef CLI_TOP_WORDS_H
#define CLI_TOP_WORDS_H

#include "base/buf.h"

/* "1,234,567" */
void words_count(struct buf *out, double count);
/* The same, below 10 with a decimal: "1.2" */
void words_rate(struct buf *out, double rate);
/* "120 ms", from ten seconds on "12.3 s" */
void words_ms(struct buf *out, double ms);
/* "900 B", "8.6 MiB" */
void words_bytes(struct buf *out, double bytes);
/* "0.4s", "59.9s", "2m05s"; what is negative is "0.0s" */
void words_span(struct buf *out, double ms);
/* "08:00:00", in the process's time zone */
void words_clock(struct buf *out, double epoch_ms);
/* "2026-11-27 08:00:00 (UTC+0900)" */
void words_instant(struct buf *out, double epoch_ms);
/* "held_up" as "held up"; nothing as "-" */
void words_state(struct buf *out, const char *state);

#endif
