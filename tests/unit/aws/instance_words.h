/* What is asked and told at the end of an instance, and how its tests begin. */
#ifndef TEST_INSTANCE_WORDS_H
#define TEST_INSTANCE_WORDS_H

#include "instance_world.h"

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

static inline void start(struct instance_world *world)
{
	struct buf error = BUF_INIT(1024);

	if (instance_world_start(world, &error) != 0)
		fail_msg("%s", buf_string(&error));
	buf_free(&error);
}

static inline void open_notices(struct instance_world *world)
{
	instance_world_open(world);
	world->options.notices = true;
}

#endif
