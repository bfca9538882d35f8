"""SQS clients that are not ours, behind one face: what the tests test_clients_*.py run.

    boto3        Debian's, in this process                 Query protocol
    awscli       Debian's, see awscli_client.py            Query protocol
    javascript   @aws-sdk/client-sqs of package.json,      JSON protocol
                 see javascript_client.mjs

Operations, parameters and answers have SQS's own names; binary values are bytes. Every digest in
an answer is compared with one computed here, on top of what a client checks by itself.
"""

import base64
import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
import threading
import uuid
from concurrent.futures import Future
from pathlib import Path

import boto3
import botocore.exceptions
import botocore.session
from botocore import xform_name
from botocore.config import Config

from harness import PATIENCE_S, base_environment

HERE = Path(__file__).resolve().parent
DEBIANS_PYTHON = "/usr/bin/python3"
REGION = "us-east-1"
ACCOUNT = "000000000000"
ANY_KEYS = ("any", "any")
ASQ = "AWS.SimpleQueueService."
LONG_ARGUMENT = 100_000  # a longer one comes from a file: Linux takes 128 KiB for one

# Operations that came after Debian's model of SQS, as the later ones had them while they spoke the
# Query protocol.
TASK = "ListMessageMoveTasksResultEntry"
LATER = {
    "StartMessageMoveTask": (
        ["SourceArn"], {"SourceArn": "String", "DestinationArn": "String",
                        "MaxNumberOfMessagesPerSecond": "Integer"},
        {"TaskHandle": "String"}),
    "ListMessageMoveTasks": (
        ["SourceArn"], {"SourceArn": "String", "MaxResults": "Integer"},
        {"Results": TASK + "List"}),
    "CancelMessageMoveTask": (
        ["TaskHandle"], {"TaskHandle": "String"},
        {"ApproximateNumberOfMessagesMoved": "Long"}),
}
LATER_SHAPES = {
    "Long": {"type": "long", "box": True},
    TASK + "List": {"type": "list", "flattened": True,
                    "member": {"shape": TASK, "locationName": TASK}},
    TASK: {"type": "structure", "members": {
        "TaskHandle": {"shape": "String"}, "Status": {"shape": "String"},
        "SourceArn": {"shape": "String"}, "DestinationArn": {"shape": "String"},
        "MaxNumberOfMessagesPerSecond": {"shape": "Integer"},
        "ApproximateNumberOfMessagesMoved": {"shape": "Long"},
        "ApproximateNumberOfMessagesToMove": {"shape": "Long"},
        "FailureReason": {"shape": "String"}, "StartedTimestamp": {"shape": "Long"}}},
}


def write_models(directory):
    """What is laid over Debian's model, where botocore looks for it: `directory` is ~/.aws/models."""
    operations, shapes = {}, dict(LATER_SHAPES)
    for name, (required, given, answered) in LATER.items():
        shapes[f"{name}Request"] = {
            "type": "structure", "required": required,
            "members": {member: {"shape": shape} for member, shape in given.items()}}
        shapes[f"{name}Result"] = {
            "type": "structure",
            "members": {member: {"shape": shape} for member, shape in answered.items()}}
        operations[name] = {
            "name": name, "http": {"method": "POST", "requestUri": "/"},
            "input": {"shape": f"{name}Request"},
            "output": {"shape": f"{name}Result", "resultWrapper": f"{name}Result"}}
    path = Path(directory) / "sqs/2012-11-05/service-2.sdk-extras.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"version": 1.0,
                                "merge": {"operations": operations, "shapes": shapes}}))


class Refused(Exception):
    """SQS refused. `status` is None where the client does not tell; `code` is the older code."""

    def __init__(self, status, code, message):
        super().__init__(f"{status} {code}: {message}")
        self.status, self.code, self.message = status, code, message


# Digests


def md5_of_body(body):
    return hashlib.md5(body.encode()).hexdigest()


def md5_of_attributes(attributes):
    """As SQS's documentation has it; None when there are none."""
    if not attributes:
        return None
    digest = hashlib.md5()
    for name in sorted(attributes):
        value = attributes[name]
        binary = value["DataType"].startswith("Binary")
        data = value["BinaryValue"] if binary else value["StringValue"].encode()
        for part in name.encode(), value["DataType"].encode():
            digest.update(struct.pack(">I", len(part)) + part)
        digest.update((b"\2" if binary else b"\1") + struct.pack(">I", len(data)) + data)
    return digest.hexdigest()


def check_sent(sent, answer):
    assert answer["MD5OfMessageBody"] == md5_of_body(sent["MessageBody"])
    for name, given in (("MD5OfMessageAttributes", "MessageAttributes"),
                        ("MD5OfMessageSystemAttributes", "MessageSystemAttributes")):
        assert answer.get(name) == md5_of_attributes(sent.get(given)), name


def check_digests(operation, parameters, output):
    if operation == "SendMessage":
        check_sent(parameters, output)
    elif operation == "SendMessageBatch":
        sent = {entry["Id"]: entry for entry in parameters["Entries"]}
        for entry in output.get("Successful", []):
            check_sent(sent[entry["Id"]], entry)
    elif operation == "ReceiveMessage":
        for message in output.get("Messages", []):
            assert message["MD5OfBody"] == md5_of_body(message["Body"])
            assert (message.get("MD5OfMessageAttributes")
                    == md5_of_attributes(message.get("MessageAttributes")))


def with_binary(value, change):
    """A copy, with what `change` makes of every member that is called BinaryValue."""
    if isinstance(value, list):
        return [with_binary(item, change) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: change(member) if name == "BinaryValue" else with_binary(member, change)
            for name, member in value.items()}


def to_base64(value):
    return with_binary(value, lambda data: base64.b64encode(data).decode())


def from_base64(value):
    return with_binary(value, base64.b64decode)


# Clients


class Client:
    """One client of one endpoint."""

    protocol = None  # "query" or "json"
    later_names = False  # whether it knows MessageSystemAttributeNames

    def __init__(self, url, keys):
        self.url, self.keys = url, keys

    def call(self, operation, **parameters):
        """What SQS answered, a dict; raises Refused."""
        output = self._call(operation, self._as_known(parameters))
        check_digests(operation, parameters, output)
        return output

    def begin(self, operation, **parameters):
        """The same, as a Future: for what waits."""
        future = Future()

        def run():
            try:
                future.set_result(self.call(operation, **parameters))
            except BaseException as error:
                future.set_exception(error)

        threading.Thread(target=run, daemon=True).start()
        return future

    def _call(self, operation, parameters):
        raise NotImplementedError

    def _as_known(self, parameters):
        """Older clients have another name for it."""
        if self.later_names or "MessageSystemAttributeNames" not in parameters:
            return parameters
        parameters = dict(parameters)
        parameters["AttributeNames"] = parameters.pop("MessageSystemAttributeNames")
        return parameters

    # What many tests do.

    def create(self, queue=None, tags=None, **attributes):
        """A queue of a name of its own unless told; its URL."""
        parameters = {"QueueName": queue or f"q-{uuid.uuid4().hex}"}
        if attributes:
            parameters["Attributes"] = {name: value if isinstance(value, str) else json.dumps(value)
                                        for name, value in attributes.items()}
        if tags:
            parameters["tags"] = tags
        return self.call("CreateQueue", **parameters)["QueueUrl"]

    def create_fifo(self, **attributes):
        return self.create(f"f-{uuid.uuid4().hex}.fifo", FifoQueue=True, **attributes)

    def arn(self, url):
        return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{url.rpartition('/')[2]}"

    def send(self, url, body, **parameters):
        return self.call("SendMessage", QueueUrl=url, MessageBody=body, **parameters)

    def send_batch(self, url, *entries):
        """Entries are bodies, or dicts with what is beside Id; all must succeed. The answers."""
        entries = [{"Id": str(number), **(entry if isinstance(entry, dict)
                                          else {"MessageBody": entry})}
                   for number, entry in enumerate(entries)]
        output = self.call("SendMessageBatch", QueueUrl=url, Entries=entries)
        assert not output.get("Failed"), output
        return output["Successful"]

    def receive(self, url, **parameters):
        """Up to ten, with all attributes unless told."""
        parameters = {"MaxNumberOfMessages": 10, "MessageSystemAttributeNames": ["All"],
                      "MessageAttributeNames": ["All"], **parameters}
        return self.call("ReceiveMessage", QueueUrl=url, **parameters).get("Messages", [])

    def receive_one(self, url, **parameters):
        (message,) = self.receive(url, MaxNumberOfMessages=1, **parameters)
        return message

    def delete(self, url, message):
        self.call("DeleteMessage", QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    def release(self, url, message):
        self.change_visibility(url, message, 0)

    def change_visibility(self, url, message, seconds):
        self.call("ChangeMessageVisibility", QueueUrl=url, VisibilityTimeout=seconds,
                  ReceiptHandle=message["ReceiptHandle"])

    def attributes(self, url, *names):
        return self.call("GetQueueAttributes", QueueUrl=url,
                         AttributeNames=list(names or ["All"])).get("Attributes", {})

    def counts(self, url):
        """(visible, in flight, delayed)"""
        names = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")]
        values = self.attributes(url, *names)
        return tuple(int(values[name]) for name in names)

    def refusal(self, operation, **parameters):
        """(HTTP status, code) of a call that SQS must refuse; the status may be None."""
        try:
            output = self.call(operation, **parameters)
        except Refused as refused:
            return Refusal(refused.status, refused.code, refused.message)
        raise AssertionError(f"{operation} was not refused: {output}")


class Refusal:
    """Equal to (status, code); a client that tells no status equals any."""

    def __init__(self, status, code, message):
        self.status, self.code, self.message = status, code, message

    def __eq__(self, other):
        status, code = other
        return self.code == code and self.status in (None, status)

    def __repr__(self):
        return f"({self.status}, {self.code!r}) {self.message!r}"


class Boto3(Client):
    protocol = "query"
    _session = None
    _lock = threading.Lock()

    def __init__(self, url, keys, models):
        super().__init__(url, keys)
        with self._lock:  # one session reads the model once
            if Boto3._session is None:
                session = botocore.session.get_session()
                session.get_component("data_loader").search_paths.insert(0, str(models))
                Boto3._session = boto3.Session(botocore_session=session)
        self._client = self._session.client(
            "sqs", endpoint_url=url, region_name=REGION, aws_access_key_id=keys[0],
            aws_secret_access_key=keys[1], config=Config(read_timeout=PATIENCE_S,
                                                         retries={"total_max_attempts": 1}))

    def _call(self, operation, parameters):
        try:
            output = getattr(self._client, xform_name(operation))(**parameters)
        except botocore.exceptions.ClientError as error:
            answer = error.response
            raise Refused(answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"],
                          answer["Error"]["Message"]) from None
        output.pop("ResponseMetadata")
        return output


class Awscli(Client):
    protocol = "query"
    REFUSED = re.compile(r"\s*An error occurred \((\S+)\) when calling the \w+ operation"
                         r"(?: \(reached max retries: \d+\))?: (.*)", re.S)

    def __init__(self, url, keys, process):
        super().__init__(url, keys)
        self._process = process

    def _call(self, operation, parameters):
        argv = ["sqs", xform_name(operation, "-"), "--endpoint-url", self.url, "--output", "json",
                "--region", REGION]
        for name, value in to_base64(parameters).items():
            argv += self._argument(xform_name(name, "-"), value)
        env = {"AWS_ACCESS_KEY_ID": self.keys[0], "AWS_SECRET_ACCESS_KEY": self.keys[1]}
        answer = self._process.ask(argv=argv, env=env)
        refused = self.REFUSED.fullmatch(answer["err"])
        if refused:
            raise Refused(None, refused[1], refused[2].rstrip("\n"))
        assert answer["exit"] == 0 and not answer["err"], (argv, answer)
        return from_base64(json.loads(answer["out"] or "{}"))

    def _argument(self, name, value):
        """As one writes it on a command line."""
        if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
            return [f"--{name}", *value]
        text = value if isinstance(value, (str, int)) else json.dumps(value, ensure_ascii=False)
        text = str(text)
        if len(text.encode()) > LONG_ARGUMENT:
            path = self._process.home / f"{uuid.uuid4().hex}.txt"
            path.write_text(text, encoding="utf-8", newline="")
            text = f"file://{path}"
        return [f"--{name}={text}"]


class JavaScript(Client):
    protocol = "json"
    later_names = True

    def __init__(self, url, keys, process):
        super().__init__(url, keys)
        self._process = process

    def _call(self, operation, parameters):
        answer = self._process.ask(endpoint=self.url, keys=self.keys, operation=operation,
                                   input=to_base64(parameters))
        if "error" in answer:
            error = answer["error"]
            assert error["status"], f"{operation}: {error}"
            raise Refused(error["status"], error["code"], error["message"])
        return from_base64(answer["output"])


# Processes that the tests of one pytest process share


class LineProcess:
    """A process that answers lines of JSON, in any order, by their id."""

    def __init__(self, argv, home, **environment):
        self.home = Path(home)
        self._errors = (self.home / "stderr").open("w+b")
        self._popen = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, cwd=home,
            env={**base_environment(home), **environment})
        self._lock = threading.Lock()
        self._waiting = {}
        self._next = 0
        threading.Thread(target=self._read, daemon=True).start()

    def ask(self, **request):
        """The answer to a request, a dict."""
        future = Future()
        with self._lock:
            self._next += 1
            self._waiting[self._next] = future
            line = json.dumps({"id": self._next, **request}) + "\n"
            self._popen.stdin.write(line.encode())
            self._popen.stdin.flush()
        return future.result(PATIENCE_S)

    def _read(self):
        for line in self._popen.stdout:
            answer = json.loads(line)
            with self._lock:
                future = self._waiting.pop(answer["id"])
            future.set_result(answer)
        self._errors.seek(0)
        error = AssertionError(f"{self._popen.args} ended: {self._errors.read().decode()[-2000:]}")
        with self._lock:
            for future in self._waiting.values():
                future.set_exception(error)

    def stop(self):
        self._popen.stdin.close()
        self._popen.wait(PATIENCE_S)
        self._errors.close()


def find_node():
    """The Node.js that runs the JavaScript clients; what is missing is a failure, never a skip."""
    node = shutil.which("node", path=f"/usr/bin:{os.environ['PATH']}")
    assert node, "there is no node: scripts/setup installs it"
    assert (HERE / "node_modules/@aws-sdk/client-sqs").is_dir(), (
        "tests/e2e/node_modules is missing: scripts/setup installs it")
    return node


class Clients:
    """Makes clients. One for all tests of a pytest process; processes are started when needed."""

    NAMES = ("boto3", "awscli", "javascript")

    def __init__(self, home):
        self._home = Path(home)
        self._processes = {}

    def make(self, name, url, keys=ANY_KEYS):
        if name == "boto3":
            return Boto3(url, keys, self._models())
        if name == "awscli":
            return Awscli(url, keys, self._process(name, self._awscli))
        return JavaScript(url, keys, self._process(name, self._javascript))

    def stop(self):
        for process in self._processes.values():
            process.stop()

    def _models(self):
        models = self._home / ".aws/models"
        if not models.exists():
            write_models(models)
        return models

    def _process(self, name, start):
        if name not in self._processes:
            home = self._home / name
            home.mkdir()
            self._processes[name] = start(home)
        return self._processes[name]

    def _awscli(self, home):
        write_models(home / ".aws/models")
        assert Path("/usr/bin/aws").exists(), "there is no /usr/bin/aws: scripts/setup installs it"
        return LineProcess([DEBIANS_PYTHON, HERE / "awscli_client.py"], home, AWS_PAGER="",
                           AWS_MAX_ATTEMPTS="1")

    def _javascript(self, home):
        return LineProcess([find_node(), HERE / "javascript_client.mjs"], home)
