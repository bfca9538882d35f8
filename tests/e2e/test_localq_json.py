"""The embedded queue speaks SQS's JSON protocol: operations, errors, limits, long polls."""

import hashlib
import json
import re
import socket
import threading
import urllib.parse

import pytest

from harness import wait_for
from sqs_json import Client, Refused

ASQ = "AWS.SimpleQueueService."
SQS = "com.amazonaws.sqs#"
CORAL = "com.amazon.coral.service#"


@pytest.fixture
def sqs(bunshin):
    client = Client(bunshin.queue().url)
    yield client
    client.close()


def test_first_lines_can_be_pasted(bunshin):
    server = bunshin.queue()
    wait_for(lambda: "CreateQueue" in server.out(), "the first command")
    address = server.url.removeprefix("http://")
    assert server.out().splitlines()[0] == f"listening on http://{address}"
    assert (f"export AWS_ENDPOINT_URL_SQS=http://{address} AWS_REGION=us-east-1 "
            "AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local") in server.out()
    assert server.err() == ""


def test_health(sqs):
    answer = sqs.get("/_health")
    assert (answer.status, answer.json) == (200, {"status": "ok"})
    assert sqs.get("/other").status == 404


def test_a_message_goes_all_the_way(sqs):
    url = sqs.create("morning")
    assert url == f"{sqs.url}/000000000000/morning"
    assert sqs.call("GetQueueUrl", QueueName="morning") == {"QueueUrl": url}
    body = 'おはよう "quoted" \\ tab\t line\n 😀 €'
    sent = sqs.send(url, body)
    assert sent["MD5OfMessageBody"] == hashlib.md5(body.encode()).hexdigest()
    (message,) = sqs.receive(url)
    assert message["Body"] == body
    assert message["MessageId"] == sent["MessageId"]
    assert message["MD5OfBody"] == sent["MD5OfMessageBody"]
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    assert sqs.counts(url) == (0, 1, 0)
    answer = sqs.raw("DeleteMessage", {"QueueUrl": url,
                                       "ReceiptHandle": message["ReceiptHandle"]})
    assert (answer.status, answer.json) == (200, {})
    assert sqs.counts(url) == (0, 0, 0)
    assert sqs.raw("ReceiveMessage", {"QueueUrl": url}).body == b"{}"


def test_headers_of_every_answer(sqs):
    good = sqs.raw("ListQueues", {})
    bad = sqs.raw("GetQueueUrl", {"QueueName": "nope"})
    for answer in good, bad:
        assert answer.headers["content-type"] == "application/x-amz-json-1.0"
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
                            answer.headers["x-amzn-requestid"])
        assert "date" in answer.headers
    assert good.headers["x-amzn-requestid"] != bad.headers["x-amzn-requestid"]
    assert good.code is None
    assert bad.code == ASQ + "NonExistentQueue;Sender"
    assert bad.json == {"__type": SQS + "QueueDoesNotExist",
                        "message": "The specified queue does not exist."}


def test_requests_on_the_path_of_the_queue(sqs):
    url = sqs.create("by-path")
    path = urllib.parse.urlsplit(url).path
    assert sqs.raw("SendMessage", {"QueueUrl": url, "MessageBody": "a"}, path).status == 200
    assert sqs.raw("SendMessage", {"MessageBody": "b"}, path).status == 200
    assert {m["Body"] for m in sqs.receive(url)} == {"a", "b"}


def test_url_repeats_the_host_that_was_asked(sqs):
    for host, expected in (("queue.example:81", "queue.example:81"), ("[::1]:5", "[::1]:5"),
                           ('bad"host', sqs.netloc), ("a b", sqs.netloc)):
        body = b'{"QueueName":"hosted"}'
        answer = sqs.post(body, {"Host": host, "X-Amz-Target": "AmazonSQS.CreateQueue"})
        assert answer.json["QueueUrl"] == f"http://{expected}/000000000000/hosted"


@pytest.mark.parametrize("body", [
    "x", "\t\n\r", " ", "\x7f", "\ud7ff", "\ue000", "\ufffd", "\U00010000", "\U0010ffff", "\u2028",
    '{"a": "\\u0000"}', "\\", '"', "</script>", "é" * 1000, "😀" * 1000,
])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_bodies_come_back_byte_for_byte(sqs, body, ascii_only):
    url = sqs.create()
    request = json.dumps({"QueueUrl": url, "MessageBody": body}, ensure_ascii=ascii_only)
    answer = sqs.raw("SendMessage", request.encode())
    assert answer.json["MD5OfMessageBody"] == hashlib.md5(body.encode()).hexdigest()
    assert [message["Body"] for message in sqs.receive(url)] == [body]


@pytest.mark.parametrize("body", ["\x00", "\x01", "a\x00b", "\x08", "\x0b", "\x1f", "\ufffe",
                                  "\uffff", "ok\x1b[0m"])
def test_characters_that_no_body_may_hold(sqs, body):
    url = sqs.create()
    with pytest.raises(Refused) as refused:
        sqs.send(url, body)
    assert refused.value.answer.type == SQS + "InvalidMessageContents"
    assert sqs.counts(url) == (0, 0, 0)


def attributes_md5(attributes):
    """The algorithm of the API's documentation, written once more."""
    import base64
    import struct

    digest = hashlib.md5()
    for name in sorted(attributes):
        value = attributes[name]
        binary = "BinaryValue" in value
        data = base64.b64decode(value["BinaryValue"]) if binary else value["StringValue"].encode()
        for part in name.encode(), value["DataType"].encode():
            digest.update(struct.pack(">I", len(part)) + part)
        digest.update(b"\2" if binary else b"\1")
        digest.update(struct.pack(">I", len(data)) + data)
    return digest.hexdigest()


def test_message_attributes(sqs):
    url = sqs.create()
    attributes = {
        "text": {"DataType": "String", "StringValue": "文字 😀"},
        "label.x": {"DataType": "String.json", "StringValue": "{}"},
        "number": {"DataType": "Number", "StringValue": "-1.5e3"},
        "binary": {"DataType": "Binary", "BinaryValue": "AP8="},
        "Binary.png": {"DataType": "Binary.png", "BinaryValue": "AA=="},
    }
    sent = sqs.send(url, "x", MessageAttributes=attributes)
    assert sent["MD5OfMessageAttributes"] == attributes_md5(attributes)
    for names, expected in ((["All"], set(attributes)), ([".*"], set(attributes)),
                            (["text"], {"text"}), (["label.*"], {"label.x"}),
                            (["number", "Binary.png"], {"number", "Binary.png"})):
        (message,) = sqs.receive(url, MessageAttributeNames=names, VisibilityTimeout=0)
        shown = {name: attributes[name] for name in expected}
        assert message["MessageAttributes"] == shown
        assert message["MD5OfMessageAttributes"] == attributes_md5(shown)
    (message,) = sqs.receive(url, MessageAttributeNames=["nope"], VisibilityTimeout=0)
    assert "MessageAttributes" not in message and "MD5OfMessageAttributes" not in message


def test_system_attributes(sqs):
    url = sqs.create()
    trace = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5759e988-bd862e3fe"}}
    sent = sqs.send(url, "x", MessageSystemAttributes=trace, MessageGroupId="tenant-1")
    assert sent["MD5OfMessageSystemAttributes"] == attributes_md5(trace)
    (message,) = sqs.receive(url)
    assert message["Attributes"]["AWSTraceHeader"] == "Root=1-5759e988-bd862e3fe"
    assert message["Attributes"]["MessageGroupId"] == "tenant-1"
    assert set(message["Attributes"]) == {
        "SenderId", "SentTimestamp", "ApproximateReceiveCount",
        "ApproximateFirstReceiveTimestamp", "AWSTraceHeader", "MessageGroupId"}


def test_batches(sqs):
    url = sqs.create()
    entries = [{"Id": f"e{i}", "MessageBody": f"body {i}"} for i in range(10)]
    sent = sqs.call("SendMessageBatch", QueueUrl=url, Entries=entries)
    assert [entry["Id"] for entry in sent["Successful"]] == [f"e{i}" for i in range(10)]
    assert "Failed" not in sent
    messages = sqs.receive(url)
    assert len(messages) == 10
    change = [{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"], "VisibilityTimeout": 0}
              for i, m in enumerate(messages[:4])]
    change.append({"Id": "bad", "ReceiptHandle": "garbage", "VisibilityTimeout": 0})
    changed = sqs.call("ChangeMessageVisibilityBatch", QueueUrl=url, Entries=change)
    assert [entry["Id"] for entry in changed["Successful"]] == ["0", "1", "2", "3"]
    assert changed["Failed"] == [{
        "Id": "bad", "SenderFault": True, "Code": "ReceiptHandleIsInvalid",
        "Message": 'The input receipt handle "garbage" is not a valid receipt handle.'}]
    assert sqs.counts(url) == (4, 6, 0)
    deleted = sqs.call("DeleteMessageBatch", QueueUrl=url, Entries=[
        {"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(messages)])
    assert len(deleted["Successful"]) == 10
    assert sqs.counts(url) == (0, 0, 0)


def test_queues_are_listed_page_by_page(sqs):
    names = sorted(f"n{i:02}" for i in range(25))
    for name in names:
        sqs.create(name)
    sqs.create("other")
    found, token = [], {}
    for _ in range(3):
        page = sqs.call("ListQueues", QueueNamePrefix="n", MaxResults=10, **token)
        found += [url.rpartition("/")[2] for url in page["QueueUrls"]]
        token = {"NextToken": page.get("NextToken")}
    assert found == names and token == {"NextToken": None}
    assert len(sqs.call("ListQueues")["QueueUrls"]) == 26
    assert sqs.call("ListQueues", QueueNamePrefix="zzz") == {}


def test_attributes_of_queues(sqs):
    url = sqs.create(VisibilityTimeout=7, MessageRetentionPeriod=60)
    sqs.call("SetQueueAttributes", QueueUrl=url, Attributes={"DelaySeconds": "3"})
    shown = sqs.call("GetQueueAttributes", QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert shown["VisibilityTimeout"] == "7"
    assert shown["MessageRetentionPeriod"] == "60"
    assert shown["DelaySeconds"] == "3"
    assert shown["QueueArn"] == f"arn:aws:sqs:us-east-1:000000000000:{url.rpartition('/')[2]}"
    assert all(isinstance(value, str) for value in shown.values())


def test_redrive(sqs):
    dead = sqs.create()
    arn = sqs.call("GetQueueAttributes", QueueUrl=dead,
                   AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    url = sqs.create(RedrivePolicy=json.dumps({"deadLetterTargetArn": arn,
                                               "maxReceiveCount": "2"}))
    sent = sqs.send(url, "poison")
    for _ in range(2):
        assert len(sqs.receive(url, VisibilityTimeout=0)) == 1
    assert sqs.receive(url) == []
    (message,) = sqs.receive(dead)
    assert message["MessageId"] == sent["MessageId"]
    assert message["Attributes"]["DeadLetterQueueSourceArn"].endswith(url.rpartition("/")[2])


def entries(count, **more):
    return [{"Id": str(i), "MessageBody": "x", **more} for i in range(count)]


# operation, parameters ({url} is a queue), HTTP status, __type, older code
ERRORS = [
    ("SendMessage", {"QueueUrl": "{url}-gone", "MessageBody": "x"},
     400, SQS + "QueueDoesNotExist", ASQ + "NonExistentQueue"),
    ("ReceiveMessage", {"QueueUrl": "no-url"}, 404, SQS + "InvalidAddress", "InvalidAddress"),
    ("ReceiveMessage", {}, 400, CORAL + "MissingRequiredParameterException", "MissingParameter"),
    ("CreateQueue", {"QueueName": "taken", "Attributes": {"DelaySeconds": "1"}},
     400, SQS + "QueueNameExists", "QueueAlreadyExists"),
    ("CreateQueue", {"QueueName": "deleted"},
     400, SQS + "QueueDeletedRecently", ASQ + "QueueDeletedRecently"),
    ("CreateQueue", {"QueueName": "a.fifo"},
     400, CORAL + "InvalidParameterValueException", "InvalidParameterValue"),
    ("CreateQueue", {"QueueName": "no spaces"},
     400, CORAL + "InvalidParameterValueException", "InvalidParameterValue"),
    ("CreateQueue", {"QueueName": "x", "Attributes": {"Nope": "1"}},
     400, SQS + "InvalidAttributeName", "InvalidAttributeName"),
    ("CreateQueue", {"QueueName": "x", "Attributes": {"DelaySeconds": "901"}},
     400, SQS + "InvalidAttributeValue", "InvalidAttributeValue"),
    ("PurgeQueue", {"QueueUrl": "/purged"},
     403, SQS + "PurgeQueueInProgress", ASQ + "PurgeQueueInProgress"),
    ("DeleteMessage", {"QueueUrl": "{url}", "ReceiptHandle": "garbage"},
     404, SQS + "ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid"),
    ("ChangeMessageVisibility",
     {"QueueUrl": "{url}", "ReceiptHandle": "{deleted}", "VisibilityTimeout": 1},
     400, CORAL + "InvalidParameterValueException", "InvalidParameterValue"),
    ("SendMessageBatch", {"QueueUrl": "{url}", "Entries": []},
     400, SQS + "EmptyBatchRequest", ASQ + "EmptyBatchRequest"),
    ("SendMessageBatch", {"QueueUrl": "{url}", "Entries": entries(11)},
     400, SQS + "TooManyEntriesInBatchRequest", ASQ + "TooManyEntriesInBatchRequest"),
    ("SendMessageBatch", {"QueueUrl": "{url}", "Entries": entries(2, Id="same")},
     400, SQS + "BatchEntryIdsNotDistinct", ASQ + "BatchEntryIdsNotDistinct"),
    ("SendMessageBatch", {"QueueUrl": "{url}", "Entries": entries(1, Id="a.b")},
     400, SQS + "InvalidBatchEntryId", ASQ + "InvalidBatchEntryId"),
    ("SendMessageBatch", {"QueueUrl": "{url}", "Entries": entries(2, MessageBody="x" * 524289)},
     400, SQS + "BatchRequestTooLong", ASQ + "BatchRequestTooLong"),
    ("SendMessage", {"QueueUrl": "{url}", "MessageBody": "x" * 1048577},
     400, CORAL + "InvalidParameterValueException", "InvalidParameterValue"),
    ("SendMessage", {"QueueUrl": "{url}", "MessageBody": "\x01"},
     400, SQS + "InvalidMessageContents", "InvalidMessageContents"),
    ("SendMessage", {"QueueUrl": "{url}", "MessageBody": 1},
     400, CORAL + "SerializationException", "MalformedInput"),
    ("SendMessage", b'{"QueueUrl"', 400, CORAL + "SerializationException", "MalformedInput"),
    ("SendMessage", b'\xff', 400, CORAL + "SerializationException", "MalformedInput"),
    ("NoSuchOperation", {}, 400, CORAL + "UnknownOperationException", "InvalidAction"),
]


@pytest.fixture(scope="module")
def prepared(binary, tmp_path_factory):
    """A queue server in which every row of ERRORS has what it needs."""
    from harness import Bunshin

    program = Bunshin(binary, tmp_path_factory.mktemp("errors"))
    client = Client(program.queue().url)
    url = client.create("errors")
    client.create("taken")
    client.call("DeleteQueue", QueueUrl=client.create("deleted"))
    client.call("PurgeQueue", QueueUrl=client.create("purged"))
    client.send(url, "a")
    (deleted,) = (m["ReceiptHandle"] for m in client.receive(url))
    client.delete(url, deleted)
    yield client, {"{url}": url, "{url}-gone": url + "-gone", "{deleted}": deleted}
    client.close()
    assert program.stop() == []


@pytest.mark.parametrize("operation, parameters, status, kind, code", ERRORS,
                         ids=[f"{i}-{row[0]}-{row[4]}" for i, row in enumerate(ERRORS)])
def test_error(prepared, operation, parameters, status, kind, code):
    client, values = prepared
    if isinstance(parameters, dict):
        parameters = {name: values.get(value, value) if isinstance(value, str) else value
                      for name, value in parameters.items()}
    answer = client.raw(operation, parameters)
    assert (answer.status, answer.type, answer.code) == (status, kind, code + ";Sender")
    assert answer.message


def test_the_largest_message_and_the_largest_receive(sqs):
    url = sqs.create()
    body = '"\\' * 524288  # every character is escaped on the way out
    for _ in range(10):
        sqs.send(url, body)
    messages = sqs.receive(url)
    assert len(messages) == 10 and all(m["Body"] == body for m in messages)


def test_a_body_beyond_every_limit(sqs):
    answer = sqs.post(b" " * (9 << 20), sqs.headers("ListQueues", b""))
    assert answer.status == 413


class Poll(threading.Thread):
    """A long poll on a connection of its own."""

    def __init__(self, endpoint, url, **parameters):
        super().__init__(daemon=True)
        self.client = Client(endpoint)
        self.url, self.parameters = url, {"WaitTimeSeconds": 20, **parameters}
        self.messages = None

    def run(self):
        self.messages = self.client.receive(self.url, **self.parameters)
        self.client.close()

    def bodies(self):
        self.join(60)
        assert not self.is_alive(), "the long poll hangs"
        return [message["Body"] for message in self.messages]


def start_polls(server_url, url, count, **parameters):
    polls = [Poll(server_url, url, **parameters) for _ in range(count)]
    for poll in polls:
        poll.start()
    return polls


def test_long_polls_are_woken_by_a_send(sqs):
    url = sqs.create()
    # Whether a poll waits already or comes a moment later, it gets a message.
    polls = start_polls(sqs.url, url, 5, MaxNumberOfMessages=1)
    sqs.send_all(url, ["a", "b", "c", "d", "e"])
    assert sorted(poll.bodies()[0] for poll in polls) == ["a", "b", "c", "d", "e"]


def test_long_poll_is_woken_by_the_end_of_a_delay(sqs):
    url = sqs.create()
    sqs.send(url, "later", DelaySeconds=1)
    assert sqs.counts(url) == (0, 0, 1)
    assert [m["Body"] for m in sqs.receive(url, WaitTimeSeconds=20)] == ["later"]


def test_long_poll_is_woken_by_the_end_of_a_visibility_timeout(sqs):
    url = sqs.create()
    sqs.send(url, "again")
    sqs.receive(url, VisibilityTimeout=1)
    (message,) = sqs.receive(url, WaitTimeSeconds=20)
    assert message["Attributes"]["ApproximateReceiveCount"] == "2"


def test_long_poll_that_finds_nothing(sqs):
    url = sqs.create()
    assert sqs.raw("ReceiveMessage", {"QueueUrl": url, "WaitTimeSeconds": 1}).body == b"{}"


def test_long_poll_ends_with_its_queue(sqs):
    url = sqs.create()
    poll = Client(sqs.url)
    result = []

    def run():
        result.append(poll.raw("ReceiveMessage", {"QueueUrl": url, "WaitTimeSeconds": 20}))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    sqs.call("DeleteQueue", QueueUrl=url)
    thread.join(60)
    assert result[0].type == SQS + "QueueDoesNotExist"


def test_a_client_that_left_swallows_nothing(sqs):
    url = sqs.create()
    body = json.dumps({"QueueUrl": url, "WaitTimeSeconds": 20}).encode()
    head = "\r\n".join([f"{name}: {value}" for name, value in {
        **sqs.headers("ReceiveMessage", body), "Host": sqs.netloc,
        "Content-Length": str(len(body))}.items()])
    address = urllib.parse.urlsplit(sqs.url)
    for _ in range(20):
        with socket.create_connection((address.hostname, address.port)) as gone:
            gone.sendall(b"POST / HTTP/1.1\r\n" + head.encode() + b"\r\n\r\n" + body)
            # A later request of another client was answered: the poll has arrived by then.
            sqs.counts(url)
    sqs.send_all(url, [str(i) for i in range(10)])
    assert sqs.counts(url) == (10, 0, 0)
    assert len(sqs.receive(url)) == 10


def test_sigterm_answers_long_polls_and_ends(bunshin):
    server = bunshin.queue()
    sqs = Client(server.url)
    url = sqs.create()
    polls = start_polls(server.url, url, 8)
    probes = [Client(server.url) for _ in range(2)]
    for probe in probes:
        probe.counts(url)
    assert server.terminate() == 0
    for poll in polls:
        poll.join(60)
    # Each was answered with nothing, unless it came after the end.
    assert all(poll.messages in ([], None) for poll in polls)
    assert any(poll.messages == [] for poll in polls)


KEYS = ("AKIDLOCAL", "a-local-secret")


@pytest.fixture
def guarded(bunshin):
    return bunshin.queue("--memory", "--access-key", KEYS[0], "--secret-key", KEYS[1],
                         "--region", "ap-northeast-1").url


def test_the_right_key_may(guarded):
    sqs = Client(guarded, KEYS, "ap-northeast-1")
    url = sqs.create("q")
    sqs.send(url, "signed 署名")
    assert sqs.receive(url)[0]["Body"] == "signed 署名"
    path = urllib.parse.urlsplit(url).path
    assert sqs.raw("SendMessage", {"QueueUrl": url, "MessageBody": "x"}, path).status == 200
    arn = sqs.call("GetQueueAttributes", QueueUrl=url, AttributeNames=["QueueArn"])
    assert arn["Attributes"]["QueueArn"] == "arn:aws:sqs:ap-northeast-1:000000000000:q"
    assert Client(guarded, KEYS, "ap-northeast-1", token="a-token").call("ListQueues")


@pytest.mark.parametrize("options, status, kind, code", [
    ({"keys": None}, 403, "MissingAuthenticationTokenException", "MissingAuthenticationToken"),
    ({"keys": ("AKIDOTHER", KEYS[1])}, 403, "UnrecognizedClientException",
     "InvalidClientTokenId"),
    ({"keys": (KEYS[0], "wrong")}, 403, "InvalidSignatureException", "SignatureDoesNotMatch"),
    ({"keys": KEYS, "region": "us-east-1"}, 403, "InvalidSignatureException",
     "SignatureDoesNotMatch"),
    ({"keys": KEYS, "service": "sns"}, 403, "InvalidSignatureException",
     "SignatureDoesNotMatch"),
])
def test_wrong_keys(guarded, options, status, kind, code):
    sqs = Client(guarded, **{"region": "ap-northeast-1", **options})
    answer = sqs.raw("ListQueues", {})
    assert (answer.status, answer.type, answer.code) == (status, CORAL + kind, code + ";Sender")


def test_a_changed_body_or_an_old_date(guarded):
    sqs = Client(guarded, KEYS, "ap-northeast-1")
    headers = sqs.headers("ListQueues", b"{}")
    assert sqs.post(b"{ }", headers).code == "SignatureDoesNotMatch;Sender"
    assert sqs.post(b"{}", headers).status == 200
    old = {**headers, "X-Amz-Date": "20200101T000000Z"}
    answer = sqs.post(b"{}", old)
    assert answer.code == "SignatureDoesNotMatch;Sender"
    assert answer.message.startswith("Signature expired: 20200101T000000Z is now earlier than ")
    assert sqs.post(b"{}", {**headers, "Authorization": "Bearer x"}).status == 400
    assert sqs.get("/_health").status == 200


def test_without_keys_any_signature_is_taken(bunshin):
    url = bunshin.queue().url
    assert Client(url, ("who", "ever"), "mars-1").call("ListQueues") == {}


@pytest.mark.parametrize("arguments, words", [
    (["--memory", "--data", "x"], "--data and --memory"),
    (["--memory", "--access-key", "a"], "--access-key and --secret-key"),
    (["--memory", "--secret-key", "a"], "--access-key and --secret-key"),
    (["--memory", "--listen", "nonsense"], "nonsense"),
    (["--memory", "extra"], "extra"),
    (["--memory", "--region", "x" * 65], "region"),
])
def test_wrong_usage(bunshin, arguments, words):
    result = bunshin.run("queue", *arguments)
    assert result.exit == 2 and result.out == ""
    assert words in result.err


def test_port_in_use(bunshin):
    server = bunshin.queue()
    result = bunshin.run("queue", "--memory", "--listen", f"127.0.0.1:{server.port}")
    assert result.exit == 1
    assert "in use" in result.err


def test_hostile_bytes_do_no_harm(sqs):
    """Broken requests, each on its own connection; the server answers the next good one."""
    address = urllib.parse.urlsplit(sqs.url)
    deep = b'{"a":' * 5000 + b"1" + b"}" * 5000
    bodies = [b"\0" * 100, b"[" * 100000, deep, b'{"QueueUrl":"' + b"/" * 100000 + b'"}',
              b'{"Entries":[' + b"{}," * 10000 + b"{}]}", b'{"QueueUrl":"\\ud800"}',
              b"{" + b'"x":1,' * 50000 + b'"QueueUrl":"/q"}']
    for body in bodies:
        for operation in "SendMessageBatch", "ReceiveMessage", "CreateQueue":
            answer = sqs.raw(operation, body)
            assert answer.status == 400 and answer.type, (operation, body[:40])
    for raw in b"\r\n\r\n", b"GET", b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"\xff" * 999:
        with socket.create_connection((address.hostname, address.port)) as sock:
            sock.sendall(raw)
    assert sqs.call("ListQueues") == {}


def test_tags(sqs):
    url = sqs.call("CreateQueue", QueueName="tagged", tags={"a": "1"})["QueueUrl"]
    assert sqs.call("ListQueueTags", QueueUrl=url) == {"Tags": {"a": "1"}}
    assert sqs.raw("TagQueue", {"QueueUrl": url, "Tags": {"b": "2", "a": ""}}).body == b"{}"
    assert sqs.call("ListQueueTags", QueueUrl=url) == {"Tags": {"a": "", "b": "2"}}
    assert sqs.raw("UntagQueue", {"QueueUrl": url, "TagKeys": ["a", "b"]}).body == b"{}"
    assert sqs.call("ListQueueTags", QueueUrl=url) == {}
    for tags in {"aws:a": "x"}, {"a": "x" * 257}, {"x" * 129: "a"}, {"a": "*"}:
        bad = sqs.raw("TagQueue", {"QueueUrl": url, "Tags": tags})
        assert (bad.status, bad.type) == (400, CORAL + "InvalidParameterValueException")
    assert sqs.call("ListQueueTags", QueueUrl=url) == {}
