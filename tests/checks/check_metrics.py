#!/usr/bin/python3
"""The metrics of the source, of docs/metrics.md, and of what is in deploy/ are the same ones.

    check_metrics.py ROOT
    check_metrics.py --self-test

- Each metric that the source names is on the page, and the other way round.
- Each alert, recording rule and dashboard query of deploy/ names metrics of the page, and of each the
  labels it has there; a histogram by its _bucket, _sum or _count.
- Each alert names its part of docs/operations.md, which is there, and each part is of an alert.

That the program shows each of them with the type and the labels of the page is tested with real
processes, in tests/e2e/test_metrics.py.
"""

import json
import re
import sys
from pathlib import Path

import yaml

ROW = re.compile(r"^\| `(bunshin_\w+)` \| (counter|gauge|histogram) \| ([\w, ]*) ?\| (.+) \| (.*)\|$")
LITERAL = re.compile(r'"(bunshin_[a-z0-9_]+)"')
# A name of a metric or a rule, and what it selects by.
SELECTOR = re.compile(r"(?<![\w:$])(bunshin[_:][a-zA-Z0-9_:]+)(?:\s*\{([^}]*)\})?")
GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
OF_SCRAPE = {"instance", "job"}
SUFFIXES = ("_bucket", "_sum", "_count")


def read_page(text):
    """{name: (type, labels)}"""
    page = {}
    for line in text.splitlines():
        match = ROW.match(line)
        if match:
            assert match[1] not in page, f"{match[1]} is there twice"
            labels = {label.strip() for label in match[3].split(",") if label.strip()}
            page[match[1]] = (match[2], labels)
        else:
            assert not line.startswith("| `bunshin_"), f"not a row of the table: {line}"
    return page


def source_names(root):
    names = set()
    for path in sorted((root / "src").rglob("*.[ch]")):
        names.update(LITERAL.findall(path.read_text(encoding="utf-8")))
    return names


def labels_of(name, page, records):
    """What a selector of this name may select by; None: there is no such series."""
    if name in records:
        return records[name] | OF_SCRAPE
    if name in page:
        kind, labels = page[name]
        return None if kind == "histogram" else labels | OF_SCRAPE
    for suffix in SUFFIXES:
        base = name.removesuffix(suffix)
        if base != name and page.get(base, ("",))[0] == "histogram":
            return page[base][1] | OF_SCRAPE | ({"le"} if suffix == "_bucket" else set())
    return None


def query_problems(where, query, page, records):
    problems, known = [], set(OF_SCRAPE)
    found = SELECTOR.findall(re.sub(r'"[^"{}]*"', '""', query))
    for name, matchers in found:
        labels = labels_of(name, page, records)
        if labels is None:
            problems.append(f"{where}: there is no {name}")
            continue
        known |= labels
        for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers):
            if label not in labels:
                problems.append(f"{where}: {name} has no label {label}")
    for group in GROUPING.findall(query):
        for label in filter(None, (part.strip() for part in group.split(","))):
            if label not in known and found:
                problems.append(f"{where}: nothing in it has a label {label}")
    return problems


def record_labels(rules):
    """{recording rule: the labels that its result is grouped by}"""
    return {rule["record"]: {label.strip() for group in GROUPING.findall(rule["expr"])
                             for label in group.split(",")}
            for rule in rules if "record" in rule}


def read_rules(text):
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def panel_queries(value):
    """Every (title, query) of a dashboard, those of its variables too."""
    if isinstance(value, dict):
        for key in ("expr", "query", "definition"):
            if isinstance(value.get(key), str):
                yield value.get("legendFormat", key), value[key]
        for inner in value.values():
            yield from panel_queries(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from panel_queries(inner)


def anchor(name):
    return re.sub(r"[^\w-]", "", name.lower())


def alert_problems(rules, operations):
    problems = []
    alerts = [rule for rule in rules if "alert" in rule]
    titles = re.findall(r"^### (Bunshin\w+)$", operations, re.M)
    for rule in alerts:
        notes = rule.get("annotations", {})
        for key in ("summary", "description", "runbook_url"):
            if not notes.get(key):
                problems.append(f"{rule['alert']}: no {key}")
        if not notes.get("runbook_url", "").endswith("operations.md#" + anchor(rule["alert"])):
            problems.append(f"{rule['alert']}: runbook_url does not end in its anchor")
        if rule.get("labels", {}).get("severity") not in ("page", "ticket"):
            problems.append(f"{rule['alert']}: severity is neither page nor ticket")
        if rule["alert"] not in titles:
            problems.append(f"{rule['alert']}: docs/operations.md has no part of that name")
    for title in titles:
        if title not in [rule["alert"] for rule in alerts]:
            problems.append(f"docs/operations.md: there is no alert {title}")
    return problems


def check(root):
    page = read_page((root / "docs" / "metrics.md").read_text(encoding="utf-8"))
    source = source_names(root)
    problems = [f"docs/metrics.md lacks {name}" for name in sorted(source - set(page))]
    problems += [f"docs/metrics.md: no source has {name}" for name in sorted(set(page) - source)]
    rules = []
    for path in sorted((root / "deploy" / "prometheus").glob("*.rules.yaml")):
        rules += read_rules(path.read_text(encoding="utf-8"))
    records = record_labels(rules)
    for rule in rules:
        name = rule.get("alert") or rule["record"]
        problems += query_problems(name, rule["expr"], page, records)
    problems += alert_problems(
        rules, (root / "docs" / "operations.md").read_text(encoding="utf-8"))
    queries = 0
    for path in sorted((root / "deploy" / "grafana").glob("*.json")):
        for title, query in panel_queries(json.loads(path.read_text(encoding="utf-8"))):
            problems += query_problems(f"{path.name}: {title}", query, page, records)
            queries += 1
    if not page or not rules or not queries:
        problems.append(f"too little to check: {len(page)} metrics, {len(rules)} rules, "
                        f"{queries} queries")
    return problems


PAGE = """
| `bunshin_a_total` | counter | outcome, destination | words | when |
| `bunshin_h_seconds` | histogram | | words | |
"""


def self_test():
    page = read_page(PAGE)
    assert page == {"bunshin_a_total": ("counter", {"outcome", "destination"}),
                    "bunshin_h_seconds": ("histogram", set())}, page
    records = {"bunshin:a:rate5m": {"destination"}}
    good = ["sum by (destination) (rate(bunshin_a_total{outcome=\"x\",job=~\"b.*\"}[5m]))",
            "histogram_quantile(0.9, sum by (le) (rate(bunshin_h_seconds_bucket[5m])))",
            "bunshin:a:rate5m{destination=\"a{b\"} > 1", "up{job=\"bunshin\"} == 0"]
    bad = ["rate(bunshin_b_total[5m])", "bunshin_a_total{result=\"x\"}", "bunshin_a_total_sum",
           "sum by (campaign) (bunshin_a_total)", "bunshin_h_seconds", "bunshin:b",
           "bunshin_h_seconds_sum{le=\"1\"}", "bunshin:a:rate5m{outcome=\"x\"}"]
    for query in good:
        assert not query_problems("", query, page, records), query
    for query in bad:
        assert query_problems("", query, page, records), query
    rule = {"alert": "BunshinDown", "expr": "up == 0", "labels": {"severity": "page"},
            "annotations": {"summary": "s", "description": "d",
                            "runbook_url": "x/operations.md#bunshindown"}}
    assert not alert_problems([rule], "### BunshinDown\n")
    assert alert_problems([rule], "") and alert_problems([], "### BunshinDown\n")
    for spoilt in ({"labels": {}}, {"annotations": {}}):
        assert alert_problems([{**rule, **spoilt}], "### BunshinDown\n"), spoilt
    for row in ("| `bunshin_x` | number | | a | b |", "| `bunshin_x` | gauge | | |"):
        try:
            read_page(row)
        except AssertionError:
            continue
        raise AssertionError(f"taken: {row}")
    assert list(panel_queries({"panels": [{"targets": [{"expr": "a", "legendFormat": "l"}]}],
                               "query": "b"})) == [("query", "b"), ("l", "a")]


def main():
    if sys.argv[1:] == ["--self-test"]:
        self_test()
        return 0
    problems = check(Path(sys.argv[1]))
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
