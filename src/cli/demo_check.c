#include "cli/demo_check.h"

#include "bunshin/error.h"
#include "campaign/recipients.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct expected {
	char *body;
	size_t seen;
};

struct check {
	struct expected *rows;
	size_t count, capacity;
	cJSON *message_template, *request_template;
	struct buf *error;
};

/* ---- the bodies expected ---- */

static bool find_member(void *source, const char *name, struct template_value *ret_value)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(source, name));

	if (text)
		*ret_value = (struct template_value){.text = text, .text_bytes = strlen(text)};
	return text != NULL;
}

/* Replaces each {{name}} in one string of a template. */
static char *fill_string(const char *text, template_lookup *find, void *source)
{
	struct buf out = BUF_INIT((size_t)1 << 20);
	const char *open, *close;

	while ((open = strstr(text, "{{")) && (close = strstr(open, "}}"))) {
		char name[128];
		struct template_value value;

		snprintf(name, sizeof(name), "%.*s", (int)(close - open - 2), open + 2);
		buf_append(&out, text, (size_t)(open - text));
		if (find(source, name, &value))
			buf_append(&out, value.text, value.text_bytes);
		else
			buf_append_string(&out, "(missing)");
		text = close + 2;
	}
	buf_append_string(&out, text);
	if (out.err || !out.data) {
		buf_free(&out);
		return NULL;
	}
	return buf_take(&out, NULL);
}

static int fill(cJSON *node, template_lookup *find, void *source)
{
	int err = 0;

	if (cJSON_IsString(node)) {
		char *filled = fill_string(node->valuestring, find, source);

		if (!filled || !cJSON_SetValuestring(node, filled))
			err = ERR_NOMEM;
		free(filled);
		return err;
	}
	for (cJSON *child = node->child; child && !err; child = child->next)
		err = fill(child, find, source);
	return err;
}

static int add_expected(struct check *check, char *body)
{
	if (check->count == check->capacity) {
		size_t capacity = check->capacity ? 2 * check->capacity : 1024;
		struct expected *rows = realloc(check->rows, capacity * sizeof(*rows));

		if (!rows)
			return ERR_NOMEM;
		check->rows = rows;
		check->capacity = capacity;
	}
	check->rows[check->count++] = (struct expected){.body = body};
	return 0;
}

static int expect_row(struct check *check, struct recipients *recipients)
{
	cJSON *message = cJSON_Duplicate(check->message_template, true);
	cJSON *request = cJSON_Duplicate(check->request_template, true);
	char *body = NULL;
	int err = message && request ? 0 : ERR_NOMEM;

	if (!err)
		err = fill(message, recipients_lookup, recipients);
	if (!err)
		err = fill(request, find_member, message);
	if (!err && !(body = cJSON_PrintUnformatted(request)))
		err = ERR_NOMEM;
	if (!err)
		err = add_expected(check, body);
	if (err)
		free(body);
	cJSON_Delete(message);
	cJSON_Delete(request);
	return err;
}

static int read_file(void *arg, char *bytes, size_t size, size_t *ret_len)
{
	*ret_len = fread(bytes, 1, size, arg);
	return ferror((FILE *)arg) ? ERR_IO : 0;
}

static int expect_all(struct check *check, const char *path)
{
	FILE *file = fopen(path, "rb");
	struct recipients_input input = {.read = read_file, .arg = file};
	struct recipients *recipients = NULL;
	int err, event;

	if (!file) {
		buf_appendf(check->error, "%s: %s", path, strerror(errno));
		return ERR_IO;
	}
	err = recipients_new(RECIPIENTS_CSV, &input, &recipients);
	while (!err && (event = recipients_next(recipients)) != RECIPIENTS_END) {
		if (event == RECIPIENTS_ROW) {
			err = expect_row(check, recipients);
		} else {
			buf_appendf(check->error, "%s: a row is unusable", path);
			err = ERR_SYNTAX;
		}
	}
	recipients_free(recipients);
	fclose(file);
	return err;
}

static int by_body(const void *a, const void *b)
{
	return strcmp(((const struct expected *)a)->body, ((const struct expected *)b)->body);
}

/* ---- the bodies recorded ---- */

static void compare_one(struct check *check, const cJSON *line, struct demo_result *result)
{
	const cJSON *status = cJSON_GetObjectItemCaseSensitive(line, "status");
	const cJSON *time = cJSON_GetObjectItemCaseSensitive(line, "time_epoch_ms");
	char *body = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(line, "body"));
	struct expected key = {.body = body}, *row;

	if (!cJSON_IsNumber(status) || status->valueint < 200 || status->valueint > 299)
		return;
	if (cJSON_IsNumber(time) && (int64_t)time->valuedouble > result->last_epoch_ms)
		result->last_epoch_ms = (int64_t)time->valuedouble;
	row = body ? bsearch(&key, check->rows, check->count, sizeof(*check->rows), by_body) : NULL;
	if (row) {
		row->seen++;
		return;
	}
	result->unexpected++;
	if (!result->example[0])
		snprintf(result->example, sizeof(result->example), "not expected: %s",
			body ? body : "(not UTF-8)");
}

static int compare_all(struct check *check, const char *path, struct demo_result *result)
{
	FILE *file = fopen(path, "rb");
	char *line = NULL;
	size_t size = 0;
	int err = 0;

	if (!file) {
		buf_appendf(check->error, "%s: %s", path, strerror(errno));
		return ERR_IO;
	}
	while (!err && getline(&line, &size, file) > 0) {
		cJSON *json = cJSON_Parse(line);

		if (json) {
			compare_one(check, json, result);
		} else {
			buf_appendf(check->error, "%s: a line is not JSON", path);
			err = ERR_SYNTAX;
		}
		cJSON_Delete(json);
	}
	free(line);
	fclose(file);
	return err;
}

static void sum_up(const struct check *check, struct demo_result *result)
{
	result->recipients = check->count;
	for (size_t i = 0; i < check->count; i++) {
		const struct expected *row = &check->rows[i];

		if (row->seen) {
			result->accepted++;
			result->duplicates += row->seen - 1;
			continue;
		}
		result->missing++;
		if (!result->example[0])
			snprintf(
				result->example, sizeof(result->example), "missing: %s", row->body);
	}
}

static void check_free(struct check *check)
{
	for (size_t i = 0; i < check->count; i++)
		free(check->rows[i].body);
	free(check->rows);
	cJSON_Delete(check->message_template);
	cJSON_Delete(check->request_template);
}

int demo_check(const char *recipients, const char *message_template, const char *request_template,
	const char *record, struct demo_result *ret_result, struct buf *error)
{
	struct check check = {.error = error};
	struct demo_result result = {0};
	int err = 0;

	check.message_template = cJSON_Parse(message_template);
	check.request_template = cJSON_Parse(request_template);
	if (!check.message_template || !check.request_template) {
		buf_append_string(error, "the example's templates are not JSON");
		err = ERR_SYNTAX;
	}
	if (!err)
		err = expect_all(&check, recipients);
	if (!err && check.count)
		qsort(check.rows, check.count, sizeof(*check.rows), by_body);
	if (!err)
		err = compare_all(&check, record, &result);
	if (!err) {
		sum_up(&check, &result);
		*ret_result = result;
	}
	check_free(&check);
	return err;
}
