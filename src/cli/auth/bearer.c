#include "cli/auth/bearer.h"

#include "base/log.h"

#include <string.h>

void bearer_init(struct bearer *bearer, const char *scheme)
{
	*bearer = (struct bearer){.scheme_bytes = strlen(scheme)};
	memcpy(bearer->value, scheme, bearer->scheme_bytes);
}

int bearer_set(struct bearer *bearer, const char *token)
{
	char *current = bearer->value + bearer->scheme_bytes;
	int err;

	if (strcmp(current, token) == 0)
		return 0;
	err = log_add_secret(token);
	if (err)
		return err;
	log_remove_secret(bearer->former);
	explicit_bzero(bearer->former, sizeof(bearer->former));
	strcpy(bearer->former, current);
	strcpy(current, token);
	return 0;
}

void bearer_wipe(struct bearer *bearer)
{
	log_remove_secret(bearer->former);
	log_remove_secret(bearer->value + bearer->scheme_bytes);
	explicit_bzero(bearer, sizeof(*bearer));
}
