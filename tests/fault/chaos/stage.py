"""Puts a run on: processes, proxies, messages; lets the faults of a schedule happen; cleans up."""

import json
import os
import random
import shutil
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

import proxy
from disk import Disk
from harness import ACCESS_KEY, PATIENCE_S, SECRET_KEY, SqsError, wait_for
from legs import ProviderLeg, QueueLeg
from proxy import Proxies, Trouble
from records import Message, Period, Run, now
from schedule import VISIBILITY_S, WORKERS

TIMEOUT_S = 2
SHIFT_S = 3600
DISK_BYTES = 64 << 20
OVERALL_S = 10 * PATIENCE_S

TROUBLES = {  # kind of fault: what befalls a request, how often, of which operation
    "queue answers errors": ((proxy.ERROR, proxy.ERROR, proxy.ERROR_AFTER), 0.9),
    "queue refuses deletes": ((proxy.ERROR,), 1.0, "DeleteMessageBatch"),
    "queue connections cut": (proxy.CUTS, 0.5),
    "provider connections cut": (proxy.CUTS, 0.5),
    "provider freezes": (proxy.HOLDS, 1.0),
}


@dataclass
class Settings:
    """Of one run."""

    messages: int = 2000
    seed: int = 1
    spread_s: float = 10  # the messages become visible over this time
    concurrency: int = 40  # of one worker
    latency: str = "10-150"  # of the provider
    ledger: bool = True  # the workers share one; False: each remembers for itself
    signed: bool = False  # the queue checks signatures, and with them the clocks
    log_level: str = "info"
    mount: bool = True  # the disk is a tmpfs, where that is allowed
    say: object = field(default=lambda text: None)


def clock_shim():
    """The library that sets a process's clock ahead; built beside the test by meson."""
    path = Path(os.environ["BUNSHIN_CHAOS_CLOCK"])
    assert path.is_file(), f"{path} is not built"
    return path


class Stage:
    """One run. Use as a context; its processes are those of the `bunshin` given."""

    def __init__(self, bunshin, settings):
        self.settings = settings
        self.run = Run(concurrency=settings.concurrency, timeout_s=TIMEOUT_S, shift_s=SHIFT_S,
                       visibility_s=VISIBILITY_S, ledger=settings.ledger)
        self.workers = [None] * WORKERS
        self.queue = self.sink = None
        self._bunshin = bunshin
        self._directory = bunshin.directory
        self._sinks = []
        self._troubles = {}  # fault: Trouble
        self._lasting = {}  # fault: [Period]
        self.disk = Disk(self._directory / "disk", DISK_BYTES, settings.mount)
        self.provider_leg, self.queue_leg = ProviderLeg(WORKERS), QueueLeg(WORKERS)
        self._proxies = Proxies(self.provider_leg, self.queue_leg)
        self._rng = random.Random(settings.seed)

    # Beginning and end.

    def __enter__(self):
        self.disk.__enter__()
        self._proxies.__enter__()
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            return  # finish() has done it
        for process in self._bunshin.processes:
            if process.exit is None:
                process.signal(signal.SIGCONT)
                process.signal(signal.SIGTERM)
        for process in self._bunshin.processes:
            try:
                process.wait()
            except AssertionError:
                process.kill()
        self._proxies.__exit__()
        self._leave_disk()

    def _leave_disk(self):
        """When all have ended: the logs go where the rest is, and the disk goes."""
        for path in list(self.disk.directory.glob("*.*")):
            shutil.copy(path, self._directory / path.name)
        for process in self._bunshin.processes:
            process.out_path = self._directory / process.out_path.name
            process.err_path = self._directory / process.err_path.name
        self.disk.__exit__()

    def start(self):
        """Everything runs and nothing is in the queue yet."""
        self._start_queue()
        sqs = self.queue.sqs()
        self._url = sqs.create_queue("chaos", VisibilityTimeout=VISIBILITY_S)
        self._failure_url = sqs.create_queue("failures", VisibilityTimeout=600)
        self._start_sink()
        self._config = self._write_config()
        for index in range(WORKERS):
            self._offset_path(index).write_bytes(bytes(8))
            self._start_worker(index)

    def _write_config(self):
        ledger = self.disk.directory / "ledger" if self.settings.ledger else None
        sections = {
            "log": {"level": self.settings.log_level, "format": "json"},
            "ledger": {"path": ledger and str(ledger), "window": "1h", "size": "8MiB"},
        }
        return self._bunshin.config(
            self._url, "${CHAOS_PROVIDER}",
            request={"headers": {"Content-Type": "application/json",
                                 "X-Idempotency-Key": "{{idempotency_key}}"},
                     "body": '{"to":"{{to}}","n":{{n}}}'},
            destination={"concurrency": self.settings.concurrency, "timeout": f"{TIMEOUT_S}s"},
            queue={"failure_url": self._failure_url, "endpoint": "${CHAOS_QUEUE}", "wait": "2s",
                   "visibility": f"{VISIBILITY_S}s"},
            # So many that chance cannot exhaust them.
            retry={"max_attempts": 1000, "base": "100ms", "cap": "1s"},
            drain={"grace": "30s"}, **sections)

    def _start_queue(self):
        keys = ("--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY)
        self.queue = self._bunshin.queue("--data", self._directory / "queue",
                                         *(keys if self.settings.signed else ()))
        self._aim(self.queue_leg, self.queue)

    def _start_sink(self):
        self.sink = self._bunshin.sink("--latency", self.settings.latency)
        self._sinks.append(self.sink)
        self._aim(self.provider_leg, self.sink)

    def _start_worker(self, index):
        asan = self._bunshin.environment["ASAN_OPTIONS"]
        self.workers[index] = self._bunshin.start(
            "run", "-c", self._config, "--json", output=self.disk.directory, env={
                "CHAOS_PROVIDER": f"http://127.0.0.1:{self.provider_leg.ports[index]}",
                "CHAOS_QUEUE": f"http://127.0.0.1:{self.queue_leg.ports[index]}",
                "CHAOS_CLOCK": str(self._offset_path(index)),
                "LD_PRELOAD": str(clock_shim()),
                # The preloaded library comes before the sanitizer's, and allocates nothing.
                "ASAN_OPTIONS": asan + ":verify_asan_link_order=0",
            })

    def _offset_path(self, index):
        return self._directory / f"clock-{index}"

    def _aim(self, leg, server):
        self._proxies.call(setattr, leg, "target",
                           ("127.0.0.1", server.port) if server else None)

    # Messages.

    def produce(self):
        """
        Puts all of them into the queue at once, with delays, so that they become visible one by one
        and no producer is needed while the queue fails.
        """
        sqs, count = self.queue.sqs(), self.settings.messages
        for first in range(0, count, 10):
            numbers = range(first, min(first + 10, count))
            answer = sqs.call("SendMessageBatch", QueueUrl=self._url,
                              Entries=[self._entry(number) for number in numbers])
            assert not answer.get("Failed"), answer

    def _entry(self, number):
        """One in 50 cannot be rendered, one in 20 has a near deadline, one in 10 a far one."""
        rng = self._rng
        delay_s = int(rng.uniform(0, self.settings.spread_s))
        message = Message(number, poison=number % 50 == 7)
        body = {"n": number} if message.poison else {"to": f"U{number:08x}", "n": number}
        entry = {"Id": str(number % 10), "MessageBody": json.dumps(body), "DelaySeconds": delay_s}
        if number % 20 == 3:
            message.deadline_s = round(now() + delay_s + rng.uniform(-10, 10), 3)
        elif number % 10 == 5:
            message.deadline_s = round(now() + SHIFT_S / 2, 3)
        if message.deadline_s is not None:
            entry["MessageAttributes"] = {"Deadline": {
                "DataType": "Number", "StringValue": str(int(message.deadline_s * 1000))}}
        self.run.messages.append(message)
        return entry

    # Faults.

    def play(self, schedule):
        """Lets the faults happen at their times, and their ends; a late one makes the next late."""
        events = sorted(
            [(fault.start_s, 0, fault) for fault in schedule]
            + [(fault.end_s, 1, fault) for fault in schedule], key=lambda event: event[:2])
        start_s = now()
        for at_s, is_end, fault in events:
            time.sleep(max(0, start_s + at_s - now()))
            if is_end:
                self._end(fault)
            else:
                self.settings.say(str(fault))
                self._begin(fault)

    def _begin(self, fault):
        period = Period(fault.kind, fault.target, fault.worker, now())
        self.run.faults.append(period)
        self._lasting[fault] = [period]
        if fault.kind == "kill -9":
            self._kill(fault)
        elif fault.kind.startswith("stop"):
            self._process(fault.target).signal(signal.SIGSTOP)
            self._lasting[fault].append(self._note(self.run.stops, fault))
        elif fault.kind == "clock an hour ahead":
            self._lasting[fault].append(self._note(self.run.shifts, fault))
            self._set_clock(fault.worker, SHIFT_S)
        elif fault.kind == "disk full":
            self.disk.fill([worker.pid for worker in self.workers])
        else:
            fates, *details = TROUBLES[fault.kind]
            trouble = self._proxies.call(Trouble, fates, fault.seed, *details)
            self._troubles[fault] = trouble
            self._proxies.call(self._leg(fault).troubles.append, trouble)

    def _end(self, fault):
        if fault.kind == "kill -9":
            self._restart(fault.target)
        elif fault.kind == "stop":
            self._process(fault.target).signal(signal.SIGCONT)
        elif fault.kind == "stop, then kill -9":
            self._kill(fault)
            self._restart(fault.target)
        elif fault.kind == "clock an hour ahead":
            self._set_clock(fault.worker, 0)
        elif fault.kind == "disk full":
            self.disk.free()
        else:
            trouble = self._troubles.pop(fault)
            self._proxies.call(self._leg(fault).troubles.remove, trouble)
            self._proxies.call(trouble.over.set)
        for period in self._lasting.pop(fault):
            period.ended_s = now()

    @staticmethod
    def _note(periods, fault):
        periods.append(Period(fault.kind, fault.target, fault.worker, now()))
        return periods[-1]

    def _leg(self, fault):
        return self.queue_leg if fault.target == "queue leg" else self.provider_leg

    def _process(self, target):
        """Which must be alive: that a process ends by itself is no fault of ours."""
        process = {"queue": self.queue, "provider": self.sink}.get(target)
        if process is None:
            process = self.workers[int(target.rpartition(" ")[2])]
        assert process.exit is None, f"ended by itself: {process.describe()}"
        return process

    def _kill(self, fault):
        process = self._process(fault.target)
        period = self._note(self.run.kills, fault)
        process.kill()
        # What it had sent is in the proxies' sockets, and must not count as its successor's.
        self._proxies.catch_up()
        period.ended_s = now()
        if fault.target in ("queue", "provider"):
            self._aim(self._leg_of(fault.target), None)

    def _leg_of(self, target):
        return self.queue_leg if target == "queue" else self.provider_leg

    def _restart(self, target):
        if target == "queue":
            self._start_queue()
        elif target == "provider":
            self._start_sink()
        else:
            self._start_worker(int(target.rpartition(" ")[2]))

    def _set_clock(self, index, ahead_s):
        with self._offset_path(index).open("r+b") as file:
            file.write((ahead_s * 10**9).to_bytes(8, "little"))

    # The end.

    def wait_until_empty(self):
        """Nothing is visible, in flight or delayed any more."""
        sqs = self.queue.sqs()
        wait_for(lambda: self._is_empty(sqs), "the queue is empty", OVERALL_S)

    def finish(self):
        """Waits until the queue is empty, stops everything cleanly, collects the records."""
        sqs = self.queue.sqs()
        self.wait_until_empty()
        for worker in self.workers:
            assert worker.exit is None, f"ended by itself: {worker.describe()}"
            assert worker.terminate() == 0, worker.describe()
        assert self.sink.terminate() == 0, self.sink.describe()
        self.run.counts = {"queue": sqs.counts(self._url)}
        self.run.failure_queue = list(self._drain(sqs, self._failure_url))
        self.run.counts["failure queue"] = sqs.counts(self._failure_url)
        self._proxies.__exit__()
        assert self.queue.terminate() == 0, self.queue.describe()
        self._leave_disk()
        for leg in (self.provider_leg, self.queue_leg):
            assert not leg.errors, leg.errors
        self.run.exchanges = self.provider_leg.exchanges
        self.run.calls = self.queue_leg.exchanges
        self.run.receipts = self.queue_leg.receipts
        self.run.deletions = self.queue_leg.deletions
        self.run.copies = self.queue_leg.copies
        self.run.recorded = [record for sink in self._sinks for record in sink.records()]
        return self.run

    def _is_empty(self, sqs):
        for worker in self.workers:
            assert worker.exit is None, f"ended by itself: {worker.describe()}"
        try:
            return sqs.counts(self._url) == (0, 0, 0)
        except (OSError, SqsError):
            return False

    @staticmethod
    def _drain(sqs, url):
        while messages := sqs.receive(url):
            for message in messages:
                sqs.delete(url, message["ReceiptHandle"])
                yield json.loads(message["Body"])["n"]
