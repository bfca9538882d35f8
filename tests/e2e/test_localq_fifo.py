"""FIFO queues of the embedded queue with processes of ours: a campaign and its worker, and kill -9 in the
middle of everything. What other people's clients see of them: test_clients_fifo.py."""

import csv
import threading
import time
from collections import defaultdict
from random import Random

import pytest
import yaml

from durable_model import GONE
from harness import ADMIN, wait_for
from sqs_json import Client

GROUPS, EACH = 6, 25


def test_a_campaign_in_order_of_its_groups(bunshin, tmp_path):
    """Sent by `campaign send --group`, delivered by two workers; a fifth of the answers are failures."""
    queue, sink = bunshin.queue(), bunshin.sink("--fail", "20")
    sqs = Client(queue.url)
    url = sqs.create("morning.fifo", FifoQueue="true", VisibilityTimeout=5)
    rows = tmp_path / "rows.csv"
    with rows.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["to", "shop", "number"])
        writer.writerows([f"U{number}-{shop}", f"shop-{shop}", number]
                         for number in range(EACH) for shop in range(GROUPS))
    sent = bunshin.run("campaign", "send", "--queue-url", url, "--recipients", rows, "--group", "shop",
                       "--name", "fifo")
    assert sent.exit == 0, sent.err
    assert sqs.counts(url) == (GROUPS * EACH, 0, 0)
    config = tmp_path / "bunshin.yaml"
    config.write_text(yaml.safe_dump({
        "queue": {"url": url, "wait": "2s"}, "workers": 2, "admin": ADMIN, "log": {"format": "json"},
        "destinations": [{"name": "sink", "request": {"url": sink.url + "/push"}}],
        "retry": {"base": "100ms", "cap": "1s", "max_attempts": 50},
        "ledger": {"path": str(tmp_path / "ledger")}}))
    bunshin.start("run", "-c", config)
    wait_for(lambda: sqs.counts(url) == (0, 0, 0), "an empty queue", timeout=60)
    sink.terminate()
    order = defaultdict(list)
    for record in sink.records():
        if record["status"] == 200:
            row = yaml.safe_load(record["body"])
            order[row["shop"]].append(int(row["number"]))
    assert order == {f"shop-{shop}": list(range(EACH)) for shop in range(GROUPS)}


class Story:
    """
    What the clients of a FIFO queue were told. Of each group the numbers are sent one after the other,
    each until it is acknowledged, and deleted in the order in which they come.
    """

    def __init__(self):
        self.lock = threading.Lock()
        self.acknowledged = [0] * GROUPS  # so many sends
        self.deleted = [set() for _ in range(GROUPS)]
        self.doubtful = [set() for _ in range(GROUPS)]  # deletes without an answer
        self.held_until = [0.0] * GROUPS
        self.told = 0
        self.broken = None

    def got(self, messages, asked, visibility_s):
        now, seen = time.time(), defaultdict(list)
        with self.lock:
            for message in messages:
                group, number = map(int, message["Body"].split())
                assert message["Attributes"]["MessageGroupId"] == f"g{group}"
                assert group in seen or now >= self.held_until[group], \
                    f"group {group} is handed out while some of it is in flight"
                assert number not in self.deleted[group], f"{group} {number} was deleted"
                before = set(range(number)) - self.deleted[group] - self.doubtful[group]
                assert before <= set(seen[group]), f"{group} {number} comes before {before}"
                seen[group].append(number)
            for group in seen:
                self.held_until[group] = asked + visibility_s
            self.told += 1
        return seen


class Worker:
    """One thread: sends one group's messages, receives and deletes whatever there is."""

    def __init__(self, story, endpoint, group, random):
        self.story, self.group, self.random = story, group, random
        self.sqs, self.url = Client(endpoint), "/000000000000/load.fifo"
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while True:
                self.random.choice((self.send, self.receive))()
        except GONE:
            pass
        except BaseException as broken:
            self.story.broken = self.story.broken or broken
        finally:
            self.sqs.close()

    def send(self):
        number = self.story.acknowledged[self.group]
        self.sqs.send(self.url, f"{self.group} {number}", MessageGroupId=f"g{self.group}",
                      MessageDeduplicationId=f"{self.group}-{number}")
        self.story.acknowledged[self.group] += 1
        self.story.told += 1

    def receive(self):
        visibility_s = self.random.choice((1, 5))
        asked = time.time()
        messages = self.sqs.receive(self.url, VisibilityTimeout=visibility_s)
        left = {group: len(numbers) for group, numbers
                in self.story.got(messages, asked, visibility_s).items()}
        for message in messages[:self.random.randint(0, 10)]:
            if time.time() > asked + visibility_s / 2:
                break  # its time might be up
            group, number = map(int, message["Body"].split())
            left[group] -= 1
            with self.story.lock:
                self.story.doubtful[group].add(number)
                if left[group] == 0:  # with the last one the group is free
                    self.story.held_until[group] = 0
            self.sqs.delete(self.url, message["ReceiptHandle"])
            with self.story.lock:
                self.story.deleted[group].add(number)
                self.story.told += 1


@pytest.mark.parametrize("seed", [1, 2])
def test_kill_9_of_a_fifo_queue(bunshin, tmp_path, seed):
    """Order, groups and deduplication hold over eight deaths; in the end everything comes once."""
    story, random = Story(), Random(seed)
    for _ in range(8):
        server = bunshin.queue("--data", tmp_path / "data")
        Client(server.url).create("load.fifo", FifoQueue="true")
        before = story.told
        clients = [Worker(story, server.url, group, Random(random.getrandbits(32)))
                   for group in range(GROUPS)]
        least = random.randrange(20, 300)
        wait_for(lambda: story.told - before >= least or story.broken, "the load")
        server.kill()
        for client in clients:
            client.thread.join(60)
            assert not client.thread.is_alive()
        if story.broken:
            raise story.broken
        # What a receive took whose answer was lost is hidden until its time is up.
    sqs = Client(bunshin.queue("--data", tmp_path / "data").url)
    url = "/000000000000/load.fifo"
    deadline = time.time() + 45
    while time.time() < deadline and sqs.counts(url) != (0, 0, 0):
        asked = time.time()
        messages = sqs.receive(url, VisibilityTimeout=30, WaitTimeSeconds=1)
        story.got(messages, asked, 30)
        for message in messages:
            group, number = map(int, message["Body"].split())
            sqs.delete(url, message["ReceiptHandle"])
            story.deleted[group].add(number)
            story.held_until[group] = 0
    assert sqs.counts(url) == (0, 0, 0)
    for group in range(GROUPS):
        # One more may have been stored whose answer was lost.
        expected = set(range(story.acknowledged[group]))
        there = story.deleted[group] | story.doubtful[group]
        assert expected <= there <= expected | {story.acknowledged[group]}
