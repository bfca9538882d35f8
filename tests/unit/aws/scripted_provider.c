#include "scripted_provider.h"

#include "base/random.h"
#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void fill(uint64_t seed, char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		text[i] = (char)('A' + random_split_mix(&seed) % 26);
	text[len] = '\0';
}

void scripted_secret(unsigned number, char text[41])
{
	fill(number * UINT64_C(2), text, 40);
}

void scripted_token(unsigned number, char text[81])
{
	fill(number * UINT64_C(2) + 1, text, 80);
}

/* What a get comes to, by the script of this moment. */
static int answer(struct scripted *scripted, struct credentials_set *set)
{
	int64_t now_ms = clock_wall_epoch_ms(manual_clock_table(scripted->clock));

	if (scripted->gets == scripted->fail_at)
		return scripted->fail_err;
	if (scripted->err != 0)
		return scripted->err;
	scripted->number += !scripted->keep || scripted->number == 0;
	if (scripted->id != NULL)
		strcpy(set->access_key_id, scripted->id);
	else
		snprintf(
			set->access_key_id, sizeof(set->access_key_id), "AKID%u", scripted->number);
	scripted_secret(scripted->number, set->secret_access_key);
	scripted_token(scripted->number, set->session_token);
	strcpy(set->account_id, "123456789012");
	snprintf(set->principal, sizeof(set->principal), "role %u", scripted->number);
	if (scripted->expires_epoch_ms != 0)
		set->expires_epoch_ms = scripted->expires_epoch_ms;
	else if (scripted->life_ms != 0)
		set->expires_epoch_ms = now_ms + scripted->life_ms;
	scripted->came_expired = set->expires_epoch_ms <= now_ms;
	return 0;
}

static int get(void *impl, struct credentials_set *ret_set, credentials_done *done, void *arg,
	char reason[CREDENTIALS_REASON_MAX])
{
	static const struct credentials_set zero;
	struct scripted *scripted = impl;

	assert_false(scripted->asked);
	/* Not assert_memory_equal(), which takes most of the time of a thousand histories. */
	assert_int_equal(memcmp(ret_set, &zero, sizeof(zero)), 0);
	assert_string_equal(reason, "");
	scripted->gets++;
	if (scripted->later) {
		scripted->asked = true;
		scripted->set = ret_set;
		scripted->done = done;
		scripted->arg = arg;
		return CREDENTIALS_LATER;
	}
	if (scripted->reason != NULL)
		strcpy(reason, scripted->reason);
	return answer(scripted, ret_set);
}

void scripted_answer(struct scripted *scripted)
{
	char reason[CREDENTIALS_REASON_MAX];
	int err;

	assert_true(scripted->asked);
	scripted->asked = false;
	strcpy(reason, scripted->reason != NULL ? scripted->reason : "");
	err = answer(scripted, scripted->set);
	scripted->done(scripted->arg, err, reason);
	/* Whoever kept it instead of a copy would see this. */
	memset(reason, 'x', sizeof(reason) - 1);
}

static void cancel(void *impl)
{
	struct scripted *scripted = impl;

	scripted->asked = false;
}

static void release(void *impl)
{
	struct scripted *scripted = impl;

	cancel(scripted);
	scripted->frees++;
}

struct credentials_provider scripted_provider(const char *name, struct scripted *scripted)
{
	return (struct credentials_provider){
		.name = name,
		.get = get,
		.cancel = cancel,
		.free = release,
		.impl = scripted,
		.outlives = scripted->outlives,
	};
}
