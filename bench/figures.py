"""What all benchmarks do with their figures: say on what machine, put them into docs/benchmarks.md."""
import os
import pathlib
import platform
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/benchmarks.md"


def cpu_model():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def version(*command):
    """The first line that a program prints."""
    return subprocess.run(command, stdout=subprocess.PIPE, text=True,
                          check=True).stdout.splitlines()[0]


def machine(*more):
    """One line for the head of a table; `more` says what was run."""
    return "; ".join([f"{os.cpu_count()} cores of {cpu_model()}, Linux {platform.release()}, "
                      f"{version('gcc', '--version')}", *more,
                      f"release build; {time.strftime('%Y-%m-%d')}."])


def replace_figures(mark, make, page=PAGE):
    """Puts make(what stood there) between the page's marks."""
    begin, end = f"<!-- figures: {mark} -->", "<!-- end -->"
    head, rest = page.read_text().split(begin)
    old, tail = rest.split(end, 1)
    page.write_text(f"{head}{begin}\n\n{make(old).strip()}\n\n{end}{tail}")


def table(head, rows):
    """Markdown; the first column is text, the others are aligned to the right."""
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, rule, *rows])


def merge_rows(old, rows):
    """The rows of a table as it stood there, those replaced whose first column is the same."""
    found = [[cell.strip() for cell in line.strip().strip("|").split("|")]
             for line in old.splitlines() if line.startswith("|")][2:]
    merged = {row[0]: row for row in found}
    merged.update((row[0], row) for row in rows)
    return list(merged.values())
