/*
 * The delivery curve of a campaign as an inline SVG: acceptances added up, with marks for the
 * first, 50 %, 95 %, the last and the deadline, and below how many there were a second. Its colours
 * are classes of report.css.
 */
#ifndef CAMPAIGN_REPORT_CHART_H
#define CAMPAIGN_REPORT_CHART_H

#include "campaign/report_summary.h"

/*
 * Appends it, described by the element whose id is `words`. Nothing was accepted: appends nothing.
 * Labels are times of the process's zone. 0 or the buffer's error.
 */
int report_chart_append(const struct report_summary *summary, const char *words, struct buf *out);

#endif
