"""
The far ends, each one process, whose CPU time is never counted. nginx is a provider that answers 200
after a delay, if any, over HTTP/1.1 and 2, plain and TLS. bench/far_provider.c is one with the delays of
a real one, over plain HTTP/1.1, for half of nginx's CPU: the cores are shared with what is measured.
bench/far_path.c puts an SQS endpoint farther away than it is.
"""
import socket
import sys
import time

from speed.rig import install

import fake_tls  # of tests/e2e

MODULES = "/usr/lib/nginx/modules"
NGINX = "/usr/sbin/nginx"
HEAD = """
daemon off;
master_process off;
pid {directory}/pid;
error_log stderr error;
load_module {modules}/ndk_http_module.so;
load_module {modules}/ngx_http_lua_module.so;
worker_rlimit_nofile {files};
events {{ worker_connections {connections}; multi_accept on; }}
http {{
    access_log off;
    keepalive_timeout 1h;
    client_header_timeout 10m;  # of TLS handshakes, too: 8,000 at once take longer than 60 s
    client_body_timeout 10m;
    send_timeout 10m;
    keepalive_requests 1000000000;
    http2_max_concurrent_streams 256;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
"""
SINK = """
    init_worker_by_lua_block {{ math.randomseed({seed}) }}
    ssl_certificate {directory}/leaf.pem;
    ssl_certificate_key {directory}/leaf.key;
    server {{
        listen 127.0.0.1:{ports[0]} backlog=16384;
        listen 127.0.0.1:{ports[1]} http2 backlog=16384;
        listen 127.0.0.1:{ports[2]} ssl backlog=16384;
        listen 127.0.0.1:{ports[3]} ssl http2 backlog=16384;
        location / {{ {answer} }}
    }}
}}
"""


# Delays: what the provider draws from, in seconds, and its mean


class Fixed:
    def __init__(self, seconds):
        self.seconds = self.mean_s = seconds

    @property
    def lua(self):
        return f"{self.seconds}"


class Uniform:
    def __init__(self, low, high):
        self.low, self.high, self.mean_s = low, high, (low + high) / 2

    @property
    def lua(self):
        return f"{self.low} + {self.high - self.low} * math.random()"


class LogNormal:
    """
    Two standard deviations of the logarithm lie between the middle and each bound; the one draw in
    twenty-two that is outside is taken anew. Far alone draws from it.
    """

    def __init__(self, low, high):
        self.low, self.high = low, high
        # E[X | low < X < high] of the truncated distribution; with bounds at -2 and 2 deviations.
        from math import exp, log, sqrt
        from statistics import NormalDist
        normal, sigma = NormalDist(), log(high / low) / 4
        inside = normal.cdf(2 - sigma) - normal.cdf(-2 - sigma)
        self.mean_s = sqrt(low * high) * exp(sigma * sigma / 2) * inside / (
            normal.cdf(2) - normal.cdf(-2))


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def start_nginx(rig, text, ports_wanted, **values):
    """(process, ports); somebody else may take a free port in between, so it is tried again."""
    install("nginx with Lua", NGINX, f"{MODULES}/ngx_http_lua_module.so")
    import resource
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for _ in range(5):
        ports = free_ports(ports_wanted)
        directory = rig.directory / rig.name("nginx")
        directory.mkdir()
        config = directory / "nginx.conf"
        config.write_text((HEAD + text).format(
            directory=rig.directory / directory, modules=MODULES, ports=ports, files=files,
            connections=files - 100, **values))
        process = rig.start("nginx", NGINX, "-p", directory, "-c", config)
        while not process.is_over():
            try:
                socket.create_connection(("127.0.0.1", ports[-1])).close()
                return process, ports
            except OSError:
                time.sleep(0.005)
    sys.exit(f"bench: nginx does not start:\n{process.err()}")


class Provider:
    """Answers 200 to every request after `delay`, or at once."""

    def __init__(self, rig, delay=None):
        # All of the request first: nginx resets an HTTP/2 stream that it has answered before its
        # end, and libcurl 7.88 then forgets the answer.
        wait = "" if delay is None else f"ngx.sleep({delay.lua})"
        answer = "content_by_lua_block { ngx.req.read_body() %s ngx.exit(200) }" % wait
        if not (rig.directory / "leaf.pem").exists():
            # By its address: a name would be tried over IPv6 first.
            fake_tls.make_authority(rig.directory, "localhost,IP:127.0.0.1")
        self.ca = rig.directory / "ca.pem"
        self.delay = delay
        text = SINK.replace("{directory}/leaf", f"{rig.directory}/leaf")
        self.process, self._ports = start_nginx(rig, text, 4, seed=1, answer=answer)

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        return self.process.__exit__(*failure)

    def url(self, version="1.1", tls=False):
        port = self._ports[(version == "2") + 2 * tls]
        return f"http{'s' * tls}://127.0.0.1:{port}/push"


class Far:
    """Answers 200 to every request after a delay from a LogNormal."""

    def __init__(self, rig, delay):
        self.delay = delay
        self.process = rig.start("far", rig.programs.far_provider, "--log-normal",
                                 f"{1e3 * delay.low:g}-{1e3 * delay.high:g}")
        self._base = self.process.listening()

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        return self.process.__exit__(*failure)

    def url(self):
        return f"{self._base}/push"


def farther(rig, url, seconds):
    """The URL of an endpoint whose every answer takes so much longer than the one of `url`."""
    return rig.start("path", rig.programs.far_path, "--to", url, "--after", f"{1e3 * seconds:g}").listening()
