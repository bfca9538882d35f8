/* A Retry-After value is unreadable, or a delay from 0 to 12 hours that shrinks as time goes by. */
#include "fuzz.h"

#include "http/http_target.h"

#include <string.h>

#define HALF_DAY_MS ((int64_t)12 * 60 * 60 * 1000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int64_t now_ms = 0, found, later;
	char text[256];

	if (size < sizeof(now_ms) || size - sizeof(now_ms) >= sizeof(text))
		return 0;
	memcpy(&now_ms, data, sizeof(now_ms));
	memcpy(text, data + sizeof(now_ms), size - sizeof(now_ms));
	text[size - sizeof(now_ms)] = '\0';
	found = http_retry_after_ms(text, now_ms);
	FUZZ_CHECK(found >= -1 && found <= HALF_DAY_MS);
	/* A time that people live in: neither the century of a two-digit year changes in a second.
	 */
	now_ms = 1795392000000;
	found = http_retry_after_ms(text, now_ms);
	later = http_retry_after_ms(text, now_ms + 1000);
	FUZZ_CHECK((found < 0) == (later < 0));
	FUZZ_CHECK(later <= found);
	FUZZ_CHECK(later == found || later == found - 1000 || found == HALF_DAY_MS || later == 0);
	return 0;
}
