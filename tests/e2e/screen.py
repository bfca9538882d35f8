"""The program on a terminal's screen: what a person would see, after each escape sequence."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time

import pyte

from harness import PATIENCE_S, die_with_parent

# Of what terminfo says of this one, pyte understands nearly all.
TERM = "screen-256color"


class _Display(pyte.Screen):
    """With SU and SD, which pyte passes over."""

    def _scroll(self, row, step, count):
        at = self.cursor.y
        self.cursor.y = row
        for _ in range(count or 1):
            step()
        self.cursor.y = at

    def scroll_up(self, count=None):
        bottom = self.margins.bottom if self.margins else self.lines - 1
        self._scroll(bottom, self.index, count)

    def scroll_down(self, count=None):
        self._scroll(self.margins.top if self.margins else 0, self.reverse_index, count)


class _Stream(pyte.ByteStream):
    csi = {**pyte.ByteStream.csi, "S": "scroll_up", "T": "scroll_down"}
    events = pyte.ByteStream.events | {"scroll_up", "scroll_down"}


class Screen:
    """
    `bunshin ARGUMENTS` with standard input and output on a terminal of its own, which sends it
    signals when it leads its session.
    """

    def __init__(self, bunshin, *arguments, columns=80, rows=24, env=None, leads=True):
        self.leader, self.follower = pty.openpty()
        self.before = termios.tcgetattr(self.follower)
        self.written = b""  # all that came out
        self._screen = _Display(columns, rows)
        self._stream = _Stream(self._screen)
        self._set_size(columns, rows)
        self.err_path = bunshin.directory / f"screen-{os.getpid()}-{id(self)}.err"

        def own():
            die_with_parent()
            if leads:
                fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        environment = {**bunshin.environment, "TERM": TERM, **(env or {})}
        with self.err_path.open("wb") as err:
            self.process = subprocess.Popen(
                [str(word) for word in [bunshin.binary, *arguments]], stdin=self.follower,
                stdout=self.follower, stderr=err, cwd=bunshin.directory, env=environment,
                start_new_session=True, preexec_fn=own)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.leader >= 0:
            self.hang_up()

    def hang_up(self):
        """The terminal goes away."""
        os.close(self.follower)
        os.close(self.leader)
        self.leader = -1

    def _set_size(self, columns, rows):
        fcntl.ioctl(self.leader, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, columns, rows):
        """As a person does with the mouse: the size, then SIGWINCH, which the kernel sends."""
        self._screen.resize(rows, columns)
        self._set_size(columns, rows)

    def read(self, seconds=0.05):
        """Takes in what has been written meanwhile."""
        while select.select([self.leader], [], [], seconds)[0]:
            part = os.read(self.leader, 65536)
            self.written += part
            self._stream.feed(part)

    def lines(self):
        return [line.rstrip() for line in self._screen.display]

    def text(self):
        return "\n".join(self.lines())

    def wait(self, condition, what):
        """Until condition(text of the screen) holds; the text."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            self.read()
            if condition(self.text()):
                return self.text()
            assert time.monotonic() < deadline and self.process.poll() is None, \
                f"still waiting for {what} (exit {self.process.poll()}):\n{self.text()}\n" \
                f"{self.err_path.read_text(errors='replace')}"

    def wait_for(self, *words):
        """Until all of them are to be seen; a sentence may go on in the next row."""
        def seen(text):
            return all(word in text or word in text.replace("\n", " ") for word in words)

        return self.wait(seen, words)

    def type(self, keys):
        os.write(self.leader, keys.encode())

    def end(self):
        """The exit code, everything that came out having been read."""
        deadline = time.monotonic() + PATIENCE_S
        while self.process.poll() is None:
            self.read()
            assert time.monotonic() < deadline, self.text()
        self.read()
        err = self.err_path.read_text(errors="replace")
        assert "Sanitizer" not in err and "runtime error" not in err, err
        return self.process.returncode

    def is_as_before(self):
        """Whether the terminal is set as it was, shows its cursor and its own screen."""
        return termios.tcgetattr(self.follower) == self.before \
            and self.written.rfind(b"\x1b[?1049l") > self.written.rfind(b"\x1b[?1049h") \
            and self.written.rfind(b"\x1b[?25h") > self.written.rfind(b"\x1b[?25l")
