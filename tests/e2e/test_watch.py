"""`bunshin campaign watch`: results come in by a queue or by logs, and the figures always sum."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import termios
import threading
import time
import uuid

import pytest

from harness import PATIENCE_S, read_jsonl, refusing_socket, wait_for

PARTS = ("waiting", "in_flight", "accepted", "retrying", "failed", "expired", "cancelled")


def now_ms():
    return int(time.time() * 1000)


def record(outcome="accepted", key=None, campaign="morning", **members):
    """A line of results/record.h."""
    value = {"v": 1, "outcome": outcome, "key": key or str(uuid.uuid4()), "campaign": campaign,
             "destination": "line", "message_id": str(uuid.uuid4()), "attempts": 1,
             "first": now_ms() - 1000, "last": now_ms(), **members}
    return json.dumps(value) + "\n"


def status(worker="host:1", **members):
    value = {"v": 1, "worker": worker, "at": now_ms(), "in_flight": 5, "slots": 10, "waiting": 2,
             "accepted": 7, "limit": "rate", "control": "", **members}
    return json.dumps(value) + "\n"


def assert_sums(value):
    assert value["total"] == sum(value[part] for part in PARTS), value


class Results:
    """A results queue, filled without the program's own codecs."""

    def __init__(self, server):
        self.sqs = server.sqs()
        self.url = self.sqs.create_queue("results", VisibilityTimeout=5)

    def put(self, *bodies):
        self.sqs.send(self.url, bodies)

    def left(self):
        return sum(self.sqs.counts(self.url))


@pytest.fixture
def results(bunshin):
    return Results(bunshin.queue())


def watch(bunshin, *arguments, name="morning", **options):
    return bunshin.start("campaign", "watch", name, *arguments, **options)


def once(bunshin, *arguments, name="morning", **options):
    result = bunshin.run("campaign", "watch", name, *arguments, "--once", "--json", **options)
    assert result.exit == 0, result
    value = json.loads(result.out)
    assert_sums(value)
    return value


def test_a_results_queue_is_read_once(bunshin, results):
    results.put(record() + record() + status(), record("failed", status=400, reason="refused",
                                                       request_id="r-1", key="k-1"),
                record("retrying", status=503, reason="unavailable"),
                record("expired"), record("cancelled"), record(campaign="evening"))
    value = once(bunshin, "--results-url", results.url, "--total", "10")
    assert [value[part] for part in PARTS] == [0, 4, 2, 1, 1, 1, 1], value
    assert value["total"] == 10 and not value["at_least"] and not value["done"]
    assert value["workers"] == 1 and value["limit"] == "rate"
    assert {(reason["outcome"], reason["status"], reason["reason"], reason["count"])
            for reason in value["reasons"]} == {
        ("failed", 400, "refused", 1), ("retrying", 503, "unavailable", 1), ("expired", 0, "", 1)}
    failed = next(r for r in value["reasons"] if r["outcome"] == "failed")
    assert failed["sample_key"] == "k-1" and failed["sample_request_id"] == "r-1"
    assert value["source"] == "queue" and value["trouble"] is None
    assert results.left() == 0
    # What is known is in the file: without a queue the same is shown, of any campaign.
    again = once(bunshin, "--total", "10")
    assert [again[part] for part in PARTS] == [value[part] for part in PARTS]
    assert again["source"] == "database"
    assert once(bunshin, name="evening")["accepted"] == 1


def test_the_same_record_again_changes_nothing(bunshin, results):
    lines = [record("retrying", key="a", attempts=1), record("accepted", key="a", attempts=2),
             record("failed", key="b"), record("suppressed", key="b")]
    for _ in range(3):
        results.put(*lines, "".join(reversed(lines)))
        value = once(bunshin, "--results-url", results.url)
        assert (value["accepted"], value["failed"], value["total"]) == (2, 0, 2), value
        assert value["at_least"] and not value["done"]


def test_poison_is_told_once_and_does_not_stay(bunshin, results):
    results.put("hello\x09world", '{"v":2}', "[]", record() + "nonsense\n")
    process = bunshin.run("campaign", "watch", "morning", "--results-url", results.url, "--once",
                          "--json")
    assert process.exit == 0, process
    value = json.loads(process.out)
    assert value["accepted"] == 1 and value["unreadable"] == 4
    assert process.err.count("holds no results") == 1, process.err
    assert results.left() == 0


def test_logs_of_this_host(bunshin):
    logs = bunshin.directory / "outcomes"
    logs.mkdir()
    (logs / "outcomes-0.jsonl").write_text(record() + record("failed", reason="x") + status())
    (logs / "outcomes-1.jsonl.3").write_text(record() + '{"v":1,"outcome":')
    assert once(bunshin, "--outcomes", logs)["total"] == 3
    with (logs / "outcomes-0.jsonl").open("a") as file:
        file.write(record())
    (logs / "outcomes-0.jsonl").rename(logs / "outcomes-0.jsonl.1")
    (logs / "outcomes-0.jsonl").write_text(record())
    value = once(bunshin, "--outcomes", logs)
    assert (value["accepted"], value["failed"], value["source"]) == (4, 1, "logs"), value


def test_it_goes_on_until_all_have_ended(bunshin, results):
    process = watch(bunshin, "--results-url", results.url, "--json", "--until-done", "--total",
                    "20", "--dir", ".")
    for _ in range(4):
        results.put(record() + record() + record() + status(), record("retrying", key="late"),
                    record())
    wait_for(lambda: read_jsonl(process.out_path)[-1:] and
             read_jsonl(process.out_path)[-1]["accepted"] == 16, "16 accepted")
    assert process.exit is None
    results.put(record(), record(), record(), record(key="late"))
    assert process.wait() == 0, process.describe()
    lines = read_jsonl(process.out_path)
    for line in lines:
        assert_sums(line)
    assert lines[-1]["done"] and lines[-1]["accepted"] == 20
    assert results.left() == 0


def test_the_exit_code_says_whether_all_were_accepted(bunshin, results):
    results.put(record("failed") + record())
    process = watch(bunshin, "--results-url", results.url, "--until-done", "--total", "2")
    assert process.wait() == 1, process.describe()
    assert "2 = waiting 0 + in flight 0 + accepted 1 + retrying 0 + failed 1" in process.out()
    assert watch(bunshin, "--until-done", "--total", "2").wait() == 1


def test_a_stop_keeps_what_was_received(bunshin, results):
    process = watch(bunshin, "--results-url", results.url, "--json")
    results.put(*[record() * 1 for _ in range(50)])
    wait_for(lambda: any(line["accepted"] == 50 for line in read_jsonl(process.out_path)),
             "50 accepted")
    process.signal(signal.SIGINT)
    assert process.wait() == 0, process.describe()
    wait_for(lambda: results.left() == 0, "an empty queue")
    assert process.err() == ""


def test_killed_in_the_middle_it_loses_nothing(bunshin, results):
    """Records flow while one watch after the other is killed; in the end each is there once."""
    total, sent = 4000, threading.Event()
    outcomes = ["accepted", "accepted", "failed", "expired"]

    def feed():
        lines = [record(outcomes[i % 4], key=f"k{i}") for i in range(total)]
        for start in range(0, total, 40):
            results.put(*["".join(lines[at:at + 4]) for at in range(start, start + 40, 4)])
            time.sleep(0.02)
        sent.set()

    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    kills = 0
    while not sent.is_set() or kills < 10:
        process = watch(bunshin, "--results-url", results.url, "--json")
        wait_for(lambda: process.out() or process.exit is not None, "a first line")
        time.sleep(0.013 * (kills % 30))
        process.kill()
        kills += 1
    feeder.join()
    process = watch(bunshin, "--results-url", results.url, "--json", "--until-done", "--total",
                    str(total))
    assert process.wait() == 1, process.describe()
    last = read_jsonl(process.out_path)[-1]
    assert_sums(last)
    assert (last["accepted"], last["failed"], last["expired"]) == (2000, 1000, 1000), last
    value = once(bunshin, "--results-url", results.url)
    assert value["total"] == total and kills >= 10
    wait_for(lambda: once(bunshin, "--results-url", results.url) and results.left() == 0,
             "an empty queue")


def test_killed_in_the_middle_of_logs(bunshin):
    logs = bunshin.directory / "outcomes"
    logs.mkdir()
    lines = [record(key=f"k{i}") for i in range(60000)]
    (logs / "outcomes-0.jsonl").write_text("".join(lines))
    for kills in range(12):
        process = watch(bunshin, "--outcomes", logs, "--json")
        time.sleep(0.02 + 0.03 * kills)
        process.kill()
    value = once(bunshin, "--outcomes", logs)
    assert value["accepted"] == value["total"] == 60000 and value["unreadable"] == 0


def test_a_second_watch_of_the_directory_only_reads(bunshin, results):
    first = watch(bunshin, "--results-url", results.url, "--json")
    wait_for(first.out, "a first line")
    second = watch(bunshin, "--results-url", results.url, "--json")
    wait_for(second.out, "a first line")
    assert "is being written by another bunshin; this one shows" in second.err()
    results.put(record() + record())
    for process in (first, second):
        wait_for(lambda p=process: any(line["accepted"] == 2 for line in read_jsonl(p.out_path)),
                 "2 accepted")
    assert read_jsonl(second.out_path)[-1]["source"] == "database"
    assert second.terminate() == 0
    assert first.terminate() == 0


def test_a_name_that_nobody_knows(bunshin, results):
    results.put(record(campaign="evening"))
    result = bunshin.run("campaign", "watch", "mornin", "--results-url", results.url, "--once")
    assert result.exit == 0, result
    assert 'nothing is known of a campaign "mornin" yet; there are evening' in result.err
    assert "0 ended; the total is not known" in result.out


@pytest.mark.parametrize("arguments,part", [
    ([], "expected: bunshin campaign watch NAME"),
    (["a", "b"], 'unexpected argument "b"'),
    (["a", "--results-url", "http://h/1/q", "--outcomes", "."], "one of them is enough"),
    (["a", "--results-url", "nonsense"], "is no queue URL"),
    (["a", "--once", "--until-done"], "exclude each other"),
    (["a", "--total", "0"], "--total"),
    (["a"], "there is no ./results.db; name the --results-url"),
])
def test_wrong_usage(bunshin, arguments, part):
    result = bunshin.run("campaign", "watch", *arguments)
    assert result.exit == 2 and part in result.err and result.out == "", result


def test_what_cannot_be_read_is_said(bunshin, results):
    missing = results.url + "-missing"
    for arguments in (["--once"], []):
        result = bunshin.run("campaign", "watch", "a", "--results-url", missing, *arguments)
        assert result.exit == 1 and "cannot read the results" in result.err, result
    with refusing_socket() as sock:
        url = f"http://127.0.0.1:{sock.getsockname()[1]}/000000000000/results"
        result = bunshin.run("campaign", "watch", "a", "--results-url", url, "--once")
        assert result.exit == 75 and "cannot read the results" in result.err, result
        process = watch(bunshin, "--results-url", url, "--json")
        wait_for(lambda: any(line["trouble"] for line in read_jsonl(process.out_path)),
                 "the trouble")
        assert process.terminate() == 0  # it may come up later
    result = bunshin.run("campaign", "watch", "a", "--outcomes", "/nowhere", "--once")
    assert result.exit == 1 and "cannot read the directory /nowhere" in result.err, result
    (bunshin.directory / "d").mkdir()
    (bunshin.directory / "d/results.db").write_text("not a database at all, but long enough" * 30)
    result = bunshin.run("campaign", "watch", "a", "--dir", "d", "--outcomes", ".")
    assert result.exit == 2 and "is no database of results" in result.err, result
    (bunshin.directory / "d/results.db").unlink()
    (bunshin.directory / "d/a.campaign").write_text("not a journal either" * 100)
    result = bunshin.run("campaign", "watch", "a", "--dir", "d", "--outcomes", ".")
    assert result.exit == 1 and "a.campaign" in result.err, result


# ---- a terminal


class Terminal:
    """A pseudo-terminal that a process writes to, and what one would see on it."""

    def __init__(self, bunshin, *arguments, columns=80, rows=24, env=None):
        self.columns, self.rows = columns, rows
        self.master, slave = pty.openpty()
        self.resize(columns, rows)
        self.text = ""
        pid = os.fork()
        if pid == 0:
            os.setsid()
            os.dup2(slave, 1)
            os.chdir(bunshin.directory)
            os.execve(bunshin.binary, [str(bunshin.binary), *map(str, arguments)],
                      {**bunshin.environment, "TERM": "xterm", "TZ": "UTC", **(env or {})})
        os.close(slave)
        self.pid = pid

    def resize(self, columns, rows):
        self.columns, self.rows = columns, rows
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self):
        while select.select([self.master], [], [], 0.05)[0]:
            try:
                data = os.read(self.master, 65536)
            except OSError:
                return self.text
            if not data:
                return self.text
            self.text += data.decode()
        return self.text

    def screen(self):
        """The lines that are shown: enough of a terminal for what the program writes."""
        lines, row, column = [""], 0, 0
        for token in re.findall(r"\x1b\[[0-9;]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", self.read()):
            if token == "\r":
                column = 0
            elif token == "\n":
                row += 1
                while row >= len(lines):
                    lines.append("")
            elif token.startswith("\x1b["):
                number = int(token[2:-1] or 0) if token[2:-1].isdigit() else 0
                kind = token[-1]
                if kind == "A":
                    assert number <= row, "the cursor left the screen"
                    row -= number
                elif kind == "K":
                    lines[row] = lines[row][:column]
                elif kind == "J" and number == 2:
                    lines, row, column = [""], 0, 0
                elif kind == "J":
                    lines = lines[:row] + [lines[row][:column]]
                elif kind == "H":
                    row = column = 0
                elif kind != "m":
                    raise AssertionError(f"unknown {token!r}")
            else:
                lines[row] = lines[row][:column].ljust(column) + token + \
                    lines[row][column + len(token):]
                column += len(token)
                assert column <= self.columns, "a line wraps"
        return [line for line in lines[-self.rows:]]

    def stop(self):
        os.kill(self.pid, signal.SIGINT)
        _, code = os.waitpid(self.pid, 0)
        self.read()
        os.close(self.master)
        return os.waitstatus_to_exitcode(code)


def test_the_display_rewrites_itself(bunshin, results):
    results.put(*[record() for _ in range(30)],
                *[record("failed", status=400, reason="a reason that is long " * 9, key=f"f{i}")
                  for i in range(3)], status(limit="provider"))
    terminal = Terminal(bunshin, "campaign", "watch", "morning", "--results-url", results.url,
                        "--total", "100")
    try:
        wait_for(lambda: any("33 of 100 ended" in line for line in terminal.screen()), "33 ended")
        screen = terminal.screen()
        assert screen[0] == "campaign morning"
        assert sum("accepted" in line and "by the provider" in line for line in screen) == 1
        assert any("throttles" in line for line in screen)
        assert any("such as key f0" in line for line in screen)
        assert "delivered" not in terminal.text
        assert "\x1b[31m" in terminal.text and len(screen) <= 24
        results.put(*[record() for _ in range(20)])
        wait_for(lambda: any("53 of 100 ended" in line for line in terminal.screen()), "53 ended")
        assert sum("campaign morning" in line for line in terminal.screen()) == 1
        # narrower and lower: nothing wraps, nothing scrolls
        terminal.read()
        terminal.text = ""
        terminal.resize(40, 10)
        wait_for(lambda: "\x1b[2J" in terminal.read(), "a new screen")
        terminal.text = terminal.text[terminal.text.rindex("\x1b[H"):]
        results.put(record())
        wait_for(lambda: any("54 of 100" in line for line in terminal.screen()), "54 ended")
        assert len(terminal.screen()) <= 10
    finally:
        code = terminal.stop()
    assert code == 0


def test_no_color(bunshin):
    logs = bunshin.directory / "outcomes"
    logs.mkdir()
    (logs / "outcomes-0.jsonl").write_text(record("failed"))
    terminal = Terminal(bunshin, "campaign", "watch", "morning", "--outcomes", logs,
                        env={"NO_COLOR": "1"})
    try:
        wait_for(lambda: any("1 ended" in line for line in terminal.screen()), "1 ended")
    finally:
        assert terminal.stop() == 0
    assert not re.search(r"\x1b\[[0-9;]*m", terminal.text)


def test_a_reader_that_goes_away_ends_it(bunshin):
    """`bunshin campaign watch NAME --json | head -1`"""
    logs = bunshin.directory / "outcomes"
    logs.mkdir()
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(write_end, 1)
        os.close(read_end)
        os.close(write_end)
        os.chdir(bunshin.directory)
        os.execve(bunshin.binary, [str(bunshin.binary), "campaign", "watch", "morning",
                                   "--outcomes", str(logs), "--json"], bunshin.environment)
    os.close(write_end)
    assert json.loads(os.read(read_end, 65536).splitlines()[0])["campaign"] == "morning"
    os.close(read_end)
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        done, code = os.waitpid(pid, os.WNOHANG)
        if done:
            assert os.waitstatus_to_exitcode(code) == 1
            return
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    raise AssertionError("it went on without a reader")


# ---- with a journal and workers


def campaign(bunshin, results, rows):
    """A list, a queue of its own, and the configuration of its workers."""
    (bunshin.directory / "list.csv").write_text("to\n" + "".join(f"U{i}\n" for i in range(rows)))
    url = results.sqs.create_queue("morning")
    config = bunshin.config(url, bunshin.sink().url,
                            queue={"results_url": results.url, "wait": "1s"},
                            outcomes={"path": str(bunshin.directory / "outcomes")})
    return url, config


def send(bunshin, url, *arguments):
    result = bunshin.run("campaign", "send", "--name", "morning", "--queue-url", url,
                         "--recipients", "list.csv", "--yes", *arguments)
    assert result.exit == 0, result


def test_begun_before_the_campaign_it_sees_all_of_it(bunshin, results):
    url, config = campaign(bunshin, results, 2000)
    process = watch(bunshin, "--results-url", results.url, "--json", "--until-done")
    wait_for(process.out, "a first line")
    send(bunshin, url, "--deadline", "+2h")
    wait_for(lambda: read_jsonl(process.out_path)[-1]["sent"], "the whole list in the queue")
    waiting = read_jsonl(process.out_path)[-1]
    assert (waiting["total"], waiting["waiting"], waiting["confirmed"]) == (2000, 2000, 2000)
    assert waiting["deadline"] and waiting["deadline_verdict"] == "unknown"
    worker = bunshin.start("run", "-c", config)
    assert process.wait() == 0, process.describe()
    assert worker.terminate() == 0
    lines = read_jsonl(process.out_path)
    for line in lines:
        assert_sums(line)
    last = lines[-1]
    assert last["done"] and last["accepted"] == last["total"] == 2000
    assert (lines[0]["total"], lines[0]["sent"], lines[0]["at_least"]) == (0, None, True)
    # Begun after all is over, from the logs into another file, it sees the same.
    (bunshin.directory / "later").mkdir()
    value = once(bunshin, "--outcomes", "outcomes", "--dir", "later", "--total", "2000")
    assert value["accepted"] == 2000 and value["done"]


def test_a_deadline_that_cuts_it_short_is_seen_coming(bunshin, results):
    url, config = campaign(bunshin, results, 3000)
    config.write_text(config.read_text().replace("name: sink", "name: sink\n  rate: 50/s"))
    process = watch(bunshin, "--results-url", results.url, "--json", "--until-done")
    send(bunshin, url, "--deadline", "+12s")
    worker = bunshin.start("run", "-c", config)
    assert process.wait() == 1, process.describe()
    assert worker.terminate() == 0
    lines = read_jsonl(process.out_path)
    for line in lines:
        assert_sums(line)
    assert any(line["deadline_verdict"] == "late" and line["would_expire_to"] > 1000
               for line in lines)
    last = lines[-1]
    assert last["expired"] > 1000 and last["accepted"] + last["expired"] == 3000
