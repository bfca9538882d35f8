"""`bunshin health`, and the admin port on a unix socket that it asks as well."""

import json
import signal
import socket
import stat
import tempfile
import threading
from pathlib import Path

import pytest

from harness import ADMIN, refusing_socket, silent_socket, wait_for


@pytest.fixture
def socket_path():
    """The build directory may lie too deep for a socket's path."""
    with tempfile.TemporaryDirectory(prefix="bunshin-health-") as directory:
        yield Path(directory) / "admin.sock"


class Answer:
    """A server that gives every connection the same bytes."""

    def __init__(self, data):
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.requests = []
        self._data = data
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                self.requests.append(connection.recv(65536))
                try:
                    connection.sendall(self._data)
                except OSError:
                    pass  # it has read enough

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def answer(status, body, content_type="text/plain"):
    return Answer(b"HTTP/1.1 %d X\r\nContent-Type: %s\r\nContent-Length: %d\r\n"
                  b"Connection: close\r\n\r\n%s" % (status, content_type.encode(), len(body), body))


def running(bunshin, admin, **sections):
    """A worker that receives; and its queue."""
    queue, sink = bunshin.queue("--data", bunshin.directory / "queue"), bunshin.sink()
    url = queue.sqs().create_queue("morning")
    path = bunshin.config(url, sink.url, admin=admin, queue={"wait": "1s"}, **sections)
    worker = bunshin.start("run", "-c", path)
    wait_for(lambda: any(line["message"] == "receiving" for line in worker.log()), "a receive")
    return worker, queue, path


def admin_url(worker):
    return next(line["url"] for line in worker.log() if line["message"] == "admin port")


def test_healthy(bunshin):
    worker, _, _ = running(bunshin, ADMIN)
    url = admin_url(worker)
    for address in (url, url + "/", url.removeprefix("http://")):
        result = bunshin.run("health", "--admin", address)
        assert (result.exit, result.out, result.err) == (0, "healthy\n", "")
    assert bunshin.run("health", "--ready", "--admin", url).out == "ready\n"
    result = bunshin.run("health", "--json", "--admin", url)
    assert result.exit == 0 and json.loads(result.out) == {
        "ok": True, "checks": [{"name": "progress", "health": "ok", "detail": ""}]}
    assert result.out == worker.admin("/healthz")[2]
    result = bunshin.run("health", "--json", "--ready", "--admin", url)
    assert result.exit == 0 and json.loads(result.out)["ready"] is True
    assert result.out == worker.admin("/readyz")[2]


@pytest.mark.parametrize("workers", [1, 3])
def test_unix_socket(bunshin, socket_path, workers):
    """As the configuration says, by -c; the file has the right mode, and goes with its process."""
    worker, _, path = running(bunshin, {"listen": f"unix:{socket_path}"}, workers=workers)
    assert stat.S_IMODE(socket_path.stat().st_mode) == 0o660
    assert admin_url(worker) == f"unix:{socket_path}"
    wait_for(lambda: bunshin.run("health", "--ready", "-c", path).exit == 0, "readiness")
    for arguments in (["-c", path], ["--admin", f"unix:{socket_path}"]):
        result = bunshin.run("health", *arguments)
        assert (result.exit, result.out, result.err) == (0, "healthy\n", "")
    assert worker.terminate() == 0
    assert not socket_path.exists()
    result = bunshin.run("health", "-c", path)
    assert result.exit == 1
    assert result.err.startswith(f"bunshin health: nobody answers at unix:{socket_path}: ")


def test_stale_unix_socket(bunshin, socket_path):
    """A killed process leaves it; the next one takes it over."""
    first, queue, path = running(bunshin, {"listen": f"unix:{socket_path}"})
    first.kill()
    assert socket_path.exists()
    second = bunshin.start("run", "-c", path)
    wait_for(lambda: bunshin.run("health", "-c", path).exit == 0, "the second one's answer")
    assert not any("in use" in line["message"] for line in second.log())
    # A third goes without, and takes nothing away when it ends.
    third = bunshin.start("run", "-c", path)
    wait_for(lambda: any("in use" in line["message"] for line in third.log()), "the warning")
    wait_for(lambda: any(line["message"] == "receiving" for line in third.log()), "a receive")
    assert third.terminate() == 0
    assert bunshin.run("health", "-c", path).exit == 0
    assert second.terminate() == 0
    assert not socket_path.exists()
    assert queue.exit is None


def test_reload_moves_the_port(bunshin, socket_path):
    other = socket_path.with_name("other.sock")
    worker, _, path = running(bunshin, {"listen": f"unix:{socket_path}"}, workers=2)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(str(socket_path), str(other)), encoding="utf-8")
    worker.signal(signal.SIGHUP)
    wait_for(lambda: any(line["message"] == "reloaded" for line in worker.log()), "the reload")
    wait_for(lambda: bunshin.run("health", "-c", path).exit == 0, "the new address")
    wait_for(lambda: not socket_path.exists(), "the end of the old one")
    assert worker.terminate() == 0
    assert not other.exists()


def test_not_ready(bunshin):
    """Alive all the same; the line says what is wrong."""
    worker, queue, _ = running(bunshin, ADMIN)
    url = admin_url(worker)
    queue.terminate()
    wait_for(lambda: bunshin.run("health", "--ready", "--admin", url).exit == 1, "the absence")
    result = bunshin.run("health", "--ready", "--admin", url)
    assert result.exit == 1 and result.err == ""
    assert result.out.startswith("not ready: queue: ") and result.out.endswith(" (HTTP 503)\n")
    assert json.loads(bunshin.run("health", "--ready", "--json", "--admin", url).out)["ready"] \
        is False
    assert bunshin.run("health", "--admin", url).exit == 0


def test_words_of_checks(bunshin):
    checks = [{"name": "workers", "health": "degraded", "detail": "1 of 2 is receiving"},
              {"name": "queue", "health": "failed", "detail": "gone\x1b[2J\n\x07!"},
              {"name": "deletes", "health": "ok", "detail": "fine"},
              {"name": "destinations", "health": "failed", "detail": ""}]
    body = json.dumps({"ready": False, "checks": checks}).encode()
    with answer(503, body, "application/json") as server:
        result = bunshin.run("health", "--ready", "--admin", server.address)
        assert result.exit == 1
        assert result.out == ("not ready: queue: gone [2J  !; destinations; "
                              "degraded: workers: 1 of 2 is receiving (HTTP 503)\n")
        assert json.loads(bunshin.run("health", "--ready", "--json", "--admin",
                                      server.address).out)["checks"] == checks
    body = json.dumps({"ready": True, "checks": checks[:1]}).encode()
    with answer(200, body, "application/json") as server:
        result = bunshin.run("health", "--ready", "--admin", server.address)
        assert (result.exit, result.out) == (
            0, "ready, degraded: workers: 1 of 2 is receiving\n")


def test_not_healthy(bunshin):
    """The words are the port's; what a terminal would act upon is not printed."""
    with answer(503, b"no\x1b[31m \xff worker\nmakes \"progress\"\n\n") as server:
        result = bunshin.run("health", "--admin", server.address)
        assert (result.exit, result.err) == (1, "")
        assert result.out == 'not healthy: no [31m ? worker makes "progress" (HTTP 503)\n'
        assert server.requests[0].startswith(b"GET /healthz HTTP/1.1\r\n")
        result = bunshin.run("health", "--json", "--admin", server.address)
        assert json.loads(result.out) == {"ok": False, "checks": [], "status": 503,
                                          "detail": 'no [31m ? worker makes "progress"'}
    body = json.dumps({"ok": False, "checks": [
        {"name": "progress", "health": "failed", "detail": "none of 2 workers\x1b makes it"}]})
    with answer(503, body.encode(), "application/json") as server:
        result = bunshin.run("health", "--admin", server.address)
        assert (result.exit, result.err) == (1, "")
        assert result.out == "not healthy: progress: none of 2 workers  makes it (HTTP 503)\n"
        result = bunshin.run("health", "--json", "--admin", server.address)
        assert result.exit == 1 and json.loads(result.out) == json.loads(body)


@pytest.mark.parametrize("status", [204, 301, 404, 500])
def test_only_200_is_healthy(bunshin, status):
    """A redirect is not followed."""
    with answer(status, b"") as server:
        result = bunshin.run("health", "--admin", server.address)
        assert (result.exit, result.out) == (1, f"not healthy:  (HTTP {status})\n")
        assert len(server.requests) == 1


@pytest.mark.parametrize("data", [
    b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (1 << 20),
    b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * (1 << 20)])
def test_not_an_admin_port(bunshin, data):
    with Answer(data) as server:
        result = bunshin.run("health", "--admin", server.address)
    assert result.exit == 1
    assert result.err.startswith(f"bunshin health: nobody answers at {server.address}: ")
    assert result.out == ""


def test_ready_from_something_else(bunshin):
    with answer(200, b"hello\n") as server:
        result = bunshin.run("health", "--ready", "--json", "--admin", server.address)
        assert json.loads(result.out) == {
            "ready": True, "ok": True, "checks": [], "status": 200, "detail": "hello"}


def test_nobody(bunshin):
    with refusing_socket() as refusing:
        address = f"127.0.0.1:{refusing.getsockname()[1]}"
        result = bunshin.run("health", "--admin", address)
        assert (result.exit, result.out) == (1, "")
        assert result.err.startswith(f"bunshin health: nobody answers at {address}: ")
        result = bunshin.run("health", "--json", "--admin", address)
        assert result.exit == 1
        value = json.loads(result.out)
        assert (value["ok"], value["checks"], value["status"]) == (False, [], 0) and value["detail"]


def test_silence(bunshin):
    with silent_socket() as silent:
        result = bunshin.run("health", "--timeout", "200ms", "--admin",
                             f"127.0.0.1:{silent.getsockname()[1]}")
    assert (result.exit, result.out) == (1, "")


def test_no_proxy(bunshin):
    """Whatever the environment says."""
    with refusing_socket() as proxy, answer(200, b"ok\n") as server:
        url = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        result = bunshin.run("health", "--admin", server.address,
                             env={"http_proxy": url, "HTTP_PROXY": url, "ALL_PROXY": url})
    assert (result.exit, result.out) == (0, "healthy\n")


def test_address_of_the_configuration(bunshin):
    """What it listens on everywhere is asked on this machine."""
    with answer(200, b"ok\n") as server:
        port = server.address.rpartition(":")[2]
        for listen in (server.address, f"0.0.0.0:{port}"):
            path = bunshin.write_config({"admin": {"listen": listen}})
            assert bunshin.run("health", "-c", path).exit == 0


def test_configurations_that_name_nobody(bunshin):
    path = bunshin.write_config({})
    result = bunshin.run("health", "-c", path)
    assert result.exit == 2
    assert "admin.listen is null" in result.err
    path.write_text("queue: {url: nonsense}\n", encoding="utf-8")
    result = bunshin.run("health", "-c", path)
    assert result.exit == 2 and "queue.url" in result.err
    result = bunshin.run("health", "-c", bunshin.directory / "none.yaml")
    assert result.exit == 2 and "none.yaml" in result.err
    assert bunshin.run("health", "now").exit == 2
