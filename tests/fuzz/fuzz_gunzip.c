/*
 * Any bytes as a gzip stream: the same text and the same end come out whatever pieces are read and
 * asked for. Any text, packed in two members, comes out as it was; cut short, it never ends well.
 */
#include "fuzz.h"

#include "base/buf.h"
#include "bunshin/error.h"
#include "campaign/gunzip.h"

#include <string.h>
#include <zlib.h>

#define TEXT_MAX ((size_t)1 << 17) /* what is looked at of a text that a few bytes unpack to */

struct source {
	const char *bytes;
	size_t len, piece;
};

static int read_source(void *arg, char *bytes, size_t size, size_t *ret_len)
{
	struct source *source = arg;
	size_t len = source->len < source->piece ? source->len : source->piece;

	if (len > size)
		len = size;
	memcpy(bytes, source->bytes, len);
	source->bytes += len;
	source->len -= len;
	*ret_len = len;
	return 0;
}

/* Appends the text to `out`, up to TEXT_MAX. How it ended. */
static int read_all(const char *bytes, size_t len, size_t piece, size_t size, struct buf *out)
{
	struct source source = {bytes, len, piece};
	const struct recipients_input input = {read_source, &source};
	struct gunzip *gunzip;
	char *text = malloc(size);
	size_t got;
	int err;

	FUZZ_CHECK(text && gunzip_new(&input, &gunzip) == 0);
	do {
		err = gunzip_read(gunzip, text, size, &got);
		FUZZ_CHECK(got <= size);
		if (got > TEXT_MAX - out->len)
			got = TEXT_MAX - out->len;
		FUZZ_CHECK(buf_append(out, text, got) == 0);
	} while (err == 0 && got > 0);
	FUZZ_CHECK(err == 0 || err == ERR_SYNTAX);
	FUZZ_CHECK((err == 0) == (gunzip_reason(gunzip)[0] == '\0'));
	gunzip_free(gunzip);
	free(text);
	return err;
}

static void check_stream(const char *bytes, size_t len)
{
	static const struct {
		size_t piece, size;
	} ways[] = {{1, 4096}, {3, 1000}, {4096, 137}};
	struct buf whole = BUF_INIT(TEXT_MAX), again = BUF_INIT(TEXT_MAX);
	int err = read_all(bytes, len, len + 1, 65536, &whole);

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		buf_clear(&again);
		FUZZ_CHECK(read_all(bytes, len, ways[i].piece, ways[i].size, &again) == err ||
			   whole.len == TEXT_MAX || again.len == TEXT_MAX);
		/* Before what is broken, more or less of the text may have come out. */
		FUZZ_CHECK(err || again.len == whole.len);
		FUZZ_CHECK(memcmp(buf_string(&again), buf_string(&whole),
				   again.len < whole.len ? again.len : whole.len) == 0);
	}
	buf_free(&whole);
	buf_free(&again);
}

/* Appends one member. */
static void pack(struct buf *out, const char *text, size_t len)
{
	z_stream stream = {0};
	char *room;
	size_t bound;

	FUZZ_CHECK(deflateInit2(&stream, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
	bound = deflateBound(&stream, len);
	room = buf_reserve(out, bound);
	FUZZ_CHECK(room);
	stream.next_in = (unsigned char *)(uintptr_t)text;
	stream.avail_in = (unsigned)len;
	stream.next_out = (unsigned char *)room;
	stream.avail_out = (unsigned)bound;
	FUZZ_CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
	buf_advance(out, bound - stream.avail_out);
	deflateEnd(&stream);
}

static void check_text(const char *text, size_t len)
{
	struct buf packed = BUF_INIT(TEXT_MAX), out = BUF_INIT(TEXT_MAX);
	size_t first = len / 3, end;

	pack(&packed, text, first);
	end = packed.len;
	pack(&packed, text + first, len - first);
	FUZZ_CHECK(read_all(buf_string(&packed), packed.len, 1 + len % 50, 100, &out) == 0);
	FUZZ_CHECK(out.len == len && memcmp(buf_string(&out), text, len) == 0);
	for (size_t cut = packed.len - 1; cut > 0; cut -= 1 + cut / 3) {
		buf_clear(&out);
		FUZZ_CHECK((read_all(buf_string(&packed), cut, 1000, 1000, &out) == 0) ==
			   (cut == end));
	}
	buf_free(&packed);
	buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_stream((const char *)data, size);
	check_text((const char *)data, size);
	return 0;
}
