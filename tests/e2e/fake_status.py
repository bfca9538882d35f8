"""What /status.json and /history.json may say, for the tests of the status page.

The page itself comes from a real process: its files are fetched once and served on with the headers
that they came with, so that what the browser enforces is what the program sends.
"""

import copy
import http.client
import json
import math
import time
import urllib.parse

from fake_http import Answer, Part
from harness import PATIENCE_S

TOKEN = "a-token-of-the-test-0123456789"
HISTORY_S = 900
STARTED_MS = int(time.time() * 1000) - 4_000_000
COLUMNS = ["t_ms", "received", "accepted", "failed", "retried", "expired", "attempt_p50_ms",
           "attempt_p95_ms", "attempt_p99_ms", "acceptance_p50_ms", "acceptance_p99_ms", "busy",
           "limit", "held", "visible", "in_flight"]
FILES = ["/", "/page/status.css", "/page/status.js", "/page/charts.js", "/page/control.js",
         "/page/dom.js", "/page/format.js", "/page/tables.js", "/page/chart.js"]
HOSTILE = '<img src=x onerror="document.title=1"><script>document.title=2</script>'


def fetch_files(url):
    """{path: Answer} of the admin port, as a browser would get them."""
    location = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(location.hostname, location.port, timeout=PATIENCE_S)
    files = {}
    for path in FILES:
        connection.request("GET", path, headers={"Accept": "text/html,*/*;q=0.8"})
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, (path, answer.status)
        headers = {name: value for name, value in answer.getheaders()
                   if name not in ("Date", "Content-Type", "Content-Length", "Connection")}
        files[path] = Answer(200, body, answer.headers["Content-Type"], headers)
    connection.close()
    return files


def worker(number, now_ms, **changes):
    return {"number": number, "pid": 4200 + number, "state": "running", "generation": 1,
            "memory_bytes": 9_000_000, "busy": 120, "slots": 250, "held": 150,
            "received": 600_000, "since_ms": now_ms - 3_600_000, "heartbeat_age_ms": 400, **changes}


def campaign(name, now_ms, **changes):
    return {"name": name, "accepted": 1_190_000, "failed": 900, "expired": 0, "cancelled": 0,
            "suppressed": 12, "retried": 9000, "accepted_per_second": 1980.0,
            "first_ms": now_ms - 3_600_000, "last_ms": now_ms - 200,
            "deadline_ms": now_ms + 3_600_000, **changes}


def failure(reason, now_ms, **changes):
    return {"outcome": "failed", "destination": "line", "status": 400, "class": "permanent",
            "reason": reason, "count": 850, "last_ms": now_ms - 1000,
            "sample": {"message_id": "0f8fad5b-d9cb-469f-a165-70867728950e",
                       "campaign": "morning-coupon", "attempt": 1, "request_id": "r-1",
                       "answer": '{"message":"The property, \'to\', must be a user."}'}, **changes}


def check(name, health="ok", detail=""):
    return {"name": name, "health": health, "detail": detail}


def status(now_ms):
    """Under load, all well."""
    return {
        "version": "0.1.0", "now_ms": now_ms, "host": "ip-10-0-0-7", "started_ms": STARTED_MS,
        "verdict": {"health": "ok", "state": "sending",
                    "words": "sending 1,980 messages/s; the queue is empty in about 4 min 10 s"},
        "queue": {"url": "https://sqs.ap-northeast-1.amazonaws.com/123456789012/morning",
                  "name": "morning", "visible": 495_000, "in_flight": 2000, "delayed": 0,
                  "asked_ms": now_ms - 2000, "falling_per_second": 1960.5, "empty_ms": now_ms + 250_000},
        "control": {"writable": True, "paused": False, "rate_per_second": None, "cancelled": [],
                    "read_ms": now_ms - 2000},
        "rates": {"received": 2000.1, "accepted": 1980.0, "failed": 1.2, "retried": 20.5,
                  "expired": 0.0, "attempts": 2001.0},
        "totals": {"received": 1_200_000, "accepted": 1_190_000, "suppressed": 12, "failed": 900,
                   "failed_left": 0, "expired": 0, "cancelled": 0, "retried": 9000, "postponed": 0,
                   "lost": 3, "attempts": 1_199_100, "sqs_requests": 240_000},
        "latency": {"attempt_ms": {"p50": 120, "p95": 310, "p99": 800},
                    "acceptance_ms": {"p50": 140, "p95": 350, "p99": 900}},
        "slots": {"busy": 240, "limit": 500, "held": 300, "held_bytes": 120_000},
        "sqs": {"requests_per_second": 400.0, "throttled": 0, "errors": 0, "cost_usd": 0.096},
        "destinations": [
            {"name": "line", "busy": 200, "limit": 400, "configured": 500, "rate": 2000,
             "breaker": "closed", "attempts_per_second": 1801.0, "accepted_per_second": 1780.0},
            {"name": "sms", "busy": 40, "limit": 100, "configured": 100, "rate": None,
             "breaker": "closed", "attempts_per_second": 200.0, "accepted_per_second": 200.0}],
        "campaigns": [campaign("morning-coupon", now_ms)],
        "failures": [failure("refused by the provider", now_ms),
                     failure("429 Too Many Requests", now_ms, outcome="retrying", status=429,
                             count=9000, **{"class": "throttled"})],
        "workers": [worker(number, now_ms) for number in (1, 2)],
        "checks": [check("workers"), check("credentials"), check("queue"), check("destinations")],
    }


def idle(now_ms):
    value = status(now_ms)
    value["verdict"] = {"health": "ok", "state": "idle", "words": "the queue is empty"}
    value["queue"].update(visible=0, in_flight=0, falling_per_second=None, empty_ms=None)
    value["rates"] = dict.fromkeys(value["rates"], 0.0)
    value["slots"].update(busy=0, held=0)
    value["campaigns"] = value["failures"] = []
    return value


def late(now_ms):
    value = status(now_ms)
    value["verdict"] = {"health": "degraded", "state": "late", "words":
                        "at 1,980 messages/s the queue is empty 3 min 12 s after the deadline"}
    value["campaigns"] = [campaign("morning-coupon", now_ms, deadline_ms=now_ms + 58_000)]
    return value


def failing(now_ms):
    value = status(now_ms)
    value["verdict"] = {"health": "failed", "state": "held_up", "words":
                        "held up: line: breaker open after 20 failures in a row"}
    value["destinations"][0].update(breaker="open", busy=0, limit=1)
    value["checks"][3] = check("destinations", "failed", "line: breaker open after 20 failures in a row")
    value["queue"].update(falling_per_second=None, empty_ms=None)
    value["failures"].insert(0, failure("503 Service Unavailable", now_ms, outcome="retrying",
                                        status=503, count=41_233, **{"class": "transient"}))
    return value


def expired(now_ms):
    value = status(now_ms)
    value["verdict"] = {"health": "failed", "state": "held_up", "words":
                        "the AWS credentials have expired: nothing is received"}
    value["checks"][1] = check("credentials", "failed", "expired at 07:58:12, and renewing them fails")
    value["rates"] = dict.fromkeys(value["rates"], 0.0)
    value["queue"].update(falling_per_second=None, empty_ms=None)
    return value


def paused(now_ms):
    value = status(now_ms)
    value["verdict"] = {"health": "degraded", "state": "paused", "words":
                        "paused by an operator; 495,000 messages wait"}
    value["control"]["paused"] = True
    return value


def hostile(now_ms):
    value = status(now_ms)
    long = "x" * 400
    value["verdict"]["words"] = HOSTILE + long
    value["queue"]["name"] = value["host"] = HOSTILE
    value["campaigns"] = [campaign(HOSTILE + long, now_ms), campaign(HOSTILE + long, now_ms)]
    value["destinations"][0]["name"] = HOSTILE + long
    value["checks"][0] = check(HOSTILE, "failed", HOSTILE + long)
    value["workers"][0]["state"] = HOSTILE
    value["failures"] = [failure(HOSTILE + long, now_ms, outcome="__proto__", destination=HOSTILE, sample={
        "message_id": HOSTILE, "campaign": HOSTILE, "attempt": 1, "request_id": HOSTILE,
        "answer": HOSTILE + "\u202e\u0000\n" + long})]
    return value


def many(now_ms):
    value = status(now_ms)
    value["campaigns"] = [campaign(f"campaign-{number}", now_ms) for number in range(50)]
    value["workers"] = [worker(number, now_ms) for number in range(1, 1001)]
    value["workers"][776].update(state="dead", heartbeat_age_ms=None)
    value["failures"] = [failure(f"reason {number}", now_ms) for number in range(20)]
    return value


def sparse(now_ms):
    """What a process says that knows nothing yet: null wherever null may be."""
    def forget(value):
        if isinstance(value, dict):
            return {name: forget(inner) for name, inner in value.items()}
        return [] if isinstance(value, list) else None

    value = forget(status(now_ms))
    value.update(now_ms=now_ms, started_ms=now_ms,
                 verdict={"health": "ok", "state": "starting", "words": ""})
    value["workers"] = [forget(worker(1, now_ms))]
    value["destinations"] = [forget(status(now_ms)["destinations"][0])]
    value["campaigns"] = [forget(campaign("", now_ms))]
    value["failures"] = [{**forget(failure("", now_ms)), "sample": None}]
    value["checks"] = [forget(check(""))]
    return value


SCENARIOS = {"load": status, "idle": idle, "late": late, "failing": failing, "expired": expired,
             "paused": paused, "hostile": hostile, "many": many, "sparse": sparse}


def sample(t_ms, accepted=None):
    """One row of the history; a wave, so that a chart of it has a shape."""
    wave = math.sin(t_ms / 90_000)
    accepted = round(1800 + 300 * wave) if accepted is None else accepted
    return [t_ms, accepted + 20, accepted, 1, 20, 0, 120, 310 + round(60 * wave), 800, 140, 900,
            240, 500, 300, max(0, 495_000 - t_ms // 1000 % 900 * 400), 2000]


class StatusPart(Part):
    """The admin port. `change`, if set, is applied to each status; `rows` replaces the history."""

    def __init__(self, files):
        self.files = files
        self.scenario = "load"
        self.change = None
        self.rows = None
        self.posts = []  # (path, Authorization)
        self.refuse_control = None  # an Answer to those with the right token
        self.paused = False

    def claims(self, request):
        return True

    def action(self, request):
        return request.path

    def serve(self, request):
        now_ms = int(time.time() * 1000)
        if request.method == "POST":
            return self.control(request)
        if request.path == "/status.json":
            value = copy.deepcopy(SCENARIOS[self.scenario](now_ms))
            value["control"]["paused"] = value["control"]["paused"] or self.paused
            if self.change:
                self.change(value)
            return self.json(value)
        if request.path == "/history.json":
            since = int(urllib.parse.parse_qs(request.query).get("since", ["0"])[0])
            rows = self.rows if self.rows is not None else [
                sample(t) for t in range(now_ms // 1000 * 1000 - HISTORY_S * 1000 + 1000,
                                         now_ms, 1000)]
            return self.json({"now_ms": now_ms, "interval_ms": 1000, "columns": COLUMNS,
                              "rows": [row for row in rows if row[0] > since]})
        return self.files.get(request.path, Answer(404, b"no such page"))

    def control(self, request):
        token = request.headers.get("authorization", "")
        self.posts.append((request.path, token))
        if token != f"Bearer {TOKEN}":
            return self.json({"error": "wrong token"}, 401)
        if self.refuse_control:
            return self.refuse_control
        self.paused = request.path == "/control/pause"
        return self.json({"ok": True})

    @staticmethod
    def json(value, status_code=200):
        return Answer(status_code, json.dumps(value).encode(), "application/json",
                      {"Cache-Control": "no-store"})
