"""An instance of an Auto Scaling group, a spot instance, a task of ECS: the worker leaves when it
must, tells the group when its work is done, and is not scaled in while it has some.

The services are fakes (fake_autoscaling.py, fake_ecs.py) that verify every signature. Whatever they
do, messages are delivered and the program ends as it should.
"""

import asyncio
import signal

import botocore.config
import botocore.exceptions
import botocore.session
import pytest

from fake_autoscaling import GROUP, HOOK, INSTANCE, fakes_of_group
from fake_aws import FakeAws
from fake_ecs import EcsAgent
from fake_keys import REGION
from harness import wait_for
from world import QUEUE, make_world

DELETE = "sqs.DeleteMessageBatch"
COMPLETE = "autoscaling.CompleteLifecycleAction"
EC2 = {"notices": "ec2", "lifecycle_hook": HOOK, "protection": "ec2"}


class Gate:
    """Holds what the provider is asked for until it is opened."""

    def __init__(self, provider):
        self._provider, self._serve = provider, provider.serve
        self.held = 0
        self.is_open = False
        provider.serve = self._wait

    async def _wait(self, request):
        self.held += 1
        while not self.is_open:
            await asyncio.sleep(0.01)
        return self._serve(request)


@pytest.fixture
def world(bunshin):
    with make_world(bunshin) as made:
        made.metadata, made.group = fakes_of_group(made.aws)
        made.agent = EcsAgent(made.aws.ring.clock)
        made.aws.parts = (made.agent, *made.aws.parts)
        made.env.update(made.aws.ring.issue(user=True).environment)
        made.env["AWS_ENDPOINT_URL_AUTO_SCALING"] = made.aws.url
        made.env["ECS_AGENT_URI"] = made.aws.url + EcsAgent.PATH
        yield made
        assert made.group.verifier.failed == 0


def run(world, **instance):
    # A closed gate is no time-out, however slow the machine is, and no provider in trouble.
    process = world.run(instance=instance, destination={"timeout": "10m", "adaptive": False})
    wait_for(lambda: world.ready(process)[0] == 200, "readiness")
    return process


def seen(world, action):
    return world.aws.stats.seen(action)


def actions(world, *names):
    """Of all requests so far, those of these names, in order."""
    return [request.action for request in seen(world, "*") if request.action in names]


def assert_drained(world, process, bodies):
    """It ended well, and everything that it had taken was delivered and deleted."""
    assert process.wait() == 0, process.describe()
    assert sorted(world.provider.bodies) == sorted(bodies)
    assert world.aws.counts(QUEUE) == (0, 0, 0)


# The fakes, against a client that is not ours.


def test_fake_autoscaling():
    with FakeAws() as aws:
        metadata, group = fakes_of_group(aws)
        keys = aws.ring.issue(3600)
        client = botocore.session.Session().create_client(
            "autoscaling", region_name=REGION, endpoint_url=aws.url,
            config=botocore.config.Config(retries={"max_attempts": 0}),
            aws_access_key_id=keys.access_key, aws_secret_access_key=keys.secret,
            aws_session_token=keys.token)
        client.set_instance_protection(InstanceIds=[INSTANCE], AutoScalingGroupName=GROUP,
                                       ProtectedFromScaleIn=True)
        assert group.protected and group.changes == [True]
        hook = {"LifecycleHookName": HOOK, "AutoScalingGroupName": GROUP, "InstanceId": INSTANCE}
        with pytest.raises(botocore.exceptions.ClientError, match="No active Lifecycle Action"):
            client.record_lifecycle_action_heartbeat(**hook)
        group.terminate()
        assert metadata.lifecycle == "Terminated"
        client.record_lifecycle_action_heartbeat(**hook)
        client.complete_lifecycle_action(**hook, LifecycleActionResult="CONTINUE")
        assert (group.heartbeats, group.completed, group.waiting) == (1, 1, False)
        with pytest.raises(botocore.exceptions.ClientError, match="is not in InService"):
            client.set_instance_protection(InstanceIds=[INSTANCE], AutoScalingGroupName=GROUP,
                                           ProtectedFromScaleIn=False)


# The end of the instance.


def test_scale_in_drains_and_completes_the_hook(world):
    gate = Gate(world.provider)
    process = run(world, **EC2)
    bodies = [f"m{number}" for number in range(20)]
    world.aws.send(QUEUE, bodies)
    wait_for(lambda: gate.held == len(bodies), "all messages in flight")
    world.group.terminate()
    wait_for(lambda: "terminating this instance" in process.err(), "the notice in the log")
    assert world.group.completed == 0 and process.exit is None
    gate.is_open = True
    assert_drained(world, process, bodies)
    assert world.group.completed == 1
    # The group may take the instance away at once: nothing may be left to do.
    assert actions(world, DELETE, COMPLETE)[-2:] == [DELETE, COMPLETE]


def test_spot_interruption_drains(world):
    world.metadata.lifecycle = world.metadata.group = None  # in no group
    gate = Gate(world.provider)
    process = run(world, notices="ec2")
    world.aws.send(QUEUE, ["a", "b"])
    wait_for(lambda: gate.held == 2, "both messages in flight")
    world.metadata.interrupt()
    wait_for(lambda: "spot instance will be terminated" in process.err(), "the notice")
    gate.is_open = True
    assert_drained(world, process, ["a", "b"])
    assert not seen(world, "autoscaling.*")


@pytest.mark.parametrize("fault", [
    {"status": 500}, {"status": 403}, {"status": 404}, {"status": 429}, {"status": 200},
    {"end": "silence"}, {"end": "reset"}, {"end": "half"},
], ids=lambda fault: "-".join(str(value) for value in fault.values()))
def test_metadata_that_fails_does_nothing(world, fault):
    process = run(world, notices="ec2")
    world.deliver("before")
    world.metadata.interrupt("terminate", "soon")  # garbage, where it arrives at all
    failing = world.aws.fail("imds.*", **fault)
    wait_for(lambda: failing.hits >= 3, "the fault")
    world.deliver("during")
    assert process.exit is None
    world.aws.heal()
    world.metadata.spot = None
    world.deliver("after")
    assert process.terminate() == 0
    assert sorted(world.provider.bodies) == ["after", "before", "during"]


def test_stopped_by_its_operator_completes_nothing(world):
    process = run(world, **EC2)
    world.deliver("a")
    assert process.terminate() == 0
    assert world.group.completed == 0 and not seen(world, COMPLETE)


def test_restarted_while_the_group_waits(world):
    """As after a crash in the middle of a drain: the next process ends it."""
    gate = Gate(world.provider)
    process = run(world, **EC2)
    world.aws.send(QUEUE, ["a"])
    wait_for(lambda: gate.held == 1, "the message in flight")
    world.group.terminate()
    process.kill()
    gate.is_open = True
    assert world.run(instance=EC2).wait() == 0
    assert world.group.completed == 1


@pytest.mark.parametrize("fault", [
    {"status": 403, "code": "AccessDenied"}, {"status": 500, "code": "InternalFailure"},
    {"status": 400, "code": "Throttling"}, {"status": 200}, {"end": "silence"}, {"end": "reset"},
], ids=lambda fault: "-".join(str(value) for value in fault.values()))
def test_a_hook_that_cannot_be_completed_ends_it_all_the_same(world, fault):
    process = run(world, **EC2)
    world.deliver("a")
    world.aws.fail("autoscaling.*", **fault)
    world.group.terminate()
    assert_drained(world, process, ["a"])
    assert world.group.completed == 0
    assert "lifecycle hook" in process.err()


# Scale-in protection.


def test_protected_while_busy(world):
    gate = Gate(world.provider)
    process = run(world, protection="ec2")
    world.aws.send(QUEUE, ["a"])
    wait_for(lambda: world.group.protected, "protection")
    gate.is_open = True
    wait_for(lambda: not world.group.protected, "a minute without work")
    assert world.group.changes == [True, False]
    assert process.terminate() == 0


def test_let_go_when_drained(world):
    gate = Gate(world.provider)
    process = run(world, protection="ec2")
    world.aws.send(QUEUE, ["a"])
    wait_for(lambda: world.group.protected, "protection")
    process.signal(signal.SIGTERM)
    gate.is_open = True
    assert_drained(world, process, ["a"])
    assert world.group.changes == [True, False]


@pytest.mark.parametrize("fault", [
    {"status": 403, "code": "AccessDenied"}, {"status": 500, "code": "ResourceContention"},
    {"status": 400, "code": "Throttling"}, {"status": 200}, {"end": "silence"}, {"end": "reset"},
], ids=lambda fault: "-".join(str(value) for value in fault.values()))
def test_protection_that_fails_stops_nothing(world, fault):
    failing = world.aws.fail("autoscaling.*", **fault)
    process = run(world, protection="ec2")
    gate = Gate(world.provider)
    world.aws.send(QUEUE, ["a"])
    wait_for(lambda: failing.hits >= 1, "the fault")
    gate.is_open = True
    world.deliver("b")
    assert process.terminate() == 0
    assert sorted(world.provider.bodies) == ["a", "b"]


def test_group_that_is_not_known(world):
    world.metadata.group = None
    Gate(world.provider).is_open = True
    process = run(world, protection="ec2")
    world.deliver("a")
    wait_for(lambda: "instance.autoscaling_group" in process.err(), "what to do about it")
    assert process.terminate() == 0


def test_task_of_ecs(world):
    gate = Gate(world.provider)
    process = run(world, protection="ecs")
    world.aws.send(QUEUE, ["a"])
    wait_for(lambda: world.agent.protected, "protection")
    assert world.agent.changes == [(True, 60)]
    process.signal(signal.SIGTERM)
    gate.is_open = True
    assert_drained(world, process, ["a"])
    assert world.agent.changes == [(True, 60), (False, None)]
    assert not seen(world, "autoscaling.*")


@pytest.mark.parametrize("fault", [
    {"status": 403, "code": "AccessDeniedException"}, {"status": 500, "code": "ServerException"},
    {"status": 429, "code": "ThrottlingException"}, {"status": 200}, {"end": "silence"},
    {"end": "reset"}, {"end": "half"}, None,
], ids=lambda fault: "-".join(str(value) for value in fault.values()) if fault else "no-service")
def test_agent_that_fails_stops_nothing(world, fault):
    world.agent.service = fault is not None
    if fault:
        world.aws.fail("ecs.*", **fault)
    gate = Gate(world.provider)
    process = run(world, protection="ecs")
    world.aws.send(QUEUE, ["a"])
    wait_for(lambda: seen(world, "ecs.protection"), "a request to the agent")
    gate.is_open = True
    world.deliver("b")
    assert process.terminate() == 0
    assert not world.agent.protected


def test_task_without_an_agent(world):
    result = world.bunshin.run("run", "-c", world.config(instance={"protection": "ecs"}),
                               env={**world.env, "ECS_AGENT_URI": None})
    assert result.exit != 0
    assert "ECS_AGENT_URI" in result.err
