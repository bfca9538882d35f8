"""`bunshin dlq`: failures that a worker made, or SQS moved, are listed, shown, sent back, purged."""

import json
import re
import signal
import threading
import time
from pathlib import Path

import pytest

from harness import wait_for
from sqs_proxy import SqsProxy
from terminal import Terminal

ARN = "arn:aws:sqs:us-east-1:000000000000:"
PAST_MS = 1_600_000_000_000
FUTURE_MS = 4_000_000_000_000


class Failures:
    """A queue, "morning", and its failure queue, "failed"."""

    def __init__(self, bunshin, endpoint=None, redrive=True):
        self.bunshin = bunshin
        self.sqs = bunshin.queue().sqs()
        self.url = self.sqs.create_queue("failed")
        attributes = {"RedrivePolicy": json.dumps(
            {"deadLetterTargetArn": ARN + "failed", "maxReceiveCount": 5})} if redrive else {}
        self.source = self.sqs.call("CreateQueue", QueueName="morning",
                                    Attributes=attributes)["QueueUrl"]
        self.endpoint = endpoint or self.sqs.url

    def start(self, verb, *arguments, **options):
        return self.bunshin.start("dlq", verb, "--queue-url", self.url, "--endpoint", self.endpoint,
                                  *arguments, **options)

    def run(self, verb, *arguments, **options):
        return self.bunshin.run("dlq", verb, "--queue-url", self.url, "--endpoint", self.endpoint,
                                *arguments, **options)

    def json(self, verb, *arguments, code=0):
        result = self.run(verb, "--json", *arguments)
        assert result.exit == code, result
        return json.loads(result.out)

    def put(self, body, reason="refused by the provider", status=400, campaign=None,
            deadline_ms=None, **more):
        """A copy as a worker makes it."""
        values = {"FailureReason": ("String", reason), "FailureStatus": ("Number", str(status)),
                  "IdempotencyKey": ("String", f"key-{body}"), "Attempts": ("Number", "1"),
                  "FirstReceived": ("Number", "1795695725628")}
        if campaign:
            values["Campaign"] = ("String", campaign)
        if deadline_ms:
            values["Deadline"] = ("Number", str(deadline_ms))
        values.update({name: ("String", value) for name, value in more.items()})
        self.sqs.call("SendMessage", QueueUrl=self.url, MessageBody=body, MessageAttributes={
            name: {"DataType": kind, "StringValue": value}
            for name, (kind, value) in values.items()})

    def bodies(self, url):
        """Every visible message, which is then held."""
        found = []
        while messages := self.sqs.receive(url, VisibilityTimeout=600):
            found += messages
        return found


@pytest.fixture
def failures(bunshin):
    return Failures(bunshin)


def names(messages):
    return sorted(message["Body"] for message in messages)


def attributes(message):
    return {name: value.get("StringValue") for name, value in
            message.get("MessageAttributes", {}).items()}


# made by a worker

def run_worker(failures, sink, **sections):
    queue = {"failure_url": failures.url, "wait": "1s"}
    config = failures.bunshin.config(failures.source, sink.url, queue=queue, **sections)
    worker = failures.bunshin.run("run", "-c", config, "--exit-when-empty")
    assert worker.exit == 0, worker


def test_from_the_worker_and_back(failures, bunshin, tmp_path):
    """Failures of two campaigns; one of them goes back, with its keys, and is delivered."""
    refusing = bunshin.sink("--status", "422")
    for campaign in ("breakfast", "lunch"):
        failures.sqs.send(failures.source, [f"{campaign}-{i}" for i in range(12)],
                                {"Campaign": campaign, "Destination": "sink"})
    request = {"headers": {"X-Key": "{{idempotency_key}}"}}
    ledger = {"path": str(tmp_path / "ledger")}
    run_worker(failures, refusing, request=request, ledger=ledger)
    keys = {record["headers"]["x-key"] for record in lower(refusing.records())}
    assert len(keys) == 24

    listed = failures.json("list")
    assert (listed["visible"], listed["seen"], listed["complete"]) == (24, 24, True)
    assert [(group["campaign"], group["count"], group["status"], group["origin"])
            for group in sorted(listed["groups"], key=lambda group: group["campaign"])] == [
        ("breakfast", 12, 422, "worker"), ("lunch", 12, 422, "worker")]
    text = failures.run("list", "--campaign", "lunch")
    assert "failed: 24 of about 24 messages seen\n12 match\n" in text.out
    assert "refused by the provider (status 422)" in text.out
    assert failures.sqs.counts(failures.url) == (24, 0, 0)

    sent = failures.json("redrive", "--campaign", "lunch", "--yes")
    assert (sent["sent"], sent["matched"], sent["unsent"], sent["undeleted"]) == (12, 12, 0, 0)
    assert failures.sqs.counts(failures.url) == (12, 0, 0)
    assert failures.sqs.counts(failures.source) == (12, 0, 0)
    accepting = bunshin.sink()
    run_worker(failures, accepting, request=request, ledger=ledger)
    delivered = lower(accepting.records())
    assert sorted(record["body"] for record in delivered) == sorted(f"lunch-{i}" for i in range(12))
    assert {record["headers"]["x-key"] for record in delivered} < keys
    assert failures.sqs.counts(failures.url) == (12, 0, 0)
    # what was accepted once is not sent again, should the redrive have died before its delete
    failures.sqs.call("SendMessage", QueueUrl=failures.url, MessageBody="lunch-0",
                      MessageAttributes={
                          "FailureReason": {"DataType": "String", "StringValue": "again"},
                          "IdempotencyKey": {"DataType": "String", "StringValue":
                                             key_of(delivered, "lunch-0")}})
    assert failures.json("redrive", "--reason", "again", "--yes")["sent"] == 1
    run_worker(failures, accepting, request=request, ledger=ledger)
    assert len(accepting.records()) == 12


def lower(records):
    for record in records:
        record["headers"] = {name.lower(): value for name, value in record["headers"].items()}
    return records


def key_of(records, body):
    return next(record["headers"]["x-key"] for record in records if record["body"] == body)


def test_moved_by_the_redrive_policy(failures):
    failures.sqs.send(failures.source, ["m0", "m1"])
    keys = {}
    for _ in range(5):
        for message in failures.sqs.receive(failures.source, VisibilityTimeout=0):
            keys[message["Body"]] = message["MessageId"]
    assert failures.sqs.receive(failures.source) == []
    (group,) = failures.json("list")["groups"]
    assert (group["reason"], group["origin"], group["count"]) == (
        "moved by SQS after 5 receives", "redrive policy", 2)
    assert failures.json("redrive", "--yes")["sent"] == 2
    messages = failures.bodies(failures.source)
    assert names(messages) == ["m0", "m1"]
    # the key by which the workers of that queue have known it: of its URL and its first id
    import uuid
    for message in messages:
        assert attributes(message) == {"IdempotencyKey": str(uuid.uuid5(
            uuid.NAMESPACE_URL, failures.source + keys[message["Body"]]))}


# looking

def test_groups_are_exact(failures):
    for i in range(7):
        failures.put(f"a{i}", campaign="x")
    for i in range(5):
        failures.put(f"b{i}", status=404, campaign="x", deadline_ms=PAST_MS)
    for i in range(3):
        failures.put(f"c{i}", reason="attempts exhausted", status=503, Destination="sms")
    groups = failures.json("list")["groups"]
    assert [(g["count"], g["reason"], g["status"], g.get("campaign"), g.get("destination"),
             g["past_deadline"]) for g in groups] == [
        (7, "refused by the provider", 400, "x", None, 0),
        (5, "refused by the provider", 404, "x", None, 5),
        (3, "attempts exhausted", 503, None, "sms", 0)]
    assert groups[0]["sample_body"] == "a0" and len(groups[0]["message_ids"]) == 3
    for arguments, counts in (
            (["--reason", "EXHAUSTED"], [3]), (["--status", "404"], [5]), (["--status", "0"], []),
            (["--campaign", "x"], [7, 5]), (["--destination", "sms", "--campaign", "x"], []),
            (["--id", groups[1]["message_ids"][0]], [1]), (["--limit", "4"], [4])):
        listed = failures.json("list", *arguments)
        assert [group["count"] for group in listed["groups"]] == counts, arguments
        assert listed["matched"] == sum(counts)
    assert failures.sqs.counts(failures.url) == (15, 0, 0)


def test_show_prints_all_there_is(failures):
    failures.put("x" * 3000, campaign="morning", deadline_ms=PAST_MS, FailureBody='{"e": 1}')
    failures.put("second", campaign="evening")
    result = failures.run("show", "--campaign", "morning")
    assert result.exit == 0
    for line in ("  reason           refused by the provider", "  status           400",
                 '  answer           {"e": 1}', "  attempts         1",
                 "  first received   2026-11-26T12:22:05.628Z",
                 "  deadline         2020-09-13T12:26:40.000Z, past",
                 "  attribute        Campaign (String): morning",
                 "  body             " + "x" * 1024 + "... (3000 bytes in all)"):
        assert line in result.out.splitlines(), line
    assert "second" not in result.out and "FailureReason" not in result.out
    message_id = re.match("message ([0-9a-f-]{36})", result.out)[1]
    one = failures.run("show", "--id", message_id)
    assert "x" * 3000 in one.out and one.exit == 0
    shown = json.loads(failures.run("show", "--id", message_id, "--json").out)
    assert (shown["body"], shown["past_deadline"], shown["receives"]) == ("x" * 3000, True, 3)
    assert shown["attributes"]["Campaign"] == {"type": "String", "value": "morning"}
    missing = failures.run("show", "--id", "none")
    assert missing.exit == 1 and "message none is not among them" in missing.err
    lines = failures.run("show", "--json").out.splitlines()
    assert [json.loads(line)["body"][:6] for line in lines] == ["x" * 6, "second"]
    assert failures.sqs.counts(failures.url) == (2, 0, 0)


def test_nothing_of_it_reaches_the_terminal(failures):
    """What a provider or a message says moves no cursor and forges no line."""
    hostile = "red\u009b31m \u202egnirts\n\tforged\r"
    failures.put("body \u009b2J\nline", reason=hostile, campaign=hostile, FailureBody=hostile,
                 Destination="\u2066x")
    for arguments in (["list"], ["show"]):
        out = failures.run(*arguments).out
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", out)
        assert "\nforged" not in out and "\\n\\tforged\\r" in out
    for verb in ("list", "show"):
        out = failures.run(verb, "--json").out
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", out)
        assert json.loads(out)


def test_others_hold_some(failures):
    for i in range(5):
        failures.put(f"m{i}")
    failures.sqs.receive(failures.url, 2, VisibilityTimeout=600)
    failures.sqs.call("SendMessage", QueueUrl=failures.url, MessageBody="later", DelaySeconds=600)
    result = failures.run("list")
    assert result.out.startswith("failed: 3 of about 3 messages seen\n"
                                 "2 in flight, held by another reader: not seen\n"
                                 "1 delayed: not seen\n")
    assert failures.sqs.counts(failures.url) == (3, 2, 1)


def test_a_redrive_policy_of_its_own_is_warned_about(failures):
    failures.sqs.create_queue("graveyard")
    failures.sqs.call("SetQueueAttributes", QueueUrl=failures.url, Attributes={
        "RedrivePolicy": json.dumps({"deadLetterTargetArn": ARN + "graveyard",
                                     "maxReceiveCount": 7})})
    assert ("warning: failed has a redrive policy itself: what is received more than 7 times, by "
            "looking too, moves on to graveyard") in failures.run("list").err


class Interrupting(SqsProxy):
    """Sends a signal to `victim` with the answer to its k-th receive that brings something."""

    def __init__(self, url, at):
        super().__init__(url)
        self.at, self.victim, self.ready = at, None, threading.Event()

    def _note_receives(self, answer):
        super()._note_receives(answer)
        if answer.get("Messages"):
            self.at -= 1
            if self.at == 0:
                self.ready.wait()
                self.victim.signal(signal.SIGINT)


@pytest.mark.parametrize("verb", [["list"], ["show", "--limit", "1000"],
                                  ["purge", "--yes", "--reason", "no such"]])
def test_ctrl_c_gives_back(failures, verb):
    for start in range(0, 200):
        failures.put(f"m{start}")
    with Interrupting(failures.sqs.url, 3) as proxy:
        failures.endpoint = proxy.url
        proxy.victim = failures.start(*verb)
        proxy.ready.set()
        assert proxy.victim.wait() == 1
    assert "(interrupted)" in proxy.victim.out() + proxy.victim.err()
    assert failures.sqs.counts(failures.url) == (200, 0, 0)


def test_ten_thousand(failures):
    """All are seen, once; what is held meanwhile are handles and hashes, not bodies."""
    body = "x" * 4000
    for start in range(0, 10_000, 10):
        failures.sqs.call("SendMessageBatch", QueueUrl=failures.url, Entries=[
            {"Id": str(i), "MessageBody": f"{start + i} {body}", "MessageAttributes": {
                "FailureReason": {"DataType": "String",
                                  "StringValue": f"reason {(start + i) % 7}"}}}
            for i in range(10)])
    process = failures.start("list", "--json")
    peak = 0
    while process.exit is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            break
        match = re.search(r"VmHWM:\s+(\d+) kB", status)
        peak = max(peak, int(match[1]) if match else 0)
        time.sleep(0.02)
    assert process.wait() == 0
    listed = json.loads(process.out())
    assert (listed["seen"], listed["complete"]) == (10_000, True)
    assert sorted(group["count"] for group in listed["groups"]) == [1428] * 3 + [1429] * 4
    assert failures.sqs.counts(failures.url) == (10_000, 0, 0)
    # 40 MB of bodies went by; sanitizers take several times what the program does
    assert peak < 400_000


# sending back

def test_past_the_deadline_is_refused_or_forced(failures):
    failures.put("late", deadline_ms=PAST_MS, campaign="c")
    failures.put("good", deadline_ms=FUTURE_MS, campaign="c")
    result = failures.run("redrive", "--yes")
    assert result.exit == 1
    assert "1 sent to morning\n1 past the deadline, left here" in result.out
    assert failures.sqs.counts(failures.url) == (1, 0, 0)
    (good,) = failures.bodies(failures.source)
    assert attributes(good) == {"Campaign": "c", "IdempotencyKey": "key-good",
                                "Deadline": str(FUTURE_MS)}
    forced = failures.json("redrive", "--yes", "--force")
    assert (forced["sent"], forced["past_deadline"], forced["refused"]) == (1, 1, 0)
    (late,) = failures.bodies(failures.source)
    assert attributes(late) == {"Campaign": "c", "IdempotencyKey": "key-late"}
    assert failures.sqs.counts(failures.url) == (0, 0, 0)


def test_the_limit_is_about_what_is_sent(failures):
    for i in range(5):
        failures.put(f"late{i}", deadline_ms=PAST_MS)
    for i in range(5):
        failures.put(f"good{i}")
    result = failures.json("redrive", "--yes", "--limit", "3", code=1)
    assert (result["sent"], result["refused"]) == (3, 5)
    assert failures.sqs.counts(failures.url) == (7, 0, 0)


def test_where_it_goes(bunshin):
    """Without a source, or with two, the target must be named."""
    failures = Failures(bunshin, redrive=False)
    failures.put("m")
    result = failures.run("redrive", "--yes")
    assert result.exit == 2 and "no queue has failed as its dead-letter queue" in result.err
    result = failures.run("redrive", "--yes", "--whole")
    assert result.exit == 2 and "by its redrive policy, and failed is none" in result.err
    policy = {"RedrivePolicy": json.dumps({"deadLetterTargetArn": ARN + "failed",
                                           "maxReceiveCount": 1})}
    for name in ("a", "b"):
        failures.sqs.call("CreateQueue", QueueName=name, Attributes=policy)
    result = failures.run("redrive", "--yes")
    assert result.exit == 2
    assert f"{failures.sqs.url}/000000000000/a\n  {failures.sqs.url}/000000000000/b" in result.err
    result = failures.run("redrive", "--yes", "--to", failures.url)
    assert result.exit == 2 and "--to is the failure queue itself" in result.err
    result = failures.run("redrive", "--yes", "--to", failures.source + "x")
    assert result.exit == 1 and "QueueDoesNotExist" in result.err
    assert failures.json("redrive", "--yes", "--to", failures.source)["sent"] == 1
    assert names(failures.bodies(failures.source)) == ["m"]


def test_as_a_whole(failures):
    for i in range(30):
        failures.put(f"m{i}", deadline_ms=PAST_MS)
    result = failures.run("redrive", "--whole", "--yes")
    assert result.exit == 0
    assert result.out == "completed: 30 of about 30 moved to morning\n"
    assert failures.sqs.counts(failures.source) == (30, 0, 0)
    (task,) = failures.json("redrive", "--tasks")["tasks"]
    assert (task["status"], task["moved"], task["destination_arn"]) == (
        "completed", 30, ARN + "morning")


def test_a_whole_move_is_left_and_cancelled(failures):
    for i in range(30):
        failures.put(f"m{i}")
    process = failures.start("redrive", "--whole", "--yes", "--rate", "2/s")
    wait_for(lambda: failures.sqs.counts(failures.source)[0] >= 2, "the first moves")
    process.signal(signal.SIGINT)
    assert process.wait() == 1
    assert f"bunshin dlq redrive --queue-url {failures.url} --tasks" in process.err()
    tasks = failures.run("redrive", "--tasks")
    assert re.search(r"running     \d+ of about 30 moved to morning\n", tasks.out), tasks
    again = failures.run("redrive", "--whole", "--yes")
    assert again.exit == 1 and "There is already a task running" in again.err
    assert re.match(r"cancelled; about \d+ moved before\n", failures.run("redrive", "--cancel").out)
    wait_for(lambda: failures.json("redrive", "--tasks")["tasks"][0]["status"] == "cancelled",
             "the end")
    visible = failures.sqs.counts(failures.url)[0]
    assert 0 < visible < 30 and failures.sqs.counts(failures.source)[0] == 30 - visible
    result = failures.run("redrive", "--cancel")
    assert result.exit == 1 and "no move is under way" in result.err


def test_a_move_that_fails_says_what_to_do(failures):
    """With two sources SQS must know where each came from, and of a copy it does not."""
    failures.sqs.call("CreateQueue", QueueName="evening", Attributes={
        "RedrivePolicy": json.dumps({"deadLetterTargetArn": ARN + "failed", "maxReceiveCount": 5})})
    failures.put("m")
    result = failures.run("redrive", "--whole", "--yes")
    assert result.exit == 1
    assert "failed: 0 of about 1 moved to the queues they came from: " in result.out
    assert "CouldNotDetermineMessageSource (SQS does not know" in result.out
    assert failures.run("redrive", "--whole", "--yes", "--to", failures.source).exit == 0


class Cutting(SqsProxy):
    """
    kill -9 of `victim` at the k-th request: before it is passed on, or after it was carried out and
    before the answer.
    """

    def __init__(self, url, at, after):
        super().__init__(url)
        self.at, self.after, self.calls = at, after, 0
        self.victim, self.ready = None, threading.Event()

    def _pass_on(self, handler):
        try:
            super()._pass_on(handler)
        except OSError:
            pass  # nobody is there any more

    def _ask(self, body, headers):
        with self._lock:
            self.calls += 1
            cut = self.calls == self.at
        if cut and not self.after:
            self._kill()
            raise OSError
        answer = super()._ask(body, headers)
        if cut:
            self._kill()
        return answer

    def _kill(self):
        self.ready.wait()
        self.victim.kill()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_kill_9_at_every_call(bunshin, after):
    """Whatever was deleted has been sent before, and what was not chosen never moves."""
    count, at, ended = 23, 0, False
    failures = Failures(bunshin)
    while not ended:
        at += 1
        for url in (failures.url, failures.source):  # a fresh pair; a purge would have to wait
            failures.sqs.call("DeleteQueue", QueueUrl=url)
        failures.url = failures.sqs.create_queue(f"failed-{at}")
        failures.source = failures.sqs.create_queue(f"morning-{at}")
        for i in range(count):
            failures.put(f"m{i}", campaign="odd" if i % 2 else "even")
        with Cutting(failures.sqs.url, at, after) as proxy:
            failures.endpoint = proxy.url
            proxy.victim = failures.start("redrive", "--campaign", "odd", "--yes", "--to",
                                          failures.source)
            proxy.ready.set()
            code = proxy.victim.wait()
            ended = code == 0
            assert ended or code == -signal.SIGKILL, proxy.victim.describe()
        sent = {message["Body"] for message in failures.bodies(failures.source)}
        deleted = {body for body, _ in proxy.deletes}
        assert deleted <= sent
        assert sent <= {f"m{i}" for i in range(1, count, 2)}
        assert sum(failures.sqs.counts(failures.url)) >= count - len(deleted)
    assert at > 20 and len(sent) == count // 2


# deleting

def test_purge_of_a_selection(failures):
    for i in range(6):
        failures.put(f"m{i}", campaign="a" if i < 4 else "b")
    assert failures.json("purge", "--campaign", "a", "--limit", "1", "--yes")["deleted"] == 1
    result = failures.run("purge", "--campaign", "a", "--yes")
    assert (result.exit, result.out) == (0, "failed: 5 of about 5 messages seen\n3 deleted\n")
    assert names(failures.bodies(failures.url)) == ["m4", "m5"]


def test_purge_of_all(failures):
    for i in range(6):
        failures.put(f"m{i}")
    failures.sqs.receive(failures.url, 1)
    purged = failures.json("purge", "--yes")
    assert purged == {"queue": failures.url, "purged": True, "about": 6}
    assert failures.sqs.counts(failures.url) == (0, 0, 0)
    again = failures.run("purge", "--yes")
    assert again.exit == 75 and "PurgeQueueInProgress" in again.err


# asking

def on_terminal(failures, tmp_path, *arguments):
    return Terminal(failures.bunshin, tmp_path, "dlq", *arguments, "--queue-url", failures.url)


def test_a_redrive_is_confirmed_by_name(failures, tmp_path):
    failures.put("late", deadline_ms=PAST_MS)
    for i in range(3):
        failures.put(f"m{i}")
    terminal = on_terminal(failures, tmp_path, "redrive")
    terminal.read_until("Type the queue's name, morning, to go on: ")
    assert ("3 messages to send to morning; 1 past the deadline stay here." in
            terminal.shown)
    assert failures.sqs.counts(failures.source) == (0, 0, 0)
    terminal.type("morning\n")
    code, out = terminal.end()
    assert code == 1 and "3 sent to morning" in out
    assert failures.sqs.counts(failures.source) == (3, 0, 0)


@pytest.mark.parametrize("verb, word", [
    (["redrive"], "morning"), (["redrive", "--whole"], "failed"), (["purge"], "failed"),
    (["purge", "--campaign", "x"], "failed")])
@pytest.mark.parametrize("typed", ["y\n", "\x03", "\x04"])
def test_anything_else_changes_nothing(failures, tmp_path, verb, word, typed):
    failures.put("m", campaign="x")
    terminal = on_terminal(failures, tmp_path, *verb)
    terminal.read_until(f"name, {word}, to go on: ")
    terminal.type(typed)
    code, out = terminal.end()
    assert (code, out) == (1, "") and "not confirmed; nothing was changed" in terminal.shown
    assert failures.sqs.counts(failures.url) == (1, 0, 0)
    assert failures.sqs.counts(failures.source) == (0, 0, 0)


def test_a_purge_is_confirmed_by_name(failures, tmp_path):
    failures.put("m")
    terminal = on_terminal(failures, tmp_path, "purge")
    terminal.read_until("About 1 message to delete for good, those in flight included.")
    terminal.read_until("to go on: ")
    terminal.type("failed\n")
    assert terminal.end()[0] == 0
    assert failures.sqs.counts(failures.url) == (0, 0, 0)


def test_nobody_to_ask(failures):
    failures.put("m")
    for verb in (["redrive"], ["redrive", "--whole"], ["purge"], ["purge", "--status", "400"]):
        result = failures.run(*verb)
        assert result.exit == 2 and "--yes goes on without" in result.err
    assert failures.sqs.counts(failures.url) == (1, 0, 0)


def test_nothing_matches(failures, tmp_path):
    failures.put("m")
    for verb in ("redrive", "purge"):
        terminal = on_terminal(failures, tmp_path, verb, "--campaign", "none")
        assert terminal.end()[0] == 0 and "no message matches; nothing was" in terminal.shown


@pytest.mark.parametrize("arguments, words", [
    ([], "expected one of"), (["lists"], 'unknown verb "lists"'),
    (["list"], "--queue-url is missing"), (["list", "--queue-url", "x"], "is not a queue URL"),
    (["list", "--queue-url", "http://h/1/q", "--status", "1000"], "from 0 to 999"),
    (["list", "--queue-url", "http://h/1/q", "--limit", "0"], "from 1 to"),
    (["redrive", "--queue-url", "http://h/1/q", "--rate", "0/s"], "from 1/s to 100000/s"),
    (["redrive", "--queue-url", "http://h/1/q", "--rate", "many"], 'got "many"'),
    (["redrive", "--queue-url", "http://h/1/q", "--whole", "--rate", "501/s"], "to 500/s"),
    (["redrive", "--queue-url", "http://h/1/q", "--whole", "--campaign", "x"], "no selection"),
    (["redrive", "--queue-url", "http://h/1/q", "--tasks", "--limit", "3"], "no selection"),
    (["redrive", "--queue-url", "http://h/1/q", "--whole", "--cancel"], "exclude each other"),
    (["redrive", "--queue-url", "http://h/1/q", "--whole", "--force"], "as they are"),
    (["purge", "--queue-url", "http://h/1/q", "extra"], 'unexpected argument "extra"'),
])
def test_wrong_usage(bunshin, arguments, words):
    result = bunshin.run("dlq", *arguments)
    assert result.exit == 2 and result.out == ""
    assert words in result.err or arguments == []


def test_errors_of_the_queue(bunshin):
    sqs = bunshin.queue().sqs()
    result = bunshin.run("dlq", "list", "--queue-url", f"{sqs.url}/000000000000/nope")
    assert result.exit == 1 and "QueueDoesNotExist" in result.err and result.out == ""
    result = bunshin.run("dlq", "list", "--queue-url", "http://127.0.0.1:9/1/q",
                         env={"AWS_MAX_ATTEMPTS": "1"})
    assert result.exit == 75 and "connect" in result.err
