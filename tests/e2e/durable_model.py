"""What an SQS queue told its clients, and what follows from it for whatever it tells them later.

Clients work through a Worker each, on connections of their own, until the server dies. Before a
request is sent the model is told what may come of it, after the answer what did. Each rule is one
`assert`, in whichever of the lives of the server it is noticed.
"""

import http.client
import threading
import time
from dataclasses import dataclass

from sqs_json import Client

HELD_S = 3600  # longer than any test
GONE = (OSError, http.client.HTTPException)  # the server was killed

NO, MAYBE, YES = range(3)


def url_of(name):
    """As good a queue URL as any: the server's port changes from life to life."""
    return f"/000000000000/{name}"


@dataclass
class Message:
    body: str
    sent: int = MAYBE
    deleted: int = NO
    received: bool = False
    receives: int = 0  # ApproximateReceiveCount of the last receive we know of
    lost_before: int = 0  # receives without an answer until then
    hidden_until: float = 0  # nobody gets it before that; 0: unknown
    handle: str = None  # held: of the last receive, until hidden_until


class Model:
    def __init__(self):
        self.lock = threading.Lock()
        self.messages = {}
        self.lost_receives = 0
        self.empty_queues = {}  # name: purged or MAYBE
        self.queues = {}  # name: {"there": NO|MAYBE|YES, "tags": values, "attribute": values}
        self.acknowledged = 0
        self.broken = None

    def sending(self, bodies):
        with self.lock:
            for body in bodies:
                self.messages[body] = Message(body)

    def sent(self, bodies, hidden_until):
        with self.lock:
            for body in bodies:
                message = self.messages[body]
                message.sent = YES
                if not message.received:
                    message.hidden_until = hidden_until
            self.acknowledged += 1

    def got(self, answers, asked, visibility_s):
        """A receive was answered now, having been asked for at `asked`; the messages."""
        now, got = time.time(), []
        with self.lock:
            for answer in answers:
                message = self.messages.get(answer["Body"])
                assert message is not None, f"nobody sent {answer['Body']!r}"
                count = int(answer["Attributes"]["ApproximateReceiveCount"])
                lost = self.lost_receives - message.lost_before
                assert message.deleted != YES, f"{message} was deleted, and is handed out"
                assert now >= message.hidden_until, \
                    f"{message} is handed out {message.hidden_until - now:.3f} s too early"
                assert message.receives < count <= message.receives + 1 + lost, \
                    f"{message} comes with the receive count {count}; {lost} answers were lost"
                message.received = True
                message.sent = YES
                message.receives, message.lost_before = count, self.lost_receives
                message.hidden_until = asked + visibility_s
                message.handle = answer["ReceiptHandle"]
                got.append(message)
            self.acknowledged += 1
        return got

    def receive_lost(self):
        with self.lock:
            self.lost_receives += 1

    def deleting(self, messages):
        with self.lock:
            for message in messages:
                message.deleted = MAYBE

    def delete_answered(self, messages):
        """A handle that another receive may have made stale by now deletes nothing, or does."""
        now = time.time()
        with self.lock:
            for message in messages:
                if now < message.hidden_until:
                    message.deleted = YES
            self.acknowledged += 1

    def changing(self, messages):
        """The visibility: as long as there is no answer it may have ended."""
        with self.lock:
            for message in messages:
                message.hidden_until = 0

    def changed(self, messages, asked, visibility_s):
        with self.lock:
            for message in messages:
                message.hidden_until = asked + visibility_s
            self.acknowledged += 1

    def held(self):
        """Those whose last receive is ours, for long."""
        soon = time.time() + HELD_S / 2
        with self.lock:
            return [m for m in self.messages.values()
                    if m.deleted == NO and m.handle and m.hidden_until > soon]


class Worker:
    """One client of one life of the server, on a thread of its own."""

    groups = [None]  # of its messages, drawn for each; None: without one

    def __init__(self, model, endpoint, queue, name, random, held):
        self.model, self.url, self.name, self.random = model, url_of(queue), name, random
        self.client, self.held, self.number = Client(endpoint), held, 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while not self.stop.is_set():
                self.random.choices((self.send, self.receive, self.delete, self.change,
                                     self.administer), (4, 4, 3, 2, 1))[0]()
        except GONE:
            pass
        except BaseException as broken:
            self.model.broken = self.model.broken or broken
        finally:
            self.client.close()

    def send(self):
        count, delay_s = self.random.choice((1, 10, 10)), self.random.choice((0, 0, 0, 1))
        bodies = [f"{self.name} {self.number + i} {'x' * (97 * i % 700)}" for i in range(count)]
        self.number += count
        self.model.sending(bodies)
        asked = time.time()
        if count == 1:
            self.client.send(self.url, bodies[0], DelaySeconds=delay_s, **self.group())
        else:
            answer = self.client.call("SendMessageBatch", QueueUrl=self.url, Entries=[
                {"Id": str(i), "MessageBody": body, "DelaySeconds": delay_s, **self.group()}
                for i, body in enumerate(bodies)])
            assert "Failed" not in answer
        self.model.sent(bodies, asked + delay_s)

    def group(self):
        group = self.random.choice(self.groups)
        return {"MessageGroupId": group} if group else {}

    def receive(self):
        visibility_s = self.random.choice((HELD_S, HELD_S, 1))
        asked = time.time()
        try:
            answers = self.client.receive(self.url, VisibilityTimeout=visibility_s,
                                          MaxNumberOfMessages=self.random.choice((1, 10)),
                                          WaitTimeSeconds=self.random.choice((0, 1)))
        except GONE:
            self.model.receive_lost()
            raise
        got = self.model.got(answers, asked, visibility_s)
        if visibility_s == HELD_S:
            self.held += got

    def take(self):
        count = min(len(self.held), self.random.choice((1, 1, 10)))
        taken, self.held = self.held[:count], self.held[count:]
        return taken

    def delete(self):
        taken = self.take()
        if not taken:
            return
        self.model.deleting(taken)
        if len(taken) == 1:
            self.client.delete(self.url, taken[0].handle)
        else:
            answer = self.client.call("DeleteMessageBatch", QueueUrl=self.url, Entries=[
                {"Id": str(i), "ReceiptHandle": m.handle} for i, m in enumerate(taken)])
            assert "Failed" not in answer
        self.model.delete_answered(taken)

    def change(self):
        taken, visibility_s = self.take(), self.random.choice((0, 1, 2 * HELD_S))
        if not taken:
            return
        self.model.changing(taken)
        asked = time.time()
        if len(taken) == 1:
            self.client.call("ChangeMessageVisibility", QueueUrl=self.url,
                             ReceiptHandle=taken[0].handle, VisibilityTimeout=visibility_s)
        else:
            answer = self.client.call("ChangeMessageVisibilityBatch", QueueUrl=self.url, Entries=[
                {"Id": str(i), "ReceiptHandle": m.handle, "VisibilityTimeout": visibility_s}
                for i, m in enumerate(taken)])
            assert "Failed" not in answer
        self.model.changed(taken, asked, visibility_s)

    def administer(self):
        """A queue of its own: made, described, filled, purged, perhaps deleted."""
        name = f"{self.name}-{self.number}".replace(" ", "-")
        self.number += 1
        queue = self.model.queues[name] = {"there": MAYBE, "tags": {None}, "attribute": {"30"},
                                           "count": {0}}
        url = url_of(name)
        self.client.create(name)
        queue["there"] = YES
        for value in ("1", "2"):
            queue["tags"].add(value)
            self.client.call("TagQueue", QueueUrl=url, Tags={"tag": value})
            queue["tags"] = {value}
            queue["attribute"].add(value)
            self.client.call("SetQueueAttributes", QueueUrl=url,
                             Attributes={"VisibilityTimeout": value})
            queue["attribute"] = {value}
        queue["count"].add(10)
        self.client.send_all(url, map(str, range(10)))
        queue["count"] = {10}
        if self.random.random() < 0.7:
            queue["count"].add(0)
            self.client.call("PurgeQueue", QueueUrl=url)
            queue["count"] = {0}
        if self.random.random() < 0.5:
            queue["there"] = MAYBE
            self.client.call("DeleteQueue", QueueUrl=url)
            queue["there"] = NO


def check_queues(model, sqs):
    """Queues, their tags, attributes and purges are as they were acknowledged."""
    there = set()
    parameters = {"MaxResults": 1000}
    while True:
        answer = sqs.call("ListQueues", **parameters)
        there |= {url.rsplit("/", 1)[1] for url in answer.get("QueueUrls", [])}
        if "NextToken" not in answer:
            break
        parameters["NextToken"] = answer["NextToken"]
    for name, queue in model.queues.items():
        assert queue["there"] == MAYBE or (name in there) == (queue["there"] == YES), \
            f"the queue {name} is {'' if name in there else 'not '}there"
        if name not in there:
            continue
        url = url_of(name)
        tags = sqs.call("ListQueueTags", QueueUrl=url).get("Tags", {})
        assert tags.get("tag") in queue["tags"], f"{name}: {tags}, not {queue['tags']}"
        shown = sqs.call("GetQueueAttributes", QueueUrl=url, AttributeNames=["All"])["Attributes"]
        assert shown["VisibilityTimeout"] in queue["attribute"], f"{name}: {shown}"
        count = int(shown["ApproximateNumberOfMessages"])
        assert count in queue["count"], f"{name} has {count} messages, not {queue['count']}"


def check_messages(model, sqs, queue):
    """
    The end: everything is where it must be. What a receive took whose answer was lost is hidden
    from us, but counted.
    """
    url = url_of(queue)
    while sqs.counts(url)[2] or any(0 < m.hidden_until - time.time() < HELD_S / 2
                                    for m in model.messages.values() if m.deleted != YES):
        time.sleep(0.05)
    held = model.held()
    seen = set()
    while True:
        asked = time.time()
        got = model.got(sqs.receive(url, VisibilityTimeout=HELD_S), asked, HELD_S)
        if not got:
            break
        seen |= {m.body for m in got}
    for i in range(0, len(held), 10):
        answer = sqs.call("DeleteMessageBatch", QueueUrl=url, Entries=[
            {"Id": str(j), "ReceiptHandle": m.handle} for j, m in enumerate(held[i:i + 10])])
        assert "Failed" not in answer
    _, in_flight, _ = sqs.counts(url)
    hidden = in_flight - len(seen)
    missing = [m for m in model.messages.values()
               if m.body not in seen and m.deleted != YES and m not in held]
    surely = [m for m in missing if m.sent == YES and m.deleted == NO]
    assert len(surely) <= hidden, f"{len(surely) - hidden} acknowledged messages are lost"
    assert hidden <= len(missing), f"{hidden - len(missing)} messages are there that must not be"
    return len(seen), len(held), hidden
