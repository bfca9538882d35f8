/*
 * One line of CloudWatch embedded metrics: a JSON object that the CloudWatch agent, or the log
 * driver of a container, makes metrics of. Format: "Specification: Embedded metric format" of the
 * CloudWatch user guide; lengths and characters as in the API's MetricDatum and Dimension. Pure.
 */
#ifndef ADMIN_EMF_H
#define ADMIN_EMF_H

#include "base/buf.h"

#include <stddef.h>
#include <stdint.h>

#define EMF_METRICS_MAX 100
#define EMF_NAME_MAX 255   /* bytes of a namespace, or of a metric's or a dimension's name */
#define EMF_VALUE_MAX 1024 /* bytes of a dimension's value */

struct emf_metric {
	const char *name, *unit; /* "Count", "Milliseconds", ...: the API's StandardUnit */
	int64_t thousandths;	 /* the value */
};

struct emf_document {
	int64_t epoch_ms;
	const char *namespace;
	const char *dimension, *dimension_value;
	const struct emf_metric *metrics;
	size_t count;
};

/*
 * Appends the object and a newline:
 * {"_aws":{"Timestamp":1,"CloudWatchMetrics":[{"Namespace":"N","Dimensions":[["D"]],
 * "Metrics":[{"Name":"A","Unit":"Count"}]}]},"D":"value","A":2.5}
 * 0; ERR_ARGUMENT, nothing appended: no metrics or too many; a name that is empty, too long, twice
 * or "_aws"; a text that is not printable ASCII or begins with a colon; or the buffer's error.
 */
int emf_write(const struct emf_document *document, struct buf *out);

#endif
