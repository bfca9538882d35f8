#!/usr/bin/python3
"""Bugs planted in the core: the simulator must find every one, and say what it broke.

usage: check_mutants.py SOURCE_ROOT WORK_DIRECTORY COMPILER... [--only NAME]

mutants/NN-name.patch says in its first paragraph what is planted, and in a line "Killed-by:
INV_NAME" which invariant must break. Each is applied to a copy of src/delivery and linked with the
simulator; then seeds are run until one breaks an invariant. A mutant that does not apply or
compile, that survives, or that breaks another invariant first, is a failure.
"""
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

FLAGS = ["-std=gnu11", "-O1", "-D_GNU_SOURCE", '-DBUNSHIN_VERSION="mutant"', "-w"]
WRAPPED = ["malloc", "calloc", "realloc", "strdup", "strndup", "free", "__assert_fail"]
LINK = [f"-Wl,--wrap={name}" for name in WRAPPED]
NOT_NEEDED = {"loop_clock.c", "wakeup.c"}  # libuv's
SEEDS = 400
TIMEOUT_S = 120
CORES = len(os.sched_getaffinity(0))


class Failed(Exception):
    """What is wrong with a mutant, or with all of this."""


def run(command, **options):
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                          errors="replace", stderr=subprocess.STDOUT, check=False, **options)


def compile_one(compiler, include_roots, source, target):
    includes = [f"-I{root}" for root in include_roots]
    result = run([*compiler, *FLAGS, *includes, "-c", str(source), "-o", str(target)])
    if result.returncode:
        raise Failed(f"{source} does not compile:\n{result.stdout}")
    return target


def compile_all(compiler, include_roots, sources, directory):
    directory.mkdir(parents=True, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(CORES) as pool:
        jobs = [pool.submit(compile_one, compiler, include_roots, source,
                            directory / (source.stem + ".o")) for source in sources]
        return {job.result().stem: job.result() for job in jobs}


def sources_of(directory):
    return [path for path in sorted(directory.glob("*.c")) if path.name not in NOT_NEEDED]


def include_roots(root):
    return [root / "src", root / "include", root / "tests/sim"]


def link(compiler, objects, program):
    result = run([*compiler, *LINK, *map(str, objects), "-o", str(program)])
    if result.returncode:
        raise Failed(f"{program} does not link:\n{result.stdout}")


class Mutant:
    """A patch, and what must come of it."""

    def __init__(self, path):
        text = path.read_text(encoding="utf-8")
        head = text.partition("diff --git")[0]
        killer = re.search(r"^Killed-by: (INV_[A-Z]+)$", head, re.M)
        self.path, self.name = path, path.stem
        self.files = re.findall(r"^\+\+\+ b/(\S+)", text, re.M)
        self.killer = killer.group(1) if killer else None
        self.words = head.strip().split("\n\n")[0].replace("\n", " ")

    def check_form(self):
        if not self.killer or not self.words or not self.files:
            raise Failed("it lacks its words, its Killed-by line or its diff")
        if not all(file.startswith("src/delivery/") for file in self.files):
            raise Failed("it changes more than src/delivery")


def plant(mutant, root, tree):
    """A copy of what is compiled, with the bug in it."""
    for part in ("src/base", "src/delivery", "include", "tests/sim"):
        shutil.copytree(root / part, tree / part)
    # Not a repository of its own, whatever lies above it.
    env = {**os.environ, "GIT_CEILING_DIRECTORIES": str(tree.parent)}
    result = run(["git", "apply", str(mutant.path)], cwd=tree, env=env)
    if result.returncode:
        raise Failed(f"it does not apply:\n{result.stdout}")


def build(mutant, tree, compiler, sound):
    """Compiles what the bug is in; the rest is the sound program's."""
    objects = dict(sound)
    if any(file.endswith(".h") for file in mutant.files):
        sources = sources_of(tree / "src/delivery") + sources_of(tree / "tests/sim")
    else:
        sources = [tree / file for file in mutant.files]
    objects.update(compile_all(compiler, include_roots(tree), sources, tree / "objects"))
    link(compiler, objects.values(), tree / "bunshin-sim")


def kill(mutant, tree):
    """Runs seeds until something breaks; returns the simulator's words."""
    command = [str(tree / "bunshin-sim"), "--runs", str(SEEDS), "--no-shrink", "--quiet"]
    try:
        result = run([*command, "--expect", mutant.killer], timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired as late:
        raise Failed(f"no end within {TIMEOUT_S} s") from late
    if result.returncode < 0:
        raise Failed(f"the simulator was ended by signal {-result.returncode}")
    if result.returncode:
        raise Failed(f"not killed by {mutant.killer}:\n{result.stdout}")
    return result.stdout.splitlines()[0]


def check(mutant, root, work, compiler, sound):
    tree = work / mutant.name
    try:
        mutant.check_form()
        plant(mutant, root, tree)
        build(mutant, tree, compiler, sound)
        return True, kill(mutant, tree)
    except Failed as failed:
        return False, str(failed)
    finally:
        shutil.rmtree(tree, ignore_errors=True)


def main():
    arguments = sys.argv[1:]
    only = None
    if "--only" in arguments:
        at = arguments.index("--only")
        only = arguments[at + 1]
        del arguments[at:at + 2]
    if len(arguments) < 3:
        sys.exit(__doc__)
    root, work, compiler = Path(arguments[0]).resolve(), Path(arguments[1]).resolve(), arguments[2:]
    shutil.rmtree(work, ignore_errors=True)
    sources = [source for part in ("src/base", "src/delivery", "tests/sim")
               for source in sources_of(root / part)]
    sound = compile_all(compiler, include_roots(root), sources, work / "sound")
    mutants = [Mutant(path) for path in sorted((root / "tests/sim/mutants").glob("*.patch"))
               if only is None or only in path.stem]
    failures = 0
    with concurrent.futures.ThreadPoolExecutor(CORES) as pool:
        jobs = [(mutant, pool.submit(check, mutant, root, work, compiler, sound))
                for mutant in mutants]
        for mutant, job in jobs:
            killed, words = job.result()
            failures += not killed
            print(f"{'killed' if killed else 'FAILED'}  {mutant.name}: {words}", flush=True)
    print(f"{len(mutants)} mutants, {failures} failures")
    shutil.rmtree(work, ignore_errors=True)
    sys.exit(1 if failures or not mutants else 0)


if __name__ == "__main__":
    main()
