#!/usr/bin/python3
"""What the package and the images say of the program agrees with its build.

usage: check_package.py SOURCE_ROOT | --self-test

The version of meson.build is that of debian/changelog, of the Dockerfile's label, and of every
image under deploy/. debian/control asks for every package that scripts/setup --build installs.
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

# In every Debian build already (build-essential), or needed by the program when it runs.
NOT_BUILD_DEPENDS = {"gcc", "libc6-dev", "ca-certificates"}
VERSION = r"(\d+\.\d+\.\d+)"


def versions(root):
    """(where, version or None) of all that names one; meson.build's comes first."""
    single = [
        ("meson.build", rf"^project\(.*?^ *version: '{VERSION}'"),
        ("debian/changelog", r"\Abunshin \(([^)]*)\) "),
        ("Dockerfile", r'org\.opencontainers\.image\.version="([^"]*)"'),
    ]
    for name, pattern in single:
        match = re.search(pattern, (root / name).read_text(encoding="utf-8"), re.M | re.S)
        yield name, match and match[1]
    for path in sorted((root / "deploy").rglob("*")):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            for version in re.findall(rf"\bbunshin:{VERSION}\b", text):
                yield str(path.relative_to(root)), version


def build_depends(control):
    """The names in debian/control's Build-Depends."""
    field = re.search(r"^Build-Depends:(.*?)^\S", control, re.M | re.S)[1]
    return {re.match(r"[\w.+-]+", part.strip())[0] for part in field.split(",")}


def check(root):
    """(places read, complaints)"""
    found = list(versions(root))
    wanted = found[0][1]
    complaints = [f"{where} has version {version}, meson.build {wanted}"
                  for where, version in found[1:] if version != wanted]
    if not wanted:
        complaints.append("meson.build: no version was found")
    setup = subprocess.run(["sh", root / "scripts/setup", "--build", "--list"], check=True,
                           stdout=subprocess.PIPE, text=True).stdout.split()
    named = build_depends((root / "debian/control").read_text(encoding="utf-8"))
    complaints += [f"debian/control: Build-Depends has no {package}"
                   for package in sorted(set(setup) - NOT_BUILD_DEPENDS - named)]
    return len(found) + len(setup), complaints


# Each: a file, what to replace in it by what, how many complaints that makes.
PLANTED = [
    ("meson.build", "0.1.0", "0.1.0", 0),
    ("meson.build", "version: '0.1.0'", "version: '0.1.1'", 3),
    ("debian/changelog", "(0.1.0)", "(0.1.0-1)", 1),
    ("debian/changelog", "bunshin (", "bunshin [", 1),
    ("Dockerfile", '"0.1.0"', '"0.1"', 1),
    ("deploy/a.yaml", "bunshin:0.1.0", "bunshin:0.2.0", 1),
    ("deploy/a.yaml", "bunshin:0.1.0", "bunshin:latest", 0),
    ("debian/control", "libuv1-dev,", "", 1),
    ("debian/control", "libyaml-dev,", "libyaml,", 1),
    ("scripts/setup", "build_packages='", "build_packages='\n\tlibnew-dev", 1),
]


def self_test(source):
    """Planted disagreements in a copy, each of which must be found out."""
    missed = []
    for name, old, new, expected in PLANTED:
        with tempfile.TemporaryDirectory() as directory:
            root = pathlib.Path(directory)
            for part in ("debian", "scripts", "deploy"):
                (root / part).mkdir()
            for part in ("debian/control", "scripts/setup"):
                shutil.copy(source / part, root / part)
            (root / "meson.build").write_text("project('bunshin', 'c',\n    version: '0.1.0')\n")
            (root / "debian/changelog").write_text("bunshin (0.1.0) bookworm; urgency=low\n")
            (root / "Dockerfile").write_text('LABEL org.opencontainers.image.version="0.1.0"\n')
            (root / "deploy/a.yaml").write_text("image: example.com/bunshin:0.1.0\n")
            text = (root / name).read_text(encoding="utf-8")
            assert old in text, (name, old)
            (root / name).write_text(text.replace(old, new, 1), encoding="utf-8")
            complaints = check(root)[1]
            if len(complaints) != expected:
                missed.append(f"{name}: {old} -> {new}: {complaints}")
    print(f"{len(PLANTED)} cases tried, {len(missed)} judged wrongly", *missed, sep="\n")
    return 1 if missed else 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test(pathlib.Path(__file__).resolve().parents[2])
    count, complaints = check(pathlib.Path(sys.argv[1]))
    for complaint in complaints:
        print(complaint)
    print(f"{count} places read, {len(complaints)} complaints")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
