/*
 * The end of an instance and its lifecycle hook, against its metadata and the Auto Scaling API; and
 * every fault of them. test_instance_protection.c has its scale-in protection.
 */
#include "instance_words.h"

#include "bunshin/error.h"
#include "failmalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- notices */

static void scaled_in(void **state)
{
	struct instance_world world;

	open_notices(&world);
	world.options.lifecycle_hook = "drain";
	start(&world);
	instance_world_pass(&world, 12000);
	assert_int_equal(world.rounds, 3);
	instance_world_assert(&world, "");
	world.lifecycle = "Terminated";
	instance_world_pass(&world, 68000);
	instance_world_assert(&world, "15000 " LEAVE_GROUP "45000 " HEARTBEAT "75000 " HEARTBEAT);
	/* It is known: nothing more is asked of the metadata. */
	assert_int_equal(world.rounds, 4);
	instance_world_finish(&world);
	instance_world_pass(&world, 100000);
	instance_world_assert(&world, "80000 " COMPLETE "80000 " COMPLETED "80000 done\n");
	instance_world_close(&world);
}

static void spot_interruption(void **state)
{
	struct instance_world world;

	open_notices(&world);
	start(&world);
	instance_world_pass(&world, 1000);
	world.spot = SPOT;
	instance_world_pass(&world, 20000);
	instance_world_assert(&world, "5000 " LEAVE_SPOT);
	instance_world_finish(&world);
	instance_world_pass(&world, 20000);
	instance_world_assert(&world, "21000 done\n");
	instance_world_close(&world);
}

/* The group learns of it a little later, and its hook runs. */
static void spot_interruption_in_a_group(void **state)
{
	struct instance_world world;

	open_notices(&world);
	world.options.lifecycle_hook = "drain";
	world.spot = SPOT;
	start(&world);
	instance_world_pass(&world, 3000);
	world.lifecycle = "Terminated";
	instance_world_pass(&world, 57000);
	instance_world_finish(&world);
	instance_world_pass(&world, 1000);
	instance_world_assert(&world, "0 " LEAVE_SPOT "35000 " HEARTBEAT "60000 " COMPLETE
				      "60000 " COMPLETED "60000 done\n");
	instance_world_close(&world);
}

static void found_terminating_at_the_start(void **state)
{
	struct instance_world world;

	open_notices(&world);
	world.options.lifecycle_hook = "drain";
	world.lifecycle = "Terminated\n";
	world.finish_on_leave = true; /* nothing to drain */
	start(&world);
	instance_world_pass(&world, 100000);
	instance_world_assert(&world, "0 " LEAVE_GROUP "0 " COMPLETE "0 " COMPLETED "0 done\n");
	instance_world_close(&world);
}

static void finished_from_leave_with_nothing_to_do(void **state)
{
	struct instance_world world;

	open_notices(&world);
	world.spot = SPOT;
	world.finish_on_leave = true;
	start(&world);
	instance_world_pass(&world, 100000);
	instance_world_assert(&world, "0 " LEAVE_SPOT "0 done\n");
	instance_world_close(&world);
}

static void other_states_are_no_end(void **state)
{
	static const char *const states[] = {"Detached", "Standby", "Warmed:Stopped",
		"Warmed:Hibernated", "Warmed:Running", "InService", NULL};
	struct instance_world world;

	open_notices(&world);
	start(&world);
	for (size_t i = 0; i < COUNT_OF(states); i++) {
		world.lifecycle = states[i];
		instance_world_pass(&world, 10000);
	}
	instance_world_assert(&world, "");
	instance_world_close(&world);
}

static void rebalance_is_only_told(void **state)
{
	struct instance_world world;

	open_notices(&world);
	start(&world);
	instance_world_pass(&world, 1000);
	world.rebalance = "{\"noticeTime\":\"2026-01-02T03:04:06Z\"}";
	instance_world_pass(&world, 60000);
	instance_world_assert(&world,
		"5000 event: EC2 recommends to rebalance this spot instance: its interruption is "
		"likelier now\n");
	instance_world_close(&world);
}

static const struct instance_fault metadata_faults[] = {
	{FAULT_ANSWER, 500, NULL, 0},
	{FAULT_ANSWER, 503, "<html>", 0},
	{FAULT_ANSWER, 403, NULL, 0},
	{FAULT_ANSWER, 400, NULL, 0},
	{FAULT_ANSWER, 429, NULL, 0},
	{FAULT_ANSWER, 401, NULL, 0},
	{FAULT_ANSWER, 200, "", 0},
	{FAULT_ANSWER, 200, "<html>Terminated</html>", 0},
	{FAULT_ANSWER, 200, "{", 0},
	{FAULT_ANSWER, 302, NULL, 0},
	{FAULT_CUT, 0, NULL, 0},
};

/* Whatever the metadata does, nobody leaves; it is told once, and asked less and less. */
static void metadata_that_fails_is_no_end(void **state)
{
	for (size_t i = 0; i < COUNT_OF(metadata_faults); i++) {
		struct instance_world world;
		unsigned rounds;

		open_notices(&world);
		start(&world);
		instance_world_pass(&world, 7000);
		world.metadata = metadata_faults[i];
		world.metadata.times = 1000000;
		instance_world_pass(&world, 600000);
		assert_int_equal(world.leaves, 0);
		assert_non_null(
			strstr(buf_string(&world.transcript), " trouble instance notices: "));
		assert_int_equal(strchr(buf_string(&world.transcript), '\n')[1], '\0');
		buf_clear(&world.transcript);
		/* Once a minute, each with the metadata client's own repetitions. */
		rounds = world.rounds;
		instance_world_pass(&world, 300000);
		assert_in_range(world.rounds - rounds, 0, 5 * 3);
		world.metadata.times = 0;
		world.lifecycle = "Terminated";
		instance_world_pass(&world, 70000);
		instance_world_assert_untimed(
			&world, LEAVE_GROUP "trouble instance notices: ended\n");
		instance_world_close(&world);
	}
}

/* Garbage at one path hides nothing of the others. */
static void garbage_at_one_path(void **state)
{
	struct instance_world world;

	open_notices(&world);
	world.spot = "{\"action\":\"terminate\"}";
	start(&world);
	instance_world_pass(&world, 1000);
	instance_world_assert(&world,
		"0 trouble instance notices: /latest/meta-data/spot/instance-action: the answer "
		"was malformed\n");
	world.lifecycle = "Terminated";
	instance_world_pass(&world, 10000);
	instance_world_assert(
		&world, "10000 " LEAVE_GROUP "10000 trouble instance notices: ended\n");
	instance_world_close(&world);
}

static void metadata_that_is_silent(void **state)
{
	struct instance_world world;

	open_notices(&world);
	world.metadata = (struct instance_fault){FAULT_SILENCE, 0, NULL, 3};
	start(&world);
	instance_world_pass(&world, 3000); /* three attempts of a second each */
	instance_world_pass(&world, 20000);
	assert_int_equal(world.leaves, 0);
	world.spot = SPOT;
	instance_world_pass(&world, 70000);
	assert_int_equal(world.leaves, 1);
	instance_world_close(&world);
}

/* ---- the hook */

static void not_completed_when_only_stopped(void **state)
{
	static const char *const states[] = {"InService", NULL};

	for (size_t i = 0; i < COUNT_OF(states); i++) {
		struct instance_world world;

		open_notices(&world);
		world.options.lifecycle_hook = "drain";
		world.lifecycle = states[i];
		start(&world);
		instance_world_pass(&world, 1000);
		instance_world_finish(&world);
		instance_world_pass(&world, 1000);
		instance_world_assert(&world, "1000 done\n");
		instance_world_close(&world);
	}
}

/* Without notices the state is asked for in the end. */
static void completed_without_notices(void **state)
{
	struct instance_world world;

	instance_world_open(&world);
	world.options.lifecycle_hook = "drain";
	world.options.autoscaling_group = "a b";
	world.tag = NULL;
	start(&world);
	instance_world_pass(&world, 1000);
	world.lifecycle = "Terminated";
	instance_world_finish(&world);
	instance_world_pass(&world, 1000);
	instance_world_assert(&world,
		"1000 CompleteLifecycleAction AutoScalingGroupName=a%20b&" OF_HOOK
		"&LifecycleActionResult=CONTINUE\n1000 " COMPLETED "1000 done\n");
	instance_world_close(&world);
}

static void a_state_that_is_not_known_tries_both(void **state)
{
	struct instance_world world;

	instance_world_open(&world);
	world.options.lifecycle_hook = "drain";
	world.options.protection = INSTANCE_PROTECTION_EC2;
	world.options.autoscaling_group = "workers";
	start(&world);
	instance_busy(world.instance, true);
	instance_world_pass(&world, 1000);
	instance_world_assert(&world, "0 " PROTECT "0 " HELD);
	world.lifecycle = "<html>";
	world.api = (struct instance_fault){FAULT_ANSWER, 400,
		API_ERROR("ValidationError",
			"No active Lifecycle Action found with instance ID i-0123456789abcdef0"),
		1};
	instance_world_finish(&world);
	instance_world_pass(&world, 1000);
	instance_world_assert(&world,
		"1000 " COMPLETE "1000 " UNPROTECT
		"1000 event: no lifecycle action of this hook is under way\n1000 " LET_GO
		"1000 done\n");
	instance_world_close(&world);
}

/* What is transient is tried again, by the client and then by the hook; what is not, is not. */
static void faults_of_the_completion(void **state)
{
	static const struct {
		struct instance_fault fault;
		const char *transcript;
	} cases[] = {
		{{FAULT_ANSWER, 500, API_ERROR("InternalFailure", "oh"), 4},
			COMPLETE COMPLETE COMPLETE
			"trouble lifecycle hook: CompleteLifecycleAction: InternalFailure (HTTP "
			"500): oh\n" COMPLETE COMPLETE COMPLETED
			"trouble lifecycle hook: ended\ndone\n"},
		{{FAULT_ANSWER, 400, API_ERROR("Throttling", "Rate exceeded"), 2},
			COMPLETE COMPLETE COMPLETE COMPLETED "done\n"},
		{{FAULT_CUT, 0, NULL, 1}, COMPLETE COMPLETE COMPLETED "done\n"},
		{{FAULT_ANSWER, 200, "<html>Sign in</html>", 1},
			COMPLETE "trouble lifecycle hook: CompleteLifecycleAction: not an answer "
				 "of Auto Scaling (HTTP 200): no RequestId\n" COMPLETE COMPLETED
				 "trouble lifecycle hook: ended\ndone\n"},
		{{FAULT_ANSWER, 403, API_ERROR("AccessDenied", "no"), 1},
			COMPLETE "trouble lifecycle hook: CompleteLifecycleAction: AccessDenied "
				 "(HTTP 403): no\ndone\n"},
		{{FAULT_ANSWER, 403, API_ERROR("InvalidClientTokenId", "who?"), 1},
			COMPLETE "trouble lifecycle hook: CompleteLifecycleAction: "
				 "InvalidClientTokenId (HTTP 403): who?\ndone\n"},
		{{FAULT_ANSWER, 400, API_ERROR("ValidationError", "Group not found"), 1},
			COMPLETE "trouble lifecycle hook: CompleteLifecycleAction: "
				 "ValidationError (HTTP 400): Group not found\ndone\n"},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct instance_world world;

		open_notices(&world);
		world.options.lifecycle_hook = "drain";
		start(&world);
		instance_world_pass(&world, 1000);
		world.lifecycle = "Terminated";
		instance_world_pass(&world, 5000);
		instance_world_assert(&world, "5000 " LEAVE_GROUP);
		world.api = cases[i].fault;
		instance_world_finish(&world);
		instance_world_pass(&world, INSTANCE_FINISH_MS);
		instance_world_assert_untimed(&world, cases[i].transcript);
		instance_world_close(&world);
	}
}

static void a_heartbeat_that_fails(void **state)
{
	struct instance_world world;

	open_notices(&world);
	world.options.lifecycle_hook = "drain";
	world.lifecycle = "Terminated";
	start(&world);
	instance_world_pass(&world, 1000);
	world.api = (struct instance_fault){FAULT_ANSWER, 403, API_ERROR("AccessDenied", "no"), 2};
	instance_world_pass(&world, 90000);
	instance_world_assert(&world,
		"0 " LEAVE_GROUP "30000 " HEARTBEAT
		"30000 trouble lifecycle hook: RecordLifecycleActionHeartbeat: AccessDenied (HTTP "
		"403): no\n60000 " HEARTBEAT "90000 " HEARTBEAT
		"90000 trouble lifecycle hook: ended\n");
	instance_world_close(&world);
}

static void the_end_is_bounded(void **state)
{
	struct instance_world world;

	open_notices(&world);
	world.options.lifecycle_hook = "drain";
	world.lifecycle = "Terminated";
	start(&world);
	instance_world_pass(&world, 1000);
	world.api = (struct instance_fault){FAULT_SILENCE, 0, NULL, 1000};
	world.keep_silent = true;
	instance_world_finish(&world);
	instance_world_pass(&world, INSTANCE_FINISH_MS - 1);
	assert_int_equal(world.dones, 0);
	instance_world_pass(&world, 1);
	assert_int_equal(world.dones, 1);
	assert_non_null(strstr(buf_string(&world.transcript),
		"11000 trouble lifecycle hook: it did not end in time\n11000 done\n"));
	instance_world_close(&world);
}

/* ---- settings */

static void settings_that_cannot_be_used(void **state)
{
	static const struct {
		const char *variable, *value, *error;
		bool insecure;
		enum instance_protection protection;
	} cases[] = {
		{"ECS_AGENT_URI", NULL, "ECS_AGENT_URI is not set", false, INSTANCE_PROTECTION_ECS},
		{"ECS_AGENT_URI", "http://10.1.2.3/api", "ECS_AGENT_URI names host 10.1.2.3", false,
			INSTANCE_PROTECTION_ECS},
		{"AWS_ENDPOINT_URL_AUTO_SCALING", "http://10.1.2.3",
			"AWS_ENDPOINT_URL_AUTO_SCALING names http://10.1.2.3, and everybody", false,
			INSTANCE_PROTECTION_EC2},
		{"AWS_ENDPOINT_URL_AUTO_SCALING", "autoscaling",
			"AWS_ENDPOINT_URL_AUTO_SCALING is not http(s)", true,
			INSTANCE_PROTECTION_EC2},
		{"AWS_USE_FIPS_ENDPOINT", "true", "FIPS", false, INSTANCE_PROTECTION_EC2},
		{"AWS_ENDPOINT_URL_AUTO_SCALING", "http://10.1.2.3", NULL, true,
			INSTANCE_PROTECTION_EC2},
		{"AWS_ENDPOINT_URL_AUTO_SCALING", NULL, NULL, false, INSTANCE_PROTECTION_EC2},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct instance_world world;
		struct buf error = BUF_INIT(1024);
		int err;

		instance_world_open(&world);
		variables_set(cases[i].variable, cases[i].value);
		world.options.protection = cases[i].protection;
		world.options.allow_insecure_endpoint = cases[i].insecure;
		err = instance_world_start(&world, &error);
		assert_int_equal(err, cases[i].error != NULL ? ERR_CONFIG : 0);
		if (cases[i].error != NULL && strstr(buf_string(&error), cases[i].error) == NULL)
			fail_msg("%s", buf_string(&error));
		buf_free(&error);
		instance_world_close(&world);
	}
}

static void what_is_needed(void **state)
{
	struct instance_options options = {0};

	assert_false(instance_is_needed(&options));
	options.protection = INSTANCE_PROTECTION_ECS;
	assert_true(instance_is_needed(&options));
	assert_false(instance_needs_credentials(&options));
	options.protection = INSTANCE_PROTECTION_EC2;
	assert_true(instance_needs_credentials(&options));
	options = (struct instance_options){.notices = true};
	assert_true(instance_is_needed(&options));
	assert_false(instance_needs_credentials(&options));
	options.lifecycle_hook = "drain";
	assert_true(instance_needs_credentials(&options));
	instance_busy(NULL, true);
	instance_close(NULL);
}

/* ---- out of memory */

static unsigned long sweep_once(unsigned long k, enum instance_protection protection)
{
	struct instance_world world;
	struct buf error = BUF_INIT(1024);
	unsigned long failed;
	int err;

	open_notices(&world);
	world.options.lifecycle_hook = "drain";
	world.options.protection = protection;
	failmalloc_arm(k);
	err = instance_world_start(&world, &error);
	if (err == 0) {
		instance_busy(world.instance, true);
		instance_world_pass(&world, 6000);
		world.lifecycle = "Terminated";
		instance_world_pass(&world, 100000);
		instance_busy(world.instance, false);
		instance_world_finish(&world);
		instance_world_pass(&world, INSTANCE_FINISH_MS);
	}
	failed = failmalloc_disarm();
	assert_int_equal(err, err == 0 ? 0 : ERR_NOMEM);
	assert_int_equal(world.dones, err == 0 ? 1 : 0);
	buf_free(&error);
	instance_world_close(&world);
	return failed;
}

/* One allocation fails, each in turn: it always ends, and nothing is left behind. */
static void memory_may_fail(void **state)
{
	unsigned long k;

	for (k = 1; sweep_once(k, INSTANCE_PROTECTION_EC2) > 0; k++)
		;
	assert_true(k > 50);
	for (k = 1; sweep_once(k, INSTANCE_PROTECTION_ECS) > 0; k++)
		;
	assert_true(k > 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scaled_in),
		cmocka_unit_test(spot_interruption),
		cmocka_unit_test(spot_interruption_in_a_group),
		cmocka_unit_test(found_terminating_at_the_start),
		cmocka_unit_test(finished_from_leave_with_nothing_to_do),
		cmocka_unit_test(other_states_are_no_end),
		cmocka_unit_test(rebalance_is_only_told),
		cmocka_unit_test(metadata_that_fails_is_no_end),
		cmocka_unit_test(garbage_at_one_path),
		cmocka_unit_test(metadata_that_is_silent),
		cmocka_unit_test(not_completed_when_only_stopped),
		cmocka_unit_test(completed_without_notices),
		cmocka_unit_test(a_state_that_is_not_known_tries_both),
		cmocka_unit_test(faults_of_the_completion),
		cmocka_unit_test(a_heartbeat_that_fails),
		cmocka_unit_test(the_end_is_bounded),
		cmocka_unit_test(settings_that_cannot_be_used),
		cmocka_unit_test(what_is_needed),
		cmocka_unit_test(memory_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
