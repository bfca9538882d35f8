#include "campaign/utf8_stream.h"

static enum utf8_event start(struct utf8_stream *utf8, unsigned char byte)
{
	utf8->lowest = 0x80;
	utf8->highest = 0xbf;
	if (byte < 0x80)
		return UTF8_CHARACTER;
	if (byte >= 0xc2 && byte <= 0xdf) {
		utf8->need = 1;
	} else if (byte >= 0xe0 && byte <= 0xef) {
		utf8->need = 2;
		if (byte == 0xe0)
			utf8->lowest = 0xa0; /* below: overlong */
		if (byte == 0xed)
			utf8->highest = 0x9f; /* above: surrogates */
	} else if (byte >= 0xf0 && byte <= 0xf4) {
		utf8->need = 3;
		if (byte == 0xf0)
			utf8->lowest = 0x90; /* below: overlong */
		if (byte == 0xf4)
			utf8->highest = 0x8f; /* above: past U+10FFFF */
	} else {
		return UTF8_BROKEN;
	}
	return UTF8_MORE;
}

enum utf8_event utf8_stream_push(struct utf8_stream *utf8, unsigned char byte)
{
	if (utf8->need == 0)
		return start(utf8, byte);
	if (byte < utf8->lowest || byte > utf8->highest) {
		utf8->need = 0;
		return UTF8_BROKEN;
	}
	utf8->lowest = 0x80;
	utf8->highest = 0xbf;
	return --utf8->need == 0 ? UTF8_CHARACTER : UTF8_MORE;
}
