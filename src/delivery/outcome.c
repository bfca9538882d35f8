#include "delivery/outcome.h"

#include "bunshin/error.h"

#include <string.h>

static enum outcome from_error(int err)
{
	switch (error_class(err)) {
	case ERROR_PERMANENT:
		return OUTCOME_PERMANENT;
	case ERROR_THROTTLED:
		return OUTCOME_THROTTLED;
	case ERROR_AUTH:
		return OUTCOME_REFUSED;
	case ERROR_NONE:
	case ERROR_TRANSIENT:
	case ERROR_LOCAL:
	default:
		return OUTCOME_RETRY;
	}
}

static enum outcome from_status(int status)
{
	switch (status) {
	case 429:
	case 503:
		return OUTCOME_THROTTLED;
	case 408:
	case 425:
		return OUTCOME_RETRY;
	case 401:
	case 403:
		return OUTCOME_REFUSED;
	default:
		break;
	}
	if (status >= 400 && status <= 499)
		return OUTCOME_PERMANENT;
	/*
	 * 5xx, and what should not be here: a 3xx is never followed, and a provider that redirects
	 * is out of order for now rather than done with every message.
	 */
	return OUTCOME_RETRY;
}

static bool set_has(const struct status_set *set, int status)
{
	for (size_t i = 0; i < set->count; i++)
		if (status >= set->ranges[i].first && status <= set->ranges[i].last)
			return true;
	return false;
}

static bool text_fits(const struct outcome_rule *rule, const char *text, size_t bytes)
{
	if (rule->equals)
		return strlen(rule->equals) == bytes && memcmp(text, rule->equals, bytes) == 0;
	return !rule->contains ||
	       memmem(text, bytes, rule->contains, strlen(rule->contains)) != NULL;
}

/* body: the parsed excerpt; NULL: it is no JSON. */
static bool rule_fits(const struct outcome_rule *rule, const struct target_result *result,
	const struct json_value *body)
{
	const struct json_value *value;

	if (rule->statuses.count && !set_has(&rule->statuses, result->status))
		return false;
	if (!rule->path)
		return text_fits(rule, result->excerpt, result->excerpt_bytes);
	value = json_path(body, rule->path);
	if (!value)
		return false;
	if (value->kind == JSON_STRING)
		return text_fits(rule, value->string, value->string_bytes);
	/* A number or a literal is compared as it is written; a container is only there or not. */
	if (value->kind == JSON_ARRAY || value->kind == JSON_OBJECT)
		return !rule->equals && !rule->contains;
	return text_fits(rule, value->raw, value->raw_bytes);
}

static bool has_paths(const struct outcome_table *table)
{
	for (size_t i = 0; i < table->rule_count; i++)
		if (table->rules[i].path)
			return true;
	return false;
}

/* The first that fits, or NULL. 0, or ERR_NOMEM: what the body says cannot be known. */
static int find_rule(const struct outcome_table *table, const struct target_result *result,
	struct json *json, const struct outcome_rule **ret_rule)
{
	const struct json_value *body = NULL;

	*ret_rule = NULL;
	if (has_paths(table)) {
		int err = json_parse(json, result->excerpt, result->excerpt_bytes);

		if (err == ERR_NOMEM)
			return err;
		/* Hostile or cut short, it has no paths; the other rules still see the text. */
		if (!err)
			body = json_root(json);
	}
	for (size_t i = 0; i < table->rule_count && !*ret_rule; i++)
		if (rule_fits(&table->rules[i], result, body))
			*ret_rule = &table->rules[i];
	return 0;
}

enum outcome outcome_classify(const struct outcome_table *table, const struct target_result *result,
	struct json *json, const struct outcome_rule **ret_rule)
{
	*ret_rule = NULL;
	if (result->err)
		return result->unanswered && table->ambiguous_is_final ? OUTCOME_AMBIGUOUS
								       : from_error(result->err);
	/* "Accepted" would be a guess, and a message lost when it is wrong. */
	if (find_rule(table, result, json, ret_rule))
		return OUTCOME_RETRY;
	if (*ret_rule)
		return (*ret_rule)->outcome;
	for (int outcome = 0; outcome < OUTCOME_COUNT; outcome++)
		if (set_has(&table->sets[outcome], result->status))
			return (enum outcome)outcome;
	return from_status(result->status);
}

/* "7", "0.25" in milliseconds, rounded up; -1: it is no number that is not below 0. */
static int64_t seconds_ms(const struct json_value *value)
{
	const char *at = value->raw, *end = value->raw + value->raw_bytes;
	int64_t ms = 0, scale = 1000;

	for (; at < end && *at >= '0' && *at <= '9'; at++) {
		ms = ms * 10 + (*at - '0') * 1000;
		if (ms > OUTCOME_RETRY_AFTER_MAX_MS)
			ms = OUTCOME_RETRY_AFTER_MAX_MS;
	}
	if (at == value->raw)
		return -1;
	if (at < end && *at == '.') {
		bool rest = false;

		for (at++; at < end && *at >= '0' && *at <= '9'; at++) {
			scale /= 10;
			ms += (*at - '0') * scale;
			rest |= scale == 0 && *at != '0';
		}
		ms += rest;
	}
	if (at < end)
		return -1;
	return ms < OUTCOME_RETRY_AFTER_MAX_MS ? ms : OUTCOME_RETRY_AFTER_MAX_MS;
}

int64_t outcome_retry_after_ms(
	const struct outcome_table *table, const struct target_result *result, struct json *json)
{
	const struct json_value *value;

	if (result->retry_after_ms >= 0 || !table->retry_after_path || result->err)
		return result->retry_after_ms;
	if (json_parse(json, result->excerpt, result->excerpt_bytes) < 0)
		return -1;
	value = json_path(json_root(json), table->retry_after_path);
	return value && value->kind == JSON_NUMBER ? seconds_ms(value) : -1;
}

const char *outcome_name(enum outcome outcome)
{
	static const char *const names[OUTCOME_COUNT] = {
		[OUTCOME_ACCEPTED] = "accepted",
		[OUTCOME_RETRY] = "retry",
		[OUTCOME_THROTTLED] = "throttled",
		[OUTCOME_REFUSED] = "refused",
		[OUTCOME_QUOTA] = "quota",
		[OUTCOME_PERMANENT] = "permanent",
		[OUTCOME_UNREGISTERED] = "unregistered",
		[OUTCOME_AMBIGUOUS] = "ambiguous",
	};

	return names[outcome];
}
