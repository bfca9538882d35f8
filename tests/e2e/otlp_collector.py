"""
A collector for the tests: takes OTLP over HTTP in JSON, and reads it as strictly as the protocol
allows.

The shapes are those of opentelemetry/proto/trace/v1/trace.proto in the JSON mapping of protobuf,
with OTLP's changes: ids are lower-case hexadecimal, enums are numbers, 64-bit integers are texts.
An unknown name, a wrong type or an id of the wrong length is an error, and kept in `problems`.
"""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HANG, CLOSE = "hang", "close"


class Problem(Exception):
    pass


def expect(condition, what):
    if not condition:
        raise Problem(what)


def text(value):
    expect(isinstance(value, str), f"no text: {value!r}")


def ident(digits):
    def check(value):
        expect(isinstance(value, str) and re.fullmatch(f"[0-9a-f]{{{digits}}}", value)
               and set(value) != {"0"}, f"no id of {digits} digits: {value!r}")
    return check


def number(low, high):
    def check(value):
        expect(type(value) is int and low <= value <= high, f"not from {low} to {high}: {value!r}")
    return check


def long_number(low, high):
    def check(value):
        expect(isinstance(value, str) and re.fullmatch("-?[0-9]+", value)
               and low <= int(value) <= high, f"no 64-bit integer as a text: {value!r}")
    return check


def double(value):
    expect(type(value) in (int, float), f"no number: {value!r}")


def boolean(value):
    expect(type(value) is bool, f"no boolean: {value!r}")


def each(check):
    def check_list(value):
        expect(isinstance(value, list), f"no list: {value!r}")
        for item in value:
            check(item)
    return check_list


def shape(required=(), **members):
    def check(value):
        expect(isinstance(value, dict), f"no object: {value!r}")
        for name in required:
            expect(name in value, f"{name} is missing in {value!r}")
        for name, member in value.items():
            expect(name in members, f"unknown: {name}")
            members[name](member)
    return check


def one_value(value):
    expect(isinstance(value, dict) and len(value) == 1, f"no single value: {value!r}")
    shape(stringValue=text, boolValue=boolean, doubleValue=double,
          intValue=long_number(-2**63, 2**63 - 1))(value)


def attributes(value):
    each(shape(("key", "value"), key=text, value=one_value))(value)
    names = [pair["key"] for pair in value]
    expect(len(set(names)) == len(names), f"an attribute twice: {names}")
    expect(all(names), "an attribute without a name")


NANO = long_number(1, 2**64 - 1)
UINT32 = number(0, 2**32 - 1)
EVENT = shape(("timeUnixNano", "name"), timeUnixNano=NANO, name=text, attributes=attributes,
              droppedAttributesCount=UINT32)
SPAN = shape(("traceId", "spanId", "name", "kind", "startTimeUnixNano", "endTimeUnixNano"),
             traceId=ident(32), spanId=ident(16), traceState=text, parentSpanId=ident(16),
             flags=UINT32, name=text, kind=number(0, 5), startTimeUnixNano=NANO,
             endTimeUnixNano=NANO, attributes=attributes, droppedAttributesCount=UINT32,
             events=each(EVENT), droppedEventsCount=UINT32,
             status=shape(message=text, code=number(0, 2)))
SCOPE = shape(name=text, version=text, attributes=attributes, droppedAttributesCount=UINT32)
RESOURCE = shape(attributes=attributes, droppedAttributesCount=UINT32)
REQUEST = shape(("resourceSpans",), resourceSpans=each(
    shape(("resource", "scopeSpans"), resource=RESOURCE, schemaUrl=text, scopeSpans=each(
        shape(("scope", "spans"), scope=SCOPE, spans=each(SPAN), schemaUrl=text)))))


def values(pairs):
    """{name: value} of a list of attributes, integers as such."""
    found = {}
    for pair in pairs:
        (kind, value), = pair["value"].items()
        found[pair["key"]] = int(value) if kind == "intValue" else value
    return found


class Span:
    def __init__(self, value, resource):
        self.value, self.resource = value, resource
        self.trace_id, self.span_id = value["traceId"], value["spanId"]
        self.parent_id = value.get("parentSpanId")
        self.attributes = values(value["attributes"])
        self.events = [(event["name"], int(event["timeUnixNano"]), values(event["attributes"]))
                       for event in value.get("events", [])]
        self.start, self.end = int(value["startTimeUnixNano"]), int(value["endTimeUnixNano"])
        self.status = value.get("status", {})
        self.outcome = self.attributes["bunshin.outcome"]


def twice_in_object(pairs):
    names = [name for name, _ in pairs]
    expect(len(set(names)) == len(names), f"a name twice: {names}")
    return dict(pairs)


class Collector:
    """
    Listens as long as the `with` lasts. answer: what a request gets, by its number from 0: a
    (status, headers, body), HANG or CLOSE.
    """

    def __init__(self, answer=lambda count: (200, {}, "{}"), prefix=""):
        self.answer, self.path = answer, prefix + "/v1/traces"
        self.spans, self.problems, self.requests, self.batches = [], [], [], []
        self.answered = 0
        self._lock = threading.Lock()
        self._over = threading.Event()

    def __enter__(self):
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                collector.serve(self)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def serve(self, handler):
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        with self._lock:
            count = len(self.requests)
            self.requests.append(dict(handler.headers.items()))
        answer = self.answer(count)
        if answer == HANG:
            self._over.wait()
        if answer in (HANG, CLOSE):
            handler.close_connection = True
            return
        with self._lock:
            self.read(handler, body, answer[0])
            self.answered += 1
        status, headers, answer_body = answer
        handler.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(answer_body)),
                            "Content-Type": "application/json"}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(answer_body.encode())

    def read(self, handler, body, status):
        """Notes the spans of a request that is answered with 200, and what is wrong with any."""
        try:
            expect(handler.path == self.path, f"path {handler.path}")
            expect(handler.headers["Content-Type"] == "application/json",
                   f"Content-Type {handler.headers['Content-Type']}")
            request = json.loads(body.decode("utf-8"), object_pairs_hook=twice_in_object)
            REQUEST(request)
            found = []
            for group in request["resourceSpans"]:
                resource = values(group["resource"]["attributes"])
                for scope in group["scopeSpans"]:
                    found += [Span(span, resource) for span in scope["spans"]]
            expect(found, "a request without a span")
            if status == 200:
                self.spans += found
                self.batches.append(len(found))
        except (Problem, ValueError, KeyError) as problem:
            self.problems.append(f"{problem!r} in {body[:2000]!r}")
