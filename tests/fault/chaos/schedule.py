"""The faults of a run, drawn from a seed: what, to whom, when, for how long.

Pure: the same seed gives the same schedule on every machine. What a fault draws while it lasts
(which request is cut, and where) comes from a seed of its own, but the order of the requests is
the machine's, so a replay repeats the schedule exactly and the rest nearly.
"""

import random
from dataclasses import dataclass

WORKERS = 3
PROCESSES = (*(f"worker {index}" for index in range(WORKERS)), "queue", "provider")
VISIBILITY_S = 6  # of the workers' configuration; a stop is drawn to be shorter or longer


def _pause(rng):
    return rng.uniform(0.1, 2.0)


def _stop(rng):
    """Every third one outlasts the visibility timeout."""
    if rng.random() < 1 / 3:
        return rng.uniform(VISIBILITY_S + 0.5, VISIBILITY_S + 3)
    return rng.uniform(0.3, 2.5)


def _outlast(rng):
    return rng.uniform(VISIBILITY_S + 0.5, VISIBILITY_S + 2)


def _while(rng):
    return rng.uniform(1.0, 4.0)


# Kind: whom it can meet, how its length is drawn.
KINDS = {
    "kill -9": (PROCESSES, _pause),  # the length is the pause before it is started again
    "stop": (PROCESSES, _stop),
    "stop, then kill -9": (PROCESSES[:WORKERS], _pause),
    "queue answers errors": (("queue leg",), _while),
    "queue refuses deletes": (("queue leg",), _outlast),  # what was accepted comes back
    "queue connections cut": (("queue leg",), _while),
    "provider connections cut": (("provider leg",), _while),
    "provider freezes": (("provider leg",), _while),
    "clock an hour ahead": (PROCESSES[:WORKERS], _outlast),
    "disk full": (("disk",), _while),
}


@dataclass(frozen=True)
class Fault:
    kind: str
    target: str
    start_s: float  # from the beginning of the run
    seconds: float
    seed: int

    @property
    def end_s(self):
        return self.start_s + self.seconds

    @property
    def worker(self):
        """The index of the worker it is aimed at; None for the rest."""
        name, _, index = self.target.partition(" ")
        return int(index) if name == "worker" else None

    def __str__(self):
        return f"{self.start_s:7.2f} s  {self.kind}: {self.target}, {self.seconds:.2f} s"


def _draw(rng, kind, target, start_s):
    seconds = KINDS[kind][1](rng)
    return Fault(kind, target, round(start_s, 3), round(seconds, 3), rng.getrandbits(48))


def _gap(rng):
    return rng.uniform(0.5, 1.5)


def _combination(rng, start_s):
    """Two or three faults that overlap, each with a target of its own."""
    everything = [(kind, target) for kind, (targets, _) in KINDS.items() for target in targets]
    faults, count = [], rng.choice((2, 3))
    while len(faults) < count:
        kind, target = rng.choice(everything)
        if target not in {fault.target for fault in faults}:
            faults.append(_draw(rng, kind, target, start_s + rng.uniform(0, 1)))
    return faults


def draw(seed, kinds=tuple(KINDS), rounds=1, combinations=0):
    """
    Each of the kinds on each of its targets, one at a time, in `rounds` shuffled rounds; then so
    many combinations of any kinds. The faults, in the order in which they start.
    """
    rng = random.Random(seed)
    faults, end_s = [], 1.0
    for _ in range(rounds):
        singles = [(kind, target) for kind in kinds for target in KINDS[kind][0]]
        rng.shuffle(singles)
        for kind, target in singles:
            faults.append(_draw(rng, kind, target, end_s + _gap(rng)))
            end_s = faults[-1].end_s
    for _ in range(combinations):
        group = _combination(rng, end_s + _gap(rng))
        faults += group
        end_s = max(fault.end_s for fault in group)
    return sorted(faults, key=lambda fault: fault.start_s)


def end_s(faults):
    """When the last of them is over."""
    return max(fault.end_s for fault in faults)
