"""Drives a headless Chromium over its DevTools pipe: no driver, no port, no library.

Messages are JSON objects that end in a NUL, written to the browser's descriptor 3 and read from its
descriptor 4 (--remote-debugging-pipe; Chrome DevTools Protocol).
"""

import base64
import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time

from harness import PATIENCE_S, wait_for

FLAGS = [
    "--headless=new", "--hide-scrollbars", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--no-first-run",
    "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-extensions", "--metrics-recording-only", "--mute-audio",
    "--no-default-browser-check", "--disable-features=Translate,OptimizationHints",
]
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Browser:
    """
    One tab. `problems` collects what a user would find in the console in red, `requests` the URLs
    that the page asked for.
    """

    def __init__(self, directory, environment):
        self.problems = []
        self.requests = []
        self._next = 0
        self._waiting = b""
        self._answers = {}
        to_browser, self._out = os.pipe()
        self._in, from_browser = os.pipe()

        def set_up():
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            os.setsid()
            # Moved out of the way first: one may be the other's number.
            high = [os.dup(to_browser), os.dup(from_browser)]
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        # The browser makes a socket there, whose path has 107 bytes at most.
        self._sockets = tempfile.mkdtemp(prefix="bunshin-", dir="/tmp")
        environment = {**environment, "TMPDIR": self._sockets}
        with open(directory / "chromium.log", "wb") as log:
            self._popen = subprocess.Popen(
                ["chromium", *FLAGS, f"--user-data-dir={directory / 'chromium'}", "about:blank"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
                preexec_fn=set_up, close_fds=False)
        os.close(to_browser)
        os.close(from_browser)
        self._session = None
        target = wait_for(self._first_tab, "a tab of the browser")
        self._session = self.command("Target.attachToTarget", targetId=target,
                                     flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.command(f"{domain}.enable")

    def _first_tab(self):
        targets = self.command("Target.getTargets")["targetInfos"]
        return next((target["targetId"] for target in targets if target["type"] == "page"), None)

    def close(self):
        """Ends the browser and everything it started."""
        os.close(self._out)
        os.close(self._in)
        try:
            os.killpg(self._popen.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._popen.wait()
        shutil.rmtree(self._sockets, ignore_errors=True)

    def command(self, method, **parameters):
        """Sends a command of the protocol; its result."""
        self._next += 1
        number = self._next
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._out, data):]
        deadline = time.monotonic() + PATIENCE_S
        while number not in self._answers:
            self._read(deadline, method)
        answer = self._answers.pop(number)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def _read(self, deadline, what):
        ready, _, _ = select.select([self._in], [], [], max(0, deadline - time.monotonic()))
        assert ready, f"the browser does not answer {what}"
        data = os.read(self._in, 1 << 20)
        assert data, "the browser has ended"
        *messages, self._waiting = (self._waiting + data).split(b"\0")
        for message in map(json.loads, messages):
            if "id" in message:
                self._answers[message["id"]] = message
            else:
                self._note(message["method"], message.get("params", {}))

    def _note(self, event, parameters):
        if event == "Runtime.exceptionThrown":
            self.problems.append(parameters["exceptionDetails"])
        elif event == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning"):
            self.problems.append(parameters["args"])
        elif event == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            self.problems.append(parameters["entry"])
        elif event == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])

    def open(self, url):
        self.command("Page.navigate", url=url)
        self.wait(f"location.href.startsWith({json.dumps(url)}) && "
                  "document.readyState === 'complete'")

    def run(self, script):
        """The value of an expression in the page, a promise's included."""
        result = self.command("Runtime.evaluate", expression=script, returnByValue=True,
                              awaitPromise=True, userGesture=True)
        assert "exceptionDetails" not in result, f"{script}: {result['exceptionDetails']}"
        return result["result"].get("value")

    def wait(self, script):
        return wait_for(lambda: self.run(script), f"in the page: {script}")

    def text(self, selector):
        return self.run(f"document.querySelector({json.dumps(selector)}).innerText")

    def place(self, selector):
        """The middle of an element, scrolled to; fails when something else lies over it."""
        return self.run(f"""(() => {{
            const element = document.querySelector({json.dumps(selector)});
            element.scrollIntoView({{block: "center"}});
            const box = element.getBoundingClientRect();
            const x = box.x + box.width / 2, y = box.y + box.height / 2;
            const hit = document.elementFromPoint(x, y);
            if (!hit || !(element.contains(hit) || hit.contains(element)))
                throw new Error("not reachable by a click");
            return [x, y];
        }})()""")

    def click(self, selector):
        """A click of the mouse, where a user would click."""
        self.wait(f"document.querySelector({json.dumps(selector)}) !== null")
        x, y = self.place(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self.command("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left",
                         clickCount=1)

    def type(self, selector, text):
        self.click(selector)
        self.command("Input.insertText", text=text)

    def press(self, key, code):
        """A key, e.g. ("Enter", 13)."""
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.command("Input.dispatchKeyEvent", type=kind, key=key, code=key,
                         windowsVirtualKeyCode=code, **(text if kind == "keyDown" else {}))

    def resize(self, width, height, dark=False):
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=height,
                     deviceScaleFactor=1, mobile=width < 600)
        self.command("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def screenshot(self, path):
        image = self.command("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(image["data"]))
