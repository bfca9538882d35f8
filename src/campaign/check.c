#include "campaign/check.h"

#include "bunshin/error.h"

#include <string.h>

#define REASON_MAX ((size_t)4096)

struct pass {
	const struct campaign_check_rules *rules;
	struct messages *messages;
	struct recipients *recipients;
	int (*reject)(void *arg, const struct campaign_reject *reject);
	void *arg;
	struct campaign_check check;
	size_t entries, bytes; /* of the batch that is being filled */
	bool columns_checked;
	struct buf reason;
};

static uint64_t chunks(size_t bytes)
{
	return (bytes + MESSAGES_CHUNK_BYTES - 1) / MESSAGES_CHUNK_BYTES;
}

/* As the producer fills its batches. */
static void count_message(struct pass *pass, const struct campaign_message *message)
{
	size_t bytes =
		message_bytes(message->body_bytes, message->attributes, message->attribute_count);
	uint64_t recipients = campaign_message_recipients(message), most = pass->rules->batch_max;

	pass->check.messages++;
	pass->check.attempts += most > 0 ? (recipients + most - 1) / most : 1;
	if (pass->entries > 0 && pass->entries < QUEUE_BATCH_MAX &&
		pass->bytes + bytes <= MESSAGE_MAX_BYTES) {
		pass->entries++;
		pass->bytes += bytes;
		return;
	}
	pass->check.requests++;
	pass->check.chunks += chunks(pass->bytes);
	pass->entries = 1;
	pass->bytes = bytes;
}

/* Those that are ready; with `all` also those that might have grown. 0 or ERR_NOMEM. */
static int count_packs(struct pass *pass, bool all)
{
	struct campaign_message message;
	int answer = 0;

	while (pass->rules->packer &&
		(answer = packer_take(pass->rules->packer, all, &message)) > 0)
		count_message(pass, &message);
	return answer;
}

static int count(struct pass *pass, const struct campaign_message *message)
{
	int err;

	pass->check.valid++;
	if (!pass->rules->packer) {
		count_message(pass, message);
		return 0;
	}
	err = packer_add(pass->rules->packer, message);
	return err < 0 ? err : count_packs(pass, false);
}

static void count_reject(struct campaign_check *check, enum journal_reject why)
{
	switch (why) {
	case JOURNAL_REJECT_MALFORMED:
		check->malformed++;
		break;
	case JOURNAL_REJECT_DUPLICATE:
		check->duplicate++;
		break;
	case JOURNAL_REJECT_SUPPRESSED:
		check->suppressed++;
		break;
	case JOURNAL_REJECT_INVALID:
	case JOURNAL_REJECT_REFUSED:
	case JOURNAL_REJECTS:
		check->invalid++;
		break;
	}
}

static int tell(struct pass *pass, enum journal_reject why, const struct recipients_error *error,
	const struct campaign_message *message)
{
	const struct campaign_reject reject = {
		.place = messages_place(pass->messages),
		.why = why,
		.line = error->line,
		.column = error->column,
		.reason = error->reason,
		.key = message ? message->key : NULL,
		.key_bytes = message ? message->key_bytes : 0,
		.fatal = error->fatal,
	};

	count_reject(&pass->check, why);
	pass->check.fatal = error->fatal;
	return pass->reject ? pass->reject(pass->arg, &reject) : 0;
}

static int drop(struct pass *pass, enum journal_reject why, const char *reason,
	const struct campaign_message *message)
{
	const struct recipients_error error = {message->place.line, 1, reason, false};

	return tell(pass, why, &error, message);
}

/* 1: it is to be sent; 0: it is not, and was told of; or an error code. */
static int judge(struct pass *pass, const struct campaign_message *message)
{
	int answer = 1;

	buf_clear(&pass->reason);
	if (pass->rules->validate)
		answer = validate_row(pass->rules->validate, pass->recipients, &pass->reason);
	if (answer == 0)
		return drop(pass, JOURNAL_REJECT_MALFORMED, buf_string(&pass->reason), message);
	if (answer < 0)
		return answer;
	answer = pass->rules->keys && message->key
			 ? key_set_add(pass->rules->keys, message->key, message->key_bytes)
			 : KEY_NEW;
	if (answer == KEY_DUPLICATE)
		return drop(
			pass, JOURNAL_REJECT_DUPLICATE, "its key stood in an earlier row", message);
	if (answer == KEY_SUPPRESSED)
		return drop(pass, JOURNAL_REJECT_SUPPRESSED, "its key is in the suppression file",
			message);
	return answer < 0 ? answer : 1;
}

/* Once: a column that a rule is for and no row has is an error of the list. */
static const char *missing_column(struct pass *pass)
{
	if (pass->columns_checked || !pass->rules->validate)
		return NULL;
	pass->columns_checked = true;
	return validate_missing_column(pass->rules->validate, pass->recipients);
}

static int take(struct pass *pass, const struct campaign_message *message)
{
	const char *column = missing_column(pass);
	int answer;

	if (column) {
		buf_clear(&pass->reason);
		buf_appendf(&pass->reason, "--validate: the list does not have the column \"%s\"",
			column);
		return tell(pass, JOURNAL_REJECT_INVALID,
			&(struct recipients_error){1, 1, buf_string(&pass->reason), true}, NULL);
	}
	answer = judge(pass, message);
	return answer > 0 ? count(pass, message) : answer;
}

static int run(struct pass *pass)
{
	struct campaign_message message;
	int err = 0, event;

	while (!err && !pass->check.fatal &&
		(event = messages_next(pass->messages, &message)) != RECIPIENTS_END) {
		if (event < 0)
			err = event;
		else if (event == RECIPIENTS_INVALID)
			err = tell(
				pass, JOURNAL_REJECT_INVALID, messages_error(pass->messages), NULL);
		else
			err = take(pass, &message);
	}
	if (!err)
		err = count_packs(pass, true);
	pass->check.chunks += chunks(pass->bytes);
	pass->check.rows = messages_place(pass->messages).row;
	return err;
}

int campaign_check(struct messages *messages, struct recipients *recipients,
	const struct campaign_check_rules *rules,
	int (*reject)(void *arg, const struct campaign_reject *reject), void *arg,
	struct campaign_check *ret_check)
{
	struct pass pass = {.rules = rules,
		.messages = messages,
		.recipients = recipients,
		.reject = reject,
		.arg = arg};
	int err;

	messages_leave_keys_out(messages);
	buf_init(&pass.reason, REASON_MAX);
	err = run(&pass);
	buf_free(&pass.reason);
	if (!err)
		*ret_check = pass.check;
	return err;
}
