"""
SQS requests a delivered message, one worker under load: one receive and one delete for ten
messages are 0.2. Beside the queue on this machine there is the same one 15 ms away, as SQS is.
"""
from figures import table
from speed.plot import bars
from speed.provider import Fixed, Provider, farther
from speed.report import Limits, Report, across, median, spread
from speed.rig import totals

LIMIT = 0.205
IN_FLIGHT = (64, 256, 1000)
FAR_S = 0.015
PACE = 6000


def measure(rig, endpoint, endpoint_url, options, in_flight, sink):
    queue_url = rig.filled(endpoint, options.messages)
    config = rig.config(queue_url, sink.url(), in_flight, queue={"endpoint": endpoint_url})
    with rig.worker(config, "--exit-when-empty") as worker:
        worker.wait()
    said = totals(worker, options.messages)
    return {"requests": said["sqs_requests"] / options.messages}


def run(rig, options):
    limits, rows, series = Limits(), [], {}
    _, endpoint = rig.queue("memory")
    far = farther(rig, endpoint.url, FAR_S)
    for in_flight in options.in_flight or IN_FLIGHT:
        for title, url in {"here": endpoint.url, f"{FAR_S * 1e3:.0f} ms away": far}.items():
            sink = rig.enter(Provider(rig, Fixed(round(in_flight / (options.pace or PACE), 3))))
            runs = [measure(rig, endpoint, url, options, in_flight, sink)
                    for _ in range(options.runs)]
            series.setdefault(f"queue {title}", []).append(across(runs, "requests"))
            rows.append([title, f"{in_flight:,}", spread(runs, "requests", "{:.4f}")])
            limits.at_most(f"SQS requests a message, queue {title}, {in_flight:,} in flight",
                           median(runs, "requests"), LIMIT, "{:.4f}")
    made = [f"{options.runs} runs of {options.messages:,} messages, medians; start and end included"]
    plot = bars("SQS requests a message", "requests",
                [f"{in_flight:,} in flight" for in_flight in options.in_flight or IN_FLIGHT], series,
                limit=LIMIT)
    return Report(made, table(["queue", "in flight", "SQS requests a message (low-high)"], rows),
                  limits.broken, {"benchmarks-cost.svg": plot})
