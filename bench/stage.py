"""What the benchmarks of whole runs have in common: a stage, what processes use, tables of figures."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter

import yaml

from figures import ROOT, replace_figures

sys.path.insert(0, str(ROOT / "tests/e2e"))

import harness  # noqa: E402

BUILD = ROOT / "build/bench"


class Stage:
    """A queue, a provider that records, and a supervisor between them."""

    def __init__(self, program, sink=()):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="bunshin-processes-"))
        self.bunshin = harness.Bunshin(program, self.directory)
        self.queue = self.bunshin.queue()
        self.sink = self.bunshin.sink(*sink)
        self.sqs = self.queue.sqs()
        self.url = self.sqs.create_queue("morning", VisibilityTimeout=30)
        self.sent = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        problems = self.bunshin.stop()
        shutil.rmtree(self.directory)
        if problems:
            sys.exit("\n".join(problems))

    def send(self, count):
        rows = self.directory / "rows.csv"
        with rows.open("w") as out:
            out.write("to\n")
            out.writelines(f"U{number:08d}\n" for number in range(self.sent, self.sent + count))
        template = self.directory / "template"
        template.write_text('{"to":"{{to}}","text":"' + 250 * "x" + '"}')
        result = self.bunshin.run("campaign", "send", "--queue-url", self.url, "--recipients", rows,
                                  "--template", template, timeout=600)
        if result.exit != 0:
            sys.exit(result.err)
        self.sent += count

    def start(self, workers, sections=None, **destination):
        sections = dict(sections or {})
        config = {
            "queue": {"url": self.url, "receivers": destination.pop("receivers", "auto"),
                      "wait": "5s", **sections.pop("queue", {})},
            "destinations": [{"name": "sink", "request": {"url": self.sink.url + "/push"},
                              **destination}],
            "workers": workers, "admin": harness.ADMIN, "log": {"format": "json"},
            "ledger": {"path": str(self.directory / "ledger")},
            **sections,
        }
        path = self.directory / "bunshin.yaml"
        path.write_text(yaml.safe_dump(config))
        return self.bunshin.start("run", "-c", path)

    def wait_until_empty(self, timeout=600):
        harness.wait_for(lambda: self.sqs.counts(self.url) == (0, 0, 0), "an empty queue", timeout)

    def accepted(self):
        """(times of arrival in ms, how often each body was accepted)"""
        self.sink.terminate()
        times, bodies = [], Counter()
        with self.sink.record_path.open() as lines:
            for line in lines:
                record = json.loads(line)
                if record["status"] == 200:
                    times.append(record["time_epoch_ms"])
                    bodies[record["body"]] += 1
        return times, bodies

    def tally(self, bodies):
        return {"messages": self.sent, "lost": self.sent - len(bodies),
                "twice": sum(bodies.values()) - len(bodies)}


def pss_kib(pid):
    try:
        text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))


def cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def flat(figures, prefix=""):
    for name, value in figures.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}: ")
        else:
            yield prefix + name.replace("_", " "), value


def write_page(mark, runs, all_figures):
    """Those of runs that were not made this time stay as they are."""
    def make(old):
        rows = []
        for name in runs:
            if name in all_figures:
                rows += [f"| {title} | {value:,} |"
                         for title, value in flat({name: all_figures[name]})]
            else:
                rows += [line for line in old.splitlines() if line.startswith(f"| {name}: ")]
        return "\n".join([f"| {time.strftime('%Y-%m-%d')} | |", "| --- | ---: |", *rows])

    replace_figures(mark, make)


def build():
    if not (BUILD / "build.ninja").exists():
        subprocess.run(["meson", "setup", BUILD, ROOT, "--buildtype=release", "-Dtests=disabled"],
                       check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", BUILD, "--quiet", "src/cli/bunshin"], check=True)
    return BUILD / "src/cli/bunshin"
