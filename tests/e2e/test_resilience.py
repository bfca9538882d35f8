"""`bunshin run` when SQS, the network or the clock misbehaves: it waits, says so, and goes on."""

import time

import pytest

from fake_http import PHASES
from fake_tls import Proxy, make_authority
from harness import wait_for
from world import QUEUE, make_world

SQS_HOST = "sqs.us-east-1.amazonaws.com"


@pytest.fixture
def world(bunshin):
    with make_world(bunshin) as made:
        yield made
        assert made.aws.sqs.verifier.failed == 0


def keys_env(world):
    return world.aws.ring.issue().environment


def receives(world):
    return world.aws.stats.requests["sqs.ReceiveMessage"]


@pytest.mark.parametrize("phase", PHASES)
def test_polling_resumes_after_a_freeze(world, phase):
    """What was under way never gets an answer, new connections do; nothing is lost."""
    worker = world.run(keys_env(world))
    world.deliver("before")
    world.aws.freeze(phase)
    world.aws.send(QUEUE, ["meanwhile"])
    time.sleep(2)  # longer than one poll waits: every connection is held now
    world.aws.thaw()
    world.deliver("after", "meanwhile")
    assert worker.terminate() == 0


@pytest.mark.parametrize("configured, expected", [(None, 10), ("33s", 33)])
def test_visibility_of_the_queue(world, configured, expected):
    """The queue's own, unless the configuration says otherwise."""
    sections = {"queue": {"visibility": configured}} if configured else {}
    worker = world.run(keys_env(world), **sections)
    world.deliver("one")
    asked = [line for line in worker.log() if line["message"] == "the queue was asked"]
    assert [line["visibility_s"] for line in asked] == [expected]
    assert worker.terminate() == 0


def test_visibility_that_may_not_be_read(world):
    world.aws.fail("sqs.GetQueueAttributes", status=403, code="AccessDenied")
    worker = world.run(keys_env(world))
    world.deliver("one")
    line = next(line for line in worker.log() if line["level"] == "warn"
                and "attributes cannot be read" in line["message"])
    assert (line["visibility_s"], "sqs:GetQueueAttributes" in line["reason"]) == (60, True)
    assert worker.terminate() == 0


def test_throttling(world):
    """It goes on by itself, and nothing is lost."""
    worker = world.run(keys_env(world))
    fault = world.aws.fail("sqs.*", status=403, code="RequestThrottled", times=10)
    world.aws.send(QUEUE, [f"message {number}" for number in range(100)])
    wait_for(lambda: fault.hits == 10, "the throttling to end")
    world.deliver("after")
    wait_for(lambda: world.aws.counts(QUEUE) == (0, 0, 0), "all deleted")
    assert len(set(world.provider.bodies)) == 101
    assert worker.terminate() == 0


def test_a_storm_of_throttling_is_not_answered_by_one(world):
    worker = world.run(keys_env(world))
    world.deliver("before")
    before = sum(world.aws.stats.requests.values())
    fault = world.aws.fail("sqs.*", status=403, code="RequestThrottled")
    time.sleep(10)
    assert sum(world.aws.stats.requests.values()) - before < 100
    world.aws.heal(fault)
    world.deliver("after")
    assert worker.terminate() == 0


@pytest.mark.parametrize("skew_s", [-600, 600])
def test_clock_that_is_ten_minutes_off(bunshin, skew_s):
    """Signed by SQS's clock once that is known."""
    with make_world(bunshin, skew_s=skew_s) as world:
        worker = world.run(keys_env(world))
        world.deliver(*(f"message {number}" for number in range(50)))
        failed = world.aws.sqs.verifier.failed
        assert failed <= 5, "only what was signed before the first answer"
        world.deliver("later")
        assert world.aws.sqs.verifier.failed == failed
        assert "clock" in worker.err()
        assert worker.terminate() == 0


def test_reset_of_kept_alive_connections(world):
    worker = world.run(keys_env(world))
    world.deliver("before")
    for number in range(5):
        world.aws.reset_idle()
        world.aws.reset_reused = 2
        world.deliver(f"message {number}")
    wait_for(lambda: world.aws.counts(QUEUE) == (0, 0, 0), "all deleted")
    assert len(world.provider.bodies) == 6, "none twice"
    assert worker.terminate() == 0


def test_deletes_denied_from_the_start(world):
    """Said before anything is sent, or after the first: never a storm of the same messages."""
    world.aws.fail("sqs.DeleteMessage*", status=403, code="AccessDenied",
                   message="not authorized to perform: sqs:deletemessage")
    world.aws.send(QUEUE, [f"message {number}" for number in range(200)])
    worker = world.run(keys_env(world))
    assert worker.wait() == 1
    assert "DeleteMessage" in worker.err() and "AccessDenied" in worker.err()
    assert len(world.provider.bodies) == len(set(world.provider.bodies))


def test_deletes_denied_later(world):
    """/readyz says so; what was accepted is not sent again, and sending stops."""
    worker = world.run(keys_env(world))
    world.deliver("before")
    wait_for(lambda: world.aws.counts(QUEUE) == (0, 0, 0), "deleted")
    fault = world.aws.fail("sqs.DeleteMessage*", status=403, code="AccessDenied")
    # What was received before the first denial is sent: seconds' worth would be all of them.
    world.aws.send(QUEUE, [f"message {number}" for number in range(5000)])
    wait_for(lambda: world.ready(worker)[0] == 503, "/readyz is not ready")
    assert "DeleteMessage" in world.ready(worker)[1]
    time.sleep(5)  # receives have pauses that grow
    assert len(world.provider.bodies) <= 2500, "no storm of sends"
    world.aws.heal(fault)
    wait_for(lambda: world.aws.counts(QUEUE) == (0, 0, 0), "everything is deleted")
    wait_for(lambda: world.ready(worker)[0] == 200, "ready again")
    assert len(set(world.provider.bodies)) == len(world.provider.bodies) == 5001, "none twice"
    assert worker.terminate() == 0


def test_idle_cost(world):
    """An empty queue costs at most four requests a minute."""
    worker = world.run(keys_env(world), queue={"wait": "20s"})
    wait_for(lambda: receives(world) >= 1, "the first poll")
    before = sum(world.aws.stats.requests.values())
    time.sleep(65)
    assert sum(world.aws.stats.requests.values()) - before <= 4
    assert worker.terminate() == 0


def test_120000_in_flight_is_an_alarm(world):
    """SQS gives nothing more then, and says nothing to a long poll."""
    world.aws.sqs.in_flight = 120000
    world.aws.send(QUEUE, ["stuck"])
    worker = world.run(keys_env(world))
    wait_for(lambda: "in flight" in world.ready(worker)[1], "/readyz speaks of it")
    assert any("in flight" in line["message"] and line["level"] in ("warn", "error")
               for line in worker.log())
    assert world.metric(worker, "bunshin_queue_in_flight_limit_reached") == 1
    world.aws.sqs.in_flight = None
    world.deliver("stuck")
    wait_for(lambda: "in flight" not in world.ready(worker)[1], "the end of the alarm")
    assert worker.terminate() == 0


@pytest.fixture
def tls_world(bunshin):
    """SQS with its own name, by a certificate that only ca.pem vouches for; and a proxy to it."""
    ca, context = make_authority(bunshin.directory, SQS_HOST, "localhost")
    with make_world(bunshin, tls=context) as world, \
            Proxy(("127.0.0.1", world.aws.port)) as proxy:
        world.ca, world.proxy = ca, proxy
        yield world


def test_ca_bundle(tls_world):
    env = {**keys_env(tls_world), "AWS_CA_BUNDLE": str(tls_world.ca)}
    worker = tls_world.run(env)
    tls_world.deliver("over TLS")
    assert worker.terminate() == 0
    assert tls_world.proxy.asked == []


def test_unknown_authority(tls_world):
    worker = tls_world.run(keys_env(tls_world))
    wait_for(lambda: "certificate" in worker.err(), "the reason in the log")
    assert not tls_world.aws.stats.requests
    assert worker.terminate() == 0


def test_proxy(tls_world):
    """SQS goes through HTTPS_PROXY, to its own name; the metadata service and loopback never do."""
    world = tls_world
    url = f"https://{SQS_HOST}/123456789012/{QUEUE}"
    env = {"AWS_CA_BUNDLE": str(world.ca), "HTTPS_PROXY": world.proxy.url,
           "http_proxy": world.proxy.url, "ALL_PROXY": world.proxy.url}
    with make_world(world.bunshin) as metadata:
        env["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = metadata.aws.url
        keys = metadata.aws.source.current()
        world.aws.call(world.aws.ring.adopt, keys)
        worker = world.run(env, queue={"url": url})
        world.deliver("through the proxy")
        assert worker.terminate() == 0
        assert metadata.aws.stats.requests["imds.role"] >= 1
    assert world.proxy.asked and set(world.proxy.asked) == {f"CONNECT {SQS_HOST}:443 HTTP/1.1"}


def test_no_proxy(tls_world):
    """What NO_PROXY names goes there directly: here, to where nobody is."""
    world = tls_world
    world.aws.stop()
    env = {**keys_env(world), "AWS_CA_BUNDLE": str(world.ca), "HTTPS_PROXY": world.proxy.url,
           "NO_PROXY": "example.com,.invalid"}
    url = f"https://sqs.us-east-1.invalid/123456789012/{QUEUE}"
    worker = world.run(env, queue={"url": url})
    wait_for(lambda: "sqs.us-east-1.invalid" in worker.err() or "resolve" in worker.err(),
             "the failure in the log")
    assert worker.terminate() == 0
    assert world.proxy.asked == []
