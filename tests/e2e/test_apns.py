"""conf/destinations/apns.yaml against `bunshin sink --as apns`: HTTP/2 over TLS, tokens of a key."""

import json
import time
from collections import Counter

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from fake_tls import make_authority
from test_providers import Stage, apns_key
from test_sink import totals


def device(number, mark=""):
    return mark + f"{number:0{64 - len(mark)}x}"


def message(to):
    return {"device": to, "text": 'おはよう "1"'}


class Apns(Stage):
    """The preset's worker, the sink over TLS, and a key."""

    def __init__(self, bunshin, *sink, tls=True):
        files = ()
        if tls:
            ca, _ = make_authority(bunshin.directory, "localhost")
            files = ("--tls-cert", bunshin.directory / "leaf.pem",
                     "--tls-key", bunshin.directory / "leaf.key")
        super().__init__(bunshin, "apns", "apns", apns_key(bunshin.directory), *files, *sink)
        if tls:
            self.environment["SINK_URL"] = f"https://localhost:{self.sink.port}"
            self.environment["CA_FILE"] = str(ca)

    def tokens(self):
        key = load_pem_private_key((self.bunshin.directory / "AuthKey.p8").read_bytes(), None)
        found = Counter(record["headers"]["authorization"] for record in self.sink.records())
        for value in found:
            scheme, token = value.split(" ")
            assert scheme.lower() == "bearer"
            assert jwt.get_unverified_header(token)["kid"] == "ABC123DEFG"
            claims = jwt.decode(token, key.public_key(), algorithms=["ES256"])
            assert claims["iss"] == "DEF123GHIJ" and abs(claims["iat"] - time.time()) < 600
        return found


RECIPIENTS = [
    (device(1), "accepted", 200, 1),
    (device(2, "dead0400"), "failed", 400, 1),
    ("1234", "failed", 400, 1),
    (device(3, "dead0410"), "failed", 410, 1),
    (device(4, "dead0429"), "accepted", 200, 2),
    (device(5, "dead0500"), "accepted", 200, 2),
    (device(6, "dead0503"), "accepted", 200, 2),
]


def test_what_becomes_of_each_device(bunshin):
    apns = Apns(bunshin)
    found = apns.deliver([message(to) for to, *_ in RECIPIENTS])
    assert [(to, line["outcome"], line["status"], line["attempts"])
            for (to, *_), line in zip(RECIPIENTS, found)] == RECIPIENTS
    assert [to for (to, *_), line in zip(RECIPIENTS, found)
            if line.get("reason") == "unregistered"] == [device(3, "dead0410")]
    counts = totals(apns.sink)
    assert (counts["accepted"], counts["recipients"]) == (4, 4)
    assert len(apns.tokens()) == 1
    record = apns.sink.records()[0]
    assert record["headers"]["apns-topic"] == "com.example.app"
    assert record["headers"]["apns-push-type"] == "alert"
    assert json.loads(record["body"]) == {"aps": {"alert": 'おはよう "1"'}}


@pytest.mark.parametrize("tls", [True, False], ids=["tls", "clear"])
def test_many_over_few_connections(bunshin, tls):
    """One stream is allowed before the first token: nothing is lost, nothing comes twice."""
    apns = Apns(bunshin, "--latency", "5", tls=tls)
    found = apns.deliver([message(device(n)) for n in range(1000)])
    assert Counter((line["outcome"], line["attempts"]) for line in found) == {("accepted", 1): 1000}
    counts = totals(apns.sink)
    assert (counts["accepted"], counts["requests"]) == (1000, 1000)
    assert counts["connections"] <= 16 and counts["most_streams"] > 1
    ids = Counter(record["headers"]["apns-id"] for record in apns.sink.records())
    assert len(ids) == 1000


@pytest.mark.parametrize("tls", [True, False], ids=["tls", "clear"])
def test_thousands_are_sent_once(bunshin, tls):
    """More requests than a server lets a client reset, which libcurl 7.88 does to each."""
    apns = Apns(bunshin, tls=tls)
    apns.config.write_text(apns.config.read_text().replace("workers: 1", "workers: 2"))
    wanted = [device(n) for n in range(5000)]
    for first in range(0, len(wanted), 10):
        apns.sqs.send(apns.url, [json.dumps(message(to)) for to in wanted[first:first + 10]])
    result = bunshin.run("run", "-c", apns.config, "--queue-url", apns.url, "--exit-when-empty",
                         "--json", env=apns.environment)
    assert result.exit == 0, result
    worker, counts = json.loads(result.out), totals(apns.sink)
    assert (worker["accepted"], worker["attempts"], worker["retried"]) == (5000, 5000, 0)
    assert (counts["accepted"], counts["requests"], counts["refused"]) == (5000, 5000, 0)
    sent = Counter(record["path"].rsplit("/", 1)[1] for record in apns.sink.records())
    assert sent == Counter(wanted)
