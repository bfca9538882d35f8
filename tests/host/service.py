"""The installed service in a machine: its units, as an operator handles them."""

import contextlib
import json
import shlex
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e"))  # the harness: queue, sink, fakes of AWS

from harness import ACCESS_KEY, REGION, SECRET_KEY, wait_for  # noqa: E402

STATE = "/var/lib/bunshin"
PROGRAM = "/usr/local/bin/bunshin"
KEYS = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true"}


def stage(build, directory):
    """What `meson install` puts on a machine, in a directory."""
    done = subprocess.run(["meson", "install", "-C", build, "--no-rebuild", "--quiet",
                           "--destdir", directory], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return directory


def install(machine, staged):
    """Copies it into the machine, and does what a package does after that."""
    subprocess.run(["cp", "-a", "--no-preserve=ownership", f"{staged}/.", machine.path("/")],
                   check=True)
    machine.run("systemd-sysusers")
    machine.run("systemd-tmpfiles", "--create", "bunshin.conf")
    machine.run("systemctl", "daemon-reload")


def install_program(machine, staged):
    """The program alone: a file of its own that takes the old name, as in an upgrade."""
    machine.path(PROGRAM + ".new").write_bytes((staged / PROGRAM.lstrip("/")).read_bytes())
    machine.run("chmod", "755", PROGRAM + ".new")
    machine.run("mv", PROGRAM + ".new", PROGRAM)


class Service:
    """bunshin.service, or the instance bunshin@NAME.service."""

    def __init__(self, machine, instance=None):
        self.machine = machine
        self.unit = f"bunshin@{instance}.service" if instance else "bunshin.service"
        self.config = f"/etc/bunshin/{instance or 'bunshin'}.yaml"

    def configure(self, queue_url, sink_url, headers=None, destination=None, **sections):
        """
        Writes a configuration of one destination, "sink". `destination` is laid over its part;
        sections are added as they are.
        """
        request = {"method": "POST", "url": sink_url + "/push", "headers": headers or {}}
        value = {
            "queue": {"url": queue_url, "wait": "1s"},
            "destinations": [{"name": "sink", "request": request, **(destination or {})}],
            **sections,
        }
        self.write(yaml.safe_dump(value))

    def write(self, text):
        self.machine.write(self.config, text)

    def drop_in(self, *lines, environment=KEYS):
        """[Service] settings, and its environment, as `systemctl edit` makes them."""
        values = [f"Environment={shlex.quote(f'{name}={value}')}"
                  for name, value in environment.items()]
        self.machine.write(f"/etc/systemd/system/{self.unit}.d/test.conf",
                           "\n".join(["[Service]", *values, *lines, ""]))
        self.machine.run("systemctl", "daemon-reload")

    def systemctl(self, verb, check=True):
        """start, stop, restart, reload; a failure shows the journal."""
        done = self.machine.run("systemctl", verb, self.unit, check=False)
        if check:
            assert done.exit == 0, f"systemctl {verb}: {done.err}{self.journal()}"
        return done

    def show(self, name):
        return self.machine.run("systemctl", "show", "--value", "-p", name, self.unit).out.strip()

    def state(self):
        """As "active/running"."""
        return f"{self.show('ActiveState')}/{self.show('SubState')}"

    def pid(self):
        """Of the main process, in the machine."""
        return int(self.show("MainPID"))

    def signal(self, name, pid=None):
        """To a process, by its number in the machine; by default the main one."""
        self.machine.run("sh", "-c", f"kill -{name} {pid or self.pid()}")

    def children(self):
        """Of the main process, in the machine."""
        pid = self.pid()
        names = self.machine.path(f"/proc/{pid}/task/{pid}/children")
        return set(map(int, names.read_text().split()))

    def journal(self):
        return self.machine.run("journalctl", "--unit", self.unit, "--output", "cat",
                                "--no-pager").out

    def entries(self, *matches):
        """What the program itself logged, as journald's fields."""
        out = self.machine.run("journalctl", "--output", "json", "--no-pager", "--unit", self.unit,
                               "SYSLOG_IDENTIFIER=bunshin", *matches, check=False).out
        return [json.loads(line) for line in out.splitlines()]

    def wait_until_running(self):
        wait_for(lambda: self.state() == "active/running", f"{self.unit} running")


def processes_of(machine, user):
    """Command lines of a user's processes in the machine."""
    number = machine.run("id", "-u", user).out.strip()
    found = []
    for entry in machine.path("/proc").iterdir():
        try:
            if entry.name.isdigit() and f"\nUid:\t{number}\t" in (entry / "status").read_text():
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue  # gone meanwhile
    return found


def connected_to(port):
    """
    The machine's processes that have a connection to a port of loopback, by their numbers there.
    In its network.
    """
    done = subprocess.run(["ss", "-H", "-tnp", "state", "established", "dst",
                           f"127.0.0.1:{port}"], capture_output=True, text=True, check=True)
    words = done.stdout.replace(",", " ").replace(")", " ").split()
    found = set()
    for pid in {word[4:] for word in words if word.startswith("pid=")}:
        with contextlib.suppress(OSError):  # gone meanwhile
            status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
            numbers = status.partition("\nNSpid:")[2].partition("\n")[0].split()
            if len(numbers) > 1:  # else a process of the test
                found.add(int(numbers[-1]))
    return found
