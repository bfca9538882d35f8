/*
 * The queues that `bunshin queue --config FILE` declares: the file's form (config/queues_file.h)
 * and localq's rules put together, so that every mistake is a line with its place.
 */
#ifndef CLI_QUEUE_DECLARED_H
#define CLI_QUEUE_DECLARED_H

#include "base/buf.h"
#include "localq/declare.h"

struct declared;

/*
 * Reads and checks the file; nothing is created. Returns 0; ERR_NOMEM; ERR_IO or ERR_CONFIG with
 * whole lines, "FILE:LINE:COLUMN: queues[0].KEY: reason\n", appended to `errors`.
 */
int declared_load(const char *path, struct declared **ret, struct buf *errors);
/* NULL is fine. */
void declared_free(struct declared *declared);

/* For endpoint_new(); borrowed. NULL gives NULL. */
struct declarations *declared_list(struct declared *declared);
/* After ERR_REFUSED: such a line for what the store refused. */
void declared_explain(struct declared *declared, struct buf *errors);

#endif
