"""bench/far_provider and bench/far_path, which stand for what is far away."""
import contextlib
import os
import random
import signal
import socket
import subprocess
import threading
import time

import pytest

PROVIDER, PATH = os.environ["FAR_PROVIDER"], os.environ["FAR_PATH"]
REQUEST = b"POST /push HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"


class Program:
    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert line.startswith("listening on http://127.0.0.1:"), self.process.stderr.read()
        self.port = int(line.rpartition(":")[2])

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.communicate(timeout=60) == ("", "")
        return self.process.returncode


@pytest.fixture
def start():
    programs = []

    def begin(*command):
        programs.append(Program(*command))
        return programs[-1]

    yield begin
    for program in programs:
        if program.process.poll() is None:
            assert program.stop() == 0


def answer(connection):
    got = b""
    while not got.endswith(b"\r\n0\r\n\r\n"):
        more = connection.recv(65536)
        assert more, got
        got += more
    return got


def until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_provider_answers_no_sooner_than_it_says(start):
    provider = start(PROVIDER, "--log-normal", "20-40", "--seed", "7")
    connections = [provider.connect() for _ in range(20)]
    for _ in range(3):
        began = time.monotonic()
        for connection in connections:
            connection.sendall(REQUEST)
        for connection in connections:
            got = answer(connection)
            assert got.startswith(b"HTTP/1.1 200 OK\r\n")
            assert got.count(b"\r\n\r\n") == 2
        assert time.monotonic() - began >= 0.019  # a request is looked at within its tick


def test_provider_takes_a_request_in_pieces(start):
    provider = start(PROVIDER, "--log-normal", "1-2")
    with provider.connect() as connection:
        for _ in range(2):
            for byte in REQUEST:
                connection.sendall(bytes([byte]))
            assert answer(connection).startswith(b"HTTP/1.1 200 OK\r\n")


def test_provider_forgets_connections(start):
    provider = start(PROVIDER, "--log-normal", "1-2")
    before = provider.descriptors()
    for part in (b"", REQUEST[:10], REQUEST):
        for _ in range(20):
            with provider.connect() as connection:
                connection.sendall(part)
    with provider.connect() as connection:
        connection.sendall(REQUEST)
        answer(connection)
    until(lambda: provider.descriptors() == before)


@pytest.mark.parametrize("sent, words", [
    (REQUEST * 2, "a request came before the last one was answered"),
    (b"POST / HTTP/1.1\r\nContent-Length: 70000\r\n\r\n" + b"x" * 70000, "a request is too large"),
])
def test_provider_says_what_it_cannot_take(start, sent, words):
    provider = start(PROVIDER, "--log-normal", "60000-60001")
    with provider.connect() as connection:
        connection.sendall(sent[:len(sent) // 2])
        time.sleep(0.01)
        connection.sendall(sent[len(sent) // 2:])
        out, err = provider.process.communicate(timeout=60)
    assert (provider.process.returncode, out, err) == (1, "", f"far_provider: {words}\n")


class Echo(threading.Thread):
    """Sends back what it reads, and then more; `ends` closes after that many bytes."""

    def __init__(self, ends=None):
        super().__init__(daemon=True)
        self.ends, self.seen, self.closed = ends, 0, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.start()

    def run(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection, contextlib.suppress(OSError):
            while self.ends is None or self.seen < self.ends:
                part = connection.recv(65536)
                if not part:
                    break
                self.seen += len(part)
                connection.sendall(part)
        self.closed += 1


def test_path_carries_everything_in_order(start):
    path = start(PATH, "--to", Echo().url, "--after", "5")
    data = random.Random(1).randbytes(5_000_000)
    got = bytearray()
    with path.connect() as connection:
        reader = threading.Thread(target=lambda: [got.extend(connection.recv(65536))
                                                  for _ in iter(lambda: len(got) < len(data), False)])
        reader.start()
        connection.sendall(data)
        reader.join(60)
    assert bytes(got) == data


def test_path_takes_its_time(start):
    path = start(PATH, "--to", Echo().url, "--after", "15")
    with path.connect() as connection:
        for _ in range(5):
            began = time.monotonic()
            connection.sendall(b"x")
            assert connection.recv(10) == b"x"
            assert time.monotonic() - began >= 0.0139  # less the tick that it takes anyway


def test_path_brings_what_was_sent_before_the_end(start):
    path = start(PATH, "--to", Echo(ends=1000).url, "--after", "20")
    with path.connect() as connection:
        connection.sendall(b"x" * 1000)
        got = b""
        while part := connection.recv(65536):
            got += part
    assert got == b"x" * 1000


def test_path_ends_on_both_sides(start):
    echo = Echo()
    path = start(PATH, "--to", echo.url, "--after", "5")
    before = path.descriptors()
    for sent in (b"", b"x" * 100_000):
        for _ in range(20):
            with path.connect() as connection:
                connection.sendall(sent)
    until(lambda: echo.closed == 40 and path.descriptors() == before)


@pytest.mark.parametrize("command", [
    [PROVIDER], [PROVIDER, "--log-normal", "5"], [PROVIDER, "--log-normal", "5-5"],
    [PROVIDER, "--log-normal", "0-5"], [PROVIDER, "--log-normal", "1-2", "more"],
    [PATH], [PATH, "--to", "http://127.0.0.1:1"], [PATH, "--after", "5"],
    [PATH, "--to", "http://127.0.0.1:1", "--after", "-1"], [PATH, "--to", "x", "--after", "1"],
])
def test_usage(command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(os.path.basename(command[0]) + ": ")
