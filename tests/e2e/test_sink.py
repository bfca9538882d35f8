"""`bunshin sink`: the mock provider, asked by Python's own HTTP client."""

import base64
import http.client
import json
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness import refusing_socket, wait_for


def ask(server, body=b"{}", path="/push", headers=None, method="POST"):
    """One request on a connection of its own: (status, headers, body)."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def ask_all(server, count, **options):
    """The statuses of `count` requests, None for a connection that was cut."""
    def one(_):
        try:
            return ask(server, **options)[0]
        except (http.client.HTTPException, ConnectionError):
            return None

    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(one, range(count)))


def totals(server):
    """Stops the sink; the counts that it prints."""
    assert server.terminate() == 0, server.describe()
    lines = server.out().splitlines()
    assert len(lines) == 2, lines
    return json.loads(lines[1])


def test_records_what_it_was_sent(bunshin):
    sink = bunshin.sink()
    before = int(time.time() * 1000)
    body = '{"to":"U1","text":"おはよう ☀️ \\"x\\"\\n\u2028"}'.encode()
    status, headers, text = ask(sink, body, "/v2/bot/message/push?x=1", {
        "Content-Type": "application/json", "X-Line-Retry-Key": "k1", "X-Name": "Zoë".encode()})
    assert (status, json.loads(text)) == (200, {})
    assert headers["X-Request-Id"]
    after = int(time.time() * 1000)
    [record] = wait_for(sink.records, "the record on disk")
    assert record.keys() == {"time_epoch_ms", "method", "path", "headers", "body", "status"}
    assert before <= record["time_epoch_ms"] <= after
    assert (record["method"], record["path"]) == ("POST", "/v2/bot/message/push")
    assert record["body"].encode() == body
    assert record["status"] == 200
    assert record["headers"] == {
        "Host": f"127.0.0.1:{sink.port}", "Accept-Encoding": "identity",
        "Content-Length": str(len(body)), "Content-Type": "application/json",
        "X-Line-Retry-Key": "k1", "X-Name": "Zoë"}
    assert totals(sink) == {"requests": 1, "accepted": 1, "failed": 0, "closed": 0,
                            "unanswered": 0, "duplicates": 0, "conflicts": 0}


@pytest.mark.parametrize("body", [b"", b"\xff\x00a", b"\xff\x00ab", b"\xff\x00abc",
                                  bytes(range(256)) * 3])
def test_a_body_that_is_not_text_is_kept_as_base64(bunshin, body):
    sink = bunshin.sink()
    assert ask(sink, body)[0] == 200
    assert totals(sink)["requests"] == 1
    [record] = sink.records()
    if body:
        assert "body" not in record
        assert base64.b64decode(record["body_base64"], validate=True) == body
    else:
        assert record["body"] == ""


def test_awkward_headers_and_methods(bunshin):
    sink = bunshin.sink()
    with socket.create_connection(("127.0.0.1", sink.port)) as connection:
        connection.sendall(b"PUT /a%20b%22 HTTP/1.1\r\nHost: x\r\nX-A: 1\r\nX-B: \"q\\\"\r\n"
                           b"x-a: 2\r\nX-Bad: \xff\r\nConnection: close\r\n"
                           b"Content-Length: 0\r\n\r\n")
        while connection.recv(4096):
            pass
    totals(sink)
    [record] = sink.records()
    assert (record["method"], record["path"]) == ("PUT", '/a b"')
    assert record["headers"]["X-A"] == "1, 2"
    assert "x-a" not in record["headers"]
    assert record["headers"]["X-B"] == '"q\\"'
    assert record["headers"]["X-Bad"] == "ÿ"


def test_fails_and_cuts_as_often_as_told(bunshin):
    sink = bunshin.sink("--fail", "30", "--close", "5", "--seed", "1")
    statuses = ask_all(sink, 1000)
    counts = totals(sink)
    assert statuses.count(200) == counts["accepted"]
    assert statuses.count(500) == counts["failed"]
    assert statuses.count(None) == counts["closed"]
    assert counts["requests"] == 1000
    # with this seed; the bounds are five standard deviations wide
    assert 230 < counts["failed"] < 370
    assert 15 < counts["closed"] < 85
    recorded = [record["status"] for record in sink.records()]
    assert sorted(map(str, recorded)) == sorted(map(str, statuses))


def test_the_seed_makes_it_repeatable(bunshin):
    def draw(seed):
        sink = bunshin.sink("--fail", "50", "--seed", str(seed))
        return [ask(sink)[0] for _ in range(40)]

    first = draw(7)
    assert first == draw(7)
    assert first != draw(8)


@pytest.mark.parametrize("arguments, status, retry_after", [
    (["--status", "429", "--retry-after", "7"], 429, "7"),
    (["--status", "503", "--fail", "100"], 503, None),
    (["--status", "401"], 401, None),
    (["--status", "201"], 201, None),
    (["--status", "204"], 204, None),
    (["--fail", "100"], 500, None),
    (["--fail", "0", "--retry-after", "7"], 200, None),
    (["--fail", "0.0"], 200, None),
])
def test_status_and_retry_after(bunshin, arguments, status, retry_after):
    sink = bunshin.sink(*arguments)
    got, headers, _ = ask(sink)
    assert (got, headers["Retry-After"]) == (status, retry_after)
    counts = totals(sink)
    assert counts["accepted"] == (1 if status < 300 else 0)
    assert counts["failed"] == (0 if status < 300 else 1)


@pytest.mark.parametrize("header", ["X-Line-Retry-Key", "idempotency-key", "X-Idempotency-Key",
                                    "Webhook-Id"])
def test_counts_duplicates(bunshin, header):
    sink = bunshin.sink()
    for key in ("a", "b", "a", "a", "c"):
        assert ask(sink, headers={header: key})[0] == 200
    assert ask(sink)[0] == ask(sink)[0] == 200  # without a key nothing is a duplicate
    counts = totals(sink)
    assert (counts["accepted"], counts["duplicates"], counts["conflicts"]) == (7, 2, 0)


def test_many_different_keys_are_no_duplicates(bunshin):
    sink = bunshin.sink()
    connection = http.client.HTTPConnection("127.0.0.1", sink.port, timeout=60)
    for number in range(7000):  # the set of keys grows on the way
        connection.request("POST", "/", b"", {"Idempotency-Key": f"key-{number}"})
        connection.getresponse().read()
    connection.request("POST", "/", b"", {"Idempotency-Key": "key-0"})
    connection.getresponse().read()
    connection.close()
    counts = totals(sink)
    assert (counts["accepted"], counts["duplicates"]) == (7001, 1)


def test_dedup_answers_409_once_a_key_was_accepted(bunshin):
    sink = bunshin.sink("--dedup", "--fail", "50", "--seed", "3")
    statuses = [ask(sink, headers={"X-Line-Retry-Key": "k"})[0] for _ in range(30)]
    first = statuses.index(200)
    assert set(statuses[:first]) <= {500}
    assert set(statuses[first + 1:]) == {500, 409}
    counts = totals(sink)
    assert counts["accepted"] == 1
    assert counts["duplicates"] == 0
    assert counts["conflicts"] == statuses.count(409)
    assert counts["failed"] == statuses.count(409) + statuses.count(500)


@pytest.mark.parametrize("latency, least", [("300", 0.3), ("300-400", 0.3)])
def test_latency_delays_each_answer(bunshin, latency, least):
    sink = bunshin.sink("--latency", latency)
    start = time.monotonic()
    assert ask_all(sink, 20) == [200] * 20
    assert time.monotonic() - start >= least  # never earlier; how much later nobody promises
    assert totals(sink)["accepted"] == 20


def test_never_takes_and_never_answers(bunshin):
    sink = bunshin.sink("--never")
    connections = [socket.create_connection(("127.0.0.1", sink.port)) for _ in range(3)]
    for number, connection in enumerate(connections):
        connection.sendall(b"POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi" % number)
    try:
        wait_for(lambda: len(sink.records()) == 3, "all on record")
        counts = totals(sink)
    finally:
        for connection in connections:
            connection.close()
    assert counts["requests"] == counts["unanswered"] == 3
    records = sink.records()
    assert sorted(record["path"] for record in records) == ["/0", "/1", "/2"]
    assert {record["status"] for record in records} == {None}
    assert {record["body"] for record in records} == {"hi"}


def has_read_all(server, count):
    """Has it accepted this many connections and read what they sent?"""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    mine = [row for row in rows
            if int(row[1].rpartition(":")[2], 16) == server.port and row[3] == "01"]
    return len(mine) == count and all(row[4].endswith(":00000000") for row in mine)


def test_stops_with_requests_under_way(bunshin):
    sink = bunshin.sink("--latency", "60000")
    connections = [socket.create_connection(("127.0.0.1", sink.port)) for _ in range(5)]
    for connection in connections:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    wait_for(lambda: has_read_all(sink, 5), "five requests with the sink")
    counts = totals(sink)
    for connection in connections:
        try:
            assert connection.recv(1) == b""
        except ConnectionResetError:
            pass
        connection.close()
    assert (counts["requests"], counts["unanswered"], counts["accepted"]) == (5, 5, 0)
    assert [record["status"] for record in sink.records()] == [None] * 5


def test_a_client_that_left_does_no_harm(bunshin):
    sink = bunshin.sink("--latency", "300")
    with socket.create_connection(("127.0.0.1", sink.port)) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    assert ask(sink)[0] == 200
    wait_for(lambda: len(sink.records()) == 2, "both on record")
    # A provider, too, would have accepted what it was sent.
    assert totals(sink)["accepted"] == 2


def test_a_record_is_appended_to(bunshin):
    sink = bunshin.sink()
    ask(sink, b"1")
    totals(sink)
    again = bunshin.start("sink", "--listen", "127.0.0.1:0", "--record", sink.record_path,
                          cls=type(sink)).wait_until_listening()
    ask(again, b"2")
    assert again.terminate() == 0
    assert [record["body"] for record in sink.records()] == ["1", "2"]


def test_sigint_ends_it_too(bunshin):
    sink = bunshin.sink()
    sink.signal(signal.SIGINT)
    assert sink.wait() == 0


@pytest.mark.parametrize("arguments, message", [
    (["--latency", "x"], "--latency"),
    (["--latency", "5-"], "--latency"),
    (["--latency", "-5"], "--latency"),
    (["--latency", "9-5"], "--latency"),
    (["--fail", "101"], "--fail"),
    (["--fail", "-1"], "--fail"),
    (["--fail", "1.00001"], "--fail"),
    (["--fail", "1."], "--fail"),
    (["--fail", ""], "--fail"),
    (["--close", "abc"], "--close"),
    (["--fail", "60", "--close", "50"], "100 together"),
    (["--status", "99"], "--status"),
    (["--status", "200", "--fail", "5"], "--status"),
    (["--retry-after", "-1"], "--retry-after"),
    (["--listen", "nonsense"], "nonsense"),
    (["operand"], "operand"),
])
def test_wrong_usage(bunshin, arguments, message):
    result = bunshin.run("sink", *arguments)
    assert result.exit == 2, result
    assert message in result.err
    assert result.out == ""


def test_a_port_that_is_taken(bunshin):
    with refusing_socket() as taken:
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        result = bunshin.run("sink", "--listen", address)
    assert result.exit == 1
    assert address in result.err


def test_a_record_that_cannot_be_written(bunshin, tmp_path):
    result = bunshin.run("sink", "--listen", "127.0.0.1:0", "--record", tmp_path / "no" / "file")
    assert result.exit == 1
    assert "no/file" in result.err
    sink = bunshin.start("sink", "--listen", "127.0.0.1:0", "--record", "/dev/full",
                         cls=type(bunshin.sink())).wait_until_listening()
    ask(sink)
    assert sink.wait() == 1
    assert "cannot write the record" in sink.err()
