"""What others put around a message, and beside it: SNS, the extended client, traces."""

import json
import time

from harness import wait_for

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE_HEADER = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"


def notification(message, **attributes):
    """The body that a topic puts into a queue; attributes: name=(type, value)."""
    envelope = {
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": "arn:aws:sns:us-west-2:123456789012:MyTopic",
        "Message": message,
        "Timestamp": "2012-05-02T00:54:06.655Z",
        "SignatureVersion": "1",
        "Signature": "EXAMPLEw6JRNwm1LFQL4ICB0bnXrdB8ClRMTQFGBqwLpGbM78tJ4etTwC5zU7O3tS6tGpey3",
        "SigningCertURL": "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-f3.pem",
        "UnsubscribeURL": "https://sns.us-west-2.amazonaws.com/?Action=Unsubscribe",
    }
    if attributes:
        envelope["MessageAttributes"] = {
            name: {"Type": kind, "Value": value} for name, (kind, value) in attributes.items()}
    return json.dumps(envelope)


def pointer(bucket="extended-client-bucket", key="9cc30888-0e2e-40da-b594-c9ca2cd58722"):
    return json.dumps(["software.amazon.payloadoffloading.PayloadS3Pointer",
                       {"s3BucketName": bucket, "s3Key": key}])


def run_until_empty(bunshin, config):
    result = bunshin.run("run", "-c", config, "--exit-when-empty", "--json")
    assert result.exit == 0, result
    return json.loads(result.out.splitlines()[-1])


def recorded(sink, count):
    wait_for(lambda: len(sink.records()) >= count, "the provider's record")
    return sink.records()


def header(record, name):
    """The values of a header, in any case of its name."""
    return [value for key, value in record["headers"].items() if key.lower() == name.lower()]


def test_notification_arrives_unwrapped(bunshin):
    """Its attributes count: one is past its deadline, one names its destination, both a key."""
    queue, sink = bunshin.queue(), bunshin.sink()
    url = queue.sqs().create_queue("morning")
    now_ms = int(time.time() * 1000)
    queue.sqs().send(url, [
        notification(json.dumps({"to": "U1", "text": "おはよう \"Mei\"\n"}),
                     Deadline=("Number", str(now_ms + 3600_000)),
                     IdempotencyKey=("String", "order-17"),
                     Destination=("String", "second"),
                     interests=("String.Array", '["soccer", "rugby"]'),
                     picture=("Binary", "AP8i"),
                     traceparent=("String", TRACEPARENT)),
        notification("too late", Deadline=("Number", str(now_ms - 1000))),
        '{"to": "U2", "text": "no envelope"}',
    ])
    config = bunshin.write_config({
        "queue": {"url": url, "unwrap": "sns"},
        "destinations": [
            {"name": name, "request": {"url": f"{sink.url}/{name}/{{{{to}}}}",
                                       "headers": {"X-Key": "{{idempotency_key}}"},
                                       "body": "{{text}}"}} for name in ("first", "second")],
    })
    counts = run_until_empty(bunshin, config)
    assert (counts["accepted"], counts["expired"], counts["failed"]) == (2, 1, 0)
    records = {record["path"]: record for record in recorded(sink, 2)}
    assert set(records) == {"/second/U1", "/first/U2"}
    assert records["/second/U1"]["body"] == "おはよう \"Mei\"\n"
    assert header(records["/second/U1"], "X-Key") == ["order-17"]
    assert header(records["/second/U1"], "traceparent") == [TRACEPARENT]
    assert records["/first/U2"]["body"] == "no envelope"
    assert header(records["/first/U2"], "traceparent") == []


def test_without_unwrap_a_notification_stays(bunshin):
    queue, sink = bunshin.queue(), bunshin.sink()
    url = queue.sqs().create_queue("morning")
    body = notification("hello", Deadline=("Number", "1"))
    queue.sqs().send(url, [body])
    assert run_until_empty(bunshin, bunshin.config(url, sink.url))["accepted"] == 1
    assert [record["body"] for record in recorded(sink, 1)] == [body]


def test_what_cannot_be_unwrapped_goes_to_the_failure_queue(bunshin):
    """As it was received, with its reason; what was good beside it is delivered."""
    queue, sink = bunshin.queue(), bunshin.sink()
    sqs = queue.sqs()
    url, failed = sqs.create_queue("morning"), sqs.create_queue("morning-failed")
    broken = json.dumps({"Type": "Notification", "Subject": "no message"})
    inside = notification(pointer("b", "k"), ExtendedPayloadSize=("Number", "300000"))
    sqs.send(url, [notification("hello"), broken, inside])
    sqs.send(url, [pointer()], attributes={"SQSLargePayloadSize": "300000"})
    config = bunshin.config(url, sink.url, queue={"unwrap": "sns", "failure_url": failed})
    counts = run_until_empty(bunshin, config)
    assert (counts["accepted"], counts["failed"], counts["attempts"]) == (1, 3, 1)
    assert [record["body"] for record in recorded(sink, 1)] == ["hello"]
    reasons = {message["Body"]: message["MessageAttributes"]["FailureReason"]["StringValue"]
               for message in sqs.receive(failed)}
    s3 = "the body is in S3 (bucket {}, key {}): " \
         "messages of the SQS extended client are not supported"
    assert reasons == {
        broken: "the body is an SNS notification without a Message, or with an attribute, "
                "that SQS could hold",
        inside: s3.format("b", "k"),
        pointer(): s3.format("extended-client-bucket", "9cc30888-0e2e-40da-b594-c9ca2cd58722"),
    }


def test_a_trace_goes_on(bunshin):
    queue, sink = bunshin.queue(), bunshin.sink()
    sqs = queue.sqs()
    url = sqs.create_queue("morning")
    sqs.call("SendMessage", QueueUrl=url, MessageBody="traced",
             MessageAttributes={
                 "traceparent": {"DataType": "String", "StringValue": TRACEPARENT},
                 "tracestate": {"DataType": "String", "StringValue": "rojo=00f067aa0ba902b7"}},
             MessageSystemAttributes={
                 "AWSTraceHeader": {"DataType": "String", "StringValue": TRACE_HEADER}})
    sqs.send(url, ["odd"], attributes={"traceparent": TRACEPARENT.upper(), "tracestate": "é=1"})
    sqs.send(url, ["plain"])
    config = bunshin.config(url, sink.url, request={"headers": {"TraceState": "own=1"}})
    assert run_until_empty(bunshin, config)["accepted"] == 3
    records = {record["body"]: record for record in recorded(sink, 3)}
    names = ("X-Amzn-Trace-Id", "traceparent", "tracestate")
    assert [header(records["traced"], name) for name in names] == [
        [TRACE_HEADER], [TRACEPARENT], ["own=1"]]
    assert [header(records["odd"], name) for name in names] == [[], [], ["own=1"]]
    assert [header(records["plain"], name) for name in names] == [[], [], ["own=1"]]
