#include "delivery/campaign.h"

#include "base/utf8.h"
#include "delivery/message.h"

#include <stdio.h>
#include <string.h>

static const char *const outcome_names[CAMPAIGN_OUTCOMES] = {
	[CAMPAIGN_ACCEPTED] = "accepted",
	[CAMPAIGN_SUPPRESSED] = "suppressed",
	[CAMPAIGN_FAILED] = "failed",
	[CAMPAIGN_EXPIRED] = "expired",
	[CAMPAIGN_CANCELLED] = "cancelled",
	[CAMPAIGN_RETRIED] = "retried",
};

/*
 * As the exposition format wants it: backslash, quote and line feed escaped. It has no way to write
 * other control characters, of which SQS lets the tab and the carriage return pass.
 */
static void escape(char *to, const char *from, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		bool is_control = (unsigned char)from[i] < ' ' || from[i] == 0x7f;

		if (from[i] == '\n' || from[i] == '"' || from[i] == '\\')
			*to++ = '\\';
		*to++ = from[i] == '\n' ? 'n' : is_control ? '?' : from[i];
	}
	*to = '\0';
}

static bool is_named(const struct campaign *campaign, const struct queue_attribute *name)
{
	return campaign->name_bytes == name->value_bytes &&
	       memcmp(campaign->name, name->value, name->value_bytes) == 0;
}

static struct counter *counter_of(
	struct campaigns *campaigns, struct campaign *campaign, enum campaign_outcome outcome)
{
	char escaped[2 * CAMPAIGN_NAME_MAX + 1], labels[sizeof(escaped) + 64];
	struct counter **counter = &campaign->counters[outcome];

	if (*counter)
		return *counter;
	escape(escaped, campaign->name, campaign->name_bytes);
	snprintf(labels, sizeof(labels), "campaign=\"%s\",outcome=\"%s\"", escaped,
		outcome_names[outcome]);
	*counter = metrics_counter(campaigns->metrics, "bunshin_campaign_messages_total",
		"Messages of a campaign by what became of them.", labels);
	return *counter;
}

/* A gauge of whole seconds: a deadline within a second is that of its end. */
static void keep_deadline(
	struct campaigns *campaigns, struct campaign *campaign, int64_t deadline_epoch_ms)
{
	char labels[2 * CAMPAIGN_NAME_MAX + 32], escaped[2 * CAMPAIGN_NAME_MAX + 1];
	int64_t deadline_s = deadline_epoch_ms / 1000 + (deadline_epoch_ms % 1000 > 0);

	if (!campaign->deadline_s) {
		escape(escaped, campaign->name, campaign->name_bytes);
		snprintf(labels, sizeof(labels), "campaign=\"%s\"", escaped);
		campaign->deadline_s =
			metrics_gauge_max(campaigns->metrics, CAMPAIGN_DEADLINE_METRIC,
				"The latest deadline of a message of the campaign.", labels);
	}
	if (campaign->deadline_s && deadline_s > campaign->deadline_s->value)
		gauge_set(campaign->deadline_s, deadline_s);
}

static struct campaign *find(struct campaigns *campaigns, const struct queue_attribute *name)
{
	struct campaign *other = &campaigns->all[CAMPAIGNS_MAX], *added;

	if (is_named(&campaigns->all[campaigns->latest], name))
		return &campaigns->all[campaigns->latest];
	for (size_t i = 0; i < campaigns->count; i++)
		if (is_named(&campaigns->all[i], name))
			return &campaigns->all[campaigns->latest = i];
	if (campaigns->count == CAMPAIGNS_MAX || name->value_bytes > CAMPAIGN_NAME_MAX ||
		memchr(name->value, '\0', name->value_bytes) ||
		!utf8_is_valid(name->value, name->value_bytes)) {
		other->name_bytes = strlen("other");
		memcpy(other->name, "other", other->name_bytes);
		return other;
	}
	added = &campaigns->all[campaigns->count];
	campaigns->latest = campaigns->count++;
	memcpy(added->name, name->value, name->value_bytes);
	added->name_bytes = name->value_bytes;
	return added;
}

void campaign_count(struct campaigns *campaigns, const struct queue_message *message,
	int64_t deadline_epoch_ms, enum campaign_outcome outcome)
{
	const struct queue_attribute *name = message_attribute(message, "Campaign");
	struct campaign *campaign;
	struct counter *counter;

	if (!name || name->value_bytes == 0)
		return;
	campaign = find(campaigns, name);
	counter = counter_of(campaigns, campaign, outcome);
	if (counter)
		counter_add(counter, 1);
	if (deadline_epoch_ms != INT64_MAX)
		keep_deadline(campaigns, campaign, deadline_epoch_ms);
}
