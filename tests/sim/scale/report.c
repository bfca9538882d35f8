#include "delivery/core.h"
#include "scale.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>

double report_cpu_s(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage))
		return 0;
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

double report_memory_mib(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_SELF, &usage) ? 0 : (double)usage.ru_maxrss / 1024;
}

unsigned report_most_receives(const struct world *world)
{
	unsigned most = 0;

	for (uint32_t i = 0; i < world->options.messages; i++)
		if (world->mails[i].receives > most)
			most = world->mails[i].receives;
	return most;
}

static void bound(struct prediction *prediction, double per_s, const char *what)
{
	if (prediction->bound && per_s >= prediction->per_s)
		return;
	prediction->per_s = per_s;
	prediction->bound = what;
}

/*
 * What a delete waits for others, on average: the first of a batch until ten are there or its time
 * is over, the others half as long.
 */
static double linger_s(const struct options *options, double per_s)
{
	double each_s = options->workers / per_s;
	double wait_s = (double)CORE_LINGER_US / S, full_s = (QUEUE_BATCH_MAX - 1) * each_s;
	double others;

	if (full_s < wait_s)
		wait_s = full_s;
	others = wait_s / each_s;
	return wait_s * (1 + others / 2) / (1 + others);
}

/* From the queue's answer to its delete. */
static double held_s(const struct options *options, double per_s)
{
	double queue_s = (double)(options->queue_min_us + options->queue_max_us) / 2 / S;
	double trip_s = (double)provider_mean_us(options) / S;

	return queue_s + trip_s + linger_s(options, per_s);
}

struct prediction report_predict(const struct options *options)
{
	struct prediction prediction = {.bound = NULL};
	double trip_s = (double)provider_mean_us(options) / S;
	double queue_s = (double)(options->queue_min_us + options->queue_max_us) / 2 / S;
	double flow;

	bound(&prediction, (double)options->workers * options->concurrency / trip_s, "workers");
	if (options->provider_rate)
		bound(&prediction, (double)options->provider_rate, "provider");
	if (options->rate)
		bound(&prediction, (double)options->rate, "rate");
	if (options->queue_rate)
		bound(&prediction, (double)options->queue_rate * QUEUE_BATCH_MAX, "queue requests");
	/* How long a delete waits depends on the flow, and that on how long it waits. */
	flow = prediction.per_s;
	for (int i = 0; i < 10; i++)
		flow = (double)options->in_flight_limit / held_s(options, flow);
	bound(&prediction, flow, "in flight in the queue");
	prediction.ramp_s = (double)options->start_us / 2 / S + queue_s + trip_s;
	prediction.total_s = options->messages / prediction.per_s + prediction.ramp_s;
	return prediction;
}

static uint64_t all_requests(const struct world *world)
{
	uint64_t sum = 0;

	for (int api = 0; api < APIS; api++)
		sum += world->queue.requests[api];
	return sum;
}

double report_requests(const struct world *world)
{
	return (double)all_requests(world) / world->options.messages;
}

double report_ratio(const struct world *world)
{
	return (double)world->provider.last_accepted_us / S /
	       report_predict(&world->options).total_s;
}

static void print_json(const struct world *world)
{
	const struct prediction prediction = report_predict(&world->options);
	const struct queue_side *queue = &world->queue;
	const struct provider_side *provider = &world->provider;

	printf("{\"workers\":%u,\"hosts\":%u,\"messages\":%" PRIu32 ",\"concurrency\":%u,"
	       "\"bound\":\"%s\",\"bound_per_s\":%.0f,\"last_acceptance_s\":%.3f,"
	       "\"predicted_s\":%.3f,\"ratio\":%.4f,",
		world->options.workers, world->host_count, world->options.messages,
		world->options.concurrency, prediction.bound, prediction.per_s,
		(double)provider->last_accepted_us / S, prediction.total_s, report_ratio(world));
	printf("\"accepted\":%" PRIu32 ",\"expired\":%" PRIu64 ",\"duplicates\":%" PRIu64
	       ",\"throttled\":%" PRIu64 ",\"in_flight_most\":%zu,\"attempts_out_most\":%" PRIu64
	       ",\"requests_per_message\":%.4f,\"receives\":%" PRIu64 ",\"empty_receives\":%" PRIu64
	       ",\"deletes\":%" PRIu64 ",\"changes\":%" PRIu64 ",\"attributes\":%" PRIu64
	       ",\"queue_throttled\":%" PRIu64 ",\"extended\":%" PRIu64 ",\"backed_off\":%" PRIu64
	       ",\"ran_out\":%" PRIu64 ",\"most_receives\":%u,",
		provider->accepted, world->stats.expired, provider->duplicates, provider->throttled,
		queue->in_flight_most, provider->out_most, report_requests(world),
		queue->requests[API_RECEIVE], queue->empty_receives, queue->requests[API_DELETE],
		queue->requests[API_CHANGE], queue->requests[API_ATTRIBUTES], queue->throttled,
		world->stats.extended, queue->backed_off, queue->ran_out,
		report_most_receives(world));
	printf("\"core_bytes\":%zu,\"memory_mib\":%.0f,\"steps\":%" PRIu64 ",\"cpu_s\":%.1f}\n",
		world->core_bytes, report_memory_mib(), world->steps, report_cpu_s());
}

static void print_text(const struct world *world)
{
	const struct prediction prediction = report_predict(&world->options);
	const struct queue_side *queue = &world->queue;
	const struct provider_side *provider = &world->provider;

	printf("%u workers on %u hosts, %" PRIu32
	       " messages: the last is accepted after %.2f s; by "
	       "arithmetic %.2f s (%.0f/s by %s, %.2f s to begin): %.3f of it\n",
		world->options.workers, world->host_count, world->options.messages,
		(double)provider->last_accepted_us / S, prediction.total_s, prediction.per_s,
		prediction.bound, prediction.ramp_s, report_ratio(world));
	printf("%" PRIu32 " accepted, %" PRIu64 " expired, %" PRIu64 " duplicates, %" PRIu64
	       " throttled by the provider, %" PRIu64 " attempts out at once\n",
		provider->accepted, world->stats.expired, provider->duplicates, provider->throttled,
		provider->out_most);
	printf("queue: %.4f requests a message (%" PRIu64 " receives, %" PRIu64
	       " of them empty, %" PRIu64 " deletes, %" PRIu64 " changes, %" PRIu64
	       " questions), %" PRIu64 " throttled; %zu in flight at once; %" PRIu64
	       " extended, %" PRIu64 " ran out, %" PRIu64
	       " back after a 429; received %u times at most\n",
		report_requests(world), queue->requests[API_RECEIVE], queue->empty_receives,
		queue->requests[API_DELETE], queue->requests[API_CHANGE],
		queue->requests[API_ATTRIBUTES], queue->throttled, queue->in_flight_most,
		world->stats.extended, queue->ran_out, queue->backed_off,
		report_most_receives(world));
	printf("%.1f KiB a core, %.0f MiB in all; %" PRIu64 " events in %.1f s of CPU\n",
		(double)world->core_bytes / 1024, report_memory_mib(), world->steps,
		report_cpu_s());
}

void report_print(const struct world *world, bool json)
{
	if (json)
		print_json(world);
	else
		print_text(world);
}

void report_progress(const struct world *world)
{
	const struct queue_side *queue = &world->queue;
	const struct provider_side *provider = &world->provider;

	fprintf(stderr,
		"%.0f s: %" PRIu32 " accepted of %" PRIu64 " attempts, %" PRIu64
		" throttled; %zu in flight; %.0f s of CPU\n",
		(double)world->now_us / S, provider->accepted, provider->attempts,
		provider->throttled, queue->in_flight, report_cpu_s());
}
