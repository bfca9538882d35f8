#include "aws/credentials/set.h"

#include "base/log.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#define ACCOUNT_DIGITS 12

void credentials_wipe(struct credentials_set *set)
{
	OPENSSL_cleanse(set, sizeof(*set));
}

bool credentials_is_graphic(const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text < 0x21 || *text > 0x7e)
			return false;
	}
	return true;
}

void credentials_account_of_arn(const char *arn, char ret_account[16])
{
	ret_account[0] = '\0';
	for (int colons = 0; colons < 4; colons++) {
		arn = strchr(arn, ':');
		if (arn == NULL)
			return;
		arn++;
	}
	if (strcspn(arn, ":") == ACCOUNT_DIGITS && strspn(arn, "0123456789") == ACCOUNT_DIGITS)
		snprintf(ret_account, 16, "%.*s", ACCOUNT_DIGITS, arn);
}

const char *credentials_set_fault(const struct credentials_set *set)
{
	if (set->access_key_id[0] == '\0' || set->secret_access_key[0] == '\0')
		return "an empty access key id or secret access key";
	if (!credentials_is_graphic(set->access_key_id))
		return "a blank or control character in the access key id";
	if (!credentials_is_graphic(set->session_token))
		return "a blank or control character in the session token";
	return NULL;
}

bool credentials_set_is_same(const struct credentials_set *a, const struct credentials_set *b)
{
	return strcmp(a->access_key_id, b->access_key_id) == 0 &&
	       strcmp(a->secret_access_key, b->secret_access_key) == 0 &&
	       strcmp(a->session_token, b->session_token) == 0;
}

int credentials_set_hide(const struct credentials_set *set)
{
	int err = log_add_secret(set->secret_access_key);

	if (err != 0)
		return err;
	err = log_add_secret(set->session_token);
	if (err != 0)
		log_remove_secret(set->secret_access_key);
	return err;
}

void credentials_set_forget(struct credentials_set *set)
{
	log_remove_secret(set->secret_access_key);
	log_remove_secret(set->session_token);
	credentials_wipe(set);
}
