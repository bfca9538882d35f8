/* Any tags read, and a campaign that was put into the list is in it, and can be taken out. */
#include "fuzz.h"

#include "bunshin/error.h"
#include "delivery/control.h"

#include <string.h>

/* The lines of the input, NUL-terminated; the last takes the rest. */
static void split(char *text, size_t size, char *parts[], size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char *end = i + 1 < count ? memchr(text, '\n', size) : NULL;

		parts[i] = text;
		if (end == NULL)
			end = text + size;
		*end = '\0';
		size -= (size_t)(end - text) + (end < text + size);
		text = size > 0 ? end + 1 : end;
	}
}

static void check_names(const char *value, const char *campaign)
{
	struct control control = {.paused = false};
	char added[CONTROL_TAG_MAX + 1], removed[CONTROL_TAG_MAX + 1];
	int err;

	if (strlen(value) > CONTROL_TAG_MAX) {
		FUZZ_CHECK(control_cancelled_add(value, campaign, added) == ERR_ARGUMENT);
		FUZZ_CHECK(control_cancelled_remove(value, campaign, added) == ERR_ARGUMENT);
		return;
	}
	err = control_cancelled_add(value, campaign, added);
	FUZZ_CHECK((err == ERR_ARGUMENT) == (campaign[0] == '\0'));
	if (err != 0)
		return;
	memcpy(control.cancelled, added, sizeof(added));
	FUZZ_CHECK(control_cancels(&control, campaign, strlen(campaign)));
	FUZZ_CHECK(control_cancelled_remove(added, campaign, removed) == 0);
	memcpy(control.cancelled, removed, strlen(removed) + 1);
	FUZZ_CHECK(!control_cancels(&control, campaign, strlen(campaign)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct control control = {.paused = false}, again;
	char text[4096], reason[CONTROL_REASON_SIZE], id[CONTROL_ID_SIZE];
	char rate[CONTROL_RATE_SIZE], *parts[4];
	struct control_tags tags;

	if (size >= sizeof(text))
		return 0;
	memcpy(text, data, size);
	split(text, size, parts, 4);
	tags = (struct control_tags){parts[0], parts[1], parts[2]};
	if (control_read(&tags, &control, reason) != 0)
		FUZZ_CHECK(strncmp(reason, "tag bunshin:", 12) == 0);
	FUZZ_CHECK(strlen(control.cancelled) <= CONTROL_TAG_MAX);
	FUZZ_CHECK(control.rate_count <= (uint64_t)CONTROL_RATE_MAX);
	control_id(&control, id);
	FUZZ_CHECK(strlen(id) == CONTROL_ID_SIZE - 1);
	control_rate_text(control.rate_count, control.rate_per_ms, rate);
	tags = (struct control_tags){control.paused ? "true" : NULL,
		control.rate_count ? rate : NULL, control.cancelled};
	again = (struct control){.paused = !control.paused};
	FUZZ_CHECK(control_read(&tags, &again, reason) == 0);
	FUZZ_CHECK(control_equal(&control, &again));
	check_names(parts[2], parts[3]);
	return 0;
}
