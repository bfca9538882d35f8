/* What the parts of `campaign send` share: passes over the list, and where files lie. */
#include "aws/sqs_queue.h"
#include "bunshin/error.h"
#include "campaign/journal.h"
#include "cli/campaign/send.h"

#include <inttypes.h>
#include <string.h>

/* Known once the first pass is over. */
static bool is_left_out(void *arg, uint64_t row)
{
	const struct campaign_plan *plan = arg;

	return row_set_has(&plan->left_out, row);
}

static enum messages_key key_of(const struct campaign_plan *plan)
{
	if (plan->key_column)
		return MESSAGES_KEY_COLUMN;
	return plan->name ? MESSAGES_KEY_ROW : MESSAGES_KEY_NUMBER;
}

int campaign_plan_pass(struct campaign_plan *plan, struct recipients **ret_recipients,
	struct messages **ret_messages)
{
	enum recipients_format format = list_file_format(&plan->list);
	struct recipients_input input = list_file_rewind(&plan->list);
	struct messages_options options = {
		.template = plan->template,
		.campaign = plan->name,
		.destination = plan->destination,
		.traceparent = plan->traceparent,
		.deadline_epoch_ms = plan->when.deadline.epoch_ms,
		.key = key_of(plan),
		.key_column = plan->key_column,
		.group_column = plan->group_column,
		.pack_field = plan->pack_field,
		.fifo = plan->queue_url && sqs_queue_url_is_fifo(plan->queue_url),
		.skip = is_left_out,
		.skip_arg = plan,
	};
	int rc = recipients_new(format, &input, ret_recipients);

	memcpy(options.key_space, plan->key_space, sizeof(options.key_space));
	return rc < 0 ? rc : messages_new(*ret_recipients, &options, ret_messages);
}

int campaign_plan_packer(const struct campaign_plan *plan, struct packer **ret_packer)
{
	return plan->pack > 0 ? packer_new((unsigned)plan->pack, ret_packer) : 0;
}

int campaign_plan_directory(const struct campaign_plan *plan, struct buf *path)
{
	const char *slash = plan->recipients ? strrchr(plan->recipients, '/') : NULL;

	if (plan->directory)
		return buf_append_string(path, plan->directory);
	if (!slash)
		return buf_append_string(path, ".");
	return buf_append(path, plan->recipients,
		slash > plan->recipients ? (size_t)(slash - plan->recipients) : 1);
}

const char *campaign_plan_format(struct campaign_plan *plan)
{
	return list_file_format(&plan->list) == RECIPIENTS_CSV ? "csv" : "jsonl";
}

int campaign_plan_append_rules(const struct campaign_plan *plan, struct buf *out)
{
	for (size_t i = 0; i < plan->rules.count; i++)
		buf_appendf(out, "%s%s", i > 0 ? "\n" : "", plan->rules.values[i]);
	return out->err;
}

int campaign_plan_path(const struct campaign_plan *plan, const char *ending, struct buf *path)
{
	struct buf directory = BUF_INIT(8192);
	int err = campaign_plan_directory(plan, &directory);

	if (!err)
		err = journal_file_path(buf_string(&directory), plan->name, ending, path);
	buf_free(&directory);
	return err;
}

struct reason_count {
	const char *name;
	uint64_t count;
};

enum { REASONS = 4 };

static void count_reasons(const struct campaign_check *check, struct reason_count counts[REASONS])
{
	counts[0] = (struct reason_count){"invalid", check->invalid};
	counts[1] = (struct reason_count){"malformed", check->malformed};
	counts[2] = (struct reason_count){"duplicate", check->duplicate};
	counts[3] = (struct reason_count){"suppressed", check->suppressed};
}

void campaign_plan_append_rejects(const struct campaign_plan *plan, struct buf *out)
{
	struct reason_count counts[REASONS];
	const char *comma = "";

	count_reasons(&plan->check, counts);
	for (int i = 0; i < REASONS; i++) {
		if (counts[i].count == 0)
			continue;
		buf_appendf(out, "%s%" PRIu64 " %s", comma, counts[i].count, counts[i].name);
		comma = ", ";
	}
}

void campaign_plan_append_rejects_json(const struct campaign_plan *plan, struct buf *out)
{
	struct reason_count counts[REASONS];

	count_reasons(&plan->check, counts);
	for (int i = 0; i < REASONS; i++)
		buf_appendf(out, "%c\"%s\":%" PRIu64, i == 0 ? '{' : ',', counts[i].name,
			counts[i].count);
	buf_append_char(out, '}');
}
