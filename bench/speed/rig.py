"""Processes, queues and workers of the benchmarks: on loopback, on free ports, none left behind."""
import contextlib
import ctypes
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse

import yaml

from figures import ROOT
from queue_servers import FAUXQS, PEERS

BODY_BYTES = 300
# Of a request: 8,000 that open TLS at once share the cores with the provider.
TIMEOUT, CONNECT_TIMEOUT = "300s", "120s"
QUEUES = ("memory", "durable", "fauxqs")
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items()
       if not name.startswith("AWS_") and name != "NODE_OPTIONS"},
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_SECRET_ACCESS_KEY": "bench",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "NO_PROXY": "*",
}
# What a request of LINE's push API has.
HEADERS = {
    "Content-Type": "application/json",
    "Authorization": "Bearer 0123456789012345678901234567890123456789",
    "X-Line-Retry-Key": "{{idempotency_key}}",
}


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def wait_for(condition, what, timeout=600, every=0.02):
    """What condition() gives once it is true; the benchmark ends when it never is."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            sys.exit(f"bench: still waiting after {timeout:g} s: {what}")
        time.sleep(every)


# Processes


STOPS = {signal.SIGINT, signal.SIGTERM}
STOPPED = 143  # the exit code after a SIGTERM


def _prepare_child():
    """Killed when this one dies, however that happens; and stoppable, see Rig.start()."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)


def clock_of(pid):
    """Nanoseconds of CPU that a process has used, all its threads, ended ones too."""
    return time.clock_gettime_ns(~pid << 3 | 2)  # clock_getcpuclockid(3)


def _rollup_kib(pid, name):
    try:
        text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name}:"))


def memory_kib(pid):
    """Proportional set size: pages that processes share count once."""
    return _rollup_kib(pid, "Pss")


def heap_kib(pid):
    """Memory that belongs to no file: heap, stack and what libraries have written to."""
    return _rollup_kib(pid, "Pss_Anon")


def machine_s():
    """(seconds of CPU that were used, all that there were) since the machine was started"""
    line = pathlib.Path("/proc/stat").read_text().splitlines()[0]
    numbers = [int(word) for word in line.split()[1:9]]
    return sum(numbers) - numbers[3] - numbers[4], sum(numbers)


class Process:
    """
    A process in a session of its own, so that a Ctrl-C comes here alone and leaving the `with` ends
    it. Output goes to files. cpu_s and exit are there once it has ended. One that `waits` is told to
    go_on() by a line on its standard input.
    """

    def __init__(self, command, directory, name, cwd=None, waits=False):
        self.command = [str(word) for word in command]
        self.out_path = directory / f"{name}.out"
        self.err_path = directory / f"{name}.err"
        self.exit = self.cpu_s = None
        with self.out_path.open("wb") as out, self.err_path.open("wb") as err:
            self._popen = subprocess.Popen(
                self.command, stdin=subprocess.PIPE if waits else subprocess.DEVNULL, stdout=out,
                stderr=err, cwd=cwd, env=ENVIRONMENT, start_new_session=True,
                preexec_fn=_prepare_child)
        self.pid = self._popen.pid

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.is_over():
            return
        if kind is None:
            self.stop()
        else:
            self.kill()

    def go_on(self):
        self._popen.stdin.write(b"\n")
        self._popen.stdin.close()

    def is_over(self):
        if self.exit is None:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                self.exit = self._popen.returncode = os.waitstatus_to_exitcode(status)
                self.cpu_s = usage.ru_utime + usage.ru_stime
        return self.exit is not None

    def wait(self, timeout=600, every=0.01):
        """Its exit code; one that is not 0 ends the benchmark."""
        wait_for(self.is_over, f"the end of {self.command}", timeout, every)
        if self.exit != 0:
            sys.exit(f"bench: {' '.join(self.command)}: exit {self.exit}\n{self.err()[-2000:]}")
        return self.exit

    def stop(self, timeout=120):
        if not self.is_over():
            os.kill(self.pid, signal.SIGTERM)
            self.wait(timeout)

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        while not self.is_over():
            time.sleep(0.01)

    def out(self):
        return self.out_path.read_text(errors="replace")

    def err(self):
        return self.err_path.read_text(errors="replace")

    def cpu_ns(self):
        return clock_of(self.pid)

    def family(self):
        """Its pid and those of its children."""
        path = pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return [self.pid, *map(int, path.read_text().split())]

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def listening(self):
        """The URL that it says it listens on."""
        def announced():
            first, newline, _ = self.out().partition("\n")
            if self.is_over():
                sys.exit(f"bench: {' '.join(self.command)}: exit {self.exit}\n{self.err()[-2000:]}")
            return first if newline else None

        match = re.match(r"listening on (https?://\S+)", wait_for(announced, "a first line", 60, 0.002))
        return match[1]


# Queues


class Endpoint:
    """A connection that asks an SQS endpoint."""

    def __init__(self, url):
        self.url = url
        location = urllib.parse.urlsplit(url)
        self._connection = http.client.HTTPConnection(location.hostname, location.port, timeout=120)

    def _ask(self, operation, parameters):
        self._connection.request("POST", "/", json.dumps(parameters), {
            "X-Amz-Target": f"AmazonSQS.{operation}", "Content-Type": "application/x-amz-json-1.0"})
        answer = self._connection.getresponse()
        return answer, answer.read()

    def call(self, operation, **parameters):
        """What is asked here may be asked twice: a queue closes a connection that was idle for long."""
        try:
            answer, text = self._ask(operation, parameters)
        except ConnectionError:
            self._connection.close()
            answer, text = self._ask(operation, parameters)
        if answer.status != 200:
            sys.exit(f"bench: {operation}: {answer.status} {text[:500]!r}")
        return json.loads(text or b"{}")

    def create(self, name, **attributes):
        """Its URL, by the address that the queue is reached at; fauxqs names itself otherwise."""
        url = self.call("CreateQueue", QueueName=name, Attributes=attributes)["QueueUrl"]
        return self.url + urllib.parse.urlsplit(url).path

    def left(self, queue_url):
        """Messages that have not been deleted."""
        values = self.call("GetQueueAttributes", QueueUrl=queue_url, AttributeNames=["All"])
        return sum(int(values["Attributes"].get(f"ApproximateNumberOfMessages{part}", 0))
                   for part in ("", "NotVisible", "Delayed"))


class Rig:
    """A directory and what runs in it. Leaving the `with` ends all of it."""

    def __init__(self, programs):
        self.programs = programs
        self.bunshin = programs.bunshin
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="bunshin-bench-"))
        self._stack = contextlib.ExitStack()
        self._names = {}

    def __enter__(self):
        self._stack.callback(shutil.rmtree, self.directory, ignore_errors=True)
        return self

    def __exit__(self, *failure):
        return self._stack.__exit__(*failure)

    def name(self, stem):
        """A name that no other call has been given."""
        self._names[stem] = self._names.get(stem, 0) + 1
        return f"{stem}-{self._names[stem]}"

    def enter(self, thing):
        """To be left when the rig is."""
        return self._stack.enter_context(thing)

    def start(self, stem, *command, cwd=None, waits=False):
        # A stop that comes now waits until there is somebody who ends the process.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
        try:
            return self.enter(Process(command, self.directory, self.name(stem), cwd, waits))
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)

    def queue(self, kind):
        """(process, endpoint) of one of QUEUES."""
        if kind == "fauxqs":
            node = PEERS / "node_modules/.bin/node"
            process = self.start("fauxqs", node, "--no-warnings", "--input-type=module", "-e", FAUXQS,
                                 "--", cwd=PEERS)
        elif kind == "memory":
            process = self.start("queue", self.bunshin, "queue", "--listen", "127.0.0.1:0",
                                 "--memory")
        else:
            process = self.start("queue", self.bunshin, "queue", "--listen", "127.0.0.1:0", "--data",
                                 self.directory / self.name("data"))
        return process, Endpoint(process.listening())

    def producer(self, queue_url, messages):
        """`campaign send`, started: so many distinct messages of BODY_BYTES."""
        rows = self.directory / f"rows-{messages}.csv"
        template = self.directory / "template"
        if not rows.exists():
            with rows.open("w") as out:
                out.write("to\n")
                out.writelines(f"U{number:032x}\n" for number in range(messages))
            head, tail = '{"to":"{{to}}","text":"', '"}'
            space = BODY_BYTES - len(head) - len(tail) + len("{{to}}") - 33
            template.write_text(head + space * "x" + tail)
        # Not under the campaign's name: the journal and the ledger would know the messages again.
        return self.start("send", self.bunshin, "campaign", "send", "--queue-url", queue_url,
                          "--recipients", rows, "--template", template, "--json")

    def filled(self, endpoint, messages, **attributes):
        """The URL of a new queue with so many messages."""
        url = endpoint.create(self.name("bench"), VisibilityTimeout="600", **attributes)
        with self.producer(url, messages) as producer:
            producer.wait()
        return url

    def config(self, queue_url, sink_url, concurrency, *, destination=None, **sections):
        """The path of a configuration: one worker without admin port unless told otherwise."""
        sections = {
            "workers": 1, "admin": {"listen": None}, "log": {"level": "warn", "format": "json"},
            "ledger": {"path": str(self.directory / "ledger")}, **sections,
        }
        values = {
            **sections, "queue": {"url": queue_url, **sections.get("queue", {})},
            "destinations": [{
                "name": "sink", "concurrency": concurrency, "adaptive": False, "timeout": TIMEOUT,
                "connect_timeout": CONNECT_TIMEOUT, "request": {"url": sink_url, "headers": HEADERS},
                **(destination or {})}],
        }
        path = self.directory / f"{self.name('config')}.yaml"
        path.write_text(yaml.safe_dump(values))
        return path

    def worker(self, config, *arguments):
        return self.start("worker", self.bunshin, "run", "-c", config, "--json", *arguments)


# Windows: what a process uses between two moments of a drain

STALL_S = 300  # in which not one message was deleted: it is given up


def drain(endpoint, queue_url, process, begin, end):
    """
    Looks at the queue while it is drained. CPU, time and messages between the moment when at most
    `begin` of them were left and that when at most `end` were, so that neither start-up nor the last
    ones are in it; what part of the machine was busy meanwhile; and the heap at the end of it.
    """
    def look_until(count):
        seen, limit = None, 0
        while True:
            left = endpoint.left(queue_url)
            if left != seen:
                seen, limit = left, time.monotonic() + STALL_S
            now = time.monotonic(), process.cpu_ns(), left, *machine_s()
            if left <= count:
                return now
            if process.is_over() or time.monotonic() > limit:
                sys.exit(f"bench: {left} messages were left: {process.command}: exit "
                         f"{process.exit}\n{process.err()[-2000:]}")
            time.sleep(0.02)

    time_a, cpu_a, left_a, used_a, all_a = look_until(begin)
    time_b, cpu_b, left_b, used_b, all_b = look_until(end)
    heap = heap_kib(process.pid)
    messages = left_a - left_b
    if messages <= 0:
        sys.exit("bench: drained faster than it could be watched; take more --messages")
    return {"messages": messages, "seconds": time_b - time_a, "us": (cpu_b - cpu_a) / 1e3 / messages,
            "rate": messages / (time_b - time_a), "heap_kib": heap,
            "machine": (used_b - used_a) / max(1, all_b - all_a)}


def totals(process, messages):
    """What a worker that has ended printed; all messages must have been accepted and deleted."""
    said = json.loads(process.out().splitlines()[-1])
    if said["accepted"] != messages or said["deleted"] != messages:
        sys.exit(f"bench: the worker reported {said}")
    return said


# Programs


class Programs:
    """What is measured and measured with; built in `directory` when not there."""

    TARGETS = ("floor", "client", "queue_load", "idle_probe", "far_provider", "far_path")

    def __init__(self, directory, bunshin=None):
        self.directory = directory
        self.bunshin = bunshin or directory / "src/cli/bunshin"
        self.floor, self.client, self.load, self.probe, self.far_provider, self.far_path = (
            directory / "bench" / name for name in self.TARGETS)

    def build(self):
        if not (self.directory / "build.ninja").exists():
            subprocess.run(["meson", "setup", self.directory, ROOT, "--buildtype=release",
                            "-Dtests=disabled"], check=True, stdout=subprocess.DEVNULL)
        done = subprocess.run(["ninja", "-C", self.directory, "src/cli/bunshin",
                               *(f"bench/{name}" for name in self.TARGETS)], check=False,
                              stdout=subprocess.PIPE, text=True)
        if done.returncode != 0:
            sys.exit(f"bench: ninja failed:\n{done.stdout[-4000:]}")
        return self


def install(package, *paths):
    """Installs what scripts/setup --bench has, unless all of these files are here."""
    if all(pathlib.Path(path).exists() for path in paths):
        return
    say(f"{package} is missing: scripts/setup --bench")
    if subprocess.run([ROOT / "scripts/setup", "--bench"], check=False).returncode != 0:
        sys.exit(f"bench: this part needs {package}")
