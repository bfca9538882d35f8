#include "config/document.h"

#include "bunshin/error.h"
#include "config/config.h"
#include "config/file.h"

#include <errno.h>
#include <string.h>

#define DEPTH_MAX 16 /* far more than any option needs; libyaml's time is quadratic in it */

static int report(struct buf *errors, const char *path, const yaml_mark_t *mark, const char *what)
{
	buf_appendf(errors, "%s:%zu:%zu: %s\n", path, mark->line + 1, mark->column + 1, what);
	return errors->err == ERR_NOMEM ? ERR_NOMEM : ERR_CONFIG;
}

/* Where a byte of the text is, for errors that come before libyaml counts lines. */
static yaml_mark_t mark_at(const struct buf *text, size_t offset)
{
	yaml_mark_t mark = {.index = offset};

	for (size_t i = 0; i < offset && i < text->len; i++) {
		mark.column += ((unsigned char)text->data[i] & 0xc0) != 0x80;
		if (text->data[i] == '\n') {
			mark.line++;
			mark.column = 0;
		}
	}
	return mark;
}

static int report_parser(
	struct buf *errors, const char *path, const struct buf *text, const yaml_parser_t *parser)
{
	struct buf what = BUF_INIT(1024);
	yaml_mark_t mark = parser->problem_mark;
	int err;

	if (parser->error == YAML_MEMORY_ERROR)
		return ERR_NOMEM;
	if (parser->error == YAML_READER_ERROR)
		mark = mark_at(text, parser->problem_offset);
	buf_appendf(&what, "not YAML: %s", parser->problem != NULL ? parser->problem : "malformed");
	if (parser->context != NULL)
		buf_appendf(
			&what, " (%s at line %zu)", parser->context, parser->context_mark.line + 1);
	err = what.err == ERR_NOMEM ? ERR_NOMEM : report(errors, path, &mark, buf_string(&what));
	buf_free(&what);
	return err;
}

static const char *refused_container(const yaml_char_t *tag, unsigned *depth)
{
	if (++*depth > DEPTH_MAX)
		return "lists and maps nested too deep";
	return tag != NULL ? "tags (!name) are not supported" : NULL;
}

/* Why an event may not be; counts the documents and how deep it is in the present one. */
static const char *refused_feature(const yaml_event_t *event, unsigned *documents, unsigned *depth)
{
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		return ++*documents > 1 ? "a second document; there may be only one" : NULL;
	case YAML_ALIAS_EVENT:
		return "aliases (*name) are not supported";
	case YAML_SCALAR_EVENT:
		return event->data.scalar.tag != NULL ? "tags (!name) are not supported" : NULL;
	case YAML_SEQUENCE_START_EVENT:
		return refused_container(event->data.sequence_start.tag, depth);
	case YAML_MAPPING_START_EVENT:
		return refused_container(event->data.mapping_start.tag, depth);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		--*depth;
		return NULL;
	default:
		return NULL;
	}
}

/*
 * Looks at the events before a document is built of them: the document no longer tells an alias
 * from what it stands for, nor where it stood.
 */
static int check_events(const char *path, const struct buf *text, struct buf *errors)
{
	yaml_parser_t parser;
	yaml_event_t event;
	unsigned documents = 0, depth = 0;
	bool done = false;
	int err = 0;

	if (!yaml_parser_initialize(&parser))
		return ERR_NOMEM;
	yaml_parser_set_input_string(&parser, (const unsigned char *)buf_string(text), text->len);
	while (!done && err == 0) {
		const char *refused;

		if (!yaml_parser_parse(&parser, &event)) {
			err = report_parser(errors, path, text, &parser);
			break;
		}
		refused = refused_feature(&event, &documents, &depth);
		if (refused != NULL)
			err = report(errors, path, &event.start_mark, refused);
		done = event.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	return err;
}

static int build(
	const char *path, const struct buf *text, yaml_document_t *ret_document, struct buf *errors)
{
	yaml_parser_t parser;
	int err = 0;

	if (!yaml_parser_initialize(&parser))
		return ERR_NOMEM;
	yaml_parser_set_input_string(&parser, (const unsigned char *)buf_string(text), text->len);
	if (!yaml_parser_load(&parser, ret_document))
		err = report_parser(errors, path, text, &parser);
	yaml_parser_delete(&parser);
	return err;
}

int document_read(const char *path, yaml_document_t *ret_document, struct buf *errors)
{
	struct buf text = BUF_INIT(CONFIG_FILE_MAX_BYTES);
	int err = file_read(path, false, &text);

	if (err == ERR_IO) {
		buf_appendf(errors, "%s: cannot be read: %s\n", path, strerror(errno));
	} else if (err == ERR_TOO_LARGE) {
		buf_appendf(errors, "%s: larger than 1MiB\n", path);
		err = ERR_CONFIG;
	}
	if (err == 0)
		err = check_events(path, &text, errors);
	if (err == 0)
		err = build(path, &text, ret_document, errors);
	buf_wipe(&text);
	return err != 0 && errors->err == ERR_NOMEM ? ERR_NOMEM : err;
}

bool document_is_null(const yaml_node_t *node)
{
	const char *text = (const char *)node->data.scalar.value;

	return node->type == YAML_SCALAR_NODE &&
	       node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (strcmp(text, "") == 0 || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
}

const char *document_text(const yaml_node_t *node)
{
	if (node->type != YAML_SCALAR_NODE || document_is_null(node))
		return NULL;
	return (const char *)node->data.scalar.value;
}

const char *document_kind(const yaml_node_t *node)
{
	switch (node->type) {
	case YAML_MAPPING_NODE:
		return "a map";
	case YAML_SEQUENCE_NODE:
		return "a list";
	default:
		return document_is_null(node) ? "nothing" : "a text";
	}
}
