"""The service under a real systemd: install, start, deliver, reload, freeze, stop, upgrade, remove.

Each test has a machine of its own, and is in its network: queue, sink and fakes of AWS run outside
of the machine, and are reached by the service at 127.0.0.1.
"""

import collections
import os
import re
import stat
import subprocess
from pathlib import Path

import pytest

import machine as machines
import rootfs
import service as services
from service import PROGRAM, ROOT, STATE, Service
# After service, which knows where these are.
from fake_aws import FakeAws
from fake_http import FakeServer
from fake_tls import make_authority
from harness import Bunshin, wait_for
from world import Provider

PROGRAM_BUILT = Path(os.environ.get("BUNSHIN", ROOT / "build/plain/src/cli/bunshin")).resolve()
BUILD = PROGRAM_BUILT.parents[2]
IMDS = "169.254.169.254"
LACKING = ", ".join(filter(None, [rootfs.missing(), machines.missing()]))

pytestmark = pytest.mark.skipif(bool(LACKING), reason=f"NOT RUN, this machine lacks: {LACKING}")


@pytest.fixture(scope="session")
def root():
    return rootfs.ensure(BUILD)


@pytest.fixture(scope="session")
def staged(tmp_path_factory):
    return services.stage(BUILD, tmp_path_factory.mktemp("staged") / "root")


@pytest.fixture
def machine(root, staged, tmp_path):
    directory = tmp_path / "host"
    directory.mkdir()
    booted = machines.Machine(root, directory)
    try:
        services.install(booted, staged)
        with booted.network():
            yield booted
    finally:
        booted.close()


@pytest.fixture
def bunshin(machine, tmp_path):
    """Runs the queue and the sink, in the machine's network."""
    program = Bunshin(PROGRAM_BUILT, tmp_path)
    yield program
    problems = program.stop()
    if problems:
        pytest.fail("\n\n".join(problems), pytrace=False)


class Stage:
    """A queue, a sink, and the service between them."""

    def __init__(self, machine, bunshin, *sink_options, visibility=60):
        self.machine = machine
        self.service = Service(machine)
        self.service.drop_in()
        self.sink = bunshin.sink(*sink_options)
        self.sqs = bunshin.queue().sqs()
        self.queue_url = self.sqs.create_queue("morning", VisibilityTimeout=visibility)
        self.sent = 0

    def configure(self, **options):
        self.service.configure(self.queue_url, self.sink.url, **options)

    def send(self, count):
        self.sqs.send(self.queue_url, (str(self.sent + index) for index in range(count)))
        self.sent += count

    def delivered(self):
        """How often each message was accepted."""
        return collections.Counter(record["body"] for record in self.sink.records()
                                   if record["status"] == 200)

    def wait_for_delivered(self, count):
        wait_for(lambda: len(self.sink.records()) >= count or self.service.show("ActiveState")
                 not in ("active", "reloading", "activating", "deactivating"),
                 f"{count} at the sink")
        assert len(self.sink.records()) >= count, self.service.journal()

    def wait_until_empty(self):
        wait_for(lambda: sum(self.sqs.counts(self.queue_url)) == 0, "an empty queue")

    def check_all(self):
        """The end: all that was sent is at the sink, and no longer in the queue."""
        self.wait_until_empty()
        self.sink.terminate()  # it writes its record now and then, and at its end
        assert sorted(map(int, self.delivered())) == list(range(self.sent))

    def check_all_once(self):
        """The end: all that was sent is at the sink once, and no longer in the queue."""
        self.check_all()
        delivered = self.delivered()
        assert set(delivered.values()) == {1}, [key for key, n in delivered.items() if n > 1]


def test_install(machine):
    """The units load without a warning, the user and the directories are there."""
    units = [f"/usr/local/lib/systemd/system/{name}.service" for name in ("bunshin", "bunshin@")]
    verified = machine.run("systemd-analyze", "verify", "--man=no", *units)
    assert verified.out + verified.err == ""
    assert machine.run("getent", "passwd", "bunshin").out.split(":")[5:] == [
        STATE, "/usr/sbin/nologin\n"]
    assert machine.run("stat", "-c", "%U:%G %a", "/run/bunshin").out == "bunshin:bunshin 755\n"
    machine.run("systemctl", "enable", "bunshin", "bunshin@one")
    wanted = machine.run("ls", "/etc/systemd/system/multi-user.target.wants").out.split()
    assert {"bunshin.service", "bunshin@one.service"} <= set(wanted)


def test_start_deliver_and_status(machine, bunshin):
    """`systemctl start` returns when it is ready; everything arrives; the status is live."""
    stage = Stage(machine, bunshin)
    stage.configure()
    stage.service.systemctl("start")
    assert stage.service.state() == "active/running"
    for total in (300, 500):
        stage.send(total - stage.sent)
        stage.wait_for_delivered(total)
        wait_for(lambda total=total: f" {total} accepted" in stage.service.show("StatusText"),
                 f"{total} accepted in the status")
    stage.check_all_once()
    assert stage.service.show("NRestarts") == "0"


def test_sandboxed_service_delivers(machine, bunshin):
    """As above, for a service that says nothing of what it does."""
    stage = Stage(machine, bunshin)
    stage.configure()
    stage.service.systemctl("start")
    stage.send(500)
    stage.check_all_once()
    ledger = machine.run("stat", "-c", "%U %a", f"{STATE}/ledger").out
    assert ledger.startswith("bunshin ")
    entries = stage.service.entries()
    assert any(entry["MESSAGE"].startswith("receiving") for entry in entries)
    assert [entry for entry in entries if entry["PRIORITY"] not in ("6", "7")] == []


def test_journal_entries(machine, bunshin):
    """What failed is found by its fields, and readable; the program's pipe has none of it."""
    stage = Stage(machine, bunshin, "--fail", "100", "--status", "400")
    failed = stage.sqs.create_queue("failed")
    stage.service.configure(stage.queue_url, stage.sink.url, workers=2)
    text = machine.path(stage.service.config).read_text()
    stage.service.write(text.replace("queue:\n", f"queue:\n  failure_url: {failed}\n", 1))
    stage.service.systemctl("start")
    stage.send(1)
    wait_for(lambda: stage.sqs.counts(failed)[0] == 1, "the failure")
    [entry] = wait_for(lambda: stage.service.entries(
        "MESSAGE_ID=3b0f6a1c5d7e4c0e9a52d1f84c6be7a9", "BUNSHIN_STATUS=400"), "the entry")
    assert entry["MESSAGE"].startswith("failed, copied to the failure queue worker=")
    assert (entry["PRIORITY"], entry["BUNSHIN_EVENT"], entry["BUNSHIN_DESTINATION"],
            entry["BUNSHIN_CLASS"]) == ("4", "failed", "sink", "permanent")
    assert entry["BUNSHIN_MESSAGE_ID"] and entry["_SYSTEMD_UNIT"] == stage.service.unit
    assert {entry["_TRANSPORT"] for entry in stage.service.entries()} == {"journal"}
    stage.service.systemctl("stop")
    assert any(entry["MESSAGE"].startswith("stopped") for entry in stage.service.entries())


def test_wrong_configuration_stays_down(machine):
    """One clear failure, not one every two seconds."""
    service = Service(machine)
    service.write("destinations: []\nqueu: {}\n")
    assert service.systemctl("start", check=False).exit != 0
    assert [service.show(name) for name in ("ActiveState", "ExecMainStatus", "NRestarts")] == [
        "failed", "2", "0"]
    assert re.search(rf"{service.config}:2:.*queu", service.journal())


def test_stop_drains(machine, bunshin):
    """What is in flight is finished, what is not started goes back at once."""
    stage = Stage(machine, bunshin, "--latency", "2000")
    stage.configure(destination={"concurrency": 20})
    stage.send(100)
    stage.service.systemctl("start")
    wait_for(lambda: stage.sqs.counts(stage.queue_url)[1] >= 20, "messages in flight")
    wait_for(lambda: services.connected_to(stage.sink.port), "requests in flight")
    stage.service.systemctl("stop")
    assert [stage.service.show(name) for name in ("Result", "ExecMainStatus", "SubState")] == [
        "success", "0", "dead"]
    visible, in_flight, _ = stage.sqs.counts(stage.queue_url)
    stage.sink.terminate()
    delivered = stage.delivered()
    assert in_flight == 0
    assert delivered and set(delivered.values()) == {1}
    assert len(delivered) + visible == 100
    assert services.processes_of(machine, "bunshin") == []


@pytest.fixture
def tls_provider(machine, tmp_path):
    """A provider with TLS, whose authority the machine trusts."""
    authority, context = make_authority(tmp_path, "localhost")
    with machine.path("/etc/ssl/certs/ca-certificates.crt").open("a") as trusted:
        trusted.write(authority.read_text())
    with FakeServer(provider := Provider(), tls=context) as server:
        yield server, provider


def deliver_from_aws(aws, service):
    """Starts it on an SQS that checks every signature, and waits for ten deliveries."""
    queue = aws.sqs.create("morning")
    for number in range(10):
        queue.send(str(number))
    service.systemctl("start")
    wait_for(lambda: sum(queue.counts()) == 0, "ten deliveries")


def test_sandbox_lets_through_tls_and_instance_metadata(machine, bunshin, tls_provider):
    """Keys come from 169.254.169.254, requests go out by TLS."""
    server, provider = tls_provider
    subprocess.run(["ip", "addr", "add", f"{IMDS}/32", "dev", "lo"], check=True)
    service = Service(machine)
    service.drop_in(environment={})
    with FakeAws() as aws, FakeServer(aws.imds, listen=(IMDS, 80)) as imds:
        service.configure(f"{aws.url}/123456789012/morning", server.url)
        deliver_from_aws(aws, service)
        assert "imds.role" in [request.action for request in imds.stats.seen()]
        service.systemctl("stop")
    assert sorted(map(int, provider.bodies)) == list(range(10))


def test_sandbox_lets_credential_process_run(machine, bunshin):
    """A program that prints keys, named by a profile in the service's home directory."""
    service = Service(machine)
    service.drop_in(environment={"AWS_PROFILE": "work"})
    with FakeAws() as aws:
        keys = aws.ring.issue(ttl_s=3600)
        machine.write("/usr/local/bin/keys", f"""\
#!/bin/sh
echo '{{"Version":1,"AccessKeyId":"{keys.access_key}","SecretAccessKey":"{keys.secret}",' \\
     '"SessionToken":"{keys.token}"}}'
""", mode=0o755)
        machine.write(f"{STATE}/.aws/config", "[profile work]\nregion = us-east-1\n"
                      "credential_process = /usr/local/bin/keys\n", owner="bunshin", mode=0o600)
        service.configure(f"{aws.url}/123456789012/morning", bunshin.sink().url)
        deliver_from_aws(aws, service)
        service.systemctl("stop")


def test_credential_reaches_a_header(machine, bunshin):
    """A secret from LoadCredential= is in the request, after a reload too, not in the journal."""
    token = "a-token-that-opens-nothing-5e1f"
    stage = Stage(machine, bunshin)
    machine.write("/etc/bunshin/line-token", token, mode=0o600)
    stage.service.drop_in("LoadCredential=line-token:/etc/bunshin/line-token")
    stage.configure(headers={"Authorization": "Bearer ${credential:line-token}"})
    stage.service.systemctl("start")
    stage.send(10)
    stage.wait_until_empty()
    stage.service.systemctl("reload")
    stage.service.wait_until_running()
    stage.send(10)
    stage.check_all_once()
    assert {record["headers"]["Authorization"] for record in stage.sink.records()} == {
        f"Bearer {token}"}
    assert token not in stage.service.journal()


def start_under_load(stage):
    """Two workers, in the middle of some seconds of work; the main process."""
    stage.configure(headers={"X-Generation": "1"}, destination={"concurrency": 20}, workers=2)
    stage.send(2000)
    stage.service.systemctl("start")
    stage.wait_for_delivered(300)
    return stage.service.pid()


def send_until_generation(stage, generation):
    """Sends and sends, until the sink has seen something by a worker of this generation."""
    def seen():
        stage.send(50)
        return any(record["headers"]["X-Generation"] == generation
                   for record in stage.sink.records()[-100:])

    wait_for(seen, f"a message by generation {generation}")


def test_reload_under_load(machine, bunshin):
    """The new file is in force, nothing is lost, nothing goes out twice."""
    stage = Stage(machine, bunshin, "--latency", "20-80")
    pid = start_under_load(stage)
    for generation in ("2", "3"):
        stage.configure(headers={"X-Generation": generation}, destination={"concurrency": 20},
                        workers=2)
        stage.service.systemctl("reload")
        send_until_generation(stage, generation)
    stage.service.wait_until_running()
    assert stage.service.pid() == pid and stage.service.show("NRestarts") == "0"
    stage.check_all_once()


def test_reload_with_one_worker(machine, bunshin):
    """A process that runs alone reloads too."""
    stage = Stage(machine, bunshin)
    stage.configure(headers={"X-Generation": "1"}, workers=1)
    stage.service.systemctl("start")
    stage.send(100)
    stage.wait_until_empty()
    stage.configure(headers={"X-Generation": "2"}, workers=1)
    stage.service.systemctl("reload")
    stage.service.wait_until_running()

    send_until_generation(stage, "2")
    stage.check_all_once()


def test_reload_of_a_bad_file_fails(machine, bunshin):
    """`systemctl reload` fails, the journal says why, nothing changes; a bare SIGHUP neither."""
    stage = Stage(machine, bunshin, "--latency", "20-80")
    pid = start_under_load(stage)
    workers = stage.service.children()
    stage.service.write("queue: {url: 'http://127.0.0.1:9/1/q'}\ndestinatoins: []\n")
    assert stage.service.systemctl("reload", check=False).exit != 0
    assert re.search(rf"{stage.service.config}:2:.*destinatoins", stage.service.journal())
    stage.service.signal("HUP")
    wait_for(lambda: stage.service.journal().count("destinatoins") >= 2,
             "the reason why a SIGHUP did nothing")
    stage.send(1000)
    stage.wait_until_empty()
    assert stage.service.state() == "active/running"
    assert stage.service.pid() == pid and stage.service.children() == workers
    stage.check_all_once()


def test_watchdog_restarts_a_frozen_process(machine, bunshin):
    """A process that runs alone and is stopped is killed by systemd, and started again."""
    stage = Stage(machine, bunshin, visibility=5)
    stage.service.drop_in("WatchdogSec=3s")
    stage.configure(workers=1, watchdog="5s")
    stage.service.systemctl("start")
    stage.send(50)
    stage.wait_until_empty()
    old = stage.service.pid()
    stage.service.signal("STOP")
    wait_for(lambda: stage.service.show("NRestarts") == "1" and stage.service.pid() not in (0, old),
             "a new process")
    stage.service.wait_until_running()
    assert "Watchdog timeout" in stage.service.journal()
    stage.send(50)
    stage.check_all_once()


def test_watchdog_leaves_an_idle_process_alone(machine, bunshin):
    """Nothing to do is not a stall."""
    stage = Stage(machine, bunshin)
    stage.service.drop_in("WatchdogSec=1s")
    stage.configure(workers=1, watchdog="5s")
    stage.service.systemctl("start")
    pid = stage.service.pid()
    subprocess.run(["sleep", "4"], check=True)
    stage.send(10)
    stage.check_all_once()
    assert stage.service.pid() == pid and stage.service.show("NRestarts") == "0"


def start_two_workers(stage):
    """One of them, that has a connection to the sink, and all processes but the main one."""
    stage.configure(workers=2, watchdog="5s")
    stage.service.systemctl("start")
    stage.send(200)
    wait_for(lambda: services.connected_to(stage.sink.port), "a worker at work")
    stage.wait_until_empty()
    return min(services.connected_to(stage.sink.port)), stage.service.children()


def check_worker_is_replaced(stage, signal_name):
    worker, before = start_two_workers(stage)
    pid = stage.service.pid()
    assert worker in before
    stage.service.signal(signal_name, worker)
    wait_for(lambda: worker not in stage.service.children(), "the end of a worker")
    wait_for(lambda: len(stage.service.children()) == len(before), "another in its place")
    assert len(stage.service.children() & before) == len(before) - 1
    stage.send(200)
    stage.check_all()
    assert stage.service.pid() == pid and stage.service.state() == "active/running"


def test_frozen_worker_is_replaced(machine, bunshin):
    """The supervisor kills a worker that is stopped; the service goes on."""
    check_worker_is_replaced(Stage(machine, bunshin, visibility=5), "STOP")


def test_killed_worker_is_replaced(machine, bunshin):
    """As by the kernel for want of memory: the unit stays up."""
    check_worker_is_replaced(Stage(machine, bunshin, visibility=5), "KILL")


def test_killed_supervisor_is_restarted(machine, bunshin):
    """Its workers end with it, and systemd starts all of it again."""
    stage = Stage(machine, bunshin, visibility=5)
    _, old = start_two_workers(stage)
    stage.service.signal("KILL")
    wait_for(lambda: stage.service.show("NRestarts") == "1", "a restart")
    stage.service.wait_until_running()
    assert not any(machine.path(f"/proc/{pid}").exists() for pid in old)
    stage.send(200)
    stage.check_all()


def test_instances_do_not_collide(machine, bunshin):
    """bunshin and two instances, each with a queue, a sink and an admin port of its own."""
    sqs = bunshin.queue().sqs()
    running = []
    for name in (None, "one", "two"):
        sink, service = bunshin.sink(), Service(machine, name)
        url = sqs.create_queue(name or "main")
        service.drop_in()
        service.configure(url, sink.url, workers=1)
        sqs.send(url, (f"{name} {number}" for number in range(20)))
        service.systemctl("start")
        running.append((service, name, sink))
    for service, name, sink in running:
        wait_for(lambda sink=sink: len(sink.records()) == 20, f"20 of {service.unit}")
        assert {record["body"].split()[0] for record in sink.records()} == {str(name)}
    sockets = [f"/run/bunshin/{name}/admin.sock" for name in ("one", "two")]
    for path in sockets:
        mode = machine.path(path).stat().st_mode
        assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o660
        machine.run("bunshin", "health", "--ready", "--admin", f"unix:{path}")
    machine.run("bunshin", "health", "--ready", "--admin", "http://127.0.0.1:9797")
    assert not any("in use" in service.journal() for service, _, _ in running)
    running[0][0].systemctl("stop")
    running[1][0].systemctl("stop")
    assert not machine.path("/run/bunshin/one").exists()
    machine.run("bunshin", "health", "--ready", "--admin", f"unix:{sockets[1]}")


def test_upgrade(machine, bunshin, staged):
    """The program is replaced and the service restarted under load: nothing lost, nothing twice."""
    stage = Stage(machine, bunshin, "--latency", "20-80")
    stage.configure(destination={"concurrency": 20})
    stage.send(1500)
    stage.service.systemctl("start")
    stage.wait_for_delivered(300)
    services.install_program(machine, staged)
    old = stage.service.pid()
    assert "(deleted)" in machine.run("readlink", f"/proc/{old}/exe").out
    stage.service.systemctl("restart")
    assert machine.run("readlink", f"/proc/{stage.service.pid()}/exe").out.strip() == PROGRAM
    stage.check_all_once()


def test_remove(machine, bunshin, staged):
    """What was installed goes; nothing is left but the state and the configuration."""
    stage = Stage(machine, bunshin)
    stage.configure()
    machine.run("systemctl", "enable", "--now", stage.service.unit)
    stage.send(10)
    stage.check_all_once()
    machine.run("systemctl", "disable", "--now", stage.service.unit)
    for path in staged.rglob("*"):
        if not path.is_dir():
            machine.path(str(path.relative_to(staged))).unlink()
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "reset-failed")
    assert services.processes_of(machine, "bunshin") == []
    left = machine.run("find", "/etc", "/run", "/tmp", "/usr", "/var", "(", "-user", "bunshin",
                       "-o", "-name", "*bunshin*", ")", "-prune").out.split()
    assert set(left) == {STATE, "/run/bunshin", "/etc/bunshin",
                         "/etc/systemd/system/bunshin.service.d", "/usr/local/etc/bunshin",
                         "/usr/local/share/bunshin"}
