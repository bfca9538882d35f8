"""The files under deploy/: what they refer to is there, and what they configure is accepted.

Nothing of it can be created here; this is what can be known without an account or a cluster.
"""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
AWS = ROOT / "deploy" / "aws"
KUBERNETES = ROOT / "deploy" / "kubernetes" / "bunshin.yaml"
TEMPLATES = sorted(path for path in AWS.glob("*.yaml") if path.name != "bunshin.yaml")
QUEUES = {"QUEUE_URL": "https://sqs.ap-northeast-1.amazonaws.com/123456789012/morning",
          "FAILURE_QUEUE_URL": "https://sqs.ap-northeast-1.amazonaws.com/123456789012/failed",
          "RESULTS_QUEUE_URL": "https://sqs.ap-northeast-1.amazonaws.com/123456789012/results"}


class Intrinsic:
    """!Ref, !Sub and the like: the name of the function and what it is given."""

    def __init__(self, name, value):
        self.name, self.value = name, value


class Loader(yaml.SafeLoader):
    """YAML with CloudFormation's tags; a key that comes twice is an error."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"{node.start_mark}: a key comes twice"
        return super().construct_mapping(node, deep)


def intrinsic(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        return Intrinsic(suffix, loader.construct_scalar(node))
    if isinstance(node, yaml.SequenceNode):
        return Intrinsic(suffix, loader.construct_sequence(node, deep=True))
    return Intrinsic(suffix, loader.construct_mapping(node, deep=True))


Loader.add_multi_constructor("!", intrinsic)


def load(path):
    return yaml.load(path.read_text(encoding="utf-8"), Loader)


def walk(value):
    """Every value in it, itself included."""
    yield value
    if isinstance(value, Intrinsic):
        yield from walk(value.value)
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from walk(inner)
            if name.startswith("Fn::"):
                yield Intrinsic(name[4:], inner)
    elif isinstance(value, list):
        for inner in value:
            yield from walk(inner)


def references(template):
    """What its intrinsics name: (kind, name)."""
    for value in walk(template):
        if not isinstance(value, Intrinsic):
            continue
        if value.name == "Ref":
            yield "any", value.value
        elif value.name == "GetAtt":
            yield "resource", value.value.split(".")[0]
        elif value.name == "If":
            yield "condition", value.value[0]
        elif value.name == "Sub":
            for name in re.findall(r"\$\{([^!}]+)\}", value.value):
                yield ("resource", name.split(".")[0]) if "." in name else ("any", name)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_template_refers_to_what_is_there(path):
    template = load(path)
    parameters, resources = set(template["Parameters"]), set(template["Resources"])
    conditions = set(template.get("Conditions", {}))
    used = set(references(template))
    for kind, name in used:
        if kind == "condition":
            assert name in conditions
        elif kind == "resource":
            assert name in resources
        else:
            assert name in parameters | resources or name.startswith("AWS::"), name
    assert parameters <= {name for _, name in used}, "a parameter that nothing uses"
    for resource in template["Resources"].values():
        assert re.fullmatch(r"AWS::\w+::\w+", resource["Type"])
        assert resource.get("Condition", "") in conditions | {""}


def statements(template):
    for policy in template["Resources"]["Role"]["Properties"]["Policies"]:
        yield from policy["PolicyDocument"]["Statement"]


def test_permissions_are_those_that_the_worker_uses():
    """Least privilege, and all of it: the program's calls and nothing else; no "*" resource."""
    template = load(AWS / "autoscaling.yaml")
    allowed = set()
    for statement in statements(template):
        actions = statement["Action"]
        allowed |= set([actions] if isinstance(actions, str) else actions)
        assert statement["Resource"] != "*"
        assert statement["Effect"] == "Allow"
    assert allowed == {
        "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility",
        "sqs:GetQueueAttributes", "sqs:ListQueueTags", "sqs:SendMessage",
        "autoscaling:CompleteLifecycleAction",
        "autoscaling:RecordLifecycleActionHeartbeat", "autoscaling:SetInstanceProtection",
        "ssm:GetParameter"}


def test_hook_of_the_group_is_the_worker_s():
    group = load(AWS / "autoscaling.yaml")["Resources"]["Group"]["Properties"]
    (hook,) = group["LifecycleHookSpecificationList"]
    instance = yaml.safe_load((AWS / "bunshin.yaml").read_text())["instance"]
    assert instance == {"notices": "ec2", "lifecycle_hook": hook["LifecycleHookName"],
                        "protection": "ec2"}
    assert hook["LifecycleTransition"] == "autoscaling:EC2_INSTANCE_TERMINATING"
    assert hook["HeartbeatTimeout"] > 60, "longer than two of the worker's heartbeats"


@pytest.mark.parametrize("instance", [None, {"protection": "ecs"}])
def test_configuration_is_accepted(bunshin, instance):
    """As it stands, and as its comment says that a task has it."""
    value = yaml.safe_load((AWS / "bunshin.yaml").read_text())
    assert "{protection: ecs}" in (AWS / "bunshin.yaml").read_text()
    path = bunshin.write_config({**value, **({"instance": instance} if instance else {})})
    result = bunshin.run("check", "-c", path if instance else AWS / "bunshin.yaml", env=QUEUES)
    assert result.exit == 0, result


def test_user_data_is_a_shell_script(bunshin):
    template = load(AWS / "autoscaling.yaml")
    data = template["Resources"]["LaunchTemplate"]["Properties"]["LaunchTemplateData"]
    script = data["UserData"]["Fn::Base64"].value
    for name in re.findall(r"\$\{([^!}]+)\}", script):
        script = script.replace("${" + name + "}", "https://example.com/1/name")
    path = bunshin.directory / "user-data"
    path.write_text(script)
    checked = subprocess.run(["sh", "-n", path], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    # A here-document whose end mark is indented never ends.
    assert script.count("<<'END'") == len(re.findall(r"(?m)^END$", script))


def test_task_definition():
    task = json.loads((AWS / "task-definition.json").read_text())
    (container,) = task["containerDefinitions"]
    assert container["readonlyRootFilesystem"] is True
    assert container["stopTimeout"] > 30, "longer than drain.grace"
    assert container["healthCheck"]["command"] == ["CMD", "bunshin", "health"]
    names = {entry["name"] for entry in container["environment"]}
    assert set(QUEUES) <= names
    volumes = {volume["name"] for volume in task["volumes"]}
    assert volumes == {mount["sourceVolume"] for mount in container["mountPoints"]}
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert re.search(rf"(?m)^USER {container['user']}$", dockerfile)


def kubernetes():
    return {(document["kind"], document["metadata"]["name"]): document
            for document in yaml.load_all(KUBERNETES.read_text(), Loader)}


def test_kubernetes_objects_agree():
    objects = kubernetes()
    pod = objects["Deployment", "bunshin"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    config = yaml.safe_load(objects["ConfigMap", "bunshin"]["data"]["bunshin.yaml"])
    hook_s = int(container["lifecycle"]["preStop"]["exec"]["command"][-1])
    grace_s = int(config["drain"]["grace"].rstrip("s"))
    assert pod["terminationGracePeriodSeconds"] >= hook_s + grace_s + 15
    (port,) = container["ports"]
    assert config["admin"]["listen"] == f"0.0.0.0:{port['containerPort']}"
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] == port["name"]
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert volumes == {mount["name"] for mount in container["volumeMounts"]}
    assert ("ServiceAccount", pod["serviceAccountName"]) in objects
    scaled = objects["ScaledObject", "bunshin"]["spec"]
    assert ("Deployment", scaled["scaleTargetRef"]["name"]) in objects
    queue = scaled["triggers"][0]
    assert queue["metadata"]["queueURL"] == config["queue"]["url"]
    assert ("TriggerAuthentication", queue["authenticationRef"]["name"]) in objects


def test_kubernetes_configuration_is_accepted(bunshin):
    text = kubernetes()["ConfigMap", "bunshin"]["data"]["bunshin.yaml"]
    token = bunshin.directory / "token"
    token.write_text("a-token-of-the-provider\n")
    path = bunshin.directory / "bunshin.yaml"
    path.write_text(text.replace("/etc/bunshin/secrets/token", str(token)))
    result = bunshin.run("check", "-c", path)
    assert result.exit == 0, result
