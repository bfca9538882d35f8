"""Fair queues, MessageGroupId on standard queues, through clients that are not ours (clients.py)."""

INVALID_VALUE = (400, "InvalidParameterValue")


def of_group(group, *bodies):
    return [{"MessageBody": body, "MessageGroupId": group} for body in bodies]


def bodies(messages):
    return [message["Body"] for message in messages]


def numbered(name, count):
    return [f"{name}{number}" for number in range(count)]


def test_a_quiet_tenant_is_not_behind_a_noisy_one(client):
    url = client.create()
    for _ in range(3):
        client.send_batch(url, *of_group("noisy", *["noisy"] * 10))
    assert bodies(client.receive(url)) == ["noisy"] * 10
    client.send_batch(url, *of_group("quiet", *numbered("quiet", 3)))
    messages = client.receive(url)
    assert bodies(messages) == ["quiet0", "noisy", "quiet1", "noisy", "quiet2"] + ["noisy"] * 5
    assert {message["Body"].rstrip("0123456789"): message["Attributes"]["MessageGroupId"]
            for message in messages} == {"quiet": "quiet", "noisy": "noisy"}
    # Nothing is held back: messages of one group are in flight together.
    assert client.counts(url) == (13, 20, 0)
    assert len(client.receive(url)) == 10
    assert len(client.receive(url)) == 3
    assert client.receive(url) == []


def test_messages_with_a_group_and_without(client):
    url = client.create()
    client.send_batch(url, *numbered("plain", 3))
    client.send(url, "a", MessageGroupId="a")
    client.send(url, "b", MessageGroupId="b", DelaySeconds=8)  # awscli takes a second to begin
    messages = client.receive(url, MaxNumberOfMessages=3)
    assert bodies(messages) == ["plain0", "a", "plain1"]
    assert ["MessageGroupId" in message["Attributes"] for message in messages] == [
        False, True, False]
    for message in messages[:2]:
        client.delete(url, message)
    client.release(url, messages[2])
    rest = []
    while len(rest) < 3:
        rest += bodies(client.receive(url, WaitTimeSeconds=20))
    assert sorted(rest) == ["b", "plain1", "plain2"]


def test_dead_letters_of_a_tenant(client):
    dead = client.create()
    url = client.create(VisibilityTimeout=0, RedrivePolicy={
        "deadLetterTargetArn": client.arn(dead), "maxReceiveCount": 1})
    client.send_batch(url, *of_group("noisy", *numbered("noisy", 4)))
    client.send_batch(url, *of_group("quiet", "quiet"))
    assert len(client.receive(url)) == 5
    assert client.receive(url) == []
    messages = client.receive(dead)
    assert bodies(messages)[:2] == ["noisy0", "quiet"]
    assert [message["Attributes"]["MessageGroupId"] for message in messages] == [
        "noisy", "quiet", "noisy", "noisy", "noisy"]
    assert client.counts(url) == (0, 0, 0)


def test_groups_that_are_refused(client):
    url = client.create()
    for group in "", "a b", "x" * 129, "é":
        assert client.refusal("SendMessage", QueueUrl=url, MessageBody="a",
                              MessageGroupId=group) == INVALID_VALUE, group
    assert client.refusal("SendMessage", QueueUrl=url, MessageBody="a", MessageGroupId="a",
                          MessageDeduplicationId="1") == INVALID_VALUE
    client.send(url, "a", MessageGroupId="x" * 128)
    assert bodies(client.receive(url)) == ["a"]
