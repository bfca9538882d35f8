"""Each alert of deploy/prometheus/ fires when it should, and does not when it should not.

promtool runs the rules over made-up series: one test each of a table below.
"""

import re

import yaml

from prometheus import RULES, promtool

HOST = 'job="bunshin",instance="a:9797"'
OF_HOST = {"job": "bunshin", "instance": "a:9797"}
OF_JOB = {"job": "bunshin"}
LINE = {"destination": "line"}


def host(name, values, labels=""):
    """A series of one host."""
    return {"series": f"{name}{{{HOST}{',' + labels if labels else ''}}}", "values": values}


def messages(outcome, values):
    return host("bunshin_messages_total", values, f'outcome="{outcome}",destination="line"')


def results(result, values):
    return host("bunshin_attempt_results_total", values, f'result="{result}",destination="line"')


def backlog(values):
    return host("bunshin_queue_backlog", values, 'state="visible"')


def running(values):
    return host("bunshin_workers", values, 'state="running"')


def latency(slow, fast):
    """Acceptances later than half an hour, and before."""
    name = "bunshin_acceptance_latency_seconds_bucket"
    return [host(name, fast, 'destination="line",le="1073.741824"'),
            host(name, fast, 'destination="line",le="4294.967296"') if slow is None else
            host(name, slow, 'destination="line",le="4294.967296"'),
            host(name, slow or fast, 'destination="line",le="+Inf"')]


STILL, GROWS, NEVER = "7x120", "0+60x120", "0x120"  # a value each minute
PAUSED = host("bunshin_control_paused", "1x120")

# alert: (series that make it fire, labels it fires with, [series that do not])
CASES = {
    "BunshinDown": ([host("up", "0x120")], OF_HOST, [[host("up", "1x120")]]),
    "BunshinNoWorkers": (
        [host("bunshin_workers_wanted", "4x120"), running(NEVER)], OF_HOST,
        [[host("bunshin_workers_wanted", "4x120"), running("1x120")],
         [host("bunshin_workers_wanted", NEVER), running(NEVER)]]),
    "BunshinNothingDelivered": (
        [backlog("500x120"), messages("accepted", STILL)], OF_JOB,
        [[backlog("500x120"), messages("accepted", GROWS)],
         [backlog("500x120"), messages("accepted", STILL), messages("suppressed", GROWS)],
         [backlog(NEVER), messages("accepted", STILL)],
         [backlog("500x120"), messages("accepted", STILL), PAUSED]]),
    "BunshinBacklogNotFalling": (
        [backlog("2000+5x120")], OF_JOB,
        [[backlog("900+0x120")], [backlog("200000-500x120")], [backlog("2000+5x120"), PAUSED]]),
    "BunshinMessagesLate": (
        latency("0+60x120", "0+1x120"), {**OF_JOB, **LINE}, [latency("0+60x120", "0+59x120")]),
    "BunshinMessagesExpired": (
        [messages("expired", GROWS)], {**OF_JOB, **LINE}, [[messages("expired", STILL)]]),
    "BunshinBreakerOpen": (
        [host("bunshin_breaker_open", "1x120", 'destination="line"')], {**OF_HOST, **LINE},
        [[host("bunshin_breaker_open", NEVER, 'destination="line"')]]),
    "BunshinFailuresHigh": (
        [messages("accepted", "0+90x120"), messages("failed", "0+10x120")], {**OF_JOB, **LINE},
        [[messages("accepted", "0+99x120"), messages("failed", "0+1x120")],
         [messages("accepted", STILL), messages("failed", STILL)]]),
    "BunshinRetriesHigh": (
        [results("accepted", "0+60x120"), results("throttled", "0+40x120")], {**OF_JOB, **LINE},
        [[results("accepted", "0+90x120"), results("retry", "0+10x120")]]),
    "BunshinCredentialsUnusable": (
        [host("bunshin_credentials_usable", NEVER)], OF_HOST,
        [[host("bunshin_credentials_usable", "1x120")]]),
    # Times of these tests are seconds from 0; it is looked at after an hour.
    "BunshinCredentialsExpiring": (
        [host("bunshin_credentials_expiry_timestamp_seconds", "3700x120")], OF_HOST,
        [[host("bunshin_credentials_expiry_timestamp_seconds", "4500x120")],
         [host("bunshin_credentials_expiry_timestamp_seconds", NEVER)]]),
    "BunshinCredentialsFailing": (
        [host("bunshin_credentials_failures_in_row", "3x120")], OF_HOST,
        [[host("bunshin_credentials_failures_in_row", NEVER)]]),
    "BunshinQueueErrors": (
        [host("bunshin_queue_errors_total", GROWS)], OF_HOST,
        [[host("bunshin_queue_errors_total", "0+1x120")]]),
    "BunshinSqsThrottled": (
        [host("bunshin_sqs_throttled_total", GROWS, 'process="worker"')], OF_JOB,
        [[host("bunshin_sqs_throttled_total", "0+1x120", 'process="worker"')]]),
    "BunshinInFlightLimit": (
        [host("bunshin_queue_in_flight_limit_reached", "1x120")], OF_HOST,
        [[host("bunshin_queue_in_flight_limit_reached", NEVER)]]),
    "BunshinVisibilityLost": (
        [messages("lost", GROWS)], {**OF_JOB, **LINE}, [[messages("lost", STILL)]]),
    "BunshinLedgerCutShort": (
        [host("bunshin_ledger_cut_short_total", GROWS)], OF_HOST,
        [[host("bunshin_ledger_cut_short_total", STILL)]]),
    "BunshinLedgerFilling": (
        [host("bunshin_ledger_used_ratio", "0.85x120")], OF_HOST,
        [[host("bunshin_ledger_used_ratio", "0.75x120")]]),
    "BunshinOutcomesLost": (
        [host("bunshin_outcomes_lost_total", GROWS)], OF_HOST,
        [[host("bunshin_outcomes_lost_total", STILL),
          host("bunshin_outcomes_unsent_deleted_bytes_total", STILL)]]),
    "BunshinResultsStuck": (
        [host("bunshin_results_waiting_bytes", "9000x120"),
         host("bunshin_results_sent_total", STILL)], OF_HOST,
        [[host("bunshin_results_waiting_bytes", "9000x120"),
          host("bunshin_results_sent_total", GROWS)],
         [host("bunshin_results_waiting_bytes", NEVER),
          host("bunshin_results_sent_total", STILL)]]),
    "BunshinPausedLong": ([PAUSED], OF_JOB, [[host("bunshin_control_paused", "0x50 1x20")]]),
    "BunshinControlUnread": (
        [host("bunshin_control_age_seconds", "90x120"),
         host("bunshin_attempts_in_flight", "5x120", 'destination="line"')], OF_HOST,
        [[host("bunshin_control_age_seconds", "90x120"),
          host("bunshin_attempts_in_flight", NEVER, 'destination="line"')],
         [host("bunshin_control_age_seconds", "5x120"), host("bunshin_control_readable", "1x120"),
          host("bunshin_attempts_in_flight", "5x120", 'destination="line"')]]),
    "BunshinWorkersMissing": (
        [host("bunshin_workers_wanted", "4x120"), running("3x120")], OF_HOST,
        [[host("bunshin_workers_wanted", "4x120"), running("4x120")]]),
    "BunshinWorkerDeaths": (
        [host("bunshin_worker_deaths_total", "0x50 1x70")], OF_HOST,
        [[host("bunshin_worker_deaths_total", STILL)]]),
    "BunshinWorkerStalls": (
        [host("bunshin_worker_stalls_total", "0x50 1x70")], OF_HOST,
        [[host("bunshin_worker_stalls_total", STILL)]]),
    "BunshinReloadFailed": (
        [host("bunshin_reloads_total", "0x50 1x70", 'result="failed"')],
        {**OF_HOST, "result": "failed"},
        [[host("bunshin_reloads_total", GROWS, 'result="ok"'),
          host("bunshin_reloads_total", STILL, 'result="failed"')]]),
    "BunshinClockOff": (
        [host("bunshin_clock_offset_seconds", "-600x120", 'process="worker"')], OF_HOST,
        [[host("bunshin_clock_offset_seconds", NEVER, 'process="worker"')]]),
    "BunshinDescriptorsLow": (
        [host("bunshin_workers_open_fds", "3500x120"), host("bunshin_worker_max_fds", "1024x120"),
         running("4x120")], OF_HOST,
        [[host("bunshin_workers_open_fds", "3000x120"),
          host("bunshin_worker_max_fds", "1024x120"), running("4x120")]]),
    "BunshinCostHigh": (
        [host("bunshin_sqs_cost_dollars_total", "0+0.5x120", 'process="worker"')], OF_JOB,
        [[host("bunshin_sqs_cost_dollars_total", "0+0.005x120", 'process="worker"')]]),
}


def alerts():
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}


def expected(rule, labels):
    """What promtool compares with: the labels, and the annotations with labels put in."""
    notes = {name: re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda match: labels[match[1]], text)
             for name, text in rule["annotations"].items()}
    return {"exp_labels": {**labels, **rule["labels"]}, "exp_annotations": notes}


def case(name, series, found):
    """An hour of it."""
    return {"interval": "1m", "input_series": series, "alert_rule_test": [
        {"eval_time": "60m", "alertname": name, "exp_alerts": found}]}


def needed(name):
    """The alert and the recording rules that it is made of: evaluating all for each takes long."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    alert = alerts()[name]
    records = [rule for group in groups for rule in group["rules"]
               if "record" in rule and rule["record"] in alert["expr"]]
    return {"groups": [{"name": name, "rules": [*records, alert]}]}


def write(directory, name, cases):
    """The file of one alert's tests."""
    rules, path = directory / f"{name}.rules.yaml", directory / f"{name}.yaml"
    rules.write_text(yaml.safe_dump(needed(name)))
    path.write_text(yaml.safe_dump({"rule_files": [str(rules)], "evaluation_interval": "1m",
                                    "tests": cases}))
    return path


def test_rules_are_well_formed():
    code, words = promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)
    assert code == 0, words
    code, words = promtool("check", "config", RULES.parent / "prometheus.yaml")
    assert code == 0, words


def test_each_alert_fires_and_does_not(tmp_path):
    rules = alerts()
    assert set(rules) == set(CASES)
    files = []
    for name, (series, labels, quiet) in CASES.items():
        assert quiet, name
        files.append(write(tmp_path, name, [
            case(name, series, [expected(rules[name], labels)]),
            *(case(name, other, []) for other in quiet)]))
    code, words = promtool("test", "rules", *files)
    assert code == 0, words
    assert words.count("SUCCESS") == len(rules), words


def test_the_test_can_fail(tmp_path):
    """An alert that does not come, and one that comes unasked, are both told."""
    series, labels, quiet = CASES["BunshinDown"]
    rule = alerts()["BunshinDown"]
    for wrong in (case("BunshinDown", quiet[0], [expected(rule, labels)]),
                  case("BunshinDown", series, [])):
        assert promtool("test", "rules", write(tmp_path, "BunshinDown", [wrong]))[0] != 0
