"""What is written down while faults happen, for the audit afterwards.

All times are seconds since the epoch on one clock, now(), which no step of the wall clock moves.
"""

import time
from dataclasses import dataclass, field

_EPOCH_S = time.time() - time.monotonic()


def now():
    return _EPOCH_S + time.monotonic()


@dataclass(slots=True)
class Exchange:
    """One request that came through a proxy, and its answer."""

    number: int  # unique in its leg
    worker: int
    arrived_s: float  # all of it was here
    fate: str = "passed"  # what the proxy did to it: proxy.FATES
    status: int | None = None  # of the server's whole answer; None: there was none
    answered_s: float | None = None  # when that answer was here
    delivered: bool = False  # all of an answer was given to a worker that was still there
    reused_s: float | None = None  # the next request came on the same connection
    ended_s: float | None = None  # the connection ended with this as its last request
    operation: str | None = None  # queue leg: what is asked
    message: int | None = None  # provider leg: the message's number
    key: str | None = None  # provider leg: its idempotency key


@dataclass(slots=True)
class Receipt:
    """A message as a receive gave it to a worker."""

    message: int
    message_id: str
    worker: int
    received_s: float
    delivered: bool = False  # the answer got through


@dataclass(slots=True)
class Deletion:
    """A worker's wish to delete what it received under this receipt handle."""

    handle: str
    worker: int
    asked_s: float
    confirmed_s: float | None = None  # the queue said that it is done


@dataclass(slots=True)
class Period:
    """Something that lasted: a fault, a stop, a wrong clock; a kill, until its effects were seen."""

    kind: str
    target: str
    worker: int | None
    began_s: float
    ended_s: float | None = None

    def overlaps(self, began_s, ended_s):
        return self.began_s <= ended_s and (self.ended_s is None or self.ended_s >= began_s)


@dataclass(slots=True)
class Message:
    """What the producer put into the queue."""

    number: int
    deadline_s: float | None = None
    poison: bool = False  # it cannot be rendered: it belongs into the failure queue


@dataclass
class Run:
    """Everything that the audit reads."""

    messages: list[Message] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)  # provider leg
    calls: list[Exchange] = field(default_factory=list)  # queue leg
    receipts: dict[str, Receipt] = field(default_factory=dict)  # by handle
    deletions: list[Deletion] = field(default_factory=list)
    copies: dict[int, float] = field(default_factory=dict)  # message: the queue has the copy
    failure_queue: list[int] = field(default_factory=list)  # message numbers found there
    recorded: list[dict] = field(default_factory=list)  # the sinks' records
    kills: list[Period] = field(default_factory=list)
    stops: list[Period] = field(default_factory=list)
    shifts: list[Period] = field(default_factory=list)  # wall clocks set ahead
    faults: list[Period] = field(default_factory=list)  # all of them, as they happened
    counts: dict[str, tuple[int, int, int]] = field(default_factory=dict)  # of each queue
    concurrency: int = 0  # of one worker
    timeout_s: float = 0  # of one attempt
    visibility_s: float = 0
    shift_s: float = 0  # how far ahead a wrong clock is
    ledger: bool = False
