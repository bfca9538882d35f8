#include "aws/credentials.h"
#include "bunshin/error.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static int static_get(
	void *impl, struct credentials_set *ret_set, char *reason, size_t reason_bytes)
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

static bool text_copy(char *out, size_t out_bytes, const char *text)
{
	size_t len = text != NULL ? strlen(text) : 0;

	if (len >= out_bytes)
		return false;
	if (len > 0)
		memcpy(out, text, len);
	out[len] = '\0';
	return true;
}

int credentials_static(const char *access_key_id, const char *secret_access_key,
	const char *session_token, struct credentials_provider *ret_provider)
{
	struct credentials_set *keys = calloc(1, sizeof(*keys));

	if (keys == NULL)
		return ERR_NOMEM;
	if (!text_copy(keys->access_key_id, sizeof(keys->access_key_id), access_key_id) ||
		!text_copy(keys->secret_access_key, sizeof(keys->secret_access_key),
			secret_access_key) ||
		!text_copy(keys->session_token, sizeof(keys->session_token), session_token) ||
		(keys->access_key_id[0] != '\0' && keys->secret_access_key[0] == '\0')) {
		static_free(keys);
		return ERR_ARGUMENT;
	}
	*ret_provider = (struct credentials_provider){
		.name = "static", .get = static_get, .free = static_free, .impl = keys};
	return 0;
}
