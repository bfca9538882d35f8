/*
 * A few texts out of an XML document, by the path of their elements (expat). Pure, hostile input:
 * the document, its depth and every text are bounded, and a DOCTYPE is refused, so that no entity
 * but XML's own five can be there. Namespaces are not looked at. The parser's memory is wiped: what
 * is read may be keys.
 */
#ifndef AWS_XML_FIELDS_H
#define AWS_XML_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

#define XML_DOCUMENT_MAX ((size_t)128 << 10)
#define XML_DEPTH_MAX 16
#define XML_PROBLEM_SIZE 160

struct xml_field {
	const char *path; /* "Error/Code": of the elements below the prefix */
	char *text;	  /* where it goes, NUL-terminated; "" when it is not there */
	size_t text_bytes;
	bool cut; /* a longer text is cut at a character; without, it is refused */
};

/*
 * prefix: the outer elements, "ErrorResponse/"; at most 16 fields. Returns 0; ERR_PROTOCOL with
 * what is wrong in `problem`: not well-formed, one of the bounds, a field that is there twice or
 * holds elements; or ERR_NOMEM. On an error every text is wiped.
 */
int xml_fields_read(const char *document, size_t len, const char *prefix,
	const struct xml_field fields[], size_t count, char problem[XML_PROBLEM_SIZE]);

#endif
