#include "cli/run/worker_checks.h"

#include "admin/admin.h"
#include "bunshin/error.h"

#include <stdio.h>

#define NAMES_MAX_BYTES ((size_t)16 << 10)

static void check_draining(const struct delivery_health *health, struct board_check *check)
{
	board_check_fill(check, "draining", health->draining ? ADMIN_FAILED : ADMIN_OK,
		health->draining ? "stopping: what is in flight may finish" : "");
}

static void check_credentials(const struct worker *worker, struct board_check *check)
{
	static const enum admin_health of[] = {[CREDENTIALS_FINE] = ADMIN_OK,
		[CREDENTIALS_FAILING] = ADMIN_DEGRADED,
		[CREDENTIALS_GONE] = ADMIN_FAILED};
	char words[CREDENTIALS_WATCH_WORDS_SIZE];
	enum credentials_health health =
		credentials_watch_health(worker_credentials(worker), words);

	board_check_fill(check, "credentials", of[health], words);
}

static void check_queue(const struct worker *worker, const struct worker_trouble *trouble,
	const struct delivery_health *health, struct board_check *check)
{
	if (trouble->failed)
		board_check_fill(check, "queue", ADMIN_FAILED, trouble->words);
	else if (!worker_has_begun(worker))
		board_check_fill(check, "queue", ADMIN_FAILED, "not asked yet");
	else if (health->in_flight_limit)
		board_check_fill(check, "queue", ADMIN_DEGRADED,
			"SQS hands nothing out: as many messages as it allows are in flight");
	else
		board_check_fill(check, "queue", ADMIN_OK, "");
}

/* What is paused does as it was told; whoever wonders why nothing goes out finds it here. */
static void check_control(const struct delivery_health *health, struct board_check *check)
{
	board_check_fill(check, "control", health->paused ? ADMIN_DEGRADED : ADMIN_OK,
		health->paused ? "paused until bunshin campaign resume" : "");
}

static void check_deletes(const struct delivery_health *health, struct board_check *check)
{
	board_check_fill(check, "deletes", health->deletes_denied ? ADMIN_FAILED : ADMIN_OK,
		health->deletes_denied ? "refused (sqs:DeleteMessage): what is sent comes back"
				       : "");
}

static void check_destinations(const struct worker *worker, struct board_check *check)
{
	struct buf names = BUF_INIT(NAMES_MAX_BYTES);
	size_t open;

	buf_append_string(&names, "breaker open: ");
	open = worker_open_breakers(worker, &names);
	board_check_fill(check, "destinations", open > 0 ? ADMIN_DEGRADED : ADMIN_OK,
		open > 0 ? buf_string(&names) : "");
	buf_free(&names);
}

size_t worker_checks(const struct worker *worker, const struct worker_trouble *trouble,
	struct board_check ret_checks[BOARD_CHECKS_MAX])
{
	struct delivery_health health;

	delivery_get_health(worker_delivery(worker), &health);
	check_draining(&health, &ret_checks[0]);
	check_credentials(worker, &ret_checks[1]);
	check_queue(worker, trouble, &health, &ret_checks[2]);
	check_deletes(&health, &ret_checks[3]);
	check_destinations(worker, &ret_checks[4]);
	check_control(&health, &ret_checks[5]);
	return 6;
}

void worker_trouble_set(struct worker_trouble *trouble, int err, const char *detail)
{
	trouble->failed = err != 0;
	snprintf(trouble->words, sizeof(trouble->words), "%s",
		detail[0] != '\0' ? detail : error_message(err));
}
