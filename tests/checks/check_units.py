#!/usr/bin/python3
"""The units' exposure, and their times against the defaults of the configuration.

usage: check_units.py SAMPLE_CONFIGURATION UNIT... | --self-test

systemd-analyze gives each daemon's unit at most 1.5, and its TimeoutStopSec is longer than
drain.grace and the 10 s that the supervisor gives a worker after it. Units under examples/ are
parsed without a complaint, and their timers name a zone. Exits 77 where there is no systemd-analyze.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

EXPOSURE_MAX = 15  # tenths
AFTER_GRACE_S = 10
SECONDS = {"s": 1, "min": 60, "m": 60, "h": 3600}
SKIPPED = 77


def seconds(text):
    match = re.fullmatch(r"(\d+)(s|min|m|h)", text)
    return int(match[1]) * SECONDS[match[2]]


def check_exposure(unit):
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager",
         f"--threshold={EXPOSURE_MAX}", unit], capture_output=True, text=True)
    if "Overall exposure level" not in done.stdout:
        return [f"{unit}: systemd-analyze gave no exposure: {done.stdout}{done.stderr}"]
    return [f"{unit}: {done.stdout.splitlines()[-1]}"] if done.returncode != 0 else []


def check_times(unit, sample):
    grace = re.search(r"^ *#? *grace: (\w+)$", Path(sample).read_text(), re.M)
    stop = re.search(r"^TimeoutStopSec=(\w+)$", Path(unit).read_text(), re.M)
    if not grace or not stop:
        return [f"{unit}: no TimeoutStopSec, or {sample} has no grace"]
    if seconds(stop[1]) <= seconds(grace[1]) + AFTER_GRACE_S:
        return [f"{unit}: TimeoutStopSec={stop[1]} is too short for drain.grace ({grace[1]})"]
    return []


def check_example(unit):
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True,
                          text=True)
    said = (done.stdout + done.stderr).strip()
    complaints = [f"{unit}: {said}"] if done.returncode != 0 or said else []
    for when in re.findall(r"^OnCalendar=(.*)$", Path(unit).read_text(), re.M):
        if not re.search(r" [A-Z]\w*/\w+$| UTC$", when):
            complaints.append(f"{unit}: OnCalendar={when} has no zone")
    return complaints


def is_example(unit):
    return Path(unit).parent.name == "examples"


def check(sample, units):
    return [complaint for unit in units
            for complaint in (check_example(unit) if is_example(unit)
                              else check_exposure(unit) + check_times(unit, sample))]


def self_test():
    with tempfile.TemporaryDirectory() as directory:
        sample, unit = Path(directory, "sample.yaml"), Path(directory, "open.service")
        sample.write_text("drain:\n  #grace: 30s\n")
        unit.write_text("[Service]\nExecStart=/bin/true\nTimeoutStopSec=40s\n")
        found = check(sample, [unit])
        assert len(found) == 2 and "UNSAFE" in found[0] and "too short" in found[1], found
        timer = Path(directory, "examples", "open.timer")
        timer.parent.mkdir()
        (timer.parent / "open.service").write_text("[Service]\nExecStart=/bin/true\n")
        timer.write_text("[Timer]\nOnCalendar=*-*-* 07:40:00\nPersistant=no\n")
        found = check(sample, [str(timer)])
        assert len(found) == 2 and "Persistant" in found[0] and "no zone" in found[1], found


def main():
    if not shutil.which("systemd-analyze"):
        print("NOT RUN: there is no systemd-analyze here, the units' exposure is not known")
        return SKIPPED
    if sys.argv[1:] == ["--self-test"]:
        self_test()
        return 0
    complaints = check(sys.argv[1], sys.argv[2:])
    print("\n".join(complaints))
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
