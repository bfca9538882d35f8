"""destinations[].auth with tokens that the worker makes: what the provider gets, and who shares it."""

import json
import os
import signal
import subprocess
import time
import urllib.parse
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from fake_http import Answer, FakeServer, Part
from harness import ADMIN, wait_for

KEY_ID, TEAM = "ABC123DEFG", "DEF123GHIJ"


def pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


class Apns:
    """A queue, a provider, and a configuration with a key of its own."""

    def __init__(self, bunshin):
        self.bunshin = bunshin
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.key_file = bunshin.directory / "AuthKey.p8"
        self.key_file.write_bytes(pem(self.key))
        self.queue, self.sink = bunshin.queue(), bunshin.sink()
        self.url = self.queue.sqs().create_queue("q")
        self.ledger = bunshin.directory / "ledger"

    def config(self, **sections):
        auth = {"type": "apns", "key_file": str(self.key_file), "key_id": KEY_ID, "team_id": TEAM}
        return self.bunshin.config(self.url, self.sink.url, destination={"auth": auth}, **{
            "ledger": {"path": str(self.ledger), "size": "1MiB"}, **sections})

    def send(self, count):
        """Sends so many; returns once all that were ever sent have arrived."""
        before = len(self.sink.records())
        self.queue.sqs().send(self.url, [f"{before} {n}" for n in range(count)])
        wait_for(lambda: len(self.sink.records()) >= before + count, "the messages")

    def tokens(self):
        """How often each token came; all are whole and of this key."""
        values = Counter({name.lower(): value for name, value in record["headers"].items()}
                         ["authorization"] for record in self.sink.records())
        for value in values:
            scheme, token = value.split(" ")
            assert scheme == "bearer"
            assert jwt.get_unverified_header(token)["kid"] == KEY_ID
            claims = jwt.decode(token, self.key.public_key(), algorithms=["ES256"])
            assert set(claims) == {"iss", "iat"} and claims["iss"] == TEAM
            assert abs(claims["iat"] - time.time()) < 600
        return values


def reload(process):
    reloads = process.err().count("reloaded")
    process.signal(signal.SIGHUP)
    wait_for(lambda: process.err().count("reloaded") > reloads, "the reload")


def children(process):
    found = subprocess.run(["ps", "--ppid", str(process.pid), "-o", "pid="], check=False,
                           capture_output=True, text=True)
    return [int(pid) for pid in found.stdout.split()]


def test_apns_token_is_one_for_all_workers(bunshin):
    """Four workers, a reload, one killed, a restart of the service: the provider sees one token."""
    apns = Apns(bunshin)
    process = bunshin.start("run", "-c", apns.config(workers=4))
    apns.send(200)
    reload(process)
    apns.send(100)
    os.kill(children(process)[-1], signal.SIGKILL)
    apns.send(100)
    process.terminate()
    again = bunshin.start("run", "-c", apns.config(workers=2))
    apns.send(50)
    again.terminate()
    tokens = apns.tokens()
    assert len(tokens) == 1 and sum(tokens.values()) >= 450
    [value] = tokens
    for run in process, again:
        assert value.split(" ")[1] not in run.out() + run.err()
    mode = os.stat(f"{apns.ledger}.tokens").st_mode & 0o777
    assert mode == 0o600


def test_apns_token_without_a_file(bunshin):
    """In memory it outlives a reload, with one worker and with two."""
    apns = Apns(bunshin)
    for workers in 1, 2:
        before = set(apns.tokens())
        process = bunshin.start("run", "-c", apns.config(workers=workers, ledger={"path": None}))
        apns.send(20)
        reload(process)
        apns.send(20)
        process.terminate()
        assert len(set(apns.tokens()) - before) == 1
    assert not apns.ledger.with_name("ledger.tokens").exists()


def test_apns_damaged_file(bunshin):
    """A file that is none is moved aside; the next token is made."""
    apns = Apns(bunshin)
    apns.ledger.with_name("ledger.tokens").write_bytes(b"not a file of tokens" * 30000)
    apns.queue.sqs().send(apns.url, ["one"])
    result = bunshin.run("run", "-c", apns.config(), "--exit-when-empty")
    assert result.exit == 0 and "moved aside" in result.err, result
    wait_for(lambda: apns.sink.records(), "the record")
    assert len(apns.tokens()) == 1


def test_apns_invoke_sends_the_token_of_the_host(bunshin):
    apns = Apns(bunshin)
    apns.queue.sqs().send(apns.url, ["one"])
    assert bunshin.run("run", "-c", apns.config(), "--exit-when-empty").exit == 0
    result = bunshin.run("invoke", "-c", apns.config(), "-", stdin="two")
    assert result.exit == 0, result
    assert f'> authorization: bearer {{"alg":"ES256","kid":"{KEY_ID}"}}.{{"iss":"{TEAM}","iat":' \
        in result.out and "}.[hidden]" in result.out
    wait_for(lambda: len(apns.sink.records()) == 2, "both")
    assert len(apns.tokens()) == 1
    [value] = apns.tokens()
    assert value.split(" ")[1] not in result.out + result.err


def test_apns_key_changes_with_a_reload(bunshin):
    apns = Apns(bunshin)
    process = bunshin.start("run", "-c", apns.config())
    apns.send(5)
    first = set(apns.tokens())
    apns.key_file.write_bytes(pem(ec.generate_private_key(ec.SECP256R1())))
    reload(process)
    count = len(apns.sink.records())
    apns.send(5)
    process.terminate()
    last = {record["headers"]["authorization"] for record in apns.sink.records()[count:]}
    assert len(last) == 1 and not last & first


@pytest.mark.parametrize("content,problem", [
    (lambda: None, "cannot be read: No such file or directory"),
    (lambda: b"no key", "holds no private key in PEM without a passphrase"),
    (lambda: pem(rsa.generate_private_key(65537, 2048)),
     "holds a key that is not for P-256 (ES256)"),
    (lambda: b"x" * 70000, "is larger than 64KiB"),
], ids=["missing", "text", "rsa", "large"])
def test_apns_key_that_is_none(bunshin, content, problem):
    path = bunshin.directory / "key.p8"
    if content() is not None:
        path.write_bytes(content())
    config = bunshin.config("https://sqs.us-east-1.amazonaws.com/123456789012/q", "http://h",
                            destination={"auth": {"type": "apns", "key_file": str(path),
                                                  "key_id": KEY_ID, "team_id": TEAM}})
    for command in "check", "run":
        result = bunshin.run(command, "-c", config)
        assert result.exit == 2, result
        assert 'destinations[0].auth.key_file: "' in result.err and problem in result.err


SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
EMAIL = "push@my-project.iam.gserviceaccount.com"


class TokenEndpoint(Part):
    """Checks the assertion, and gives tokens that it numbers."""

    def __init__(self, life_s):
        self.key = rsa.generate_private_key(65537, 2048)
        self.life_s = life_s
        self.given = []
        self.url = None

    def claims(self, request):
        return request.path == "/token"

    def action(self, request):
        return "token"

    def error(self, status, code, message):
        return Answer(status, json.dumps({"error": code, "error_description": message}).encode(),
                      "application/json", code=code)

    def serve(self, request):
        form = urllib.parse.parse_qs(request.body.decode(), strict_parsing=True)
        assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
        assert request.headers["content-type"] == "application/x-www-form-urlencoded"
        [assertion] = form["assertion"]
        assert jwt.get_unverified_header(assertion) == {"alg": "RS256", "typ": "JWT", "kid": "k1"}
        claims = jwt.decode(assertion, self.key.public_key(), algorithms=["RS256"],
                            audience=self.url)
        assert claims["iss"] == EMAIL and claims["scope"] == SCOPE
        assert claims["exp"] == claims["iat"] + 3600
        self.given.append(f"ya29.a-token-of-google-number-{len(self.given)}")
        return Answer(200, json.dumps({"access_token": self.given[-1], "token_type": "Bearer",
                                       "expires_in": self.life_s}).encode(), "application/json")


class Google:
    def __init__(self, bunshin, server, endpoint):
        self.bunshin, self.server, self.endpoint = bunshin, server, endpoint
        self.queue, self.sink = bunshin.queue(), bunshin.sink()
        self.url = self.queue.sqs().create_queue("q")
        endpoint.url = server.url + "/token"
        self.account = bunshin.directory / "account.json"
        self.account.write_text(json.dumps({
            "type": "service_account", "client_email": EMAIL, "private_key_id": "k1",
            "private_key": pem(endpoint.key).decode(), "token_uri": endpoint.url}))

    def config(self, **sections):
        ledger = {"path": str(self.bunshin.directory / "ledger"), "size": "1MiB"}
        return self.bunshin.config(self.url, self.sink.url, destination={"auth": {
            "type": "google", "service_account_file": str(self.account)}},
            **{"ledger": ledger, **sections})

    def send(self, count):
        before = len(self.sink.records())
        self.queue.sqs().send(self.url, [f"{before} {n}" for n in range(count)])
        wait_for(lambda: len(self.sink.records()) >= before + count, "the messages")

    def seen(self):
        return {record["headers"]["Authorization"] for record in self.sink.records()}

    def assert_no_token_printed(self):
        for process in self.bunshin.processes:
            for token in self.endpoint.given:
                assert token not in process.err()
                assert token not in process.out()
            assert "eyJ" not in process.err()


@contextmanager
def google_world(bunshin, life_s=3600):
    endpoint = TokenEndpoint(life_s)
    with FakeServer(endpoint) as server:
        yield Google(bunshin, server, endpoint)


def test_google_token_is_asked_for_once(bunshin):
    """Three workers, a reload and a restart: one request for a token, no message without it."""
    with google_world(bunshin) as google:
        process = bunshin.start("run", "-c", google.config(workers=3))
        google.send(100)
        reload(process)
        google.send(50)
        process.terminate()
        again = bunshin.start("run", "-c", google.config())
        google.send(10)
        again.terminate()
        result = bunshin.run("invoke", "-c", google.config(), "-", stdin="x")
        assert result.exit == 0 and "> Authorization: Bearer [hidden]" in result.out, result
        assert len(google.endpoint.given) == 1
        assert google.seen() == {f"Bearer {google.endpoint.given[0]}"}
        google.assert_no_token_printed()


def test_google_token_is_renewed(bunshin):
    """Each token is good for two seconds more than the minute that is kept in hand."""
    with google_world(bunshin, life_s=62) as google:
        process = bunshin.start("run", "-c", google.config(workers=2))

        def sent_with_three():
            google.send(1)
            return len(google.seen()) >= 3

        wait_for(sent_with_three, "three tokens")
        google.server.fail("token", status=503, code="backend_error")
        wait_for(lambda: "backend_error" in process.err(), "the failure")
        google.server.heal()
        process.terminate()
        assert "503, backend_error: as the test wants it" in process.err()
        assert google.seen() <= {f"Bearer {token}" for token in google.endpoint.given}
        google.assert_no_token_printed()


def test_google_refuses_the_account(bunshin):
    """Nothing is sent, no attempt is spent, the log and /readyz say why; later it works."""
    with google_world(bunshin) as google:
        google.server.fail("token", status=400, code="invalid_grant")
        config = google.config(admin=ADMIN, retry={"max_attempts": 1})
        google.queue.sqs().send(google.url, ["one"])
        process = bunshin.start("run", "-c", config)
        wait_for(lambda: "no token for a destination" in process.err(), "the failure")
        wait_for(lambda: "breaker open: sink" in process.admin("/readyz")[2], "what /readyz says")
        assert "HTTP 400, invalid_grant: as the test wants it" in process.err()
        assert google.sink.records() == []
        google.server.heal()
        wait_for(lambda: len(google.sink.records()) == 1, "the message")
        process.terminate()
        assert google.seen() == {f"Bearer {google.endpoint.given[0]}"}


def test_google_refuses_the_account_that_is_probed(bunshin):
    with google_world(bunshin) as google:
        google.server.fail("token", status=400, code="invalid_grant")
        config = google.config()
        done = bunshin.run("check", "-c", config, "--probe")
        assert done.exit == 1, done
        assert "destination        sink: google does NOT sign" in done.out
        assert "sink: auth.type google: no token to send with: " in done.err
        assert "HTTP 400, invalid_grant: as the test wants it" in done.err
        google.server.heal()
        done = bunshin.run("check", "-c", config, "--probe")
        assert done.exit == 0 and "destination        sink: google signs" in done.out, done
        google.assert_no_token_printed()


def test_google_account_that_is_none(bunshin):
    path = bunshin.directory / "account.json"
    path.write_text('{"type": "authorized_user"}')
    config = bunshin.config("https://sqs.us-east-1.amazonaws.com/123456789012/q", "http://h",
                            destination={"auth": {"type": "google",
                                                  "service_account_file": str(path)}})
    result = bunshin.run("check", "-c", config)
    assert result.exit == 2, result
    assert "destinations[0].auth.service_account_file: " in result.err
    assert "is not of the type service_account" in result.err


def test_apns_preset(bunshin):
    """conf/destinations/apns.yaml, against a provider that speaks HTTP/1.1."""
    apns = Apns(bunshin)
    preset = Path(__file__).parents[2] / "conf/destinations/apns.yaml"
    apns.queue.sqs().send(apns.url, ['{"device":"00ff","text":"good morning"}'])
    result = bunshin.run(
        "run", "-c", preset, "--queue-url", apns.url, "--workers", "1", "--exit-when-empty",
        "--admin-listen", "unix:" + str(bunshin.directory / "admin.sock"), env={
            "SINK_URL": apns.sink.url, "HTTP_VERSION": "1.1", "APNS_KEY_FILE": str(apns.key_file),
            "APNS_KEY_ID": KEY_ID, "APNS_TEAM_ID": TEAM, "APNS_TOPIC": "com.example.app",
            "LEDGER": str(apns.ledger)})
    assert result.exit == 0, result
    wait_for(lambda: apns.sink.records(), "the record")
    assert len(apns.tokens()) == 1
    [record] = apns.sink.records()
    assert record["path"] == "/3/device/00ff"
    assert json.loads(record["body"]) == {"aps": {"alert": "good morning"}}
