#include "cli/demo_files.h"

#include "bunshin/error.h"
#include "config/config.h"

#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RECIPIENTS "morning-coupon.csv"
#define MESSAGE_TEMPLATE "morning-coupon.template.json"
#define CONFIG "../destinations/line-push.yaml"
#define FILE_MAX_BYTES ((size_t)64 << 20)
/* LINE's user ids: U and 32 hexadecimal digits. */
#define ID_BYTES 33

static int join(char into[PATH_MAX], const char *directory, const char *name)
{
	size_t directory_bytes = strlen(directory), name_bytes = strlen(name);

	if (directory_bytes + 1 + name_bytes + 1 > PATH_MAX)
		return ERR_TOO_LARGE;
	memcpy(into, directory, directory_bytes);
	into[directory_bytes] = '/';
	memcpy(into + directory_bytes + 1, name, name_bytes + 1);
	return 0;
}

static int read_whole(const char *path, struct buf *text, struct buf *error)
{
	FILE *file = fopen(path, "rb");
	char *room;
	size_t got = 1;

	if (!file) {
		buf_appendf(error, "%s: %s", path, strerror(errno));
		return ERR_IO;
	}
	while (got > 0 && (room = buf_reserve(text, 65536))) {
		got = fread(room, 1, 65536, file);
		buf_advance(text, got);
	}
	if (text->err || ferror(file))
		buf_appendf(error, "%s: cannot be read", path);
	fclose(file);
	return error->len ? ERR_IO : 0;
}

static bool has_examples(const char *directory)
{
	char path[PATH_MAX];

	return join(path, directory, RECIPIENTS) == 0 && access(path, R_OK) == 0;
}

/* The installed ones, else conf/examples beside or above the program. */
static bool find_examples(const char *program, char ret_directory[PATH_MAX])
{
	char place[PATH_MAX];
	char *slash;

	snprintf(ret_directory, PATH_MAX, "%s", BUNSHIN_EXAMPLES);
	if (has_examples(ret_directory))
		return true;
	snprintf(place, sizeof(place), "%s", program);
	while ((slash = strrchr(place, '/'))) {
		*slash = '\0';
		if (join(ret_directory, place, "conf/examples") == 0 && has_examples(ret_directory))
			return true;
	}
	return false;
}

/* The end of the record that starts at text: a line break outside of quotes. */
static const char *record_end(const char *text)
{
	bool quoted = false;

	for (; *text; text++) {
		if (*text == '"')
			quoted = !quoted;
		else if (*text == '\n' && !quoted)
			return text + 1;
	}
	return text;
}

/* One record; in a repetition its user id is another one. */
static int write_record(FILE *file, const char *start, const char *end, size_t repetition)
{
	char id[ID_BYTES + 1];
	size_t length = (size_t)(end - start);

	if (repetition == 0 || length < ID_BYTES || start[0] != 'U')
		return fwrite(start, 1, length, file) == length ? 0 : ERR_IO;
	memcpy(id, start, ID_BYTES);
	id[ID_BYTES] = '\0';
	for (int digit = 8; digit >= 1; digit--, repetition /= 16)
		id[digit] = "0123456789abcdef"[repetition % 16];
	if (fwrite(id, 1, ID_BYTES, file) != ID_BYTES)
		return ERR_IO;
	length -= ID_BYTES;
	return fwrite(start + ID_BYTES, 1, length, file) == length ? 0 : ERR_IO;
}

static int write_recipients(const char *text, const char *path, size_t messages, struct buf *error)
{
	FILE *file = fopen(path, "wbx");
	const char *first = record_end(text), *record = first;
	size_t repetition = 0;
	int err = file ? write_record(file, text, first, 0) : ERR_IO;

	if (!err && !*first)
		err = ERR_SYNTAX;
	while (!err && messages-- > 0) {
		const char *end = record_end(record);

		err = write_record(file, record, end, repetition);
		record = *end ? end : first;
		repetition += !*end;
	}
	if (file && fclose(file) != 0)
		err = ERR_IO;
	if (err)
		buf_appendf(error, "%s: %s", path, error_message(err));
	return err;
}

static int copy_recipients(
	struct demo_files *files, const char *from, size_t messages, struct buf *error)
{
	struct buf text = BUF_INIT(FILE_MAX_BYTES);
	int err = read_whole(from, &text, error);

	if (!err)
		err = write_recipients(buf_string(&text), files->recipients, messages, error);
	buf_free(&text);
	return err;
}

static int make_directory(struct demo_files *files, struct buf *error)
{
	const char *parent = getenv("TMPDIR");

	if (join(files->directory, parent && *parent ? parent : "/tmp", "bunshin-demo-XXXXXX"))
		return ERR_TOO_LARGE;
	if (!mkdtemp(files->directory)) {
		buf_appendf(error, "%s: %s", files->directory, strerror(errno));
		files->directory[0] = '\0';
		return ERR_IO;
	}
	return 0;
}

static int set_paths(struct demo_files *files, const char *examples)
{
	int err = 0;

	err |= join(files->recipients, files->directory, RECIPIENTS);
	err |= join(files->message_template, examples, MESSAGE_TEMPLATE);
	err |= join(files->config, examples, CONFIG);
	err |= join(files->record, files->directory, "provider.jsonl");
	err |= join(files->data, files->directory, "queue");
	err |= join(files->ledger, files->directory, "ledger");
	return err ? ERR_TOO_LARGE : 0;
}

int demo_files_open(struct demo_files *files, const char *examples, const char *program,
	size_t messages, struct buf *error)
{
	char found[PATH_MAX], from[PATH_MAX];
	int err;

	*files = (struct demo_files){0};
	if (!examples && !find_examples(program, found)) {
		buf_appendf(error, "no examples in %s; give --examples DIR", BUNSHIN_EXAMPLES);
		return ERR_NOT_FOUND;
	}
	examples = examples ? examples : found;
	err = make_directory(files, error);
	if (!err)
		err = set_paths(files, examples);
	if (!err)
		err = join(from, examples, RECIPIENTS);
	if (!err)
		err = copy_recipients(files, from, messages, error);
	if (err && error->len == 0)
		buf_append_string(error, error_message(err));
	if (err)
		demo_files_close(files, false);
	return err;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *place)
{
	return remove(path);
}

void demo_files_close(struct demo_files *files, bool keep)
{
	if (files->counting)
		fclose(files->counting);
	files->counting = NULL;
	free(files->sink_url);
	files->sink_url = NULL;
	if (files->directory[0] && !keep)
		nftw(files->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *demo_files_log(struct demo_files *files, const char *process)
{
	snprintf(files->log, sizeof(files->log), "%.*s/%s.log", PATH_MAX - 64, files->directory,
		process);
	return files->log;
}

/* Only a first look while it runs: the check at the end parses every line. */
uint64_t demo_files_accepted(struct demo_files *files)
{
	char line[65536];

	if (!files->counting)
		files->counting = fopen(files->record, "rb");
	if (!files->counting)
		return 0;
	clearerr(files->counting);
	while (fgets(line, sizeof(line), files->counting))
		if (strstr(line, "\"status\":200"))
			files->accepted++;
	return files->accepted;
}

int demo_files_check(struct demo_files *files, struct demo_result *ret_result, struct buf *error)
{
	struct buf message_template = BUF_INIT(FILE_MAX_BYTES);
	struct config *config = NULL;
	int err = read_whole(files->message_template, &message_template, error);

	if (!err)
		err = config_load(
			files->config, &config_process_environment, NULL, 0, &config, error);
	if (!err && !config->destinations[0].request.body) {
		buf_appendf(error, "%s: the destination has no body", files->config);
		err = ERR_CONFIG;
	}
	if (!err)
		err = demo_check(files->recipients, buf_string(&message_template),
			template_source(config->destinations[0].request.body), files->record,
			ret_result, error);
	config_free(config);
	buf_free(&message_template);
	return err;
}
