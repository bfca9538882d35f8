/* No known secret is shown, whatever stands around it and wherever it is cut. */
#include "fuzz.h"

#include "base/redact.h"

#include <stdlib.h>
#include <string.h>

#define SECRET "q\"Z/7"
#define SECRET_BYTES (sizeof(SECRET) - 1)

static size_t run(const char *text, size_t len, size_t at)
{
	FUZZ_CHECK(at < len);
	return len - at >= SECRET_BYTES && memcmp(text + at, SECRET, SECRET_BYTES) == 0
		       ? at + SECRET_BYTES
		       : at;
}

static size_t begun(const char *text, size_t len)
{
	for (size_t n = SECRET_BYTES - 1; n > 0; n--)
		if (n <= len && memcmp(text + len - n, SECRET, n) == 0)
			return n;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct redact_secrets known = {.run = run, .begun = begun};
	static char out[8 * REDACT_INPUT_MAX];
	size_t half = size / 2, room = size > 0 ? data[0] * 40 : 0, n;
	char *text = malloc(size + SECRET_BYTES); /* exact, for the sanitizer */

	FUZZ_CHECK(text != NULL);
	memcpy(text, data, half);
	memcpy(text + half, SECRET, SECRET_BYTES);
	memcpy(text + half + SECRET_BYTES, data + half, size - half);
	for (int cut = 0; cut < 2; cut++) {
		n = redact_excerpt(&known, text, size + SECRET_BYTES, cut, out, sizeof(out));
		FUZZ_CHECK(n <= sizeof(out) && !memmem(out, n, SECRET, SECRET_BYTES));
		n = redact_excerpt(&known, text, size + SECRET_BYTES, cut, out, room);
		FUZZ_CHECK(n <= room && !memmem(out, n, SECRET, SECRET_BYTES));
	}
	n = redact_excerpt(&known, text, half + SECRET_BYTES - 1, true, out, sizeof(out));
	FUZZ_CHECK(n < SECRET_BYTES - 1 || half >= REDACT_INPUT_MAX ||
		   memcmp(out + n - (SECRET_BYTES - 1), SECRET, SECRET_BYTES - 1) != 0);
	free(text);
	return 0;
}
