"""`bunshin check`: what a configuration comes to, or everything that is wrong with it."""

import json

import pytest
import yaml

from conftest import ROOT

QUEUE_URL = "http://127.0.0.1:9324/000000000000/morning"
TOKEN = "a-token-that-opens-nothing"


def test_effective_configuration_reads_back(bunshin):
    path = bunshin.config(QUEUE_URL, "http://127.0.0.1:1", request={"body": "{\"a\":{{b}}}"})
    first = bunshin.run("check", "-c", path)
    assert (first.exit, first.err) == (0, f"{path}: OK, 1 destination\n")
    assert yaml.safe_load(first.out)["queue"]["url"] == QUEUE_URL

    again = bunshin.run("check", "-c", bunshin.write_config(first.out, "printed.yaml"))
    assert (again.exit, again.out) == (0, first.out)


def test_sample_is_valid_and_hides_its_secret(bunshin):
    sample = ROOT / "conf/bunshin.yaml"
    answer = bunshin.run("check", "-c", sample, "--queue-url", QUEUE_URL, "--endpoint",
                         "http://127.0.0.1:9324", env={"LINE_TOKEN": TOKEN})
    assert (answer.exit, answer.err) == (0, f"{sample}: OK, 1 destination\n")
    value = yaml.safe_load(answer.out)
    assert value["queue"]["url"] == QUEUE_URL
    assert value["queue"]["endpoint"] == "http://127.0.0.1:9324"
    assert value["destinations"][0]["request"]["headers"]["Authorization"] == "[hidden]"
    assert TOKEN not in answer.out
    assert value["destinations"][0]["rate"] == "2000/s"
    assert value["destinations"][0]["outcomes"]["when_body"] == [
        {"status": [429], "path": None, "equals": None, "contains": "monthly limit",
         "outcome": "quota"}]


def test_every_option_of_a_destination_is_shown_as_it_is_in_force(bunshin):
    path = bunshin.write_config("""\
retry: {base: 2s, jitter: decorrelated}
workers: {min: 2, max: 8}
watchdog: off
instance: {notices: ec2, lifecycle_hook: drain, protection: ec2}
admin: {listen: "unix:/run/bunshin/admin.sock"}
metrics: {emf: 1m}
fleet_hosts: 4
ledger: {path: /var/lib/bunshin/ledger}
destinations:
  - name: push
    when: {channel: push, user.lang: [ja, en]}
    request: {url: "http://127.0.0.1:1/"}
    rate: 90/m
    adaptive: false
    breaker: {failures: off}
    outcomes: {throttle: 420, permanent: [404, 410-411]}
    retry: {cap: 10s}
""")
    answer = bunshin.run("check", "-c", path)
    assert answer.exit == 0, answer
    value = yaml.safe_load(answer.out)
    assert value["fleet_hosts"] == 4
    assert (value["workers"], value["watchdog"]) == ({"min": 2, "max": 8}, False)
    assert value["instance"] == {"notices": "ec2", "lifecycle_hook": "drain",
                                 "autoscaling_group": None, "protection": "ec2"}
    assert value["admin"] == {"listen": "unix:/run/bunshin/admin.sock", "token": None, "hosts": []}
    assert value["metrics"] == {"emf": "1m", "namespace": "Bunshin"}
    assert value["ledger"] == {"path": "/var/lib/bunshin/ledger", "window": "1h", "size": "64MiB"}
    [push] = value["destinations"]
    assert push["when"] == {"channel": ["push"], "user.lang": ["ja", "en"]}
    assert (push["rate"], push["adaptive"], push["breaker"]) == ("90/m", False, {"failures": False})
    assert push["outcomes"] == {"retry": [], "throttle": [420], "breaker": [],
                                "permanent": [404, "410-411"], "quota": [], "unregistered": [],
                                "ambiguous": [], "when_body": []}
    assert push["retry"] == {"max_attempts": 10, "base": "2s", "cap": "10s",
                             "jitter": "decorrelated", "ambiguous": True}
    assert push["retry_after_path"] is None
    again = bunshin.run("check", "-c", bunshin.write_config(answer.out, "printed.yaml"))
    assert (again.exit, again.out) == (0, answer.out)


def test_missing_environment_variable_is_named(bunshin):
    answer = bunshin.run("check", "-c", ROOT / "conf/bunshin.yaml", env={"LINE_TOKEN": None})
    assert (answer.exit, answer.out) == (2, "")
    assert answer.err.endswith("destinations[0].request.headers.Authorization: environment "
                               "variable LINE_TOKEN is not set\n")
    assert answer.err.count("\n") == 1


def test_what_run_would_miss_is_noted(bunshin):
    path = bunshin.write_config("log: {level: warn}\n")
    answer = bunshin.run("check", "-c", path)
    assert answer.exit == 0
    assert answer.err == (
        f"{path}: note: queue.url is not set; bunshin run needs it, or --queue-url\n"
        f"{path}: note: there are no destinations; bunshin run needs one\n"
        f"{path}: OK, 0 destinations\n")
    quiet = bunshin.run("check", "-c", path, "--json")
    assert (quiet.exit, quiet.err) == (0, "")
    verdict = json.loads(quiet.out)
    assert (verdict["ok"], verdict["errors"], len(verdict["notes"])) == (True, [], 2)


def test_quiet_says_only_what_keeps_run_from_starting(bunshin):
    path = bunshin.config("http://127.0.0.1:9/000000000000/q", "http://127.0.0.1:9")
    answer = bunshin.run("check", "-c", path, "--quiet")
    assert (answer.exit, answer.out, answer.err) == (0, "", "")

    path = bunshin.write_config("log: {level: warn}\n")
    answer = bunshin.run("check", "-c", path, "--quiet")
    assert (answer.exit, answer.out) == (2, "")
    assert answer.err == (
        f"{path}: note: queue.url is not set; bunshin run needs it, or --queue-url\n"
        f"{path}: note: there are no destinations; bunshin run needs one\n")

    path = bunshin.write_config("lgo: {}\n")
    answer = bunshin.run("check", "-c", path, "--quiet")
    assert (answer.exit, answer.out) == (2, "") and ":1:1: lgo:" in answer.err
    assert bunshin.run("check", "-c", path, "--quiet", "--json").exit == 2


WRONG = """\
queue:
  wait: 20
  wiat: 5s
destinations:
  - name: sink
    request:
      url: http://127.0.0.1:1/
      headers: {X: "a\\nb"}
      body: '{"to": {{to}},}'
    rate: 2000
    outcomes:
      retry: [500-599]
      throttle: [429, 503]
"""
ERRORS = [
    ':2:9: queue.wait: expected a duration from 0s to 20s (like 20s), got "20"',
    ':3:3: queue.wiat: unknown key; did you mean "wait"?',
    ":8:20: destinations[0].request.headers.X: a line break, not allowed in a header, at offset 1",
    ":10:11: destinations[0].rate: expected a rate of 1 to 1000000000 each s, m or h (like "
    '2000/s), got "2000"',
    ":13:23: destinations[0].outcomes.throttle[1]: 503 is in destinations[0].outcomes.retry, too",
    ':9:13: destinations[0].request.body: not JSON at offset 14, near "}"',
]


def test_every_error_is_shown(bunshin):
    path = bunshin.write_config(WRONG)
    answer = bunshin.run("check", "-c", path)
    assert (answer.exit, answer.out) == (2, "")
    assert answer.err == "".join(f"{path}{error}\n" for error in ERRORS)

    answer = bunshin.run("check", "-c", path, "--json")
    assert (answer.exit, answer.err) == (2, "")
    assert json.loads(answer.out) == {
        "ok": False, "errors": [f"{path}{error}" for error in ERRORS], "notes": []}


@pytest.mark.parametrize("arguments, message", [
    (["-c", "gone.yaml"], "gone.yaml: cannot be read: No such file or directory\n"),
    (["-c", "empty.yaml", "--queue-url", "morning"],
     "--queue-url: queue.url: expected a queue URL (like "
     "https://sqs.eu-west-1.amazonaws.com/123456789012/name), got \"morning\"\n"),
    (["-c", "empty.yaml", "--endpoint", "127.0.0.1:9324"],
     "--endpoint: queue.endpoint: expected an http or https URL without a path (like "
     "http://127.0.0.1:9324), got \"127.0.0.1:9324\"\n"),
])
def test_wrong_usage(bunshin, arguments, message):
    bunshin.write_config("", "empty.yaml")
    answer = bunshin.run("check", *arguments)
    assert (answer.exit, answer.out, answer.err) == (2, "", message)
