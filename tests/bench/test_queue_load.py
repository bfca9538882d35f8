"""bench/queue_load and bench/health_probe against a fake of SQS that can cheat."""
import http.server
import json
import os
import signal
import subprocess
import threading
import time

import pytest

LOAD, PROBE = os.environ["QUEUE_LOAD"], os.environ["HEALTH_PROBE"]
MESSAGES = 200


class Cheat(http.server.BaseHTTPRequestHandler):
    """One queue in memory. The server's attributes say how it cheats."""

    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # an answer leaves in one piece

    def log_message(self, *_):
        pass

    def handle(self):
        try:
            super().handle()
        except ConnectionResetError:
            pass  # a load that has given up

    def answer(self, value, status=200):
        body = json.dumps(value, separators=(",", ":")).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.server.probes += 1
        if self.server.probes == 10:
            time.sleep(self.server.stall_s)
        self.answer({"status": "ok"})

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        operation = self.headers["X-Amz-Target"].partition(".")[2]
        with self.server.lock:
            self.server.operations.append(operation)
            value = getattr(self, operation)(request)
        self.answer(value, self.server.status)

    def put(self, body):
        number = int(body[:10])
        if number not in self.server.lose:
            self.server.waiting.append(body)
        if number in self.server.repeat:
            self.server.waiting.append(body)
        return "00000000"

    def SendMessage(self, request):
        return {"MessageId": self.put(request["MessageBody"])}

    def SendMessageBatch(self, request):
        done = [{"Id": entry["Id"], "MessageId": self.put(entry["MessageBody"])}
                for entry in request["Entries"]]
        failed = [done.pop()] if self.server.fail else []
        return {"Successful": done, **({"Failed": failed} if failed else {})}

    def ReceiveMessage(self, request):
        count = min(request["MaxNumberOfMessages"], self.server.at_most)
        taken, self.server.waiting = self.server.waiting[:count], self.server.waiting[count:]
        self.server.handles += len(taken)
        if not taken:
            return {}
        return {"Messages": [{"ReceiptHandle": f"h{number}", "Body": body}
                             for number, body in enumerate(taken)]}

    def DeleteMessage(self, _request):
        return {}

    def DeleteMessageBatch(self, request):
        return {"Successful": [{"Id": entry["Id"]} for entry in request["Entries"]]}


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


@pytest.fixture
def cheat():
    server = Server(("127.0.0.1", 0), Cheat)
    server.lock, server.waiting, server.operations = threading.Lock(), [], []
    server.lose, server.repeat, server.at_most, server.handles = set(), set(), 10, 0
    server.fail, server.status, server.probes, server.stall_s = False, 200, 0, 0
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def load(cheat, *arguments):
    """(exit code, what it printed, stderr)"""
    done = subprocess.run([LOAD, "--endpoint", cheat.url, "--messages", str(MESSAGES), *arguments,
                           "http://elsewhere:1/0/q"], capture_output=True, text=True, timeout=60,
                          check=False)
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


@pytest.mark.parametrize("batch", [1, 3, 10])
@pytest.mark.parametrize("mode", ["both", "rounds"])
def test_all_that_is_sent_is_received_and_deleted(cheat, mode, batch):
    code, said, err = load(cheat, "--connections", "4", "--round", "64", "--batch", str(batch), mode)
    assert (code, err) == (0, "")
    assert (said["messages"], said["lost"], said["twice"], said["empty"]) == (MESSAGES, 0, 0, 0)
    assert cheat.handles == MESSAGES and not cheat.waiting
    requests = [said[step]["count"] for step in ("send", "receive", "delete")]
    assert sum(requests) == said["requests"] == said["all"]["count"] == len(cheat.operations)
    single = {"SendMessage", "ReceiveMessage", "DeleteMessage"}
    assert (set(cheat.operations) == single) == (batch == 1)


def test_send_then_drain(cheat):
    assert load(cheat, "send")[0] == 0
    assert len(cheat.waiting) == MESSAGES and len({body[:10] for body in cheat.waiting}) == MESSAGES
    assert {len(body) for body in cheat.waiting} == {300}
    assert load(cheat, "--distinct", "drain")[0] == 0
    assert not cheat.waiting


def test_a_receive_that_gets_less_than_it_asked_for_loses_nothing(cheat):
    cheat.at_most = 3
    code, said, _ = load(cheat, "--distinct", "both")
    assert (code, said["lost"]) == (0, 0)


def test_lost_messages_are_counted(cheat):
    cheat.lose = {3, 77, 199}
    code, said, _ = load(cheat, "--distinct", "both")
    assert (code, said["lost"], said["twice"]) == (1, 3, 0)


def test_messages_that_come_twice_do_not_hide_the_lost(cheat):
    cheat.lose, cheat.repeat = {5}, {6}
    code, said, _ = load(cheat, "--distinct", "both")
    assert (code, said["lost"], said["twice"]) == (1, 1, 1)


def test_a_failed_entry_ends_it(cheat):
    cheat.fail = True
    code, _, err = load(cheat, "both")
    assert code == 1 and "not all of a batch succeeded" in err


def test_an_error_ends_it(cheat):
    cheat.status = 500
    code, _, err = load(cheat, "both")
    assert code == 1 and "not 200: HTTP/1.1 500" in err


def test_the_servers_cpu_time_is_that_of_the_process(cheat):
    # This very process is the server.
    code, said, _ = load(cheat, "--server", str(os.getpid()), "both")
    assert code == 0 and said["server_cpu_us"] > 0
    code, _, err = load(cheat, "--server", "999999999", "both")
    assert code == 1 and "no process 999999999" in err


@pytest.mark.parametrize("arguments", [["--batch", "11", "both"], ["--batch", "x", "both"],
                                       ["--bytes", "9", "both"], ["fly"], ["both", "more"]])
def test_wrong_usage(cheat, arguments):
    code, _, err = load(cheat, *arguments)
    assert code == 2 and err
    assert not cheat.operations


def test_probes_that_come_due_behind_a_slow_one_are_slow_too(cheat):
    cheat.stall_s = 0.5
    probe = subprocess.Popen([PROBE, "--every", "10000", cheat.url], stdout=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while cheat.probes < 100 and time.monotonic() < deadline:
        time.sleep(0.02)
    probe.send_signal(signal.SIGTERM)
    health = json.loads(probe.communicate(timeout=60)[0])["health"]
    # Fifty were due while one took half a second: they waited for 490, 480, ... ms.
    assert health["count"] >= 100 and health["max_ms"] >= 500
    assert health["p90_ms"] >= 100
