"""What a run has shown: for people as a table, for programs as JSON."""

import json
import statistics
from collections import Counter

from audit import CAUSES, UNEXPLAINED


def _received_again(run):
    """Receives of a message beyond its first; by the worker's failed attempt or by a fault."""
    return len(run.receipts) - len({receipt.message for receipt in run.receipts.values()})


def _fates(exchanges):
    return dict(Counter(exchange.fate for exchange in exchanges))


def figures(run, audit, seed, seconds):
    """The report as what JSON can hold."""
    causes = [*CAUSES, UNEXPLAINED]
    faults = {}
    for kind, times in sorted(audit.recoveries().items()):
        known = [round(value, 3) for value in times if value is not None]
        faults[kind] = {
            "count": len(times),
            "recovered": len(known),  # of the rest, nothing was left to deliver
            "recovery_p50_s": round(statistics.median(known), 3) if known else None,
            "recovery_max_s": max(known, default=None),
        }
    return {
        "seed": seed,
        "messages": len(run.messages),
        **{fate: audit.fates[fate] for fate in ("accepted", "expired", "failed", "lost")},
        "expired_early": audit.expired_early,
        "received_again": _received_again(run),
        "requests": {"provider": len(run.exchanges), "queue": len(run.calls)},
        "fates": {"provider": _fates(run.exchanges), "queue": _fates(run.calls)},
        "ledger": run.ledger,
        "duplicates": {cause: audit.duplicates[cause] for cause in causes},
        "bound": {cause: audit.bound[cause] for cause in CAUSES},
        "duplicates_total": audit.duplicates.total(),
        "bound_total": audit.bound.total(),
        "faults": faults,
        "seconds": round(seconds, 1),
        "problems": audit.problems,
    }


def _rows(header, rows):
    """Columns as wide as they must be, the first to the left, the rest to the right."""
    table = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(map(len, column)) for column in zip(*table)]
    for row in table:
        first, *rest = [cell.ljust(width) if index == 0 else cell.rjust(width)
                        for index, (cell, width) in enumerate(zip(row, widths))]
        yield "  ".join([first, *rest]).rstrip()


def _seconds(value):
    return "-" if value is None else f"{value:.2f} s"


def table(report):
    """The same as lines of text."""
    lines = [*_rows(("messages", report["messages"]), [
        *((name, report[name]) for name in ("accepted", "expired", "failed", "lost")),
        ("requests to the provider", report["requests"]["provider"]),
        ("calls to the queue", report["requests"]["queue"])])]
    lines += ["", *_rows(("duplicates by cause", "found", "bound"), [
        *((cause, found, report["bound"].get(cause, "-"))
          for cause, found in report["duplicates"].items()),
        ("all" + ("" if report["ledger"] else ", without the ledger"),
         report["duplicates_total"], report["bound_total"])])]
    lines += ["", *_rows(("fault", "count", "recovery p50", "max"), [
        (kind, row["count"], _seconds(row["recovery_p50_s"]), _seconds(row["recovery_max_s"]))
        for kind, row in report["faults"].items()])]
    lines += ["", f"seed {report['seed']}, {report['seconds']:.0f} s, "
              f"{len(report['problems'])} problems"]
    return "\n".join(lines + report["problems"])


def write(report, path):
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
