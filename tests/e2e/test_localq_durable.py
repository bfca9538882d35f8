"""What the embedded queue said it kept, it keeps: restarts, kill -9, one process a directory."""

import http.client
import json
import threading

import pytest

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


class Ledger:
    """What clients were told, and what they asked for without being told what came of it."""

    def __init__(self):
        self.lock = threading.Lock()
        self.sent, self.maybe_sent = set(), set()
        self.deleted, self.maybe_deleted = set(), set()

    def note(self, add_to, take_from, bodies):
        with self.lock:
            take_from.difference_update(bodies)
            add_to.update(bodies)


def produce(url, endpoint, ledger, worker, stop):
    client = Client(endpoint)
    number = 0
    try:
        while not stop.is_set():
            bodies = [f"{worker}-{number + i}-{'x' * (37 * i % 500)}" for i in range(10)]
            number += 10
            ledger.note(ledger.maybe_sent, set(), bodies)
            client.send_all(url, bodies)
            ledger.note(ledger.sent, ledger.maybe_sent, bodies)
    except (OSError, http.client.HTTPException):
        pass  # the server was killed


def consume(url, endpoint, ledger, stop):
    client = Client(endpoint)
    try:
        while not stop.is_set():
            messages = client.receive(url, WaitTimeSeconds=1, VisibilityTimeout=43200)
            # Every second one is left in flight.
            chosen = messages[::2]
            if not chosen:
                continue
            bodies = [m["Body"] for m in chosen]
            ledger.note(ledger.maybe_deleted, set(), bodies)
            answer = client.call("DeleteMessageBatch", QueueUrl=url, Entries=[
                {"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]}
                for i, m in enumerate(chosen)])
            assert "Failed" not in answer
            ledger.note(ledger.deleted, ledger.maybe_deleted, bodies)
    except (OSError, http.client.HTTPException):
        pass


def receive_everything(sqs, url):
    """The bodies of everything that is visible, which is in flight for hours afterwards."""
    bodies = []
    while True:
        messages = sqs.receive(url, VisibilityTimeout=43200)
        if not messages:
            return bodies
        bodies += [m["Body"] for m in messages]


def load_and_kill(bunshin, directory, ledger, name, after_sent):
    """One life of the server under load, ended by kill -9 once so much was acknowledged."""
    server = data_queue(bunshin, directory)
    url = Client(server.url).create(name)
    stop = threading.Event()
    threads = [threading.Thread(target=produce, daemon=True,
                                args=(url, server.url, ledger, f"{name}-{after_sent}-{i}", stop))
               for i in range(3)]
    threads += [threading.Thread(target=consume, daemon=True,
                                 args=(url, server.url, ledger, stop)) for _ in range(2)]
    for thread in threads:
        thread.start()
    while True:
        with ledger.lock:
            if len(ledger.sent) >= after_sent:
                break
        assert any(thread.is_alive() for thread in threads), "the load has ended by itself"
    server.kill()
    stop.set()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


@pytest.mark.parametrize("seed", range(4))
def test_kill_9_under_load(bunshin, tmp_path, seed):
    ledger = Ledger()
    directory = tmp_path / "data"
    for life in range(3):
        load_and_kill(bunshin, directory, ledger, "load", (life + 1) * (170 + 130 * seed))

    server = data_queue(bunshin, directory)
    sqs = Client(server.url)
    url = sqs.call("GetQueueUrl", QueueName="load")["QueueUrl"]
    visible, in_flight, delayed = sqs.counts(url)
    there = receive_everything(sqs, url)
    assert len(there) == visible and delayed == 0
    # What was received and not deleted is still in flight for hours: look into the file.
    server.kill()
    there += bodies_in_file(directory, set(there))
    assert len(there) == visible + in_flight
    assert len(set(there)) == len(there), "a message is there twice"

    there = set(there)
    lost = ledger.sent - ledger.deleted - ledger.maybe_deleted - there
    assert not lost, f"{len(lost)} acknowledged messages are lost"
    back = there & ledger.deleted
    assert not back, f"{len(back)} deleted messages came back"
    unknown = there - ledger.sent - ledger.maybe_sent
    assert not unknown, f"{len(unknown)} messages nobody sent"


def bodies_in_file(directory, but_not):
    import sqlite3

    with sqlite3.connect(directory / "queue.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = database.execute("SELECT body FROM messages").fetchall()
    return [body for (body,) in rows if body not in but_not]


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
