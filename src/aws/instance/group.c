#include "aws/instance/group.h"

#include "aws/instance/notices_codec.h"
#include "base/list.h"
#include "bunshin/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID_PATH "/latest/meta-data/instance-id"
#define REGION_PATH "/latest/meta-data/placement/region"
#define TAG_PATH "/latest/meta-data/tags/instance/aws:autoscaling:groupName"
#define REGION_SIZE 64

struct group {
	struct group_options options;
	struct autoscaling *autoscaling;    /* NULL until the region is known */
	char instance_id[INSTANCE_ID_SIZE]; /* "": not known yet; the next too */
	char name[INSTANCE_GROUP_SIZE];
	struct list calls;
};

/* Asks for what is not known, one after the other, and then the API. */
struct group_call {
	struct list node;
	struct group *group;
	int kind;
	char *hook;
	autoscaling_done *done;
	void *arg;
	struct clock_timer timer;			    /* set: the call has just been made */
	struct imds_call *question;			    /* not NULL: the metadata is asked */
	struct autoscaling_call *request;		    /* not NULL: the API is */
	int (*take)(struct group *group, const char *body); /* the answer to the question */
};

/* ---- what is known */

static struct endpoint_wishes wishes_of(const struct group_options *options)
{
	const struct aws_settings *settings = options->context->settings;
	struct endpoint_wishes wishes = {
		.variant = {aws_settings_fips(settings), aws_settings_dual_stack(settings)},
		.allow_insecure = options->allow_insecure_endpoint,
	};

	wishes.from_settings =
		aws_settings_endpoint(settings, "auto_scaling", &wishes.settings_origin);
	return wishes;
}

static int choose(const struct group_options *options, const char *region,
	struct endpoint_choice *ret_choice, struct buf *error)
{
	struct endpoint_wishes wishes = wishes_of(options);

	return endpoint_choice_autoscaling(region, &wishes, ret_choice, error);
}

static int take_id(struct group *group, const char *body)
{
	return instance_id_read(body, group->instance_id) ? 0 : ERR_PROTOCOL;
}

static int take_name(struct group *group, const char *body)
{
	return instance_group_read(body, group->name) ? 0 : ERR_PROTOCOL;
}

static int take_region(struct group *group, const char *body)
{
	struct buf error = BUF_INIT(1024);
	struct endpoint_choice choice;
	char region[REGION_SIZE];
	int err;

	snprintf(region, sizeof(region), "%.*s", (int)strcspn(body, "\r\n"), body);
	err = choose(&group->options, region, &choice, &error);
	buf_free(&error);
	if (err != 0)
		return ERR_PROTOCOL;
	return autoscaling_new(
		group->options.context, group->options.credentials, &choice, &group->autoscaling);
}

/* ---- calls */

static void call_free(struct group_call *call)
{
	list_remove(&call->node);
	free(call->hook);
	free(call);
}

void group_cancel(struct group_call *call)
{
	clock_timer_clear(call->group->options.context->clock, &call->timer);
	if (call->question != NULL)
		imds_cancel(call->question);
	if (call->request != NULL)
		autoscaling_cancel(call->request);
	call_free(call);
}

/* The last thing that is done to a call. */
static void call_finish(struct group_call *call, int err, const char *reason)
{
	autoscaling_done *done = call->done;
	void *arg = call->arg;

	call_free(call);
	done(arg, err, reason);
}

static void call_continue(struct group_call *call);

static void on_metadata(void *arg, int err, int status, const char *body, const char *reason)
{
	struct group_call *call = arg;
	const bool is_tag = call->take == take_name;

	call->question = NULL;
	if (err == 0) {
		err = call->take(call->group, body);
		reason = err == ERR_PROTOCOL ? "the instance's metadata holds no id, region or "
					       "group's name where it should"
					     : error_message(err);
	} else if (err == ERR_NOT_FOUND) {
		err = ERR_CONFIG;
		if (is_tag && status == 404)
			reason = "the instance's metadata does not say its Auto Scaling group: set "
				 "instance.autoscaling_group, or allow tags in the instance's "
				 "metadata (and be in a group)";
	}
	if (err != 0)
		call_finish(call, err, reason);
	else
		call_continue(call);
}

static void on_request(void *arg, int err, const char *reason)
{
	struct group_call *call = arg;

	call->request = NULL;
	call_finish(call, err, reason);
}

/* What is asked for next; NULL: all is known. */
static const char *next_path(struct group_call *call)
{
	struct group *group = call->group;

	if (group->instance_id[0] == '\0') {
		call->take = take_id;
		return ID_PATH;
	}
	if (group->autoscaling == NULL) {
		call->take = take_region;
		return REGION_PATH;
	}
	if (group->name[0] == '\0') {
		call->take = take_name;
		return TAG_PATH;
	}
	return NULL;
}

/* From the loop. */
static void call_continue(struct group_call *call)
{
	struct group *group = call->group;
	const char *path = next_path(call);
	const struct autoscaling_request request = {
		.kind = call->kind,
		.group = group->name,
		.instance_id = group->instance_id,
		.hook = call->hook,
	};
	int err;

	if (path != NULL)
		err = imds_get(group->options.imds, path, on_metadata, call, &call->question);
	else
		err = autoscaling_call(
			group->autoscaling, &request, on_request, call, &call->request);
	if (err != 0)
		call_finish(call, err, error_message(err));
}

static void on_due(struct clock_timer *timer)
{
	call_continue(list_entry(timer, struct group_call, timer));
}

int group_call(struct group *group, int kind, const char *hook, autoscaling_done *done, void *arg,
	struct group_call **ret_call)
{
	struct group_call *call = calloc(1, sizeof(*call));

	if (call == NULL)
		return ERR_NOMEM;
	call->group = group;
	call->kind = kind;
	call->done = done;
	call->arg = arg;
	call->timer.fire = on_due;
	call->hook = hook != NULL ? strdup(hook) : NULL;
	list_append(&group->calls, &call->node);
	if ((hook != NULL && call->hook == NULL) ||
		clock_timer_after(group->options.context->clock, &call->timer, 0) != 0) {
		call_free(call);
		return ERR_NOMEM;
	}
	*ret_call = call;
	return 0;
}

/* ---- */

int group_new(const struct group_options *options, struct group **ret_group, struct buf *error)
{
	struct endpoint_choice unused;
	struct group *group;

	/* Which region does not matter to whether what the settings name can be asked. */
	if (choose(options, "us-east-1", &unused, error) != 0)
		return ERR_CONFIG;
	if (options->name != NULL && strlen(options->name) >= INSTANCE_GROUP_SIZE) {
		buf_appendf(error, "an Auto Scaling group's name has at most %d bytes",
			INSTANCE_GROUP_SIZE - 1);
		return ERR_CONFIG;
	}
	group = calloc(1, sizeof(*group));
	if (group == NULL)
		return ERR_NOMEM;
	group->options = *options;
	group->options.name = NULL;
	snprintf(
		group->name, sizeof(group->name), "%s", options->name != NULL ? options->name : "");
	list_init(&group->calls);
	*ret_group = group;
	return 0;
}

void group_close(struct group *group)
{
	if (group == NULL)
		return;
	list_for_each_safe (node, &group->calls)
		group_cancel(list_entry(node, struct group_call, node));
	autoscaling_close(group->autoscaling);
	free(group);
}
