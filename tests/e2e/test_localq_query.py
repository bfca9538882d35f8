"""The embedded queue speaks SQS's older Query protocol: what goes over the wire, and that it means the
same as the JSON protocol, operation by operation. botocore's own model of that protocol writes the
requests and reads the answers; test_clients_*.py has the clients as they are."""

import json
import re
import urllib.parse
import xml.etree.ElementTree as ElementTree

import botocore.parsers
import botocore.serialize
import botocore.session
import pytest

from sqs_json import Client

FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
NAMESPACE = "{http://queue.amazonaws.com/doc/2012-11-05/}"
ARN = "arn:aws:sqs:us-east-1:000000000000:"
MODEL = botocore.session.get_session().get_service_model("sqs")
BODY = 'おはよう &<>"\' ]]> \r\n \t 😀 €'


@pytest.fixture
def sqs(bunshin):
    client = Client(bunshin.queue().url)
    yield client
    client.close()


class Query:
    """Operations in the Query protocol, their input and output as botocore's model has them."""

    def __init__(self, sqs):
        self.sqs = sqs

    def call(self, operation, **parameters):
        model = MODEL.operation_model(operation)
        request = botocore.serialize.create_serializer("query").serialize_to_request(parameters, model)
        answer = self.sqs.post(urllib.parse.urlencode(request["body"]), FORM)
        output = botocore.parsers.create_parser("query").parse(
            {"status_code": answer.status, "headers": answer.headers, "body": answer.body},
            model.output_shape)
        output.pop("ResponseMetadata")
        output.get("Error", {}).pop("Detail", None)
        return answer.status, output


class Json:
    def __init__(self, sqs):
        self.sqs = sqs

    def call(self, operation, **parameters):
        answer = self.sqs.raw(operation, parameters)
        if answer.status == 200:
            return 200, answer.json
        code, kind = answer.code.split(";")
        return answer.status, {"Error": {"Code": code, "Type": kind, "Message": answer.message}}


def story(api):
    """Every operation once and refused once; the same queues whoever tells it."""
    names = []

    def tell(operation, **parameters):
        names.append(operation)
        return api.call(operation, **parameters)

    attributes = {"n": {"DataType": "Number.int", "StringValue": "1"},
                  "s": {"DataType": "String", "StringValue": BODY},
                  "b": {"DataType": "Binary", "BinaryValue": b"AP8=" if isinstance(api, Query) else "AP8="}}
    if isinstance(api, Query):  # the model wants the bytes, and encodes them itself
        attributes["b"]["BinaryValue"] = b"\x00\xff"
    trace = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5759e988"}}
    told = [tell("CreateQueue", QueueName="dead")]
    told.append(tell("CreateQueue", QueueName="q", Attributes={
        "VisibilityTimeout": "60", "RedrivePolicy":
        '{"deadLetterTargetArn":"%sdead","maxReceiveCount":1}' % ARN}, tags={"a": "b+c"}))
    assert [status for status, _ in told] == [200, 200], told
    url = told[-1][1]["QueueUrl"]
    dead = told[0][1]["QueueUrl"]
    told += [
        tell("CreateQueue", QueueName="q", Attributes={"VisibilityTimeout": "61"}),
        tell("CreateQueue", QueueName="no!"),
        tell("GetQueueUrl", QueueName="q"),
        tell("GetQueueUrl", QueueName="nope"),
        tell("ListQueues"),
        tell("ListQueues", QueueNamePrefix="q", MaxResults=1),
        tell("ListQueues", QueueNamePrefix="zz"),
        tell("GetQueueAttributes", QueueUrl=url, AttributeNames=["VisibilityTimeout", "RedrivePolicy",
                                                                 "ApproximateNumberOfMessages"]),
        tell("GetQueueAttributes", QueueUrl=url),
        tell("GetQueueAttributes", QueueUrl=url, AttributeNames=["Nope"]),
        tell("SetQueueAttributes", QueueUrl=url, Attributes={"DelaySeconds": "0"}),
        tell("SetQueueAttributes", QueueUrl=url, Attributes={"DelaySeconds": "901"}),
        tell("TagQueue", QueueUrl=url, Tags={"x": "+y @"}),
        tell("UntagQueue", QueueUrl=url, TagKeys=["a"]),
        tell("ListQueueTags", QueueUrl=url),
        tell("ListDeadLetterSourceQueues", QueueUrl=dead),
        tell("SendMessage", QueueUrl=url, MessageBody=BODY, MessageAttributes=attributes,
             MessageSystemAttributes=trace),
        tell("SendMessage", QueueUrl=url, MessageBody="\x00"),
        tell("SendMessage", QueueUrl=url, MessageBody="x", DelaySeconds=901),
        tell("SendMessageBatch", QueueUrl=url, Entries=[
            {"Id": "good", "MessageBody": "late", "DelaySeconds": 900},
            {"Id": "bad", "MessageBody": "\ufffe"}]),
        tell("SendMessageBatch", QueueUrl=url, Entries=[]),
        tell("ReceiveMessage", QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"],
             MessageAttributeNames=["All"]),
    ]
    handle = told[-1][1]["Messages"][0]["ReceiptHandle"]
    told += [
        tell("ReceiveMessage", QueueUrl=url),
        tell("ReceiveMessage", QueueUrl=url, MaxNumberOfMessages=11),
        tell("ChangeMessageVisibility", QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=100),
        tell("ChangeMessageVisibilityBatch", QueueUrl=url, Entries=[
            {"Id": "a", "ReceiptHandle": handle, "VisibilityTimeout": 0},
            {"Id": "b", "ReceiptHandle": "garbage", "VisibilityTimeout": 0}]),
        tell("ChangeMessageVisibility", QueueUrl=url, ReceiptHandle="garbage", VisibilityTimeout=1),
        tell("ReceiveMessage", QueueUrl=url),  # moves it
        tell("ReceiveMessage", QueueUrl=dead, AttributeNames=["All"]),
    ]
    handle = told[-1][1]["Messages"][0]["ReceiptHandle"]
    told += [
        tell("DeleteMessageBatch", QueueUrl=dead, Entries=[
            {"Id": "a", "ReceiptHandle": handle}, {"Id": "b", "ReceiptHandle": "garbage"}]),
        tell("DeleteMessage", QueueUrl=dead, ReceiptHandle=handle),
        tell("DeleteMessage", QueueUrl=dead, ReceiptHandle="garbage"),
        tell("PurgeQueue", QueueUrl=url),
        tell("PurgeQueue", QueueUrl=url),
        tell("DeleteQueue", QueueUrl=url),
        tell("DeleteQueue", QueueUrl=url),
        tell("CreateQueue", QueueName="q"),
    ]
    return names, told


SECRETS = "ReceiptHandle", "MessageId", "SentTimestamp", "ApproximateFirstReceiveTimestamp"


def meaning(value, name=""):
    """Without what differs from one server to the next."""
    if isinstance(value, dict):
        return {key: meaning(item, key) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [meaning(item) for item in value]
    if isinstance(value, bytes):
        import base64
        return base64.b64encode(value).decode()
    if name in SECRETS:
        return name
    if not isinstance(value, str):
        return value
    # This one sentence is another one in the Query protocol of SQS.
    return re.sub(r"http://[^/]+", "http://h", value).replace(" for this wsdl version.", ".")


def test_both_protocols_mean_the_same(bunshin):
    clients = [Client(bunshin.queue("--memory").url) for _ in range(2)]
    (names, query), (_, json) = story(Query(clients[0])), story(Json(clients[1]))
    assert len(query) == len(json) == len(names) >= 38
    for name, one, other in zip(names, query, json):
        assert meaning(one) == meaning(other), name
    statuses = [status for status, _ in query]
    assert statuses.count(200) == 25 and {400, 403, 404} <= set(statuses)
    for client in clients:
        client.close()


def form(**parameters):
    return urllib.parse.urlencode(parameters)


def test_what_goes_over_the_wire(sqs):
    answer = sqs.post(form(Action="CreateQueue", QueueName="q", Version="2012-11-05"), FORM)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/xml")
    root = ElementTree.fromstring(answer.body)
    assert root.tag == NAMESPACE + "CreateQueueResponse"
    assert root.findtext(f"{NAMESPACE}CreateQueueResult/{NAMESPACE}QueueUrl") == \
        f"{sqs.url}/000000000000/q"
    assert root.findtext(f"{NAMESPACE}ResponseMetadata/{NAMESPACE}RequestId") == \
        answer.headers["x-amzn-requestid"]


def test_an_error(sqs):
    answer = sqs.post(form(Action="GetQueueUrl", QueueName="nope"), FORM)
    assert (answer.status, answer.headers["content-type"]) == (400, "text/xml")
    assert "x-amzn-query-error" not in answer.headers
    root = ElementTree.fromstring(answer.body)
    assert root.tag == NAMESPACE + "ErrorResponse"
    error = {child.tag.removeprefix(NAMESPACE): child.text for child in root[0]}
    assert error == {"Type": "Sender", "Code": "AWS.SimpleQueueService.NonExistentQueue",
                     "Message": "The specified queue does not exist for this wsdl version.",
                     "Detail": None}
    assert root.findtext(NAMESPACE + "RequestId") == answer.headers["x-amzn-requestid"]


@pytest.mark.parametrize("body, code", [
    (b"", "MissingAction"), (b"Version=2012-11-05", "MissingAction"),
    (b"Action=Nope", "InvalidAction"), (b"Action=BunshinQueue.Overview", "InvalidAction"),
    (b"Action=ListQueues&Version=2013-01-01", "NoSuchVersion"),
    (b"Action=ListQueues&MaxResults=x", "InvalidParameterValue"),
    (b"Action=ListQueues&MaxResults=1001", "InvalidParameterValue"),
    (b"Action=ListQueues&QueueNamePrefix=%ff", "MalformedInput"),
    (b"Action=ListQueues&QueueNamePrefix=%f", "MalformedInput"),
    (b"Action=SendMessage&MessageBody=x", "MissingParameter"),
])
def test_forms_that_are_refused(sqs, body, code):
    answer = sqs.post(body, FORM)
    assert answer.status == 400
    assert ElementTree.fromstring(answer.body).findtext(f"{NAMESPACE}Error/{NAMESPACE}Code") == code


def test_which_protocol_it_is(sqs):
    """By the target, else by the type; curl -d says that it sends a form."""
    body = form(Action="ListQueues").encode()
    assert sqs.post(body, FORM).headers["content-type"] == "text/xml"
    assert sqs.post(body, {}).headers["content-type"] == "text/xml"
    for headers in ({"Content-Type": "application/x-amz-json-1.0"},
                    {**FORM, "X-Amz-Target": "AmazonSQS.ListQueues"}):
        answer = sqs.post(body, headers)
        assert answer.headers["content-type"] == "application/x-amz-json-1.0"
        assert answer.status == 400
    assert sqs.post(b"{}", {**FORM, "X-Amz-Target": "AmazonSQS.ListQueues"}).status == 200


def test_the_path_of_the_queue_stands_for_its_url(sqs):
    url = sqs.create("by-path")
    path = urllib.parse.urlsplit(url).path
    assert sqs.post(form(Action="SendMessage", MessageBody="a"), FORM, path).status == 200
    assert [message["Body"] for message in sqs.receive(url)] == ["a"]


def test_nothing_is_done_by_get(sqs):
    """A browser would do it for any page."""
    url = sqs.create("kept")
    answer = sqs.get("/?Action=DeleteQueue&QueueUrl=" + urllib.parse.quote(url, safe=""))
    assert answer.headers["content-type"].startswith("text/html")
    assert sqs.get(urllib.parse.urlsplit(url).path + "?Action=DeleteQueue").status == 404
    assert sqs.call("GetQueueUrl", QueueName="kept") == {"QueueUrl": url}


def test_a_foreign_page_is_refused_in_xml(sqs):
    answer = sqs.post(form(Action="ListQueues"), {**FORM, "Origin": "http://evil.example"})
    assert answer.status == 403
    assert ElementTree.fromstring(answer.body).findtext(
        f"{NAMESPACE}Error/{NAMESPACE}Code") == "AccessDenied"


def test_the_largest_receive(sqs):
    """Ten messages of 1 MiB, of which XML has six bytes for every one."""
    url = sqs.create("entities")
    body = '"' * (1 << 20)
    for _ in range(10):
        sqs.send(url, body)
    answer = sqs.post(form(Action="ReceiveMessage", QueueUrl=url, MaxNumberOfMessages=10), FORM)
    assert answer.status == 200
    bodies = [element.text for element in ElementTree.fromstring(answer.body).iter(NAMESPACE + "Body")]
    assert bodies == [body] * 10


def test_what_is_too_large_is_the_senders_fault(sqs):
    """In either protocol, and it harms nobody else."""
    url = sqs.create("careful")
    long = "x" * (2 << 20)
    answer = sqs.post(b"Action=SendMessage&QueueUrl=/careful&MessageBody="
                      + b"\x01" * ((8 << 20) - 60), FORM)
    assert answer.status == 400
    header = {"DataType": "String", "StringValue": long}
    assert sqs.raw("SendMessage", {
        "QueueUrl": url, "MessageBody": "a",
        "MessageSystemAttributes": {"AWSTraceHeader": header}}).status == 400
    assert sqs.raw("SetQueueAttributes", {
        "QueueUrl": url, "Attributes": {"Policy": json.dumps({"a": long})}}).status == 400
    answer = sqs.raw("AddPermission", {
        "QueueUrl": url, "Label": "a", "AWSAccountIds": ["111111111111"] * 100000,
        "Actions": ["*"]})
    assert (answer.status, answer.code) == (403, "OverLimit;Sender")
    assert sqs.post(b"Action=ListQueues&QueueNamePrefix=" + b"x" * (9 << 20), FORM).status == 413
    assert sqs.receive(url) == []


def test_the_largest_batch_in_either_protocol(sqs):
    """1 MiB of what takes most room on the wire."""
    url = sqs.create("large")
    body = "%" * (1 << 20)
    assert sqs.post(form(Action="SendMessage", QueueUrl=url, MessageBody=body), FORM).status == 200
    (message,) = sqs.receive(url)
    assert message["Body"] == body
