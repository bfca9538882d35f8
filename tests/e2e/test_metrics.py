"""/metrics as Prometheus sees it: promtool, a real server that scrapes, the page, rules, dashboard."""

import json
import re
import subprocess
import sys
import urllib.parse
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from harness import ADMIN, wait_for
from prometheus import assert_clean, prometheus, promtool

ROOT = Path(__file__).resolve().parents[2]
PAGE_ROW = re.compile(r"^\| `(bunshin_\w+)` \| (\w+) \| ([\w, ]*) ?\| ", re.M)
# What each destination's provider does, and what came of all messages.
OUTCOMES = {
    ("line", "accepted"): 41, ("line", "suppressed"): 5, ("line", "expired"): 4,
    ("line", "postponed"): 3, ("line", "cancelled"): 6, ("sms", "failed"): 7,
    ("", "failed"): 2, ("push", "retried"): 8,
}


def read_page():
    """{name: (type, labels)} of docs/metrics.md"""
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    return {name: (kind, {label.strip() for label in labels.split(",") if label.strip()})
            for name, kind, labels in PAGE_ROW.findall(text)}


def read_scrape(text):
    """{name: (type, labels)} of an exposition; a label without a value is none."""
    found = {}
    for family in text_string_to_metric_families(text):
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        found[name] = (family.type, labels)
    return found


class Stage:
    """A queue, three providers, and two workers that have had every outcome that can be had."""

    def __init__(self, bunshin):
        self.bunshin = bunshin
        self.queue = bunshin.queue()
        self.sqs = self.queue.sqs()
        self.url, self.failures, self.results = (
            self.sqs.create_queue(name) for name in ("morning", "failed", "results"))

    def config(self):
        sinks = {"line": (), "sms": ("--fail", "100", "--status", "400"),
                 "push": ("--fail", "100", "--status", "429", "--retry-after", "3600")}
        return self.bunshin.write_config({
            "queue": {"url": self.url, "failure_url": self.failures, "results_url": self.results,
                      "visibility": "1h", "wait": "1s"},
            "destinations": [
                {"name": name, "rate": "2500/m" if name == "push" else None, "request": {
                    "method": "POST", "url": self.bunshin.sink(*options).url + "/"}}
                for name, options in sinks.items()] + [
                # Gets nothing; only such a destination has metrics of recipients.
                {"name": "many", "batch": {"max": 5, "field": "to"}, "request": {
                    "url": "http://127.0.0.1:9/", "body": '{"to":{{to}}}'}}],
            "tracing": {"endpoint": self.bunshin.sink().url},
            "outcomes": {"path": str(self.bunshin.directory / "outcomes")},
            "ledger": {"path": str(self.bunshin.directory / "ledger"), "size": "1MiB"},
            "workers": 2, "admin": ADMIN})

    def start(self):
        done = self.bunshin.run("campaign", "cancel", "noon", "--queue-url", self.url, "--no-wait")
        assert done.exit == 0, done
        self.worker = self.bunshin.start("run", "-c", self.config())
        self.scrape()
        return self

    def send(self, count, **attributes):
        self.sqs.send(self.url, [f"message {number}" for number in range(count)],
                      attributes=attributes)

    def play(self):
        self.send(40, Destination="line", Campaign="morning")
        self.send(1, IdempotencyKey="once")
        self.wait("line", "accepted")
        self.send(5, IdempotencyKey="once")
        self.send(4, Deadline="2020-01-01T00:00:00Z", Campaign="morning")
        self.send(3, NotBefore="2099-01-01T00:00:00Z")
        self.send(7, Destination="sms")
        self.send(2, Destination="nowhere")
        self.send(8, Destination="push")
        self.send(6, Campaign="noon")
        for destination, outcome in OUTCOMES:
            self.wait(destination, outcome)

    def scrape(self):
        status, _, text = self.worker.admin("/metrics")
        assert status == 200
        return text

    def wait(self, destination, outcome):
        count = OUTCOMES[destination, outcome]
        line = f'bunshin_messages_total{{outcome="{outcome}",destination="{destination}"}} {count}\n'
        wait_for(lambda: line in self.scrape(), line)

    def target(self):
        self.scrape()
        url = next(line["url"] for line in self.worker.log() if line["message"] == "admin port")
        return urllib.parse.urlsplit(url).netloc


@pytest.fixture
def stage(bunshin):
    return Stage(bunshin).start()


def test_promtool_while_it_works(stage):
    """At every instant of a run, with every outcome and several destinations."""
    assert_clean(stage.scrape())
    stage.send(200, Destination="line", Campaign="sp\"ring\\ \u671d")
    seen = 0
    while seen < 200:
        text = stage.scrape()
        assert_clean(text)
        seen = int(re.search(r'outcome="accepted",destination="line"} (\d+)', text)[1])
    assert promtool("check", "metrics", stdin="# TYPE a counter\na 1\n")[0] != 0
    assert stage.worker.terminate() == 0


def test_prometheus_scrapes_a_worker(stage):
    """What it answers is what was sent; rules and dashboard work on the real series."""
    with prometheus(stage.bunshin.directory, stage.target()) as server:
        wait_for(lambda: [health for health, _ in server.targets()] == ["up"], "a scrape")
        stage.play()
        check_counts(server)
        check_rules(server)
        check_dashboard(server)
    wait_for(lambda: "bunshin_queue_backlog{" in stage.scrape(), "the queue's counts")
    assert_clean(stage.scrape())
    check_page(stage.scrape())
    assert stage.worker.terminate() == 0


def check_counts(server):
    def found():
        rows = server.query("sum by (destination, outcome) (bunshin_messages_total) > 0")
        values = {(dict(labels).get("destination", ""), dict(labels)["outcome"]): value
                  for labels, value in rows.items() if ("outcome", "crowded") not in labels}
        return values if len(values) == len(OUTCOMES) else None

    assert wait_for(found, "all outcomes in Prometheus") == OUTCOMES
    # Of what a provider answered, each once: 41 accepted, 7 refused, 8 asked to come later.
    assert server.query("sum(bunshin_attempts_total)") == {(): 56}
    assert server.query("sum by (result) (bunshin_attempt_results_total) > 0") == {
        (("result", "accepted"),): 41, (("result", "permanent"),): 7, (("result", "throttled"),): 8}
    assert server.query("sum(bunshin_attempt_duration_seconds_count)") == {(): 56}
    assert server.query('sum(bunshin_attempt_duration_seconds_bucket{le="+Inf"})') == {(): 56}
    assert server.query("sum(bunshin_acceptance_latency_seconds_count)") == {(): 41}
    assert server.query('bunshin_rate_limit{destination="push"}') == {
        (("__name__", "bunshin_rate_limit"), ("destination", "push")): 41.666}
    assert server.query("sum by (campaign) (bunshin_campaign_messages_total{outcome=\"accepted\"})"
                        ) == {(("campaign", "morning"),): 40}
    assert server.query("count(bunshin_build_info)") == {(): 1}
    assert server.query("bunshin_last_accepted_timestamp_seconds{destination=\"line\"}"
                        " > time() - 3600") != {}
    # 0.40 dollars a million; no request of this test is large.
    cost = server.query("sum(bunshin_sqs_cost_dollars_total) / sum(bunshin_sqs_requests_total)")
    assert abs(cost[()] - 0.0000004) < 1e-12


def check_rules(server):
    def evaluated():
        rules = [rule for group in server.get("rules")["groups"] for rule in group["rules"]]
        assert not [rule for rule in rules if rule.get("lastError")], rules
        return rules and all(rule["health"] == "ok" for rule in rules)

    wait_for(evaluated, "every rule evaluated")

    def pending():
        return {alert["labels"]["alertname"] for alert in server.get("alerts")["alerts"]}

    wait_for(lambda: "BunshinFailuresHigh" in pending(), "the alert of the failures")


def test_dashboard_is_what_its_program_writes():
    program = ROOT / "deploy" / "grafana" / "dashboard.py"
    assert subprocess.run([sys.executable, program, "--check"], check=False).returncode == 0


def check_dashboard(server):
    dashboard = json.loads((ROOT / "deploy/grafana/bunshin.json").read_text(encoding="utf-8"))
    queries = [(panel["title"], target["expr"]) for panel in dashboard["panels"]
               for target in panel.get("targets", [])]
    assert len(queries) > 20
    empty = []
    for title, query in queries:
        for name, value in (("$job", "bunshin"), ("$instance", ".*"), ("$destination", ".*"),
                            ("$__rate_interval", "1m"), ("$__range", "5m")):
            query = query.replace(name, value)
        assert "$" not in query, (title, query)
        # No data is an answer: rates need two scrapes, and not everything has happened.
        if not server.query(query):
            empty.append(title)
    assert len(empty) < len(queries) / 2, empty


def check_page(text):
    """docs/metrics.md has every metric of the program, and the other way round; types and labels."""
    page, found = read_page(), read_scrape(text)
    assert set(page) == set(found)
    for name, (kind, labels) in found.items():
        assert page[name] == (kind, labels), name
