"""`bunshin check --probe` against fakes of AWS, and how a program that looks for keys starts."""

import json
import signal

import pytest

from fake_aws import FakeAws
from harness import refusing_socket, wait_for

ASKED = ["sqs.GetQueueAttributes", "sqs.DeleteMessageBatch", "sqs.ChangeMessageVisibilityBatch",
         "sqs.ListQueueTags"]
NO_KEYS = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}


@pytest.fixture
def aws():
    with FakeAws() as fake:
        fake.sqs.create("morning", visibility_s=45)
        fake.sqs.create("failures")
        yield fake


def instance(aws):
    """The environment of a program on an EC2 instance with a role."""
    return {**NO_KEYS, "AWS_EC2_METADATA_DISABLED": None,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": aws.url}


def user(aws):
    """The environment with the keys of a user, which never expire."""
    return aws.ring.issue(user=True).environment


def probe(bunshin, aws, *arguments, env=None, queue=None, **sections):
    """What `check --probe --json` says, and its exit code."""
    path = bunshin.config(aws.queue_url("morning"), "http://127.0.0.1:1", queue=queue or {},
                          **sections)
    answer = bunshin.run("check", "-c", path, "--probe", "--json", *arguments,
                         env=user(aws) if env is None else env)
    for secret in aws.secrets():
        assert secret not in answer.out + answer.err
    assert answer.out.count("\n") == 1, answer
    return json.loads(answer.out), answer.exit


def actions(aws, pattern="*"):
    return [request.action for request in aws.stats.seen(pattern)]


def test_everything_is_permitted(bunshin, aws):
    aws.send("morning", ["a", "b", "c"])
    found, code = probe(bunshin, aws)
    assert (code, found["ok"], found["errors"]) == (0, True, [])
    assert found["credentials"] == {"source": "environment", "account": None, "principal": None,
                                    "expires": None, "sts": None}
    assert found["region"] == {"region": "us-east-1", "named_by": "AWS_REGION"}
    assert found["endpoint"] == {"endpoint": aws.url, "named_by": "the queue URL"}
    assert found["queue"] == {"url": aws.queue_url("morning"), "attributes": True, "delete": True,
                              "change_visibility": True, "visible": 3, "in_flight": 0,
                              "delayed": 0, "visibility_s": 45}
    assert found["read_tags"] is True
    assert "failure_queue" not in found
    # No message is touched, and STS is not asked about keys that need not be AWS's.
    assert actions(aws) == ASKED
    assert aws.counts("morning") == (3, 0, 0)


def test_text_for_people(bunshin, aws):
    path = bunshin.config(aws.queue_url("morning"), "http://127.0.0.1:1",
                          queue={"failure_url": aws.queue_url("failures")})
    answer = bunshin.run("check", "-c", path, "--probe",
                         env={**user(aws), "AWS_ENDPOINT_URL_STS": aws.url})
    assert answer.exit == 0, answer
    assert [line.split(None, 1) for line in answer.out.splitlines() if not line[0].isspace()] == [
        ["credentials", "from: environment"],
        ["good", "until         they do not expire"],
        ["confirmed", "by STS   account 123456789012, arn:aws:iam::123456789012:user/test"],
        ["region", "us-east-1 (AWS_REGION)"],
        ["endpoint", f"{aws.url} (the queue URL)"],
        ["queue", aws.queue_url("morning")],
        ["delete", "permitted"],
        ["change", "visibility  permitted"],
        ["read", "tags          permitted"],
        ["failure", f"queue      {aws.queue_url('failures')}"],
    ]
    assert "0 visible, 0 in flight, 0 delayed" in answer.out
    assert "visibility timeout 45s" in answer.out
    assert answer.err == f"{path}: OK\n"
    assert actions(aws) == ["sts.GetCallerIdentity", *ASKED, "sqs.GetQueueAttributes"]


def test_instance_role_and_until_when(bunshin, aws):
    found, code = probe(bunshin, aws, env=instance(aws))
    assert code == 0 and found["credentials"]["source"].startswith("instance")
    assert found["credentials"]["expires"].startswith("20")
    answer = bunshin.run("check", "-c", bunshin.directory / "bunshin.yaml", "--probe",
                         env=instance(aws))
    assert answer.exit == 0
    assert " (in 59m)" in answer.out or " (in 1h00m)" in answer.out


def test_container_role_hides_the_instance(bunshin, aws):
    env = {**instance(aws), "AWS_CONTAINER_CREDENTIALS_FULL_URI": aws.url + aws.container.path}
    found, code = probe(bunshin, aws, env=env)
    assert (code, found["credentials"]["source"]) == (0, "container")
    assert found["credentials"]["account"] == "123456789012"
    aws.fail("container.credentials", status=404, code="NotFound")
    found, code = probe(bunshin, aws, env=env)
    assert code != 0 and "credentials" not in found
    assert actions(aws, "imds.*") == []


def test_sts_that_refuses_is_a_note(bunshin, aws):
    aws.fail("sts.GetCallerIdentity", status=403, code="AccessDenied", message="not you")
    found, code = probe(bunshin, aws, env={**user(aws), "AWS_ENDPOINT_URL": aws.url})
    assert (code, found["ok"], found["errors"]) == (0, True, [])
    [note] = found["notes"]
    assert note.startswith("STS: ") and "AccessDenied" in note
    assert found["endpoint"]["named_by"] == "AWS_ENDPOINT_URL"


@pytest.mark.parametrize("action, key, words", [
    ("GetQueueAttributes", "attributes", "may not read the attributes (sqs:GetQueueAttributes): "),
    ("DeleteMessageBatch", "delete", "may not delete (sqs:DeleteMessage): "),
    ("ChangeMessageVisibilityBatch", "change_visibility",
     "may not change visibility (sqs:ChangeMessageVisibility): "),
])
def test_what_is_not_permitted(bunshin, aws, action, key, words):
    aws.fail(f"sqs.{action}", status=403, code="AccessDenied", message="no identity-based policy")
    found, code = probe(bunshin, aws)
    assert (code, found["ok"]) == (1, False)
    [text] = found["errors"]
    assert text.startswith(f"{aws.queue_url('morning')}: {words}")
    assert "no identity-based policy" in text
    others = {"attributes", "delete", "change_visibility"} - {key}
    assert found["queue"][key] is False and all(found["queue"][name] for name in others)
    assert actions(aws) == ASKED


def test_tags_that_may_not_be_read_are_a_note(bunshin, aws):
    aws.fail("sqs.ListQueueTags", status=403, code="AccessDenied", message="no")
    found, code = probe(bunshin, aws)
    assert (code, found["ok"], found["errors"], found["read_tags"]) == (0, True, [], False)
    assert any(note.startswith(f"{aws.queue_url('morning')}: may not read the tags "
                               "(sqs:ListQueueTags), so bunshin campaign pause, rate and cancel do "
                               "not reach workers: ") for note in found["notes"])


def test_queue_that_is_not_there_is_asked_once(bunshin, aws):
    found, code = probe(bunshin, aws, "--queue-url", aws.queue_url("evening"))
    assert code == 1
    [text] = found["errors"]
    assert text.startswith(f"{aws.queue_url('evening')}: cannot read the attributes: Queue")
    assert found["queue"]["attributes"] is False
    assert (found["queue"]["delete"], found["queue"]["change_visibility"]) == (None, None)
    assert actions(aws) == ASKED[:1]


def test_service_that_fails_is_temporary(bunshin, aws):
    aws.fail("sqs.*", status=503, code="ServiceUnavailable")
    found, code = probe(bunshin, aws)
    assert (code, found["ok"]) == (75, False)
    [text] = found["errors"]
    assert "ServiceUnavailable" in text


def test_endpoint_that_does_not_answer_is_temporary(bunshin, aws):
    with refusing_socket() as sock:
        found, code = probe(bunshin, aws, "--endpoint",
                            f"http://127.0.0.1:{sock.getsockname()[1]}")
    assert code == 75
    [text] = found["errors"]
    assert "cannot read the attributes: " in text
    assert found["endpoint"]["named_by"] == "queue.endpoint"


def test_failure_queue_that_may_only_be_sent_to(bunshin, aws):
    aws.fail("sqs.GetQueueAttributes", skip=1, status=403, code="AccessDenied")
    found, code = probe(bunshin, aws, queue={"failure_url": aws.queue_url("failures")})
    assert (code, found["errors"]) == (0, [])
    assert any("sqs:GetQueueAttributes" in note for note in found["notes"])
    assert found["failure_queue"]["attributes"] is False


def test_results_queue_that_may_only_be_sent_to(bunshin, aws):
    aws.fail("sqs.GetQueueAttributes", skip=1, status=403, code="AccessDenied")
    found, code = probe(bunshin, aws, queue={"results_url": aws.queue_url("failures")})
    assert (code, found["errors"]) == (0, [])
    assert any("sqs:GetQueueAttributes" in note for note in found["notes"])
    assert found["results_queue"]["attributes"] is False


def test_results_queue_that_is_not_there(bunshin, aws):
    found, code = probe(bunshin, aws, queue={"results_url": aws.queue_url("gone")})
    assert code == 1
    [text] = found["errors"]
    assert text.startswith(aws.queue_url("gone") + ": ") and "QueueDoesNotExist" in text


def test_failure_queue_that_is_not_there(bunshin, aws):
    found, code = probe(bunshin, aws, queue={"failure_url": aws.queue_url("gone")})
    assert code == 1
    [text] = found["errors"]
    assert text.startswith(aws.queue_url("gone") + ": ") and "QueueDoesNotExist" in text


def test_no_keys_anywhere(bunshin, aws):
    found, code = probe(bunshin, aws, env=NO_KEYS)
    assert code == 1
    [words] = found["errors"]
    for provider in ("environment", "profile", "web identity", "container", "instance"):
        assert provider in words
    # What was found out all the same.
    assert found["endpoint"]["endpoint"] == aws.url
    assert actions(aws) == []


def test_probe_without_a_queue(bunshin):
    path = bunshin.write_config("queue: {}\n")
    answer = bunshin.run("check", "-c", path, "--probe")
    assert answer.exit == 2
    assert "--queue-url" in answer.err


@pytest.mark.parametrize("env, words", [
    ({"AWS_USE_FIPS_ENDPOINT": "true"}, "FIPS"),
    ({"AWS_USE_DUALSTACK_ENDPOINT": "true"}, "dual stack"),
    ({"AWS_ENDPOINT_URL_SQS": "http://u:word@127.0.0.1"}, "AWS_ENDPOINT_URL_SQS is not"),
    ({"AWS_ENDPOINT_URL_STS": "http://192.0.2.1"}, "AWS_ENDPOINT_URL_STS names http://192.0.2.1"),
    ({"AWS_REGION": "US EAST"}, "AWS_REGION is not a region's name"),
    ({"AWS_PROFILE": "nobody"}, "nobody"),
])
def test_settings_that_cannot_be(bunshin, aws, env, words):
    found, code = probe(bunshin, aws, env={**user(aws), **env})
    assert code == 2
    [text] = found["errors"]
    assert words in text and "u:word" not in text
    assert actions(aws) == []


# To the program 0.0.0.0 is another machine; to the kernel, this one.


def test_plain_http_to_another_machine(bunshin, aws):
    away = f"http://0.0.0.0:{aws.port}"
    found, code = probe(bunshin, aws, "--endpoint", away)
    assert code == 2
    [text] = found["errors"]
    assert "queue.allow_insecure_endpoint" in text
    assert aws.stats.connections == 0
    found, code = probe(bunshin, aws, "--endpoint", away, queue={"allow_insecure_endpoint": True})
    assert (code, found["endpoint"]["endpoint"]) == (0, away)


def test_region_of_the_instance(bunshin, aws):
    away = f"http://0.0.0.0:{aws.port}"
    aws.imds.region = "us-east-1\n"
    env = {**instance(aws), "AWS_REGION": None}
    found, code = probe(bunshin, aws, "--endpoint", away, env=env,
                        queue={"allow_insecure_endpoint": True})
    assert code == 0, found
    assert found["region"] == {"region": "us-east-1", "named_by": "the instance's metadata"}
    # For this machine nobody is asked.
    before = len(actions(aws, "imds.*"))
    found, code = probe(bunshin, aws, env={**user(aws), "AWS_REGION": None,
                                           "AWS_EC2_METADATA_DISABLED": None,
                                           "AWS_EC2_METADATA_SERVICE_ENDPOINT": aws.url})
    assert (code, found["region"]["named_by"]) == (0, "the default")
    assert len(actions(aws, "imds.*")) == before


# The start of a program that looks for keys.


def worker(bunshin, aws, sink_url="http://127.0.0.1:1", env=None, **options):
    path = bunshin.config(aws.queue_url("morning"), sink_url, queue={"wait": "1s"},
                          ledger={"path": None})
    return bunshin.start("run", "-c", path, env={**instance(aws), **(env or {})}, **options)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_while_keys_are_looked_for(bunshin, aws, number):
    aws.fail("imds.*", end="silence")
    process = worker(bunshin, aws)
    wait_for(lambda: aws.stats.connections, "the search has begun")
    process.signal(number)
    assert process.wait() == 0
    assert [line["message"] for line in process.log()] == ["stopped"]
    assert actions(aws, "sqs.*") == []


def test_signal_while_a_log_in_tool_is_asked(bunshin, aws):
    """The tool ends as well: what is left running fails the test."""
    tool = bunshin.directory / "log-in"
    tool.write_text("#!/bin/sh\ntouch asked\nexec sleep 1000\n", encoding="utf-8")
    tool.chmod(0o755)
    config = bunshin.directory / "aws-config"
    config.write_text(f"[default]\ncredential_process = {tool}\n", encoding="utf-8")
    process = worker(bunshin, aws, env={"AWS_CONFIG_FILE": str(config)})
    wait_for((bunshin.directory / "asked").exists, "the tool runs")
    process.signal(signal.SIGTERM)
    assert process.wait() == 0


def test_worker_waits_for_keys_that_come_late(bunshin, aws):
    sink = bunshin.sink()
    aws.send("morning", ["{}"])
    aws.fail("imds.*", status=500)
    process = worker(bunshin, aws, sink.url)
    wait_for(lambda: any("no AWS credentials yet" in line["message"] for line in process.log()),
             "the worker says that it has no keys")
    assert process.exit is None
    aws.heal()
    wait_for(lambda: aws.counts("morning") == (0, 0, 0), "the message is delivered")
    wait_for(lambda: len(sink.records()) == 1, "the provider's record")
    assert process.terminate() == 0


def test_campaign_does_not_wait_for_keys(bunshin, aws):
    aws.fail("imds.*", status=500)
    people = bunshin.directory / "people.csv"
    people.write_text("to\nU1\n", encoding="utf-8")
    answer = bunshin.run("campaign", "send", "--queue-url", aws.queue_url("morning"),
                         "--recipients", people, env=instance(aws))
    assert answer.exit == 75, answer
    assert "AWS credentials" in answer.err
    assert aws.counts("morning") == (0, 0, 0)


def test_campaign_to_another_machine(bunshin, aws):
    people = bunshin.directory / "people.csv"
    people.write_text("to\nU1\n", encoding="utf-8")
    arguments = ("campaign", "send", "--queue-url", aws.queue_url("morning"), "--recipients",
                 people, "--endpoint", f"http://0.0.0.0:{aws.port}")
    answer = bunshin.run(*arguments, env=user(aws))
    assert answer.exit == 2
    assert "--allow-insecure-endpoint" in answer.err
    answer = bunshin.run(*arguments, "--allow-insecure-endpoint", env=user(aws))
    assert answer.exit == 0, answer
    assert aws.counts("morning") == (1, 0, 0)


@pytest.mark.parametrize("skew_s, words", [(432, "00:07:1"), (-7384, "02:03:0")])
def test_clock_that_is_wrong_is_told(bunshin, skew_s, words):
    with FakeAws(skew_s=skew_s) as aws:
        aws.sqs.create("morning")
        path = bunshin.config(aws.queue_url("morning"), "http://127.0.0.1:1",
                              queue={"wait": "1s"})
        process = bunshin.start("run", "-c", path, env=user(aws))
        [line] = wait_for(lambda: [line for line in process.log() if "clock" in line["message"]],
                          "the clock is told")
        assert words in line["message"]
        assert ("behind" if skew_s > 0 else "ahead of") in line["message"]
        wait_for(lambda: any(request.status == 200
                             for request in aws.stats.seen("sqs.ReceiveMessage")),
                 "receives work")
        assert process.terminate() == 0


@pytest.mark.parametrize("auth", [
    {"type": "aws", "service": "lambda", "region": "eu-west-1"},
    {"type": "standard_webhooks", "secrets": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
    {"type": "hmac", "secrets": "the-secret-of-a-shop", "header": "X-Signature"},
], ids=lambda auth: auth["type"])
def test_destinations_that_sign(bunshin, aws, auth):
    said, code = probe(bunshin, aws, destination={"auth": auth})
    assert said["destinations"] == [{"name": "sink", "auth": auth["type"], "signs": True}], said
    assert code == 0


def test_destinations_without_auth_are_not_told(bunshin, aws):
    assert probe(bunshin, aws)[0]["destinations"] == []


def test_a_destination_whose_keys_are_nowhere(bunshin, aws):
    said, code = probe(bunshin, aws, env={**NO_KEYS, "AWS_EC2_METADATA_DISABLED": "true"},
                       destination={"auth": {"type": "aws", "service": "lambda",
                                             "region": "eu-west-1"}})
    assert said["destinations"][0]["signs"] is False and code != 0, said
    assert any(error.startswith("sink: auth.type aws: ") for error in said["errors"]), said
