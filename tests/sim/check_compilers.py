#!/usr/bin/python3
"""A seed means the same whoever compiled: gcc and clang, optimised or not.

usage: check_compilers.py PROGRAM SOURCE_ROOT WORK_DIRECTORY [COMPILER...]

Builds the simulator with each compiler (gcc and clang) and compares what its runs come to with
those of PROGRAM. One that is not installed is left out, and told.
"""
import re
import shutil
import sys
from pathlib import Path

import check_mutants

RUNS = [["--runs", "25"], ["--seed", "1000", "--runs", "200", "--messages", "50"],
        ["--runs", "10", "--faults", "none"]]
DEFAULT = ["gcc", "clang"]


def hash_of(program, arguments):
    result = check_mutants.run([str(program), *arguments])
    match = re.search(r"^hash ([0-9a-f]{16})", result.stdout, re.M)
    if result.returncode or not match:
        raise check_mutants.Failed(f"{program} {' '.join(arguments)}:\n{result.stdout}")
    return match.group(1)


def build(compiler, root, directory):
    sources = [source for part in ("src/base", "src/delivery", "tests/sim")
               for source in check_mutants.sources_of(root / part)]
    objects = check_mutants.compile_all(
        [compiler], check_mutants.include_roots(root), sources, directory)
    check_mutants.link([compiler], objects.values(), directory / "bunshin-sim")
    return directory / "bunshin-sim"


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    program, root, work = sys.argv[1], Path(sys.argv[2]).resolve(), Path(sys.argv[3]).resolve()
    wanted = [hash_of(program, run) for run in RUNS]
    print(f"{program}: {' '.join(wanted)}")
    failures = 0
    for compiler in sys.argv[4:] or DEFAULT:
        if not shutil.which(compiler):
            print(f"{compiler}: not installed, left out")
            continue
        shutil.rmtree(work / compiler, ignore_errors=True)
        found = [hash_of(build(compiler, root, work / compiler), run) for run in RUNS]
        failures += found != wanted
        print(f"{compiler}: {' '.join(found)}{'' if found == wanted else '  DIFFERENT'}")
    shutil.rmtree(work, ignore_errors=True)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
