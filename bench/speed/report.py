"""Medians, ratios, limits: what the parts make of their figures."""
import statistics
from dataclasses import dataclass, field


@dataclass
class Report:
    """What a part gives: text for the page, limits not kept, plots (file name -> gnuplot)."""

    made: list
    text: str
    broken: list = field(default_factory=list)
    plots: dict = field(default_factory=dict)


class Limits:
    """Each limit of a part is asked about once; what is not kept becomes a line of `broken`."""

    def __init__(self):
        self.broken = []

    def at_most(self, what, value, limit, form="{:.2f}"):
        if not value <= limit:
            self.broken.append(f"{what}: {form.format(value)}, limit {form.format(limit)}")

    def below(self, what, value, limit, form="{:.2f}"):
        if not value < limit:
            self.broken.append(f"{what}: {form.format(value)}, must be under {limit}")

    def at_least(self, what, value, limit, form="{:.2f}"):
        if not value >= limit:
            self.broken.append(f"{what}: {form.format(value)}, at least {form.format(limit)}")


def by_turns(measures, runs):
    """
    {name: what measures[name](number of the run) gave}. All of them are measured after each other
    in every round, so that what the machine does meets all; every second round backwards.
    """
    results = {name: [] for name in measures}
    for number in range(runs):
        names = list(measures)
        for name in names if number % 2 == 0 else reversed(names):
            results[name].append(measures[name](number))
    return results


def median(runs, key):
    return statistics.median(run[key] for run in runs)


@dataclass
class Ratio:
    """Of figures taken right after one another; or, for a plot, of several measurements."""

    middle: float
    low: float
    high: float

    def __str__(self):
        return f"{self.middle:.2f} ({self.low:.2f}-{self.high:.2f})"


def ratio(runs, others, key="us"):
    ratios = [a[key] / b[key] for a, b in zip(runs, others)]
    return Ratio(statistics.median(ratios), min(ratios), max(ratios))


def across(runs, key, scale=1):
    """For a plot: the middle, lowest and highest of them."""
    values = [run[key] * scale for run in runs]
    return Ratio(statistics.median(values), min(values), max(values))


def spread(runs, key, form="{:.1f}"):
    """median (low-high)"""
    values = [run[key] for run in runs]
    return (f"{form.format(statistics.median(values))} "
            f"({form.format(min(values))}-{form.format(max(values))})")


def quantile(values, share):
    """The value that so large a share of them does not exceed."""
    values = sorted(values)
    return values[min(len(values) - 1, max(0, int(len(values) * share)))]
