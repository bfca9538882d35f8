/*
 * The status page: what a browser gets from the admin port, and under which rules. The files are
 * those of src/admin/page and the chart library, embedded at build time. Pure.
 */
#ifndef ADMIN_PAGE_FILES_H
#define ADMIN_PAGE_FILES_H

#include <stdbool.h>

struct page_file {
	const char *path; /* "/page/status.js" */
	const char *content_type;
	const char *content; /* a string */
};

/* The file of a path; NULL: there is none. "/" is the page itself. */
const struct page_file *page_files_find(const char *path);

/*
 * Whether who asks for "/" is a browser, by its Accept header (may be NULL): it names text/html.
 * Programs send none, or any type.
 */
bool page_files_wanted(const char *accept);

/*
 * Headers of every answer of the admin port, for the list of a struct http_reply: nothing from
 * elsewhere, nothing inline, in nobody's frame, kept by nobody. The tab's icon is a data: image.
 * Sources: "Content Security Policy Level 3" (W3C), "Fetch" (WHATWG) for the others.
 */
#define PAGE_FILES_HEADERS                                                                         \
	"Content-Security-Policy",                                                                 \
		"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "    \
		"img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",      \
		"X-Content-Type-Options", "nosniff", "X-Frame-Options", "DENY", "Referrer-Policy", \
		"no-referrer", "Cross-Origin-Opener-Policy", "same-origin",                        \
		"Cross-Origin-Resource-Policy", "same-origin", "Cache-Control", "no-store"

#endif
