"""destinations[].auth: what the provider gets is signed as the schemes say, and no secret shows."""

import base64
import hashlib
import hmac
import json
import signal
import time
from pathlib import Path

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from harness import ACCESS_KEY, SECRET_KEY, wait_for

FIRST, SECOND = bytes(range(24)), bytes(range(100, 140))


def whsec(key):
    return "whsec_" + base64.b64encode(key).decode()


def deliver(bunshin, queue, url, config, *bodies):
    queue.sqs().send(url, bodies)
    result = bunshin.run("run", "-c", config, "--exit-when-empty")
    assert result.exit == 0, result
    return result


def records(sink, count):
    return wait_for(lambda: len(sink.records()) >= count and sink.records(), "the record")


def headers_of(record):
    return {name.lower(): value for name, value in record["headers"].items()}


def webhook_signatures(record, key):
    """What Standard Webhooks' verification comes to: the signature and those that were sent."""
    headers = headers_of(record)
    text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{record['body']}"
    digest = hmac.new(key, text.encode(), hashlib.sha256).digest()
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 300
    return "v1," + base64.b64encode(digest).decode(), headers["webhook-signature"].split(" ")


def test_standard_webhooks(bunshin):
    """Every attempt of a message has the same id, and a signature over its own time and body."""
    queue, sink = bunshin.queue(), bunshin.sink("--fail", "50", "--seed", "3")
    url = queue.sqs().create_queue("q")
    config = bunshin.config(url, sink.url, retry={"max_attempts": 100, "base": "100ms", "cap": "1s"},
                            destination={"auth": {"type": "standard_webhooks",
                                                  "secrets": [whsec(FIRST)]}})
    bodies = [json.dumps({"n": n, "text": "お早う"}, ensure_ascii=False) for n in range(20)]
    result = deliver(bunshin, queue, url, config, *bodies)
    seen = records(sink, 20)
    for record in seen:
        wanted, sent = webhook_signatures(record, FIRST)
        assert sent == [wanted]
    ids = {}
    for record in seen:
        ids.setdefault(record["body"], set()).add(headers_of(record)["webhook-id"])
    assert set(ids) == set(bodies) and all(len(of_one) == 1 for of_one in ids.values())
    assert whsec(FIRST)[6:] not in result.out + result.err


def test_rotation_by_reload(bunshin):
    """Both secrets sign while one follows the other; a reload is enough to begin and to end that."""
    queue, sink = bunshin.queue(), bunshin.sink()
    url = queue.sqs().create_queue("q")

    def write(*keys):
        return bunshin.config(url, sink.url, destination={"auth": {
            "type": "standard_webhooks", "secrets": [whsec(key) for key in keys]}})

    process = bunshin.start("run", "-c", write(FIRST))
    queue.sqs().send(url, ["one"])
    records(sink, 1)
    for count, keys in (2, (SECOND, FIRST)), (3, (SECOND,)):
        write(*keys)
        reloads = process.err().count("reloaded")
        process.signal(signal.SIGHUP)
        wait_for(lambda: process.err().count("reloaded") > reloads, "the reload")
        queue.sqs().send(url, [f"body {count}"])
        record = records(sink, count)[-1]
        assert [webhook_signatures(record, key)[0] for key in keys] == \
            webhook_signatures(record, keys[0])[1]
    process.terminate()
    for key in FIRST, SECOND:
        assert whsec(key)[6:] not in process.out() + process.err()


def test_hmac(bunshin):
    queue, sink = bunshin.queue(), bunshin.sink()
    url = queue.sqs().create_queue("q")
    secret = "It's a Secret to Everybody"
    config = bunshin.config(url, sink.url, destination={"auth": {
        "type": "hmac", "secrets": "${SECRET}", "header": "X-Signature", "prefix": "sha256="}})
    queue.sqs().send(url, ["Hello, World!"])
    result = bunshin.run("run", "-c", config, "--exit-when-empty", env={"SECRET": secret})
    assert result.exit == 0, result
    [record] = records(sink, 1)
    # The published example of the scheme.
    assert headers_of(record)["x-signature"] == \
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


def test_hmac_with_time(bunshin):
    queue, sink = bunshin.queue(), bunshin.sink()
    url = queue.sqs().create_queue("q")
    secrets = ["the new secret", "the old secret"]
    config = bunshin.config(url, sink.url, destination={"auth": {
        "type": "hmac", "secrets": secrets, "header": "X-Sig", "algorithm": "sha512",
        "encoding": "base64", "signed": "timestamp.body", "timestamp_header": "X-Time"}})
    deliver(bunshin, queue, url, config, "body")
    [record] = records(sink, 1)
    text = f"{headers_of(record)['x-time']}.body".encode()
    assert headers_of(record)["x-sig"] == ",".join(
        base64.b64encode(hmac.new(secret.encode(), text, hashlib.sha512).digest()).decode()
        for secret in secrets)


def test_id_with_a_full_stop_fails_for_good(bunshin):
    queue, sink = bunshin.queue(), bunshin.sink()
    url, failed = queue.sqs().create_queue("q"), queue.sqs().create_queue("failed")
    config = bunshin.config(url, sink.url, queue={"failure_url": failed}, destination={
        "auth": {"type": "standard_webhooks", "secrets": whsec(FIRST)}})
    queue.sqs().send(url, ["body"], attributes={"IdempotencyKey": "a.b"})
    result = bunshin.run("run", "-c", config, "--exit-when-empty")
    assert result.exit == 0, result
    assert "has a full stop" in result.err
    assert queue.sqs().counts(failed)[0] == 1 and sink.records() == []


def test_invoke_shows_what_is_signed(bunshin):
    sink = bunshin.sink()
    config = bunshin.config("https://sqs.us-east-1.amazonaws.com/123456789012/q", sink.url,
                            destination={"auth": {"type": "standard_webhooks",
                                                  "secrets": whsec(FIRST)}})
    result = bunshin.run("invoke", "-c", config, "-", stdin="a body")
    assert result.exit == 0, result
    assert "> webhook-id: " in result.out and "> webhook-timestamp: 1" in result.out
    assert "> webhook-signature: v1," in result.out
    assert whsec(FIRST)[6:] not in result.out + result.err
    [record] = records(sink, 1)
    assert webhook_signatures(record, FIRST)[0] == headers_of(record)["webhook-signature"]


def test_check_hides_secrets_and_names_what_is_wrong(bunshin):
    config = bunshin.config("https://sqs.us-east-1.amazonaws.com/123456789012/q", "http://h",
                            destination={"auth": {"type": "standard_webhooks",
                                                  "secrets": whsec(FIRST)}})
    result = bunshin.run("check", "-c", config)
    assert result.exit == 0 and 'secrets: ["[hidden]"]' in result.out, result
    assert whsec(FIRST)[6:] not in result.out + result.err
    # What it printed can be read, but not signed with.
    printed = bunshin.write_config(result.out, "printed.yaml")
    assert bunshin.run("check", "-c", printed).exit == 0
    result = bunshin.run("invoke", "-c", printed, "-", stdin="x")
    assert result.exit == 2 and "destination sink: auth.secrets: the secret is hidden" in result.err
    config = bunshin.config("https://sqs.us-east-1.amazonaws.com/123456789012/q", "http://h",
                            destination={"auth": {"type": "standard_webhooks",
                                                  "secrets": "whsec_no base64"}})
    result = bunshin.run("check", "-c", config)
    assert result.exit == 2 and "auth.secrets[0]: expected whsec_ and the base64" in result.err
    assert "no base64 of" not in result.err and "whsec_no" not in result.err


def aws_signature(record, url, service, token=None):
    """What botocore makes of the request that arrived, signed at the instant that it names."""
    headers = headers_of(record)
    names = headers["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    request = AWSRequest(record["method"], url, data=record["body"].encode(),
                         headers={name: headers[name] for name in names
                                  if name not in ("x-amz-date", "x-amz-security-token")})
    signer = SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY, token), service, "eu-west-1")
    request.context["timestamp"] = headers["x-amz-date"]
    if token:
        request.headers["X-Amz-Security-Token"] = token
    request.headers["X-Amz-Date"] = headers["x-amz-date"]
    text = signer.string_to_sign(request, signer.canonical_request(request))
    return signer.signature(text, request), names


def test_aws_signature(bunshin):
    """API Gateway's: path, query, body and headers are signed, by keys with a session token."""
    queue, sink = bunshin.queue(), bunshin.sink()
    url = queue.sqs().create_queue("q")
    token = "a-session-token-that-must-not-show"
    path = "/prod/a%20b/{{to}}?z=1&a={{text}}&empty"
    config = bunshin.config(url, sink.url, request={
        "url": sink.url + path, "headers": {"Content-Type": "application/json", "X-Mine": " a  b "},
        "body": '{"to":"{{to}}"}'}, destination={
            "auth": {"type": "aws", "service": "execute-api", "region": "eu-west-1"}})
    body = json.dumps({"to": "U1", "text": "a b&c=お"})
    queue.sqs().send(url, [body])
    result = bunshin.run("run", "-c", config, "--exit-when-empty",
                         env={"AWS_SESSION_TOKEN": token})
    assert result.exit == 0, result
    [record] = records(sink, 1)
    signature, names = aws_signature(
        record, sink.url + "/prod/a%20b/U1?z=1&a=a%20b%26c%3D%E3%81%8A&empty", "execute-api", token)
    assert headers_of(record)["authorization"].endswith("Signature=" + signature)
    assert {"host", "content-type", "x-mine", "x-amz-date", "x-amz-security-token"} <= set(names)
    assert headers_of(record)["x-amz-security-token"] == token
    assert token not in result.err
    result = bunshin.run("invoke", "-c", config, "-", stdin=body, env={"AWS_SESSION_TOKEN": token})
    assert result.exit == 0, result
    assert "> Authorization: AWS4-HMAC-SHA256 Credential=" in result.out
    assert "Signature=[hidden]" in result.out and "> X-Amz-Security-Token: [hidden]" in result.out
    assert token not in result.out + result.err


def test_preset(bunshin):
    """conf/destinations/standard-webhooks.yaml, with one secret and with two."""
    queue, sink = bunshin.queue(), bunshin.sink()
    url = queue.sqs().create_queue("q")
    preset = Path(__file__).parents[2] / "conf/destinations/standard-webhooks.yaml"
    environment = {"WEBHOOK_URL": sink.url + "/hooks", "WEBHOOK_SECRET": whsec(SECOND),
                   "LEDGER": str(bunshin.directory / "ledger")}
    for count, extra in (1, {}), (2, {"WEBHOOK_SECRET_BEFORE": whsec(FIRST)}):
        queue.sqs().send(url, ['{"n":%d}' % count])
        result = bunshin.run("run", "-c", preset, "--queue-url", url, "--workers", "1",
                             "--admin-listen", "unix:" + str(bunshin.directory / "admin.sock"),
                             "--exit-when-empty", env={**environment, **extra})
        assert result.exit == 0, result
        record = records(sink, count)[-1]
        wanted = [webhook_signatures(record, key)[0] for key in (SECOND, FIRST)[:count]]
        assert webhook_signatures(record, SECOND)[1] == wanted
