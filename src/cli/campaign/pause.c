/* bunshin campaign pause, and resume. */
#include "cli/campaign/campaign.h"
#include "cli/campaign/control.h"

#include <string.h>

static int parse(struct control_command *command, const char *description, int argc, char **argv)
{
	const struct cli_option options[] = {CONTROL_OPTIONS(command), {0}};
	const struct cli_usage usage = {
		command->name, "--queue-url URL [options]", description, options, 0, 0};
	int first, count;

	return cli_parse(&usage, argc, argv, &first, &count);
}

int campaign_pause(int argc, char **argv)
{
	struct control_command command = {.name = "campaign pause", .directory = "."};
	bool was_paused;
	int code = parse(&command,
		"Makes every worker of the queue stop sending, whatever the campaign: nothing is\n"
		"received or started, what is in flight finishes. It is a tag of the queue, which\n"
		"workers read every few seconds; it holds until `bunshin campaign resume`, and "
		"for\n"
		"workers that start meanwhile.",
		argc, argv);

	if (code < 0)
		code = control_open(&command);
	was_paused = command.control.paused;
	if (code < 0 && !was_paused)
		code = control_put(&command, CONTROL_TAG_PAUSED, "true");
	if (code < 0)
		code = control_finish(&command,
			was_paused ? "the queue is paused already"
				   : "paused: nothing of this queue is sent until `bunshin "
				     "campaign resume`");
	control_close(&command);
	return code;
}

int campaign_resume(int argc, char **argv)
{
	struct control_command command = {.name = "campaign resume", .directory = "."};
	bool was_set;
	int code = parse(&command, "Makes the workers of a paused queue go on.", argc, argv);

	if (code < 0)
		code = control_open(&command);
	/* Whatever stands there. */
	was_set = command.paused[0] != '\0';
	if (code < 0 && was_set)
		code = control_put(&command, CONTROL_TAG_PAUSED, NULL);
	if (code < 0)
		code = control_finish(&command, was_set ? "resumed" : "the queue was not paused");
	control_close(&command);
	return code;
}
