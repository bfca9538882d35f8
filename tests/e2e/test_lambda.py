"""`bunshin sink --as lambda`: a function that reads events of an SQS queue, and says which failed."""
import copy
import hashlib
import json

import pytest

from test_providers import Stage
from test_sink import ask, totals

SIGNED = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261127/us-east-2/lambda/aws4_request, "
                     "SignedHeaders=host;x-amz-date, Signature=" + 64 * "0",
    "X-Amz-Date": "20261127T080000Z", "Content-Type": "application/json"}
INVOKE = "/2015-03-31/functions/my-function/invocations"


def record(number, body="good morning"):
    """As AWS's documentation has it."""
    return {
        "messageId": f"{number:08d}-87a3-44ab-83d2-661975830a7d", "receiptHandle": "AQEBwJnKyrHigUMZj6",
        "body": body,
        "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1545082649183",
                       "SenderId": "AIDAIENQZJOLO23YVJ4VO",
                       "ApproximateFirstReceiveTimestamp": "1545082649185"},
        "messageAttributes": {
            "a": {"stringValue": "v", "stringListValues": [], "binaryListValues": [],
                  "dataType": "String"},
            "b": {"binaryValue": "AA==", "stringListValues": [], "binaryListValues": [],
                  "dataType": "Binary"}},
        "md5OfBody": hashlib.md5(body.encode()).hexdigest(), "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-2:123456789012:my-queue", "awsRegion": "us-east-2"}


def call(sink, *records, path="/", headers=SIGNED, body=None, method="POST"):
    text = json.dumps({"Records": records}) if body is None else body
    status, headers, answer = ask(sink, text, path, headers, method)
    return status, json.loads(answer), headers


def failures(*numbers):
    return {"batchItemFailures": [{"itemIdentifier": record(number)["messageId"]}
                                  for number in numbers]}


def test_what_fails_is_named(bunshin):
    sink = bunshin.sink("--as", "lambda")
    assert call(sink, record(1), record(2))[:2] == (200, failures())
    batch = [record(1, "dead0500-1"), record(2), record(3, '{"text":"DEAD0400"}'),
             record(4, "dead0500-1"), record(5, "dead0500-2")]
    assert call(sink, *batch)[:2] == (200, failures(1, 3, 5))
    assert call(sink, *batch)[:2] == (200, failures(3))
    assert call(sink, *batch, path=INVOKE)[:2] == (200, failures(3))
    counts = totals(sink)
    assert (counts["accepted"], counts["recipients"]) == (4, 2 + 2 + 4 + 4)


def test_what_the_batch_is_answered(bunshin):
    sink = bunshin.sink("--as", "lambda")
    status, body, headers = call(sink, record(1), record(2, "dead0429 1"))
    assert (status, headers["x-amzn-ErrorType"]) == (429, "TooManyRequestsException")
    assert headers["Retry-After"] == "1" and headers["x-amzn-RequestId"]
    status, body, _ = call(sink, record(1, "dead0502 1"))
    assert (status, body["Message"]) == (502, "Internal Server Error")
    status, body, headers = call(sink, record(1, "dead0502 2"), path=INVOKE)
    assert status == 200 and headers["X-Amz-Function-Error"] == "Unhandled" and body["errorMessage"]
    status, body, _ = call(sink, record(1, "dead0404 1"))
    assert status == 200 and body["batchItemFailures"][0]["itemIdentifier"].startswith("00000000-")
    for mark in "dead0429 1", "dead0502 1", "dead0502 2", "dead0404 1":
        assert call(sink, record(1, mark))[:2] == (200, failures())
    counts = totals(sink)
    assert (counts["accepted"], counts["failed"], counts["throttled"]) == (4, 4, 0)


@pytest.mark.parametrize("headers", [
    {}, {"Authorization": "Bearer t"},
    {**SIGNED, "Authorization": SIGNED["Authorization"].replace("/lambda/", "/execute-api/")},
    {**SIGNED, "Authorization": SIGNED["Authorization"][:-1]},
    {name: value for name, value in SIGNED.items() if name != "X-Amz-Date"}])
def test_without_a_signature(bunshin, headers):
    sink = bunshin.sink("--as", "lambda")
    for path, name in ("/", "Message"), (INVOKE, "message"):
        status, body, answered = call(sink, record(1), headers=headers, path=path)
        assert (status, body) == (403, {name: "Forbidden"})
        assert answered["x-amzn-ErrorType"] == "AccessDeniedException"
    assert totals(sink)["recipients"] == 0


def test_limits(bunshin):
    sink = bunshin.sink("--as", "lambda", "--rate", "2/h")
    status, body, headers = call(sink, body=json.dumps({"Records": [record(1)]}) + (6 << 20) * " ")
    assert (status, headers["x-amzn-ErrorType"]) == (413, "RequestTooLargeException")
    assert "6291456" in body["Message"]
    assert call(sink, record(1))[0] == 200
    status, body, headers = call(sink, record(1), path=INVOKE)
    assert (status, body) == (429, {"message": "Rate Exceeded."})
    assert headers["x-amzn-ErrorType"] == "TooManyRequestsException"
    assert totals(sink)["throttled"] == 1


def without(name):
    return lambda one: one.pop(name)


def with_member(name, value):
    return lambda one: one.update({name: value})


@pytest.mark.parametrize("change, why", [
    *[(without(name), f"Records[1].{name}: missing")
      for name in ("messageId", "receiptHandle", "body", "awsRegion", "messageAttributes")],
    (with_member("messageId", "m" * 101), "Records[1].messageId: longer than SQS makes them"),
    (with_member("receiptHandle", 1), "Records[1].receiptHandle: missing"),
    (with_member("eventSource", "aws:sns"), "Records[1].eventSource: is not aws:sqs"),
    (with_member("eventSourceARN", "my-queue"), "Records[1].eventSourceARN: is no ARN"),
    (with_member("body", "another"), "Records[1].md5OfBody: is not the body's"),
    *[(lambda one, name=name: one["attributes"].pop(name),
       f"Records[1].{name}: missing in its attributes") for name in record(1)["attributes"]],
    (lambda one: one["attributes"].update(SentTimestamp=1545082649183),
     "Records[1].SentTimestamp: missing in its attributes"),
    (lambda one: one["messageAttributes"]["a"].pop("stringListValues"),
     "Records[1].messageAttributes: one is not complete"),
    (lambda one: one["messageAttributes"]["b"].update(dataType="String"),
     "Records[1].messageAttributes: one is not complete"),
])
def test_a_record_that_is_not_complete(bunshin, change, why):
    sink = bunshin.sink("--as", "lambda")
    broken = copy.deepcopy(record(2))
    change(broken)
    status, body, _ = call(sink, record(1), broken)
    assert (status, body["errorMessage"]) == (502, why)
    status, body, headers = call(sink, record(1), broken, path=INVOKE)
    assert (status, headers["X-Amz-Function-Error"]) == (200, "Unhandled")
    assert body == {"errorType": "Error", "errorMessage": why}
    assert totals(sink)["accepted"] == 0


def test_what_is_no_event(bunshin):
    sink = bunshin.sink("--as", "lambda")
    for body in "", "{", "[]", "{}", '{"Records":{}}', '{"Records":[]}':
        assert call(sink, body=body)[1]["errorMessage"] == "Records: expected a list of 1 to 10000"
    assert call(sink, body='{"Records":[1]}')[1]["errorMessage"] == "Records[0].messageId: missing"
    assert call(sink, record(1), method="PUT")[0] == 502
    status, body, headers = call(sink, body="{", path=INVOKE)
    assert (status, headers["x-amzn-ErrorType"]) == (400, "InvalidRequestContentException")
    assert totals(sink)["accepted"] == 0


# conf/destinations/lambda.yaml


@pytest.mark.parametrize("path", ["/", INVOKE])
def test_the_destination_file(bunshin, path):
    """Who failed is tried again, alone or with others; who did not is not called for twice."""
    stage = Stage(bunshin, "lambda", "lambda", {})
    stage.environment["LAMBDA_URL"] = stage.sink.url + path
    stage.config.write_text(stage.config.read_text().replace("retry: {", "retry: {max_attempts: 7, "))
    good = [{"text": f"good {n}"} for n in range(12)]
    marked = [{"text": mark} for mark in ("dead0500 a", "dead0500 b", "dead0400", "dead0429",
                                          "dead0502", "dead0404")]
    found = stage.deliver(good + marked)
    assert [line["outcome"] for line in found[:12]] == 12 * ["accepted"]
    assert [line["outcome"] for line in found[12:]] == ["accepted", "accepted", "failed"] + 3 * ["accepted"]
    assert found[14]["attempts"] == 7
    assert stage.failed_bodies() == [marked[2]]
    counts = totals(stage.sink)
    assert counts["recipients"] == 17 and counts["throttled"] == 0
    events = [json.loads(record["body"])["Records"] for record in stage.sink.records()]
    assert max(map(len, events)) <= 10
    named = [one["messageId"] for records in events for one in records
             if "good" in one["body"]]
    assert len(set(named)) == 12
    assert {one["attributes"]["SenderId"] for records in events for one in records}


def test_invoke_says_what_the_function_said(bunshin):
    stage = Stage(bunshin, "lambda", "lambda", {})
    stage.environment["LAMBDA_URL"] = stage.sink.url + INVOKE
    event = bunshin.directory / "event.json"
    event.write_text(json.dumps({"Records": [record(1), record(2, "dead0400"),
                                             record(3, "dead0502"), record(4)]}))
    # queue.url is where the credentials are for; nothing is received from it.
    stage.config.write_text(stage.config.read_text().replace("queue:\n", f"queue:\n  url: {stage.url}\n"))
    result = bunshin.run("invoke", "-c", stage.config, event, env=stage.environment)
    assert result.exit == 75, result
    assert [line for line in result.out.splitlines() if line[:7] in ("outcome", "reason:")] == [
        "outcome: accepted", "reason: batchItemFailures has the message", "outcome: retry",
        "outcome: retry", "outcome: accepted"]
    assert "the function failed" in result.out
    sent = [json.loads(line["body"])["Records"] for line in stage.sink.records()]
    # As they were, but for the queue, which is the one of the configuration.
    for [one], number, body in zip(sent, (1, 2, 3, 4), ("good morning", "dead0400", "dead0502",
                                                        "good morning")):
        wanted = record(number, body)
        assert one.pop("eventSourceARN") == "arn:aws:sqs:us-east-1:000000000000:morning"
        assert one.pop("awsRegion") == "us-east-1"
        assert one == {name: value for name, value in wanted.items()
                       if name not in ("eventSourceARN", "awsRegion")}
