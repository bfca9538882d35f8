"""A proxy between worker and queue that notes which message was deleted when."""

import http.client
import json
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class SqsProxy:
    """`deletes` holds (message body, epoch ms at which the delete request came), in order."""

    def __init__(self, target_url):
        self._target = urllib.parse.urlsplit(target_url)
        self._bodies = {}  # receipt handle: message body
        self.deletes = []
        self._lock = threading.Lock()
        self._local = threading.local()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):
                proxy._pass_on(self)

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 512

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def _pass_on(self, handler):
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        operation = handler.headers["X-Amz-Target"].rpartition(".")[2]
        if operation == "DeleteMessageBatch":
            self._note_deletes(json.loads(body))
        status, headers, answer = self._ask(body, handler.headers)
        if operation == "ReceiveMessage":
            self._note_receives(json.loads(answer or b"{}"))
        handler.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(answer)))
        handler.end_headers()
        handler.wfile.write(answer)

    def _ask(self, body, headers):
        """The signed Host header is the proxy's own; the queue takes any signature here."""
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = http.client.HTTPConnection(self._target.hostname, self._target.port)
            self._local.connection = connection
        connection.request("POST", "/", body, dict(headers.items()))
        answer = connection.getresponse()
        return answer.status, answer.getheaders(), answer.read()

    def _note_receives(self, answer):
        with self._lock:
            for message in answer.get("Messages", []):
                self._bodies[message["ReceiptHandle"]] = message["Body"]

    def _note_deletes(self, request):
        now_ms = int(time.time() * 1000)
        with self._lock:
            for entry in request["Entries"]:
                # A handle that nobody received is a probe's, which asks whether it may delete.
                if entry["ReceiptHandle"] in self._bodies:
                    self.deletes.append((self._bodies[entry["ReceiptHandle"]], now_ms))
