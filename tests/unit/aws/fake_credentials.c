#include "fake_credentials.h"

#include "bunshin/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct credentials {
	struct credentials_set set;
	int err;
	char reason[CREDENTIALS_REASON_MAX];
	bool renewable, searching;
	unsigned searches;
	struct list waiters;
};

int credentials_new(struct clock clock, const struct credentials_provider *providers, size_t count,
	struct credentials **ret_credentials)
{
	struct credentials *credentials = calloc(1, sizeof(*credentials));

	for (size_t i = 0; i < count; i++)
		providers[i].free(providers[i].impl);
	if (credentials == NULL)
		return ERR_NOMEM;
	list_init(&credentials->waiters);
	fake_credentials_say(credentials, 0, "AKIDEXAMPLE", "");
	*ret_credentials = credentials;
	return 0;
}

void credentials_free(struct credentials *credentials)
{
	free(credentials);
}

void credentials_wipe(struct credentials_set *set)
{
	memset(set, 0, sizeof(*set));
}

int credentials_get(struct credentials *credentials, const struct credentials_set **ret_set,
	char reason[CREDENTIALS_REASON_MAX])
{
	if (credentials->err != 0) {
		if (reason != NULL)
			memcpy(reason, credentials->reason, CREDENTIALS_REASON_MAX);
		return credentials->err;
	}
	*ret_set = &credentials->set;
	return 0;
}

bool credentials_refused(struct credentials *credentials, uint64_t generation)
{
	if (credentials->set.generation != generation || credentials->searching)
		return true;
	credentials->searching = credentials->renewable;
	credentials->searches += credentials->renewable;
	return credentials->renewable;
}

void credentials_wait(struct credentials *credentials, struct credentials_waiter *waiter)
{
	list_append(&credentials->waiters, &waiter->node);
}

void credentials_unwait(struct credentials_waiter *waiter)
{
	if (waiter->node.next != NULL)
		list_remove(&waiter->node);
}

void fake_credentials_say(
	struct credentials *credentials, int err, const char *id, const char *reason)
{
	credentials->err = err;
	snprintf(credentials->reason, sizeof(credentials->reason), "%s", reason);
	if (err != 0)
		return;
	snprintf(credentials->set.access_key_id, CREDENTIALS_KEY_MAX, "%s", id);
	snprintf(credentials->set.secret_access_key, CREDENTIALS_KEY_MAX, "secret");
	credentials->set.generation++;
}

void fake_credentials_renewable(struct credentials *credentials, bool renewable)
{
	credentials->renewable = renewable;
}

unsigned fake_credentials_searches(const struct credentials *credentials)
{
	return credentials->searches;
}

void fake_credentials_found(struct credentials *credentials)
{
	struct list due, *node;

	credentials->searching = false;
	list_init(&due);
	while ((node = list_first(&credentials->waiters)) != NULL) {
		list_remove(node);
		list_append(&due, node);
	}
	while ((node = list_first(&due)) != NULL) {
		struct credentials_waiter *waiter =
			list_entry(node, struct credentials_waiter, node);

		list_remove(node);
		waiter->fire(waiter);
	}
}

size_t fake_credentials_waiting(const struct credentials *credentials)
{
	size_t count = 0;

	list_for_each (node, &credentials->waiters)
		count++;
	return count;
}
