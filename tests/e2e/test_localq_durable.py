"""What the embedded queue said it kept, it keeps: restarts, kill -9, one process a directory."""

import json
import sqlite3
import time
from random import Random

import pytest

from durable_model import Model, Worker, check_messages, check_queues
from harness import wait_for
from sqs_json import Client, Refused


def data_queue(bunshin, directory, *arguments):
    return bunshin.queue("--data", directory, *arguments)


def test_everything_is_there_after_a_restart(bunshin, tmp_path):
    directory = tmp_path / "deep" / "data"
    server = data_queue(bunshin, directory)
    assert {path.stat().st_mode & 0o77 for path in directory.iterdir()} == {0}
    sqs = Client(server.url)
    url = sqs.create("kept", VisibilityTimeout=43200, DelaySeconds=0)
    attributes = {"a": {"DataType": "Binary", "BinaryValue": "AP8="}}
    sqs.send(url, "visible ♥", MessageAttributes=attributes)
    sqs.send(url, "in flight")
    sqs.send(url, "delayed", DelaySeconds=900)
    (first,) = sqs.receive(url, MaxNumberOfMessages=1, VisibilityTimeout=0)
    assert first["Body"] == "visible ♥"
    by_body = {m["Body"]: m for m in sqs.receive(url)}
    sqs.call("ChangeMessageVisibility", QueueUrl=url, VisibilityTimeout=0,
             ReceiptHandle=by_body["visible ♥"]["ReceiptHandle"])
    assert sqs.counts(url) == (1, 1, 1)
    sqs.call("TagQueue", QueueUrl=url, Tags={"bunshin:paused": "true", "team": "é"})
    sqs.call("TagQueue", QueueUrl=url, Tags={"gone": "x"})
    sqs.call("UntagQueue", QueueUrl=url, TagKeys=["gone"])
    assert server.terminate() == 0

    server = data_queue(bunshin, directory)
    sqs = Client(server.url)
    url = sqs.call("GetQueueUrl", QueueName="kept")["QueueUrl"]
    assert sqs.counts(url) == (1, 1, 1)
    assert sqs.call("ListQueueTags", QueueUrl=url) == {
        "Tags": {"bunshin:paused": "true", "team": "é"}}
    (message,) = sqs.receive(url)
    assert message["Body"] == "visible ♥"
    assert message["MessageAttributes"] == attributes
    assert message["Attributes"]["ApproximateReceiveCount"] == "3"
    # A handle from before is good after.
    sqs.delete(url, by_body["in flight"]["ReceiptHandle"])
    assert sqs.counts(url) == (0, 1, 1)
    shown = sqs.call("GetQueueAttributes", QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert shown["VisibilityTimeout"] == "43200"


def test_memory_keeps_nothing(bunshin, tmp_path):
    before = set(tmp_path.iterdir())
    server = bunshin.queue("--memory")
    Client(server.url).create("gone")
    assert server.terminate() == 0
    assert Client(bunshin.queue("--memory").url).call("ListQueues") == {}
    assert {path for path in tmp_path.iterdir() if path.is_dir()} <= before


def test_a_directory_belongs_to_one_process(bunshin, tmp_path):
    server = data_queue(bunshin, tmp_path / "data")
    second = bunshin.run("queue", "--listen", "127.0.0.1:0", "--data", tmp_path / "data")
    assert second.exit == 1 and second.out == ""
    assert "is in use by another bunshin queue" in second.err
    assert str(tmp_path / "data") in second.err
    server.kill()
    # The lock goes with the process, however it went.
    data_queue(bunshin, tmp_path / "data")


def test_a_file_that_is_no_database(bunshin, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "queue.db").write_bytes(b"something else\n" * 1000)
    result = bunshin.run("queue", "--listen", "127.0.0.1:0", "--data", tmp_path / "data")
    assert result.exit == 1
    assert "not a database" in result.err
    (tmp_path / "file").write_text("x")
    result = bunshin.run("queue", "--listen", "127.0.0.1:0", "--data", tmp_path / "file")
    assert result.exit == 1 and str(tmp_path / "file") in result.err


WORKERS = 5


def live_and_die(bunshin, directory, model, random, held, *arguments):
    """One life of the server under load, ended by kill -9 at any moment."""
    server = data_queue(bunshin, directory, *arguments)
    sqs = Client(server.url)
    sqs.create("load")
    check_queues(model, sqs)
    before = model.acknowledged
    workers = [Worker(model, server.url, "load", f"{len(bunshin.processes)} {i}",
                      Random(random.getrandbits(32)), held[i::WORKERS]) for i in range(WORKERS)]
    least = random.randrange(1, 120)
    wait_for(lambda: model.acknowledged - before >= least or model.broken, "the load")
    time.sleep(random.random() * 0.02)
    server.kill()
    for worker in workers:
        worker.stop.set()
    for worker in workers:
        worker.thread.join(60)
        assert not worker.thread.is_alive()
    if model.broken:
        raise model.broken


def sweep(bunshin, directory, seed, lives, *arguments):
    print(f"seed {seed}")
    random, model, held = Random(seed), Model(), []
    for _ in range(lives):
        live_and_die(bunshin, directory, model, random, held, *arguments)
        held = model.held()
    server = data_queue(bunshin, directory, *arguments)
    sqs = Client(server.url)
    check_queues(model, sqs)
    print("seen, held, hidden:", check_messages(model, sqs, "load"))
    server.kill()
    with sqlite3.connect(directory / "queue.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("seed", range(4))
def test_kill_9_under_load(bunshin, tmp_path, seed):
    sweep(bunshin, tmp_path / "data", seed, 8)


def test_kill_9_under_load_synced(bunshin, tmp_path):
    sweep(bunshin, tmp_path / "data", 4, 4, "--sync", "full")


def test_deleted_queues_stay_deleted_after_kill_9(bunshin, tmp_path):
    server = data_queue(bunshin, tmp_path / "data")
    sqs = Client(server.url)
    url = sqs.create("gone")
    other = sqs.create("purged")
    sqs.send_all(url, [str(i) for i in range(2000)])
    sqs.send_all(other, [str(i) for i in range(2000)])
    sqs.call("DeleteQueue", QueueUrl=url)
    sqs.call("PurgeQueue", QueueUrl=other)
    server.kill()
    server = data_queue(bunshin, tmp_path / "data")
    sqs = Client(server.url)
    assert sqs.counts(server.url + "/0/purged") == (0, 0, 0)
    with pytest.raises(Refused) as refused:
        sqs.create("gone")
    assert refused.value.answer.code.startswith("AWS.SimpleQueueService.QueueDeletedRecently")
    with pytest.raises(Refused) as refused:
        sqs.call("PurgeQueue", QueueUrl="/purged")
    assert json.loads(refused.value.answer.body)["__type"].endswith("#PurgeQueueInProgress")
