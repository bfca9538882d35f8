/*
 * The scale-in protection of an instance or a task, against the Auto Scaling API and the ECS agent;
 * and every fault of them.
 */
#include "instance_words.h"

#include "bunshin/error.h"
#include "scripted_provider.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- protection through EC2 */

static void open_protected(struct instance_world *world)
{
	instance_world_open(world);
	world->options.protection = INSTANCE_PROTECTION_EC2;
}

static void protected_while_busy(void **state)
{
	struct instance_world world;

	open_protected(&world);
	start(&world);
	instance_busy(world.instance, false);
	instance_world_pass(&world, 2000);
	instance_busy(world.instance, true);
	instance_world_pass(&world, 100000);
	for (int i = 0; i < 90; i++) {
		instance_busy(world.instance, false);
		instance_world_pass(&world, 1000);
	}
	instance_world_assert(
		&world, "2000 " PROTECT "2000 " HELD "162000 " UNPROTECT "162000 " LET_GO);
	instance_world_finish(&world);
	instance_world_pass(&world, 1000);
	instance_world_assert(&world, "192000 done\n");
	instance_world_close(&world);
}

static void let_go_when_drained(void **state)
{
	struct instance_world world;

	open_protected(&world);
	start(&world);
	instance_busy(world.instance, true);
	instance_world_pass(&world, 5000);
	instance_world_finish(&world);
	instance_world_pass(&world, 1000);
	instance_world_assert(
		&world, "0 " PROTECT "0 " HELD "5000 " UNPROTECT "5000 " LET_GO "5000 done\n");
	instance_world_close(&world);
}

/* It is on its way out: no call can change that, and none is made. */
static void not_let_go_when_terminated(void **state)
{
	for (int with_notices = 0; with_notices < 2; with_notices++) {
		struct instance_world world;

		open_protected(&world);
		world.options.notices = with_notices;
		start(&world);
		instance_busy(world.instance, true);
		instance_world_pass(&world, 1000);
		instance_world_assert(&world, "0 " PROTECT "0 " HELD);
		world.lifecycle = "Terminated";
		instance_world_pass(&world, 9000);
		buf_clear(&world.transcript);
		instance_busy(world.instance, false);
		instance_world_finish(&world);
		instance_world_pass(&world, 1000);
		instance_world_assert(&world, "10000 done\n");
		instance_world_close(&world);
	}
}

static void closed_with_a_request_under_way(void **state)
{
	for (uint64_t steps = 0; steps < 8; steps++) {
		struct instance_world world;

		open_protected(&world);
		world.options.notices = true;
		world.options.lifecycle_hook = "drain";
		start(&world);
		instance_busy(world.instance, true);
		for (uint64_t i = 0; i < steps; i++) {
			manual_clock_advance(&world.clock, 0);
			uv_run(&world.loop, UV_RUN_NOWAIT);
		}
		if (steps % 2 == 1)
			instance_world_finish(&world);
		instance_close(world.instance);
		world.instance = NULL;
		instance_world_close(&world);
		assert_int_equal(world.dones, 0);
	}
}

static void faults_of_protection(void **state)
{
	static const struct {
		struct instance_fault fault;
		const char *transcript;
	} cases[] = {
		{{FAULT_ANSWER, 500, API_ERROR("ResourceContention", "busy"), 3},
			PROTECT PROTECT PROTECT
			"trouble scale-in protection: SetInstanceProtection: ResourceContention "
			"(HTTP 500): busy\n" PROTECT "trouble scale-in protection: ended\n" HELD},
		{{FAULT_ANSWER, 400, API_ERROR("Throttling", "Rate exceeded"), 1},
			PROTECT PROTECT HELD},
		{{FAULT_CUT, 0, NULL, 1}, PROTECT PROTECT HELD},
		{{FAULT_ANSWER, 403, API_ERROR("AccessDenied", "no"), 3},
			PROTECT "trouble scale-in protection: SetInstanceProtection: AccessDenied "
				"(HTTP 403): no\n" PROTECT PROTECT PROTECT
				"trouble scale-in protection: ended\n" HELD},
		{{FAULT_ANSWER, 400,
			 API_ERROR("ValidationError",
				 "The instance i-0123456789abcdef0 is not in InService or "
				 "EnteringStandby or Standby."),
			 1},
			PROTECT "trouble scale-in protection: SetInstanceProtection: "
				"ValidationError (HTTP 400): The instance i-0123456789abcdef0 is "
				"not in InService or EnteringStandby or Standby.\n" PROTECT
				"trouble scale-in protection: ended\n" HELD},
		{{FAULT_ANSWER, 200, "garbage", 1}, PROTECT
			"trouble scale-in protection: SetInstanceProtection: not an answer "
			"of Auto Scaling (HTTP 200): not XML: syntax error, line 1\n" PROTECT
			"trouble scale-in protection: ended\n" HELD},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct instance_world world;

		open_protected(&world);
		start(&world);
		world.api = cases[i].fault;
		instance_busy(world.instance, true);
		instance_world_pass(&world, 120000);
		instance_world_assert_untimed(&world, cases[i].transcript);
		instance_world_close(&world);
	}
}

static void a_group_that_is_not_known(void **state)
{
	struct instance_world world;

	open_protected(&world);
	world.tag = NULL;
	start(&world);
	instance_busy(world.instance, true);
	instance_world_pass(&world, 1000);
	instance_world_assert(&world,
		"0 trouble scale-in protection: the instance's metadata does not say its Auto "
		"Scaling group: set instance.autoscaling_group, or allow tags in the instance's "
		"metadata (and be in a group)\n");
	world.tag = "workers";
	instance_world_pass(&world, 10000);
	instance_world_assert_untimed(&world, PROTECT "trouble scale-in protection: ended\n" HELD);
	instance_world_close(&world);
}

/* ---- keys */

static void use_provider(struct instance_world *world, struct scripted *scripted)
{
	struct credentials_provider provider;

	scripted->clock = &world->clock;
	provider = scripted_provider("scripted", scripted);
	credentials_free(world->credentials);
	assert_int_equal(credentials_new(manual_clock_table(&world->clock), &provider, 1,
				 &world->credentials),
		0);
	world->options.credentials = world->credentials;
}

static void keys_are_waited_for(void **state)
{
	struct scripted scripted = {.later = true};
	struct instance_world world;

	open_protected(&world);
	use_provider(&world, &scripted);
	start(&world);
	instance_busy(world.instance, true);
	instance_world_pass(&world, 7000);
	instance_world_assert(&world, "");
	scripted_answer(&scripted);
	instance_world_pass(&world, 1000);
	instance_world_assert(&world, "7000 " PROTECT "7000 " HELD);
	instance_world_close(&world);
}

static void keys_that_ended_are_renewed(void **state)
{
	static const char *const codes[] = {
		API_ERROR("ExpiredToken", "old"), API_ERROR("InvalidClientTokenId", "who?")};

	for (size_t i = 0; i < COUNT_OF(codes); i++) {
		struct scripted scripted = {.life_ms = 3600000};
		struct instance_world world;

		open_protected(&world);
		use_provider(&world, &scripted);
		start(&world);
		instance_world_pass(&world, 20000);
		world.api = (struct instance_fault){FAULT_ANSWER, 403, codes[i], 1};
		instance_busy(world.instance, true);
		instance_world_pass(&world, 1000);
		instance_world_assert(&world, "20000 " PROTECT "20000 " PROTECT "20000 " HELD);
		assert_int_equal(scripted.gets, 2);
		instance_world_close(&world);
	}
}

static void there_are_no_keys(void **state)
{
	struct scripted scripted = {.err = ERR_NOT_FOUND};
	struct instance_world world;

	open_protected(&world);
	use_provider(&world, &scripted);
	start(&world);
	instance_busy(world.instance, true);
	instance_world_pass(&world, 1000);
	assert_non_null(strstr(buf_string(&world.transcript), "0 trouble scale-in protection: "));
	buf_clear(&world.transcript);
	instance_world_finish(&world);
	instance_world_pass(&world, INSTANCE_FINISH_MS);
	instance_world_assert_untimed(
		&world, "trouble scale-in protection: it did not end in time\ndone\n");
	instance_world_close(&world);
}

/* ---- protection through ECS */

#define TASK_ON "task {\"ProtectionEnabled\":true,\"ExpiresInMinutes\":60}\n"
#define TASK_OFF "task {\"ProtectionEnabled\":false}\n"

static void open_task(struct instance_world *world)
{
	instance_world_open(world);
	world->options.protection = INSTANCE_PROTECTION_ECS;
	world->options.credentials = NULL;
}

static void a_task_is_protected_while_busy(void **state)
{
	struct instance_world world;

	open_task(&world);
	start(&world);
	instance_busy(world.instance, true);
	instance_world_pass(&world, 4000000);
	instance_busy(world.instance, false);
	instance_world_pass(&world, 100000);
	instance_world_assert(&world, "0 " TASK_ON "0 " HELD "1800000 " TASK_ON "3600000 " TASK_ON
				      "4060000 " TASK_OFF "4060000 " LET_GO);
	instance_busy(world.instance, true);
	instance_world_pass(&world, 1000);
	instance_world_finish(&world);
	instance_world_pass(&world, 1000);
	instance_world_assert(&world, "4100000 " TASK_ON "4100000 " HELD "4101000 " TASK_OFF
				      "4101000 " LET_GO "4101000 done\n");
	assert_int_equal(world.rounds, 0); /* no metadata is asked */
	instance_world_close(&world);
}

static void faults_of_the_agent(void **state)
{
	static const struct {
		struct instance_fault fault;
		const char *reason;
	} cases[] = {
		{{FAULT_ANSWER, 200, "{\"failure\":{\"Reason\":\"TASK_NOT_VALID\"}}", 2},
			"the ECS agent: TASK_NOT_VALID (HTTP 200)"},
		{{FAULT_ANSWER, 500, "{\"error\":{\"Code\":\"ServerException\"}}", 2},
			"the ECS agent: ServerException (HTTP 500)"},
		{{FAULT_ANSWER, 403, "", 2}, "the ECS agent's answer is no JSON (HTTP 403)"},
		{{FAULT_ANSWER, 429, "{}", 2}, "the ECS agent: no code (HTTP 429)"},
		{{FAULT_ANSWER, 200, "{\"protection\":{\"ProtectionEnabled\":false}}", 2},
			"the ECS agent's answer does not say that protection is on"},
	};
	char transcript[1024];

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct instance_world world;

		open_task(&world);
		start(&world);
		world.agent = cases[i].fault;
		instance_busy(world.instance, true);
		instance_world_pass(&world, 60000);
		snprintf(transcript, sizeof(transcript),
			TASK_ON "trouble scale-in protection: %s\n" TASK_ON TASK_ON
				"trouble scale-in protection: ended\n" HELD,
			cases[i].reason);
		instance_world_assert_untimed(&world, transcript);
		instance_world_close(&world);
	}
}

static void an_agent_that_cuts(void **state)
{
	struct instance_world world;

	open_task(&world);
	start(&world);
	world.agent = (struct instance_fault){FAULT_CUT, 0, NULL, 1};
	instance_busy(world.instance, true);
	instance_world_pass(&world, 60000);
	assert_non_null(strstr(
		buf_string(&world.transcript), "protection: the ECS agent does not answer: "));
	assert_non_null(strstr(buf_string(&world.transcript), HELD));
	instance_world_close(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(protected_while_busy),
		cmocka_unit_test(let_go_when_drained),
		cmocka_unit_test(not_let_go_when_terminated),
		cmocka_unit_test(closed_with_a_request_under_way),
		cmocka_unit_test(faults_of_protection),
		cmocka_unit_test(a_group_that_is_not_known),
		cmocka_unit_test(keys_are_waited_for),
		cmocka_unit_test(keys_that_ended_are_renewed),
		cmocka_unit_test(there_are_no_keys),
		cmocka_unit_test(a_task_is_protected_while_busy),
		cmocka_unit_test(faults_of_the_agent),
		cmocka_unit_test(an_agent_that_cuts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
