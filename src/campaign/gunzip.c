#include "campaign/gunzip.h"

#include "bunshin/error.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#define BLOCK_BYTES ((size_t)64 << 10)
#define GZIP_ONLY (15 + 16) /* inflateInit2: the largest window, gzip's header */

struct gunzip {
	struct recipients_input input;
	z_stream stream;
	uint64_t unpacked; /* bytes */
	bool inside;	   /* of a member */
	bool ended;	   /* the input has */
	char reason[128];
	unsigned char block[BLOCK_BYTES];
};

bool gunzip_is_gzip(const char *bytes, size_t len)
{
	return len >= 2 && (unsigned char)bytes[0] == 0x1f && (unsigned char)bytes[1] == 0x8b;
}

int gunzip_new(const struct recipients_input *input, struct gunzip **ret_gunzip)
{
	struct gunzip *gunzip = calloc(1, sizeof(*gunzip));

	if (!gunzip)
		return ERR_NOMEM;
	gunzip->input = *input;
	if (inflateInit2(&gunzip->stream, GZIP_ONLY) != Z_OK) {
		free(gunzip);
		return ERR_NOMEM;
	}
	*ret_gunzip = gunzip;
	return 0;
}

void gunzip_free(struct gunzip *gunzip)
{
	if (!gunzip)
		return;
	inflateEnd(&gunzip->stream);
	free(gunzip);
}

const char *gunzip_reason(const struct gunzip *gunzip)
{
	return gunzip->reason;
}

static int refill(struct gunzip *gunzip)
{
	size_t len = 0;
	int err;

	if (gunzip->stream.avail_in > 0 || gunzip->ended)
		return 0;
	err = gunzip->input.read(gunzip->input.arg, (char *)gunzip->block, BLOCK_BYTES, &len);
	gunzip->stream.next_in = gunzip->block;
	gunzip->stream.avail_in = (unsigned)len;
	gunzip->ended = !err && len == 0;
	return err;
}

static int broken(struct gunzip *gunzip, const char *what)
{
	snprintf(gunzip->reason, sizeof(gunzip->reason), "%s after %" PRIu64 " bytes of text", what,
		gunzip->unpacked);
	return ERR_SYNTAX;
}

/* One step of zlib's: what it made of the input, which may be nothing. */
static int unpack(struct gunzip *gunzip, char *bytes, size_t size, size_t *ret_len)
{
	z_stream *stream = &gunzip->stream;
	int code;

	stream->next_out = (unsigned char *)bytes;
	stream->avail_out = (unsigned)size;
	gunzip->inside = true;
	code = inflate(stream, Z_NO_FLUSH);
	*ret_len = size - stream->avail_out;
	gunzip->unpacked += *ret_len;
	if (code == Z_STREAM_END) {
		gunzip->inside = false;
		return inflateReset(stream) == Z_OK ? 0 : ERR_NOMEM;
	}
	if (code == Z_MEM_ERROR)
		return ERR_NOMEM;
	return code == Z_OK || code == Z_BUF_ERROR ? 0 : broken(gunzip, "the gzip data is corrupt");
}

int gunzip_read(struct gunzip *gunzip, char *bytes, size_t size, size_t *ret_len)
{
	int err = 0;

	*ret_len = 0;
	if (size > UINT32_MAX)
		size = UINT32_MAX;
	while (!err && *ret_len == 0) {
		err = refill(gunzip);
		if (err || (gunzip->ended && !gunzip->inside))
			return err;
		if (gunzip->ended && gunzip->stream.avail_in == 0)
			return broken(gunzip, "the gzip data ends in the middle,");
		err = unpack(gunzip, bytes, size, ret_len);
	}
	return err;
}
