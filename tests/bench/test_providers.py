"""bench/providers at a size at which its figures mean nothing: every file of conf/destinations/ works."""
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ["BENCH_BUILD"])
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tests/e2e")]

import figures  # noqa: E402
from presets import course, known  # noqa: E402


def run(*arguments, timeout=240):
    return subprocess.run([ROOT / "bench/providers", "--build", BUILD, "--as-built", *arguments],
                          capture_output=True, text=True, timeout=timeout, check=False)


def rows(done):
    found = [[cell.strip() for cell in line.strip("|").split("|")]
             for line in done.stdout.splitlines() if line.startswith("| `")]
    assert found, done.stdout + done.stderr
    return {row[0].strip("`"): dict(zip(course.HEAD, row)) for row in found}


def test_every_file_at_once():
    done = run(*known.PRESETS, "--at-once", "--messages", "30", "--channels", "10")
    assert "Traceback" not in done.stderr
    kept = "not kept:" not in done.stderr
    assert done.returncode == (0 if kept else 1), done.stderr
    found = rows(done)
    assert set(found) == {path.name for path in (ROOT / "conf/destinations").glob("*.yaml")}
    for row in found.values():
        assert (row["messages"], row["lost"], row["repeated"]) == ("30", "0", "0"), row


def test_multicast_at_a_small_size():
    done = run("multicast", "--recipients", "2100", "--bad", "2")
    assert "Traceback" not in done.stderr
    found = dict([cell.strip() for cell in line.strip("|").split("|")]
                 for line in done.stdout.splitlines() if line.startswith("| "))
    assert found["messages of the queue"] == "5", done.stdout + done.stderr
    assert found["bad ids, alone in the failure queue"] == "2"
    assert found["others accepted, each once"] == "2,098"
    requests, refused = int(found["requests"]), int(found["refused for a bad id, and split"])
    # Every split makes two requests of one; the bad ids' own are not split any more.
    assert requests == 5 + 2 * (refused - 2), found


def test_a_bound_on_the_time():
    done = run("telegram", "--messages", "2000", "--seconds", "8")
    row = rows(done)["telegram.yaml"]
    sent, of, messages = row["messages"].split()
    assert (of, messages) == ("of", "2,000") and 1 <= int(sent) < 2000
    assert (row["lost"], row["repeated"]) == ("0", "0")


@pytest.mark.parametrize("arguments", [["pigeon"], ["--messages", "0"], ["--seconds", "x"]])
def test_wrong_usage(arguments):
    done = run(*arguments)
    assert done.returncode == 2 and "usage:" in done.stderr and "Traceback" not in done.stderr


# What is made of the record


def test_the_most_in_a_window():
    assert course.most_in([], 1000) == 0
    assert course.most_in([5], 1000) == 1
    assert course.most_in([1000, 0, 999], 1000) == 2
    assert course.most_in([0, 1, 999, 1000, 1001, 1999], 1000) == 3
    assert course.most_in([7] * 5, 1000) == 5


def test_the_rate_is_without_the_tail():
    assert course.rate_of([]) == course.rate_of([1]) == course.rate_of([1, 1]) == 0
    assert course.rate_of(range(0, 20000, 10)) == pytest.approx(100)
    # 199 at 100 a second, and the last one a minute later
    assert course.rate_of([*range(0, 1990, 10), 62000]) == pytest.approx(100)


class Judged(course.Course):
    """A course that was run: what the record says is given."""

    def __init__(self, preset, messages, left, *channels):
        options = type("", (), {"messages": messages})
        super().__init__(None, preset, options)
        self._judge([self.channel(preset, *channel) for channel in channels], left, 10)

    @staticmethod
    def channel(preset, times, accepted, throttled=0):
        made = course.Channel.__new__(course.Channel)
        made.times = made.accepted_times = times
        made.accepted, made.throttled = course.Counter(accepted), throttled
        return made


def test_what_is_not_kept():
    preset = known.PRESETS["twilio"]  # 100 a second
    good = list(range(0, 10000, 10))
    assert Judged(preset, 1000, 0, (good, range(1000))).broken == []
    assert Judged(preset, 1200, 200, (good, range(1000))).broken == []
    [line] = Judged(preset, 1001, 0, (good, range(1000))).broken
    assert line.startswith("lost: 1")
    [line] = Judged(preset, 1000, 0, (good, [*range(1000), 7])).broken
    assert line.startswith("repeated: 1")
    [line] = Judged(preset, 1000, 0, (sorted(good + [5, 6, 7]), range(1000))).broken
    assert line.startswith("most in one s: 1.03")
    assert Judged(preset, 1000, 0, (sorted(good + [5, 6]), range(1000))).broken == []
    [line] = Judged(preset, 1000, 0, ([time * 1.06 for time in good], range(1000))).broken
    assert line.startswith("rate held: 0.94")
    slack = known.PRESETS["slack"]  # one a second to each
    channels = [(list(range(0, 60000, 1030)), range(n, 118, 2)) for n in range(2)]
    assert Judged(slack, 118, 0, *channels).broken == []
    channels[0][0][7] -= 31
    [line] = Judged(slack, 118, 0, *channels).broken
    assert line.startswith("most in one s: 2")


def test_rows_of_other_presets_stay():
    head = ["file", "n"]
    old = f"a machine\n\n{figures.table(head, [['b', '1'], ['a', '2']])}"
    assert figures.merge_rows(old, [["a", "3"], ["c", "4"]]) == [["b", "1"], ["a", "3"], ["c", "4"]]
    assert figures.merge_rows("not measured yet", [["a", "3"]]) == [["a", "3"]]
