"""
One worker process for half an hour at half of the rate that it reached right before: memory,
descriptors and latencies of every minute. What comes after the first five minutes is compared: memory
and descriptors of the last minute beside the sixth, p99 of the last third beside the first.

Latency is from SendMessage's time stamp to the provider's acceptance, by the worker's own metrics.
"""
import json
import re
import statistics
import sys
import time
import urllib.request

from figures import table
from speed.plot import lines
from speed.provider import Fixed, Provider
from speed.report import Limits, Report
from speed.rig import BODY_BYTES, drain, heap_kib, say, wait_for

IN_FLIGHT = 500
# What waits at the start. Memory is at its most while all that may be in flight is, as after a stall of
# the machine: that is to come within the first minutes, not when it happens to.
BACKLOG = 100 * IN_FLIGHT
DELAY_S = 0.02
WARM_UP_MINUTES = 5
LIMIT_GROWTH = 1.01
LIMIT_P99 = 1.1  # between two thirds of a run on a machine that others use as well
BUCKET = re.compile(
    r'^bunshin_acceptance_latency_seconds_bucket\{(?:[^}]*,)?le="([^"]+)"[^}]*\} (\d+)', re.M)


class Feeder:
    """Sends messages at a fixed rate, in batches of ten, on one connection."""

    def __init__(self, endpoint, queue_url, rate):
        self.endpoint, self.queue_url, self.rate = endpoint, queue_url, rate
        self.sent = 0
        self._began = time.monotonic()

    def body(self):
        head = '{"to":"U%032x","text":"' % self.sent
        self.sent += 1
        return head + (BODY_BYTES - len(head) - 2) * "x" + '"}'

    def feed_until(self, end):
        while time.monotonic() < end:
            due = (time.monotonic() - self._began) * self.rate - self.sent
            if due < 10:
                time.sleep(min(0.005, 10 / self.rate))
                continue
            entries = [{"Id": str(index), "MessageBody": self.body()} for index in range(10)]
            said = self.endpoint.call("SendMessageBatch", QueueUrl=self.queue_url, Entries=entries)
            if said.get("Failed"):
                sys.exit(f"bench: SendMessageBatch: {said}")


class Watch:
    """What is noted of the worker each minute."""

    def __init__(self, worker, minute_s):
        self.worker, self.minute_s, self.minutes = worker, minute_s, []
        line = wait_for(lambda: next((line for line in worker.err().splitlines()
                                      if '"admin port"' in line), None), "the admin port", 60)
        self.url = json.loads(line)["url"] + "/metrics"
        self.buckets = {}

    def scrape(self):
        """Counts up to each bound since the last time."""
        with urllib.request.urlopen(self.url, timeout=60) as answer:
            found = BUCKET.findall(answer.read().decode())
        now = {float(bound): int(count) for bound, count in found}
        since = {bound: count - self.buckets.get(bound, 0) for bound, count in now.items()}
        self.buckets = now
        return sorted(since.items())

    def note(self, samples):
        """Of a minute, in which these (heap, descriptors) were seen."""
        counts = self.scrape()
        self.minutes.append({"heap_kib": statistics.median(heap for heap, _ in samples),
                             "fds": statistics.median(fds for _, fds in samples),
                             "messages": counts[-1][1] if counts else 0,
                             "p50_ms": 1e3 * share_of(counts, 0.5),
                             "p99_ms": 1e3 * share_of(counts, 0.99)})


def share_of(counts, share):
    """The latency that so large a share did not exceed, between the bounds of its bucket."""
    total = counts[-1][1] if counts else 0
    below_bound, below_count = 0.0, 0
    for bound, count in counts:
        if total and count >= share * total:
            if bound == float("inf"):
                return below_bound
            part = (share * total - below_count) / max(1, count - below_count)
            return below_bound + part * (bound - below_bound)
        below_bound, below_count = bound, count
    return 0.0


def reached(rig, endpoint, sink, messages):
    """Messages a second that one process drains."""
    queue_url = rig.filled(endpoint, messages)
    with rig.worker(rig.config(queue_url, sink.url(), IN_FLIGHT), "--exit-when-empty") as worker:
        window = drain(endpoint, queue_url, worker, messages * 4 // 5, messages // 10)
        worker.wait()
    return window["rate"]


def sample(process):
    return heap_kib(process.pid), process.descriptors()


def watched(rig, endpoint, sink, rate, options):
    """The minutes; all that was sent must have been delivered."""
    backlog = min(BACKLOG, options.messages)
    queue_url = rig.filled(endpoint, backlog)
    config = rig.config(queue_url, sink.url(), IN_FLIGHT, admin={"listen": "127.0.0.1:0"},
                        log={"level": "info", "format": "json"})
    with rig.worker(config) as worker:
        watch, feeder = Watch(worker, options.minute), Feeder(endpoint, queue_url, rate)
        began = time.monotonic()
        while time.monotonic() - began < options.seconds:
            samples, end = [], time.monotonic() + options.minute
            while time.monotonic() < end:
                feeder.feed_until(min(end, time.monotonic() + max(0.2, options.minute / 20)))
                samples.append(sample(worker))
            watch.note(samples)
        wait_for(lambda: endpoint.left(queue_url) == 0, "an empty queue", 600, 0.1)
        worker.stop()
    said = json.loads(worker.out().splitlines()[-1])
    if said["accepted"] != backlog + feeder.sent:
        sys.exit(f"bench: {backlog + feeder.sent} were sent, and the worker reported {said}")
    return watch.minutes


def judge(minutes, limits):
    """(rows of the table); what grew too much goes to the limits."""
    warm = minutes[min(WARM_UP_MINUTES, len(minutes) // 3):]
    third = max(1, len(warm) // 3)
    rows = []
    for key, title, form in (("heap_kib", "heap, KiB", "{:,.0f}"), ("fds", "descriptors", "{:,.0f}")):
        growth = warm[-1][key] / warm[0][key]
        limits.at_most(f"growth of {title} after the first minutes", growth, LIMIT_GROWTH, "{:.4f}")
        rows.append([title, form.format(warm[0][key]), form.format(warm[-1][key]), f"{growth:.4f}"])
    first, last = (statistics.median(minute["p99_ms"] for minute in part)
                   for part in (warm[:third], warm[-third:]))
    limits.at_most("p99, last third beside the first", last / first if first else float("inf"),
                   LIMIT_P99)
    rows.append(["p99, ms", f"{first:.1f}", f"{last:.1f}", f"{last / first if first else 0:.4f}"])
    return rows


def run(rig, options):
    limits = Limits()
    _, endpoint = rig.queue("memory")
    with Provider(rig, Fixed(DELAY_S)) as sink:
        rate = options.rate or int(reached(rig, endpoint, sink, options.messages) / 2)
        say(f"longrun: {rate} messages a second for {options.seconds} s")
        minutes = watched(rig, endpoint, sink, rate, options)
    rows = judge(minutes, limits)
    head = ["", "after the first minutes", "at the end", "ratio"]
    made = [f"{sum(minute['messages'] for minute in minutes):,} messages of 300 bytes at {rate:,} a "
            f"second in {options.seconds:,} s; provider takes {DELAY_S * 1e3:.0f} ms"]
    points = {key: [(number + 1, minute[key]) for number, minute in enumerate(minutes)]
              for key in ("heap_kib", "p99_ms", "p50_ms")}
    plot = lines("A long run", ("minute", "ms", "heap, KiB"),
                 {"p99": (points["p99_ms"], False), "p50": (points["p50_ms"], False),
                  "heap": (points["heap_kib"], True)})
    return Report(made, table(head, rows), limits.broken, {"benchmarks-longrun.svg": plot})
