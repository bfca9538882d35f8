#!/usr/bin/python3
"""The code's option table, conf/bunshin.yaml, docs/configuration.md and bunshin.yaml(5) must agree.

usage: check_options.py CONFIG_TOOL SOURCE_ROOT [--self-test]

Names, defaults and ranges are compared both ways: nothing may be missing, nothing may be left
over. The examples in the documents are loaded, too.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

SAMPLE = "conf/bunshin.yaml"
REFERENCE = "docs/configuration.md"
MANUAL = "docs/bunshin.yaml.5"

errors = []


def complain(where, what):
    errors.append(f"{where}: {what}")


def expect_same_names(where, found, wanted):
    for name in wanted:
        if name not in found:
            complain(where, f"{name} is missing")
    for name in found:
        if name not in wanted:
            complain(where, f"{name} is no option")


def range_words(option):
    """What any description of the option has to name: both ends, or every choice."""
    words = []
    if option["choices"]:
        words += option["choices"].split("|")
    if option["zero_word"]:
        words.append(option["zero_word"])
    return words + [option[end] for end in ("min", "max") if end in option]


def default_word(option):
    if option["required"]:
        return "required"
    return "null" if option["default"] is None else option["default"]


# conf/bunshin.yaml


def enter_item(stack, indent):
    """A list's element begins: the section around it is the list."""
    while stack and stack[-1][0] >= indent:
        stack.pop()
    if stack:
        stack[-1] = (stack[-1][0], stack[-1][1].removesuffix("[]") + "[]")


def read_sample(text):
    """Rows of {path, value, commented, comment, line}, from the lines that hold an option."""
    rows, stack, comment = [], [], []
    for number, line in enumerate(text.splitlines()):
        item = re.match(r"^(\s*)- ", line)
        if item:
            enter_item(stack, len(item.group(1)))
            line = item.group(1) + "  " + line[item.end():]
        if re.match(r"^\s*# ", line):
            comment.append(line)
            continue
        match = re.match(r"^(\s*)(#?)([a-z_]+):(.*)$", line)
        if not match:
            comment = []
            continue
        indent, commented, value = len(match.group(1)), match.group(2), match.group(4).strip()
        while stack and stack[-1][0] >= indent:
            stack.pop()
        rows.append({"path": ".".join([name for _, name in stack] + [match.group(3)]),
                     "value": value, "commented": bool(commented),
                     "comment": "\n".join(comment), "line": number})
        if not commented and not value:
            stack.append((indent, match.group(3)))
        comment = [] if value or commented else comment
    return rows


def check_sample(path, options, print_config):
    text = open(path, encoding="utf-8").read()
    rows = [row for row in read_sample(text) if row["path"] in options or row["commented"]]
    first = {}
    for row in rows:
        first.setdefault(row["path"], row)
    expect_same_names(path, first, options)
    for name, option in options.items():
        row = first.get(name)
        if row is None:
            continue
        if option["required"]:
            if row["commented"]:
                complain(path, f"{name} is required, but commented out")
        elif option["default"] == "{}":
            if "Default: {}" not in row["comment"]:
                complain(path, f"{name}: the comment names no default")
        elif not row["commented"]:
            complain(path, f"{name}: the commented default does not come first")
        elif row["value"] != default_word(option):
            complain(path, f"{name}: default {row['value']}, in the code {default_word(option)}")
        check_words(path, name, row["comment"], option)
    check_sample_loads(path, text, rows, print_config)


def check_words(where, name, text, option):
    for word in range_words(option):
        if not re.search(r"(?<![\w.])" + re.escape(word) + r"(?![\w])", text):
            complain(where, f"{name}: does not name {word}")


def check_sample_loads(path, text, rows, print_config):
    """As it is, and with the commented defaults switched on: the same configuration."""
    live = {row["path"] for row in rows if not row["commented"]}
    lines = text.splitlines()
    switched = 0
    for row in rows:
        if row["commented"] and row["path"] not in live:
            live.add(row["path"])
            lines[row["line"]] = lines[row["line"]].replace("#", "", 1)
            switched += 1
    if switched < 10:
        complain(path, f"only {switched} defaults found")
    plain, full = print_config(text), print_config("\n".join(lines) + "\n")
    if plain is not None and full is not None and plain != full:
        complain(path, "the commented defaults are not the defaults")


# docs/configuration.md


def check_reference(path, options, print_config):
    text = open(path, encoding="utf-8").read()
    found = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == 5 and re.match(r"^`[a-z_.\[\]]+`$", cells[0]):
            found[cells[0].strip("`")] = cells
    expect_same_names(path, found, options)
    for name, option in options.items():
        if name not in found:
            continue
        _, _, span, default, prose = found[name]
        words = re.findall(r"`([^`]*)`", span)
        if sorted(words) != sorted(range_words(option)):
            complain(path, f"{name}: range {words}, in the code {range_words(option)}")
        if default.strip("`") != default_word(option):
            complain(path, f"{name}: default {default}, in the code {default_word(option)}")
        if not prose:
            complain(path, f"{name}: no description")
    check_examples(path, re.findall(r"```yaml\n(.*?)```", text, re.S), print_config)


def check_examples(path, examples, print_config):
    if not examples:
        complain(path, "no example found")
    for example in examples:
        print_config(example)


# bunshin.yaml(5)


def check_manual(path, options, print_config):
    text = open(path, encoding="utf-8").read()
    body = text.split(".Sh OPTIONS", 1)[1].split("\n.Sh ", 1)[0]
    found = {}
    for item in re.split(r"\n\.It ", body)[1:]:
        head, _, rest = item.partition("\n")
        found[head.removeprefix("Li ")] = rest.split("\n.El", 1)[0]
    expect_same_names(path, found, options)
    for name, option in options.items():
        if name not in found:
            continue
        head, _, tail = found[name].partition("default\n.Li ")
        literals = re.findall(r"^\.Li (\S+)", head, re.M)
        if option["required"]:
            if "required" not in found[name]:
                complain(path, f"{name}: is required, but that is not said")
            if not set(range_words(option)) <= set(literals):
                complain(path, f"{name}: range {literals}, in the code {range_words(option)}")
        else:
            default = tail.partition("\n")[0].removesuffix(" .")
            if default != default_word(option):
                complain(path, f"{name}: default {default!r}, in the code {default_word(option)}")
            if sorted(literals) != sorted(range_words(option)):
                complain(path, f"{name}: range {literals}, in the code {range_words(option)}")
    check_examples(path, re.findall(r"\.Bd -literal\n(.*?)\.Ed", text, re.S), print_config)


printed = {}  # configuration: what printing it came to; the self-test asks for most of them again


def check(tool, root):
    """Fills `errors`; returns how many options were compared."""
    table = json.loads(subprocess.check_output([tool, "options"], text=True))
    options = {option["path"]: option for option in table}
    if len(options) != len(table):
        complain("the option table", "a name appears twice")

    with tempfile.TemporaryDirectory() as directory:
        with open(os.path.join(directory, "line_token"), "w", encoding="utf-8") as token:
            token.write("token\n")
        environment = {**os.environ, "LINE_TOKEN": "token", "FCM_TOKEN": "token",
                       "CREDENTIALS_DIRECTORY": directory}

        def print_anew(text):
            path = os.path.join(directory, "example.yaml")
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            return subprocess.run([tool, "print", path], capture_output=True, text=True,
                                  env=environment, check=False)

        def print_config(text):
            if text not in printed:
                printed[text] = print_anew(text)
            result = printed[text]
            if result.returncode != 0:
                complain("an example does not load", result.stderr + text)
                return None
            return result.stdout

        check_sample(os.path.join(root, SAMPLE), options, print_config)
        check_reference(os.path.join(root, REFERENCE), options, print_config)
        check_manual(os.path.join(root, MANUAL), options, print_config)
    return len(options)


# One deviation each; every one must be found.
DEVIATIONS = [
    (SAMPLE, "#wait: 20s", "#wait: 10s"),
    (SAMPLE, "  #held: 64MiB\n", ""),
    (SAMPLE, "0s to 20s", "0s to 30s"),
    (SAMPLE, "1 to 10000", "1 to 1000"),
    (SAMPLE, "debug, info, warn or", "info, warn or"),
    (SAMPLE, "  #grace: 30s", "  #grace: 30s\n  #idle: auto"),
    (SAMPLE, "    #accept: [200-299]\n", ""),
    (SAMPLE, "    name: line", "    #name: line"),
    (SAMPLE, "    #rate: null", "    #rate: 2000/s"),
    (SAMPLE, "    #when: null\n", ""),
    (SAMPLE, "off, or 1 to 100000", "1 to 100000"),
    (SAMPLE, "#failures: 50", "#failures: 5"),
    (SAMPLE, "          outcome: quota", "          #outcome: quota"),
    (SAMPLE, "          #path: null\n", ""),
    (SAMPLE, "          #equals: null", "          #equals: null\n          #matches: null"),
    (SAMPLE, "0 to 1024 bytes", "1 to 1024 bytes"),
    (SAMPLE, "full or decorrelated.\n      #jitter: null", "full.\n      #jitter: null"),
    (SAMPLE, "#fleet_hosts: 1", "#fleet_hosts: 2"),
    (SAMPLE, "1s to 168h", "1s to 48h"),
    (SAMPLE, "#workers: auto", "#workers: 4"),
    (SAMPLE, "# 1 to 1000, or {min", "# 1 to 100, or {min"),
    (SAMPLE, "off, or 5s to 1h", "off, or 5s to 2h"),
    (SAMPLE, "held while there are messages here: none, ec2 or ecs", "held: none or ec2"),
    (SAMPLE, "  #namespace: Bunshin\n", ""),
    (SAMPLE, "      # Default: {}\n", ""),
    (SAMPLE, 'body: \'{"to"', 'body: \'"to"'),
    (REFERENCE, "| `64MiB` |", "| `65MiB` |"),
    (REFERENCE, "`1` to `1000`", "`1` to `100`"),
    (REFERENCE, "| `drain.grace`", "| `drain.wait`"),
    (REFERENCE, "| `auto`, `1` to `1000` | `auto` | Processes",
     "| `1` to `1000` | `auto` | Processes"),
    (REFERENCE, "| `1` to `255` | `Bunshin` |", "| `1` to `255` | `bunshin` |"),
    (REFERENCE, "workers: {min: 2, max: 16}\nwatchdog", "workers: {min: 2, max: 1}\nwatchdog"),
    (REFERENCE, "`debug`, `info`", "`info`"),
    (REFERENCE, "    accept: [200-299, 409]", "    acept: [200-299, 409]"),
    (REFERENCE, "| `off`, `1` to", "| `1` to"),
    (REFERENCE, "| `destinations[].outcomes.when_body[].path`", "| `destinations[].outcomes.path`"),
    (REFERENCE, "`accept`, `retry`, `throttle`, `breaker`, `permanent`, `quota`,",
     "`accept`, `retry`, `throttle`, `breaker`, `permanent`,"),
    (REFERENCE, "`1` to `1000000000` | `null`", "`1` to `1000000000` | `2000/s`"),
    (REFERENCE, "          outcome: permanent", "          outcome: final"),
    (MANUAL, ".Li throttle ,\n.Li breaker ,\n.Li permanent ,", ".Li throttle ,\n.Li permanent ,"),
    (MANUAL, ".It Li destinations[].retry.jitter", ".It Li destinations[].jitter"),
    (MANUAL, ".Li 1000000000\n", ".Li 1000000\n"),
    (MANUAL, "default\n.Li 20s", "default\n.Li 21s"),
    (MANUAL, ".Li 12h ;\ndefault\n.Li auto", ".Li 13h ;\ndefault\n.Li auto"),
    (MANUAL, ".It Li queue.held", ".It Li queue.hold"),
    (MANUAL, ".Li 5s\nto\n.Li 1h", ".Li 5s\nto\n.Li 2h"),
    (MANUAL, ".Li 255\nprintable", ".Li 64\nprintable"),
    (MANUAL, ".Li PUT ,\n", ""),
    (MANUAL, "A template; required", "A template"),
    (MANUAL, "    accept: [200-299, 409]", "    accept: [2000]"),
]


def self_test(tool, root):
    missed = 0
    for path, text, deviation in DEVIATIONS:
        with tempfile.TemporaryDirectory() as copy:
            for name in (SAMPLE, REFERENCE, MANUAL):
                os.makedirs(os.path.dirname(os.path.join(copy, name)), exist_ok=True)
                shutil.copy(os.path.join(root, name), os.path.join(copy, name))
            with open(os.path.join(copy, path), "r+", encoding="utf-8") as file:
                content = file.read()
                file.seek(0)
                file.truncate()
                file.write(content.replace(text, deviation, 1))
            errors.clear()
            check(tool, copy)
            if text not in content or not errors:
                print(f"{path}: {text!r} -> {deviation!r} goes unnoticed")
                missed += 1
    print(f"{len(DEVIATIONS)} deviations tried, {missed} missed")
    return missed


def main():
    tool, root = sys.argv[1:3]
    if sys.argv[3:] == ["--self-test"]:
        sys.exit(1 if self_test(tool, root) else 0)
    count = check(tool, root)
    for error in errors:
        print(error)
    print(f"{count} options compared, {len(errors)} differences")
    sys.exit(1 if errors else 0)


if __name__ == "__main__":
    main()
