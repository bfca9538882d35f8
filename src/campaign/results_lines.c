#include "campaign/results_lines.h"

#include "bunshin/error.h"

#include <stdbool.h>
#include <string.h>

static bool is_blank(const char *line, size_t len)
{
	while (len > 0 && (*line == ' ' || *line == '\t' || *line == '\r')) {
		line++;
		len--;
	}
	return len == 0;
}

static int read_line(struct results_lines *lines, const char *line, size_t len,
	const struct results_lines_sink *sink)
{
	struct result_record record;
	struct result_status status;
	enum result_line kind;
	int err = result_line_read(&lines->json, line, len, &kind, &record, &status);

	if (err == ERR_SYNTAX) {
		lines->broken++;
		return 0;
	}
	if (err < 0)
		return err;
	if (kind == RESULT_LINE_RECORD) {
		lines->records++;
		return sink->record(sink->arg, &record);
	}
	lines->statuses++;
	return sink->status(sink->arg, &status);
}

int results_lines_read(struct results_lines *lines, const char *text, size_t len,
	const struct results_lines_sink *sink)
{
	int err = 0;

	while (len > 0 && err == 0) {
		const char *feed = memchr(text, '\n', len);
		size_t line = feed ? (size_t)(feed - text) : len;
		size_t used = feed ? line + 1 : line;

		if (line > 0 && !is_blank(text, line))
			err = read_line(lines, text, line, sink);
		text += used;
		len -= used;
	}
	return err;
}

static int add_record(void *arg, const struct result_record *record)
{
	return results_db_add(arg, record);
}

static int add_status(void *arg, const struct result_status *status)
{
	return results_db_add_status(arg, status);
}

int results_lines_add(
	struct results_lines *lines, const char *text, size_t len, struct results_db *db)
{
	const struct results_lines_sink sink = {add_record, add_status, db};

	return results_lines_read(lines, text, len, &sink);
}
