/*
 * The configuration: one YAML file, read through the one option table (config/options.h).
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "base/buf.h"
#include "base/log.h"
#include "config/address_range.h"
#include "config/host_rule.h"
#include "config/template.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_DEFAULT_PATH "/etc/bunshin/bunshin.yaml"
#define CONFIG_OUTCOMES_PATH "/var/lib/bunshin/outcomes" /* where it must be somewhere */
#define CONFIG_FILE_MAX_BYTES ((size_t)1 << 20)
#define CONFIG_DESTINATIONS_MAX 64
#define CONFIG_HEADERS_MAX 64
#define CONFIG_STATUSES_MAX 64	       /* ranges of one set */
#define CONFIG_RULES_MAX 64	       /* of one destination */
#define CONFIG_CONDITIONS_MAX 16       /* of one destination */
#define CONFIG_CONDITION_VALUES_MAX 64 /* of one condition */
#define CONFIG_PAIRS_MAX 32
#define CONFIG_SECRETS_MAX 2
#define CONFIG_NAMES_MAX 32
#define CONFIG_ALLOWED_MAX 256	/* hosts, and addresses, of one destination */
#define CONFIG_WORKERS_MAX 1000 /* processes */

struct jwt_key;	       /* signing/jwt.h */
struct google_account; /* signing/google.h */

struct config_status_range {
	int first, last; /* 100-599, both included */
};

struct config_status_set {
	struct config_status_range *ranges;
	size_t count;
};

struct config_header {
	char *name; /* a token of RFC 9110 */
	struct template *value;
	bool secret; /* hidden in print-outs: Authorization, Cookie, *-Key, *-Token, or
			${credential:} */
};

enum config_http_version { CONFIG_HTTP_AUTO, CONFIG_HTTP_1_1, CONFIG_HTTP_2 };

enum config_unwrap { CONFIG_UNWRAP_NONE, CONFIG_UNWRAP_SNS };

/* Whose notices of an instance's end are watched for, and who is told that it is busy. */
enum config_notices { CONFIG_NOTICES_NONE, CONFIG_NOTICES_EC2 };
enum config_protection { CONFIG_PROTECTION_NONE, CONFIG_PROTECTION_EC2, CONFIG_PROTECTION_ECS };

/* What a provider is told of the trace that a message belongs to. */
enum config_trace { CONFIG_TRACE_PASS, CONFIG_TRACE_NONE };

/* How a request proves whose it is. */
enum config_auth_type {
	CONFIG_AUTH_NONE,
	CONFIG_AUTH_STANDARD_WEBHOOKS,
	CONFIG_AUTH_HMAC,
	CONFIG_AUTH_APNS,
	CONFIG_AUTH_GOOGLE,
	CONFIG_AUTH_AWS,
};
const char *config_auth_type_name(enum config_auth_type type); /* as it is configured; static */
enum config_auth_algorithm { CONFIG_AUTH_SHA256, CONFIG_AUTH_SHA512 };
enum config_auth_encoding { CONFIG_AUTH_HEX, CONFIG_AUTH_BASE64 };
enum config_auth_signed { CONFIG_AUTH_BODY, CONFIG_AUTH_TIMESTAMP_BODY };

enum config_jitter { CONFIG_JITTER_FULL, CONFIG_JITTER_DECORRELATED };

enum config_outcome {
	CONFIG_OUTCOME_ACCEPT,
	CONFIG_OUTCOME_RETRY,
	CONFIG_OUTCOME_THROTTLE,
	CONFIG_OUTCOME_BREAKER,
	CONFIG_OUTCOME_PERMANENT,
	CONFIG_OUTCOME_QUOTA,
	CONFIG_OUTCOME_UNREGISTERED,
	CONFIG_OUTCOME_AMBIGUOUS,
};

/* A look into an answer's body: path, contains or both are given; equals only with a path. */
struct config_rule {
	struct config_status_set statuses; /* count 0: any */
	char *path, *equals, *contains;	   /* NULL: not given */
	enum config_outcome outcome;
};

/* The field of the message's JSON body at `path` is one of these, compared as it is written. */
struct config_condition {
	char *path;
	char **values;
	size_t value_count; /* at least 1 */
};

struct config_pair {
	char *name, *value;
};

struct config_pairs {
	struct config_pair *rows;
	size_t count;
};

struct config_names {
	char **rows;
	size_t count;
};

struct config_hosts {
	struct host_rule *rows;
	size_t count;
};

struct config_addresses {
	struct address_range *rows;
	size_t count;
};

struct config_secrets {
	char *rows[CONFIG_SECRETS_MAX]; /* wiped when they are freed */
	size_t count;
};

struct config_auth {
	enum config_auth_type type;
	struct config_secrets secrets; /* the first signs first */
	char *header;		       /* of hmac: where the signature stands */
	enum config_auth_algorithm algorithm;
	enum config_auth_encoding encoding;
	char *prefix; /* NULL: none */
	enum config_auth_signed signed_parts;
	char *timestamp_header;		   /* NULL: none */
	char *key_file, *key_id, *team_id; /* of apns */
	int64_t renew_ms;
	char *service_account_file, *scope; /* of google */
	char *service, *region;		    /* of aws; region NULL: the queue's */
	struct google_account *account;	    /* of that file; NULL as `key` */
	struct jwt_key *key; /* of key_file; NULL: who loads has none of the secrets */
};

struct config_rate {
	int64_t count; /* 0: no limit */
	int64_t per_ms;
};

struct config_workers {
	int64_t min, max; /* processes; both 0: auto, as many as there are cores */
};

enum config_batch_format { CONFIG_BATCH_LIST, CONFIG_BATCH_RECORDS };

struct config_destination {
	char *name;
	struct config_condition *when; /* all of them; none: every message */
	size_t when_count;
	struct {
		char *method;
		struct template *url; /* its host is fixed when there are no allow_hosts */
		struct config_hosts allow_hosts; /* none: no message chooses the host */
		struct config_addresses allow_addresses;
		struct config_header *headers;
		size_t header_count;
		char *attribute_headers; /* before the names of attributes; NULL: they stay here */
		struct template *body;	 /* NULL: the message body as it is */
	} request;
	struct {
		int64_t max;	   /* recipients, or messages, of one request; 1: no batches */
		int64_t linger_ms; /* how long the first message waits for others */
		char *field;	   /* of the body: the recipient, or the list of them; list alone */
		enum config_batch_format format;
	} batch;
	struct config_auth auth;
	int64_t timeout_ms;
	int64_t connect_timeout_ms;
	int64_t concurrency;	  /* attempts in flight at most, per process */
	int64_t connections;	  /* TCP connections at most, per process; 0: as many as needed */
	bool adaptive;		  /* find the concurrency that the provider takes, up to that one */
	struct config_rate rate;  /* of this host, before it is divided by fleet_hosts */
	int64_t breaker_failures; /* in a row, that open the breaker; 0: failures never do */
	struct config_status_set accept;
	/* What is changed in the outcome table; no status is in two of the sets, accept included.
	 */
	struct {
		struct config_status_set retry, throttle, breaker, permanent;
		struct config_status_set quota, unregistered, ambiguous;
		struct config_rule *rules; /* the first that fits decides, before the sets */
		size_t rule_count;
	} outcomes;
	/* After config_load() in force: what the destination does not set is config.retry's. */
	struct {
		int64_t max_attempts;
		int64_t base_ms;
		int64_t cap_ms;
		enum config_jitter jitter;
		bool ambiguous; /* what may have been accepted is sent again */
	} retry;
	char *retry_after_path; /* in the answer's JSON body; NULL: none */
	enum config_http_version http_version;
	char *ca_file; /* NULL: the system's */
	enum config_trace trace;
};

struct config {
	char *path; /* where it was read from; NULL: defaults only */
	struct {
		char *url; /* NULL: not set */
		char *endpoint;
		char *failure_url;
		char *results_url; /* NULL: none */
		int64_t receivers; /* 0: auto */
		int64_t wait_ms;
		int64_t visibility_ms; /* 0: the queue's own */
		int64_t held_bytes;
		enum config_unwrap unwrap;
		bool allow_insecure_endpoint;
	} queue;
	struct config_destination *destinations;
	size_t destination_count;
	struct {
		int64_t max_attempts;
		int64_t base_ms;
		int64_t cap_ms;
		enum config_jitter jitter;
	} retry;
	struct config_workers workers;
	int64_t watchdog_ms; /* 0: off */
	struct {
		enum config_notices notices;
		char *lifecycle_hook;	 /* NULL: none to complete; only with notices */
		char *autoscaling_group; /* NULL: the instance's tag says */
		enum config_protection protection;
	} instance;
	int64_t fleet_hosts; /* hosts that share every rate */
	struct {
		char *path; /* NULL: no ledger */
		int64_t window_ms;
		int64_t size_bytes;
	} ledger;
	struct {
		char *path; /* a directory; NULL: none, and then no results_url */
		int64_t size_bytes, keep_bytes;
	} outcomes;
	struct {
		char *listen;		   /* NULL: no admin port */
		char *token;		   /* secret; NULL: nothing can be changed over it */
		struct config_names hosts; /* by which browsers may reach it */
	} admin;
	struct {
		int64_t emf_ms; /* how often a line of embedded metrics is logged; 0: never */
		char *namespace;
	} metrics;
	struct {
		enum log_level level;
		enum log_format format;
	} log;
	struct {
		char *endpoint; /* base URL of the collector; NULL: no span is made */
		struct config_pairs headers;
		int64_t sample; /* millionths */
		char *service_name;
		struct config_pairs resource;
		int64_t batch;	     /* spans of a request */
		int64_t interval_ms; /* from a batch's first span to its request */
		int64_t queue_bytes;
		int64_t timeout_ms;
	} tracing;
	struct {
		int64_t grace_ms;
	} drain;
	/* Private: what config_print() writes for the fields that hold a secret. */
	struct config_shown *shown;
	size_t shown_count;
};

/* Where ${NAME}, ${file:} and ${credential:} come from; injected so that tests need no process. */
struct config_environment {
	const char *(*getenv)(void *arg, const char *name); /* NULL: not set */
	void *arg;
	/*
	 * Stands for every ${...} that cannot be had here, for who wants to know what a
	 * configuration says and has none of its secrets. NULL: that is an error.
	 */
	const char *missing;
};
extern const struct config_environment config_process_environment;

/* What the command line sets over the file: key "queue.url", value, and "--queue-url" for errors.
 */
struct config_override {
	const char *key, *value, *origin;
};

/*
 * Reads, substitutes, checks. path NULL: no file, defaults and overrides only. Every secret value
 * met on the way (${file:}, ${credential:}, secret headers) is registered with log_add_secret().
 *
 * 0; ERR_NOMEM; ERR_ARGUMENT (an override of no such key); ERR_IO (cannot be read: `errors` says
 * why); or ERR_CONFIG with one line an error in `errors`, all of them (the first 100), each ended
 * by a newline, in the form
 *   FILE:LINE:COLUMN: queue.wait: expected a duration from 0s to 20s (like 20s), got "20"
 */
int config_load(const char *path, const struct config_environment *environment,
	const struct config_override *overrides, size_t override_count, struct config **ret_config,
	struct buf *errors);
void config_free(struct config *config);

/* The effective configuration as YAML that config_load() reads back, secrets as "[hidden]". */
int config_print(const struct config *config, struct buf *out);

/* By name; NULL: no such destination. */
const struct config_destination *config_find_destination(
	const struct config *config, const char *name);

#endif
