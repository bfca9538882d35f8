#include "aws/xml_fields.h"

#include "bunshin/error.h"

#include <assert.h>
#include <expat.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_SIZE 256 /* a longer path is cut, and is none of ours */
#define FIELDS_MAX 16

struct reader {
	XML_Parser parser;
	const char *prefix;
	const struct xml_field *fields;
	size_t count;
	const struct xml_field *open; /* inside of this one */
	size_t open_bytes;	      /* of its text so far */
	bool found[FIELDS_MAX];
	char path[PATH_SIZE]; /* "A/B/C" */
	size_t path_bytes;
	size_t ends[XML_DEPTH_MAX]; /* length of the path around each element */
	size_t depth;
	char *problem;
	bool stopped; /* expat calls a few handlers more after XML_StopParser() */
};

/* An allocation of expat's, with its size, so that it can be wiped. */
struct block {
	size_t bytes;
	max_align_t data[];
};

static struct block *block_of(void *data)
{
	return (struct block *)(void *)((char *)data - offsetof(struct block, data));
}

static void *block_new(size_t bytes)
{
	struct block *block;

	if (bytes > SIZE_MAX - sizeof(*block))
		return NULL;
	block = malloc(sizeof(*block) + bytes);
	if (block == NULL)
		return NULL;
	block->bytes = bytes;
	return block->data;
}

static void block_free(void *data)
{
	struct block *block;

	if (data == NULL)
		return;
	block = block_of(data);
	OPENSSL_cleanse(data, block->bytes);
	free(block);
}

static void *block_resize(void *data, size_t bytes)
{
	void *moved = block_new(bytes);
	size_t kept;

	if (moved == NULL || data == NULL)
		return moved;
	kept = block_of(data)->bytes;
	memcpy(moved, data, kept < bytes ? kept : bytes);
	block_free(data);
	return moved;
}

static const XML_Memory_Handling_Suite wiped_memory = {block_new, block_resize, block_free};

__attribute__((format(printf, 2, 3))) static void stop(
	struct reader *reader, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(reader->problem, XML_PROBLEM_SIZE, format, args);
	va_end(args);
	reader->stopped = true;
	XML_StopParser(reader->parser, XML_FALSE);
}

static void path_append(struct reader *reader, const char *name)
{
	const char *colon = strrchr(name, ':');
	size_t room = PATH_SIZE - reader->path_bytes;
	int len = snprintf(reader->path + reader->path_bytes, room, "%s%s",
		reader->path_bytes > 0 ? "/" : "", colon != NULL ? colon + 1 : name);

	reader->path_bytes += (size_t)len < room ? (size_t)len : room - 1;
}

static const struct xml_field *field_at(const struct reader *reader)
{
	size_t prefix_bytes = strlen(reader->prefix);

	if (strncmp(reader->path, reader->prefix, prefix_bytes) != 0)
		return NULL;
	for (size_t i = 0; i < reader->count; i++) {
		if (strcmp(reader->path + prefix_bytes, reader->fields[i].path) == 0)
			return &reader->fields[i];
	}
	return NULL;
}

static void on_start(void *arg, const char *name, const char **attributes)
{
	struct reader *reader = arg;
	bool *found;

	if (reader->stopped)
		return;
	if (reader->open != NULL) {
		stop(reader, "an element inside of %s", reader->open->path);
		return;
	}
	if (reader->depth == XML_DEPTH_MAX) {
		stop(reader, "elements nested more than %d deep", XML_DEPTH_MAX);
		return;
	}
	reader->ends[reader->depth++] = reader->path_bytes;
	path_append(reader, name);
	reader->open = field_at(reader);
	if (reader->open == NULL)
		return;
	reader->open_bytes = 0;
	found = &reader->found[reader->open - reader->fields];
	if (*found)
		stop(reader, "%s twice", reader->open->path);
	*found = true;
}

static void on_end(void *arg, const char *name)
{
	struct reader *reader = arg;

	if (reader->stopped)
		return;
	reader->open = NULL;
	reader->path_bytes = reader->ends[--reader->depth];
	reader->path[reader->path_bytes] = '\0';
}

static void on_text(void *arg, const char *text, int len)
{
	struct reader *reader = arg;
	const struct xml_field *field = reader->open;
	size_t taken = (size_t)len, room;

	if (reader->stopped || field == NULL)
		return;
	room = field->text_bytes - 1 - reader->open_bytes;
	if (taken > room && !field->cut) {
		stop(reader, "%s is longer than %zu bytes", field->path, field->text_bytes - 1);
		return;
	}
	if (taken > room) {
		for (taken = room; taken > 0 && ((unsigned char)text[taken] & 0xc0) == 0x80;)
			taken--;
		reader->open = NULL; /* the rest does not count */
	}
	memcpy(field->text + reader->open_bytes, text, taken);
	reader->open_bytes += taken;
	field->text[reader->open_bytes] = '\0';
}

static void on_doctype(
	void *arg, const char *name, const char *system_id, const char *public_id, int has_subset)
{
	stop(arg, "a DOCTYPE");
}

static int parse(struct reader *reader, const char *document, size_t len)
{
	XML_Parser parser = reader->parser;
	enum XML_Error code;

	XML_SetUserData(parser, reader);
	XML_SetElementHandler(parser, on_start, on_end);
	XML_SetCharacterDataHandler(parser, on_text);
	XML_SetStartDoctypeDeclHandler(parser, on_doctype);
	if (XML_Parse(parser, document, (int)len, XML_TRUE) == XML_STATUS_OK)
		return 0;
	code = XML_GetErrorCode(parser);
	if (code == XML_ERROR_NO_MEMORY)
		return ERR_NOMEM;
	if (!reader->stopped)
		snprintf(reader->problem, XML_PROBLEM_SIZE, "not XML: %s, line %lu",
			XML_ErrorString(code), (unsigned long)XML_GetCurrentLineNumber(parser));
	return ERR_PROTOCOL;
}

int xml_fields_read(const char *document, size_t len, const char *prefix,
	const struct xml_field fields[], size_t count, char problem[XML_PROBLEM_SIZE])
{
	struct reader reader = {
		.prefix = prefix, .fields = fields, .count = count, .problem = problem};
	int err;

	assert(count <= FIELDS_MAX);
	problem[0] = '\0';
	for (size_t i = 0; i < count; i++)
		fields[i].text[0] = '\0';
	if (len > XML_DOCUMENT_MAX) {
		snprintf(problem, XML_PROBLEM_SIZE, "more than %zu bytes", XML_DOCUMENT_MAX);
		return ERR_PROTOCOL;
	}
	/* Whatever the document says: UTF-8 is all that AWS sends. */
	reader.parser = XML_ParserCreate_MM("UTF-8", &wiped_memory, NULL);
	if (reader.parser == NULL)
		return ERR_NOMEM;
	err = parse(&reader, document, len);
	XML_ParserFree(reader.parser);
	for (size_t i = 0; err != 0 && i < count; i++)
		OPENSSL_cleanse(fields[i].text, fields[i].text_bytes);
	return err;
}
