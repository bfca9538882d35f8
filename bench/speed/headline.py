"""
A million messages on one machine: producer, queue, workers and provider all of Bunshin.

campaign: the queue is empty and the workers wait; the time is from the start of `campaign send` to
the moment when the last message has been accepted and deleted. drain: the queue was filled before;
the time is from the start of `bunshin run` to the same. CPU of each process a message besides.
"""
import json
import sys
import time

from figures import table
from speed.plot import bars
from speed.report import Limits, Report, across, median, spread
from speed.rig import Rig, say, wait_for

MESSAGES = 1000000
LIMITS_S = {"campaign": 35, "drain": 28}
IN_FLIGHT = 100
PARTS = ("producer", "queue", "workers", "provider")


class Stage:
    """What a run needs, new each time, so that CPU is that of the whole process."""

    def __init__(self, rig, kind):
        self.rig = rig
        self.queue, self.endpoint = rig.queue(kind)
        self.sink = rig.start("sink", rig.bunshin, "sink", "--listen", "127.0.0.1:0")
        self.queue_url = self.endpoint.create("bench", VisibilityTimeout="120")
        # As many processes as there are cores: the default. A worker says that it receives once its
        # first poll has been answered.
        self.config = rig.config(self.queue_url, self.sink.listening() + "/push", IN_FLIGHT,
                                 workers="auto", queue={"wait": "1s"},
                                 log={"level": "info", "format": "json"})
        self.producer = self.workers = None

    def start_workers(self):
        self.workers = self.rig.worker(self.config)
        return self.workers

    def produce(self, messages):
        """Sends all; ends when they are in the queue."""
        self.producer = self.rig.producer(self.queue_url, messages)
        self.producer.wait(1800)

    def wait_until_empty(self):
        wait_for(lambda: self.endpoint.left(self.queue_url) == 0, "an empty queue", 1800, 0.05)

    def finish(self, messages, seconds):
        for process in (self.workers, self.sink, self.queue):
            process.stop()
        said = json.loads(self.sink.out().splitlines()[-1])
        if said["accepted"] != messages:
            sys.exit(f"bench: the provider counted {said}")
        processes = dict(zip(PARTS, (self.producer, self.queue, self.workers, self.sink)))
        return {"seconds": seconds, **{name: process.cpu_s * 1e6 / messages
                                       for name, process in processes.items()}}


def campaign(rig, kind, messages):
    stage = Stage(rig, kind)
    workers = stage.start_workers()
    wait_for(lambda: workers.err().count('"receiving"') >= 1, "the workers", 60)
    time.sleep(1)
    began = time.monotonic()
    stage.produce(messages)
    stage.wait_until_empty()
    return stage.finish(messages, time.monotonic() - began)


def drained(rig, kind, messages):
    stage = Stage(rig, kind)
    stage.produce(messages)
    began = time.monotonic()
    stage.start_workers()
    stage.wait_until_empty()
    return stage.finish(messages, time.monotonic() - began)


RUNS = {"campaign": campaign, "drain": drained}


def run(rig, options):
    limits, rows, labels = Limits(), [], []
    series = {part: [] for part in PARTS}
    for kind in [options.queue] if options.queue else ["durable", "memory"]:
        for name, measure in RUNS.items():
            runs = []
            for number in range(options.runs):
                with Rig(rig.programs) as own:
                    runs.append(measure(own, kind, options.messages))
                say(f"headline: {name}, {kind}: {runs[-1]['seconds']:.1f} s")
            labels.append(f"{name}\\n{'in memory' if kind == 'memory' else kind}")
            for part in PARTS:
                series[part].append(across(runs, part))
            rows.append([f"{name}, queue {'in memory' if kind == 'memory' else kind}",
                         spread(runs, "seconds"),
                         f"{options.messages / median(runs, 'seconds'):,.0f}",
                         *(f"{median(runs, part):.1f}" for part in PARTS)])
            # A trial with fewer messages has its part of the time.
            limits.at_most(f"{name}, {kind}, seconds", median(runs, "seconds"),
                           LIMITS_S[name] * options.messages / MESSAGES, "{:.1f}")
    head = ["", "seconds (low-high)", "messages/s", *(f"{part}, us" for part in PARTS)]
    made = [f"{options.runs} runs of {options.messages:,} messages of 300 bytes, medians"]
    plot = bars("CPU a message, each process", "us", labels, series)
    return Report(made, table(head, rows), limits.broken, {"benchmarks-headline.svg": plot})
