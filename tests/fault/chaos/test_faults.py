"""One kind of fault at a time, so that a failure points at its cause; then all of them."""

import mmap
import os
from pathlib import Path

import pytest

import audit
import chaos
import proxy
import report as reports
import schedule as schedules
from harness import wait_for
from stage import Settings, Stage

# Kind: the causes of duplicates that it may bring, without the ledger.
CAUSES = {
    "kill -9": {audit.KILLED, audit.SILENT, audit.UNDELETED, audit.STALE},
    "stop": {audit.STOPPED, audit.SILENT, audit.UNDELETED, audit.STALE},
    "stop, then kill -9": {audit.KILLED, audit.STOPPED, audit.UNDELETED, audit.STALE},
    "queue answers errors": {audit.UNDELETED},
    "queue refuses deletes": {audit.UNDELETED},
    "queue connections cut": {audit.UNDELETED},
    "provider connections cut": {audit.ANSWER_CUT},
    "provider freezes": {audit.SILENT},
    "clock an hour ahead": set(),
    "disk full": set(),
}
# What only the ledger prevents.
PREVENTED = {audit.UNDELETED, audit.STALE}
# What a crowded machine may bring under any fault: an attempt times out by itself.
ALWAYS = {audit.GONE}

ERRORS = {proxy.ERROR, proxy.ERROR_AFTER}


def perform(bunshin, seed, faults, after_s=3, **settings):
    """`after_s`: for so long there is still something to deliver after the last fault."""
    print("\n".join(map(str, faults)))
    report = chaos.perform(bunshin, Settings(
        seed=seed, spread_s=schedules.end_s(faults) + after_s, **settings), faults)
    print(reports.table(report))
    assert not report["problems"]
    return report


@pytest.mark.parametrize("kind", schedules.KINDS)
def test_one_kind_of_fault(bunshin, seed, kind):
    faults = schedules.draw(seed, [kind], rounds=1 if len(schedules.KINDS[kind][0]) > 1 else 2)
    report = perform(bunshin, seed, faults)
    assert report["faults"][kind]["count"] == len(faults)
    found = {cause for cause, count in report["duplicates"].items() if count}
    causes = CAUSES[kind] | ALWAYS
    assert found <= (causes - PREVENTED if report["ledger"] else causes)
    # That the fault was one.
    if kind == "queue answers errors":
        assert ERRORS < set(report["fates"]["queue"])
    elif kind == "queue refuses deletes":
        assert report["received_again"] > 0, "nothing came back"
    elif kind == "queue connections cut":
        assert set(proxy.CUTS) < set(report["fates"]["queue"])
    elif kind == "provider connections cut":
        assert set(proxy.CUTS) < set(report["fates"]["provider"])
    elif kind == "provider freezes":
        assert set(proxy.HOLDS) < set(report["fates"]["provider"])
    elif kind == "clock an hour ahead":
        assert report["expired_early"] > 0, "no deadline was missed by the wrong clock"


def test_clock_ahead_of_a_queue_that_checks_signatures(bunshin, seed):
    """The queue refuses what that worker signs; the others go on, and so does it afterwards."""
    faults = schedules.draw(seed, ["clock an hour ahead"])
    report = perform(bunshin, seed, faults, after_s=15, signed=True)
    recovery = report["faults"]["clock an hour ahead"]
    assert recovery["recovered"] == recovery["count"] == schedules.WORKERS


def pages(path):
    """What a file takes of the disk: a full one still has room in the last page of each file."""
    return -(-path.stat().st_size // mmap.PAGESIZE)


@pytest.mark.parametrize("mount", [True, False], ids=["full disk", "file size limit"])
def test_log_that_cannot_be_written_does_not_stop_the_delivery(bunshin, seed, mount):
    """Everything is delivered while no line can be written, and the log goes on afterwards."""
    # A line for every message: what is lost is lost, and must block nothing.
    settings = Settings(seed=seed, spread_s=2, log_level="debug", mount=mount)
    with Stage(bunshin, settings) as stage:
        stage.start()
        logs = [worker.err_path for worker in stage.workers]
        wait_for(lambda: all(b"receiving" in path.read_bytes() for path in logs), "the start")
        stage.disk.fill([worker.pid for worker in stage.workers])
        before = list(map(pages, logs))
        stage.produce()
        stage.wait_until_empty()
        assert list(map(pages, logs)) == before, "the disk was not full"
        stage.disk.free()
        run = stage.finish()
    verdict = audit.Audit(run)
    assert not verdict.problems
    assert verdict.duplicates.total() == 0
    assert {exchange.worker for exchange in run.exchanges} == set(range(schedules.WORKERS))
    for worker in stage.workers:
        assert worker.log()[-1]["message"] == "stopped"


def test_everything(bunshin, seed):
    """Every fault on every target by itself, then two and three of them at a time."""
    faults = chaos.whole(seed, float(os.environ.get("BUNSHIN_CHAOS_SECONDS", "120")))
    report = perform(bunshin, seed, faults,
                     messages=int(os.environ.get("BUNSHIN_CHAOS_MESSAGES", "50000")))
    assert set(report["faults"]) == set(schedules.KINDS)


@pytest.fixture(autouse=True)
def report_file(request, monkeypatch):
    """Every run's report goes to BUNSHIN_CHAOS_REPORTS, a directory."""
    directory = os.environ.get("BUNSHIN_CHAOS_REPORTS")
    if not directory:
        return
    perform_run = chaos.perform

    def performed(*arguments):
        report = perform_run(*arguments)
        Path(directory).mkdir(parents=True, exist_ok=True)
        name = "".join(c if c.isalnum() else "-" for c in request.node.name).strip("-")
        reports.write(report, Path(directory) / f"{name}.json")
        return report
    monkeypatch.setattr(chaos, "perform", performed)
