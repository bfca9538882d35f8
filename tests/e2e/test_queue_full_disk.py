"""A small disk that fills up: 5xx, a log line, nothing lost, and on it goes when there is room."""

import json
import subprocess

import pytest

from harness import QueueServer, wait_for
from sqs_json import Client

SIZE = 12 << 20
BALLAST = 9 << 20  # what is sent lies in the log and, later, in the database: twice
BODY = "x" * 20_000


class SmallDisk:
    """A tmpfs in a mount namespace of its own, which a sleeping process keeps."""

    def __init__(self, directory):
        for self.flags in ([], ["-U", "--preserve-credentials"]):
            self._holder = subprocess.Popen(
                ["unshare", "-rm" if self.flags else "-m", "sh", "-c",
                 f'mount -t tmpfs -o size={SIZE},mode=700 none "$0" && echo && exec sleep 300',
                 directory], stdout=subprocess.PIPE)
            if self._holder.stdout.read(1):
                break
            self.close()
        else:
            pytest.skip("no mount namespace can be made here; test_queue_health.py has a file size limit")
        self.directory = directory
        self.inside = f"/proc/{self._holder.pid}/root{directory}"

    def close(self):
        self._holder.kill()
        self._holder.wait()
        self._holder.stdout.close()

    def start(self, bunshin, *arguments):
        number = len(bunshin.processes)
        server = QueueServer(["nsenter", "-t", str(self._holder.pid), "-m", *self.flags,
                              bunshin.binary, "queue", "--listen", "127.0.0.1:0",
                              "--data", self.directory, *arguments], bunshin.environment,
                             bunshin.directory, bunshin.directory / f"queue-{number}")
        bunshin.processes.append(server)
        return server.wait_until_listening()


@pytest.fixture
def disk(tmp_path):
    (tmp_path / "disk").mkdir()
    disk = SmallDisk(tmp_path / "disk")
    yield disk
    disk.close()


def try_send(sqs, url, bodies):
    """Sends a batch; was it kept?"""
    answer = sqs.raw("SendMessageBatch", {"QueueUrl": url, "Entries": [
        {"Id": str(i), "MessageBody": body} for i, body in enumerate(bodies)]})
    if answer.status == 200:
        assert "Failed" not in answer.json
        return True
    assert answer.status == 500
    assert answer.type == "com.amazon.coral.service#InternalFailure"
    return False


def all_bodies(sqs, url):
    bodies = []
    while messages := sqs.receive(url, VisibilityTimeout=3600):
        bodies += [message["Body"] for message in messages]
    return bodies


@pytest.mark.parametrize("sync", ["normal", "full"])
def test_a_full_disk(bunshin, disk, sync):
    server = disk.start(bunshin, "--sync", sync)
    sqs = Client(server.url)
    url = sqs.create("morning")
    with open(f"{disk.inside}/ballast", "wb") as ballast:
        ballast.write(bytes(BALLAST))
    kept = []
    for number in range(1000):
        bodies = [f"{number} {i} {BODY}" for i in range(5)]
        if not try_send(sqs, url, bodies):
            break
        kept += bodies
    assert len(kept) > 10
    refused = 0
    for number in range(200):
        refused += not try_send(sqs, url, [f"refused {number} {BODY}"] * 5)
    assert refused == 200
    assert sqs.get("/_health").status == 503
    lines = [json.loads(line) for line in server.err().splitlines()]
    failures = [line for line in lines if line["message"].startswith("the database fails")]
    assert 1 <= len(failures) <= 5, server.err()  # one in ten seconds
    assert failures[0]["reason"] == "database or disk is full"

    # Killed there, it finds everything again, and is as full as it was.
    server.kill()
    subprocess.run(["truncate", "-s", str(BALLAST - (1 << 20)), f"{disk.inside}/ballast"],
                   check=True)
    server = disk.start(bunshin, "--sync", sync)
    sqs = Client(server.url)
    url = sqs.call("GetQueueUrl", QueueName="morning")["QueueUrl"]
    assert sqs.counts(url) == (len(kept), 0, 0)

    while try_send(sqs, url, more := [f"{len(kept)} {i} {BODY}" for i in range(5)]):
        kept += more
    # Room again, without a restart.
    subprocess.run(["rm", f"{disk.inside}/ballast"], check=True)
    wait_for(lambda: sqs.get("/_health").status == 200, "health")
    assert try_send(sqs, url, ["works again"])
    assert sorted(all_bodies(sqs, url)) == sorted([*kept, "works again"])
    assert server.terminate() == 0
