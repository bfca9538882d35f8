"""
How fast an idle worker is. idle: from the answer to SendMessage to the arrival of the request at the
provider, one message at a time. start: from exec to the first delivery of a message that waits.
burst: from the first message of a burst that meets an idle worker, whose queue is 15 ms away, to as
many requests in flight as it may have.
"""
import json
import selectors
import signal
import socket
import threading
import time

from figures import table
from speed.plot import bars
from speed.provider import farther
from speed.report import Limits, Report, across, median, spread
from speed.rig import STOPS, wait_for

LIMIT_P50_MS, LIMIT_P99_MS, LIMIT_START_MS, LIMIT_BURST_MS = 1, 3, 50, 300
EVERY_MS = 20
FAR_S = 0.015
WORKERS = (1, 2)
IN_FLIGHT = 500  # what a destination may have by default


class Holder:
    """A provider that lets requests wait, and says when each came; then it answers all of them."""

    ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

    def __init__(self):
        self.arrivals, self._waiting = [], []
        self._holds, self._ended = True, False
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self._listener.setblocking(False)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/push"
        self._selector = selectors.EpollSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # they are for the main thread
        while not self._ended:
            for key, _ in self._selector.select(0.02):
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    self._read(key.fileobj)
            if not self._holds:
                waiting, self._waiting = self._waiting, []
                for connection in waiting:
                    connection.sendall(self.ANSWER)
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except BlockingIOError:
                return
            self._selector.register(connection, selectors.EVENT_READ)

    def _read(self, connection):
        """A request comes in one piece, as small as it is."""
        try:
            came = connection.recv(65536)
        except ConnectionError:
            came = b""
        if not came:
            self._selector.unregister(connection)
            connection.close()
        elif b"POST /push" in came:
            self.arrivals.append(time.monotonic())
            self._waiting.append(connection)

    def release(self):
        self._holds = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._ended = True
        self._thread.join()


def probe(rig, queue_url, *arguments):
    """bench/idle_probe, which waits to be told to begin."""
    process = rig.start("probe", rig.programs.probe, "--queue-url", queue_url, *arguments, waits=True)
    return process, process.listening() + "/push"


def config(rig, queue_url, sink_url, workers):
    return rig.config(queue_url, sink_url, IN_FLIGHT, workers=workers)


def idle(rig, endpoint, workers, messages):
    queue_url = endpoint.create(rig.name("idle"))
    process, url = probe(rig, queue_url, "--messages", messages, "--every", EVERY_MS)
    with rig.worker(config(rig, queue_url, url, workers)):
        process.go_on()
        process.wait()
    return json.loads(process.out().splitlines()[-1])["idle"]


def start(rig, endpoint, workers, starts):
    queue_url = endpoint.create(rig.name("start"))
    path = rig.directory / f"{rig.name('start')}.yaml"
    process, url = probe(rig, queue_url, "--starts", starts, "--", rig.bunshin, "run", "-c", path)
    config(rig, queue_url, url, workers).rename(path)
    process.go_on()
    process.wait()
    return json.loads(process.out().splitlines()[-1])["start"]


def burst(rig, endpoint, far, in_flight):
    """Milliseconds, by the arrival of the last of so many requests, none of which is answered."""
    queue_url = endpoint.create(rig.name("burst"), VisibilityTimeout="60")
    with Holder() as holder:
        path = rig.config(queue_url, holder.url, in_flight, queue={"endpoint": far, "wait": "1s"},
                          log={"level": "info", "format": "json"})
        with rig.worker(path) as worker:
            wait_for(lambda: '"receiving"' in worker.err(), "the worker", 60)
            time.sleep(1)
            began = time.monotonic()
            load = rig.start("load", rig.programs.load, "--endpoint", endpoint.url, "--messages",
                             2 * in_flight, "--connections", 16, "send", queue_url)
            wait_for(lambda: len(holder.arrivals) >= in_flight, "full concurrency", 60, 0.005)
            load.wait()
            full = holder.arrivals[in_flight - 1]
            holder.release()
            wait_for(lambda: endpoint.left(queue_url) == 0, "an empty queue", 60)
    return {"ms": (full - began) * 1e3}


def run(rig, options):
    limits, rows, parts = Limits(), [], {}
    _, endpoint = rig.queue("memory")
    far = farther(rig, endpoint.url, FAR_S)
    for workers in WORKERS:
        title = f"{workers} process{'es' if workers > 1 else ''}"
        runs = [idle(rig, endpoint, workers, options.messages) for _ in range(options.runs)]
        rows += [[f"idle, {title}, p50", spread(runs, "p50_ms", "{:.2f}"), f"{LIMIT_P50_MS}"],
                 [f"idle, {title}, p99", spread(runs, "p99_ms", "{:.2f}"), f"{LIMIT_P99_MS}"]]
        parts[f"p50\\n{title}"] = across(runs, "p50_ms", 1 / LIMIT_P50_MS)
        parts[f"p99\\n{title}"] = across(runs, "p99_ms", 1 / LIMIT_P99_MS)
        limits.below(f"idle, {title}, p50, ms", median(runs, "p50_ms"), LIMIT_P50_MS)
        limits.below(f"idle, {title}, p99, ms", median(runs, "p99_ms"), LIMIT_P99_MS)
        runs = [start(rig, endpoint, workers, options.starts) for _ in range(options.runs)]
        rows += [[f"exec to the first delivery, {title}, p50", spread(runs, "p50_ms"),
                  f"{LIMIT_START_MS}"],
                 [f"exec to the first delivery, {title}, longest", spread(runs, "max_ms"), ""]]
        parts[f"from exec\\n{title}"] = across(runs, "p50_ms", 1 / LIMIT_START_MS)
        limits.below(f"exec to the first delivery, {title}, ms", median(runs, "p50_ms"),
                     LIMIT_START_MS)
    runs = [burst(rig, endpoint, far, options.burst) for _ in range(options.runs)]
    rows.append([f"first of a burst to {options.burst} in flight", spread(runs, "ms", "{:.0f}"),
                 f"{LIMIT_BURST_MS}"])
    parts["burst\\n1 process"] = across(runs, "ms", 1 / LIMIT_BURST_MS)
    limits.below("first of a burst to full concurrency, ms", median(runs, "ms"), LIMIT_BURST_MS)
    made = [f"{options.runs} runs of {options.messages:,} messages, {options.starts} starts and one "
            "burst, medians"]
    plot = bars("Latencies, each by its limit", "of the limit", list(parts),
                {"measured": list(parts.values())}, limit=1)
    return Report(made, table(["ms", "median (low-high)", "limit"], rows), limits.broken,
                  {"benchmarks-idle.svg": plot})
