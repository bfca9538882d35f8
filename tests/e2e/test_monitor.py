"""What a host needs one of: embedded metrics, the backlog, the instance's end and protection."""

import http.server
import json
import signal
import threading

import pytest

from fake_aws import FakeAws
from fake_keys import iso8601
from harness import ADMIN, wait_for

WORKERS = [1, 3]
VALUES = ["Workers", "Busy", "Slots", "Accepted", "Failed", "Backlog", "InFlight",
          "BacklogPerWorker"]


@pytest.fixture
def aws():
    with FakeAws() as fake:
        fake.sqs.create("morning")
        yield fake


def bodies(count):
    return [f"message {number}" for number in range(count)]


def lines(process):
    """The embedded metrics so far; anything else on stdout is left out."""
    return [json.loads(line) for line in process.out().splitlines() if '"_aws"' in line]


def requests(aws, action):
    return aws.stats.requests[action]


def start(bunshin, aws, sink, *arguments, env=None, **sections):
    path = bunshin.config(aws.queue_url("morning"), sink.url, admin=ADMIN,
                          queue={"wait": "1s"}, ledger={"path": None}, **sections)
    environment = {**aws.ring.issue(user=True).environment, **(env or {})}
    return bunshin.start("run", "-c", path, *arguments, env=environment)


def receiving(process, workers=1):
    wait_for(lambda: sum(line["message"] == "receiving" for line in process.log()) >= workers,
             "receives")


def logged(process, message):
    return [line for line in process.log() if line["message"] == message]


@pytest.mark.parametrize("workers", WORKERS)
def test_embedded_metrics(bunshin, aws, workers):
    """A line each ten seconds, and one at the end, so that the sums are whole."""
    sink = bunshin.sink()
    process = start(bunshin, aws, sink, workers=workers,
                    metrics={"emf": "10s", "namespace": "Mornings"})
    receiving(process, workers)
    aws.send("morning", bodies(200))
    wait_for(lambda: len(lines(process)) >= 2, "two lines")
    assert process.terminate() == 0
    found = lines(process)
    for line in found:
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == "Mornings"
        assert directive["Dimensions"] == [["Queue"]]
        names = [metric["Name"] for metric in directive["Metrics"]]
        assert {metric["Unit"] for metric in directive["Metrics"]} == {"Count"}
        assert set(line) == {"_aws", "Queue", *names}
        assert line["Queue"] == "morning"
        assert names == VALUES, "the backlog is known from the first second on"
    assert [line["_aws"]["Timestamp"] for line in found] == sorted(
        line["_aws"]["Timestamp"] for line in found)
    assert sum(line["Accepted"] for line in found) == 200
    assert sum(line["Failed"] for line in found) == 0
    assert found[0]["Workers"] == workers
    assert found[0]["Slots"] > 0


def test_embedded_metrics_before_the_result(bunshin, aws):
    """A script that reads the result finds it on the last line."""
    aws.send("morning", bodies(20))
    process = start(bunshin, aws, bunshin.sink(), "--exit-when-empty", "--json",
                    metrics={"emf": "1h"})
    assert process.wait() == 0
    first, last = [json.loads(line) for line in process.out().splitlines()]
    assert first["Accepted"] == last["accepted"] == 20


def test_backlog_that_may_not_be_read(bunshin, aws):
    """Left out of the line, which says what is known; told of once."""
    aws.fail("sqs.GetQueueAttributes", status=403, code="AccessDenied")
    process = start(bunshin, aws, bunshin.sink(), metrics={"emf": "10s"})
    receiving(process)
    wait_for(lambda: lines(process), "a line")
    (line,) = lines(process)
    assert set(line) == {"_aws", "Queue", *VALUES[:5]}
    assert len(logged(process, "the backlog is not known: the queue does not say")) == 1
    assert "bunshin_queue_backlog" not in process.admin("/metrics")[2]
    assert process.terminate() == 0


def test_nobody_asks_for_nothing(bunshin, aws):
    """With a fixed number of workers, the monitor makes no request of its own."""
    process = start(bunshin, aws, bunshin.sink(), workers=2)
    receiving(process, 2)
    wait_for(lambda: requests(aws, "sqs.ReceiveMessage") > 6, "seconds to pass")
    # Of each worker: at the start, and after the first empty receive.
    assert requests(aws, "sqs.GetQueueAttributes") <= 4
    assert "bunshin_queue_backlog" not in process.admin("/metrics")[2]
    assert process.terminate() == 0


def test_growing_workers_ask(bunshin, aws):
    process = start(bunshin, aws, bunshin.sink(), workers={"min": 1, "max": 2})
    receiving(process)
    wait_for(lambda: 'bunshin_queue_backlog{state="visible"} 0\n' in process.admin("/metrics")[2],
             "the backlog")
    assert process.terminate() == 0


@pytest.mark.parametrize("workers", WORKERS)
def test_spot_interruption(bunshin, aws, workers):
    """It drains as for SIGTERM, and ends."""
    process = start(bunshin, aws, bunshin.sink(), workers=workers, instance={"notices": "ec2"},
                    env={"AWS_EC2_METADATA_DISABLED": None,
                         "AWS_EC2_METADATA_SERVICE_ENDPOINT": aws.url})
    receiving(process, workers)
    assert not logged(process, "stopping: the instance is going to end")
    aws.imds.more["/latest/meta-data/spot/instance-action"] = json.dumps(
        {"action": "terminate", "time": iso8601(aws.ring.clock.now() + 120)})
    assert process.wait() == 0
    (line,) = logged(process, "stopping: the instance is going to end")
    assert "spot" in line["reason"].lower()
    assert logged(process, "stopped")


class Agent:
    """The ECS agent's endpoint for task protection."""

    def __init__(self):
        self.wishes = []
        agent = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_PUT(self):
                wish = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                agent.wishes.append(wish["ProtectionEnabled"])
                body = json.dumps({"protection": {
                    "ProtectionEnabled": wish["ProtectionEnabled"], "TaskArn": "arn"}}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/api/task"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._server.shutdown()
        self._server.server_close()


@pytest.mark.parametrize("workers", WORKERS)
def test_protection_while_busy(bunshin, aws, workers):
    """Held while there is work, let go at the end, when all have drained; not by a reload."""
    sink = bunshin.sink("--never")
    with Agent() as agent:
        process = start(bunshin, aws, sink, workers=workers, instance={"protection": "ecs"},
                        destination={"timeout": "10m"}, drain={"grace": "1s"},
                        env={"ECS_AGENT_URI": agent.url})
        receiving(process, workers)
        aws.send("morning", bodies(30))
        wait_for(lambda: agent.wishes[-1:] == [True], "protection")
        before = len(logged(process, "admin port"))
        process.signal(signal.SIGHUP)
        wait_for(lambda: logged(process, "reloaded"), "the reload")
        wait_for(lambda: len(logged(process, "admin port")) > before, "the next monitor")
        assert False not in agent.wishes, "there is work still"
        assert process.terminate() == 0
        assert agent.wishes[-1] is False
