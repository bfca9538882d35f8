/*
 * What `bunshin top` shows, to the cell: screens/NAME.json at a size must look like
 * screens/NAME-SIZE.txt, blanks at the ends of rows aside.
 */
#include "cli/top/layout.h"

#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define NOW_MS 1764144000000.0
#define SECONDS 600

static struct status status;
static struct history history;

static void read_file(const char *name, struct buf *ret_text)
{
	char path[1024];
	FILE *file;
	size_t len;

	snprintf(path, sizeof(path), "%s/%s", SCREENS, name);
	file = fopen(path, "rb");
	if (!file)
		fail_msg("no %s", path);
	*ret_text = BUF_INIT((size_t)1 << 20);
	len = fread(buf_reserve(ret_text, 65536), 1, 65536, file);
	buf_advance(ret_text, len);
	assert_true(len > 0 && len < 65536);
	fclose(file);
}

static void load(const char *name)
{
	struct buf text, error = BUF_INIT(1024);

	read_file(name, &text);
	if (status_read(&status, buf_string(&text), text.len, &error) < 0)
		fail_msg("%s: %s", name, buf_string(&error));
	buf_free(&text);
	buf_free(&error);
}

/* A slow rise, and at the end a fall to nothing; a minute is unknown. */
static void make_history(void)
{
	history.count = 0;
	for (unsigned i = 0; i < SECONDS; i++) {
		bool known = i < 400 || i >= 460;

		history.rows[history.count++] =
			(struct history_row){.t_ms = NOW_MS - 1000.0 * (SECONDS - i),
				.accepted = !known    ? NAN
					    : i < 580 ? 4.0 * i
						      : 0,
				.attempt_p99_ms = !known    ? NAN
						  : i < 500 ? 200
							    : 4000};
	}
}

static struct top_view make_view(const char *name)
{
	load(name);
	make_history();
	return (struct top_view){.status = &status,
		.history = &history,
		.address = "127.0.0.1:9797",
		.now_ms = NOW_MS};
}

static void assert_text(const struct buf *text, const char *name)
{
	struct buf expected;

	read_file(name, &expected);
	if (strcmp(buf_string(text), buf_string(&expected)) != 0) {
		fprintf(stderr, "%s:\n%s<<<\n", name, buf_string(text));
		fail_msg("not as in %s", name);
	}
	buf_free(&expected);
}

static struct top_shown assert_screen(
	const struct top_view *view, unsigned width, unsigned height, bool ascii, const char *name)
{
	struct buf text = BUF_INIT((size_t)1 << 20);
	struct top_shown shown;
	struct canvas canvas;

	assert_int_equal(canvas_init(&canvas, width, height, ascii), 0);
	assert_int_equal(layout_draw(view, &canvas, &shown), 0);
	assert_int_equal(canvas_print(&canvas, height, &text), 0);
	assert_text(&text, name);
	buf_free(&text);
	canvas_free(&canvas);
	return shown;
}

static void sizes(void **state)
{
	struct top_view view = make_view("sending.json");

	assert_screen(&view, 80, 24, false, "sending-80x24.txt");
	assert_screen(&view, 120, 40, false, "sending-120x40.txt");
	assert_screen(&view, 40, 12, false, "sending-40x12.txt");
	assert_screen(&view, 200, 60, false, "sending-200x60.txt");
	assert_screen(&view, 20, 5, false, "sending-20x5.txt");
	assert_screen(&view, 1, 1, false, "sending-1x1.txt");
}

static void what_is_wrong_is_marked_and_what_has_no_room_is_counted(void **state)
{
	struct top_view view = make_view("failing.json");

	assert_screen(&view, 80, 24, false, "failing-80x24.txt");
	assert_screen(&view, 120, 40, false, "failing-120x40.txt");
	assert_screen(&view, 40, 12, false, "failing-40x12.txt");
	assert_screen(&view, 200, 60, false, "failing-200x60.txt");
	assert_screen(&view, 20, 5, false, "failing-20x5.txt");
}

static void the_chosen_list_has_the_room_and_scrolls(void **state)
{
	struct top_view view = make_view("failing.json");
	struct top_shown shown;

	view.chosen = LIST_WORKERS;
	view.sort = SORT_BUSY;
	view.scroll[LIST_WORKERS] = 3;
	view.scroll[LIST_CAMPAIGNS] = 1000; /* past its end: the end */
	shown = assert_screen(&view, 80, 32, false, "scrolled-80x32.txt");
	assert_int_equal(shown.items[LIST_WORKERS], 12);
	assert_int_equal(shown.rows[LIST_WORKERS] + shown.scroll_max[LIST_WORKERS], 12);
	assert_int_equal(shown.items[LIST_CAMPAIGNS], 7);
	assert_int_equal(shown.rows[LIST_CAMPAIGNS] + shown.scroll_max[LIST_CAMPAIGNS], 7);
}

static void assert_first_worker(enum top_sort sort, const char *number)
{
	struct top_view view = make_view("failing.json");
	struct canvas canvas;
	char first[3] = "";

	view.sort = sort;
	assert_int_equal(canvas_init(&canvas, 80, 20, false), 0);
	assert_int_equal(list_draw(&view, LIST_WORKERS, 0, 12, false, &canvas, 0), 0);
	first[0] = (char)canvas_cell(&canvas, 1, 2)->c;
	first[1] = (char)canvas_cell(&canvas, 1, 3)->c;
	assert_memory_equal(first, number, 2);
	canvas_free(&canvas);
}

static void workers_are_sorted(void **state)
{
	assert_first_worker(SORT_NUMBER, "1 ");
	assert_first_worker(SORT_BUSY, "7 ");	   /* 222 */
	assert_first_worker(SORT_HELD, "12");	   /* 130 */
	assert_first_worker(SORT_MEMORY, "12");	   /* the largest */
	assert_first_worker(SORT_HEARTBEAT, "8 "); /* 12 s */
}

static void texts_of_others_move_nothing(void **state)
{
	struct top_view view = make_view("hostile.json");
	struct buf text = BUF_INIT((size_t)1 << 20);

	assert_screen(&view, 80, 32, false, "hostile-80x32.txt");
	assert_screen(&view, 80, 32, true, "hostile-ascii-80x32.txt");
	assert_int_equal(layout_print(&view, 240, &text), 0);
	for (size_t i = 0; i < text.len; i++)
		assert_true(text.data[i] == '\n' || (unsigned char)text.data[i] >= ' ');
	buf_free(&text);
}

static void no_answer_is_told(void **state)
{
	struct top_view view = make_view("sending.json");

	view.away_since_ms = NOW_MS - 75000;
	view.away_words = "Failed to connect to 127.0.0.1 port 9797: Connection refused";
	assert_screen(&view, 80, 24, false, "away-80x24.txt");
	assert_screen(&view, 20, 5, false, "away-20x5.txt");
	view.status = NULL;
	history.count = 0;
	assert_screen(&view, 80, 24, false, "never-80x24.txt");
	view.away_since_ms = 0;
	assert_screen(&view, 40, 12, false, "waiting-40x12.txt");
}

static void paused_display_and_help(void **state)
{
	struct top_view view = make_view("sending.json");

	view.paused_since_ms = NOW_MS;
	view.help = true;
	assert_screen(&view, 80, 24, false, "help-80x24.txt");
}

static void plain_text(void **state)
{
	struct top_view view = make_view("failing.json");
	struct buf text = BUF_INIT((size_t)1 << 20);

	view.history = NULL;
	assert_int_equal(layout_print(&view, 240, &text), 0);
	assert_text(&text, "failing-plain.txt");
	buf_free(&text);
}

/* Any size: what is drawn stays inside (the sanitizers look), and rows are never given twice. */
static void every_size(void **state)
{
	struct top_view view = make_view("failing.json");

	for (unsigned width = 1; width <= 130; width += 3)
		for (unsigned height = 1; height <= 45; height++) {
			struct top_shown shown;
			struct canvas canvas;
			size_t rows = 0;

			assert_int_equal(canvas_init(&canvas, width, height, false), 0);
			assert_int_equal(layout_draw(&view, &canvas, &shown), 0);
			for (unsigned list = 0; list < LIST_COUNT; list++)
				rows += shown.rows[list] + (shown.rows[list] > 0);
			assert_true(rows <= height);
			canvas_free(&canvas);
		}
}

static int set_up(void **state)
{
	setenv("TZ", "UTC0", 1);
	tzset();
	return setlocale(LC_CTYPE, "C.UTF-8") ? 0 : -1;
}

static int tear_down(void **state)
{
	status_free(&status);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),
		cmocka_unit_test(what_is_wrong_is_marked_and_what_has_no_room_is_counted),
		cmocka_unit_test(the_chosen_list_has_the_room_and_scrolls),
		cmocka_unit_test(workers_are_sorted),
		cmocka_unit_test(texts_of_others_move_nothing),
		cmocka_unit_test(no_answer_is_told),
		cmocka_unit_test(paused_display_and_help),
		cmocka_unit_test(plain_text),
		cmocka_unit_test(every_size),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
