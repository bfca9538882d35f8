/* The status document to the byte, and whatever is in its texts. */
#include "admin/status.h"

#include "base/utf8.h"
#include "bunshin/error.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

static void whole(void **state)
{
	static const bool paused = true;
	const struct status_destination destination = {
		"line", 240, 400, 500, 2000, "open", 12.34, 0};
	const struct status_campaign campaign = {"spring", 1, 2, 3, 4, 5, 6, 7.5, 8, 9, -1};
	const struct status_failure failure = {.outcome = "failed",
		.destination = "line",
		.class = "permanent",
		.reason = "refused",
		.status = 400,
		.count = 850,
		.last_ms = 7,
		.message_id = "m-1",
		.campaign = NULL,
		.request_id = "r",
		.answer = "{\"a\":1}",
		.attempt = 2};
	const struct status_worker worker = {1, 4242, "running", 1, 9000000, 2, 3, 4, 5, 6, 400};
	const struct admin_check check = {"credentials", ADMIN_DEGRADED, "soon"};
	const struct status status = {.version = "0.1.0",
		.host = "h",
		.now_ms = 1764144000000,
		.started_ms = 5,
		.verdict = {ADMIN_FAILED, "late", "late: \"so\""},
		.queue = {"u", "n", 1, 2, -1, 3, 1960.46, -1},
		.control = {true, &paused, NAN, " a  b", 9},
		.rates = {1, 2.25, 0, NAN, -1, INFINITY},
		.totals = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
		.attempt_ms = {0.5, 1, 1000000},
		.acceptance_ms = {NAN, NAN, NAN},
		.slots = {1, 2, 3, 4},
		.sqs = {400, 1, 2, 0.096},
		.destinations = &destination,
		.destination_count = 1,
		.campaigns = &campaign,
		.campaign_count = 1,
		.failures = &failure,
		.failure_count = 1,
		.workers = &worker,
		.worker_count = 1,
		.checks = &check,
		.check_count = 1};
	struct buf out = BUF_INIT(1 << 16);

	assert_int_equal(status_write(&status, &out), 0);
	assert_string_equal(buf_string(&out),
		"{\"version\":\"0.1.0\",\"now_ms\":1764144000000,\"host\":\"h\",\"started_ms\":5,"
		"\"verdict\":{\"health\":\"failed\",\"state\":\"late\",\"words\":\"late: "
		"\\\"so\\\"\"},"
		"\"queue\":{\"url\":\"u\",\"name\":\"n\",\"visible\":1,\"in_flight\":2,\"delayed\":"
		"null,"
		"\"asked_ms\":3,\"falling_per_second\":1960.5,\"empty_ms\":null},"
		"\"control\":{\"writable\":true,\"paused\":true,\"rate_per_second\":null,"
		"\"cancelled\":[\"a\",\"b\"],\"read_ms\":9},"
		"\"rates\":{\"received\":1.0,\"accepted\":2.2,\"failed\":0.0,\"retried\":null,"
		"\"expired\":null,\"attempts\":null},"
		"\"totals\":{\"received\":1,\"accepted\":2,\"suppressed\":3,\"failed\":4,"
		"\"failed_left\":5,\"expired\":6,\"cancelled\":7,\"retried\":8,\"postponed\":9,"
		"\"lost\":10,\"attempts\":11,\"sqs_requests\":12},"
		"\"latency\":{\"attempt_ms\":{\"p50\":0.5,\"p95\":1.0,\"p99\":1000000.0},"
		"\"acceptance_ms\":{\"p50\":null,\"p95\":null,\"p99\":null}},"
		"\"slots\":{\"busy\":1,\"limit\":2,\"held\":3,\"held_bytes\":4},"
		"\"sqs\":{\"requests_per_second\":400.0,\"throttled\":1,\"errors\":2,"
		"\"cost_usd\":0.096000},"
		"\"destinations\":[{\"name\":\"line\",\"busy\":240,\"limit\":400,\"configured\":"
		"500,"
		"\"rate\":2000.0,\"breaker\":\"open\",\"attempts_per_second\":12.3,"
		"\"accepted_per_second\":0.0}],"
		"\"campaigns\":[{\"name\":\"spring\",\"accepted\":1,\"failed\":2,\"expired\":3,"
		"\"cancelled\":4,\"suppressed\":5,\"retried\":6,\"accepted_per_second\":7.5,"
		"\"first_ms\":8,\"last_ms\":9,\"deadline_ms\":null}],"
		"\"failures\":[{\"outcome\":\"failed\",\"destination\":\"line\",\"status\":400,"
		"\"class\":\"permanent\",\"reason\":\"refused\",\"count\":850,\"last_ms\":7,"
		"\"sample\":{\"message_id\":\"m-1\",\"campaign\":null,\"attempt\":2,"
		"\"request_id\":\"r\",\"answer\":\"{\\\"a\\\":1}\"}}],"
		"\"workers\":[{\"number\":1,\"pid\":4242,\"state\":\"running\",\"generation\":1,"
		"\"memory_bytes\":9000000,\"busy\":2,\"slots\":3,\"held\":4,\"received\":5,"
		"\"since_ms\":6,\"heartbeat_age_ms\":400}],"
		"\"checks\":[{\"name\":\"credentials\",\"health\":\"degraded\",\"detail\":\"soon\"}"
		"]}\n");
	buf_free(&out);
}

/* All bytes there are, in each text; more rows than there is room for. */
static void hostile_texts(void **state)
{
	static struct status_failure failures[STATUS_FAILURES_MAX + 5];
	char text[512];
	struct status status = {.failures = failures, .failure_count = STATUS_FAILURES_MAX + 5};
	struct buf out = BUF_INIT((size_t)1 << 20);
	cJSON *root;

	for (size_t i = 0; i < sizeof(text) - 1; i++)
		text[i] = (char)(i % 255 + 1);
	text[sizeof(text) - 1] = '\0';
	for (size_t i = 0; i < STATUS_FAILURES_MAX + 5; i++)
		failures[i] = (struct status_failure){.outcome = text,
			.destination = text,
			.class = text,
			.reason = text,
			.message_id = text,
			.campaign = text,
			.request_id = text,
			.answer = text,
			.count = INT64_MAX};
	status.control.cancelled = text;
	status.verdict.words = text;
	assert_int_equal(status_write(&status, &out), 0);
	assert_true(utf8_is_valid(buf_string(&out), out.len));
	root = cJSON_Parse(buf_string(&out));
	assert_non_null(root);
	assert_int_equal(
		cJSON_GetArraySize(cJSON_GetObjectItem(root, "failures")), STATUS_FAILURES_MAX);
	assert_true(cJSON_IsNull(cJSON_GetObjectItem(root, "version")));
	assert_true(cJSON_IsNull(cJSON_GetObjectItem(
		cJSON_GetArrayItem(cJSON_GetObjectItem(root, "failures"), 0), "count")));
	cJSON_Delete(root);
	buf_free(&out);
}

static void no_room(void **state)
{
	const struct status status = {.version = "0.1.0"};
	struct buf out = BUF_INIT(10);

	assert_int_equal(status_write(&status, &out), ERR_TOO_LARGE);
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole),
		cmocka_unit_test(hostile_texts),
		cmocka_unit_test(no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
