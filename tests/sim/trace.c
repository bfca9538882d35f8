#include "trace.h"

#include "bunshin/error.h"
#include "delivery/delivery.h"
#include "sim.h"

#include <inttypes.h>
#include <stdlib.h>

static const char *const words[TRACE_KINDS] = {
#define X(name, words) [name] = words,
	TRACE_LIST(X)
#undef X
};

void trace_keep(struct trace *trace, const struct trace_row *row)
{
	if (trace->count == trace->capacity) {
		trace->capacity = trace->capacity ? trace->capacity * 2 : 4096;
		trace->rows = arena_grow(trace->rows, trace->capacity * sizeof(trace->rows[0]));
	}
	trace->rows[trace->count++] = *row;
}

void trace_free(struct trace *trace)
{
	free(trace->rows);
	*trace = (struct trace){0};
}

static const char *event_name(uint64_t kind)
{
	static const char *const names[] = {
		[DELIVERY_ACCEPTED] = "accepted",
		[DELIVERY_SUPPRESSED] = "suppressed: accepted before",
		[DELIVERY_ATTEMPT_FAILED] = "attempt failed",
		[DELIVERY_FAILED] = "failed for good",
		[DELIVERY_FAILED_COPIED] = "its copy is confirmed",
		[DELIVERY_FAILED_LEFT] = "failed for good, left in the queue",
		[DELIVERY_EXPIRED] = "expired",
		[DELIVERY_CANCELLED] = "cancelled",
		[DELIVERY_POSTPONED] = "postponed",
		[DELIVERY_LOST] = "lost: visibility ran out",
		[DELIVERY_BREAKER_OPENED] = "breaker open",
		[DELIVERY_BREAKER_CLOSED] = "breaker closed",
		[DELIVERY_LEDGER_CUT_SHORT] = "ledger too small",
		[DELIVERY_QUEUE_FAILED] = "queue call failed",
		[DELIVERY_QUEUE_CONNECTED] = "queue connected",
	};

	return kind < sizeof(names) / sizeof(names[0]) && names[kind] ? names[kind] : "?";
}

/* One directive. */
static void print_number(char directive, const struct trace_row *row, FILE *to)
{
	switch (directive) {
	case 'a':
		fprintf(to, "%" PRIu64, row->a);
		break;
	case 'b':
		fprintf(to, "%" PRIu64, row->b);
		break;
	case 'd':
		fprintf(to, "%" PRId64, (int64_t)row->b);
		break;
	case 'e':
		fputs(row->a ? error_name((int)(int64_t)row->a) : "OK", to);
		break;
	case 'f':
		fputs(row->b ? error_name((int)(int64_t)row->b) : "OK", to);
		break;
	case 's':
		fputs(table_op_name((enum table_op)row->a), to);
		break;
	case 'c':
		fputs(row->b ? "right after" : "right before", to);
		break;
	case 'o':
		fprintf(to, "which means %s", outcome_name((enum outcome)row->b));
		break;
	case 'p':
		fputs(row->b ? "though the provider has accepted it" : "not accepted", to);
		break;
	case 'v':
		fputs(event_name(row->a), to);
		break;
	default:
		break;
	}
}

static void print_row(const struct trace_row *row, FILE *to)
{
	fprintf(to, "%14.6f  ", (double)row->at_us / 1e6);
	if (row->worker == TRACE_NONE)
		fputs("          ", to);
	else
		fprintf(to, "worker %u  ", row->worker);
	if (row->mail != TRACE_NONE)
		fprintf(to, "message %u  ", row->mail);
	for (const char *p = words[row->kind]; *p; p++) {
		if (*p == '%')
			print_number(*++p, row, to);
		else
			fputc(*p, to);
	}
	fputc('\n', to);
}

static bool is_noise(uint32_t kind)
{
	return kind == TRACE_TIMER || kind == TRACE_POLL || kind == TRACE_POLL_END ||
	       kind == TRACE_CALL || kind == TRACE_CALL_END;
}

void trace_print(const struct trace *trace, uint32_t mail, bool brief, FILE *to)
{
	for (size_t i = 0; i < trace->count; i++) {
		const struct trace_row *row = &trace->rows[i];

		if (brief && is_noise(row->kind))
			continue;
		if (mail == TRACE_NONE || row->mail == TRACE_NONE || row->mail == mail)
			print_row(row, to);
	}
}
