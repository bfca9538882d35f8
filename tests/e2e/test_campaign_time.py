"""`bunshin campaign send` at a set time, and what it shows and asks before it sends."""

import json
import os
import re
import signal
import subprocess
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest

from harness import refusing_socket, wait_for
from mock_sqs import MockSqs
from terminal import Terminal as AnyTerminal

ROOT = Path(__file__).resolve().parent.parent.parent
LIST = ROOT / "conf/examples/morning-coupon.csv"
CONFIG = ROOT / "conf/destinations/line-push.yaml"
COUNT = 300


def rfc3339(epoch_s):
    return datetime.fromtimestamp(epoch_s, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@pytest.fixture
def queue(bunshin):
    """An empty queue: (client, queue URL)."""
    sqs = bunshin.queue().sqs()
    return sqs, sqs.create_queue("campaign")


@pytest.fixture
def small_list(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("to\n" + "".join(f"U{number}\n" for number in range(1, COUNT + 1)))
    return path


def begin(bunshin, url, recipients, *arguments, **options):
    return bunshin.start("campaign", "send", "--queue-url", url, "--recipients", recipients,
                         *arguments, **options)


def send(bunshin, url, recipients, *arguments, **options):
    return bunshin.run("campaign", "send", "--queue-url", url, "--recipients", recipients,
                       *arguments, **options)


def receive_all(sqs, url, count):
    """Receives until there are `count` messages: (body, system attributes)."""
    found = []

    def more():
        found.extend((message["Body"], message["Attributes"])
                     for message in sqs.receive(url, WaitTimeSeconds=1, VisibilityTimeout=43200))
        return len(found) >= count

    wait_for(more, f"{count} messages")
    assert sqs.counts(url) == (0, len(found), 0)
    return found


# at a set time

def test_nothing_is_put_in_before_the_instant(bunshin, queue, small_list):
    sqs, url = queue
    at = time.time() + 3
    process = begin(bunshin, url, small_list, "--at", rfc3339(at), "--json")
    assert process.wait() == 0, process.describe()
    summary = json.loads(process.out())
    assert (summary["sent"], summary["unsent"]) == (COUNT, 0)
    assert summary["sqs_requests"] == COUNT / 10 + 2  # and two questions beforehand
    messages = receive_all(sqs, url, COUNT)
    assert len({body for body, _ in messages}) == COUNT
    assert min(int(attributes["SentTimestamp"]) for _, attributes in messages) >= int(at * 1000)
    assert "begins 20" in process.err() and "left until 20" in process.err()


def test_prefill_becomes_visible_at_the_instant(bunshin, queue, small_list):
    sqs, url = queue
    at = time.time() + 6
    process = begin(bunshin, url, small_list, "--at", rfc3339(at), "--prefill", "5s")
    assert process.wait() == 0, process.describe()
    messages = receive_all(sqs, url, COUNT)
    assert len({body for body, _ in messages}) == COUNT
    for _, attributes in messages:
        assert int(attributes["ApproximateFirstReceiveTimestamp"]) >= int(at * 1000)
    assert min(int(attributes["SentTimestamp"]) for _, attributes in messages) < at * 1000


@pytest.mark.parametrize("ahead", ["--prefill", "--prefill=3s"])
def test_every_message_has_the_delay_that_is_left(bunshin, small_list, ahead):
    with MockSqs(faults=7) as mock:
        at = time.time() + 5
        before = time.time()
        result = send(bunshin, mock.queue_url, small_list, "--at", rfc3339(at), ahead)
        assert result.exit == 0, result
    assert {json.loads(body)["to"] for body, _ in mock.stored} == \
        {f"U{number}" for number in range(1, COUNT + 1)}
    for arrived, entry in mock.entries:
        delay = entry["DelaySeconds"]  # also 0: the queue may have a delay of its own
        # never before the instant, and by no more than a second after it, as it left
        assert arrived + delay >= at - 0.001
        assert delay <= max(0, int(at - before) + 1)
        if ahead == "--prefill=3s":
            assert delay <= 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_wait_with_nothing_sent(bunshin, queue, small_list, number):
    sqs, url = queue
    process = begin(bunshin, url, small_list, "--at", rfc3339(time.time() + 3600), "--json")
    wait_for(lambda: "left until" in process.err(), "the wait")
    assert "59m" in process.err() or "1h" in process.err()
    process.signal(number)
    assert process.wait() == 1
    assert "interrupted before anything was sent" in process.err()
    assert sqs.counts(url) == (0, 0, 0)


def test_a_wrong_queue_is_told_before_the_wait(bunshin, queue, small_list):
    _, url = queue
    result = send(bunshin, url + "-not", small_list, "--at", rfc3339(time.time() + 3600))
    assert result.exit == 1, result
    assert "NonExistentQueue" in result.err or "QueueDoesNotExist" in result.err
    with refusing_socket() as sock:
        dead = f"http://127.0.0.1:{sock.getsockname()[1]}/000000000000/q"
        result = send(bunshin, dead, small_list, "--at", rfc3339(time.time() + 3600))
    assert result.exit == 75, result
    assert "cannot ask the queue" in result.err


def test_wrong_keys_are_told_before_the_wait(bunshin, small_list):
    server = bunshin.queue("--memory", "--access-key", "AKIDOTHEROTHEROTHER1", "--secret-key",
                           "another-secret-0123456789")
    result = send(bunshin, f"{server.url}/000000000000/q", small_list, "--at",
                  rfc3339(time.time() + 3600))
    assert result.exit == 1, result
    assert "security token" in result.err


def test_a_missed_deadline_sends_nothing(bunshin, queue, small_list):
    """The process sleeps over it, as a machine would."""
    sqs, url = queue
    deadline = time.time() + 5
    process = begin(bunshin, url, small_list, "--at", rfc3339(deadline - 1), "--deadline",
                    rfc3339(deadline))
    wait_for(lambda: "left until" in process.err(), "the wait")
    process.signal(signal.SIGSTOP)
    wait_for(lambda: time.time() > deadline, "the deadline")
    process.signal(signal.SIGCONT)
    assert process.wait() == 1, process.describe()
    assert "the deadline has passed meanwhile; nothing was sent" in process.err()
    assert sqs.counts(url) == (0, 0, 0)


def test_an_interrupted_prefill_says_what_is_hidden(bunshin, queue, small_list):
    sqs, url = queue
    process = begin(bunshin, url, small_list, "--at", rfc3339(time.time() + 600), "--prefill",
                    "--rate", "1/h")
    wait_for(lambda: sqs.counts(url) == (0, 0, 1), "the first message")
    process.signal(signal.SIGINT)
    assert process.wait() == 1, process.describe()
    assert "1 are in the queue, hidden until 20" in process.err()
    assert "1 sent; the next is row 2, line 3" in process.err()


def test_a_rate_holds_the_push_back(bunshin, queue, small_list):
    sqs, url = queue
    process = begin(bunshin, url, small_list, "--rate", "2/h", "--json")
    wait_for(lambda: sqs.counts(url) == (1, 0, 0), "the first message")
    process.signal(signal.SIGTERM)
    assert process.wait() == 1
    summary = json.loads(process.out())
    assert (summary["sent"], summary["unsent"], summary["failed"]) == (1, COUNT - 1, 0)
    assert summary["next"] == {"row": 2, "line": 3}
    fast = send(bunshin, url, small_list, "--rate", "100000/s", "--json")
    assert json.loads(fast.out)["sent"] == COUNT


def test_the_connection_is_warmed_up(bunshin, small_list):
    """A wait of more than 15 s ends with a question 10 s before the instant."""
    with MockSqs() as mock:
        result = send(bunshin, mock.queue_url, small_list, "--at", rfc3339(time.time() + 22))
        assert result.exit == 0, result
        assert mock.questions == 3 and len(mock.stored) == COUNT


def example_command():
    """What the example's service runs, as systemd hands it to sh."""
    text = (ROOT / "systemd/examples/bunshin-morning.service").read_text(encoding="utf-8")
    line = re.search(r"^ExecStart=(.*?)(?<!\\)$", text, flags=re.M | re.S)[1]
    return re.fullmatch(r"/bin/sh -c '(.*)'", re.sub(r"\\\n", " ", line))[1].replace("%%", "%")


def test_the_example_of_a_daily_campaign(bunshin, queue, small_list, tmp_path):
    sqs, url = queue
    zone = f"Etc/GMT{datetime.now(timezone.utc).hour - 12:+d}"  # there it is noon
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/bunshin").symlink_to(bunshin.binary)
    (tmp_path / "morning.json").write_text('{"to":"{{to}}"}\n')
    command = example_command()
    for name, path in [("/var/lib/bunshin/morning.csv", small_list),
                       ("/etc/bunshin/morning.json", tmp_path / "morning.json"),
                       ("/etc/bunshin/bunshin.yaml", CONFIG)]:
        assert name in command
        command = command.replace(name, str(path))
    environment = {**bunshin.environment, "ZONE": zone, "AT": "13:30", "QUEUE_URL": url,
                   "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    done = subprocess.run(["/bin/sh", "-c", command.replace("--yes", "--dry-run --json")],
                          capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done
    facts = json.loads(done.stdout)
    assert re.fullmatch(r"morning-\d{4}-\d\d-\d\d", facts["name"])
    at, deadline = (datetime.fromisoformat(facts[name].replace("Z", "+00:00"))
                    for name in ["at", "deadline"])
    assert (deadline - at).total_seconds() == 3600 and facts["valid"] == COUNT


# wrong usage

@pytest.mark.parametrize("arguments, message", [
    (["--at", "tomorrow"], '--at: expected a time like'),
    (["--at", "+5m"], "--at: expected a time, not a duration"),
    (["--at", "2099-11-27 08:00"], "--at: 2099-11-27 08:00 has no zone: write the offset"),
    (["--at", "2099-11-27 08:00 Asia/Tokio"], '--at: unknown zone "Asia/Tokio"'),
    (["--at", "2027-03-28 02:30 Europe/Berlin"], "does not exist in Europe/Berlin"),
    (["--at", "2027-10-31 02:30 Europe/Berlin"],
     "2027-10-31T02:30:00+02:00 or 2027-10-31T02:30:00+01:00"),
    (["--at", "2020-01-01 08:00 Asia/Tokyo"], "is already past"),
    (["--at", "2099-01-01T08:00:00Z", "--deadline", "2099-01-01T08:00:00Z"], "is not after --at"),
    (["--at", "2099-01-01T08:00:00Z", "--deadline", "2099-01-01 07:59 UTC"], "is not after --at"),
    (["--deadline", "+90"], "like +90m"),
    (["--prefill"], "--prefill needs --at"),
    (["--at", "2099-01-01T08:00:00Z", "--prefill=15m"], "from 1s to 14m"),
    (["--at", "2099-01-01T08:00:00Z", "--prefill", "--queue-url",
      "https://sqs.us-east-1.amazonaws.com/1/a.fifo"], "is a FIFO queue"),
    (["--rate", "5"], "expected a rate like 2000/s"),
    (["--rate", "0/s"], "expected a rate like 2000/s"),
    (["--rate", "1000000001/s"], "expected a rate like 2000/s"),
    (["--price-per-message", "cheap"], "expected a price like"),
    (["--sqs-price", "-1"], "expected a price like"),
    (["--config", "/no/such/file"], "/no/such/file"),
    (["--config", CONFIG, "--destination", "nope"], 'has no destination "nope"; it has line'),
])
def test_wrong_usage(bunshin, arguments, message):
    result = bunshin.run("campaign", "send", "--recipients", LIST, "--dry-run", *arguments)
    assert result.exit == 2, result
    assert message in result.err
    assert result.out == ""


# before it is sent

def test_a_dry_run_says_everything(bunshin, queue, tmp_path):
    _, url = queue
    result = send(bunshin, url, LIST, "--dry-run", "--name", "morning", "--at",
                  "2099-11-27 08:03 Asia/Tokyo", "--deadline", "+60m", "--prefill", "--config",
                  CONFIG, "--price-per-message", "3 JPY", env={"LINE_TOKEN": None})
    assert result.exit == 0, result
    assert result.err == ""
    assert re.findall(r"^(\w+) message, row (\d+), line \d+:$", result.out, flags=re.M) == \
        [("first", "1"), ("middle", "5000"), ("last", "10000")]
    for line in ["morning, dry run: nothing is sent",
                 "  recipients 10,000", "  left out   0", "  to send    10,000",
                 "  delivery   5.2 s of 60.0 min at 1,920/s; done about 08:03:05, with retries by "
                 "08:03:05; deadline 09:03:00",
                 "  limit      rate of destination line",
                 "  SQS        1,000 requests to send, 3,000 with the workers': about 0.0012 USD",
                 "  provider   10,000 x 3 JPY: 30,000.00 JPY",
                 "  queue      answers; holds 0 visible, 0 in flight, 0 delayed"]:
        assert line in result.out.splitlines(), line
    assert re.search(r"^  begins     2099-11-27 08:03:00 \+09:00, in \d+d \d+h; put in from "
                     r"07:49:00 on, hidden until then$", result.out, flags=re.M)
    assert "note" not in result.out


def test_a_dry_run_as_json(bunshin, queue):
    _, url = queue
    result = send(bunshin, url, LIST, "--dry-run", "--json", "--at", "2099-11-27T08:00:00+09:00",
                  "--deadline", "+2s", "--config", CONFIG, "--sqs-price", "1 EUR")
    assert result.exit == 0, result
    facts = json.loads(result.out)
    assert facts["at"] == "2099-11-26T23:00:00.000Z"
    assert facts["deadline"] == "2099-11-26T23:00:02.000Z"
    assert facts["forecast"] == {
        "rate": 1920, "limit": "rate of destination line", "done": "2099-11-26T23:00:05.208Z",
        "done_with_retries": "2099-11-26T23:00:05.787Z", "expired": 6160,
        "expired_with_retries": 6544}
    assert facts["price"] == {"sqs_requests": 1000, "worker_requests": 2000, "sqs": 0.003,
                              "sqs_currency": "EUR", "provider": None, "currency": None}
    assert facts["queue"]["error"] is None and facts["queue"]["visible"] == 0
    assert abs(facts["queue"]["clock_ahead_ms"]["least"]) < 60000
    assert [sample["row"] for sample in facts["samples"]] == [1, 5000, 10000]
    assert json.loads(facts["samples"][2]["body"])["to"]


@pytest.mark.parametrize("count, rows", [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (4, [1, 2, 4])])
def test_as_many_samples_as_there_are(bunshin, tmp_path, count, rows):
    path = tmp_path / "list.csv"
    path.write_text("to\n" + "".join(f"U{row}\n" for row in range(1, count + 1)))
    result = bunshin.run("campaign", "send", "--dry-run", "--json", "--recipients", path)
    assert [sample["row"] for sample in json.loads(result.out)["samples"]] == rows
    assert json.loads(result.out)["forecast"] is None


def test_samples_are_harmless_and_bounded(bunshin, tmp_path):
    path = tmp_path / "list.jsonl"
    template = tmp_path / "template"
    path.write_text(json.dumps({"to": "a\u009bb\u202ec", "text": "x" * 5000}) + "\n" +
                    json.dumps({"to": "\n" * 100, "text": "朝" * 2000}) + "\n")
    template.write_text("{{{to}}} {{{text}}}")
    result = bunshin.run("campaign", "send", "--dry-run", "--recipients", path, "--template",
                         template)
    assert result.exit == 0, result
    assert "a\\x9bb" in result.out and "\u009b" not in result.out
    assert "bytes more" in result.out
    assert len(result.out) < 6000 and len(result.out.splitlines()) < 40


def test_what_is_left_out_and_what_the_samples_are_known_by(bunshin, tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("to,x\nU1,a\nU1,b\nU2,c\n\"U\x1b\n3\",d\n")
    result = bunshin.run("campaign", "send", "--dry-run", "--recipients", path, "--key", "to")
    assert "  left out   1: 1 duplicate" in result.out.splitlines()
    assert re.findall(r"^(\w+) message, (.*):$", result.out, flags=re.M) == [
        ("first", "row 1, line 2, key U1"), ("middle", "row 3, line 4, key U2"),
        ("last", r"row 4, line 5, key U\x1b\n3")]
    result = bunshin.run("campaign", "send", "--dry-run", "--json", "--recipients", path, "--key",
                         "to")
    assert [sample["key"] for sample in json.loads(result.out)["samples"]] == \
        ["U1", "U2", "U\x1b\n3"]


def test_no_rate_is_known(bunshin):
    result = bunshin.run("campaign", "send", "--dry-run", "--recipients", LIST)
    assert "no rate is known, so neither is the end; give" in result.out
    result = bunshin.run("campaign", "send", "--dry-run", "--recipients", LIST, "--rate", "100/s")
    assert "1.7 min" not in result.out and "100.0 s at 100/s" in result.out
    assert "limit      --rate" in result.out


def test_a_slow_provider_is_a_bound_too(bunshin, tmp_path):
    config = bunshin.write_config({
        "workers": 4, "fleet_hosts": 2, "destinations": [{
            "name": "a", "concurrency": 10, "rate": "6000/m",
            "request": {"url": "https://${HOST}/${file:/no/such/file}",
                        "headers": {"Authorization": "Bearer ${credential:token}"}}}]})
    arguments = ["campaign", "send", "--dry-run", "--recipients", LIST, "--config", config]
    assert "100.0 s at 100/s" in bunshin.run(*arguments).out
    result = bunshin.run(*arguments, "--latency", "2s")
    assert "at 40/s" in result.out
    assert "limit      80 requests in flight at 2000 ms each" in result.out


@pytest.mark.parametrize("ahead_s, words", [
    (5, "clock is 5."), (5, "s behind SQS's"), (-5, "s ahead of SQS's"), (0, None)])
def test_the_clocks_are_compared(bunshin, small_list, ahead_s, words):
    with MockSqs(ahead_s=ahead_s) as mock:
        dry = send(bunshin, mock.queue_url, small_list, "--dry-run")
        timed = send(bunshin, mock.queue_url, small_list, "--at", rfc3339(time.time() + 2))
        assert (dry.exit, timed.exit) == (0, 0), (dry, timed)
    for text in [dry.out, timed.err]:
        assert ("SQS's" in text) == (words is not None), text
    if words and words != "clock is 5.":
        assert words in dry.out and "warning: this machine's clock is" in timed.err
        assert words in timed.err


def test_right_on_the_hour_is_noted(bunshin):
    for minute, noted in [("00", True), ("01", True), ("02", False), ("59", False)]:
        result = bunshin.run("campaign", "send", "--dry-run", "--recipients", LIST, "--at",
                             f"2099-11-27T08:{minute}:00+05:30")
        assert ("right on the hour" in result.out) == noted


# on a terminal

class Terminal(AnyTerminal):
    """`bunshin campaign send` on a terminal of its own."""

    def __init__(self, bunshin, directory, *arguments, **options):
        super().__init__(bunshin, directory, "campaign", "send", *arguments, **options)


def test_a_name_is_typed(bunshin, queue, small_list, tmp_path):
    sqs, url = queue
    terminal = Terminal(bunshin, tmp_path, "--queue-url", url, "--recipients", small_list, "--name",
                        "朝 morning")
    terminal.read_until("Type 朝 morning (the campaign's name) to send it: ")
    assert "first message, row 1, line 2:" in terminal.shown
    assert "to send    300" in terminal.shown and "answers; holds 0 visible" in terminal.shown
    assert sqs.counts(url) == (0, 0, 0)
    terminal.type("朝 morning\n")
    code, out = terminal.end()
    assert code == 0, terminal.shown
    assert out.startswith("recipients 300, sent 300")
    assert sqs.counts(url) == (300, 0, 0)


def test_without_a_name_it_is_the_number(bunshin, queue, small_list, tmp_path):
    """The list comes on standard input, so the answer is read from the terminal itself."""
    sqs, url = queue
    terminal = Terminal(bunshin, tmp_path, "--queue-url", url, "--recipients", "-",
                        stdin=small_list)
    terminal.read_until("Type 300 (the number of messages) to send it: ")
    terminal.type("300\n")
    assert terminal.end()[0] == 0, terminal.shown
    assert sqs.counts(url) == (300, 0, 0)


@pytest.mark.parametrize("typed", ["yes\n", "\n", "\x04", "\x03", "morning x\n"])
def test_anything_else_sends_nothing(bunshin, queue, small_list, tmp_path, typed):
    sqs, url = queue
    terminal = Terminal(bunshin, tmp_path, "--queue-url", url, "--recipients", small_list, "--name",
                        "morning")
    terminal.read_until("to send it: ")
    terminal.type(typed)
    code, out = terminal.end()
    assert (code, out) == (1, ""), terminal.shown
    assert "not confirmed; nothing was sent" in terminal.shown
    assert sqs.counts(url) == (0, 0, 0)


def test_what_is_typed_ahead_confirms_nothing(bunshin, queue, small_list, tmp_path):
    sqs, url = queue
    terminal = Terminal(bunshin, tmp_path, "--queue-url", url, "--recipients", "-", "--name", "m",
                        stdin=small_list)
    terminal.type("m\n")
    terminal.read_until("to send it: ")
    terminal.type("\x03")
    assert terminal.end()[0] == 1, terminal.shown
    assert sqs.counts(url) == (0, 0, 0)


def test_yes_asks_nothing(bunshin, queue, small_list, tmp_path):
    sqs, url = queue
    terminal = Terminal(bunshin, tmp_path, "--queue-url", url, "--recipients", small_list, "--yes")
    assert terminal.end()[0] == 0, terminal.shown
    assert "to send it: " not in terminal.shown and "to send    300" in terminal.shown
    assert sqs.counts(url) == (300, 0, 0)


@pytest.mark.parametrize("env, red", [({}, True), ({"NO_COLOR": "1"}, False)])
def test_what_will_be_late_is_red(bunshin, queue, small_list, tmp_path, env, red):
    _, url = queue
    terminal = Terminal(bunshin, tmp_path, "--queue-url", url, "--recipients", small_list,
                        "--deadline", "+1h", "--rate", "200/h", env=env)
    terminal.read_until("to send it: ")
    assert re.search(r"1\.5 of 1\.0 h|90\.0 of 60\.0 min", terminal.shown), terminal.shown
    assert ("\x1b[31m" in terminal.shown) == red
    assert "about 100 will expire unsent" in terminal.shown or \
        "about 101 will expire unsent" in terminal.shown
    terminal.type("\x03")
    assert terminal.end()[0] == 1


def test_a_queue_that_is_not_there_is_not_asked_about(bunshin, queue, small_list, tmp_path):
    _, url = queue
    terminal = Terminal(bunshin, tmp_path, "--queue-url", url + "-not", "--recipients", small_list)
    assert terminal.end()[0] == 1, terminal.shown
    assert "to send it: " not in terminal.shown and "cannot ask the queue" in terminal.shown


def test_the_wait_counts_down(bunshin, queue, small_list, tmp_path):
    sqs, url = queue
    terminal = Terminal(bunshin, tmp_path, "--queue-url", url, "--recipients", small_list, "--at",
                        rfc3339(time.time() + 3600), "--yes")
    terminal.read_until("(Ctrl-C: nothing is sent)")
    assert re.search(r"(59m \d\ds|1h 00m) left until 20", terminal.shown)
    terminal.type("\x03")
    assert terminal.end()[0] == 1, terminal.shown
    assert "interrupted before anything was sent" in terminal.shown
    assert sqs.counts(url) == (0, 0, 0)
