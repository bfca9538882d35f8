#include "delivery/breaker.h"

void breaker_init(struct breaker *breaker, unsigned failures_max)
{
	*breaker = (struct breaker){.state = BREAKER_CLOSED, .failures_max = failures_max};
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

bool breaker_is_news(const struct breaker *breaker, uint64_t started_us)
{
	/* Between the opening and probe_us nothing begins. */
	return started_us >= breaker->probe_us;
}

static void trip(struct breaker *breaker, uint64_t now_us, int64_t wait_min_ms)
{
	int64_t wait_ms = breaker->wait_ms * 2;

	if (wait_ms < wait_min_ms)
		wait_ms = wait_min_ms;
	if (wait_ms > BREAKER_WAIT_MAX_MS)
		wait_ms = BREAKER_WAIT_MAX_MS;
	breaker->state = BREAKER_OPEN;
	breaker->failures = 0;
	breaker->wait_ms = wait_ms;
	breaker->probe_us = now_us + (uint64_t)wait_ms * 1000;
}

bool breaker_refused(struct breaker *breaker, uint64_t now_us)
{
	/* Answers to attempts that were out when it opened say nothing new. */
	if (breaker->state == BREAKER_OPEN)
		return false;
	trip(breaker, now_us, BREAKER_REFUSED_WAIT_MIN_MS);
	return true;
}

bool breaker_failed(struct breaker *breaker, uint64_t now_us)
{
	switch (breaker->state) {
	case BREAKER_CLOSED:
		if (breaker->failures_max == 0 || ++breaker->failures < breaker->failures_max)
			return false;
		break;
	case BREAKER_HALF_OPEN:
		break;
	case BREAKER_OPEN:
	default:
		return false;
	}
	trip(breaker, now_us, BREAKER_FAILED_WAIT_MIN_MS);
	return true;
}

bool breaker_answered(struct breaker *breaker)
{
	breaker->failures = 0;
	if (breaker->state != BREAKER_HALF_OPEN)
		return false;
	breaker->state = BREAKER_CLOSED;
	breaker->wait_ms = 0;
	return true;
}

int64_t breaker_remaining_ms(const struct breaker *breaker, uint64_t now_us)
{
	if (breaker->state != BREAKER_OPEN || now_us >= breaker->probe_us)
		return 0;
	return (int64_t)((breaker->probe_us - now_us + 999) / 1000);
}
