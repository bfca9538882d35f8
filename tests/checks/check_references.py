#!/usr/bin/python3
"""Every test that the documents name exists.

usage: check_references.py SOURCE_ROOT | --self-test

A reference is `tests/PATH::NAME` in backquotes in docs/*.md: the file must be there, and define a
test of that name (a C function in a table of cmocka tests, or a Python function).
"""
import pathlib
import re
import sys
import tempfile

REFERENCE = re.compile(r"`(tests/[\w./-]+)::(\w+)`")


def defines(path, name):
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return re.search(rf"^def {name}\(", text, re.M) is not None
    # Defined, and named once more: in the table of tests.
    return (re.search(rf"^static void {name}\(void \*\*state\)", text, re.M) is not None
            and len(re.findall(rf"\b{name}\b", text)) > 1)


def check(root):
    """(references read, complaints)"""
    count, complaints = 0, []
    for document in sorted((root / "docs").glob("*.md")):
        for path, name in REFERENCE.findall(document.read_text(encoding="utf-8")):
            count += 1
            if not (root / path).is_file():
                complaints.append(f"{document.name}: {path} is not there")
            elif not defines(root / path, name):
                complaints.append(f"{document.name}: {path} has no test {name}")
    return count, complaints


def self_test():
    """Planted references, each of which must be found out."""
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        (root / "docs").mkdir()
        (root / "tests").mkdir()
        (root / "tests/a.c").write_text(
            "".join(f"static void {name}(void **state)\n" for name in ("one", "one_more", "un"))
            + "cmocka_unit_test(one), cmocka_unit_test(one_more)")
        (root / "tests/b.py").write_text("def test_one(x):\n    pass\n")
        rows = [("tests/a.c::one", 0), ("tests/a.c::on", 1), ("tests/b.py::test_one", 0),
                ("tests/b.py::test_on", 1), ("tests/c.c::one", 1),
                ("tests/a.c::un", 1), ("tests/a.c::one_mor", 1)]
        missed = []
        for reference, expected in rows:
            (root / "docs/d.md").write_text(f"see `{reference}`")
            count, complaints = check(root)
            if count != 1 or len(complaints) != expected:
                missed.append(reference)
    print(f"{len(rows)} references tried, {len(missed)} judged wrongly", *missed)
    return 1 if missed else 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    count, complaints = check(pathlib.Path(sys.argv[1]))
    for complaint in complaints:
        print(complaint)
    if not count:
        complaints.append("no reference was found")
    print(f"{count} references, {len(complaints)} complaints")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
