#include "campaign/progress.h"

#include "campaign/figures.h"

#include <inttypes.h>
#include <string.h>

enum { BAR_MAX = 40, BAR_MIN = 8 };

void progress_start(struct progress *progress, uint64_t total, uint64_t now_us)
{
	*progress = (struct progress){.total = total, .start_us = now_us};
	progress_update(progress, 0, now_us);
}

void progress_update(struct progress *progress, uint64_t done, uint64_t now_us)
{
	progress->done = done;
	progress->samples[progress->next].at_us = now_us;
	progress->samples[progress->next].done = done;
	progress->next = (progress->next + 1) % PROGRESS_SAMPLES;
	if (progress->count < PROGRESS_SAMPLES)
		progress->count++;
}

uint64_t progress_rate(const struct progress *progress)
{
	unsigned last = (progress->next + PROGRESS_SAMPLES - 1) % PROGRESS_SAMPLES;
	uint64_t now_us = progress->samples[last].at_us, from_us, done;
	unsigned first = last;

	/* The oldest sample inside the window, or the one before when there is no other. */
	for (unsigned back = 1; back < progress->count; back++) {
		unsigned i = (last + PROGRESS_SAMPLES - back) % PROGRESS_SAMPLES;

		if (now_us - progress->samples[i].at_us > PROGRESS_WINDOW_US && back > 1)
			break;
		first = i;
	}
	from_us = progress->samples[first].at_us;
	done = progress->done - progress->samples[first].done;
	return now_us > from_us ? done * 1000000 / (now_us - from_us) : 0;
}

int64_t progress_left_s(const struct progress *progress)
{
	uint64_t rate = progress_rate(progress);

	if (progress->done >= progress->total)
		return 0;
	if (rate == 0)
		return -1;
	return (int64_t)((progress->total - progress->done + rate - 1) / rate);
}

static unsigned percent(const struct progress *progress)
{
	return progress->total > 0 ? (unsigned)(progress->done * 100 / progress->total) : 100;
}

static void append_figures(const struct progress *progress, struct buf *out)
{
	int64_t left = progress_left_s(progress);

	buf_appendf(out, "%3u%%  ", percent(progress));
	figures_append_count(out, progress->done);
	buf_append_char(out, '/');
	figures_append_count(out, progress->total);
	buf_append_string(out, "  ");
	figures_append_count(out, progress_rate(progress));
	buf_append_string(out, "/s  ETA ");
	if (left < 0)
		buf_append_char(out, '-');
	else
		figures_append_duration(out, left);
}

void progress_bar(const struct progress *progress, unsigned columns, struct buf *out)
{
	struct buf figures = BUF_INIT(200);
	size_t width = BAR_MAX, filled;

	append_figures(progress, &figures);
	if (figures.len + 4 + width > columns)
		width = columns > figures.len + 4 ? columns - figures.len - 4 : 0;
	if (width >= BAR_MIN) {
		filled = width * percent(progress) / 100;
		if (filled > width)
			filled = width;
		buf_append_char(out, '[');
		for (size_t i = 0; i < width; i++)
			buf_append_char(out, i < filled ? '=' : i == filled ? '>' : ' ');
		buf_append_string(out, "] ");
	}
	buf_append(out, buf_string(&figures), figures.len < columns ? figures.len : columns);
	buf_free(&figures);
}

void progress_sentence(const struct progress *progress, struct buf *out)
{
	int64_t left = progress_left_s(progress);

	buf_appendf(out, "%" PRIu64 " of %" PRIu64 " (%u%%), %" PRIu64 "/s", progress->done,
		progress->total, percent(progress), progress_rate(progress));
	if (left >= 0) {
		buf_append_string(out, ", about ");
		figures_append_duration(out, left);
		buf_append_string(out, " left");
	}
}
