"""Message move tasks of the embedded queue, over HTTP and through kill -9."""

import json

import pytest

from harness import wait_for
from sqs_json import Client, Refused

ARN = "arn:aws:sqs:us-east-1:000000000000:"


def create_pair(sqs):
    """(failure queue, its source); one receive is allowed."""
    failures = sqs.create("failures")
    source = sqs.call("CreateQueue", QueueName="source", Attributes={
        "VisibilityTimeout": "0",
        "RedrivePolicy": json.dumps({"deadLetterTargetArn": ARN + "failures",
                                     "maxReceiveCount": 1})})["QueueUrl"]
    return failures, source


def fail(sqs, failures, source, count):
    """Messages that the redrive policy moves."""
    for start in range(0, count, 10):
        entries = [{"Id": str(i), "MessageBody": f"m{start + i}"}
                   for i in range(min(10, count - start))]
        sqs.call("SendMessageBatch", QueueUrl=source, Entries=entries)
    wait_for(lambda: not sqs.receive(source) and sqs.counts(failures)[0] == count, "dead letters")


def last_task(sqs):
    return sqs.call("ListMessageMoveTasks", SourceArn=ARN + "failures")["Results"][0]


def test_a_task_from_start_to_end(bunshin):
    sqs = Client(bunshin.queue().url)
    failures, source = create_pair(sqs)
    fail(sqs, failures, source, 25)
    assert sqs.call("ListDeadLetterSourceQueues", QueueUrl=failures) == {"queueUrls": [source]}
    handle = sqs.call("StartMessageMoveTask", SourceArn=ARN + "failures")["TaskHandle"]
    assert handle
    task = wait_for(lambda: last_task(sqs)["Status"] == "COMPLETED" and last_task(sqs), "the end")
    assert (task["ApproximateNumberOfMessagesMoved"], task["ApproximateNumberOfMessagesToMove"]) == (
        25, 25)
    assert "TaskHandle" not in task and isinstance(task["StartedTimestamp"], int)
    assert sqs.counts(failures) == (0, 0, 0)
    assert sqs.counts(source) == (25, 0, 0)
    sqs.close()


@pytest.mark.parametrize("operation, parameters, kind, status", [
    ("StartMessageMoveTask", {"SourceArn": ARN + "nope"}, "ResourceNotFoundException", 404),
    ("StartMessageMoveTask", {"SourceArn": ARN + "source"}, "InvalidParameterValueException", 400),
    ("StartMessageMoveTask", {}, "MissingRequiredParameterException", 400),
    ("StartMessageMoveTask", {"SourceArn": 7}, "SerializationException", 400),
    ("StartMessageMoveTask", {"SourceArn": ARN + "failures", "DestinationArn": ARN + "nope"},
     "ResourceNotFoundException", 404),
    ("ListMessageMoveTasks", {"SourceArn": "arn:x"}, "ResourceNotFoundException", 404),
    ("CancelMessageMoveTask", {"TaskHandle": "x"}, "InvalidParameterValueException", 400),
])
def test_refusals(bunshin, operation, parameters, kind, status):
    sqs = Client(bunshin.queue().url)
    create_pair(sqs)
    with pytest.raises(Refused) as refused:
        sqs.call(operation, **parameters)
    answer = refused.value.answer
    assert (answer.type.partition("#")[2], answer.status) == (kind, status)
    sqs.close()


def test_kill_9_in_the_middle_of_a_task(bunshin, tmp_path):
    """However often it dies, a message is in one queue, and the task goes on to its end."""
    count, directory = 60, tmp_path / "data"
    server = bunshin.queue("--data", directory)
    sqs = Client(server.url)
    failures, source = create_pair(sqs)
    fail(sqs, failures, source, count)
    sqs.call("StartMessageMoveTask", SourceArn=ARN + "failures", MaxNumberOfMessagesPerSecond=20)
    for threshold in (5, 20, 35):
        wait_for(lambda: last_task(sqs)["ApproximateNumberOfMessagesMoved"] >= threshold, "moves")
        sqs.close()
        server.kill()
        server = bunshin.queue("--data", directory)
        sqs = Client(server.url)
        moved = last_task(sqs)["ApproximateNumberOfMessagesMoved"]
        there = sqs.counts(f"{sqs.url}/000000000000/source")[0]
        assert there >= moved >= threshold
    wait_for(lambda: last_task(sqs)["Status"] == "COMPLETED", "the end")
    assert last_task(sqs)["ApproximateNumberOfMessagesMoved"] == count
    url = f"{sqs.url}/000000000000/source"
    sqs.call("SetQueueAttributes", QueueUrl=url, Attributes={"VisibilityTimeout": "600"})
    bodies = []
    while messages := sqs.receive(url):
        bodies += [message["Body"] for message in messages]
    assert sorted(bodies) == sorted(f"m{i}" for i in range(count))
    sqs.close()
