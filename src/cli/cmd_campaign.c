/* bunshin campaign: the table of its verbs; cli/campaign/ has one file for each. */
#include "cli/campaign/campaign.h"
#include "cli/cli.h"

int cmd_campaign(int argc, char **argv)
{
	static const struct cli_verb verbs[] = {
		{"send", campaign_send, "put one message a recipient into a queue"},
		{"watch", campaign_watch, "show where a campaign stands, and collect its results"},
		{"report", campaign_report, "what became of every row: CSV, a page, a summary"},
		{"pause", campaign_pause, "make every worker of a queue stop sending"},
		{"resume", campaign_resume, "make them go on"},
		{"rate", campaign_rate, "limit how fast all of them together send"},
		{"cancel", campaign_cancel, "delete what is left of a campaign unsent"},
		{"control", campaign_control, "show what of that is set, and who acts by it"},
	};

	return cli_run_verb(
		"campaign", "[options]", verbs, sizeof(verbs) / sizeof(verbs[0]), argc, argv);
}
