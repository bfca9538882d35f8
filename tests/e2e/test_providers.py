"""The destination files of conf/destinations/, each against `bunshin sink --as` its provider."""

import json
import subprocess
import uuid
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest

from fake_http import Answer, FakeServer, Part
from google_account import write_account
from harness import wait_for
from http2_client import ask as ask_http2
from test_sink import ask, totals

class Scripted(Part):
    """Answers one after the other, the last again and again."""

    def __init__(self, answers):
        self.answers = list(answers)

    def claims(self, request):
        return True

    def action(self, request):
        return "send"

    def serve(self, request):
        status, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return Answer(status, body.encode(), "application/json")


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


def test_line_counts_whom_it_has_reached(bunshin):
    """Of one refused, throttled or repeated nobody; of one accepted everybody."""
    sink = bunshin.sink("--as", "line")
    multicast = "/v2/bot/message/multicast"
    several = line_push(to=[line_id(n) for n in range(500)])
    key = {"X-Line-Retry-Key": "123e4567-e89b-12d3-a456-426614174000", **LINE_AUTH}
    assert ask(sink, several, multicast, key)[0] == 200
    assert ask(sink, several, multicast, key)[0] == 409
    bad = line_push(to=[line_id(600), line_id(601, "dead0400")])
    assert ask(sink, bad, multicast, LINE_AUTH)[0] == 400
    late = line_push(to=[line_id(499), line_id(602, "dead0500")])
    assert ask(sink, late, multicast, LINE_AUTH)[0] == 500
    assert ask(sink, late, multicast, LINE_AUTH)[0] == 200
    assert ask(sink, line_push(to=line_id(0)), "/v2/bot/message/push", LINE_AUTH)[0] == 200
    counts = totals(sink)
    assert (counts["recipients"], counts["repeated_recipients"]) == (503, 2)
    assert [(line["status"], line.get("recipients")) for line in sink.records()] == [
        (200, 500), (409, None), (400, None), (500, None), (200, 2), (200, 1)]


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
    (("--as", "pigeon"), 'there is no "pigeon"; expected apns, fcm, lambda, line'),
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
        if preset == "fcm":
            self.environment["FCM_ACCOUNT"] = str(
                write_account(bunshin.directory, self.sink.url + "/token"))
        text = (DESTINATIONS / f"{preset}.yaml").read_text()
        self.config = bunshin.write_config(
            text + "\nworkers: 1\nadmin: {listen: null}\nlog: {format: json}\n"
            f"outcomes: {{path: {bunshin.directory}/outcomes}}\n"
            "retry: {base: 100ms, cap: 1s}\n")

    def run(self, bodies):
        """Sends them and runs until the queue is empty: (their keys, the last outcome by key)."""
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
        return keys, found

    def deliver(self, bodies):
        """What became of each, in their order."""
        keys, found = self.run(bodies)
        assert set(found) == set(keys)
        return [found[key] for key in keys]

    def deliver_to(self, bodies):
        """What became of each recipient of messages that have several."""
        keys, found = self.run(bodies)
        of = {str(uuid.uuid5(uuid.UUID(key), to)): to for key, body in zip(keys, bodies)
              for to in body["to"]}
        assert set(found) == set(of)
        return {of[key]: line for key, line in found.items()}

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
FCM = {"FCM_PROJECT": "project", "RETRY_BASE": "100ms"}
PRESETS = {
    "line-push": ("line", LINE_TOKEN, lambda to: {"to": to, "text": "おはよう \"1\""}),
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


UNREGISTERED = [9990400001, 9990403001, 9990410001, "+15005550001", "+15005550004",
                "+15005550009", "090", "CDEAD040401", "CDEAD041001", "general", "dead0404:1"]


@pytest.mark.parametrize("preset", PRESETS)
def test_what_becomes_of_each_recipient(bunshin, preset):
    provider, environment, body = PRESETS[preset]
    rows = [row for row in RECIPIENTS if row[0] == preset]
    stage = Stage(bunshin, preset, provider, environment, "--rate", "none")
    found = stage.deliver([body(to) for _, to, *_ in rows])
    assert [(preset, to, line["outcome"], line.get("status", 0), line["attempts"])
            for (_, to, *_), line in zip(rows, found)] == rows
    reasons = {line["reason"] for line in found if line["outcome"] == "failed"}
    assert reasons <= {"unregistered", "refused by the provider"}
    assert [to for (_, to, *_), line in zip(rows, found)
            if line.get("reason") == "unregistered"] == [
                to for _, to, *_ in rows if to in UNREGISTERED]
    bad = [body(to) for _, to, outcome, *_ in rows if outcome == "failed"]
    assert sorted(map(json.dumps, stage.failed_bodies())) == sorted(map(json.dumps, bad))
    counts = totals(stage.sink)
    accepted = [to for _, to, outcome, *_ in rows if outcome == "accepted"]
    assert counts["accepted"] == len(accepted)
    assert counts["recipients"] == sum(len(to) if isinstance(to, list) else 1 for to in accepted)
    assert counts["throttled"] == counts["conflicts"] == 0


def multicast(bunshin):
    return Stage(bunshin, "line-multicast", "line", LINE_TOKEN, "--rate", "none")


def test_a_multicast_with_bad_ids_is_split_until_they_are_alone(bunshin):
    """And one that is too long is several, each with a key of its own."""
    good, bad = [line_id(n) for n in range(1, 901)], [line_id(901, "dead0400"), "nobody"]
    stage = multicast(bunshin)
    lists = [good[:501], good[501:550] + bad[:1], bad[1:] + good[550:]]
    found = stage.deliver_to([{"to": to, "text": "おはよう"} for to in lists])
    assert {to: line["outcome"] for to, line in found.items()} == {
        **dict.fromkeys(good, "accepted"), **dict.fromkeys(bad, "failed")}
    assert {found[to]["status"] for to in bad} == {400}
    assert sorted(to for body in stage.failed_bodies() for to in body["to"]) == sorted(bad)
    counts = totals(stage.sink)
    assert (counts["recipients"], counts["conflicts"], counts["duplicates"]) == (900, 0, 0)
    accepted = [record for record in stage.sink.records() if record["status"] == 200]
    assert sorted(to for record in accepted for to in json.loads(record["body"])["to"]) == sorted(good)
    headers = [record["headers"]["X-Line-Retry-Key"] for record in stage.sink.records()]
    assert len(headers) == len(set(headers))


@pytest.mark.parametrize("mark", ["dead0429", "dead0500"])
def test_a_multicast_is_tried_again_as_a_whole(bunshin, mark):
    stage = multicast(bunshin)
    found = stage.deliver_to([{"to": [line_id(1), line_id(2, mark)], "text": "おはよう"}])
    assert [(line["outcome"], line["attempts"]) for line in found.values()] == 2 * [("accepted", 2)]
    first, second = stage.sink.records()
    assert (first["status"], second["status"]) == (int(mark[4:]), 200)
    key = "X-Line-Retry-Key"
    assert first["headers"][key] == second["headers"][key] and first["body"] == second["body"]


def test_a_monthly_quota_stops_with_words_that_say_so(bunshin):
    stage = Stage(bunshin, "line-push", "line", LINE_TOKEN, "--quota", "3")
    results = stage.sqs.create_queue("results")
    stage.config.write_text(stage.config.read_text()
                            .replace("{listen: null}", '{listen: "127.0.0.1:0"}')
                            .replace("queue:\n", f"queue:\n  results_url: {results}\n"))
    body = PRESETS["line-push"][2]
    stage.sqs.send(stage.url, [json.dumps(body(line_id(n))) for n in range(10)],
                   {"Campaign": "morning"})
    worker = bunshin.start("run", "-c", stage.config, "--queue-url", stage.url,
                           env=stage.environment)
    [line] = wait_for(lambda: [line for line in worker.log()
                               if line.get("event") == "breaker_opened"], "an open breaker")
    assert line["reason"] == "its quota is used up"
    assert "You have reached your monthly limit." in json.dumps(line)
    assert "breaker open: line (its quota is used up)" in wait_for(
        lambda: (lambda answer: answer[2] if "breaker" in answer[2] else None)(
            worker.admin("/readyz")), "the destination in /readyz")

    def watched(*form):
        return bunshin.run("campaign", "watch", "morning", "--results-url", results, "--once", *form)

    wait_for(lambda: json.loads(watched("--json").out)["limit"] == "quota", "what watch says")
    assert "the provider's quota is used up" in watched().out
    assert worker.terminate() == 0
    assert sum(stage.sqs.counts(stage.url)) == 7
    assert totals(stage.sink)["recipients"] == 3


def test_a_wait_that_stands_in_the_answers_body(bunshin):
    """Telegram's: no Retry-After, but parameters.retry_after. A broken one is a usual back-off."""
    answers = [(429, '{"ok":false,"parameters":{"retry_after":7}}'),
               (429, '{"ok":false,"parameters":{"retry_after":"soon"}}'),
               (429, '{"ok":false,"parameters":{"retry_after":0.5}}'), (200, '{"ok":true}')]
    with FakeServer(Scripted(answers)) as provider:
        sqs = bunshin.queue().sqs()
        url = sqs.create_queue("morning", VisibilityTimeout=10)
        sqs.send(url, ["one"])
        config = bunshin.config(url, provider.url, destination={
            "retry_after_path": "parameters.retry_after", "adaptive": False,
            "retry": {"base": "100ms", "cap": "1s"}}, log={"format": "json"})
        done = bunshin.run("run", "-c", config, "--exit-when-empty")
    assert done.exit == 0, done
    waits = [line["retry_in_ms"] for line in map(json.loads, done.err.splitlines())
             if line.get("event") == "retrying" and line.get("status") == 429]
    assert len(waits) == 3, done.err
    # Jitter is added to what was asked for, never taken off it.
    assert waits[0] >= 7000 and waits[1] <= 1000 and 500 <= waits[2] < 7000, waits


def test_what_may_have_been_sent_is_not_sent_again(bunshin):
    stage = Stage(bunshin, "twilio", "twilio",
                  {**TWILIO, "TWILIO_RETRY_AMBIGUOUS": "false"}, "--rate", "none")
    body = PRESETS["twilio"][2]
    [line] = stage.deliver([body("+15005550005")])
    assert (line["outcome"], line["status"], line["attempts"]) == ("failed", 500, 1)
    assert line["reason"] == "the provider may have accepted it: not sent again"
    assert line["unanswered"] is True
    assert totals(stage.sink)["requests"] == 1


def test_what_may_have_been_sent_is_sent_again_by_default(bunshin):
    stage = Stage(bunshin, "twilio", "twilio", TWILIO, "--rate", "none")
    [line] = stage.deliver([PRESETS["twilio"][2]("+15005550005")])
    assert (line["outcome"], line["status"], line["attempts"]) == ("accepted", 201, 2)


def test_an_app_of_elastic_beanstalk(bunshin):
    """The header fields of the environment's daemon, and its meaning of answers."""
    app = bunshin.sink()
    sqs = bunshin.queue().sqs()
    url = sqs.create_queue("jobs", VisibilityTimeout=10)
    sqs.send(url, ['{"job":1}'], {"Campaign": "spring", "Note": "a b"})
    config = bunshin.write_config((DESTINATIONS / "sqsd.yaml").read_text() +
                                  "\nworkers: 1\nadmin: {listen: null}\n")
    result = bunshin.run("run", "-c", config, "--queue-url", url, "--exit-when-empty",
                         env={"APP_URL": app.url + "/", "QUEUE_NAME": "jobs",
                              "LEDGER": str(bunshin.directory / "ledger")})
    assert result.exit == 0, result
    assert totals(app)["accepted"] == 1
    [record] = app.records()
    headers = record["headers"]
    assert record["body"] == '{"job":1}'
    assert headers["User-Agent"] == "aws-sqsd/2.0"
    assert headers["X-Aws-Sqsd-Queue"] == "jobs"
    assert headers["X-Aws-Sqsd-Receive-Count"] == "1"
    assert headers["X-Aws-Sqsd-Attr-Campaign"] == "spring"
    assert headers["X-Aws-Sqsd-Attr-Note"] == "a b"
    assert headers["Content-Type"] == "application/json"
    uuid.UUID(headers["X-Aws-Sqsd-Msgid"])
    at = datetime.fromisoformat(headers["X-Aws-Sqsd-First-Received-At"].replace("Z", "+00:00"))
    assert abs(at.timestamp() - record["time_epoch_ms"] / 1000) < 3600


# What the other providers answer, beside their recipients


def codes(answers):
    return [answer[0] for answer in answers]


def test_telegram_answers(bunshin):
    sink = bunshin.sink("--as", "telegram", "--rate", "7/h")
    path = f"/bot{TELEGRAM_TOKEN['TELEGRAM_TOKEN']}/sendMessage"

    def send(path=path, **fields):
        return played(ask(sink, json.dumps(fields), path, JSON))

    status, body, _ = send("/bot1:short/sendMessage", chat_id=1, text="a")
    assert (status, body) == (401, {"ok": False, "error_code": 401, "description": "Unauthorized"})
    assert send(path.replace("sendMessage", "sendNothing"))[0] == 404
    assert send("/other")[0] == 404
    assert send(text="a")[1]["description"] == "Bad Request: chat_id is empty"
    assert send(chat_id=1)[1]["description"] == "Bad Request: message text is empty"
    assert send(chat_id=1, text="a" * 4097)[1]["description"] == "Bad Request: message is too long"
    assert send(chat_id=1, text="\u3042" * 4096)[0] == 200
    status, body, _ = send(chat_id="@news", text="a")
    assert status == 200 and body["result"]["chat"]["type"] == "channel"
    assert send(chat_id="12x", text="a")[1]["description"] == "Bad Request: chat not found"
    assert send(chat_id=9990403000, text="a")[0] == 403
    status, body, headers = send(chat_id=1, text="a")
    assert status == 429 and "Retry-After" not in headers
    assert body["parameters"]["retry_after"] > 3000
    assert totals(sink)["throttled"] == 1


def test_twilio_answers(bunshin):
    sink = bunshin.sink("--as", "twilio", "--rate", "6/h")
    path = f"/2010-04-01/Accounts/{TWILIO['TWILIO_ACCOUNT']}/Messages.json"
    auth = {"Authorization": "Basic c2lkOnNlY3JldA=="}

    def send(form, path=path, headers=auth, method="POST"):
        status, body, _ = played(ask(sink, form, path, headers, method))
        return status, body.get("code", body.get("status"))

    good = "To=%2B819012345678&From=%2B1&Body=a%26b"
    assert send(good, headers={}) == (401, 20003)
    assert send(good, path="/2010-04-01/Accounts/AC1/Messages.json") == (404, 20404)
    assert send(good, path="/elsewhere") == (404, 20404)
    assert send(None, method="PUT") == (405, 20004)
    assert send(good) == (201, "queued")
    assert send("From=%2B1&Body=a") == (400, 21604)
    assert send("To=%2B819012345678&Body=a") == (400, 21603)
    assert send("To=%2B819012345678&MessagingServiceSid=MG1") == (400, 21602)
    assert send("To=+819012345678&From=1&Body=a") == (400, 21211)
    assert send("XTo=%2B819012345678&To=%2b15005550004&From=1&Body=a") == (400, 21610)
    assert send(good) == (429, 20429)


def test_fcm_gives_tokens(bunshin):
    """As the endpoint of a service account; nothing of it is counted or written down."""
    sink = bunshin.sink("--as", "fcm")
    form = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion="
    type_ = {"Content-Type": "application/x-www-form-urlencoded"}
    status, body, _ = played(ask(sink, form + "a.b-_.c", "/token", type_))
    assert status == 200 and body["token_type"] == "Bearer" and body["expires_in"] == 3599
    assert body["access_token"].startswith("ya29.")
    for bad in ("", "a.b.c", form, form + "a.b", form + "a..c", form + "a.b.", form + "a.b.c.d",
                form + "a.b.c&x", form + "a.b.c\0"):
        status, body, _ = played(ask(sink, bad, "/token", type_))
        assert (status, body["error"]) == (400, "invalid_grant"), bad
    assert ask(sink, None, "/token", {}, method="GET")[0] == 400
    counts = totals(sink)
    assert counts["accepted"] == counts["failed"] == counts["recipients"] == 0
    assert sink.records() == []


def test_fcm_by_a_service_account(bunshin):
    """The preset: one token for all messages, and what `check --probe` says of it."""
    stage = Stage(bunshin, "fcm", "fcm", FCM)
    found = stage.deliver([PRESETS["fcm"][2](f"token:{n}") for n in range(20)])
    assert [line["outcome"] for line in found] == ["accepted"] * 20
    assert len({record["headers"]["Authorization"] for record in stage.sink.records()}) == 1

    def probe():
        return bunshin.run("check", "-c", stage.config, "--queue-url", stage.url, "--probe",
                           "--json", env=stage.environment)

    said = json.loads(probe().out)
    assert said["destinations"] == [{"name": "fcm", "auth": "google", "signs": True}], said
    stage.environment["LEDGER"] = str(bunshin.directory / "another")
    write_account(bunshin.directory, stage.sink.url + "/nothing")
    done = probe()
    said = json.loads(done.out)
    assert done.exit == 75 and said["destinations"][0]["signs"] is False
    assert any(error.startswith("fcm: auth.type google: no token to send with: ")
               for error in said["errors"]), said
    write_account(bunshin.directory, "http://127.0.0.1:1/token")
    done = probe()
    assert done.exit == 75 and json.loads(done.out)["destinations"][0]["signs"] is False, done


def test_fcm_answers(bunshin):
    sink = bunshin.sink("--as", "fcm", "--rate", "3/m")
    path, auth = "/v1/projects/p/messages:send", {"Authorization": "Bearer t", **JSON}

    def send(message, path=path, headers=auth):
        status, body, headers = played(ask(sink, json.dumps({"message": message}), path, headers))
        return status, body, headers

    for project in ("", "a b", "%ff", "%22"):
        assert send({"token": "t"}, path=f"/v1/projects/{project}/messages:send".replace(
            " ", "%20"))[0] == 404
    status, body, _ = send({"token": "t"}, headers=JSON)
    assert (status, body["error"]["status"]) == (401, "UNAUTHENTICATED")
    status, body, _ = send({"token": "t"})
    assert status == 200 and body["name"].startswith("projects/p/messages/")
    status, body, _ = send({"topic": "t"})
    assert (status, body["error"]["details"][0]["errorCode"]) == (400, "INVALID_ARGUMENT")
    status, body, _ = send({"token": "t", "data": {"a": "b" * 5000}})
    assert status == 400 and "too big" in body["error"]["message"]
    status, body, headers = send({"token": "t"})
    assert (status, body["error"]["status"]) == (429, "RESOURCE_EXHAUSTED")
    assert 1 <= int(headers["Retry-After"]) <= 60


def test_apns_answers(bunshin):
    sink = bunshin.sink("--as", "apns", "--rate", "8/h")
    jwt = {"Authorization": "bearer aaa.bbb.ccc", "apns-topic": "com.example.app"}
    device = "/3/device/" + "0123456789abcdef" * 4

    def send(path=device, headers=jwt, body='{"aps":{}}', method="POST"):
        status, _, text = ask_http2(sink, body, path, headers, method)
        return status, json.loads(text).get("reason") if text else None

    assert send("/3/elsewhere") == (404, "BadPath")
    assert send(method="PUT") == (405, "MethodNotAllowed")
    assert send(headers={}) == (403, "MissingProviderToken")
    assert send(headers={"Authorization": "bearer expired"}) == (403, "ExpiredProviderToken")
    assert send(headers={"Authorization": "bearer x"}) == (403, "InvalidProviderToken")
    assert send(headers={**jwt, "apns-id": "1"}) == (400, "BadMessageId")
    assert send() == (200, None)
    assert send(headers={"Authorization": "bearer a.b.c"}) == (400, "MissingTopic")
    assert send(body="") == (400, "PayloadEmpty")
    assert send(body="x" * 4097) == (413, "PayloadTooLarge")
    assert send("/3/device/1234") == (400, "BadDeviceToken")
    assert send("/3/device/dead0400" + "0" * 56) == (400, "BadDeviceToken")
    key = "123E4567-e89b-12d3-a456-426614174000"
    status, headers, text = ask_http2(sink, "{}", "/3/device/dead0410" + "0" * 56,
                                {**jwt, "apns-id": key})
    assert (status, headers["apns-id"]) == (410, key)
    assert json.loads(text)["reason"] == "Unregistered" and json.loads(text)["timestamp"] > 10**12
    assert send("/3/device/dead0503" + "0" * 56) == (503, "ServiceUnavailable")
    assert send() == (429, "TooManyRequests")


def test_slack_answers(bunshin):
    sink = bunshin.sink("--as", "slack", "--rate", "4/h")
    post, auth = "/api/chat.postMessage", {"Authorization": "Bearer xoxb-1", **JSON}

    def send(path=post, headers=auth, **fields):
        status, headers, text = ask(sink, json.dumps(fields), path, headers)
        return status, json.loads(text).get("error") if text[:1] == b"{" else text.decode()

    assert send(headers=JSON) == (200, "not_authed")
    assert send(headers={"Authorization": "Bearer 1"}) == (200, "invalid_auth")
    assert send("/api/chat.other") == (200, "unknown_method")
    assert send("/elsewhere") == (404, "not_found")
    assert send(channel="C000000001", text="a") == (200, None)
    assert send(channel="C000000001") == (200, "no_text")
    assert send("/services/T/B/x", text="a") == (200, "ok")
    assert send("/services/T/B/x", other="a") == (400, "no_text")
    assert send(channel="C000000001", text="a") == (429, "ratelimited")
    status, headers, text = ask(sink, "{}", "/services/T/B/x")
    assert (status, text) == (429, b"rate_limited") and int(headers["Retry-After"]) > 3000


WEBHOOK = {"WEBHOOK_URL": "https://example.org/hooks",
           "WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
           "WEBHOOK_HOST": "*.customers.example.com"}


def apns_key(directory):
    path = directory / "AuthKey.p8"
    subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-out", path], check=True, capture_output=True)
    return {"APNS_KEY_FILE": str(path), "APNS_KEY_ID": "ABC123DEFG", "APNS_TEAM_ID": "DEF123GHIJ",
            "APNS_TOPIC": "com.example.app"}


@pytest.mark.parametrize("path", sorted(DESTINATIONS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_file_is_a_configuration(bunshin, path):
    environment = {**LINE_TOKEN, **TELEGRAM_TOKEN, **TWILIO, **SLACK, **FCM, "QUEUE_NAME": "jobs",
                   "LAMBDA_URL": "https://a.lambda-url.eu-west-1.on.aws/",
                   "WEBHOOK_HOST": "*.example.com", "LEDGER": str(bunshin.directory / "ledger"),
                   **WEBHOOK, **apns_key(bunshin.directory),
                   "FCM_ACCOUNT": write_account(bunshin.directory, "https://t.example.com/token")}
    result = bunshin.run("check", "-c", path, env=environment)
    assert result.exit == 0, result
