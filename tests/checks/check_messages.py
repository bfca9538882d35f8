#!/usr/bin/python3
"""Every line that the program logs is in docs/logs.md, every check of readiness in configuration.md.

usage: check_messages.py SOURCE_ROOT | --self-test
"""

import re
import sys
from pathlib import Path

LOGGED = re.compile(r'\blog_(?:info|warn|error)\(\s*((?:"(?:[^"\\]|\\.)*"\s*)+)')
EVENT = re.compile(r'\[DELIVERY_\w+\] = \{LOG_LEVEL_\w+,\s*"(\w+)",\s*((?:"(?:[^"\\]|\\.)*"\s*)+)\}')
CHECK = re.compile(r'board_check_fill\(\s*[&\w]+,\s*"(\w+)"')


def text_of(literals):
    return "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', literals))


def missing(source, logs, configuration):
    """What of the source's words the two documents do not have."""
    flat = " ".join(logs.split())
    messages = [text_of(found) for found in LOGGED.findall(source)]
    for name, text in EVENT.findall(source):
        messages.append(text_of(text))
        if f"`{name}`" not in flat:
            yield f"docs/logs.md: the event `{name}` is missing"
    for message in messages:
        if message not in flat:
            yield f"docs/logs.md: {message!r} is missing"
    for name in sorted(set(CHECK.findall(source)) | {"progress"}):
        if f"| `{name}` |" not in configuration:
            yield f"docs/configuration.md: the check `{name}` is missing"


def self_test():
    source = ('log_warn("one "\n "line", LOG_INT("a", 1)); log_debug("not shown");\n'
              '[DELIVERY_X] = {LOG_LEVEL_WARN, "x_y",\n "is x"},\n'
              'board_check_fill(&check, "queue", 1, "");')
    good = "one line `x_y` is x", "| `queue` | | `progress` |"
    assert list(missing(source, *good)) == [], list(missing(source, *good))
    for logs, configuration in (("`x_y` is x", good[1]), ("one line is x", good[1]),
                                ("one line `x_y`", good[1]), (good[0], "| `progress` |"),
                                (good[0], "| `queue` |")):
        assert len(list(missing(source, logs, configuration))) == 1, (logs, configuration)


def main(root):
    root = Path(root)
    source = "\n".join(path.read_text(encoding="utf-8")
                       for path in sorted((root / "src/cli").rglob("*.c")))
    assert len(LOGGED.findall(source)) > 40 and len(EVENT.findall(source)) > 15
    complaints = list(missing(source, (root / "docs/logs.md").read_text(encoding="utf-8"),
                              (root / "docs/configuration.md").read_text(encoding="utf-8")))
    print("\n".join(complaints))
    return bool(complaints)


if __name__ == "__main__":
    sys.exit(self_test() if sys.argv[1] == "--self-test" else main(sys.argv[1]))
