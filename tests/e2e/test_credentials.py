"""Where the program finds AWS credentials, how it keeps them fresh, and that it never shows them.

The services are fakes (fake_aws.py) that verify every signature. What a test calls "used" are the
keys of requests that SQS accepted, as SQS saw them.
"""

import json
import stat
import sys

import pytest

import namespace
import rotation
from fake_keys import ACCOUNT, REGION
from harness import PATIENCE_S, refusing_socket, wait_for
from world import make_world

SLOW = PATIENCE_S > 120  # the environment says that the machine is slow


@pytest.fixture
def world(bunshin):
    with make_world(bunshin) as made:
        yield made
        assert made.aws.sqs.verifier.failed == 0 and made.aws.sts.verifier.failed == 0


def profile_keys(keys):
    lines = [f"{name.lower()} = {value}" for name, value in keys.environment.items()]
    return "\n".join(lines) + "\n"


def user(world, name):
    return world.aws.ring.issue(user=True, arn=f"arn:aws:iam::{ACCOUNT}:user/{name}")


def session(role):
    """How the ARN of a session in that role begins."""
    return f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/"


# Where keys are found.


def test_environment(world):
    keys = world.aws.ring.issue(3600, arn=session("laptop") + "me")
    found = world.probe(keys.environment)["credentials"]
    assert (found["source"], found["expires"]) == ("environment", None)
    assert found["sts"] == {"account": ACCOUNT, "arn": keys.arn}
    assert world.used() == {keys.arn}


def test_profile_keys(world):
    keys, other = user(world, "ann"), user(world, "default")
    world.write_profiles(credentials=f"[default]\n{profile_keys(other)}\n"
                         f"[work]\n{profile_keys(keys)}")
    assert world.source_of({"AWS_PROFILE": "work"}) == "profile"
    assert world.used() == {keys.arn}
    assert world.source_of() == "profile"
    assert world.used() == {keys.arn, other.arn}


def test_profile_role_with_source_profile(world):
    base = user(world, "base")
    role = world.aws.sts.add_role("sender", trusts=[base.arn], external_id="outside")
    world.write_profiles(f"[profile work]\nrole_arn = {role.arn}\nsource_profile = base\n"
                         "external_id = outside\nrole_session_name = morning\n"
                         "duration_seconds = 900\n", f"[base]\n{profile_keys(base)}")
    found = world.probe({"AWS_PROFILE": "work"})["credentials"]
    assert found["account"] == ACCOUNT and found["expires"]
    assert world.aws.sts.assumed == [(role.arn, base.arn, "morning")]
    assert world.used() == {session("sender") + "morning"}


def test_profile_role_chain(world):
    base = user(world, "base")
    first = world.aws.sts.add_role("first", trusts=[base.arn])
    second = world.aws.sts.add_role("second", trusts=[session("first") + "one"])
    third = world.aws.sts.add_role("third", trusts=[session("second") + "two"])
    world.write_profiles(
        f"[profile c]\nrole_arn = {third.arn}\nsource_profile = b\nrole_session_name = three\n"
        f"[profile b]\nrole_arn = {second.arn}\nsource_profile = a\nrole_session_name = two\n"
        f"[profile a]\nrole_arn = {first.arn}\nsource_profile = base\nrole_session_name = one\n",
        f"[base]\n{profile_keys(base)}")
    world.probe({"AWS_PROFILE": "c"})
    assert [arn for arn, _, _ in world.aws.sts.assumed] == [first.arn, second.arn, third.arn]
    assert world.used() == {session("third") + "three"}


def test_profile_role_loop_is_named(world):
    role = world.aws.sts.add_role("loop")
    world.write_profiles(f"[profile a]\nrole_arn = {role.arn}\nsource_profile = b\n"
                         f"[profile b]\nrole_arn = {role.arn}\nsource_profile = a\n")
    said = world.fails({"AWS_PROFILE": "a"}, code=2)
    assert "source_profile" in said
    assert world.aws.sts.assumed == []


def container_env(world):
    return {"AWS_CONTAINER_CREDENTIALS_FULL_URI": world.aws.url + world.aws.container.path}


@pytest.mark.parametrize("source", ["EcsContainer", "Ec2InstanceMetadata"])
def test_profile_role_with_credential_source(world, source):
    role = world.aws.sts.add_role("sender", trusts=[world.aws.source.arn])
    world.write_profiles(f"[profile work]\nrole_arn = {role.arn}\ncredential_source = {source}\n"
                         "role_session_name = morning\n")
    env = container_env(world) if source == "EcsContainer" else {}
    world.probe({**env, "AWS_PROFILE": "work"})
    assert world.aws.sts.assumed == [(role.arn, world.aws.source.arn, "morning")]
    assert world.used() == {session("sender") + "morning"}


def test_profile_role_with_credential_source_environment(world):
    """Keys in the environment win over any profile, as everywhere; without them it is an error."""
    role = world.aws.sts.add_role("sender")
    world.write_profiles(f"[profile work]\nrole_arn = {role.arn}\n"
                         "credential_source = Environment\n")
    assert "AWS_ACCESS_KEY_ID" in world.fails({"AWS_PROFILE": "work"})
    keys = user(world, "environment")
    assert world.source_of({**keys.environment, "AWS_PROFILE": "work"}) == "environment"
    assert world.used() == {keys.arn}


def test_credential_process(world):
    keys = world.aws.ring.issue(3600, arn=session("sso") + "me")
    answer = {"Version": 1, "AccessKeyId": keys.access_key, "SecretAccessKey": keys.secret,
              "SessionToken": keys.token, "Expiration": "2099-01-01T00:00:00Z"}
    script = world.home / "log in.py"
    script.write_text(f"#!{sys.executable}\nimport sys\nassert sys.argv[1:] == ['a b', 'c']\n"
                      f"print({json.dumps(answer)!r})\n")
    script.chmod(stat.S_IRWXU)
    world.write_profiles(f'[profile work]\ncredential_process = "{script}" "a b" c\n')
    found = world.probe({"AWS_PROFILE": "work"})["credentials"]
    assert found["expires"].startswith("2099-01-01")
    assert world.used() == {keys.arn}


def test_credential_process_that_fails(world):
    script = world.home / "log-in"
    script.write_text("#!/bin/sh\necho 'run the log-in first' >&2\nexit 3\n")
    script.chmod(stat.S_IRWXU)
    world.write_profiles(f"[profile work]\ncredential_process = {script}\n")
    said = world.fails({"AWS_PROFILE": "work"}, code=75)
    assert "credential_process" in said and "exit code 3" in said
    assert "run the log-in first" in said, "its own words reach the user"


def web_identity(world):
    """A role that a web identity token opens, and the file with the token."""
    role = world.aws.sts.add_role("pod", tokens=["header.payload.signature-of-a-web-token"])
    token = world.home / "web token"
    token.write_text(role.tokens[0])
    return role, token


def test_web_identity_in_a_profile(world):
    role, token = web_identity(world)
    world.write_profiles(f"[profile work]\nrole_arn = {role.arn}\n"
                         f"web_identity_token_file = {token}\nrole_session_name = pod-1\n")
    world.probe({"AWS_PROFILE": "work"})
    assert world.used() == {session("pod") + "pod-1"}


def irsa_env(world):
    role, token = web_identity(world)
    return {"AWS_ROLE_ARN": role.arn, "AWS_WEB_IDENTITY_TOKEN_FILE": str(token)}


def test_web_identity_in_the_environment(world):
    """IRSA: no session name, so one is made up."""
    found = world.probe(irsa_env(world))["credentials"]
    assert found["account"] == ACCOUNT
    [arn] = world.used()
    assert arn.startswith(session("pod"))


def test_web_identity_that_is_refused(world):
    env = irsa_env(world)
    (world.home / "web token").write_text("header.payload.of-another-token")
    said = world.fails(env)
    assert "InvalidIdentityToken" in said
    assert "of-another-token" not in said


def test_ecs_relative_uri_and_imds_at_their_own_addresses(bunshin):
    """In a network namespace, since the addresses are AWS's."""
    config = bunshin.config(namespace.QUEUE_URL, "http://127.0.0.1:1")
    environment = {name: value for name, value in bunshin.environment.items()
                   if not name.startswith("AWS_")}
    environment["AWS_REGION"] = REGION
    environment["AWS_ENDPOINT_URL_STS"] = f"http://127.0.0.1:{namespace.SQS_PORT}"
    ecs = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/0b1c2d3e"}
    for more, provider, action in (({}, "instance metadata", "imds.role"),
                                   (ecs, "container", "container.credentials")):
        done = namespace.run(bunshin.binary, ["check", "-c", config, "--probe", "--json"],
                             {**environment, **more}, PATIENCE_S)
        if done is None:
            pytest.skip("no network namespace can be made here")
        assert json.loads(done["out"])["credentials"]["source"] == provider, done
        assert action in done["actions"] and len(done["arns"]) == 1
        assert not [text for text in done["secrets"] if text in done["out"] + done["err"]]


def test_container_full_uri_with_a_token_file(world):
    """EKS Pod Identity; the file is read again each time."""
    token = world.home / "pod-token"
    token.write_text("the-first-token-of-the-pod")
    world.aws.container.token_file = token
    env = {**container_env(world), "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token),
           "AWS_CONTAINER_AUTHORIZATION_TOKEN": "not-this-one"}
    found = world.probe(env)["credentials"]
    assert found["source"] == "container" and found["expires"]
    assert world.used() == {world.aws.source.arn}
    token.write_text("the-first-token-of-the-pod\r\nX-Injected: yes")
    said = world.fails(env, code=2)
    assert "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE" in said and str(token) in said
    assert "the-first-token" not in said


def test_container_full_uri_to_a_host_that_is_not_allowed(world):
    uri = "http://credentials.invalid/v1/credentials"
    said = world.fails({"AWS_CONTAINER_CREDENTIALS_FULL_URI": uri}, code=2)
    assert "AWS_CONTAINER_CREDENTIALS_FULL_URI" in said and "credentials.invalid" in said
    assert "imds" not in " ".join(world.aws.stats.requests), "no fall-back to another provider"


def test_instance(world):
    found = world.probe({"AWS_REGION": None})["credentials"]
    assert found["source"] == "instance metadata" and found["expires"]
    assert world.used() == {world.aws.source.arn}
    assert world.aws.stats.requests["imds.token"] == 1


def test_instance_beyond_the_hop_limit(world):
    world.aws.imds.mode = "far"
    assert "hop limit" in world.fails(code=75)


def test_instance_metadata_switched_off(world):
    world.aws.imds.mode = "off"
    assert "403" in world.fails()
    world.aws.imds.mode = "on"
    world.aws.imds.role = None
    assert "role" in world.fails()


def test_nothing_at_all(world):
    """The message says where keys were looked for."""
    with refusing_socket() as nobody:
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        said = world.fails({"AWS_EC2_METADATA_SERVICE_ENDPOINT": address})
    assert "tried: environment, profile, web identity, container, instance metadata" in said
    assert "AWS_ACCESS_KEY_ID" in said, "what to do"


def test_order(world):
    """Environment, profile, web identity, container, instance."""
    assert world.source_of() == "instance metadata"
    env = container_env(world)
    assert world.source_of(env) == "container"
    env.update(irsa_env(world))
    assert world.source_of(env) == "web identity"
    keys = user(world, "profile")
    world.write_profiles(credentials=f"[default]\n{profile_keys(keys)}")
    assert world.source_of(env) == "profile"
    env.update(user(world, "environment").environment)
    assert world.source_of(env) == "environment"
    env["AWS_ACCESS_KEY_ID"] = ""
    assert world.source_of(env) == "profile", "an empty variable is not set"


def test_half_of_the_keys_is_an_error(world):
    """Keys that somebody began to set are never passed over for others."""
    said = world.fails({"AWS_ACCESS_KEY_ID": "AKIAHALF"})
    assert "AWS_SECRET_ACCESS_KEY" in said
    assert not world.aws.stats.requests


# Keeping them fresh.


def test_outage_at_the_start(world):
    """`bunshin run` keeps asking, and delivers when IMDS is back."""
    fault = world.aws.fail("imds.*", status=503, code="ServiceUnavailable")
    worker = world.run()
    wait_for(lambda: fault.hits >= 2, "attempts at IMDS")
    wait_for(lambda: "credentials" in worker.err(), "the outage in the log")
    assert worker.exit is None
    assert not world.aws.stats.requests["sqs.ReceiveMessage"]
    world.aws.heal(fault)
    world.deliver("after the outage")
    assert worker.terminate() == 0


def test_keys_rotate_while_it_runs(world):
    world.aws.source.ttl_s, world.aws.source.every_s = 6, 3
    worker = world.run()
    for number in range(1000):
        world.deliver(f"message {number}")
        if len(world.aws.sqs.verifier.used) >= 4:
            break
    wait_for(lambda: len(world.aws.sqs.verifier.used) >= 4, "four sets of keys")
    assert world.aws.stats.errors["ExpiredTokenException"] == 0
    assert worker.terminate() == 0


def test_renewal_fails_while_the_old_keys_serve(world):
    world.aws.source.ttl_s = 6
    worker = world.run()
    world.deliver("with good keys")
    fault = world.aws.fail("imds.*", status=503, code="ServiceUnavailable")
    wait_for(lambda: "degraded" in world.ready(worker)[1], "/readyz says degraded")
    assert world.ready(worker)[0] == 200
    assert world.metric(worker, "bunshin_credentials_failures_total") >= 1
    # AWS lets recently expired keys of instances live on in an outage.
    world.aws.source.last.expires_s += 3600
    world.deliver("with old keys")
    world.aws.heal(fault)
    wait_for(lambda: "degraded" not in world.ready(worker)[1], "/readyz recovers")
    world.deliver("with new keys")
    assert worker.terminate() == 0


def test_expired_answer_brings_new_keys_once(world):
    """SQS calls keys expired that were good for an hour, by what IMDS said."""
    receivers = 4
    worker = world.run(queue={"receivers": receivers})
    world.deliver("with the first keys")
    sets = world.aws.source.sets
    world.aws.source.pin(None)
    world.aws.source.last.expires_s = world.aws.ring.clock.now() - 1
    # The poll that brings it may have been let in with the first keys, but not its delete.
    world.deliver("with the second keys")
    wait_for(lambda: world.aws.counts("morning") == (0, 0, 0), "all deleted")
    world.deliver("still with the second keys")
    assert world.aws.source.sets == sets + 1, "asked once"
    # A call is refused once and then waits for keys: those under way, and what follows a poll.
    refused = world.aws.stats.errors["ExpiredTokenException"]
    assert 1 <= refused <= 3 * receivers, "each call asked again only with new keys"
    assert worker.terminate() == 0


def test_rotation_at_a_thousand_a_second(bunshin):
    """As bench/credentials, for a short time."""
    with rotation.Rotation(bunshin.directory) as run:
        worker = bunshin.start("run", "-c", bunshin.write_config(run.config()),
                               env=run.environment())
        figures = run.run(worker, 30, 200 if SLOW else 1000)
        assert worker.terminate() == 0
        printed = worker.out() + worker.err()
        assert not [text for text in run.aws("secrets") if text in printed]
    print(figures)
    assert (figures["failed_signatures"], figures["lost"]) == (0, 0)
    assert figures["key_sets"] >= 2
