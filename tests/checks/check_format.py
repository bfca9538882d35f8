#!/usr/bin/python3
"""Every C file is as clang-format with .clang-format leaves it.

usage: check_format.py SOURCE_ROOT [CLANG_FORMAT]
"""
import os
import subprocess
import sys

TOPS = ["src", "include", "tests", "bench"]


def find_sources(root):
    for top in TOPS:
        for directory, directories, names in os.walk(os.path.join(root, top)):
            # What npm installed is not ours to judge.
            directories[:] = [name for name in directories if name != "node_modules"]
            for name in sorted(names):
                if name.endswith((".c", ".h")):
                    yield os.path.join(directory, name)


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    root = sys.argv[1]
    tool = sys.argv[2] if len(sys.argv) == 3 else "clang-format"
    sources = list(find_sources(root))
    if not sources:
        sys.exit(f"{root}: no C file found")
    result = subprocess.run(
        [tool, "--dry-run", "--Werror", "--style=file", "--ferror-limit=1", *sources],
        cwd=root, check=False)
    print(f"{len(sources)} files read")
    if result.returncode != 0:
        print("run: clang-format -i on the files named above")
    sys.exit(1 if result.returncode else 0)


if __name__ == "__main__":
    main()
