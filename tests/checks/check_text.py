#!/usr/bin/python3
"""Small things that a reader trips over.

usage: check_text.py SOURCE_ROOT | --self-test

Text: Markdown, YAML, Python, shell and meson files are UTF-8 with plain line ends, no trailing
space, a newline at the end, and no tab where the language does not want one.

Exports: a function that a header under src/ or include/ declares is defined in exactly one
place (two static libraries with one name would silently take each other's), and is used outside
the file that defines it, by other code or by a test. One that is not should be static, or go.
"""
import os
import re
import sys
import tempfile

# Exports that wait for their caller: name and reason.
UNUSED_EXPORTS = {}

SKIPPED_DIRECTORIES = {".git", "__pycache__", ".pytest_cache", "node_modules"}
TEXT_SUFFIXES = (".md", ".yaml", ".yml", ".py", ".sh", "meson.build", "meson_options.txt")
TABS_ALLOWED = (".sh",)


def find_files(root, suffixes, tops=None):
    for directory, directories, names in os.walk(root):
        if directory == root:
            # A build directory in the tree is not ours to judge.
            directories[:] = [name for name in directories if not name.startswith("build")
                              and (tops is None or name in tops)]
        directories[:] = sorted(set(directories) - SKIPPED_DIRECTORIES)
        for name in sorted(names):
            if name.endswith(suffixes):
                yield os.path.relpath(os.path.join(directory, name), root)


# Text


def check_line(path, line, fenced):
    if line.endswith("\r"):
        return "carriage return"
    if line != line.rstrip():
        return "trailing space"
    if "\t" in line and not path.endswith(TABS_ALLOWED) and not fenced:
        return "tab"
    return None


def check_text(root):
    complaints = []
    for path in find_files(root, TEXT_SUFFIXES):
        with open(os.path.join(root, path), "rb") as file:
            content = file.read()
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError as error:
            complaints.append(f"{path}:1: not UTF-8 (byte {error.start})")
            continue
        fenced = False
        for number, line in enumerate(text.split("\n"), 1):
            # Code in Markdown, and comments of meson files, show tabs as the code has them.
            if path.endswith(".md") and line.lstrip().startswith("```"):
                fenced = not fenced
            comment = path.endswith("meson.build") and line.startswith("#")
            complaint = check_line(path, line, fenced or comment)
            if complaint:
                complaints.append(f"{path}:{number}: {complaint}")
        if text and not text.endswith("\n"):
            complaints.append(f"{path}:{text.count(chr(10)) + 1}: no newline at the end")
    return complaints


# Exports

COMMENT_OR_STRING = re.compile(
    r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
DIRECTIVE = re.compile(r"^[ \t]*#(?:\\\n|[^\n])*", re.M)
WORD = re.compile(r"[A-Za-z_]\w*")
FUNCTION = re.compile(r"([A-Za-z_]\w*)\s*\(")


def blank(match):
    """The same number of lines, and nothing to read."""
    return " " + "\n" * match.group().count("\n")


def read_code(path):
    with open(path, encoding="utf-8") as file:
        return COMMENT_OR_STRING.sub(blank, file.read())


def outer_statements(code):
    """(line number, text) of each statement outside all braces; a body is left as "{}"."""
    code = DIRECTIVE.sub(blank, code)
    depth, line, start, text = 0, 1, 1, ""
    for c in code:
        line += c == "\n"
        depth -= c == "}"
        if depth == 0:
            if not text.strip():
                start, text = line, ""
            text += c
        depth += c == "{"
        if depth == 0 and (c == ";" or (c == "}" and "(" in text)):
            yield start, text
            text = ""


def functions_of(code):
    """(line number, name, has a body) of every function that is neither static nor a typedef."""
    for line, statement in outer_statements(code):
        words = WORD.findall(statement)
        match = FUNCTION.search(statement)
        if not match or "typedef" in words or "static" in words:
            continue
        if "=" in statement[:match.start()] or match.group(1) == "__attribute__":
            continue
        yield line, match.group(1), "{}" in statement


def check_exports(root, unused_exports):
    code = {path: read_code(os.path.join(root, path))
            for path in find_files(root, (".c", ".h"), ["src", "include", "tests", "bench"])}
    declared, defined, used = {}, {}, {}
    for path, text in code.items():
        if not path.startswith(("src/", "include/")):
            continue
        for line, name, has_body in functions_of(text):
            if path.endswith(".c") and has_body:
                defined.setdefault(name, []).append(path)
            elif path.endswith(".h"):
                declared.setdefault(name, []).append((path, line))
    for path, text in code.items():
        for name in WORD.findall(text):
            if name in declared:
                used.setdefault(name, {}).setdefault(path, 0)
                used[name][path] += 1
    complaints = []
    for name, places in sorted(declared.items()):
        where = f"{places[0][0]}:{places[0][1]}: {name}()"
        files = defined.get(name, [])
        if len(places) > 1:
            complaints.append(f"{where} is declared again in {places[1][0]}")
        if len(files) != 1:
            complaints.append(f"{where} is defined in {len(files)} files {' '.join(files)}")
            continue
        uses = sum(count for path, count in used[name].items() if path != files[0])
        if uses <= len(places) and name not in unused_exports:
            complaints.append(f"{where} is used nowhere but in {files[0]}")
        if uses > len(places) and name in unused_exports:
            complaints.append(f"{where} is used; take it off the list of unused exports")
    for name in unused_exports:
        if name not in declared:
            complaints.append(f"{name}() is on the list of unused exports, but does not exist")
    return complaints


# Each: a path, its text, and what must be said of it.
PLANTED = [
    ("a.md", "fine\n\n```c\n\tcode\n```\n", []),
    ("a.md", "fine\n\ttab\n", ["a.md:2: tab"]),
    ("a.md", "space \n", ["a.md:1: trailing space"]),
    ("a.md", "dos\r\n", ["a.md:1: carriage return"]),
    ("a.md", "fine\nend", ["a.md:2: no newline at the end"]),
    ("a.yaml", "a:\n\tb: 1\n", ["a.yaml:2: tab"]),
    ("src/a/meson.build", "# build:\n#\tninja\nx = 1\n", []),
    ("src/a/meson.build", "x = [\n\t1]\n", ["src/a/meson.build:2: tab"]),
    ("build/a.md", "not \tours", []),
    ("src/a/a.h", "/* int lost(void); */\nint good(void);\n", []),
    ("src/a/a.h", "static inline int half(int x)\n{\n\treturn x / 2;\n}\nint good(void);\n", []),
    ("src/a/a.h", "struct s {\n\tint (*f)(void *s);\n};\ntypedef int f(void);\n", []),
    ("src/a/a.h", "#define CALL() good()\nextern const int x;\n", []),
    ("src/a/a.h", "\nconst char *missing(int x,\n\tint y);\n",
     ["src/a/a.h:2: missing() is defined in 0 files"]),
    ("src/a/a.h", "int dead(void);\n", ["src/a/a.h:1: dead() is used nowhere but in src/a/a.c"]),
    ("src/a/a.h", "int dead(void) __attribute__((cold));\n",
     ["src/a/a.h:1: dead() is used nowhere but in src/a/a.c"]),
    ("src/a/a.h", "int tested(void);\n", []),
    ("src/a/a.h", "int twice(int x);\n",
     ["src/a/a.h:1: twice() is defined in 2 files src/a/a.c src/b/b.c"]),
    ("src/a/a.h", "int good(void);\nint good(void);\n",
     ["src/a/a.h:1: good() is declared again in src/a/a.h"]),
]
FILES = {
    "src/a/a.c": "int good(void)\n{\n\treturn 1;\n}\nint dead(void)\n{\n\treturn good() + dead();\n}\n"
                 "int twice(int x)\n{\n\treturn x;\n}\nstatic int lost(void)\n{\n\treturn 1;\n}\n"
                 "int tested(void)\n{\n\treturn 1;\n}\n",
    "tests/a.c": "int good(void)\n{\n\treturn tested();\n}\n",
    "src/b/b.c": "int twice(int x)\n{\n\treturn good() + twice(missing()); /* dead() */\n}\n"
                 "static const char *name = \"dead()\";\n",
}


def self_test():
    failures = 0
    for path, text, wanted in PLANTED:
        with tempfile.TemporaryDirectory() as root:
            for name, content in {**FILES, path: text}.items():
                full = os.path.join(root, name)
                os.makedirs(os.path.dirname(full), exist_ok=True)
                with open(full, "w", encoding="utf-8", newline="") as file:
                    file.write(content)
            found = [line.strip() for line in check_text(root) + check_exports(root, {})]
            if found != wanted:
                print(f"{path} with {text!r}: found {found}, not {wanted}")
                failures += 1
    print(f"{len(PLANTED)} cases, {failures} mistakes")
    return failures


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if sys.argv[1] == "--self-test":
        sys.exit(1 if self_test() else 0)
    complaints = check_text(sys.argv[1]) + check_exports(sys.argv[1], UNUSED_EXPORTS)
    for complaint in complaints:
        print(complaint)
    print(f"{len(complaints)} complaints")
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
