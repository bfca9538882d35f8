/*
 * The end of an instance, its lifecycle hook and its scale-in protection, against its metadata, the
 * Auto Scaling API and the ECS agent; and every fault of them.
 */
#include "instance_world.h"

#include "bunshin/error.h"
#include "failmalloc.h"
#include "scripted_provider.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#define OF_GROUP "AutoScalingGroupName=workers&"
#define OF_HOOK "LifecycleHookName=drain&InstanceId=i-0123456789abcdef0"
#define COMPLETE "CompleteLifecycleAction " OF_GROUP OF_HOOK "&LifecycleActionResult=CONTINUE\n"
#define HEARTBEAT "RecordLifecycleActionHeartbeat " OF_GROUP OF_HOOK "\n"
#define PROTECTION                                                                   \
	"SetInstanceProtection " OF_GROUP "InstanceIds.member.1=i-0123456789abcdef0" \
	"&ProtectedFromScaleIn="
#define PROTECT PROTECTION "true\n"
#define UNPROTECT PROTECTION "false\n"
#define HELD "event: scale-in protection is held: there is work\n"
#define LET_GO "event: scale-in protection is let go: there is no work\n"
#define COMPLETED "event: the lifecycle hook is completed\n"
#define LEAVE_GROUP "leave: the Auto Scaling group is terminating this instance\n"
#define LEAVE_SPOT "leave: this spot instance will be terminated at 2026-01-02T03:06:00.000Z\n"

#define SPOT "{\"action\":\"terminate\",\"time\":\"2026-01-02T03:06:00Z\"}"
#define API_ERROR(code, message)                                                            \
	"<ErrorResponse xmlns=\"http://autoscaling.amazonaws.com/doc/2011-01-01/\"><Error>" \
	"<Type>Sender</Type><Code>" code "</Code><Message>" message                         \
	"</Message></Error><RequestId>r</RequestId></ErrorResponse>"

static void start(struct instance_world *world)
{
	struct buf error = BUF_INIT(1024);

	if (instance_world_start(world, &error) != 0)
		fail_msg("%s", buf_string(&error));
	buf_free(&error);
}

static void open_notices(struct instance_world *world)
{
	instance_world_open(world);
	world->options.notices = true;
}

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
		cmocka_unit_test(settings_that_cannot_be_used),
		cmocka_unit_test(what_is_needed),
		cmocka_unit_test(memory_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
