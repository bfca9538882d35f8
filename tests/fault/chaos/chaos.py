"""One run from beginning to end: what the tests and the command line tool call."""

import schedule as schedules
from audit import Audit
from records import now
from report import figures
from stage import Stage


def perform(bunshin, settings, faults):
    """Puts the run on and judges it; the report."""
    start_s = now()
    with Stage(bunshin, settings) as stage:
        stage.start()
        stage.produce()
        stage.play(faults)
        run = stage.finish()
    return figures(run, Audit(run), settings.seed, now() - start_s)


def whole(seed, seconds):
    """Every fault on every target by itself, then combinations of two and three for the rest."""
    combinations = 0
    while True:
        faults = schedules.draw(seed, combinations=combinations + 1)
        if combinations and schedules.end_s(faults) > seconds:
            return schedules.draw(seed, combinations=combinations)
        combinations += 1
