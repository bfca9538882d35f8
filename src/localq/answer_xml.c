#include "localq/answer_xml.h"

#include <string.h>

#define NAMESPACE "http://queue.amazonaws.com/doc/2012-11-05/"

/* What a list's items, or a map's entries, are called. */
static const struct {
	const char *member, *element;
} elements[] = {
	{"Messages", "Message"},
	{"QueueUrls", "QueueUrl"},
	{"queueUrls", "QueueUrl"},
	{"Failed", "BatchResultErrorEntry"},
	{"Results", "ListMessageMoveTasksResultEntry"},
	{"Attributes", "Attribute"},
	{"MessageAttributes", "MessageAttribute"},
	{"Tags", "Tag"},
};

static void append(struct answer *answer, const char *text)
{
	buf_append_string(&answer->buf, text);
}

static void open_tag(struct answer *answer, const char *name)
{
	buf_append_char(&answer->buf, '<');
	append(answer, name);
	buf_append_char(&answer->buf, '>');
}

static void close_tag(struct answer *answer, const char *name)
{
	append(answer, "</");
	append(answer, name);
	buf_append_char(&answer->buf, '>');
}

/*
 * What stands for the character at `text`, and how many bytes that is; NULL: itself. A carriage
 * return would be read as a line feed (XML 1.0, section 2.11). What XML cannot hold at all is in no
 * message, but may be in words about a request: it becomes a question mark.
 */
static const char *escape(const char *text, size_t len, size_t *ret_bytes)
{
	*ret_bytes = 1;
	switch (*text) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\r':
		return "&#13;";
	case '\t':
	case '\n':
		return NULL;
	}
	if ((unsigned char)*text < 0x20)
		return "?";
	if (len >= 3 && memcmp(text, "\xef\xbf", 2) == 0 &&
		((unsigned char)text[2] & 0xfe) == 0xbe) {
		*ret_bytes = 3; /* U+FFFE and U+FFFF */
		return "?";
	}
	return NULL;
}

static void append_escaped(struct answer *answer, const char *text, size_t len)
{
	size_t start = 0;

	for (size_t at = 0; at < len;) {
		size_t bytes;
		const char *instead = escape(text + at, len - at, &bytes);

		if (instead != NULL) {
			buf_append(&answer->buf, text + start, at - start);
			append(answer, instead);
			start = at + bytes;
		}
		at += bytes;
	}
	buf_append(&answer->buf, text + start, len - start);
}

static struct answer_level *top(struct answer *answer)
{
	return &answer->levels[answer->depth - 1];
}

static void push(struct answer *answer, enum answer_kind kind, const char *element)
{
	if (answer->depth < ANSWER_DEPTH_MAX)
		answer->levels[answer->depth++] = (struct answer_level){kind, element};
}

static void pop(struct answer *answer)
{
	if (answer->depth > 1)
		answer->depth--;
}

/* "SendMessageBatchResultEntry", in two parts. */
static void append_element(struct answer *answer, const char *element)
{
	append(answer, element != NULL ? element : answer->operation);
	if (element == NULL)
		append(answer, "ResultEntry");
}

static void open_element(struct answer *answer, const char *element)
{
	buf_append_char(&answer->buf, '<');
	append_element(answer, element);
	buf_append_char(&answer->buf, '>');
}

static void close_element(struct answer *answer, const char *element)
{
	append(answer, "</");
	append_element(answer, element);
	buf_append_char(&answer->buf, '>');
}

/* NULL for Successful, whose items are called after the operation. */
static const char *element_of(const char *member)
{
	for (size_t i = 0; i < sizeof(elements) / sizeof(elements[0]); i++)
		if (strcmp(elements[i].member, member) == 0)
			return elements[i].element;
	return strcmp(member, "Successful") == 0 ? NULL : member;
}

void xml_begin(struct answer *answer)
{
	answer->depth = 0;
	push(answer, ANSWER_OBJECT, NULL);
	append(answer, "<?xml version=\"1.0\"?><");
	append(answer, answer->operation);
	append(answer, "Response xmlns=\"" NAMESPACE "\">");
	if (!answer->has_result)
		return;
	buf_append_char(&answer->buf, '<');
	append(answer, answer->operation);
	append(answer, "Result>");
}

void xml_end(struct answer *answer)
{
	if (answer->has_result) {
		append(answer, "</");
		append(answer, answer->operation);
		append(answer, "Result>");
	}
	append(answer, "<ResponseMetadata><RequestId>");
	append(answer, answer->request_id);
	append(answer, "</RequestId></ResponseMetadata></");
	append(answer, answer->operation);
	append(answer, "Response>");
}

/* An entry of a map: its element, and its name in one of its own. */
static void open_entry(struct answer *answer, const char *name)
{
	bool is_tag = strcmp(top(answer)->element, "Tag") == 0;

	open_tag(answer, top(answer)->element);
	open_tag(answer, is_tag ? "Key" : "Name");
	append_escaped(answer, name, strlen(name));
	close_tag(answer, is_tag ? "Key" : "Name");
	open_tag(answer, "Value");
}

static void close_entry(struct answer *answer)
{
	close_tag(answer, "Value");
	close_tag(answer, top(answer)->element);
}

void xml_open_value(struct answer *answer, const char *name)
{
	switch (top(answer)->kind) {
	case ANSWER_LIST:
		open_element(answer, top(answer)->element);
		break;
	case ANSWER_MAP:
		open_entry(answer, name);
		break;
	case ANSWER_OBJECT:
		open_tag(answer, name);
		break;
	}
}

void xml_close_value(struct answer *answer, const char *name)
{
	switch (top(answer)->kind) {
	case ANSWER_LIST:
		close_element(answer, top(answer)->element);
		break;
	case ANSWER_MAP:
		close_entry(answer);
		break;
	case ANSWER_OBJECT:
		close_tag(answer, name);
		break;
	}
}

void xml_open(struct answer *answer, const char *name)
{
	xml_open_value(answer, name);
	push(answer, ANSWER_OBJECT, name);
}

void xml_close(struct answer *answer)
{
	const char *name = top(answer)->element;

	pop(answer);
	xml_close_value(answer, name);
}

void xml_open_list(struct answer *answer, const char *name)
{
	push(answer, ANSWER_LIST, element_of(name));
}

void xml_open_map(struct answer *answer, const char *name)
{
	push(answer, ANSWER_MAP, element_of(name));
}

void xml_close_group(struct answer *answer)
{
	pop(answer);
}

void xml_plain(struct answer *answer, const char *name, const char *text, size_t len)
{
	xml_open_value(answer, name);
	buf_append(&answer->buf, text, len);
	xml_close_value(answer, name);
}

void xml_text(struct answer *answer, const char *name, const char *text, size_t len)
{
	xml_open_value(answer, name);
	append_escaped(answer, text, len);
	xml_close_value(answer, name);
}

void answer_error_xml(struct answer *answer, bool is_senders, const char *code, const char *message)
{
	buf_clear(&answer->buf);
	append(answer,
		"<?xml version=\"1.0\"?><ErrorResponse xmlns=\"" NAMESPACE "\"><Error><Type>");
	append(answer, is_senders ? "Sender" : "Receiver");
	append(answer, "</Type><Code>");
	append(answer, code);
	append(answer, "</Code><Message>");
	append_escaped(answer, message, strlen(message));
	append(answer, "</Message><Detail/></Error><RequestId>");
	append(answer, answer->request_id);
	append(answer, "</RequestId></ErrorResponse>");
}
