/* Which file a path gets, and who gets the page. */
#include "admin/page_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void every_file(void **state)
{
	static const char *const paths[] = {"/", "/page/status.css", "/page/status.js",
		"/page/charts.js", "/page/control.js", "/page/dom.js", "/page/format.js",
		"/page/tables.js", "/page/chart.js"};
	static const char *const none[] = {"", "/page", "/page/", "/page/index.html",
		"/page/status.js/", "/page/../", "/Page/dom.js"};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		const struct page_file *file = page_files_find(paths[i]);

		assert_non_null(file);
		assert_string_equal(file->path, paths[i]);
		assert_true(strlen(file->content) > 1000);
		assert_non_null(strstr(file->content_type, "; charset=utf-8"));
	}
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_null(page_files_find(none[i]));
}

/* What the page loads is all there, and nothing else is asked for. */
static void what_the_page_loads(void **state)
{
	static const char *const marks[] = {" src=\"", " href=\""};
	const char *html = page_files_find("/")->content;
	int found = 0;

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		for (const char *at = html; (at = strstr(at, marks[i])) != NULL; at++) {
			const char *name = at + strlen(marks[i]);
			size_t len = strcspn(name, "\"");
			char path[64] = "/";

			if (strncmp(name, "page/", 5) != 0)
				continue;
			assert_true(len < sizeof(path) - 1);
			strncat(path, name, len);
			assert_non_null(page_files_find(path));
			found++;
		}
	}
	assert_int_equal(found, 3);
}

static void who_gets_the_page(void **state)
{
	assert_true(page_files_wanted("text/html"));
	assert_true(page_files_wanted("text/html,application/xhtml+xml,*/*;q=0.8"));
	assert_true(page_files_wanted("application/json, Text/HTML;q=0.5"));
	assert_false(page_files_wanted(NULL));
	assert_false(page_files_wanted(""));
	assert_false(page_files_wanted("*/*"));
	assert_false(page_files_wanted("text/plain, application/json"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_file),
		cmocka_unit_test(what_the_page_loads),
		cmocka_unit_test(who_gets_the_page),
	};

	return cmocka_run_group_tests_name("page_files", tests, NULL, NULL);
}
