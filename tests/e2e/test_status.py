"""/status.json, /history.json, and pause and resume over the admin port."""

import http.client
import json
import os
import re
import signal
import socket
import time
import urllib.parse

import pytest

from fake_aws import FakeAws
from harness import ADMIN, PATIENCE_S, wait_for
from processes import workers_of

WORKERS = [1, 3]
TOKEN = "a-token-of-many-letters"
CLIENTS = {
    "": ["version", "now_ms", "host", "started_ms", "verdict", "queue", "control", "rates",
         "totals", "latency", "slots", "sqs", "destinations", "campaigns", "failures", "workers",
         "checks"],
    "verdict": ["health", "state", "words"],
    "queue": ["url", "name", "visible", "in_flight", "delayed", "asked_ms", "falling_per_second",
              "empty_ms"],
    "control": ["writable", "paused", "rate_per_second", "cancelled", "read_ms"],
    "rates": ["received", "accepted", "failed", "retried", "expired", "attempts"],
    "totals": ["received", "accepted", "suppressed", "failed", "failed_left", "expired",
               "cancelled", "retried", "postponed", "lost", "attempts", "sqs_requests"],
    "slots": ["busy", "limit", "held", "held_bytes"],
    "sqs": ["requests_per_second", "throttled", "errors", "cost_usd"],
    "destinations": ["name", "busy", "limit", "configured", "rate", "breaker",
                     "attempts_per_second", "accepted_per_second"],
    "campaigns": ["name", "accepted", "failed", "expired", "cancelled", "suppressed", "retried",
                  "accepted_per_second", "first_ms", "last_ms", "deadline_ms"],
    "failures": ["outcome", "destination", "status", "class", "reason", "count", "last_ms",
                 "sample"],
    "workers": ["number", "pid", "state", "generation", "memory_bytes", "busy", "slots", "held",
                "received", "since_ms", "heartbeat_age_ms"],
    "checks": ["name", "health", "detail"],
}
COLUMNS = ["t_ms", "received", "accepted", "failed", "retried", "expired", "attempt_p50_ms",
           "attempt_p95_ms", "attempt_p99_ms", "acceptance_p50_ms", "acceptance_p99_ms", "busy",
           "limit", "held", "visible", "in_flight"]


def status(process):
    """The document, with every member that its readers count on."""
    code, content_type, text = process.admin("/status.json")
    assert (code, content_type) == (200, "application/json")
    document = json.loads(text)
    assert list(document) == CLIENTS[""]
    for name, members in CLIENTS.items():
        parts = document[name] if name else document
        for part in parts if isinstance(parts, list) else [parts]:
            assert list(part) == members, name
    for failure in document["failures"]:
        assert list(failure["sample"]) == ["message_id", "campaign", "attempt", "request_id",
                                           "answer"]
    return document


def history(process, since=0):
    code, content_type, text = process.admin(f"/history.json?since={since}")
    assert (code, content_type) == (200, "application/json")
    document = json.loads(text)
    assert list(document) == ["now_ms", "interval_ms", "columns", "rows"]
    assert document["columns"] == COLUMNS
    times = [row[0] for row in document["rows"]]
    assert times == sorted(set(times)) and all(t > since for t in times)
    assert all(len(row) == len(COLUMNS) for row in document["rows"])
    return document["rows"]


def column(rows, name):
    return [row[COLUMNS.index(name)] for row in rows]


def url_of(process):
    return next(line["url"] for line in process.log() if line["message"] == "admin port")


def post(process, path, token=None, method="POST", **headers):
    """(status, the answer, its headers)"""
    url = urllib.parse.urlsplit(url_of(process))
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=PATIENCE_S)
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read()), dict(answer.headers)
    finally:
        connection.close()


def logged(process, message):
    return [line for line in process.log() if line["message"] == message]


def bodies(count):
    return [f"message {number}" for number in range(count)]


def start(bunshin, url, sink, workers=1, admin=None, **sections):
    queue = {"wait": "1s", **sections.pop("queue", {})}
    path = bunshin.config(url, sink.url, workers=workers, admin={**ADMIN, **(admin or {})},
                          queue=queue, ledger={"path": None}, **sections)
    path = path.rename(path.with_name(f"run-{len(bunshin.processes)}.yaml"))
    process = bunshin.start("run", "-c", path)
    wait_for(lambda: process.admin("/readyz")[0] == 200, "a ready process")
    return process


def detail_of(process, name):
    return next((check["detail"] for check in status(process)["checks"] if check["name"] == name),
                "")


def total(process, name):
    return status(process)["totals"][name]


@pytest.mark.parametrize("workers", WORKERS)
def test_figures_agree_with_what_was_sent(bunshin, workers):
    queue, sink = bunshin.queue(), bunshin.sink("--latency", "5-30")
    url = queue.sqs().create_queue("morning")
    deadline_s = int(time.time()) + 3600
    process = start(bunshin, url, sink, workers, destination={"concurrency": 4, "rate": "500/s"})
    wait_for(lambda: status(process)["verdict"] == {
        "health": "ok", "state": "idle", "words": "nothing to send"}, "all workers at rest")
    first = status(process)
    assert first["failures"] == first["campaigns"] == []
    queue.sqs().send(url, bodies(300), attributes={
        "Campaign": "sp\"ring\\ \u671d",
        "Deadline": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(deadline_s))})
    seen = []

    def all_accepted():
        seen.append(status(process))
        return seen[-1]["totals"]["accepted"] == 300

    wait_for(all_accepted, "all of them accepted")
    last = seen[-1]
    assert last["totals"]["received"] == last["totals"]["attempts"] == 300
    assert last["totals"]["sqs_requests"] > 0 and last["sqs"]["cost_usd"] > 0
    assert last["rates"]["accepted"] > 0 and last["latency"]["attempt_ms"]["p50"] >= 5
    assert last["latency"]["attempt_ms"]["p50"] <= last["latency"]["attempt_ms"]["p99"]
    (campaign,) = last["campaigns"]
    assert campaign["name"] == "sp\"ring\\ \u671d" and campaign["accepted"] == 300
    assert campaign["deadline_ms"] == deadline_s * 1000
    assert first["now_ms"] <= campaign["first_ms"] <= campaign["last_ms"] <= last["now_ms"]
    (destination,) = last["destinations"]
    assert (destination["name"], destination["rate"], destination["breaker"]) == (
        "sink", 500, "closed")
    assert destination["configured"] == 4 * workers
    assert [worker["number"] for worker in last["workers"]] == list(range(1, workers + 1))
    assert {worker["state"] for worker in last["workers"]} == {"running"}
    assert all(worker["memory_bytes"] > 1000000 for worker in last["workers"])
    if workers > 1:
        assert {worker["pid"] for worker in last["workers"]} == set(workers_of(process.pid))
    # Somebody looks, so the queue is asked; and everything settles.
    done = wait_for(lambda: next((s for s in [status(process)] if s["queue"]["visible"] == 0
                                  and s["rates"]["accepted"] == 0
                                  and s["verdict"]["state"] == "idle"), None), "rest")
    assert done["queue"]["in_flight"] == 0 and done["latency"]["attempt_ms"]["p50"] is None
    assert (done["queue"]["url"], done["queue"]["name"]) == (url, "morning")
    rows = history(process)
    assert sum(filter(None, column(rows, "accepted"))) == 300
    assert sum(filter(None, column(rows, "received"))) == 300
    assert history(process, rows[-2][0])[0] == rows[-1]
    assert process.terminate() == 0


@pytest.mark.parametrize("workers", WORKERS)
def test_failures_in_groups(bunshin, workers):
    """What failed for good, with a sample; no secret of the configuration is in it."""
    queue, sink = bunshin.queue(), bunshin.sink("--fail", "100", "--status", "400")
    url = queue.sqs().create_queue("morning")
    failures = queue.sqs().create_queue("failures")
    process = start(bunshin, url, sink, workers, queue={"failure_url": failures})
    queue.sqs().send(url, bodies(40), attributes={"Campaign": "spring"})
    document = wait_for(lambda: next((s for s in [status(process)]
                                      if s["totals"]["failed"] == 40), None), "40 failures")
    document = wait_for(lambda: next((s for s in [status(process)]
                                      if sum(f["count"] for f in s["failures"]) == 40), None),
                        "40 failures in groups")
    (group,) = document["failures"]
    assert (group["outcome"], group["destination"], group["status"], group["class"],
            group["reason"]) == ("failed", "sink", 400, "permanent", "refused by the provider")
    assert group["sample"]["campaign"] == "spring" and group["sample"]["attempt"] == 1
    assert group["sample"]["answer"] == '{"message":"refused by the sink"}'
    assert group["sample"]["message_id"] and group["sample"]["request_id"].startswith("sink-")
    assert document["verdict"]["state"] == "held_up"
    # Attempts and failures are counted at slightly different instants.
    assert re.match(r"held up: sink answers 400 to (9\d|100) % of the attempts; 0/s are accepted",
                    document["verdict"]["words"])
    assert document["campaigns"][0]["failed"] == 40
    assert process.terminate() == 0


def test_failures_of_a_killed_worker_are_kept(bunshin):
    queue, sink = bunshin.queue(), bunshin.sink("--fail", "100", "--status", "400")
    url = queue.sqs().create_queue("morning")
    failures = queue.sqs().create_queue("failures")
    process = start(bunshin, url, sink, 2, queue={"failure_url": failures})

    def counted():
        return sum(group["count"] for group in status(process)["failures"])

    queue.sqs().send(url, bodies(40))
    wait_for(lambda: counted() == 40, "40 failures")
    before = workers_of(process.pid)
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: len(set(workers_of(process.pid)) - set(before)) == 2, "new workers")
    wait_for(lambda: len(logged(process, "receiving")) >= 2, "receives")
    assert counted() == 40
    queue.sqs().send(url, bodies(10))
    wait_for(lambda: counted() == 50, "ten more")
    assert total(process, "failed") == 50
    assert process.terminate() == 0


@pytest.mark.parametrize("workers", WORKERS)
def test_a_reload_keeps_history(bunshin, workers):
    queue, sink = bunshin.queue(), bunshin.sink()
    url = queue.sqs().create_queue("morning")
    process = start(bunshin, url, sink, workers)
    before = wait_for(lambda: next((rows for rows in [history(process)] if len(rows) > 2), None),
                      "three samples")
    started = status(process)["started_ms"]
    process.signal(signal.SIGHUP)
    wait_for(lambda: logged(process, "reloaded"), "the reload")
    wait_for(lambda: {worker["generation"] for worker in status(process)["workers"]
                      if worker["state"] == "running"} == {1}, "the new generation")
    after = wait_for(lambda: next((rows for rows in [history(process)]
                                   if rows[-1][0] > before[-1][0] + 2000), None), "more samples")
    assert after[:len(before)] == before
    assert status(process)["started_ms"] == started
    assert process.terminate() == 0


@pytest.mark.parametrize("workers", WORKERS)
def test_pause_and_resume(bunshin, workers):
    """By one host's port, for all hosts of the queue."""
    queue, sink = bunshin.queue(), bunshin.sink()
    url = queue.sqs().create_queue("morning")
    admin = {"token": TOKEN}
    process = start(bunshin, url, sink, workers, admin)
    assert status(process)["control"]["writable"]
    code, answer, headers = post(process, "/control/pause", TOKEN)
    assert (code, answer["ok"], answer["paused"]) == (200, True, True) and answer["words"]
    assert headers["Cache-Control"] == "no-store"
    assert queue.sqs().call("ListQueueTags", QueueUrl=url)["Tags"] == {"bunshin:paused": "true"}
    assert status(process)["control"]["paused"], "at once"
    other = start(bunshin, url, sink, workers)
    wait_for(lambda: status(other)["control"]["paused"], "the other host's pause")
    assert not status(other)["control"]["writable"]
    # The workers take it over within a quarter of a second, and say so.
    for host in [process, other]:
        wait_for(lambda h=host: detail_of(h, "control").startswith("paused"), "all workers' pause")
    queue.sqs().send(url, bodies(20))
    document = wait_for(lambda: next((s for s in [status(process)] if s["queue"]["visible"] == 20),
                                     None), "the backlog")
    assert document["verdict"]["words"].startswith("paused: nothing is sent until it is resumed")
    assert document["totals"]["attempts"] == 0
    code, answer, _ = post(process, "/control/resume", TOKEN, Origin=url_of(process))
    assert (code, answer["ok"], answer["paused"]) == (200, True, False)
    assert not queue.sqs().call("ListQueueTags", QueueUrl=url).get("Tags")
    wait_for(lambda: total(process, "accepted") + total(other, "accepted") == 20, "deliveries")
    assert not status(process)["control"]["paused"]
    (line,) = logged(process, "paused over the admin port")
    assert line["remote"] == "127.0.0.1"
    assert logged(process, "resumed over the admin port")
    assert process.terminate() == 0 and other.terminate() == 0


def test_who_may_not_change_anything(bunshin):
    queue, sink = bunshin.queue(), bunshin.sink()
    url = queue.sqs().create_queue("morning")
    process = start(bunshin, url, sink, 1, {"token": TOKEN})
    code, answer, headers = post(process, "/control/pause", method="GET")
    assert (code, headers["Allow"], answer["ok"]) == (405, "POST", False)
    code, answer, headers = post(process, "/control/pause")
    assert (code, headers["WWW-Authenticate"]) == (401, "Bearer")
    assert answer["command"] == f"bunshin campaign pause --queue-url {url}"
    code, answer, _ = post(process, "/control/pause", TOKEN, Origin="http://evil.example")
    assert code == 403 and "another origin" in answer["error"]
    code, _, _ = post(process, "/control/pause", TOKEN, **{"Sec-Fetch-Site": "cross-site"})
    assert code == 403
    assert post(process, "/control/resume", TOKEN + "x")[0] == 401
    lines = logged(process, "refused to change anything over the admin port")
    assert "a wrong token" in [line["reason"] for line in lines] or lines[0]["left_out"] == 0
    # Until a second has passed not even the right one is looked at.
    wait_for(lambda: post(process, "/control/pause", TOKEN)[0] == 200, "a try that counts")
    assert TOKEN not in process.err()
    # No CORS: a preflight request is not answered with leave.
    code, _, headers = post(process, "/control/pause", method="OPTIONS", Origin="http://evil")
    assert code == 405 and not [name for name in headers if name.startswith("Access-Control")]
    assert process.terminate() == 0


def test_read_only_without_a_token(bunshin):
    queue, sink = bunshin.queue(), bunshin.sink()
    url = queue.sqs().create_queue("morning")
    process = start(bunshin, url, sink)
    code, answer, _ = post(process, "/control/pause", "whatever-it-may-be")
    assert (code, answer["ok"]) == (403, False) and "admin.token" in answer["error"]
    assert answer["command"] == f"bunshin campaign pause --queue-url {url}"
    assert not queue.sqs().call("ListQueueTags", QueueUrl=url).get("Tags")
    assert process.terminate() == 0


@pytest.mark.parametrize("workers", WORKERS)
def test_the_queue_refuses_the_tag(bunshin, workers):
    """With SQS's words, and what to run instead."""
    with FakeAws() as aws:
        aws.sqs.create("morning")
        aws.fail("sqs.TagQueue", status=403, code="AccessDenied")
        sink = bunshin.sink()
        path = bunshin.config(aws.queue_url("morning"), sink.url, workers=workers,
                              admin={**ADMIN, "token": TOKEN}, ledger={"path": None})
        process = bunshin.start("run", "-c", path,
                                env=aws.ring.issue(user=True).environment)
        wait_for(lambda: process.admin("/readyz")[0] == 200, "a ready process")
        code, answer, _ = post(process, "/control/pause", TOKEN)
        assert (code, answer["ok"]) == (502, False)
        assert "sqs:TagQueue" in answer["error"]
        assert answer["command"] == (
            f"bunshin campaign pause --queue-url {aws.queue_url('morning')}")
        assert logged(process, "cannot pause the queue")
        assert not status(process)["control"]["paused"]
        assert process.terminate() == 0


def test_over_a_unix_socket(bunshin):
    queue, sink = bunshin.queue(), bunshin.sink()
    url = queue.sqs().create_queue("morning")
    path = bunshin.directory / "admin.sock"
    config = bunshin.config(url, sink.url, admin={"listen": f"unix:{path}", "token": TOKEN},
                            queue={"wait": "1s"},
                            ledger={"path": None})
    process = bunshin.start("run", "-c", config)

    def ask(request):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            connection.sendall(request.encode() + b"Host: localhost\r\nConnection: close\r\n\r\n")
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode()

    wait_for(lambda: logged(process, "receiving"), "a receive")
    assert json.loads(ask("GET /status.json HTTP/1.1\r\n").split("\r\n\r\n", 1)[1])["verdict"]
    answer = ask(f"POST /control/pause HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\n"
                 "Content-Length: 0\r\n")
    assert json.loads(answer.split("\r\n\r\n", 1)[1])["paused"] is True
    (line,) = logged(process, "paused over the admin port")
    assert line["remote"] == f"uid {os.getuid()}"
    assert process.terminate() == 0
