"""Workers and `bunshin sink --http2`: what a server does with requests, counted on both sides."""

import json
import re
from collections import Counter

import pytest

from fake_tls import make_authority
from harness import ADMIN, wait_for
from test_sink import totals

MESSAGES = 200


class Stage:
    """A queue with messages, a sink that speaks HTTP/2, and a worker's configuration."""

    def __init__(self, bunshin, *sink, tls=False, **destination):
        self.bunshin = bunshin
        files, extra = (), {}
        if tls:
            extra["ca_file"] = str(make_authority(bunshin.directory, "localhost")[0])
            files = ("--tls-cert", bunshin.directory / "leaf.pem",
                     "--tls-key", bunshin.directory / "leaf.key")
        self.sink = bunshin.sink("--http2", *files, *sink)
        url = f"https://localhost:{self.sink.port}" if tls else self.sink.url
        self.sqs = bunshin.queue().sqs()
        self.queue = self.sqs.create_queue("q", VisibilityTimeout=60)
        self.config = bunshin.config(
            self.queue, url, request={"headers": {"Idempotency-Key": "{{idempotency_key}}"}},
            destination={"http_version": "2", "concurrency": 100, "adaptive": False, "timeout": "60s", "connect_timeout": "60s",
                         **extra,
                         **destination},
            ledger={"path": str(bunshin.directory / "ledger"), "size": "1MiB"},
            retry={"base": "100ms", "cap": "1s"}, admin=ADMIN)
        self.sqs.send(self.queue, [f"{n}" for n in range(MESSAGES)])

    def deliver(self):
        """Runs until the queue is empty; (what the worker counts, what the sink counts)."""
        result = self.bunshin.run("run", "-c", self.config, "--exit-when-empty", "--json")
        assert result.exit == 0, result
        worker, sink = json.loads(result.out), totals(self.sink)
        assert worker["accepted"] == MESSAGES
        answered = Counter(record["body"] for record in self.sink.records()
                           if record["status"] == 200)
        assert set(answered) == {f"{n}" for n in range(MESSAGES)}
        assert sink["accepted"] == sum(answered.values())
        return worker, sink


@pytest.mark.parametrize("tls", [True, False], ids=["tls", "clear"])
@pytest.mark.parametrize("after", [1, 7, 50])
def test_goaway_loses_and_repeats_nothing(bunshin, after, tls):
    worker, sink = Stage(bunshin, "--goaway-after", str(after), "--latency", "0-10",
                         tls=tls).deliver()
    assert (sink["requests"], sink["duplicates"]) == (MESSAGES, 0)
    assert sink["goaways"] > 0
    # Hardly ever libcurl tells neither of the GOAWAY nor why it ended: as if it might be accepted.
    assert worker["retried"] <= MESSAGES // 20


@pytest.mark.parametrize("streams", [1, 3, 1000])
def test_streams_are_learned_from_the_server(bunshin, streams):
    worker, sink = Stage(bunshin, "--streams", str(streams), "--latency", "5", tls=True).deliver()
    assert (worker["attempts"], worker["retried"]) == (MESSAGES, 0)
    assert (sink["requests"], sink["refused"]) == (MESSAGES, 0)
    assert 1 <= sink["most_streams"] <= streams


def test_refused_requests_are_sent_again(bunshin):
    """A refusal counts as no attempt; only what is refused four times in a row goes back."""
    worker, sink = Stage(bunshin, "--refuse", "20", "--seed", "1", tls=True).deliver()
    assert sink["refused"] > 20
    assert worker["retried"] <= 10
    assert (sink["requests"], sink["duplicates"]) == (MESSAGES, 0)


def test_cuts_lose_nothing(bunshin):
    """What was under way may have been accepted: it comes again, and nothing else does."""
    worker, sink = Stage(bunshin, "--close", "2", "--seed", "1", "--latency", "1-5").deliver()
    assert sink["closed"] > 0
    assert sink["duplicates"] <= worker["retried"] == worker["attempts"] - MESSAGES


def test_connections_and_their_metrics(bunshin):
    stage = Stage(bunshin, "--latency", "50", tls=True, connections=2)
    worker = bunshin.start("run", "-c", stage.config)

    def metrics():
        text = worker.admin("/metrics")[2]
        return {name: float(value) for name, value in re.findall(
            r'^(bunshin_(?:connection|requests)\w*)\{destination="sink"\} (\S+)$', text, re.M)}

    seen = wait_for(lambda: (lambda found: found if found.get("bunshin_connections") == 2 and
                             found["bunshin_connection_streams"] > 2 else None)(metrics()),
                    "two connections with many streams")
    assert seen["bunshin_connections_opened_total"] == 2
    assert seen["bunshin_requests_refused_total"] == 0
    wait_for(lambda: stage.sqs.counts(stage.queue) == (0, 0, 0), "an empty queue")
    assert worker.terminate() == 0
    counts = totals(stage.sink)
    assert (counts["connections"], counts["accepted"]) == (2, MESSAGES)
