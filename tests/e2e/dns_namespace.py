"""A network namespace with a name server of its own, and a public address on its loopback.

run() starts this file again inside one; there it answers for every name, serves, runs the commands
one after the other and prints what came of them as JSON. Nothing in the namespace reaches any other
network, so what is "public" there is only called so.
"""

import http.server
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading

PUBLIC, LOOPBACK = "93.184.216.34", "127.0.0.1"
PORT = 8080


def _unshare():
    """The command that enters the namespaces, as root or as anybody; None: not allowed."""
    for flags in (["-n", "-m"], ["-r", "-n", "-m"]):
        command = ["unshare", *flags]
        if subprocess.run([*command, "true"], stderr=subprocess.DEVNULL).returncode == 0:
            return command
    return None


def run(binary, commands, answers, environment, timeout):
    """
    Of each command exit, out and err; and the addresses that requests came to. The k-th look-up of
    an IPv4 address is answered with the k-th list of `answers`, the last one repeating.
    """
    command = _unshare()
    if command is None:
        return None
    job = json.dumps({"commands": [[str(binary), *map(str, arguments)] for arguments in commands],
                      "answers": answers, "environment": environment})
    done = subprocess.run([*command, sys.executable, __file__], input=job, capture_output=True,
                          text=True, timeout=timeout, env={"PATH": os.environ["PATH"]})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class NameServer(threading.Thread):
    """Answers each query of type A; of any other that there is none."""

    def __init__(self, answers):
        super().__init__(daemon=True)
        self.answers, self.asked = answers, 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((LOOPBACK, 53))

    def run(self):
        while True:
            query, client = self.socket.recvfrom(512)
            end = query.index(b"\0", 12) + 5
            addresses = []
            if query[end - 4:end - 2] == b"\0\1":
                addresses = self.answers[min(self.asked, len(self.answers) - 1)]
                self.asked += 1
            records = b"".join(struct.pack("!HHHIH", 0xc00c, 1, 1, 0, 4) + socket.inet_aton(address)
                               for address in addresses)
            self.socket.sendto(query[:2] + struct.pack("!HHHHH", 0x8180, 1, len(addresses), 0, 0)
                               + query[12:end] + records, client)


class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append(self.server.server_address[0])
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


def _inside(job):
    for command in (["link", "set", "lo", "up"], ["addr", "add", f"{PUBLIC}/32", "dev", "lo"]):
        subprocess.run(["ip", *command], check=True)
    with tempfile.NamedTemporaryFile("w") as resolver, \
            tempfile.NamedTemporaryFile("w") as switch:
        for file, text, path in ((resolver, f"nameserver {LOOPBACK}\n", "/etc/resolv.conf"),
                                 (switch, "hosts: files dns\n", "/etc/nsswitch.conf")):
            file.write(text)
            file.flush()
            subprocess.run(["mount", "--bind", file.name, path], check=True)
        NameServer(job["answers"]).start()
        seen = []
        for address in (PUBLIC, LOOPBACK):
            server = http.server.ThreadingHTTPServer((address, PORT), Hook)
            server.seen = seen
            threading.Thread(target=server.serve_forever, daemon=True).start()
        done = [subprocess.run(command, env=job["environment"], capture_output=True, text=True,
                               timeout=60, stdin=subprocess.DEVNULL) for command in job["commands"]]
        return {"seen": seen, "done": [{"exit": one.returncode, "out": one.stdout, "err": one.stderr}
                                       for one in done]}


if __name__ == "__main__":
    print(json.dumps(_inside(json.load(sys.stdin))))
