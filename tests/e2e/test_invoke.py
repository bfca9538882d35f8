"""`bunshin invoke`: one event through a destination, without a queue."""

import json

import pytest

from harness import wait_for

TOKEN = "channel-token-that-must-not-show"


def config(bunshin, sink, **request):
    return bunshin.config("https://sqs.us-east-1.amazonaws.com/123456789012/q", sink.url, request={
        "headers": {"Authorization": "Bearer ${TOKEN}", "Content-Type": "application/json",
                    "X-Line-Retry-Key": "{{idempotency_key}}"},
        "body": '{"to":"{{to}}","text":"{{text}}"}', **request})


def recorded(sink, count):
    return wait_for(lambda: len(sink.records()) == count and sink.records(), "the record")


def invoke(bunshin, path, event, *arguments):
    return bunshin.run("invoke", "-c", path, *arguments, "-", stdin=event, env={"TOKEN": TOKEN})


def test_bare_body(bunshin):
    sink = bunshin.sink()
    result = invoke(bunshin, config(bunshin, sink), '{"to":"U1","text":"good \\"morning\\""}\n')
    assert result.exit == 0, result
    assert "outcome: accepted" in result.out
    assert "> POST " in result.out and "< 200" in result.out
    assert TOKEN not in result.out + result.err
    [record] = recorded(sink, 1)
    assert record["body"] == '{"to":"U1","text":"good \\"morning\\""}'
    assert record["headers"]["Authorization"] == f"Bearer {TOKEN}"


def test_secret_header_from_the_message(bunshin):
    """A token that only the message holds is no less secret."""
    sink = bunshin.sink()
    path = config(bunshin, sink, headers={"Authorization": "Bearer {{key}}"}, body="x")
    result = invoke(bunshin, path, json.dumps({"key": "token-of-this-message"}))
    assert result.exit == 0, result
    assert "> Authorization: [hidden]" in result.out
    assert "token-of-this-message" not in result.out + result.err
    [record] = recorded(sink, 1)
    assert record["headers"]["Authorization"] == "Bearer token-of-this-message"


def test_lambda_event(bunshin):
    """Lambda's Records shape; every record is sent, in order, with its own key."""
    sink = bunshin.sink()
    records = [{"messageId": f"id-{n}", "receiptHandle": "r", "eventSource": "aws:sqs",
                "body": json.dumps({"to": f"U{n}", "text": "t"}),
                "attributes": {"ApproximateReceiveCount": "3", "SentTimestamp": "1700000000000"},
                "messageAttributes": {"Campaign": {"stringValue": "spring", "dataType": "String"}}}
               for n in range(3)]
    path = config(bunshin, sink, body='{"to":"{{to}}","text":"{{attributes.Campaign}}",'
                                      '"n":{{receive_count}}}')
    result = invoke(bunshin, path, json.dumps({"Records": records}), "--json")
    assert result.exit == 0, result
    lines = [json.loads(line) for line in result.out.splitlines()]
    assert [line["message_id"] for line in lines] == ["id-0", "id-1", "id-2"]
    assert all(line["outcome"] == "accepted" and line["status"] == 200 for line in lines)
    assert [json.loads(r["body"]) for r in recorded(sink, 3)] == [
        {"to": f"U{n}", "text": "spring", "n": 3} for n in range(3)]
    assert len({r["headers"]["X-Line-Retry-Key"] for r in sink.records()}) == 3


@pytest.mark.parametrize("status,outcome,code", [
    ("400", "permanent", 1), ("401", "refused", 1), ("429", "throttled", 75), ("500", "retry", 75)])
def test_exit_code_by_outcome(bunshin, status, outcome, code):
    sink = bunshin.sink("--fail", "100", "--status", status)
    result = invoke(bunshin, config(bunshin, sink), '{"to":"U1","text":"t"}')
    assert f"outcome: {outcome}" in result.out
    assert result.exit == code, result


def test_missing_variable(bunshin):
    sink = bunshin.sink()
    result = invoke(bunshin, config(bunshin, sink), '{"to":"U1"}')
    assert result.exit == 1
    assert 'missing variable "text"' in result.out
    assert sink.records() == []


def test_expired_event_is_not_sent(bunshin):
    sink = bunshin.sink()
    event = {"Records": [{"messageId": "m", "body": '{"to":"U1","text":"t"}', "messageAttributes": {
        "Deadline": {"stringValue": "2020-01-01T00:00:00Z", "dataType": "String"}}}]}
    result = invoke(bunshin, config(bunshin, sink), json.dumps(event))
    assert result.exit == 1 and "outcome: expired" in result.out
    assert sink.records() == []


def test_bad_events_and_usage(bunshin):
    sink = bunshin.sink()
    path = config(bunshin, sink)
    result = invoke(bunshin, path, '{"Records":[{"messageId":"m"}]}')
    assert result.exit == 2 and "Records[0].body: expected a string" in result.err
    result = bunshin.run("invoke", "-c", path, "/nowhere.json", env={"TOKEN": TOKEN})
    assert result.exit == 2 and "/nowhere.json" in result.err
    result = invoke(bunshin, path, "{}", "--destination", "nobody")
    assert result.exit == 2 and 'no destination "nobody"' in result.err
    result = bunshin.run("invoke", "-c", path, env={"TOKEN": TOKEN})
    assert result.exit == 2 and "EVENT.json" in result.err
    assert sink.records() == []
