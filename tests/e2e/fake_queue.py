"""A queue in memory as SQS has it: visibility timeouts, delays, FIFO groups, deduplication."""

import base64
import bisect
import hashlib
import heapq
import re
import struct
import time
import uuid
from collections import deque

DEDUPLICATION_S = 300
VISIBILITY_MAX_S = 43200
HANDLE = re.compile(r"AQEB([0-9a-f]{1,16})-([0-9a-f]{1,8})")

VISIBLE, HIDDEN, DELAYED, GONE = "visible", "hidden", "delayed", "gone"


class QueueError(Exception):
    """As SQS answers it: HTTP status, shape with its namespace, older code, words."""

    def __init__(self, shape, message, status=400, legacy=None, space="com.amazonaws.sqs"):
        super().__init__(message)
        self.shape, self.message, self.status = f"{space}#{shape}", message, status
        self.legacy = legacy or f"AWS.SimpleQueueService.{shape}"


def invalid(message):
    return QueueError("InvalidParameterValueException", message, legacy="InvalidParameterValue",
                      space="com.amazon.coral.service")


def md5_of_attributes(attributes):
    """Sorted by name; big-endian lengths; 1 before a string value, 2 before a binary one."""
    digest = hashlib.md5()
    for name in sorted(attributes):
        value = attributes[name]
        text = value.get("StringValue")
        data = base64.b64decode(value["BinaryValue"]) if text is None else text.encode()
        for part in (name.encode(), value["DataType"].encode()):
            digest.update(struct.pack(">I", len(part)) + part)
        digest.update((b"\2" if text is None else b"\1") + struct.pack(">I", len(data)) + data)
    return digest.hexdigest()


class Message:
    __slots__ = ("number", "id", "body", "attributes", "group", "dedup", "state", "due_s",
                 "received_s", "receives", "sent_ms", "first_ms")

    def __init__(self, number, body, attributes, group, dedup):
        self.number = number
        self.id = str(uuid.uuid4())
        self.body = body
        self.attributes = attributes or {}
        self.group = group
        self.dedup = dedup
        self.state = None
        self.due_s = 0  # when it becomes visible, while hidden or delayed
        self.received_s = 0
        self.receives = 0
        self.sent_ms = self.first_ms = 0

    @property
    def handle(self):
        """Of its last receive."""
        return f"AQEB{self.number:x}-{self.receives:x}"


class _Line:
    """The visible messages of a standard queue; those deleted meanwhile are skipped."""

    def __init__(self):
        self._messages = deque()

    def enter(self, message):
        self._messages.append(message)

    def leave(self, message):
        """It was hidden or delayed and is gone."""

    def block(self, message):
        """It is delayed from its sending on."""

    def take(self, count):
        taken = []
        while self._messages and len(taken) < count:
            message = self._messages.popleft()
            if message.state == VISIBLE:
                taken.append(message)
        return taken


class _Groups:
    """Of a FIFO queue: a group with a message that is hidden or delayed gives no other."""

    def __init__(self):
        self._ready = {}  # group: [(number, message)], in order
        self._out = {}  # group: how many are hidden or delayed

    def enter(self, message):
        if message.state in (HIDDEN, DELAYED):
            self.leave(message)
        bisect.insort(self._ready.setdefault(message.group, []), (message.number, message))

    def leave(self, message):
        self._out[message.group] -= 1
        if self._out[message.group] == 0:
            del self._out[message.group]

    def block(self, message):
        self._out[message.group] = self._out.get(message.group, 0) + 1

    def take(self, count):
        taken = []
        for group in [name for name in self._ready if name not in self._out]:
            ready = [entry for entry in self._ready[group] if entry[1].state == VISIBLE]
            chosen = [message for _, message in ready[:count - len(taken)]]
            self._ready[group] = ready[len(chosen):]
            if not self._ready[group]:
                del self._ready[group]
            taken += chosen
            for message in chosen:
                self.block(message)
            if len(taken) == count:
                break
        return taken


class Queue:
    """Not for more than one thread."""

    def __init__(self, name, visibility_s=30, delay_s=0, content_based=False, clock=None):
        self.name = name
        self.fifo = name.endswith(".fifo")
        self.visibility_s = visibility_s
        self.delay_s = delay_s
        self.tags = {}
        self.content_based = content_based
        self.sent = self.deleted = 0  # so far
        self.waiters = deque()  # futures of receives that wait for a message
        self._wall = clock.now if clock else time.time
        self._line = _Groups() if self.fifo else _Line()
        self._messages = {}  # by number
        self._counts = {VISIBLE: 0, HIDDEN: 0, DELAYED: 0}
        self._due = []  # heap of (due_s, number); old entries are skipped
        self._duplicates = {}  # dedup id: (until, message)
        self._attempts = {}  # ReceiveRequestAttemptId: (until, [(message, handle)])

    def counts(self):
        """(visible, in flight, delayed)"""
        self._expire()
        return tuple(self._counts[state] for state in (VISIBLE, HIDDEN, DELAYED))

    def send(self, body, attributes=None, delay_s=None, group=None, dedup=None):
        """The message; an earlier one when this one repeats it."""
        if self.fifo and dedup is None and self.content_based:
            dedup = hashlib.sha256(body.encode()).hexdigest()
        now = time.monotonic()
        earlier = self._duplicates.get(dedup) if self.fifo else None
        if earlier and earlier[0] > now:
            return earlier[1]
        self.sent += 1
        message = Message(self.sent, body, attributes, group, dedup)
        message.sent_ms = int(self._wall() * 1000)
        self._messages[message.number] = message
        if self.fifo:
            self._duplicates[dedup] = (now + DEDUPLICATION_S, message)
        delay_s = self.delay_s if delay_s is None or self.fifo else delay_s
        if delay_s:
            self._line.block(message)
            self._move(message, DELAYED, now + delay_s)
        else:
            self._appear(message)
            self.wake()
        return message

    def take(self, count, visibility_s=None, attempt=None):
        """At most `count` messages, hidden from now on."""
        self._expire()
        now = time.monotonic()
        visibility_s = self.visibility_s if visibility_s is None else visibility_s
        taken = self._again(attempt, now) if self.fifo and attempt else []
        for message in taken:
            self._move(message, HIDDEN, now + visibility_s)
        for message in [] if taken else self._line.take(count):
            message.receives += 1
            message.received_s = now
            message.first_ms = message.first_ms or int(self._wall() * 1000)
            self._move(message, HIDDEN, now + visibility_s)
            taken.append(message)
        if self.fifo and attempt and taken:
            self._attempts[attempt] = (now + DEDUPLICATION_S,
                                       [(message, message.handle) for message in taken])
        return taken

    def _again(self, attempt, now):
        """What the same attempt got before, when all of that is still with it."""
        until, given = self._attempts.get(attempt, (0, []))
        if until > now and all(message.state == HIDDEN and message.handle == handle
                               for message, handle in given):
            return [message for message, _ in given]
        return []

    def delete(self, handle):
        """An old handle of a standard queue deletes nothing, and is no error."""
        message, current = self._find(handle)
        if message is None:
            return
        if self.fifo and (message.state != HIDDEN or not current):
            raise invalid(f"Value {handle} for parameter ReceiptHandle is invalid. Reason: The "
                          "receipt handle has expired.")
        if current:
            self._remove(message)

    def change(self, handle, timeout_s):
        message, current = self._find(handle)
        if message is None:
            raise invalid(f"Value {handle} for parameter ReceiptHandle is invalid. Reason: "
                          "Message does not exist or is not available for visibility timeout "
                          "change.")
        if message.state != HIDDEN or not current:
            raise QueueError("MessageNotInflight", "The message is not in flight.")
        now = time.monotonic()
        if now - message.received_s + timeout_s > VISIBILITY_MAX_S:
            raise invalid(f"Value {timeout_s} for parameter VisibilityTimeout is invalid. Reason: "
                          "Total VisibilityTimeout for the message is beyond the limit "
                          f"[{VISIBILITY_MAX_S} seconds].")
        if timeout_s == 0:
            self._appear(message)
            self.wake()
        else:
            self._move(message, HIDDEN, now + timeout_s)

    def _find(self, handle):
        """(message, or None when it was deleted; whether the handle is of its last receive)"""
        self._expire()
        match = HANDLE.fullmatch(handle)
        number = int(match[1], 16) if match else 0
        if not 1 <= number <= self.sent:
            raise QueueError("ReceiptHandleIsInvalid", "The input receipt handle is invalid.", 404,
                             "ReceiptHandleIsInvalid")
        message = self._messages.get(number)
        return message, message is not None and message.handle == handle

    def _move(self, message, state, due_s):
        if message.state:
            self._counts[message.state] -= 1
        self._counts[state] += 1
        message.state, message.due_s = state, due_s
        heapq.heappush(self._due, (due_s, message.number))

    def _appear(self, message):
        self._line.enter(message)
        if message.state:
            self._counts[message.state] -= 1
        self._counts[VISIBLE] += 1
        message.state = VISIBLE

    def _remove(self, message):
        if message.state != VISIBLE:
            self._line.leave(message)
        self._counts[message.state] -= 1
        message.state = GONE
        del self._messages[message.number]
        self.deleted += 1

    def next_due(self):
        """When (time.monotonic()) a hidden or delayed message becomes visible; None: none is."""
        while self._due:
            due_s, number = self._due[0]
            message = self._messages.get(number)
            if message and message.state in (HIDDEN, DELAYED) and message.due_s == due_s:
                return due_s
            heapq.heappop(self._due)
        return None

    def _expire(self):
        now = time.monotonic()
        while (due_s := self.next_due()) is not None and due_s <= now:
            _, number = heapq.heappop(self._due)
            self._appear(self._messages[number])
            self.wake()

    def wake(self):
        """One receive that waits looks again."""
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
