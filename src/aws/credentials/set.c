#include "aws/credentials/set.h"

#include "base/log.h"

#include <openssl/crypto.h>
#include <string.h>

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

const char *credentials_set_fault(const struct credentials_set *set)
{
	if (set->access_key_id[0] == '\0' || set->secret_access_key[0] == '\0')
		return "an empty access key id or secret access key";
	if (!is_header_safe(set->access_key_id))
		return "a blank or control character in the access key id";
	if (!is_header_safe(set->session_token))
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
