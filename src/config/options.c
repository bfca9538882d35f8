#include "config/options.h"

#include <string.h>

#define MS INT64_C(1)
#define SECOND (1000 * MS)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define MIB (INT64_C(1) << 20)

#define IN_CONFIG(field) .offset = offsetof(struct config, field)
#define IN_DESTINATION(field) .offset = offsetof(struct config_destination, field)
#define IN_RULE(field) .offset = offsetof(struct config_rule, field)

/* What retry and destinations[].retry have in common. */
#define ATTEMPTS_RANGE .min = 1, .max = 1000
#define BASE_RANGE .min = 100 * MS, .max = 15 * MINUTE
#define CAP_RANGE .min = SECOND, .max = 12 * HOUR
#define JITTERS .choices = "full|decorrelated"

#define NAME_MAX_BYTES 255 /* of what AWS calls things */
#define HEADER_NAME_BYTES 128

#define STATUS_RANGE .min = 100, .max = 599
#define RULE_TEXT_BYTES 1024 /* of what a rule looks for in an answer */

_Static_assert(sizeof(enum log_level) == sizeof(int), "enums are stored as int");
_Static_assert(sizeof(enum log_format) == sizeof(int), "enums are stored as int");
_Static_assert(sizeof(enum config_http_version) == sizeof(int), "enums are stored as int");
_Static_assert(sizeof(enum config_jitter) == sizeof(int), "enums are stored as int");
_Static_assert(sizeof(enum config_trace) == sizeof(int), "enums are stored as int");
_Static_assert(sizeof(enum config_batch_format) == sizeof(int), "enums are stored as int");
_Static_assert(sizeof(enum config_auth_type) == sizeof(int), "enums are stored as int");
_Static_assert(sizeof(enum config_auth_algorithm) == sizeof(int), "enums are stored as int");
_Static_assert(sizeof(enum config_auth_encoding) == sizeof(int), "enums are stored as int");
_Static_assert(sizeof(enum config_auth_signed) == sizeof(int), "enums are stored as int");
_Static_assert(sizeof(enum config_unwrap) == sizeof(int), "enums are stored as int");
_Static_assert(sizeof(enum config_notices) == sizeof(int), "enums are stored as int");
_Static_assert(sizeof(enum config_protection) == sizeof(int), "enums are stored as int");
_Static_assert(sizeof(enum config_outcome) == sizeof(int), "enums are stored as int");

/* clang-format off */
const struct option options[] = {
	{"queue.url", OPTION_QUEUE_URL, IN_CONFIG(queue.url), .nullable = true,
		.help = "The queue to take messages from; AWS's URLs name the region."},
	{"queue.endpoint", OPTION_ENDPOINT, IN_CONFIG(queue.endpoint), .nullable = true,
		.help = "Where SQS answers, instead of the host in queue.url; null: "
			"AWS_ENDPOINT_URL_SQS, AWS_ENDPOINT_URL, then that host."},
	{"queue.failure_url", OPTION_QUEUE_URL, IN_CONFIG(queue.failure_url), .nullable = true,
		.help = "The queue that permanent failures are copied to; null: they are left to "
			"the redrive policy of the queue itself."},
	{"queue.results_url", OPTION_QUEUE_URL, IN_CONFIG(queue.results_url), .nullable = true,
		.help = "The queue that outcomes are sent to, for `bunshin campaign watch`; null: "
			"they are sent nowhere."},
	{"queue.receivers", OPTION_INT, IN_CONFIG(queue.receivers), .min = 1, .max = 256,
		.zero_word = "auto", .fallback = "auto",
		.help = "Long polls under way at the same time, at most."},
	{"queue.wait", OPTION_DURATION, IN_CONFIG(queue.wait_ms), .min = 0, .max = 20 * SECOND,
		.step = SECOND, .fallback = "20s",
		.help = "How long a poll of an empty queue waits for a message."},
	{"queue.visibility", OPTION_DURATION, IN_CONFIG(queue.visibility_ms), .min = SECOND,
		.max = 12 * HOUR, .step = SECOND, .zero_word = "auto", .fallback = "auto",
		.help = "How long a received message stays hidden from other workers; extended "
			"while it is held, and how soon it comes back after a crash. auto: the "
			"queue's own VisibilityTimeout."},
	{"queue.held", OPTION_BYTES, IN_CONFIG(queue.held_bytes), .min = MIB, .max = 4096 * MIB,
		.fallback = "64MiB",
		.help = "Bytes of messages held in memory, at most; no more are received past it."},
	{"queue.unwrap", OPTION_CHOICE, IN_CONFIG(queue.unwrap), .choices = "none|sns",
		.fallback = "none",
		.help = "sns: a body that is an SNS notification is replaced by its Message, and its "
			"MessageAttributes become the message's."},
	{"queue.allow_insecure_endpoint", OPTION_BOOL, IN_CONFIG(queue.allow_insecure_endpoint),
		.choices = "true|false", .fallback = "false",
		.help = "Talk plain http to SQS on another machine, so that everybody on the way "
			"can read the messages; to this one it is always allowed."},

	{"destinations[].name", OPTION_NAME, IN_DESTINATION(name), .min = 1, .max = 64,
		.marks = "_.-", .required = true,
		.help = "What messages, logs and metrics call it; unique."},
	{"destinations[].when", OPTION_CONDITIONS, IN_DESTINATION(when), .nullable = true,
		.help = "Fields of the JSON body, by path, and the values that each may have: "
			"which messages without a Destination attribute come here; null: all."},
	{"destinations[].request.method", OPTION_WORD, IN_DESTINATION(request.method),
		.choices = "POST|PUT|PATCH|GET|DELETE", .fallback = "POST",
		.help = "The HTTP method."},
	{"destinations[].request.url", OPTION_URL_TEMPLATE, IN_DESTINATION(request.url),
		.required = true,
		.help = "Template of the URL; no variable in scheme, host or port without "
			"allow_hosts."},
	{"destinations[].request.allow_hosts", OPTION_HOSTS, IN_DESTINATION(request.allow_hosts),
		.fallback = "[]",
		.help = "The hosts that messages may choose in a URL with variables in its host: "
			"names, or *. and what they end in."},
	{"destinations[].request.allow_addresses", OPTION_ADDRESSES,
		IN_DESTINATION(request.allow_addresses), .fallback = "[]",
		.help = "What such a host may resolve to although it is not public: addresses, or "
			"ranges like 10.0.0.0/8."},
	{"destinations[].request.headers", OPTION_HEADERS, IN_DESTINATION(request.headers),
		.fallback = "{}",
		.help = "Templates of the header fields, by name."},
	{"destinations[].request.attribute_headers", OPTION_NAME,
		IN_DESTINATION(request.attribute_headers), .min = 1, .max = 64, .marks = "-_",
		.nullable = true,
		.help = "Each text or number among the message's attributes goes along as a header "
			"field of its name behind this; null: none does."},
	{"destinations[].request.body", OPTION_BODY, IN_DESTINATION(request.body), .nullable = true,
		.help = "Template of the body; null: the message body as it is."},
	{"destinations[].batch.max", OPTION_INT, IN_DESTINATION(batch.max), .min = 1,
		.max = 10000, .fallback = "1",
		.help = "Recipients, or with format records messages, in one request, at most; 1: "
			"no batches."},
	{"destinations[].batch.linger", OPTION_DURATION, IN_DESTINATION(batch.linger_ms), .min = 0,
		.max = 20 * SECOND, .fallback = "0s",
		.help = "How long the first message of a request waits for others while it is not "
			"full; 0s: what is there goes."},
	{"destinations[].batch.field", OPTION_NAME, IN_DESTINATION(batch.field), .min = 1,
		.max = 64, .marks = "_-", .nullable = true,
		.help = "list: the field of the JSON body with the recipient, or the list of them; "
			"in the templates, the list of those in the request."},
	{"destinations[].batch.format", OPTION_CHOICE, IN_DESTINATION(batch.format),
		.choices = "list|records", .fallback = "list",
		.help = "list: a request of the templates, for a list of recipients; records: the "
			"event that AWS Lambda gets from SQS."},
	{"destinations[].auth.type", OPTION_CHOICE, IN_DESTINATION(auth.type),
		.choices = "none|standard_webhooks|hmac|apns|google|aws", .fallback = "none",
		.help = "How a request is signed, or whose token it has."},
	{"destinations[].auth.secrets", OPTION_SECRETS, IN_DESTINATION(auth.secrets),
		.fallback = "[]", .secret = true,
		.help = "The secret to sign with, or the two while one follows the other: a "
			"signature by each goes along."},
	{"destinations[].auth.header", OPTION_NAME, IN_DESTINATION(auth.header), .min = 1,
		.max = HEADER_NAME_BYTES, .marks = "_.-", .nullable = true,
		.help = "hmac: the header field that the signature goes into."},
	{"destinations[].auth.algorithm", OPTION_CHOICE, IN_DESTINATION(auth.algorithm),
		.choices = "sha256|sha512", .fallback = "sha256",
		.help = "hmac: the hash."},
	{"destinations[].auth.encoding", OPTION_CHOICE, IN_DESTINATION(auth.encoding),
		.choices = "hex|base64", .fallback = "hex",
		.help = "hmac: how the signature is written."},
	{"destinations[].auth.prefix", OPTION_NAME, IN_DESTINATION(auth.prefix), .min = 1,
		.max = 32, .marks = "_.-=,;", .nullable = true,
		.help = "hmac: what stands before the signature, like sha256=; null: nothing."},
	{"destinations[].auth.signed", OPTION_CHOICE, IN_DESTINATION(auth.signed_parts),
		.choices = "body|timestamp.body", .fallback = "body",
		.help = "hmac: what is signed: the body, or the time of the attempt, a full stop "
			"and the body."},
	{"destinations[].auth.timestamp_header", OPTION_NAME,
		IN_DESTINATION(auth.timestamp_header), .min = 1, .max = HEADER_NAME_BYTES,
		.marks = "_.-", .nullable = true,
		.help = "hmac: the header field with the time of the attempt, in seconds since "
			"1970; null: none."},
	{"destinations[].auth.key_file", OPTION_PATH, IN_DESTINATION(auth.key_file),
		.nullable = true,
		.help = "apns: the file of the signing key, AuthKey_KEYID.p8, in PEM."},
	{"destinations[].auth.key_id", OPTION_NAME, IN_DESTINATION(auth.key_id), .min = 1,
		.max = 64, .marks = "-", .nullable = true,
		.help = "apns: the id of that key."},
	{"destinations[].auth.team_id", OPTION_NAME, IN_DESTINATION(auth.team_id), .min = 1,
		.max = 64, .marks = "-", .nullable = true,
		.help = "apns: the id of the developer team."},
	{"destinations[].auth.renew", OPTION_DURATION, IN_DESTINATION(auth.renew_ms),
		.min = 20 * MINUTE, .max = 55 * MINUTE, .fallback = "50m",
		.help = "apns: how old a token is when the next is made, one for all workers of "
			"the host."},
	{"destinations[].auth.service_account_file", OPTION_PATH,
		IN_DESTINATION(auth.service_account_file), .nullable = true,
		.help = "google: the service account's file, JSON with its private key."},
	{"destinations[].auth.scope", OPTION_TEXT, IN_DESTINATION(auth.scope), .min = 1,
		.max = 1024, .fallback = "https://www.googleapis.com/auth/firebase.messaging",
		.help = "google: what the token is for; several are parted by a blank."},
	{"destinations[].auth.service", OPTION_NAME, IN_DESTINATION(auth.service), .min = 1,
		.max = 64, .marks = "-", .nullable = true,
		.help = "aws: the service's name in signatures, like execute-api, lambda or sns."},
	{"destinations[].auth.region", OPTION_NAME, IN_DESTINATION(auth.region), .min = 1,
		.max = 63, .marks = "-", .nullable = true,
		.help = "aws: the region in signatures; null: the queue's."},
	{"destinations[].timeout", OPTION_DURATION, IN_DESTINATION(timeout_ms), .min = 100 * MS,
		.max = 10 * MINUTE, .fallback = "10s",
		.help = "How long one attempt may take, connecting included."},
	{"destinations[].connect_timeout", OPTION_DURATION, IN_DESTINATION(connect_timeout_ms),
		.min = 100 * MS, .max = 2 * MINUTE, .fallback = "5s",
		.help = "How long name look-up, TCP and TLS together may take."},
	{"destinations[].concurrency", OPTION_INT, IN_DESTINATION(concurrency), .min = 1,
		.max = 10000, .fallback = "500",
		.help = "Attempts in flight at the same time, at most, per process."},
	{"destinations[].connections", OPTION_INT, IN_DESTINATION(connections), .min = 1,
		.max = 10000, .zero_word = "auto", .fallback = "auto",
		.help = "TCP connections at the same time, at most, per process. auto: one for each "
			"attempt; over HTTP/2 as many as the streams that the provider allows ask "
			"for."},
	{"destinations[].adaptive", OPTION_BOOL, IN_DESTINATION(adaptive),
		.choices = "true|false", .fallback = "true",
		.help = "Find the concurrency that the provider takes, up to `concurrency`."},
	{"destinations[].rate", OPTION_RATE, IN_DESTINATION(rate), .min = 1, .max = 1000000000,
		.nullable = true,
		.help = "Attempts a second (N/s), minute (N/m) or hour (N/h), at most, of all "
			"workers of the host; divided by fleet_hosts. null: no limit."},
	{"destinations[].breaker.failures", OPTION_INT, IN_DESTINATION(breaker_failures), .min = 1,
		.max = 100000, .zero_word = "off", .fallback = "50",
		.help = "Failures in a row that open the breaker; off: none do."},
	{"destinations[].accept", OPTION_STATUSES, IN_DESTINATION(accept), .min = 200, .max = 599,
		.fallback = "[200-299]",
		.help = "Status codes, and ranges of them, that mean the message was accepted."},
	{"destinations[].outcomes.retry", OPTION_STATUSES, IN_DESTINATION(outcomes.retry),
		STATUS_RANGE, .fallback = "[]",
		.help = "Status codes that mean: back off, then try again."},
	{"destinations[].outcomes.throttle", OPTION_STATUSES, IN_DESTINATION(outcomes.throttle),
		STATUS_RANGE, .fallback = "[]",
		.help = "Status codes that mean the same, and that it was too much at once."},
	{"destinations[].outcomes.breaker", OPTION_STATUSES, IN_DESTINATION(outcomes.breaker),
		STATUS_RANGE, .fallback = "[]",
		.help = "Status codes that open the breaker at once."},
	{"destinations[].outcomes.permanent", OPTION_STATUSES, IN_DESTINATION(outcomes.permanent),
		STATUS_RANGE, .fallback = "[]",
		.help = "Status codes that mean the message can never be accepted."},
	{"destinations[].outcomes.quota", OPTION_STATUSES, IN_DESTINATION(outcomes.quota),
		STATUS_RANGE, .fallback = "[]",
		.help = "Status codes that open the breaker because a quota is used up."},
	{"destinations[].outcomes.unregistered", OPTION_STATUSES,
		IN_DESTINATION(outcomes.unregistered), STATUS_RANGE, .fallback = "[]",
		.help = "Status codes that mean the recipient does not exist any more."},
	{"destinations[].outcomes.ambiguous", OPTION_STATUSES, IN_DESTINATION(outcomes.ambiguous),
		STATUS_RANGE, .fallback = "[]",
		.help = "Status codes that leave open whether the message was accepted."},
	{"destinations[].outcomes.when_body[].status", OPTION_STATUSES, IN_RULE(statuses),
		STATUS_RANGE, .fallback = "[]",
		.help = "Status codes that the rule is for; none: any."},
	{"destinations[].outcomes.when_body[].path", OPTION_JSON_PATH, IN_RULE(path), .min = 1,
		.max = OPTION_JSON_PATH_MAX, .nullable = true,
		.help = "A field of the answer's JSON body; alone: that it is there."},
	{"destinations[].outcomes.when_body[].equals", OPTION_TEXT, IN_RULE(equals), .min = 0,
		.max = RULE_TEXT_BYTES, .nullable = true,
		.help = "What the field at `path` is."},
	{"destinations[].outcomes.when_body[].contains", OPTION_TEXT, IN_RULE(contains), .min = 1,
		.max = RULE_TEXT_BYTES, .nullable = true,
		.help = "What the field at `path`, or without one the body, has in it."},
	{"destinations[].outcomes.when_body[].outcome", OPTION_CHOICE, IN_RULE(outcome),
		.choices = "accept|retry|throttle|breaker|permanent|quota|unregistered|ambiguous",
		.required = true,
		.help = "What the answer means then."},
	{"destinations[].retry.max_attempts", OPTION_INT, IN_DESTINATION(retry.max_attempts),
		ATTEMPTS_RANGE, .inherits = "retry.max_attempts", .nullable = true,
		.help = "As retry.max_attempts, which null stands for."},
	{"destinations[].retry.base", OPTION_DURATION, IN_DESTINATION(retry.base_ms), BASE_RANGE,
		.inherits = "retry.base", .nullable = true,
		.help = "As retry.base, which null stands for."},
	{"destinations[].retry.cap", OPTION_DURATION, IN_DESTINATION(retry.cap_ms), CAP_RANGE,
		.inherits = "retry.cap", .nullable = true,
		.help = "As retry.cap, which null stands for; at least the base in force."},
	{"destinations[].retry.jitter", OPTION_CHOICE, IN_DESTINATION(retry.jitter), JITTERS,
		.inherits = "retry.jitter", .nullable = true,
		.help = "As retry.jitter, which null stands for."},
	{"destinations[].retry.ambiguous", OPTION_BOOL, IN_DESTINATION(retry.ambiguous),
		.choices = "true|false", .fallback = "true",
		.help = "Send again what the provider may have accepted; false: it fails for good."},
	{"destinations[].retry_after_path", OPTION_JSON_PATH, IN_DESTINATION(retry_after_path),
		.min = 1, .max = OPTION_JSON_PATH_MAX, .nullable = true,
		.help = "The field of the answer's JSON body that says in how many seconds to try "
			"again; null: only Retry-After does."},
	{"destinations[].http_version", OPTION_CHOICE, IN_DESTINATION(http_version),
		.choices = "auto|1.1|2", .fallback = "auto",
		.help = "auto: HTTP/2 where TLS offers it, else 1.1."},
	{"destinations[].trace", OPTION_CHOICE, IN_DESTINATION(trace), .choices = "pass|none",
		.fallback = "pass",
		.help = "pass: the trace context of a message goes on to the provider as header "
			"fields; none: it does not."},
	{"destinations[].ca_file", OPTION_PATH, IN_DESTINATION(ca_file), .nullable = true,
		.help = "PEM file of the authorities to trust; null: the system's."},

	{"retry.max_attempts", OPTION_INT, IN_CONFIG(retry.max_attempts), ATTEMPTS_RANGE,
		.fallback = "10",
		.help = "Receives of a message after which a failure is permanent."},
	{"retry.base", OPTION_DURATION, IN_CONFIG(retry.base_ms), BASE_RANGE, .fallback = "1s",
		.help = "Upper bound of the first back-off; it grows with each attempt."},
	{"retry.cap", OPTION_DURATION, IN_CONFIG(retry.cap_ms), CAP_RANGE, .fallback = "5m",
		.help = "Upper bound of every back-off; at least retry.base."},
	{"retry.jitter", OPTION_CHOICE, IN_CONFIG(retry.jitter), JITTERS, .fallback = "full",
		.help = "full: a back-off is random between 0 and an upper bound that doubles; "
			"decorrelated: between retry.base and three times the one before."},

	{"workers", OPTION_WORKERS, IN_CONFIG(workers), .min = 1, .max = CONFIG_WORKERS_MAX,
		.zero_word = "auto", .fallback = "auto",
		.help = "Processes that take messages, or {min: N, max: N}: as many as the backlog "
			"needs; auto: as many as there are cores."},
	{"watchdog", OPTION_DURATION, IN_CONFIG(watchdog_ms), .min = 5 * SECOND, .max = HOUR,
		.zero_word = "off", .fallback = "1m",
		.help = "How long a worker may get nothing done while there is something to do "
			"before it is killed and replaced."},
	{"instance.notices", OPTION_CHOICE, IN_CONFIG(instance.notices), .choices = "none|ec2",
		.fallback = "none",
		.help = "ec2: look for a spot interruption and for the end that the Auto Scaling "
			"group has decided on, and drain then."},
	{"instance.lifecycle_hook", OPTION_NAME, IN_CONFIG(instance.lifecycle_hook), .min = 1,
		.max = NAME_MAX_BYTES, .marks = "_/-", .nullable = true,
		.help = "The termination hook to complete once all has been drained; needs "
			"instance.notices. null: none."},
	{"instance.autoscaling_group", OPTION_NAME, IN_CONFIG(instance.autoscaling_group),
		.min = 1, .max = NAME_MAX_BYTES, .nullable = true,
		.help = "The group that the instance belongs to; null: what its tag says."},
	{"instance.protection", OPTION_CHOICE, IN_CONFIG(instance.protection),
		.choices = "none|ec2|ecs", .fallback = "none",
		.help = "Whose protection from scale-in is held while there are messages here."},

	{"fleet_hosts", OPTION_INT, IN_CONFIG(fleet_hosts), .min = 1, .max = 100000,
		.fallback = "1",
		.help = "Hosts that share every rate; each takes its part."},

	{"ledger.path", OPTION_PATH, IN_CONFIG(ledger.path), .nullable = true,
		.fallback = "/var/lib/bunshin/ledger",
		.help = "The file in which the workers of a host remember what was accepted; null: "
			"each process remembers for itself."},
	{"ledger.window", OPTION_DURATION, IN_CONFIG(ledger.window_ms), .min = SECOND,
		.max = 168 * HOUR, .fallback = "1h",
		.help = "How long it is remembered: an idempotency key accepted within it is not "
			"sent again."},
	{"ledger.size", OPTION_BYTES, IN_CONFIG(ledger.size_bytes), .min = MIB,
		.max = 16384 * MIB, .fallback = "64MiB",
		.help = "Size of a new ledger, at 32 bytes an entry."},

	{"outcomes.path", OPTION_PATH, IN_CONFIG(outcomes.path), .nullable = true,
		.help = "The directory that the outcome of every message is logged in; null: none, "
			"or with queue.results_url " CONFIG_OUTCOMES_PATH "."},
	{"outcomes.size", OPTION_BYTES, IN_CONFIG(outcomes.size_bytes), .min = MIB,
		.max = 4096 * MIB, .fallback = "16MiB",
		.help = "Size at which a file of that log is followed by the next."},
	{"outcomes.keep", OPTION_BYTES, IN_CONFIG(outcomes.keep_bytes), .min = MIB,
		.max = 16777216 * MIB, .fallback = "1GiB",
		.help = "Size of all former files of the log together; past it the oldest are "
			"deleted, first those that have been sent. At least outcomes.size."},

	{"admin.listen", OPTION_LISTEN, IN_CONFIG(admin.listen), .nullable = true,
		.fallback = "127.0.0.1:9797",
		.help = "Where /metrics, /healthz and /readyz answer, HOST:PORT or unix:PATH; "
			"null: nowhere."},
	{"admin.token", OPTION_NAME, IN_CONFIG(admin.token), .min = 16, .max = 256,
		.marks = "-._~+/=", .nullable = true, .secret = true,
		.help = "The secret that POST /control/pause and /control/resume ask for; null: "
			"nobody may."},
	{"admin.hosts", OPTION_NAMES, IN_CONFIG(admin.hosts), .fallback = "[]",
		.help = "Names by which browsers may reach the admin port, beside those that no "
			"stranger can have."},

	{"metrics.emf", OPTION_DURATION, IN_CONFIG(metrics.emf_ms), .min = 10 * SECOND,
		.max = HOUR, .zero_word = "off", .fallback = "off",
		.help = "How often one line of CloudWatch embedded metrics is logged."},
	{"metrics.namespace", OPTION_NAME, IN_CONFIG(metrics.namespace), .min = 1,
		.max = NAME_MAX_BYTES, .marks = "_./#:-", .fallback = "Bunshin",
		.help = "The CloudWatch namespace of those metrics."},

	{"log.level", OPTION_CHOICE, IN_CONFIG(log.level), .choices = "debug|info|warn|error",
		.fallback = "info",
		.help = "The least level that is logged."},
	{"log.format", OPTION_CHOICE, IN_CONFIG(log.format), .choices = "auto|text|json",
		.fallback = "auto",
		.help = "auto: text on a terminal, entries with fields where stderr is systemd's "
			"journal, one JSON object a line otherwise."},

	{"tracing.endpoint", OPTION_BASE_URL, IN_CONFIG(tracing.endpoint), .nullable = true,
		.help = "Where a collector takes OTLP over HTTP, /v1/traces is appended; null: no "
			"spans are made."},
	{"tracing.headers", OPTION_PAIRS, IN_CONFIG(tracing.headers), .secret = true,
		.fallback = "{}",
		.help = "Header fields of the requests to the collector, by name; their values are "
			"secrets."},
	{"tracing.sample", OPTION_SHARE, IN_CONFIG(tracing.sample), .min = 0, .max = 1000000,
		.fallback = "0.01",
		.help = "The share of messages that get a span, of those whose own trace context "
			"does not decide it."},
	{"tracing.service_name", OPTION_TEXT, IN_CONFIG(tracing.service_name), .min = 1, .max = 255,
		.fallback = "bunshin",
		.help = "What the spans call the service."},
	{"tracing.resource", OPTION_PAIRS, IN_CONFIG(tracing.resource), .fallback = "{}",
		.help = "Further attributes of the spans' resource, by name."},
	{"tracing.batch", OPTION_INT, IN_CONFIG(tracing.batch), .min = 1, .max = 10000,
		.fallback = "512",
		.help = "Spans in one request, at most."},
	{"tracing.interval", OPTION_DURATION, IN_CONFIG(tracing.interval_ms), .min = 100 * MS,
		.max = 10 * MINUTE, .fallback = "5s",
		.help = "How long a span waits for its request to be full, at most."},
	{"tracing.queue", OPTION_BYTES, IN_CONFIG(tracing.queue_bytes), .min = 64 * 1024,
		.max = 1024 * MIB, .fallback = "4MiB",
		.help = "Spans that wait to be sent, at most, of each process; what comes when it "
			"is full is dropped."},
	{"tracing.timeout", OPTION_DURATION, IN_CONFIG(tracing.timeout_ms), .min = 100 * MS,
		.max = MINUTE, .fallback = "10s",
		.help = "How long one request to the collector may take."},

	{"drain.grace", OPTION_DURATION, IN_CONFIG(drain.grace_ms), .min = 0, .max = HOUR,
		.fallback = "30s",
		.help = "How long a stop waits for the attempts in flight."},
};
/* clang-format on */

const size_t option_count = sizeof(options) / sizeof(options[0]);

const struct option *option_find(const char *path)
{
	for (size_t i = 0; i < option_count; i++)
		if (strcmp(options[i].path, path) == 0)
			return &options[i];
	return NULL;
}

bool option_is_section(const char *path)
{
	size_t len = strlen(path);

	for (size_t i = 0; len > 0 && i < option_count; i++)
		if (strncmp(options[i].path, path, len) == 0 && options[i].path[len] == '.')
			return true;
	return false;
}

static const char *const prefixes[] = {
	[OPTION_IN_CONFIG] = "",
	[OPTION_IN_DESTINATION] = "destinations[].",
	[OPTION_IN_RULE] = "destinations[].outcomes.when_body[].",
};

enum option_place option_place(const struct option *option)
{
	enum option_place place = OPTION_IN_RULE;

	while (strncmp(option->path, prefixes[place], strlen(prefixes[place])) != 0)
		place--;
	return place;
}

const char *option_prefix(enum option_place place)
{
	return prefixes[place];
}
