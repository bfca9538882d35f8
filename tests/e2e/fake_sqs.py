"""SQS as a fake: AWS JSON 1.0, every signature verified, queues in memory (fake_queue.py)."""

import asyncio
import hashlib
import json
import re
import time

from fake_http import Answer, Part, request_id
from fake_keys import ACCOUNT, REGION, Refused, Verifier
from fake_queue import Queue, QueueError, invalid, md5_of_attributes

JSON = "application/x-amz-json-1.0"
IN_FLIGHT_MAX = 120000
FIFO_CALLS_A_SECOND = 300
BATCH_ID = re.compile(r"[A-Za-z0-9_-]{1,80}")


class Sqs(Part):
    """
    Queues are made by create(). `in_flight` lies about how many messages are in flight, in what
    GetQueueAttributes says and what a receive does; `fifo_calls` bounds the calls a second of each
    action on a FIFO queue (None: unbounded).
    """

    def __init__(self, ring, region=REGION, account=ACCOUNT):
        self.verifier = Verifier(ring, "sqs", region)
        self.account = account
        self.region = region
        self.queues = {}
        self.in_flight = None
        self.fifo_calls = None
        self._calls = {}  # (queue, action): (second, how many)
        self._actions = {
            "ReceiveMessage": self._receive,
            "SendMessage": self._send,
            "SendMessageBatch": self._batch(self._send),
            "DeleteMessage": self._delete,
            "DeleteMessageBatch": self._batch(self._delete),
            "ChangeMessageVisibility": self._change,
            "ChangeMessageVisibilityBatch": self._batch(self._change),
            "GetQueueAttributes": self._attributes,
            "GetQueueUrl": self._url,
            "ListQueueTags": self._tags,
        }

    def create(self, name, **options):
        """A Queue; options as its constructor takes them."""
        queue = Queue(name, clock=self.verifier.ring.clock, **options)
        self.queues[name] = queue
        return queue

    # The Part.

    def claims(self, request):
        return request.headers.get("x-amz-target", "").startswith("AmazonSQS.")

    def action(self, request):
        return "sqs." + request.headers["x-amz-target"].partition(".")[2]

    def refuse(self, request):
        try:
            self.verifier.check(request)
        except Refused as refused:
            return self._error(refused.status, f"com.amazon.coral.service#{refused.code}",
                               refused.legacy, refused.message)
        return None

    def error(self, status, code, message):
        return self._error(status, f"com.amazonaws.sqs#{code}", code, message)

    async def serve(self, request):
        act = self._actions.get(request.action[4:])
        try:
            if act is None:
                raise QueueError("UnknownOperationException", "no such operation", 400,
                                 "InvalidAction", "com.amazon.coral.service")
            parameters = self._parse(request.body)
            queue = None if act == self._url else self._queue(parameters)
            if queue and queue.fifo:
                self._limit(queue, request.action)
            value = act(queue, parameters)
            if asyncio.iscoroutine(value):
                value = await value
        except QueueError as error:
            return self._error(error.status, error.shape, error.legacy, error.message)
        return self._answer(200, value)

    @staticmethod
    def _answer(status, value, code="", **headers):
        headers = {"x-amzn-RequestId": request_id(), **headers}
        return Answer(status, json.dumps(value).encode(), JSON, headers, code)

    def _error(self, status, shape, legacy, message):
        fault = "Receiver" if status >= 500 else "Sender"
        return self._answer(status, {"__type": shape, "message": message},
                            shape.rpartition("#")[2],
                            **{"x-amzn-query-error": f"{legacy};{fault}"})

    @staticmethod
    def _parse(body):
        try:
            parameters = json.loads(body)
        except ValueError:
            parameters = None
        if not isinstance(parameters, dict):
            raise QueueError("SerializationException", "not a JSON object", 400, "MalformedInput",
                             "com.amazon.coral.service")
        return parameters

    def _queue(self, parameters):
        """By the last two parts of the URL's path, whatever host it names."""
        account, _, name = parameters.get("QueueUrl", "").rpartition("/")
        queue = self.queues.get(name)
        if queue is None or not account.endswith("/" + self.account):
            raise QueueError("QueueDoesNotExist", "The specified queue does not exist.", 400,
                             "AWS.SimpleQueueService.NonExistentQueue")
        return queue

    def _limit(self, queue, action):
        """FIFO queues take 300 calls a second of each action."""
        second = int(time.monotonic())
        at, count = self._calls.get((queue.name, action), (second, 0))
        count = count + 1 if at == second else 1
        self._calls[queue.name, action] = (second, count)
        if self.fifo_calls is not None and count > self.fifo_calls:
            raise QueueError("RequestThrottled", "The request was denied due to request "
                             "throttling.", 403, "RequestThrottled")

    # The actions.

    async def _receive(self, queue, parameters):
        count = self._number(parameters, "MaxNumberOfMessages", 1, 10, 1)
        wait_s = self._number(parameters, "WaitTimeSeconds", 0, 20, 0)
        visibility_s = self._number(parameters, "VisibilityTimeout", 0, 43200, None)
        deadline = time.monotonic() + wait_s
        if self.in_flight is not None and self.in_flight >= IN_FLIGHT_MAX:
            if wait_s == 0 and not queue.fifo:
                raise QueueError("OverLimit", f"Too many messages in flight: {self.in_flight}.",
                                 403, "OverLimit")
            await asyncio.sleep(wait_s)
            return {}
        while True:
            taken = queue.take(count, visibility_s, parameters.get("ReceiveRequestAttemptId"))
            if taken or time.monotonic() >= deadline:
                break
            await self._wait(queue, deadline)
        if taken:
            queue.wake()  # there may be more, for another one
        return {"Messages": [self._show(message, parameters) for message in taken]} if taken else {}

    @staticmethod
    async def _wait(queue, deadline):
        """Until a message may be there, or the deadline."""
        due_s = queue.next_due()
        until = min(deadline, due_s) if due_s is not None else deadline
        waiter = asyncio.get_running_loop().create_future()
        queue.waiters.append(waiter)
        try:
            await asyncio.wait_for(waiter, max(0, until - time.monotonic()))
        except asyncio.TimeoutError:
            pass
        except asyncio.CancelledError:
            queue.wake()  # it may have been this one's turn
            raise
        finally:
            if waiter in queue.waiters:
                queue.waiters.remove(waiter)

    def _show(self, message, parameters):
        value = {"MessageId": message.id, "ReceiptHandle": message.handle, "Body": message.body,
                 "MD5OfBody": hashlib.md5(message.body.encode()).hexdigest()}
        names = (parameters.get("MessageSystemAttributeNames") or []) + (
            parameters.get("AttributeNames") or [])
        attributes = {name: text for name, text in self._system(message).items()
                      if "All" in names or name in names}
        if attributes:
            value["Attributes"] = attributes
        wanted = parameters.get("MessageAttributeNames") or []
        custom = {name: text for name, text in message.attributes.items()
                  if any(self._selects(pattern, name) for pattern in wanted)}
        if custom:
            value["MessageAttributes"] = custom
            value["MD5OfMessageAttributes"] = md5_of_attributes(custom)
        return value

    @staticmethod
    def _selects(pattern, name):
        return pattern in ("All", ".*", name) or (
            pattern.endswith(".*") and name.startswith(pattern[:-1]))

    @staticmethod
    def _system(message):
        value = {"SenderId": "AIDAFAKE", "SentTimestamp": str(message.sent_ms),
                 "ApproximateReceiveCount": str(message.receives),
                 "ApproximateFirstReceiveTimestamp": str(message.first_ms)}
        if message.group is not None:
            value["MessageGroupId"] = message.group
        if message.dedup is not None:
            value["MessageDeduplicationId"] = message.dedup
            value["SequenceNumber"] = f"{message.number:020d}"
        return value

    def _send(self, queue, parameters):
        body = parameters.get("MessageBody")
        if not isinstance(body, str) or body == "":
            raise QueueError("MissingRequiredParameterException", "The request must contain the "
                             "parameter MessageBody.", 400, "MissingParameter",
                             "com.amazon.coral.service")
        group, dedup = (parameters.get(f"Message{name}Id") for name in ("Group", "Deduplication"))
        if queue.fifo and (group is None or (dedup is None and not queue.content_based)):
            raise invalid("The queue should either have ContentBasedDeduplication enabled or "
                          "MessageDeduplicationId provided explicitly, and a MessageGroupId.")
        attributes = parameters.get("MessageAttributes") or {}
        message = queue.send(body, attributes, parameters.get("DelaySeconds"), group, dedup)
        value = {"MessageId": message.id,
                 "MD5OfMessageBody": hashlib.md5(body.encode()).hexdigest()}
        if attributes:
            value["MD5OfMessageAttributes"] = md5_of_attributes(attributes)
        if queue.fifo:
            value["SequenceNumber"] = f"{message.number:020d}"
        return value

    @staticmethod
    def _delete(queue, parameters):
        queue.delete(parameters.get("ReceiptHandle", ""))
        return {}

    def _change(self, queue, parameters):
        queue.change(parameters.get("ReceiptHandle", ""),
                     self._number(parameters, "VisibilityTimeout", 0, 43200, None))
        return {}

    def _batch(self, one):
        """The batch of an action: each entry has its own success or failure."""
        def act(queue, parameters):
            entries = parameters.get("Entries") or []
            self._check_batch([entry.get("Id", "") for entry in entries])
            good, bad = [], []
            for entry in entries:
                try:
                    good.append({"Id": entry["Id"], **one(queue, entry)})
                except QueueError as error:
                    bad.append({"Id": entry["Id"], "SenderFault": error.status < 500,
                                "Code": error.legacy.rpartition(".")[2],
                                "Message": error.message})
            return {name: rows for name, rows in (("Successful", good), ("Failed", bad)) if rows}

        return act

    @staticmethod
    def _check_batch(ids):
        if not ids:
            raise QueueError("EmptyBatchRequest", "There should be at least one entry.")
        if len(ids) > 10:
            raise QueueError("TooManyEntriesInBatchRequest", "Maximum number of entries is 10.")
        if len(set(ids)) < len(ids):
            raise QueueError("BatchEntryIdsNotDistinct", "Id repeated.")
        if not all(BATCH_ID.fullmatch(text) for text in ids):
            raise QueueError("InvalidBatchEntryId", "Not a batch entry id.")

    def _attributes(self, queue, parameters):
        visible, in_flight, delayed = queue.counts()
        value = {
            "ApproximateNumberOfMessages": visible,
            "ApproximateNumberOfMessagesNotVisible":
                in_flight if self.in_flight is None else self.in_flight,
            "ApproximateNumberOfMessagesDelayed": delayed,
            "VisibilityTimeout": queue.visibility_s,
            "DelaySeconds": queue.delay_s,
            "MaximumMessageSize": 1048576,
            "MessageRetentionPeriod": 345600,
            "QueueArn": f"arn:aws:sqs:{self.region}:{self.account}:{queue.name}",
        }
        if queue.fifo:
            value.update(FifoQueue="true",
                         ContentBasedDeduplication=str(queue.content_based).lower())
        names = parameters.get("AttributeNames") or []
        value = {name: str(text) for name, text in value.items()
                 if "All" in names or name in names}
        return {"Attributes": value} if value else {}

    @staticmethod
    def _tags(queue, _):
        return {"Tags": dict(queue.tags)} if queue.tags else {}

    def _url(self, _, parameters):
        name = parameters.get("QueueName", "")
        self._queue({"QueueUrl": f"/{self.account}/{name}"})
        return {"QueueUrl": self.queue_url(name)}

    def queue_url(self, name):
        """As AWS writes it; where the fake listens is the caller's to know."""
        return f"https://sqs.{self.region}.amazonaws.com/{self.account}/{name}"

    @staticmethod
    def _number(parameters, name, low, high, default):
        value = parameters.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise invalid(f"Value {value} for parameter {name} is invalid. Reason: Must be "
                          f"between {low} and {high}, if provided.")
        return value
