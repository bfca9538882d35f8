"""A proxy that does to HTTP requests what networks and tired servers do, and writes it all down.

A leg stands between the workers and one server. Each worker has a port of its own, so a record
knows whose request it was; a connection to the server belongs to one connection of a worker, so
that what is cut on one side is cut on the other. The server may die and come back elsewhere:
`target` says where it is now.
"""

import asyncio
import contextlib
import random
import re
import socket
import struct
import threading

from records import Exchange, now

# What can happen to a request. The first is the rule; the rest happens while a fault lasts.
PASSED = "passed"
REQUEST_CUT = "request cut"  # the server gets its head and not all of its body
ANSWER_CUT = "answer cut"  # the server has done it; the worker gets a part of the answer
ANSWER_FORGED = "answer cut, never asked"  # the same to the worker, but the server knows nothing
HELD_BACK = "held back"  # nothing until the freeze ends, then the connection is closed
HELD_THEN_PASSED = "held, passed on late"  # the server gets it when the freeze ends
ANSWER_HELD = "answer held"  # the server has done it; the answer comes when the freeze ends
ERROR = "error"  # answered by an error, the server knows nothing
ERROR_AFTER = "error after"  # the server has done it, the worker gets an error
FATES = (PASSED, REQUEST_CUT, ANSWER_CUT, ANSWER_FORGED, HELD_BACK, HELD_THEN_PASSED, ANSWER_HELD,
         ERROR, ERROR_AFTER)
CUTS = (REQUEST_CUT, ANSWER_CUT, ANSWER_FORGED)
HOLDS = (HELD_BACK, HELD_THEN_PASSED, ANSWER_HELD)

MESSAGE_MAX_BYTES = 8 << 20
TURNS = 20  # of the loop, each of which looks at every socket
END_OF_HEAD = b"\r\n\r\n"


class Trouble:
    """
    A fault of a leg while it lasts: draws a fate for each request, or for those of one operation;
    `over` ends what it holds.
    """

    def __init__(self, fates, seed, share=1.0, operation=None):
        self.random = random.Random(seed)
        self.over = asyncio.Event()
        self._fates, self._share, self._operation = fates, share, operation

    def fate(self, exchange):
        if self._operation not in (None, exchange.operation):
            return PASSED
        return self.random.choice(self._fates) if self.random.random() < self._share else PASSED


class Broken(Exception):
    """The connection of a worker ends here."""


async def _read_message(reader):
    """One HTTP message: its head with the empty line, and its body."""
    head = await reader.readuntil(END_OF_HEAD)
    match = re.search(rb"\r\nContent-Length: *(\d+)", head, re.IGNORECASE)
    if match is None:
        raise ValueError(f"a message without a length: {head!r}")
    return head, await reader.readexactly(int(match[1]))


def _status_of(head):
    return int(head.split(b" ", 2)[1])


def _part(rng, head, body):
    """A message cut short: behind its head, in the middle of its body, or anywhere."""
    whole = head + body
    places = [rng.randrange(1, len(whole))]
    if body:
        places += [len(head), len(head) + len(body) // 2]
    return whole[:rng.choice(places)]


def _close(writer, rng=None):
    """With an rng: by FIN or by RST, as it falls."""
    if rng is not None and rng.random() < 0.5:
        sock = writer.get_extra_info("socket")
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()


class Upstream:
    """The server's side of one worker's connection; opened when it is needed."""

    def __init__(self, leg):
        self._leg = leg
        self._reader = self._writer = None

    async def send(self, data):
        if self._writer is None or self._reader.at_eof():
            self.close()
            if self._leg.target is None:
                raise ConnectionRefusedError
            self._reader, self._writer = await asyncio.open_connection(
                *self._leg.target, limit=MESSAGE_MAX_BYTES)
        self._writer.write(data)
        await self._writer.drain()

    async def answer(self):
        return await _read_message(self._reader)

    def close(self, rng=None):
        if self._writer is not None:
            _close(self._writer, rng)
        self._reader = self._writer = None


class Leg:
    """Runs in a Proxies' loop. A subclass knows what the requests mean."""

    forged = (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n",
              b"{}")

    def __init__(self, workers):
        self.target = None  # (host, port) of the server; None: there is none, connections end
        self.troubles = []
        self.exchanges = []
        self.errors = []  # of the proxy itself: the test is wrong
        self.ports = []
        self._workers = workers
        self._servers = []
        self._tasks = set()  # or a connection that waits for its next request would be collected

    async def open(self):
        for worker in range(self._workers):
            def serve(reader, writer, worker=worker):
                return self._serve(worker, reader, writer)
            server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=MESSAGE_MAX_BYTES,
                                                backlog=1024)
            self._servers.append(server)
            self.ports.append(server.sockets[0].getsockname()[1])

    def close(self):
        for server in self._servers:
            server.close()

    # For subclasses.

    def prepare(self, exchange, head, body):
        """Reads a request; returns the head to pass on."""
        return head

    def read_answer(self, exchange, status, body):
        """Reads a whole answer of the server, before anything of it is passed on."""

    def read_delivery(self, exchange):
        """The worker has the whole answer of the server."""

    def error_answer(self, rng):
        """(head, body) of an error as the server would send it."""
        raise NotImplementedError

    # A worker's connection.

    async def _serve(self, worker, reader, writer):
        upstream, last = Upstream(self), None
        self._tasks.add(asyncio.current_task())
        try:
            while True:
                head, body = await _read_message(reader)
                exchange = Exchange(len(self.exchanges), worker, now())
                self.exchanges.append(exchange)
                if last is not None:
                    last.reused_s = exchange.arrived_s
                last = exchange
                head = self.prepare(exchange, head, body)
                await self._handle(exchange, head, body, upstream, (reader, writer))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError, Broken):
            pass  # somebody went away (a fault, or an idle connection's end), or the run is over
        except Exception as error:  # pylint: disable=broad-exception-caught
            self.errors.append(repr(error))
        finally:
            if last is not None:
                last.ended_s = now()
            upstream.close()
            _close(writer)
            self._tasks.discard(asyncio.current_task())

    def _draw(self, exchange):
        for trouble in self.troubles:
            fate = trouble.fate(exchange)
            if fate != PASSED:
                return trouble, fate
        return None, PASSED

    async def _handle(self, exchange, head, body, upstream, client):
        trouble, exchange.fate = self._draw(exchange)
        fate = exchange.fate
        if fate == ERROR:
            self._give(client, *self.error_answer(trouble.random))
            return
        if fate == ANSWER_FORGED:
            self._give_part(client, trouble, *self.forged)
        if fate == REQUEST_CUT:
            await self._pass_part(client, trouble, upstream, head, body)
        if fate in (HELD_BACK, HELD_THEN_PASSED):
            await trouble.over.wait()
        if fate == HELD_BACK:
            raise Broken
        await upstream.send(head + body)
        answer = await upstream.answer()
        exchange.status, exchange.answered_s = _status_of(answer[0]), now()
        self.read_answer(exchange, exchange.status, answer[1])
        if fate == ANSWER_CUT:
            self._give_part(client, trouble, *answer)
        if fate == ANSWER_HELD:
            await trouble.over.wait()
        if fate == ERROR_AFTER:
            self._give(client, *self.error_answer(trouble.random))
            return
        self._give(client, *answer)
        exchange.delivered = True
        self.read_delivery(exchange)

    @staticmethod
    def _give(client, head, body):
        reader, writer = client
        if reader.at_eof() or reader.exception() or writer.is_closing():
            raise Broken  # the worker did not wait for it
        writer.write(head + body)

    @staticmethod
    def _give_part(client, trouble, head, body):
        Leg._give(client, _part(trouble.random, head, body), b"")
        _close(client[1], trouble.random)
        raise Broken

    @staticmethod
    async def _pass_part(client, trouble, upstream, head, body):
        await upstream.send(_part(trouble.random, head, body))
        upstream.close(trouble.random)
        _close(client[1], trouble.random)
        raise Broken


class Proxies:
    """Legs in a loop in a thread of its own. call() runs a function there and waits for it."""

    def __init__(self, *legs):
        self._legs = legs
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        for leg in self._legs:
            asyncio.run_coroutine_threadsafe(leg.open(), self._loop).result()
        return self

    def __exit__(self, *_):
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def call(self, function, *arguments):
        async def called():
            return function(*arguments)
        return asyncio.run_coroutine_threadsafe(called(), self._loop).result()

    def catch_up(self):
        """Returns when all that was sent to the legs before has been read."""
        async def turns():
            # One to accept a connection, one to read from it, one to see its end; and some more.
            for _ in range(TURNS):
                await asyncio.sleep(0)
        asyncio.run_coroutine_threadsafe(turns(), self._loop).result()

    async def _shut(self):
        for leg in self._legs:
            leg.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
