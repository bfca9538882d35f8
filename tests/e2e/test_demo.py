"""`bunshin demo`, checked by a second opinion: Python's own csv and json."""

import csv
import json
from collections import Counter
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "conf/examples"


def expected_bodies(path):
    """What the example's two templates make of each recipient."""
    template = json.loads((EXAMPLES / "morning-coupon.template.json").read_text())
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            text = template["text"]
            for name, value in row.items():
                text = text.replace("{{%s}}" % name, value)
            yield json.dumps({"to": row["to"], "messages": [{"type": "text", "text": text}]},
                             ensure_ascii=False, separators=(",", ":"))


def test_every_body_byte_for_byte(bunshin):
    result = bunshin.run("demo", "--examples", EXAMPLES, "--keep", "--json", timeout=600)
    assert result.exit == 0, result
    summary = json.loads(result.out.splitlines()[-1])
    assert summary["recipients"] == summary["accepted"] == 10000
    assert summary["failed"] == summary["expired"] == summary["missing"] == 0
    assert summary["duplicates"] == summary["unexpected"] == 0
    assert summary["reconciles"] is True
    [directory] = [Path(line.removeprefix("kept: ")) for line in result.err.splitlines()
                   if line.startswith("kept: ")]
    lines = (directory / "provider.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
    recorded = Counter(json.loads(line)["body"] for line in lines)
    assert recorded == Counter(expected_bodies(directory / "morning-coupon.csv"))


def copy_of_examples(bunshin):
    examples = bunshin.directory / "examples"
    examples.mkdir()
    for name in ("morning-coupon.csv", "morning-coupon.template.json"):
        (examples / name).write_bytes((EXAMPLES / name).read_bytes())
    config = bunshin.directory / "destinations/line-push.yaml"
    config.parent.mkdir()
    config.write_bytes((EXAMPLES.parent / "destinations/line-push.yaml").read_bytes())
    return examples, config


def test_misbehaving_provider_and_more_recipients_than_the_list(bunshin):
    examples, config = copy_of_examples(bunshin)
    config.write_text(config.read_text() + "\nretry: {base: 100ms, cap: 1s}\n")
    result = bunshin.run("demo", "--examples", examples, "--messages", "10300", "--fail", "20",
                         timeout=600)
    assert result.exit == 0, result
    assert "the sum is right" in result.out
    assert "10300" in result.out


def test_exhausted_attempts_are_part_of_the_sum(bunshin):
    """What fails for good is in the failure queue, not round and round in the first one."""
    examples, config = copy_of_examples(bunshin)
    config.write_text(config.read_text() + "\nretry: {max_attempts: 2, base: 100ms, cap: 1s}\n")
    result = bunshin.run("demo", "--examples", examples, "--messages", "200", "--fail", "50",
                         "--json", timeout=600)
    assert result.exit == 0, result
    summary = json.loads(result.out.splitlines()[-1])
    assert summary["reconciles"] is True
    assert summary["failed"] > 0
    assert summary["accepted"] + summary["failed"] == summary["recipients"] == 200
    assert summary["missing"] == summary["failed"]


def test_differences_are_found(bunshin):
    """A template that drops a field: the demo must notice."""
    examples, config = copy_of_examples(bunshin)
    text = config.read_text()
    assert '"text":"{{text}}"' in text
    # JSON that means the same, but not the bytes that were asked for.
    config.write_text(text.replace('"text":"{{text}}"', '"text": "{{text}}"'))
    result = bunshin.run("demo", "--examples", examples, "--messages", "20", timeout=600)
    assert result.exit == 1
    assert "not expected" in result.err


def test_bad_usage(bunshin):
    result = bunshin.run("demo", "--examples", "/nowhere")
    assert result.exit == 1 and "/nowhere" in result.err
    result = bunshin.run("demo", "--messages", "0")
    assert result.exit == 2 and "--messages" in result.err
