"""The program on a terminal: somebody reads what it asks, and types."""

import fcntl
import os
import pty
import subprocess
import termios

from harness import PATIENCE_S, base_environment


class Terminal:
    """`bunshin ARGUMENTS` on a terminal of its own, which is its /dev/tty; stdout is a pipe."""

    def __init__(self, bunshin, directory, *arguments, stdin=None, env=None):
        self._leader, follower = pty.openpty()
        self.shown = ""

        def own():
            fcntl.ioctl(follower, termios.TIOCSCTTY, 0)

        source = open(stdin, "rb") if stdin else follower
        self.process = subprocess.Popen(
            [str(word) for word in [bunshin.binary, *arguments]],
            stdin=source, stdout=subprocess.PIPE, stderr=follower, cwd=directory,
            env={**base_environment(directory), **(env or {})}, start_new_session=True,
            preexec_fn=own)
        if stdin:
            source.close()
        os.close(follower)

    def read_until(self, text):
        while text not in self.shown:
            try:
                part = os.read(self._leader, 65536)
            except OSError:
                part = b""
            assert part, self.shown
            self.shown += part.decode(errors="replace")

    def type(self, text):
        os.write(self._leader, text.encode())

    def end(self):
        """Its exit code and standard output."""
        try:
            while True:
                part = os.read(self._leader, 65536)
                if not part:
                    break
                self.shown += part.decode(errors="replace")
        except OSError:
            pass  # EIO: the other side is closed
        out = self.process.communicate(timeout=PATIENCE_S)[0].decode()
        os.close(self._leader)
        return self.process.returncode, out
