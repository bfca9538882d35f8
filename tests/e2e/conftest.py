"""Fixtures of the end-to-end tests. See harness.py for what they hand out."""

import os
from pathlib import Path

import pytest

from clients import Clients
from harness import Bunshin

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="session")
def binary():
    """The program under test: $BUNSHIN, which meson sets, or the one scripts/test built."""
    path = Path(os.environ.get("BUNSHIN", ROOT / "build/asan/src/cli/bunshin"))
    if not path.is_file():
        pytest.exit(f"{path} is not there: build it, or set BUNSHIN", returncode=2)
    return path


@pytest.fixture
def bunshin(binary, tmp_path):
    """Runs the program; when the test ends, what it started has ended too, and cleanly."""
    program = Bunshin(binary, tmp_path)
    yield program
    problems = program.stop()
    if problems:
        pytest.fail("\n\n".join(problems), pytrace=False)


@pytest.fixture(scope="session")
def clients(tmp_path_factory):
    """Makes SQS clients that are not ours; see clients.py."""
    makers = Clients(tmp_path_factory.mktemp("clients"))
    yield makers
    makers.stop()


@pytest.fixture(params=Clients.NAMES)
def client(request, bunshin, clients):
    """Each client that is not ours, in turn, of an embedded queue of its own."""
    return clients.make(request.param, bunshin.queue().url)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failing test shows what its processes printed."""
    outcome = yield
    report = outcome.get_result()
    program = getattr(item, "funcargs", {}).get("bunshin")
    if report.when == "call" and report.failed and program:
        for process in program.processes:
            report.sections.append(("process", process.describe()))
