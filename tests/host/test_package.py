"""The Debian package: built as scripts/package does, judged by lintian, installed, upgraded with
systemd at work, removed and purged in a Debian 12 that has nothing else in it."""

import re
import shutil

import pytest

import rootfs
from debian import ROOT, Debian, build_directory, missing, run

LACKING = missing("debootstrap", "systemd-nspawn", "dpkg-buildpackage", "dh", "lintian")
pytestmark = pytest.mark.skipif(bool(LACKING), reason=LACKING)

CONFIG = "/etc/bunshin/bunshin.yaml"
# A queue that nobody answers for: the service stays, and keeps trying.
WORKING_CONFIG = """\
# the operator's
queue:
  url: http://127.0.0.1:9/000000000000/morning
destinations:
  - name: nowhere
    request: {url: "http://127.0.0.1:9/"}
admin: {listen: null}
"""
ENVIRONMENT = "[Service]\nEnvironment=AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local\n"


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    directory = tmp_path_factory.mktemp("package")
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def package(work):
    """The .deb, which lintian has judged. The unit tests have a step of their own."""
    run(ROOT / "scripts/package", "--no-tests", "--lintian", "--output", work / "out")
    files = list((work / "out").glob("bunshin_*.deb"))
    assert len(files) == 1, files
    return files[0]


@pytest.fixture(scope="module")
def newer(package, work):
    """The same as a newer version, whose sample of the configuration has changed."""
    tree = work / "newer"
    run("dpkg-deb", "-R", package, tree)
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"^(Version: .*)$", r"\1+newer", control.read_text(), flags=re.M))
    with (tree / CONFIG.lstrip("/")).open("a") as sample:
        sample.write("# newer\n")
    run("dpkg-deb", "-b", tree, work / "newer.deb")
    return work / "newer.deb"


@pytest.fixture(scope="module")
def debian(work, package):
    """A Debian with all that the package needs, and not yet the package."""
    system = Debian.copy(rootfs.ensure(build_directory()), work / "root")
    shutil.copy(package, system.root / "root/bunshin.deb")
    return system


def test_hardening(package, work):
    """What dpkg's hardening flags promise is in the program."""
    run("dpkg-deb", "-x", package, work / "x")
    program = work / "x/usr/bin/bunshin"
    headers = run("readelf", "--wide", "--file-header", "--program-headers", "--dynamic",
                  "--dyn-syms", program).stdout
    for pattern in (r"Type:\s+DYN \(Position-Independent", r"GNU_RELRO", r"FLAGS_1\).*\bNOW\b",
                    r"GNU_STACK.* RW +0x", r"__stack_chk_fail", r"__\w+_chk@"):
        assert re.search(pattern, headers), pattern


def states(system, *units):
    """{unit: (ActiveState, MainPID)}"""
    answer = {}
    for unit in units:
        lines = system.run("systemctl", "show", "-p", "ActiveState", "-p", "MainPID", unit).stdout
        values = dict(line.split("=", 1) for line in lines.splitlines() if "=" in line)
        answer[unit] = values["ActiveState"], int(values["MainPID"])
    return answer


def check_installed(system):
    """Right after the installation: all is there, and nothing runs or will."""
    version = run("dpkg-deb", "-f", system.root / "root/bunshin.deb", "Version").stdout.strip()
    assert system.run("bunshin", "--version").stdout.split() == ["bunshin", version]
    assert "Usage: bunshin COMMAND" in system.run("bunshin", "--help").stdout
    user = system.run("getent", "passwd", "bunshin").stdout.split(":")
    assert user[5:] == ["/var/lib/bunshin", "/usr/sbin/nologin\n"] and user[2] != "0"
    for path in ("/lib/systemd/system/bunshin.service", "/lib/systemd/system/bunshin@.service",
                 "/usr/lib/sysusers.d/bunshin.conf", "/usr/lib/tmpfiles.d/bunshin.conf",
                 "/usr/share/man/man1/bunshin.1.gz", "/usr/share/man/man5/bunshin.yaml.5.gz",
                 "/usr/share/doc/bunshin/copyright", "/usr/share/doc/bunshin/docs/aws.md.gz",
                 "/usr/share/doc/bunshin/examples/bunshin.yaml",
                 "/usr/share/doc/bunshin/examples/queues.yaml",
                 "/usr/share/bunshin/examples/morning-coupon.csv", CONFIG):
        assert system.exists(path), path
    assert system.read(CONFIG) == (ROOT / "conf/bunshin.yaml").read_text(encoding="utf-8")
    assert system.run("systemctl", "is-enabled", "bunshin", check=False).stdout == "disabled\n"


def check_sample_does_not_loop(system):
    """Who starts it before there is a configuration gets one clear failure, not one every 2 s."""
    assert system.run("systemctl", "start", "bunshin", check=False).returncode != 0
    show = system.run("systemctl", "show", "-p", "ExecMainStatus", "-p", "NRestarts", "-p",
                      "ActiveState", "bunshin").stdout.split()
    assert set(show) == {"ExecMainStatus=2", "NRestarts=0", "ActiveState=failed"}
    journal = system.run("journalctl", "-u", "bunshin", "-o", "cat").stdout
    assert journal.count("Starting bunshin.service") == 1
    assert f"{CONFIG}:" in journal, "does not say what is wrong where"


def configure(system):
    """What an operator does: a configuration, also one for each instance, and start."""
    system.write(CONFIG, WORKING_CONFIG)
    for name in ("a", "b"):
        system.write(f"/etc/bunshin/{name}.yaml", WORKING_CONFIG)
    for unit in ("bunshin", "bunshin@"):
        system.write(f"/etc/systemd/system/{unit}.service.d/keys.conf", ENVIRONMENT)
    system.run("systemctl", "daemon-reload")
    system.run("systemctl", "enable", "--now", "bunshin", "bunshin@a", "bunshin@b")


def test_life_of_a_package(debian, newer, work):
    """Install, configure, upgrade, remove, purge, with systemd at work as on a real machine."""
    # The user stays, as files of its number may lie elsewhere. The rest of these is not ours.
    without = ("/var/lib/dpkg", "/var/lib/apt", "/var/lib/systemd", "/var/cache", "/var/log",
               "/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow", "/etc/.pwd.lock",
               "/run", "/tmp", "/var/tmp", "/root", "/etc/machine-id", "/etc/resolv.conf")
    units = "bunshin.service", "bunshin@a.service", "bunshin@b.service"
    with debian.booted(work / "boot.log") as system:
        before = system.files(*without)
        system.run("dpkg", "-i", "/root/bunshin.deb")
        check_installed(system)
        check_sample_does_not_loop(system)
        configure(system)
        system.run("systemctl", "stop", "bunshin@b")
        old = states(system, *units)
        assert [state for state, _ in old.values()] == ["active", "active", "inactive"]

        shutil.copy(newer, system.root / "root/newer.deb")
        system.run("dpkg", "--force-confdef", "--force-confold", "-i", "/root/newer.deb")
        assert system.read(CONFIG) == WORKING_CONFIG
        new = states(system, *units)
        # What ran has been restarted, what the operator had stopped has not been started.
        assert [state for state, _ in new.values()] == ["active", "active", "inactive"]
        assert all(old[unit][1] != new[unit][1] for unit in units[:2])
        for unit in units[:2]:
            assert "stopping" in system.run("journalctl", "-u", unit, "-o", "cat").stdout

        system.run("dpkg", "-r", "bunshin")
        assert {state for state, _ in states(system, *units).values()} <= {"inactive"}
        assert system.read(CONFIG) == WORKING_CONFIG
        assert system.exists("/var/lib/bunshin")

        for path in ("/etc/bunshin/a.yaml", "/etc/bunshin/b.yaml"):
            (system.root / path.lstrip("/")).unlink()
        for unit in ("bunshin", "bunshin@"):
            shutil.rmtree(system.root / f"etc/systemd/system/{unit}.service.d")
        system.run("dpkg", "-P", "bunshin")
        assert system.files(*without) - before == set()
        assert not [path for path in system.files() if re.search(r"bunshin", path)
                    and not path.startswith(("/root/", "/run", "/proc", "/var/log", "/tmp"))]
