"""The JavaScript consumer library sqs-consumer drains an embedded queue; see consumer.mjs."""

import json
import subprocess
from pathlib import Path

import pytest

from clients import find_node
from harness import PATIENCE_S

COUNT = 300
PROGRAM = Path(__file__).with_name("consumer.mjs")


@pytest.mark.parametrize("mode", ["one", "batch"])
def test_sqs_consumer_drains_a_queue(bunshin, clients, mode):
    """Each message is handled once; those that failed come once more and are handled then."""
    client = clients.make("javascript", bunshin.queue().url)
    url = client.create()
    bodies = [f"message {number} é <&>" for number in range(COUNT)]
    for start in range(0, COUNT, 10):
        client.send_batch(url, *bodies[start:start + 10])
    done = subprocess.run([find_node(), PROGRAM, url, mode, str(COUNT)], capture_output=True,
                          text=True, timeout=PATIENCE_S,
                          env={**bunshin.environment, "NODE_NO_WARNINGS": "1"})
    assert (done.returncode, done.stderr) == (0, "")
    said = json.loads(done.stdout)
    assert sorted(said["handled"]) == sorted(bodies)
    assert said["failed"] == COUNT // 3
    assert said["receiveCounts"] == {"1": COUNT - COUNT // 3, "2": COUNT // 3}
    assert client.counts(url) == (0, 0, 0)
