"""`bunshin sink --http2`, asked by a client that is not ours (python3-h2), and by hand."""

import json
import socket
import ssl
import struct
import subprocess

import h2.errors
import h2.events
import h2.settings
import pytest

from fake_tls import make_authority
from harness import wait_for
from http2_client import Link, ask
from test_sink import totals

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\0\0\0\4\0\0\0\0\0"


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(
        ">I", stream) + payload


def of_http2(counts):
    return tuple(counts[name] for name in ("connections", "most_streams", "refused", "goaways"))


def announced(link):
    return [change.new_value for event in link.of_type(h2.events.RemoteSettingsChanged)
            for code, change in event.changed_settings.items()
            if code == h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS]


def test_records_what_it_was_sent(bunshin):
    sink = bunshin.sink("--http2")
    status, headers, body = ask(sink, '{"a":"おはよう"}', "/a%20b/%E3%81%82%zz?x=1&y=2", {
        "Content-Type": "application/json", "X-Name": "1"})
    assert (status, headers["content-type"], body) == (200, "application/json", b"{}")
    assert headers["x-request-id"] == "sink-1"
    assert ask(sink, None, method="HEAD")[2] == b""
    assert of_http2(totals(sink)) == (2, 1, 0, 0)
    record, second = sink.records()
    assert (record["method"], record["path"]) == ("POST", "/a b/あ%zz")
    assert record["body"] == '{"a":"おはよう"}' and record["status"] == 200
    assert record["headers"] == {"host": f"127.0.0.1:{sink.port}", "x-name": "1",
                                 "content-type": "application/json"}
    assert (second["method"], second["path"], second["body"]) == ("HEAD", "/", "")


def test_many_streams_on_one_connection(bunshin):
    """Answers come by latency, not in order, each with its own body; large ones both ways."""
    sink = bunshin.sink("--http2", "--latency", "0-30", "--seed", "1")
    with Link(sink.url) as link:
        bodies = {link.send(f"/{n}", bytes([65 + n % 26]) * (n * 997)): n for n in range(100)}
        link.finish(*bodies)
        assert {fields[":status"] for fields, _ in link.answers.values()} == {"200"}
        assert set(link.answers) == set(bodies)
    assert of_http2(totals(sink))[0] == 1
    assert {record["path"]: len(record["body"]) for record in sink.records()} == {
        f"/{n}": n * 997 for n in range(100)}


def test_streams_past_the_limit_are_refused(bunshin):
    sink = bunshin.sink("--http2", "--streams", "3", "--latency", "200")
    with Link(sink.url) as link:
        streams = [link.send(f"/{n}") for n in range(8)]
        link.finish(*streams)
        assert announced(link) == [3]
        refused = {event.stream_id: event.error_code
                   for event in link.of_type(h2.events.StreamReset)}
        assert list(link.answers) == streams[:3]
        assert refused == {stream: h2.errors.ErrorCodes.REFUSED_STREAM for stream in streams[3:]}
    counts = totals(sink)
    assert of_http2(counts) == (1, 3, 5, 0)
    assert (counts["requests"], counts["accepted"]) == (3, 3)


@pytest.mark.parametrize("after", [1, 2, 5, 9, 10])
def test_goaway(bunshin, after):
    """Those up to the last stream are answered, later ones are not even looked at."""
    sink = bunshin.sink("--http2", "--goaway-after", str(after), "--latency", "20")
    with Link(sink.url) as link:
        streams = [link.send(f"/{n}") for n in range(10)]
        link.flush()
        while link.take():
            pass
        [goaway] = link.of_type(h2.events.ConnectionTerminated)
        assert (goaway.error_code, goaway.last_stream_id) == (0, streams[after - 1])
        assert sorted(link.answers) == streams[:after]
    counts = totals(sink)
    assert (counts["requests"], counts["accepted"], counts["goaways"]) == (after, after, 1)


def test_refuses_as_often_as_told(bunshin):
    sink = bunshin.sink("--http2", "--refuse", "30", "--streams", "1000", "--seed", "1")
    with Link(sink.url) as link:
        streams = [link.send() for _ in range(400)]
        link.finish(*streams)
        refused = len(link.of_type(h2.events.StreamReset))
    counts = totals(sink)
    assert 70 < refused < 170  # five standard deviations, with this seed
    assert (counts["refused"], counts["requests"]) == (refused, 400 - refused)


def test_a_cut_takes_the_connection(bunshin):
    sink = bunshin.sink("--http2", "--close", "100")
    with Link(sink.url) as link:
        link.send()
        link.finish(1)
        assert link.ended and not link.answers
    assert totals(sink)["closed"] == 1
    assert [record["status"] for record in sink.records()] == [None]


def test_stops_with_requests_under_way(bunshin):
    sink = bunshin.sink("--http2", "--latency", "60000")
    with Link(sink.url) as link:
        streams = [link.send(f"/{n}") for n in range(5)]
        link.flush()
        wait_for(lambda: link.take() and announced(link), "settings")
        link.send("/reset")
        link.h2.reset_stream(11)
        link.h2.ping(b"12345678")
        link.flush()
        wait_for(lambda: link.take() and link.of_type(h2.events.PingAckReceived), "the ping")
        counts = totals(sink)
        link.finish(*streams)
        assert link.ended
    assert (counts["requests"], counts["unanswered"], counts["accepted"]) == (6, 6, 0)
    assert len(sink.records()) == 5


def test_too_large(bunshin):
    sink = bunshin.sink("--http2")
    with Link(sink.url) as link:
        headers = link.send(headers={f"x-{n}": "v" * 1000 for n in range(40)})
        many = link.send(headers={f"x-{n}": "" for n in range(200)})
        body = link.send(body=b"x" * ((8 << 20) + 1))
        null = link.send("/a%00b")
        good = link.send()
        link.finish(headers, many, body, null, good)
        assert [link.answers[stream][0][":status"]
                for stream in (headers, many, body, null, good)] == [
                    "431", "431", "413", "400", "200"]
    assert totals(sink)["requests"] == 1


@pytest.mark.parametrize("text", [
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    PREFACE + b"\0\0\0\1\5\0\0\0\1",  # a request before SETTINGS
    PREFACE + SETTINGS + frame(1, 5, 1, b"\xff" * 40),  # no HPACK
    PREFACE + SETTINGS + frame(1, 5, 2, b"\x82\x84\x86"),  # a stream of the server's
    PREFACE + SETTINGS + frame(0, 0, 1, b"x"),  # DATA of an idle stream
    PREFACE + SETTINGS + b"\xff\xff\xff\0\0\0\0\0\1",  # a frame of 16 MiB
    PREFACE + SETTINGS + frame(8, 0, 0, b"\0\0\0\0"),  # a window that grows by nothing
])
def test_what_is_no_http2_ends_the_connection(bunshin, text):
    sink = bunshin.sink("--http2")
    with socket.create_connection(("127.0.0.1", sink.port), timeout=60) as connection:
        connection.sendall(text)
        try:
            while connection.recv(4096):
                pass
        except ConnectionResetError:
            pass
    assert ask(sink)[0] == 200
    assert totals(sink)["requests"] == 1


def tls_files(bunshin):
    ca, _ = make_authority(bunshin.directory, "localhost")
    return ca, ("--tls-cert", bunshin.directory / "leaf.pem",
                "--tls-key", bunshin.directory / "leaf.key")


def test_tls(bunshin):
    ca, files = tls_files(bunshin)
    sink = bunshin.sink("--http2", *files)
    assert sink.url == f"https://127.0.0.1:{sink.port}"
    with Link(sink.url, ca) as link:
        streams = [link.send(body=b"x" * 70000) for _ in range(20)]
        link.finish(*streams)
        assert sorted(link.answers) == streams
    for protocols in (["http/1.1"], None):
        context = ssl.create_default_context(cafile=ca)
        if protocols:
            context.set_alpn_protocols(protocols)
        with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
            with socket.create_connection(("127.0.0.1", sink.port)) as plain:
                with context.wrap_socket(plain, server_hostname="localhost") as secure:
                    secure.sendall(PREFACE + SETTINGS)
                    assert secure.recv(1)
    with socket.create_connection(("127.0.0.1", sink.port)) as plain:
        plain.sendall(b"no TLS at all, of that you may be sure\r\n" * 10)
        assert plain.recv(1) in (b"", b"\x15")
    assert totals(sink)["accepted"] == 20


@pytest.mark.parametrize("arguments, message", [
    (("--streams", "5"), "--streams: only with --http2"),
    (("--goaway-after", "5"), "--goaway-after: only with --http2"),
    (("--refuse", "5"), "--refuse: only with --http2"),
    (("--tls-cert", "a"), "--tls-cert: only with --http2"),
    (("--tls-key", "a"), "--tls-key: only with --http2"),
    (("--as", "line", "--streams", "5"), "--streams: only with --http2"),
    (("--http2", "--tls-cert", "a"), "--tls-key is missing"),
    (("--http2", "--tls-key", "a"), "--tls-cert is missing"),
    (("--http2", "--streams", "0"), "--streams"),
    (("--http2", "--goaway-after", "0"), "--goaway-after"),
    (("--http2", "--refuse", "101"), "--refuse"),
])
def test_wrong_usage(bunshin, arguments, message):
    result = bunshin.run("sink", *arguments)
    assert result.exit == 2, result
    assert message in result.err and result.out == ""


def test_files_that_are_no_certificate(bunshin):
    _, (_, certificate, _, key) = tls_files(bunshin)
    empty = bunshin.directory / "empty"
    empty.write_text("")
    subprocess.run(["openssl", "genpkey", "-algorithm", "ED25519", "-out", empty.with_name("other")],
                   check=True, capture_output=True)
    for files, message in [
            ((empty.with_name("none"), key), "none: No such file or directory"),
            ((empty, key), "cannot use the certificate"),
            ((certificate, empty), "cannot use the key"),
            ((certificate, empty.with_name("other")), "cannot use the key")]:
        result = bunshin.run("sink", "--http2", "--tls-cert", files[0], "--tls-key", files[1])
        assert result.exit == 1
        assert message in result.err and len(result.err.splitlines()) == 1


def test_apns_allows_one_stream_before_it_trusts_a_token(bunshin):
    sink = bunshin.sink("--as", "apns")
    path = "/3/device/" + "0123456789abcdef" * 4
    with Link(sink.url) as link:
        link.finish(link.send(path, headers={"authorization": "bearer expired"}))
        assert announced(link) == [1]
        link.finish(link.send(path, '{"aps":{}}', {"authorization": "bearer a.b.c",
                                                   "apns-topic": "com.example"}))
        assert announced(link) == [1, 1000]
        assert [fields[":status"] for fields, _ in link.answers.values()] == ["403", "200"]
    assert of_http2(totals(sink)) == (1, 1, 0, 0)


def test_apns_says_why_it_goes_away(bunshin):
    sink = bunshin.sink("--as", "apns", "--goaway-after", "1")
    with Link(sink.url) as link:
        link.send("/3/device/1")
        link.finish(99)
        [goaway] = link.of_type(h2.events.ConnectionTerminated)
        assert json.loads(goaway.additional_data) == {"reason": "Shutdown"}
