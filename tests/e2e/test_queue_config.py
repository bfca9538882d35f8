"""Queues declared in a file: created, brought in line, and every mistake told before anything is."""

import json
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from harness import wait_for
from sqs_json import Client

ROOT = Path(__file__).resolve().parent.parent.parent
ARN = "arn:aws:sqs:us-east-1:000000000000:"


def write(tmp_path, text):
    path = tmp_path / "queues.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def attributes(sqs, name):
    return sqs.call("GetQueueAttributes", QueueUrl=f"/{name}", AttributeNames=["All"])["Attributes"]


def names(sqs):
    return [url.rpartition("/")[2] for url in sqs.call("ListQueues").get("QueueUrls", [])]


def test_the_sample_loads(bunshin):
    server = bunshin.queue("--memory", "--config", ROOT / "conf/queues.yaml")
    sqs = Client(server.url)
    sample = yaml.safe_load((ROOT / "conf/queues.yaml").read_text(encoding="utf-8"))
    assert names(sqs) == sorted(queue["name"] for queue in sample["queues"])
    for queue in sample["queues"]:
        shown = attributes(sqs, queue["name"])
        for name, value in queue.get("attributes", {}).items():
            assert shown[name] == str(value)
    assert json.loads(attributes(sqs, "morning")["RedrivePolicy"]) == {
        "deadLetterTargetArn": ARN + "morning-failures", "maxReceiveCount": 5}
    assert sqs.call("ListQueueTags", QueueUrl="/morning") == {"Tags": {"team": "growth"}}


def test_created_then_as_it_was_then_changed(bunshin, tmp_path):
    path = write(tmp_path, """
queues:
  - name: first
    attributes: {VisibilityTimeout: 60, Policy: {Version: "2012-10-17", Statement: []}}
    redrive: {queue: last, max_receives: 3}
    tags: {team: growth, "cost centre": "7"}
  - {name: last}
""")
    arguments = ("--data", tmp_path / "data", "--config", path)
    server = bunshin.queue(*arguments)
    wait_for(lambda: "# created" in server.out(), "the queues")
    assert server.out().count("# created") == 2
    sqs = Client(server.url)
    assert attributes(sqs, "first")["VisibilityTimeout"] == "60"
    assert json.loads(attributes(sqs, "first")["Policy"]) == {
        "Version": "2012-10-17", "Statement": []}
    # What the file does not name is the client's.
    sqs.call("SetQueueAttributes", QueueUrl="/first", Attributes={"DelaySeconds": "7"})
    sqs.call("TagQueue", QueueUrl="/first", Tags={"own": "tag"})
    sqs.create("other")
    sqs.send("/last", "kept")
    before = {name: attributes(sqs, name) for name in names(sqs)}
    assert server.terminate() == 0

    server = bunshin.queue(*arguments)
    wait_for(lambda: "curl" in server.out(), "the welcome")
    assert server.out().count("# as it was") == 2
    sqs = Client(server.url)
    assert {name: attributes(sqs, name) for name in names(sqs)} == before
    assert sqs.call("ListQueueTags", QueueUrl="/first")["Tags"] == {
        "team": "growth", "cost centre": "7", "own": "tag"}
    assert server.terminate() == 0

    write(tmp_path, """
queues:
  - name: first
    attributes: {VisibilityTimeout: 61, RedrivePolicy: ""}
  - name: last
  - name: new
    redrive: {queue: other, max_receives: 1}
""")
    server = bunshin.queue(*arguments)
    wait_for(lambda: "curl" in server.out(), "the welcome")
    assert [line.rpartition("# ")[2] for line in server.out().splitlines() if "  # " in line] == [
        "changed", "as it was", "created"]
    sqs = Client(server.url)
    after = attributes(sqs, "first")
    assert (after["VisibilityTimeout"], after["DelaySeconds"]) == ("61", "7")
    assert "RedrivePolicy" not in after
    assert sqs.counts("/last") == (1, 0, 0)


def test_the_first_command_works(bunshin, tmp_path):
    """Every line that is indented can be pasted."""
    for config, expected in ((None, "QueueUrl"), ("queues: [{name: declared}]", "MessageId")):
        arguments = ["--memory"]
        if config:
            arguments += ["--config", write(tmp_path, config)]
        server = bunshin.queue(*arguments)
        wait_for(lambda: "bunshin run" in server.out(), "the welcome")
        pasted = [line for line in server.out().splitlines() if line.startswith("  ")]
        (curl,) = [line for line in pasted if line.startswith("  curl ")]
        answer = subprocess.run(shlex.split(curl), capture_output=True, check=True, timeout=60)
        assert expected in json.loads(answer.stdout)
        for line in pasted:
            subprocess.run(["sh", "-n", "-c", line], check=True)


MISTAKES = {
    # text: the place and the beginning of what is said, line by line
    "queue: []": ["1:1: queue: unknown key; expected queues"],
    "- 1": ["1:1: expected a map with the key queues, got a list"],
    "queues: {a: b}": ["1:9: queues: expected a list of queues, got a map"],
    "queues: [a]": ["1:10: queues[0]: expected a map of a queue, got a text"],
    "queues: [{}]": ["1:10: queues[0].name: missing, but required"],
    "queues: [{name: }]": ["1:17: queues[0].name: expected a value, got nothing"],
    "queues: [{name: [a]}]": ["1:17: queues[0].name: expected a value, got a list"],
    "queues: [{name: a b}]": ['1:17: queues[0].name: expected 1 to 80 letters, digits, hyphens '
                              'and underscores, with .fifo at the end for a FIFO queue, got "a b"'],
    "queues: [{name: .fifo}]": ["1:17: queues[0].name: expected 1 to 80 letters"],
    f"queues: [{{name: {'a' * 81}}}]": ["1:17: queues[0].name: expected 1 to 80 letters"],
    "queues: [{name: a, visible: 1}]": [
        "1:20: queues[0].visible: unknown key; expected name, attributes, redrive or tags"],
    "queues:\n  - name: a\n  - name: b\n  - name: a\n": [
        "4:11: queues[2].name: a queue of this name is declared on line 2 already"],
    "queues: [{name: a, name: b}]": ["1:20: queues[0].name: given twice; the first is on line 1"],
    "queues: [{name: a, attributes: 3}]": [
        "1:32: queues[0].attributes: expected a map, got a text"],
    "queues: [{name: a, attributes: {VisibilityTimeout: 43201}}]": [
        '1:52: queues[0].attributes.VisibilityTimeout: expected a whole number from 0 to 43200, '
        'got "43201"'],
    "queues: [{name: a, attributes: {DelaySeconds: 1m}}]": [
        '1:47: queues[0].attributes.DelaySeconds: expected a whole number from 0 to 900, got "1m"'],
    "queues: [{name: a, attributes: {SqsManagedSseEnabled: yes}}]": [
        '1:55: queues[0].attributes.SqsManagedSseEnabled: expected true or false, got "yes"'],
    "queues: [{name: a, attributes: {Policy: [1]}}]": [
        '1:41: queues[0].attributes.Policy: expected a JSON object (or a map) of at most 8192 bytes, '
        'got "[1]"'],
    "queues: [{name: a, attributes: {Delay: 1}}]": [
        "1:40: queues[0].attributes.Delay: unknown attribute; expected one of VisibilityTimeout, "],
    "queues: [{name: a, attributes: {QueueArn: x}}]": [
        "1:43: queues[0].attributes.QueueArn: unknown attribute"],
    "queues: [{name: a, attributes: {FifoQueue: true}}]": [
        "1:44: queues[0].attributes.FifoQueue: the name of a FIFO queue must end in .fifo"],
    "queues: [{name: a.fifo, attributes: {FifoQueue: false}}]": [
        '1:49: queues[0].attributes.FifoQueue: expected true, as the name ends in .fifo, got '
        '"false"'],
    "queues: [{name: a, attributes: {ContentBasedDeduplication: true}}]": [
        "1:60: queues[0].attributes.ContentBasedDeduplication: is for FIFO queues"],
    "queues: [{name: a, redrive: 3}]": [
        "1:29: queues[0].redrive: expected a map of queue and max_receives, got a text"],
    "queues: [{name: a, redrive: {queue: b}}]": [
        "1:29: queues[0].redrive.max_receives: missing, but required"],
    "queues: [{name: a, redrive: {max_receives: 1}}]": [
        "1:29: queues[0].redrive.queue: missing, but required"],
    "queues: [{name: a, redrive: {queue: b, max_receives: 1001}}, {name: b}]": [
        '1:54: queues[0].redrive.max_receives: expected a whole number from 1 to 1000, got "1001"'],
    "queues: [{name: a, redrive: {queue: b, max_receives: 1, after: 2}}]": [
        "1:57: queues[0].redrive.after: unknown key; expected queue or max_receives"],
    "queues: [{name: a, redrive: {queue: a, max_receives: 1}}]": [
        "1:37: queues[0].redrive.queue: expected another queue than this one"],
    "queues: [{name: a, redrive: {queue: b.fifo, max_receives: 1}}]": [
        "1:37: queues[0].redrive.queue: expected a standard queue, as this one is"],
    "queues: [{name: a.fifo, redrive: {queue: b, max_receives: 1}}]": [
        "1:42: queues[0].redrive.queue: expected a FIFO queue, as this one is"],
    "queues: [{name: b}, {name: a, redrive: {queue: c, max_receives: 1}}]": [
        "1:48: queues[1].redrive.queue: the queue c is neither declared nor there"],
    "queues: [{name: a, attributes: {RedrivePolicy: {maxReceiveCount: 1}}}]": [
        "1:48: queues[0].attributes.RedrivePolicy: expected deadLetterTargetArn"],
    "queues: [{name: a, attributes: {RedrivePolicy: "
    "'{\"deadLetterTargetArn\":\"arn:aws:sqs:r:1:c\",\"maxReceiveCount\":1}'}}]": [
        "1:48: queues[0].attributes.RedrivePolicy: the queue c is neither declared nor there"],
    "queues: [{name: a, attributes: {RedrivePolicy: {}}, redrive: {queue: b, max_receives: 1}}]": [
        "1:48: queues[0].attributes.RedrivePolicy: redrive says it already"],
    "queues: [{name: a, tags: [b]}]": ["1:26: queues[0].tags: expected a map, got a list"],
    "queues: [{name: a, tags: {b: [c]}}]": ["1:30: queues[0].tags.b: expected a value, got a list"],
    "queues: [{name: a, tags: {'aws:b': c}}]": [
        '1:36: queues[0].tags."aws:b": Tag keys cannot start with aws:'],
    "queues: [{name: a, tags: {%s}}]" % ", ".join(f"t{i}: x" for i in range(51)): [
        "1:26: queues[0].tags: expected at most 50, got 51"],
    "queues: [": ["2:1: not YAML"],
    "queues: &a [*a]": ["1:13: aliases"],
    # All of them at once.
    "queues:\n  - name: a\n    attributes: {DelaySeconds: x, VisibilityTimeout: y}\n": [
        "3:32: queues[0].attributes.DelaySeconds", "3:54: queues[0].attributes.VisibilityTimeout"],
}


@pytest.mark.parametrize("text", MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes(bunshin, tmp_path, text):
    path = write(tmp_path, text)
    result = bunshin.run("queue", "--listen", "127.0.0.1:0", "--memory", "--config", path)
    assert (result.exit, result.out) == (2, "")
    lines = result.err.splitlines()
    assert len(lines) == len(MISTAKES[text]), result.err
    for line, expected in zip(lines, MISTAKES[text]):
        assert line.startswith(f"{path}:{expected}"), line


def test_a_mistake_creates_nothing(bunshin, tmp_path):
    for text in ("queues: [{name: a}, {name: b, redrive: {queue: c, max_receives: 1}}]",
                 "queues: [{name: a}, {name: b, attributes: {DelaySeconds: x}}]"):
        result = bunshin.run("queue", "--listen", "127.0.0.1:0", "--data", tmp_path / "data",
                             "--config", write(tmp_path, text))
        assert result.exit == 2
    assert names(Client(bunshin.queue("--data", tmp_path / "data").url)) == []


def test_no_file_and_an_empty_one(bunshin, tmp_path):
    result = bunshin.run("queue", "--listen", "127.0.0.1:0", "--memory", "--config",
                         tmp_path / "none.yaml")
    assert result.exit == 2
    assert result.err == f"{tmp_path}/none.yaml: cannot be read: No such file or directory\n"
    for text in ("", "queues:\n", "# nothing\n"):
        server = bunshin.queue("--memory", "--config", write(tmp_path, text))
        assert names(Client(server.url)) == []
        server.terminate()


@pytest.mark.parametrize("listen, warned, connect", [
    ("127.0.0.1:0", False, "127.0.0.1"), ("[::1]:0", False, "[::1]"),
    ("0.0.0.0:0", True, "127.0.0.1"), ("[::]:0", True, "[::1]")])
def test_an_address_that_others_reach(bunshin, listen, warned, connect):
    server = bunshin.queue("--memory", "--listen", listen)
    wait_for(lambda: "bunshin run" in server.out(), "the welcome")
    assert ("whoever reaches this address may use it" in server.out()) == warned
    assert f"admin page: http://{connect}:{server.port}/\n" in server.out()
    assert f"AWS_ENDPOINT_URL_SQS=http://{connect}:{server.port} " in server.out()
    server = bunshin.queue("--memory", "--listen", listen, "--access-key", "a", "--secret-key", "b")
    assert "whoever" not in server.out()
