/*
 * Any file is refused with readable lines, or is a configuration that keeps what config.h promises
 * and survives being printed and read back.
 */
#include "fuzz.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/utf8.h"
#include "bunshin/error.h"
#include "config/config.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define OUTPUT_MAX ((size_t)16 << 20)

static const char *fake_getenv(void *arg, const char *name)
{
	(void)arg;
	if (strcmp(name, "A") == 0)
		return "a \"b\" {{c}} $${d}\n- e: #";
	return strcmp(name, "N") == 0 ? "20s" : NULL;
}

static const struct config_environment environment = {.getenv = fake_getenv};

/* A file in memory, and its path. */
static int memory_file(const char *bytes, size_t len, char path[32])
{
	int fd = memfd_create("config", MFD_CLOEXEC);

	FUZZ_CHECK(fd >= 0);
	FUZZ_CHECK(write(fd, bytes, len) == (ssize_t)len);
	snprintf(path, 32, "/proc/self/fd/%d", fd);
	return fd;
}

static int load(const char *bytes, size_t len, struct config **ret_config, struct buf *errors)
{
	char path[32];
	int fd = memory_file(bytes, len, path);
	int err = config_load(path, &environment, NULL, 0, ret_config, errors);

	close(fd);
	return err;
}

static void check_errors(const struct buf *errors)
{
	FUZZ_CHECK(errors->len > 0 && errors->data[errors->len - 1] == '\n');
	FUZZ_CHECK(utf8_is_valid(errors->data, errors->len));
	for (const char *line = errors->data; *line != '\0'; line = strchr(line, '\n') + 1) {
		FUZZ_CHECK(strncmp(line, "/proc/self/fd/", 14) == 0);
		for (const char *c = line; *c != '\n'; c++)
			FUZZ_CHECK((unsigned char)*c >= ' ' && *c != 0x7f);
	}
}

static void check_set(const struct config_status_set *set, size_t used[600])
{
	size_t mine[600] = {0};

	FUZZ_CHECK(set->count <= CONFIG_STATUSES_MAX);
	for (size_t i = 0; i < set->count; i++) {
		FUZZ_CHECK(set->ranges[i].first >= 100 && set->ranges[i].last <= 599);
		FUZZ_CHECK(set->ranges[i].first <= set->ranges[i].last);
		for (int status = set->ranges[i].first; status <= set->ranges[i].last; status++)
			mine[status] = 1;
	}
	for (size_t status = 0; status < 600; status++)
		used[status] += mine[status];
}

static void check_rule(const struct config_rule *rule)
{
	size_t used[600] = {0};

	check_set(&rule->statuses, used);
	FUZZ_CHECK(rule->path != NULL || rule->contains != NULL);
	FUZZ_CHECK(rule->equals == NULL || (rule->path != NULL && rule->contains == NULL));
	FUZZ_CHECK(rule->contains == NULL || rule->contains[0] != '\0');
	FUZZ_CHECK(rule->outcome <= CONFIG_OUTCOME_PERMANENT);
}

static void check_destination(const struct config_destination *d)
{
	const struct config_status_set *sets[] = {&d->accept, &d->outcomes.retry,
		&d->outcomes.throttle, &d->outcomes.breaker, &d->outcomes.permanent};
	size_t used[600] = {0};

	FUZZ_CHECK(d->accept.count >= 1);
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
		check_set(sets[i], used);
	for (size_t status = 0; status < 600; status++)
		FUZZ_CHECK(used[status] <= 1);
	FUZZ_CHECK(d->outcomes.rule_count <= CONFIG_RULES_MAX);
	for (size_t i = 0; i < d->outcomes.rule_count; i++)
		check_rule(&d->outcomes.rules[i]);
	FUZZ_CHECK(d->when_count <= CONFIG_CONDITIONS_MAX);
	for (size_t i = 0; i < d->when_count; i++) {
		FUZZ_CHECK(d->when[i].path[0] != '\0');
		FUZZ_CHECK(d->when[i].value_count >= 1);
		FUZZ_CHECK(d->when[i].value_count <= CONFIG_CONDITION_VALUES_MAX);
	}
	FUZZ_CHECK(d->rate.count == 0 || (d->rate.count > 0 && d->rate.per_ms >= 1000));
	FUZZ_CHECK(d->retry.max_attempts >= 1 && d->retry.base_ms >= 100);
	FUZZ_CHECK(d->retry.base_ms <= d->retry.cap_ms);
	FUZZ_CHECK(d->retry.jitter <= CONFIG_JITTER_DECORRELATED);
}

static void check_processes(const struct config *config)
{
	const struct config_workers *workers = &config->workers;
	bool is_auto = workers->min == 0 && workers->max == 0;

	FUZZ_CHECK(is_auto || (workers->min >= 1 && workers->min <= workers->max));
	FUZZ_CHECK(workers->max <= CONFIG_WORKERS_MAX);
	FUZZ_CHECK(config->watchdog_ms == 0 || config->watchdog_ms >= 5000);
	FUZZ_CHECK(config->metrics.emf_ms == 0 || config->metrics.emf_ms >= 10000);
	FUZZ_CHECK(config->metrics.namespace != NULL);
	FUZZ_CHECK(config->instance.lifecycle_hook == NULL ||
		   config->instance.notices == CONFIG_NOTICES_EC2);
	FUZZ_CHECK(config->admin.listen == NULL || strlen(config->admin.listen) > 2);
}

static void check_round_trip(const struct config *config)
{
	struct buf first = BUF_INIT(OUTPUT_MAX), second = BUF_INIT(OUTPUT_MAX),
		   errors = BUF_INIT(OUTPUT_MAX);
	struct config *again = NULL;

	FUZZ_CHECK(config_print(config, &first) == 0);
	if (first.len <= CONFIG_FILE_MAX_BYTES) {
		FUZZ_CHECK(load(first.data, first.len, &again, &errors) == 0);
		FUZZ_CHECK(config_print(again, &second) == 0);
		FUZZ_CHECK(strcmp(first.data, second.data) == 0);
	}
	config_free(again);
	buf_free(&first);
	buf_free(&second);
	buf_free(&errors);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf errors = BUF_INIT(OUTPUT_MAX);
	struct config *config = NULL;
	int err;

	/* What happens must not depend on this machine's files. */
	if (memmem(data, size, "${file", 6) != NULL)
		return 0;
	err = load((const char *)data, size, &config, &errors);
	FUZZ_CHECK(err == 0 || err == ERR_CONFIG);
	for (size_t i = 0; err == 0 && i < config->destination_count; i++)
		check_destination(&config->destinations[i]);
	if (err == 0) {
		check_processes(config);
		check_round_trip(config);
	} else {
		check_errors(&errors);
	}
	config_free(config);
	buf_free(&errors);
	log_clear_secrets();
	return 0;
}
