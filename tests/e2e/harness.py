"""Runs the real program for the end-to-end tests: processes, a plain SQS client, waiting.

Everything listens on a free loopback port, lives in the test's own directory, and has ended when
the test has. Nothing here measures time: deadlines are only there to end a hang, and generous,
since the program may be a sanitizer build on a busy machine.
"""

import ctypes
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.parse
import uuid
from dataclasses import dataclass
from pathlib import Path

import yaml
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

PATIENCE_S = float(os.environ.get("BUNSHIN_TEST_PATIENCE", "120"))
ACCESS_KEY = "AKIDTESTTESTTESTTEST"
SECRET_KEY = "a-secret-that-opens-nothing-0123456789ab"
REGION = "us-east-1"
ADMIN = {"listen": "127.0.0.1:0"}  # the `admin` section of a test that wants the admin port
MARK = "BUNSHIN_TEST_ID"  # an environment variable by which a test's processes are recognised

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def wait_for(condition, what, timeout=PATIENCE_S):
    """Polls until condition() is true and returns what it gave; fails, saying what, in the end."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"still waiting after {timeout:g} s: {what}")
        time.sleep(0.02)


def read_jsonl(path, torn=0):
    """
    The objects of a JSON-lines file that may still grow: an unfinished last line is left out, and
    so are those that a kill has torn, of which there may be so many.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        return []
    found = []
    for line in data[: data.rfind(b"\n") + 1].splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            torn -= 1
            if torn < 0:
                raise
    return found


def refusing_socket():
    """A bound socket that does not listen: connecting to its port is refused while it is open."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock


def silent_socket():
    """A listening socket that nobody accepts from: a connection opens and never gets an answer."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(512)
    return sock


def base_environment(home):
    """What every process gets: local dummy credentials, nothing of the caller's AWS or proxies."""
    env = {name: os.environ[name] for name in ("PATH", "LSAN_OPTIONS") if name in os.environ}
    env.update(
        HOME=str(home),
        TMPDIR=str(home),
        LC_ALL="C.UTF-8",
        AWS_ACCESS_KEY_ID=ACCESS_KEY,
        AWS_SECRET_ACCESS_KEY=SECRET_KEY,
        AWS_REGION=REGION,
        AWS_EC2_METADATA_DISABLED="true",
        ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "detect_leaks=1"),
        UBSAN_OPTIONS=os.environ.get("UBSAN_OPTIONS", "halt_on_error=1:print_stacktrace=1"),
    )
    return env


def die_with_parent():
    """In the child: killed when the test process goes, however that goes."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@dataclass
class Result:
    """A command that has ended. `exit` is negative when a signal ended it."""

    exit: int
    out: str
    err: str


class Process:
    """One running `bunshin`; its output goes to files, so it never blocks on a full pipe."""

    def __init__(self, argv, env, cwd, log_stem, stdin=None):
        self.argv = [str(argument) for argument in argv]
        self.out_path = Path(f"{log_stem}.out")
        self.err_path = Path(f"{log_stem}.err")
        with open(stdin or os.devnull, "rb") as source, self.out_path.open("wb") as out, \
                self.err_path.open("wb") as err:
            self._popen = subprocess.Popen(self.argv, stdin=source, stdout=out, stderr=err,
                                           env=env, cwd=cwd, preexec_fn=die_with_parent)

    @property
    def pid(self):
        return self._popen.pid

    @property
    def exit(self):
        """The exit code, negative for a signal; None while it runs."""
        return self._popen.poll()

    def out(self):
        return self.out_path.read_text(encoding="utf-8", errors="replace")

    def err(self):
        return self.err_path.read_text(encoding="utf-8", errors="replace")

    def log(self):
        """The JSON lines on stderr; anything else there is left out."""
        return [json.loads(line) for line in self.err().splitlines()
                if line.startswith("{") and line.endswith("}")]

    def admin(self, path):
        """
        GET of a worker's admin port, which its log names: (status, content type, body). The
        configuration asks for one with ADMIN.
        """
        def announced():
            return next((line["url"] for line in self.log() if line["message"] == "admin port"),
                        None)

        url = urllib.parse.urlsplit(wait_for(announced, "the admin port in the log"))
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=PATIENCE_S)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
        finally:
            connection.close()

    def signal(self, number):
        self._popen.send_signal(number)

    def wait(self, timeout=PATIENCE_S):
        """Waits for the end; the exit code."""
        try:
            return self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout:g} s: {self.describe()}") from None

    def terminate(self, timeout=PATIENCE_S):
        """SIGTERM, then the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(timeout)

    def kill(self):
        """kill -9, and the end of it."""
        self._popen.kill()
        self._popen.wait()

    def describe(self):
        """For a failure: the command, how it ended, the end of its output."""
        return "\n".join([
            f"$ {' '.join(self.argv)}   (pid {self.pid}, exit {self.exit})",
            "stdout:", *self.out().splitlines()[-40:],
            "stderr:", *self.err().splitlines()[-80:],
        ])


class Server(Process):
    """A process that announces "listening on http://..." or https as its first line on stdout."""

    url = None

    def wait_until_listening(self):
        def announced():
            first, newline, _ = self.out().partition("\n")
            if newline:
                return first
            if self.exit is not None:
                raise AssertionError(f"ended before it listened: {self.describe()}")
            return None

        first = wait_for(announced, f"the first line of {' '.join(self.argv)}")
        match = re.fullmatch(r"listening on (https?://\S+)", first)
        assert match, f"unexpected first line: {first!r}"
        self.url = match[1]
        return self

    @property
    def port(self):
        return urllib.parse.urlsplit(self.url).port


class QueueServer(Server):
    """`bunshin queue`, with a client for it."""

    def sqs(self, **options):
        return Sqs(self.url, **options)


class SinkServer(Server):
    """`bunshin sink`, with what it recorded so far."""

    record_path = None

    def records(self):
        return read_jsonl(self.record_path)


class SqsError(Exception):
    def __init__(self, status, code, message):
        super().__init__(f"{status} {code}: {message}")
        self.status, self.code, self.message = status, code, message


class Sqs:
    """SQS's AWS JSON 1.0 protocol, written apart from the program's codecs, signed by botocore."""

    def __init__(self, url, access_key=ACCESS_KEY, secret_key=SECRET_KEY):
        self.url = url
        self._signer = SigV4Auth(Credentials(access_key, secret_key), "sqs", REGION)

    def call(self, operation, **parameters):
        body = json.dumps(parameters).encode()
        request = AWSRequest("POST", self.url + "/", data=body, headers={
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": f"AmazonSQS.{operation}",
            "X-Amzn-Query-Mode": "true",
        })
        self._signer.add_auth(request)
        location = urllib.parse.urlsplit(self.url)
        connection = http.client.HTTPConnection(location.hostname, location.port,
                                                timeout=PATIENCE_S)
        try:
            connection.request("POST", "/", body, dict(request.headers.items()))
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        value = json.loads(text) if text else {}
        if answer.status != 200:
            code = value.get("__type", "").partition(":")[0].rpartition("#")[2]
            raise SqsError(answer.status, code, value.get("message", value.get("Message")))
        return value

    def create_queue(self, name, **attributes):
        """The queue's URL. Attributes as SQS names them: VisibilityTimeout=5."""
        values = {key: str(value) for key, value in attributes.items()}
        return self.call("CreateQueue", QueueName=name, Attributes=values)["QueueUrl"]

    def send(self, queue_url, bodies, attributes=None):
        """Sends all bodies, in tens; `attributes` are message attributes, {"name": "text"}."""
        extra = {}
        if attributes:
            extra["MessageAttributes"] = {
                name: {"DataType": "String", "StringValue": value}
                for name, value in attributes.items()}
        bodies = list(bodies)
        for start in range(0, len(bodies), 10):
            entries = [{"Id": str(index), "MessageBody": body, **extra}
                       for index, body in enumerate(bodies[start:start + 10])]
            answer = self.call("SendMessageBatch", QueueUrl=queue_url, Entries=entries)
            assert not answer.get("Failed"), answer

    def receive(self, queue_url, count=10, **parameters):
        answer = self.call("ReceiveMessage", QueueUrl=queue_url, MaxNumberOfMessages=count,
                           MessageSystemAttributeNames=["All"], MessageAttributeNames=["All"],
                           **parameters)
        return answer.get("Messages", [])

    def delete(self, queue_url, receipt_handle):
        self.call("DeleteMessage", QueueUrl=queue_url, ReceiptHandle=receipt_handle)

    def counts(self, queue_url):
        """(visible, in flight, delayed)"""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible",
                 "ApproximateNumberOfMessagesDelayed"]
        values = self.call("GetQueueAttributes", QueueUrl=queue_url,
                           AttributeNames=names)["Attributes"]
        return tuple(int(values[name]) for name in names)


class Bunshin:
    """The program, for one test. Use the fixture of the same name."""

    def __init__(self, binary, directory):
        self.binary = Path(binary).resolve()
        self.directory = Path(directory)
        self.processes = []
        self._mark = uuid.uuid4().hex
        self._env = {**base_environment(self.directory), MARK: self._mark}

    @property
    def environment(self):
        """What every process gets, a copy."""
        return dict(self._env)

    def start(self, *arguments, env=None, stdin=None, cls=Process, output=None):
        """
        Starts `bunshin ARGUMENTS`. `env` is laid over the usual one, None taking a name away;
        `stdin` is the text or the path of the file to read; `output` is the directory of the files
        that get stdout and stderr, by default the test's.
        """
        name = f"{len(self.processes):02d}-{arguments[0] if arguments else ''}"
        stem = (output or self.directory) / name
        if isinstance(stdin, (str, bytes)):
            text = stdin.encode() if isinstance(stdin, str) else stdin
            stdin = Path(f"{stem}.in")
            stdin.write_bytes(text)
        merged = {**self._env, **(env or {})}
        merged = {name: value for name, value in merged.items() if value is not None}
        process = cls([self.binary, *arguments], merged, self.directory, stem, stdin)
        self.processes.append(process)
        return process

    def run(self, *arguments, timeout=PATIENCE_S, **options):
        """Runs `bunshin ARGUMENTS` to its end; a Result."""
        process = self.start(*arguments, **options)
        return Result(process.wait(timeout), process.out(), process.err())

    def queue(self, *arguments, **options):
        """`bunshin queue` on a free port, listening; in memory unless told otherwise."""
        arguments = arguments or ("--memory",)
        server = self.start("queue", "--listen", "127.0.0.1:0", *arguments, cls=QueueServer,
                            **options)
        return server.wait_until_listening()

    def sink(self, *arguments, **options):
        """`bunshin sink` on a free port, listening, recording."""
        record = self.directory / f"sink-{len(self.processes):02d}.jsonl"
        server = self.start("sink", "--listen", "127.0.0.1:0", "--record", record, *arguments,
                            cls=SinkServer, **options)
        server.record_path = record
        return server.wait_until_listening()

    def write_config(self, value, name="bunshin.yaml"):
        """
        Writes a configuration file, from a string or from what YAML can hold; its path. The latter
        has no admin port and one worker unless it says so: tests run side by side.
        """
        if not isinstance(value, str):
            value = yaml.safe_dump({"admin": {"listen": None}, "workers": 1, **value},
                                   allow_unicode=True)
        path = self.directory / name
        path.write_text(value, encoding="utf-8")
        return path

    def config(self, queue_url, sink_url, request=None, destination=None, **sections):
        """
        A configuration of one destination, "sink", that posts each message's body to sink_url.
        `request` and `destination` are laid over those parts; sections are added as they are.
        """
        value = {
            "queue": {"url": queue_url, **sections.pop("queue", {})},
            "destinations": [{
                "name": "sink",
                "request": {"method": "POST", "url": sink_url + "/push", **(request or {})},
                **(destination or {}),
            }],
            **sections,
        }
        return self.write_config(value)

    def stop(self):
        """Ends what still runs and returns what was wrong: unclean ends, sanitizer reports."""
        problems = []
        running = [process for process in self.processes if process.exit is None]
        for process in running:
            process.signal(signal.SIGTERM)
        for process in running:
            try:
                if process.wait() != 0:
                    problems.append(f"no clean stop on SIGTERM: {process.describe()}")
            except AssertionError as error:
                problems.append(str(error))
                process.kill()
        for process in self.processes:
            if re.search(r"ERROR: \w+Sanitizer|runtime error: ", process.err()):
                problems.append(f"sanitizer report: {process.describe()}")
        try:
            wait_for(lambda: not self._left_running(), "processes left behind", timeout=10)
        except AssertionError:
            for pid in self._left_running():
                problems.append(f"left running: process {pid}: {command_line(pid)}")
                os.kill(pid, signal.SIGKILL)
        return problems

    def _left_running(self):
        """Processes that this test's processes started and left behind."""
        mark = f"{MARK}={self._mark}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue  # gone meanwhile, or not ours
        return found


def command_line(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except OSError:
        return "gone"
