"""A small client of SQS's AWS JSON 1.0 protocol that hides nothing: status, headers, bytes.

For the tests of the embedded queue itself. It shares nothing with the program; botocore signs.
"""

import http.client
import json
import urllib.parse
import uuid
from dataclasses import dataclass, field

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

TIMEOUT_S = 120


class Refused(Exception):
    """An answer that is no success."""

    def __init__(self, answer):
        super().__init__(f"{answer.status} {answer.code}: {answer.message}")
        self.answer = answer


@dataclass
class Answer:
    status: int
    headers: dict = field(repr=False)  # lower-case names
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def type(self):
        """__type, namespace included."""
        return self.json["__type"]

    @property
    def code(self):
        """The older code, with its ;Sender or ;Receiver."""
        return self.headers.get("x-amzn-query-error")

    @property
    def message(self):
        return self.json.get("message") if self.body else None


class Client:
    """One connection, kept alive. With `keys` (id, secret) requests are signed."""

    def __init__(self, url, keys=None, region="us-east-1", service="sqs", token=None):
        location = urllib.parse.urlsplit(url)
        self.url = url
        self.netloc = location.netloc
        self._connection = http.client.HTTPConnection(location.hostname, location.port,
                                                      timeout=TIMEOUT_S)
        self._signer = SigV4Auth(Credentials(*keys, token), service, region) if keys else None

    def close(self):
        self._connection.close()

    def post(self, body, headers, path="/"):
        self._connection.request("POST", path, body, headers)
        return self._answer()

    def get(self, path):
        self._connection.request("GET", path)
        return self._answer()

    def _answer(self):
        answer = self._connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, headers, answer.read())

    def headers(self, operation, body, path="/"):
        request = AWSRequest("POST", f"http://{self.netloc}{path}", data=body, headers={
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": f"AmazonSQS.{operation}",
            "x-amzn-query-mode": "true",
        })
        if self._signer:
            self._signer.add_auth(request)
        return dict(request.headers.items())

    def raw(self, operation, parameters, path="/"):
        """The Answer, whatever it says. `parameters`: a dict, or the very bytes to send."""
        body = parameters if isinstance(parameters, bytes) else json.dumps(parameters).encode()
        return self.post(body, self.headers(operation, body, path), path)

    def call(self, operation, **parameters):
        """The answer's JSON; raises Refused."""
        answer = self.raw(operation, parameters)
        if answer.status != 200:
            raise Refused(answer)
        return answer.json

    def create(self, name=None, **attributes):
        """A queue of its own name unless told; its URL."""
        return self.call("CreateQueue", QueueName=name or f"q-{uuid.uuid4().hex}",
                         Attributes={k: str(v) for k, v in attributes.items()})["QueueUrl"]

    def send(self, url, body, **parameters):
        return self.call("SendMessage", QueueUrl=url, MessageBody=body, **parameters)

    def send_all(self, url, bodies):
        """In batches of ten; the message ids."""
        ids = []
        bodies = list(bodies)
        for start in range(0, len(bodies), 10):
            entries = [{"Id": str(i), "MessageBody": body}
                       for i, body in enumerate(bodies[start:start + 10])]
            answer = self.call("SendMessageBatch", QueueUrl=url, Entries=entries)
            assert "Failed" not in answer
            ids += [entry["MessageId"] for entry in answer["Successful"]]
        return ids

    def receive(self, url, **parameters):
        parameters = {"MaxNumberOfMessages": 10, "MessageSystemAttributeNames": ["All"],
                      "MessageAttributeNames": ["All"], **parameters}
        return self.call("ReceiveMessage", QueueUrl=url, **parameters).get("Messages", [])

    def delete(self, url, handle):
        self.call("DeleteMessage", QueueUrl=url, ReceiptHandle=handle)

    def counts(self, url):
        """(visible, in flight, delayed)"""
        names = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")]
        values = self.call("GetQueueAttributes", QueueUrl=url,
                           AttributeNames=names)["Attributes"]
        return tuple(int(values[name]) for name in names)
