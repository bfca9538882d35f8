"""/_health of the embedded queue while its files cannot grow, and afterwards."""

import resource

from harness import QueueServer, wait_for
from sqs_json import Client

IGNORING_XFSZ = "trap '' XFSZ; exec \"$0\" \"$@\""


def start(bunshin, directory):
    """A queue that gets an error, not a signal, for what its file size limit forbids."""
    server = QueueServer(["sh", "-c", IGNORING_XFSZ, bunshin.binary, "queue", "--listen",
                          "127.0.0.1:0", "--data", directory], bunshin.environment,
                         bunshin.directory, bunshin.directory / "queue")
    bunshin.processes.append(server)
    return server.wait_until_listening()


def test_a_store_that_cannot_write(bunshin, tmp_path):
    server = start(bunshin, tmp_path / "data")
    sqs = Client(server.url)
    url = sqs.create("morning")
    sqs.send(url, "kept")
    assert sqs.get("/_health").status == 200

    _, hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (4096, hard))
    answer = wait_for(lambda: next((a for a in [sqs.raw("SendMessage", {
        "QueueUrl": url, "MessageBody": "x" * 100_000})] if a.status != 200), None), "a failure")
    assert answer.status == 500
    health = sqs.get("/_health")
    assert health.status == 503
    assert health.json["status"] == "failing" and health.json["reason"]
    assert health.json["since"] > 1_700_000_000_000
    # Reading works, and does not make it well.
    assert sqs.counts(url)[0] >= 1
    assert sqs.get("/_health").status == 503
    wait_for(lambda: "the database fails" in server.err(), "the log line")

    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (hard, hard))
    # Nobody sends anything: the queue finds out by itself.
    wait_for(lambda: sqs.get("/_health").status == 200, "health to come back")
    assert sqs.get("/_health").json == {"status": "ok"}
    wait_for(lambda: "the database works again" in server.err(), "the log line")
    sqs.send(url, "works again")
    bodies = {m["Body"] for m in sqs.receive(url)}
    assert {"kept", "works again"} <= bodies
