/*
 * Order within the message groups of a FIFO queue. Private to delivery.
 *
 * The messages held of one group stand in a row, in the order in which they came. Only the first
 * may be attempted; it leaves the row once it is accepted or ended here, and when it goes back to
 * the queue, all behind it go back with it.
 *
 * From there it stands in a second row, of those whose delete is wanted, until it is deleted or
 * lost. Deletes keep that order, too: if the first one's delete failed and the second one's did
 * not, a crash would bring the first back after the second. So a delete is sent with those before
 * it of its group, or after they were confirmed.
 *
 * Needs no memory but its buckets; without them (a standard queue) every message is first.
 */
#ifndef DELIVERY_GROUP_H
#define DELIVERY_GROUP_H

#include <stdbool.h>
#include <stdint.h>

struct batch_call;
struct list;
struct message;

#define GROUP_BUCKETS 1024

/* NULL: out of memory. free() it when no message is held any more. */
struct list *group_buckets_new(void);
void group_join(struct message *message);
bool group_is_first(const struct message *message);
/* Leaves its row; harmless when it stands in none. */
void group_leave(struct message *message);
/* Its delete is wanted: into the second row, which message_free() takes it out of. */
void group_join_deletes(struct message *message);
/* Those before it in the second row are all in this call. */
bool group_may_delete(const struct message *message, const struct batch_call *call);
/* Before the message goes back: puts all behind it back, each to be visible after delay_ms. */
void group_return_rest(struct message *message, int64_t delay_ms);

#endif
