"""That the clients of clients.py are what they are taken for, and ways of using them beside calls."""

import contextlib
import json
import subprocess

import boto3
import pytest

from clients import ANY_KEYS, REGION, Clients
from fake_http import Answer, FakeServer, Part
from harness import PATIENCE_S


class Recorder(Part):
    """Keeps what was asked and gives one answer."""

    def __init__(self, answer):
        self._answer = answer
        self.headers = []

    def claims(self, request):
        return True

    def action(self, request):
        return "any"

    def serve(self, request):
        self.headers.append(request.headers)
        return self._answer


@pytest.mark.parametrize("name, kind, agent", [
    ("boto3", "application/x-www-form-urlencoded; charset=utf-8", "Boto3/"),
    ("awscli", "application/x-www-form-urlencoded; charset=utf-8", "aws-cli/"),
    ("javascript", "application/x-amz-json-1.0", "aws-sdk-js/"),
])
def test_which_protocol_a_client_speaks(clients, name, kind, agent):
    recorder = Recorder(Answer(400, b"no", "text/plain"))
    with FakeServer(recorder) as server:
        with contextlib.suppress(Exception):  # each says in its own way that this is no answer
            clients.make(name, server.url).call("ListQueues")
    assert recorder.headers[0]["content-type"] == kind
    assert recorder.headers[0]["user-agent"].startswith(agent)
    assert ("x-amz-target" in recorder.headers[0]) == (kind == "application/x-amz-json-1.0")


def test_the_javascript_client_checks_digests(clients):
    answer = Answer(200, json.dumps({"MessageId": "x", "MD5OfMessageBody": "0" * 32}).encode(),
                    "application/x-amz-json-1.0")
    with FakeServer(Recorder(answer)) as server:
        client = clients.make("javascript", server.url)
        with pytest.raises(AssertionError, match="InvalidChecksumError"):
            client.send(f"{server.url}/000000000000/q", "body")


def test_resources_of_boto3(bunshin):
    """What most scripts with boto3 use."""
    sqs = boto3.resource("sqs", endpoint_url=bunshin.queue().url, region_name=REGION,
                         aws_access_key_id=ANY_KEYS[0], aws_secret_access_key=ANY_KEYS[1])
    queue = sqs.create_queue(QueueName="morning", Attributes={"DelaySeconds": "0"})
    assert sqs.get_queue_by_name(QueueName="morning").url == queue.url
    queue.send_message(MessageBody="a")
    queue.send_messages(Entries=[{"Id": "1", "MessageBody": "b"}])
    messages = queue.receive_messages(MaxNumberOfMessages=10, AttributeNames=["All"])
    assert sorted(message.body for message in messages) == ["a", "b"]
    assert all(message.attributes["ApproximateReceiveCount"] == "1" for message in messages)
    messages[0].change_visibility(VisibilityTimeout=60)
    messages[0].delete()
    queue.delete_messages(Entries=[{"Id": "1", "ReceiptHandle": messages[1].receipt_handle}])
    queue.reload()
    assert queue.attributes["ApproximateNumberOfMessagesNotVisible"] == "0"
    assert [found.url for found in sqs.queues.all()] == [queue.url]
    queue.delete()


def test_aws_on_a_command_line(bunshin):
    """The command itself, with pages and a query of its own."""
    url = bunshin.queue().url
    env = {**bunshin.environment, "AWS_PAGER": "", "AWS_DEFAULT_REGION": REGION}

    def aws(*arguments):
        done = subprocess.run(["/usr/bin/aws", "sqs", *arguments, "--endpoint-url", url],
                              capture_output=True, text=True, timeout=PATIENCE_S, env=env)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout.strip()

    queue = aws("create-queue", "--queue-name", "morning", "--output", "text")
    aws("create-queue", "--queue-name", "noon", "--attributes", "VisibilityTimeout=5,DelaySeconds=0")
    assert aws("list-queues", "--page-size", "1", "--output", "text",
               "--query", "QueueUrls").split() == [queue, queue.replace("morning", "noon")]
    aws("send-message", "--queue-url", queue, "--message-body", "<é> &\r\n😀", "--message-attributes",
        "kind={DataType=String,StringValue=x}")
    body = aws("receive-message", "--queue-url", queue, "--query", "Messages[0].Body")
    assert json.loads(body) == "<é> &\r\n😀"


def test_every_client_finds_the_queues_of_the_others(bunshin, clients):
    """One queue, both protocols: what one sends, the next receives and the one after deletes."""
    url = bunshin.queue().url
    all_of_them = [clients.make(name, url) for name in Clients.NAMES]
    queue = all_of_them[0].create("shared", VisibilityTimeout=600)
    value = bytes(range(256))
    attributes = {"binary": {"DataType": "Binary.x", "BinaryValue": value},
                  "text": {"DataType": "String", "StringValue": "<é> &\r\n😀"}}
    for number, sender in enumerate(all_of_them):
        receiver, deleter = (all_of_them[(number + step) % len(all_of_them)] for step in (1, 2))
        sent = sender.send(queue, "<é> &\r\n😀", MessageAttributes=attributes)
        message = receiver.receive_one(queue)
        assert (message["MessageId"], message["Body"], message["MessageAttributes"]) == (
            sent["MessageId"], "<é> &\r\n😀", attributes)
        deleter.delete(queue, message)
        assert deleter.counts(queue) == (0, 0, 0)
