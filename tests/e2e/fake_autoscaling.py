"""Fakes of what an instance of an Auto Scaling group sees: more of its metadata, and the API.

    aws.parts = (instance_metadata, api, *aws.parts)    # or fakes_of_group(aws)
    api.terminate()      # as a scale-in: the hook's time begins, the metadata says so
"""

import json
import urllib.parse

from fake_aws import FakeAws
from fake_http import Answer, Part
from fake_keys import REGION, Refused, Verifier
from fake_query import QueryPart

NAMESPACE = "http://autoscaling.amazonaws.com/doc/2011-01-01/"
INSTANCE = "i-0123456789abcdef0"
GROUP = "bunshin workers"
HOOK = "drain"


class InstanceMetadata(Part):
    """The paths of an instance's end, behind the tokens of the other metadata. None: 404."""

    def __init__(self, imds):
        self._imds = imds
        self.lifecycle = "InService"
        self.spot = None
        self.rebalance = None
        self.group = GROUP  # None: tags are not allowed in the metadata

    def _paths(self):
        return {
            "/latest/meta-data/instance-id": ("imds.id", INSTANCE),
            "/latest/meta-data/autoscaling/target-lifecycle-state":
                ("imds.lifecycle", self.lifecycle),
            "/latest/meta-data/spot/instance-action": ("imds.spot", self.spot),
            "/latest/meta-data/events/recommendations/rebalance":
                ("imds.rebalance", self.rebalance),
            "/latest/meta-data/tags/instance/aws:autoscaling:groupName": ("imds.tag", self.group),
        }

    def interrupt(self, action="terminate", time="2026-01-02T03:06:00Z"):
        """As two minutes before a spot instance is taken away."""
        self.spot = json.dumps({"action": action, "time": time})

    def claims(self, request):
        return urllib.parse.unquote(request.path) in self._paths()

    def action(self, request):
        return self._paths()[urllib.parse.unquote(request.path)][0]

    def refuse(self, request):
        return self._imds.refuse(request)

    def serve(self, request):
        text = self._paths()[urllib.parse.unquote(request.path)][1]
        return self.error(404, "NotFound", "") if text is None else Answer(200, text.encode())

    def error(self, status, code, message):
        return self._imds.error(status, code, message)


class ApiError(Exception):
    def __init__(self, message):
        super().__init__(message)
        self.code, self.message = "ValidationError", message


class AutoScaling(QueryPart):
    """
    CompleteLifecycleAction, RecordLifecycleActionHeartbeat and SetInstanceProtection for the one
    instance of the one group, as the API reference documents them.
    """

    prefix, version = "autoscaling", "2011-01-01"
    namespace = NAMESPACE

    def __init__(self, ring, metadata, region=REGION):
        self.verifier = Verifier(ring, "autoscaling", region)
        self.metadata = metadata
        self.hook = HOOK
        self.waiting = False  # the hook's action is under way
        self.completed = 0
        self.heartbeats = 0
        self.protected = False
        self.changes = []  # of protection, in order
        self._actions = {"CompleteLifecycleAction": self._complete,
                         "RecordLifecycleActionHeartbeat": self._heartbeat,
                         "SetInstanceProtection": self._protect}

    def terminate(self):
        """Scale-in: Terminating:Wait until the hook is completed."""
        self.waiting = True
        self.metadata.lifecycle = "Terminated"

    def refuse(self, request):
        try:
            self.verifier.check(request)
        except Refused as refused:
            return self.error(refused.status, refused.legacy, refused.message)
        return None

    def serve(self, request):
        name = request.action.partition(".")[2]
        form = self.form(request)
        try:
            if name not in self._actions:
                raise ApiError(f"Could not find operation {name}")
            if form.get("AutoScalingGroupName") != GROUP:
                raise ApiError("AutoScalingGroup name not found")
            self._actions[name](form)
        except ApiError as error:
            return self.error(400, error.code, error.message)
        return self.result(name)

    def _check_action(self, form):
        if form.get("LifecycleHookName") != self.hook or form.get("InstanceId") != INSTANCE or \
                not self.waiting:
            raise ApiError("No active Lifecycle Action found with instance ID "
                           f"{form.get('InstanceId')}")

    def _complete(self, form):
        self._check_action(form)
        if form.get("LifecycleActionResult") != "CONTINUE":
            raise ApiError("LifecycleActionResult")
        self.waiting = False
        self.completed += 1

    def _heartbeat(self, form):
        self._check_action(form)
        self.heartbeats += 1

    def _protect(self, form):
        if form.get("InstanceIds.member.1") != INSTANCE or "InstanceIds.member.2" in form:
            raise ApiError(f"The instance {form.get('InstanceIds.member.1')} is not part of Auto "
                           f"Scaling group {GROUP}.")
        if self.metadata.lifecycle != "InService":
            raise ApiError(f"The instance {INSTANCE} is not in InService or EnteringStandby or "
                           "Standby.")
        value = {"true": True, "false": False}.get(form.get("ProtectedFromScaleIn"))
        if value is None:
            raise ApiError("ProtectedFromScaleIn")
        self.protected = value
        self.changes.append(value)


def fakes_of_group(aws: FakeAws):
    """(InstanceMetadata, AutoScaling), served by that FakeAws from now on."""
    metadata = InstanceMetadata(aws.imds)
    api = AutoScaling(aws.ring, metadata, aws.imds.region)
    aws.parts = (metadata, api, *aws.parts)
    return metadata, api
