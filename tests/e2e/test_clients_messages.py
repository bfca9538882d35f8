"""What may be in a message and in a batch, through clients that are not ours (see clients.py)."""

import pytest

from clients import ASQ
from harness import wait_for

INVALID_VALUE = (400, "InvalidParameterValue")
MISSING = (400, "MissingParameter")
MIB = 1 << 20
TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"


def string(value, kind="String"):
    return {"DataType": kind, "StringValue": value}


def binary(value, kind="Binary"):
    return {"DataType": kind, "BinaryValue": value}


@pytest.mark.parametrize("bodies", [
    # Markup, and what looks like it.
    ["&", "<b>\"it's\" & more</b>", "&amp;&#13;&lt;", "]]>", "<![CDATA[x]]>", "{\"a\": \"\\u0041\"}",
     "%41+%2B a+b=c&d=e", "\\ \\n \\\\", "-x", "'"],
    # White space that XML's and forms' readers like to change.
    ["\r", "\n", "\t", " ", "\r\n", " a ", "\n\na\r\rb\t\tc\r", "  \r\n  ", "a\rb", "\u2028\u0085"],
    # The ends of what is allowed, and characters of two, three and four bytes.
    ["\x20", "\x7e\x7f\x80", "\ud7ff", "\ue000", "\ufffd", "\U00010000", "\U0010ffff", "é€",
     "😀 👩‍👩‍👧 𝄞", "おはよう"],
], ids=["markup", "space", "edges"])
def test_bodies_come_back_as_they_were(client, bodies):
    """With attributes of the same text."""
    url = client.create()
    client.send_batch(url, *[{"MessageBody": body,
                              "MessageAttributes": {"text": string(body), "n": string("1")}}
                             for body in bodies])
    messages = client.receive(url)
    assert sorted(message["Body"] for message in messages) == sorted(bodies)
    for message in messages:
        assert message["MessageAttributes"]["text"]["StringValue"] == message["Body"]
    assert client.send(url, bodies[0])["MessageId"]
    assert client.receive_one(url)["Body"] == bodies[0]


def test_bodies_that_are_refused(client):
    url = client.create()
    for body in "\x01", "a\x08", "\x0b", "\x0c", "\x1f", "\ufffe", "\uffff", "ok\x1b[0m":
        assert client.refusal("SendMessage", QueueUrl=url, MessageBody=body) == (
            400, "InvalidMessageContents"), repr(body)
    assert client.refusal("SendMessage", QueueUrl=url, MessageBody="") == MISSING
    assert client.counts(url) == (0, 0, 0)


ATTRIBUTES = {
    "text": string("文字 😀 <&> \r\n"),
    "label.x": string("{}", "String.json"),
    "label.y": string("1", "String"),
    "number": string("-1.5e3", "Number"),
    "number.int": string("18446744073709551615", "Number.unsigned"),
    "binary": binary(bytes(range(256))),
    "Binary.png": binary(b"\0", "Binary.png"),
    "a-b_c.D9": string("x" * 1000),
}


def test_message_attributes_of_all_kinds(client):
    """The digest of what is returned is checked at each receive."""
    url = client.create()
    client.send(url, "x", MessageAttributes=ATTRIBUTES)
    for names, expected in (
            (["All"], set(ATTRIBUTES)), ([".*"], set(ATTRIBUTES)), (["text"], {"text"}),
            (["label.*"], {"label.x", "label.y"}), (["num.*"], {"number", "number.int"}),
            (["binary", "number.*", "nope"], {"binary", "number", "number.int"}),
            (["TEXT"], set())):
        message = client.receive_one(url, MessageAttributeNames=names, VisibilityTimeout=0)
        assert message.get("MessageAttributes", {}) == {name: ATTRIBUTES[name] for name in expected}
    (message,) = client.call("ReceiveMessage", QueueUrl=url)["Messages"]
    assert set(message) == {"MessageId", "ReceiptHandle", "MD5OfBody", "Body"}


def test_message_attributes_that_are_refused(client):
    url = client.create()
    for attributes in (
            {"a": string("")}, {"a": binary(b"")}, {"a": string("x", "Text")},
            {"a": string("x", "string")}, {"a": string("x", "Number")},
            {"a": string("x", "String." + "y" * 250)}, {".a": string("x")}, {"a.": string("x")},
            {"a..b": string("x")}, {"AWS.a": string("x")}, {"amazon.a": string("x")},
            {"a b": string("x")}, {"é": string("x")}, {"n" * 257: string("x")},
            {"a": string("\x01")}, {"a": {"DataType": "String"}},
            {f"a{number}": string("x") for number in range(11)}):
        refusal = client.refusal("SendMessage", QueueUrl=url, MessageBody="x",
                                 MessageAttributes=attributes)
        assert refusal in (INVALID_VALUE, (400, "InvalidMessageContents")), attributes
    assert client.counts(url) == (0, 0, 0)


def test_system_attributes(client):
    url = client.create()
    sent = client.send(url, "x", MessageSystemAttributes={"AWSTraceHeader": string(TRACE)})
    assert sent["MD5OfMessageSystemAttributes"] == "5ae4d5d7636402d80f4eb6d213245a88"
    client.send_batch(url, {"MessageBody": "y", "MessageSystemAttributes": {
        "AWSTraceHeader": string(TRACE)}})
    for message in client.receive(url, VisibilityTimeout=0):
        attributes = message["Attributes"]
        assert attributes["AWSTraceHeader"] == TRACE
        assert attributes["ApproximateReceiveCount"] == "1" and attributes["SenderId"]
        assert int(attributes["SentTimestamp"]) <= int(
            attributes["ApproximateFirstReceiveTimestamp"])
    message = client.receive_one(url, VisibilityTimeout=0, MessageSystemAttributeNames=[
        "AWSTraceHeader", "ApproximateReceiveCount"])
    assert message["Attributes"] == {"AWSTraceHeader": TRACE, "ApproximateReceiveCount": "2"}
    for attributes in {"Colour": string("x")}, {"AWSTraceHeader": binary(b"x")}:
        assert client.refusal("SendMessage", QueueUrl=url, MessageBody="x",
                              MessageSystemAttributes=attributes) == INVALID_VALUE


def test_a_batch_of_which_some_entries_fail(client):
    """An entry that is wrong by itself fails; the others are sent."""
    url = client.create(MaximumMessageSize=1024)
    output = client.call("SendMessageBatch", QueueUrl=url, Entries=[
        {"Id": "good", "MessageBody": "a"},
        {"Id": "big", "MessageBody": "b" * 1025},
        {"Id": "delay", "MessageBody": "c", "DelaySeconds": 901},
        {"Id": "character", "MessageBody": "\x01"},
        {"Id": "attribute", "MessageBody": "d", "MessageAttributes": {"a": string("")}},
        {"Id": "A-z_09" + "x" * 74, "MessageBody": "e" * 1024},
    ])
    assert [entry["Id"] for entry in output["Successful"]] == ["good", "A-z_09" + "x" * 74]
    failed = {entry["Id"]: entry for entry in output["Failed"]}
    assert {id: (entry["Code"], entry["SenderFault"]) for id, entry in failed.items()} == {
        "big": ("InvalidParameterValue", True), "delay": ("InvalidParameterValue", True),
        "character": ("InvalidMessageContents", True),
        "attribute": ("InvalidParameterValue", True)}
    assert all(entry["Message"] for entry in failed.values())
    assert client.counts(url) == (2, 0, 0)


def test_batches_that_are_refused_whole(client):
    url = client.create()
    for operation, entry in (
            ("SendMessageBatch", {"MessageBody": "x"}),
            ("DeleteMessageBatch", {"ReceiptHandle": "x"}),
            ("ChangeMessageVisibilityBatch", {"ReceiptHandle": "x", "VisibilityTimeout": 0})):
        for ids, code in (([], "EmptyBatchRequest"), (["a", "b", "a"], "BatchEntryIdsNotDistinct"),
                          ([f"{number}" for number in range(11)], "TooManyEntriesInBatchRequest"),
                          (["a b"], "InvalidBatchEntryId"), (["x" * 81], "InvalidBatchEntryId")):
            entries = [{"Id": id, **entry} for id in ids]
            assert client.refusal(operation, QueueUrl=url, Entries=entries) == (
                400, ASQ + code), (operation, ids)
    assert client.counts(url) == (0, 0, 0)


def test_how_long_a_message_may_be(client):
    """Names, types and values of attributes count; what a queue allows may be less than 1 MiB."""
    url = client.create()
    attributes = {"name": string("value")}  # 4 + 6 + 5
    client.send(url, "x" * (MIB - 15), MessageAttributes=attributes)
    assert client.refusal("SendMessage", QueueUrl=url, MessageBody="x" * (MIB - 14),
                          MessageAttributes=attributes) == INVALID_VALUE
    halves = [{"Id": "a", "MessageBody": "é" * (MIB // 4)},
              {"Id": "b", "MessageBody": "b" * (MIB // 2 + 1)}]
    assert client.refusal("SendMessageBatch", QueueUrl=url, Entries=halves) == (
        400, ASQ + "BatchRequestTooLong")
    halves[1]["MessageBody"] = "b" * (MIB // 2)
    assert len(client.call("SendMessageBatch", QueueUrl=url, Entries=halves)["Successful"]) == 2
    small = client.create(MaximumMessageSize=1024)
    client.send(small, "é" * 512)
    assert client.refusal("SendMessage", QueueUrl=small, MessageBody="é" * 512 + "x",
                          ) == INVALID_VALUE
    (message,) = client.receive(url, MaxNumberOfMessages=1)
    assert len(message["Body"].encode()) in (MIB - 15, MIB // 2)


def test_delays(client):
    """A message's own delay goes before the queue's."""
    url = client.create(DelaySeconds=900)
    client.send_batch(url, "queue's", {"MessageBody": "none", "DelaySeconds": 0},
                      {"MessageBody": "own", "DelaySeconds": 899})
    assert client.counts(url) == (1, 0, 2)
    assert [message["Body"] for message in client.receive(url)] == ["none"]
    for seconds in 901, -1:
        assert client.refusal("SendMessage", QueueUrl=url, MessageBody="x",
                              DelaySeconds=seconds) == INVALID_VALUE
    client.send(url, "soon", DelaySeconds=1)
    (message,) = wait_for(lambda: client.receive(url, WaitTimeSeconds=20), "the end of a delay")
    assert message["Body"] == "soon"


def test_groups_of_a_standard_queue_block_nothing(client):
    """Fair queues: MessageGroupId is kept, ordering and blocking are not FIFO's."""
    url = client.create()
    client.send(url, "a", MessageGroupId="noisy")
    client.send_batch(url, {"MessageBody": "b", "MessageGroupId": "noisy"},
                      {"MessageBody": "c", "MessageGroupId": "quiet!#$%&'()*+,-./:;<=>?@[]^_`{|}~"})
    received = [client.receive_one(url) for _ in range(3)]
    assert {message["Body"]: message["Attributes"]["MessageGroupId"] for message in received} == {
        "a": "noisy", "b": "noisy", "c": "quiet!#$%&'()*+,-./:;<=>?@[]^_`{|}~"}
    for group in "", "a b", "g" * 129, "é":
        assert client.refusal("SendMessage", QueueUrl=url, MessageBody="x",
                              MessageGroupId=group) == INVALID_VALUE, group
