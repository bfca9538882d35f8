"""Builds and runs the test suites and adds up their results; called by scripts/test.

A unit program counts as many tests as the cmocka tests in it, a pytest run as many as its
cases, any other program as one. The last line printed is "N passed, N failed", with
", N skipped" behind it only when something was skipped.
"""

import argparse
import concurrent.futures
import itertools
import json
import os
import re
import resource
import shlex
import shutil
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
CORES = len(os.sched_getaffinity(0))
AT_ONCE = CORES + 1  # tests: some of them only wait for a time-out
SHOWN_LINES = 600  # of a failing program's output; the rest is in its log under build/

BUILDS = {  # directory under build/: compiler, meson options
    # -O1, line numbers alone and the quicker linker: half the work, and the tests take no longer.
    # At -O1 gcc knows too little of a number's range to warn of a text cut short; -O3 does.
    "asan": ("gcc", ["-Db_sanitize=address,undefined", "-Db_lundef=false", "-Doptimization=1",
                     "-Dc_args=-g1 -Wno-format-truncation", "-Dc_link_args=-fuse-ld=gold"]),
    "clang": ("clang", ["-Dbuildtype=release"]),
    # What scripts/demo builds, with debug information for valgrind.
    "plain": ("gcc", ["-Dbuildtype=release", "-Ddebug=true"]),
}
# The variable: what costs too much there, and other runs of the same tests do, is done seldom.
VALGRIND = ("env BUNSHIN_TEST_MEMCHECK=1 valgrind -q --error-exitcode=99 --leak-check=full "
            "--show-leak-kinds=definite,indirect,possible "
            "--errors-for-leak-kinds=definite,indirect,possible --child-silent-after-fork=yes")

# How a step runs. What waits (for servers, for time-outs, for processes to die) runs beside what
# computes, which gives way to it. What has time-outs of a second or less of its own runs alone.
ALONE, COMPUTES, WAITS = "alone", "computes", "waits"

# In this order. Name on the command line: what it is, build, meson suite, how it runs, more
# arguments for meson test. A suite that has no test at all has failed.
STEPS = {
    "unit": ("unit tests, ASan and UBSan", "asan", "unit", ALONE, ["--timeout-multiplier=4"]),
    "check": ("layers, format, options and documents", "asan", "check", COMPUTES,
              ["--timeout-multiplier=4"]),
    "fuzz": ("fuzz targets on their corpus, ASan and UBSan", "asan", "fuzz", COMPUTES,
             ["--timeout-multiplier=4"]),
    "sim": ("simulated faults, ASan and UBSan", "asan", "sim", COMPUTES,
            ["--timeout-multiplier=4"]),
    "fault": ("allocations failed in turn; processes killed, stopped and cut off", "asan", "fault",
              WAITS, ["--timeout-multiplier=4"]),
    "e2e": ("real processes, ASan and UBSan", "asan", "e2e", WAITS, []),
    "speed": ("instructions that a worker executes for a message, beside what they were", "plain",
              "speed", COMPUTES, ["--timeout-multiplier=4"]),
    "host": ("packages, images, and the service under a real systemd", "plain", "host", WAITS, []),
    "clang": ("builds clean with clang -O3; unit tests", "clang", "unit", ALONE, []),
    # Those of the suite "pure" compute for long, or step through themselves: minutes under valgrind.
    # What they call is called by others too.
    "valgrind": ("builds clean with gcc -O3; unit tests but the pure ones under valgrind", "plain",
                 "unit", ALONE, ["--timeout-multiplier=30", f"--wrapper={VALGRIND}"]),
}
HOST_PROGRAMS = ("debootstrap", "systemd-nspawn")
GIVE_WAY = ["nice", "-n", "5"]
WAITING_AT_ONCE = 2  # steps

printing = threading.Lock()


class Tally:
    """Results so far, and of the step under way."""

    def __init__(self):
        self.passed = self.failed = 0
        self.skipped = []

    def add(self, passed=0, failed=0, skipped=()):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped

    def __str__(self):
        text = f"{self.passed} passed, {self.failed} failed"
        return text + (f", {len(self.skipped)} skipped" if self.skipped else "")


def say(step, text, started=None):
    took = f"  {time.monotonic() - started:.1f} s" if started is not None else ""
    with printing:
        print(f"{step:<9} {text}{took}", flush=True)


def show(title, output):
    """A failing test's output, the end of it when it is long."""
    lines = output.rstrip().splitlines()
    with printing:
        print(f"\n---- {title}")
        if len(lines) > SHOWN_LINES:
            print(f"[{len(lines) - SHOWN_LINES} lines left out]")
        print("\n".join(lines[-SHOWN_LINES:]))
        print("----\n", flush=True)


def environment(compiler=None):
    """Nothing of the caller's AWS settings, proxies or locale reaches a test."""
    env = {name: value for name, value in os.environ.items()
           if not name.startswith("AWS_") and name != "BUNSHIN"
           and not name.lower().endswith("_proxy")}
    env["LC_ALL"] = "C.UTF-8"
    # cmocka catches signals itself, which would hide ASan's report: exclusive handlers (2).
    env.setdefault("ASAN_OPTIONS", "detect_leaks=1:"
                   "detect_stack_use_after_return=1:abort_on_error=0:"
                   "handle_segv=2:handle_sigbus=2:handle_sigfpe=2:handle_sigill=2")
    env.setdefault("UBSAN_OPTIONS", "halt_on_error=1:print_stacktrace=1")
    if compiler:
        env["CC"] = compiler
    return env


def raise_file_limit():
    """As the program does for itself: some unit tests open a thousand connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def run(command, **options):
    return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, text=True,
                          errors="replace", stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, **options)


def build(name, gives_way=False):
    """Configures and builds build/NAME; returns whether that worked."""
    started = time.monotonic()
    directory = BUILD / name
    compiler, options = BUILDS[name]
    env = environment(compiler)
    stamp = directory / ".configured-by-scripts-test"
    wanted = shlex.join([compiler, *options])
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(directory, ignore_errors=True)
        setup = run(["meson", "setup", "-Dtests=enabled", *options, str(directory)], env=env)
        if setup.returncode != 0:
            show(f"{name}: meson setup failed", setup.stdout)
            return False
        stamp.write_text(wanted)
    ninja = run([*(GIVE_WAY if gives_way else []),
                 "ninja", "-C", str(directory), "--quiet", "-k0", f"-j{CORES}"], env=env)
    if ninja.returncode != 0:
        show(f"{name}: the build failed", ninja.stdout)
        return False
    say(name, f"built with {wanted}", started)
    return True


def cmocka_counts(result, output):
    """(passed, failed, skipped) of a unit program from what cmocka printed."""
    planned = sum(map(int, re.findall(r"\[==========\] .*?Running (\d+) test", output)))
    passed = len(re.findall(r"\[       OK \] \S", output))
    skipped = sum(map(int, re.findall(r"\[  SKIPPED \] (\d+) test", output)))
    if result == "OK":
        return (passed, 0, skipped) if passed + skipped == planned else (passed, 1, skipped)
    return passed, max(1, planned - passed - skipped), skipped


def count_pytest(tally, junit, started_epoch_s):
    """Adds a pytest run's cases; False when its report is missing or from another run."""
    try:
        if junit.stat().st_mtime < started_epoch_s - 1:
            return False
        cases = list(ElementTree.parse(junit).iter("testcase"))
    except (OSError, ElementTree.ParseError):
        return False
    for case in cases:
        name = f"{case.get('classname')}.{case.get('name')}"
        skip = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            tally.add(failed=1)
        elif skip is not None:
            tally.add(skipped=[f"{name}: {skip.get('message')}"])
        else:
            tally.add(passed=1)
    return True


def count_test(tally, step, test):
    """Adds one entry of meson's testlog.json; shows its output when it failed."""
    result = test["result"]
    output = "\n".join(filter(None, [test.get("stdout"), test.get("stderr")]))
    title = f"{step}: {test['name']}: {result}, exit status {test.get('returncode')}"
    junit = next((argument.partition("=")[2] for argument in test["command"]
                  if argument.startswith("--junitxml=")), None)
    if junit:
        before = tally.failed
        counted = count_pytest(tally, Path(junit), test["starttime"])
        if not counted or (result != "OK" and tally.failed == before):
            tally.add(failed=1)
        if tally.failed > before:
            show(title, output)
        return
    if result == "SKIP":
        reason = output.strip().rpartition("\n")[2]
        tally.add(skipped=[f"{step}: {test['name']}: {reason}"])
        return
    if "[==========]" in output:
        passed, failed, skipped = cmocka_counts(result, output)
        if passed + failed + skipped == 0:
            failed = 1  # a program without tests proves nothing
        tally.add(passed, failed, [f"{step}: {test['name']}"] * skipped)
    else:
        failed = 0 if result == "OK" else 1
        tally.add(1 - failed, failed)
    if failed:
        show(title, output)


def valgrind_tests(directory, suite):
    """A suite's tests that are programs of this build, not scripts in an interpreter, nor pure."""
    listing = run(["meson", "introspect", "--tests", str(directory)], env=environment())
    return [test["name"] for test in json.loads(listing.stdout)
            if suite in (suites := [name.partition(":")[2] for name in test["suite"]])
            and "pure" not in suites
            and test["cmd"][0].startswith(str(directory))]


def run_suite(step, gives_way):
    _, build_name, suite, _, arguments = STEPS[step]
    tally = Tally()
    directory = BUILD / build_name
    if step == "valgrind":
        arguments = [*arguments, *valgrind_tests(directory, suite)]
    pattern = f"meson-logs/{step}*.json"  # meson adds the wrapper's name
    for stale in directory.glob(pattern):
        stale.unlink()
    meson = run([*(GIVE_WAY if gives_way else []),
                 "meson", "test", "-C", str(directory), "--no-rebuild", "--quiet",
                 f"--num-processes={AT_ONCE}", f"--logbase={step}", f"--suite={suite}",
                 *arguments], env=environment())
    tests = []
    for log in directory.glob(pattern):
        with log.open(encoding="utf-8", errors="replace") as lines:
            tests += [json.loads(line) for line in lines]
    for test in tests:
        count_test(tally, step, test)
    if not tests:
        tally.add(failed=1)
        show(f"{step}: no test ran", meson.stdout)
    elif meson.returncode != 0 and tally.failed == 0:
        tally.add(failed=1)
        show(f"{step}: meson test failed", meson.stdout)
    return tally


def host_lacks():
    """What this machine lacks for the step "host", for people; "" if nothing."""
    lacking = [] if os.geteuid() == 0 else ["root"]
    return ", ".join(lacking + [name for name in HOST_PROGRAMS if not shutil.which(name)])


def run_steps(steps, built, gives_way=False):
    """One after the other; returns their tallies."""
    tallies = []
    for step in steps:
        build_name = STEPS[step][1]
        if not built[build_name]:
            say(step, f"NOT RUN: build/{build_name} failed")
            continue
        if step == "host" and (lacking := host_lacks()):
            say(step, f"NOT RUN: this machine lacks {lacking}")
            tallies.append(Tally())
            tallies[-1].add(skipped=[f"{step}: NOT RUN: this machine lacks {lacking}"])
            continue
        started = time.monotonic()
        tallies.append(run_suite(step, gives_way))
        say(step, str(tallies[-1]), started)
    return tallies


def build_for(steps, built, gives_way=False):
    """What they need and `built` does not have yet; it remembers how that went."""
    for step in steps:
        name = STEPS[step][1]
        if name not in built:
            built[name] = build(name, gives_way)


def run_all(steps):
    """
    Those that need not run alone side by side, and beside what waits the builds of what comes
    next. Returns a tally for each step and for each build that failed.
    """
    phases = [list(phase) for _, phase in
              itertools.groupby(steps, lambda step: STEPS[step][3] == ALONE)]
    built, tallies = {}, []
    with concurrent.futures.ThreadPoolExecutor(WAITING_AT_ONCE) as beside:
        for phase, following in itertools.zip_longest(phases, phases[1:], fillvalue=[]):
            waits = [step for step in phase if STEPS[step][3] == WAITS]
            build_for(phase, built)
            waiting = [beside.submit(run_steps, [step], built) for step in waits]
            tallies += run_steps([step for step in phase if step not in waits], built,
                                 gives_way=bool(waits))
            if waits:
                build_for(following, built, gives_way=True)
            tallies += [tally for each in waiting for tally in each.result()]
    for name, worked in built.items():
        if not worked:
            tallies.append(Tally())
            tallies[-1].add(failed=1)
    return tallies


def main():
    parser = argparse.ArgumentParser(prog="scripts/test",
                                     description="Builds and runs the test suites.")
    parser.add_argument("step", nargs="*", metavar="NAME",
                        help="run only these; --list prints them")
    parser.add_argument("--list", action="store_true", help="print the names")
    options = parser.parse_args()
    if options.list:
        for step, (what, *_) in STEPS.items():
            print(f"{step:<9} {what}")
        return 0
    for step in options.step:
        if step not in STEPS:
            parser.error(f'no "{step}" here: {", ".join(STEPS)}')

    raise_file_limit()
    total = Tally()
    started = time.monotonic()
    for tally in run_all([step for step in STEPS if not options.step or step in options.step]):
        total.add(tally.passed, tally.failed, tally.skipped)
    for name in total.skipped:
        say("SKIPPED", name)
    say("all", f"done, {CORES} cores", started)
    if total.passed + total.failed == 0:
        total.add(failed=1)  # nothing ran: not a success
    print(total)
    return 1 if total.failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
