"""One preset's messages, from the queue to the sink, and what the sink's record says of them."""
import json
import os
import signal
import sys
import time
from collections import Counter

from presets.known import MINUTE_MS, SINK, configuration
from speed.report import Limits
from speed.rig import Endpoint, Rig, say

HEAD = ["file", "limit", "messages", "lost", "repeated", "answers 429", "most in a window",
        "over the limit", "rate held", "took"]
OVER_MAX, HELD_MIN = 1.02, 0.95
TAIL = 0.01  # of the requests: when few messages are left, the rate is theirs
TURN_S = 0.1


def run_in_turns(courses):
    """Generators that give up their turn by yielding."""
    courses = list(courses)
    while courses:
        began = time.monotonic()
        for course in list(courses):
            if next(course, courses) is courses:
                courses.remove(course)
        time.sleep(max(0.0, TURN_S - (time.monotonic() - began)))


def most_in(times_ms, length_ms):
    """The most of these that lie in one window of such a length, wherever it begins."""
    times_ms = sorted(times_ms)
    first = most = 0
    for last, time_ms in enumerate(times_ms):
        while times_ms[first] <= time_ms - length_ms:
            first += 1
        most = max(most, last - first + 1)
    return most


def rate_of(times_ms):
    """A second, from the first to the last but the tail; 0 for less than two."""
    times_ms = sorted(times_ms)
    count = int(len(times_ms) * (1 - TAIL)) - 1
    return count * 1000 / (times_ms[count] - times_ms[0]) if count > 0 and (
        times_ms[count] > times_ms[0]) else 0.0


class Channel:
    """What one sink was sent."""

    def __init__(self, path, preset):
        self.times, self.accepted_times, self.throttled = [], [], 0
        self.accepted = Counter()
        with path.open(encoding="utf-8") as lines:
            for record in map(json.loads, lines):
                self.times.append(record["time_epoch_ms"])
                self.throttled += record["status"] == 429
                if record["status"] is not None and 200 <= record["status"] <= 299:
                    self.accepted_times.append(record["time_epoch_ms"])
                    self.accepted.update(preset.recipients(record))


class Course:
    """To be entered; go() is for run_in_turns(). Then it has `row`, or `rows`, and `broken`."""

    def __init__(self, programs, preset, options):
        self.programs, self.preset, self.options = programs, preset, options
        self.name, self.rig = preset.name, None
        self.prepared = {}
        self.row, self.rows, self.broken = None, None, []

    def __enter__(self):
        self.rig = Rig(self.programs).__enter__()
        return self

    def __exit__(self, *failure):
        return self.rig.__exit__(*failure)

    def environment(self):
        """More of it, for the worker."""
        return {}

    def _sinks(self):
        """(process, path of its record) of each."""
        play = ["--as", self.preset.provider] if self.preset.provider else []
        self.prepared, more = self.preset.prepare(self.rig.directory)
        for number in range(self.options.channels if self.preset.channels else 1):
            record = self.rig.directory / f"record-{number}"
            yield self.rig.start("sink", self.programs.bunshin, "sink", "--listen", "127.0.0.1:0",
                                 "--record", record, *play, *more), record

    def _entry(self, number, urls):
        body = json.dumps(self.preset.message(number)).replace(SINK, urls[0])
        entry = {"Id": str(number % 10), "MessageBody": body}
        if self.preset.channels:
            entry["MessageAttributes"] = {"Destination": {
                "DataType": "String", "StringValue": f"slack-{number % len(urls)}"}}
        return entry

    def _fill(self, endpoint, queue_url, urls):
        for first in range(0, self.options.messages, 10):
            entries = [self._entry(number, urls)
                       for number in range(first, min(first + 10, self.options.messages))]
            said = endpoint.call("SendMessageBatch", QueueUrl=queue_url, Entries=entries)
            if said.get("Failed"):
                sys.exit(f"bench: SendMessageBatch: {said}")
            if first % 1000 == 0:
                yield

    def _worker(self, queue_url, urls):
        preset, directory = self.preset, self.rig.directory
        config = directory / "bunshin.yaml"
        config.write_text(configuration(preset, urls, self.options.workers))
        environment = {"LEDGER": str(directory / "ledger"), "FAILURE_URL": "",
                       preset.url: urls[0] + preset.path, **preset.environment,
                       **self.prepared, **preset.listening(directory, urls[0]),
                       **self.environment()}
        return self.rig.start("worker", "env", *(f"{k}={v}" for k, v in environment.items()),
                              self.programs.bunshin, "run", "-c", config, "--queue-url", queue_url,
                              "--exit-when-empty", "--json")

    def _run(self, worker):
        """Until the queue is empty, or the time is over: how long it took."""
        began = time.monotonic()
        end = began + self.options.seconds if self.options.seconds else float("inf")
        while not worker.is_over():
            if time.monotonic() > end:
                os.kill(worker.pid, signal.SIGTERM)
                end = float("inf")
            yield
        worker.wait()
        return time.monotonic() - began

    def go(self):
        preset = self.preset
        _, endpoint = self.rig.queue("memory")
        queue_url = endpoint.create("morning", VisibilityTimeout="60")
        sinks = list(self._sinks())
        urls = [process.listening() for process, _ in sinks]
        if preset.by_name:
            urls = [url.replace("127.0.0.1", "localhost") for url in urls]
        yield from self._fill(endpoint, queue_url, urls)
        say(f"{preset.name}: {self.options.messages:,} messages")
        took = yield from self._run(self._worker(queue_url, urls))
        left = Endpoint(endpoint.url).left(queue_url)
        for process, _ in sinks:
            process.stop()
        self._judge([Channel(record, preset) for _, record in sinks], left, took)
        say(f"{preset.name}: {' | '.join(self.row[1:])}")

    def _judge(self, channels, left, took):
        preset, limits = self.preset, Limits()
        accepted = Counter()
        for channel in channels:
            accepted.update(channel.accepted)
        wanted = (self.options.messages - left) * preset.each
        repeated = sum(count - 1 for count in accepted.values())
        lost = wanted - len(accepted)
        most = max(most_in(channel.times, preset.window_ms) for channel in channels)
        # Not beyond what there was to send: a channel with little to do is not slow.
        rate = sum(rate_of(channel.accepted_times) for channel in channels)
        limits.at_most("lost", lost, 0, "{}")
        limits.at_most("repeated", repeated, 0, "{}")
        unit = "minute" if preset.window_ms == MINUTE_MS else "s"
        limit, over, held = "none", "", f"{rate:,.0f}/s"
        if preset.limit:
            whole = preset.limit * 1000 / preset.window_ms * len(channels)
            limits.at_most(f"most in one {unit}", most / preset.limit, OVER_MAX, "{:.3f} of the limit")
            if preset.paced:
                limits.at_least("rate held", rate / whole, HELD_MIN, "{:.3f} of the limit")
            limit = f"{preset.limit:,}/{unit}" + (f" each of {len(channels)}" if len(channels) > 1
                                                  else "")
            over = f"{max(0.0, most / preset.limit - 1):.1%}"
            held += f" ({rate / whole:.1%})" if preset.paced else ""
        self.broken = limits.broken
        self.row = [f"`{preset.name}.yaml`", limit, self._sent(left), f"{lost:,}", f"{repeated:,}",
                    f"{sum(channel.throttled for channel in channels):,}", f"{most:,}", over, held,
                    duration(took)]

    def _sent(self, left):
        sent = f"{self.options.messages - left:,}"
        return sent if left == 0 else f"{sent} of {self.options.messages:,}"


def duration(seconds):
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
