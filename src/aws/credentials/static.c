#include "aws/credentials/provider.h"
#include "bunshin/error.h"

#include <stdlib.h>

static int static_get(void *impl, struct credentials_set *ret_set, credentials_done *done,
	void *arg, char reason[CREDENTIALS_REASON_MAX])
{
	const struct credentials_set *keys = impl;

	if (keys->access_key_id[0] == '\0')
		return ERR_NOT_FOUND;
	*ret_set = *keys;
	return 0;
}

static void static_free(void *impl)
{
	credentials_wipe(impl);
	free(impl);
}

int credentials_static(const char *access_key_id, const char *secret_access_key,
	const char *session_token, struct credentials_provider *ret_provider)
{
	struct credentials_set *keys = calloc(1, sizeof(*keys));

	if (keys == NULL)
		return ERR_NOMEM;
	if (!credentials_copy(keys->access_key_id, sizeof(keys->access_key_id), access_key_id) ||
		!credentials_copy(keys->secret_access_key, sizeof(keys->secret_access_key),
			secret_access_key) ||
		!credentials_copy(
			keys->session_token, sizeof(keys->session_token), session_token) ||
		(keys->access_key_id[0] != '\0' && keys->secret_access_key[0] == '\0')) {
		static_free(keys);
		return ERR_ARGUMENT;
	}
	*ret_provider = (struct credentials_provider){
		.name = "static", .get = static_get, .free = static_free, .impl = keys};
	return 0;
}
