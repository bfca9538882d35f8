#!/usr/bin/python3
"""A provider that speaks HTTP/1.1 and HTTP/2, plain and over TLS: nginx, which answers 200 at once.

    with TlsSink() as sink:
        sink.url(http=2, tls=True)   "https://localhost:PORT/push", for floor, client and worker
        sink.ca                      the PEM file that this connection is trusted by
        sink.pid                     of the process that answers

Run as a program it says where it listens and goes on until SIGTERM or Control-C.
"""
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from figures import ROOT

sys.path.insert(0, str(ROOT / "tests/e2e"))

import fake_tls  # noqa: E402

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
CONFIG = """
daemon off;
master_process off;
pid {directory}/pid;
error_log stderr error;
worker_rlimit_nofile 65536;
events {{ worker_connections 32768; multi_accept on; }}
http {{
    access_log off;
    server_tokens off;
    keepalive_timeout 1h;
    keepalive_requests 1000000000;
    http2_max_concurrent_streams 256;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    ssl_certificate {directory}/leaf.pem;
    ssl_certificate_key {directory}/leaf.key;
    server {{
        listen 127.0.0.1:{ports[0]} backlog=16384;
        listen 127.0.0.1:{ports[1]} http2 backlog=16384;
        listen 127.0.0.1:{ports[2]} ssl backlog=16384;
        listen 127.0.0.1:{ports[3]} ssl http2 backlog=16384;
        location / {{ return 200; }}
    }}
}}
"""


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class TlsSink:
    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="bunshin-tls-sink-"))
        self.ca, _ = fake_tls.make_authority(self.directory, "localhost")
        for _ in range(5):  # somebody else may take a port in between
            if self._start():
                return
        shutil.rmtree(self.directory)
        sys.exit("tls_sink: nginx does not start")

    def _start(self):
        self.ports = free_ports(4)
        config = self.directory / "nginx.conf"
        config.write_text(CONFIG.format(directory=self.directory, ports=self.ports))
        self.process = subprocess.Popen([NGINX, "-p", self.directory, "-c", config])
        while self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.ports[3])).close()
                return True
            except OSError:
                time.sleep(0.01)
        return False

    @property
    def pid(self):
        return self.process.pid

    def url(self, http=1.1, tls=False):
        port = self.ports[(http == 2) + 2 * tls]
        return f"https://localhost:{port}/push" if tls else f"http://127.0.0.1:{port}/push"

    def stop(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def main():
    with TlsSink() as sink:
        for http in (1.1, 2):
            for tls in (False, True):
                print(f"listening on {sink.url(http, tls)} (HTTP/{http})")
        print(f"certificates {sink.ca}", flush=True)
        signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main()
