"""Receiving, visibility, dead letters, move tasks, through clients that are not ours (clients.py)."""

import time

import pytest

from harness import wait_for

INVALID_VALUE = (400, "InvalidParameterValue")
INVALID_HANDLE = (404, "ReceiptHandleIsInvalid")
NOT_FOUND = (404, "ResourceNotFoundException")


def test_a_message_is_received_until_it_is_deleted(client):
    url = client.create()
    sent = client.send(url, "a")
    first = client.receive_one(url)
    assert first["MessageId"] == sent["MessageId"]
    assert client.receive(url) == [] and client.counts(url) == (0, 1, 0)
    client.release(url, first)
    assert client.counts(url) == (1, 0, 0)
    second = client.receive_one(url)
    assert second["MessageId"] == first["MessageId"]
    assert second["ReceiptHandle"] != first["ReceiptHandle"]
    assert [message["Attributes"]["ApproximateReceiveCount"] for message in (first, second)] == [
        "1", "2"]
    for name in "SentTimestamp", "ApproximateFirstReceiveTimestamp", "SenderId":
        assert first["Attributes"][name] == second["Attributes"][name]
    client.delete(url, second)
    client.delete(url, second)  # once more is no error
    assert client.counts(url) == (0, 0, 0)


def test_receipt_handles(client):
    url = client.create()
    client.send(url, "a")
    old = client.receive_one(url, VisibilityTimeout=0)
    message = client.receive_one(url)
    client.delete(url, old)  # SQS says yes to an old handle
    garbage = {"QueueUrl": url, "ReceiptHandle": "garbage <&>"}
    assert client.refusal("DeleteMessage", **garbage) == INVALID_HANDLE
    assert client.refusal("ChangeMessageVisibility", VisibilityTimeout=1,
                          **garbage) == INVALID_HANDLE
    handle = {"QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"]}
    client.release(url, message)
    client.call("ChangeMessageVisibility", VisibilityTimeout=30, **handle)
    assert client.counts(url) == (0, 1, 0)  # nobody else received it: it is hidden again
    client.delete(url, message)
    assert client.refusal("ChangeMessageVisibility", VisibilityTimeout=1,
                          **handle) == INVALID_VALUE


def test_batches_of_which_some_entries_fail(client):
    url = client.create()
    client.send_batch(url, "a", "b", "c")
    a, b, c = (message["ReceiptHandle"] for message in client.receive(url))
    output = client.call("ChangeMessageVisibilityBatch", QueueUrl=url, Entries=[
        {"Id": "good", "ReceiptHandle": a, "VisibilityTimeout": 0},
        {"Id": "garbage", "ReceiptHandle": "garbage", "VisibilityTimeout": 0},
        {"Id": "long", "ReceiptHandle": b, "VisibilityTimeout": 43201}])
    assert output["Successful"] == [{"Id": "good"}]
    assert {entry["Id"]: (entry["Code"], entry["SenderFault"]) for entry in output["Failed"]} == {
        "garbage": ("ReceiptHandleIsInvalid", True), "long": ("InvalidParameterValue", True)}
    assert client.counts(url) == (1, 2, 0)
    output = client.call("DeleteMessageBatch", QueueUrl=url, Entries=[
        {"Id": "1", "ReceiptHandle": b}, {"Id": "2", "ReceiptHandle": "garbage"},
        {"Id": "3", "ReceiptHandle": c}])
    assert [entry["Id"] for entry in output["Successful"]] == ["1", "3"]
    (failed,) = output["Failed"]
    assert (failed["Id"], failed["Code"], failed["SenderFault"]) == (
        "2", "ReceiptHandleIsInvalid", True)
    assert client.counts(url) == (1, 0, 0)
    output = client.call("DeleteMessageBatch", QueueUrl=url, Entries=[
        {"Id": str(number), "ReceiptHandle": "garbage"} for number in range(10)])
    assert "Successful" not in output and len(output["Failed"]) == 10


def test_visibility_timeouts(client):
    """The queue's, a receive's, a change's; 12 hours from the receive at most."""
    url = client.create(VisibilityTimeout=0)
    client.send(url, "a")
    assert client.receive_one(url)["Body"] == "a"
    held = client.receive_one(url, VisibilityTimeout=43200)
    assert client.receive(url) == []
    time.sleep(1.1)  # of the 12 hours, so that 12 more are too many
    for seconds in 43201, 43200, -1:
        assert client.refusal("ChangeMessageVisibility", QueueUrl=url, VisibilityTimeout=seconds,
                              ReceiptHandle=held["ReceiptHandle"]) == INVALID_VALUE
    client.change_visibility(url, held, 43000)
    assert client.counts(url) == (0, 1, 0)
    client.change_visibility(url, held, 0)
    assert client.receive_one(url, VisibilityTimeout=43200)["MessageId"] == held["MessageId"]


def test_parameters_of_a_receive_that_are_refused(client):
    url = client.create()
    for parameters in ({"MaxNumberOfMessages": 0}, {"MaxNumberOfMessages": 11},
                       {"WaitTimeSeconds": 21}, {"WaitTimeSeconds": -1},
                       {"VisibilityTimeout": 43201}, {"VisibilityTimeout": -1}):
        assert client.refusal("ReceiveMessage", QueueUrl=url, **parameters) == INVALID_VALUE


def test_how_many_are_received(client):
    url = client.create()
    client.send_batch(url, *"abcdefghij")
    client.send_batch(url, *"klmno")
    assert len(client.call("ReceiveMessage", QueueUrl=url)["Messages"]) == 1
    assert len(client.receive(url, MaxNumberOfMessages=3)) == 3
    assert len(client.receive(url)) == 10
    assert len(client.receive(url)) == 1
    assert client.counts(url) == (0, 15, 0)


def woken(client, start, poll):
    """
    What a long poll of 20 s brings that `start` wakes in time: another one, begun earlier on a queue
    in which nothing happens, is still waiting then.
    """
    silent = client.create()
    other = client.begin("ReceiveMessage", QueueUrl=silent, WaitTimeSeconds=20)
    client.attributes(silent)  # meanwhile the poll gets under way
    waiting = client.begin("ReceiveMessage", WaitTimeSeconds=20, **poll)
    start()
    messages = waiting.result()["Messages"]
    assert not other.done()
    client.send(silent, "end")
    assert other.result()["Messages"][0]["Body"] == "end"
    return [message["Body"] for message in messages]


def test_a_long_poll_is_woken_by_an_arrival(client):
    url = client.create()
    assert woken(client, lambda: client.send(url, "a"), {"QueueUrl": url}) == ["a"]


def test_a_long_poll_is_woken_by_the_end_of_a_delay(client):
    url = client.create()
    client.send(url, "a", DelaySeconds=2)
    assert woken(client, lambda: None, {"QueueUrl": url}) == ["a"]


def test_a_long_poll_is_woken_by_the_end_of_a_visibility_timeout(client):
    url = client.create()
    client.send_batch(url, "a", "b")
    for message in client.receive(url, VisibilityTimeout=600):
        client.change_visibility(url, message, 2)
        assert woken(client, lambda: None, {"QueueUrl": url}) == [message["Body"]]


def test_a_queue_may_wait_by_itself(client):
    """Its ReceiveMessageWaitTimeSeconds holds where a receive says nothing; 0 does not wait."""
    url = client.create(ReceiveMessageWaitTimeSeconds=20)
    assert client.receive(url, WaitTimeSeconds=0) == []
    waiting = client.begin("ReceiveMessage", QueueUrl=url)
    client.send(url, "a")
    assert waiting.result()["Messages"][0]["Body"] == "a"


def test_polls_that_wait_share_what_comes(client):
    url = client.create()
    polls = [client.begin("ReceiveMessage", QueueUrl=url, WaitTimeSeconds=20,
                          MaxNumberOfMessages=10) for _ in range(2)]
    client.send(url, "a")
    wait_for(lambda: any(poll.done() for poll in polls), "the first message")
    client.send(url, "b")
    received = [poll.result()["Messages"] for poll in polls]
    assert sorted(message["Body"] for (message,) in received) == ["a", "b"]


# Dead letters


@pytest.fixture
def pair(client):
    """(source, dead-letter queue): one receive is allowed."""
    letters = client.create("letters")
    return client.create("source", VisibilityTimeout=0, RedrivePolicy={
        "deadLetterTargetArn": client.arn(letters), "maxReceiveCount": "1"}), letters


def fail(client, source, letters, *bodies):
    """Sends messages that the redrive policy moves."""
    client.send_batch(source, *bodies)
    assert len(client.receive(source)) == len(bodies)
    assert client.receive(source) == []
    wait_for(lambda: client.counts(letters)[0] == len(bodies), "the dead letters")


def test_a_dead_letter_keeps_what_it_was(client, pair):
    source, letters = pair
    client.send(source, "a", MessageAttributes={
        "kind": {"DataType": "String", "StringValue": "x"}})
    first = client.receive_one(source)
    assert client.receive(source) == []
    letter = client.receive_one(letters)
    for name in "MessageId", "Body", "MessageAttributes":
        assert letter[name] == first[name]
    attributes = letter["Attributes"]
    assert attributes["SentTimestamp"] == first["Attributes"]["SentTimestamp"]
    assert attributes["ApproximateReceiveCount"] == "2"
    assert attributes["DeadLetterQueueSourceArn"] == client.arn(source)
    assert client.counts(source) == (0, 0, 0)


def last_task(client, letters):
    return client.call("ListMessageMoveTasks", SourceArn=client.arn(letters))["Results"][0]


def test_letters_are_moved_back(client, pair):
    source, letters = pair
    fail(client, source, letters, "a", "b")
    assert client.call("StartMessageMoveTask", SourceArn=client.arn(letters))["TaskHandle"]
    wait_for(lambda: last_task(client, letters)["Status"] == "COMPLETED", "the end of the task")
    task = last_task(client, letters)
    assert task.pop("StartedTimestamp") > 1_700_000_000_000
    assert task == {"Status": "COMPLETED", "SourceArn": client.arn(letters),
                    "ApproximateNumberOfMessagesMoved": 2, "ApproximateNumberOfMessagesToMove": 2}
    assert (client.counts(source), client.counts(letters)) == ((2, 0, 0), (0, 0, 0))


def test_a_move_is_cancelled(client, pair):
    source, letters = pair
    fail(client, source, letters, *"abcdefghij")
    target = client.create("target")
    move = {"SourceArn": client.arn(letters), "DestinationArn": client.arn(target)}
    handle = client.call("StartMessageMoveTask", MaxNumberOfMessagesPerSecond=1,
                         **move)["TaskHandle"]
    task = last_task(client, letters)
    assert (task["Status"], task["TaskHandle"], task["MaxNumberOfMessagesPerSecond"]) == (
        "RUNNING", handle, 1)
    assert task["DestinationArn"] == client.arn(target)
    assert client.refusal("StartMessageMoveTask", **move) == INVALID_VALUE
    moved = client.call("CancelMessageMoveTask", TaskHandle=handle)
    assert moved["ApproximateNumberOfMessagesMoved"] < 10
    wait_for(lambda: last_task(client, letters)["Status"] == "CANCELLED", "the end of the task")
    task = last_task(client, letters)
    assert "TaskHandle" not in task
    assert task["ApproximateNumberOfMessagesMoved"] == client.counts(target)[0]
    assert client.counts(target)[0] + client.counts(letters)[0] == 10
    assert len(client.call("ListMessageMoveTasks", SourceArn=client.arn(letters), MaxResults=10,
                           )["Results"]) == 1


def test_moves_that_are_refused(client, pair):
    source, letters = pair
    nowhere = client.arn(letters) + "x"
    for parameters, refused in (
            ({"SourceArn": nowhere}, NOT_FOUND),
            ({"SourceArn": client.arn(source)}, INVALID_VALUE),
            ({"SourceArn": client.arn(letters), "DestinationArn": nowhere}, NOT_FOUND),
            ({"SourceArn": client.arn(letters), "MaxNumberOfMessagesPerSecond": 501},
             INVALID_VALUE)):
        assert client.refusal("StartMessageMoveTask", **parameters) == refused, parameters
    assert client.refusal("ListMessageMoveTasks", SourceArn=nowhere) == NOT_FOUND
    assert client.refusal("ListMessageMoveTasks", SourceArn=client.arn(letters),
                          MaxResults=11) == INVALID_VALUE
    assert client.call("ListMessageMoveTasks",
                       SourceArn=client.arn(letters)).get("Results", []) == []
    assert client.refusal("CancelMessageMoveTask", TaskHandle="x") == INVALID_VALUE
