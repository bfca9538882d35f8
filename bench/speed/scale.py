"""
1 to 1,000 worker processes under one supervisor, on this machine, at the same queue: memory of all of
them when idle and after the load, CPU a message, messages a second.

The workers wait; then a campaign is sent through them, whose producer is on the same cores.
"""
import time

from figures import table
from speed.plot import lines
from speed.provider import Provider
from speed.report import Report, median, spread
from speed.rig import clock_of, memory_kib, wait_for

PROCESSES = (1, 2, 8, 64, 1000)
IN_FLIGHT = 400  # of all together, but each has at least LEAST
LEAST = 10
ONE_RECEIVER_FROM = 64
SETTLE_S = 3


def cpu_s(pids):
    return sum(clock_of(pid) for pid in pids) / 1e9


def measure(rig, endpoint, sink, processes, messages):
    queue_url = endpoint.create(rig.name("scale"), VisibilityTimeout="120")
    receivers = 1 if processes >= ONE_RECEIVER_FROM else "auto"
    config = rig.config(queue_url, sink.url(), max(LEAST, IN_FLIGHT // processes), workers=processes,
                        queue={"wait": "5s", "receivers": receivers},
                        log={"level": "info", "format": "json"})
    began = time.monotonic()
    with rig.worker(config) as workers:
        wait_for(lambda: workers.err().count('"receiving"') >= processes, "all receiving", 300, 0.1)
        ready = time.monotonic() - began
        time.sleep(SETTLE_S)
        pids = workers.family()
        idle, cpu = sum(map(memory_kib, pids)), cpu_s(pids)
        began = time.monotonic()
        with rig.producer(queue_url, messages) as producer:
            producer.wait(1800)
        wait_for(lambda: endpoint.left(queue_url) == 0, "an empty queue", 1800, 0.05)
        seconds = time.monotonic() - began
        return {"ready_s": ready, "idle_mib": idle / 1024, "rate": messages / seconds,
                "us": (cpu_s(pids) - cpu) * 1e6 / messages,
                "after_mib": sum(map(memory_kib, pids)) / 1024}


def run(rig, options):
    rows, curve = [], {"us": [], "idle_mib": []}
    _, endpoint = rig.queue("memory")
    with Provider(rig) as sink:
        for processes in options.processes or PROCESSES:
            runs = [measure(rig, endpoint, sink, processes, options.messages)
                    for _ in range(options.runs)]
            rows.append([f"{processes:,}", spread(runs, "ready_s"), spread(runs, "idle_mib"),
                         spread(runs, "after_mib"),
                         f"{1024 * median(runs, 'idle_mib') / processes:,.0f}", spread(runs, "us"),
                         spread(runs, "rate", "{:,.0f}")])
            for key, points in curve.items():
                points.append((processes, median(runs, key)))
    head = ["processes", "all receiving after, s", "idle, MiB", "after the load, MiB",
            "KiB each, idle", "CPU, us a message", "messages/s"]
    made = [f"{options.runs} runs of {options.messages:,} messages of 300 bytes, medians (low-high)"]
    plot = lines("Processes on one machine", ("processes", "CPU, us a message", "idle memory, MiB"),
                 {"CPU a message": (curve["us"], False), "idle memory": (curve["idle_mib"], True)},
                 log_x=True)
    return Report(made, table(head, rows), [], {"benchmarks-scale.svg": plot})
