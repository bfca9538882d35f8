/* bunshin campaign cancel. */
#include "base/buf.h"
#include "bunshin/error.h"
#include "campaign/figures.h"
#include "campaign/journal.h"
#include "campaign/results_db.h"
#include "cli/campaign/campaign.h"
#include "cli/campaign/confirm.h"
#include "cli/campaign/control.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TRIES 5 /* somebody else may change the same tag at the same time */

struct cancel {
	struct control_command command;
	const char *campaign;
	bool undo, yes;
};

static int parse(struct cancel *cancel, int argc, char **argv)
{
	struct control_command *command = &cancel->command;
	const struct cli_option options[] = {{"undo", 0, CLI_FLAG, NULL, &cancel->undo, 0, 0,
						     "send what is left of it after all"},
		{"yes", 0, CLI_FLAG, NULL, &cancel->yes, 0, 0, "do not ask on a terminal"},
		CONTROL_OPTIONS(command), {0}};
	const struct cli_usage usage = {command->name, "NAME --queue-url URL [options]",
		"Makes every worker of the queue delete the messages of a campaign unsent, and\n"
		"record each as cancelled. What is in flight finishes. It holds until --undo; "
		"what\n"
		"was deleted by then does not come back.",
		options, 1, 1};
	int first, count, code = cli_parse(&usage, argc, argv, &first, &count);

	if (code >= 0)
		return code;
	cancel->campaign = argv[first];
	if (cancel->campaign[0] == '\0')
		return cli_usage_error(command->name, "the campaign's name is empty");
	return code;
}

/* ---- what is known of it here */

static void append_left(
	const struct cancel *cancel, const struct journal_progress *progress, struct buf *out)
{
	struct buf path = BUF_INIT(8192), error = BUF_INIT(1024);
	struct results_tally tally;
	struct results_db *db = NULL;
	uint64_t ended = 0;

	buf_append_string(out, "it has put ");
	figures_append_count(out, progress->confirmed);
	buf_append_string(out, " messages into the queue");
	buf_appendf(&path, "%s/" RESULTS_DB_NAME, cancel->command.directory);
	if (results_db_open(buf_string(&path), true, &db, &error) == 0 &&
		results_db_tally(db, cancel->campaign, &tally) == 0) {
		for (int outcome = RESULT_CANCELLED; outcome < RESULT_OUTCOMES; outcome++)
			ended += tally.by_outcome[outcome];
		buf_append_string(out, "; ");
		figures_append_count(
			out, ended < progress->confirmed ? progress->confirmed - ended : 0);
		buf_append_string(out, " of them are still waiting, by the results so far");
	}
	results_db_close(db);
	buf_free(&path);
	buf_free(&error);
}

/* What its journal says, if that is here: a sentence or two; "" if not. */
static void describe(const struct cancel *cancel, struct buf *out)
{
	struct buf path = BUF_INIT(8192), error = BUF_INIT(1024);
	struct journal_progress progress;
	struct journal *journal = NULL;
	pid_t sender;

	if (journal_path(cancel->command.directory, cancel->campaign, &path) == 0 &&
		journal_open(buf_string(&path), false, &journal, &error) == 0 &&
		journal_progress(journal, &progress) == 0) {
		append_left(cancel, &progress, out);
		sender = journal_sender(buf_string(&path));
		if (sender > 0)
			buf_appendf(out,
				"; process %d is still sending it: stop that too, or what it puts "
				"in is deleted as well",
				(int)sender);
	}
	journal_close(journal);
	buf_free(&path);
	buf_free(&error);
}

/* ---- asking */

/* -1 to go on, else the exit code. */
static int confirm(const struct cancel *cancel, const char *known)
{
	struct buf question = BUF_INIT(4096);
	int terminal;
	bool agreed;

	if (cancel->undo || cancel->yes)
		return -1;
	terminal = campaign_confirm_open();
	if (terminal < 0)
		return -1;
	buf_appendf(&question,
		"Campaign %s: every message of it that has not been sent will be "
		"deleted%s%s.\nType its name to cancel it: ",
		cancel->campaign, known[0] ? "; " : "", known);
	agreed = campaign_confirm(terminal, buf_string(&question), cancel->campaign);
	close(terminal);
	buf_free(&question);
	if (agreed)
		return -1;
	cli_error(cancel->command.name, "not confirmed; nothing was changed");
	return CLI_FAILED;
}

/* ---- changing the tag */

static bool is_cancelled(const struct cancel *cancel)
{
	return control_cancels(
		&cancel->command.control, cancel->campaign, strlen(cancel->campaign));
}

static int tell_full(const struct cancel *cancel)
{
	cli_error(cancel->command.name,
		"the tag " CONTROL_TAG_CANCELLED
		" has no room for one more campaign (%d characters "
		"in all). Forget some that have long ended, the oldest first, with `bunshin "
		"campaign "
		"cancel NAME --undo`: %s",
		CONTROL_TAG_MAX, cancel->command.cancelled);
	return CLI_FAILED;
}

/* -1, or the exit code. */
static int change(struct cancel *cancel)
{
	struct control_command *command = &cancel->command;
	char value[CONTROL_TAG_MAX + 1];
	int code = -1, err;

	for (int tries = 0; code < 0 && is_cancelled(cancel) == cancel->undo; tries++) {
		if (tries == TRIES) {
			cli_error(command->name,
				"somebody else changes the tag " CONTROL_TAG_CANCELLED
				" at the same time; try again");
			return CLI_TEMPORARY;
		}
		err = cancel->undo
			      ? control_cancelled_remove(
					command->cancelled, cancel->campaign, value)
			      : control_cancelled_add(command->cancelled, cancel->campaign, value);
		if (err == ERR_LIMIT)
			return tell_full(cancel);
		if (err) {
			cli_error(command->name,
				"the tag " CONTROL_TAG_CANCELLED
				" is not one of this program: \"%.300s\"",
				command->cancelled);
			return CLI_FAILED;
		}
		code = control_put(command, CONTROL_TAG_CANCELLED, value[0] ? value : NULL);
	}
	return code;
}

int campaign_cancel(int argc, char **argv)
{
	struct cancel cancel = {.command = {.name = "campaign cancel", .directory = "."}};
	struct buf known = BUF_INIT(2048), did = BUF_INIT(4096);
	int code = parse(&cancel, argc, argv);
	bool was_set = false;

	if (code < 0) {
		describe(&cancel, &known);
		code = confirm(&cancel, buf_string(&known));
	}
	if (code < 0)
		code = control_open(&cancel.command);
	if (code < 0) {
		was_set = is_cancelled(&cancel) != cancel.undo;
		code = change(&cancel);
	}
	buf_appendf(&did, "campaign %s %s%s%s", cancel.campaign,
		cancel.undo ? (was_set ? "was not cancelled" : "is cancelled no more")
			    : (was_set ? "is cancelled already"
				       : "is cancelled: what is left of it is deleted unsent"),
		known.len > 0 ? "; " : "", buf_string(&known));
	if (code < 0)
		code = control_finish(&cancel.command, buf_string(&did));
	control_close(&cancel.command);
	buf_free(&known);
	buf_free(&did);
	return code;
}
