#include "admin/emf.h"

#include "bunshin/error.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

static bool is_text(const char *text, size_t max)
{
	size_t len = strnlen(text, max + 1);

	if (len == 0 || len > max || text[0] == ':')
		return false;
	for (size_t i = 0; i < len; i++)
		if (text[i] < ' ' || text[i] > '~')
			return false;
	return true;
}

/* Every name is a member of the same object. */
static bool is_taken(const struct emf_document *document, size_t i)
{
	const char *name = document->metrics[i].name;

	if (strcmp(name, "_aws") == 0 || strcmp(name, document->dimension) == 0)
		return true;
	for (size_t k = 0; k < i; k++)
		if (strcmp(name, document->metrics[k].name) == 0)
			return true;
	return false;
}

static bool is_valid(const struct emf_document *document)
{
	if (document->count == 0 || document->count > EMF_METRICS_MAX ||
		!is_text(document->namespace, EMF_NAME_MAX) ||
		!is_text(document->dimension, EMF_NAME_MAX) ||
		!is_text(document->dimension_value, EMF_VALUE_MAX) ||
		strcmp(document->dimension, "_aws") == 0)
		return false;
	for (size_t i = 0; i < document->count; i++) {
		const struct emf_metric *metric = &document->metrics[i];

		if (!is_text(metric->name, EMF_NAME_MAX) || !is_text(metric->unit, EMF_NAME_MAX) ||
			is_taken(document, i))
			return false;
	}
	return true;
}

static void write_text(struct buf *out, const char *text)
{
	buf_append_char(out, '"');
	buf_append_json(out, text, strlen(text));
	buf_append_char(out, '"');
}

static void write_number(struct buf *out, int64_t thousandths)
{
	uint64_t size = thousandths < 0 ? 0 - (uint64_t)thousandths : (uint64_t)thousandths;
	unsigned fraction = (unsigned)(size % 1000);
	int digits = 3;

	buf_appendf(out, "%s%" PRIu64, thousandths < 0 ? "-" : "", size / 1000);
	if (fraction == 0)
		return;
	for (; fraction % 10 == 0; fraction /= 10)
		digits--;
	buf_appendf(out, ".%0*u", digits, fraction);
}

int emf_write(const struct emf_document *document, struct buf *out)
{
	if (!is_valid(document))
		return ERR_ARGUMENT;
	buf_appendf(out, "{\"_aws\":{\"Timestamp\":%" PRId64 ",\"CloudWatchMetrics\":[{",
		document->epoch_ms);
	buf_append_string(out, "\"Namespace\":");
	write_text(out, document->namespace);
	buf_append_string(out, ",\"Dimensions\":[[");
	write_text(out, document->dimension);
	buf_append_string(out, "]],\"Metrics\":[");
	for (size_t i = 0; i < document->count; i++) {
		buf_append_string(out, i > 0 ? ",{\"Name\":" : "{\"Name\":");
		write_text(out, document->metrics[i].name);
		buf_append_string(out, ",\"Unit\":");
		write_text(out, document->metrics[i].unit);
		buf_append_char(out, '}');
	}
	buf_append_string(out, "]}]},");
	write_text(out, document->dimension);
	buf_append_char(out, ':');
	write_text(out, document->dimension_value);
	for (size_t i = 0; i < document->count; i++) {
		buf_append_char(out, ',');
		write_text(out, document->metrics[i].name);
		buf_append_char(out, ':');
		write_number(out, document->metrics[i].thousandths);
	}
	buf_append_string(out, "}\n");
	return out->err;
}
