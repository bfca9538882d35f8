"""What bench/providers knows of each file of conf/destinations/: limits, messages, settings."""
import base64
import json
import subprocess
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field

import yaml

from figures import ROOT

DESTINATIONS = ROOT / "conf/destinations"
SECOND_MS, MINUTE_MS = 1000, 60000
SINK = "http://sink.invalid"


@dataclass
class Preset:
    """
    message(n): the n-th message's body, in which SINK stands for where the sink is. recipients(record): who a request of the sink's record was
    for, each of them once, as numbers from 0 on; a message has `each` of them.
    """

    name: str
    what: str
    message: Callable
    recipients: Callable
    provider: str | None = None  # of `sink --as`; None: whatever answers 200
    limit: int = 0               # requests in one window of the provider's; 0: none is documented
    window_ms: int = SECOND_MS
    each: int = 1
    environment: dict = field(default_factory=dict)
    url: str = "SINK_URL"        # the variable that has the provider's place
    path: str = ""               # and what stands behind it
    by_name: bool = False        # which is localhost then, and no address
    # (more of the environment, more of the sink's arguments), of what it puts into a directory
    prepare: Callable = lambda directory: ({}, [])
    # More of the environment, once the sink listens: from a directory and the sink's URL.
    listening: Callable = lambda directory, url: {}
    paced: bool = True           # the file has a rate, which is to be held
    channels: bool = False       # a limit for each of options.channels, with a sink each


def line_id(number):
    return f"U{number:032x}"


def of_line_id(text):
    return int(text[1:], 16)


def body_of(record):
    return json.loads(record["body"])


def form_of(record):
    return dict(urllib.parse.parse_qsl(record["body"]))


CURVE = ["-pkeyopt", "ec_paramgen_curve:P-256"]


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def apns_keys(directory):
    """The team's key; and, since APNs speaks HTTP/2 over TLS, the sink's certificate."""
    key, certificate = directory / "AuthKey.p8", directory / "cert.pem"
    openssl("genpkey", "-algorithm", "EC", *CURVE, "-out", key)
    openssl("req", "-x509", "-newkey", "ec", *CURVE, "-nodes", "-days", "2", "-subj", "/CN=sink",
            "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", directory / "key.pem",
            "-out", certificate)
    return ({"APNS_KEY_FILE": str(key), "CA_FILE": str(certificate)},
            ["--tls-cert", certificate, "--tls-key", directory / "key.pem"])


def fcm_account(directory, url):
    key = subprocess.run(["openssl", "genpkey", "-algorithm", "RSA"], check=True,
                         capture_output=True, text=True).stdout
    path = directory / "account.json"
    path.write_text(json.dumps({"type": "service_account", "client_email": "a@p", "private_key": key,
                                "private_key_id": "k", "token_uri": url + "/token"}))
    return {"FCM_ACCOUNT": str(path)}


TEXT = "good morning, here is your coupon " * 6

PRESETS = {preset.name: preset for preset in [
    Preset("line-push", "LINE, 2,000 requests a second", provider="line", limit=2000,
           environment={"LINE_TOKEN": "token"},
           message=lambda n: {"to": line_id(n), "text": TEXT},
           recipients=lambda record: [of_line_id(body_of(record)["to"])]),
    Preset("line-multicast", "LINE, 200 requests a second, here to two users each", provider="line",
           limit=200, each=2, environment={"LINE_TOKEN": "token"},
           message=lambda n: {"to": [line_id(2 * n), line_id(2 * n + 1)], "text": TEXT},
           recipients=lambda record: map(of_line_id, body_of(record)["to"])),
    Preset("fcm", "Firebase, 600,000 a minute", provider="fcm", limit=600000, window_ms=MINUTE_MS,
           environment={"FCM_PROJECT": "p"}, listening=fcm_account,
           message=lambda n: {"token": f"token:{n}", "title": "t", "text": TEXT},
           recipients=lambda record: [int(body_of(record)["message"]["token"].split(":")[1])]),
    Preset("apns", "Apple, which documents no limit", provider="apns",
           environment={"APNS_KEY_ID": "ABC123DEFG", "APNS_TEAM_ID": "DEF123GHIJ",
                        "APNS_TOPIC": "com.example.app"},
           prepare=apns_keys,
           message=lambda n: {"device": f"{n:064x}", "text": TEXT},
           recipients=lambda record: [int(record["path"].rsplit("/", 1)[1], 16)]),
    Preset("telegram", "Telegram, 30 a second", provider="telegram", limit=30,
           environment={"TELEGRAM_TOKEN": "123456:ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghi"},
           message=lambda n: {"chat_id": n + 1, "text": TEXT},
           recipients=lambda record: [body_of(record)["chat_id"] - 1]),
    Preset("twilio", "Twilio, 100 a second", provider="twilio", limit=100,
           environment={"TWILIO_ACCOUNT": "AC" + 32 * "0", "TWILIO_FROM": "%2B815012345678",
                        "TWILIO_BASIC": base64.b64encode(b"sid:secret").decode()},
           message=lambda n: {"to": f"+8190{n:08d}", "text": TEXT},
           recipients=lambda record: [int(form_of(record)["To"][5:])]),
    Preset("slack", "Slack, one a second to each of --channels webhooks", provider="slack", limit=1,
           environment={"SLACK_TOKEN": "xoxb-1"}, channels=True,
           message=lambda n: {"text": f"{n} {TEXT}"},
           recipients=lambda record: [int(body_of(record)["text"].split()[0])]),
    Preset("lambda", "Lambda, 10,000 requests a second, in batches of ten", provider="lambda",
           limit=10000, paced=False, url="LAMBDA_URL", path="/", message=lambda n: {"to": f"user-{n}"},
           recipients=lambda record: [int(json.loads(one["body"])["to"][5:])
                                      for one in body_of(record)["Records"]]),
    Preset("sqsd", "an app of Elastic Beanstalk", environment={"QUEUE_NAME": "jobs"}, url="APP_URL",
           path="/", message=lambda n: {"job": n},
           recipients=lambda record: [body_of(record)["job"]]),
    Preset("customer-webhooks", "receivers that messages name",
           environment={"WEBHOOK_ADDRESSES": "127.0.0.1/32"}, url="WEBHOOK_HOST", by_name=True,
           message=lambda n: {"url": f"{SINK}/hooks", "event": {"event": n}},
           recipients=lambda record: [body_of(record)["event"]]),
    Preset("standard-webhooks", "a receiver of webhooks",
           environment={"WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
           url="WEBHOOK_URL", path="/hooks", message=lambda n: {"event": n},
           recipients=lambda record: [body_of(record)["event"]]),
]}


def configuration(preset, sinks, workers):
    """The text of the file, for so many workers; with channels one destination for each sink."""
    text = (DESTINATIONS / f"{preset.name}.yaml").read_text()
    if preset.channels:
        text = yaml.safe_dump(with_channels(yaml.safe_load(text), sinks), sort_keys=False)
    return (f"{text}\nworkers: {workers}\nadmin: {{listen: null}}\n"
            "log: {level: warn, format: json}\n")


def with_channels(values, sinks):
    """Incoming webhooks, as the comment of slack.yaml has them, each with the file's own rate."""
    [bot] = values["destinations"]
    values["destinations"] = [
        {**{key: value for key, value in bot.items() if key != "outcomes"},
         "name": f"slack-{number}",
         "request": {"method": "POST", "url": f"{sink}/services/T0/B{number}/secret",
                     "headers": {"Content-Type": "application/json"},
                     "body": '{"text":"{{text}}"}'}}
        for number, sink in enumerate(sinks)]
    return values
