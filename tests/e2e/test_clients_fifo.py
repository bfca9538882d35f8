"""FIFO queues, through clients that are not ours (see clients.py)."""

import pytest

from clients import ASQ
from harness import wait_for

INVALID_VALUE = (400, "InvalidParameterValue")
INVALID_ATTRIBUTE = (400, "InvalidAttributeValue")
NO_ATTRIBUTE = (400, "InvalidAttributeName")


def of_group(group, *bodies):
    """Entries of a batch, each with a deduplication id of its own."""
    return [{"MessageBody": body, "MessageGroupId": group,
             "MessageDeduplicationId": f"{group}-{body}"} for body in bodies]


def bodies(messages):
    return [message["Body"] for message in messages]


def test_what_a_fifo_queue_is(client):
    url = client.create("orders.fifo", FifoQueue=True)
    values = client.attributes(url)
    assert {name: values[name] for name in (
        "FifoQueue", "ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit",
        "QueueArn")} == {
            "FifoQueue": "true", "ContentBasedDeduplication": "false",
            "DeduplicationScope": "queue", "FifoThroughputLimit": "perQueue",
            "QueueArn": client.arn(url)}
    assert client.create("orders.fifo", FifoQueue=True) == url
    client.call("SetQueueAttributes", QueueUrl=url,
                Attributes={"ContentBasedDeduplication": "true"})
    assert client.attributes(url, "ContentBasedDeduplication") == {
        "ContentBasedDeduplication": "true"}
    assert client.refusal("CreateQueue", QueueName="orders.fifo", Attributes={
        "FifoQueue": "true", "ContentBasedDeduplication": "false"}) == (400, "QueueAlreadyExists")
    assert client.refusal("SetQueueAttributes", QueueUrl=url,
                          Attributes={"FifoQueue": "false"}) == INVALID_ATTRIBUTE


def test_fifo_queues_that_are_refused(client):
    for name, attributes, refused in (
            ("a.fifo", {}, INVALID_VALUE),
            ("a", {"FifoQueue": "true"}, INVALID_VALUE),
            ("a" * 76 + ".fifo", {"FifoQueue": "true"}, INVALID_VALUE),
            ("a", {"FifoQueue": "false"}, NO_ATTRIBUTE),
            ("a", {"ContentBasedDeduplication": "true"}, NO_ATTRIBUTE),
            ("a", {"DeduplicationScope": "queue"}, NO_ATTRIBUTE),
            ("a", {"FifoThroughputLimit": "perQueue"}, NO_ATTRIBUTE),
            ("a.fifo", {"FifoQueue": "true", "DeduplicationScope": "x"}, INVALID_ATTRIBUTE),
            ("a.fifo", {"FifoQueue": "true", "FifoThroughputLimit": "x"}, INVALID_ATTRIBUTE),
            ("a.fifo", {"FifoQueue": "true", "FifoThroughputLimit": "perMessageGroupId",
                        "DeduplicationScope": "queue"}, INVALID_ATTRIBUTE)):
        assert client.refusal("CreateQueue", QueueName=name, Attributes=attributes) == refused, (
            name, attributes)
    assert client.create("a" * 75 + ".fifo", FifoQueue=True)


def test_what_a_message_of_a_fifo_queue_needs(client):
    url = client.create_fifo()
    message = {"QueueUrl": url, "MessageBody": "x"}
    group, deduplication = {"MessageGroupId": "g"}, {"MessageDeduplicationId": "d"}
    assert client.refusal("SendMessage", **message, **deduplication) == (400, "MissingParameter")
    assert client.refusal("SendMessage", **message, **group) == INVALID_VALUE
    for entry in {"Id": "1", "MessageBody": "x", **group}, {
            "Id": "1", "MessageBody": "x", **deduplication}:
        assert client.refusal("SendMessageBatch", QueueUrl=url, Entries=[entry]) == INVALID_VALUE
    for wrong in "", "a b", "x" * 129, "é":
        assert client.refusal("SendMessage", **message, **group,
                              MessageDeduplicationId=wrong) == INVALID_VALUE
        assert client.refusal("SendMessage", **message, **deduplication,
                              MessageGroupId=wrong) == INVALID_VALUE
    assert client.refusal("SendMessage", **message, **group, **deduplication,
                          DelaySeconds=2) == INVALID_VALUE
    assert client.counts(url) == (0, 0, 0)
    assert client.send(url, "x", MessageGroupId="g" * 128, MessageDeduplicationId="!~" * 64,
                       DelaySeconds=0)["SequenceNumber"].isdecimal()


def test_order_within_groups(client):
    """Several of a group come in one receive; what is in flight holds back the rest of its group."""
    url = client.create_fifo()
    sent = client.send_batch(url, *of_group("a", "1", "2", "3"), *of_group("b", "1", "2"))
    numbers = [int(entry["SequenceNumber"]) for entry in sent]
    assert numbers[0] < numbers[1] < numbers[2] and numbers[3] < numbers[4]
    first, second = client.receive(url, MaxNumberOfMessages=2)
    assert bodies([first, second]) == ["1", "2"]
    assert [message["Attributes"]["MessageGroupId"] for message in (first, second)] == ["a", "a"]
    assert first["Attributes"]["MessageDeduplicationId"] == "a-1"
    assert first["Attributes"]["SequenceNumber"] == sent[0]["SequenceNumber"]
    others = client.receive(url)
    assert [message["MessageId"] for message in others] == [
        entry["MessageId"] for entry in sent[3:]]
    client.delete(url, first)
    assert client.receive(url) == []  # the second is still in flight
    client.release(url, second)
    assert bodies(client.receive(url)) == ["2", "3"]
    assert client.counts(url) == (0, 4, 0)


def test_a_group_goes_on_when_its_messages_are_deleted(client):
    url = client.create_fifo()
    client.send_batch(url, *of_group("a", *"123456789"))
    seen = []
    while client.counts(url) != (0, 0, 0):
        messages = client.receive(url, MaxNumberOfMessages=4)
        seen += bodies(messages)
        assert client.receive(url) == []
        output = client.call("DeleteMessageBatch", QueueUrl=url, Entries=[
            {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
            for number, message in enumerate(messages)])
        assert len(output["Successful"]) == len(messages)
    assert seen == list("123456789")


def test_a_message_is_sent_once(client):
    """The second send of a deduplication id is a success, and no message, deleted or not."""
    url = client.create_fifo()
    message = {"MessageGroupId": "g", "MessageDeduplicationId": "d"}
    first = client.send(url, "x", **message)
    again = client.send(url, "y", **message)
    assert (again["MessageId"], again["SequenceNumber"]) == (
        first["MessageId"], first["SequenceNumber"])
    other_group = client.send(url, "z", MessageGroupId="h", MessageDeduplicationId="d")
    assert other_group["MessageId"] == first["MessageId"]
    batch = client.send_batch(url, *of_group("h", "1", "1"), {"MessageBody": "w", **message})
    assert batch[0]["MessageId"] == batch[1]["MessageId"]
    assert batch[2]["MessageId"] == first["MessageId"]
    assert client.counts(url) == (2, 0, 0)
    for received in client.receive(url):
        client.delete(url, received)
    assert client.send(url, "x", **message)["MessageId"] == first["MessageId"]
    assert client.counts(url) == (0, 0, 0)


def test_deduplication_by_content(client):
    url = client.create_fifo(ContentBasedDeduplication=True)
    first = client.send(url, "é", MessageGroupId="g")
    assert client.send(url, "é", MessageGroupId="g")["MessageId"] == first["MessageId"]
    assert client.send(url, "é", MessageGroupId="g", MessageAttributes={
        "a": {"DataType": "String", "StringValue": "x"}})["MessageId"] == first["MessageId"]
    own = client.send(url, "é", MessageGroupId="g", MessageDeduplicationId="own")
    assert own["MessageId"] != first["MessageId"]
    message, _ = client.receive(url)
    assert message["Attributes"]["MessageDeduplicationId"] == (  # SHA-256 of the body
        "4a99557e4033c3539de2eb65472017cad5f9557f7a0625a09f1c3f6e2ba69c4c")


def test_high_throughput(client):
    """Deduplication within each group."""
    url = client.create_fifo(DeduplicationScope="messageGroup",
                             FifoThroughputLimit="perMessageGroupId")
    a, again, b = client.send_batch(url, *[
        {"MessageBody": body, "MessageGroupId": group, "MessageDeduplicationId": "d"}
        for body, group in (("1", "a"), ("2", "a"), ("3", "b"))])
    assert a["MessageId"] == again["MessageId"] != b["MessageId"]
    assert sorted(bodies(client.receive(url))) == ["1", "3"]


def test_a_receive_is_repeated(client):
    """With the same ReceiveRequestAttemptId it brings the same messages, though they are hidden."""
    url = client.create_fifo()
    client.send_batch(url, *of_group("a", "1", "2"), *of_group("b", "1"))
    attempt = {"MaxNumberOfMessages": 2, "ReceiveRequestAttemptId": "attempt-1"}
    first = client.receive(url, **attempt)
    again = client.receive(url, **attempt)
    assert [message["MessageId"] for message in first] == [
        message["MessageId"] for message in again]
    assert len(client.receive(url, ReceiveRequestAttemptId="attempt-2")) == 1
    for message in again:
        client.delete(url, message)
    assert client.counts(url) == (0, 1, 0)
    assert client.refusal("ReceiveMessage", QueueUrl=url,
                          ReceiveRequestAttemptId="x" * 129) == INVALID_VALUE


def test_a_handle_whose_time_is_up_changes_nothing(client):
    url = client.create_fifo()
    client.send_batch(url, *of_group("a", "1"))
    message = client.receive_one(url, VisibilityTimeout=1)
    wait_for(lambda: client.counts(url) == (1, 0, 0), "the end of the visibility timeout")
    refusal = client.refusal("DeleteMessage", QueueUrl=url,
                             ReceiptHandle=message["ReceiptHandle"])
    assert refusal == INVALID_VALUE and "expired" in refusal.message
    assert client.refusal("ChangeMessageVisibility", QueueUrl=url, VisibilityTimeout=60,
                          ReceiptHandle=message["ReceiptHandle"]) == INVALID_VALUE
    assert client.receive_one(url)["MessageId"] == message["MessageId"]


def test_the_delay_of_a_queue_holds_a_group(client):
    url = client.create_fifo(DelaySeconds=900)
    client.send_batch(url, *of_group("a", "1", "2"))
    assert client.counts(url) == (0, 0, 2)
    assert client.receive(url) == []


def test_long_polls_are_woken_when_a_group_is_free_again(client):
    url = client.create_fifo()
    client.send_batch(url, *of_group("a", "1", "2"))
    message = client.receive_one(url)
    waiting = client.begin("ReceiveMessage", QueueUrl=url, WaitTimeSeconds=20)
    assert client.counts(url) == (1, 1, 0)  # meanwhile the poll gets under way
    client.delete(url, message)
    assert bodies(waiting.result()["Messages"]) == ["2"]


@pytest.fixture
def letters(client):
    return client.create_fifo()


def test_dead_letters_of_a_fifo_queue(client, letters):
    """The group goes on; what was moved keeps its group and is moved back in order."""
    policy = {"deadLetterTargetArn": client.arn(letters), "maxReceiveCount": 1}
    source = client.create_fifo(RedrivePolicy=policy, VisibilityTimeout=0)
    client.send_batch(source, *of_group("a", "1", "2"))
    first = client.receive_one(source)
    assert first["Body"] == "1"
    assert bodies(client.receive(source, MaxNumberOfMessages=1)) == ["2"]
    assert client.receive(source) == []
    moved = client.receive(letters, VisibilityTimeout=0)
    assert bodies(moved) == ["1", "2"]
    assert moved[0]["MessageId"] == first["MessageId"]
    assert moved[0]["Attributes"]["MessageGroupId"] == "a"
    assert moved[0]["Attributes"]["DeadLetterQueueSourceArn"] == client.arn(source)
    client.call("StartMessageMoveTask", SourceArn=client.arn(letters))
    wait_for(lambda: client.counts(source) == (2, 0, 0), "the move back")
    assert bodies(client.receive(source)) == ["1", "2"]


def test_dead_letters_stay_with_their_kind_of_queue(client, letters):
    standard = client.create()
    for source, target in (client.create(), letters), (client.create_fifo(), standard):
        policy = f'{{"deadLetterTargetArn":"{client.arn(target)}","maxReceiveCount":1}}'
        assert client.refusal("SetQueueAttributes", QueueUrl=source,
                              Attributes={"RedrivePolicy": policy}) == INVALID_VALUE


def test_purge_of_a_fifo_queue(client):
    url = client.create_fifo()
    client.send_batch(url, *of_group("a", "1"))
    client.call("PurgeQueue", QueueUrl=url)
    wait_for(lambda: client.counts(url) == (0, 0, 0), "the end of the purge")
    assert client.refusal("PurgeQueue", QueueUrl=url) == (403, ASQ + "PurgeQueueInProgress")
    client.send_batch(url, *of_group("a", "2"))
    assert bodies(client.receive(url)) == ["2"]
