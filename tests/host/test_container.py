"""The image of the Dockerfile, built on a Debian that debootstrap made, and run by podman: alone,
and as deploy/compose has it."""

import os
import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml

import rootfs
from debian import ROOT, build_directory, missing
from podman import PROGRAMS, Podman

sys.path.insert(0, str(ROOT / "tests/e2e"))
from harness import ACCESS_KEY, REGION, SECRET_KEY, Sqs, read_jsonl, wait_for

LACKING = missing("debootstrap", *PROGRAMS)
pytestmark = pytest.mark.skipif(bool(LACKING), reason=LACKING)

IMAGE = "localhost/bunshin:0.1.0"
OVER_BASE_MAX_BYTES = 40_000_000
STATE = "/var/lib/bunshin"
KEYS = [f"--env=AWS_ACCESS_KEY_ID={ACCESS_KEY}", f"--env=AWS_SECRET_ACCESS_KEY={SECRET_KEY}",
        f"--env=AWS_REGION={REGION}", "--env=AWS_EC2_METADATA_DISABLED=true"]


@pytest.fixture(scope="module")
def podman(tmp_path_factory):
    """podman, with the image."""
    engine = Podman(tmp_path_factory.mktemp("podman"), f"bunshin-test-{os.getpid()}")
    try:
        # As little as an image of Debian has: the size over it is to mean something.
        base = rootfs.ensure(build_directory(), packages=("apt",))
        engine.build_base(base, "localhost/base")
        engine.build(ROOT, IMAGE, BASE="localhost/base")
        yield engine
    finally:
        engine.close()


def listening(container):
    """The URL that it says it listens on. One that has ended will not say it any more."""
    def announced():
        ended = container.inspect()["State"]["Status"] == "exited"
        done = container.podman("logs", container.name)
        match = re.search(r"listening on (https?://\S+)", done.stdout)
        if ended and not match:
            raise AssertionError(f"{container.name} has ended:\n{done.stdout}{done.stderr}")
        return match

    return wait_for(announced, f"{container.name} listens")[1]


class World:
    """A queue and a sink in containers, and the configuration of a worker for them."""

    def __init__(self, podman, directory):
        self.podman, self.directory = podman, directory
        self.containers = []

    def open(self, *sink_options):
        # They share the machine's ports with everything else: nobody but the kernel knows a free one.
        self.queue = self.start("queue", IMAGE, "queue", "--listen=127.0.0.1:0", f"--data={STATE}/queue")
        self.sink = self.start("sink", IMAGE, "sink", "--listen=127.0.0.1:0",
                               f"--record={STATE}/sent.jsonl", *sink_options)
        self.sqs = Sqs(listening(self.queue))
        self.sink_url = listening(self.sink)
        self.queue_url = self.sqs.create_queue("morning")

    def start(self, name, *arguments):
        container = self.podman.start(name, *arguments)
        self.containers.append(container)
        return container

    def start_worker(self, **config):
        path = self.directory / "bunshin.yaml"
        path.write_text(yaml.safe_dump({
            "queue": {"url": self.queue_url},
            "destinations": [{"name": "sink", "request": {
                "url": f"{self.sink_url}/"}}],
            "ledger": {"path": f"{STATE}/ledger", "size": "1MiB"},
            "admin": {"listen": "unix:/run/bunshin/admin.sock"},
            **config,
        }))
        path.chmod(0o644)
        return self.start("worker", f"--volume={path}:/etc/bunshin/bunshin.yaml:ro", *KEYS, IMAGE)

    def sent(self):
        """The bodies that the sink took."""
        volume = next(mount["Source"] for mount in self.sink.inspect()["Mounts"]
                      if mount["Destination"] == STATE)
        return [record["body"] for record in read_jsonl(Path(volume) / "sent.jsonl")]

    def close(self):
        for container in self.containers:
            container.remove()


@pytest.fixture
def make_world(podman, tmp_path):
    worlds = []

    def make(*sink_options):
        worlds.append(World(podman, tmp_path))
        worlds[-1].open(*sink_options)
        return worlds[-1]

    yield make
    for world in worlds:
        world.close()


def test_image(podman):
    """What is in it, and how little of it there is."""
    image, base = podman.inspect_image(IMAGE), podman.inspect_image("localhost/base")
    config = image["Config"]
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["bunshin"]
    assert config["Cmd"] == ["run", "-c", "/etc/bunshin/bunshin.yaml"]
    assert config["StopSignal"] in ("SIGTERM", "15")
    assert list(config["ExposedPorts"]) == ["9797/tcp"]
    assert set(config["Volumes"]) == {STATE, "/run/bunshin"}
    assert image["Healthcheck"]["Test"] == ["CMD", "bunshin", "health"]
    over = image["Size"] - base["Size"]
    print(f"{over / 1e6:.1f} MB over its base")
    assert 0 < over <= OVER_BASE_MAX_BYTES
    absent = podman("run", "--rm", "--network=host", "--entrypoint=sh", IMAGE, "-c",
                    "command -v gcc meson ninja; ls -A /var/lib/apt/lists; ls /src; "
                    "find /usr/bin/bunshin -perm /6000").stdout
    assert "bunshin" not in absent and "gcc" not in absent and "_Packages" not in absent, absent


def test_alone(podman):
    """Without a configuration it says what is missing, and that trying again is no use."""
    version = podman("run", "--rm", "--network=host", "--read-only", IMAGE, "--version").stdout
    assert f"bunshin {IMAGE.rpartition(':')[2]}" in version
    done = podman("run", "--rm", "--network=host", "--read-only", IMAGE, check=False)
    assert done.returncode == 2
    assert "/etc/bunshin/bunshin.yaml" in done.stdout


def test_three_containers_deliver(make_world):
    """Queue, sink and worker: everything arrives, once; the worker may do nothing else."""
    world = make_world()
    worker = world.start_worker(workers=2)
    bodies = [f"message {number}" for number in range(500)]
    world.sqs.send(world.queue_url, bodies)
    wait_for(lambda: len(world.sent()) >= len(bodies), "all messages at the sink")
    wait_for(lambda: world.sqs.counts(world.queue_url) == (0, 0, 0), "an empty queue")
    assert sorted(world.sent()) == sorted(bodies)

    assert worker.exec("id", "-u").stdout.split() == ["10001"]
    assert worker.exec("touch", "/etc/bunshin/x", check=False).returncode != 0
    worker.exec("test", "-s", f"{STATE}/ledger")
    worker.exec("touch", "/run/bunshin/other.sock")
    status = Path(f"/proc/{worker.pid}/status").read_text()
    for line in ("Uid:\t10001\t10001\t10001\t10001", "CapEff:\t0000000000000000",
                 "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"):
        assert line in status
    wait_for(lambda: worker.health() == 0, "a healthy worker")
    # It has no admin port: the check does not take everything for healthy.
    assert world.sink.health() != 0


def test_pid_1_reaps(make_world):
    """What loses its parent in the container leaves no zombie."""
    worker = make_world().start_worker(workers=2)
    wait_for(lambda: worker.health() == 0, "a healthy worker")
    orphan = worker.exec("sh", "-c", "sleep 0.1 >/dev/null 2>&1 & echo $!").stdout.split()[-1]
    wait_for(lambda: not os.path.exists(f"/proc/{worker.pid}/root/proc/{orphan}"),
             f"the end of process {orphan} in the container")


def test_stop_drains(make_world):
    """`podman stop` lets the requests in flight finish, and PID 1 ends with 0 by itself."""
    world = make_world("--latency=3000")
    worker = world.start_worker(workers=2)
    bodies = [f"message {number}" for number in range(20)]
    world.sqs.send(world.queue_url, bodies)
    wait_for(lambda: world.sqs.counts(world.queue_url)[1] > 0, "messages in flight")
    assert worker.stop(grace_s=60) == 0
    # What was taken has been deleted, what was not started is back at once.
    visible, in_flight, delayed = world.sqs.counts(world.queue_url)
    assert (in_flight, delayed) == (0, 0)
    assert len(world.sent()) + visible == len(bodies)
    assert len(set(world.sent())) == len(world.sent()) > 0
    assert world.queue.stop(grace_s=60) == 0
    assert world.sink.stop(grace_s=60) == 0


COMPOSE = ROOT / "deploy/compose/docker-compose.yaml"


@pytest.mark.skipif(not shutil.which("podman-compose") or not Podman.has_networks(),
                    reason="NOT RUN, this machine lacks one of podman-compose, netavark, "
                           "aardvark-dns, iptables")
def test_compose(podman):
    """deploy/compose as it stands: the queue is made, the campaign sent and delivered."""
    parsed = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    services = [name for name, service in parsed["services"].items() if "profiles" not in service]
    assert all(service["read_only"] for service in parsed["services"].values())
    container = f"{podman.name}_{{}}_1".format
    try:
        podman.compose("-f", COMPOSE, "up", "-d", "--no-build", *services)
        sent = podman.compose("-f", COMPOSE, "run", "--rm", "-T", "campaign").stdout
        assert "sent 10000, skipped 0, failed 0, unsent 0" in sent

        def recorded():
            return podman("exec", container("sink"), "sh", "-c",
                          f"cat {STATE}/sent.jsonl | wc -l").stdout.split()[-1]

        wait_for(lambda: recorded() == "10000", "all of the campaign at the sink")
        for name in ("queue", "sink", "worker"):
            wait_for(lambda n=name: podman("healthcheck", "run", container(n),
                                           check=False).returncode == 0, f"a healthy {name}")
    finally:
        podman.compose("-f", COMPOSE, "down", "-v")
