"""`bunshin run` on a FIFO queue: order within a group, whatever fails, and SQS's quota of calls."""

from collections import Counter, defaultdict

import pytest

from fake_http import Answer
from harness import wait_for
from world import make_world

FIFO = "morning.fifo"


@pytest.fixture
def world(bunshin):
    with make_world(bunshin) as made:
        made.aws.sqs.create(FIFO, visibility_s=300, content_based=True)
        yield made


def run(world, **sections):
    sections["queue"] = {"url": world.aws.queue_url(FIFO), **sections.pop("queue", {})}
    return world.run(world.aws.ring.issue().environment, **sections)


def send(world, groups, each):
    """Interleaved, as a producer would; bodies are "GROUP NUMBER"."""
    for number in range(each):
        for group in range(groups):
            world.aws.send(FIFO, [f"{group} {number}"], group=f"group-{group}")


def order_of(bodies):
    numbers = defaultdict(list)
    for body in bodies:
        group, number = body.split()
        numbers[group].append(int(number))
    return numbers


def all_deleted(world):
    wait_for(lambda: world.aws.counts(FIFO) == (0, 0, 0), "all deleted")


def test_order_over_failures(world):
    """Each fifth message is refused at first: its group waits, the others go on."""
    attempts = Counter()
    accept = world.provider.serve

    def serve(request):
        body = request.body.decode()
        attempts[body] += 1
        if attempts[body] == 1 and int(body.split()[1]) % 5 == 2:
            return Answer(500, b"{}", "application/json")
        return accept(request)

    world.provider.serve = serve
    send(world, groups=8, each=12)
    worker = run(world, retry={"base": "100ms", "cap": "1s"})
    all_deleted(world)
    assert order_of(world.provider.bodies) == {str(group): list(range(12)) for group in range(8)}
    assert sum(attempts.values()) == 8 * 12 + 8 * 2
    assert worker.terminate() == 0


@pytest.mark.parametrize("times", [1, 3], ids=["one request", "a whole call"])
def test_answer_of_a_receive_is_lost(world, times):
    """Handed out and lost, the same messages are asked for again, not after 300 s."""
    fault = world.aws.fail("sqs.ReceiveMessage", times=times, end="close", done=True)
    send(world, groups=3, each=3)
    worker = run(world)
    all_deleted(world)
    assert fault.hits == times
    assert order_of(world.provider.bodies) == {str(group): [0, 1, 2] for group in range(3)}
    assert worker.terminate() == 0


def test_quota_of_calls(world):
    """2,500 messages a second are fewer than 300 calls a second of each kind."""
    world.aws.sqs.fifo_calls = 300
    send(world, groups=500, each=6)
    worker = run(world, destination={"rate": "2500/s", "concurrency": 500})
    all_deleted(world)
    assert all(numbers == list(range(6)) for numbers in order_of(world.provider.bodies).values())
    assert len(world.provider.bodies) == 3000
    assert world.aws.stats.errors["RequestThrottled"] == 0
    assert worker.terminate() == 0
