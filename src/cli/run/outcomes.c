#include "cli/run/outcomes.h"

#include "base/log.h"
#include "bunshin/error.h"
#include "delivery/message.h"
#include "results/limit.h"
#include "results/log.h"
#include "results/log_files.h"
#include "results/shipper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FLUSH_US 100000
#define STATUS_US 5000000
#define PAUSED_TURNS 2
#define TELL_US UINT64_C(60000000) /* trouble is logged so often */
#define CAMPAIGN_SIZE 257	   /* more than a line takes of it */

struct outcomes {
	struct clock clock;
	struct results_log *log;
	struct results_shipper *shipper; /* NULL: there is no results queue */
	struct clock_timer flush_timer, status_timer;
	struct outcomes_gate {
		bool told;
		uint64_t told_us;
		uint64_t left_out;
	} log_gate, queue_gate;
	char worker[300];
	struct delivery *delivery; /* that status lines are about; NULL: none */
	size_t destination_count;
	struct result_load load; /* when the latest status was written */
	uint64_t attempts;	 /* then */
	bool working;		 /* then */
	unsigned turns;		 /* of status lines, written or not */
	struct clock_timer finish_timer;
	void (*finish_done)(void *arg);
	void *finish_arg;
};

/* ---- trouble */

static bool passes(struct outcomes *outcomes, struct outcomes_gate *gate)
{
	uint64_t now_us = clock_monotonic_us(outcomes->clock);

	if (gate->told && now_us - gate->told_us < TELL_US) {
		gate->left_out++;
		return false;
	}
	gate->told = true;
	gate->told_us = now_us;
	return true;
}

static void log_trouble(void *arg, const char *what, int error)
{
	struct outcomes *outcomes = arg;

	if (!passes(outcomes, &outcomes->log_gate))
		return;
	log_error("the outcome log cannot be written; deliveries go on", LOG_STR("operation", what),
		LOG_STR("reason", strerror(error)),
		LOG_INT("left_out", outcomes->log_gate.left_out));
	outcomes->log_gate.left_out = 0;
}

static void queue_trouble(void *arg, int err, const char *detail)
{
	struct outcomes *outcomes = arg;

	if (!passes(outcomes, &outcomes->queue_gate))
		return;
	log_warn("outcomes cannot be sent to the results queue; they wait in the outcome log",
		LOG_ERR(err), LOG_STR("reason", detail),
		LOG_INT("left_out", outcomes->queue_gate.left_out));
	outcomes->queue_gate.left_out = 0;
}

/* ---- records */

void outcomes_flush(void *arg)
{
	struct outcomes *outcomes = arg;

	if (results_log_waiting(outcomes->log) == 0)
		return;
	results_log_flush(outcomes->log);
	if (outcomes->shipper)
		results_shipper_poke(outcomes->shipper);
}

static void flush_fired(struct clock_timer *timer)
{
	outcomes_flush((char *)timer - offsetof(struct outcomes, flush_timer));
}

/* At the latest then, when no delete comes before. */
static void flush_soon(struct outcomes *outcomes)
{
	if (!clock_timer_is_set(&outcomes->flush_timer))
		clock_timer_after(outcomes->clock, &outcomes->flush_timer, FLUSH_US);
}

/* False: it is not about what became of a message. */
static bool outcome_of(enum delivery_event_kind kind, enum result_outcome *ret_outcome)
{
	switch (kind) {
	case DELIVERY_ACCEPTED:
		*ret_outcome = RESULT_ACCEPTED;
		return true;
	case DELIVERY_SUPPRESSED:
		*ret_outcome = RESULT_SUPPRESSED;
		return true;
	case DELIVERY_ATTEMPT_FAILED:
		*ret_outcome = RESULT_RETRYING;
		return true;
	case DELIVERY_FAILED_COPIED:
	case DELIVERY_FAILED_LEFT:
		*ret_outcome = RESULT_FAILED;
		return true;
	case DELIVERY_EXPIRED:
		*ret_outcome = RESULT_EXPIRED;
		return true;
	case DELIVERY_CANCELLED:
		*ret_outcome = RESULT_CANCELLED;
		return true;
	default: /* DELIVERY_FAILED is not yet: its copy may never be taken */
		return false;
	}
}

static const char *campaign_of(const struct queue_message *message, char text[CAMPAIGN_SIZE])
{
	const struct queue_attribute *campaign = message_attribute(message, "Campaign");
	size_t len = campaign ? campaign->value_bytes : 0;

	if (len >= CAMPAIGN_SIZE)
		len = CAMPAIGN_SIZE - 1;
	if (len > 0)
		memcpy(text, campaign->value, len);
	text[len] = '\0';
	return text;
}

void outcomes_note(struct outcomes *outcomes, const struct delivery_event *event)
{
	const struct target_result *result = event->result;
	const struct queue_message *message = event->message;
	size_t count = delivery_event_recipients(event);
	struct result_record record;
	char campaign[CAMPAIGN_SIZE], key[RECIPIENT_KEY_TEXT_SIZE];

	if (count == 0 || !outcome_of(delivery_event_of(event), &record.outcome))
		return;
	record.key = message->idempotency_key;
	record.campaign = campaign_of(message, campaign);
	record.destination = event->destination;
	record.message_id = message->message_id;
	record.status = result && !result->err ? result->status : 0;
	record.reason = event->reason;
	record.request_id = result ? result->request_id : "";
	record.attempts = message->receive_count;
	record.first_epoch_ms = message->first_received_epoch_ms;
	record.last_epoch_ms = clock_wall_epoch_ms(outcomes->clock);
	record.unanswered = result && result->unanswered;
	/* Of a packed message one each, by the recipients' own keys. */
	for (size_t i = 0; i < count; i++) {
		if (event->recipients) {
			recipient_key_print(&event->recipients[i], key);
			record.key = key;
		}
		results_log_append(outcomes->log, &record);
	}
	flush_soon(outcomes);
}

/* ---- status lines */

static void read_load(
	struct outcomes *outcomes, struct result_load *load, struct result_status *status)
{
	struct delivery_health health;
	struct delivery_work work;

	delivery_get_work(outcomes->delivery, &work);
	delivery_get_health(outcomes->delivery, &health);
	*load = (struct result_load){.at_us = clock_monotonic_us(outcomes->clock),
		.busy_us = work.busy_us,
		.slots_us = work.slots_us,
		.ceiling_us = work.ceiling_us,
		.token_waits = work.token_waits,
		.polls = work.polls,
		.full_polls = work.full_polls,
		.paused = health.paused};
	for (size_t i = 0; i < outcomes->destination_count; i++) {
		load->breaker_open |= delivery_breaker_is_open(outcomes->delivery, i);
		load->quota_used_up |= delivery_quota_is_used_up(outcomes->delivery, i);
	}
	status->in_flight = work.busy;
	status->slots = work.slots;
	status->waiting = work.waiting;
}

/* A worker that is paused, or whose breaker is open, has none, and says so less often. */
static bool is_paused_turn(struct outcomes *outcomes, const struct result_load *load)
{
	outcomes->turns++;
	return (load->paused || load->breaker_open) && outcomes->turns % PAUSED_TURNS == 0;
}

/* One while there is work, and one when that has ended. */
static void write_status(struct outcomes *outcomes)
{
	const struct control *control = delivery_control(outcomes->delivery);
	char id[CONTROL_ID_SIZE] = "";
	struct result_status status = {.worker = outcomes->worker,
		.at_epoch_ms = clock_wall_epoch_ms(outcomes->clock),
		.control = id};
	struct delivery_stats stats;
	struct result_load load;
	bool working;

	if (control)
		control_id(control, id);
	delivery_get_stats(outcomes->delivery, &stats);
	read_load(outcomes, &load, &status);
	working = delivery_held(outcomes->delivery) > 0 || stats.attempts != outcomes->attempts;
	status.accepted = stats.accepted;
	status.limit = result_limit_of(&load, &outcomes->load);
	if (working || outcomes->working || is_paused_turn(outcomes, &load)) {
		results_log_append_status(outcomes->log, &status);
		flush_soon(outcomes);
	}
	outcomes->load = load;
	outcomes->attempts = stats.attempts;
	outcomes->working = working;
}

/* It is not saved up for a fuller call: somebody waits for it, or nothing else may come. */
static void send_status(struct outcomes *outcomes)
{
	outcomes_flush(outcomes);
	results_shipper_hurry(outcomes->shipper);
}

void outcomes_control_changed(void *arg)
{
	struct outcomes *outcomes = arg;

	if (!outcomes->delivery)
		return;
	outcomes->working = true;
	write_status(outcomes);
	send_status(outcomes);
}

static void status_fired(struct clock_timer *timer)
{
	struct outcomes *outcomes =
		(struct outcomes *)(void *)((char *)timer -
					    offsetof(struct outcomes, status_timer));

	clock_timer_after(outcomes->clock, timer, STATUS_US);
	write_status(outcomes);
	if (outcomes->load.paused)
		send_status(outcomes);
}

void outcomes_watch(struct outcomes *outcomes, struct delivery *delivery, size_t destination_count)
{
	if (!outcomes->shipper)
		return;
	outcomes->delivery = delivery;
	outcomes->destination_count = destination_count;
	clock_timer_after(outcomes->clock, &outcomes->status_timer, STATUS_US);
}

/* ---- the end */

static void tell_finished(struct clock_timer *timer)
{
	struct outcomes *outcomes =
		(struct outcomes *)(void *)((char *)timer -
					    offsetof(struct outcomes, finish_timer));

	outcomes->finish_done(outcomes->finish_arg);
}

static void shipped(void *arg, uint64_t left)
{
	struct outcomes *outcomes = arg;

	if (left)
		log_warn("outcomes have not been sent to the results queue; they wait in the "
			 "outcome log for the next start",
			LOG_INT("bytes", left));
	outcomes->finish_done(outcomes->finish_arg);
}

void outcomes_finish(
	struct outcomes *outcomes, uint64_t until_us, void (*done)(void *arg), void *arg)
{
	outcomes->finish_done = done;
	outcomes->finish_arg = arg;
	if (outcomes->delivery)
		write_status(outcomes);
	outcomes->delivery = NULL;
	clock_timer_clear(outcomes->clock, &outcomes->status_timer);
	outcomes_flush(outcomes);
	if (outcomes->shipper)
		results_shipper_finish(outcomes->shipper, until_us, shipped, outcomes);
	else if (clock_timer_after(outcomes->clock, &outcomes->finish_timer, 0))
		done(arg); /* there is no memory for it */
}

void outcomes_show(struct outcomes *outcomes)
{
	if (outcomes->shipper)
		results_shipper_show(outcomes->shipper);
}

/* ---- life */

int outcomes_check(const char *path, struct buf *error)
{
	int fd;

	if (!path)
		return 0;
	fd = log_files_open(path);
	if (fd >= 0 && faccessat(fd, ".", R_OK | W_OK | X_OK, AT_EACCESS) == 0) {
		close(fd);
		return 0;
	}
	buf_appendf(error, "outcomes.path: cannot write into the directory %s: %s", path,
		strerror(fd < 0 ? -fd : errno));
	if (fd >= 0)
		close(fd);
	return ERR_IO;
}

/* "HOST:PID"; of several in one process, which there are during a reload, the later have a count.
 */
static void set_worker_name(struct outcomes *outcomes)
{
	static unsigned count;
	char host[256] = "";

	gethostname(host, sizeof(host) - 1);
	if (count++ == 0)
		snprintf(outcomes->worker, sizeof(outcomes->worker), "%s:%d", host, (int)getpid());
	else
		snprintf(outcomes->worker, sizeof(outcomes->worker), "%s:%d.%u", host,
			(int)getpid(), count);
}

static int open_shipper(struct outcomes *outcomes, struct queue results, struct metrics *metrics)
{
	const struct results_shipper_options options = {.clock = outcomes->clock,
		.queue = results,
		.log = outcomes->log,
		.metrics = metrics,
		.trouble = queue_trouble,
		.arg = outcomes};

	return results.ops ? results_shipper_new(&options, &outcomes->shipper) : 0;
}

int outcomes_new(struct clock clock, const struct config *config, struct queue results,
	struct metrics *metrics, struct outcomes **ret_outcomes)
{
	struct outcomes *outcomes = calloc(1, sizeof(*outcomes));
	const struct results_log_options options = {.clock = clock,
		.directory = config->outcomes.path,
		.file_bytes = (uint64_t)config->outcomes.size_bytes,
		.keep_bytes = (uint64_t)config->outcomes.keep_bytes,
		.shipped = results.ops != NULL,
		.metrics = metrics,
		.trouble = log_trouble,
		.arg = outcomes};
	int err;

	if (!outcomes)
		return ERR_NOMEM;
	outcomes->clock = clock;
	outcomes->flush_timer.fire = flush_fired;
	outcomes->status_timer.fire = status_fired;
	outcomes->finish_timer.fire = tell_finished;
	set_worker_name(outcomes);
	err = results_log_new(&options, &outcomes->log);
	if (!err)
		err = open_shipper(outcomes, results, metrics);
	if (err) {
		outcomes_free(outcomes);
		return err;
	}
	*ret_outcomes = outcomes;
	return 0;
}

void outcomes_free(struct outcomes *outcomes)
{
	if (!outcomes)
		return;
	clock_timer_clear(outcomes->clock, &outcomes->flush_timer);
	clock_timer_clear(outcomes->clock, &outcomes->status_timer);
	clock_timer_clear(outcomes->clock, &outcomes->finish_timer);
	results_shipper_free(outcomes->shipper);
	results_log_free(outcomes->log);
	free(outcomes);
}
