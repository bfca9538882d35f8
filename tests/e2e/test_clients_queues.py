"""Queues of the embedded queue, through clients that are not ours (see clients.py)."""

import json

from clients import ASQ
from harness import wait_for

NO_QUEUE = (400, ASQ + "NonExistentQueue")
INVALID_VALUE = (400, "InvalidParameterValue")
INVALID_ATTRIBUTE = (400, "InvalidAttributeValue")
NO_ATTRIBUTE = (400, "InvalidAttributeName")
TEXT = "<a & b> \"c\" 'd' ]]> é 😀"
TAG = "é 東京 a.b:c/d=e+f-g@h_0"


def test_a_queue_from_creation_to_deletion(client):
    url = client.create("orders", VisibilityTimeout=45)
    assert url == f"{client.url}/000000000000/orders"
    assert client.call("GetQueueUrl", QueueName="orders") == {"QueueUrl": url}
    values = client.attributes(url)
    created = values.pop("CreatedTimestamp")
    assert int(created) > 1_700_000_000 and values.pop("LastModifiedTimestamp") == created
    assert values == {
        "QueueArn": client.arn(url), "VisibilityTimeout": "45", "DelaySeconds": "0",
        "MaximumMessageSize": "1048576", "MessageRetentionPeriod": "345600",
        "ReceiveMessageWaitTimeSeconds": "0", "SqsManagedSseEnabled": "true",
        "ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesNotVisible": "0",
        "ApproximateNumberOfMessagesDelayed": "0"}
    assert client.call("DeleteQueue", QueueUrl=url) == {}
    assert client.refusal("GetQueueUrl", QueueName="orders") == NO_QUEUE
    assert client.refusal("CreateQueue", QueueName="orders") == (400, ASQ + "QueueDeletedRecently")


def test_creating_a_queue_that_is_there(client):
    """The same attributes, or none, give the URL of what is there; other ones are refused."""
    url = client.create("orders", VisibilityTimeout=45, DelaySeconds=5)
    assert client.create("orders", VisibilityTimeout=45, DelaySeconds=5) == url
    assert client.create("orders", DelaySeconds=5) == url
    assert client.create("orders") == url
    refusal = client.refusal("CreateQueue", QueueName="orders", Attributes={"DelaySeconds": "6"})
    assert refusal == (400, "QueueAlreadyExists")
    assert "DelaySeconds" in refusal.message
    assert client.attributes(url, "DelaySeconds") == {"DelaySeconds": "5"}


def test_names_of_queues(client):
    for name in "a" * 81, "a.b", "a b", "ä", "<a>":
        assert client.refusal("CreateQueue", QueueName=name) == INVALID_VALUE, name
    name = "A-z_09" + "x" * 74
    assert client.create(name).endswith("/" + name)


def test_queues_are_listed_by_prefix_and_in_pages(client):
    assert client.call("ListQueues").get("QueueUrls", []) == []
    urls = sorted(client.create(f"list-{number}") for number in range(5))
    other = client.create("other")
    assert sorted(client.call("ListQueues")["QueueUrls"]) == sorted([*urls, other])
    assert sorted(client.call("ListQueues", QueueNamePrefix="list-")["QueueUrls"]) == urls
    assert client.call("ListQueues", QueueNamePrefix="LIST").get("QueueUrls", []) == []
    pages, token = [], None
    while token or not pages:
        page = client.call("ListQueues", QueueNamePrefix="list-", MaxResults=2,
                           **({"NextToken": token} if token else {}))
        pages.append(page["QueueUrls"])
        token = page.get("NextToken")
    assert [len(page) for page in pages] == [2, 2, 1]
    assert sorted(sum(pages, [])) == urls
    for count in 0, 1001:
        assert client.refusal("ListQueues", MaxResults=count) == INVALID_VALUE


def test_attributes_are_set_and_read(client):
    url = client.create()
    values = {"VisibilityTimeout": "43200", "DelaySeconds": "900", "MaximumMessageSize": "1024",
              "MessageRetentionPeriod": "1209600", "ReceiveMessageWaitTimeSeconds": "20",
              "KmsMasterKeyId": "alias/aws/sqs", "KmsDataKeyReusePeriodSeconds": "86400"}
    client.call("SetQueueAttributes", QueueUrl=url, Attributes=values)
    assert client.attributes(url, *values) == values
    everything = client.attributes(url)
    assert values.items() <= everything.items()
    assert client.attributes(url, "DelaySeconds", "QueueArn") == {
        "DelaySeconds": "900", "QueueArn": client.arn(url)}
    assert client.call("GetQueueAttributes", QueueUrl=url) == {}


REFUSED_ATTRIBUTES = [
    ({"VisibilityTimeout": "43201"}, INVALID_ATTRIBUTE),
    ({"DelaySeconds": "901"}, INVALID_ATTRIBUTE),
    ({"MaximumMessageSize": "1023"}, INVALID_ATTRIBUTE),
    ({"MessageRetentionPeriod": "59"}, INVALID_ATTRIBUTE),
    ({"ReceiveMessageWaitTimeSeconds": "-1"}, INVALID_ATTRIBUTE),
    ({"VisibilityTimeout": "soon"}, INVALID_ATTRIBUTE),
    ({"SqsManagedSseEnabled": "perhaps"}, INVALID_ATTRIBUTE),
    ({"Policy": "no JSON"}, INVALID_ATTRIBUTE),
    ({"RedriveAllowPolicy": '{"redrivePermission":"some"}'}, INVALID_ATTRIBUTE),
    ({"RedriveAllowPolicy": '{"redrivePermission":"byQueue"}'}, INVALID_VALUE),
    ({"RedrivePolicy": '{"maxReceiveCount":1}'}, INVALID_VALUE),
    ({"RedrivePolicy": '{"deadLetterTargetArn":"ARN","maxReceiveCount":0}'}, INVALID_VALUE),
    ({"RedrivePolicy": '{"deadLetterTargetArn":"ARN","maxReceiveCount":1001}'}, INVALID_VALUE),
    ({"RedrivePolicy": '{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:nope",'
                       '"maxReceiveCount":1}'}, INVALID_VALUE),
    ({"Colour": "red"}, NO_ATTRIBUTE),
    ({"QueueArn": "x"}, NO_ATTRIBUTE),
    ({"ContentBasedDeduplication": "true"}, NO_ATTRIBUTE),
    ({"FifoQueue": "true"}, NO_ATTRIBUTE),
]


def test_attributes_that_are_refused(client):
    """One refused attribute leaves all as they were."""
    url = client.create()
    before = client.attributes(url)
    letters = client.arn(client.create())
    for values, refused in REFUSED_ATTRIBUTES:
        values = {name: value.replace("ARN", letters) for name, value in values.items()}
        assert client.refusal("SetQueueAttributes", QueueUrl=url,
                              Attributes={"DelaySeconds": "7", **values}) == refused, values
    assert client.attributes(url) == before
    assert client.refusal("GetQueueAttributes", QueueUrl=url,
                          AttributeNames=["Colour"]) == NO_ATTRIBUTE


def test_tags(client):
    url = client.create(tags={"team": "crm", "note": TAG})
    assert client.call("ListQueueTags", QueueUrl=url) == {"Tags": {"team": "crm", "note": TAG}}
    assert client.call("TagQueue", QueueUrl=url, Tags={"team": "sales", "a b/c": ""}) == {}
    assert client.call("ListQueueTags", QueueUrl=url) == {
        "Tags": {"team": "sales", "note": TAG, "a b/c": ""}}
    assert client.call("UntagQueue", QueueUrl=url, TagKeys=["a b/c", "note", "none"]) == {}
    assert client.call("ListQueueTags", QueueUrl=url) == {"Tags": {"team": "sales"}}
    client.call("UntagQueue", QueueUrl=url, TagKeys=["team"])
    assert client.call("ListQueueTags", QueueUrl=url) == {}


def test_permissions_become_a_policy(client):
    url = client.create("shared")

    def add(label, *actions):
        return client.call("AddPermission", QueueUrl=url, Label=label, Actions=list(actions),
                           AWSAccountIds=["668614515564", "000000000001"])

    assert add("readers", "ReceiveMessage") == {}
    add("writers", "SendMessage", "GetQueueUrl")
    policy = json.loads(client.attributes(url, "Policy")["Policy"])
    readers, writers = policy["Statement"]
    assert readers == {
        "Sid": "readers", "Effect": "Allow", "Action": "SQS:ReceiveMessage",
        "Principal": {"AWS": ["arn:aws:iam::668614515564:root", "arn:aws:iam::000000000001:root"]},
        "Resource": client.arn(url)}
    assert writers["Action"] == ["SQS:SendMessage", "SQS:GetQueueUrl"]
    again = {"QueueUrl": url, "Label": "readers", "AWSAccountIds": ["668614515564"],
             "Actions": ["ReceiveMessage"]}
    assert client.refusal("AddPermission", **again) == INVALID_VALUE
    assert client.refusal("RemovePermission", QueueUrl=url, Label="nobody") == INVALID_VALUE
    assert client.call("RemovePermission", QueueUrl=url, Label="readers") == {}
    client.call("RemovePermission", QueueUrl=url, Label="writers")
    assert client.attributes(url, "Policy") == {}


def test_a_policy_is_kept_as_it_was_written(client):
    policy = json.dumps({"Version": "2012-10-17", "Statement": [{
        "Sid": TEXT, "Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage"}]}, indent=1)
    url = client.create(Policy=policy)
    assert json.loads(client.attributes(url, "Policy")["Policy"]) == json.loads(policy)
    client.call("SetQueueAttributes", QueueUrl=url, Attributes={"Policy": ""})
    assert client.attributes(url, "Policy") == {}


def test_sources_of_a_dead_letter_queue(client):
    letters = client.create("letters")
    policy = {"deadLetterTargetArn": client.arn(letters), "maxReceiveCount": 3}
    sources = sorted(client.create(f"source-{number}", RedrivePolicy=policy) for number in range(3))
    assert json.loads(client.attributes(sources[0])["RedrivePolicy"]) == policy
    assert sorted(client.call("ListDeadLetterSourceQueues",
                              QueueUrl=letters)["queueUrls"]) == sources
    first = client.call("ListDeadLetterSourceQueues", QueueUrl=letters, MaxResults=2)
    second = client.call("ListDeadLetterSourceQueues", QueueUrl=letters, MaxResults=2,
                         NextToken=first["NextToken"])
    assert (len(first["queueUrls"]), "NextToken" in second) == (2, False)
    assert sorted(first["queueUrls"] + second["queueUrls"]) == sources
    client.call("SetQueueAttributes", QueueUrl=sources[0], Attributes={"RedrivePolicy": ""})
    assert "RedrivePolicy" not in client.attributes(sources[0])
    assert sorted(client.call("ListDeadLetterSourceQueues",
                              QueueUrl=letters)["queueUrls"]) == sources[1:]
    assert client.call("ListDeadLetterSourceQueues", QueueUrl=sources[0]).get("queueUrls", []) == []


def test_a_dead_letter_queue_says_whose_letters_it_takes(client):
    def policy(url):
        return {"RedrivePolicy": json.dumps({"deadLetterTargetArn": client.arn(url),
                                             "maxReceiveCount": 1})}

    allowed, other = client.create("allowed"), client.create("other")
    nobody = client.create(RedriveAllowPolicy={"redrivePermission": "denyAll"})
    some = client.create(RedriveAllowPolicy={"redrivePermission": "byQueue",
                                             "sourceQueueArns": [client.arn(allowed)]})
    client.call("SetQueueAttributes", QueueUrl=allowed, Attributes=policy(some))
    for source, letters in (allowed, nobody), (other, nobody), (other, some):
        assert client.refusal("SetQueueAttributes", QueueUrl=source,
                              Attributes=policy(letters)) == INVALID_VALUE
    assert "RedrivePolicy" not in client.attributes(other)


def test_purge(client):
    url = client.create()
    client.send_batch(url, "a", "b", {"MessageBody": "c", "DelaySeconds": 900})
    client.receive_one(url)
    assert client.counts(url) == (1, 1, 1)
    assert client.call("PurgeQueue", QueueUrl=url) == {}
    wait_for(lambda: client.counts(url) == (0, 0, 0), "the end of the purge")
    assert client.refusal("PurgeQueue", QueueUrl=url) == (403, ASQ + "PurgeQueueInProgress")
    client.send(url, "d")
    assert client.counts(url) == (1, 0, 0)


def test_a_queue_that_there_is_not(client):
    """Every operation says so."""
    url = f"{client.url}/000000000000/nope"
    entry = {"Id": "1", "ReceiptHandle": "x"}
    for operation, parameters in {
        "SendMessage": {"MessageBody": "a"},
        "SendMessageBatch": {"Entries": [{"Id": "1", "MessageBody": "a"}]},
        "ReceiveMessage": {},
        "DeleteMessage": {"ReceiptHandle": "x"},
        "DeleteMessageBatch": {"Entries": [entry]},
        "ChangeMessageVisibility": {"ReceiptHandle": "x", "VisibilityTimeout": 1},
        "ChangeMessageVisibilityBatch": {"Entries": [{**entry, "VisibilityTimeout": 1}]},
        "GetQueueAttributes": {"AttributeNames": ["All"]},
        "SetQueueAttributes": {"Attributes": {"DelaySeconds": "1"}},
        "PurgeQueue": {},
        "DeleteQueue": {},
        "TagQueue": {"Tags": {"a": "b"}},
        "UntagQueue": {"TagKeys": ["a"]},
        "ListQueueTags": {},
        "ListDeadLetterSourceQueues": {},
        "AddPermission": {"Label": "a", "AWSAccountIds": ["000000000001"],
                          "Actions": ["SendMessage"]},
        "RemovePermission": {"Label": "a"},
    }.items():
        assert client.refusal(operation, QueueUrl=url, **parameters) == NO_QUEUE, operation
    assert client.refusal("GetQueueUrl", QueueName="nope") == NO_QUEUE
    assert client.refusal("ReceiveMessage", QueueUrl="nope") == (404, "InvalidAddress")
