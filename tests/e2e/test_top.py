"""`bunshin top`: on a terminal, in a pipe, for scripts."""

import copy
import http.server
import json
import os
import re
import signal
import tempfile
import threading
from pathlib import Path

import pytest

from conftest import ROOT
from harness import PATIENCE_S, refusing_socket, wait_for
from screen import Screen

SCREENS = ROOT / "tests/unit/cli/screens"
CLEARS = re.compile(rb"\x1b\[2J|\x1b\[H\x1b\[J|\x1bc")


def document(name="sending"):
    return json.loads((SCREENS / f"{name}.json").read_text(encoding="utf-8"))


class Admin:
    """An admin port that says what the test wants. Each answer is a second later than the last."""

    def __init__(self, status=None):
        self.status = status if status is not None else document()
        self.code = 200
        self.asked = []
        self.answers = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.asked.append(self.path)
                body = outer.body(self.path)
                self.send_response(outer.code)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass  # the other side was ended in the middle

        self._server = Server(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def body(self, path):
        if not isinstance(self.status, dict):
            return self.status
        now = self.status["now_ms"] + 1000 * self.answers
        if path == "/status.json":
            self.answers += 1
            return json.dumps({**self.status, "now_ms": now}).encode()
        since = int(path.rpartition("=")[2])
        rows = [[t, (t // 1000) % 60, 100] for t in range(now - 120000, now, 1000) if t > since]
        return json.dumps({"now_ms": now, "interval_ms": 1000, "rows": rows,
                           "columns": ["t_ms", "accepted", "attempt_p99_ms"]}).encode()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def admin():
    with Admin() as server:
        yield server


@pytest.fixture
def socket_path():
    """The build directory may lie too deep for a socket's path."""
    with tempfile.TemporaryDirectory(prefix="bunshin-top-") as directory:
        yield Path(directory) / "admin.sock"


def top(bunshin, address, *arguments, **options):
    return Screen(bunshin, "top", "--interval", "100ms", "--admin", address, *arguments, **options)


# ---- a real worker


@pytest.mark.parametrize("workers", [1, 2])
def test_real_workers(bunshin, socket_path, workers):
    """Over the socket that the configuration names; the worker dies, and another one comes."""
    queue, sink = bunshin.queue("--data", bunshin.directory / "queue"), bunshin.sink()
    client = queue.sqs()
    url = client.create_queue("morning")
    path = bunshin.config(url, sink.url, workers=workers, queue={"wait": "1s"},
                          admin={"listen": f"unix:{socket_path}"})
    worker = bunshin.start("run", "-c", path)
    wait_for(lambda: bunshin.run("top", "-c", path, "--once").exit == 0, "a status")
    for i in range(25):
        client.call("SendMessage", QueueUrl=url, MessageBody=f'{{"n":{i}}}')
    with Screen(bunshin, "top", "--interval", "100ms", "-c", path, columns=100, rows=40) as screen:
        text = screen.wait_for("accepted 25 ", "queue morning", "DESTINATION", "sink", "closed")
        assert text.startswith("bunshin ")
        rows = screen.lines()
        heading = next(i for i, row in enumerate(rows) if row.startswith("  WORKER"))
        assert [row.split()[0] for row in rows[heading + 1:heading + 1 + workers]] \
            == [str(i + 1) for i in range(workers)]
        worker.kill()
        screen.wait_for("NO ANSWER since ", f"unix:{socket_path}: ", "; below is how it was at ")
        bunshin.start("run", "-c", path)
        screen.wait(lambda text: "NO ANSWER" not in text and "accepted 0 " in text, "the next one")
        screen.type("q")
        assert screen.end() == 0
        assert screen.is_as_before()
    result = bunshin.run("top", "-c", path, "--once", "--json")
    assert result.exit == 0 and result.err == ""
    assert json.loads(result.out)["queue"]["name"] == "morning"


# ---- the terminal


def test_frames_do_not_flicker(bunshin, admin):
    """After the first, only what has changed is written: nothing is cleared, little is sent."""
    with top(bunshin, admin.address, columns=120, rows=40) as screen:
        screen.wait_for("08:00:01", "Accepted", "WORKER")
        first, answers = len(screen.written), admin.answers
        screen.wait(lambda text: admin.answers > answers + 10, "ten more frames")
        later = screen.written[first:]
        assert re.search(r" 08:00:\d\d$", screen.lines()[0])
        assert not CLEARS.search(later)
        assert b"\x1b[?1049" not in later
        assert 0 < len(later) / (admin.answers - answers) < first / 2
        assert admin.asked[1] == "/history.json?since=0"
        assert admin.asked[-1] != "/history.json?since=0"


def test_size_follows(bunshin, admin):
    """What is shown at a size is what the layout's own tests say."""
    with top(bunshin, admin.address) as screen:
        for columns, rows in [(80, 24), (120, 40), (40, 12), (20, 5), (200, 60), (1, 1), (80, 24)]:
            screen.resize(columns, rows)
            if rows >= 16:
                screen.wait(lambda text, n=rows: screen.lines()[n - 1].startswith("q quit"),
                            "the last row")
                assert screen.lines()[0].startswith("bunshin 0.1.0 on ip-10-0-0-7")
                screen.wait(lambda text, n=columns: len(screen.lines()[0]) == n, "the width")
            elif rows > 1:
                screen.wait(lambda text: screen.lines()[0].startswith("OK: sending"), "the verdict")
                screen.wait(lambda text, n=rows: text.splitlines()[-1].startswith("... ")
                            or "... " in screen.lines()[n - 1], "what is left out")
        screen.type("q")
        assert screen.end() == 0 and screen.is_as_before()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, "\x03", "q", "Q"])
def test_the_terminal_is_left_as_it_was(bunshin, admin, how):
    with top(bunshin, admin.address) as screen:
        screen.wait_for("OK: sending")
        assert not screen.is_as_before()
        if isinstance(how, str):
            screen.type(how)
        else:
            screen.process.send_signal(how)
        assert screen.end() == 0
        assert screen.is_as_before()


def test_terminal_that_goes_away(bunshin, admin):
    """Nobody sends it a signal (another process leads the session): it ends by itself."""
    with top(bunshin, admin.address, leads=False) as screen:
        screen.wait_for("OK: sending")
        screen.hang_up()
        assert screen.process.wait(PATIENCE_S) in (0, 1)


def state_of(process):
    return Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]


def test_stop_and_continue(bunshin, admin):
    """Ctrl-Z gives the terminal back; another size meanwhile is seen afterwards."""
    with top(bunshin, admin.address) as screen:
        screen.wait_for("OK: sending")
        screen.type("\x1a")
        wait_for(lambda: state_of(screen.process) == "T", "the stop")
        screen.read()
        assert screen.is_as_before()
        screen.resize(100, 30)
        os.write(screen.follower, b"\x1b[H\x1b[2Jwhat a shell writes\r\n")
        screen.process.send_signal(signal.SIGCONT)
        screen.wait(lambda text: "what a shell writes" not in text
                    and screen.lines()[29].startswith("q quit") and "OK: sending" in text,
                    "all of it again")
        screen.type("q")
        assert screen.end() == 0 and screen.is_as_before()


def test_stopped_from_outside(bunshin, admin):
    """SIGSTOP cannot be caught; what has been written on the screen meanwhile is overwritten."""
    with top(bunshin, admin.address) as screen:
        screen.wait_for("OK: sending")
        screen.process.send_signal(signal.SIGSTOP)
        wait_for(lambda: state_of(screen.process) == "T", "the stop")
        os.write(screen.follower, b"\x1b[3;1Hsomebody else was here")
        screen.wait_for("somebody else was here")
        screen.process.send_signal(signal.SIGCONT)
        screen.wait(lambda text: "somebody" not in text, "all of it again")


def test_keys(bunshin, admin):
    admin.status = document("failing")
    with top(bunshin, admin.address) as screen:
        screen.wait_for("FAILED (held up)", "> DESTINATION", "... 12 more: workers 12")
        screen.type("p")
        screen.wait_for("DISPLAY PAUSED at ", "p go on")
        screen.read(0.3)  # what was under way
        asked = len(admin.asked)
        screen.type("?")
        screen.wait_for("PgUp PgDn")
        screen.type("x")
        screen.wait(lambda text: "PgUp PgDn" not in text, "the lists")
        assert len(admin.asked) == asked
        screen.type("p")
        screen.wait(lambda text: "DISPLAY PAUSED" not in text, "going on")
        screen.type("\t\t\t")
        screen.resize(80, 32)
        screen.wait_for("> WORKER", "... 10 more", "(number)")
        screen.type("s")
        screen.wait(lambda text: "(busy)" in text and "\n  7 running" in text, "the busiest first")
        screen.type("\x1b[6~")  # page down
        screen.wait_for("more, 2 above")
        screen.type("\x1bOA")  # up
        screen.wait_for("more, 1 above")
        screen.type("\x1b[4~")  # end
        screen.wait_for("... 10 above")
        screen.type("\x1b[1~")  # home
        screen.wait_for("... 10 more\n")


def test_server_goes_away_and_comes_back(bunshin, admin):
    with top(bunshin, admin.address) as screen:
        screen.wait_for("OK: sending")
        admin.code = 503
        screen.wait_for("NO ANSWER since ", f"{admin.address}: HTTP 503; below is how it was",
                        "OK: sending")
        admin.code = 404
        screen.wait_for("there is no /status.json")
        admin.code, admin.status = 200, b"<html>"
        screen.wait_for("the answer is not a JSON object")
        admin.status = {**document(), "workers": 7}
        screen.wait_for('"workers" is not a list')
        admin.status = document()
        screen.wait(lambda text: "NO ANSWER" not in text, "the answer")


def test_nobody_is_there_from_the_beginning(bunshin):
    with refusing_socket() as sock:
        with top(bunshin, f"127.0.0.1:{sock.getsockname()[1]}") as screen:
            screen.wait_for("NO ANSWER since ", "Failed to connect")
            screen.process.send_signal(signal.SIGTERM)
            assert screen.end() == 0 and screen.is_as_before()


def test_texts_of_others_do_not_reach_the_terminal(bunshin, admin):
    admin.status = document("hostile")
    with top(bunshin, admin.address, rows=32) as screen:
        screen.wait_for("おはようクーポン", r"h\x1b[2Jost", r"\x1b[31mred", "é", "WORKER")
        screen.type("q")
        assert screen.end() == 0
        for hostile in [b"\x1b]", b"\x1b[5m", b"\x07", "\u202e".encode(), "\x9b".encode(),
                        "\u2028".encode(), "\u200d".encode()]:
            assert hostile not in screen.written


def test_colours(bunshin, admin):
    """Only where they are wanted; what they mean is said in words as well."""
    for env, coloured in [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "vt220"}, False)]:
        with top(bunshin, admin.address, env=env) as screen:
            screen.wait_for("OK: sending", "Check     queue degraded", "! 2 running")
            screen.type("q")
            assert screen.end() == 0
            assert (re.search(rb"\x1b\[(\d+;)*3[0-7]m", screen.written) is not None) == coloured


def test_terminal_of_which_nothing_is_said(bunshin, admin):
    """As in a container: UTF-8."""
    admin.status = document("hostile")
    with top(bunshin, admin.address, env={"LC_ALL": "", "LC_CTYPE": "", "LANG": ""}) as screen:
        screen.wait_for("queue 朝のクーポン", "Accepted  ")


def test_terminal_without_utf8(bunshin, admin):
    admin.status = document("hostile")
    with top(bunshin, admin.address, env={"LC_ALL": "C"}) as screen:
        screen.wait_for("queue ??????", "Accepted  ")
        screen.type("q")
        assert screen.end() == 0
        assert all(byte < 0x80 for byte in screen.written)


@pytest.mark.parametrize("env, arguments", [
    ({"TERM": "dumb"}, []), ({"TERM": ""}, []), ({"TERM": "no-such-terminal"}, []),
    ({}, ["--plain"])])
def test_terminal_that_cannot_be_driven(bunshin, admin, env, arguments):
    """Text then, as in a pipe."""
    with top(bunshin, admin.address, *arguments, columns=250, rows=50, env=env) as screen:
        screen.wait_for("bunshin 0.1.0 on ip-10-0-0-7", "OK: sending", "! 2 running")
        screen.process.send_signal(signal.SIGTERM)
        assert screen.end() == 0
        assert b"\x1b" not in screen.written


# ---- text


def test_once(bunshin, admin):
    result = bunshin.run("top", "--once", "--admin", admin.address, env={"LC_ALL": "C"})
    assert (result.exit, result.err) == (0, "")
    assert result.out.startswith("2025-11-26 08:00:00 (UTC+0000): bunshin 0.1.0 on ip-10-0-0-7, ")
    assert "\nOK: sending 1,980 messages/s; the queue is empty" in result.out
    assert "\n! 2 running" in result.out and "\x1b" not in result.out
    assert admin.asked == ["/status.json"]


@pytest.mark.parametrize("health, code, form", [
    ("ok", 0, ["--json"]), ("degraded", 0, []), ("failed", 1, []), ("failed", 1, ["--json"]),
    ("else", 1, [])])
def test_exit_code_is_the_verdict(bunshin, admin, health, code, form):
    admin.status["verdict"]["health"] = health
    result = bunshin.run("top", "--once", *form, "--admin", admin.address)
    assert (result.exit, result.err) == (code, "")
    assert health in result.out.lower()


def test_text_of_others_in_a_pipe(bunshin, admin):
    admin.status = document("hostile")
    result = bunshin.run("top", "--once", "--admin", admin.address)
    assert "おはようクーポン" in result.out and r"h\x1b[2Jost" in result.out
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200d\u202e\u2028]", result.out)


def test_json(bunshin, admin):
    """As it came, on one line, whatever it holds."""
    admin.status = json.dumps(document("hostile"), indent=2, ensure_ascii=False).encode()
    result = bunshin.run("top", "--once", "--json", "--admin", admin.address)
    assert (result.exit, result.err) == (0, "")
    assert result.out.count("\n") == 1 and result.out.endswith("}\n")
    assert json.loads(result.out) == document("hostile")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u2028]", result.out)


@pytest.mark.parametrize("code, body, words, form", [
    (404, b"not found",
     "there is no /status.json (HTTP 404): is it `bunshin run`, of this version?", []),
    (500, b"", "HTTP 500", ["--json"]),
    (302, b"", "HTTP 302", []),
    (200, b"", "the answer is not a JSON object", []),
    (200, b"{\"now_ms\":1}", "\"verdict\" is not there, with its health", ["--json"]),
    (200, b" " * (3 << 20), "the answer was larger than the limit", [])],
    ids=lambda value: str(len(value) if isinstance(value, bytes) else value)[:30])
def test_no_status(bunshin, admin, code, body, words, form):
    admin.code, admin.status = code, body
    result = bunshin.run("top", "--once", *form, "--admin", admin.address)
    assert (result.exit, result.out) == (1, "")
    assert result.err == f"bunshin top: no status from {admin.address}: {words}\n"


def test_nobody_answers(bunshin):
    with refusing_socket() as sock:
        address = f"127.0.0.1:{sock.getsockname()[1]}"
        result = bunshin.run("top", "--once", "--admin", address)
    assert (result.exit, result.out) == (1, "")
    assert result.err.startswith(f"bunshin top: no status from {address}: Failed to connect")
    result = bunshin.run("top", "--once", "--admin", "unix:/nowhere/admin.sock")
    assert result.exit == 1 and "unix:/nowhere/admin.sock: " in result.err


def test_blocks(bunshin, admin):
    """In a pipe, until a signal; where nobody answers the block says so."""
    process = bunshin.start("top", "--interval", "100ms", "--admin", admin.address)
    wait_for(lambda: process.out().count("OK: sending") > 1, "two blocks")
    assert "\n\n2025-11-26 08:00:01 (UTC+0000): bunshin 0.1.0" in process.out()
    admin.code = 503
    wait_for(lambda: "\nNO ANSWER since " in process.out(), "its absence")
    admin.code = 200
    count = process.out().count("OK: sending")
    wait_for(lambda: process.out().count("OK: sending") > count, "the next block")
    assert process.terminate() == 0 and process.err() == ""


def test_lines_of_json(bunshin, admin):
    process = bunshin.start("top", "--json", "--interval", "100ms", "--admin", admin.address)
    wait_for(lambda: process.out().count("\n") > 1, "two lines")
    admin.code = 503
    wait_for(lambda: process.err() != "", "its absence")
    admin.code = 200
    wait_for(lambda: "again" in process.err(), "its return")
    assert process.terminate() == 0
    assert process.err() == (f"bunshin top: no status from {admin.address}: HTTP 503\n"
                             f"bunshin top: {admin.address} answers again\n")
    assert len({json.loads(line)["now_ms"] for line in process.out().splitlines()}) \
        == process.out().count("\n")


@pytest.mark.parametrize("arguments, words", [
    (["--json", "--plain"], "--json and --plain exclude each other"),
    (["--interval", "1ms"], "--interval"), (["--timeout", "x"], "--timeout"),
    (["--admin", ""], "--admin: an address is missing"),
    (["extra"], "extra"), (["-c", "none.yaml"], "none.yaml")])
def test_wrong_usage(bunshin, arguments, words):
    result = bunshin.run("top", "--once", *arguments)
    assert (result.exit, result.out) == (2, "")
    assert words in result.err


def test_admin_listen_is_null(bunshin):
    path = bunshin.config("http://127.0.0.1:1/000000000000/q", "http://127.0.0.1:1")
    result = bunshin.run("top", "--once", "-c", path)
    assert (result.exit, result.out) == (2, "")
    assert "admin.listen is null" in result.err
