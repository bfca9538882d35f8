"""A fake of the ECS agent's task scale-in protection endpoint, as the ECS developer guide has it."""

import json

from fake_http import Answer, Part, request_id
from fake_keys import ACCOUNT, REGION, iso8601

TASK = f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/demo/0b1c2d3e4f5a"


class EcsAgent(Part):
    """`url` + PATH is what ECS_AGENT_URI holds. service False: a task of no service."""

    PATH = "/api/0b1c2d3e-4f5a"

    def __init__(self, clock, service=True):
        self._clock = clock
        self.service = service
        self.protected = False
        self.changes = []  # (enabled, minutes or None), in order
        self.expires_s = None

    def claims(self, request):
        return request.path == self.PATH + "/task-protection/v1/state"

    def action(self, request):
        return "ecs.protection"

    def serve(self, request):
        if request.method != "PUT":
            return self.error(405, "MethodNotAllowed", "only PUT here")
        try:
            wanted = json.loads(request.body)
            enabled, minutes = wanted["ProtectionEnabled"], wanted.get("ExpiresInMinutes")
        except (ValueError, KeyError):
            return self.error(400, "InvalidParameterException", "ProtectionEnabled")
        if not isinstance(enabled, bool) or not (
                minutes is None or isinstance(minutes, int) and 1 <= minutes <= 2880):
            return self.error(400, "InvalidParameterException", "ExpiresInMinutes")
        if not self.service:
            return self._json(200, {"failure": {"Arn": TASK, "Detail": None,
                                                "Reason": "TASK_NOT_VALID"}})
        self.protected = enabled
        self.changes.append((enabled, minutes))
        self.expires_s = self._clock.now() + 60 * (minutes or 120) if enabled else None
        return self._json(200, {"protection": {
            "ExpirationDate": iso8601(self.expires_s) if enabled else None,
            "ProtectionEnabled": enabled, "TaskArn": TASK}})

    def error(self, status, code, message):
        return self._json(status, {"requestID": request_id(), "error": {
            "Arn": TASK, "Code": code, "Message": message}}, code)

    @staticmethod
    def _json(status, value, code=""):
        return Answer(status, json.dumps(value).encode(), "application/json", code=code)
