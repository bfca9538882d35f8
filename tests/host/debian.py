"""A Debian 12 in a directory of its own, entered or booted by systemd-nspawn.

What runs inside sees nothing of the caller's environment. Its network is the host's.
"""

import os
import shutil
import subprocess
import time
import uuid
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 900  # of one command; only to end a hang
CLEAN = ["/usr/bin/env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
         "HOME=/root", "TERM=dumb", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"]


def missing(*programs):
    """What this machine lacks, for people: root, or one of these programs; "" if nothing."""
    lacking = [name for name in programs if not shutil.which(name)]
    if os.geteuid() != 0:
        lacking.insert(0, "root")
    elif subprocess.run(["unshare", "--mount", "true"], stderr=subprocess.DEVNULL).returncode != 0:
        lacking.insert(0, "the right to mount")  # root of a container
    return f"NOT RUN, this machine lacks: {', '.join(lacking)}" if lacking else ""


def run(*argv, check=True, timeout=PATIENCE_S, **options):
    """Runs a command; its output, both streams in one, is in stdout. A failure shows it."""
    argv = [str(argument) for argument in argv]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", timeout=timeout,
                          **options)
    if check and done.returncode != 0:
        raise AssertionError(f"$ {' '.join(argv)}\nexit {done.returncode}\n{done.stdout}")
    return done


def build_directory():
    """Where rootfs.py keeps what it makes: of the build under test, else build/."""
    program = os.environ.get("BUNSHIN")
    return Path(program).resolve().parents[2] if program else ROOT / "build"


class Debian:
    """One root directory."""

    def __init__(self, root):
        self.root = Path(root)
        self._leader = None  # the pid of its systemd, while it is booted

    @classmethod
    def copy(cls, source, root):
        run("cp", "-a", "--reflink=auto", source, root)
        return cls(root)

    def run(self, *argv, **options):
        """Runs a command inside, as root."""
        if self._leader:
            enter = ["nsenter", f"--target={self._leader}", "--mount", "--uts", "--ipc", "--pid",
                     "--net"]
        else:
            enter = ["systemd-nspawn", "--quiet", f"--directory={self.root}", "--register=no",
                     "--keep-unit", "--pipe", "--resolv-conf=copy-host"]
        return run(*enter, *CLEAN, *argv, **options)

    def read(self, path):
        return (self.root / path.lstrip("/")).read_text(encoding="utf-8")

    def write(self, path, text):
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def exists(self, path):
        return os.path.lexists(self.root / path.lstrip("/"))

    def files(self, *without):
        """Every path inside, but for what begins with one of these."""
        found = set()
        for directory, names, files in os.walk(self.root):
            inside = "/" + os.path.relpath(directory, self.root).lstrip(".")
            names[:] = [name for name in names
                        if not os.path.join(inside, name).startswith(without)]
            found.update(os.path.join(inside, name) for name in [*names, *files])
        return {path for path in found if not path.startswith(without)}

    @contextmanager
    def booted(self, log):
        """systemd runs inside meanwhile, and run() enters there."""
        with open(log, "wb") as output:
            nspawn = subprocess.Popen(
                ["systemd-nspawn", "--quiet", f"--directory={self.root}", "--register=no",
                 "--keep-unit", "--boot", f"--machine=bunshin-{uuid.uuid4().hex[:12]}",
                 "--resolv-conf=copy-host"],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            self._leader = self._wait_for_leader(nspawn, log)
            self.run("systemctl", "is-system-running", "--wait", check=False)
            yield self
        finally:
            self._leader = None
            nspawn.terminate()  # it tells the systemd inside to power off
            try:
                nspawn.wait(PATIENCE_S)
            finally:
                nspawn.kill()
                nspawn.wait()

    def _wait_for_leader(self, nspawn, log):
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and nspawn.poll() is None:
            for child in Path(f"/proc/{nspawn.pid}/task/{nspawn.pid}/children").read_text().split():
                # systemd's private socket is there as soon as it takes commands.
                if os.path.exists(f"/proc/{child}/root/run/systemd/private"):
                    return child
            time.sleep(0.05)
        raise AssertionError(f"did not boot:\n{Path(log).read_text(errors='replace')}")
