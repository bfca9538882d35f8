"""Keys that rotate under load: one `bunshin run` at a steady rate, with container credentials that
live for seconds, against an SQS that verifies every signature. For the test and for
bench/credentials.
"""

import multiprocessing
import os
import time
from pathlib import Path

from fake_aws import FakeAws
from fake_http import Answer, FakeServer, Part
from fake_keys import KeyRing, KeySource
from harness import wait_for

EVERY_S = 10  # new keys
TTL_S = 20  # each set is good for
TICK_S = 0.05
BACKLOG_MAX = 20000  # messages; the producer waits for the worker past it
VISIBILITY_S = 60
QUEUE = "rotation"
FILLING = "x" * 200


class Sink(Part):
    """A provider that counts how often each message number came."""

    def __init__(self):
        self.counts = bytearray()

    def claims(self, request):
        return True

    def action(self, request):
        return "sink"

    def serve(self, request):
        number = int(request.body[5:request.body.index(b",")])  # {"n":NUMBER,...
        if number >= len(self.counts):
            self.counts.extend(bytes(number + 1 - len(self.counts) + 65536))
        self.counts[number] = min(255, self.counts[number] + 1)
        return Answer(200, b"{}", "application/json")


class _Service:
    """A fake in a process of its own. The pipe carries (method, arguments) and what it returns."""

    def __init__(self, service):
        self._pipe, other = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("fork").Process(
            target=self._serve, args=(service, other), daemon=True)
        self._process.start()

    @staticmethod
    def _serve(service, pipe):
        with service() as running:
            while call := pipe.recv():
                pipe.send(getattr(running, call[0])(*call[1:]))

    def __call__(self, method, *arguments):
        self._pipe.send((method, *arguments))
        return self._pipe.recv()

    def cpu_s(self):
        return process_cpu_s(self._process.pid)

    def stop(self):
        self._pipe.send(None)
        self._process.join()


class AwsService:
    """The fake of AWS and the producer."""

    def __init__(self, token_file):
        ring = KeyRing()
        self._aws = FakeAws(ring, KeySource(ring, TTL_S, EVERY_S), token_file=token_file,
                            log_max=0)
        self._sent = self._wanted = 0

    def __enter__(self):
        self._aws.start()
        self._aws.sqs.create(QUEUE, visibility_s=VISIBILITY_S)
        return self

    def __exit__(self, *_):
        self._aws.stop()

    def where(self):
        return (self._aws.url, self._aws.queue_url(QUEUE),
                self._aws.url + self._aws.container.path)

    def fixed_keys(self):
        return self._aws.ring.issue().environment

    def secrets(self):
        return self._aws.secrets()

    def produce(self, count):
        """Adds as many messages as there is room for; how many."""
        count = min(count, BACKLOG_MAX - self._aws.counts(QUEUE)[0])
        numbers = range(self._sent, self._sent + max(0, count))
        self._aws.send(QUEUE, [f'{{"n":{number},"to":"U{number:032x}","text":"{FILLING}"}}'
                               for number in numbers])
        self._sent += len(numbers)
        return len(numbers)

    def figures(self):
        stats, verifier = self._aws.stats, self._aws.sqs.verifier
        return {
            "produced": self._sent,
            "left": sum(self._aws.counts(QUEUE)),
            "deleted": self._aws.sqs.queues[QUEUE].deleted,
            "requests": sum(stats.requests.values()),
            "signed": sum(verifier.used.values()),
            "failed_signatures": verifier.failed,
            "expired": stats.errors["ExpiredTokenException"],
            "errors": dict(stats.errors),
            "key_sets": len(verifier.used),
            "peaks": dict(stats.peaks),
        }


class SinkService:
    def __init__(self):
        self._sink = Sink()
        self._server = FakeServer(self._sink, log_max=0)

    def __enter__(self):
        self._server.start()
        return self

    def __exit__(self, *_):
        self._server.stop()

    def where(self):
        return self._server.url

    def figures(self):
        accepted = sum(self._sink.counts)
        distinct = len(self._sink.counts) - self._sink.counts.count(0)
        return {"accepted": accepted, "distinct": distinct}


def process_cpu_s(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def process_runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def process_rss_kib(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


class Rotation:
    """
    One run. Start `bunshin run -c config()` with environment() and give its pid to run(). `fixed`:
    keys in the environment that never change, to compare with.
    """

    def __init__(self, directory, fixed=False):
        self._token_file = Path(directory) / "token"
        self._token_file.write_text("an authorization token that opens nothing", encoding="utf-8")
        self.aws = _Service(lambda: AwsService(self._token_file))
        self.sink = _Service(SinkService)
        self._fixed = fixed
        self.samples = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.aws.stop()
        self.sink.stop()

    def environment(self):
        """None: the variable is not to be set."""
        if self._fixed:
            return self.aws("fixed_keys")
        return {
            "AWS_ACCESS_KEY_ID": None,
            "AWS_SECRET_ACCESS_KEY": None,
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": self.aws("where")[2],
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(self._token_file),
        }

    def config(self):
        return {
            "queue": {"url": self.aws("where")[1], "visibility": f"{VISIBILITY_S}s"},
            "destinations": [{"name": "sink", "request": {
                "url": self.sink("where") + "/push",
                "headers": {"Content-Type": "application/json"}},
                # What is measured is not how the worker finds its concurrency.
                "adaptive": False}],
            # In memory and small: what still grows then is a leak.
            "ledger": {"path": None, "size": "8MiB"},
            "admin": {"listen": "127.0.0.1:0"},
            "workers": 1,
            "log": {"level": "info", "format": "json"},
        }

    def run(self, process, seconds, rate, every_s=60, say=lambda sample: None):
        """
        Produces for so long, waits until the queue is empty, and returns the figures. Keeps a
        sample every every_s, which `say` is told of.
        """
        self.samples = [self._sample(process)]
        started = time.monotonic()
        produced, next_s = 0, every_s
        while (passed := time.monotonic() - started) < seconds:
            produced += self.aws("produce", min(int(passed * rate) - produced, rate))
            if passed >= next_s:
                next_s += every_s
                self.samples.append(self._sample(process))
                say(self.samples[-1])
            time.sleep(TICK_S)
        wait_for(lambda: self._is_empty(process), "the queue is empty")
        self.samples.append(self._sample(process))
        return self._figures()

    def _is_empty(self, process):
        assert process_runs(process.pid), "bunshin has ended"
        return self.aws("figures")["left"] == 0

    def _sample(self, process):
        return {"time_s": time.monotonic(), **self.aws("figures"), **self.sink("figures"),
                "cpu_s": process_cpu_s(process.pid), "rss_kib": process_rss_kib(process.pid),
                "fake_cpu_s": self.aws.cpu_s(), "sink_cpu_s": self.sink.cpu_s()}

    def _figures(self):
        first, last = self.samples[0], self.samples[-1]
        seconds = last["time_s"] - first["time_s"]
        rates = [(b["accepted"] - a["accepted"]) / (b["time_s"] - a["time_s"])
                 for a, b in zip(self.samples, self.samples[1:])]
        figures = {
            "seconds": round(seconds, 1),
            "lost": last["produced"] - last["distinct"],
            "duplicates": last["accepted"] - last["distinct"],
            "rate": round(last["accepted"] / seconds, 1),
            "rate_low": round(min(rates), 1),
            "rss_kib_first": self.samples[min(1, len(self.samples) - 1)]["rss_kib"],
            "rss_kib_last": last["rss_kib"],
        }
        for name in ("produced", "accepted", "distinct", "deleted", "key_sets", "signed",
                     "failed_signatures", "expired", "errors", "peaks"):
            figures[name] = last[name]
        for name in ("cpu_s", "fake_cpu_s", "sink_cpu_s"):
            figures[name] = round(last[name] - first[name], 2)
        return figures
