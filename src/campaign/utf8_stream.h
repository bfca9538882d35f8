/*
 * UTF-8 checking a byte at a time, for input that comes in pieces; the same rules as base/utf8.h.
 */
#ifndef CAMPAIGN_UTF8_STREAM_H
#define CAMPAIGN_UTF8_STREAM_H

#include <stdint.h>

/* Zero it to begin with. */
struct utf8_stream {
	uint8_t need;		 /* continuation bytes still to come; 0: between characters */
	uint8_t lowest, highest; /* what the next continuation byte may be */
};

enum utf8_event {
	UTF8_MORE,	/* in the middle of a character */
	UTF8_CHARACTER, /* the byte completed one */
	UTF8_BROKEN,	/* the byte cannot stand here; the stream is between characters again */
};

/*
 * After UTF8_BROKEN in the middle of a character, the byte itself has not been looked at as a
 * start: push it again to do so.
 */
enum utf8_event utf8_stream_push(struct utf8_stream *utf8, unsigned char byte);

#endif
