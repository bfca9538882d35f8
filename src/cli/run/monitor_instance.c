#include "cli/run/monitor_instance.h"

#include "base/log.h"

static void trouble(void *arg, const char *part, const char *reason)
{
	if (reason)
		log_warn("a part of the instance's care does not work", LOG_STR("part", part),
			LOG_STR("reason", reason));
	else
		log_info("it works again", LOG_STR("part", part));
}

static void event(void *arg, const char *what)
{
	log_info(what);
}

static struct instance_options options_of(const struct config *config)
{
	static const enum instance_protection of[] = {
		[CONFIG_PROTECTION_NONE] = INSTANCE_PROTECTION_NONE,
		[CONFIG_PROTECTION_EC2] = INSTANCE_PROTECTION_EC2,
		[CONFIG_PROTECTION_ECS] = INSTANCE_PROTECTION_ECS};

	return (struct instance_options){.notices = config->instance.notices == CONFIG_NOTICES_EC2,
		.lifecycle_hook = config->instance.lifecycle_hook,
		.autoscaling_group = config->instance.autoscaling_group,
		.protection = of[config->instance.protection],
		.allow_insecure_endpoint = config->queue.allow_insecure_endpoint,
		.trouble = trouble,
		.event = event};
}

bool monitor_instance_is_needed(const struct config *config)
{
	const struct instance_options options = options_of(config);

	return instance_is_needed(&options);
}

int monitor_instance_open(const struct config *config, const struct connect *connect,
	void (*leave)(void *arg, const char *why), void *arg, struct instance **ret_instance,
	struct buf *error)
{
	struct instance_options options = options_of(config);

	options.context = &connect->context;
	options.credentials = instance_needs_credentials(&options) ? connect->credentials : NULL;
	options.leave = leave;
	options.arg = arg;
	return instance_new(&options, ret_instance, error);
}
