"""The manual pages and the program agree on commands and options."""

import re
import subprocess

import pytest

from conftest import ROOT

PAGES = sorted((ROOT / "docs").glob("*.[1-8]"))
MANUAL = (ROOT / "docs/bunshin.1").read_text(encoding="utf-8")


def sections():
    """{"campaign send": its text in the manual}"""
    parts = re.split(r"^\.Ss bunshin (.+)$", MANUAL.partition("\n.Sh ENVIRONMENT")[0], flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def manual_options(text):
    """The options that .It lines describe: {"--config", "-c"}."""
    lines = "\n".join(re.findall(r"^\.It (.*)$", text, flags=re.M))
    return {"-" + name for name in re.findall(r"Fl (-?[a-z][a-z-]*)", lines)}


def help_options(text):
    """The options that --help lists, itself left out."""
    lines = re.findall(r"^  (?=[ -])(.*)$", text.partition("Options:")[2], flags=re.M)
    found = set()
    for line in lines:
        left = re.match(r" *(-[a-z], )?--[a-z-]+", line)
        if left:
            found |= set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", left[0]))
    return found - {"--help"}


def test_every_command_has_a_section(bunshin):
    listed = bunshin.run("--help")
    assert listed.exit == 0
    commands = re.findall(r"^  ([a-z]+) ", listed.out.partition("Commands:")[2], flags=re.M)
    assert "run" in commands
    assert {section.split()[0] for section in sections()} == set(commands)


@pytest.mark.parametrize("command", sections())
def test_help_and_manual_name_the_same_options(bunshin, command):
    answer = bunshin.run(*command.split(), "--help")
    assert answer.exit == 0 and answer.err == ""
    options = help_options(answer.out)
    assert options
    assert manual_options(sections()[command]) == options


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page_formats_without_a_warning(page):
    groff = subprocess.run(["groff", "-ww", "-z", "-mandoc", "-Tutf8", "-Kutf8", str(page)],
                           stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert (groff.returncode, groff.stdout + groff.stderr) == (0, "")
