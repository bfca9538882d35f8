"""The destination files of conf/destinations/, each against `bunshin sink --as` its provider."""

import json
import uuid
from collections import Counter
from pathlib import Path

import pytest

from test_sink import ask, totals

DESTINATIONS = Path(__file__).resolve().parent.parent.parent / "conf/destinations"
JSON = {"Content-Type": "application/json"}
LINE_AUTH = {"Authorization": "Bearer token", **JSON}


def line_id(number, mark=""):
    return "U" + mark + f"{number:0{32 - len(mark)}x}"


def line_push(to=line_id(1), text="hello"):
    return json.dumps({"to": to, "messages": [{"type": "text", "text": text}]})


def played(answer):
    status, headers, body = answer
    return status, json.loads(body), headers


# What the sink answers


def test_line_checks_path_method_and_token(bunshin):
    sink = bunshin.sink("--as", "line")
    push = "/v2/bot/message/push"
    assert ask(sink, line_push(), "/push", LINE_AUTH)[0] == 404
    assert ask(sink, None, push, LINE_AUTH, method="GET")[0] == 405
    status, body, headers = played(ask(sink, line_push(), push, JSON))
    assert status == 401 and body["message"].startswith("Authentication failed")
    assert headers["x-line-request-id"]
    assert ask(sink, line_push(), push, {"Authorization": "Bearer t",
                                         "Content-Type": "text/plain"})[0] == 415
    status, body, headers = played(ask(sink, line_push(), push, LINE_AUTH))
    assert status == 200 and body["sentMessages"][0]["id"]
    assert totals(sink)["recipients"] == 1


@pytest.mark.parametrize("path, body, message", [
    ("push", line_push(to="U123"), "'to'"),
    ("push", line_push(to="U" + "A" * 32), "'to'"),
    ("push", line_push(to=[line_id(1)]), "'to'"),
    ("push", line_push(to=line_id(1, "dead0400")), "'to'"),
    ("push", json.dumps({"to": line_id(1), "messages": []}), "1 and 5"),
    ("push", json.dumps({"to": line_id(1), "messages": [{"type": "text"}] * 6}), "1 and 5"),
    ("push", line_push(text=""), "May not be empty"),
    ("push", "{", "could not be parsed"),
    ("multicast", line_push(to=[]), "1 and 500"),
    ("multicast", line_push(to=[line_id(1)] * 501), "1 and 500"),
    ("multicast", line_push(to=[line_id(1), line_id(2, "dead0400")]), "'to'"),
    ("multicast", line_push(to=line_id(1)), "1 and 500"),
])
def test_line_refuses_a_body(bunshin, path, body, message):
    sink = bunshin.sink("--as", "line")
    answer = ask(sink, body, f"/v2/bot/message/{path}", LINE_AUTH)
    assert answer[0] == 400
    assert message in answer[2].decode()


def test_line_takes_a_retry_key_once(bunshin):
    sink = bunshin.sink("--as", "line")
    push = "/v2/bot/message/push"
    key = {"X-Line-Retry-Key": "123e4567-e89b-12d3-a456-426614174000", **LINE_AUTH}
    assert ask(sink, line_push(), push, {**key, "X-Line-Retry-Key": "1"})[0] == 400
    assert ask(sink, line_push(text=""), push, key)[0] == 400  # does not use it up
    status, _, first = played(ask(sink, line_push(), push, key))
    assert status == 200
    status, body, second = played(ask(sink, line_push(), push, key))
    assert (status, body["message"]) == (409, "The retry key is already accepted")
    assert second["x-line-accepted-request-id"] == first["x-line-request-id"]
    assert second["x-line-request-id"] != first["x-line-request-id"]
    counts = totals(sink)
    assert (counts["accepted"], counts["conflicts"], counts["recipients"]) == (1, 1, 1)


def test_line_has_a_monthly_limit(bunshin):
    sink = bunshin.sink("--as", "line", "--quota", "2")
    answers = [ask(sink, line_push(), "/v2/bot/message/push", LINE_AUTH) for _ in range(3)]
    assert [answer[0] for answer in answers] == [200, 200, 429]
    assert json.loads(answers[2][2])["message"] == "You have reached your monthly limit."


def test_the_limit_is_a_rate_in_any_second(bunshin):
    """Of 50 at once, 20 are let through; push and multicast have limits of their own."""
    sink = bunshin.sink("--as", "line", "--rate", "20/h")
    answers = [ask(sink, line_push(), "/v2/bot/message/push", LINE_AUTH) for _ in range(50)]
    assert Counter(answer[0] for answer in answers) == {200: 20, 429: 30}
    assert json.loads(answers[-1][2])["message"].startswith("The API rate limit")
    body = line_push(to=[line_id(1)])
    answers = [ask(sink, body, "/v2/bot/message/multicast", LINE_AUTH) for _ in range(3)]
    assert [answer[0] for answer in answers] == [200, 200, 429]
    counts = totals(sink)
    assert (counts["throttled"], counts["recipients"]) == (31, 22)
    assert 1 <= counts["most_in_a_second"] <= 53


@pytest.mark.parametrize("arguments, message", [
    (("--as", "pigeon"), 'there is no "pigeon"; expected apns, fcm, line'),
    (("--rate", "1/s"), "--rate: only with --as"),
    (("--quota", "1"), "--quota: only with --as"),
    (("--as", "fcm", "--quota", "1"), "--quota: fcm has none"),
    (("--as", "line", "--dedup"), "--dedup: not with --as"),
    (("--as", "line", "--status", "204"), "--status: not a success with --as"),
    (("--as", "line", "--rate", "fast"), "expected a rate like 2000/s"),
])
def test_options_that_do_not_go_together(bunshin, arguments, message):
    result = bunshin.run("sink", "--listen", "127.0.0.1:0", *arguments)
    assert result.exit == 2
    assert message in result.err


# The destination files


class Stage:
    """A preset's worker between the embedded queue and the sink that plays its provider."""

    def __init__(self, bunshin, preset, provider, environment, *sink):
        self.bunshin = bunshin
        self.sink = bunshin.sink("--as", provider, *sink)
        self.sqs = bunshin.queue().sqs()
        self.url = self.sqs.create_queue("morning", VisibilityTimeout=10)
        self.failures = self.sqs.create_queue("failures")
        self.environment = {"SINK_URL": self.sink.url, "FAILURE_URL": self.failures,
                            "LEDGER": str(bunshin.directory / "ledger"), **environment}
        text = (DESTINATIONS / f"{preset}.yaml").read_text()
        self.config = bunshin.write_config(
            text + "\nworkers: 1\nadmin: {listen: null}\nlog: {format: json}\n"
            f"outcomes: {{path: {bunshin.directory}/outcomes}}\n"
            "retry: {base: 100ms, cap: 1s}\n")

    def deliver(self, bodies):
        """Sends them and runs until the queue is empty; what became of each, in their order."""
        keys = [str(uuid.uuid5(uuid.NAMESPACE_URL, str(index))) for index in range(len(bodies))]
        for key, body in zip(keys, bodies):
            self.sqs.send(self.url, [json.dumps(body)], {"IdempotencyKey": key})
        result = self.bunshin.run("run", "-c", self.config, "--queue-url", self.url,
                                  "--exit-when-empty", "--json", env=self.environment)
        assert result.exit == 0, result
        assert self.sqs.counts(self.url) == (0, 0, 0)
        found = {}
        for path in (self.bunshin.directory / "outcomes").glob("*.jsonl*"):
            for line in map(json.loads, path.read_text().splitlines()):
                if line.get("outcome") not in (None, "retrying"):
                    assert line["key"] not in found, line
                    found[line["key"]] = line
        assert set(found) == set(keys)
        return [found[key] for key in keys]

    def failed_bodies(self):
        """What was copied to the failure queue."""
        bodies = []
        while messages := self.sqs.receive(self.failures):
            for message in messages:
                bodies.append(json.loads(message["Body"]))
                self.sqs.delete(self.failures, message["ReceiptHandle"])
        return bodies


LINE_TOKEN = {"LINE_TOKEN": "token"}
TELEGRAM_TOKEN = {"TELEGRAM_TOKEN": "123456:" + "A" * 35}
TWILIO = {"TWILIO_ACCOUNT": "AC" + "0" * 32, "TWILIO_FROM": "%2B815012345678",
          "TWILIO_BASIC": "c2lkOnNlY3JldA=="}
SLACK = {"SLACK_TOKEN": "xoxb-1", "SLACK_RATE": "100/s"}
FCM = {"FCM_PROJECT": "project", "FCM_TOKEN": "token", "RETRY_BASE": "100ms"}
PRESETS = {
    "line-push": ("line", LINE_TOKEN, lambda to: {"to": to, "text": "おはよう \"1\""}),
    "line-multicast": ("line", LINE_TOKEN, lambda to: {"to": to, "text": "おはよう"}),
    "telegram": ("telegram", TELEGRAM_TOKEN, lambda to: {"chat_id": to, "text": "a\nb"}),
    "twilio": ("twilio", TWILIO, lambda to: {"to": to, "text": "a&b=c +1 %"}),
    "slack": ("slack", SLACK, lambda to: {"channel": to, "text": "hello"}),
    "fcm": ("fcm", FCM, lambda to: {"token": to, "title": "t", "text": "hello"}),
}
# preset, recipient, what becomes of it, the last answer's status, attempts
RECIPIENTS = [
    ("line-push", line_id(1), "accepted", 200, 1),
    ("line-push", line_id(2, "dead0400"), "failed", 400, 1),
    ("line-push", "nobody", "failed", 400, 1),
    ("line-push", line_id(3, "dead0429"), "accepted", 200, 2),
    ("line-push", line_id(4, "dead0500"), "accepted", 200, 2),
    ("line-multicast", [line_id(n) for n in range(500)], "accepted", 200, 1),
    ("line-multicast", [line_id(1), line_id(2, "dead0400")], "failed", 400, 1),
    ("line-multicast", [line_id(n) for n in range(501)], "failed", 400, 1),
    ("line-multicast", [line_id(1), line_id(3, "dead0429")], "accepted", 200, 2),
    ("line-multicast", [line_id(1), line_id(4, "dead0500")], "accepted", 200, 2),
    ("telegram", 12345, "accepted", 200, 1),
    ("telegram", "@channel", "accepted", 200, 1),
    ("telegram", 9990400001, "failed", 400, 1),
    ("telegram", 9990403001, "failed", 403, 1),
    ("telegram", 9990410001, "failed", 403, 1),
    ("telegram", 9990429001, "accepted", 200, 2),
    ("telegram", 9990500001, "accepted", 200, 2),
    ("twilio", "+819012345678", "accepted", 201, 1),
    ("twilio", "+15005550001", "failed", 400, 1),
    ("twilio", "+15005550002", "failed", 400, 1),
    ("twilio", "+15005550004", "failed", 400, 1),
    ("twilio", "+15005550009", "failed", 400, 1),
    ("twilio", "090", "failed", 400, 1),
    ("twilio", "+15005550007", "accepted", 201, 2),
    ("twilio", "+15005550008", "accepted", 201, 2),
    ("slack", "C000000001", "accepted", 200, 1),
    ("slack", "CDEAD040401", "failed", 200, 1),
    ("slack", "CDEAD041001", "failed", 200, 1),
    ("slack", "CDEAD040301", "failed", 200, 1),
    ("slack", "general", "failed", 200, 1),
    ("slack", "CDEAD042901", "accepted", 200, 2),
    ("slack", "CDEAD050001", "accepted", 200, 2),
    ("fcm", "token:1", "accepted", 200, 1),
    ("fcm", "dead0400:1", "failed", 400, 1),
    ("fcm", "dead0403:1", "failed", 403, 1),
    ("fcm", "dead0404:1", "failed", 404, 1),
    ("fcm", "dead0429:1", "accepted", 200, 2),
    ("fcm", "dead0500:1", "accepted", 200, 2),
    ("fcm", "dead0503:1", "accepted", 200, 2),
]


@pytest.mark.parametrize("preset", PRESETS)
def test_what_becomes_of_each_recipient(bunshin, preset):
    provider, environment, body = PRESETS[preset]
    rows = [row for row in RECIPIENTS if row[0] == preset]
    stage = Stage(bunshin, preset, provider, environment, "--rate", "none")
    found = stage.deliver([body(to) for _, to, *_ in rows])
    assert [(preset, to, line["outcome"], line.get("status", 0), line["attempts"])
            for (_, to, *_), line in zip(rows, found)] == rows
    bad = [body(to) for _, to, outcome, *_ in rows if outcome == "failed"]
    assert sorted(map(json.dumps, stage.failed_bodies())) == sorted(map(json.dumps, bad))
    counts = totals(stage.sink)
    accepted = [to for _, to, outcome, *_ in rows if outcome == "accepted"]
    assert counts["accepted"] == len(accepted)
    assert counts["recipients"] == sum(len(to) if isinstance(to, list) else 1 for to in accepted)
    assert counts["throttled"] == counts["conflicts"] == 0
