#include "admin/page_files.h"

#include <stddef.h>
#include <string.h>

/* By scripts/embed: the files of src/admin/page, and the chart library of the system. */
extern const char status_index_html[], status_status_css[], status_status_js[], status_charts_js[],
	status_control_js[], status_dom_js[], status_format_js[], status_tables_js[],
	status_chart_js[];

#define HTML "text/html; charset=utf-8"
#define CSS "text/css; charset=utf-8"
#define JS "text/javascript; charset=utf-8"

static const struct page_file files[] = {
	{"/", HTML, status_index_html},
	{"/page/status.css", CSS, status_status_css},
	{"/page/status.js", JS, status_status_js},
	{"/page/charts.js", JS, status_charts_js},
	{"/page/control.js", JS, status_control_js},
	{"/page/dom.js", JS, status_dom_js},
	{"/page/format.js", JS, status_format_js},
	{"/page/tables.js", JS, status_tables_js},
	{"/page/chart.js", JS, status_chart_js},
};

const struct page_file *page_files_find(const char *path)
{
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		if (strcmp(path, files[i].path) == 0)
			return &files[i];
	}
	return NULL;
}

bool page_files_wanted(const char *accept)
{
	return accept != NULL && strcasestr(accept, "text/html") != NULL;
}
