#include "aws/credentials/shared_files.h"

#include "aws/credentials/words.h"
#include "base/utf8.h"
#include "bunshin/error.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/*
 * Where the readers of these files differ (botocore, and with it the AWS CLI, on Python's
 * configparser; the SDKs on one common text of tests), a file that works with one of them works
 * here:
 *
 * - Inline comments, as the SDKs: a '#' or ';' after a blank ends a value. Not so inside of quotes,
 *   so that `sh -c "a ; b"` in a credential_process stays whole, as it does in botocore, which
 *   knows no inline comments at all. On nested and continued lines a comment is part of the value
 *   (all of them).
 * - Indented comments and blank lines are skipped, also inside of a value that goes on.
 * - "key: value" is a setting too, and the first key of a section may be indented: a line continues
 *   the setting above when it is indented deeper (botocore).
 * - Sections and keys may come twice: the later setting wins (SDKs; an error in botocore).
 * - [profile default] hides [default] in the config file (SDKs).
 *
 * What is an error in both is one here: another process may own the file, but a profile read wrong
 * would send with the wrong keys.
 *
 * A file is kept as one copy of its text, cut into strings in place; what is no part of a setting
 * (comments may hold retired keys) is overwritten at once.
 */
enum section_kind {
	SECTION_NONE, /* before the first */
	SECTION_PROFILE,
	SECTION_PLAIN_DEFAULT, /* [default] of the config file, until it is known what it is worth
				*/
	SECTION_SERVICES,
	SECTION_OTHER, /* parsed, never looked up */
};

struct entry {
	enum section_kind kind;
	char *section;
	char *group; /* the key that this one is nested below; NULL: none */
	char *key;   /* NULL: the line of the section itself */
	char *value;
};

struct text {
	char *bytes;
	size_t size;
};

struct shared_files {
	struct text texts[2];
	/* In the order of the text, the credentials file last: the last that fits wins. */
	struct entry *entries;
	size_t count, capacity;
};

struct parser {
	struct shared_files *files;
	const char *path;
	struct buf *error;
	unsigned line;
	bool is_config;
	enum section_kind kind;
	char *section;
	size_t indent;	 /* of the last line that continued nothing */
	size_t setting;	 /* 1 + index of the entry that a deeper line continues; 0: none */
	char *value_end; /* of that entry: its NUL */
};

static const char *const secret_keys[] = {
	"aws_secret_access_key", "aws_session_token", "aws_security_token", "aws_access_key_id"};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\v' || c == '\f';
}

static char *skip_blanks(char *text)
{
	while (is_blank(*text))
		text++;
	return text;
}

/* Cuts blanks off the end of start..end, which the NUL then ends. Returns that end. */
static char *cut_at(char *start, char *end)
{
	while (end > start && is_blank(end[-1]))
		end--;
	*end = '\0';
	return end;
}

static void lower(char *text)
{
	for (; *text != '\0'; text++) {
		if (*text >= 'A' && *text <= 'Z')
			*text = (char)(*text - 'A' + 'a');
	}
}

static int refuse(struct parser *parser, const char *what)
{
	buf_appendf(parser->error, "%s:%u: %s", parser->path, parser->line, what);
	return ERR_SYNTAX;
}

static int add_entry(struct parser *parser, char *group, char *key, char *value)
{
	struct shared_files *files = parser->files;

	if (files->count == files->capacity) {
		size_t capacity = files->capacity == 0 ? 32 : files->capacity * 2;
		struct entry *entries = realloc(files->entries, capacity * sizeof(*entries));

		if (entries == NULL)
			return ERR_NOMEM;
		files->entries = entries;
		files->capacity = capacity;
	}
	files->entries[files->count++] = (struct entry){
		.kind = parser->kind,
		.section = parser->section,
		.group = group,
		.key = key,
		.value = value,
	};
	return 0;
}

/* "profile x", "services x": the kind, and `name` becomes x, its quotes resolved. */
static enum section_kind config_section(char **name)
{
	char *words[2];
	size_t count;

	if (strcmp(*name, "default") == 0)
		return SECTION_PLAIN_DEFAULT;
	if (words_split(*name, words, 2, &count) != 0 || count != 2)
		return SECTION_OTHER;
	*name = words[1];
	if (strcmp(words[0], "profile") == 0)
		return SECTION_PROFILE;
	return strcmp(words[0], "services") == 0 ? SECTION_SERVICES : SECTION_OTHER;
}

/*
 * The ']' that ends a section's name: the first one with nothing but a comment behind it, since a
 * comment may hold another; otherwise the last, and what follows it is ignored (botocore).
 */
static char *find_bracket(char *name)
{
	char *bracket = strchr(name, ']');

	for (char *at = bracket; at != NULL; at = strchr(at + 1, ']')) {
		char after = *skip_blanks(at + 1);

		bracket = at;
		if (after == '\0' || after == '#' || after == ';')
			break;
	}
	return bracket;
}

static int parse_section(struct parser *parser, char *line)
{
	char *name = skip_blanks(line + 1);
	char *bracket = find_bracket(name);

	parser->setting = 0;
	if (bracket == NULL)
		return refuse(parser, "a section without its ']'");
	OPENSSL_cleanse(bracket, strlen(bracket));
	if (cut_at(name, bracket) == name)
		return refuse(parser, "a section without a name");
	parser->kind = parser->is_config ? config_section(&name) : SECTION_PROFILE;
	parser->section = name;
	return add_entry(parser, NULL, NULL, NULL);
}

/* The quote that ends the one at `at`, or `at` itself when there is none. */
static char *skip_quoted(char *at)
{
	char *end = at + 1;

	while (*end != '\0' && *end != *at) {
		if (*end == '\\' && *at == '"' && end[1] != '\0')
			end++;
		end++;
	}
	return *end == '\0' ? at : end;
}

/* Where an inline comment begins in what follows the delimiter at after[-1], or the end. */
static char *find_comment(char *after)
{
	char *at;

	for (at = after; *at != '\0'; at++) {
		bool parted = is_blank(at[-1]);

		if (parted && (*at == '#' || *at == ';'))
			break;
		/* A quote inside of a word is an apostrophe. */
		if ((parted || at[-1] == '=' || at[-1] == ':') && (*at == '"' || *at == '\''))
			at = skip_quoted(at);
	}
	return at;
}

/* Splits "key = value" at *delimiter; returns the value. */
static char *split_setting(char *line, char *delimiter)
{
	cut_at(line, delimiter);
	lower(line);
	return skip_blanks(delimiter + 1);
}

static int parse_setting(struct parser *parser, char *line)
{
	char *delimiter = line + strcspn(line, "=:");
	char *comment, *value;
	int err;

	parser->setting = 0;
	if (parser->kind == SECTION_NONE)
		return refuse(parser, "a setting before the first [section]");
	if (*delimiter == '\0')
		return refuse(parser, "neither a [section] nor a setting: there is no '='");
	if (delimiter == line)
		return refuse(parser, "a setting without a name");
	comment = find_comment(delimiter + 1);
	OPENSSL_cleanse(comment, strlen(comment));
	value = split_setting(line, delimiter);
	parser->value_end = cut_at(value, comment);
	err = add_entry(parser, NULL, line, value);
	if (err == 0)
		parser->setting = parser->files->count;
	return err;
}

/* "key = value" indented below a key without a value. */
static int parse_nested(struct parser *parser, char *group, char *line)
{
	char *delimiter = strchr(line, '=');

	if (delimiter == NULL)
		return refuse(parser, "a nested setting without '='");
	if (delimiter == line)
		return refuse(parser, "a nested setting without a name");
	return add_entry(parser, group, line, split_setting(line, delimiter));
}

/* Any other deeper line: the value goes on after a line end. */
static int parse_deeper(struct parser *parser, char *line)
{
	struct entry *entry = &parser->files->entries[parser->setting - 1];
	size_t len = strlen(line);
	char *to = parser->value_end + 1;

	if (entry->value[0] == '\0')
		return parse_nested(parser, entry->key, line);
	to[-1] = '\n';
	memmove(to, line, len + 1);
	parser->value_end = to + len;
	OPENSSL_cleanse(to + len, (size_t)(line - to));
	return 0;
}

/* One line, without its line end, which is the parser's to overwrite. */
static int parse_line(struct parser *parser, char *start, char *end)
{
	char *line;
	size_t indent;

	if (memchr(start, '\0', (size_t)(end - start)) != NULL ||
		!utf8_is_valid(start, (size_t)(end - start)))
		return refuse(parser, "not UTF-8 text");
	cut_at(start, end);
	line = skip_blanks(start);
	indent = (size_t)(line - start);
	if (*line == '#' || *line == ';')
		OPENSSL_cleanse(line, strlen(line));
	if (*line == '\0')
		return 0;
	if (parser->setting != 0 && indent > parser->indent)
		return parse_deeper(parser, line);
	parser->indent = indent;
	return *line == '[' ? parse_section(parser, line) : parse_setting(parser, line);
}

/* Line ends are LF, CR or both (Python's universal newlines). */
static int parse_text(struct parser *parser, char *text, size_t len)
{
	char *end = text + len;
	int err = 0;

	if (len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
		text += 3;
	while (err == 0 && text < end) {
		char *line = text;

		while (text < end && *text != '\n' && *text != '\r')
			text++;
		parser->line++;
		if (text + 1 < end && text[0] == '\r' && text[1] == '\n')
			*text++ = ' ';
		err = parse_line(parser, line, text++);
	}
	return err;
}

static int parse_file(struct shared_files *files, bool is_config, const char *path,
	const char *bytes, size_t len, struct buf *error)
{
	struct text *text = &files->texts[is_config ? 0 : 1];
	struct parser parser = {
		.files = files, .path = path, .error = error, .is_config = is_config};

	if (bytes == NULL || len == 0)
		return 0;
	text->bytes = malloc(len + 1);
	if (text->bytes == NULL)
		return ERR_NOMEM;
	memcpy(text->bytes, bytes, len);
	text->bytes[len] = '\0';
	text->size = len;
	return parse_text(&parser, text->bytes, len);
}

/* Once the config file has been read. */
static void settle_default(struct shared_files *files)
{
	enum section_kind kind =
		shared_files_has_profile(files, "default") ? SECTION_OTHER : SECTION_PROFILE;

	for (size_t i = 0; i < files->count; i++) {
		if (files->entries[i].kind == SECTION_PLAIN_DEFAULT)
			files->entries[i].kind = kind;
	}
}

int shared_files_parse(const char *config_path, const char *config, size_t config_bytes,
	const char *credentials_path, const char *credentials, size_t credentials_bytes,
	struct shared_files **ret_files, struct buf *error)
{
	struct shared_files *files = calloc(1, sizeof(*files));
	int err;

	if (files == NULL)
		return ERR_NOMEM;
	err = parse_file(files, true, config_path, config, config_bytes, error);
	settle_default(files);
	if (err == 0)
		err = parse_file(
			files, false, credentials_path, credentials, credentials_bytes, error);
	if (err != 0) {
		shared_files_free(files);
		return err;
	}
	*ret_files = files;
	return 0;
}

void shared_files_free(struct shared_files *files)
{
	if (files == NULL)
		return;
	for (size_t i = 0; i < 2; i++) {
		if (files->texts[i].bytes != NULL)
			OPENSSL_cleanse(files->texts[i].bytes, files->texts[i].size);
		free(files->texts[i].bytes);
	}
	free(files->entries);
	free(files);
}

void shared_files_forget_keys(struct shared_files *files)
{
	for (size_t i = 0; i < files->count; i++) {
		const struct entry *entry = &files->entries[i];

		for (size_t k = 0; k < sizeof(secret_keys) / sizeof(secret_keys[0]); k++) {
			if (entry->key != NULL && strcmp(entry->key, secret_keys[k]) == 0)
				OPENSSL_cleanse(entry->value, strlen(entry->value));
		}
	}
}

static bool is_in(const struct entry *entry, enum section_kind kind, const char *section)
{
	return entry->kind == kind && strcmp(entry->section, section) == 0;
}

bool shared_files_has_profile(const struct shared_files *files, const char *profile)
{
	for (size_t i = 0; i < files->count; i++) {
		if (is_in(&files->entries[i], SECTION_PROFILE, profile))
			return true;
	}
	return false;
}

static const char *value_of(const struct entry *entry)
{
	return entry->value[0] != '\0' ? entry->value : NULL;
}

const char *shared_files_get(const struct shared_files *files, const char *profile, const char *key)
{
	for (size_t i = files->count; i-- > 0;) {
		const struct entry *entry = &files->entries[i];

		if (entry->key != NULL && entry->group == NULL &&
			is_in(entry, SECTION_PROFILE, profile) && strcasecmp(entry->key, key) == 0)
			return value_of(entry);
	}
	return NULL;
}

const char *shared_files_get_service(
	const struct shared_files *files, const char *services, const char *group, const char *key)
{
	for (size_t i = files->count; i-- > 0;) {
		const struct entry *entry = &files->entries[i];

		if (entry->key == NULL || !is_in(entry, SECTION_SERVICES, services))
			continue;
		/* The group's own line: what is nested below an earlier one is replaced by it. */
		if (entry->group == NULL && strcasecmp(entry->key, group) == 0)
			return NULL;
		if (entry->group != NULL && strcasecmp(entry->group, group) == 0 &&
			strcasecmp(entry->key, key) == 0)
			return value_of(entry);
	}
	return NULL;
}
