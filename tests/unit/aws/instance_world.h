/*
 * An instance on EC2 and a container on ECS, in the test's loop: its metadata service, the Auto
 * Scaling API and the ECS agent on one port, a clock in virtual time, and a transcript of what was
 * asked and told, each line with the millisecond:
 *
 *	15000 leave: the Auto Scaling group is terminating this instance
 *	45000 RecordLifecycleActionHeartbeat
 *AutoScalingGroupName=workers&LifecycleHookName=drain&... 45000 task {"ProtectionEnabled":false}
 *	80000 trouble lifecycle hook: CompleteLifecycleAction: AccessDenied (HTTP 403): no
 *	90000 done
 */
#ifndef TESTS_INSTANCE_WORLD_H
#define TESTS_INSTANCE_WORLD_H

#include "variables.h"

#include "aws/instance/instance.h"
#include "base/manual_clock.h"
#include "http/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include <cmocka.h>

/* How the next requests of a kind are answered; zero: as they should be. */
struct instance_fault {
	enum { FAULT_NONE, FAULT_ANSWER, FAULT_CUT, FAULT_SILENCE } kind;
	int status;
	const char *body;
	unsigned times; /* then as they should be */
};

struct instance_world {
	uv_loop_t loop;
	struct manual_clock clock;
	struct http_client *client;
	struct http_server *server;
	struct credentials_context context;
	struct aws_settings *settings;
	struct credentials *credentials;
	struct instance_options options;
	struct instance *instance;
	char endpoint[64];

	/* The metadata; NULL: 404. */
	const char *lifecycle, *spot, *rebalance, *tag;
	struct instance_fault metadata, api, agent;
	unsigned rounds;  /* of the metadata's lifecycle state */
	bool keep_silent; /* what is in flight is not waited for */

	struct buf transcript;
	unsigned leaves, dones;
	bool finish_on_leave;
};

/*
 * Options: nothing wanted yet, callbacks into the transcript. Variables
 * AWS_ENDPOINT_URL_AUTO_SCALING and ECS_AGENT_URI name the server; instance i-0123456789abcdef0 in
 * eu-west-1, group "workers".
 */
void instance_world_open(struct instance_world *world);
/* With world->options; what instance_new() says. */
int instance_world_start(struct instance_world *world, struct buf *error);
/* Demands that the loop closes clean, with no timer left. */
void instance_world_close(struct instance_world *world);

/* Virtual time passes, and everything that is due in it happens. */
void instance_world_pass(struct instance_world *world, uint64_t ms);
void instance_world_finish(struct instance_world *world);
/* What the transcript says since it was last asked. */
void instance_world_assert(struct instance_world *world, const char *transcript);
/* The same without the milliseconds: where they are random. */
void instance_world_assert_untimed(struct instance_world *world, const char *transcript);

#endif
