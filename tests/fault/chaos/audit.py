"""From a run's records to a verdict: what became of every message, and why any was sent twice.

An acceptance is what the provider answered with 2xx: by the sink's own record, or by the proxy that
saw the answer (the sink's record lacks its last moments before a kill -9). Whether the worker *knew*
of it is proven by what it did next: it used the connection again, or asked for the message to be
deleted. A second acceptance is excused only by a first one that the worker could not know of,
because of a fault that hit just that request; without the ledger also by a delete that a fault kept
from being confirmed. So the bound is not a number that was guessed but a set of requests, and every
duplicate is charged to one of them.
"""

import bisect
from collections import Counter, defaultdict

import proxy

# Why a worker did not know of an acceptance, or could not make use of it.
ANSWER_CUT = "answer cut"
SILENT = "provider silent"
KILLED = "in flight at kill -9"
STOPPED = "worker stopped"
GONE = "worker gave up"
UNDELETED = "delete not confirmed"
STALE = "receipt outdated"
CLOCK = "clock ahead"
UNEXPLAINED = "unexplained"
CAUSES = (ANSWER_CUT, SILENT, KILLED, STOPPED, GONE, UNDELETED, STALE, CLOCK)

LATE_SHARE = 0.75  # of an attempt's time-out: the answer that is here by then may be too late there
PROBE = "bunshin-probe"  # made up by a worker at its start, to see whether it may delete
SHOWN = 5  # messages that a problem is shown for
BEFORE_S = 10  # faults this long before a message's first event may matter to it
FOREVER = float("inf")


class Acceptance:
    """One request that the provider accepted."""

    def __init__(self, exchange, accepted_s, known_s):
        self.exchange = exchange
        self.accepted_s = accepted_s
        self.known_s = known_s  # when the worker proved that it knew; FOREVER: never
        self.cause = None  # why it did not know at once; None: no reason

    @property
    def worker(self):
        return self.exchange.worker


class Audit:
    """`problems` is empty when all is well; the rest is what the report shows."""

    def __init__(self, run):
        self.run = run
        self.problems = []
        self.acceptances = defaultdict(list)  # message: in the order in which they began
        self.duplicates = Counter()
        self.bound = Counter()
        self.fates = Counter()  # accepted, expired, failed, lost
        self.expired_early = 0  # expired only by a clock that was ahead
        self._deletions = defaultdict(list)  # message: [(Deletion, Receipt)]
        self._receipts = defaultdict(list)  # message: [Receipt], as they came
        self._by_message = defaultdict(list)
        self._read()
        self._check_keys()
        self._check_queues()
        self._check_fates()
        self._check_deletions()
        self._check_deadlines()
        self._check_duplicates()

    def _problem(self, text, messages=()):
        messages = list(messages)
        traces = ["\n".join(self.trace(message)) for message in messages[:SHOWN]]
        self.problems.append("\n".join([text, *traces]))

    # Reading.

    def _read(self):
        run = self.run
        for exchange in run.exchanges:
            self._by_message[exchange.message].append(exchange)
        for receipt in run.receipts.values():
            self._receipts[receipt.message].append(receipt)
        for deletion in run.deletions:
            receipt = run.receipts.get(deletion.handle)
            if deletion.handle == PROBE:
                continue
            if receipt is None:
                self._problem(f"a delete with a receipt that no receive gave: {deletion}")
            else:
                self._deletions[receipt.message].append((deletion, receipt))
        recorded = self._read_record()
        for number, exchange in enumerate(run.exchanges):
            if number in recorded or (exchange.status is not None and exchange.status < 300):
                self._accepted(exchange, recorded.get(number))

    def _read_record(self):
        """Exchange number: when the sink says that it came, for what it accepted."""
        accepted = {}
        for record in self.run.recorded:
            number = int(record["headers"]["X-Chaos-Number"])
            fate = self.run.exchanges[number].fate
            if fate in (proxy.REQUEST_CUT, proxy.ANSWER_FORGED, proxy.HELD_BACK):
                self._problem(f"the provider's record has a request that it never got: {record}")
            if record["status"] is not None and record["status"] < 300:
                accepted[number] = record["time_epoch_ms"] / 1000
        return accepted

    def _accepted(self, exchange, recorded_s):
        accepted_s = exchange.answered_s if exchange.answered_s is not None else recorded_s
        known = [FOREVER]
        if exchange.delivered and exchange.reused_s is not None:
            known.append(exchange.reused_s)
        # A delete after another attempt of that worker is about that one; with the ledger, so may be
        # one after any worker's.
        again_s = min((other.arrived_s for other in self._by_message[exchange.message]
                       if (self.run.ledger or other.worker == exchange.worker)
                       and other.arrived_s > exchange.arrived_s), default=FOREVER)
        known += [deletion.asked_s for deletion, _ in self._deletions[exchange.message]
                  if deletion.worker == exchange.worker
                  and exchange.arrived_s <= deletion.asked_s < again_s]
        acceptance = Acceptance(exchange, accepted_s, min(known))
        acceptance.cause = self._cause_of_not_knowing(acceptance)
        self.acceptances[exchange.message].append(acceptance)

    def _cause_of_not_knowing(self, acceptance):
        exchange = acceptance.exchange
        # Once its connection is closed, nothing more can keep the worker from reading the answer.
        began_s, over_s = exchange.arrived_s, min(acceptance.known_s, exchange.ended_s or FOREVER)
        if exchange.fate in proxy.CUTS:
            return ANSWER_CUT
        answered_s = FOREVER if exchange.answered_s is None else exchange.answered_s
        unread = not exchange.delivered or (acceptance.known_s == FOREVER
                                            and self._was_too_late(exchange))
        if exchange.fate in proxy.HOLDS or (unread and self._provider_was_hit(
                began_s, min(answered_s, exchange.ended_s or FOREVER))):
            return SILENT
        if any(kill.worker == exchange.worker and kill.overlaps(began_s, over_s)
               for kill in self.run.kills):
            return KILLED
        if any(stop.worker == exchange.worker and stop.overlaps(began_s, over_s)
               for stop in self.run.stops):
            return STOPPED
        return GONE if unread else None

    def _decided_s(self, exchange):
        """
        When it was decided on, at the earliest: no sooner than its worker had the message, and no
        longer ago than an attempt lasts. On a crowded machine both are far from its arrival here.
        """
        receipt = self._receipt_of(exchange)
        latest_s = exchange.arrived_s - self.run.timeout_s
        return latest_s if receipt is None else max(latest_s, receipt.received_s)

    def _was_too_late(self, exchange):
        """
        The attempt had timed out by then, and its answer was given to a connection that nobody read
        from any more: it was closed.
        """
        return exchange.answered_s is not None and exchange.ended_s is not None \
            and exchange.ended_s - exchange.answered_s < self.run.timeout_s \
            and exchange.answered_s - self._decided_s(exchange) >= self.run.timeout_s * LATE_SHARE

    def _provider_was_hit(self, began_s, ended_s):
        return any(fault.target == "provider" and fault.overlaps(began_s, ended_s)
                   for fault in self.run.faults)

    # What became of each message.

    def _check_keys(self):
        keys = {}
        for exchange in self.run.exchanges:
            if keys.setdefault(exchange.message, exchange.key) != exchange.key:
                self._problem("attempts of one message with two keys", [exchange.message])
        if len(set(keys.values())) != len(keys):
            self._problem("two messages have one idempotency key")

    def _check_queues(self):
        for name, counts in self.run.counts.items():
            if counts != (0, 0, 0):
                self._problem(f"the {name} is not empty: {counts} visible, in flight, delayed")
        stray = set(self.run.failure_queue) - {m.number for m in self.run.messages if m.poison}
        if stray:
            self._problem(f"{len(stray)} good messages are in the failure queue", sorted(stray))

    def _check_fates(self):
        failed, lost = set(self.run.failure_queue), []
        for message in self.run.messages:
            if message.poison and self.acceptances[message.number]:
                self._problem("accepted, though it cannot be rendered", [message.number])
            if self.acceptances[message.number]:
                self.fates["accepted"] += 1
            elif message.number in failed:
                self.fates["failed"] += 1
            elif any(self._may_expire(message, deletion, receipt)
                     for deletion, receipt in self._deletions[message.number]):
                self.fates["expired"] += 1
                self.expired_early += all(deletion.asked_s < message.deadline_s for deletion, _
                                          in self._deletions[message.number])
            else:
                lost.append(message.number)
        self.fates["lost"] = len(lost)
        if lost:
            self._problem(f"{len(lost)} messages are lost", lost)

    def _ahead_s(self, worker, began_s, ended_s):
        """By how much the worker's clock was ahead at some time of that period, at most."""
        return max((self.run.shift_s for shift in self.run.shifts
                    if shift.worker == worker and shift.overlaps(began_s, ended_s)), default=0)

    def _may_expire(self, message, deletion, receipt):
        if message.deadline_s is None:
            return False
        ahead_s = self._ahead_s(deletion.worker, receipt.received_s, deletion.asked_s)
        return deletion.asked_s + ahead_s >= message.deadline_s

    def _check_deletions(self):
        """Promise 1: only what was accepted, has expired, or is in the failure queue."""
        early = []
        for message in self.run.messages:
            told_s = min((a.exchange.answered_s for a in self.acceptances[message.number]
                          if a.exchange.delivered), default=FOREVER)
            told_s = min(told_s, self.run.copies.get(message.number, FOREVER))
            early += [message.number for deletion, receipt in self._deletions[message.number]
                      if deletion.asked_s < told_s
                      and not self._may_expire(message, deletion, receipt)]
        if early:
            self._problem(f"{len(early)} deletes before the message had an end", early)

    def _check_deadlines(self):
        """Promise 2. An attempt that began in time may last; a stopped worker does not see it."""
        deadlines = {m.number: m.deadline_s for m in self.run.messages if m.deadline_s is not None}
        late = []
        for exchange in self.run.exchanges:
            if exchange.message not in deadlines:
                continue
            at_s = exchange.arrived_s
            allowed_s = deadlines[exchange.message] + self.run.timeout_s
            began_s = at_s - self.run.timeout_s
            for stop in self.run.stops:
                if stop.worker == exchange.worker and stop.overlaps(began_s, at_s):
                    allowed_s += (stop.ended_s or at_s) - stop.began_s
            if at_s + self._behind_s(exchange.worker, began_s, at_s) > allowed_s:
                late.append(exchange.message)
        if late:
            self._problem(f"{len(late)} attempts after the deadline", late)

    def _behind_s(self, worker, began_s, ended_s):
        """By how much its clock was ahead during all of that period, at least."""
        return max((self.run.shift_s for shift in self.run.shifts
                    if shift.worker == worker and shift.began_s <= began_s
                    and (shift.ended_s is None or shift.ended_s >= ended_s)), default=0)

    # Duplicates.

    def _check_duplicates(self):
        self._find_bound()
        unexplained = []
        for message, acceptances in self.acceptances.items():
            acceptances.sort(key=lambda acceptance: acceptance.exchange.arrived_s)
            for index, later in enumerate(acceptances[1:], 1):
                causes = [self._excuse(message, earlier, later) for earlier in acceptances[:index]]
                cause = causes[-1] if None not in causes else UNEXPLAINED
                self.duplicates[cause] += 1
                if cause == UNEXPLAINED:
                    unexplained.append(message)
        if unexplained:
            self._problem(f"{len(unexplained)} duplicates that no fault explains", unexplained)
        for cause in CAUSES:
            if self.duplicates[cause] > self.bound[cause]:
                self._problem(f"{self.duplicates[cause]} duplicates, at most "
                              f"{self.bound[cause]} are allowed: {cause}")

    def _excuse(self, message, earlier, later):
        """Why the earlier acceptance did not keep the later attempt from being made; or None."""
        if earlier.known_s > self._decided_s(later.exchange):
            excuse = earlier.cause or self._excuse_of_delete(message, earlier, later)
        elif not self.run.ledger:
            excuse = self._excuse_of_delete(message, earlier, later)
        else:
            excuse = CLOCK if self._clock_was_wrong(earlier, later.exchange.arrived_s) else None
        if excuse is None and self.run.ledger and self._was_stopped_after_its_claim(later):
            return STOPPED
        return excuse

    def _clock_was_wrong(self, earlier, until_s):
        """
        Of any worker, after the earlier acceptance: the ledger's entries carry wall times, and who
        is more than its window ahead takes them for outdated, and their places for free.
        """
        began_s = earlier.exchange.arrived_s - self.run.timeout_s
        return any(shift.overlaps(began_s, until_s) for shift in self.run.shifts)

    def _was_stopped_after_its_claim(self, acceptance):
        """
        Its worker had the message, may have claimed it in the ledger, and was stopped before the
        request left, for so long that the claim ended and another could send it.
        """
        receipt, arrived_s = self._receipt_of(acceptance.exchange), acceptance.exchange.arrived_s
        return receipt is not None and any(
            stop.worker == acceptance.worker
            and receipt.received_s <= stop.began_s <= arrived_s - self.run.timeout_s
            and stop.overlaps(arrived_s - self.run.timeout_s, arrived_s)
            for stop in self.run.stops)

    def _excuse_of_delete(self, message, earlier, later):
        """Without the ledger: it was received again, because its delete was not confirmed."""
        receipt = self._receipt_of(later.exchange)
        if self.run.ledger or receipt is None or \
                receipt.received_s > self._confirmed_s(message):
            return None
        if self._delete_was_hit(earlier):
            return UNDELETED
        return STALE if self._is_stale(later) else None

    def _receipt_of(self, exchange):
        """By which the worker came to the message that it sends here; None: by no known one."""
        return max((r for r in self._receipts[exchange.message]
                    if r.worker == exchange.worker and r.received_s <= exchange.arrived_s),
                   key=lambda r: r.received_s, default=None)

    def _is_stale(self, acceptance):
        """
        Its worker was stopped from before it read the receive's answer until the visibility was
        over: it counts that from the reading, and takes the message for its own.
        """
        receipt = self._receipt_of(acceptance.exchange)
        return receipt is not None and any(
            stop.worker == acceptance.worker
            and stop.overlaps(receipt.received_s, acceptance.exchange.arrived_s)
            and acceptance.exchange.arrived_s > receipt.received_s + self.run.visibility_s - 1
            for stop in self.run.stops)

    def _confirmed_s(self, message):
        return min((deletion.confirmed_s for deletion, _ in self._deletions[message]
                    if deletion.confirmed_s is not None), default=FOREVER)

    def _delete_was_hit(self, acceptance):
        """Whether a fault of its worker or of the queue came between it and its delete."""
        message, accepted_s = acceptance.exchange.message, acceptance.accepted_s
        confirmed_s = self._confirmed_s(message)
        refused_s = [deletion.asked_s for deletion, _ in self._deletions[message]
                     if deletion.worker == acceptance.worker and deletion.confirmed_s is None]

        def hits(fault):
            if fault.target == "queue leg" or fault.kind == "clock an hour ahead":
                return any(fault.overlaps(asked_s, asked_s) for asked_s in refused_s)
            return (fault.target == "queue" or fault.worker == acceptance.worker) and \
                fault.overlaps(accepted_s, confirmed_s)
        return any(map(hits, self.run.faults))

    def _find_bound(self):
        for message, acceptances in self.acceptances.items():
            last_s = max((e.arrived_s for e in self._by_message[message]), default=0)
            for acceptance in acceptances:
                if acceptance.cause is not None and acceptance.cause != KILLED:
                    self.bound[acceptance.cause] += 1
                elif not self.run.ledger and self._delete_was_hit(acceptance):
                    self.bound[UNDELETED] += 1
                if not self.run.ledger and self._is_stale(acceptance):
                    self.bound[STALE] += 1
                if self.run.ledger and last_s > acceptance.exchange.arrived_s and \
                        self._clock_was_wrong(acceptance, last_s):
                    self.bound[CLOCK] += 1
                if self.run.ledger and self._was_stopped_after_its_claim(acceptance):
                    self.bound[STOPPED] += 1
        self.bound[KILLED] = sum(self._in_flight_at(kill) for kill in self.run.kills
                                 if kill.worker is not None)

    def _in_flight_at(self, kill):
        """
        Requests of that worker whose answer it did not have, or may not have had, at that instant.
        What it had is in the ledger, so that with one no more can be sent again than it may have
        out at a time.
        """
        out = 0
        for exchange in self.run.exchanges:
            over_s = min(exchange.reused_s or FOREVER, exchange.ended_s or FOREVER)
            out += exchange.worker == kill.worker \
                and kill.overlaps(exchange.arrived_s, over_s) \
                and not self._was_deleted(exchange, kill.ended_s)
        return min(out, self.run.concurrency) if self.run.ledger else out

    def _was_deleted(self, exchange, at_s):
        return any(deletion.worker == exchange.worker
                   and exchange.arrived_s <= deletion.asked_s <= at_s
                   for deletion, _ in self._deletions[exchange.message])

    # Recovery.

    def recoveries(self):
        """Fault kind: seconds from the end of each to the first acceptance afterwards, or None."""
        all_s, by_worker = [], defaultdict(list)
        for acceptances in self.acceptances.values():
            for acceptance in acceptances:
                all_s.append(acceptance.accepted_s)
                by_worker[acceptance.worker].append(acceptance.accepted_s)
        for times in (all_s, *by_worker.values()):
            times.sort()
        result = defaultdict(list)
        for fault in self.run.faults:
            times = all_s if fault.worker is None else by_worker[fault.worker]
            index = bisect.bisect_left(times, fault.ended_s)
            result[fault.kind].append(
                times[index] - fault.ended_s if index < len(times) else None)
        return result

    # For people.

    def trace(self, message):
        """Everything that is known of one message, in order."""
        events = [(r.received_s, f"worker {r.worker} receives it"
                   + ("" if r.delivered else ", the answer is lost"))
                  for r in self._receipts[message]]
        for exchange in self._by_message[message]:
            events.append((exchange.arrived_s, f"worker {exchange.worker} sends it"
                           f" (request {exchange.number}, {exchange.fate})"))
            if exchange.answered_s is not None:
                events.append((exchange.answered_s, f"provider answers {exchange.status}"
                               f" (request {exchange.number})"
                               + ("" if exchange.delivered else ", the answer is lost")))
            if exchange.reused_s is not None:
                events.append((exchange.reused_s, f"worker {exchange.worker} uses the connection of"
                               f" request {exchange.number} again"))
            if exchange.ended_s is not None:
                events.append((exchange.ended_s,
                               f"the connection of request {exchange.number} ends"))
        for deletion, _ in self._deletions[message]:
            events.append((deletion.asked_s, f"worker {deletion.worker} asks for its delete"))
            if deletion.confirmed_s is not None:
                events.append((deletion.confirmed_s, "the queue confirms the delete"))
        if message in self.run.copies:
            events.append((self.run.copies[message], "the failure queue has it"))
        if events:
            first_s = min(events)[0] - BEFORE_S
            events += [(fault.began_s, f"[{fault.kind}: {fault.target}, "
                        f"{fault.ended_s - fault.began_s:.2f} s]") for fault in self.run.faults
                       if fault.overlaps(first_s, max(events)[0])]
        about = next((m for m in self.run.messages if m.number == message), None)
        lines = [f"  message {message}: {about}"]
        start_s = self.run.faults[0].began_s if self.run.faults else 0
        return lines + [f"    {at_s - start_s:9.3f} s  {text}" for at_s, text in sorted(events)]
