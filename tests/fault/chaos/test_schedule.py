"""Schedules repeat, and hold every fault."""

import chaos
import schedule as schedules

SEEDS = range(200)
EVERYTHING = {(kind, target) for kind, (targets, _) in schedules.KINDS.items()
              for target in targets}


def test_same_seed_same_schedule():
    for seed in SEEDS:
        assert chaos.whole(seed, 120) == chaos.whole(seed, 120)
    assert len({tuple(chaos.whole(seed, 120)) for seed in SEEDS}) == len(SEEDS)


def test_first_every_fault_by_itself_then_combinations():
    for seed in SEEDS:
        faults = chaos.whole(seed, 120)
        singles, rest = faults[:len(EVERYTHING)], faults[len(EVERYTHING):]
        assert {(fault.kind, fault.target) for fault in singles} == EVERYTHING
        for before, after in zip(singles, faults[1:]):
            assert before.end_s < after.start_s
        assert any(first.end_s > second.start_s for first, second in zip(rest, rest[1:]))


def test_what_overlaps_has_different_targets():
    for seed in SEEDS:
        faults = chaos.whole(seed, 120)
        for index, first in enumerate(faults):
            for second in faults[index + 1:]:
                if second.start_s <= first.end_s:
                    assert first.target != second.target


def test_stops_are_shorter_and_longer_than_the_visibility_timeout():
    stops = [fault.seconds for seed in SEEDS for fault in schedules.draw(seed, ["stop"])]
    longer = sum(seconds > schedules.VISIBILITY_S for seconds in stops)
    assert len(stops) / 4 < longer < len(stops) / 2
