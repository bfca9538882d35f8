"""A failing test shows what its machine has to say."""

import pytest


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    machine = getattr(item, "funcargs", {}).get("machine")
    if report.when == "call" and report.failed and machine:
        journal = machine.run("journalctl", "--no-pager", "--lines=200", check=False).out
        report.sections += [("console", machine.console()[-2000:]), ("journal", journal)]
