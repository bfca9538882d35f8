"""The audit finds what it is for, and excuses only what a fault explains."""

import dataclasses

import pytest

import audit
import proxy
from records import Deletion, Exchange, Message, Period, Receipt, Run


class Story:
    """A run of one message, told event by event; times are seconds, 100 is the beginning."""

    def __init__(self, ledger=False, **message):
        self.run = Run(messages=[Message(0, **message)], concurrency=10, timeout_s=2,
                       visibility_s=6, shift_s=3600, ledger=ledger)

    def receive(self, at_s, worker):
        handle = f"receipt {len(self.run.receipts)}"
        self.run.receipts[handle] = Receipt(0, "id", worker, at_s, delivered=True)
        return handle

    def send(self, at_s, worker, **changes):
        """An attempt that the provider accepts 0.1 s later, and the worker sees it."""
        exchange = Exchange(len(self.run.exchanges), worker, at_s, status=200,
                            answered_s=at_s + 0.1, delivered=True, message=0, key="key")
        self.run.exchanges.append(dataclasses.replace(exchange, **changes))
        return self

    def unseen(self, at_s, worker, fate=proxy.PASSED, ended_s=None):
        """An attempt that the provider accepts, and the worker does not hear of it."""
        return self.send(at_s, worker, fate=fate, delivered=False, ended_s=ended_s or at_s + 0.1)

    def delete(self, at_s, worker, handle, confirmed=True):
        self.run.deletions.append(Deletion(handle, worker, at_s, at_s + 0.01 if confirmed else None))
        return self

    def kill(self, at_s, worker):
        """It is started again a second later."""
        self.run.kills.append(Period("kill -9", f"worker {worker}", worker, at_s, at_s + 0.01))
        return self.fault("kill -9", f"worker {worker}", at_s, at_s + 1, worker)

    def fault(self, kind, target, began_s, ended_s, worker=None, also=()):
        period = Period(kind, target, worker, began_s, ended_s)
        self.run.faults.append(period)
        for periods in also:
            periods.append(period)
        return self

    def delivered(self, at_s, worker):
        """Received, sent, accepted, deleted."""
        handle = self.receive(at_s, worker)
        return self.send(at_s + 0.1, worker).delete(at_s + 0.3, worker, handle)

    def judge(self):
        return audit.Audit(self.run)

    def problems(self):
        """The first lines of them."""
        return [problem.partition("\n")[0] for problem in self.judge().problems]


def test_delivered_once_is_well():
    verdict = Story().delivered(100, 0).judge()
    assert verdict.problems == []
    assert verdict.fates == {"accepted": 1, "lost": 0}
    assert verdict.duplicates.total() == verdict.bound.total() == 0


def test_lost_message():
    assert Story().problems() == ["1 messages are lost"]


def test_deleted_and_never_accepted():
    story = Story()
    story.delete(101, 0, story.receive(100, 0))
    assert story.problems() == ["1 messages are lost", "1 deletes before the message had an end"]


def test_deleted_before_it_was_accepted():
    story = Story()
    story.delete(100.05, 0, story.receive(100, 0)).send(100.1, 0)
    assert story.problems() == ["1 deletes before the message had an end"]


def test_deleted_though_the_answer_never_came_through():
    story = Story()
    handle = story.receive(100, 0)
    story.unseen(100.1, 0, proxy.ANSWER_CUT).delete(101, 0, handle)
    assert story.problems() == ["1 deletes before the message had an end"]


def test_delete_with_a_receipt_from_nowhere():
    [problem] = Story().delivered(100, 0).delete(103, 0, "forged").problems()
    assert problem.startswith("a delete with a receipt that no receive gave")


def test_expired():
    story = Story(deadline_s=100.5)
    verdict = story.delete(101, 0, story.receive(100, 0)).judge()
    assert verdict.problems == []
    assert verdict.fates == {"expired": 1, "lost": 0} and verdict.expired_early == 0


@pytest.mark.parametrize("worker, problems", [(0, 0), (1, 2)])
def test_expired_by_a_clock_that_is_ahead(worker, problems):
    """Only the worker whose clock it is may take the deadline for passed."""
    story = Story(deadline_s=1000)
    story.fault("clock an hour ahead", "worker 0", 99, 102, 0, [story.run.shifts])
    verdict = story.delete(101, worker, story.receive(100, worker)).judge()
    assert len(verdict.problems) == problems
    assert verdict.expired_early == (0 if problems else 1)


@pytest.mark.parametrize("at_s, problems", [
    (101.9, []), (102.1, ["1 attempts after the deadline"])])
def test_sent_after_the_deadline(at_s, problems):
    """Later than an attempt can last that began in time."""
    story = Story(deadline_s=100)
    handle = story.receive(99, 0)
    assert story.send(at_s, 0).delete(at_s + 1, 0, handle).problems() == problems


def test_sent_after_the_deadline_by_a_clock_that_is_ahead():
    story = Story(deadline_s=1000)
    story.fault("clock an hour ahead", "worker 0", 90, 110, 0, [story.run.shifts])
    assert story.delivered(100, 0).problems() == ["1 attempts after the deadline"]


def test_stopped_before_the_deadline():
    story = Story(deadline_s=100)
    handle = story.receive(99, 0)
    story.fault("stop", "worker 0", 99.5, 104, 0, [story.run.stops])
    assert story.send(104.1, 0).delete(105, 0, handle).problems() == []


def test_failed():
    story = Story(poison=True)
    story.run.copies[0] = 100.2
    story.run.failure_queue = [0]
    verdict = story.delete(100.3, 0, story.receive(100, 0)).judge()
    assert verdict.problems == [] and verdict.fates == {"failed": 1, "lost": 0}


def test_failed_and_deleted_before_the_copy_was_there():
    story = Story(poison=True)
    story.run.copies[0] = 100.5
    story.run.failure_queue = [0]
    story.delete(100.3, 0, story.receive(100, 0))
    assert story.problems() == ["1 deletes before the message had an end"]


def test_good_message_in_the_failure_queue():
    story = Story().delivered(100, 0)
    story.run.failure_queue = [0]
    assert story.problems() == ["1 good messages are in the failure queue"]


def test_accepted_though_it_cannot_be_rendered():
    assert Story(poison=True).delivered(100, 0).problems() == [
        "accepted, though it cannot be rendered"]


def test_two_keys():
    story = Story().delivered(100, 0)
    story.send(100.2, 0, key="another", status=500)
    assert story.problems() == ["attempts of one message with two keys"]


def test_queue_that_is_not_empty():
    story = Story().delivered(100, 0)
    story.run.counts = {"queue": (0, 1, 0)}
    assert story.problems() == [
        "the queue is not empty: (0, 1, 0) visible, in flight, delayed"]


def test_record_of_a_request_that_was_cut():
    story = Story().delivered(100, 0)
    story.run.exchanges[0].fate = proxy.REQUEST_CUT
    story.run.recorded = [{"headers": {"X-Chaos-Number": "0"}, "status": None}]
    [problem] = story.problems()
    assert problem.startswith("the provider's record has a request that it never got")


def test_acceptance_that_only_the_record_has():
    """The proxy did not see the answer: the provider was killed with it."""
    story = Story()
    story.unseen(100, 0)
    story.run.exchanges[0].status = story.run.exchanges[0].answered_s = None
    story.run.recorded = [{"headers": {"X-Chaos-Number": "0"}, "status": 200,
                           "time_epoch_ms": 100000}]
    verdict = story.judge()
    assert verdict.fates["accepted"] == 1 and verdict.problems == []


# Duplicates.

def twice(story, worker=1, at_s=110):
    """The second delivery, behind what the story has told so far."""
    return story.delivered(at_s, worker)


@pytest.mark.parametrize("ledger", [False, True])
def test_duplicate_without_a_fault(ledger):
    story = Story(ledger)
    story.receive(100, 0)
    verdict = twice(story.send(100.1, 0)).judge()
    assert verdict.duplicates == {audit.UNEXPLAINED: 1}
    assert len(verdict.problems) == 1


@pytest.mark.parametrize("ledger", [False, True])
def test_duplicate_after_a_fault_that_hit_another_request(ledger):
    story = Story(ledger)
    story.receive(100, 0)
    story.send(100.1, 0)
    story.kill(100.15, 2)
    story.fault("provider connections cut", "provider leg", 99, 105)
    assert twice(story).judge().duplicates == {audit.UNEXPLAINED: 1}


@pytest.mark.parametrize("ledger", [False, True])
@pytest.mark.parametrize("fate, cause", [
    (proxy.ANSWER_CUT, audit.ANSWER_CUT), (proxy.ANSWER_HELD, audit.SILENT),
    (proxy.HELD_THEN_PASSED, audit.SILENT)])
def test_duplicate_after_a_lost_answer(ledger, fate, cause):
    story = Story(ledger)
    story.receive(100, 0)
    verdict = twice(story.unseen(100.1, 0, fate)).judge()
    assert verdict.problems == []
    assert verdict.duplicates == {cause: 1} and verdict.bound[cause] == 1


@pytest.mark.parametrize("ledger", [False, True])
def test_duplicate_after_kill_9_in_flight(ledger):
    story = Story(ledger)
    story.receive(100, 0)
    story.unseen(100.1, 0, ended_s=100.16)
    story.kill(100.15, 0)
    verdict = twice(story).judge()
    assert verdict.problems == []
    assert verdict.duplicates == {audit.KILLED: 1} and verdict.bound[audit.KILLED] == 1


@pytest.mark.parametrize("ledger", [False, True])
def test_duplicate_of_a_request_that_was_read_after_the_kill(ledger):
    """It was in the socket when its sender died."""
    story = Story(ledger)
    story.receive(100, 0)
    story.unseen(100.155, 0, ended_s=100.156).kill(100.15, 0)
    verdict = twice(story).judge()
    assert verdict.problems == []
    assert verdict.duplicates == {audit.KILLED: 1} and verdict.bound[audit.KILLED] == 1


def test_more_duplicates_than_were_in_flight():
    story = Story(ledger=True)
    story.run.concurrency = 0
    story.receive(100, 0)
    story.unseen(100.1, 0, ended_s=100.16)
    story.kill(100.15, 0)
    assert twice(story).problems() == [
        "1 duplicates, at most 0 are allowed: in flight at kill -9"]


@pytest.mark.parametrize("ledger, cause", [
    (False, audit.UNDELETED), (True, audit.UNEXPLAINED)])
def test_duplicate_of_a_worker_that_knew_and_was_killed(ledger, cause):
    """Its connection was used again: it had the answer, and with a ledger that is in there."""
    story = Story(ledger)
    story.receive(100, 0)
    story.send(100.1, 0, reused_s=100.3)
    story.kill(100.4, 0)
    assert twice(story).judge().duplicates == {cause: 1}


@pytest.mark.parametrize("ledger, cause", [
    (False, audit.UNDELETED), (True, audit.UNEXPLAINED)])
def test_duplicate_after_a_refused_delete(ledger, cause):
    story = Story(ledger)
    handle = story.receive(100, 0)
    story.send(100.1, 0).delete(100.3, 0, handle, confirmed=False)
    story.fault("queue answers errors", "queue leg", 100.2, 109)
    assert twice(story).judge().duplicates == {cause: 1}


def test_duplicate_of_what_the_queue_had_deleted():
    story = Story().delivered(100, 0)
    story.fault("stop", "queue", 100.2, 109)
    assert twice(story).judge().duplicates == {audit.UNEXPLAINED: 1}


def test_duplicate_of_a_worker_that_was_stopped():
    """It reads the answer when another has sent the message again."""
    story = Story(ledger=True)
    handle = story.receive(100, 0)
    story.send(100.1, 0)
    story.fault("stop", "worker 0", 100.15, 112, 0, [story.run.stops])
    verdict = twice(story, at_s=108).delete(112.1, 0, handle).judge()
    assert verdict.problems == []
    assert verdict.duplicates == {audit.STOPPED: 1}


@pytest.mark.parametrize("other_s, ended_s, cause", [
    (106.1, 109, audit.STOPPED), (106.1, 102, audit.UNEXPLAINED),
    (108, 109, audit.STOPPED),  # less than a time-out ago
])
def test_duplicate_of_a_worker_that_was_stopped_between_claim_and_request(other_s, ended_s, cause):
    """Its claim ends meanwhile. Not long before: it asks the ledger again."""
    story = Story(ledger=True)
    story.receive(100, 0)
    story.fault("stop", "worker 0", 100.1, ended_s, 0, [story.run.stops])
    verdict = story.delivered(other_s, 1).send(109.1, 0).judge()
    assert verdict.duplicates == {cause: 1}
    assert bool(verdict.problems) == (cause == audit.UNEXPLAINED)


@pytest.mark.parametrize("ledger, cause", [(False, audit.STALE), (True, audit.UNEXPLAINED)])
def test_duplicate_by_an_outdated_receipt(ledger, cause):
    """Stopped with a receive's answer unread, it takes the message for its own afterwards."""
    story = Story(ledger)
    story.receive(100, 0)
    story.fault("stop", "worker 0", 99, 109, 0, [story.run.stops])
    verdict = story.delivered(106.1, 1).send(109.1, 0).judge()
    assert verdict.duplicates == {cause: 1}


def test_duplicate_of_an_attempt_that_timed_out():
    story = Story(ledger=True)
    story.receive(100, 0)
    verdict = twice(story.send(100.1, 0, answered_s=102.05, ended_s=102.06)).judge()
    assert verdict.problems == []
    assert verdict.duplicates == {audit.GONE: 1}


@pytest.mark.parametrize("sent_s, ended_s, cause", [
    (101.3, 102.06, audit.GONE),  # on a crowded machine its request took that long to come here
    (101.3, 109, audit.UNEXPLAINED),  # its connection stayed open: it was not given up
    (101.3, None, audit.UNEXPLAINED),
    (103.5, 104.2, audit.GONE),
], ids=str)
def test_duplicate_of_an_attempt_that_timed_out_before_its_request_was_seen(sent_s, ended_s, cause):
    story = Story(ledger=True)
    story.receive(100, 0)
    verdict = twice(story.send(sent_s, 0, answered_s=sent_s + 0.7, ended_s=ended_s)).judge()
    assert verdict.duplicates == {cause: 1}


def test_duplicate_of_an_attempt_that_had_no_time_to_time_out():
    story = Story(ledger=True)
    story.receive(100, 0)
    verdict = twice(story.send(100.1, 0, answered_s=101.4, ended_s=101.5)).judge()
    assert verdict.duplicates == {audit.UNEXPLAINED: 1}


@pytest.mark.parametrize("began_s, cause", [(107, audit.CLOCK), (111, audit.UNEXPLAINED)])
def test_duplicate_by_a_clock_that_finds_the_ledger_outdated(began_s, cause):
    """Whoever's it is: its worker reads the entry as outdated, or writes another in its place."""
    story = Story(ledger=True)
    story.receive(100, 0)
    story.send(100.1, 0, reused_s=100.3)
    story.fault("clock an hour ahead", "worker 2", began_s, 115, 2, [story.run.shifts])
    assert twice(story).judge().duplicates == {cause: 1}


def test_recovery():
    """Of a worker's fault by that worker, of any other by anybody; None: nothing came after it."""
    story = Story().delivered(100, 0)
    story.fault("kill -9", "worker 1", 98, 99, 1)
    story.fault("stop", "queue", 98, 99.5)
    [kill] = story.judge().recoveries()["kill -9"]
    [stop] = story.judge().recoveries()["stop"]
    assert kill is None and stop == pytest.approx(0.7)


@pytest.mark.parametrize("answered_s, problems", [
    (102.05, []), (100.1, ["1 duplicates that no fault explains"])])
def test_delete_by_the_ledger_is_no_sign_that_the_own_answer_was_read(answered_s, problems):
    """The provider stopped until the attempt had timed out; another worker's was accepted."""
    story = Story(ledger=True)
    story.receive(100, 2)
    story.fault("stop", "provider", 100.003, 102)
    story.send(100, 2, answered_s=answered_s, ended_s=102.1)
    story.receive(108, 0)
    story.send(108.1, 0)
    handle = story.receive(117, 2)
    story.delete(117.1, 2, handle)
    assert story.problems() == problems
