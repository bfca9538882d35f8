/* The provider of assumed roles over a scripted source, and over another of its kind. */
#include "aws/credentials/provider.h"
#include "bunshin/error.h"
#include "failmalloc.h"
#include "sts_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#define FORM_OF(role, name)                    \
	"Action=AssumeRole&Version=2011-06-15" \
	"&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2F" role "&RoleSessionName=" name
#define FORM FORM_OF("demo", "me")

/* A source that does what it is told. Each get has keys of its own: "SOURCE1", ... */
struct source {
	bool later; /* the test calls source_answer() */
	int err;    /* of a get that is not later */
	struct credentials_set *set;
	credentials_done *done;
	void *arg;
	int gets, cancels, frees;
	const char *token;
};

static void source_fill(struct source *source)
{
	snprintf(source->set->access_key_id, CREDENTIALS_KEY_MAX, "SOURCE%d", source->gets);
	snprintf(source->set->secret_access_key, CREDENTIALS_KEY_MAX, "hidden%d", source->gets);
	snprintf(source->set->session_token, CREDENTIALS_TOKEN_MAX, "%s",
		source->token != NULL ? source->token : "");
}

static int source_get(void *impl, struct credentials_set *ret_set, credentials_done *done,
	void *arg, char reason[CREDENTIALS_REASON_MAX])
{
	struct source *source = impl;

	assert_string_equal(ret_set->access_key_id, "");
	assert_string_equal(ret_set->session_token, "");
	assert_null(source->done);
	source->gets++;
	source->set = ret_set;
	if (source->later) {
		source->done = done;
		source->arg = arg;
		return CREDENTIALS_LATER;
	}
	if (source->err == 0)
		source_fill(source);
	else if (source->err != ERR_NOT_FOUND)
		snprintf(reason, CREDENTIALS_REASON_MAX, "the source says no");
	return source->err;
}

static void source_answer(struct source *source, int err, const char *reason)
{
	credentials_done *done = source->done;

	assert_non_null(done);
	source->done = NULL;
	if (err == 0)
		source_fill(source);
	done(source->arg, err, reason);
}

static void source_cancel(void *impl)
{
	struct source *source = impl;

	assert_non_null(source->done);
	source->done = NULL;
	source->cancels++;
}

static void source_free(void *impl)
{
	struct source *source = impl;

	assert_null(source->done);
	source->frees++;
}

static struct credentials_set source_keys(int get, const char *token)
{
	struct credentials_set keys = {0};
	struct source source = {.gets = get, .set = &keys, .token = token};

	source_fill(&source);
	return keys;
}

struct stage {
	struct sts_world *world;
	struct source source;
	struct credentials_provider provider;
	struct sts_told told;
	struct credentials_set set;
	char reason[CREDENTIALS_REASON_MAX];
};

static const struct credentials_role plain = {STS_WORLD_ROLE, "me", NULL, 0};

static struct credentials_provider provider_of(struct source *source)
{
	return (struct credentials_provider){.name = "the source",
		.get = source_get,
		.cancel = source_cancel,
		.free = source_free,
		.impl = source};
}

static struct credentials_context context_of(struct sts_world *world)
{
	return (struct credentials_context){.loop = &world->loop,
		.clock = manual_clock_table(&world->clock),
		.sts = world->sts};
}

static struct stage *stage_open(const struct credentials_role *role)
{
	struct stage *stage = calloc(1, sizeof(*stage));
	struct credentials_context context;

	assert_non_null(stage);
	stage->world = sts_world_open();
	context = context_of(stage->world);
	assert_int_equal(credentials_assume_role(
				 &context, role, provider_of(&stage->source), &stage->provider),
		0);
	assert_int_equal(stage->source.gets, 0);
	return stage;
}

static void stage_close(struct stage *stage)
{
	stage->provider.free(stage->provider.impl);
	assert_int_equal(stage->source.frees, 1);
	sts_world_close(stage->world);
	free(stage);
}

static int get(struct stage *stage)
{
	memset(&stage->told, 0, sizeof(stage->told));
	memset(&stage->set, 0, sizeof(stage->set));
	stage->reason[0] = '\0';
	return stage->provider.get(
		stage->provider.impl, &stage->set, sts_world_told, &stage->told, stage->reason);
}

static void get_later(struct stage *stage)
{
	assert_int_equal(get(stage), CREDENTIALS_LATER);
	assert_false(stage->told.done);
}

static void assert_keys(const struct stage *stage, int n)
{
	char text[100];

	assert_int_equal(stage->told.err, 0);
	assert_string_equal(stage->told.reason, "");
	snprintf(text, sizeof(text), "AKID%d", n);
	assert_string_equal(stage->set.access_key_id, text);
	snprintf(text, sizeof(text), "token-%d", n);
	assert_string_equal(stage->set.session_token, text);
	assert_int_equal(stage->set.expires_epoch_ms, STS_WORLD_EXPIRY_MS);
	assert_string_equal(stage->set.account_id, "123456789012");
}

static void assert_error(const struct stage *stage, int err, const char *reason)
{
	assert_true(stage->told.done);
	assert_int_equal(stage->told.err, err);
	assert_string_equal(stage->told.reason, reason);
	assert_string_equal(stage->set.access_key_id, "");
}

static void assert_asked_with(struct stage *stage, size_t i, int get_number)
{
	struct credentials_set keys = source_keys(get_number, stage->source.token);

	sts_world_assert_request(stage->world, i, FORM, &keys, WORLD_EPOCH_MS);
}

static void source_has_keys_now(void **state)
{
	struct stage *stage = stage_open(&plain);

	assert_string_equal(stage->provider.name, "assumed role");
	sts_world_answer_keys(stage->world, "AssumeRole", 5);
	get_later(stage);
	sts_world_run(stage->world, &stage->told.done);
	assert_asked_with(stage, 0, 1);
	assert_keys(stage, 5);
	/* And asked once more for the next. */
	sts_world_answer_keys(stage->world, "AssumeRole", 6);
	get_later(stage);
	sts_world_run(stage->world, &stage->told.done);
	assert_asked_with(stage, 1, 2);
	assert_keys(stage, 6);
	stage_close(stage);
}

static void source_has_keys_later(void **state)
{
	struct stage *stage = stage_open(&plain);

	stage->source.later = true;
	stage->source.token = "IQoJb3JpZ2luX2Vj";
	sts_world_answer_keys(stage->world, "AssumeRole", 5);
	get_later(stage);
	source_answer(&stage->source, 0, "");
	assert_false(stage->told.done);
	sts_world_run(stage->world, &stage->told.done);
	assert_asked_with(stage, 0, 1);
	assert_keys(stage, 5);
	stage_close(stage);
}

static void everything_that_a_role_may_say(void **state)
{
	char arn[] = STS_WORLD_ROLE, name[] = "them", id[] = "x&y";
	const struct credentials_role role = {arn, name, id, 900};
	struct stage *stage = stage_open(&role);
	struct credentials_set keys = source_keys(1, NULL);

	memset(arn, 'x', sizeof(arn) - 1);
	memset(name, 'x', sizeof(name) - 1);
	memset(id, 'x', sizeof(id) - 1);
	sts_world_answer_keys(stage->world, "AssumeRole", 1);
	get_later(stage);
	sts_world_run(stage->world, &stage->told.done);
	sts_world_assert_request(stage->world, 0,
		FORM_OF("demo", "them") "&DurationSeconds=900&ExternalId=x%26y", &keys,
		WORLD_EPOCH_MS);
	stage_close(stage);
}

static void session_name_is_made_up_once(void **state)
{
	static const struct credentials_role role = {STS_WORLD_ROLE, NULL, NULL, 0};
	static const char prefix[] = FORM_OF("demo", "bunshin-");
	struct stage *stage = stage_open(&role);
	const struct fake_request *requests = stage->world->fake.requests;

	for (int i = 0; i < 2; i++) {
		sts_world_answer_keys(stage->world, "AssumeRole", i);
		get_later(stage);
		sts_world_run(stage->world, &stage->told.done);
	}
	assert_memory_equal(requests[0].body, prefix, sizeof(prefix) - 1);
	assert_int_equal(requests[0].body_bytes, sizeof(prefix) - 1 + 16);
	assert_string_equal(requests[0].body, requests[1].body);
	stage_close(stage);
}

/* ---- failures */

#define NO_KEYS "role " STS_WORLD_ROLE ": no keys in the source to assume it with"

static void source_fails(void **state)
{
	static const struct {
		int err, expected;
		const char *reason;
	} cases[] = {
		{ERR_UNAVAILABLE, ERR_UNAVAILABLE, "the source says no"},
		{ERR_NO_CREDENTIALS, ERR_NO_CREDENTIALS, "the source says no"},
		/* Not "try the next": the role was asked for. */
		{ERR_NOT_FOUND, ERR_NO_CREDENTIALS, NO_KEYS},
	};
	struct stage *stage = stage_open(&plain);

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		stage->source.later = false;
		stage->source.err = cases[i].err;
		assert_int_equal(get(stage), cases[i].expected);
		assert_string_equal(stage->reason, cases[i].reason);
		stage->source.later = true;
		get_later(stage);
		source_answer(&stage->source, cases[i].err, "the source says no");
		assert_error(stage, cases[i].expected, cases[i].reason);
	}
	stage_close(stage);
}

static void keys_that_no_header_holds(void **state)
{
	static const char reason[] = "role " STS_WORLD_ROLE
				     ": the keys of the source to assume it with cannot be signed "
				     "with";
	struct stage *stage = stage_open(&plain);

	stage->source.token = "t\r\nX-Evil: 1";
	assert_int_equal(get(stage), ERR_NO_CREDENTIALS);
	assert_string_equal(stage->reason, reason);
	stage->source.later = true;
	get_later(stage);
	source_answer(&stage->source, 0, "");
	assert_error(stage, ERR_NO_CREDENTIALS, reason);
	stage_close(stage);
}

static void sts_fails(void **state)
{
	struct stage *stage = stage_open(&plain);

	sts_world_answer_error(stage->world, 403, "AccessDenied", "not you");
	get_later(stage);
	sts_world_run(stage->world, &stage->told.done);
	assert_error(stage, ERR_ACCESS_DENIED, "AssumeRole: AccessDenied (HTTP 403): not you");
	assert_int_equal(stage->source.gets, 1);
	stage_close(stage);
}

static void source_is_asked_again_once(void **state)
{
	for (int later = 0; later < 2; later++) {
		struct stage *stage = stage_open(&plain);

		stage->source.later = later;
		sts_world_answer_error(stage->world, 403, "ExpiredToken", "old");
		sts_world_answer_keys(stage->world, "AssumeRole", 8);
		get_later(stage);
		if (later) {
			source_answer(&stage->source, 0, "");
			while (stage->source.done == NULL)
				uv_run(&stage->world->loop, UV_RUN_ONCE);
			source_answer(&stage->source, 0, "");
		}
		sts_world_run(stage->world, &stage->told.done);
		assert_asked_with(stage, 0, 1);
		assert_asked_with(stage, 1, 2);
		assert_keys(stage, 8);
		stage_close(stage);
	}
}

static void second_time_is_final(void **state)
{
	struct stage *stage = stage_open(&plain);

	for (int i = 0; i < 2; i++) {
		sts_world_answer_error(stage->world, 403, "ExpiredToken", "old");
		sts_world_answer_error(stage->world, 403, "ExpiredTokenException", "older");
		get_later(stage);
		sts_world_run(stage->world, &stage->told.done);
		assert_error(stage, ERR_EXPIRED_CREDENTIALS,
			"AssumeRole: ExpiredTokenException (HTTP 403): older");
		assert_int_equal(stage->source.gets, 2 * (i + 1));
	}
	stage_close(stage);
}

/* A source that has keys once and none the next time. */
struct fickle {
	struct source source;
	int then;
};

static int fickle_get(void *impl, struct credentials_set *ret_set, credentials_done *done,
	void *arg, char reason[CREDENTIALS_REASON_MAX])
{
	struct fickle *fickle = impl;

	fickle->source.err = fickle->source.gets == 0 ? 0 : fickle->then;
	return source_get(&fickle->source, ret_set, done, arg, reason);
}

static void source_fails_the_second_time(void **state)
{
	static const struct {
		int then, err;
		const char *reason;
	} cases[] = {
		{ERR_UNAVAILABLE, ERR_UNAVAILABLE, "the source says no"},
		{ERR_NOT_FOUND, ERR_NO_CREDENTIALS, NO_KEYS},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct stage stage = {.world = sts_world_open()};
		struct credentials_context context = context_of(stage.world);
		struct fickle fickle = {.then = cases[i].then};
		struct credentials_provider source = provider_of(&fickle.source);

		source.get = fickle_get;
		source.impl = &fickle;
		assert_int_equal(
			credentials_assume_role(&context, &plain, source, &stage.provider), 0);
		sts_world_answer_error(stage.world, 403, "ExpiredToken", "old");
		get_later(&stage);
		sts_world_run(stage.world, &stage.told.done);
		assert_error(&stage, cases[i].err, cases[i].reason);
		stage.provider.free(stage.provider.impl);
		sts_world_close(stage.world);
	}
}

/* ---- cancelling */

static void to_phase(struct stage *stage, int phase)
{
	stage->source.later = phase == 0 || phase == 4;
	if (phase == 2)
		fake_silence(&stage->world->fake);
	if (phase == 3)
		sts_world_answer_error(stage->world, 500, "InternalFailure", "m");
	if (phase == 4)
		sts_world_answer_error(stage->world, 403, "ExpiredToken", "m");
	get_later(stage);
	if (phase == 2)
		sts_world_run_requests(stage->world, 1);
	if (phase == 3)
		sts_world_run_timer(stage->world);
	if (phase == 4) {
		source_answer(&stage->source, 0, "");
		while (stage->source.done == NULL)
			uv_run(&stage->world->loop, UV_RUN_ONCE);
	}
}

/* The source is asked; STS is about to be, is, will be again; the source is asked again. */
#define PHASES 5

static void cancel_and_free_in_each_phase(void **state)
{
	for (int phase = 0; phase < PHASES; phase++) {
		struct stage *stage = stage_open(&plain);
		int asks_source = phase == 0 || phase == 4;

		to_phase(stage, phase);
		stage->provider.cancel(stage->provider.impl);
		assert_int_equal(stage->source.cancels, asks_source);
		stage->provider.cancel(stage->provider.impl);
		assert_int_equal(stage->source.cancels, asks_source);
		assert_null(timer_heap_first(&stage->world->clock.heap));
		/* As good as new. */
		stage->source.later = false;
		sts_world_answer_keys(stage->world, "AssumeRole", 1);
		get_later(stage);
		sts_world_run(stage->world, &stage->told.done);
		assert_keys(stage, 1);
		stage_close(stage);

		stage = stage_open(&plain);
		to_phase(stage, phase);
		stage_close(stage);
	}
}

/* Its `done` is the last that happens: whoever is told may free it. */
static struct credentials_provider freed_inside;

static void told_and_free(void *arg, int err, const char *reason)
{
	*(bool *)arg = true;
	freed_inside.free(freed_inside.impl);
}

static void freed_from_inside(void **state)
{
	for (int fails = 0; fails < 2; fails++) {
		struct stage *stage = stage_open(&plain);
		bool told = false;

		freed_inside = stage->provider;
		if (fails)
			sts_world_answer_error(stage->world, 403, "AccessDenied", "m");
		else
			sts_world_answer_keys(stage->world, "AssumeRole", 1);
		assert_int_equal(stage->provider.get(stage->provider.impl, &stage->set,
					 told_and_free, &told, stage->reason),
			CREDENTIALS_LATER);
		sts_world_run(stage->world, &told);
		assert_int_equal(stage->source.frees, 1);
		sts_world_close(stage->world);
		free(stage);
	}
}

static int make(void *arg)
{
	static const struct credentials_role all = {STS_WORLD_ROLE, "me", "id", 900};
	struct sts_world *world = arg;
	struct credentials_context context = context_of(world);
	struct source source = {0};
	struct credentials_provider provider;
	int err = credentials_assume_role(&context, &all, provider_of(&source), &provider);

	/* The source is taken over either way. */
	assert_int_equal(source.frees, err != 0);
	if (err == 0)
		provider.free(provider.impl);
	return err;
}

static void memory_fails_when_it_is_made(void **state)
{
	struct sts_world *world = sts_world_open();

	assert_int_equal(failmalloc_sweep(make, world), 4);
	sts_world_close(world);
}

/* ---- a role over a role over fixed keys */

static void chain_open(struct stage *stage)
{
	static const struct credentials_role inner = {
		"arn:aws:iam::123456789012:role/inner", "me", NULL, 0};
	static const struct credentials_role outer = {
		"arn:aws:iam::123456789012:role/outer", "me", NULL, 0};
	struct credentials_context context;
	struct credentials_provider source;

	memset(stage, 0, sizeof(*stage));
	stage->world = sts_world_open();
	context = context_of(stage->world);
	assert_int_equal(credentials_static("AKIDSTATIC", "static", NULL, &source), 0);
	assert_int_equal(credentials_assume_role(&context, &inner, source, &source), 0);
	assert_int_equal(credentials_assume_role(&context, &outer, source, &stage->provider), 0);
}

static void chain_close(struct stage *stage)
{
	stage->provider.free(stage->provider.impl);
	sts_world_close(stage->world);
}

static void assert_chain_asked(struct stage *stage, size_t i, bool inner, int n)
{
	struct credentials_set keys = {
		.access_key_id = "AKIDSTATIC", .secret_access_key = "static"};

	if (!inner) {
		snprintf(keys.access_key_id, sizeof(keys.access_key_id), "AKID%d", n);
		snprintf(keys.secret_access_key, sizeof(keys.secret_access_key), "secret-%d", n);
		snprintf(keys.session_token, sizeof(keys.session_token), "token-%d", n);
	}
	sts_world_assert_request(stage->world, i,
		inner ? FORM_OF("inner", "me") : FORM_OF("outer", "me"), &keys, WORLD_EPOCH_MS);
}

static void role_over_role(void **state)
{
	struct stage stage;

	chain_open(&stage);
	sts_world_answer_keys(stage.world, "AssumeRole", 1);
	sts_world_answer_keys(stage.world, "AssumeRole", 2);
	get_later(&stage);
	sts_world_run(stage.world, &stage.told.done);
	assert_chain_asked(&stage, 0, true, 0);
	assert_chain_asked(&stage, 1, false, 1);
	assert_keys(&stage, 2);
	chain_close(&stage);
}

/* What the inner role gave is refused as expired: the inner role is assumed once more. */
static void outer_asks_inner_again(void **state)
{
	struct stage stage;

	chain_open(&stage);
	sts_world_answer_keys(stage.world, "AssumeRole", 1);
	sts_world_answer_error(stage.world, 403, "ExpiredToken", "old");
	sts_world_answer_keys(stage.world, "AssumeRole", 2);
	sts_world_answer_keys(stage.world, "AssumeRole", 3);
	get_later(&stage);
	sts_world_run(stage.world, &stage.told.done);
	assert_chain_asked(&stage, 0, true, 0);
	assert_chain_asked(&stage, 1, false, 1);
	assert_chain_asked(&stage, 2, true, 0);
	assert_chain_asked(&stage, 3, false, 2);
	assert_keys(&stage, 3);
	chain_close(&stage);
}

/* Of the four requests of the longest way, one fails. */
static void chain_fails_at_each_step(void **state)
{
	static const char *const steps[] = {"0", "1", "2", "3"};

	for (size_t step = 0; step < COUNT_OF(steps); step++) {
		struct stage stage;
		char reason[100];

		chain_open(&stage);
		for (size_t i = 0; i < step; i++) {
			if (i == 1)
				sts_world_answer_error(stage.world, 403, "ExpiredToken", "old");
			else
				sts_world_answer_keys(stage.world, "AssumeRole", (int)i);
		}
		sts_world_answer_error(stage.world, 403, "AccessDenied", steps[step]);
		get_later(&stage);
		sts_world_run(stage.world, &stage.told.done);
		snprintf(reason, sizeof(reason), "AssumeRole: AccessDenied (HTTP 403): %s",
			steps[step]);
		assert_error(&stage, ERR_ACCESS_DENIED, reason);
		chain_close(&stage);
	}
}

static void chain_is_cancelled_at_each_step(void **state)
{
	for (size_t step = 0; step < 4; step++) {
		struct stage stage;

		chain_open(&stage);
		for (size_t i = 0; i < step; i++) {
			if (i == 1)
				sts_world_answer_error(stage.world, 403, "ExpiredToken", "old");
			else
				sts_world_answer_keys(stage.world, "AssumeRole", (int)i);
		}
		fake_silence(&stage.world->fake);
		get_later(&stage);
		sts_world_run_requests(stage.world, step + 1);
		if (step % 2 == 0)
			stage.provider.cancel(stage.provider.impl);
		chain_close(&stage);
		assert_false(stage.told.done);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(source_has_keys_now),
		cmocka_unit_test(source_has_keys_later),
		cmocka_unit_test(everything_that_a_role_may_say),
		cmocka_unit_test(session_name_is_made_up_once),
		cmocka_unit_test(source_fails),
		cmocka_unit_test(keys_that_no_header_holds),
		cmocka_unit_test(sts_fails),
		cmocka_unit_test(source_is_asked_again_once),
		cmocka_unit_test(second_time_is_final),
		cmocka_unit_test(source_fails_the_second_time),
		cmocka_unit_test(cancel_and_free_in_each_phase),
		cmocka_unit_test(freed_from_inside),
		cmocka_unit_test(memory_fails_when_it_is_made),
		cmocka_unit_test(role_over_role),
		cmocka_unit_test(outer_asks_inner_again),
		cmocka_unit_test(chain_fails_at_each_step),
		cmocka_unit_test(chain_is_cancelled_at_each_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
