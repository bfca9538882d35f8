"""A machine with a real systemd: a root directory booted by systemd-nspawn.

It runs in namespaces and control groups of its own, its root directory under an overlay in memory.
Nothing of it is seen outside, and all of it is gone with its first process, which the kernel kills
should the test process die.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

PATIENCE_S = 120  # only ends a hang
PR_SET_PDEATHSIG = 1
CLONE_NEWNET = 0x40000000
GROUP = "bunshin-host"
PROGRAMS = "systemd-nspawn", "nsenter", "unshare"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_libc = ctypes.CDLL(None, use_errno=True)

# $1: the root directory; $2: an empty one. This is the first process of a namespace, so everything
# ends with it. /run is covered, since systemd-nspawn leaves directories there.
BOOT = """\
set -e
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=755 tmpfs "$2"
mkdir "$2/upper" "$2/work" "$2/root"
mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" overlay "$2/root" ||
    cp -a --reflink=auto "$1/." "$2/root"
exec systemd-nspawn --quiet --directory="$2/root" --machine=bunshin --register=no --keep-unit \\
    --private-network --resolv-conf=off --timezone=off --link-journal=no --console=pipe --boot
"""

def missing():
    """What this machine lacks for one, for people; "" if nothing."""
    lacking = [] if os.geteuid() == 0 else ["root"]
    lacking += [name for name in PROGRAMS if not shutil.which(name)]
    if not lacking and subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"],
                                      stderr=subprocess.DEVNULL).returncode != 0:
        lacking.append("the right to make namespaces")  # root of a container
    return ", ".join(lacking)


@dataclass
class Result:
    exit: int
    out: str
    err: str


class Machine:
    """`root` is only read; `directory` is an empty one for the log and for mounting."""

    def __init__(self, root, directory):
        self.log = Path(directory) / "console.log"
        self.leader = None
        self._groups = _make_groups(f"{GROUP}-{os.getpid()}-{time.monotonic_ns()}")
        mounted = Path(directory) / "machine"
        mounted.mkdir()
        with self.log.open("wb") as log:
            self._popen = subprocess.Popen(
                ["unshare", "--mount", "--propagation=private", "--uts", "--ipc", "--pid", "--fork",
                 "--mount-proc", "--kill-child", "sh", "-c", BOOT, "sh", root, mounted],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env={"PATH": PATH},
                preexec_fn=self._in_child)
        try:
            self._wait_until_booted()
        except BaseException:
            self.close()
            raise

    def _in_child(self):
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        for group in self._groups:
            (group / "cgroup.procs").write_text(str(os.getpid()))

    def _wait_until_booted(self):
        deadline = time.monotonic() + PATIENCE_S
        state = "no first process"
        while True:
            self.leader = self.leader or _find_leader(self._popen.pid)
            if self.leader:
                state = self.run("systemctl", "is-system-running", check=False).out.strip()
            if state in ("running", "degraded"):
                return
            if self._popen.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"did not boot ({state}):\n{self.console()}")
            time.sleep(0.05)

    def console(self):
        """What it printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def path(self, name):
        """The path by which a file inside is reached from outside; symlinks on the way are not."""
        return Path(f"/proc/{self.leader}/root") / name.lstrip("/")

    def write(self, name, text, mode=0o644, owner="root"):
        """Writes a file inside, with the directories above it. Returns its name."""
        self.run("install", "-D", "-m", f"{mode:o}", "-o", owner, "/dev/stdin", name, stdin=text)
        return name

    def run(self, *argv, check=True, stdin="", env=None):
        """
        Runs a command inside, as root, to its end. A code other than 0 is a failure, unless
        check is False.
        """
        command = self.command(*argv, env=env)
        done = subprocess.run(command, input=stdin, capture_output=True, text=True,
                              errors="replace", timeout=PATIENCE_S)
        result = Result(done.returncode, done.stdout, done.stderr)
        if check and done.returncode != 0:
            raise AssertionError(f"$ {' '.join(map(str, argv))}\nexit {done.returncode}\n"
                                 f"{done.stdout}{done.stderr}")
        return result

    def command(self, *argv, env=None):
        """The command that runs a command inside, in a clean environment."""
        variables = {"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": "/root", **(env or {})}
        return ["nsenter", f"--target={self.leader}", "--mount", "--uts", "--ipc", "--net", "--pid",
                "--root", "--wd=/", "env", "-i",
                *(f"{name}={value}" for name, value in variables.items()), *map(str, argv)]

    @contextlib.contextmanager
    def network(self):
        """
        For as long as it is held, what this thread opens or starts is in the machine's network.
        """
        with open("/proc/self/ns/net", "rb") as ours, \
                open(f"/proc/{self.leader}/ns/net", "rb") as theirs:
            _enter_network(theirs)
            try:
                yield
            finally:
                _enter_network(ours)

    def close(self):
        """Kills all of it, and waits for the end of it."""
        self._popen.kill()
        self._popen.wait()
        for group in self._groups:
            _remove_group(group)


def _enter_network(namespace):
    if _libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def _children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except FileNotFoundError:
        return []


def _find_leader(pid):
    """The machine's systemd among a process's descendants: number 1 of the innermost namespace."""
    for child in _children(pid):
        try:
            status = Path(f"/proc/{child}/status").read_text(encoding="utf-8")
            name = status.partition("\n")[0].partition("\t")[2]
            numbers = status.partition("\nNSpid:")[2].partition("\n")[0].split()
        except FileNotFoundError:
            continue
        if name == "systemd" and len(numbers) > 2 and numbers[-1] == "1":
            return child
        found = _find_leader(child)
        if found:
            return found
    return None


def _make_groups(name):
    """
    Control groups for systemd-nspawn: it uses the ones it is in, also those of other machines.
    systemd takes the unified hierarchy and, on a host that has both, its own older one.
    """
    paths = {}
    with open("/proc/self/cgroup", encoding="utf-8") as file:
        for line in file:
            _, controllers, path = line.rstrip("\n").split(":", 2)
            paths[controllers] = path
    groups = []
    with open("/proc/self/mounts", encoding="utf-8") as file:
        for line in file:
            _, point, kind, options = line.split()[:4]
            controllers = None
            if kind == "cgroup2":
                controllers = ""
            elif kind == "cgroup" and "name=systemd" in options.split(","):
                controllers = "name=systemd"
            if controllers in paths:
                groups.append(Path(point + paths.pop(controllers)) / name)
    for group in groups:
        _remove_stale(group.parent)
        group.mkdir()
    return groups


def _remove_stale(parent):
    """Groups that a test process left, since it was killed; those in them went with it."""
    for group in parent.glob(f"{GROUP}-*"):
        if not os.path.exists(f"/proc/{group.name.split('-')[-2]}"):
            _remove_group(group)


def _remove_group(group):
    """Its processes are dead; the kernel may still be taking them out of it."""
    deadline = time.monotonic() + PATIENCE_S
    for directory, _, _ in os.walk(group, topdown=False):
        while True:
            try:
                os.rmdir(directory)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
