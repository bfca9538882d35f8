"""bench/run at sizes at which its figures mean nothing: each part works and says what is not kept."""
import http.server
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ["BENCH_BUILD"])
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tests/e2e")]

from speed import callgrind, plot, report  # noqa: E402
from speed.provider import LogNormal  # noqa: E402
from speed.rig import Endpoint  # noqa: E402


def command(*arguments):
    return [ROOT / "bench/run", "--build", BUILD, "--as-built", "--runs", "1", *map(str, arguments)]


def start(*arguments):
    return subprocess.Popen(command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True)


def processes_of(pid):
    """Those whose parent it is."""
    return pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


PARTS = {
    "floor": (["--messages", 800, "--in-flight", 16, "--pace", 1000, "--variants", "h1,h2-tls"],
              2, "HTTP/2, TLS"),
    "cost": (["--messages", 200, "--in-flight", 16, "--pace", 2000], 2, "15 ms away"),
    "headline": (["--messages", 300, "--queue", "memory"], 2, "drain, queue in memory"),
    "idle": (["--messages", 5, "--starts", 2, "--burst", 20], 9, "first of a burst to 20"),
    "scale": (["--messages", 300, "--processes", 3], 1, "KiB each, idle"),
    "longrun": (["--seconds", 3, "--minute", 1, "--rate", 100], 3, "p99, ms"),
    "latency": (["--messages", 200, "--in-flight", "20,10,20", "--pace", 300], 9,
                "CPU of 20 beside 10"),
}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_at_a_small_size(part):
    arguments, rows, text = PARTS[part]
    run = start(part, *arguments)
    out, err = run.communicate(timeout=300)
    lines = [line for line in out.splitlines() if line.startswith("| ")]
    assert len(lines) == rows + 2, out + err
    assert any(text in line for line in lines)
    kept = "not kept:" not in err
    assert run.returncode == (0 if kept else 1), err
    assert "Traceback" not in err


def test_an_interrupt_leaves_nothing_behind(tmp_path):
    run = subprocess.Popen(command("headline", "--messages", 200000, "--queue", "memory"),
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                           env={**os.environ, "TMPDIR": str(tmp_path)})
    end = time.monotonic() + 120
    while len(processes_of(run.pid)) < 4 and time.monotonic() < end:
        time.sleep(0.02)
    started = processes_of(run.pid)
    assert len(started) >= 4
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=120)
    assert run.returncode == 130, err
    assert not any(pathlib.Path(f"/proc/{pid}").exists() for pid in started)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [["fly"], ["floor", "--variants", "h3"],
                                       ["floor", "--in-flight", "x"], ["cost", "--runs", "0"],
                                       ["peers", "--peers", "celery"],
                                       ["--in-flight", "64"]])
def test_wrong_usage(arguments):
    done = subprocess.run([ROOT / "bench/run", *arguments], capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == 2 and "usage:" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("program", ["floor", "client"])
def test_what_is_counted_of_a_program_that_only_sends(program):
    def counted(*options):
        done = subprocess.run([BUILD / "bench" / program, "--url", url, *map(str, options)],
                              capture_output=True, text=True, timeout=60, check=True)
        return int(re.match(r"requests (\d+) failed 0 ", done.stdout)[1])

    sink = subprocess.Popen([BUILD / "src/cli/bunshin", "sink", "--listen", "127.0.0.1:0"],
                            stdout=subprocess.PIPE, text=True)
    try:
        url = re.match(r"listening on (\S+)", sink.stdout.readline())[1] + "/push"
        # Between the end of the warm-up and the start of the last one, when 8 are in flight at most.
        assert 100 - 20 - 8 <= counted("--concurrency", 8, "--requests", 100, "--warmup", 20) < 80
        assert counted("--concurrency", 1, "--requests", 100, "--warmup", 20) == 79
        # The last one is started before any has ended, or the warm-up has: all that is left.
        assert counted("--concurrency", 64, "--requests", 10) == 10
        assert counted("--concurrency", 8, "--requests", 100, "--warmup", 99) == 1
    finally:
        sink.terminate()
        sink.communicate(timeout=60)


# What is made of the figures


CALLGRIND = """\
version: 1
positions: line
events: Ir ILmr DLmr DLmw

ob=(1) /usr/bin/bunshin
fn=(1) render
12 100 1 2 4
+3 50 0 3
cob=(2) /lib/libc.so.6
cfn=(2) memcpy
calls=2 0
* 70 0 5 6

ob=(2)
fn=(2)
0 70 0 5 6
totals: 220 1 10 10
"""


def test_costs_of_a_profile(tmp_path):
    path = tmp_path / "callgrind.out"
    path.write_text(CALLGRIND)
    instructions = callgrind.Profile(path)
    assert instructions.total == 220
    assert instructions.objects() == {"bunshin": 150, "libc": 70}
    assert instructions.own("bunshin", ("libc",)) == 220
    misses = callgrind.Profile(path, ("ILmr", "DLmr", "DLmw"))
    assert misses.total == 21
    assert misses.objects() == {"bunshin": 10, "libc": 11}
    assert misses.own("bunshin", ("libc",)) == 21


def test_misses_are_not_kept(tmp_path):
    path = tmp_path / "number.json"
    done = subprocess.run([ROOT / "bench/instructions", "--misses", "--update", path],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2 and "not with --misses" in done.stderr and not path.exists()


def test_a_limit_that_is_not_kept_is_a_line():
    limits = report.Limits()
    limits.at_most("a", 1.25, 1.25)
    limits.at_least("b", 0.95, 0.95)
    limits.below("c", 0.99, 1)
    assert limits.broken == []
    limits.at_most("a", 1.251, 1.25)
    limits.at_least("b", 0.94, 0.95)
    limits.below("c", 1, 1)
    limits.at_most("d", float("nan"), 1)
    assert [line.split(":")[0] for line in limits.broken] == ["a", "b", "c", "d"]


def test_the_ratio_is_that_of_pairs():
    runs, others = [{"us": us} for us in (10, 40, 30)], [{"us": us} for us in (10, 20, 10)]
    ratio = report.ratio(runs, others)
    assert (ratio.middle, ratio.low, ratio.high) == (2, 1, 3)
    assert str(ratio) == "2.00 (1.00-3.00)"
    assert report.spread(runs, "us") == "30.0 (10.0-40.0)"


class ClosesAfterEach(http.server.BaseHTTPRequestHandler):
    """As a queue does to a connection that was idle for longer than 75 s: it says nothing before."""
    protocol_version = "HTTP/1.1"

    def do_POST(self):  # noqa: N802
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({"QueueUrl": f"http://elsewhere/{self.client_address[1]}"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *_words):
        pass


def test_a_connection_that_the_queue_has_closed_is_opened_again():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), ClosesAfterEach) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        endpoint = Endpoint(f"http://127.0.0.1:{server.server_address[1]}")
        ports = [endpoint.create(f"queue-{number}") for number in range(3)]
        server.shutdown()
    assert len(set(ports)) == 3


def test_every_second_round_goes_backwards():
    order = []
    measures = {name: lambda number, name=name: order.append((name, number)) for name in "ab"}
    report.by_turns(measures, 3)
    assert order == [("a", 0), ("b", 0), ("b", 1), ("a", 1), ("a", 2), ("b", 2)]


def test_the_mean_of_the_log_normal_latency():
    # By a sum over the density of exp(N(log 63.2 ms, 0.576)) between 20 and 200 ms.
    from math import exp, log
    step, total, mass, sigma = 1e-5, 0.0, 0.0, log(10) / 4
    for index in range(18000):
        x = 0.02 + (index + 0.5) * step
        weight = exp(-((log(x) - log(0.02 * 0.2) / 2) / sigma) ** 2 / 2) / x
        total, mass = total + weight * x, mass + weight
    assert LogNormal(0.02, 0.2).mean_s == pytest.approx(total / mass, rel=1e-4)


def test_the_same_figures_are_the_same_plot():
    runs = {"one": [report.Ratio(1.5, 1, 2)], "two": [report.Ratio(3, 2.5, 3.25)]}
    text = plot.bars("a title", "times", ["label"], runs, limit=1.25)
    assert text == plot.bars("a title", "times", ["label"], dict(runs), limit=1.25)
    assert re.search(r'^"label" 1\.5 1 2 3 2\.5 3\.25$', text, re.M) and "1.25 with lines" in text
