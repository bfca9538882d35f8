/* Three messages of a campaign to look at before it is sent: the first, the middle, the last. */
#ifndef CLI_CAMPAIGN_SAMPLES_H
#define CLI_CAMPAIGN_SAMPLES_H

#include "base/buf.h"
#include "campaign/recipients.h"

#include <stddef.h>
#include <stdint.h>

struct campaign_plan;

#define CAMPAIGN_SAMPLES 3
#define CAMPAIGN_SAMPLE_BYTES 1200 /* of a body that are shown */
#define CAMPAIGN_SAMPLE_LINES 8
#define CAMPAIGN_SAMPLE_KEY_BYTES 128

struct campaign_sample {
	struct recipients_place place; /* of a pack, its first row's */
	size_t recipients;
	char key[CAMPAIGN_SAMPLE_KEY_BYTES + 1]; /* of --key, its beginning; "": there is none */
	size_t key_bytes;
	/* Its beginning, whole characters; of a list of recipients the first is shown. */
	char body[CAMPAIGN_SAMPLE_BYTES + 1];
	size_t shown_bytes, text_bytes; /* of the text that the beginning is of */
	size_t bytes;			/* of the body itself */
};

/*
 * One pass over the list that was checked. *ret_count: of three messages or more three, else as
 * many as there are. 0, ERR_NOMEM, or the list's error.
 */
int campaign_samples_take(struct campaign_plan *plan,
	struct campaign_sample samples[CAMPAIGN_SAMPLES], size_t *ret_count);
/* Which one it is of `count`: "first", "middle", "last". */
const char *campaign_sample_name(size_t index, size_t count);
/* ", key U1" for a terminal, as below, or nothing. */
void campaign_sample_append_key(const struct campaign_sample *sample, struct buf *out);
/*
 * The body for a terminal, every line indented, each ended by a newline: what could move its cursor
 * or change its colours is escaped, as \x1b. Says how much more there is.
 */
void campaign_sample_append(const struct campaign_sample *sample, struct buf *out);

#endif
