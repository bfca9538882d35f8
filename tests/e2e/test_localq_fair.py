"""Fair queues of the embedded queue with real processes: a noisy tenant, a quiet one, and kill -9.

What other people's clients see of them: test_clients_fair.py.
"""

import random
import sqlite3
import threading
from collections import Counter

import pytest

import durable_model
from durable_model import Model, check_messages
from harness import wait_for
from sqs_json import Client
from test_localq_durable import live_and_die

NOISY, QUIET, CONSUMERS = 20_000, 50, 3


class Consumer:
    """Receives and deletes until `done` is set; what it got, as the server tells it."""

    def __init__(self, endpoint, url, done):
        self.sqs, self.url, self.done = Client(endpoint), url, done
        self.got, self.broken = [], None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while not self.done.is_set():
                messages = self.sqs.receive(self.url, WaitTimeSeconds=1)
                self.got += [(m["Body"], m["Attributes"]) for m in messages]
                if messages:
                    answer = self.sqs.call("DeleteMessageBatch", QueueUrl=self.url, Entries=[
                        {"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]}
                        for i, m in enumerate(messages)])
                    assert "Failed" not in answer
        except BaseException as broken:
            self.broken = broken
        finally:
            self.sqs.close()


def send_all(sqs, url, group, bodies):
    for start in range(0, len(bodies), 10):
        answer = sqs.call("SendMessageBatch", QueueUrl=url, Entries=[
            {"Id": str(i), "MessageBody": body, "MessageGroupId": group}
            for i, body in enumerate(bodies[start:start + 10])])
        assert "Failed" not in answer


def test_a_backlog_of_one_tenant_does_not_hold_up_another(bunshin, tmp_path):
    """
    By the server's own clock: between the arrival of the quiet tenant's last message and the
    receive of its last one, hardly anything of the noisy one's backlog is handed out.
    """
    server = bunshin.queue("--data", tmp_path / "data")
    sqs = Client(server.url)
    url = sqs.create("shared", VisibilityTimeout=3600)
    noisy = [f"noisy {i}" for i in range(NOISY)]
    quiet = [f"quiet {i}" for i in range(QUIET)]
    send_all(sqs, url, "noisy", noisy)
    done = threading.Event()
    consumers = [Consumer(server.url, url, done) for _ in range(CONSUMERS)]
    wait_for(lambda: sum(len(c.got) for c in consumers) >= 1000, "consumers at work")
    send_all(sqs, url, "quiet", quiet)
    wait_for(lambda: sqs.counts(url) == (0, 0, 0) or any(c.broken for c in consumers),
             "an empty queue")
    done.set()
    for consumer in consumers:
        consumer.thread.join(60)
        if consumer.broken:
            raise consumer.broken
    got = [message for consumer in consumers for message in consumer.got]
    assert Counter(body for body, _ in got) == Counter(noisy + quiet)
    received = {body: int(attributes["ApproximateFirstReceiveTimestamp"])
                for body, attributes in got}
    arrived = max(int(attributes["SentTimestamp"]) for body, attributes in got
                  if body.startswith("quiet"))
    last = max(received[body] for body in quiet)
    between = sum(arrived < received[body] < last for body in noisy)
    behind = sum(received[body] > arrived for body in noisy)
    print(f"{between} of {behind} noisy messages before the last quiet one")
    assert behind > NOISY / 2, "the quiet ones came when there was no backlog any more"
    assert between < behind * 0.02


class Tenant(durable_model.Worker):
    groups = ["noisy", "noisy", "noisy", "a", "b", "c", None]


def check_rows(path):
    """Rows of tenants and of messages agree."""
    with sqlite3.connect(path) as database:
        def rows(query):
            return database.execute(query).fetchall()
        assert rows("PRAGMA integrity_check") == [("ok",)]
        assert rows("SELECT m.id FROM messages m LEFT JOIN tenants t ON t.id=m.tenant "
                    "AND t.lane=-m.lane WHERE m.tenant IS NOT NULL AND t.id IS NULL") == []
        assert rows("SELECT tenant, visible_ms, id FROM messages WHERE tenant IS NOT NULL EXCEPT "
                    "SELECT * FROM tenant_order") == []
        assert rows("SELECT * FROM tenant_order EXCEPT "
                    "SELECT tenant, visible_ms, id FROM messages") == []
        assert rows("SELECT t.id FROM tenants t WHERE (t.head_ms, t.head_id) IS NOT "
                    "(SELECT visible_ms, id FROM messages WHERE tenant=t.id "
                    "ORDER BY visible_ms, id LIMIT 1)") == []
        return rows("SELECT count(*) FROM tenants")[0][0]


@pytest.mark.parametrize("seed", range(2))
def test_kill_9_of_a_fair_queue(bunshin, tmp_path, monkeypatch, seed):
    """As test_localq_durable.py does it, with messages of groups and without."""
    monkeypatch.setattr("test_localq_durable.Worker", Tenant)
    draw, model, held = random.Random(seed), Model(), []
    for _ in range(6):
        live_and_die(bunshin, tmp_path / "data", model, draw, held)
        held = model.held()
    server = bunshin.queue("--data", tmp_path / "data")
    print("seen, held, hidden:", check_messages(model, Client(server.url), "load"))
    server.kill()
    assert check_rows(tmp_path / "data/queue.db") > 0
