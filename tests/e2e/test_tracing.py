"""Traces: what goes on to the provider, the spans that a collector gets, and one that misbehaves."""

import json
import re
import signal
import time
from collections import Counter

import pytest

from harness import ADMIN, refusing_socket, wait_for
from otlp_collector import CLOSE, HANG, Collector

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED, NOT_SAMPLED = f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00"
XRAY_ROOT = "Root=1-5759e988-bd862e3fe1be46a994272793"
XRAY_TRACE, XRAY_PARENT = "5759e988bd862e3fe1be46a994272793", "53995c3f42cd8ad8"
XRAY = f"{XRAY_ROOT};Parent={XRAY_PARENT};Sampled=1"


def run_until_empty(bunshin, config):
    result = bunshin.run("run", "-c", config, "--exit-when-empty", "--json")
    assert result.exit == 0, result
    return json.loads(result.out.splitlines()[-1])


def tracing(collector, **options):
    return {"endpoint": collector.url, "interval": "100ms", **options}


def header(record, name):
    """The values of a header, in any case of its name."""
    return [value for key, value in record["headers"].items() if key.lower() == name.lower()]


def send(sqs, url, body, xray=None, **attributes):
    """One message; attributes are message attributes, texts."""
    extra = {}
    if xray:
        extra["MessageSystemAttributes"] = {
            "AWSTraceHeader": {"DataType": "String", "StringValue": xray}}
    if attributes:
        extra["MessageAttributes"] = {name: {"DataType": "String", "StringValue": value}
                                      for name, value in attributes.items()}
    return sqs.call("SendMessage", QueueUrl=url, MessageBody=body, **extra)["MessageId"]


def metric(text, name, labels=""):
    match = re.search(f"^{re.escape(name + labels)} ([0-9.e+]+)$", text, re.M)
    return float(match[1]) if match else None


def dropped(text, reason):
    return metric(text, "bunshin_trace_spans_dropped_total", f'{{reason="{reason}"}}')


def test_a_span_of_each_message(bunshin):
    """Sample 1: one span each, by the conventions; the provider hangs below it."""
    queue, sink = bunshin.queue(), bunshin.sink()
    sqs = queue.sqs()
    url = sqs.create_queue("morning")
    plain = send(sqs, url, "plain", Campaign="spring")
    parented = send(sqs, url, "parented", traceparent=SAMPLED, tracestate="rojo=1")
    xrayed = send(sqs, url, "xrayed", xray=XRAY)
    both = send(sqs, url, "both", xray=XRAY, traceparent=SAMPLED)
    left = send(sqs, url, "left alone", traceparent=NOT_SAMPLED)
    sqs.send(url, [f"more {number}" for number in range(195)])
    with Collector(prefix="/otlp") as collector:
        config = bunshin.config(url, sink.url, tracing={
            "endpoint": collector.url + "/otlp/", "sample": 1, "interval": "100ms", "batch": 50,
            "headers": {"X-Token": "s3cr3t-of-the-collector"}, "service_name": "morning-workers",
            "resource": {"deployment.environment.name": "tést \"1\""}})
        assert run_until_empty(bunshin, config)["accepted"] == 200
        assert collector.problems == []
        spans = {span.attributes["messaging.message.id"]: span for span in collector.spans}
        assert len(spans) == len(collector.spans) == 199
        assert left not in spans
        assert max(collector.batches) <= 50
        assert {request["X-Token"] for request in collector.requests} == {
            "s3cr3t-of-the-collector"}
    assert len({span.span_id for span in spans.values()}) == 199
    for span in spans.values():
        check_span(span, url, queue, sink)
    assert spans[plain].attributes["bunshin.campaign"] == "spring"
    assert spans[plain].parent_id is None and spans[plain].value["flags"] == 0x003
    assert (spans[parented].trace_id, spans[parented].parent_id) == (TRACE, PARENT)
    assert spans[parented].value["traceState"] == "rojo=1"
    assert spans[parented].value["flags"] == 0x301
    assert (spans[xrayed].trace_id, spans[xrayed].parent_id) == (XRAY_TRACE, XRAY_PARENT)
    assert spans[both].trace_id == TRACE
    wait_for(lambda: len(sink.records()) >= 200, "the provider's record")
    records = {record["body"]: record for record in sink.records()}
    names = ("traceparent", "tracestate", "X-Amzn-Trace-Id")

    def ours(span, flags):
        return f"00-{span.trace_id}-{span.span_id}-{flags}"

    assert [header(records["plain"], name) for name in names] == [
        [ours(spans[plain], "03")], [], []]
    assert [header(records["parented"], name) for name in names] == [
        [ours(spans[parented], "01")], ["rojo=1"], []]
    assert [header(records["xrayed"], name) for name in names] == [
        [ours(spans[xrayed], "01")], [],
        [f"{XRAY_ROOT};Parent={spans[xrayed].span_id};Sampled=1"]]
    assert [header(records["both"], name) for name in names] == [
        [ours(spans[both], "01")], [], [XRAY]]
    assert [header(records["left alone"], name) for name in names] == [[NOT_SAMPLED], [], []]


def check_span(span, url, queue, sink):
    attributes = span.attributes
    assert span.value["name"] == "process morning" and span.value["kind"] == 5
    assert span.status == {}
    assert span.resource["service.name"] == "morning-workers"
    assert span.resource["deployment.environment.name"] == "tést \"1\""
    assert span.resource["service.instance.id"].startswith(span.resource["host.name"] + ":")
    assert {name: attributes[name] for name in attributes if name not in (
        "messaging.message.id", "messaging.message.body.size", "bunshin.queue_wait_ms",
        "bunshin.campaign")} == {
            "messaging.system": "aws_sqs", "messaging.operation.name": "process",
            "messaging.operation.type": "process", "messaging.destination.name": "morning",
            "aws.sqs.queue.url": url, "server.address": "127.0.0.1", "server.port": queue.port,
            "http.response.status_code": 200, "bunshin.outcome": "accepted",
            "bunshin.settled": "deleted", "bunshin.destination": "sink",
            "bunshin.receive_count": 1}
    assert attributes["bunshin.queue_wait_ms"] >= 0
    (name, at, event), = span.events
    assert name == "attempt"
    assert event.pop("bunshin.duration_ms") > 0
    event.pop("bunshin.request_id", None)
    assert event == {"server.address": "127.0.0.1", "server.port": sink.port,
                     "http.response.status_code": 200}
    now = time.time_ns()
    assert now - 600e9 < span.start <= at <= span.end < now + 60e9


def test_every_outcome(bunshin):
    """Retries are spans of one trace; failures say why; what nothing came of has no span."""
    queue, sink = bunshin.queue(), bunshin.sink("--status", "503")
    sqs = queue.sqs()
    url, failed = sqs.create_queue("morning"), sqs.create_queue("morning-failed")
    now_ms = int(time.time() * 1000)
    retried = send(sqs, url, "{}")
    hopeless = send(sqs, url, "{}", Destination="nowhere", xray=XRAY)
    expired = send(sqs, url, "{}", Deadline="2020-01-01T00:00:00Z")
    refused = send(sqs, url, "{}", Destination="refusing")
    send(sqs, url, "{}", NotBefore="2090-01-01T00:00:00Z")
    with refusing_socket() as nobody, Collector() as collector:
        value = {
            "queue": {"url": url, "failure_url": failed},
            "destinations": [
                {"name": "sink", "request": {"url": f"{sink.url}/push"}},
                {"name": "refusing",
                 "request": {"url": f"http://127.0.0.1:{nobody.getsockname()[1]}/"},
                 "retry": {"max_attempts": 1}}],
            "retry": {"max_attempts": 3, "base": "100ms", "cap": "1s"},
            "tracing": tracing(collector, sample=1), "admin": ADMIN}
        worker = bunshin.start("run", "-c", bunshin.write_config(value))
        wait_for(lambda: len(collector.spans) >= 6, "six spans")
        assert worker.terminate() == 0
        assert collector.problems == []
        spans = {}
        for span in collector.spans:
            spans.setdefault(span.attributes["messaging.message.id"], []).append(span)
    assert {key: sorted(span.outcome for span in found) for key, found in spans.items()} == {
        retried: ["failed", "retried", "retried"], hopeless: ["failed"], expired: ["expired"],
        refused: ["failed"]}
    three = sorted(spans[retried], key=lambda span: span.start)
    assert len({span.trace_id for span in three}) == 1
    assert len({span.span_id for span in three}) == 3
    assert [span.attributes["bunshin.receive_count"] for span in three] == [1, 2, 3]
    assert [span.attributes["bunshin.settled"] for span in three] == [
        "returned", "returned", "deleted"]
    for span in three:
        assert span.attributes["http.response.status_code"] == 503
        assert span.attributes["error.type"] == "503"
        assert span.events[0][2]["error.type"] == "503"
    assert three[0].status == {"message": "the provider answered 503", "code": 2}
    assert three[2].status == {"message": "attempts exhausted", "code": 2}
    wait_for(lambda: len(sink.records()) >= 3, "the provider's record")
    assert [header(record, "traceparent") for record in sink.records()] == [
        [f"00-{span.trace_id}-{span.span_id}-03"] for span in three]
    copies = {copy["Attributes"].get("AWSTraceHeader") for copy in sqs.receive(failed)}
    assert copies == {None, XRAY}
    span, = spans[hopeless]
    assert span.trace_id == XRAY_TRACE and span.events == [] and span.status["code"] == 2
    assert span.status["message"] == 'attribute Destination: no destination "nowhere"'
    span, = spans[expired]
    assert span.status == {"message": "past its deadline", "code": 2}
    assert span.events == [] and span.attributes["error.type"] == "expired"
    span, = spans[refused]
    assert span.attributes["error.type"] == "ERR_CONNECT"
    assert span.events[0][2]["bunshin.error_class"] == "transient"
    assert "http.response.status_code" not in span.attributes
    assert now_ms * 10**6 - 60e9 < span.start


def test_a_share(bunshin):
    """A tenth, chosen by the trace id; the flags of a context decide whatever the share is."""
    queue, sink = bunshin.queue(), bunshin.sink()
    sqs = queue.sqs()
    url = sqs.create_queue("morning")
    sqs.send(url, [str(number) for number in range(1000)])
    sqs.send(url, ["yes"] * 10, attributes={"traceparent": SAMPLED})
    sqs.send(url, ["no"] * 10, attributes={"traceparent": NOT_SAMPLED})
    with Collector() as collector:
        config = bunshin.config(url, sink.url, workers=2, tracing=tracing(collector, sample=0.1))
        assert run_until_empty(bunshin, config)["accepted"] == 1020
        assert collector.problems == []
        decided = [span.parent_id for span in collector.spans if span.trace_id == TRACE]
        assert decided == [PARENT] * 10
        chosen = [span for span in collector.spans if span.trace_id != TRACE]
        assert 50 <= len(chosen) <= 150
        for span in chosen:
            assert int(span.trace_id[-14:], 16) >= 0.9 * 2**56


def test_off(bunshin):
    """Nothing is sent anywhere without an endpoint; contexts go on, bad ones do not."""
    queue, sink = bunshin.queue(), bunshin.sink()
    sqs = queue.sqs()
    url = sqs.create_queue("morning")
    send(sqs, url, "good", traceparent=SAMPLED, tracestate="a=1", xray=XRAY)
    for index, bad in enumerate([SAMPLED.upper(), SAMPLED + "-", "00", "ff" + SAMPLED[2:],
                                 f"00-{'0' * 32}-{PARENT}-01", SAMPLED + "\r\nX-Evil: 1"]):
        send(sqs, url, f"bad {index}", traceparent=bad, tracestate="a=1", xray="Root=1-2-3")
    send(sqs, url, "private", traceparent=SAMPLED, Destination="quiet")
    with Collector() as collector:
        config = bunshin.write_config({
            "queue": {"url": url}, "admin": ADMIN,
            "destinations": [
                {"name": "sink", "request": {"url": sink.url}},
                {"name": "quiet", "trace": "none", "request": {"url": sink.url}}],
            "tracing": {"endpoint": None, "sample": 1}})
        worker = bunshin.start("run", "-c", config)
        wait_for(lambda: len(sink.records()) >= 8, "the provider's record")
        _, _, text = worker.admin("/metrics")
        assert worker.terminate() == 0
        assert collector.requests == []
    assert metric(text, "bunshin_trace_contexts_invalid_total") == 12
    assert metric(text, "bunshin_trace_spans_exported_total") is None
    names = ("traceparent", "tracestate", "X-Amzn-Trace-Id", "X-Evil")
    for record in sink.records():
        expected = [[], [], [], []]
        if record["body"] == "good":
            expected = [[SAMPLED], ["a=1"], [XRAY], []]
        assert [header(record, name) for name in names] == expected, record["body"]


# What a collector may do: the answer to its n-th request.
TROUBLES = {
    "hang": lambda count: HANG,
    "close": lambda count: CLOSE,
    "full": lambda count: (429, {"Retry-After": "3600"}, ""),
    "refuse": lambda count: (400, {}, "no"),
}


@pytest.mark.parametrize("trouble", [*TROUBLES, "down"])
def test_a_collector_in_trouble(bunshin, trouble):
    """Every message is delivered while the collector takes nothing; what is lost is counted."""
    queue, sink = bunshin.queue(), bunshin.sink()
    url = queue.sqs().create_queue("morning")
    queue.sqs().send(url, [str(number) for number in range(500)])
    with refusing_socket() as nobody, Collector(TROUBLES.get(trouble)) as collector:
        options = tracing(collector, sample=1, batch=100, queue="64KiB", timeout="1m")
        if trouble == "down":
            options["endpoint"] = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        worker = bunshin.start(
            "run", "-c", bunshin.config(url, sink.url, tracing=options, admin=ADMIN))
        wait_for(lambda: len(sink.records()) >= 500, "all deliveries")
        wait_for(lambda: queue.sqs().counts(url) == (0, 0, 0), "all deletes")

        def all_counted():
            text = worker.admin("/metrics")[2]
            waiting = metric(text, "bunshin_trace_waiting_bytes")
            lost = sum(dropped(text, reason) for reason in ("queue_full", "refused"))
            return text if (lost == 500 if trouble == "refuse" else lost > 400 and waiting) else None

        text = wait_for(all_counted, "the spans that were dropped")
        assert metric(text, "bunshin_trace_spans_exported_total") == 0
        assert metric(text, "bunshin_trace_waiting_bytes") <= 65536
        assert collector.spans == [] and collector.problems == []
        assert worker.terminate() == 0
        warnings = [line for line in worker.log()
                    if line["message"].startswith("spans cannot be sent")]
        assert len(warnings) == (0 if trouble == "hang" else 1)
    assert Counter(record["body"] for record in sink.records()).most_common(1)[0][1] == 1


def test_a_collector_that_recovers(bunshin):
    """What waited arrives once: the same batch again after Retry-After, and part of one refused."""
    answers = [(503, {"Retry-After": "1"}, ""), (200, {}, "{}"),
               (200, {}, '{"partialSuccess": {"rejectedSpans": "5", "errorMessage": "odd"}}')]
    queue, sink = bunshin.queue(), bunshin.sink()
    url = queue.sqs().create_queue("morning")
    queue.sqs().send(url, [str(number) for number in range(20)])
    with Collector(lambda count: answers[min(count, 2)]) as collector:
        config = bunshin.config(url, sink.url, admin=ADMIN,
                                tracing=tracing(collector, sample=1, batch=10))
        worker = bunshin.start("run", "-c", config)
        wait_for(lambda: len(collector.spans) >= 20, "twenty spans")
        assert len({span.span_id for span in collector.spans}) == 20

        def counted():
            text = worker.admin("/metrics")[2]
            return text if dropped(text, "refused") else None

        text = wait_for(counted, "the refused spans")
        assert dropped(text, "refused") == 5 * (len(collector.batches) - 1)
        assert metric(text, "bunshin_trace_spans_exported_total") == 20 - dropped(text, "refused")
        assert metric(text, "bunshin_trace_requests_failed_total") == 1
        assert worker.terminate() == 0
        assert collector.problems == []


def test_a_reload(bunshin):
    """What the old generation has is sent as it stops, what comes later to the new collector."""
    queue, sink = bunshin.queue(), bunshin.sink()
    url = queue.sqs().create_queue("morning")

    def deliver(total):
        queue.sqs().send(url, [str(number) for number in range(50)])
        wait_for(lambda: len(sink.records()) >= total, "the deliveries")
        wait_for(lambda: queue.sqs().counts(url) == (0, 0, 0), "the deletes")

    def write(collector):
        return bunshin.config(url, sink.url, workers=2, tracing={
            "endpoint": collector.url, "sample": 1, "interval": "10m"})

    with Collector() as old, Collector() as new:
        worker = bunshin.start("run", "-c", write(old))
        deliver(50)
        assert old.spans == []
        write(new)
        worker.signal(signal.SIGHUP)
        wait_for(lambda: len(old.spans) >= 50, "the spans of the old generation")
        deliver(100)
        assert worker.terminate() == 0
        assert len(old.spans) == len(new.spans) == 50
        assert old.problems == new.problems == []


def test_a_campaign_in_a_trace(bunshin):
    """`campaign send --traceparent`: all of it one trace, which the worker's spans belong to."""
    queue, sink = bunshin.queue(), bunshin.sink()
    url = queue.sqs().create_queue("morning")
    recipients = bunshin.directory / "list.csv"
    recipients.write_text("to\nU1\nU2\n", encoding="utf-8")
    for text in "", "00", SAMPLED.upper():
        result = bunshin.run("campaign", "send", "--queue-url", url, "--recipients", recipients,
                             "--traceparent", text)
        assert result.exit == 2 and "--traceparent: no W3C trace context" in result.err
    result = bunshin.run("campaign", "send", "--queue-url", url, "--recipients", recipients,
                         "--traceparent", SAMPLED)
    assert result.exit == 0, result
    with Collector() as collector:
        config = bunshin.config(url, sink.url, tracing=tracing(collector, sample=0))
        assert run_until_empty(bunshin, config)["accepted"] == 2
        assert [(span.trace_id, span.parent_id) for span in collector.spans] == [
            (TRACE, PARENT)] * 2
