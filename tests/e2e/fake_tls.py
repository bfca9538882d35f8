"""An authority and a server's certificate for loopback, made anew by openssl; and a small proxy."""

import select
import socket
import socketserver
import ssl
import subprocess
import threading


def _openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.PIPE)


def make_authority(directory, *names):
    """(PEM file of the authority, SSLContext of a server with these DNS names)"""
    ca, ca_key, key, request, leaf, extensions = (
        directory / name for name in ("ca.pem", "ca.key", "leaf.key", "leaf.csr", "leaf.pem",
                                      "leaf.ext"))
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    _openssl("req", "-x509", *curve, "-keyout", ca_key, "-out", ca, "-subj", "/CN=test authority",
             "-days", "2")
    _openssl("req", *curve, "-keyout", key, "-out", request, "-subj", "/CN=fake")
    extensions.write_text("subjectAltName=" + ",".join(f"DNS:{name}" for name in names))
    _openssl("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial",
             "-days", "2", "-extfile", extensions, "-out", leaf)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(leaf, key)
    return ca, context


class Proxy:
    """
    An HTTP proxy that takes CONNECT alone and leads every one of them to `target`, whatever host it
    names. `asked` lists the first lines it got.
    """

    def __init__(self, target):
        self.asked = []
        self._target = target
        proxy = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                proxy._serve(self.request)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, client):
        head = b""
        while b"\r\n\r\n" not in head:
            data = client.recv(65536)
            if not data:
                return
            head += data
        first = head.partition(b"\r\n")[0].decode("latin-1")
        self.asked.append(first)
        if not first.startswith("CONNECT "):
            client.sendall(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
            return
        with socket.create_connection(self._target) as server:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            self._pump(client, server)

    @staticmethod
    def _pump(client, server):
        """Until either side ends."""
        other = {client: server, server: client}
        while True:
            for sock in select.select([client, server], [], [])[0]:
                try:
                    data = sock.recv(65536)
                    if not data:
                        return
                    other[sock].sendall(data)
                except OSError:
                    return
