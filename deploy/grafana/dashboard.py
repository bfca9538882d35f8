#!/usr/bin/python3
"""Writes bunshin.json, the Grafana dashboard beside it: rows of panels, each with its queries.

    dashboard.py            writes it
    dashboard.py --check    exit code 1 when the file is another

Import the file in Grafana (9 or later); it asks for the Prometheus data source.
"""

import json
import sys
from pathlib import Path

FILE = Path(__file__).with_name("bunshin.json")
DATA = {"type": "prometheus", "uid": "${datasource}"}
WIDTH, HEIGHT = 24, 8

OF_JOB = 'job=~"$job"'
OF_HOST = OF_JOB + ',instance=~"$instance"'
OF_LINE = OF_HOST + ',destination=~"$destination"'


def rate(name, selector=OF_HOST):
    return f"rate({name}{{{selector}}}[$__rate_interval])"


def total(expression, by=""):
    return f"sum by ({by}) ({expression})" if by else f"sum({expression})"


def quantile(q, name):
    buckets = total(rate(name + "_bucket", OF_LINE), "destination, le")
    return f"histogram_quantile({q}, {buckets})"


def gauge(name, selector=OF_HOST):
    return f"{name}{{{selector}}}"


# (row, [(title, what it says, unit, [(query, legend)])])
ROWS = [
    ("At a glance", [
        ("Backlog", "Messages that wait in the queue, as it says itself.", "short",
         [(f'max(bunshin_queue_backlog{{{OF_JOB},state="visible"}})', "waiting")], "stat"),
        ("Accepted", "Messages a second that providers accept now.", "cps",
         [(total(rate("bunshin_messages_total", OF_LINE + ',outcome="accepted"')), "accepted")],
         "stat"),
        ("Empty in", "The backlog by what is accepted.", "s",
         [(f'max(bunshin_queue_backlog{{{OF_JOB},state="visible"}}) / '
           + total(rate("bunshin_messages_total", OF_LINE + ',outcome="accepted"')),
           "at this pace")], "stat"),
        ("Breakers open", "Destinations that get nothing but probes.", "short",
         [(total(f"max by (destination) ({gauge('bunshin_breaker_open', OF_LINE)})"), "open")],
         "stat"),
        ("Paused", "1 while the queue is paused.", "short",
         [(f"max({gauge('bunshin_control_paused')})", "paused")], "stat"),
        ("Workers", "That receive, on all hosts.", "short",
         [(total(gauge("bunshin_workers", OF_HOST + ',state="running"')), "running"),
          (total(gauge("bunshin_workers_wanted")), "wanted")], "stat"),
    ]),
    ("Messages", [
        ("Outcomes", "What becomes of messages, a second.", "cps",
         [(total(rate("bunshin_messages_total", OF_LINE), "outcome") + " > 0", "{{outcome}}")]),
        ("Not delivered", "Failed, expired, cancelled and lost, of the time shown.", "short",
         [("sum by (outcome, destination) (increase(bunshin_messages_total{" + OF_LINE
           + ',outcome=~"failed|failed_left|expired|cancelled|lost"}[$__range])) > 0',
           "{{outcome}} {{destination}}")]),
        ("Backlog by state", "Of the queue.", "short",
         [(f"max by (state) (bunshin_queue_backlog{{{OF_JOB}}})", "{{state}}")]),
        ("Held by state", "Messages that the workers hold.", "short",
         [(total(gauge("bunshin_messages_held"), "state"), "{{state}}")]),
        ("From the queue to the acceptance", "Latency of messages, since they were sent.", "s",
         [(quantile(q, "bunshin_acceptance_latency_seconds"), f"{name} {{{{destination}}}}")
          for q, name in ((0.5, "p50"), (0.99, "p99"))]),
        ("Campaigns", "Outcomes a second.", "cps",
         [(total(rate("bunshin_campaign_messages_total"), "campaign, outcome") + " > 0",
           "{{campaign}} {{outcome}}")]),
    ]),
    ("Destinations", [
        ("Attempts", "Started a second, and the rate in force.", "cps",
         [(total(rate("bunshin_attempts_total", OF_LINE), "destination"), "{{destination}}"),
          (total(f"max by (destination, instance) ({gauge('bunshin_rate_limit', OF_LINE)})",
                 "destination") + " > 0", "limit {{destination}}")]),
        ("Results of attempts", "As the outcome table judges them.", "cps",
         [(total(rate("bunshin_attempt_results_total", OF_LINE), "destination, result") + " > 0",
           "{{destination}} {{result}}"),
          (total(rate("bunshin_attempts_unanswered_total", OF_LINE), "destination") + " > 0",
           "{{destination}} unanswered")]),
        ("Duration of attempts", "From start to end.", "s",
         [(quantile(q, "bunshin_attempt_duration_seconds"), f"{name} {{{{destination}}}}")
          for q, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))]),
        ("Slots", "Attempts in flight, and how many may be.", "short",
         [(total(gauge("bunshin_attempts_in_flight", OF_LINE), "destination"),
           "busy {{destination}}"),
          (total(gauge("bunshin_concurrency_limit", OF_LINE), "destination"),
           "limit {{destination}}"),
          (total(gauge("bunshin_concurrency_configured", OF_LINE), "destination"),
           "configured {{destination}}")]),
        ("Breaker", "1 while nothing but probes is sent.", "short",
         [(f"max by (destination, instance) ({gauge('bunshin_breaker_open', OF_LINE)})",
           "{{destination}} {{instance}}")]),
        ("Since the last acceptance", "Of each destination.", "s",
         [("time() - max by (destination) "
           f"({gauge('bunshin_last_accepted_timestamp_seconds', OF_LINE)} > 0)",
           "{{destination}}")]),
    ]),
    ("Queue", [
        ("Receives", "By what they bring.", "cps",
         [(total(rate("bunshin_receives_total"), "result"), "{{result}}")]),
        ("Requests to SQS", "By operation.", "reqps",
         [(total(rate("bunshin_sqs_requests_total"), "operation") + " > 0", "{{operation}}")]),
        ("Trouble with SQS", "Repeated, throttled, failed for good.", "cps",
         [(total(rate("bunshin_sqs_retries_total")), "repeated"),
          (total(rate("bunshin_sqs_throttled_total")), "throttled"),
          (total(rate("bunshin_queue_errors_total")), "failed")]),
        ("Cost of SQS", "Estimated, of the time shown.", "currencyUSD",
         [(f"sum(increase(bunshin_sqs_cost_dollars_total{{{OF_HOST}}}[$__range]))", "dollars")]),
        ("Visibility", "Extended; lost while held.", "cps",
         [(total(rate("bunshin_visibility_extended_total")), "extended"),
          (total(rate("bunshin_messages_total", OF_LINE + ',outcome="lost"')), "lost")]),
        ("Keys expire in", "AWS credentials; nothing: they do not expire.", "s",
         [(f"min by (instance) ({gauge('bunshin_credentials_expiry_timestamp_seconds')} > 0)"
           " - time()", "{{instance}}")]),
    ]),
    ("Hosts", [
        ("Workers by state", "", "short",
         [(total(gauge("bunshin_workers"), "state") + " > 0", "{{state}}")]),
        ("Deaths, stalls, reloads", "Of the time shown.", "short",
         [(f"sum(increase(bunshin_worker_deaths_total{{{OF_HOST}}}[$__range]))", "deaths"),
          (f"sum(increase(bunshin_worker_stalls_total{{{OF_HOST}}}[$__range]))", "stalls"),
          (f"sum by (result) (increase(bunshin_reloads_total{{{OF_HOST}}}[$__range]))",
           "reloads {{result}}")]),
        ("Processor", "Cores in use, by host.", "short",
         [(total(rate("bunshin_workers_cpu_seconds_total"), "instance"), "{{instance}}")]),
        ("Memory", "Resident, and messages held of their limit.", "bytes",
         [(total(gauge("bunshin_workers_resident_memory_bytes"), "instance"), "{{instance}}"),
          (total(gauge("bunshin_held_bytes")), "messages"),
          (total(gauge("bunshin_held_bytes_limit")), "limit of messages")]),
        ("Ledger", "Share of its places in use; keys that had to leave.", "percentunit",
         [(f"max by (instance) ({gauge('bunshin_ledger_used_ratio')})", "{{instance}}"),
          (total(rate("bunshin_ledger_cut_short_total")), "cut short a second")]),
        ("Outcome log", "Written, sent, lost; what waits to be sent.", "short",
         [(total(rate("bunshin_outcomes_written_total")), "written a second"),
          (total(rate("bunshin_results_sent_total")), "sent a second"),
          (total(rate("bunshin_outcomes_lost_total")), "lost a second"),
          (total(gauge("bunshin_results_waiting_bytes")), "bytes waiting")]),
    ]),
]


def panel(number, place, title, words, unit, queries, kind="timeseries"):
    return {
        "id": number, "type": kind, "title": title, "description": words, "datasource": DATA,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "targets": [{"refId": chr(ord("A") + index), "datasource": DATA, "expr": query,
                     "legendFormat": legend} for index, (query, legend) in enumerate(queries)],
    }


def panels():
    made, y = [], 0
    for row, members in ROWS:
        made.append({"id": len(made) + 1, "type": "row", "title": row, "collapsed": False,
                     "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1}, "panels": []})
        y += 1
        stats = len(members[0]) == 5
        width, height = (WIDTH // 6, HEIGHT // 2) if stats else (WIDTH // 3, HEIGHT)
        for index, member in enumerate(members):
            x = index * width
            place = {"x": x % WIDTH, "y": y + x // WIDTH * height, "w": width, "h": height}
            made.append(panel(len(made) + 1, place, *member))
        y += -(-len(members) * width // WIDTH) * height
    return made


def variable(name, label, metric):
    query = f"label_values({metric}, {name})"
    return {"name": name, "label": label, "type": "query", "datasource": DATA, "query": query,
            "definition": query, "refresh": 2, "includeAll": True, "multi": True, "allValue": ".*",
            "current": {"text": "All", "value": "$__all"}}


def dashboard():
    return {
        "uid": "bunshin", "title": "Bunshin", "tags": ["bunshin", "sqs"], "schemaVersion": 38,
        "timezone": "browser", "refresh": "10s", "time": {"from": "now-1h", "to": "now"},
        "editable": True, "graphTooltip": 1,
        "templating": {"list": [
            {"name": "datasource", "label": "Data source", "type": "datasource",
             "query": "prometheus"},
            variable("job", "Fleet", "bunshin_build_info"),
            variable("instance", "Host", f"bunshin_build_info{{{OF_JOB}}}"),
            variable("destination", "Destination", f"bunshin_attempts_total{{{OF_HOST}}}"),
        ]},
        "panels": panels(),
    }


def main():
    text = json.dumps(dashboard(), indent=1) + "\n"
    if sys.argv[1:] == ["--check"]:
        return 0 if FILE.read_text(encoding="utf-8") == text else 1
    FILE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
