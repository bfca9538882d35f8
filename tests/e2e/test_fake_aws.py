"""The fakes of AWS against clients that are not ours: boto3, and botocore's credential chain."""

import json
import socket
import time
import urllib.error
import urllib.request

import boto3
import botocore.config
import botocore.exceptions
import botocore.loaders
import botocore.session
import pytest
from botocore.credentials import (ContainerProvider, InstanceMetadataFetcher,
                                  InstanceMetadataProvider)

from fake_aws import FakeAws
from fake_http import PHASES
from fake_keys import REGION

ONCE = botocore.config.Config(retries={"max_attempts": 0}, read_timeout=30)


class JsonModels(botocore.loaders.Loader):
    """
    Debian's botocore knows SQS by its older protocol only. The members have the same names in the
    JSON one, without the names and lists that were the query protocol's.
    """

    def load_service_model(self, service, type_name, api_version=None):
        model = super().load_service_model(service, type_name, api_version)
        if (service, type_name) != ("sqs", "service-2"):
            return model
        model = self._strip(model)
        model["metadata"].update(protocol="json", jsonVersion="1.0", targetPrefix="AmazonSQS")
        return model

    def _strip(self, value):
        if isinstance(value, list):
            return [self._strip(item) for item in value]
        if not isinstance(value, dict):
            return value
        return {name: self._strip(item) for name, item in value.items()
                if isinstance(item, dict) or name not in ("locationName", "flattened")}


def client(aws, keys, service="sqs", config=ONCE):
    session = botocore.session.Session()
    session.register_component("data_loader", JsonModels())
    return session.create_client(
        service, region_name=REGION, endpoint_url=aws.url, config=config,
        aws_access_key_id=keys.access_key, aws_secret_access_key=keys.secret,
        aws_session_token=keys.token or None)


def code_of(call, **parameters):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**parameters)
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


@pytest.fixture
def aws():
    with FakeAws() as fake:
        yield fake


def test_queue(aws):
    aws.sqs.create("morning", visibility_s=20)
    sqs = client(aws, aws.ring.issue(600))
    url = aws.queue_url("morning")
    attributes = {"x": {"DataType": "Binary", "BinaryValue": b"\0\1"},
                  "y": {"DataType": "Number", "StringValue": "7"}}
    sent = sqs.send_message_batch(QueueUrl=url, Entries=[
        {"Id": "a", "MessageBody": "one", "MessageAttributes": attributes},
        {"Id": "b", "MessageBody": "two", "DelaySeconds": 900}])["Successful"]
    assert [row["Id"] for row in sent] == ["a", "b"]
    assert aws.counts("morning") == (1, 0, 1)
    [message] = sqs.receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1, AttributeNames=["All"],
        MessageAttributeNames=["All"])["Messages"]
    assert (message["Body"], message["MessageAttributes"]) == ("one", attributes)
    assert message["MD5OfMessageAttributes"] == sent[0]["MD5OfMessageAttributes"]
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"],
                                  VisibilityTimeout=0)
    [again] = sqs.receive_message(QueueUrl=url)["Messages"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])  # an old handle
    assert aws.counts("morning") == (0, 1, 1)
    answer = sqs.delete_message_batch(QueueUrl=url, Entries=[
        {"Id": "a", "ReceiptHandle": again["ReceiptHandle"]},
        {"Id": "b", "ReceiptHandle": "junk"}])
    assert answer["Failed"][0]["Code"] == "ReceiptHandleIsInvalid"
    assert aws.counts("morning") == (0, 0, 1)
    assert code_of(sqs.get_queue_url, QueueName="no") == (
        400, "AWS.SimpleQueueService.NonExistentQueue")
    assert aws.sqs.verifier.failed == 0


def test_long_poll_ends_with_a_message_or_a_visibility_timeout(aws):
    aws.sqs.create("morning", visibility_s=1)
    sqs = client(aws, aws.ring.issue(600))
    url = aws.queue_url("morning")
    assert "Messages" not in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1)
    aws.send("morning", ["one"])
    for receives in ("1", "2"):
        [message] = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20,
                                        AttributeNames=["ApproximateReceiveCount"])["Messages"]
        assert message["Attributes"] == {"ApproximateReceiveCount": receives}


def test_fifo_groups_deduplication_and_attempts(aws):
    aws.sqs.create("f.fifo", content_based=True)
    sqs = client(aws, aws.ring.issue(600))
    url = aws.queue_url("f.fifo")

    def receive(**parameters):
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=2, **parameters)
        return [m["Body"] for m in answer.get("Messages", [])], answer.get("Messages")

    for body, group in (("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b"), ("a1", "a")):
        sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId=group)
    assert aws.counts("f.fifo") == (4, 0, 0)
    bodies, messages = receive(ReceiveRequestAttemptId="try")
    assert bodies == ["a1", "a2"]
    assert receive(ReceiveRequestAttemptId="try")[1] == messages, "the same again, same handles"
    assert receive()[0] == ["b1"], "group a is blocked"
    for message in reversed(messages):
        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"],
                                      VisibilityTimeout=0)
    assert receive()[0] == ["a1", "a2"], "in order again"
    assert aws.stats.errors == {}
    aws.sqs.fifo_calls = 2
    codes = [code_of(sqs.delete_message, QueueUrl=url, ReceiptHandle="junk")[1]
             for _ in range(6)]
    assert "RequestThrottled" in codes


def test_signatures(aws):
    aws.sqs.create("morning")
    url = aws.queue_url("morning")
    good = aws.ring.issue(600)
    wrong = aws.ring.issue(600)
    wrong.secret = wrong.secret[::-1]
    forged = client(aws, wrong)
    wrong.secret = wrong.secret[::-1]
    for keys, expected in (
            (aws.ring.issue(-1), (403, "ExpiredToken")),
            (type(good)("ASIAUNKNOWN", "secret"), (403, "InvalidClientTokenId")),
            (type(good)(good.access_key, good.secret, "other"), (403, "InvalidClientTokenId"))):
        assert code_of(client(aws, keys).receive_message, QueueUrl=url) == expected
    assert aws.sqs.verifier.failed == 0
    assert code_of(forged.receive_message, QueueUrl=url) == (403, "SignatureDoesNotMatch")
    aws.ring.clock.offset_s = 400
    assert code_of(client(aws, good).receive_message, QueueUrl=url)[1] == "SignatureDoesNotMatch"
    aws.ring.clock.offset_s = 200
    client(aws, good).receive_message(QueueUrl=url)
    assert aws.sqs.verifier.failed == 2
    assert aws.sqs.verifier.used == {good.access_key: 1}


def test_sts(aws):
    base = aws.ring.issue(user=True)
    role = aws.sts.add_role("inner", trusts=[base.arn], external_id="outside",
                            tokens=["a web token"])
    sts = client(aws, base, "sts")
    assert sts.get_caller_identity()["Arn"] == base.arn
    parameters = {"RoleArn": role.arn, "RoleSessionName": "me"}
    assert code_of(sts.assume_role, **parameters) == (403, "AccessDenied")
    answer = sts.assume_role(ExternalId="outside", **parameters)["Credentials"]
    inner = boto3.client("sts", region_name=REGION, endpoint_url=aws.url,
                         aws_access_key_id=answer["AccessKeyId"],
                         aws_secret_access_key=answer["SecretAccessKey"],
                         aws_session_token=answer["SessionToken"])
    assert inner.get_caller_identity()["Arn"].endswith(":assumed-role/inner/me")
    assert code_of(inner.assume_role, ExternalId="outside", **parameters) == (403, "AccessDenied")
    sts.assume_role_with_web_identity(WebIdentityToken="a web token", **parameters)
    assert code_of(sts.assume_role_with_web_identity, WebIdentityToken="forged",
                   **parameters) == (400, "InvalidIdentityToken")
    assert [caller for _, caller, _ in aws.sts.assumed] == [base.arn, None]


def test_metadata(aws, tmp_path, monkeypatch):
    """botocore reads the instance's role and the container's from the fakes."""
    fetcher = InstanceMetadataFetcher(base_url=aws.url + "/", num_attempts=1)
    keys = InstanceMetadataProvider(fetcher).load().get_frozen_credentials()
    assert aws.ring.find(keys.access_key).secret == keys.secret_key
    assert [r.action for r in aws.stats.seen()] == ["imds.token", "imds.roles", "imds.role"]
    aws.imds.forget_tokens()
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(aws.url + "/latest/meta-data/placement/region")
    no_ttl = urllib.request.Request(aws.url + "/latest/api/token", method="PUT")
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(no_ttl)

    token = tmp_path / "token"
    token.write_text("pod token", encoding="utf-8")
    aws.container.token_file = token
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", aws.url + aws.container.path)
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "pod token")
    again = ContainerProvider().load().get_frozen_credentials()
    assert again.access_key == keys.access_key
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "another")
    with pytest.raises(botocore.exceptions.CredentialRetrievalError):
        ContainerProvider().load()


def ask(address, body=b"{}"):
    """The answer's bytes until the server closes or stays silent for a while."""
    answer = b""
    with socket.create_connection(address, timeout=0.3) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: AmazonSQS.X\r\n"
                           b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        try:
            while data := connection.recv(65536):
                answer += data
        except TimeoutError:
            return "silent", answer
        except ConnectionResetError:
            return "reset", answer
    return "closed", answer


def test_faults(aws):
    address = ("127.0.0.1", aws.port)
    whole = ask(address)[1]
    assert whole.startswith(b"HTTP/1.1 403 ") and b"MissingAuthentication" in whole
    sizes = []
    for phase in PHASES:
        aws.freeze(phase)
        how, answer = ask(address)
        assert how == "silent" and whole.startswith(answer[:10])
        aws.thaw()
        assert len(ask(address)[1]) == len(whole)
        sizes.append(len(answer))
    assert sizes[:3] == [0, 0, 0] and 0 < sizes[3] < sizes[4] < len(whole)
    for end, expected in (("silence", "silent"), ("close", "closed"), ("reset", "reset"),
                          ("half", "closed")):
        fault = aws.fail("sqs.*", times=1, end=end)
        how, answer = ask(address)
        assert (how, fault.hits) == (expected, 1)
        assert 0 < len(answer) < len(whole) if end == "half" else answer == b""
    aws.heal()
    aws.sqs.create("morning")
    aws.fail("sqs.ReceiveMessage", skip=1, times=1, status=403, code="RequestThrottled")
    aws.fail("sqs.ReceiveMessage", times=1, skip=1, status=503, code="ServiceUnavailable",
             delay_s=0.1)
    sqs = client(aws, aws.ring.issue(600))
    url = aws.queue_url("morning")
    sqs.receive_message(QueueUrl=url)
    started = time.monotonic()
    assert [code_of(sqs.receive_message, QueueUrl=url) for _ in range(2)] == [
        (403, "RequestThrottled"), (503, "ServiceUnavailable")]
    assert time.monotonic() - started >= 0.1
    aws.sqs.in_flight = 120000
    assert code_of(sqs.receive_message, QueueUrl=url) == (403, "OverLimit")
    assert json.loads(json.dumps(aws.stats.errors))["OverLimit"] == 1
