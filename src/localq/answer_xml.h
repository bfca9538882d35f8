/*
 * The XML of SQS's Query protocol (API version 2012-11-05), for answer.c alone: lists are
 * flattened, maps are pairs, and the elements have the names of the older model.
 */
#ifndef LOCALQ_ANSWER_XML_H
#define LOCALQ_ANSWER_XML_H

#include "localq/answer.h"

void xml_begin(struct answer *answer);
void xml_end(struct answer *answer);
void xml_open(struct answer *answer, const char *name);
void xml_close(struct answer *answer);
void xml_open_list(struct answer *answer, const char *name);
void xml_open_map(struct answer *answer, const char *name);
/* The end of a list or map, which has no element of its own. */
void xml_close_group(struct answer *answer);
/* A value whose text needs no escape, and one whose text is anybody's. */
void xml_plain(struct answer *answer, const char *name, const char *text, size_t len);
void xml_text(struct answer *answer, const char *name, const char *text, size_t len);
/* Opens and closes the element of a value that is written in between, unescaped. */
void xml_open_value(struct answer *answer, const char *name);
void xml_close_value(struct answer *answer, const char *name);

#endif
