"""An HTTP/1.1 server for the fakes: quick enough for a load test, and able to fail at any point.

It runs in a thread of its own, on asyncio. What it serves comes in parts (class Part); what goes
wrong is told by faults, which befall single requests, and by freeze(), which befalls all of them.
"""

import asyncio
import fnmatch
import inspect
import socket
import struct
import threading
import time
import uuid
from collections import Counter, deque
from dataclasses import dataclass, field
from email.utils import formatdate

HEAD_MAX = 65536
LOG_MAX = 100000
REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
           405: "Method Not Allowed", 500: "Internal Server Error", 502: "Bad Gateway",
           503: "Service Unavailable", 504: "Gateway Timeout"}

# Where freeze() holds a request: before the connection is accepted, before anything is read, when
# the request has come, in the middle of the answer's head, in the middle of its body.
PHASES = ("accept", "read", "request", "head", "body")


class Clock:
    """The wall time of the fakes, which may be wrong on purpose."""

    def __init__(self, offset_s=0):
        self.offset_s = offset_s

    def now(self):
        return time.time() + self.offset_s


@dataclass
class Request:
    method: str
    target: str  # as on the wire
    headers: dict  # lower-case names; values of one name joined by ","
    body: bytes
    connection: int  # the number of its connection
    time_s: float = 0  # by this machine's clock
    action: str = ""  # "sqs.ReceiveMessage", "imds.token"; its part says so
    access_key: str = ""  # that it was signed with, if it was
    status: int = 0  # of the answer; 0: none yet, or none at all
    code: str = ""  # of an error

    @property
    def path(self):
        return self.target.partition("?")[0]

    @property
    def query(self):
        return self.target.partition("?")[2]


@dataclass
class Answer:
    status: int
    body: bytes = b""
    kind: str = "text/plain"
    headers: dict = field(default_factory=dict)
    code: str = ""  # of an error, for the statistics


@dataclass
class Fault:
    """
    What befalls requests whose action matches, `times` of them, or all (None), after `skip` that
    pass. With a status, they are answered that error and nothing is done, unless `done`. How the
    answer ends: "answer", "silence" (none, the connection stays), "close" (none), "half" (half of
    it, then the connection closes), "reset". Only "answer" and "half" do what was asked for,
    unless `done`. Waits delay_s first.
    """

    action: str = "*"
    times: int = None
    skip: int = 0
    status: int = 0
    code: str = ""
    message: str = "as the test wants it"
    delay_s: float = 0
    end: str = "answer"
    done: bool = False
    hits: int = 0

    def takes(self, request):
        if not fnmatch.fnmatchcase(request.action, self.action):
            return False
        if self.times is not None and self.hits >= self.times:
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.hits += 1
        return True


class Part:
    """One service. Everything here runs in the server's thread."""

    def claims(self, request):
        """Whether the request is for this service."""
        raise NotImplementedError

    def action(self, request):
        """"sqs.ReceiveMessage": by what faults, counters and the log know it."""
        raise NotImplementedError

    def refuse(self, request):
        """An Answer when the request is not authentic; before any fault."""
        return None

    def serve(self, request):
        """The Answer, or a coroutine of it."""
        raise NotImplementedError

    def error(self, status, code, message):
        """An Answer as this service writes an error."""
        return Answer(status, message.encode(), code=code)


class Stats:
    """Counters that only grow, and the last requests."""

    def __init__(self, log_max=LOG_MAX):
        self.requests = Counter()  # by action
        self.errors = Counter()  # by code
        self.peaks = Counter()  # by action: most in one second
        self.connections = 0
        self.log = deque(maxlen=log_max)
        self._second = 0
        self._in_second = Counter()

    def note(self, request):
        second = int(request.time_s)
        if second != self._second:
            self._second = second
            self._in_second.clear()
        self.requests[request.action] += 1
        self._in_second[request.action] += 1
        self.peaks[request.action] = max(self.peaks[request.action],
                                         self._in_second[request.action])
        self.log.append(request)

    def seen(self, action="*"):
        """The requests so far, oldest first, unanswered ones too; bodies are not kept."""
        return [request for request in list(self.log)
                if fnmatch.fnmatchcase(request.action, action)]


class _Connection(asyncio.Protocol):
    """One request at a time; what comes meanwhile waits in the buffer."""

    def __init__(self, server, number):
        self._server = server
        self.number = number
        self.served = 0
        self.stuck = False  # nothing is read or written any more
        self._buffer = bytearray()
        self._task = None
        self._transport = None

    def connection_made(self, transport):
        self._transport = transport
        self._server.connections.add(self)
        if self._server.frozen in ("accept", "read"):
            self.stick()

    def connection_lost(self, error):
        self._server.connections.discard(self)
        if self._task:
            self._task.cancel()

    @property
    def idle(self):
        return self._task is None

    def stick(self):
        self.stuck = True
        self._transport.pause_reading()

    def reset(self):
        """Ends with a RST instead of a FIN."""
        sock = self._transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def close(self):
        self._transport.close()

    def data_received(self, data):
        self._buffer += data
        if self._task is None:
            self._begin()

    def _begin(self):
        """Starts on the next request of the buffer, if it is all there."""
        try:
            request = self._parse()
        except (ValueError, UnicodeDecodeError):
            self._write(Answer(400, b"not a request"), "close")
            return
        if request:
            self._task = asyncio.get_running_loop().create_task(self._serve(request))

    def _parse(self):
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > HEAD_MAX:
                raise ValueError("head too long")
            return None
        first, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            name, value = name.lower(), value.strip()
            headers[name] = f"{headers[name]},{value}" if name in headers else value
        if "transfer-encoding" in headers:
            raise ValueError("chunked")
        length = int(headers.get("content-length", 0))
        if len(self._buffer) < end + 4 + length:
            return None
        body = bytes(self._buffer[end + 4:end + 4 + length])
        del self._buffer[:end + 4 + length]
        return Request(method, target, headers, body, self.number, time.time())

    async def _serve(self, request):
        answer, end = await self._server.answer(request, self)
        self._task = None
        self.served += 1
        if not self.stuck:
            self._write(answer, end)
        if self._buffer and not self.stuck:
            self._begin()

    def _write(self, answer, end):
        if end == "silence" or self._server.frozen == "request":
            self.stick()
            return
        if end == "reset":
            self.reset()
            return
        head, body = self._server.render(answer)
        frozen = self._server.frozen
        if end == "half":
            self._transport.write(head + body[:len(body) // 2])
        elif frozen == "head":
            self._transport.write(head[:len(head) // 2])
        elif frozen == "body":
            self._transport.write(head + body[:len(body) // 2])
        elif answer is not None:
            self._transport.write(head + body)
        if frozen in ("head", "body"):
            self.stick()
        elif end != "answer":
            self._transport.close()


class FakeServer:
    """
    Parts behind one port of loopback. A context; what the tests call may come from any thread.
    """

    def __init__(self, *parts, listen=("127.0.0.1", 0), tls=None, clock=None,
                 log_max=LOG_MAX):
        self.parts = parts
        self.clock = clock or Clock()
        self.stats = Stats(log_max)
        self.faults = []  # Fault; the first that takes a request befalls it
        self.reset_reused = 0  # so many requests on connections used before are answered by a RST
        self.connections = set()
        self.frozen = None
        self._tls = tls
        self._listen = listen
        self.port = None  # from start() on
        self._socket = None
        self._loop = None
        self._thread = None
        self._date = (0, "")

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def url(self):
        host = self._listen[0] if self._tls is None else "localhost"
        return f"{'http' if self._tls is None else 'https'}://{host}:{self.port}"

    def start(self):
        self._socket = socket.socket(socket.AF_INET6 if ":" in self._listen[0]
                                     else socket.AF_INET)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(self._listen)
        self._socket.listen(1024)
        self.port = self._socket.getsockname()[1]
        self._socket.setblocking(False)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self):
        """Closes the port and every connection; harmless when it has stopped."""
        if self._thread is None:
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._thread = None
        self._socket.close()

    def _run(self):
        self._loop.add_reader(self._socket, self._accept)
        self._loop.run_forever()
        for connection in list(self.connections):
            connection.reset()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    def call(self, function, *arguments):
        """Runs it in the server's thread and gives back what it does."""
        async def run():
            return function(*arguments)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result()

    def fail(self, action="*", **details):
        """Adds a Fault and returns it."""
        fault = Fault(action, **details)
        self.faults.append(fault)
        return fault

    def heal(self, fault=None):
        """Takes one fault away, or all."""
        if fault is None:
            self.faults.clear()
        elif fault in self.faults:
            self.faults.remove(fault)

    def freeze(self, phase):
        """
        From now on every request gets as far as `phase` (PHASES) says and no further. What is held
        so stays held on its connection for good; after thaw() only new connections are served,
        as behind a network path that has forgotten the old ones.
        """
        assert phase in PHASES
        self.call(self._freeze, phase)

    def thaw(self):
        self.call(self._thaw)

    def _freeze(self, phase):
        self.frozen = phase
        if phase == "accept":
            self._loop.remove_reader(self._socket)
        if phase in ("accept", "read"):
            for connection in self.connections:
                connection.stick()

    def _thaw(self):
        if self.frozen == "accept":
            self._loop.add_reader(self._socket, self._accept)
        self.frozen = None

    def reset_idle(self):
        """Resets every connection that has no request under way; how many there were."""
        def reset():
            idle = [connection for connection in self.connections if connection.idle]
            for connection in idle:
                connection.reset()
            return len(idle)

        return self.call(reset)

    # In the server's thread.

    def _accept(self):
        while True:
            try:
                sock, _ = self._socket.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.stats.connections += 1
            self._loop.create_task(self._greet(_Connection(self, self.stats.connections), sock))

    async def _greet(self, connection, sock):
        try:
            await self._loop.connect_accepted_socket(lambda: connection, sock, ssl=self._tls)
        except (OSError, EOFError):
            sock.close()  # no TLS came of it

    async def answer(self, request, connection):
        """(Answer, how it ends)"""
        part = next((part for part in self.parts if part.claims(request)), None)
        if part is None:
            return Answer(404, b"nobody serves this"), "answer"
        request.action = part.action(request)
        self.stats.note(request)
        answer, end = None, "reset"
        if self.reset_reused > 0 and connection.served > 0:
            self.reset_reused -= 1
        else:
            answer, end = await self._ask(part, request)
        if answer:
            request.status, request.code = answer.status, answer.code
        if request.code:
            self.stats.errors[request.code] += 1
        request.body = b""
        return answer, end

    async def _ask(self, part, request):
        refusal = part.refuse(request)
        fault = next((fault for fault in list(self.faults) if fault.takes(request)), None)
        if fault is None:
            return refusal or await self._serve(part, request), "answer"
        if fault.delay_s:
            await asyncio.sleep(fault.delay_s)
        answer = refusal
        if not refusal and (fault.done or (not fault.status and fault.end in ("answer", "half"))):
            answer = await self._serve(part, request)
        if not refusal and fault.status:
            answer = part.error(fault.status, fault.code, fault.message)
        return (answer if fault.end in ("answer", "half") else None), fault.end

    async def _serve(self, part, request):
        try:
            answer = part.serve(request)
            return await answer if inspect.isawaitable(answer) else answer
        except Exception as error:
            # A mistake of the fake must be seen, not taken for a failing service.
            return Answer(500, f"the fake failed: {error!r}".encode(), code="FakeFailed")

    def render(self, answer):
        """(head, body) as bytes."""
        if answer is None:
            return b"", b""
        now = int(self.clock.now())
        if self._date[0] != now:
            self._date = (now, formatdate(now, usegmt=True))
        lines = [f"HTTP/1.1 {answer.status} {REASONS.get(answer.status, 'Status')}",
                 f"Date: {self._date[1]}", f"Content-Type: {answer.kind}",
                 f"Content-Length: {len(answer.body)}"]
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"), answer.body


def request_id():
    return str(uuid.uuid4())
