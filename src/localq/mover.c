#include "localq/mover.h"

#include "base/list.h"
#include "bunshin/error.h"
#include "localq/poller.h"
#include "localq/service.h"

/* Between two slices, and how much one of them is. */
#define PAUSE_US 2000
#define PACED_PAUSE_US 20000
#define SLICE_MESSAGES 200

static void new_message_id(void *arg, uint8_t ret[16])
{
	service_random_uuid(arg, ret);
}

static void moved_to(void *arg, struct store_queue *queue)
{
	poller_wake(arg, queue);
}

static void fired(struct clock_timer *timer)
{
	struct mover *mover = list_entry(timer, struct mover, timer);
	struct service *service = list_entry(mover, struct service, mover);
	const struct store_mover table = {new_message_id, moved_to, service};
	enum store_moving moving = STORE_MOVING_PACED;

	/* An error undoes the turn in the flush, and the same slice is tried again. */
	if (store_begin(service->store) == 0)
		store_moves_run(service->store, &table, clock_wall_epoch_ms(service->clock),
			SLICE_MESSAGES, &moving);
	service->wants_flush(service->arg);
	if (moving != STORE_MOVING_NONE)
		clock_timer_after(service->clock, timer,
			moving == STORE_MOVING_PACED ? PACED_PAUSE_US : PAUSE_US);
}

void mover_init(struct service *service)
{
	service->mover.timer.fire = fired;
}

int mover_resume(struct service *service)
{
	bool any;
	int err = store_moves_any(service->store, &any);

	return err == 0 && any ? mover_wake(service) : err;
}

void mover_close(struct service *service)
{
	clock_timer_clear(service->clock, &service->mover.timer);
}

int mover_wake(struct service *service)
{
	if (clock_timer_is_set(&service->mover.timer))
		return 0;
	return clock_timer_after(service->clock, &service->mover.timer, PAUSE_US);
}
