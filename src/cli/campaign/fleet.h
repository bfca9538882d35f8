/*
 * What the workers' configuration says of how fast a campaign can go: `campaign send --config`.
 * It is read without its secrets: a variable, file or credential that is not there is no error.
 */
#ifndef CLI_CAMPAIGN_FLEET_H
#define CLI_CAMPAIGN_FLEET_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct campaign_fleet {
	char destination[257]; /* the one that was asked for, else the first */
	double per_s; /* its `rate`, of all hosts together (fleet_hosts divides it); 0: no limit */
	/* Requests that all workers of all hosts can have in flight to it; 0: not known. */
	uint64_t slots;
	uint64_t batch_max;   /* recipients, or messages, of one request; 0: not known */
	char batch_field[65]; /* "": it takes no lists of recipients; a longer name is cut */
	bool cores_guessed;   /* workers: auto, taken as the cores of this machine */
};

/*
 * destination NULL: the first. 0, ERR_NOMEM, or ERR_CONFIG with lines for people in `errors`, each
 * ended by a newline.
 */
int campaign_fleet_read(const char *path, const char *destination, struct campaign_fleet *ret_fleet,
	struct buf *errors);

#endif
