"""Requests for several: packed messages, gathered ones, and records, against played providers."""

import base64
import hashlib
import json
import uuid
from collections import Counter

import pytest

from harness import read_jsonl, wait_for
from test_providers import DESTINATIONS, LINE_TOKEN, line_id
from test_sink import totals

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "bunshin:recipients")
MULTICAST = {"SINK_URL": None, "LINE_MULTICAST_RATE": "1000/s", **LINE_TOKEN}


def key_of(text):
    """An idempotency key as a UUID."""
    try:
        return uuid.UUID(text)
    except ValueError:
        return uuid.uuid5(NAMESPACE, text)


def uuid_of(bytes_):
    return uuid.UUID(bytes=hashlib.sha1(NAMESPACE.bytes + bytes_).digest()[:16], version=5)


def batch_key(keys):
    return keys[0] if len(keys) == 1 else uuid_of(b"".join(key.bytes for key in keys))


class Stage:
    """A worker with a destination file between the embedded queue and a sink."""

    def __init__(self, bunshin, preset, provider, environment, *sink, edit=lambda text: text,
                 retry="{base: 100ms, cap: 1s}"):
        self.bunshin = bunshin
        self.sink = bunshin.sink("--as", provider, *sink)
        self.sqs = bunshin.queue().sqs()
        self.url = self.sqs.create_queue("morning", VisibilityTimeout=10)
        self.failures = self.sqs.create_queue("failures")
        self.environment = {"SINK_URL": self.sink.url, "FAILURE_URL": self.failures,
                            "LEDGER": str(bunshin.directory / "ledger"),
                            **{name: value for name, value in environment.items() if value}}
        self.config = bunshin.write_config(
            edit((DESTINATIONS / f"{preset}.yaml").read_text()) +
            "\nworkers: 1\nadmin: {listen: null}\nlog: {format: json, level: debug}\n"
            f"outcomes: {{path: {bunshin.directory}/outcomes}}\n"
            f"retry: {retry}\n")

    def start(self, *arguments):
        return self.bunshin.start("run", "-c", self.config, "--queue-url", self.url,
                                  *arguments, env=self.environment)

    def run(self):
        worker = self.start("--exit-when-empty")
        assert worker.wait() == 0, worker.describe()
        assert self.sqs.counts(self.url) == (0, 0, 0)
        return worker

    def outcomes(self, kills=0):
        """The records of each key. Each worker that is killed may leave one line torn."""
        found = {}
        for path in (self.bunshin.directory / "outcomes").glob("*.jsonl*"):
            for line in read_jsonl(path, torn=kills):
                if "outcome" in line:
                    found.setdefault(line["key"], []).append(line)
        return found

    def failed(self):
        """(body, attributes) of what is in the failure queue."""
        found = []
        while messages := self.sqs.receive(self.failures):
            for message in messages:
                found.append((json.loads(message["Body"]), message.get("MessageAttributes", {})))
                self.sqs.delete(self.failures, message["ReceiptHandle"])
        return found


def pack(sqs, url, ids, text="おはよう", keys=True, key=None):
    """One packed message; the keys of its recipients."""
    own = [uuid.uuid5(uuid.NAMESPACE_URL, one) for one in ids]
    attributes = {"IdempotencyKey": {"DataType": "String",
                                     "StringValue": key or str(batch_key(own))}}
    if keys:
        attributes["RecipientKeys"] = {
            "DataType": "Binary",
            "BinaryValue": base64.b64encode(b"".join(one.bytes for one in own)).decode()}
    else:
        own = [uuid.uuid5(key_of(key), one) for one in ids]
    sqs.call("SendMessage", QueueUrl=url, MessageBody=json.dumps({"to": ids, "text": text}),
             MessageAttributes=attributes)
    return {str(k): one for k, one in zip(own, ids)}


def single(sqs, url, ids, text="おはよう"):
    keys = {str(uuid.uuid5(uuid.NAMESPACE_URL, one)): one for one in ids}
    for key, one in keys.items():
        sqs.send(url, [json.dumps({"to": one, "text": text})], {"IdempotencyKey": key})
    return keys


def test_five_bad_ids_among_packed_and_gathered_messages(bunshin):
    stage = Stage(bunshin, "line-multicast", "line", MULTICAST, "--rate", "none")
    everybody = [line_id(n) for n in range(1200)]
    bad = [line_id(n, "dead0400") for n in range(5)]
    keys = {}
    # Two packed messages with two bad ones each, one of more than a request takes, and gathered
    # ones with another.
    keys |= pack(stage.sqs, stage.url, everybody[:50] + bad[:2] + everybody[50:100])
    keys |= pack(stage.sqs, stage.url, bad[2:4] + everybody[100:200], keys=False, key="order-7")
    keys |= pack(stage.sqs, stage.url, everybody[200:1100])
    keys |= single(stage.sqs, stage.url, everybody[1100:1150] + bad[4:] + everybody[1150:])
    worker = stage.run()

    found = stage.outcomes()
    assert set(found) == set(keys)
    for key, lines in found.items():
        outcome = "failed" if keys[key] in bad else "accepted"
        assert [line["outcome"] for line in lines] == [outcome], lines
        assert lines[0]["status"] == (400 if outcome == "failed" else 200)
    counts = totals(stage.sink)
    assert counts["recipients"] == 1200
    assert counts["conflicts"] == counts["throttled"] == 0
    # Some twenty requests for each bad one, a handful for the others.
    assert counts["requests"] < 150
    copies = stage.failed()
    listed = [one for body, _ in copies
              for one in (body["to"] if isinstance(body["to"], list) else [body["to"]])]
    assert Counter(listed) == Counter(bad)
    for body, attributes in copies:
        assert attributes["FailureReason"]["StringValue"] == "refused by the provider"
        if "RecipientKeys" in attributes:
            raw = base64.b64decode(attributes["RecipientKeys"]["BinaryValue"])
            assert raw == b"".join(uuid.uuid5(uuid.NAMESPACE_URL, one).bytes
                                   for one in body["to"])
    # The log names each by its key.
    named = [line["recipient_key"] for line in worker.log()
             if line.get("event") == "failed" and "recipient_key" in line]
    assert sorted(named) == sorted(key for key, one in keys.items() if one in bad[:4])


def test_what_was_throttled_comes_again_with_the_same_key(bunshin):
    stage = Stage(bunshin, "line-multicast", "line", MULTICAST, "--rate", "none")
    ids = [line_id(1), line_id(3, "dead0429"), line_id(4)]
    keys = pack(stage.sqs, stage.url, ids)
    stage.run()
    assert {key: [line["outcome"] for line in lines]
            for key, lines in stage.outcomes().items()} == {
                key: ["retrying", "accepted"] for key in keys}
    wait_for(lambda: len(stage.sink.records()) == 2, "two requests")
    records = stage.sink.records()
    sent = {record["headers"]["X-Line-Retry-Key"] for record in records}
    assert sent == {str(batch_key([uuid.UUID(key) for key in keys]))}


def test_killed_workers_lose_nothing_and_repeat_nothing_that_was_accepted(bunshin):
    stage = Stage(bunshin, "line-multicast", "line", MULTICAST, "--rate", "none",
                  edit=lambda text: text.replace("max: 500", "max: 20"))
    bad = line_id(7, "dead0400")
    keys = {}
    for n in range(10):
        ids = [line_id(n * 100 + i) for i in range(100)]
        keys |= pack(stage.sqs, stage.url, ids[:60] + ([bad] if n == 3 else []) + ids[60:])
    for _ in range(3):
        before = len(stage.sink.records())
        worker = stage.start()
        wait_for(lambda: len(stage.sink.records()) > before + 3 or
                 stage.sqs.counts(stage.url) == (0, 0, 0), "some requests")
        worker.kill()
    stage.run()
    accepted = Counter(one for record in stage.sink.records() if record["status"] == 200
                       for one in json.loads(record["body"])["to"])
    assert set(accepted) == {one for one in keys.values() if one != bad}
    # The sink knows keys of requests as LINE does: a repeated one is a conflict, not a message.
    counts = totals(stage.sink)
    assert counts["recipients"] == 1000, counts
    final = {key: {line["outcome"] for line in lines} for key, lines in stage.outcomes(kills=3).items()}
    for key, one in keys.items():
        assert "failed" in final[key] if one == bad else \
            {"accepted", "suppressed"} & final[key], (one, final[key])


@pytest.mark.parametrize("body, reason", [
    ('{"to":[],"text":"x"}', 'the field "to" of the message body, for the recipients, is an '
                             'empty list'),
    ('{"text":"x"}', 'the field "to" of the message body, for the recipients, is not there'),
    ("hello", 'the message body is not a JSON object, so it has no recipients in "to"'),
])
def test_what_has_no_recipients(bunshin, body, reason):
    stage = Stage(bunshin, "line-multicast", "line", MULTICAST)
    stage.sqs.send(stage.url, [body])
    stage.run()
    [[line]] = stage.outcomes().values()
    assert (line["outcome"], line["reason"]) == ("failed", reason)
    assert totals(stage.sink)["requests"] == 0


def test_invoke_sends_the_request_of_a_packed_message(bunshin):
    stage = Stage(bunshin, "line-multicast", "line", MULTICAST)
    event = bunshin.directory / "event.json"
    event.write_text(json.dumps({"to": [line_id(n) for n in range(501)], "text": "x"}))
    result = bunshin.run("invoke", "-c", stage.config, event, env=stage.environment)
    assert result.exit == 0, result
    [record] = wait_for(stage.sink.records, "the request")
    assert len(json.loads(record["body"])["to"]) == 500
    uuid.UUID(record["headers"]["X-Line-Retry-Key"])
    event.write_text(json.dumps({"to": [], "text": "x"}))
    result = bunshin.run("invoke", "-c", stage.config, event, env=stage.environment)
    assert result.exit == 1
    assert "is an empty list" in result.out


# Records


def test_a_function_of_lambda(bunshin):
    sink = bunshin.sink("--as", "lambda")
    stage = Stage(bunshin, "lambda", "lambda",
                  {"LAMBDA_URL": sink.url + "/", "LAMBDA_LINGER": "100ms", "LAMBDA_BATCH": "10",
                   "AWS_REGION": "us-east-1"})
    bodies = [f"message {n}" for n in range(40)] + ["dead0500:1", "dead0429:1", "dead0502:1",
                                                    "dead0404:1"]
    stage.sqs.send(stage.url, bodies, {"Campaign": "spring"})
    stage.run()
    found = stage.outcomes()
    assert len(found) == len(bodies)
    assert all(lines[-1]["outcome"] == "accepted" for lines in found.values())
    retried = [line for lines in found.values() for line in lines
               if line["outcome"] == "retrying"]
    assert "the answer says that it failed (batchItemFailures)" in \
        {line.get("reason") for line in retried}
    events = [json.loads(record["body"]) for record in sink.records()]
    assert max(len(event["Records"]) for event in events) == 10
    record = events[0]["Records"][0]
    assert record["eventSourceARN"] == "arn:aws:sqs:us-east-1:000000000000:morning"
    assert record["awsRegion"] == "us-east-1"
    assert record["messageAttributes"]["Campaign"]["stringValue"] == "spring"
    assert record["attributes"]["SenderId"]


def test_what_fails_for_good_in_a_function(bunshin):
    sink = bunshin.sink("--as", "lambda")
    stage = Stage(bunshin, "lambda", "lambda", {"LAMBDA_URL": sink.url + "/",
                                                "AWS_REGION": "us-east-1"},
                  retry="{max_attempts: 2, base: 100ms, cap: 1s}")
    stage.sqs.send(stage.url, ["fine", "dead0400:1"])
    stage.run()
    ends = {lines[-1]["outcome"]: lines[-1] for lines in stage.outcomes().values()}
    assert set(ends) == {"accepted", "failed"}
    assert ends["failed"]["reason"] == "attempts exhausted"
    assert ends["failed"]["attempts"] == 2


# The configuration


def check(bunshin, destination):
    path = bunshin.write_config({"destinations": [{"name": "d", **destination}]})
    return bunshin.run("check", "-c", path)


LIST = {"request": {"url": "http://127.0.0.1:9/", "body": '{"to":{{to}}}',
                    "headers": {"Content-Type": "application/json"}},
        "batch": {"max": 5, "field": "to"}}


def changed(**sections):
    return {**LIST, **{name: {**LIST.get(name, {}), **value} for name, value in sections.items()}}


@pytest.mark.parametrize("destination, message", [
    (changed(batch={"max": 1}), "batch.field: only with batch.max above 1"),
    (changed(batch={"field": None}), "batch.field: missing; batch.format list needs the field"),
    (changed(request={"body": None}), "request.body: missing; batch.format list needs one"),
    (changed(request={"body": '{"a":1}'}), "request.body: does not have {{to}} in it"),
    (changed(request={"body": '{"to":"{{to}}"}'}), "request.body: has {{to}} between quotes"),
    (changed(request={"body": '{"to":["{{{to}}}"]}'}), "request.body: has {{to}} between quotes"),
    (changed(request={"body": '{"to":{{to.0}}}'}), "request.body: has {{to.0}}: with batches"),
    (changed(request={"url": "http://127.0.0.1:9/{{to}}"}), "request.url: has {{to}}, which is"),
    (changed(request={"body": '{"to":{{to}},"id":"{{message_id}}"}'}),
     "request.body: has {{message_id}}, which each message has its own of"),
    (changed(request={"headers": {"X": "{{attributes.Note}}"}}),
     "request.headers: has {{attributes.Note}}"),
    (changed(request={"attribute_headers": "X-"}), "request.attribute_headers: not with batches"),
    (changed(batch={"format": "records"}), "batch.field: only with batch.format list"),
    (changed(batch={"format": "records", "field": None}),
     "request.body: not with batch.format records"),
    (changed(batch={"format": "records", "field": None},
             request={"body": None, "headers": {"X": "{{text}}"}}),
     "request.headers: has {{text}}, which each message has its own of: with batch.format"),
    (changed(batch={"max": 10001}), "batch.max: expected"),
    (changed(batch={"linger": "21s"}), "batch.linger: expected"),
])
def test_what_a_configuration_may_not_say(bunshin, destination, message):
    result = check(bunshin, destination)
    assert result.exit == 2
    assert message in result.err, result.err


def test_what_a_configuration_may_say(bunshin):
    assert check(bunshin, LIST).exit == 0
    assert check(bunshin, changed(request={
        "headers": {"X": "{{attributes.Campaign}} {{idempotency_key}} {{text}}"}})).exit == 0
    result = check(bunshin, LIST)
    assert 'field: "to"' in result.out
