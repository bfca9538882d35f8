"""An HTTP/2 client that is not ours: python3-h2 on a plain or a TLS socket."""

import socket
import ssl
import urllib.parse

import h2.config
import h2.connection
import h2.errors
import h2.events

# It takes nothing more after a GOAWAY, though the answers to what was accepted are still to come.
_machine = h2.connection.H2ConnectionStateMachine
_open = h2.connection.ConnectionState.CLIENT_OPEN
_machine._transitions = {**_machine._transitions,
                         (_open, h2.connection.ConnectionInputs.RECV_GOAWAY): (None, _open)}


class Link:
    """One connection. What came is in `events`; `answers` is {stream: [headers, body]}."""

    def __init__(self, url, ca_file=None, timeout=60):
        parts = urllib.parse.urlsplit(url)
        self.authority = parts.netloc
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=timeout)
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=ca_file)
            context.set_alpn_protocols(["h2"])
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
            assert self.socket.selected_alpn_protocol() == "h2"
        self.scheme = parts.scheme
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(header_encoding="utf-8", validate_outbound_headers=False))
        self.h2.initiate_connection()
        self.events, self.answers, self.ended = [], {}, False
        self._done = set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, path="/", body=b"{}", headers=None, method="POST"):
        """Begins a request, without waiting for anything; its stream."""
        stream = self.h2.get_next_available_stream_id()
        body = body.encode() if isinstance(body, str) else body or b""
        fields = [(":method", method), (":path", path), (":scheme", self.scheme),
                  (":authority", self.authority)]
        fields += [(name.lower(), value) for name, value in (headers or {}).items()]
        self.h2.send_headers(stream, fields, end_stream=not body)
        while body:
            size = min(len(body), self.h2.local_flow_control_window(stream),
                       self.h2.max_outbound_frame_size)
            if size == 0:
                self.flush()
                self.take()
                continue
            self.h2.send_data(stream, body[:size], end_stream=size == len(body))
            body = body[size:]
        return stream

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def take(self):
        """What has come, at least something; False: the other side has closed."""
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionResetError:  # closed with something of ours unread
            data = b""
        self.ended = not data
        for event in self.h2.receive_data(data) if data else []:
            self.events.append(event)
            if isinstance(event, h2.events.ResponseReceived):
                self.answers[event.stream_id] = [dict(event.headers), b""]
            elif isinstance(event, h2.events.DataReceived):
                self.answers[event.stream_id][1] += event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
                self._done.add(event.stream_id)
        if not self.ended:
            self.flush()
        return not self.ended

    def finish(self, *streams):
        """Waits until these have ended, or the connection has."""
        self.flush()
        while not self._done.issuperset(streams) and self.take():
            pass

    def of_type(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


def ask(server, body=b"{}", path="/", headers=None, method="POST", ca_file=None):
    """One request on a connection of its own: (status, headers, body)."""
    with Link(server.url, ca_file) as link:
        stream = link.send(path, body, headers, method)
        link.finish(stream)
        fields, text = link.answers[stream]
        return int(fields.pop(":status")), fields, text
