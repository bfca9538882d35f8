"""buildah and podman with a storage, a configuration and networks of their own.

runc and the cgroupfs manager, since they need no systemd; limits by name, since a machine may have
lower ones than podman's defaults. Everything goes with close().
"""

import json
import os
import shutil

from debian import PATIENCE_S, run

PROGRAMS = "buildah", "podman", "runc", "conmon"
LIMITS = 4096

CONTAINERS_CONF = """\
[containers]
default_ulimits = ["nofile={limits}:{limits}", "nproc={limits}:{limits}"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
tmp_dir = "{directory}/tmp"
[network]
network_backend = "{network}"
network_config_dir = "{directory}/networks"
"""
STORAGE_CONF = """\
[storage]
driver = "{driver}"
graphroot = "{directory}/storage"
runroot = "{directory}/run"
"""


class Podman:
    def __init__(self, directory, name):
        """`name` begins the names of all containers, and is that of a network namespace."""
        self.directory, self.name = directory, name
        # An overlay cannot lie on an overlay.
        under = run("stat", "--file-system", "--format=%T", directory).stdout.strip()
        network = "netavark" if self.has_networks() else "cni"
        for file, text in (("containers.conf", CONTAINERS_CONF), ("storage.conf", STORAGE_CONF)):
            (directory / file).write_text(text.format(
                directory=directory, driver="vfs" if under == "overlayfs" else "overlay",
                limits=LIMITS, network=network))
        self.environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(directory),
            "CONTAINERS_CONF": str(directory / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(directory / "storage.conf"),
        }
        self._namespace = None

    @staticmethod
    def has_networks():
        """Whether containers can be on a network of their own that knows their names."""
        return (all(os.path.exists(f"/usr/lib/podman/{name}")
                    for name in ("netavark", "aardvark-dns"))
                and shutil.which("iptables") is not None)

    def __call__(self, *arguments, **options):
        """Runs podman. A failure of the command is one of the test, unless check=False."""
        return self._run("podman", *arguments, **options)

    def buildah(self, *arguments, **options):
        return self._run("buildah", *arguments, **options)

    def compose(self, *arguments, env=None):
        """podman-compose in a network namespace: the rules of this machine stay as they are."""
        if not self._namespace:
            run("ip", "netns", "add", self.name)
            self._namespace = ["nsenter", f"--net=/run/netns/{self.name}"]
            self._run(*self._namespace, "ip", "link", "set", "lo", "up")
        return self._run(*self._namespace, "podman-compose", "-p", self.name, *arguments, env=env)

    def _run(self, *argv, env=None, **options):
        return run(*argv, env={**self.environment, **(env or {})}, **options)

    def build_base(self, root, image):
        """An image with what is in a directory."""
        container = self.buildah("from", "scratch").stdout.split()[-1]
        self.buildah("add", "--quiet", container, root, "/")
        self.buildah("commit", "--quiet", "--rm", container, image)

    def build(self, directory, image, **arguments):
        """Builds a directory's Dockerfile, in Docker's format: the other has no HEALTHCHECK."""
        self.buildah("build", "--isolation=chroot", "--format=docker", "--network=host",
                     *(f"--build-arg={name}={value}" for name, value in arguments.items()),
                     f"--tag={image}", directory, timeout=3 * PATIENCE_S)

    def start(self, name, *arguments):
        """`podman run -d`, with what every container of the tests gets: nothing."""
        self("run", "--detach", f"--name={self.name}-{name}", "--network=host", "--read-only",
             "--cap-drop=ALL", "--security-opt=no-new-privileges", *arguments)
        return Container(self, f"{self.name}-{name}")

    def inspect_image(self, image):
        return json.loads(self("image", "inspect", image).stdout)[0]

    def close(self):
        """Ends and removes everything."""
        self("rm", "--all", "--force", "--volumes", "--time=1")
        self("volume", "prune", "--force")
        if self._namespace:
            self("network", "prune", "--force")
            run("ip", "netns", "delete", self.name)
        self("rmi", "--all", "--force")
        shutil.rmtree(self.directory / "storage")


class Container:
    def __init__(self, podman, name):
        self.podman, self.name = podman, name

    def exec(self, *argv, **options):
        return self.podman("exec", self.name, *argv, **options)

    def inspect(self):
        return json.loads(self.podman("inspect", self.name).stdout)[0]

    @property
    def pid(self):
        """Of its PID 1, on this machine."""
        return self.inspect()["State"]["Pid"]

    def logs(self):
        return self.podman("logs", self.name).stdout

    def health(self):
        """What the image's HEALTHCHECK says now: its exit status."""
        return self.podman("healthcheck", "run", self.name, check=False).returncode

    def stop(self, grace_s):
        """`podman stop`; the exit status of PID 1, which is 137 when it had to be killed."""
        self.podman("stop", f"--time={grace_s}", self.name)
        return self.inspect()["State"]["ExitCode"]

    def remove(self):
        self.podman("rm", "--force", "--volumes", "--time=1", self.name)
