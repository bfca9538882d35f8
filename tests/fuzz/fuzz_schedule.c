/* What parses as a time is formatted into a text that parses to the same, to the second. */
#include "fuzz.h"

#include "base/buf.h"
#include "campaign/forecast.h"
#include "campaign/schedule.h"

#include <string.h>

static void check_time(const char *text)
{
	const struct schedule_instant base = {1000000, 3600};
	struct schedule_instant instant = {7, 7}, again = {7, 7};
	struct buf error = BUF_INIT(4096);
	char formatted[SCHEDULE_TEXT_MAX];
	int rc = schedule_parse_deadline(text, base, &instant, &error);

	if (rc != 0) {
		FUZZ_CHECK(error.len > 0);
		FUZZ_CHECK(instant.epoch_ms == 7 && instant.offset_s == 7);
		buf_free(&error);
		return;
	}
	schedule_format(instant, formatted);
	/* An offset can carry an instant out of the four-digit years; old ones have seconds. */
	if (formatted[4] == '-' && formatted[0] != '-' && instant.offset_s % 60 == 0) {
		FUZZ_CHECK(schedule_parse(formatted, &again, &error) == 0);
		FUZZ_CHECK(again.offset_s == instant.offset_s);
		FUZZ_CHECK(again.epoch_ms <= instant.epoch_ms &&
			   instant.epoch_ms - again.epoch_ms < 1000);
	}
	buf_free(&error);
}

static void check_price(const char *text)
{
	const char *currency = NULL;
	double price = 7;

	if (forecast_parse_price(text, &price, &currency) != 0)
		FUZZ_CHECK(price == 7 && !currency);
	else
		FUZZ_CHECK(price >= 0 && currency >= text && currency <= text + strlen(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);

	FUZZ_CHECK(text);
	check_time(text);
	check_price(text);
	free(text);
	return 0;
}
