/* What /metrics says of keys whose renewal fails again and again. */
#include "base/manual_clock.h"
#include "bunshin/error.h"
#include "cli/run/credentials_watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define START_EPOCH_MS 1767323045000
#define MINUTE_US UINT64_C(60000000)

static bool failing;
static struct manual_clock clock_now;

static int scripted_get(void *impl, struct credentials_set *ret_set, credentials_done *done,
	void *arg, char reason[CREDENTIALS_REASON_MAX])
{
	if (failing) {
		snprintf(reason, CREDENTIALS_REASON_MAX, "nobody answers");
		return ERR_TIMEOUT;
	}
	strcpy(ret_set->access_key_id, "AKIDEXAMPLE");
	strcpy(ret_set->secret_access_key, "a-secret-that-opens-nothing");
	ret_set->expires_epoch_ms =
		clock_wall_epoch_ms(manual_clock_table(&clock_now)) + 60 * 60000;
	return 0;
}

static void scripted_free(void *impl)
{
}

static void each_failure_counts(void **state)
{
	const struct credentials_provider provider = {
		.name = "scripted", .get = scripted_get, .free = scripted_free};
	struct metrics *metrics = metrics_new();
	char words[CREDENTIALS_WATCH_WORDS_SIZE];
	struct credentials *credentials;
	struct credentials_watch watch;

	manual_clock_init(&clock_now, 1, START_EPOCH_MS);
	assert_int_equal(
		credentials_new(manual_clock_table(&clock_now), &provider, 1, &credentials), 0);
	credentials_start(credentials);
	/* Shown from the start: others may read them before anything else happens. */
	assert_int_equal(credentials_watch_open(&watch, credentials, metrics), 0);
	assert_int_equal(watch.usable->value, 1);
	assert_int_equal(watch.renewals->value, 1);
	assert_int_equal(watch.failing->value, 0);
	assert_int_equal(watch.expiry_s->value, START_EPOCH_MS / 1000 + 3600);
	failing = true;
	manual_clock_advance(&clock_now, 58 * MINUTE_US);
	credentials_watch_show(&watch);
	assert_true(watch.failures->value >= 5);
	assert_int_equal(watch.failing->value, watch.failures->value);
	assert_int_equal(watch.usable->value, 1);
	assert_int_equal(credentials_watch_health(&watch, words), CREDENTIALS_FAILING);
	manual_clock_advance(&clock_now, 3 * MINUTE_US);
	credentials_watch_show(&watch);
	assert_int_equal(watch.usable->value, 0);
	assert_int_equal(credentials_watch_health(&watch, words), CREDENTIALS_GONE);
	failing = false;
	manual_clock_advance(&clock_now, 2 * MINUTE_US);
	credentials_watch_show(&watch);
	assert_int_equal(watch.failing->value, 0);
	assert_int_equal(watch.renewals->value, 1);
	assert_int_equal(credentials_watch_health(&watch, words), CREDENTIALS_FINE);
	credentials_free(credentials);
	metrics_free(metrics);
	manual_clock_free(&clock_now);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(each_failure_counts)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
