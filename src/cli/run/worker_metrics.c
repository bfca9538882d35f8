#include "cli/run/worker_metrics.h"

#include "bunshin/error.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

int worker_metrics_open(struct worker_metrics *worker, struct metrics *metrics, struct clock clock,
	const struct ledger *ledger)
{
	struct gauge *started;

	*worker = (struct worker_metrics){.clock = clock, .ledger = ledger};
	worker->cpu_us = metrics_counter_scaled(metrics, "bunshin_workers_cpu_seconds_total",
		"Processor time of all workers.", "", 6);
	worker->resident_bytes = metrics_gauge(metrics, "bunshin_workers_resident_memory_bytes",
		"Resident memory of all workers; what they share is in it once for each.", "");
	worker->open_fds = metrics_gauge(
		metrics, "bunshin_workers_open_fds", "Open file descriptors of all workers.", "");
	worker->max_fds = metrics_gauge_min(metrics, "bunshin_worker_max_fds",
		"File descriptors that one worker may have open.", "");
	worker->ledger_used = metrics_gauge_scaled(metrics, "bunshin_ledger_used_ratio",
		"Share of the ledger's places that are in use, by a sample.", "", METRIC_MAX, 3);
	worker->ledger_places = metrics_gauge_max(
		metrics, "bunshin_ledger_places", "Keys that the ledger has room for.", "");
	started = metrics_gauge_scaled(metrics, "bunshin_workers_start_time_seconds",
		"When the oldest of the workers started.", "", METRIC_MIN, 3);
	if (!worker->cpu_us || !worker->resident_bytes || !worker->open_fds || !worker->max_fds ||
		!worker->ledger_used || !worker->ledger_places || !started)
		return ERR_NOMEM;
	gauge_set(started, clock_wall_epoch_ms(clock));
	worker_metrics_show(worker);
	return 0;
}

/* The second number of statm: pages resident (proc(5)). 0: not known. */
static int64_t resident_bytes(void)
{
	char text[128];
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
	const char *second;

	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	second = strchr(text, ' ');
	return second ? strtoll(second, NULL, 10) * sysconf(_SC_PAGESIZE) : 0;
}

static int64_t open_fds(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int64_t count = 0;

	if (!directory)
		return 0;
	for (const struct dirent *entry; (entry = readdir(directory)) != NULL;)
		count += entry->d_name[0] != '.';
	closedir(directory);
	return count - 1; /* without the one that this has opened */
}

static int64_t max_fds(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur > INT64_MAX)
		return 0;
	return (int64_t)limit.rlim_cur;
}

static void look(struct worker_metrics *worker)
{
	int64_t now_ms = clock_wall_epoch_ms(worker->clock);

	gauge_set(worker->resident_bytes, resident_bytes());
	gauge_set(worker->open_fds, open_fds());
	gauge_set(worker->max_fds, max_fds());
	if (!worker->ledger->table)
		return;
	gauge_set(worker->ledger_used,
		ledger_fill_permille(worker->ledger, now_ms, clock_random(worker->clock)));
	gauge_set(worker->ledger_places, (int64_t)ledger_places(worker->ledger));
}

void worker_metrics_show(struct worker_metrics *worker)
{
	uint64_t now_us = clock_monotonic_us(worker->clock);
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) == 0)
		worker->cpu_us->value =
			(uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
			(uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
	if (now_us < worker->look_us)
		return;
	worker->look_us = now_us + WORKER_METRICS_LOOK_US;
	look(worker);
}
