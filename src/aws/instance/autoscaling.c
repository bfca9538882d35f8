#include "aws/instance/autoscaling.h"

#include "aws/query_call.h"
#include "base/list.h"
#include "bunshin/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERSION "2011-01-01"
#define REQUEST_ID_SIZE 128

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

struct autoscaling {
	struct clock clock;
	struct credentials *credentials;
	struct query_client *client;
	struct list calls;
};

/* In one of these states; each ends in the next or in `done`: */
struct autoscaling_call {
	struct list node;
	struct autoscaling *autoscaling;
	struct autoscaling_request request; /* of these copies: */
	char *group, *instance_id, *hook;
	autoscaling_done *done;
	void *arg;
	struct clock_timer timer;	  /* set: the call has just been made */
	struct credentials_waiter waiter; /* waits: for keys */
	struct query_call *query;	  /* not NULL: asked */
	uint64_t generation;		  /* of the keys it was signed with */
	bool renewed;			  /* keys were asked for because of this call */
	char request_id[REQUEST_ID_SIZE];
};

/* ---- operations */

/*
 * An answer of a success holds nothing but the id of the request, which tells it from a page of
 * whoever stands between.
 */
static int answer_read(const char *prefix, void *result, const char *text, size_t len,
	char problem[XML_PROBLEM_SIZE])
{
	struct autoscaling_call *call = result;
	const struct xml_field fields[] = {
		{"RequestId", call->request_id, sizeof(call->request_id), true},
	};
	int err = xml_fields_read(text, len, prefix, fields, COUNT_OF(fields), problem);

	if (err != 0 || call->request_id[0] != '\0')
		return err;
	snprintf(problem, XML_PROBLEM_SIZE, "no RequestId");
	return ERR_PROTOCOL;
}

static int read_complete(void *result, const char *text, size_t len, char problem[XML_PROBLEM_SIZE])
{
	return answer_read(
		"CompleteLifecycleActionResponse/ResponseMetadata/", result, text, len, problem);
}

static int read_heartbeat(
	void *result, const char *text, size_t len, char problem[XML_PROBLEM_SIZE])
{
	return answer_read("RecordLifecycleActionHeartbeatResponse/ResponseMetadata/", result, text,
		len, problem);
}

static int read_protection(
	void *result, const char *text, size_t len, char problem[XML_PROBLEM_SIZE])
{
	return answer_read(
		"SetInstanceProtectionResponse/ResponseMetadata/", result, text, len, problem);
}

/* The service has one code for all; only the words tell a race from a mistake. */
static const struct query_code lifecycle_codes[] = {
	{"ValidationError", "No active Lifecycle Action found", ERR_NOT_FOUND},
	{"ResourceContention", NULL, ERR_UNAVAILABLE},
};
static const struct query_code protection_codes[] = {
	{"ValidationError", "The instance i-", ERR_PENDING}, /* ... is not in InService or ... */
	{"ResourceContention", NULL, ERR_UNAVAILABLE},
};

static const struct query_operation complete_lifecycle_action = {
	.name = "CompleteLifecycleAction",
	.codes = lifecycle_codes,
	.code_count = COUNT_OF(lifecycle_codes),
	.is_signed = true,
	.read = read_complete,
};
static const struct query_operation record_heartbeat = {
	.name = "RecordLifecycleActionHeartbeat",
	.codes = lifecycle_codes,
	.code_count = COUNT_OF(lifecycle_codes),
	.is_signed = true,
	.read = read_heartbeat,
};
static const struct query_operation set_instance_protection = {
	.name = "SetInstanceProtection",
	.codes = protection_codes,
	.code_count = COUNT_OF(protection_codes),
	.is_signed = true,
	.read = read_protection,
};

static const struct query_operation *operation_of(const struct autoscaling_request *request)
{
	switch (request->kind) {
	case AUTOSCALING_COMPLETE:
		return &complete_lifecycle_action;
	case AUTOSCALING_HEARTBEAT:
		return &record_heartbeat;
	case AUTOSCALING_PROTECT:
	case AUTOSCALING_UNPROTECT:
		break;
	}
	return &set_instance_protection;
}

static bool is_of_hook(const struct autoscaling_request *request)
{
	return request->kind == AUTOSCALING_COMPLETE || request->kind == AUTOSCALING_HEARTBEAT;
}

static void form_write(struct buf *form, const struct autoscaling_request *request)
{
	bool of_hook = is_of_hook(request);

	query_form_begin(form, operation_of(request)->name, VERSION,
		strlen(request->group) + strlen(request->instance_id) +
			(of_hook ? strlen(request->hook) : 0));
	query_form_pair(form, "AutoScalingGroupName", request->group);
	if (!of_hook) {
		query_form_pair(form, "InstanceIds.member.1", request->instance_id);
		query_form_pair(form, "ProtectedFromScaleIn",
			request->kind == AUTOSCALING_PROTECT ? "true" : "false");
		return;
	}
	query_form_pair(form, "LifecycleHookName", request->hook);
	query_form_pair(form, "InstanceId", request->instance_id);
	if (request->kind == AUTOSCALING_COMPLETE)
		query_form_pair(form, "LifecycleActionResult", "CONTINUE");
}

/* ---- calls */

static void call_free(struct autoscaling_call *call)
{
	list_remove(&call->node);
	free(call->group);
	free(call->instance_id);
	free(call->hook);
	free(call);
}

void autoscaling_cancel(struct autoscaling_call *call)
{
	clock_timer_clear(call->autoscaling->clock, &call->timer);
	credentials_unwait(&call->waiter);
	if (call->query != NULL)
		query_cancel(call->query);
	call_free(call);
}

/* The last thing that is done to a call. */
static void call_finish(struct autoscaling_call *call, int err, const char *reason)
{
	autoscaling_done *done = call->done;
	void *arg = call->arg;

	call_free(call);
	done(arg, err, reason);
}

static void on_answer(void *arg, int err, const char *reason);

/* From the loop: signs with the keys that there are, or waits for some. */
static void call_ask(struct autoscaling_call *call)
{
	struct autoscaling *autoscaling = call->autoscaling;
	char reason[CREDENTIALS_REASON_MAX] = "";
	const struct credentials_set *keys;
	struct query_call *query;
	int err = credentials_get(autoscaling->credentials, &keys, reason);

	if (err == ERR_PENDING) {
		credentials_wait(autoscaling->credentials, &call->waiter);
		return;
	}
	if (err == 0)
		err = query_call_new(autoscaling->client, operation_of(&call->request), call,
			on_answer, call, &query);
	if (err == 0) {
		call->generation = keys->generation;
		form_write(query_call_form(query), &call->request);
		err = query_call_send(query, keys, 0, &call->query);
	}
	if (err != 0)
		call_finish(call, err, reason[0] != '\0' ? reason : error_message(err));
}

static void on_due(struct clock_timer *timer)
{
	call_ask(list_entry(timer, struct autoscaling_call, timer));
}

static void on_keys(struct credentials_waiter *waiter)
{
	call_ask(list_entry(waiter, struct autoscaling_call, waiter));
}

static void on_answer(void *arg, int err, const char *reason)
{
	struct autoscaling_call *call = arg;

	call->query = NULL;
	if ((err == ERR_EXPIRED_CREDENTIALS || err == ERR_BAD_CREDENTIALS) && !call->renewed &&
		credentials_refused(call->autoscaling->credentials, call->generation)) {
		call->renewed = true;
		credentials_wait(call->autoscaling->credentials, &call->waiter);
		return;
	}
	call_finish(call, err, reason);
}

static int request_copy(struct autoscaling_call *call, const struct autoscaling_request *request)
{
	call->group = strdup(request->group);
	call->instance_id = strdup(request->instance_id);
	call->hook = strdup(request->hook != NULL ? request->hook : "");
	call->request = (struct autoscaling_request){
		.kind = request->kind,
		.group = call->group,
		.instance_id = call->instance_id,
		.hook = call->hook,
	};
	return call->group != NULL && call->instance_id != NULL && call->hook != NULL ? 0
										      : ERR_NOMEM;
}

int autoscaling_call(struct autoscaling *autoscaling, const struct autoscaling_request *request,
	autoscaling_done *done, void *arg, struct autoscaling_call **ret_call)
{
	struct autoscaling_call *call = calloc(1, sizeof(*call));

	if (call == NULL)
		return ERR_NOMEM;
	call->autoscaling = autoscaling;
	call->done = done;
	call->arg = arg;
	call->timer.fire = on_due;
	call->waiter.fire = on_keys;
	list_append(&autoscaling->calls, &call->node);
	if (request_copy(call, request) != 0 ||
		clock_timer_after(autoscaling->clock, &call->timer, 0) != 0) {
		call_free(call);
		return ERR_NOMEM;
	}
	*ret_call = call;
	return 0;
}

/* ---- */

int autoscaling_new(const struct credentials_context *context, struct credentials *credentials,
	const struct endpoint_choice *choice, struct autoscaling **ret_autoscaling)
{
	const struct query_client_options options = {
		.service = "autoscaling",
		.name = "Auto Scaling",
		.endpoint = &choice->endpoint,
		.region = choice->region,
		.ca_file = aws_settings_ca_bundle(context->settings),
	};
	struct autoscaling *autoscaling = calloc(1, sizeof(*autoscaling));
	int err;

	if (autoscaling == NULL)
		return ERR_NOMEM;
	autoscaling->clock = context->clock;
	autoscaling->credentials = credentials;
	list_init(&autoscaling->calls);
	err = query_client_new(context->loop, context->clock, &options, &autoscaling->client);
	if (err != 0) {
		free(autoscaling);
		return err;
	}
	*ret_autoscaling = autoscaling;
	return 0;
}

void autoscaling_close(struct autoscaling *autoscaling)
{
	if (autoscaling == NULL)
		return;
	list_for_each_safe (node, &autoscaling->calls)
		autoscaling_cancel(list_entry(node, struct autoscaling_call, node));
	query_client_close(autoscaling->client);
	free(autoscaling);
}
