/* What parses is formatted into a text that parses to the same. */
#include "fuzz.h"

#include "base/units.h"

#include <stdbool.h>
#include <string.h>

static void check_duration(const char *text)
{
	char formatted[UNITS_TEXT_MAX];
	int64_t ms = -7, again;

	if (units_parse_duration_ms(text, &ms) != 0) {
		FUZZ_CHECK(ms == -7);
		return;
	}
	FUZZ_CHECK(ms >= 0);
	FUZZ_CHECK(units_parse_duration_ms(units_format_duration_ms(ms, formatted), &again) == 0);
	FUZZ_CHECK(again == ms);
}

static void check_bytes(const char *text)
{
	char formatted[UNITS_TEXT_MAX];
	uint64_t bytes = 7, again;

	if (units_parse_bytes(text, &bytes) != 0) {
		FUZZ_CHECK(bytes == 7);
		return;
	}
	FUZZ_CHECK(units_parse_bytes(units_format_bytes(bytes, formatted), &again) == 0);
	FUZZ_CHECK(again == bytes);
}

static void check_int(const char *text)
{
	char formatted[UNITS_TEXT_MAX];
	int64_t number = 7, again;

	if (units_parse_int(text, &number) != 0) {
		FUZZ_CHECK(number == 7);
		return;
	}
	snprintf(formatted, sizeof(formatted), "%lld", (long long)number);
	FUZZ_CHECK(units_parse_int(formatted, &again) == 0 && again == number);
}

static void check_rfc3339(const char *text)
{
	char formatted[UNITS_TEXT_MAX];
	int64_t epoch_ms = 7, again;

	if (units_parse_rfc3339(text, &epoch_ms) != 0) {
		FUZZ_CHECK(epoch_ms == 7);
		return;
	}
	units_format_rfc3339(epoch_ms, formatted);
	/* An offset can carry an instant out of the four-digit years. */
	if (formatted[4] == '-' && formatted[0] != '-')
		FUZZ_CHECK(units_parse_rfc3339(formatted, &again) == 0 && again == epoch_ms);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);
	char formatted[UNITS_TEXT_MAX];
	int64_t any = 0;

	FUZZ_CHECK(text);
	check_duration(text);
	check_bytes(text);
	check_int(text);
	check_rfc3339(text);
	memcpy(&any, data, size < sizeof(any) ? size : sizeof(any));
	FUZZ_CHECK(strlen(units_format_rfc3339(any, formatted)) < UNITS_TEXT_MAX);
	FUZZ_CHECK(strlen(units_format_duration_ms(any, formatted)) < UNITS_TEXT_MAX);
	free(text);
	return 0;
}
