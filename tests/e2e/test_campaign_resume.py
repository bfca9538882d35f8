"""`bunshin campaign send --name`: what the journal is for: --resume after any death, --again."""

import gzip
import json
import re
import shlex
import signal
import subprocess
import time

import pytest

from harness import wait_for
from journal_file import JournalFile
from mock_sqs import MockSqs
from test_campaign import queue, receive_all, send  # noqa: F401

ROWS = 300  # in batches of ten


class Killer(MockSqs):
    """Kills its sender at a call: before it is taken in, or after, but unanswered."""

    def __init__(self, at, after, pause_s=0.0, **options):
        super().__init__(**options)
        self.at, self.after, self.pause_s = at, after, pause_s
        self.victim = None

    def _answer(self, kind, entries):
        time.sleep(self.pause_s)
        if self.calls == self.at and not self.after:
            self._kill()
            return 500, {}
        answer = super()._answer(kind, entries)
        if self.calls == self.at:
            self._kill()
        return answer

    def _kill(self):
        wait_for(lambda: self.victim, "the sender to be known")
        self.victim.signal(signal.SIGKILL)
        self.victim.wait()


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("to,shop\n" + "".join(f"U{row},s{row % 7}\n" for row in range(1, ROWS + 1)))
    return path


def row_of(body):
    return int(json.loads(body)["to"][1:])


def journal(directory, name="morning"):
    return JournalFile(directory / f"{name}.campaign")


def resume(bunshin, *arguments, name="morning", directory=None, **options):
    place = ("--dir", directory) if directory else ()
    return bunshin.run("campaign", "send", "--resume", "--name", name, *place, *arguments,
                       **options)


def summary_of(result, code=0):
    assert result.exit == code, result
    return json.loads(result.out)


def keys_by_row(stored):
    """{row: [its key at each arrival]}"""
    keys = {}
    for body, attributes in stored:
        keys.setdefault(row_of(body), []).append(attributes["IdempotencyKey"])
    return keys


def interrupt(bunshin, mock, path, *arguments, batches=3):
    """A campaign that is ended by SIGINT once so many batches are in."""
    mock.hold()
    sender = bunshin.start("campaign", "send", "--queue-url", mock.queue_url, "--recipients", path,
                           "--name", "morning", "--in-flight", str(batches), *arguments)
    wait_for(lambda: mock.calls == batches or sender.exit is not None, "batches under way")
    assert sender.exit is None, sender.describe()
    sender.signal(signal.SIGINT)
    wait_for(lambda: "stopping" in sender.err(), "the signal to be seen")
    mock.release()
    assert sender.wait() == 1, sender.describe()
    return sender


# a whole campaign

def test_a_second_run_is_refused_unless_again(bunshin, queue, path, tmp_path):  # noqa: F811
    sqs, url = queue
    options = ("--name", "morning", "--key", "to", "--json")
    first = summary_of(send(bunshin, url, path, *options))
    assert (first["campaign"], first["sent"], first["sent_before"], first["finished"]) == \
        ("morning", ROWS, 0, True)
    assert len(receive_all(sqs, url)) == ROWS
    assert sorted(entry.name for entry in tmp_path.glob("morning*")) == ["morning.campaign"]
    kept = journal(tmp_path)
    assert kept.finished and kept.confirmed == set(range(1, ROWS + 1)) and not kept.rejects

    for extra in ((), ("--dry-run",)):
        second = send(bunshin, url, path, *options, *extra)
        assert (second.exit, second.out) == (2, "")
        assert re.search(r"morning was finished on 20.*, 300 sent; --again sends it once more",
                         second.err)
    done = resume(bunshin, "--json")
    assert (done.exit, done.out) == (0, "")
    assert "morning was finished on 20" in done.err and "nothing is left to send" in done.err
    assert receive_all(sqs, url) == []

    keys = {}
    for number in (2, 3):
        again = summary_of(send(bunshin, url, path, *options, "--again"))
        assert again["campaign"] == f"morning#{number}"
        messages = receive_all(sqs, url)
        assert {attributes["Campaign"][1] for _, attributes in messages} == {f"morning#{number}"}
        keys[number] = {attributes["IdempotencyKey"][1] for _, attributes in messages}
        assert len(keys[number]) == ROWS
        assert journal(tmp_path, f"morning%23{number}").finished
    assert not keys[2] & keys[3]


def test_what_the_journal_says(bunshin, queue, path, tmp_path):  # noqa: F811
    _, url = queue
    template = tmp_path / "template"
    template.write_text("{{to}} {{shop}}")
    gone = tmp_path / "gone"
    gone.write_text("U9\n")
    with path.open("a") as file:
        file.write("U1,twice\nx,malformed\nonly one field\n")
    result = send(bunshin, url, path, "--name", "morning", "--key", "to", "--template", template,
                  "--suppress", gone, "--validate", "to=U[0-9]+", "--skip-invalid",
                  "--destination", "line", "--deadline", "4070941445000", "--group", "shop")
    assert result.exit == 0, result
    kept = journal(tmp_path)
    assert kept.rejects == {
        9: ("suppressed", "its key is in the suppression file"),
        301: ("duplicate", kept.rejects[301][1]),
        302: ("malformed", kept.rejects[302][1]),
        303: ("invalid", "expected 2 fields, got 1")}
    assert kept.confirmed == set(range(1, 301)) - {9}
    campaign = kept.campaign
    assert {name: campaign[name] for name in (
        "name", "list", "list_format", "template_file", "key_column", "group_column", "rules",
        "suppression", "destination", "queue_url", "endpoint", "skip_invalid", "deadline", "at",
        "list_rows", "valid")} == {
            "name": "morning", "list": str(path), "list_format": "csv",
            "template_file": str(template), "key_column": "to", "group_column": "shop",
            "rules": "to=U[0-9]+", "suppression": str(gone), "destination": "line",
            "queue_url": url, "endpoint": None, "skip_invalid": 1, "deadline": 4070941445000,
            "at": 0, "list_rows": 303, "valid": 299}


def test_a_list_that_is_refused_leaves_no_campaign(bunshin, tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("to,shop\nU1\n")
    with MockSqs() as mock:
        for _ in range(2):
            result = send(bunshin, mock.queue_url, path, "--name", "morning")
            assert result.exit == 2
            assert "nothing was sent" in result.err
        assert mock.calls == 0
    assert not list(tmp_path.glob("morning.campaign*"))


def test_a_queue_that_takes_nothing_leaves_no_campaign(bunshin, queue, path, tmp_path):  # noqa: F811
    _, url = queue
    result = send(bunshin, url + "-not", path, "--name", "morning")
    assert result.exit == 1
    assert "nothing was sent: the campaign has not begun" in result.err
    assert not list(tmp_path.glob("morning.campaign*"))
    assert send(bunshin, url, path, "--name", "morning").exit == 0


def test_a_dry_run_leaves_no_campaign(bunshin, path, tmp_path):
    result = bunshin.run("campaign", "send", "--recipients", path, "--name", "morning",
                         "--dry-run")
    assert result.exit == 0
    assert not list(tmp_path.glob("morning.campaign*"))


def test_without_a_name_nothing_is_kept(bunshin, queue, path, tmp_path):  # noqa: F811
    _, url = queue
    for _ in range(2):
        result = send(bunshin, url, path)
        assert result.exit == 0
        assert "without --name this cannot be resumed" in result.err
    assert not list(tmp_path.glob("*.campaign*"))
    for option in ("--resume", "--again"):
        result = send(bunshin, url, path, option)
        assert result.exit == 2
        assert f"{option} needs --name" in result.err


# going on

def test_an_interrupted_one_goes_on(bunshin, path, tmp_path):
    with MockSqs() as mock:
        sender = interrupt(bunshin, mock, path, "--json")
        first = json.loads(sender.out())
        assert (first["sent"], first["unsent"], first["finished"]) == (30, 270, False)
        assert journal(tmp_path).confirmed == set(range(1, 31))
        [command] = re.findall(r"30 of 300 rows are done; to go on with the rest: bunshin (.*)",
                               sender.err())
        assert shlex.split(command) == ["campaign", "send", "--resume", "--name", "morning",
                                        "--dir", str(tmp_path)]
        for option, words in ((), "30 of 300 rows were confirmed; --resume goes on"), \
                (("--again",), "--resume goes on"):
            result = send(bunshin, mock.queue_url, path, "--name", "morning", *option)
            assert result.exit == 2
            assert words in result.err
        assert len(mock.stored) == 30
        result = bunshin.run(*shlex.split(command), "--json")
        assert "resuming morning: 30 rows are done already, 270 are left" in result.err
        second = summary_of(result)
        stored = list(mock.stored)
    assert (second["sent"], second["sent_before"], second["skipped"], second["unsent"],
            second["finished"]) == (270, 30, 0, 0, True)
    assert sorted(row_of(body) for body, _ in stored) == list(range(1, ROWS + 1))
    assert journal(tmp_path).finished


def test_the_second_run_of_a_name_is_resumed_by_the_name(bunshin, path, tmp_path):
    with MockSqs() as mock:
        assert send(bunshin, mock.queue_url, path, "--name", "morning").exit == 0
        interrupt_calls = mock.calls + 2
        mock.hold()
        sender = bunshin.start("campaign", "send", "--queue-url", mock.queue_url, "--recipients",
                               path, "--name", "morning", "--again", "--in-flight", "2")
        wait_for(lambda: mock.calls == interrupt_calls, "two batches under way")
        sender.kill()
        mock.release()
        result = send(bunshin, mock.queue_url, path, "--name", "morning", "--again")
        assert result.exit == 2
        assert "morning#2 is not finished: 0 of 300 rows were confirmed" in result.err
        done = summary_of(resume(bunshin, "--json", directory=tmp_path))
        assert (done["campaign"], done["sent"]) == ("morning#2", ROWS)


@pytest.mark.parametrize("after", [0, 1])
def test_killed_at_any_call_and_resumed(bunshin, path, tmp_path, after):
    """
    Everybody is in the queue; who is there twice has one key, and was not noted yet when the
    sender died; what was noted is there.
    """
    twice, noted = 0, 0
    for at in range(1, ROWS // 10 + 1):
        directory, in_flight = tmp_path / f"at-{at}", at % 4 + 1
        directory.mkdir()
        with Killer(at, after, pause_s=0.015) as mock:
            mock.victim = bunshin.start(
                "campaign", "send", "--queue-url", mock.queue_url, "--recipients", path, "--dir",
                directory, "--name", "morning", "--in-flight", str(in_flight))
            assert mock.victim.wait() == -signal.SIGKILL, mock.victim.describe()
            before = [row_of(body) for body, _ in mock.stored]
            confirmed = journal(directory).confirmed
            assert confirmed <= set(before)
            mock.pause_s = 0
            done = summary_of(resume(bunshin, "--json", directory=directory))
            keys = keys_by_row(mock.stored)
        assert set(keys) == set(range(1, ROWS + 1))
        assert all(len(set(of_one)) == 1 for of_one in keys.values())
        again = {row for row, of_one in keys.items() if len(of_one) > 1}
        if in_flight == 1:
            assert again == set(before) - confirmed
        else:  # what a dead process has put on the wire arrives all the same
            assert set(before) - confirmed <= again
            assert not again & confirmed
            assert len(again) <= len(before) - len(confirmed) + 10 * (in_flight - 1)
        assert (done["sent"], done["sent_before"]) == (ROWS - len(confirmed), len(confirmed))
        assert journal(directory).finished
        twice += len(before) - len(confirmed)
        noted += len(confirmed)
    assert twice > 0 and noted > 0


def test_killed_again_and_again(bunshin, path, tmp_path):
    """No run gets further than some batches; in the end all are there."""
    stored, runs, result = [], 0, None
    command = ["--recipients", path]
    while result is None or result.exit != 0:
        with Killer(at=12, after=runs % 2, pause_s=0.03) as mock:
            mock.queue_url = "http://127.0.0.1:1/000000000000/mock"  # the same for each
            mock.victim = bunshin.start(
                "campaign", "send", "--queue-url", mock.queue_url, "--endpoint", mock.url,
                "--name", "morning", "--in-flight", "2", *command, "--dir", tmp_path)
            mock.victim.wait()
            result = mock.victim
            stored += mock.stored
        command = ["--resume"]
        runs += 1
        assert runs < 20
    keys = keys_by_row(stored)
    assert set(keys) == set(range(1, ROWS + 1))
    assert all(len(set(of_one)) == 1 for of_one in keys.values())
    assert runs > 2


def test_a_second_process_is_refused(bunshin, path, tmp_path):
    with MockSqs() as mock:
        mock.hold()
        sender = bunshin.start("campaign", "send", "--queue-url", mock.queue_url, "--recipients",
                               path, "--name", "morning", "--in-flight", "1")
        wait_for(lambda: mock.calls == 1, "the first batch")
        for arguments in ((), ("--resume",), ("--again",)):
            result = send(bunshin, mock.queue_url, path, "--name", "morning", *arguments)
            assert result.exit == 75, result
            assert f"another process is sending {tmp_path}/morning.campaign " \
                f"(process {sender.pid})" in result.err
        other = send(bunshin, mock.queue_url, path, "--name", "evening", "--dry-run")
        assert other.exit == 0
        mock.release()
        assert sender.wait() == 0
        assert len(mock.stored) == ROWS


def test_what_is_not_as_it_began_is_named(bunshin, path, tmp_path):
    template, other = tmp_path / "template", tmp_path / "other"
    template.write_text("{{to}}")
    other.write_text("{{shop}}")
    begun = ("--template", template, "--key", "to", "--destination", "line", "--validate",
             "to=U[0-9]+")
    with MockSqs() as mock:
        interrupt(bunshin, mock, path, *begun)
        calls = mock.calls
        result = resume(bunshin, "--queue-url", "http://127.0.0.1:1/000000000000/q", "--key",
                        "shop", "--destination", "sms", "--group", "shop", "--validate", "to=.*",
                        directory=tmp_path)
        assert result.exit == 2
        assert result.err.splitlines() == [f"bunshin campaign send: {line}" for line in (
            '--queue-url is "http://127.0.0.1:1/000000000000/q"; the campaign began with '
            f'"{mock.queue_url}"',
            '--destination is "sms"; the campaign began with "line"',
            '--key is "shop"; the campaign began with "to"',
            '--group is "shop"; the campaign began without it',
            "--validate is not as the campaign began: to=U[0-9]+",
            "morning is not resumed; nothing was sent")]
        result = resume(bunshin, "--template", other, directory=tmp_path)
        assert result.exit == 2
        assert f"{other} is not the template that the campaign began with" in result.err
        changed = tmp_path / "list2.csv"
        changed.write_text(path.read_text().replace("U77,", "U777,"))
        result = resume(bunshin, "--recipients", changed, directory=tmp_path)
        assert result.exit == 2
        assert f"{changed} is not the list that the campaign began with" in result.err
        path.write_bytes(path.read_bytes() + b"U1000,s1\n")
        result = resume(bunshin, directory=tmp_path)
        assert result.exit == 2
        assert f"{path} is not the list that the campaign began with" in result.err
        path.write_text(changed.read_text().replace("U777,", "U77,"))
        template.unlink()
        result = resume(bunshin, directory=tmp_path)
        assert result.exit == 2
        assert f"cannot read {template}" in result.err
        assert mock.calls == calls
        other.write_text("{{to}}")
        done = resume(bunshin, *begun[2:], "--template", other, "--recipients", path,
                      "--queue-url", mock.queue_url, "--json", directory=tmp_path)
        assert summary_of(done)["sent"] == ROWS - 30


def test_nothing_to_resume(bunshin, path, tmp_path):
    for option, words in ("--resume", "to resume"), ("--again", "to send again"):
        result = send(bunshin, "http://127.0.0.1:1/000000000000/q", path, "--name", "m n", option)
        assert result.exit == 2
        assert f"there is no campaign m n {words}: no {tmp_path}/m%20n.campaign" in result.err
    result = send(bunshin, "http://127.0.0.1:1/000000000000/q", path, "--name", "m", "--resume",
                  "--again")
    assert result.exit == 2
    assert "exclude each other" in result.err
    result = send(bunshin, "http://127.0.0.1:1/000000000000/q", path, "--name", "m", "--dir",
                  tmp_path / "none")
    assert result.exit == 1
    assert f"{tmp_path}/none/m.campaign" in result.err


def test_a_file_that_is_no_journal(bunshin, path, tmp_path):
    (tmp_path / "morning.campaign").write_text("to,name\n")
    for options in ((), ("--resume",), ("--dry-run",)):
        result = send(bunshin, "http://127.0.0.1:1/000000000000/q", path, "--name", "morning",
                      *options)
        assert result.exit == 1
        assert f"cannot use {tmp_path}/morning.campaign: file is not a database" in result.err


def test_a_journal_under_another_name(bunshin, path, tmp_path):
    with MockSqs() as mock:
        interrupt(bunshin, mock, path)
    (tmp_path / "morning.campaign").rename(tmp_path / "evening.campaign")
    result = resume(bunshin, name="evening", directory=tmp_path)
    assert result.exit == 2
    assert "the journal of evening is that of morning" in result.err


def test_a_dry_run_of_what_is_left(bunshin, path, tmp_path):
    with MockSqs() as mock:
        interrupt(bunshin, mock, path)
        before = journal(tmp_path).confirmed
        result = resume(bunshin, "--dry-run", "--json", directory=tmp_path)
        assert summary_of(result)["valid"] == ROWS - 30
        assert len(mock.stored) == 30
    assert journal(tmp_path).confirmed == before


# a deadline that has passed

def test_a_deadline_that_has_passed(bunshin, path, tmp_path):
    with MockSqs() as mock:
        deadline = int(time.time() * 1000) + 6000
        interrupt(bunshin, mock, path, "--deadline", str(deadline))
        wait_for(lambda: time.time() * 1000 > deadline, "the deadline")
        result = resume(bunshin, directory=tmp_path)
        assert result.exit == 1
        assert re.search(r"the deadline of morning, 20.*, passed .* ago: 270 rows were not sent",
                         result.err)
        assert len(mock.stored) == 30
        done = summary_of(resume(bunshin, "--deadline", "+90m", "--json", directory=tmp_path))
        assert done["sent"] == 270
        deadlines = {row_of(body): int(attributes["Deadline"]) for body, attributes in mock.stored}
    assert {deadlines[row] for row in range(1, 31)} == {deadline}
    [later] = {deadlines[row] for row in range(31, ROWS + 1)}
    assert later > deadline
    assert journal(tmp_path).campaign["deadline"] == later


# lists

def test_a_list_from_standard_input_is_kept(bunshin, path, tmp_path):
    text = path.read_text()
    with MockSqs() as mock:
        mock.hold()
        sender = bunshin.start("campaign", "send", "--queue-url", mock.queue_url, "--recipients",
                               "-", "--name", "morning", "--in-flight", "2", stdin=text)
        wait_for(lambda: mock.calls == 2, "two batches under way")
        sender.kill()
        mock.release()
        assert (tmp_path / "morning.list").read_text() == text
        wrong = resume(bunshin, "--recipients", "-", stdin="to,shop\nU1,s1\n")
        assert wrong.exit == 2
        assert "<stdin> is not the list that the campaign began with" in wrong.err
        assert (tmp_path / "morning.list").read_text() == text
        assert summary_of(resume(bunshin, "--json"))["sent"] == ROWS
        assert len(keys_by_row(mock.stored)) == ROWS


def test_a_gzip_list(bunshin, path, tmp_path):
    packed = tmp_path / "list.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    with MockSqs() as mock:
        interrupt(bunshin, mock, packed)
        assert summary_of(resume(bunshin, "--json", directory=tmp_path))["sent"] == 270
        assert len(mock.stored) == ROWS


def test_who_is_suppressed_meanwhile_is_left_out(bunshin, path, tmp_path):
    gone = tmp_path / "gone"
    gone.write_text("U2\n")
    with MockSqs() as mock:
        interrupt(bunshin, mock, path, "--key", "to", "--suppress", gone)
        gone.write_text("U2\nU5\nU100\n")
        done = summary_of(resume(bunshin, "--json", directory=tmp_path))
        rows = sorted(row_of(body) for body, _ in mock.stored)
    assert rows == sorted(set(range(1, ROWS + 1)) - {2, 100})
    assert done["sent"] + done["sent_before"] + done["skipped"] == ROWS
    kept = journal(tmp_path)
    assert kept.finished and kept.rejects[100][0] == "suppressed"
    assert 5 in kept.confirmed


def test_nobody_is_left(bunshin, path, tmp_path):
    gone = tmp_path / "gone"
    with MockSqs() as mock:
        interrupt(bunshin, mock, path, "--key", "to")
        gone.write_text("".join(f"U{row}\n" for row in range(1, ROWS + 1)))
        done = summary_of(resume(bunshin, "--suppress", gone, "--json", directory=tmp_path))
        assert len(mock.stored) == 30
    assert (done["sent"], done["sent_before"], done["finished"]) == (0, 0, True)
    assert done["rejected"]["suppressed"] == done["skipped"] == ROWS
    kept = journal(tmp_path)
    assert kept.finished and len(kept.confirmed) == 30


# what the queue refuses, and what cannot be written down

def test_refused_for_good_is_not_tried_by_the_next_run(bunshin, path, tmp_path):
    with MockSqs(refuse=lambda body: row_of(body) in (7, 250)) as mock:
        sender = interrupt(bunshin, mock, path)
        assert "InvalidMessageContents" in sender.err()
        assert set(journal(tmp_path).rejects) == {7}
        result = resume(bunshin, "--json", directory=tmp_path)
        summary = summary_of(result, 1)
        tried = [row_of(body) for batch in mock.batches for body in batch]
    assert (summary["sent"], summary["sent_before"], summary["failed"], summary["finished"]) == \
        (269, 30, 1, True)
    assert "1 were refused by the queue for good; the campaign is finished" in result.err
    assert tried.count(7) == 1
    kept = journal(tmp_path)
    assert kept.finished
    assert {row: why for row, (why, _) in kept.rejects.items()} == {7: "refused", 250: "refused"}


def test_a_disk_that_is_full(bunshin, path, tmp_path):
    """What was noted counts, the rest is said to be unconfirmed; with room it goes on."""
    with Killer(at=0, after=0, pause_s=0.1) as mock:
        command = [bunshin.binary, "campaign", "send", "--queue-url", mock.queue_url,
                   "--recipients", path, "--name", "morning", "--in-flight", "1", "--json"]
        limited = subprocess.run(
            ["/bin/sh", "-c", 'trap "" XFSZ; ulimit -f 96; exec "$@"', "sh", *map(str, command)],
            capture_output=True, text=True, env=bunshin.environment, cwd=tmp_path, check=False,
            timeout=120)
        assert limited.returncode == 75, limited
        assert "stopped, since what is sent cannot be noted: cannot write " in limited.stderr
        assert "to go on with the rest: bunshin campaign send --resume" in limited.stderr
        summary = json.loads(limited.stdout)
        before = [row_of(body) for body, _ in mock.stored]
        confirmed = journal(tmp_path).confirmed
        assert confirmed and len(before) < ROWS
        assert summary["sent"] == len(confirmed)
        assert summary["unconfirmed"] == len(before) - len(confirmed) > 0
        assert summary["unsent"] == ROWS - len(before)
        assert "cannot write" in summary["error"]
        mock.pause_s = 0
        done = summary_of(resume(bunshin, "--json", directory=tmp_path))
        keys = keys_by_row(mock.stored)
    assert done["sent"] == ROWS - len(confirmed)
    assert set(keys) == set(range(1, ROWS + 1))
    assert {row for row, of_one in keys.items() if len(of_one) > 1} == set(before) - confirmed


def test_a_directory_that_cannot_be_written(bunshin, path, tmp_path):
    """As /proc is for everybody, root included."""
    result = send(bunshin, "http://127.0.0.1:1/000000000000/q", path, "--name", "m", "--dir",
                  "/proc/self")
    assert result.exit == 1, result
    assert "/proc/self/m" in result.err


# FIFO queues: the order of a group, over failures, deaths and runs

class Fifo(Killer):
    """As a FIFO queue takes messages in: each MessageDeduplicationId once."""

    def __init__(self, at=0, after=0, **options):
        super().__init__(at, after, **options)
        self.queue_url += ".fifo"

    def arrivals(self):
        """(row, group) of each, as it came first."""
        seen, order = set(), []
        groups = {entry["MessageBody"]: entry["MessageGroupId"] for _, entry in self.entries}
        for body, attributes in self.stored:
            if attributes["IdempotencyKey"] not in seen:
                seen.add(attributes["IdempotencyKey"])
                order.append((row_of(body), groups[body]))
        return order

    def check_ids(self, group):
        for _, entry in self.entries:
            assert entry["MessageDeduplicationId"] == \
                entry["MessageAttributes"]["IdempotencyKey"]["StringValue"]
            assert entry["MessageGroupId"] == group(json.loads(entry["MessageBody"]))
            assert "DelaySeconds" not in entry


def assert_in_order(arrivals):
    last = {}
    for row, group in arrivals:
        assert last.get(group, 0) < row, f"row {row} of {group} came behind {last[group]}"
        last[group] = row
    assert sorted(row for row, _ in arrivals) == list(range(1, ROWS + 1))


@pytest.mark.parametrize("seed", range(1, 5))
def test_groups_keep_their_order_over_failures(bunshin, path, seed):
    with Fifo(faults=seed) as mock:
        result = send(bunshin, mock.queue_url, path, "--name", "morning", "--key", "to", "--group",
                      "shop", "--json")
        assert summary_of(result)["sent"] == ROWS
        arrivals = mock.arrivals()
        mock.check_ids(lambda row: row["shop"])
        assert len(mock.stored) > ROWS  # some answers were lost
    assert_in_order(arrivals)


@pytest.mark.parametrize("after", [0, 1])
def test_groups_keep_their_order_over_deaths(bunshin, path, tmp_path, after):
    for at in (1, 3, 10, 22, 40):
        directory = tmp_path / f"at-{at}"
        directory.mkdir()
        with Fifo(at, after, pause_s=0.005, faults=at) as mock:
            mock.victim = bunshin.start(
                "campaign", "send", "--queue-url", mock.queue_url, "--recipients", path, "--dir",
                directory, "--name", "morning", "--in-flight", "3", "--group", "shop")
            assert mock.victim.wait() == -signal.SIGKILL, mock.victim.describe()
            mock.pause_s = 0
            result = resume(bunshin, "--json", directory=directory)
            assert summary_of(result)["finished"]
            assert_in_order(mock.arrivals())
            keys = keys_by_row(mock.stored)
        assert all(len(set(of_one)) == 1 for of_one in keys.values())


def test_each_recipient_is_a_group_of_its_own(bunshin, path):
    with Fifo() as mock:
        assert send(bunshin, mock.queue_url, path, "--name", "m", "--key", "to").exit == 0
        mock.check_ids(lambda row: row["to"])
        assert mock.calls == ROWS // 10
    with Fifo() as mock:
        assert send(bunshin, mock.queue_url, path).exit == 0
        keys = {entry["MessageGroupId"] for _, entry in mock.entries}
        assert len(keys) == ROWS
        assert keys == {entry["MessageDeduplicationId"] for _, entry in mock.entries}


def test_groups_of_a_standard_queue_are_passed_on(bunshin, path):
    with MockSqs() as mock:
        assert send(bunshin, mock.queue_url, path, "--group", "shop").exit == 0
        for _, entry in mock.entries:
            assert entry["MessageGroupId"] == json.loads(entry["MessageBody"])["shop"]
            assert "MessageDeduplicationId" not in entry
        assert mock.calls == ROWS // 10


def test_groups_that_are_none(bunshin, tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("to,shop\nU1,\nU2,a b\nU3,x\n")
    with MockSqs() as mock:
        result = send(bunshin, mock.queue_url, path, "--group", "shop")
        assert result.exit == 2
        assert result.err.splitlines()[:2] == [
            f'{path}:{line}:1: its group, "shop", is no MessageGroupId (1 to 128 ASCII characters '
            "without spaces)" for line in (2, 3)]
        result = send(bunshin, mock.queue_url, path, "--group", "nothing")
        assert result.exit == 2
        assert 'the list does not have the group column "nothing"' in result.err
        assert mock.calls == 0


def test_an_interrupted_group_goes_on_behind_what_is_there(bunshin, path, tmp_path):
    with Fifo() as mock:
        sender = interrupt(bunshin, mock, path, "--group", "shop", "--json", batches=1)
        first = json.loads(sender.out())
        assert first["sent"] + first["unsent"] == ROWS and first["failed"] == 0
        assert first["unsent"] > 0
        assert summary_of(resume(bunshin, "--json", directory=tmp_path))["finished"]
        assert_in_order(mock.arrivals())
