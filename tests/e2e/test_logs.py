"""What operators read in the log of `bunshin run`: a line a failure, sampled, without secrets."""

import base64

import pytest

from fake_http import Answer, FakeServer, Part
from harness import wait_for
from world import QUEUE, make_world

LEFT_OUT = "more like those before, left out"
TOKEN = "t0p/secret+of=mine"


class Echo(Part):
    """Refuses everything, with what it was told and who asked in the answer."""

    def claims(self, request):
        return True

    def action(self, request):
        return "provider"

    def serve(self, request):
        header = request.headers["authorization"]
        key = base64.b64encode(b"not of the configuration").decode()
        text = ('{"error":"no such user","to":"tanaka.taro@example.com","phone":"+819012345678",'
                f'"got":"{header}","escaped":"{header.replace("/", chr(92) + "/")}",'
                f'"api_key":"{key}"}}')
        return Answer(422, text.encode(), "application/json",
                      headers={"X-Correlation-Id": "corr-77"})


def failures(worker):
    return [line for line in worker.log() if line.get("event") == "failed"]


@pytest.mark.parametrize("workers", [1, 2])
def test_thousands_alike(bunshin, workers):
    """Few lines; they and what they say was left out are all there were, whichever worker failed."""
    count = 3000
    sqs, sink = bunshin.queue("--memory").sqs(), bunshin.sink("--fail", "100", "--status", "400")
    url, failed = sqs.create_queue(QUEUE), sqs.create_queue("failed")
    sqs.send(url, (str(number) for number in range(count)))
    path = bunshin.config(url, sink.url, workers=workers, log={"format": "json"},
                          queue={"wait": "1s", "failure_url": failed})
    worker = bunshin.start("run", "-c", path, "--exit-when-empty")
    assert worker.wait() == 0
    assert sqs.counts(failed)[0] == count
    lines = failures(worker)
    events = [line for line in lines if line["message"] != LEFT_OUT]
    assert len(events) + sum(line.get("left_out", 0) for line in lines) == count
    assert 10 <= len(lines) <= workers * 40
    for line in events:
        assert (line["destination"], line["status"], line["class"], line["attempt"]) == (
            "sink", 400, "permanent", 1)
        assert line["message_id"] and line["reason"]
    assert len({line["message_id"] for line in events}) == len(events)


def test_no_secret_of_the_request_in_an_answer(bunshin):
    with FakeServer(Echo()) as provider:
        sqs = bunshin.queue("--memory").sqs()
        url, failed = sqs.create_queue(QUEUE), sqs.create_queue("failed")
        sqs.send(url, ["hello"], {"Campaign": "morning"})
        path = bunshin.config(url, provider.url, log={"format": "json", "level": "debug"},
                              request={"headers": {"Authorization": "Bearer ${TOKEN}"}},
                              queue={"wait": "1s", "failure_url": failed})
        worker = bunshin.start("run", "-c", path, "--exit-when-empty", env={"TOKEN": TOKEN})
        assert worker.wait() == 0
    [line] = failures(worker)
    assert line["answer"] == (
        '{"error":"no such user","to":"t***@example.com","phone":"+81***78",'
        '"got":"[redacted]","escaped":"[redacted]","api_key":"[redacted]"}')
    assert (line["campaign"], line["status"], line["provider_request_id"]) == (
        "morning", 422, "corr-77")
    assert TOKEN not in worker.err() and "tanaka" not in worker.err()


def test_request_id_of_sqs(bunshin):
    with make_world(bunshin) as world:
        worker = world.run(world.aws.ring.issue().environment)
        world.deliver("before")
        world.aws.fail("sqs.ReceiveMessage", status=403, code="AccessDenied", times=1)
        line = wait_for(lambda: next((line for line in worker.log()
                                      if line.get("event") == "queue_failed"), None), "the line")
        assert line["operation"] == "receive" and line["class"] == "auth"
        assert f", request id {line['sqs_request_id']}" in line["reason"]
        world.deliver("after")
        assert worker.terminate() == 0
