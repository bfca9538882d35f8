"""`bunshin campaign send`, its lists read again with Python's own csv and json."""

import csv
import fcntl
import io
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time
import uuid
from datetime import datetime
from pathlib import Path

import pytest

from harness import PATIENCE_S, base_environment, refusing_socket, wait_for
from mock_sqs import MockSqs

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLES = ROOT / "conf/examples"
LIST = EXAMPLES / "morning-coupon.csv"
DEADLINE = "2099-01-02T03:04:05.678+09:00"
TEMPLATE = EXAMPLES / "morning-coupon.template.json"


def rows_of(path):
    with open(path, encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def receive_all(sqs, url):
    """Every message of the queue: (body, {attribute: (type, value)})."""
    found = []
    while True:
        messages = sqs.receive(url, WaitTimeSeconds=0, VisibilityTimeout=43200)
        if not messages:
            return found
        found += [(message["Body"], {
            name: (value["DataType"], value["StringValue"])
            for name, value in message.get("MessageAttributes", {}).items()})
            for message in messages]


@pytest.fixture
def queue(bunshin):
    """An empty queue: (client, queue URL)."""
    sqs = bunshin.queue().sqs()
    return sqs, sqs.create_queue("campaign")


def send(bunshin, url, recipients, *arguments, **options):
    return bunshin.run("campaign", "send", "--queue-url", url, "--recipients", recipients,
                       *arguments, **options)


def test_the_example_arrives_byte_for_byte(bunshin, queue):
    sqs, url = queue
    result = send(bunshin, url, LIST, "--template", TEMPLATE, "--name", "朝 morning",
                  "--dir", bunshin.directory, "--destination", "line", "--deadline", DEADLINE,
                  "--json")
    assert result.exit == 0, result
    summary = json.loads(result.out)
    assert summary["sqs_requests"] == 1000
    assert summary["rate"] > 0 and summary["seconds"] > 0
    del summary["rate"], summary["seconds"], summary["sqs_requests"]
    assert summary == {"campaign": "朝 morning", "recipients": 10000, "sent": 10000,
                       "sent_before": 0, "messages": 10000, "finished": True, "skipped": 0,
                       "failed": 0, "unconfirmed": 0, "unsent": 0, "next": None, "interrupted": False,
                       "error": None, "rejected": {"invalid": 0, "malformed": 0, "duplicate": 0,
                                                   "suppressed": 0}}

    text = TEMPLATE.read_text(encoding="utf-8").removesuffix("\n")

    def fill(row):
        return re.sub(r"\{\{(\w+)\}\}",
                      lambda match: json.dumps(row[match[1]], ensure_ascii=False)[1:-1], text)

    messages = receive_all(sqs, url)
    assert sorted(body for body, _ in messages) == sorted(map(fill, rows_of(LIST)))
    keys = {attributes["IdempotencyKey"][1] for _, attributes in messages}
    assert len(keys) == 10000
    assert {uuid.UUID(key).version for key in keys} == {5}
    deadline = str(int(datetime.fromisoformat(DEADLINE).timestamp() * 1000))
    for _, attributes in messages:
        assert attributes.pop("IdempotencyKey")[0] == "String"
        assert attributes == {"Campaign": ("String", "朝 morning"),
                              "Destination": ("String", "line"),
                              "Deadline": ("Number", deadline)}


def test_two_runs_have_different_keys(bunshin, queue, tmp_path):
    sqs, url = queue
    path = tmp_path / "list.csv"
    path.write_text("to\nU1\nU2\n")
    for _ in range(2):
        assert send(bunshin, url, path).exit == 0
    keys = [attributes["IdempotencyKey"][1] for _, attributes in receive_all(sqs, url)]
    assert len(set(keys)) == 4


@pytest.mark.parametrize("text", [
    "to,name\nU1,a\n",
    "to,name\r\nU1,\"a,\"\"b\"\"\"\r\nU2,\"x\r\ny\nz\"\r\n",
    "\ufeffto,name\nU1,王\nU2,",
    "\ufeff\"to\",\"first \"\"name\"\"\"\n\nU1,\"\"\n\n\nU2,\" 🎉 \"\n\n",
    "a\n\"\"\n \n",
    "a.b,c d,{{e}}\n1,2,3\n",
    "to,name\n" + "".join(f"U{i},\"{'x' * (i % 97)}\"\n" for i in range(3000)),
])
def test_without_a_template_the_row_is_a_json_object(bunshin, queue, tmp_path, text):
    sqs, url = queue
    path = tmp_path / "list.csv"
    path.write_bytes(text.encode())
    result = send(bunshin, url, path)
    assert result.exit == 0, result
    bodies = [body for body, _ in receive_all(sqs, url)]
    expected = [json.dumps(row, ensure_ascii=False, separators=(",", ":"))
                for row in rows_of(path)]
    assert sorted(bodies) == sorted(expected)


JSON_LINES = (
    '{"to":"U1","name":"a \\"b\\"\\n","n":1.50,"o":{"p":[1,{"q":"王"}]},"t":true,"z":null}\n'
    '\n'
    ' {"to" : "U2", "name":"\\u00e9\\ud83c\\udf89", "n":-1e5,"o":{"p":[0,{"q":""}]},'
    '"t":false,"z":[]} \r\n'
    '{"to":"U3","name":"","n":0,"o":{"p":[null,{"q":"\\\\"}]},"t":[1, 2],"z":{}}')


def test_json_lines(bunshin, queue, tmp_path):
    sqs, url = queue
    path = tmp_path / "list.jsonl"
    path.write_text(JSON_LINES, encoding="utf-8")
    template = tmp_path / "template"
    template.write_text('{"to":"{{to}}","text":"Hi {{name}}, {{o.p.1.q}}!","n":{{n}},"t":{{t}},'
                        '"z":{{z}},"first":{{o.p.0}},"in":"n={{n}}"}\n')
    assert send(bunshin, url, path).exit == 0
    lines = [line.strip(" \r") for line in JSON_LINES.split("\n") if line.strip()]
    assert sorted(body for body, _ in receive_all(sqs, url)) == sorted(lines)
    assert send(bunshin, url, path, "--template", template).exit == 0
    bodies = [json.loads(body) for body, _ in receive_all(sqs, url)]
    assert sorted(bodies, key=lambda body: body["to"]) == [
        {"to": row["to"], "text": f"Hi {row['name']}, {row['o']['p'][1]['q']}!", "n": row["n"],
         "t": row["t"], "z": row["z"], "first": row["o"]["p"][0], "in": f"n={text}"}
        for row, text in zip(map(json.loads, lines), ("1.50", "-1e5", "0"))]


def test_a_plain_text_template(bunshin, queue, tmp_path):
    sqs, url = queue
    path = tmp_path / "list.csv"
    path.write_text('name,code\n"A ""B""",1\n"C\nD",2\n')
    template = tmp_path / "template.txt"
    template.write_text("{{name}}: {{code}}\n{{note|none}}\n")
    assert send(bunshin, url, path, "--template", template).exit == 0
    assert sorted(body for body, _ in receive_all(sqs, url)) == [
        'A "B": 1\nnone', "C\nD: 2\nnone"]


@pytest.mark.parametrize("text", ["to\nU1\nU2\n", '{"to":"U1"}\n{"to":"U2"}\n',
                                  '\n \n\ufeff'.strip() + '{"to":"U1"}\n{"to":"U2"}'])
def test_standard_input_and_pipes(bunshin, queue, tmp_path, text):
    sqs, url = queue
    expected = ['{"to":"U1"}', '{"to":"U2"}']
    assert send(bunshin, url, "-", stdin=text).exit == 0
    assert sorted(body for body, _ in receive_all(sqs, url)) == expected
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    sender = bunshin.start("campaign", "send", "--queue-url", url, "--recipients", fifo)
    fifo.write_text(text)
    assert sender.wait() == 0, sender.describe()
    assert sorted(body for body, _ in receive_all(sqs, url)) == expected
    assert not list(tmp_path.glob("bunshin-*"))  # the copy has no name


BROKEN = [
    ("a,b\n1\n", ["2:1: expected 2 fields, got 1"]),
    ("a,b\n1,2,3\n", ["2:5: expected 2 fields, got 3"]),
    ("a,b\n王,x\"y\n", ["2:4: a quote inside an unquoted field"]),
    ("a,b\n\"1\"x,2\n", ["2:4: text after a closing quote"]),
    ("a,b\n1,\"2\n3,4\n", ["2:3: the quote that opens here is never closed"]),
    ("a,b\n1,\x002\n", ["2:3: a NUL character"]),
    (b"a,b\n1,\xe7\x8e\n", ["2:3: invalid UTF-8 (the file must be UTF-8)"]),
    ("名前,b\n".encode("shift_jis") + b"1,2\n", ["1:1: invalid UTF-8 (the file must be UTF-8)"]),
    ("a,b\n1,2\r3,4\n", ["2:4: a carriage return without a line feed"]),
    ("a,,c\n1,2,3\n", ["1:3: the header has an empty column name"]),
    ("a,b,a\n1,2,3\n", ["1:5: the header has this column name twice"]),
    ("", ["1:1: the list is empty; its first row must name the columns"]),
    ("a,b\n1,2\n3\n\"x\ny\",4\n5\n\n6\n7,8\n",
     ["3:1: expected 2 fields, got 1", "6:1: expected 2 fields, got 1",
      "8:1: expected 2 fields, got 1"]),
]


@pytest.mark.parametrize("text, errors", BROKEN)
def test_a_broken_list_is_refused(bunshin, tmp_path, text, errors):
    path = tmp_path / "list.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with MockSqs() as mock:
        result = send(bunshin, mock.queue_url, path)
        assert mock.calls == 0
    assert result.exit == 2, result
    assert result.out == ""
    lines = result.err.splitlines()
    assert lines[:-1] == [f"{path}:{error}" for error in errors]
    assert "nothing was sent" in lines[-1]


def test_broken_json_lines_are_refused(bunshin, tmp_path):
    path = tmp_path / "list.jsonl"
    path.write_bytes(b'{"a":1}\n{"a":}\n[1]\n{"a":"\xff"}\n{"a":1} x\n')
    with MockSqs() as mock:
        result = send(bunshin, mock.queue_url, path)
        assert mock.calls == 0
    assert result.exit == 2
    assert result.err.splitlines()[:-1] == [
        f"{path}:2:6: malformed JSON", f"{path}:3:1: expected a JSON object",
        f"{path}:4:7: malformed JSON (the file must be UTF-8)", f"{path}:5:9: malformed JSON"]


def test_only_20_errors_are_shown_and_all_counted(bunshin, tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("a,b\n" + "1\n" * 50 + "1,2\n")
    result = bunshin.run("campaign", "send", "--dry-run", "--recipients", path)
    assert result.exit == 2
    lines = result.err.splitlines()
    assert lines[:20] == [f"{path}:{line}:1: expected 2 fields, got 1" for line in range(2, 22)]
    assert lines[20] == "and 30 more"
    assert "50 errors in 51 rows" in lines[21]


def test_skip_invalid_sends_the_others(bunshin, queue, tmp_path):
    sqs, url = queue
    path = tmp_path / "list.csv"
    path.write_text("to,name\nU1,a\nU2\nU3,\x01\nU4,d\n")
    template = tmp_path / "template"
    template.write_text("{{to}} {{name}}")
    result = send(bunshin, url, path, "--template", template, "--skip-invalid", "--json")
    assert result.exit == 0, result
    assert result.err.splitlines()[:2] == [
        f"{path}:3:1: expected 2 fields, got 1",
        f"{path}:4:1: the message holds a control character, U+FFFE or U+FFFF, which SQS refuses"]
    summary = json.loads(result.out)
    assert (summary["recipients"], summary["sent"], summary["skipped"]) == (4, 2, 2)
    assert sorted(body for body, _ in receive_all(sqs, url)) == ["U1 a", "U4 d"]


def test_skip_invalid_does_not_skip_what_has_no_end(bunshin, tmp_path):
    path = tmp_path / "list.csv"
    path.write_text('to,name\nU1,"a\nU2,"b"\nU3,c\n')
    with MockSqs() as mock:
        result = send(bunshin, mock.queue_url, path, "--skip-invalid")
        assert mock.calls == 0
    assert result.exit == 2
    assert f"{path}:2:4: text after the closing quote of a field that starts here" in result.err


@pytest.mark.parametrize("template, error", [
    ("{{to}} {{nmae}}", 'list.csv:1:1: the template needs the column "nmae"'),
    ("{\"to\":\"{{to}}\"", "template: "),
    ("{{to", "template: "),
    ("", "empty text"),
])
def test_a_template_that_does_not_fit(bunshin, tmp_path, template, error):
    (tmp_path / "list.csv").write_text("to,name\nU1,a\n")
    (tmp_path / "template").write_text(template)
    with MockSqs() as mock:
        result = send(bunshin, mock.queue_url, tmp_path / "list.csv", "--template",
                      tmp_path / "template")
        assert mock.calls == 0
    assert result.exit == 2, result
    assert error in result.err


def test_a_message_has_a_size(bunshin, queue, tmp_path):
    sqs, url = queue
    room = (1 << 20) - len("IdempotencyKeyString") - 36
    template = tmp_path / "template"
    template.write_text("{{a}}")
    path = tmp_path / "list.csv"
    path.write_text(f"a\n{'x' * room}\n")
    result = send(bunshin, url, path, "--template", template)
    assert result.exit == 0, result
    assert [len(body) for body, _ in receive_all(sqs, url)] == [room]
    path.write_text(f"a\n{'x' * (room + 1)}\n")
    result = send(bunshin, url, path, "--template", template)
    assert result.exit == 2
    assert f"{path}:2:1: the message is larger than 1 MiB" in result.err


def test_a_dry_run_needs_nothing_and_sends_nothing(bunshin):
    result = bunshin.run("campaign", "send", "--dry-run", "--recipients", LIST, "--template",
                         TEMPLATE, env={"AWS_ACCESS_KEY_ID": None})
    assert result.exit == 0, result
    assert "dry run: nothing is sent" in result.out
    assert "10,000 recipients" not in result.err
    assert rows_of(LIST)[0]["to"] in result.out
    result = bunshin.run("campaign", "send", "--dry-run", "--recipients", LIST, "--json")
    summary = json.loads(result.out)
    assert [summary[name] for name in ["dry_run", "recipients", "valid", "skipped",
                                       "sqs_requests"]] == [True, 10000, 10000, 0, 1000]


@pytest.mark.parametrize("arguments, message", [
    ([], "--recipients is missing"),
    (["--recipients", LIST], "--queue-url is missing"),
    (["--recipients", LIST, "--queue-url", "nonsense"], "nonsense"),
    (["--recipients", "/no/such/file", "--dry-run"], "/no/such/file"),
    (["--recipients", "/", "--dry-run"], "is a directory"),
    (["--recipients", LIST, "--dry-run", "--template", "/no/such/file"], "/no/such/file"),
    (["--recipients", LIST, "--dry-run", "--deadline", "tomorrow"], "--deadline"),
    (["--recipients", LIST, "--dry-run", "--deadline", "2020-01-01T00:00:00Z"], "already past"),
    (["--recipients", LIST, "--dry-run", "--deadline", "1577836800"], "already past"),
    (["--recipients", LIST, "--dry-run", "--deadline", "-5"], "--deadline"),
    (["--recipients", LIST, "--dry-run", "--name", ""], "--name"),
    (["--recipients", LIST, "--dry-run", "--name", "a\x01"], "--name"),
    (["--recipients", LIST, "--dry-run", "--name", "x" * 257], "--name"),
    (["--recipients", LIST, "--dry-run", "--destination", ""], "--destination"),
    (["--recipients", LIST, "--dry-run", "--in-flight", "0"], "--in-flight"),
    (["--recipients", LIST, "--dry-run", "--unknown"], "--unknown"),
    (["operand"], "operand"),
])
def test_wrong_usage(bunshin, arguments, message):
    result = bunshin.run("campaign", "send", *arguments)
    assert result.exit == 2, result
    assert message in result.err
    assert result.out == ""


@pytest.mark.parametrize("header_only", ["to,name\n", "\ufeffto,name\r\n\r\n"])
def test_a_list_of_nobody(bunshin, tmp_path, header_only):
    path = tmp_path / "list.csv"
    path.write_bytes(header_only.encode())
    result = bunshin.run("campaign", "send", "--dry-run", "--recipients", path)
    assert result.exit == 2
    assert "holds no recipients" in result.err
    result = bunshin.run("campaign", "send", "--dry-run", "--recipients", "-", stdin="\n")
    assert result.exit == 2


def test_the_verbs(bunshin):
    result = bunshin.run("campaign")
    assert (result.exit, result.out) == (2, "")
    assert "send" in result.err
    result = bunshin.run("campaign", "sned")
    assert result.exit == 2
    assert '"sned"' in result.err
    result = bunshin.run("campaign", "--help")
    assert result.exit == 0
    assert "send" in result.out
    result = bunshin.run("campaign", "send", "--help")
    assert result.exit == 0
    assert "--skip-invalid" in result.out


@pytest.mark.parametrize("deadline", ["4070941445", "4070941445000"])
def test_a_deadline_in_numbers(bunshin, queue, tmp_path, deadline):
    sqs, url = queue
    (tmp_path / "list.csv").write_text("to\nU1\n")
    assert send(bunshin, url, tmp_path / "list.csv", "--deadline", deadline).exit == 0
    [(_, attributes)] = receive_all(sqs, url)
    assert attributes["Deadline"] == ("Number", "4070941445000")


# when the queue does not do as it should

@pytest.fixture
def small_list(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("to\n" + "".join(f"U{number}\n" for number in range(1, 301)))
    return path


def test_a_queue_that_does_not_exist(bunshin, queue, small_list):
    _, url = queue
    result = send(bunshin, url + "-not", small_list, "--json")
    assert result.exit == 1, result
    assert "QueueDoesNotExist" in result.err
    summary = json.loads(result.out)
    assert summary["sent"] == 0
    assert "QueueDoesNotExist" in summary["error"]
    assert summary["failed"] + summary["unsent"] == 300


def test_a_queue_that_cannot_be_reached(bunshin, small_list):
    with refusing_socket() as sock:
        port = sock.getsockname()[1]
        result = send(bunshin, f"http://127.0.0.1:{port}/000000000000/q", small_list, "--json")
    assert result.exit == 75, result
    summary = json.loads(result.out)
    assert (summary["sent"], summary["failed"], summary["unconfirmed"]) == (0, 300, 0)
    assert str(port) in result.err


def test_wrong_credentials(bunshin, small_list):
    server = bunshin.queue("--memory", "--access-key", "AKIDOTHEROTHEROTHER1", "--secret-key",
                           "another-secret-0123456789")
    result = send(bunshin, f"{server.url}/000000000000/q", small_list)
    assert result.exit == 1, result
    assert "UnrecognizedClientException" in result.err
    assert "300 failed, between line 2 and line 301" in result.err
    assert len([line for line in result.err.splitlines() if "security token" in line]) == 1


def test_no_credentials(bunshin, small_list):
    result = send(bunshin, "http://127.0.0.1:9/000000000000/q", small_list,
                  env={"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None})
    assert result.exit == 1
    assert "no AWS credentials" in result.err


@pytest.mark.parametrize("seed", range(1, 6))
def test_whatever_fails_everybody_gets_one_message_with_one_key(bunshin, tmp_path, seed):
    count = 1000
    path = tmp_path / "list.csv"
    path.write_text("to\n" + "".join(f"U{number}\n" for number in range(count)))
    with MockSqs(faults=seed) as mock:
        result = send(bunshin, mock.queue_url, path, "--json", "--in-flight", "16")
        stored = list(mock.stored)
        calls = mock.calls
    assert result.exit == 0, result
    summary = json.loads(result.out)
    assert (summary["sent"], summary["failed"], summary["unsent"]) == (count, 0, 0)
    # libcurl itself repeats a request whose kept-alive connection ended without a byte of answer
    assert summary["sqs_requests"] <= calls
    keys = {}
    for body, attributes in stored:
        keys.setdefault(json.loads(body)["to"], set()).add(attributes["IdempotencyKey"])
    assert len(keys) == count
    assert all(len(of_one) == 1 for of_one in keys.values())
    assert len(stored) > count  # some answers were lost, so some came twice
    assert len(set.union(*keys.values())) == count


def test_an_entry_that_is_refused_is_told_with_its_line(bunshin, small_list):
    with MockSqs(refuse=lambda body: body in ('{"to":"U7"}', '{"to":"U250"}')) as mock:
        result = send(bunshin, mock.queue_url, small_list, "--json")
        assert len(mock.stored) == 298
    assert result.exit == 1, result
    summary = json.loads(result.out)
    assert (summary["sent"], summary["failed"], summary["unsent"]) == (298, 2, 0)
    lines = [line for line in result.err.splitlines() if line.startswith(str(small_list))]
    assert [line.split(": ")[0] for line in lines] == [f"{small_list}:8:1", f"{small_list}:251:1"]
    assert all("InvalidMessageContents" in line for line in lines)


def test_a_queue_of_smaller_batches(bunshin, small_list):
    """Older queues take 256 KiB a batch: what is refused as a whole is sent in single messages."""
    with MockSqs(max_batch_bytes=100) as mock:
        result = send(bunshin, mock.queue_url, small_list)
        assert len(mock.stored) == 300
    assert result.exit == 0, result


# stopping

def test_a_signal_finishes_what_is_under_way(bunshin, small_list):
    for number in (signal.SIGINT, signal.SIGTERM):
        with MockSqs() as mock:
            mock.hold()
            sender = bunshin.start("campaign", "send", "--queue-url", mock.queue_url,
                                   "--recipients", small_list, "--in-flight", "3", "--json")
            wait_for(lambda: mock.calls == 3, "three batches under way")
            sender.signal(number)
            wait_for(lambda: "stopping" in sender.err(), "the signal to be seen")
            mock.release()
            assert sender.wait() == 1, sender.describe()
            assert len(mock.stored) == 30
        summary = json.loads(sender.out())
        assert summary["interrupted"] is True
        assert (summary["sent"], summary["failed"], summary["unsent"]) == (30, 0, 270)
        assert summary["next"] == {"row": 31, "line": 32}
        assert summary["error"] is None
        assert "30 sent; the next is row 31, line 32" in sender.err()


def test_a_second_signal_ends_it_at_once(bunshin, small_list):
    with MockSqs() as mock:
        mock.hold()
        sender = bunshin.start("campaign", "send", "--queue-url", mock.queue_url, "--recipients",
                               small_list, "--in-flight", "2", "--json")
        wait_for(lambda: mock.calls == 2, "two batches under way")
        sender.signal(signal.SIGINT)
        wait_for(lambda: "stopping" in sender.err(), "the signal to be seen")
        sender.signal(signal.SIGINT)
        assert sender.wait() == 1, sender.describe()
    summary = json.loads(sender.out())
    assert (summary["sent"], summary["failed"], summary["unconfirmed"], summary["unsent"]) == \
        (0, 20, 20, 280)
    assert summary["next"] == {"row": 21, "line": 22}


def test_a_list_that_changes_meanwhile(bunshin, tmp_path):
    path = tmp_path / "list.csv"
    row = "U" + "x" * 98 + "\n"
    path.write_text("to\n" + row * 3000)
    with MockSqs() as mock:
        mock.hold()
        sender = bunshin.start("campaign", "send", "--queue-url", mock.queue_url, "--recipients",
                               path, "--in-flight", "2", "--json")
        wait_for(lambda: mock.calls == 2, "two batches under way")
        with path.open("a") as file:
            file.write("one,more\n")
        mock.release()
        assert sender.wait() == 1, sender.describe()
    summary = json.loads(sender.out())
    assert "was changed while it was being sent" in summary["error"]
    assert summary["sent"] == 3000  # what was checked had been sent


def run_on_a_terminal(bunshin, tmp_path, arguments, columns=80):
    """stdout as text and what the terminal on stderr was shown."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen([bunshin.binary, *map(str, arguments)], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=follower, cwd=tmp_path,
                               env=base_environment(tmp_path),
                               start_new_session=True)  # without a /dev/tty: nobody is asked
    os.close(follower)
    shown = b""
    try:
        while True:
            part = os.read(leader, 65536)
            if not part:
                break
            shown += part
    except OSError:
        pass  # EIO: the other side is closed
    out = process.communicate(timeout=PATIENCE_S)[0].decode()
    os.close(leader)
    return process.returncode, out, shown.decode()


def test_the_bar_on_a_terminal(bunshin, tmp_path):
    class Slow(MockSqs):
        def _serve(self, request):
            time.sleep(0.01)
            super()._serve(request)

    with Slow() as mock:
        code, out, shown = run_on_a_terminal(bunshin, tmp_path, [
            "campaign", "send", "--queue-url", mock.queue_url, "--recipients", LIST,
            "--in-flight", "4"])
    assert code == 0, shown
    assert out.startswith("recipients 10000, sent 10000, skipped 0, failed 0, unsent 0\n")
    shown = shown[shown.index("\r\x1b[K"):]  # behind the preflight
    frames = [frame for frame in shown.split("\r\x1b[K") if frame]
    assert frames
    for frame in frames:
        assert re.fullmatch(r"\[=*>? *\] +\d+%  [\d,]+/10,000  [\d,]+/s  ETA (-|[\dhms]+)", frame)
        assert len(frame) < 80
    assert shown.endswith("\r\x1b[K")  # the bar is gone in the end


def test_no_bar_in_a_file(bunshin, queue):
    _, url = queue
    result = send(bunshin, url, LIST)
    assert "\r" not in result.err and "\x1b" not in result.err
    assert io.StringIO(result.out).readline() == \
        "recipients 10000, sent 10000, skipped 0, failed 0, unsent 0\n"


# the example data

def test_the_example_is_what_its_script_makes():
    made = subprocess.run([ROOT / "scripts/make-example-recipients"], capture_output=True,
                          check=True).stdout
    assert made == LIST.read_bytes()


def test_the_example_holds_what_breaks_naive_code():
    rows = rows_of(LIST)
    assert len(rows) == len({row["to"] for row in rows}) == 10000
    assert all(re.fullmatch("U[0-9a-f]{32}", row["to"]) for row in rows)
    for needle in (",", '"', "\n", "\r\n", "\t", "\\", "王", "さ", "é", "🎉", "\u200d", "\u2028"):
        assert sum(needle in row["name"] for row in rows) >= 2, repr(needle)


def test_the_example_configuration_is_valid(bunshin):
    config = EXAMPLES.parent / "destinations/line-push.yaml"
    result = bunshin.run("check", "-c", config, env={"LINE_TOKEN": "a-token"})
    assert result.exit == 0, result
    assert "https://api.line.me/v2/bot/message/push" in result.out
    result = bunshin.run("check", "-c", config, env={"LINE_TOKEN": "a-token",
                                                     "SINK_URL": "http://127.0.0.1:9400"})
    assert result.exit == 0, result
    assert "http://127.0.0.1:9400/v2/bot/message/push" in result.out
    result = bunshin.run("check", "-c", config)
    assert result.exit == 2
    assert "LINE_TOKEN" in result.err
