"""Many workers under one supervisor: they share the work, replace each other, reload and stop."""

import json
import os
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from harness import ADMIN, PATIENCE_S, wait_for
from processes import children, name_of, workers_of

MESSAGES = 2000


def bodies(count=MESSAGES):
    return [json.dumps({"number": number}) for number in range(count)]


def accepted(sink):
    return Counter(record["body"] for record in sink.records() if record["status"] == 200)


@pytest.fixture
def stage(bunshin):
    """A queue, a provider, and a way to run many workers between them."""
    return Stage(bunshin)


class Stage:
    def __init__(self, bunshin, *sink):
        self.bunshin = bunshin
        self.queue = bunshin.queue()
        self.sink = bunshin.sink(*sink)
        self.sqs = self.queue.sqs()
        self.url = self.sqs.create_queue("morning", VisibilityTimeout=10)

    def config(self, **sections):
        sections = {"workers": 3, "admin": ADMIN, "log": {"format": "json"}, **sections}
        queue = {"wait": "1s", **sections.pop("queue", {})}
        return self.bunshin.config(self.url, self.sink.url, queue=queue,
                                   ledger={"path": str(self.bunshin.directory / "ledger")},
                                   **sections)

    def run(self, *arguments, **sections):
        return self.bunshin.start("run", "-c", self.config(**sections), *arguments)

    def send(self, count=MESSAGES):
        self.sqs.send(self.url, bodies(count))

    def wait_until_empty(self):
        wait_for(lambda: self.sqs.counts(self.url) == (0, 0, 0), "an empty queue")

    def wait_until_accepted(self, count=MESSAGES):
        wait_for(lambda: len(accepted(self.sink)) >= count, "everything accepted")


def receiving(process, count):
    """Waits until so many workers receive; their pids."""
    def ready():
        status, _, text = process.admin("/readyz")
        return status == 200 and json.loads(text)["checks"][0]["health"] == "ok"

    wait_for(ready, f"{count} workers that receive")
    pids = workers_of(process.pid)
    assert len(pids) == count
    return pids


def scrape(process):
    """A reload hands the port over; a request that was under way is asked again."""
    for _ in range(20):
        try:
            return process.admin("/metrics")[2]
        except ConnectionError:
            time.sleep(0.05)
    return process.admin("/metrics")[2]


def metric(process, name):
    text = scrape(process)
    values = [float(line.rpartition(" ")[2]) for line in text.splitlines()
              if line.startswith((name + " ", name + "{"))]
    return sum(values)


def logged(process, message):
    return [line for line in process.log() if line["message"] == message]


def test_workers_share_the_work(stage):
    stage.send()
    result = stage.bunshin.run("run", "-c", stage.config(), "--exit-when-empty", "--json")
    assert result.exit == 0, result
    counts = json.loads(result.out.splitlines()[-1])
    assert counts["accepted"] == counts["deleted"] == MESSAGES
    assert counts["held"] == 0
    stage.wait_until_accepted()
    assert accepted(stage.sink) == Counter(bodies())


def test_processes_and_their_names(stage):
    process = stage.run()
    receiving(process, 3)
    names = sorted(name_of(pid) for pid in children(process.pid))
    assert names == ["bunshin-monitor"] + 3 * ["bunshin-worker"]
    stage.send(100)
    stage.wait_until_empty()
    lines = {line.get("worker") for line in logged(process, "the queue was asked")}
    assert lines == {1, 2, 3}, "each worker's lines have its number"
    assert process.terminate() == 0


def test_number_of_workers_on_the_command_line(stage):
    process = stage.run("--workers", "2")
    receiving(process, 2)
    assert process.terminate() == 0


def test_auto_is_one_a_core(stage):
    process = stage.run(workers="auto")
    cores = len(os.sched_getaffinity(process.pid))
    if cores > 1:
        receiving(process, cores)
    assert process.terminate() == 0


def test_metrics_of_all_workers(stage):
    process = stage.run()
    pids = receiving(process, 3)
    stage.send()
    stage.wait_until_empty()
    wait_for(lambda: metric(process, "bunshin_messages_deleted_total") == MESSAGES, "the sum")
    assert metric(process, 'bunshin_workers{state="running"}') == 3
    # What a worker has done is not forgotten with it.
    os.kill(pids[0], signal.SIGKILL)
    wait_for(lambda: metric(process, "bunshin_worker_deaths_total") == 1, "the death")
    assert metric(process, "bunshin_messages_deleted_total") <= MESSAGES
    receiving(process, 3)
    assert metric(process, "bunshin_worker_starts_total") == 4
    assert process.terminate() == 0


def test_a_dead_worker_is_replaced(stage):
    """kill -9 of one in the middle: the others go on, nothing is lost."""
    stage.send()
    process = stage.run(destination={"concurrency": 20})
    pids = receiving(process, 3)
    os.kill(pids[1], signal.SIGKILL)
    wait_for(lambda: pids[1] not in workers_of(process.pid) and
             len(workers_of(process.pid)) == 3, "a successor")
    stage.wait_until_empty()
    stage.wait_until_accepted()
    (line,) = logged(process, "a process died and will be replaced")
    assert (line["how"], line["pid"]) == ("signal 9 (Killed)", pids[1])
    assert process.terminate() == 0
    assert set(accepted(stage.sink)) == set(bodies())


def test_drain_in_parallel(bunshin):
    """Requests of a second each in all workers: the stop takes one of them, not three."""
    stage = Stage(bunshin, "--latency", "1000")
    stage.send(300)
    process = stage.run(destination={"concurrency": 20})
    receiving(process, 3)
    wait_for(lambda: metric(process, "bunshin_attempts_total") >= 60, "all of them busy")
    assert process.terminate() == 0
    assert not workers_of(process.pid)
    assert stage.sqs.counts(stage.url)[1:] == (0, 0), "nothing is left in flight"
    (stopped,) = logged(process, "stopped")
    counts = stage.bunshin.run("run", "-c", stage.config(), "--exit-when-empty", "--json")
    assert counts.exit == 0
    assert json.loads(counts.out)["accepted"] + stopped["accepted"] == 300
    wait_for(lambda: accepted(stage.sink) == Counter(bodies(300)), "each exactly once")


def test_second_signal_ends_at_once(bunshin):
    stage = Stage(bunshin, "--latency", "60000")
    stage.send(60)
    process = stage.run(destination={"concurrency": 20, "timeout": "2m"},
                        drain={"grace": "10m"})
    pids = receiving(process, 3)
    wait_for(lambda: metric(process, "bunshin_attempts_total") >= 20, "attempts")
    process.signal(signal.SIGTERM)
    wait_for(lambda: logged(process, "stopping: no more receives, attempts in flight may finish"),
             "the first signal taken")
    wait_for(lambda: all(not alive(pid) or draining(pid) for pid in pids), "the workers told")
    process.signal(signal.SIGTERM)
    assert process.wait() == 0


def alive(pid):
    return Path(f"/proc/{pid}").exists()


def draining(pid):
    """It has taken its SIGTERM: none is pending any more."""
    status = Path(f"/proc/{pid}/status").read_text()
    pending = [int(line.split()[1], 16) for line in status.splitlines()
               if line.startswith(("SigPnd", "ShdPnd"))]
    return not any(mask & 1 << (signal.SIGTERM - 1) for mask in pending)


def test_a_frozen_worker_is_replaced(stage):
    process = stage.run(watchdog="5s")
    pids = receiving(process, 3)
    os.kill(pids[0], signal.SIGSTOP)
    wait_for(lambda: not alive(pids[0]), "the end of the frozen one")
    (line,) = logged(process, "a worker gets nothing done: killed")
    assert line["pid"] == pids[0]
    receiving(process, 3)
    assert process.terminate() == 0


def test_killed_supervisor_leaves_no_worker(stage):
    process = stage.run()
    pids = receiving(process, 3)
    process.kill()
    wait_for(lambda: not any(alive(pid) for pid in pids), "the workers' end")


def test_reload_changes_the_workers(stage):
    process = stage.run()
    before = receiving(process, 3)
    stage.send(500)
    stage.config(workers=5, destination={"concurrency": 7})
    process.signal(signal.SIGHUP)
    wait_for(lambda: logged(process, "reloaded"), "the reload")
    wait_for(lambda: not set(before) & set(workers_of(process.pid)), "the old ones gone")
    after = receiving(process, 5)
    assert not set(before) & set(after)
    stage.wait_until_empty()
    assert metric(process, "bunshin_concurrency_limit") == 35
    assert process.terminate() == 0
    assert accepted(stage.sink) == Counter(bodies(500))


@pytest.mark.parametrize("workers", [1, 3])
def test_reload_of_a_bad_file_changes_nothing(stage, workers):
    process = stage.run(workers=workers)
    wait_for(lambda: process.admin("/readyz")[0] == 200, "readiness")
    before = workers_of(process.pid)
    stage.bunshin.write_config("queue:\n  url: nonsense\n")
    process.signal(signal.SIGHUP)
    wait_for(lambda: logged(process, "reload failed: nothing was changed"), "the failure")
    (line,) = logged(process, "reload failed: nothing was changed")[:1]
    assert "bunshin.yaml:2:8: queue.url: " in line["reason"]
    assert workers_of(process.pid) == before
    stage.send(100)
    stage.wait_until_empty()
    assert metric(process, 'bunshin_reloads_total{result="failed"}') == 1
    assert process.terminate() == 0


@pytest.mark.parametrize("workers", [1, 3])
def test_reload_that_cannot_receive_changes_nothing(stage, workers):
    """The file is right, but the queue in it is not there."""
    process = stage.run(workers=workers)
    wait_for(lambda: process.admin("/readyz")[0] == 200, "readiness")
    before = workers_of(process.pid)
    stage.bunshin.config(stage.url + "-gone", stage.sink.url, workers=workers, admin=ADMIN,
                         log={"format": "json"})
    process.signal(signal.SIGHUP)
    wait_for(lambda: any(line["message"].startswith("reload failed") for line in process.log()),
             "the failure")
    assert set(before) <= set(workers_of(process.pid))
    stage.send(100)
    stage.wait_until_empty()
    assert process.terminate() == 0


@pytest.mark.parametrize("workers", [1, 3])
def test_reloads_under_load(stage, workers):
    """Ten of them in the middle of the work: none lost, none twice."""
    stage.send(3000)
    process = stage.run(workers=workers,
                        destination={"concurrency": 20, "rate": "1000/s"})
    for count in range(1, 11):
        wait_for(lambda: metric(process, "bunshin_messages_deleted_total") >= 200 * count or
                 stage.sqs.counts(stage.url) == (0, 0, 0), "progress")
        process.signal(signal.SIGHUP)
    stage.wait_until_empty()
    assert process.terminate() == 0
    assert accepted(stage.sink) == Counter(bodies(3000))
    assert len(logged(process, "reloaded")) >= 3, "signals that come together are one reload"


def test_reload_from_one_to_many_takes_a_restart(stage):
    process = stage.run(workers=1)
    wait_for(lambda: process.admin("/readyz")[0] == 200, "readiness")
    stage.config(workers=4)
    process.signal(signal.SIGHUP)
    wait_for(lambda: logged(process, "reload failed: nothing was changed"), "the refusal")
    assert "take a restart" in logged(process, "reload failed: nothing was changed")[0]["reason"]
    assert process.terminate() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a process namespace")
@pytest.mark.parametrize("workers", [1, 2])
def test_first_process_of_a_container_reaps(stage, workers):
    """An orphan becomes its child, and must not stay as a zombie."""
    config = stage.config(workers=workers)
    outside = subprocess.Popen(
        ["unshare", "--pid", "--fork", "--kill-child", str(stage.bunshin.binary), "run", "-c",
         config], env=stage.bunshin.environment, cwd=stage.bunshin.directory,
        stderr=subprocess.DEVNULL)
    try:
        (first,) = wait_for(lambda: [pid for pid in children(outside.pid)
                                     if name_of(pid) == "bunshin"], "the first process")
        wait_for(lambda: workers == 1 or len(workers_of(first)) == workers, "its workers")
        subprocess.run(["nsenter", "--target", str(first), "--pid", "sh", "-c",
                        "(sleep 0.2 &)"], check=True)
        wait_for(lambda: "sleep" in map(name_of, children(first)), "the orphan")
        wait_for(lambda: "sleep" not in map(name_of, children(first)), "the orphan's end")
    finally:
        for pid in children(outside.pid):
            os.kill(pid, signal.SIGTERM)
        outside.wait(PATIENCE_S)


def test_what_can_never_work_ends(stage):
    """No worker has ever received, and none ever will: the exit code of a worker alone."""
    config = stage.bunshin.config(stage.url + "-gone", stage.sink.url, workers=3)
    result = stage.bunshin.run("run", "-c", config)
    assert result.exit == 1
    assert "QueueDoesNotExist" in result.err


def test_grows_and_shrinks(bunshin):
    stage = Stage(bunshin, "--latency", "50")
    stage.send(8000)
    process = stage.run(workers={"min": 1, "max": 4}, destination={"concurrency": 5})
    wait_for(lambda: metric(process, 'bunshin_workers{state="running"}') == 4, "growth")
    sizes = [line["workers"] for line in logged(process, "as many workers as there is work for")]
    assert sizes == [2, 4]
    assert process.terminate() == 0


def test_a_crash_loop_leaves_the_others_alone(stage):
    """One place dies again and again; the work goes on."""
    process = stage.run(log={"format": "json", "level": "debug"})
    receiving(process, 3)
    deadline = time.monotonic() + PATIENCE_S
    while not logged(process, "again and again a process dies soon after its start"):
        assert time.monotonic() < deadline
        # The first worker, whoever it is now: the lowest number is in its place.
        victims = [line["pid"] for line in logged(process, "started a process")
                   if line["number"] == 1][-1:]
        if victims and alive(victims[0]):
            os.kill(victims[0], signal.SIGKILL)
        time.sleep(0.05)
    stage.send(300)
    stage.wait_until_empty()
    assert process.terminate() == 0
