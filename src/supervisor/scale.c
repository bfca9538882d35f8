#include "supervisor/scale.h"

#include <stdbool.h>

#define BUSY_PERCENT 80
#define IDLE_PERCENT 50

void scale_init(struct scale *scale, unsigned min, unsigned max)
{
	*scale = (struct scale){.min = min, .max = max, .wanted = min};
}

static bool is_busy(const struct scale_load *load)
{
	return load->slots > 0 && load->busy * 100 >= load->slots * BUSY_PERCENT;
}

static bool has_more(const struct scale_load *load)
{
	return load->backlog > 0 || load->wanting > 0;
}

/* A tenth fewer, and still half of the slots of those that stay would be free. */
static unsigned fewer(const struct scale *scale, unsigned from)
{
	unsigned step = from / 10 > 0 ? from / 10 : 1;

	return from > scale->min + step ? from - step : scale->min;
}

static bool would_be_idle(const struct scale *scale, const struct scale_load *load)
{
	unsigned left = fewer(scale, scale->wanted);

	if (has_more(load) || load->workers == 0)
		return false;
	return load->busy * load->workers * 100 <= load->slots * left * IDLE_PERCENT;
}

static void grow(struct scale *scale, uint64_t now_us)
{
	scale->idle_since_us = 0;
	if (scale->changed_us != 0 && now_us - scale->changed_us < SCALE_GROW_US)
		return;
	scale->changed_us = now_us;
	scale->wanted = scale->wanted > scale->max / 2 ? scale->max : scale->wanted * 2;
}

static void shrink(struct scale *scale, uint64_t now_us)
{
	if (scale->idle_since_us == 0)
		scale->idle_since_us = now_us;
	if (now_us - scale->idle_since_us < SCALE_SHRINK_US)
		return;
	scale->idle_since_us = now_us;
	scale->wanted = fewer(scale, scale->wanted);
}

unsigned scale_step(struct scale *scale, const struct scale_load *load, uint64_t now_us)
{
	if (load->starting == 0 && load->workers >= scale->wanted && is_busy(load) &&
		has_more(load) && scale->wanted < scale->max)
		grow(scale, now_us);
	else if (scale->wanted > scale->min && would_be_idle(scale, load))
		shrink(scale, now_us);
	else
		scale->idle_since_us = 0;
	return scale->wanted;
}
