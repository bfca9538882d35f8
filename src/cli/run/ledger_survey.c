#include "cli/run/ledger_survey.h"

#include "base/log.h"

#include <stddef.h>

void ledger_survey_tell(const struct ledger_stats *stats, const char *path)
{
	log_info("ledger", LOG_STR("path", path), LOG_INT("keys", stats->accepted),
		LOG_INT("room", stats->slots), LOG_INT("in_flight", stats->claimed));
	if (stats->damaged)
		log_warn("the ledger has damaged entries, which are ignored", LOG_STR("path", path),
			LOG_INT("entries", stats->damaged));
}

static void next_piece(struct clock_timer *timer)
{
	struct ledger_survey *survey =
		(struct ledger_survey *)(void *)((char *)timer -
						 offsetof(struct ledger_survey, timer));

	if (ledger_count_some(survey->ledger, clock_wall_epoch_ms(survey->clock),
		    LEDGER_SURVEY_SLOTS, &survey->place, &survey->stats))
		clock_timer_after(survey->clock, timer, LEDGER_SURVEY_US);
	else
		ledger_survey_tell(&survey->stats, survey->path);
}

void ledger_survey_start(struct ledger_survey *survey, struct clock clock,
	const struct ledger *ledger, const char *path)
{
	*survey = (struct ledger_survey){.clock = clock, .ledger = ledger, .path = path};
	survey->timer.fire = next_piece;
	clock_timer_after(clock, &survey->timer, LEDGER_SURVEY_US);
}

void ledger_survey_stop(struct ledger_survey *survey)
{
	if (survey->clock.ops)
		clock_timer_clear(survey->clock, &survey->timer);
}
