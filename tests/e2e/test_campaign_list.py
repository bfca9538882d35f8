"""`bunshin campaign send`: who is on the list, who is left out, and where that is written down."""

import csv
import gzip
import json
import os
import subprocess
import time
import uuid

import pytest

from harness import base_environment
from test_campaign import queue, receive_all, send  # noqa: F401


def space(name):
    return uuid.uuid5(uuid.NAMESPACE_URL, "bunshin:campaign:" + name)


def keys_of(messages):
    return sorted(attributes["IdempotencyKey"][1] for _, attributes in messages)


def rejects(path):
    with open(path, encoding="utf-8", newline="") as lines:
        return [tuple(row.values()) for row in csv.DictReader(lines)]


def summary_of(result, code=0):
    assert result.exit == code, result
    return json.loads(result.out)


@pytest.mark.parametrize("row", [0, 1])
def test_keys_are_those_of_campaign_and_recipient(bunshin, queue, tmp_path, row):  # noqa: F811
    sqs, url = queue
    path = tmp_path / "list.csv"
    path.write_text("to,name\nU1,a\nU2,b\n")
    options = () if row else ("--key", "to")
    assert send(bunshin, url, path, "--name", "朝", *options).exit == 0
    recipients = ['{"to":"U1","name":"a"}', '{"to":"U2","name":"b"}'] if row else ["U1", "U2"]
    assert keys_of(receive_all(sqs, url)) == sorted(
        str(uuid.uuid5(space("朝"), key)) for key in recipients)


def test_keys_of_json_lines(bunshin, queue, tmp_path):  # noqa: F811
    sqs, url = queue
    path = tmp_path / "list.jsonl"
    path.write_text('{"user":{"id":17}}\n{"user":{"id":"x"}}\n')
    assert send(bunshin, url, path, "--name", "n", "--key", "user.id").exit == 0
    assert keys_of(receive_all(sqs, url)) == sorted(
        str(uuid.uuid5(space("n"), key)) for key in ("17", "x"))


def test_what_is_left_out(bunshin, queue, tmp_path):  # noqa: F811
    sqs, url = queue
    path, suppressed = tmp_path / "list.csv", tmp_path / "gone.txt"
    path.write_text('to,n\nU1,1\nx,2\nU2,3\nU1,4\nU3,5\n"U4",6,7\n,8\n"U\n5",9\n')
    suppressed.write_text("U3\r\nU9\n\n")
    arguments = ("--name", "a b", "--key", "to", "--validate", "to=U[0-9]+", "--validate",
                 "n=[0-9]", "--suppress", suppressed, "--json")
    refused = send(bunshin, url, path, *arguments)
    assert refused.exit == 2
    assert f"{path}:7:8: expected 2 fields, got 3" in refused.err
    assert '--skip-invalid leaves such rows out' in refused.err
    summary = summary_of(send(bunshin, url, path, *arguments, "--skip-invalid"))
    assert (summary["recipients"], summary["sent"], summary["skipped"]) == (8, 2, 6)
    assert summary["rejected"] == {"invalid": 2, "malformed": 2, "duplicate": 1, "suppressed": 1}
    assert keys_of(receive_all(sqs, url)) == sorted(
        str(uuid.uuid5(space("a b"), key)) for key in ("U1", "U2"))
    assert rejects(tmp_path / "a%20b.rejects.csv") == [
        ("3", "2", "x", "malformed", "to does not match U[0-9]+"),
        ("5", "4", "U1", "duplicate", "its key stood in an earlier row"),
        ("6", "5", "U3", "suppressed", "its key is in the suppression file"),
        ("7", "6", "", "invalid", "expected 2 fields, got 3"),
        ("8", "7", "", "invalid", 'its key, "to", is missing or empty'),
        ("9", "8", "U\n5", "malformed", "to does not match U[0-9]+"),
    ]


def test_text_says_what_is_left_out(bunshin, queue, tmp_path):  # noqa: F811
    _, url = queue
    path = tmp_path / "list.csv"
    path.write_text("to\nU1\nU1\nU2\n")
    result = send(bunshin, url, path, "--key", "to", "--rejects", tmp_path / "r.csv")
    assert "recipients 3, sent 2, skipped 1 (1 duplicate), failed 0" in result.out
    assert rejects(tmp_path / "r.csv")[0][3] == "duplicate"


def test_without_a_name_or_a_key_rows_may_be_alike(bunshin, queue, tmp_path):  # noqa: F811
    sqs, url = queue
    path = tmp_path / "list.csv"
    path.write_text("to\nU1\nU1\n")
    assert send(bunshin, url, path).exit == 0
    assert len(set(keys_of(receive_all(sqs, url)))) == 2
    assert not [name for name in os.listdir(tmp_path) if "reject" in name]


@pytest.mark.parametrize("name, text", [
    ("gone.csv", "when,to\n1,U2\n"),
    ("gone.jsonl", '{"to":"U2"}\n'),
    ("gone", "\ufeffU2"),
])
@pytest.mark.parametrize("packed", [False, True])
def test_suppression_files(bunshin, queue, tmp_path, name, text, packed):  # noqa: F811
    sqs, url = queue
    path, suppressed = tmp_path / "list.csv", tmp_path / (name + (".gz" if packed else ""))
    path.write_text("to\nU1\nU2\n")
    suppressed.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    result = send(bunshin, url, path, "--key", "to", "--suppress", suppressed, "--json")
    assert summary_of(result)["rejected"]["suppressed"] == 1
    assert [json.loads(body)["to"] for body, _ in receive_all(sqs, url)] == ["U1"]


@pytest.mark.parametrize("arguments, words", [
    (["--validate", "to"], '--validate: "to": expected COLUMN=REGEX or COLUMN=@PRESET'),
    (["--validate", "to=@lime"], "no such preset; there are @line, @e164, @fcm"),
    (["--validate", "to=("], "not a regular expression: Unmatched ("),
    (["--validate", "id=."], '--validate: the list does not have the column "id"'),
    (["--key", "id"], 'the list does not have the key column "id"'),
    (["--key", ""], "--key: the column's name is empty"),
    (["--suppress", "/nonexistent"], "--suppress needs --key"),
    (["--key", "to", "--suppress", "/nonexistent"], "--suppress: cannot read /nonexistent"),
    (["--key", "to", "--rejects", "/nonexistent/x"], "cannot write /nonexistent/x"),
    (["--validate", "to=@e164"], "holds no valid recipients; nothing was sent"),
] + [(["--validate", "to=."] * 33, "--validate: given more than 32 times")])
def test_options_that_cannot_be(bunshin, queue, tmp_path, arguments, words):  # noqa: F811
    sqs, url = queue
    path = tmp_path / "list.csv"
    path.write_text("to\nU1\nU1\n")
    result = send(bunshin, url, path, *arguments)
    assert result.exit in (1, 2) and words in result.err, result
    assert sqs.counts(url) == (0, 0, 0)


def test_suppression_file_that_is_broken_stops_it(bunshin, queue, tmp_path):  # noqa: F811
    sqs, url = queue
    path, suppressed = tmp_path / "list.csv", tmp_path / "gone"
    path.write_text("to\nU1\n")
    suppressed.write_bytes(b"U2\n\xff\n")
    result = send(bunshin, url, path, "--key", "to", "--suppress", suppressed)
    assert result.exit == 2 and f"{suppressed}:2: the line is no text in UTF-8" in result.err
    suppressed.write_bytes(gzip.compress(b"U2\n" * 1000)[:-9])
    result = send(bunshin, url, path, "--key", "to", "--suppress", suppressed)
    assert result.exit != 0 and "the gzip data ends in the middle" in result.err
    assert sqs.counts(url) == (0, 0, 0)


def test_suppression_file_without_keys_is_told_of(bunshin, queue, tmp_path):  # noqa: F811
    _, url = queue
    path, suppressed = tmp_path / "list.csv", tmp_path / "gone.csv"
    path.write_text("to\nU1\n")
    suppressed.write_text("to\n")
    result = send(bunshin, url, path, "--key", "to", "--suppress", suppressed)
    assert result.exit == 0
    assert f"--suppress: {suppressed} holds no keys, so nobody is left out" in result.err


def test_suppression_from_standard_input(bunshin, queue, tmp_path):  # noqa: F811
    sqs, url = queue
    path, suppressed = tmp_path / "list.csv", tmp_path / "gone"
    path.write_text("to\nU1\nU2\n")
    suppressed.write_text("U2\n")
    result = send(bunshin, url, "-", "--key", "to", "--suppress", "-", stdin=path)
    assert result.exit == 2 and "standard input cannot be both this and the recipients" in result.err
    assert sqs.counts(url) == (0, 0, 0)
    assert send(bunshin, url, path, "--key", "to", "--suppress", "-", stdin=suppressed).exit == 0
    assert [json.loads(body)["to"] for body, _ in receive_all(sqs, url)] == ["U1"]
    suppressed.write_bytes(b"U2\n\xff\n")
    result = send(bunshin, url, path, "--key", "to", "--suppress", "-", stdin=suppressed)
    assert result.exit == 2 and "<stdin>:2: the line is no text in UTF-8" in result.err


@pytest.mark.parametrize("standard_input", [False, True])
def test_list_in_gzip(bunshin, queue, tmp_path, standard_input):  # noqa: F811
    sqs, url = queue
    path = tmp_path / "list.csv.gz"
    path.write_bytes(gzip.compress(b"to\nU1\n") + gzip.compress(b"U2\n"))
    options = {"stdin": path} if standard_input else {}
    assert send(bunshin, url, "-" if standard_input else path, **options).exit == 0
    assert sorted(body for body, _ in receive_all(sqs, url)) == ['{"to":"U1"}', '{"to":"U2"}']


def test_list_in_gzip_that_is_cut_off(bunshin, queue, tmp_path):  # noqa: F811
    sqs, url = queue
    path = tmp_path / "list.csv.gz"
    path.write_bytes(gzip.compress(b"to\n" + b"U1\n" * 1000)[:-20])
    result = send(bunshin, url, path)
    assert result.exit != 0
    assert f"{path}: the gzip data ends in the middle, after " in result.err
    assert sqs.counts(url) == (0, 0, 0)


def test_list_from_standard_input_is_kept(bunshin, queue, tmp_path):  # noqa: F811
    _, url = queue
    path = tmp_path / "list.csv"
    path.write_text("to\nU1\n")
    for options in ((), ("--name", "morning")):
        assert not (tmp_path / "morning.list").exists()
        assert send(bunshin, url, "-", "--dir", tmp_path, *options, stdin=path).exit == 0
    assert (tmp_path / "morning.list").read_text() == "to\nU1\n"
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".tmp")]


def peak_kib(process):
    """The most that it ever had resident, as far as the last look before its end knows."""
    peak = 0
    while process.poll() is None:
        with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
            peak = max([peak] + [int(line.split()[1]) for line in status
                                 if line.startswith("VmHWM:")])
        time.sleep(0.002)
    return peak


def test_memory_does_not_grow_with_the_list(bunshin, tmp_path):
    """Rows held would be 40 MiB here, in several copies; keys are 5 MiB."""
    path, suppressed = tmp_path / "list.csv.gz", tmp_path / "gone.txt.gz"
    with gzip.open(suppressed, "wt", compresslevel=1) as out:
        for number in range(0, 400000, 20):
            out.write(f"U{number:032x}\n")
    with gzip.open(path, "wt", compresslevel=1) as out:
        out.write("to,name,text\n")
        for number in range(400000):
            out.write(f"U{number:032x},name {number},{'x' * 60}\n")
    environment = base_environment(tmp_path)
    # A sanitizer keeps what was freed, and shadows memory.
    sanitized = b"__asan_init" in bunshin.binary.read_bytes()
    environment["ASAN_OPTIONS"] = environment.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"
    with open(tmp_path / "out", "w", encoding="utf-8") as out:
        process = subprocess.Popen(
            [bunshin.binary, "campaign", "send", "--name", "n", "--key", "to", "--validate",
             "to=@line", "--suppress", suppressed, "--recipients", path, "--dry-run", "--json"],
            env=environment, stdout=out, stderr=subprocess.STDOUT)
        peak = peak_kib(process)
    text = (tmp_path / "out").read_text()
    assert process.returncode == 0, text
    assert json.loads(text.splitlines()[-1])["valid"] == 380000
    assert 1 << 10 < peak < (120 << 10 if sanitized else 40 << 10), peak
