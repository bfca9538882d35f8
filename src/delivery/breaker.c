#include "delivery/breaker.h"

void breaker_init(struct breaker *breaker)
{
	*breaker = (struct breaker){.state = BREAKER_CLOSED, .wait_ms = BREAKER_WAIT_MIN_MS};
}

unsigned breaker_allows(struct breaker *breaker, uint64_t now_us, unsigned limit)
{
	if (breaker->state == BREAKER_OPEN && now_us >= breaker->probe_us)
		breaker->state = BREAKER_HALF_OPEN;
	switch (breaker->state) {
	case BREAKER_CLOSED:
		return limit;
	case BREAKER_HALF_OPEN:
		return 1;
	case BREAKER_OPEN:
	default:
		return 0;
	}
}

bool breaker_refused(struct breaker *breaker, uint64_t now_us)
{
	/* Answers to attempts that were out when it opened say nothing new. */
	if (breaker->state == BREAKER_OPEN)
		return false;
	breaker->state = BREAKER_OPEN;
	breaker->probe_us = now_us + (uint64_t)breaker->wait_ms * 1000;
	breaker->wait_ms *= 2;
	if (breaker->wait_ms > BREAKER_WAIT_MAX_MS)
		breaker->wait_ms = BREAKER_WAIT_MAX_MS;
	return true;
}

bool breaker_answered(struct breaker *breaker)
{
	if (breaker->state != BREAKER_HALF_OPEN)
		return false;
	breaker_init(breaker);
	return true;
}

int64_t breaker_remaining_ms(const struct breaker *breaker, uint64_t now_us)
{
	if (breaker->state != BREAKER_OPEN || now_us >= breaker->probe_us)
		return 0;
	return (int64_t)((breaker->probe_us - now_us + 999) / 1000);
}
