"""A Debian 12 in a directory, made by debootstrap once and kept: `ensure(build_dir)`.

It lies under build_dir/host, under a name that comes from its list of packages, and is only ever
read: who wants to change something works on a copy or on an overlay (machine.py does).
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

# What a program built by scripts/setup's list of -dev packages needs in order to run.
LIBRARIES = (
    "ca-certificates",
    "libcjson1",
    "libcurl4",
    "libexpat1",
    "libmicrohttpd12",
    "libncursesw6",
    "libnghttp2-14",
    "libsqlite3-0",
    "libssl3",
    "libsystemd0",
    "libuv1",
    "libyaml-0-2",
)
SYSTEMD = ("systemd", "systemd-sysv")

MIRROR = os.environ.get("BARE_MIRROR")  # as for tests/bare/run; else debootstrap's own
PATIENCE_S = 1200  # only ends a hang

# What nobody here reads; dpkg does not fsync what can be made again.
DPKG_CONFIG = "force-unsafe-io\n"
UNREAD = ("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale",
          "var/cache/apt", "var/lib/apt/lists")
VERSION = 1  # of what this file makes of a list of packages


def missing():
    """What this machine lacks for it, for people; "" if nothing."""
    lacking = [] if os.geteuid() == 0 else ["root"]
    lacking += [name for name in ("debootstrap",) if not shutil.which(name)]
    return ", ".join(lacking)


def ensure(build_dir, packages=LIBRARIES + SYSTEMD):
    """
    The directory of a minimal Debian 12 that has these packages too. Takes a minute or two the
    first time. Callers at the same time wait for one another. RuntimeError: debootstrap failed.
    """
    base = Path(build_dir).resolve() / "host"
    base.mkdir(parents=True, exist_ok=True)
    names = sorted(set(packages))
    key = hashlib.sha256("\n".join([str(VERSION), *names]).encode()).hexdigest()[:16]
    root = base / f"debian-{key}"
    with (base / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            for half in base.glob("new-*"):
                remove(half)
            whole = base / f"new-{key}"
            make(whole, names, base / "debootstrap.log", base / "archives")
            whole.rename(root)
    return root


def make(root, packages, log, archives):
    """Lists share the packages that were downloaded for one of them."""
    config = root / "etc/dpkg/dpkg.cfg.d"
    config.mkdir(parents=True)
    # A root directory is for everybody, whatever the umask here.
    for directory in (root, root / "etc", config.parent, config):
        directory.chmod(0o755)
    (config / "tests").write_text(DPKG_CONFIG)
    archives.mkdir(exist_ok=True)
    with log.open("w") as output:
        code = subprocess.run(
            ["debootstrap", "--variant=minbase", f"--include={','.join(packages)}",
             f"--cache-dir={archives}", "bookworm", root, *([MIRROR] if MIRROR else [])],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, umask=0o022,
            timeout=PATIENCE_S).returncode
    if code != 0:
        end = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
        raise RuntimeError(f"debootstrap ended with {code}, see {log}:\n{end}")
    for name in UNREAD:
        shutil.rmtree(root / name, ignore_errors=True)
    (root / "var/cache/apt/archives/partial").mkdir(parents=True)
    (root / "var/lib/apt/lists/partial").mkdir(parents=True)
    # Each machine gets an identity, and a name, of its own.
    (root / "etc/machine-id").write_text("")
    (root / "etc/hostname").unlink(missing_ok=True)


def remove(root):
    """Removes what debootstrap left behind when it was cut off, its mounts first."""
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        points = [line.split()[1] for line in mounts]
    for point in reversed(points):
        if point.startswith(f"{root}/"):
            subprocess.run(["umount", point], check=True)
    shutil.rmtree(root)
