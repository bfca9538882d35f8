"""`bunshin run` against a real queue and a real provider: nothing lost, nothing sent twice."""

import json
import socket
import time
from collections import Counter

import pytest

from harness import PATIENCE_S, wait_for
from sqs_proxy import SqsProxy

MESSAGES = 10000
# Quick retries, and so many that chance cannot exhaust them.
PATIENT = {"max_attempts": 1000, "base": "100ms", "cap": "1s"}


def bodies(count=MESSAGES):
    return [json.dumps({"to": f"U{number:032x}", "text": f"message {number}"})
            for number in range(count)]


def accepted(sink):
    """How often the provider accepted each body."""
    return Counter(record["body"] for record in sink.records() if record["status"] == 200)


def recorded(sink, expected):
    """What the provider accepted, once all of it is in the record, which lags a little."""
    wait_for(lambda: sum(accepted(sink).values()) >= expected, "the provider's record")
    return accepted(sink)


def run_until_empty(bunshin, config, timeout=PATIENCE_S, **options):
    result = bunshin.run("run", "-c", config, "--exit-when-empty", "--json", timeout=timeout,
                         **options)
    assert result.exit == 0, result
    return json.loads(result.out.splitlines()[-1])


def test_delivers_everything_once(bunshin):
    queue, sink = bunshin.queue(), bunshin.sink()
    url = queue.sqs().create_queue("morning")
    queue.sqs().send(url, bodies(2000))
    counts = run_until_empty(bunshin, bunshin.config(url, sink.url))
    assert counts["accepted"] == counts["deleted"] == counts["received"] == 2000
    assert counts["held"] == 0
    assert queue.sqs().counts(url) == (0, 0, 0)
    assert recorded(sink, 2000) == Counter(bodies(2000))


def test_failing_provider_loses_nothing(bunshin):
    """30 % answer 500, 5 % cut the connection: all accepted, no delete before a 2xx."""
    queue, sink = bunshin.queue(), bunshin.sink("--fail", "30", "--close", "5", "--seed", "7")
    url = queue.sqs().create_queue("morning")
    queue.sqs().send(url, bodies())
    with SqsProxy(queue.url) as proxy:
        config = bunshin.config(url, sink.url, queue={"endpoint": proxy.url}, retry=PATIENT,
                                drain={"grace": "10s"})
        counts = run_until_empty(bunshin, config, timeout=5 * PATIENCE_S)
    assert counts["accepted"] == counts["deleted"] == MESSAGES
    assert queue.sqs().counts(url) == (0, 0, 0)
    assert set(recorded(sink, MESSAGES)) == set(bodies())
    answers = sink.records()
    failed = sum(1 for record in answers if record["status"] != 200)
    assert failed > MESSAGES * 0.3, "the provider did not misbehave"
    first = {}
    for record in answers:
        if record["status"] == 200:
            first.setdefault(record["body"], record["time_epoch_ms"])
    assert len(proxy.deletes) == MESSAGES
    for body, deleted_ms in proxy.deletes:
        assert first[body] <= deleted_ms, body


def start_in_the_middle(bunshin, sink, config, after):
    worker = bunshin.start("run", "-c", config, "--json")
    wait_for(lambda: sum(accepted(sink).values()) >= after, "the middle of the delivery")
    return worker


def test_kill_9_in_the_middle(bunshin):
    """Nothing is missing; what is sent twice was held at that instant."""
    queue, sink = bunshin.queue(), bunshin.sink("--latency", "20")
    sqs = queue.sqs()
    url = sqs.create_queue("morning")
    sqs.send(url, bodies())
    config = bunshin.config(url, sink.url, destination={"concurrency": 100},
                            queue={"visibility": "10s"})
    worker = start_in_the_middle(bunshin, sink, config, MESSAGES // 4)
    worker.kill()
    held = sqs.counts(url)[1]
    assert 0 < sum(sqs.counts(url)) <= MESSAGES * 3 // 4
    run_until_empty(bunshin, config)
    assert sink.terminate() == 0
    times = accepted(sink)
    assert set(times) == set(bodies())
    duplicates = sum(times.values()) - MESSAGES
    print(f"held at the kill: {held}, duplicates: {duplicates}")
    assert duplicates <= held
    # Held: 100 in flight, and what had been accepted but not deleted yet, or just been received.
    assert held <= 100 + 100


def test_sigterm_in_the_middle(bunshin):
    """Exit 0 within the grace time, nothing missing, nothing twice."""
    queue, sink = bunshin.queue(), bunshin.sink("--latency", "20-200")
    sqs = queue.sqs()
    url = sqs.create_queue("morning")
    sqs.send(url, bodies())
    config = bunshin.config(url, sink.url, destination={"concurrency": 200}, drain={"grace": "30s"})
    worker = start_in_the_middle(bunshin, sink, config, MESSAGES // 4)
    assert worker.terminate(timeout=30) == 0
    visible, in_flight, delayed = sqs.counts(url)
    assert (in_flight, delayed) == (0, 0), "what was not sent is back at once"
    counts = json.loads(worker.out().splitlines()[-1])
    assert counts["held"] == 0 and counts["deleted"] == counts["accepted"]
    assert visible == MESSAGES - counts["accepted"] and visible > 0
    run_until_empty(bunshin, config)
    assert sink.terminate() == 0
    assert accepted(sink) == Counter(bodies())


def test_second_sigterm_exits_at_once(bunshin):
    queue, sink = bunshin.queue(), bunshin.sink("--never")
    sqs = queue.sqs()
    url = sqs.create_queue("morning")
    sqs.send(url, bodies(5))
    config = bunshin.config(url, sink.url, destination={"timeout": "2m"},
                            queue={"visibility": "5s"}, drain={"grace": "10m"})
    worker = bunshin.start("run", "-c", config)
    wait_for(lambda: sqs.counts(url)[1] == 5, "all received")
    worker.signal(15)
    wait_for(lambda: "stopping" in worker.err(), "the first signal")
    worker.signal(15)
    assert worker.wait() == 0
    wait_for(lambda: sqs.counts(url)[0] == 5, "everything is back")


def test_provider_that_never_answers(bunshin):
    """Attempts time out and go back; a stop loses nothing."""
    queue, sink = bunshin.queue(), bunshin.sink("--never")
    sqs = queue.sqs()
    url = sqs.create_queue("morning")
    sqs.send(url, bodies(20))
    config = bunshin.config(url, sink.url, destination={"timeout": "1s"}, retry=PATIENT)
    worker = bunshin.start("run", "-c", config)
    wait_for(lambda: any(line.get("error") == "ERR_TIMEOUT" for line in worker.log()),
             "a time-out in the log")
    assert worker.terminate() == 0
    assert sum(sqs.counts(url)) == 20


def test_exit_when_empty_waits_for_what_another_holds(bunshin):
    queue, sink = bunshin.queue(), bunshin.sink()
    sqs = queue.sqs()
    url = sqs.create_queue("morning")
    sqs.send(url, bodies(3))
    [held] = sqs.receive(url, count=1, VisibilityTimeout=5)
    run_until_empty(bunshin, bunshin.config(url, sink.url))
    assert recorded(sink, 3) == Counter(bodies(3))
    assert held["Body"] in bodies(3)


def test_deadline_and_not_before(bunshin):
    queue, sink = bunshin.queue(), bunshin.sink()
    sqs = queue.sqs()
    url = sqs.create_queue("morning")
    now_ms = int(time.time() * 1000)
    sqs.send(url, ["late"], {"Deadline": "2020-01-01T00:00:00Z"})
    sqs.send(url, ["in time"], {"Deadline": "2999-01-01T00:00:00Z"})
    sqs.send(url, ["later"], {"NotBefore": time.strftime(
        "%Y-%m-%dT%H:%M:%SZ", time.gmtime(now_ms / 1000 + 4))})
    counts = run_until_empty(bunshin, bunshin.config(url, sink.url))
    assert counts["expired"] == 1 and counts["accepted"] == 2
    assert recorded(sink, 2) == Counter(["in time", "later"])
    [later] = [r for r in sink.records() if r["body"] == "later"]
    assert later["time_epoch_ms"] >= now_ms // 1000 * 1000 + 4000
    assert queue.sqs().counts(url) == (0, 0, 0)


JSON_REQUEST = {"headers": {"Content-Type": "application/json"},
                "body": '{"to":"{{to}}","text":"{{text}}"}'}

PERMANENT = {
    "missing variable": (JSON_REQUEST, '{"to":"U1"}', 'missing variable "text"'),
    "body that is not JSON": (JSON_REQUEST, "good morning", "not a JSON object"),
    "header value with a newline": (
        {"headers": {"X-To": "{{to}}"}, "body": "x"}, '{"to":"a\\nInjected: 1"}', "line break"),
}


@pytest.mark.parametrize("name", PERMANENT)
def test_message_that_cannot_be_rendered(bunshin, name):
    """It goes to the failure queue with the reason, and nothing reaches the provider."""
    request, body, reason = PERMANENT[name]
    queue, sink = bunshin.queue(), bunshin.sink()
    sqs = queue.sqs()
    url, failures = sqs.create_queue("morning"), sqs.create_queue("failures")
    sqs.send(url, [body], {"Campaign": "spring"})
    config = bunshin.config(url, sink.url, request=request, queue={"failure_url": failures})
    counts = run_until_empty(bunshin, config)
    assert counts["failed"] == 1 and counts["accepted"] == 0
    assert sink.records() == []
    [copy] = sqs.receive(failures)
    attributes = {k: v["StringValue"] for k, v in copy["MessageAttributes"].items()}
    assert copy["Body"] == body
    assert reason in attributes["FailureReason"]
    assert attributes["Campaign"] == "spring"
    assert attributes["Attempts"] == "1"
    assert "FailureStatus" not in attributes


def test_permanent_answer_goes_to_the_failure_queue(bunshin):
    queue, sink = bunshin.queue(), bunshin.sink("--fail", "100", "--status", "400")
    sqs = queue.sqs()
    url, failures = sqs.create_queue("morning"), sqs.create_queue("failures")
    sqs.send(url, bodies(25))
    config = bunshin.config(url, sink.url, queue={"failure_url": failures})
    counts = run_until_empty(bunshin, config)
    assert counts["failed"] == 25 and counts["attempts"] == 25
    assert sqs.counts(url) == (0, 0, 0) and sqs.counts(failures)[0] == 25
    [copy] = sqs.receive(failures, count=1)
    assert copy["MessageAttributes"]["FailureStatus"]["StringValue"] == "400"


def test_refused_credentials_open_the_breaker(bunshin):
    """401: the log says so, hardly anything is sent, nothing is lost."""
    queue, sink = bunshin.queue(), bunshin.sink("--fail", "100", "--status", "401")
    sqs = queue.sqs()
    url = sqs.create_queue("morning")
    sqs.send(url, bodies(500))
    worker = bunshin.start("run", "-c", bunshin.config(url, sink.url,
                                                       destination={"concurrency": 20}))
    wait_for(lambda: any("breaker opened" in line["message"] for line in worker.log()),
             "the breaker in the log")
    assert worker.terminate() == 0
    assert len(sink.records()) <= 40
    assert sum(sqs.counts(url)) == 500


BAD_CONFIGURATIONS = {
    "unknown key": ("queue:\n  waite: 20s\n", ":2:3: queue.waite: unknown"),
    "wrong unit": ("queue:\n  wait: 20 parsecs\n", ":2:9: queue.wait: expected a duration"),
    "out of range": ("queue:\n  wait: 60s\n", ":2:9: queue.wait: expected"),
    "broken YAML": ("queue: [\n", ":2:1: not YAML"),
}


@pytest.mark.parametrize("name", BAD_CONFIGURATIONS)
def test_bad_configuration(bunshin, name):
    text, message = BAD_CONFIGURATIONS[name]
    path = bunshin.write_config(text)
    result = bunshin.run("run", "-c", path)
    assert result.exit == 2
    assert f"{path}{message}" in result.err
    assert result.out == ""


def test_missing_configuration_and_queue(bunshin):
    result = bunshin.run("run", "-c", "/nowhere.yaml")
    assert result.exit == 2 and "/nowhere.yaml" in result.err
    path = bunshin.write_config({"destinations": [
        {"name": "a", "request": {"url": "http://127.0.0.1:1/"}}]})
    result = bunshin.run("run", "-c", path)
    assert result.exit == 2 and "--queue-url" in result.err


def test_queue_that_does_not_exist(bunshin):
    queue, sink = bunshin.queue(), bunshin.sink()
    config = bunshin.config(f"{queue.url}/000000000000/nothing", sink.url)
    result = bunshin.run("run", "-c", config)
    assert result.exit == 1
    assert "nothing" in result.err and "does not exist" in result.err


def test_wrong_credentials(bunshin):
    queue = bunshin.queue("--memory", "--access-key", "AKIDRIGHT", "--secret-key", "right")
    sink = bunshin.sink()
    config = bunshin.config(f"{queue.url}/000000000000/morning", sink.url)
    for env in ({"AWS_ACCESS_KEY_ID": "AKIDWRONG"},
                {"AWS_ACCESS_KEY_ID": "AKIDRIGHT", "AWS_SECRET_ACCESS_KEY": "wrong-secret"}):
        result = bunshin.run("run", "-c", config, env=env)
        assert result.exit == 1, result
        assert "refused" in result.err or "security token" in result.err or \
            "signature" in result.err, result.err
        assert "wrong-secret" not in result.err + result.out


def test_no_credentials(bunshin):
    queue, sink = bunshin.queue(), bunshin.sink()
    config = bunshin.config(f"{queue.url}/000000000000/morning", sink.url)
    result = bunshin.run("run", "-c", config,
                         env={"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None})
    assert result.exit == 1
    assert "AWS_ACCESS_KEY_ID" in result.err


def test_unreachable_queue_is_retried_and_found(bunshin):
    """A worker that starts before its queue waits for it, says so, and then delivers."""
    first = bunshin.queue("--data", bunshin.directory / "queue")
    port = first.port
    url = first.sqs().create_queue("morning")
    first.terminate()
    sink = bunshin.sink()
    worker = bunshin.start("run", "-c", bunshin.config(url, sink.url))
    wait_for(lambda: any(line.get("error") == "ERR_CONNECT" for line in worker.log()),
             "the failure in the log")
    assert worker.exit is None
    queue = bunshin.start("queue", "--listen", f"127.0.0.1:{port}", "--data",
                          bunshin.directory / "queue", cls=type(first)).wait_until_listening()
    queue.sqs().send(url, bodies(10))
    wait_for(lambda: sum(accepted(sink).values()) == 10, "delivery")
    assert worker.terminate() == 0


def test_unreachable_queue_ends_a_script(bunshin):
    sink = bunshin.sink()
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))  # nobody else gets the port meanwhile
        queue = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        config = bunshin.config(f"{queue}/000000000000/morning", sink.url)
        result = bunshin.run("run", "-c", config, "--exit-when-empty")
    assert result.exit == 75
    assert "does not answer" in result.err
