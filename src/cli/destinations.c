#include "cli/destinations.h"

#include "bunshin/error.h"

#include <stdlib.h>
#include <string.h>

/* How much of each kind has been given out. */
struct used {
	size_t ranges, rules, conditions;
};

static const enum outcome outcomes[] = {
	[CONFIG_OUTCOME_ACCEPT] = OUTCOME_ACCEPTED,
	[CONFIG_OUTCOME_RETRY] = OUTCOME_RETRY,
	[CONFIG_OUTCOME_THROTTLE] = OUTCOME_THROTTLED,
	[CONFIG_OUTCOME_BREAKER] = OUTCOME_REFUSED,
	[CONFIG_OUTCOME_PERMANENT] = OUTCOME_PERMANENT,
	[CONFIG_OUTCOME_QUOTA] = OUTCOME_QUOTA,
	[CONFIG_OUTCOME_UNREGISTERED] = OUTCOME_UNREGISTERED,
	[CONFIG_OUTCOME_AMBIGUOUS] = OUTCOME_AMBIGUOUS,
};

static struct used count_all(const struct config *config)
{
	struct used sum = {0};

	for (size_t i = 0; i < config->destination_count; i++) {
		const struct config_destination *from = &config->destinations[i];

		sum.ranges += from->accept.count + from->outcomes.retry.count +
			      from->outcomes.throttle.count + from->outcomes.breaker.count +
			      from->outcomes.permanent.count + from->outcomes.quota.count +
			      from->outcomes.unregistered.count + from->outcomes.ambiguous.count;
		for (size_t k = 0; k < from->outcomes.rule_count; k++)
			sum.ranges += from->outcomes.rules[k].statuses.count;
		sum.rules += from->outcomes.rule_count;
		sum.conditions += from->when_count;
	}
	return sum;
}

static struct status_set set_of(
	struct destinations *all, struct used *used, const struct config_status_set *from)
{
	struct status_set set = {.ranges = &all->ranges[used->ranges], .count = from->count};

	for (size_t i = 0; i < from->count; i++)
		all->ranges[used->ranges++] =
			(struct status_range){from->ranges[i].first, from->ranges[i].last};
	return set;
}

static struct outcome_table table_of(
	struct destinations *all, struct used *used, const struct config_destination *from)
{
	struct outcome_table table = {
		.sets = {[OUTCOME_ACCEPTED] = set_of(all, used, &from->accept),
			[OUTCOME_RETRY] = set_of(all, used, &from->outcomes.retry),
			[OUTCOME_THROTTLED] = set_of(all, used, &from->outcomes.throttle),
			[OUTCOME_REFUSED] = set_of(all, used, &from->outcomes.breaker),
			[OUTCOME_PERMANENT] = set_of(all, used, &from->outcomes.permanent),
			[OUTCOME_QUOTA] = set_of(all, used, &from->outcomes.quota),
			[OUTCOME_UNREGISTERED] = set_of(all, used, &from->outcomes.unregistered),
			[OUTCOME_AMBIGUOUS] = set_of(all, used, &from->outcomes.ambiguous)},
		.rules = &all->rules[used->rules],
		.rule_count = from->outcomes.rule_count,
		.ambiguous_is_final = !from->retry.ambiguous,
		.retry_after_path = from->retry_after_path,
	};

	for (size_t i = 0; i < from->outcomes.rule_count; i++) {
		const struct config_rule *rule = &from->outcomes.rules[i];

		all->rules[used->rules++] =
			(struct outcome_rule){.statuses = set_of(all, used, &rule->statuses),
				.path = rule->path,
				.equals = rule->equals,
				.contains = rule->contains,
				.outcome = outcomes[rule->outcome]};
	}
	return table;
}

static void fill(struct destinations *all, struct used *used, const struct config_destination *from)
{
	struct delivery_destination *row = &all->rows[all->count++];

	*row = (struct delivery_destination){.name = from->name,
		.attempt_max_ms = from->timeout_ms,
		.concurrency = (unsigned)from->concurrency,
		.adaptive = from->adaptive,
		.batch_field = from->batch.max > 1 ? from->batch.field : NULL,
		.batch_records = from->batch.max > 1 && from->batch.format == CONFIG_BATCH_RECORDS,
		.batch_max = (unsigned)from->batch.max,
		.batch_linger_us = (uint64_t)from->batch.linger_ms * 1000,
		.breaker_failures = (unsigned)from->breaker_failures,
		.outcomes = table_of(all, used, from),
		.when = &all->conditions[used->conditions],
		.when_count = from->when_count,
		.max_attempts = (unsigned)from->retry.max_attempts,
		.backoff = {.base_ms = from->retry.base_ms,
			.cap_ms = from->retry.cap_ms,
			.jitter = from->retry.jitter == CONFIG_JITTER_DECORRELATED
					  ? BACKOFF_DECORRELATED
					  : BACKOFF_FULL}};
	for (size_t i = 0; i < from->when_count; i++)
		all->conditions[used->conditions++] =
			(struct route_condition){.path = from->when[i].path,
				.values = (const char *const *)from->when[i].values,
				.value_count = from->when[i].value_count};
}

int destinations_new(const struct config *config, struct destinations *ret)
{
	struct used sum = count_all(config), used = {0};
	/* One more of each: nothing is asked for with a size of 0. */
	struct destinations all = {
		.rows = calloc(config->destination_count + 1, sizeof(*all.rows)),
		.ranges = calloc(sum.ranges + 1, sizeof(*all.ranges)),
		.rules = calloc(sum.rules + 1, sizeof(*all.rules)),
		.conditions = calloc(sum.conditions + 1, sizeof(*all.conditions)),
	};

	if (!all.rows || !all.ranges || !all.rules || !all.conditions) {
		destinations_free(&all);
		return ERR_NOMEM;
	}
	for (size_t i = 0; i < config->destination_count; i++)
		fill(&all, &used, &config->destinations[i]);
	*ret = all;
	return 0;
}

void destinations_free(struct destinations *destinations)
{
	free(destinations->rows);
	free(destinations->ranges);
	free(destinations->rules);
	free(destinations->conditions);
	*destinations = (struct destinations){0};
}
