#include "cli/run/monitor.h"

#include "admin/admin.h"
#include "base/log.h"
#include "bunshin/error.h"
#include "cli/connect.h"
#include "cli/run/admin_socket.h"
#include "cli/run/backlog.h"
#include "cli/run/control_reader.h"
#include "cli/run/ledger_survey.h"
#include "cli/run/monitor_instance.h"
#include "cli/run/monitor_metrics.h"
#include "cli/run/pauser.h"
#include "cli/run/readiness.h"
#include "cli/run/sqs_metrics.h"
#include "cli/run/status_view.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TICK_US 1000000
#define BACKLOG_BUSY_US UINT64_C(5000000)
#define BACKLOG_IDLE_US UINT64_C(60000000)
#define BACKLOG_SCRAPED_US UINT64_C(15000000)
#define SCRAPED_US UINT64_C(180000000) /* a scrape was less than so long ago: another will come */
#define COMMAND_MAX_BYTES ((size_t)4096)
#define CONTROLLED_US UINT64_C(30000000)

struct monitor {
	struct monitor_options options;
	struct admin *admin;
	uint64_t scraped_us;	  /* the latest; 0: never */
	struct status_view *view; /* NULL: there is no admin port */
	struct pauser *pauser;	  /* NULL: the same */
	struct buf pause_command, resume_command;
	struct connect connect;
	struct backlog *backlog;	/* NULL: nobody needs it */
	struct instance *instance;	/* the same */
	struct control_reader *control; /* NULL: workers read it themselves */
	uint64_t worked_us;		/* when a worker had work, the latest */
	uint64_t received;		/* messages by all workers, as counted then */
	struct monitor_emf emf;
	uint64_t emf_due_us; /* 0: there are none */
	bool deaf;	     /* standard output did not take the latest line */
	struct ledger_survey survey;
	struct clock_timer tick;
};

static uint64_t now_us(const struct monitor *monitor)
{
	return clock_monotonic_us(monitor->options.clock);
}

static void refresh(const struct monitor *monitor)
{
	if (monitor->options.refresh)
		monitor->options.refresh(monitor->options.arg);
}

/* ---- the admin port */

/* The workers' requests to SQS are in what they count; these are its own. */
static int collect_own(const struct monitor *monitor, struct metrics *into)
{
	struct sqs_metrics sqs;
	int err = 0;

	if (monitor->connect.client)
		err = sqs_metrics_open(&sqs, into, "monitor");
	if (monitor->connect.client && !err)
		sqs_metrics_show(&sqs, monitor->connect.client);
	return err;
}

static int collect_all(void *arg, struct metrics *into)
{
	struct monitor *monitor = arg;
	int err = monitor_metrics_collect(monitor->options.board, now_us(monitor), into);

	return err ? err : collect_own(monitor, into);
}

static int collect(void *arg, struct metrics *into)
{
	struct monitor *monitor = arg;

	monitor->scraped_us = now_us(monitor);
	refresh(monitor);
	return collect_all(arg, into);
}

static bool is_alive(void *arg, struct buf *words)
{
	const struct monitor *monitor = arg;

	refresh(monitor);
	return readiness_is_alive(monitor->options.board, now_us(monitor), words);
}

static void each_check(
	void *arg, void (*visit)(void *visit_arg, const struct admin_check *check), void *visit_arg)
{
	struct monitor *monitor = arg;
	struct board_check checks[READINESS_CHECKS_MAX];
	size_t count;

	refresh(monitor);
	count = readiness_checks(monitor->options.board, now_us(monitor), checks);
	for (size_t i = 0; i < count; i++)
		visit(visit_arg, &(struct admin_check){.name = checks[i].name,
					 .health = checks[i].health,
					 .detail = checks[i].detail});
}

static int write_status(void *arg, struct buf *out)
{
	struct monitor *monitor = arg;

	refresh(monitor);
	return status_view_write(monitor->view, out);
}

static int write_history(void *arg, int64_t since_ms, struct buf *out)
{
	struct monitor *monitor = arg;

	return status_view_write_history(monitor->view, since_ms, out);
}

static int set_paused(void *arg, bool paused, const char *peer)
{
	struct monitor *monitor = arg;

	return monitor->pauser ? pauser_set(monitor->pauser, paused, peer) : ERR_PENDING;
}

static void refused(void *arg, const char *why, const char *peer)
{
	struct monitor *monitor = arg;

	if (monitor->pauser)
		pauser_refused(monitor->pauser, why, peer);
}

static void changed(void *arg, const char *error)
{
	struct monitor *monitor = arg;

	admin_changed(monitor->admin, error);
}

static int open_pauser(struct monitor *monitor)
{
	const struct monitor_options *options = &monitor->options;
	const struct pauser_options pauser = {.clock = options->clock,
		.client = monitor->connect.client,
		.queue_url = options->config->queue.url,
		.board = options->board,
		.done = changed,
		.arg = monitor};

	return pauser_new(&pauser, &monitor->pauser);
}

static int open_view(struct monitor *monitor)
{
	const struct status_view_options view = {.clock = monitor->options.clock,
		.config = monitor->options.config,
		.board = monitor->options.board,
		.collect = collect_all,
		.arg = monitor};

	return status_view_new(&view, &monitor->view);
}

/* What to run where the admin port may not do it. */
static int write_commands(struct monitor *monitor)
{
	const char *queue_url = monitor->options.config->queue.url;

	buf_init(&monitor->pause_command, COMMAND_MAX_BYTES);
	buf_init(&monitor->resume_command, COMMAND_MAX_BYTES);
	buf_appendf(&monitor->pause_command, "bunshin campaign pause --queue-url %s", queue_url);
	return buf_appendf(
		&monitor->resume_command, "bunshin campaign resume --queue-url %s", queue_url);
}

static int open_admin(struct monitor *monitor, struct buf *error)
{
	const struct monitor_options *options = &monitor->options;
	struct admin_options admin = {.listen_fd = options->admin_fd,
		.collect = collect,
		.is_alive = is_alive,
		.each_check = each_check,
		.status = write_status,
		.history = write_history,
		.token = options->config->admin.token,
		.hosts = (const char *const *)options->config->admin.hosts.rows,
		.host_count = options->config->admin.hosts.count,
		.set_paused = set_paused,
		.refused = refused,
		.arg = monitor};
	char url[160];
	int err;

	if (options->admin_fd < 0)
		return 0;
	err = write_commands(monitor);
	if (err)
		return err;
	admin.pause_command = buf_string(&monitor->pause_command);
	admin.resume_command = buf_string(&monitor->resume_command);
	err = open_view(monitor);
	if (!err)
		err = admin_new(options->loop, &admin, &monitor->admin);
	if (err) {
		buf_appendf(error, "the admin port: %s", error_message(err));
		return err;
	}
	snprintf(url, sizeof(url), "%s%s",
		admin_socket_path(options->admin_address) ? "" : "http://", options->admin_address);
	log_info("admin port", LOG_STR("url", url));
	return 0;
}

/* ---- embedded metrics */

/* Neither a reader that has gone away nor one that does not keep up may stop the loop. */
static void put_line(struct monitor *monitor, const struct buf *line)
{
	struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
	bool put = line->err == 0 && line->len <= PIPE_BUF && poll(&out, 1, 0) > 0 &&
		   write(STDOUT_FILENO, line->data, line->len) == (ssize_t)line->len;

	if (!put && !monitor->deaf)
		log_warn("standard output does not take the embedded metrics: dropped");
	monitor->deaf = !put;
}

static void emit(struct monitor *monitor)
{
	struct buf line = BUF_INIT(PIPE_BUF);

	monitor_emf_line(&monitor->emf, monitor->options.board, now_us(monitor),
		clock_wall_epoch_ms(monitor->options.clock), &line);
	put_line(monitor, &line);
	buf_free(&line);
}

static uint64_t emf_interval_us(const struct monitor *monitor)
{
	return (uint64_t)monitor->options.config->metrics.emf_ms * 1000;
}

static void open_emf(struct monitor *monitor)
{
	const struct config *config = monitor->options.config;

	if (emf_interval_us(monitor) == 0)
		return;
	monitor_emf_init(&monitor->emf, config->metrics.namespace, config->queue.url,
		monitor->options.board);
	monitor->emf_due_us = now_us(monitor) + emf_interval_us(monitor);
}

/* ---- what is done each second */

static bool needs_load(const struct config *config)
{
	return config->workers.min < config->workers.max ||
	       config->instance.protection != CONFIG_PROTECTION_NONE;
}

static bool has_work(const struct monitor *monitor, const struct readiness_sum *sum)
{
	struct board_backlog backlog;

	board_backlog_get(monitor->options.board, &backlog);
	return sum->busy > 0 || sum->held > 0 || backlog.visible > 0;
}

static bool is_looked_at(const struct monitor *monitor)
{
	return monitor->view && status_view_is_looked_at(monitor->view);
}

static bool is_scraped(const struct monitor *monitor)
{
	return monitor->scraped_us != 0 && now_us(monitor) - monitor->scraped_us < SCRAPED_US;
}

/* Somebody needs it, looking at it or not. */
static bool wants_backlog(const struct monitor *monitor)
{
	return needs_load(monitor->options.config) || emf_interval_us(monitor) > 0 ||
	       is_looked_at(monitor) || is_scraped(monitor);
}

static uint64_t backlog_interval_us(const struct monitor *monitor, const struct readiness_sum *sum)
{
	const struct config *config = monitor->options.config;
	uint64_t emf_us = emf_interval_us(monitor);
	struct board_counts counts;

	board_counts_get(monitor->options.board, &counts);
	if (needs_load(config) &&
		(sum->busy > 0 || sum->held > 0 || (int64_t)counts.wanted > config->workers.min))
		return BACKLOG_BUSY_US;
	if (is_looked_at(monitor))
		return BACKLOG_BUSY_US;
	if (is_scraped(monitor))
		return emf_us > 0 && emf_us < BACKLOG_SCRAPED_US ? emf_us : BACKLOG_SCRAPED_US;
	return emf_us > 0 && emf_us < BACKLOG_IDLE_US ? emf_us : BACKLOG_IDLE_US;
}

/* Any worker, within the last half a minute; and a pause has to be seen when it ends. */
static bool is_controlled(struct monitor *monitor, const struct readiness_sum *sum)
{
	if (has_work(monitor, sum) || sum->received != monitor->received ||
		control_reader_news(monitor->control)->control.paused)
		monitor->worked_us = now_us(monitor);
	monitor->received = sum->received;
	return now_us(monitor) - monitor->worked_us <= CONTROLLED_US;
}

static void tick(struct clock_timer *timer)
{
	struct monitor *monitor =
		(struct monitor *)(void *)((char *)timer - offsetof(struct monitor, tick));
	struct readiness_sum sum;

	clock_timer_after(monitor->options.clock, timer, TICK_US);
	refresh(monitor);
	readiness_sum(monitor->options.board, now_us(monitor), &sum);
	if (monitor->control)
		control_reader_tick(monitor->control, is_controlled(monitor, &sum));
	if (monitor->backlog && wants_backlog(monitor))
		backlog_tick(monitor->backlog, backlog_interval_us(monitor, &sum));
	instance_busy(monitor->instance, has_work(monitor, &sum));
	if (monitor->view)
		status_view_tick(monitor->view);
	if (monitor->emf_due_us == 0 || now_us(monitor) < monitor->emf_due_us)
		return;
	monitor->emf_due_us = now_us(monitor) + emf_interval_us(monitor);
	emit(monitor);
}

/* ---- what AWS is asked for */

static void leave(void *arg, const char *why)
{
	struct monitor *monitor = arg;

	monitor->options.leave(monitor->options.arg, why);
}

static int open_connect(struct monitor *monitor, struct buf *error)
{
	const struct monitor_options *options = &monitor->options;
	const struct config *config = options->config;
	const struct connect_options connect = {.queue_url = config->queue.url,
		.endpoint = config->queue.endpoint,
		.allow_insecure = config->queue.allow_insecure_endpoint,
		.patient = true,
		.interrupts = options->interrupts};

	return connect_open(&monitor->connect, options->loop, options->clock, &connect, error);
}

static void control_told(void *arg, int err, const struct control_news *news, const char *words)
{
	const struct monitor *monitor = arg;

	control_board_update(monitor->options.board, monitor->options.config->queue.url, news);
}

static int open_control(struct monitor *monitor)
{
	const struct monitor_options *options = &monitor->options;
	const char *queue_url = options->config->queue.url;
	const struct control_reader_options reader = {.clock = options->clock,
		.client = monitor->connect.client,
		.queue_url = queue_url,
		.speaks = true,
		.told = control_told,
		.arg = monitor};
	struct control_news before;
	bool known = control_board_get(options->board, queue_url, &before);

	return control_reader_new(&reader, known ? &before : NULL, &monitor->control);
}

static int open_aws(struct monitor *monitor, struct buf *error)
{
	const struct monitor_options *options = &monitor->options;
	const struct config *config = options->config;
	bool backlog = needs_load(config) || emf_interval_us(monitor) > 0 || monitor->view;
	bool instance = monitor_instance_is_needed(config);
	bool control = options->reads_control;
	int err = backlog || instance || control ? open_connect(monitor, error) : 0;

	if (!err && backlog)
		err = backlog_new(options->clock, monitor->connect.client, config->queue.url,
			options->board, &monitor->backlog);
	if (!err && control)
		err = open_control(monitor);
	if (!err && monitor->view)
		err = open_pauser(monitor);
	if (!err && instance)
		err = monitor_instance_open(
			config, &monitor->connect, leave, monitor, &monitor->instance, error);
	return err;
}

/* What is in memory alone was empty when this program began, or has been counted before. */
static void open_survey(struct monitor *monitor)
{
	const struct monitor_options *options = &monitor->options;
	const struct host *host = options->host;

	if (host && !host->in_memory && !host->ledger_file.created)
		ledger_survey_start(&monitor->survey, options->clock, &host->ledger,
			options->config->ledger.path);
}

static int open_all(struct monitor *monitor, struct buf *error)
{
	const struct monitor_options *options = &monitor->options;
	int err = open_admin(monitor, error);

	if (!err)
		err = open_aws(monitor, error);
	if (err)
		return err;
	open_emf(monitor);
	open_survey(monitor);
	/* It also keeps a loop alive that has nothing else to do. */
	monitor->tick.fire = tick;
	return clock_timer_after(options->clock, &monitor->tick, 0);
}

int monitor_new(
	const struct monitor_options *options, struct monitor **ret_monitor, struct buf *error)
{
	struct monitor *monitor = calloc(1, sizeof(*monitor));
	int err;

	if (!monitor)
		return ERR_NOMEM;
	monitor->options = *options;
	err = open_all(monitor, error);
	if (err) {
		if (error->len == 0)
			buf_append_string(error, error_message(err));
		monitor_close(monitor);
		return err;
	}
	*ret_monitor = monitor;
	return 0;
}

/* A reload ends a monitor too, while the workers go on. */
static bool all_is_over(const struct monitor *monitor)
{
	const struct board *board = monitor->options.board;
	struct board_counts counts;
	struct board_seat seat;

	board_counts_get(board, &counts);
	if (counts.stopping)
		return true;
	for (unsigned place = 0; place < board_places(board); place++) {
		board_seat_get(board, place, &seat);
		if (seat.state != BOARD_EMPTY)
			return false;
	}
	return true;
}

void monitor_finish(struct monitor *monitor, void (*done)(void *arg), void *arg)
{
	if (monitor->instance && all_is_over(monitor))
		instance_finish(monitor->instance, done, arg);
	else
		done(arg);
}

void monitor_close(struct monitor *monitor)
{
	if (!monitor)
		return;
	clock_timer_clear(monitor->options.clock, &monitor->tick);
	ledger_survey_stop(&monitor->survey);
	if (monitor->emf_due_us != 0)
		emit(monitor);
	instance_close(monitor->instance);
	backlog_free(monitor->backlog);
	pauser_free(monitor->pauser);
	control_reader_free(monitor->control);
	connect_close(&monitor->connect);
	admin_close(monitor->admin);
	status_view_free(monitor->view);
	buf_free(&monitor->pause_command);
	buf_free(&monitor->resume_command);
	free(monitor);
}
