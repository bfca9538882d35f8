"""The admin port: what a worker says of itself while it delivers, waits, fails and stops."""

import json
import re
import signal
import socket

import pytest
from prometheus_client.parser import text_string_to_metric_families

from harness import ADMIN, wait_for


SINK = (("destination", "sink"),)


def samples(worker):
    """One scrape, read strictly: {(name, labels): value}; labels as sorted pairs."""
    status, content_type, text = worker.admin("/metrics")
    assert (status, content_type) == (200, "text/plain; version=0.0.4; charset=utf-8")
    found, names = {}, []
    for family in text_string_to_metric_families(text):
        assert family.documentation and family.type in ("counter", "gauge", "histogram"), family
        assert family.samples, family.name
        # As Prometheus wants names: base units, and _total for counters alone.
        assert not re.search("[A-Z]|milli|micro|nano|minute|hour|kilo|mega", family.name)
        assert (f"# TYPE {family.name}_total counter\n" in text) == (family.type == "counter")
        names.append(family.name)
        for sample in family.samples:
            key = sample.name, tuple(sorted(sample.labels.items()))
            assert key not in found, f"{key} twice"
            found[key] = sample.value
    assert len(names) == len(set(names)), names
    assert text.count("# TYPE ") == text.count("# HELP ") == len(names)
    check_histograms(found)
    return found


def check_histograms(found):
    """Every histogram's buckets are cumulative and end in its count."""
    series = {}
    for (name, labels), value in found.items():
        bounds = dict(labels)
        if name.endswith("_bucket"):
            bound = float(bounds.pop("le"))
            series.setdefault((name[:-7], tuple(bounds.items())), {})[bound] = value
    assert series
    for (name, labels), buckets in series.items():
        values = [buckets[bound] for bound in sorted(buckets)]
        assert values == sorted(values), (name, buckets)
        assert float("inf") in buckets
        assert found[name + "_count", labels] == buckets[float("inf")]
        assert found[name + "_sum", labels] >= 0


def outcome(found, name):
    return sum(value for (metric, labels), value in found.items()
               if metric == "bunshin_messages_total" and ("outcome", name) in labels)


def readiness(worker):
    """(status, {check: (health, detail)})"""
    status, content_type, text = worker.admin("/readyz")
    assert content_type == "application/json"
    value = json.loads(text)
    assert value["ready"] == (status == 200)
    checks = {check["name"]: (check["health"], check["detail"]) for check in value["checks"]}
    assert len(checks) == len(value["checks"])
    failed = [name for name, (health, _) in checks.items() if health == "failed"]
    assert value["ready"] == (not failed), value
    return status, checks


FINE = {"workers": ("ok", ""), "draining": ("ok", ""), "credentials": ("ok", ""), "queue": ("ok", ""),
        "deletes": ("ok", ""), "destinations": ("ok", ""),
        "control": ("ok", "")}


def bodies(count):
    return [f"message {number}" for number in range(count)]


def test_scrape_while_delivering(bunshin):
    """Every scrape is sound, counters only rise, and in the end they say what happened."""
    queue, sink = bunshin.queue(), bunshin.sink("--latency", "5-30")
    url = queue.sqs().create_queue("morning")
    queue.sqs().send(url, bodies(600), attributes={"Campaign": "sp\"ring\\ \u671d"})
    worker = bunshin.start("run", "-c", bunshin.config(
        url, sink.url, admin=ADMIN, destination={"concurrency": 8}))
    seen = []

    def all_accepted():
        seen.append(samples(worker))
        return outcome(seen[-1], "accepted") == 600

    wait_for(all_accepted, "all of them accepted")
    for earlier, later in zip(seen, seen[1:]):
        for key, value in earlier.items():
            if key[0].endswith(("_total", "_bucket", "_count", "_sum")):
                assert later[key] >= value, key
    last = seen[-1]
    assert last["bunshin_messages_received_total", ()] == 600
    assert last["bunshin_attempts_total", SINK] == 600
    assert last["bunshin_attempt_duration_seconds_count", SINK] == 600
    # 5 ms to 30 ms each, and whatever a busy machine adds.
    assert last["bunshin_attempt_duration_seconds_sum", SINK] >= 600 * 0.005
    assert last["bunshin_attempt_duration_seconds_bucket", (*SINK, ("le", "0.004096"))] == 0
    assert last["bunshin_campaign_messages_total",
                (("campaign", "sp\"ring\\ \u671d"), ("outcome", "accepted"))] == 600
    assert last["bunshin_breaker_open", SINK] == 0
    assert any(0 < outcome(found, "accepted") < 600 for found in seen), "never in the middle"
    assert readiness(worker) == (200, FINE)
    status, content_type, text = worker.admin("/healthz")
    assert (status, content_type) == (200, "application/json")
    assert json.loads(text) == {
        "ok": True, "checks": [{"name": "progress", "health": "ok", "detail": ""}]}
    assert "/metrics" in worker.admin("/")[2]
    assert worker.admin("/nothing")[0] == 404
    assert worker.terminate() == 0


def test_not_ready_while_the_queue_is_gone(bunshin):
    first = bunshin.queue("--data", bunshin.directory / "queue")
    url = first.sqs().create_queue("morning")
    sink = bunshin.sink()
    worker = bunshin.start("run", "-c", bunshin.config(url, sink.url, admin=ADMIN,
                                                       queue={"wait": "1s"}))
    wait_for(lambda: any(line["message"] == "receiving" for line in worker.log()), "a receive")
    assert readiness(worker) == (200, FINE)
    first.terminate()
    status, checks = wait_for(
        lambda: next((answer for answer in [readiness(worker)] if answer[0] != 200), None),
        "the queue's absence")
    assert status == 503 and checks["queue"][0] == "failed" and checks["queue"][1]
    assert checks["destinations"] == checks["draining"] == ("ok", "")
    assert worker.admin("/healthz")[0] == 200
    bunshin.start("queue", "--listen", f"127.0.0.1:{first.port}", "--data",
                  bunshin.directory / "queue", cls=type(first)).wait_until_listening()
    wait_for(lambda: readiness(worker) == (200, FINE), "the queue's return")
    assert worker.terminate() == 0


def test_open_breaker_degrades(bunshin):
    """By its name; the process is ready all the same, since other destinations may work."""
    queue, sink = bunshin.queue(), bunshin.sink("--fail", "100", "--status", "401")
    url = queue.sqs().create_queue("morning")
    queue.sqs().send(url, bodies(20))
    worker = bunshin.start("run", "-c", bunshin.config(url, sink.url, admin=ADMIN))
    wait_for(lambda: any("breaker opened" in line["message"] for line in worker.log()),
             "the breaker in the log")
    assert readiness(worker) == (200, {**FINE, "destinations": ("degraded", "breaker open: sink")})
    assert samples(worker)["bunshin_breaker_open", SINK] == 1
    assert worker.terminate() == 0


def test_not_ready_while_draining(bunshin):
    """The port answers until the end."""
    queue, sink = bunshin.queue(), bunshin.sink("--never")
    url = queue.sqs().create_queue("morning")
    queue.sqs().send(url, bodies(5))
    worker = bunshin.start("run", "-c", bunshin.config(
        url, sink.url, admin=ADMIN, destination={"timeout": "10m"}, drain={"grace": "1h"}))
    wait_for(lambda: samples(worker)["bunshin_messages_held", (("state", "sending"),)] == 5,
             "requests in flight")
    worker.signal(signal.SIGTERM)
    status, checks = wait_for(
        lambda: next((answer for answer in [readiness(worker)] if answer[0] != 200), None),
        "the drain")
    assert (status, checks["draining"]) == (
        503, ("failed", "stopping: what is in flight may finish"))
    assert samples(worker)["bunshin_messages_held", (("state", "sending"),)] == 5
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0


def test_port_in_use(bunshin):
    """The second worker says so, and delivers."""
    queue, sink = bunshin.queue(), bunshin.sink()
    url = queue.sqs().create_queue("morning")
    queue.sqs().send(url, bodies(3))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        worker = bunshin.start("run", "-c",
                               bunshin.config(url, sink.url, admin={"listen": listen}),
                               "--exit-when-empty", "--json")
        assert worker.wait() == 0
    [warning] = [line for line in worker.log() if "admin port" in line["message"]]
    assert (warning["level"], warning["address"]) == ("warn", listen)
    assert json.loads(worker.out().splitlines()[-1])["accepted"] == 3


def test_port_that_cannot_be_had(bunshin):
    """Another address than this machine's is a mistake, said at the start."""
    queue, sink = bunshin.queue(), bunshin.sink()
    url = queue.sqs().create_queue("morning")
    result = bunshin.run("run", "-c", bunshin.config(url, sink.url,
                                                     admin={"listen": "192.0.2.1:9797"}))
    assert result.exit == 1
    assert "admin.listen: cannot listen on 192.0.2.1:9797: Cannot assign" in result.err


@pytest.mark.parametrize("listen", ["unix:run/bunshin.sock", "9797", "localhost", "host:http"])
def test_address_that_is_none(bunshin, listen):
    path = bunshin.write_config({"admin": {"listen": listen}})
    result = bunshin.run("check", "-c", path)
    assert result.exit == 2
    assert "admin.listen: expected an address and a port (like 127.0.0.1:9797)" in result.err
