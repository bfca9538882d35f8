/* What the workers of one host share: opened, shared, replaced when damaged, done without. */
#include "base/log.h"
#include "base/manual_clock.h"
#include "bunshin/error.h"
#include "cli/run/host.h"
#include "cli/run/ledger_survey.h"
#include "config/options.h"
#include "failmalloc.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define SIZE (1 << 16)
#define SLOTS_BYTES ((int64_t)LEDGER_SURVEY_SLOTS * LEDGER_SLOT_BYTES)

static char directory[] = "/tmp/bunshin-host-XXXXXX";
static char path[64], rates_path[64], bad_path[64];
static char made[sizeof(directory)];
static FILE *log_file;
static struct manual_clock clock_of_log;
static struct clock table;
static struct buf error;
static int64_t now_ms; /* the real one: so the count at the opening has it */

static struct config_destination destinations[] = {
	{.rate = {.count = 0}}, {.rate = {.count = 100, .per_ms = 1000}}};
static struct config config = {.destinations = destinations, .fleet_hosts = 1};

static int set_up(void **state)
{
	static char first[] = "first", second[] = "second";
	struct timespec now;

	strcpy(made, directory);
	if (!mkdtemp(made))
		return 1;
	snprintf(path, sizeof(path), "%s/ledger", made);
	snprintf(rates_path, sizeof(rates_path), "%s/ledger.rates", made);
	snprintf(bad_path, sizeof(bad_path), "%s/ledger.bad", made);
	destinations[0].name = first;
	destinations[1].name = second;
	config.destination_count = 2;
	config.fleet_hosts = 1;
	config.ledger.path = path;
	config.ledger.window_ms = 3600000;
	config.ledger.size_bytes = SIZE;
	clock_gettime(CLOCK_REALTIME, &now);
	now_ms = (int64_t)now.tv_sec * 1000;
	error = (struct buf)BUF_INIT(4096);
	log_file = tmpfile();
	manual_clock_init(&clock_of_log, 1, now_ms);
	table = manual_clock_table(&clock_of_log);
	log_configure(LOG_LEVEL_INFO, LOG_FORMAT_JSON, fileno(log_file), &table);
	return log_file == NULL;
}

static int tear_down(void **state)
{
	DIR *dir = opendir(made);
	const struct dirent *entry;

	log_configure(LOG_LEVEL_INFO, LOG_FORMAT_AUTO, 2, NULL);
	manual_clock_free(&clock_of_log);
	fclose(log_file);
	while (dir && (entry = readdir(dir))) {
		unlinkat(dirfd(dir), entry->d_name, 0);
		unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR);
	}
	if (dir)
		closedir(dir);
	rmdir(made);
	buf_free(&error);
	return 0;
}

/* What was logged since the test began. */
static const char *logged(void)
{
	static char text_of_log[16384];
	ssize_t n = pread(fileno(log_file), text_of_log, sizeof(text_of_log) - 1, 0);

	assert_true(n >= 0);
	text_of_log[n] = '\0';
	return text_of_log;
}

static size_t lines_logged(void)
{
	size_t n = 0;

	for (const char *at = logged(); *at; at++)
		n += *at == '\n';
	return n;
}

static bool exists(const char *name)
{
	struct stat status;

	return stat(name, &status) == 0;
}

static void write_file(const char *name, const char *bytes, size_t count)
{
	FILE *file = fopen(name, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, count, file), count);
	fclose(file);
}

static void open_fine(struct host *host)
{
	*host = (struct host){0};
	assert_int_equal(host_open(host, &config, NULL, &error), 0);
	assert_int_equal(error.len, 0);
	assert_non_null(host->ledger.table);
	assert_int_equal(host->ledger.window_ms, 3600000);
}

static void expect_closed(const struct host *host)
{
	static const struct host closed;

	assert_memory_equal(host, &closed, sizeof(closed));
}

static enum ledger_answer claim(struct host *host, const char *key, struct ledger_claim *ret)
{
	int64_t until_ms;

	return ledger_claim(&host->ledger, ledger_key_of(&host->ledger, "first", key), now_ms,
		now_ms + 1000, ret, &until_ms);
}

/* ---- files */

static void the_files(void **state)
{
	struct host host;

	open_fine(&host);
	assert_true(exists(path) && exists(rates_path));
	assert_false(exists(bad_path));
	assert_int_equal(host.ledger_file.bytes, SIZE);
	assert_int_equal(host.rate_file.bytes, RATE_FILE_BYTES);
	assert_int_equal(lines_logged(), 1);
	assert_non_null(strstr(logged(), path));
	assert_non_null(strstr(logged(), "\"keys\":0"));
	host_close(&host);
	expect_closed(&host);
	host_close(&host);
	/* They stay. */
	assert_true(exists(path) && exists(rates_path));
}

/* Where no destination has a rate, control may still set one. */
static void a_rate_that_control_sets_is_shared(void **state)
{
	struct host a, b;
	struct rate rate = {.interval_ns = 1};
	struct rate_cell *first, *second;
	uint64_t wait_us;

	config.destination_count = 1;
	open_fine(&a);
	open_fine(&b);
	assert_true(exists(path) && exists(rates_path));
	assert_int_equal(host_rate(&a, &config, &destinations[0], &rate), 0);
	assert_null(rate.cell);
	first = host_control_cell(&a, &destinations[0]);
	second = host_control_cell(&b, &destinations[0]);
	assert_non_null(first);
	assert_non_null(second);
	rate = rate_make(first, 1, 1000, 1);
	assert_true(rate_take(&rate, 1000000, &wait_us));
	rate = rate_make(second, 1, 1000, 1);
	assert_false(rate_take(&rate, 1000000, &wait_us));
	/* Another destination's is another, and so is the destination's own. */
	assert_ptr_not_equal(first, host_control_cell(&a, &destinations[1]));
	assert_ptr_not_equal(first, rate_cell_of(a.rate_file.memory, a.rate_file.bytes, "first"));
	host_close(&a);
	host_close(&b);
}

/* Two workers: what one has claimed the other finds claimed; a token is taken once. */
static void two_share_all(void **state)
{
	struct host a, b;
	struct ledger_claim of_a = {0}, of_b = {0};
	struct rate rate_a, rate_b;
	uint64_t wait_us, taken = 0;

	open_fine(&a);
	open_fine(&b);
	assert_int_equal(claim(&a, "k", &of_a), LEDGER_CLAIMED);
	assert_int_equal(claim(&b, "k", &of_b), LEDGER_BUSY);
	ledger_accept(&a.ledger, ledger_key_of(&a.ledger, "first", "k"), of_a, now_ms);
	assert_int_equal(claim(&b, "k", &of_b), LEDGER_ACCEPTED);
	assert_int_equal(host_rate(&a, &config, &destinations[1], &rate_a), 0);
	assert_int_equal(host_rate(&b, &config, &destinations[1], &rate_b), 0);
	assert_int_equal(rate_a.interval_ns, 10000000);
	/* One, and five at once when it is 50 ms later, whoever takes them. */
	assert_true(rate_take(&rate_a, 1000000, &wait_us));
	assert_false(rate_take(&rate_b, 1000000, &wait_us));
	while (rate_take(taken % 2 ? &rate_a : &rate_b, 1050000, &wait_us))
		taken++;
	assert_int_equal(taken, 5);
	assert_int_equal(rate_take(&rate_a, 1050000, &wait_us), false);
	assert_int_equal(wait_us, 10000);
	assert_int_equal(rate_take(&rate_b, 1050000, &wait_us), false);
	host_close(&a);
	/* One's end is not the other's. */
	assert_int_equal(claim(&b, "k", &of_b), LEDGER_ACCEPTED);
	host_close(&b);
}

/* What was accepted is known after all of them have gone. */
static void it_survives_them(void **state)
{
	struct host host;
	struct ledger_claim of = {0};

	open_fine(&host);
	claim(&host, "k", &of);
	ledger_accept(&host.ledger, ledger_key_of(&host.ledger, "first", "k"), of, now_ms);
	host_close(&host);
	open_fine(&host);
	assert_int_equal(claim(&host, "k", &of), LEDGER_ACCEPTED);
	host_close(&host);
}

/* ---- memory of this process alone */

static void without_a_path(void **state)
{
	struct host a, b;
	struct ledger_claim of_a, of_b;
	struct rate rate;

	config.ledger.path = NULL;
	open_fine(&a);
	open_fine(&b);
	assert_false(exists(path) || exists(rates_path));
	assert_int_equal(lines_logged(), 0);
	assert_int_equal(claim(&a, "k", &of_a), LEDGER_CLAIMED);
	assert_int_equal(claim(&b, "k", &of_b), LEDGER_CLAIMED);
	assert_int_equal(host_rate(&a, &config, &destinations[1], &rate), 0);
	assert_non_null(rate.cell);
	host_close(&a);
	host_close(&b);
}

/* As on a machine where it cannot be opened, whatever is there on this one. */
static int open_without_descriptors(struct host *host)
{
	struct rlimit before, none;
	int lowest = dup(0), err;

	assert_true(lowest >= 0);
	close(lowest);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = (rlim_t)lowest;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	err = host_open(host, &config, NULL, &error);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	return err;
}

static void the_default_cannot_be_opened(void **state)
{
	char fallback[64];
	struct host host = {0};
	struct ledger_claim of;
	struct rate rate;

	snprintf(fallback, sizeof(fallback), "%s", option_find("ledger.path")->fallback);
	config.ledger.path = fallback;
	assert_int_equal(open_without_descriptors(&host), 0);
	assert_int_equal(error.len, 0);
	assert_int_equal(lines_logged(), 1);
	assert_non_null(strstr(logged(), "\"warn"));
	assert_non_null(strstr(logged(), "no ledger on disk"));
	assert_non_null(strstr(logged(), fallback));
	assert_int_equal(claim(&host, "k", &of), LEDGER_CLAIMED);
	assert_int_equal(host_rate(&host, &config, &destinations[1], &rate), 0);
	assert_non_null(rate.cell);
	host_close(&host);
}

/* One of its own that cannot be opened is an error, and says which and why. */
static void its_own_cannot_be_opened(void **state)
{
	char missing[96];
	struct host host = {0};

	snprintf(missing, sizeof(missing), "%s/none/ledger", made);
	config.ledger.path = missing;
	assert_int_equal(host_open(&host, &config, NULL, &error), ERR_IO);
	expect_closed(&host);
	assert_non_null(strstr(buf_string(&error), missing));
	assert_non_null(strstr(buf_string(&error), "No such file or directory"));
	assert_int_equal(lines_logged(), 0);
	buf_clear(&error);
	config.ledger.path = path;
	assert_int_equal(open_without_descriptors(&host), ERR_IO);
	expect_closed(&host);
	assert_non_null(strstr(buf_string(&error), "Too many open files"));
	assert_int_equal(lines_logged(), 0);
}

/* The ledger can be opened, the rates beside it cannot. */
static void its_rates_cannot_be_opened(void **state)
{
	struct host host = {0};

	assert_int_equal(mkdir(rates_path, 0700), 0);
	assert_int_equal(host_open(&host, &config, NULL, &error), ERR_IO);
	expect_closed(&host);
	assert_non_null(strstr(buf_string(&error), rates_path));
	assert_int_equal(lines_logged(), 0);
}

/* Smaller than any table: said in a sentence, though no file is at fault. */
static void an_impossible_size(void **state)
{
	struct host host = {0};

	config.ledger.size_bytes = LEDGER_BYTES_MIN - 1;
	assert_int_equal(host_open(&host, &config, NULL, &error), ERR_ARGUMENT);
	expect_closed(&host);
	assert_true(error.len > 0);
	buf_clear(&error);
	config.ledger.size_bytes = SIZE;
	config.ledger.window_ms = 0;
	assert_int_equal(host_open(&host, &config, NULL, &error), ERR_ARGUMENT);
	expect_closed(&host);
	assert_string_equal(buf_string(&error), error_message(ERR_ARGUMENT));
}

/* ---- damage */

static void a_damaged_ledger(void **state)
{
	struct host host;
	struct ledger_claim of;

	write_file(path, "not a ledger at all", 19);
	open_fine(&host);
	assert_true(exists(bad_path));
	assert_true(host.ledger_file.replaced);
	assert_int_equal(claim(&host, "k", &of), LEDGER_CLAIMED);
	assert_int_equal(lines_logged(), 2); /* and that it is open */
	assert_non_null(strstr(logged(), "\"error"));
	assert_non_null(strstr(logged(), "moved aside"));
	assert_non_null(strstr(logged(), path));
	host_close(&host);
	/* Once is enough. */
	open_fine(&host);
	assert_false(host.ledger_file.replaced);
	assert_int_equal(lines_logged(), 2);
	host_close(&host);
}

static void damaged_rates(void **state)
{
	char bad_rates[96];
	struct host host;
	struct rate rate;

	snprintf(bad_rates, sizeof(bad_rates), "%s.bad", rates_path);
	write_file(rates_path, "x", 1);
	open_fine(&host);
	assert_true(exists(bad_rates));
	assert_false(exists(bad_path));
	assert_int_equal(lines_logged(), 2);
	assert_non_null(strstr(logged(), rates_path));
	assert_int_equal(host_rate(&host, &config, &destinations[1], &rate), 0);
	host_close(&host);
}

/* Counts what is in the ledger, as the monitor does; how many pieces it took. */
static unsigned survey(const struct host *host)
{
	struct clock clock = manual_clock_table(&clock_of_log);
	struct ledger_survey survey;
	unsigned pieces = 0;

	ledger_survey_start(&survey, clock, &host->ledger, path);
	while (clock_timer_is_set(&survey.timer)) {
		assert_int_equal(survey.timer.due_us, clock_monotonic_us(clock) + LEDGER_SURVEY_US);
		manual_clock_advance(&clock_of_log, LEDGER_SURVEY_US);
		pieces++;
	}
	return pieces;
}

/* One that was there is counted after the start, however large it is in pieces of one size. */
static void a_survey_in_pieces(void **state)
{
	struct host host;
	struct ledger_claim of = {0};
	struct ledger_survey stopped = {0};
	size_t lines;

	config.ledger.size_bytes = LEDGER_HEADER_BYTES + 3 * SLOTS_BYTES;
	open_fine(&host);
	assert_non_null(strstr(logged(), "\"keys\":0,\"room\":24576,\"in_flight\":0"));
	claim(&host, "claimed", &of);
	claim(&host, "accepted", &of);
	ledger_accept(&host.ledger, ledger_key_of(&host.ledger, "first", "accepted"), of, now_ms);
	host_close(&host);
	lines = lines_logged();
	open_fine(&host);
	assert_int_equal(lines_logged(), lines);
	ledger_survey_stop(&stopped);
	ledger_survey_start(
		&stopped, manual_clock_table(&clock_of_log), &host.ledger, "never told");
	ledger_survey_stop(&stopped);
	assert_int_equal(survey(&host), 3);
	assert_int_equal(lines_logged(), lines + 1);
	assert_non_null(strstr(logged(), "\"keys\":1,\"room\":24576,\"in_flight\":1"));
	assert_null(strstr(logged(), "never told"));
	host_close(&host);
}

/* Slots whose check word is wrong are told, and no more than that. */
static void damaged_entries(void **state)
{
	struct host host;
	struct ledger_claim of = {0};
	unsigned char *slots;
	size_t damaged = 0;

	open_fine(&host);
	claim(&host, "k", &of);
	ledger_accept(&host.ledger, ledger_key_of(&host.ledger, "first", "k"), of, now_ms);
	slots = (unsigned char *)host.ledger_file.memory + LEDGER_HEADER_BYTES;
	/* The key of the one slot that is used. */
	for (size_t at = 0; at < SIZE - LEDGER_HEADER_BYTES && !damaged; at++)
		if (slots[at]) {
			slots[at] ^= 1;
			damaged++;
		}
	host_close(&host);
	assert_int_equal(lines_logged(), 1);
	open_fine(&host);
	assert_int_equal(survey(&host), 1);
	assert_int_equal(lines_logged(), 3);
	assert_non_null(strstr(logged(), "damaged entries"));
	assert_non_null(strstr(logged(), "\"entries\":1"));
	assert_int_equal(claim(&host, "k", &of), LEDGER_CLAIMED);
	host_close(&host);
}

/* ---- rates */

static void rates_are_divided_by_the_hosts(void **state)
{
	struct host host;
	struct rate rate;

	config.fleet_hosts = 4;
	open_fine(&host);
	assert_int_equal(host_rate(&host, &config, &destinations[1], &rate), 0);
	assert_int_equal(rate.interval_ns, 40000000);
	host_close(&host);
}

/* A thousand and twenty-four names have been used on this host: there is no room for another. */
static void no_cell_left(void **state)
{
	struct host host;
	struct rate rate = {.interval_ns = 7};

	open_fine(&host);
	for (int i = 0; i < RATE_CELLS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "other%d", i);
		assert_non_null(rate_cell_of(host.rate_file.memory, host.rate_file.bytes, name));
	}
	assert_int_equal(host_rate(&host, &config, &destinations[1], &rate), ERR_LIMIT);
	assert_null(rate.cell);
	assert_int_equal(host_rate(&host, &config, &destinations[0], &rate), 0);
	assert_null(host_control_cell(&host, &destinations[0]));
	host_close(&host);
}

static int open_and_close(void *arg)
{
	struct host host = {0};
	struct buf words = BUF_INIT(4096);
	int err = host_open(&host, &config, NULL, &words);

	if (err)
		expect_closed(&host);
	host_close(&host);
	buf_free(&words);
	return err;
}

static void allocations(void **state)
{
	unsigned long k = 0;
	bool failed;

	do {
		int err;

		failmalloc_arm(++k);
		err = open_and_close(NULL);
		failed = failmalloc_disarm();
		assert_true(err == 0 || (failed && err == ERR_NOMEM));
	} while (failed);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_files),
		TEST(a_rate_that_control_sets_is_shared),
		TEST(two_share_all),
		TEST(it_survives_them),
		TEST(without_a_path),
		TEST(the_default_cannot_be_opened),
		TEST(its_own_cannot_be_opened),
		TEST(its_rates_cannot_be_opened),
		TEST(an_impossible_size),
		TEST(a_damaged_ledger),
		TEST(a_survey_in_pieces),
		TEST(damaged_rates),
		TEST(damaged_entries),
		TEST(rates_are_divided_by_the_hosts),
		TEST(no_cell_left),
		TEST(allocations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
