/* What is canonical stays as it is when it is made canonical again. */
#include "fuzz.h"

#include "aws/sigv4_canonical.h"
#include "base/base64.h"

#include <string.h>

static void check_query(const char *text)
{
	struct buf once = BUF_INIT(1 << 20), twice = BUF_INIT(1 << 20);
	struct buf scratch = BUF_INIT(1 << 20);

	FUZZ_CHECK(sigv4_canonical_query(&once, &scratch, text) == 0);
	FUZZ_CHECK(sigv4_canonical_query(&twice, &scratch, buf_string(&once)) == 0);
	FUZZ_CHECK(strcmp(buf_string(&once), buf_string(&twice)) == 0);
	buf_free(&once);
	buf_free(&twice);
	buf_free(&scratch);
}

static void check_path(const char *text)
{
	struct buf path = BUF_INIT(1 << 20);

	FUZZ_CHECK(sigv4_canonical_path(&path, text) == 0);
	FUZZ_CHECK(buf_string(&path)[0] == '/');
	FUZZ_CHECK(strstr(buf_string(&path), "//") == NULL);
	FUZZ_CHECK(strstr(buf_string(&path), "/./") == NULL);
	FUZZ_CHECK(strstr(buf_string(&path), "/../") == NULL);
	buf_free(&path);
}

static void check_value(const char *text)
{
	const struct sigv4_header header = {"X-Any", text};
	struct sigv4_signed_headers set = {.count = 0};
	struct buf out = BUF_INIT(1 << 20);
	size_t len;

	FUZZ_CHECK(sigv4_signed_headers_add(&set, &header, 1) == 0);
	FUZZ_CHECK(sigv4_canonical_headers(&out, &set) == 0);
	len = out.len;
	FUZZ_CHECK(memcmp(out.data, "x-any:", 6) == 0 && out.data[len - 1] == '\n');
	FUZZ_CHECK(memchr(out.data, '\n', len) == out.data + len - 1);
	FUZZ_CHECK(strstr(out.data, "  ") == NULL && out.data[len - 2] != ' ');
	buf_free(&out);
}

/* Base64 that decodes is the one text that its bytes encode to. */
static void check_base64(char *text, size_t len)
{
	struct buf again = BUF_INIT(1 << 20);
	char *original = strdup(text);
	size_t bytes;

	FUZZ_CHECK(original);
	if (base64_decode(text, len, &bytes) == 0) {
		FUZZ_CHECK(base64_encode(&again, text, bytes) == 0);
		FUZZ_CHECK(strcmp(buf_string(&again), original) == 0);
	}
	buf_free(&again);
	free(original);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);

	FUZZ_CHECK(text);
	check_query(text);
	check_path(text);
	check_value(text);
	check_base64(text, strlen(text));
	free(text);
	return 0;
}
