/* What an instance's metadata and the ECS agent say, and everything that they might. */
#include "aws/instance/notices_codec.h"
#include "aws/instance/task_protection_codec.h"
#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* EC2 user guide, "Spot Instance interruption notices". */
static const char spot[] = "{\"action\": \"stop\", \"time\": \"2017-09-18T08:22:00Z\"}";

static void spot_notices(void **state)
{
	static const char *const texts[] = {"{\"action\":\"terminate\",\"time\":\"2017-09-18T08:22:"
					    "00Z\",\"new\":[1]}",
		spot, "{\"time\":\"2017-09-18T10:22:00+02:00\",\"action\":\"hibernate\"}\n"};
	static const char *const names[] = {"terminated", "stopped", "hibernated"};

	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		struct spot_notice notice;

		assert_int_equal(spot_notice_read(texts[i], strlen(texts[i]), &notice), 0);
		assert_int_equal(notice.action, i);
		assert_int_equal(notice.time_epoch_ms, 1505722920000);
		assert_string_equal(spot_action_name(notice.action), names[i]);
	}
}

static void spot_notices_that_are_none(void **state)
{
	static const char *const texts[] = {"", "null", "[]", "\"terminate\"", "terminate",
		"<html></html>", "{}", "{\"action\":\"terminate\"}",
		"{\"time\":\"2017-09-18T08:22:00Z\"}",
		"{\"action\":\"Terminate\",\"time\":\"2017-09-18T08:22:00Z\"}",
		"{\"action\":\"noop\",\"time\":\"2017-09-18T08:22:00Z\"}",
		"{\"action\":\"stop\\u0000\",\"time\":\"2017-09-18T08:22:00Z\"}",
		"{\"action\":[\"stop\"],\"time\":\"2017-09-18T08:22:00Z\"}",
		"{\"action\":\"stop\",\"time\":\"soon\"}",
		"{\"action\":\"stop\",\"time\":1505722920}",
		"{\"action\":\"stop\",\"time\":\"2017-02-30T08:22:00Z\"}",
		"{\"action\":\"stop\",\"time\":\"2017-09-18T08:22:00Z\"}}"};
	struct spot_notice notice = {SPOT_STOP, 42};
	char *large = malloc(NOTICE_MAX_BYTES + 1);

	for (size_t i = 0; i < COUNT_OF(texts); i++)
		assert_int_equal(
			spot_notice_read(texts[i], strlen(texts[i]), &notice), ERR_PROTOCOL);
	for (size_t len = 0; len + 1 < sizeof(spot) - 1; len++)
		assert_int_equal(spot_notice_read(spot, len, &notice), ERR_PROTOCOL);
	assert_non_null(large);
	memset(large, ' ', NOTICE_MAX_BYTES + 1);
	memcpy(large, spot, sizeof(spot) - 1);
	assert_int_equal(spot_notice_read(large, NOTICE_MAX_BYTES + 1, &notice), ERR_PROTOCOL);
	assert_int_equal(notice.time_epoch_ms, 42);
	assert_int_equal(spot_notice_read(large, NOTICE_MAX_BYTES, &notice), 0);
	free(large);
}

static void rebalance_notices(void **state)
{
	static const char text[] = "{\"noticeTime\": \"2020-10-27T08:22:00Z\"}";
	int64_t epoch_ms = 0;

	assert_int_equal(rebalance_notice_read(text, sizeof(text) - 1, &epoch_ms), 0);
	assert_int_equal(epoch_ms, 1603786920000);
	assert_int_equal(rebalance_notice_read(spot, sizeof(spot) - 1, &epoch_ms), ERR_PROTOCOL);
}

static void lifecycle_states(void **state)
{
	static const struct {
		const char *text;
		int err;
		bool terminating;
	} cases[] = {{"InService", 0, false}, {"Terminated", 0, true}, {"Terminated\n", 0, true},
		{"Terminated\r\n", 0, true}, {"Detached", 0, false}, {"Standby", 0, false},
		{"Warmed:Hibernated", 0, false}, {"Warmed:Running", 0, false},
		{"Warmed:Stopped", 0, false}, {"Warmed:Terminated", 0, true},
		{"SomethingNew", 0, false}, {"terminated", 0, false}, {"Terminatedd", 0, false},
		{"", ERR_PROTOCOL, false}, {"\n", ERR_PROTOCOL, false},
		{"Terminated Terminated", ERR_PROTOCOL, false},
		{" Terminated", ERR_PROTOCOL, false}, {"Terminated\n\n", ERR_PROTOCOL, false},
		{"<html>Terminated</html>", ERR_PROTOCOL, false},
		{"TerminatedTerminatedTerminatedTerminatedTerminatedTerminatedTermi", ERR_PROTOCOL,
			false}};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		bool terminating = false;

		assert_int_equal(
			lifecycle_state_read(cases[i].text, strlen(cases[i].text), &terminating),
			cases[i].err);
		assert_int_equal(terminating, cases[i].terminating);
	}
}

static void names_of_instances(void **state)
{
	static const char *const none[] = {"", "i-", "i-\n", "i-0123456789abcdef01", "I-0123",
		"i-0123456789ABCDEF", "i-0123 ", "<html>", "i-0123\n\n"};
	char id[INSTANCE_ID_SIZE];

	assert_true(instance_id_read("i-0123456789abcdef0\n", id));
	assert_string_equal(id, "i-0123456789abcdef0");
	assert_true(instance_id_read("i-1a2b3c4d", id));
	for (size_t i = 0; i < COUNT_OF(none); i++)
		assert_false(instance_id_read(none[i], id));
	assert_string_equal(id, "i-1a2b3c4d");
}

static void names_of_groups(void **state)
{
	static const char *const none[] = {"", "\n", "a\tb", "a\nb", "\x7f", "\xff"};
	char group[INSTANCE_GROUP_SIZE], longest[INSTANCE_GROUP_SIZE + 1];

	assert_true(instance_group_read("my group/\xe3\x81\x8a\n", group));
	assert_string_equal(group, "my group/\xe3\x81\x8a");
	for (size_t i = 0; i < COUNT_OF(none); i++)
		assert_false(instance_group_read(none[i], group));
	memset(longest, 'a', sizeof(longest));
	longest[INSTANCE_GROUP_SIZE] = '\0';
	assert_false(instance_group_read(longest, group));
	assert_true(instance_group_read(longest + 1, group));
}

/* ---- the ECS agent */

static void agents_that_may_be_asked(void **state)
{
	static const char *const cases[][2] = {
		{"http://169.254.170.2/api/0123-abc",
			"http://169.254.170.2/api/0123-abc/task-protection/v1/state"},
		{"http://169.254.170.2/api/x//",
			"http://169.254.170.2/api/x/task-protection/v1/state"},
		{"http://127.0.0.1:5001", "http://127.0.0.1:5001/task-protection/v1/state"},
		{"http://localhost:5001/", "http://localhost:5001/task-protection/v1/state"},
		{"http://10.0.0.1/api", NULL},
		{"http://169.254.169.254/api", NULL},
		{"http://169.254.170.2.evil.example/api", NULL},
		{"http://user@169.254.170.2/api", NULL},
		{"http://169.254.170.2/api?x=", NULL},
		{"http://169.254.170.2/api#x", NULL},
		{"http://169.254.170.2/a b", NULL},
		{"http://169.254.170.2/a\r\nX: y", NULL},
		{"file:///etc/passwd", NULL},
		{"169.254.170.2", NULL},
		{"", NULL},
		{NULL, NULL},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char reason[TASK_PROTECTION_REASON_SIZE] = "";
		struct buf url = BUF_INIT(4096);
		int err = task_protection_uri(cases[i][0], &url, reason);

		if (cases[i][1] != NULL) {
			assert_int_equal(err, 0);
			assert_string_equal(buf_string(&url), cases[i][1]);
		} else {
			assert_int_equal(err, ERR_CONFIG);
			assert_non_null(strstr(reason, "ECS_AGENT_URI"));
		}
		buf_free(&url);
	}
}

#define HELD                                                                                   \
	"{\"protection\":{\"ExpirationDate\":\"2023-12-20T21:57:44.837Z\",\"ProtectionEnabled" \
	"\":true,\"TaskArn\":\"arn:aws:ecs:us-west-2:111122223333:task/1234\"}}"
#define FREE                                                                                \
	"{\"protection\":{\"ExpirationDate\":null,\"ProtectionEnabled\":false,\"TaskArn\":" \
	"\"arn:aws:ecs:us-west-2:111122223333:task/1234\"}}"

static void answers_of_the_agent(void **state)
{
	static const struct {
		int status;
		const char *text;
		bool held;
		int err;
		const char *reason;
	} cases[] = {
		{200, HELD, true, 0, ""},
		{200, FREE, false, 0, ""},
		{200, FREE, true, ERR_PROTOCOL, "does not say that protection is on"},
		{200, HELD, false, ERR_PROTOCOL, "does not say that protection is off"},
		/* ECS developer guide: the failure and the error of its examples. */
		{200,
			"{\"failure\":{\"Arn\":\"arn:aws:ecs:us-west-2:111122223333:task/1234\","
			"\"Detail\":null,\"Reason\":\"TASK_NOT_VALID\"}}",
			true, ERR_REFUSED, "the ECS agent: TASK_NOT_VALID (HTTP 200)"},
		{200, "{\"failure\":{\"Detail\":\"d\\u0007\xc3\xa9\",\"Reason\":\"R\"}}", true,
			ERR_REFUSED, "R (HTTP 200): d?\?\?"},
		{500,
			"{\"requestID\":\"12345-abc-6789-0123-abc\",\"error\":{\"Arn\":\"arn:aws:"
			"ecs:us-west-2:111122223333:task/1234\",\"Code\":\"ServerException\","
			"\"Message\":\"Error message\"}}",
			true, ERR_UNAVAILABLE, "ServerException (HTTP 500): Error message"},
		{400, "{\"error\":{\"Code\":\"AccessDeniedException\",\"Message\":\"no\"}}", true,
			ERR_ACCESS_DENIED, "AccessDeniedException (HTTP 400): no"},
		{400, "{\"error\":{\"Code\":\"ThrottlingException\"}}", true, ERR_THROTTLED,
			"ThrottlingException (HTTP 400)"},
		{200, "{\"error\":{}," HELD "}", true, ERR_PROTOCOL, "no JSON (HTTP 200)"},
		{200, "{\"error\":{},\"protection\":{\"ProtectionEnabled\":true}}", true,
			ERR_PROTOCOL, "no code (HTTP 200)"},
		{200, "{\"failure\":null,\"protection\":{\"ProtectionEnabled\":true}}", true, 0,
			""},
		{200, "{\"failure\":7}", true, ERR_REFUSED, "no code (HTTP 200)"},
		{200, "{}", true, ERR_PROTOCOL, "does not say"},
		{200, "[]", true, ERR_PROTOCOL, "does not say"},
		{200, "{\"protection\":{\"ProtectionEnabled\":\"true\"}}", true, ERR_PROTOCOL,
			"does not say"},
		{200, "", true, ERR_PROTOCOL, "no JSON (HTTP 200)"},
		{404, "404 page not found", true, ERR_REFUSED, "no JSON (HTTP 404)"},
		{429, "slow", true, ERR_THROTTLED, "no JSON (HTTP 429)"},
		{403, HELD, true, ERR_ACCESS_DENIED, "no code (HTTP 403)"},
		{503, "<html>", false, ERR_UNAVAILABLE, "no JSON (HTTP 503)"},
		{302, "", false, ERR_PROTOCOL, "no JSON (HTTP 302)"},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char reason[TASK_PROTECTION_REASON_SIZE];
		int err = task_protection_read(cases[i].status, cases[i].text,
			strlen(cases[i].text), cases[i].held, reason);

		if (err != cases[i].err || strstr(reason, cases[i].reason) == NULL ||
			(err == 0) != (reason[0] == '\0'))
			fail_msg("case %zu: %s \"%s\"", i, error_name(err), reason);
	}
	for (size_t len = 0; len < strlen(HELD); len++) {
		char reason[TASK_PROTECTION_REASON_SIZE];

		assert_int_equal(task_protection_read(200, HELD, len, true, reason), ERR_PROTOCOL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spot_notices),
		cmocka_unit_test(spot_notices_that_are_none),
		cmocka_unit_test(rebalance_notices),
		cmocka_unit_test(lifecycle_states),
		cmocka_unit_test(names_of_instances),
		cmocka_unit_test(names_of_groups),
		cmocka_unit_test(agents_that_may_be_asked),
		cmocka_unit_test(answers_of_the_agent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
