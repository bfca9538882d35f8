/*
 * Rules for columns of a list: COLUMN=REGEX, a POSIX extended regular expression that the whole
 * value has to match, or COLUMN=@PRESET for the ids of providers. Characters are those of UTF-8,
 * whatever the locale of the process; a range in brackets can be of ASCII ones only.
 */
#ifndef CAMPAIGN_VALIDATE_H
#define CAMPAIGN_VALIDATE_H

#include "base/buf.h"
#include "campaign/recipients.h"

#define VALIDATE_RULES_MAX 32
#define VALIDATE_RULE_MAX 1024	/* bytes, the column's name included */
#define VALIDATE_VALUE_MAX 4096 /* bytes; a longer value never matches */

struct validate;

/* 0 or ERR_NOMEM. */
int validate_new(struct validate **ret_validate);
void validate_free(struct validate *validate); /* NULL is fine */

/*
 * Adds a rule. 0; ERR_NOMEM; ERR_SYNTAX with a sentence in `error`: no "=", an empty column, an
 * unknown preset, a broken expression, one past a limit, or a system without the locale C.UTF-8.
 */
int validate_add(struct validate *validate, const char *rule, struct buf *error);

/*
 * The first column that no row of the list can have (known as recipients_may_have() is); NULL:
 * none. Borrowed.
 */
const char *validate_missing_column(
	const struct validate *validate, const struct recipients *recipients);

/*
 * Whether the present row keeps all rules: 1; 0, then `reason` says which it breaks and how; or
 * ERR_NOMEM. A value that is missing breaks its rule, a number or boolean of JSON is taken as it is
 * written. Not re-entrant.
 */
int validate_row(struct validate *validate, struct recipients *recipients, struct buf *reason);

#endif
