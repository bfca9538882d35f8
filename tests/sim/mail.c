#include "mail.h"

#include "base/units.h"
#include "chance.h"
#include "sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define STREAM_MAIL 20

uint64_t mail_put_us(const struct sim *sim, uint32_t index)
{
	/* In order of their numbers, so that a group's order is that of its numbers. */
	return sim->plan.put_us * index / sim->plan.messages;
}

static const char *copy(struct sim *sim, const char *text, size_t bytes)
{
	char *to = arena_alloc(&sim->memory, bytes + 1);

	memcpy(to, text, bytes);
	return to;
}

static void add_attribute(struct mail *mail, const char *name, const char *type, const char *value)
{
	size_t bytes = strlen(value);

	mail->attributes[mail->attribute_count++] =
		(struct queue_attribute){.name = name, /* literals */
			.type = type,
			.value = copy(mail->sim, value, bytes),
			.value_bytes = bytes};
	mail->strings_bytes += strlen(name) + strlen(type) + bytes + 3;
}

/* As a Number or a String, whichever. */
static void add_instant(struct mail *mail, const char *name, int64_t wall_ms, struct chance *chance)
{
	char text[UNITS_TEXT_MAX];

	if (chance_hits(chance, 500)) {
		snprintf(text, sizeof(text), "%" PRId64, wall_ms);
		add_attribute(mail, name, "Number", text);
	} else {
		add_attribute(mail, name, chance_hits(chance, 800) ? "String" : "String.time",
			units_format_rfc3339(wall_ms, text));
	}
}

static void add_times(struct mail *mail, struct chance *chance)
{
	static const char *const nonsense[] = {"soon", "2026-13-01T00:00:00Z", "12e3"};
	const char *name, *type;
	struct sim *sim = mail->sim;
	int64_t put_ms = SIM_EPOCH_MS + (int64_t)(mail_put_us(sim, mail->index) / MS);

	if (fault_happens(&sim->faults, MESSAGE_MALFORMED, mail->index)) {
		name = chance_hits(chance, 500) ? "Deadline" : "NotBefore";
		type = chance_hits(chance, 500) ? "String" : "Number";
		mail->malformed = true;
		add_attribute(mail, name, type, nonsense[chance_draw(chance, 3)]);
		return;
	}
	if (fault_happens(&sim->faults, MESSAGE_DEADLINE, mail->index)) {
		mail->deadline_wall_ms = put_ms - 1000 +
					 (int64_t)chance_draw(chance,
						 CHANCE_ONE(chance, 3000, 30000, 600000, 86400000));
		add_instant(mail, "Deadline", mail->deadline_wall_ms, chance);
	}
	if (fault_happens(&sim->faults, MESSAGE_NOT_BEFORE, mail->index)) {
		mail->not_before_wall_ms =
			put_ms - 1000 +
			(int64_t)chance_draw(chance, CHANCE_ONE(chance, 3000, 60000, 3600000));
		add_instant(mail, "NotBefore", mail->not_before_wall_ms, chance);
	}
}

/* Where it goes: by attribute, else the first destination that takes its kind, else nowhere. */
static void add_destination(struct mail *mail, struct chance *chance, unsigned kind)
{
	struct sim *sim = mail->sim;
	const struct plan *plan = &sim->plan;

	if (fault_happens(&sim->faults, MESSAGE_NOWHERE, mail->index)) {
		add_attribute(mail, "Destination", "String", "nowhere");
		mail->destination = -1;
	} else if (chance_hits(chance, 400)) {
		mail->destination = (int)chance_draw(chance, plan->destinations);
		add_attribute(
			mail, "Destination", "String", plan->destination[mail->destination].name);
	} else {
		mail->destination = -1;
		for (unsigned i = 0; i < plan->destinations && mail->destination < 0; i++)
			if (!plan->destination[i].routes || i == kind)
				mail->destination = (int)i;
	}
}

/* A few of the many messages are of a few campaigns, some of one of too many, or oddly named. */
static void add_campaign(struct mail *mail, struct chance *chance)
{
	char text[32];
	const char *name;

	mail->campaign = OPERATOR_CAMPAIGNS;
	if (!chance_hits(chance, 200))
		return;
	mail->campaign = (unsigned)chance_draw(chance, OPERATOR_CAMPAIGNS + 1);
	name = mail->campaign < OPERATOR_CAMPAIGNS ? operator_campaigns[mail->campaign] : NULL;
	snprintf(text, sizeof(text), "campaign-%u", (unsigned)chance_draw(chance, 100));
	add_attribute(mail, "Campaign", "String", name ? name : text);
}

static void write_body(struct mail *mail, struct chance *chance, unsigned kind)
{
	char text[160];
	size_t pad = chance_draw(chance, 60), bytes;

	if (fault_happens(&mail->sim->faults, MESSAGE_LARGE, mail->index))
		pad = 20000 + chance_draw(chance, 900000);
	snprintf(text, sizeof(text), "{\"kind\":\"kind%u\",\"n\":%u,\"pad\":\"", kind, mail->index);
	bytes = strlen(text);
	mail->body = arena_alloc(&mail->sim->memory, bytes + pad + 3);
	memcpy(mail->body, text, bytes);
	memset(mail->body + bytes, 'x', pad);
	memcpy(mail->body + bytes + pad, "\"}", 3);
	mail->body_bytes = bytes + pad + 2;
}

/* Its own, its own said aloud, or that of a message before it that goes to the same place. */
static void give_key(struct mail *mail, struct chance *chance)
{
	struct sim *sim = mail->sim;
	uint32_t back = 1 + (uint32_t)chance_draw(chance, 20);
	struct mail *other = back <= mail->index ? sim->mails[mail->index - back] : NULL;

	snprintf(mail->idempotency_key, sizeof(mail->idempotency_key), "key-%u", mail->index);
	if (other && other->destination == mail->destination &&
		fault_happens(&sim->faults, MESSAGE_SHARES_KEY, mail->index)) {
		mail->key = other->key;
		memcpy(mail->idempotency_key, other->idempotency_key,
			sizeof(mail->idempotency_key));
		add_attribute(mail, "IdempotencyKey", "String", mail->idempotency_key);
		return;
	}
	if (chance_hits(chance, 200))
		add_attribute(mail, "IdempotencyKey", "String", mail->idempotency_key);
	mail->key = arena_alloc(&sim->memory, sizeof(*mail->key));
	for (unsigned i = 0; i < PLAN_HOSTS_MAX; i++)
		mail->key->host[i].claimed_wall_ms = INT64_MIN;
}

static void give_group(struct mail *mail, struct chance *chance)
{
	struct sim *sim = mail->sim;
	struct group *group;

	if (!sim->plan.groups)
		return;
	group = &sim->groups[chance_draw(chance, sim->plan.groups)];
	snprintf(mail->group_id, sizeof(mail->group_id), "g%u", (unsigned)(group - sim->groups));
	mail->strings_bytes += strlen(mail->group_id) + 1;
	if (!sim->plan.fifo)
		return;
	mail->group = group;
	mail->group_before = group->last;
	if (group->last)
		group->last->group_next = mail;
	else
		group->unsettled = group->undeleted = mail;
	group->last = mail;
}

/* Nothing that the fleet may do gets rid of it, or of one before it in its group. */
static bool is_hopeless(const struct mail *mail, const struct mail *before)
{
	const struct plan *plan = &mail->sim->plan;

	if (before && before->hopeless)
		return true;
	if (mail->destination >= 0 && (plan->destination[mail->destination].dead ||
					      plan->destination[mail->destination].trickles))
		return true;
	/* A group's messages are redriven one after the other, each by receive after receive. */
	if (plan->redrive && !plan->fifo)
		return false;
	return (mail->refused || mail->malformed || mail->destination < 0) && !plan->failure_queue;
}

void mail_make(struct sim *sim, uint32_t index)
{
	struct mail *mail = arena_alloc(&sim->memory, sizeof(*mail));
	struct chance chance = chance_of(sim->plan.seed, STREAM_MAIL, index);
	unsigned kind = (unsigned)chance_draw(&chance, sim->plan.destinations + 1);

	sim->mails[index] = mail;
	*mail = (struct mail){.sim = sim,
		.index = index,
		.deadline_wall_ms = INT64_MAX,
		.not_before_wall_ms = INT64_MIN};
	list_init(&mail->node);
	snprintf(mail->id, sizeof(mail->id), "m%u", index);
	add_destination(mail, &chance, kind);
	add_times(mail, &chance);
	add_campaign(mail, &chance);
	give_key(mail, &chance);
	give_group(mail, &chance);
	write_body(mail, &chance, kind);
	mail->refused = fault_happens(&sim->faults, PROVIDER_REFUSES, index);
	mail->strings_bytes +=
		mail->body_bytes + strlen(mail->id) + strlen(mail->idempotency_key) + 3;
	mail->hopeless = is_hopeless(mail, mail->group_before);
}
