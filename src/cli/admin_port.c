#include "cli/admin_port.h"

#include "admin/admin.h"
#include "base/log.h"
#include "bunshin/error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_SIZE 512
#define NAMES_MAX_BYTES ((size_t)16 << 10)

struct admin_port {
	struct admin *admin;
	struct worker *worker;
	bool queue_failed;
	char queue_words[WORDS_SIZE]; /* of the last receive that failed */
	struct buf names;	      /* scratch */
};

static struct admin_check check_draining(const struct delivery_health *health)
{
	return (struct admin_check){.name = "draining",
		.health = health->draining ? ADMIN_FAILED : ADMIN_OK,
		.detail = health->draining ? "stopping: what is in flight may finish" : ""};
}

static struct admin_check check_credentials(const struct admin_port *port, char *words)
{
	static const enum admin_health of[] = {[CREDENTIALS_FINE] = ADMIN_OK,
		[CREDENTIALS_FAILING] = ADMIN_DEGRADED,
		[CREDENTIALS_GONE] = ADMIN_FAILED};
	enum credentials_health health =
		credentials_watch_health(worker_credentials(port->worker), words);

	return (struct admin_check){.name = "credentials", .health = of[health], .detail = words};
}

static struct admin_check check_queue(
	const struct admin_port *port, const struct delivery_health *health)
{
	struct admin_check check = {.name = "queue", .health = ADMIN_OK, .detail = ""};

	if (port->queue_failed || !worker_has_begun(port->worker)) {
		check.health = ADMIN_FAILED;
		check.detail = port->queue_failed ? port->queue_words : "not asked yet";
	} else if (health->in_flight_limit) {
		check.health = ADMIN_DEGRADED;
		check.detail = "SQS hands nothing out: as many messages as it allows are in flight";
	}
	return check;
}

static struct admin_check check_deletes(const struct delivery_health *health)
{
	return (struct admin_check){.name = "deletes",
		.health = health->deletes_denied ? ADMIN_FAILED : ADMIN_OK,
		.detail = health->deletes_denied
				  ? "refused (sqs:DeleteMessage): what is sent comes back"
				  : ""};
}

static struct admin_check check_destinations(struct admin_port *port)
{
	size_t open;

	buf_clear(&port->names);
	buf_append_string(&port->names, "breaker open: ");
	open = worker_open_breakers(port->worker, &port->names);
	return (struct admin_check){.name = "destinations",
		.health = open > 0 ? ADMIN_DEGRADED : ADMIN_OK,
		.detail = open > 0 ? buf_string(&port->names) : ""};
}

static void each_check(
	void *arg, void (*visit)(void *visit_arg, const struct admin_check *check), void *visit_arg)
{
	struct admin_port *port = arg;
	char words[CREDENTIALS_WATCH_WORDS_SIZE];
	struct delivery_health health;

	delivery_get_health(worker_delivery(port->worker), &health);

	const struct admin_check checks[] = {check_draining(&health),
		check_credentials(port, words), check_queue(port, &health), check_deletes(&health),
		check_destinations(port)};

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		visit(visit_arg, &checks[i]);
}

static void refresh(void *arg)
{
	struct admin_port *port = arg;

	worker_show(port->worker);
}

static struct admin_port *port_new(struct worker *worker)
{
	struct admin_port *port = calloc(1, sizeof(*port));

	if (!port)
		return NULL;
	port->worker = worker;
	buf_init(&port->names, NAMES_MAX_BYTES);
	return port;
}

int admin_port_open(uv_loop_t *loop, const char *listen, struct worker *worker,
	struct admin_port **ret_port, struct buf *error)
{
	struct admin_options options = {.listen = listen,
		.metrics = worker_metrics(worker),
		.refresh = refresh,
		.each_check = each_check};
	struct admin_port *port;
	char url[80];
	bool in_use;
	int err;

	*ret_port = NULL;
	if (!listen)
		return 0;
	port = port_new(worker);
	options.arg = port;
	err = port ? admin_new(loop, &options, &port->admin) : ERR_NOMEM;
	if (!err) {
		snprintf(url, sizeof(url), "http://%s", admin_address(port->admin));
		log_info("admin port", LOG_STR("url", url));
		*ret_port = port;
		return 0;
	}
	in_use = err == ERR_IO && errno == EADDRINUSE;
	if (in_use)
		log_warn("the admin port is in use: this worker goes on without one",
			LOG_STR("address", listen));
	else
		buf_appendf(error, "admin.listen: cannot listen on %s: %s", listen,
			err == ERR_IO ? strerror(errno) : error_message(err));
	free(port);
	return in_use ? 0 : err;
}

void admin_port_close(struct admin_port *port)
{
	if (!port)
		return;
	admin_close(port->admin);
	buf_free(&port->names);
	free(port);
}

void admin_port_receive_result(struct admin_port *port, int err, const char *detail)
{
	if (!port)
		return;
	port->queue_failed = err != 0;
	snprintf(port->queue_words, sizeof(port->queue_words), "%s",
		detail[0] != '\0' ? detail : error_message(err));
}
