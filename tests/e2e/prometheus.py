"""Debian's Prometheus for the tests: promtool, and a server of its own that scrapes a worker."""

import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import yaml

from harness import PATIENCE_S, wait_for

RULES = Path(__file__).resolve().parents[2] / "deploy" / "prometheus" / "bunshin.rules.yaml"


def promtool(*arguments, stdin=None):
    """Runs it to its end: (exit code, everything it printed)."""
    done = subprocess.run(["promtool", *map(str, arguments)], input=stdin, capture_output=True,
                          text=True, timeout=PATIENCE_S, check=False)
    return done.returncode, done.stdout + done.stderr


def assert_clean(exposition):
    """`promtool check metrics` has nothing to say; it says it on any of its outputs."""
    assert promtool("check", "metrics", stdin=exposition) == (0, "")


class Prometheus:
    """A running server, by its HTTP API."""

    def __init__(self, url):
        self.url = url

    def get(self, path, **parameters):
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=PATIENCE_S) as got:
            answer = json.load(got)
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression):
        """{labels: value}; labels as sorted pairs, without instance and job."""
        return {tuple(sorted((name, value) for name, value in row["metric"].items()
                             if name not in ("instance", "job"))): float(row["value"][1])
                for row in self.get("query", query=expression)["result"]}

    def targets(self):
        """The health and the last error of each."""
        return [(target["health"], target["lastError"])
                for target in self.get("targets")["activeTargets"]]


@contextmanager
def prometheus(directory, target, rules=RULES, environment=None):
    """Scrapes `target` (HOST:PORT) every second into a directory of its own; ended by its pid."""
    config, log = directory / "prometheus.yaml", directory / "prometheus.log"
    config.write_text(yaml.safe_dump({
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(rules)],
        "scrape_configs": [{"job_name": "bunshin", "static_configs": [{"targets": [target]}]}],
    }))
    with log.open("wb") as out:
        # Port 0 is free for sure, and the log says which it became.
        server = subprocess.Popen(
            ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={directory / 'tsdb'}",
             "--web.listen-address=127.0.0.1:0", "--log.format=json"],
            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=environment)
    try:
        url = wait_for(lambda: find_url(server, log), "Prometheus in its log")
        wait_for(lambda: is_ready(url), "Prometheus to be ready")
        yield Prometheus(url)
    finally:
        server.terminate()
        try:
            server.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def is_ready(url):
    try:
        with urllib.request.urlopen(url + "/-/ready", timeout=PATIENCE_S) as answer:
            return answer.status == 200
    except urllib.error.HTTPError:
        return False


def find_url(server, log):
    text = log.read_text(encoding="utf-8", errors="replace")
    assert server.poll() is None, text
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if entry.get("msg") == "Listening on" and entry.get("component") == "web":
            return "http://" + entry["address"]
    return None
