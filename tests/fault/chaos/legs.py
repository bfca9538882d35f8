"""The two legs: what passes between the workers and the queue, and between them and the provider."""

import json

import proxy
from records import Deletion, Receipt, now

WORKER_KEY = b"x-idempotency-key"


def header(head, name):
    """The value of a header field, as text; None: it is not there."""
    for line in head.split(b"\r\n")[1:]:
        field, _, value = line.partition(b":")
        if field.strip().lower() == name:
            return value.strip().decode("latin-1")
    return None


def _answer(status, phrase, headers, body):
    lines = [f"HTTP/1.1 {status} {phrase}", *headers, f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode(), body


class ProviderLeg(proxy.Leg):
    """Reads which message a request carries, and numbers it so that the sink's record does too."""

    def prepare(self, exchange, head, body):
        exchange.message = int(json.loads(body)["n"])
        exchange.key = header(head, WORKER_KEY)
        number = b"\r\nX-Chaos-Number: %d\r\n" % exchange.number
        return head.replace(b"\r\n", number, 1)


# As SQS writes them: status, reason phrase, __type, message.
QUEUE_ERRORS = (
    (500, "Internal Server Error", "com.amazonaws.sqs#InternalFailure",
     "We encountered an internal error. Please try again."),
    (503, "Service Unavailable", "com.amazonaws.sqs#ServiceUnavailable",
     "The request has failed due to a temporary failure of the server."),
    (403, "Forbidden", "com.amazonaws.sqs#RequestThrottled",
     "The request was denied due to request throttling."),
    (400, "Bad Request", "com.amazon.coral.availability#ThrottlingException",
     "Rate exceeded"),
    (403, "Forbidden", "com.amazon.coral.availability#ThrottlingException",
     "Rate exceeded"),
)


class QueueLeg(proxy.Leg):
    """Reads what is received, deleted and copied to the failure queue, and by whom."""

    forged = _answer(200, "OK", ["Content-Type: application/x-amz-json-1.0"],
                     b'{"Successful":[{"Id":"0"},{"Id":"1"},{"Id":"2"}],"Failed":[]}')

    def __init__(self, workers):
        super().__init__(workers)
        self.receipts = {}  # handle: Receipt
        self.deletions = []
        self.copies = {}  # message: when the failure queue had its first copy
        self._calls = {}  # exchange number: (operation, request), until it is answered

    def prepare(self, exchange, head, body):
        operation = header(head, b"x-amz-target").rpartition(".")[2]
        exchange.operation = operation
        call = (operation, json.loads(body))
        if operation == "DeleteMessageBatch":
            asked = {entry["Id"]: Deletion(entry["ReceiptHandle"], exchange.worker, now())
                     for entry in call[1]["Entries"]}
            self.deletions += asked.values()
            call = (operation, asked)
        self._calls[exchange.number] = call
        return head

    def read_answer(self, exchange, status, body):
        operation, request = self._calls.pop(exchange.number)
        if status != 200:
            return
        if operation == "ReceiveMessage":
            self._read_receive(exchange, json.loads(body or b"{}"))
        elif operation == "DeleteMessageBatch":
            for row in json.loads(body).get("Successful", []):
                request[row["Id"]].confirmed_s = now()
        elif operation == "SendMessageBatch":
            sent = {entry["Id"]: entry for entry in request["Entries"]}
            for row in json.loads(body).get("Successful", []):
                number = json.loads(sent[row["Id"]]["MessageBody"])["n"]
                self.copies.setdefault(number, now())

    def _read_receive(self, exchange, answer):
        handles = []
        for message in answer.get("Messages", []):
            number = json.loads(message["Body"])["n"]
            self.receipts[message["ReceiptHandle"]] = Receipt(
                number, message["MessageId"], exchange.worker, now())
            handles.append(message["ReceiptHandle"])
        self._calls[exchange.number] = ("delivery", handles)

    def read_delivery(self, exchange):
        _, handles = self._calls.pop(exchange.number, (None, ()))
        for handle in handles:
            self.receipts[handle].delivered = True

    def error_answer(self, rng):
        status, phrase, kind, text = rng.choice(QUEUE_ERRORS)
        body = json.dumps({"__type": kind, "message": text}).encode()
        code = kind.rpartition("#")[2]
        fault = "Sender" if status < 500 else "Receiver"
        return _answer(status, phrase, ["Content-Type: application/x-amz-json-1.0",
                                        f"x-amzn-query-error: {code};{fault}",
                                        "x-amzn-RequestId: chaos"], body)
