/* What the chain does with a set of keys as such. */
#ifndef AWS_CREDENTIALS_SET_H
#define AWS_CREDENTIALS_SET_H

#include "aws/credentials.h"

#include <stdbool.h>

/* Printable ASCII without blanks: what can stand in a header. True of "". */
bool credentials_is_graphic(const char *text);
/* Of arn:partition:service:region:ACCOUNT:resource; "" when it names none. */
void credentials_account_of_arn(const char *arn, char ret_account[16]);

/* What makes it unusable, never a value ("an empty access key id ..."; static); NULL: nothing. */
const char *credentials_set_fault(const struct credentials_set *set);
/* Whether both sign alike; expiry and owner do not count. */
bool credentials_set_is_same(const struct credentials_set *a, const struct credentials_set *b);

/* Registers its secrets with base/log.h: both or none. 0 or ERR_NOMEM. */
int credentials_set_hide(const struct credentials_set *set);
/* Takes that back and wipes it; harmless on an empty set. */
void credentials_set_forget(struct credentials_set *set);

#endif
