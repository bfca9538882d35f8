"""`campaign send --pack` to the end: many recipients a request, bad ones among them, a worker dies."""

import csv
import json
import os
import signal
from collections import Counter

from harness import wait_for
from processes import workers_of
from test_providers import DESTINATIONS, LINE_TOKEN, line_id
from test_report import summary_of
from test_sink import totals

ROWS = 3000
BAD = [7, 700, 701, 1999, 3000]  # two of them in one pack
NAME = "morning"


PACK = 500


def id_of(row):
    return line_id(row, "dead0400" if row in BAD else "")


def packs():
    """The recipients of each message."""
    return [list(map(id_of, range(first, first + PACK))) for first in range(1, ROWS + 1, PACK)]


class Morning:
    """A list in a queue, the preset's workers, and the sink that plays LINE."""

    def __init__(self, bunshin, *sink):
        self.bunshin = bunshin
        self.sink = bunshin.sink("--as", "line", *sink)
        self.sqs = bunshin.queue().sqs()
        self.url = self.sqs.create_queue("morning", VisibilityTimeout=4)
        self.failures = self.sqs.create_queue("failures")
        self.list = bunshin.directory / "list.csv"
        self.list.write_text("to,name\n" + "".join(
            f"{id_of(row)},n{row}\n" for row in range(1, ROWS + 1)))
        self.template = bunshin.directory / "template.json"
        self.template.write_text('{"to":"{{to}}","text":"おはよう"}')
        self.config = bunshin.write_config(
            # what a dead worker has claimed is free again after the timeout of its request
            (DESTINATIONS / "line-multicast.yaml").read_text().replace("timeout: 30s",
                                                                       "timeout: 4s") +
            "\nworkers: 2\nadmin: {listen: null}\nlog: {format: json}\n"
            f"outcomes: {{path: {bunshin.directory}/outcomes}}\n"
            "retry: {base: 100ms, cap: 1s}\n")
        self.environment = {"SINK_URL": self.sink.url, "FAILURE_URL": self.failures,
                            "LEDGER": str(bunshin.directory / "ledger"), **LINE_TOKEN}

    def send(self, *arguments):
        return self.bunshin.run(
            "campaign", "send", "--queue-url", self.url, "--recipients", self.list, "--template",
            self.template, "--name", NAME, "--key", "to", "--validate", "to=@line", "--pack",
            PACK, "--json", *arguments, env=self.environment)

    def work(self):
        return self.bunshin.start("run", "-c", self.config, "--queue-url", self.url,
                                  "--exit-when-empty", env=self.environment)

    def requests(self):
        """(recipients, status) of each that the sink has taken in."""
        return [(json.loads(line["body"])["to"], line["status"])
                for line in self.sink.records()]

    def report(self):
        watch = self.bunshin.run("campaign", "watch", NAME, "--outcomes", "outcomes", "--once")
        assert watch.exit == 0, watch
        return summary_of(self.bunshin.run("campaign", "report", NAME, "--json", "--csv",
                                           "report.csv"))


def test_everybody_but_the_bad_ones_once_though_a_worker_dies(bunshin):
    morning = Morning(bunshin, "--latency", "20")
    sent = json.loads(morning.send().out)
    assert (sent["sent"], sent["messages"], sent["sqs_requests"]) == (ROWS, 6, 1)

    worker = morning.work()
    wait_for(lambda: len(morning.requests()) >= 12 or worker.exit is not None, "some requests")
    os.kill(workers_of(worker.pid)[0], signal.SIGKILL)
    assert worker.wait() == 0, worker.describe()
    assert morning.sqs.counts(morning.url) == (0, 0, 0)

    counts = totals(morning.sink)
    accepted = Counter(recipient for to, status in morning.requests() if status == 200
                       for recipient in to)
    assert set(accepted) == {id_of(row) for row in range(1, ROWS + 1) if row not in BAD}
    assert counts["recipients"] == sum(accepted.values())
    assert counts["repeated_recipients"] == sum(accepted.values()) - len(accepted)
    # Twice is at most who was in a request of which the dead worker never saw the answer. Of each
    # message that is one, since the requests of a message go one after the other.
    taken = [set(to) for to, status in morning.requests() if status == 200]
    for pack in packs():
        twice = {recipient for recipient in pack if accepted[recipient] > 1}
        assert any(twice <= request for request in taken), sorted(twice)

    found = morning.report()
    assert (found["rows"], found["accepted"], found["failed"]) == (ROWS, ROWS - 5, 5)
    with open(bunshin.directory / "report.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {int(row["row"]) for row in rows if row["outcome"] == "failed"} == set(BAD)
    assert {(row["status"], row["reason"]) for row in rows if row["outcome"] == "failed"} == {
        ("400", "refused by the provider")}
    assert {row["outcome"] for row in rows} == {"accepted", "failed"}


def test_the_bad_ones_are_in_the_failure_queue(bunshin):
    """Without their neighbours; and once they are good, they go from there."""
    morning = Morning(bunshin)
    assert morning.send().exit == 0
    assert morning.work().wait() == 0
    listed = json.loads(bunshin.run("dlq", "list", "--queue-url", morning.failures, "--json",
                                    env=morning.environment).out)
    assert sum(group["recipients"] for group in listed["groups"]) == 5
    assert sum(group["count"] for group in listed["groups"]) == 4
    shown = bunshin.run("dlq", "show", "--queue-url", morning.failures, "--json",
                        env=morning.environment)
    copies = [json.loads(line) for line in shown.out.splitlines()]
    assert sorted(copy["recipients"] for copy in copies) == [1, 1, 1, 2]
    assert sorted(recipient for copy in copies for recipient in json.loads(copy["body"])["to"]) \
        == sorted(map(id_of, BAD))
    text = bunshin.run("dlq", "show", "--queue-url", morning.failures, env=morning.environment).out
    assert "  recipients       2\n" in text and "attribute        RecipientKeys (Binary)" in text
    text = bunshin.run("dlq", "list", "--queue-url", morning.failures, env=morning.environment).out
    assert "            for 5 recipients\n" in text

    back = bunshin.run("dlq", "redrive", "--queue-url", morning.failures, "--to", morning.url,
                       "--yes", "--json", env=morning.environment)
    moved = json.loads(back.out)
    assert (moved["sent"], moved["recipients"]) == (4, 5)
    messages = morning.sqs.receive(morning.url, VisibilityTimeout=0)
    assert len(messages) > 0 and all("RecipientKeys" in message["MessageAttributes"]
                                     for message in messages)


def test_packed_anew_nobody_is_sent_twice(bunshin):
    """A sender dies and goes on with other packs; the ledger knows by recipient."""
    morning = Morning(bunshin)
    assert morning.send().exit == 0
    assert morning.work().wait() == 0
    first = totals_so_far(morning)
    # As a resumed send would: the same recipients, the same keys, other packs.
    other = bunshin.directory / "other"
    other.mkdir()
    again = json.loads(morning.send("--dir", other, "--pack", "70").out)
    assert again["messages"] == 43
    assert morning.work().wait() == 0
    assert totals_so_far(morning) == first
    counts = totals(morning.sink)
    assert (counts["recipients"], counts["repeated_recipients"]) == (ROWS - 5, 0)
    assert morning.report()["accepted"] == ROWS - 5


def totals_so_far(morning):
    return sorted(recipient for to, status in morning.requests() if status == 200
                  for recipient in to)
