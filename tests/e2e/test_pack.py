"""`bunshin campaign send --pack`: many recipients in one message, and nobody in none."""

import hashlib
import json
import re
import signal
import uuid

import pytest

from harness import wait_for
from mock_sqs import MockSqs, value_of
from test_campaign import queue, send  # noqa: F401
from test_campaign_resume import Killer, journal, resume, summary_of
from test_report import report, result, watch

ROWS = 300
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "bunshin:recipients")
NAME = "morning"


@pytest.fixture
def path(tmp_path):
    """Three contents, one after the other."""
    path = tmp_path / "list.csv"
    path.write_text("to,text\n" + "".join(f"U{row},t{row % 3}\n" for row in range(1, ROWS + 1)))
    return path


def keys_of(attributes):
    """A packed message's recipient keys, and that its own is made of them."""
    raw = attributes["RecipientKeys"]
    assert len(raw) % 16 == 0
    keys = [uuid.UUID(bytes=raw[at:at + 16]) for at in range(0, len(raw), 16)]
    own = keys[0] if len(keys) == 1 else batch_key(raw)
    assert attributes["IdempotencyKey"] == str(own)
    return [str(key) for key in keys]


def batch_key(raw):
    """UUIDv5 of bytes, which Python's takes as text only."""
    digest = hashlib.sha1(NAMESPACE.bytes + raw).digest()[:16]
    return uuid.UUID(bytes=digest, version=5)


def recipients_of(stored):
    """{recipient: [its key at each arrival]} of packed messages."""
    found = {}
    for body, attributes in stored:
        to, keys = json.loads(body)["to"], keys_of(attributes)
        assert len(to) == len(keys) == len(set(to))
        for recipient, key in zip(to, keys):
            found.setdefault(recipient, []).append(key)
    return found


def key_of(recipient, name=NAME):
    return str(uuid.uuid5(uuid.uuid5(uuid.NAMESPACE_URL, f"bunshin:campaign:{name}"), recipient))


def attributes_of(message):
    return {name: value_of(value) for name, value in message["MessageAttributes"].items()}


def receive(sqs, url):
    found = []
    while messages := sqs.receive(url, WaitTimeSeconds=0, VisibilityTimeout=43200):
        found += [(message["Body"], attributes_of(message)) for message in messages]
    return found


# what is sent

def test_a_message_for_many(bunshin, queue, path):  # noqa: F811
    sqs, url = queue
    done = summary_of(send(bunshin, url, path, "--name", NAME, "--key", "to", "--pack", "40",
                           "--destination", "line", "--json"))
    assert (done["sent"], done["messages"], done["sqs_requests"], done["finished"]) == \
        (ROWS, 9, 1, True)
    stored = receive(sqs, url)
    assert sorted(len(json.loads(body)["to"]) for body, _ in stored) == [20] * 3 + [40] * 6
    for body, attributes in stored:
        to = [int(recipient[1:]) for recipient in json.loads(body)["to"]]
        assert to == sorted(to) and len({row % 3 for row in to}) == 1
        assert body == '{"to":%s,"text":"t%d"}' % (
            json.dumps([f"U{row}" for row in to], separators=(",", ":")), to[0] % 3)
        assert set(attributes) == {"IdempotencyKey", "RecipientKeys", "Campaign", "Destination"}
    assert recipients_of(stored) == {
        f"U{row}": [key_of(f"U{row}")] for row in range(1, ROWS + 1)}


def test_with_a_template_and_another_member(bunshin, queue, path, tmp_path):  # noqa: F811
    sqs, url = queue
    template = tmp_path / "template.json"
    template.write_text('{"text": "good morning", "chat_id": {{{id}}}}\n')
    path.write_text("id,name\n1,Ann\n-2,Bob\n3,Cem\n")
    done = send(bunshin, url, path, "--template", template, "--pack", "2", "--pack-field",
                "chat_id")
    assert done.exit == 0 and "recipients 3, sent 3 in 2 messages, skipped 0" in done.out, done
    assert sorted(body for body, _ in receive(sqs, url)) == [
        '{"text": "good morning", "chat_id": [1,-2]}', '{"text": "good morning", "chat_id": [3]}']


def test_each_pack_is_a_group_of_its_own(bunshin, path):
    with MockSqs() as mock:
        url = mock.queue_url + ".fifo"
        assert send(bunshin, url, path, "--name", NAME, "--pack", "40").exit == 0
        for _, entry in mock.entries:
            key = entry["MessageAttributes"]["IdempotencyKey"]["StringValue"]
            assert entry["MessageGroupId"] == entry["MessageDeduplicationId"] == key
        assert len(mock.entries) == 9


def test_no_message_is_larger_than_256_kib(bunshin, tmp_path):
    rows = 6000
    path = tmp_path / "list.csv"
    path.write_text("to\n" + "".join(f"U{row:032x}\n" for row in range(rows)))
    with MockSqs() as mock:
        done = summary_of(send(bunshin, mock.queue_url, path, "--pack", "10000", "--json"))
        assert done["messages"] == len(mock.stored) == 2
        for body, attributes in mock.stored:
            size = len(body) + sum(
                len(name) + len("Binary" if name == "RecipientKeys" else "String") + len(value)
                for name, value in attributes.items())
            assert size <= 256 * 1024
        assert len(recipients_of(mock.stored)) == rows


# before it is sent

def test_a_dry_run_says_how_many(bunshin, path):
    dry = bunshin.run("campaign", "send", "--recipients", path, "--pack", "40", "--dry-run",
                      "--name", NAME, "--rate", "100/s", "--json")
    value = json.loads(dry.out)
    assert (value["valid"], value["messages"], value["requests"], value["sqs_requests"]) == \
        (ROWS, 9, 9, 1)
    assert value["forecast"]["rate"] == 100  # recipients, whatever the packs
    assert [sample["recipients"] for sample in value["samples"]] == [40, 40, 20]
    assert value["samples"][0]["body"] == '{"to":["U1", ... and 39 more],"text":"t1"}'
    text = bunshin.run("campaign", "send", "--recipients", path, "--pack", "40", "--dry-run").out
    assert "  to send    300\n  packed     in 9 messages, up to 40 recipients each; to the " \
        "provider 9 requests\n" in text
    assert "first message, row 1, line 2 and 39 more:\n" in text


def dry_run_with(bunshin, path, batch, *arguments):
    """By a configuration whose destination takes 100 requests a second."""
    config = bunshin.write_config({
        "queue": {"url": "http://127.0.0.1:1/0/q"},
        "destinations": [{"name": "line", "rate": "100/s", **batch, "request": {
            "url": "http://127.0.0.1:1/", "body": '{"to":{{to}},"text":"{{text}}"}'}}]})
    dry = bunshin.run("campaign", "send", "--recipients", path, "--dry-run", "-c", config,
                      *arguments)
    assert dry.exit == 0, dry
    return dry.out


def test_the_forecast_is_of_recipients(bunshin, path):
    """Nine packs: of forty, and three of twenty."""
    whole = dry_run_with(bunshin, path, {"batch": {"max": 500, "field": "to"}}, "--pack", "40")
    assert "to the provider 9 requests\n" in whole and "0.1 s at 3,333/s" in whole
    assert "limit      rate of destination line, 33.33 recipients a request\n" in whole
    assert "note" not in whole
    parts = dry_run_with(bunshin, path, {"batch": {"max": 30, "field": "to"}}, "--pack", "40")
    assert "to the provider 15 requests\n" in parts and "0.1 s at 2,000/s" in parts
    gathered = dry_run_with(bunshin, path, {"batch": {"max": 30, "field": "to"}})
    assert "limit      rate of destination line, up to 30 recipients a request\n" in gathered
    assert "0.1 s at 3,000/s" in gathered


def test_a_destination_that_does_not_fit_is_noted(bunshin, path):
    none = dry_run_with(bunshin, path, {}, "--pack", "40")
    assert "note       destination line has no `batch` for lists of recipients: a pack is one " \
        "request with one outcome\n" in none
    path.write_text(path.read_text().replace("to,", "id,"))
    other = dry_run_with(bunshin, path, {"batch": {"max": 30, "field": "to"}}, "--pack", "40",
                         "--pack-field", "id")
    assert 'note       destination line has the recipients in "to", the packs have them in "id"' \
        "\n" in other


def test_hardly_anything_to_pack_is_noted(bunshin, path):
    path.write_text("to,name\n" + "".join(f"U{row},n{row}\n" for row in range(10)))
    dry = bunshin.run("campaign", "send", "--recipients", path, "--pack", "40", "--dry-run")
    assert "packed     in 10 messages" in dry.out
    assert "note       few rows have the same content" in dry.out, dry


@pytest.mark.parametrize("arguments, words", [
    (["--pack", "0"], '--pack: expected a whole number from 1 to 10000, got "0"'),
    (["--pack", "10001"], "--pack: expected a whole number from 1 to 10000"),
    (["--pack", "many"], "--pack: expected a whole number from 1 to 10000"),
    (["--pack-field", "to"], "--pack-field needs --pack"),
    (["--pack", "5", "--pack-field", ""], "--pack-field: expected a name of 1 to 64 letters"),
    (["--pack", "5", "--pack-field", "x" * 65], "--pack-field: expected a name of 1 to 64"),
    (["--pack", "5", "--pack-field", "a.b"], 'digits, - or _, got "a.b"'),
    (["--pack", "5", "--group", "text"], "--group and --pack exclude each other"),
])
def test_options_that_do_not_fit(bunshin, path, arguments, words):
    refused = send(bunshin, "http://127.0.0.1:1/0/q", path, *arguments)
    assert refused.exit == 2 and words in refused.err and refused.out == "", refused


@pytest.mark.parametrize("template, words", [
    ("hello {{to}}", "is no JSON object"),
    ('["{{to}}"]', "is no JSON object"),
    ('{"text":"{{text}}"}', "does not have this member"),
    ('{"to":["{{to}}"]}', "has no text or number there"),
    ('{"to":"{{to}}","to":"{{to}}"}', "has this member more than once"),
    ('{"to":"{{none|}}"}', "has an empty text there"),
])
def test_messages_that_cannot_be_packed(bunshin, path, tmp_path, template, words):
    (tmp_path / "template").write_text(template)
    refused = send(bunshin, "http://127.0.0.1:1/0/q", path, "--template", tmp_path / "template",
                   "--pack", "5")
    assert refused.exit == 2, refused
    assert f'list.csv:2:1: cannot be packed by "to": the message {words}\n' in refused.err
    assert "300 errors in 300 rows; nothing was sent" in refused.err


def test_rows_that_cannot_be_packed_are_left_out(bunshin, queue, tmp_path):  # noqa: F811
    sqs, url = queue
    path = tmp_path / "list.jsonl"
    path.write_text('{"to":"U1"}\n{"to":["U2"]}\n{"to":"U3"}\n')
    done = summary_of(send(bunshin, url, path, "--name", NAME, "--pack", "5", "--skip-invalid",
                           "--json"))
    assert (done["sent"], done["messages"], done["rejected"]["invalid"]) == (2, 1, 1)
    assert [body for body, _ in receive(sqs, url)] == ['{"to":["U1","U3"]}']


# when it does not go well

@pytest.mark.parametrize("after", [0, 1])
def test_killed_at_any_call_and_resumed(bunshin, path, tmp_path, after):
    """Everybody is in the queue, under one key; whoever was noted is not there again."""
    twice, noted = 0, 0
    for at in range(1, 7):  # 60 messages of five
        directory, in_flight = tmp_path / f"at-{at}", 1 + at // 5
        directory.mkdir()
        with Killer(at, after, pause_s=0.08) as mock:
            mock.victim = bunshin.start(
                "campaign", "send", "--queue-url", mock.queue_url, "--recipients", path, "--dir",
                directory, "--name", NAME, "--key", "to", "--in-flight", str(in_flight),
                "--pack", "5")
            assert mock.victim.wait() == -signal.SIGKILL, mock.victim.describe()
            before = set(recipients_of(mock.stored))
            confirmed = {f"U{row}" for row in journal(directory).confirmed}
            assert confirmed <= before
            mock.pause_s = 0
            done = summary_of(resume(bunshin, "--json", directory=directory))
            keys = recipients_of(mock.stored)
        assert set(keys) == {f"U{row}" for row in range(1, ROWS + 1)}
        assert all(set(of_one) == {key_of(recipient)} for recipient, of_one in keys.items())
        again = {recipient for recipient, of_one in keys.items() if len(of_one) > 1}
        assert not again & confirmed
        assert before - confirmed <= again
        if in_flight == 1:
            assert again == before - confirmed
        assert (done["sent"], done["sent_before"]) == (ROWS - len(confirmed), len(confirmed))
        assert done["messages"] >= (ROWS - len(confirmed)) / 5
        kept = journal(directory)
        assert kept.finished and kept.confirmed == set(range(1, ROWS + 1))
        twice += len(before) - len(confirmed)
        noted += len(confirmed)
    assert twice > 0 and noted > 0


@pytest.mark.parametrize("seed", range(4))
def test_whatever_the_queue_does(bunshin, path, tmp_path, seed):
    """Answers lost, entries refused for now, throttling: all are in, each under one key."""
    with MockSqs(faults=seed) as mock:
        done = summary_of(send(bunshin, mock.queue_url, path, "--name", NAME, "--key", "to",
                               "--pack", "3", "--json"))
        keys = recipients_of(mock.stored)
    assert (done["sent"], done["finished"]) == (ROWS, True)
    assert {recipient: set(of_one) for recipient, of_one in keys.items()} == {
        f"U{row}": {key_of(f"U{row}")} for row in range(1, ROWS + 1)}


def test_interrupted_it_says_where_it_stands(bunshin, path):
    with MockSqs() as mock:
        mock.hold()
        sender = bunshin.start("campaign", "send", "--queue-url", mock.queue_url, "--recipients",
                               path, "--name", NAME, "--key", "to", "--in-flight", "1", "--pack",
                               "3", "--json")
        wait_for(lambda: mock.calls == 1 or sender.exit is not None, "a batch under way")
        sender.signal(signal.SIGINT)
        wait_for(lambda: "stopping" in sender.err(), "the signal to be seen")
        mock.release()
        assert sender.wait() == 1, sender.describe()
        done = json.loads(sender.out())
        assert done["sent"] + done["unsent"] == ROWS and done["failed"] == 0
        assert done["sent"] == len(recipients_of(mock.stored)) > 0
        assert f"{done['sent']} of 300 rows are done; to go on with the rest" in sender.err()
        rest = summary_of(resume(bunshin, "--json"))
        assert (rest["sent"], rest["sent_before"]) == (done["unsent"], done["sent"])
        assert all(len(of_one) == 1 for of_one in recipients_of(mock.stored).values())


def test_a_pack_that_is_refused_for_good(bunshin, path, tmp_path):
    with MockSqs(refuse=lambda body: '"U7"' in body) as mock:
        refused = send(bunshin, mock.queue_url, path, "--name", NAME, "--key", "to", "--pack",
                       "50", "--json")
    done = summary_of(refused, code=1)
    assert (done["sent"], done["failed"], done["finished"]) == (250, 50, True)
    assert re.search(r"list.csv:2:1: not sent, with 49 more of its pack: .*not this one",
                     refused.err), refused
    assert "50 were refused by the queue for good; the campaign is finished" in refused.err
    kept = journal(tmp_path)
    assert set(kept.rejects) == set(range(1, 151, 3))
    assert {why for why, _ in kept.rejects.values()} == {"refused"}


def test_what_is_not_as_it_began_is_named(bunshin, path, tmp_path):
    with MockSqs(refuse=lambda body: True) as mock:
        mock.hold()
        sender = bunshin.start("campaign", "send", "--queue-url", mock.queue_url, "--recipients",
                               path, "--name", NAME, "--pack", "3")
        wait_for(lambda: mock.calls > 0, "a batch under way")
        sender.signal(signal.SIGKILL)
        sender.wait()
        mock.release()
    refused = resume(bunshin, "--pack", "4", "--pack-field", "id", directory=tmp_path)
    assert refused.exit == 2, refused
    assert "--pack is 4; the campaign began with 3\n" in refused.err
    assert '--pack-field is "id"; the campaign began with "to"\n' in refused.err
    plain = tmp_path / "plain"
    plain.mkdir()
    with MockSqs() as mock:
        mock.hold()
        sender = bunshin.start("campaign", "send", "--queue-url", mock.queue_url, "--recipients",
                               path, "--name", NAME, "--dir", plain)
        wait_for(lambda: mock.calls > 0, "a batch under way")
        sender.signal(signal.SIGKILL)
        sender.wait()
        refused = resume(bunshin, "--pack", "4", directory=plain)
    assert refused.exit == 2 and "--pack is 4; the campaign began without it\n" in refused.err


# afterwards

def test_watch_and_report_count_recipients(bunshin, queue, path):  # noqa: F811
    """The queue has nine messages; what becomes of them is told by recipient."""
    _, url = queue
    assert send(bunshin, url, path, "--name", NAME, "--key", "to", "--pack", "40").exit == 0
    lines = "".join(result("accepted", f"U{row}", name=NAME) for row in range(1, 251))
    lines += "".join(result("failed", f"U{row}", name=NAME, status=400, reason="unregistered")
                     for row in range(251, 256))
    watch(bunshin, lines, name=NAME)
    tally = json.loads(bunshin.run("campaign", "watch", NAME, "--outcomes", "outcomes", "--once",
                                   "--json").out)
    assert (tally["total"], tally["accepted"], tally["failed"], tally["waiting"]) == \
        (ROWS, 250, 5, 45)
    done = report(bunshin, "--json", "--dead", "dead.txt", name=NAME)
    value = json.loads(done.out)
    assert value["reconciles"] is True
    assert (value["rows"], value["accepted"], value["failed"], value["waiting"]) == \
        (ROWS, 250, 5, 45)
    assert (bunshin.directory / "dead.txt").read_text().split() == [
        f"U{row}" for row in range(251, 256)]
