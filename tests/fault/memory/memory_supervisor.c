/* src/supervisor: the board. */
#include "sweep.h"

#include "bunshin/error.h"
#include "supervisor/board.h"

#include <stdio.h>

#define MANY_SERIES 100

static int make_board(const void *arg)
{
	struct board *board;

	sweep_on();
	board = board_new(3);
	sweep_off();
	board_free(board);
	return board ? 0 : ERR_NOMEM;
}

static void work_at(struct board *board, unsigned place)
{
	struct metrics *metrics = metrics_new_in(board_metrics(board, place), BOARD_METRICS_BYTES);

	for (int i = 0; i < MANY_SERIES; i++) {
		char labels[32];

		snprintf(labels, sizeof(labels), "i=\"%d\"", i);
		counter_add(metrics_counter(metrics, "c_total", "C.", labels), 1);
	}
	metrics_free(metrics);
}

static uint64_t first_of(struct metrics *metrics)
{
	return metrics_counter(metrics, "c_total", "C.", "i=\"0\"")->value;
}

/* Nothing of a collection that failed half way is taken for the whole. */
static int collect_board(const void *arg)
{
	struct board *board = board_new(3);
	struct metrics *sum = metrics_new();
	int err;

	work_at(board, 0);
	work_at(board, 1);
	board_clear(board, 1);
	work_at(board, 2);
	sweep_on();
	err = board_collect(board, sum);
	sweep_off();
	if (!err)
		assert_int_equal(first_of(sum), 3);
	metrics_free(sum);
	board_free(board);
	return err;
}

/* What there is no memory for is forgotten; the place is as new all the same, and so is the next.
 */
static int clear_board(const void *arg)
{
	struct board *board = board_new(2);
	struct metrics *sum = metrics_new();
	struct board_report report;
	uint64_t first;

	work_at(board, 0);
	board_report_set(board, 0, &(struct board_report){.held = 1});
	sweep_on();
	board_clear(board, 0);
	sweep_off();
	board_report_get(board, 0, &report);
	assert_int_equal(report.held, 0);
	assert_int_equal(board_collect(board, sum), 0);
	first = first_of(sum);
	assert_in_range(first, 0, 1);
	work_at(board, 0);
	board_clear(board, 0);
	assert_int_equal(board_collect(board, sum), 0);
	assert_int_equal(first_of(sum), first + first + 1);
	metrics_free(sum);
	board_free(board);
	return 0;
}

int main(void)
{
	static const struct sweep table[] = {
		SWEEP("board: made", make_board),
		SWEEP("board: metrics of three places, and of one that is gone", collect_board),
		SWEEP("board: a worker that is gone", clear_board, .degrades = true),
	};

	return SWEEP_TABLE("supervisor", table, NULL, NULL);
}
