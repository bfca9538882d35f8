#!/usr/bin/python3
"""Measures how fast an idle worker is, against the embedded queue, all on this machine:

- idle: from the answer to SendMessage to the arrival of the provider's request, one message at a
  time, with one worker process and with two;
- start: from exec to the first delivery of a message that waits in the queue already, the same.

    bench/idle.py                      200 messages, 10 starts; prints one JSON object
    bench/idle.py --messages 1000 --starts 30 --build build/plain

The probe is in bench/idle_probe.c: producer and provider in one process, with one clock. measure()
is for other benchmarks.
"""
import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import yaml

from figures import ROOT

sys.path.insert(0, str(ROOT / "tests/e2e"))

import harness  # noqa: E402

WORKERS = (1, 2)
PROBE_TIMEOUT_S = 600


class Probe:
    """bench/idle_probe: listens first, and begins when it is told to."""

    def __init__(self, program, environment, *arguments):
        self.process = subprocess.Popen([program, *map(str, arguments)], env=environment,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().split()[-1]

    def run(self):
        out, _ = self.process.communicate("\n", timeout=PROBE_TIMEOUT_S)
        if self.process.returncode != 0:
            sys.exit(f"bench: the probe ended with {self.process.returncode}")
        return json.loads(out)


def write_config(directory, queue_url, sink_url, workers):
    path = directory / f"{workers}.yaml"
    path.write_text(yaml.safe_dump({
        "queue": {"url": queue_url},
        "destinations": [{"name": "sink", "request": {"url": sink_url + "/push"}}],
        "ledger": {"path": str(directory / "ledger")},
        "workers": workers, "admin": {"listen": "127.0.0.1:0"}, "log": {"level": "warn"},
    }))
    return path


def measure_idle(bunshin, queue, probe_program, workers, messages, every_ms):
    url = queue.sqs().create_queue(f"idle{workers}")
    probe = Probe(probe_program, bunshin.environment, "--queue-url", url, "--messages", messages,
                  "--every", every_ms)
    worker = bunshin.start("run", "-c", write_config(bunshin.directory, url, probe.url, workers))
    try:
        return probe.run()["idle"]
    finally:
        worker.terminate()


def measure_start(bunshin, queue, probe_program, workers, starts):
    url = queue.sqs().create_queue(f"start{workers}")
    path = bunshin.directory / f"{workers}.yaml"
    probe = Probe(probe_program, bunshin.environment, "--queue-url", url, "--starts", starts, "--",
                  bunshin.binary, "run", "-c", path)
    write_config(bunshin.directory, url, probe.url, workers)
    return probe.run()["start"]


def measure(program, probe_program, messages=200, every_ms=50, starts=10):
    """{"idle": {workers: distribution}, "start": {workers: distribution}}, in milliseconds; a
    distribution has count, p50_ms, p90_ms, p99_ms, p999_ms and max_ms."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="bunshin-idle-"))
    bunshin = harness.Bunshin(program, directory)
    try:
        queue = bunshin.queue()
        return {
            "idle": {workers: measure_idle(bunshin, queue, probe_program, workers, messages,
                                           every_ms) for workers in WORKERS},
            "start": {workers: measure_start(bunshin, queue, probe_program, workers, starts)
                      for workers in WORKERS},
        }
    finally:
        problems = bunshin.stop()
        shutil.rmtree(directory)
        if problems:
            sys.exit("\n".join(problems))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=200)
    parser.add_argument("--every", type=int, default=50, metavar="MS")
    parser.add_argument("--starts", type=int, default=10)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/bench",
                        help="build directory [build/bench]")
    options = parser.parse_args()
    print(json.dumps(measure(options.build / "src/cli/bunshin", options.build / "bench/idle_probe",
                             options.messages, options.every, options.starts), indent=2))


if __name__ == "__main__":
    main()
