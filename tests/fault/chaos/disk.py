"""A small disk for the workers' logs and ledger, which can be filled.

A tmpfs, where this process may mount one: in a mount namespace of its own, so that it is gone with
the process, however that ends. Elsewhere the workers' file size limit takes its place: a file that
may not grow is as good as a full disk for who writes it (EFBIG instead of ENOSPC).
"""

import contextlib
import ctypes
import errno
import os
import resource

CLONE_NEWNS = 0x00020000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
MNT_DETACH = 2

_libc = ctypes.CDLL(None, use_errno=True)
_own_namespace = False


def _call(name, *arguments):
    if getattr(_libc, name)(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


def _enter_own_namespace():
    """Of this thread and of the processes that it starts; nothing mounted here is seen outside."""
    global _own_namespace  # pylint: disable=global-statement
    if not _own_namespace:
        _call("unshare", CLONE_NEWNS)
        _call("mount", b"none", b"/", None, MS_REC | MS_PRIVATE, None)
        _own_namespace = True


class Disk:
    """For the main thread only."""

    def __init__(self, directory, size_bytes, may_mount=True):
        self.directory = directory
        self.mounted = False
        self._may_mount = may_mount
        self._size_bytes = size_bytes
        self._limited = {}  # pid: its limits before

    def __enter__(self):
        self.directory.mkdir()
        if self._may_mount:
            self._mount()
        return self

    def _mount(self):
        try:
            _enter_own_namespace()
            _call("mount", b"tmpfs", os.fsencode(self.directory), b"tmpfs", 0,
                  b"size=%d,mode=0755" % self._size_bytes)
            self.mounted = True
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EACCES, errno.ENOSYS):
                raise

    def __exit__(self, *_):
        if self.mounted:
            self.mounted = False
            _call("umount2", os.fsencode(self.directory), MNT_DETACH)

    def fill(self, pids):
        """Not a byte more can be written; `pids` are the processes that write to it."""
        if not self.mounted:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
                    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))
                    self._limited[pid] = before
            return
        with open(self._ballast, "wb", buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(size))

    def free(self):
        for pid, before in self._limited.items():
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
        self._limited = {}
        self._ballast.unlink(missing_ok=True)

    @property
    def _ballast(self):
        return self.directory / "ballast"
