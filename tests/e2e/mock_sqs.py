"""A small SQS for tests of the sender: takes SendMessageBatch and misbehaves on demand. Whoever asks
for the queue's attributes is told that it is empty.

Written from the protocol's description, apart from the program's client and its queue.
"""

import base64
import hashlib
import json
import random
import struct
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def md5_of_attributes(attributes):
    """SQS's digest: sorted by name; lengths as big-endian 32 bits; 1 before a string's value, 2
    before a binary one."""
    data = b""
    for name in sorted(attributes):
        for part in (name, attributes[name]["DataType"]):
            data += struct.pack(">I", len(part.encode())) + part.encode()
        value = value_of(attributes[name])
        data += b"\1" if isinstance(value, str) else b"\2"
        value = value.encode() if isinstance(value, str) else value
        data += struct.pack(">I", len(value)) + value
    return hashlib.md5(data).hexdigest()


def value_of(attribute):
    """A text, or of a binary one its bytes."""
    if "BinaryValue" in attribute:
        return base64.b64decode(attribute["BinaryValue"])
    return attribute["StringValue"]


class MockSqs:
    """
    `stored` lists (body, {attribute: value}) in the order of arrival. `faults` is a seed: calls and
    entries fail at random in every way that a sender must survive. `gate`, when set up by hold(),
    keeps answers back. `refuse` says which bodies get a permanent error. `entries` lists (time of
    arrival, entry) of all that was sent. Its clock, in the Date header, is `ahead_s` before ours.
    """

    def __init__(self, faults=None, refuse=lambda body: False, max_batch_bytes=1 << 20,
                 ahead_s=0):
        self.stored = []
        self.calls = 0
        self.batches = []
        self.entries = []
        self.questions = 0
        self._ahead_s = ahead_s
        self._random = random.Random(faults) if faults is not None else None
        self._refuse = refuse
        self._max_batch_bytes = max_batch_bytes
        self._lock = threading.Lock()
        self._gate = threading.Event()
        self._gate.set()
        mock = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 1 << 16  # head and body in one packet, or Nagle's algorithm costs 40 ms

            def do_POST(self):
                mock._serve(self)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.queue_url = f"{self.url}/000000000000/mock"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._gate.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def hold(self):
        self._gate.clear()

    def release(self):
        self._gate.set()

    def _serve(self, request):
        body = request.rfile.read(int(request.headers["Content-Length"]))
        request.date_time_string = lambda: formatdate(time.time() + self._ahead_s, usegmt=True)
        if request.headers["X-Amz-Target"] == "AmazonSQS.GetQueueAttributes":
            self._answer_question(request)
            return
        assert request.headers["X-Amz-Target"] == "AmazonSQS.SendMessageBatch", "unexpected call"
        call = json.loads(body)
        with self._lock:
            self.calls += 1
            self.entries += [(time.time(), entry) for entry in call["Entries"]]
            self.batches.append([entry["MessageBody"] for entry in call["Entries"]])
            kind = self._draw()
            status, answer = self._answer(kind, call["Entries"])
        self._gate.wait()
        if kind == "lost":
            request.close_connection = True
            return
        text = json.dumps(answer).encode()
        try:
            request.send_response(status)
            request.send_header("Content-Type", "application/x-amz-json-1.0")
            request.send_header("Content-Length", str(len(text)))
            request.send_header("x-amzn-RequestId", f"request-{self.calls}")
            request.end_headers()
            request.wfile.write(text)
        except ConnectionError:
            request.close_connection = True

    def _answer_question(self, request):
        self.questions += 1
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible",
                 "ApproximateNumberOfMessagesDelayed"]
        text = json.dumps({"Attributes": {**dict.fromkeys(names, "0"),
                                          "VisibilityTimeout": "30"}}).encode()
        request.send_response(200)
        request.send_header("Content-Type", "application/x-amz-json-1.0")
        request.send_header("Content-Length", str(len(text)))
        request.send_header("x-amzn-RequestId", f"question-{self.questions}")
        request.end_headers()
        request.wfile.write(text)

    def _draw(self):
        if not self._random:
            return "good"
        return self._random.choices(
            ["good", "entries", "lost", "broken", "throttled", "garbage", "wrong md5"],
            [70, 15, 4, 4, 3, 2, 2])[0]

    def _answer(self, kind, entries):
        if sum(len(entry["MessageBody"].encode()) for entry in entries) > self._max_batch_bytes:
            return 400, {"__type": "com.amazonaws.sqs#BatchRequestTooLong", "message": "too long"}
        if kind == "broken":
            return 500, {"__type": "com.amazonaws.sqs#InternalFailure", "message": "oops"}
        if kind == "throttled":
            return 403, {"__type": "com.amazonaws.sqs#RequestThrottled", "message": "slow down"}
        done = [self._one(kind, entry) for entry in entries]
        if kind == "garbage":
            return 200, {"Successful": "?"}
        return 200, {"Successful": [row for good, row in done if good],
                     "Failed": [row for good, row in done if not good]}

    def _one(self, kind, entry):
        body, attributes = entry["MessageBody"], entry.get("MessageAttributes", {})
        if self._refuse(body):
            return False, {"Id": entry["Id"], "SenderFault": True,
                           "Code": "InvalidMessageContents", "Message": "not this one"}
        if kind == "entries" and self._random.random() < 0.3:
            code, fault = self._random.choice([("InternalError", False), ("ServiceUnavailable",
                                                                          False),
                                               ("RequestThrottled", True)])
            return False, {"Id": entry["Id"], "SenderFault": fault, "Code": code,
                           "Message": "maybe later"}
        self.stored.append((body, {name: value_of(value) for name, value in attributes.items()}))
        digest = hashlib.md5(body.encode()).hexdigest()
        if kind == "wrong md5":
            digest = digest[::-1]
        return True, {"Id": entry["Id"], "MessageId": f"message-{len(self.stored)}",
                      "MD5OfMessageBody": digest,
                      "MD5OfMessageAttributes": md5_of_attributes(attributes)}
