"""
The worker beside the floor: CPU a message at the same number of requests in flight.

Worker, client (src/http alone) and floor (curl and libuv alone) send the same bodies to the same
provider, by turns. It answers after a delay that holds as many in flight as are asked for at a pace:
half of what a worker reaches with a provider that answers at once, measured first, so that none of
the three is ahead of what it is fed with; or --pace messages a second.
"""
import re
import statistics
import sys

from figures import table, version
from speed.plot import bars
from speed.provider import Fixed, Provider
from speed.report import Limits, Report, by_turns, median, ratio
from speed.rig import STOPPED, drain, say, totals

LIMIT = 1.25
IN_FLIGHT = (64, 256, 1000, 8000)
SHARD = 64
REACHED_IN_FLIGHT = 64
# name: HTTP version, TLS. Plain HTTP/2: see the page.
VARIANTS = {"h1": ("1.1", False), "h1-tls": ("1.1", True), "h2-tls": ("2", True)}
TITLES = {"h1": "HTTP/1.1", "h1-tls": "HTTP/1.1, TLS", "h2-tls": "HTTP/2, TLS"}
LINE = re.compile(r"failed 0 seconds [\d.]+ rate ([\d.]+) cpu_us_per_request ([\d.]+)")


def posted(rig, program, url, in_flight, requests, warmup, *options):
    """What the floor or the client measured of itself, start and end left out; see bench/post.h."""
    with rig.start(program.name, program, "--url", url, "--concurrency", in_flight, "--requests", requests,
                   "--warmup", warmup, "--shard", SHARD, *options) as process:
        process.wait()
    match = LINE.search(process.out())
    if not match:
        sys.exit(f"bench: {program.name} said {process.out()!r}")
    return {"rate": float(match[1]), "us": float(match[2])}


class Level:
    """One number of requests in flight over one variant."""

    def __init__(self, rig, endpoint, options, variant, in_flight, delay):
        self.rig, self.endpoint, self.in_flight = rig, endpoint, in_flight
        self.version, self.tls = VARIANTS[variant]
        # First all connections are opened, then it is measured, then the last ones go out.
        self.apart = max(2 * in_flight, options.messages // 10)
        self.messages = max(options.messages, 12 * in_flight)
        self.provider = rig.enter(Provider(rig, delay))
        self.url = self.provider.url(self.version, self.tls)

    def worker(self, _number):
        queue_url = self.rig.filled(self.endpoint, self.messages)
        destination = {"http_version": self.version}
        if self.tls:
            destination["ca_file"] = str(self.provider.ca)
        config = self.rig.config(queue_url, self.url, self.in_flight, destination=destination)
        with self.rig.worker(config, "--exit-when-empty") as worker:
            window = drain(self.endpoint, queue_url, worker, self.messages - self.apart, self.apart)
            worker.wait()
        delay = self.provider.delay
        return {**window, "in_flight": window["rate"] * delay.mean_s if delay else self.in_flight,
                "requests": totals(worker, self.messages)["sqs_requests"] / self.messages}

    def bare(self, program):
        return lambda _number: posted(self.rig, program, self.url, self.in_flight,
                                      self.messages - self.apart, self.apart, "--http", self.version,
                                      "--ca", self.provider.ca)

    def measure(self, runs):
        return by_turns({"worker": self.worker, "client": self.bare(self.rig.programs.client),
                         "floor": self.bare(self.rig.programs.floor)}, runs)


def pace_of(rig, endpoint, options, variant):
    """Messages a second."""
    if options.pace:
        return options.pace
    level = Level(rig, endpoint, options, variant, REACHED_IN_FLIGHT, None)
    rates = [level.worker(number)["rate"] for number in range(options.runs)]
    level.provider.process.stop()
    return statistics.median(rates) / 2


def row(variant, in_flight, results):
    worker, client, floor = (results[name] for name in ("worker", "client", "floor"))
    return [TITLES[variant], f"{in_flight:,}", f"{median(worker, 'in_flight'):,.0f}",
            f"{median(worker, 'rate'):,.0f}",
            *(f"{median(runs, 'us'):.1f}" for runs in (floor, client, worker)),
            str(ratio(client, floor)), str(ratio(worker, floor)),
            f"{median(worker, 'requests'):.3f}"]


def plot(results):
    pairs = {name: {"worker": ratio(runs["worker"], runs["floor"]),
                    "client alone": ratio(runs["client"], runs["floor"])}
             for name, runs in results.items()}
    labels = [f"{TITLES[variant].replace('HTTP/', '').replace(',', '')}\\n{in_flight:,}"
              for variant, in_flight in pairs]
    return bars("CPU a message beside the floor, by HTTP version and number in flight",
                "of the floor's", labels,
                {series: [pair[series] for pair in pairs.values()]
                 for series in ("worker", "client alone")}, limit=LIMIT)


def run(rig, options):
    limits, results = Limits(), {}
    _, endpoint = rig.queue("memory")
    for variant in options.variants or VARIANTS:
        pace = pace_of(rig, endpoint, options, variant)
        say(f"floor: {TITLES[variant]}: {pace:,.0f} a second")
        for in_flight in options.in_flight or IN_FLIGHT:
            title = f"{TITLES[variant]}, {in_flight:,} in flight"
            try:
                delay = Fixed(round(in_flight / pace, 4))
                level = Level(rig, endpoint, options, variant, in_flight, delay).measure(
                    options.runs)
            except SystemExit as failure:
                if failure.code == STOPPED:
                    raise
                # The others are not lost by it.
                limits.broken.append(f"{title}: not measured: {failure.code}")
                continue
            beside = ratio(level["worker"], level["floor"])
            say(f"floor: {title}: {beside}")
            results[variant, in_flight] = level
            limits.at_most(f"{title}, beside the floor", beside.middle, LIMIT)
    head = ["provider", "in flight", "of them really", "messages/s", "floor, us", "client, us", "worker, us",
            "client / floor (low-high)", "worker / floor (low-high)", "SQS requests a message"]
    made = [version("curl-config", "--version"),
            f"{options.runs} rounds of {options.messages:,} messages, or 12 times those in flight; "
            "medians"]
    return Report(made, table(head, [row(*name, results[name]) for name in results]), limits.broken,
                  {"benchmarks-floor.svg": plot(results)} if results else {})
