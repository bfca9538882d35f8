#include "cli/run/readiness.h"

#include "admin/admin.h"

#include <stdio.h>
#include <string.h>

static bool is_older(uint64_t then_us, uint64_t now_us, uint64_t than_us)
{
	return now_us > then_us && now_us - then_us > than_us;
}

/* What is at a place, all of one look. */
struct worker_view {
	struct board_seat seat;
	struct board_report report;
	bool fresh;
};

static void look(
	const struct board *board, unsigned place, uint64_t now_us, struct worker_view *ret_view)
{
	board_seat_get(board, place, &ret_view->seat);
	board_report_get(board, place, &ret_view->report);
	ret_view->fresh = ret_view->seat.state != BOARD_EMPTY &&
			  ret_view->report.heartbeat_us != 0 &&
			  !is_older(ret_view->report.heartbeat_us, now_us, READINESS_FRESH_US);
}

/* Whom a check is asked of: the first of these that anybody is. */
enum rank { RECEIVING, STARTING, STOPPING, NOBODY };

static enum rank rank_of(const struct worker_view *view)
{
	if (!view->fresh)
		return NOBODY;
	switch (view->seat.state) {
	case BOARD_RUNNING:
		return RECEIVING;
	case BOARD_STARTING:
		return view->report.begun ? RECEIVING : STARTING;
	case BOARD_STOPPING:
		return STOPPING;
	case BOARD_EMPTY:
	case BOARD_WAITING:
	default:
		return NOBODY;
	}
}

static bool is_looping(const struct board_seat *seat)
{
	return (seat->state == BOARD_STARTING || seat->state == BOARD_WAITING) &&
	       seat->failures_in_row >= BOARD_CRASH_LOOP;
}

static void add(struct readiness_sum *sum, const struct worker_view *view)
{
	bool reported = view->report.heartbeat_us != 0;

	sum->looping += is_looping(&view->seat);
	if (view->seat.state == BOARD_WAITING)
		sum->waiting++;
	else if (rank_of(view) == RECEIVING)
		sum->receiving++;
	else if (view->seat.state != BOARD_EMPTY && reported && !view->fresh)
		sum->silent++;
	else if (view->seat.state == BOARD_STARTING || view->seat.state == BOARD_RUNNING)
		sum->starting++; /* one that runs and has not reported is about to */
	else if (view->seat.state == BOARD_STOPPING)
		sum->stopping++;
	if (!view->fresh)
		return;
	sum->busy += view->report.busy;
	sum->slots += view->report.slots;
	sum->received += view->report.received;
	sum->held += view->report.held;
}

void readiness_sum(const struct board *board, uint64_t now_us, struct readiness_sum *ret_sum)
{
	struct worker_view view;

	*ret_sum = (struct readiness_sum){.receiving = 0};
	for (unsigned place = 0; place < board_places(board); place++) {
		look(board, place, now_us, &view);
		add(ret_sum, &view);
	}
}

/* ---- the workers' own checks */

struct merged {
	char name[BOARD_CHECK_NAME_SIZE];
	unsigned failed, degraded;
	unsigned worst; /* of the words that are kept */
	char words[BOARD_CHECK_DETAIL_SIZE];
};

struct merge {
	struct merged rows[BOARD_CHECKS_MAX];
	size_t count;
	unsigned workers;
};

static struct merged *find(struct merge *merge, const char *name)
{
	for (size_t i = 0; i < merge->count; i++)
		if (strcmp(merge->rows[i].name, name) == 0)
			return &merge->rows[i];
	if (merge->count == BOARD_CHECKS_MAX)
		return NULL;
	merge->rows[merge->count] = (struct merged){.worst = ADMIN_OK};
	memcpy(merge->rows[merge->count].name, name, strlen(name) + 1);
	return &merge->rows[merge->count++];
}

static void merge_check(struct merge *merge, const struct board_check *check)
{
	struct merged *row = find(merge, check->name);

	if (!row)
		return;
	row->failed += check->health == ADMIN_FAILED;
	row->degraded += check->health == ADMIN_DEGRADED;
	if (check->health <= row->worst)
		return;
	row->worst = check->health;
	memcpy(row->words, check->detail, sizeof(row->words));
}

static void merge_rank(
	const struct board *board, uint64_t now_us, enum rank rank, struct merge *merge)
{
	struct board_check checks[BOARD_CHECKS_MAX];
	struct worker_view view;

	*merge = (struct merge){.count = 0};
	for (unsigned place = 0; place < board_places(board); place++) {
		size_t count;

		look(board, place, now_us, &view);
		if (rank_of(&view) != rank)
			continue;
		merge->workers++;
		count = board_checks_get(board, place, checks);
		for (size_t i = 0; i < count; i++)
			merge_check(merge, &checks[i]);
	}
}

static void judge(const struct merged *row, unsigned workers, struct board_check *ret)
{
	unsigned troubled = row->failed + row->degraded;
	char detail[BOARD_CHECK_DETAIL_SIZE + 64];

	if (troubled == 0) {
		board_check_fill(ret, row->name, ADMIN_OK, "");
		return;
	}
	if (troubled == workers)
		snprintf(detail, sizeof(detail), "%s", row->words);
	else
		snprintf(detail, sizeof(detail), "in %u of %u workers: %s", troubled, workers,
			row->words);
	board_check_fill(
		ret, row->name, row->failed == workers ? ADMIN_FAILED : ADMIN_DEGRADED, detail);
}

/* ---- whether there are as many as there should be */

static void append_count(char *detail, size_t size, unsigned count, const char *words)
{
	size_t len = strlen(detail);

	if (count > 0)
		snprintf(detail + len, size - len, "; %u %s", count, words);
}

static void judge_workers(const struct board *board, uint64_t now_us, struct board_check *ret)
{
	char detail[BOARD_CHECK_DETAIL_SIZE];
	struct readiness_sum sum;
	struct board_counts counts;

	readiness_sum(board, now_us, &sum);
	board_counts_get(board, &counts);
	if (counts.stopping) {
		board_check_fill(ret, "workers", ADMIN_FAILED, "stopping");
		return;
	}
	if (sum.receiving > 0 && sum.receiving >= counts.wanted) {
		board_check_fill(ret, "workers", ADMIN_OK, "");
		return;
	}
	snprintf(detail, sizeof(detail), "%u of %u %s receiving", sum.receiving, counts.wanted,
		sum.receiving == 1 ? "is" : "are");
	append_count(detail, sizeof(detail), sum.starting, "starting");
	append_count(detail, sizeof(detail), sum.waiting, "died, to be started again");
	append_count(detail, sizeof(detail), sum.looping, "in a crash loop");
	append_count(detail, sizeof(detail), sum.silent, "silent");
	board_check_fill(
		ret, "workers", sum.receiving == 0 ? ADMIN_FAILED : ADMIN_DEGRADED, detail);
}

size_t readiness_checks(const struct board *board, uint64_t now_us,
	struct board_check ret_checks[READINESS_CHECKS_MAX])
{
	struct merge merge = {.workers = 0};

	judge_workers(board, now_us, &ret_checks[0]);
	for (enum rank rank = RECEIVING; rank < NOBODY && merge.workers == 0; rank++)
		merge_rank(board, now_us, rank, &merge);
	for (size_t i = 0; i < merge.count; i++)
		judge(&merge.rows[i], merge.workers, &ret_checks[1 + i]);
	return 1 + merge.count;
}

/* ---- liveness */

static bool is_alive(const struct worker_view *view, uint64_t now_us)
{
	if (view->report.heartbeat_us != 0)
		return !is_older(view->report.heartbeat_us, now_us, READINESS_ALIVE_US) &&
		       !is_older(view->report.progress_us, now_us, READINESS_ALIVE_US);
	return !is_looping(&view->seat) &&
	       !is_older(view->seat.since_us, now_us, READINESS_ALIVE_US);
}

bool readiness_is_alive(const struct board *board, uint64_t now_us, struct buf *words)
{
	struct worker_view view;
	unsigned workers = 0;

	for (unsigned place = 0; place < board_places(board); place++) {
		look(board, place, now_us, &view);
		if (view.seat.state == BOARD_EMPTY)
			continue;
		if (is_alive(&view, now_us))
			return true;
		workers++;
	}
	if (workers > 0)
		buf_appendf(words, "none of %u workers makes progress", workers);
	return workers == 0;
}
