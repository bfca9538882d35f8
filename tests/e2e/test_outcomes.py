"""The outcome of every message: in the local log, and in the results queue."""

import json
import os
import signal
import time
from collections import Counter

import pytest

from harness import ADMIN, read_jsonl, wait_for
from processes import workers_of

MESSAGES = 5000
TERMINAL = {"accepted", "suppressed", "failed", "expired", "cancelled"}
KEY_REQUEST = {"body": "{{idempotency_key}}"}  # what the provider saw can be told by its key


class Stage:
    """A queue, a provider, a results queue, and workers between them."""

    def __init__(self, bunshin, *sink):
        self.bunshin = bunshin
        self.sink = bunshin.sink(*sink)
        self.sqs = bunshin.queue().sqs()
        self.url = self.sqs.create_queue("morning", VisibilityTimeout=10)
        self.failures = self.sqs.create_queue("failures")
        self.results = self.sqs.create_queue("results")
        self.directory = bunshin.directory / "outcomes"
        self.keys = set()
        self.received = []  # lines from the results queue
        self.entries = 0  # its messages

    def config(self, **sections):
        queue = {"wait": "1s", "failure_url": self.failures, "results_url": self.results,
                 **sections.pop("queue", {})}
        sections = {"outcomes": {"path": str(self.directory)}, "log": {"format": "json"},
                    "ledger": {"path": str(self.bunshin.directory / "ledger")}, **sections}
        return self.bunshin.config(self.url, self.sink.url, request=KEY_REQUEST, queue=queue,
                                   **sections)

    def send(self, count=MESSAGES, **attributes):
        """With keys of their own, so that what is missing can be told."""
        for start in range(0, count, 10):
            entries = []
            for index in range(min(10, count - start)):
                key = f"key-{len(self.keys)}"
                self.keys.add(key)
                values = {"IdempotencyKey": key, "Campaign": "spring", **attributes}
                entries.append({"Id": str(index), "MessageBody": "hello", "MessageAttributes": {
                    name: {"DataType": "String", "StringValue": value}
                    for name, value in values.items()}})
            answer = self.sqs.call("SendMessageBatch", QueueUrl=self.url, Entries=entries)
            assert not answer.get("Failed"), answer

    def run(self, **sections):
        return self.bunshin.start("run", "-c", self.config(**sections))

    def run_until_empty(self, **sections):
        result = self.bunshin.run("run", "-c", self.config(**sections), "--exit-when-empty",
                                  "--json")
        assert result.exit == 0, result
        return json.loads(result.out.splitlines()[-1])

    def wait_until_empty(self):
        wait_for(lambda: self.sqs.counts(self.url) == (0, 0, 0), "an empty queue")

    def logged(self):
        """Every line of the local log that is one."""
        lines = []
        for path in sorted(self.directory.glob("outcomes-*.jsonl*")):
            lines += read_jsonl(path, torn=float("inf"))
        return lines

    def drain_results(self):
        """Every line that has arrived in the results queue so far."""
        while messages := self.sqs.receive(self.results):
            for message in messages:
                body = message["Body"]
                assert len(body.encode()) <= 60 * 1024 and body.endswith("\n")
                self.received += [json.loads(line) for line in body.splitlines()]
                self.entries += 1
                self.sqs.delete(self.results, message["ReceiptHandle"])
        return self.received

    def accepted_by_provider(self):
        return Counter(record["body"] for record in self.sink.records()
                       if record["status"] == 200)


@pytest.fixture
def stage(bunshin):
    return Stage(bunshin)


def records(lines):
    return [line for line in lines if "outcome" in line]


def terminal(lines):
    """{key: its terminal outcomes}"""
    found = {}
    for line in records(lines):
        if line["outcome"] in TERMINAL:
            found.setdefault(line["key"], []).append(line["outcome"])
    return found


def one_each(lines, keys):
    """Every key has one terminal outcome; how many of each."""
    found = terminal(lines)
    assert set(found) == keys
    several = {key: outcomes for key, outcomes in found.items() if len(outcomes) > 1}
    assert not several
    return Counter(outcomes[0] for outcomes in found.values())


@pytest.mark.parametrize("workers", [1, 3])
def test_each_message_has_one_record(bunshin, workers):
    stage = Stage(bunshin, "--fail", "10", "--status", "400")
    stage.send(MESSAGES - 500)
    stage.send(500, Deadline="2020-01-01T00:00:00Z")
    counts = stage.run_until_empty(workers=workers)
    outcomes = one_each(stage.logged(), stage.keys)
    assert outcomes["expired"] == counts["expired"] == 500
    assert outcomes["accepted"] == counts["accepted"] > 3000
    assert outcomes["failed"] == counts["failed"] > 200
    assert sum(outcomes.values()) == MESSAGES

    lines = stage.drain_results()
    assert one_each(lines, stage.keys) == outcomes
    assert sorted(map(json.dumps, lines)) == sorted(map(json.dumps, stage.logged()))
    assert stage.entries <= MESSAGES * 0.1
    assert set(stage.accepted_by_provider()) == \
        {key for key, found in terminal(lines).items() if found == ["accepted"]}


def test_what_a_record_says(bunshin):
    stage = Stage(bunshin, "--fail", "100", "--status", "404")
    stage.send(1)
    before_ms = time.time() * 1000
    stage.run_until_empty()
    [record] = records(stage.logged())
    first, last = record.pop("first"), record.pop("last")
    assert before_ms - 60000 < first <= last <= time.time() * 1000
    assert record.pop("message_id")
    assert record == {"v": 1, "outcome": "failed", "key": "key-0", "campaign": "spring",
                      "destination": "sink", "status": 404, "reason": "refused by the provider",
                      "request_id": "sink-1", "attempts": 1}


def test_attempts_that_failed(bunshin):
    """Retried ones have a record each; a failure that is left in the queue too."""
    stage = Stage(bunshin, "--fail", "100", "--status", "500")
    stage.send(3)
    retry = {"max_attempts": 2, "base": "100ms", "cap": "1s"}
    process = stage.run(retry=retry)
    wait_for(lambda: len(terminal(stage.logged())) == 3, "three failures")
    assert process.terminate() == 0
    found = Counter((line["key"], line["outcome"], line["attempts"], line["status"])
                    for line in records(stage.logged()))
    assert found == Counter({(key, outcome, attempts, 500): 1 for key in stage.keys
                             for outcome, attempts in (("retrying", 1), ("failed", 2))})
    reasons = {line.get("reason") for line in records(stage.logged())}
    assert reasons == {None, "attempts exhausted"}


def test_an_attempt_that_nobody_answered(bunshin):
    stage = Stage(bunshin, "--latency", "60000")
    stage.send(1)
    config = {"destination": {"timeout": "200ms"}, "retry": {"max_attempts": 1}}
    path = stage.bunshin.config(
        stage.url, stage.sink.url, request=KEY_REQUEST,
        queue={"wait": "1s", "failure_url": stage.failures},
        outcomes={"path": str(stage.directory)}, log={"format": "json"}, **config)
    assert stage.bunshin.run("run", "-c", path, "--exit-when-empty").exit == 0
    [record] = records(stage.logged())
    assert record["outcome"] == "failed" and record["unanswered"] is True
    assert "status" not in record
    # With no results queue there is nobody to tell what the worker is doing.
    assert len(stage.logged()) == 1


@pytest.mark.parametrize("workers", [1, 3])
def test_killed_workers(stage, workers):
    """Whatever the provider accepted is in the log, by whoever received it last."""
    stage.send()
    process = stage.run(workers=workers, destination={"concurrency": 50})
    for _ in range(4):
        so_far = len(stage.sink.records())
        wait_for(lambda: len(stage.sink.records()) >= min(so_far + 300, MESSAGES), "progress")
        if workers == 1:
            process.kill()
            process = stage.run(workers=workers, destination={"concurrency": 50})
        else:
            os.kill(wait_for(lambda: workers_of(process.pid), "a worker")[0], signal.SIGKILL)
    stage.wait_until_empty()
    assert process.terminate() == 0

    found = terminal(stage.logged())
    assert set(found) == stage.keys
    assert {outcome for outcomes in found.values() for outcome in outcomes} <= \
        {"accepted", "suppressed"}
    assert set(stage.accepted_by_provider()) == stage.keys
    assert set(terminal(stage.drain_results())) == stage.keys


def test_a_results_queue_that_comes_late(stage):
    """Deliveries go on, and what they came to arrives once it is there."""
    stage.results = stage.results + "-late"
    stage.send(1000)
    process = stage.run(admin=ADMIN)
    stage.wait_until_empty()
    wait_for(lambda: any("cannot be sent to the results queue" in line["message"]
                         for line in process.log()), "a line in the log")
    wait_for(lambda: len(stage.accepted_by_provider()) == 1000, "the sink's record")
    assert len(terminal(stage.logged())) == 1000
    stage.sqs.create_queue("results-late")
    wait_for(lambda: len(terminal(stage.drain_results())) == 1000, "the records")
    one_each(stage.received, stage.keys)
    metrics = process.admin("/metrics")[2]
    values = {line.split()[0]: float(line.split()[1]) for line in metrics.splitlines()
              if line.startswith(("bunshin_outcomes_", "bunshin_results_"))}
    assert values["bunshin_outcomes_written_total"] >= 1000
    assert values["bunshin_outcomes_lost_total"] == 0
    assert values["bunshin_results_sent_total"] == 1000
    assert values["bunshin_results_failed_total"] >= 1
    assert process.terminate() == 0


def test_the_next_start_sends_what_was_left(stage):
    stage.results = stage.results + "-late"
    stage.send(500)
    stage.run_until_empty(workers=2)
    stage.sqs.create_queue("results-late")
    process = stage.run(workers=1)
    wait_for(lambda: len(terminal(stage.drain_results())) == 500, "the records")
    one_each(stage.received, stage.keys)
    assert process.terminate() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_reloads_under_load(stage, workers):
    """Old and new write side by side: nothing is lost, nothing is there twice."""
    stage.send()
    process = stage.run(workers=workers, admin=ADMIN)
    for round_ in range(3):
        so_far = len(stage.sink.records())
        wait_for(lambda: len(stage.sink.records()) >= min(so_far + 200, MESSAGES), "progress")
        process.signal(signal.SIGHUP)
        wait_for(lambda: sum(line["message"] == "reloaded" for line in process.log()) > round_,
                 "the reload")
    stage.wait_until_empty()
    assert process.terminate() == 0
    assert one_each(stage.logged(), stage.keys) == {"accepted": MESSAGES}
    assert one_each(stage.drain_results(), stage.keys) == {"accepted": MESSAGES}


def test_a_stop_sends_what_is_left(stage):
    stage.send()
    process = stage.run()
    wait_for(lambda: len(stage.sink.records()) >= 500, "progress")
    assert process.terminate() == 0
    found = terminal(stage.drain_results())
    assert set(found) == set(stage.accepted_by_provider())
    one_each(stage.received, set(found))
    assert found == terminal(stage.logged())


def test_status_lines(bunshin):
    """They say what a worker does and why it is not faster, and one says when it is done."""
    stage = Stage(bunshin)
    stage.send(60)
    stage.run_until_empty(destination={"rate": "5/s"})
    statuses = [line for line in stage.drain_results() if "worker" in line]
    assert len(statuses) >= 2
    assert {line["limit"] for line in statuses[:-1]} == {"rate"}
    assert "in_flight" not in statuses[-1] and statuses[-1]["accepted"] == 60
    assert len({line["worker"] for line in statuses}) == 1
    times = [line["at"] for line in statuses]
    assert times == sorted(times)


def test_control_is_told_at_once(bunshin):
    """A worker that has taken a change over says so within a second or two, also when idle."""
    stage = Stage(bunshin)
    stage.send(20)
    process = stage.run(workers=1)
    stage.wait_until_empty()

    def controls():
        return [line.get("control") for line in stage.drain_results() if "worker" in line]

    wait_for(controls, "a status line")
    stage.send(1)  # tags are read while there is work
    stage.sqs.call("TagQueue", QueueUrl=stage.url, Tags={"bunshin:paused": "true"})
    wait_for(lambda: any(line.get("limit") == "paused" for line in stage.drain_results()),
             "a line that says that it is paused")
    assert len(set(controls())) == 2
    stage.sqs.call("UntagQueue", QueueUrl=stage.url, TagKeys=["bunshin:paused"])
    stage.wait_until_empty()
    assert process.terminate() == 0
    one_each(stage.drain_results(), stage.keys)


def test_cancelled_messages(stage):
    stage.sqs.call("TagQueue", QueueUrl=stage.url, Tags={"bunshin:cancelled": "spring"})
    stage.send(200)
    stage.run_until_empty()
    assert one_each(stage.logged(), stage.keys) == {"cancelled": 200}
    assert one_each(stage.drain_results(), stage.keys) == {"cancelled": 200}
    assert stage.sink.records() == []


def test_rotation(stage):
    """At the smallest size: former files are kept up to outcomes.keep, the rest was sent."""
    stage.send(9000)
    stage.run_until_empty(outcomes={"path": str(stage.directory), "size": "1MiB",
                                    "keep": "1MiB"})
    names = {path.name for path in stage.directory.iterdir()}
    assert "outcomes-0.jsonl" in names and "outcomes-0.position" in names
    assert len([name for name in names if name.startswith("outcomes-0.jsonl.")]) == 1
    assert one_each(stage.drain_results(), stage.keys) == {"accepted": 9000}


BAD = {
    "the queue itself": ({"results_url": "http://127.0.0.1:1/000000000000/morning"},
                         "queue.results_url: the same queue as queue.url"),
    "a FIFO queue": ({"results_url": "http://127.0.0.1:1/000000000000/results.fifo"},
                     "queue.results_url: a FIFO queue; results go to a standard one"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_results_queue(bunshin, name):
    queue, words = BAD[name]
    config = bunshin.config("http://127.0.0.1:1/000000000000/morning", "http://127.0.0.1:1",
                            queue=queue)
    result = bunshin.run("run", "-c", config)
    assert result.exit == 2 and words in result.err


def test_a_directory_that_cannot_be_used(stage):
    path = stage.bunshin.directory / "file"
    path.write_text("")
    result = stage.bunshin.run("run", "-c", stage.config(outcomes={"path": str(path)}))
    assert result.exit != 0
    assert f"outcomes.path: cannot write into the directory {path}" in result.err
