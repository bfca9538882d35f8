"""
pause, resume, rate, cancel: from one command, by the queue's tags, to every worker of the fleet.

The fleet: three "hosts" on one queue, each with a ledger of its own; two are a supervisor with two
workers, one is a worker alone.
"""

import json
import os
import pty
import re
import signal
import subprocess
import time
from collections import Counter

import pytest

from harness import ADMIN, wait_for
from processes import workers_of
from world import QUEUE, make_world

HOSTS = 3
WORKERS = [2, 2, 1]


class Fleet:
    def __init__(self, bunshin, *sink):
        self.bunshin = bunshin
        self.queue = bunshin.queue()
        self.sink = bunshin.sink(*sink)
        self.sqs = self.queue.sqs()
        self.url = self.sqs.create_queue("morning", VisibilityTimeout=30)
        self.hosts = []

    def host(self, workers, *arguments, **sections):
        number = len(self.bunshin.processes)
        sections = {"workers": workers, "admin": ADMIN, "log": {"format": "json"},
                    "fleet_hosts": HOSTS,
                    "ledger": {"path": str(self.bunshin.directory / f"ledger-{number}")},
                    "destination": {"concurrency": 20}, **sections}
        queue = {"wait": "2s", **sections.pop("queue", {})}
        config = self.bunshin.config(self.url, self.sink.url, queue=queue, **sections)
        config = config.rename(config.with_name(f"host-{number}.yaml"))
        process = self.bunshin.start("run", "-c", config, *arguments)
        self.hosts.append(process)
        return process

    def start(self, **sections):
        for workers in WORKERS:
            self.host(workers, **sections)
        self.wait_until_ready()

    def wait_until_ready(self):
        for host in self.hosts:
            wait_for(lambda h=host: h.admin("/readyz")[0] == 200, "a ready host")

    def campaign(self, verb, *arguments, code=0, **options):
        result = self.bunshin.run("campaign", verb, *arguments, "--queue-url", self.url, **options)
        assert result.exit == code, result
        return result

    def tags(self):
        return self.sqs.call("ListQueueTags", QueueUrl=self.url).get("Tags", {})

    def send(self, count, campaign="morning", start=0):
        self.sqs.send(self.url, [json.dumps({"n": n}) for n in range(start, start + count)],
                      {"Campaign": campaign})

    def metric(self, host, name):
        """The sum of its series; a name may go on as far as its first label."""
        text = host.admin("/metrics")[2]
        values = re.findall(rf"^{re.escape(name)}(?:\{{.*?\}}|,.*?\}})? (\S+)$", text, re.M)
        return sum(float(value) for value in values)

    def everywhere(self, name, value):
        wait_for(lambda: all(self.metric(host, name) == value for host in self.hosts),
                 f"{name} {value} on every host")

    def wait_until_paused(self):
        """All workers of all hosts: none of them has anything in hand any more."""
        self.everywhere("bunshin_control_paused", 1)
        self.everywhere("bunshin_messages_held", 0)

    def accepted(self):
        return Counter(record["body"] for record in self.sink.records() if record["status"] == 200)

    def wait_until_empty(self):
        wait_for(lambda: self.sqs.counts(self.url) == (0, 0, 0), "an empty queue")

    def wait_until_accepted(self, count):
        """All of them; what the sink records may come a moment later."""
        self.wait_until_empty()
        wait_for(lambda: len(self.accepted()) >= count, "all of them in the sink's record")
        assert len(self.accepted()) == count


class Reported(Fleet):
    """A fleet whose workers say what they do, in a results queue."""

    def __init__(self, bunshin, *sink):
        super().__init__(bunshin, *sink)
        self.results = self.sqs.create_queue("results")

    def host(self, workers, *arguments, **sections):
        queue = {"results_url": self.results, **sections.pop("queue", {})}
        path = self.bunshin.directory / f"outcomes-{len(self.bunshin.processes)}"
        return super().host(workers, *arguments, queue=queue, outcomes={"path": str(path)},
                            **sections)


@pytest.fixture
def fleet(bunshin):
    return Fleet(bunshin, "--latency", "20-60")


def test_pause_and_resume(fleet):
    fleet.start(destination={"concurrency": 20, "rate": "300/s"})
    fleet.send(6000)
    wait_for(lambda: len(fleet.sink.records()) > 200, "the first sends")
    result = fleet.campaign("pause")
    assert "paused: nothing of this queue is sent" in result.out
    assert "in flight any more" in result.out
    assert fleet.tags() == {"bunshin:paused": "true"}
    fleet.wait_until_paused()
    sent = len(fleet.sink.records())
    assert sent < 6000
    time.sleep(4)
    assert len(fleet.sink.records()) == sent, "a send after the pause was in force"
    # Nobody takes a host that waits for its operator for a broken one.
    for host in fleet.hosts:
        status, _, text = host.admin("/readyz")
        assert status == 200 and "paused until bunshin campaign resume" in text
    again = fleet.campaign("pause", "--no-wait")
    assert again.out == "the queue is paused already\n"
    fleet.campaign("resume", "--no-wait")
    assert fleet.tags() == {}
    wait_for(lambda: len(fleet.sink.records()) > sent, "sends again")
    fleet.wait_until_accepted(6000)
    assert max(fleet.accepted().values()) == 1
    assert fleet.campaign("resume", "--no-wait").out == "the queue was not paused\n"
    changes = [line for host in fleet.hosts for line in host.log()
               if line["message"] == "control by the queue's tags has changed"]
    assert [line["paused"] for line in changes] == ["true", "false"] * HOSTS or \
        Counter(line["paused"] for line in changes) == {"true": HOSTS, "false": HOSTS}


def test_workers_that_start_or_die_while_paused(fleet):
    fleet.campaign("pause", "--no-wait")
    fleet.send(500)
    fleet.start()
    fleet.wait_until_paused()
    for host in fleet.hosts[:2]:
        for pid in workers_of(host.pid):
            os.kill(pid, signal.SIGKILL)
    wait_for(lambda: all(fleet.metric(host, "bunshin_worker_starts_total") >= 4
                         for host in fleet.hosts[:2]), "replacements")
    fleet.wait_until_ready()
    time.sleep(2)
    assert fleet.sink.records() == []
    assert fleet.sqs.counts(fleet.url) == (500, 0, 0), "nothing was even received"
    fleet.campaign("resume", "--no-wait")
    fleet.wait_until_accepted(500)


def test_idle_workers_look_before_they_send(fleet):
    """A pause that nobody has read, since nobody has work: the first messages are held back."""
    fleet.start()
    for host in fleet.hosts:
        wait_for(lambda h=host: fleet.metric(h, "bunshin_control_age_seconds") > 31,
                 "an idle time")
    fleet.campaign("pause", "--no-wait")
    fleet.send(200)
    fleet.wait_until_paused()
    assert fleet.sink.records() == []
    fleet.campaign("resume", "--no-wait")
    fleet.wait_until_accepted(200)


def test_rate(fleet):
    fleet.start()
    assert "at most 30/s" in fleet.campaign("rate", "30/s", "--no-wait").out
    assert fleet.tags() == {"bunshin:rate": "30/s"}
    fleet.send(3000)
    fleet.everywhere("bunshin_control_rate", 30)
    before = len(fleet.sink.records())
    time.sleep(6)
    slow = len(fleet.sink.records()) - before
    # Three hosts with ten a second each, and a token or so of burst.
    assert slow <= 6.5 * 30 + 10
    assert "(before: 30/s)" in fleet.campaign("rate", "off", "--no-wait").out
    fleet.everywhere("bunshin_control_rate", 0)
    fleet.wait_until_accepted(3000)


def test_cancel(fleet):
    fleet.campaign("rate", "60/s", "--no-wait")
    fleet.start()
    fleet.send(600, "morning")
    fleet.send(50, "evening", start=1000)
    fleet.send(50, "朝 の 部", start=2000)
    wait_for(lambda: len(fleet.sink.records()) > 20, "the first sends")
    result = fleet.campaign("cancel", "morning", "--no-wait")
    assert "campaign morning is cancelled: what is left of it is deleted unsent" in result.out
    fleet.campaign("cancel", "朝 の 部", "--no-wait")
    assert re.fullmatch("morning =[0-9a-f]{16}", fleet.tags()["bunshin:cancelled"])
    assert fleet.campaign("cancel", "morning", "--no-wait").out == \
        "campaign morning is cancelled already\n"
    fleet.campaign("rate", "off", "--no-wait")
    fleet.wait_until_empty()
    cancelled = sum(fleet.metric(host, 'bunshin_messages_total{outcome="cancelled"')
                    for host in fleet.hosts)
    assert cancelled > 0
    fleet.wait_until_accepted(700 - int(cancelled))
    numbers = [json.loads(body)["n"] for body in fleet.accepted()]
    assert sum(1000 <= n < 1050 for n in numbers) == 50, "evening is complete"
    fleet.campaign("cancel", "morning", "--undo", "--no-wait")
    fleet.campaign("cancel", "朝 の 部", "--undo", "--no-wait")
    assert fleet.tags() == {}
    assert fleet.campaign("cancel", "morning", "--undo", "--no-wait").out == \
        "campaign morning was not cancelled\n"


def test_exit_when_empty_waits_while_paused(bunshin):
    fleet = Fleet(bunshin)
    fleet.campaign("pause", "--no-wait")
    fleet.send(20)
    host = fleet.host(1, "--exit-when-empty")
    wait_for(lambda: fleet.metric(host, "bunshin_control_paused") == 1, "paused")
    time.sleep(3)
    assert host.exit is None
    fleet.campaign("resume", "--no-wait")
    assert host.wait() == 0
    fleet.wait_until_accepted(20)


def test_what_is_set_is_shown(bunshin):
    fleet = Fleet(bunshin)
    assert fleet.campaign("control").out == (
        "paused     no\nrate       off\ncancelled  none\n")
    fleet.campaign("pause", "--no-wait")
    fleet.campaign("rate", "5/m", "--no-wait")
    fleet.campaign("cancel", "a", "--no-wait")
    fleet.campaign("cancel", "b#2", "--no-wait")
    lines = fleet.campaign("control").out.splitlines()
    assert lines[:2] == ["paused     yes", "rate       5/m"]
    value = json.loads(fleet.campaign("control", "--json").out)
    assert value.pop("control")
    assert value == {"queue": fleet.url, "changed": False, "paused": True, "rate": "5/m",
                     "cancelled": fleet.tags()["bunshin:cancelled"].split()}
    # Tags by hand, and what is wrong with them.
    fleet.sqs.call("TagQueue", QueueUrl=fleet.url, Tags={"bunshin:rate": "fast", "team": "x"})
    result = fleet.campaign("control")
    assert 'tag bunshin:rate: expected a rate like 500/s, got "fast"' in result.err
    fleet.campaign("rate", "off", "--no-wait")
    fleet.campaign("resume", "--no-wait")
    assert set(fleet.tags()) == {"team", "bunshin:cancelled"}


def test_a_full_tag_says_what_to_forget(bunshin):
    fleet = Fleet(bunshin)
    for n in range(18):
        fleet.campaign("cancel", f"campaign-{n:03d}x", "--no-wait")
    result = fleet.campaign("cancel", "one-more-campaign", "--no-wait", code=1)
    assert "no room" in result.err and "campaign-000x campaign-001x" in result.err
    assert "--undo" in result.err
    fleet.campaign("cancel", "campaign-000x", "--undo", "--no-wait")
    fleet.campaign("cancel", "one-more", "--no-wait")
    assert fleet.tags()["bunshin:cancelled"].split()[-1] == "one-more"


@pytest.mark.parametrize("arguments, words", [
    (["pause"], "--queue-url is missing"),
    (["pause", "--queue-url", "nonsense"], "is no queue URL"),
    (["rate", "--queue-url", "URL"], "expected: bunshin campaign rate N/s|N/m|N/h|off"),
    (["rate", "fast", "--queue-url", "URL"], "expected a rate like 500/s"),
    (["rate", "0/s", "--queue-url", "URL"], "`bunshin campaign pause` stops all"),
    (["cancel", "--queue-url", "URL"], "expected: bunshin campaign cancel NAME"),
    (["cancel", "", "--queue-url", "URL"], "name is empty"),
    (["pause", "--queue-url", "URL", "--results-url", "x"], "--results-url"),
])
def test_wrong_usage(bunshin, arguments, words):
    url = "http://127.0.0.1:1/000000000000/q"
    result = bunshin.run("campaign", *[url if a == "URL" else a for a in arguments])
    assert result.exit == 2, result
    assert words in result.err


def test_a_queue_that_is_not_there(bunshin):
    url = bunshin.queue().url + "/000000000000/none"
    result = bunshin.run("campaign", "pause", "--queue-url", url)
    assert result.exit == 1
    assert "cannot read the queue's tags" in result.err and "QueueDoesNotExist" in result.err


def type_into(bunshin, fleet, answer, *arguments):
    """Runs a verb on a terminal of its own and types; (exit code, what it showed)."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [bunshin.binary, "campaign", *arguments, "--queue-url", fleet.url], stdin=follower,
        stdout=follower, stderr=follower, env=bunshin.environment, cwd=bunshin.directory,
        start_new_session=True, preexec_fn=lambda: __import__("fcntl").ioctl(0, 0x540E, 0))
    os.close(follower)
    text = b""
    while b"to cancel it: " not in text:
        text += os.read(leader, 4096)
    os.write(leader, answer.encode())
    while True:
        try:
            more = os.read(leader, 4096)
        except OSError:
            break
        if not more:
            break
        text += more
    os.close(leader)
    return process.wait(), text.decode()


def test_cancel_asks_on_a_terminal(bunshin):
    fleet = Fleet(bunshin)
    code, text = type_into(bunshin, fleet, "yes\n", "cancel", "morning", "--no-wait")
    assert code == 1 and "not confirmed; nothing was changed" in text
    assert fleet.tags() == {}
    code, text = type_into(bunshin, fleet, "morning\n", "cancel", "morning", "--no-wait")
    assert code == 0 and "is cancelled: what is left" in text
    assert fleet.tags() == {"bunshin:cancelled": "morning"}


def test_cancel_knows_the_journal(bunshin):
    fleet = Fleet(bunshin)
    rows = bunshin.directory / "list.csv"
    rows.write_text("to\n" + "".join(f"U{n}\n" for n in range(30)), encoding="utf-8")
    sent = bunshin.run("campaign", "send", "--queue-url", fleet.url, "--recipients", rows,
                       "--name", "morning", "--key", "to")
    assert sent.exit == 0, sent
    result = fleet.campaign("cancel", "morning", "--no-wait", "--dir", bunshin.directory)
    assert "it has put 30 messages into the queue" in result.out


def in_force(text):
    match = re.search(r"in force on (\d+) of (\d+) workers after ([\d.]+) s", text)
    assert match, text
    return int(match[1]), int(match[2])


def test_the_time_until_it_took_effect(bunshin):
    """Out of the results queue, read by the verb itself."""
    fleet = Reported(bunshin, "--latency", "20-60")
    fleet.start(destination={"concurrency": 20, "rate": "300/s"})
    fleet.send(12000)
    wait_for(lambda: len(fleet.sink.records()) > 300, "the first sends")
    options = ("--results-url", fleet.results)
    assert in_force(fleet.campaign("rate", "100/s", *options).out) == (5, 5)
    value = json.loads(fleet.campaign("pause", *options, "--json").out)
    assert (value["workers"], value["in_force"]) == (5, 5)
    assert value["seconds"] >= 0 and value["paused"] and value["rate"] == "100/s"
    fleet.wait_until_paused()
    sent = len(fleet.sink.records())
    time.sleep(2)
    assert len(fleet.sink.records()) == sent
    assert "in force   on 5 of 5" in fleet.campaign("control", *options).out
    fleet.campaign("rate", "off", "--no-wait")
    fleet.campaign("cancel", "morning", "--no-wait")
    assert in_force(fleet.campaign("resume", *options).out) == (5, 5)
    fleet.wait_until_empty()
    # What the workers know is in the results queue a moment later.
    watch = ("campaign", "watch", "morning", "--total", "12000", "--once", "--json", *options)
    tally = wait_for(lambda: (found := json.loads(bunshin.run(*watch).out))["waiting"] == 0 and found,
                     "every outcome")
    assert tally["accepted"] + tally["cancelled"] == 12000 and tally["cancelled"] > 0, tally


def test_out_of_what_campaign_watch_collects(bunshin):
    fleet = Reported(bunshin, "--latency", "20-60")
    fleet.start(destination={"concurrency": 20, "rate": "300/s"})
    fleet.send(6000)
    watch = bunshin.start("campaign", "watch", "morning", "--total", "6000", "--results-url",
                          fleet.results, "--json")
    wait_for(lambda: '"workers":5' in watch.out(), "all workers in the results")
    assert in_force(fleet.campaign("pause", "--dir", bunshin.directory).out) == (5, 5)
    wait_for(lambda: '"paused"' in watch.out(), "watch says so, too")
    fleet.campaign("cancel", "morning", "--no-wait")
    assert in_force(fleet.campaign("resume").out) == (5, 5)
    fleet.wait_until_empty()
    assert watch.terminate() == 0


def test_tags_that_may_not_be_read(bunshin):
    """Told once; delivery goes on, and nothing is asked."""
    with make_world(bunshin) as world:
        world.aws.fail("sqs.ListQueueTags", status=403, code="AccessDenied")
        worker = world.run(world.aws.ring.issue().environment)
        world.aws.send(QUEUE, ["a", "b"])
        wait_for(lambda: len(world.provider.bodies) == 2, "both are sent")
        assert world.metric(worker, "bunshin_control_readable") == 0
        told = [line for line in worker.log() if "sqs:ListQueueTags" in line["message"]]
        assert len(told) == 1 and told[0]["level"] == "warn"
        assert worker.terminate() == 0


def test_tags_that_cannot_be_read_now(bunshin):
    """No worker begins without having read them once; what they asked last holds afterwards."""
    with make_world(bunshin) as world:
        fault = world.aws.fail("sqs.ListQueueTags", status=503, code="ServiceUnavailable")
        worker = world.run(world.aws.ring.issue().environment)
        world.aws.send(QUEUE, ["a"])
        wait_for(lambda: "not receiving yet" in worker.err(), "the reason in the log")
        assert world.provider.bodies == []
        world.aws.sqs.queues[QUEUE].tags["bunshin:rate"] = "1000/s"
        world.aws.heal(fault)
        wait_for(lambda: world.provider.bodies == ["a"], "it is sent")
        fault = world.aws.fail("sqs.ListQueueTags", status=503, code="ServiceUnavailable")
        for number in range(12):
            world.aws.send(QUEUE, [str(number)])
            time.sleep(1)
        wait_for(lambda: len(world.provider.bodies) == 13, "all are sent")
        assert world.metric(worker, "bunshin_control_rate") == 1000
        assert "what they asked last holds" in worker.err()
        world.aws.heal(fault)
        assert worker.terminate() == 0
