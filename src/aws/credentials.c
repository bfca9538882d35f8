#include "aws/credentials.h"

#include "bunshin/error.h"

#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REASON_BYTES 256

struct credentials {
	struct credentials_provider *providers;
	size_t count;
	const struct credentials_provider *chosen; /* the one that answered; NULL until then */
	struct credentials_set set;		   /* generation 0: none yet */
	struct credentials_set incoming;	   /* here and not on the stack: 9 KiB of secrets */
};

int credentials_new(const struct credentials_provider *providers, size_t count,
	struct credentials **ret_credentials)
{
	struct credentials *credentials = calloc(1, sizeof(*credentials));

	if (credentials == NULL)
		goto fail;
	credentials->providers = calloc(count + 1, sizeof(*providers));
	if (credentials->providers == NULL)
		goto fail;
	for (size_t i = 0; i < count; i++)
		credentials->providers[i] = providers[i];
	credentials->count = count;
	*ret_credentials = credentials;
	return 0;
fail:
	free(credentials);
	for (size_t i = 0; i < count; i++)
		providers[i].free(providers[i].impl);
	return ERR_NOMEM;
}

void credentials_free(struct credentials *credentials)
{
	if (credentials == NULL)
		return;
	for (size_t i = 0; i < credentials->count; i++)
		credentials->providers[i].free(credentials->providers[i].impl);
	free(credentials->providers);
	credentials_wipe(&credentials->set);
	credentials_wipe(&credentials->incoming);
	free(credentials);
}

void credentials_wipe(struct credentials_set *set)
{
	OPENSSL_cleanse(set, sizeof(*set));
}

/* Only what can stand in a header: no blank, no control character, ASCII. */
static bool is_header_safe(const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text < 0x21 || *text > 0x7e)
			return false;
	}
	return true;
}

static int set_check(const struct credentials_set *set, char *reason, size_t reason_bytes)
{
	const char *wrong = NULL;

	if (set->access_key_id[0] == '\0' || set->secret_access_key[0] == '\0')
		wrong = "an empty access key id or secret access key";
	else if (!is_header_safe(set->access_key_id))
		wrong = "a blank or control character in the access key id";
	else if (!is_header_safe(set->session_token))
		wrong = "a blank or control character in the session token";
	if (wrong == NULL)
		return 0;
	snprintf(reason, reason_bytes, "%s", wrong);
	return ERR_NO_CREDENTIALS;
}

/* Takes `incoming` over, with a new generation if it differs. */
static void set_adopt(struct credentials *credentials)
{
	struct credentials_set *set = &credentials->set;
	struct credentials_set *incoming = &credentials->incoming;
	bool same = strcmp(set->access_key_id, incoming->access_key_id) == 0 &&
		    strcmp(set->secret_access_key, incoming->secret_access_key) == 0 &&
		    strcmp(set->session_token, incoming->session_token) == 0;

	incoming->generation = set->generation + (same ? 0 : 1);
	*set = *incoming;
}

static int provider_ask(struct credentials *credentials,
	const struct credentials_provider *provider, char *reason, size_t reason_bytes)
{
	char words[REASON_BYTES] = "";
	int err;

	memset(&credentials->incoming, 0, sizeof(credentials->incoming));
	err = provider->get(provider->impl, &credentials->incoming, words, sizeof(words));
	if (err == 0)
		err = set_check(&credentials->incoming, words, sizeof(words));
	if (err == 0) {
		set_adopt(credentials);
		credentials->chosen = provider;
	} else if (err != ERR_NOT_FOUND) {
		snprintf(reason, reason_bytes, "%s: %s", provider->name,
			words[0] != '\0' ? words : error_message(err));
	}
	credentials_wipe(&credentials->incoming);
	return err;
}

static int providers_search(struct credentials *credentials, char *reason, size_t reason_bytes)
{
	size_t len = 0;

	for (size_t i = 0; i < credentials->count; i++) {
		int err =
			provider_ask(credentials, &credentials->providers[i], reason, reason_bytes);

		if (err != ERR_NOT_FOUND)
			return err;
	}
	len = (size_t)snprintf(reason, reason_bytes, "no AWS credentials found; tried:");
	for (size_t i = 0; i < credentials->count && len < reason_bytes; i++)
		len += (size_t)snprintf(reason + len, reason_bytes - len, "%s %s", i > 0 ? "," : "",
			credentials->providers[i].name);
	return ERR_NO_CREDENTIALS;
}

int credentials_get(struct credentials *credentials, const struct credentials_set **ret_set,
	char *reason, size_t reason_bytes)
{
	char unread[REASON_BYTES];
	int err = 0;

	if (reason == NULL) {
		reason = unread;
		reason_bytes = sizeof(unread);
	}
	if (credentials->chosen == NULL)
		err = providers_search(credentials, reason, reason_bytes);
	else if (credentials->set.expires_epoch_ms != 0)
		err = provider_ask(credentials, credentials->chosen, reason, reason_bytes);
	if (err == ERR_NOT_FOUND) {
		snprintf(reason, reason_bytes, "%s: no longer configured",
			credentials->chosen->name);
		err = ERR_NO_CREDENTIALS;
	}
	if (err == 0)
		*ret_set = &credentials->set;
	return err;
}

const char *credentials_source(const struct credentials *credentials)
{
	return credentials->chosen != NULL ? credentials->chosen->name : "none";
}
