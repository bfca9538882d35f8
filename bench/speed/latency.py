"""
Real latencies. The provider takes 20 to 200 ms, log-normal, and the queue is 15 ms away.

little: 2,000 in flight in one process, and the rate beside the one that Little's law allows, which is
their number over the mean latency; by turns with the client and the floor of the part `floor`, which
only send. Where this machine has not the CPU for that rate, the same with latencies five times as long
shows what the worker itself loses. many: 10,000 in flight beside 256, at the same rate, for which the
latencies are longer in proportion: memory and CPU.
"""
from figures import table
from speed.floor import posted
from speed.plot import bars
from speed.provider import Far, LogNormal, farther
from speed.report import Limits, Report, across, by_turns, median, ratio, spread
from speed.rig import drain, machine_s, totals

FAR_S = 0.015
LOW_S, HIGH_S = 0.02, 0.2
LIMIT_LITTLE, LIMIT_KIB, LIMIT_CPU = 0.95, 20, 1.5
IN_FLIGHT, FEW, MANY = 2000, 256, 10000
STRETCHES = (1, 5)
PACE = 3400  # a second: what FEW in flight come to at these latencies


def scaled(factor):
    return LogNormal(LOW_S * factor, HIGH_S * factor)


def held(rig, endpoint, far, sink, in_flight, messages):
    """A drain with so many in flight, without its start and its end."""
    queue_url = rig.filled(endpoint, messages)
    config = rig.config(queue_url, sink.url(), in_flight, queue={"endpoint": far})
    with rig.worker(config, "--exit-when-empty") as worker:
        window = drain(endpoint, queue_url, worker, messages - 3 * in_flight, 2 * in_flight)
        worker.wait()
    totals(worker, messages)
    return {**window, "kept": window["rate"] * sink.delay.mean_s / in_flight}


def bare(rig, program, sink, in_flight, messages):
    """The same of a program that only sends; the machine is looked at from its start to its end."""
    used, there_were = machine_s()
    window = posted(rig, program, sink.url(), in_flight, messages, 2 * in_flight)
    used_then, there_were_then = machine_s()
    return {**window, "kept": window["rate"] * sink.delay.mean_s / in_flight,
            "machine": (used_then - used) / max(1, there_were_then - there_were)}


def little(rig, endpoint, far, options, limits, kept):
    count = options.in_flight[0] if options.in_flight else IN_FLIGHT
    messages = max(options.messages, 10 * count)
    for stretch in STRETCHES:
        with Far(rig, scaled(stretch)) as sink:
            results = by_turns({
                "worker": lambda _number: held(rig, endpoint, far, sink, count, messages),
                "client": lambda _number: bare(rig, rig.programs.client, sink, count, messages),
                "floor": lambda _number: bare(rig, rig.programs.floor, sink, count, messages),
            }, options.runs)
        title = f"{1e3 * LOW_S * stretch:.0f}-{1e3 * HIGH_S * stretch:.0f} ms"
        worker, floor = results["worker"], results["floor"]
        busy = median(worker, "machine")
        limits.at_least(f"{title}, part of Little's law, with {busy:.0%} of the machine busy (the floor "
                        f"has {median(floor, 'kept'):.2f})", median(worker, "kept"), LIMIT_LITTLE)
        for name, runs in results.items():
            kept[name][f"{count:,}\\n{title}"] = across(runs, "kept")
            yield [name, title, f"{count:,}", f"{count / sink.delay.mean_s:,.0f}",
                   spread(runs, "rate", "{:,.0f}"), spread(runs, "kept", "{:.2f}"),
                   f"{median(runs, 'us'):.1f}", f"{median(runs, 'machine'):.0%}", ""]


def many(rig, endpoint, far, options, limits, kept):
    counts = options.in_flight[1:] if options.in_flight else [FEW, MANY]
    pace = min(PACE, options.pace or PACE)
    sinks = {count: Far(rig, scaled(count / pace / scaled(1).mean_s)) for count in counts}

    def measure(count):
        return lambda _number: held(rig, endpoint, far, sinks[count], count,
                                    max(options.messages, 12 * count))

    results = by_turns({count: measure(count) for count in counts}, options.runs)
    few, most = results.values()
    for count, runs in results.items():
        for run in runs:
            run["each_kib"] = run["heap_kib"] / count
        kept["worker"][f"{count:,}\\nmean {sinks[count].delay.mean_s * 1e3:,.0f} ms"] = across(runs, "kept")
        yield ["worker", f"mean {sinks[count].delay.mean_s * 1e3:,.0f} ms", f"{count:,}", f"{pace:,}",
               spread(runs, "rate", "{:,.0f}"), spread(runs, "kept", "{:.2f}"),
               f"{median(runs, 'us'):.1f}", f"{median(runs, 'machine'):.0%}",
               spread(runs, "each_kib")]
    beside = ratio(most, few)
    yield [f"CPU of {counts[1]:,} beside {counts[0]}", "", "", "", "", "", str(beside), "", ""]
    limits.at_most(f"CPU of {counts[1]:,} in flight beside {counts[0]}", beside.middle, LIMIT_CPU)
    limits.at_most(f"memory of each of {counts[1]:,} in flight, KiB", median(most, "each_kib"),
                   LIMIT_KIB, "{:.1f}")


def plot(kept):
    """Of {program: {in flight and latencies: Ratio}}."""
    labels = list(kept["worker"])
    return bars("The rate beside Little's law, by number in flight and what the provider takes", "of the rate",
                labels, {name: [ratios.get(label) for label in labels] for name, ratios in kept.items()},
                limit=LIMIT_LITTLE)


def run(rig, options):
    limits, kept = Limits(), {"worker": {}, "client": {}, "floor": {}}
    _, endpoint = rig.queue("memory")
    far = farther(rig, endpoint.url, FAR_S)
    rows = [*little(rig, endpoint, far, options, limits, kept),
            *many(rig, endpoint, far, options, limits, kept)]
    head = ["program", "provider takes", "in flight at most", "rate by Little's law", "messages/s (low-high)",
            "part of it (low-high)", "CPU, us a message", "machine busy", "KiB each (low-high)"]
    made = [f"{options.runs} runs, medians; queue {FAR_S * 1e3:.0f} ms away, one worker process"]
    return Report(made, table(head, rows), limits.broken, {"benchmarks-latency.svg": plot(kept)})
