/* bunshin dlq: the table of its verbs; cli/dlq/ has one file for each. */
#include "cli/cli.h"
#include "cli/dlq/dlq.h"

int cmd_dlq(int argc, char **argv)
{
	static const struct cli_verb verbs[] = {
		{"list", dlq_list, "what lies in a failure queue, by reason"},
		{"show", dlq_show, "single messages of it, with all that is known of them"},
		{"redrive", dlq_redrive, "send them back to the queue that they came from"},
		{"purge", dlq_purge, "delete them"},
	};

	return cli_run_verb("dlq", "--queue-url URL [options]", verbs,
		sizeof(verbs) / sizeof(verbs[0]), argc, argv);
}
