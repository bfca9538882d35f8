"""Fakes of the AWS services that the program talks to, on loopback: IMDS, the container endpoint
of ECS and EKS, STS, SQS. One port may serve any of them; they share the keys they know (KeyRing).

    with FakeAws() as aws:
        queue = aws.sqs.create("morning")
        keys = aws.ring.issue(ttl_s=3600)
        aws.fail("sqs.DeleteMessageBatch", status=403, code="AccessDenied")
"""

import asyncio
import json
import re
import secrets
from dataclasses import dataclass

from fake_http import Answer, Clock, FakeServer, Part
from fake_keys import ACCOUNT, REGION, KeyRing, KeySource, Refused, Verifier, iso8601
from fake_query import QueryPart
from fake_sqs import Sqs

TTL_MAX_S = 21600


def credentials_json(keys, **more):
    value = {"AccessKeyId": keys.access_key, "SecretAccessKey": keys.secret, "Token": keys.token,
             "Expiration": iso8601(keys.expires_s), **more}
    return Answer(200, json.dumps(value).encode(), "application/json")


class Imds(Part):
    """
    The instance metadata service, version 2. `mode`: "on"; "off" (403 to everything, as when it is
    switched off for the instance); "far" (the token's answer never comes, as past the hop limit;
    the connection opens). `role` None: the instance has none.
    """

    PREFIX = "/latest/meta-data/iam/security-credentials"

    def __init__(self, source, region=REGION, role="worker"):
        self.source = source
        self.mode = "on"
        self.role = role
        self.region = region
        self.extended = False  # whether the newer paths exist
        self.more = {}  # path: text, besides
        self.proxied = 0  # requests that came through a proxy
        self._tokens = {}  # token: until when it is good

    def claims(self, request):
        return request.path.startswith("/latest/") or "://" in request.target

    def action(self, request):
        names = {
            "/latest/api/token": "imds.token",
            self.PREFIX + "/": "imds.roles",
            f"{self.PREFIX}/{self.role}": "imds.role",
            "/latest/meta-data/placement/region": "imds.region",
        }
        extended = request.path.startswith(self.PREFIX + "-extended/")
        return "imds.extended" if extended else names.get(request.path, "imds.other")

    def refuse(self, request):
        if "://" in request.target or "x-forwarded-for" in request.headers:
            self.proxied += 1
            return self.error(403, "Forbidden", "not through a proxy")
        if self.mode == "off":
            return self.error(403, "Forbidden", "")
        if request.action == "imds.token":
            return self._refuse_token(request)
        until = self._tokens.get(request.headers.get("x-aws-ec2-metadata-token"))
        if until is None or self.source.ring.clock.now() >= until:
            return self.error(401, "Unauthorized", "")
        return None

    def _refuse_token(self, request):
        if request.method != "PUT":
            return self.error(405, "MethodNotAllowed", "")
        ttl = request.headers.get("x-aws-ec2-metadata-token-ttl-seconds", "")
        if not re.fullmatch(r"\d{1,5}", ttl) or not 1 <= int(ttl) <= TTL_MAX_S:
            return self.error(400, "BadRequest", "")
        return None

    def serve(self, request):
        if request.action == "imds.token":
            return self._token(request)
        if request.action == "imds.region":
            return Answer(200, self.region.encode())
        if self.role is not None and request.action == "imds.roles":
            return Answer(200, self.role.encode())
        if self.role is not None and request.action == "imds.role":
            return self._document()
        if self.role is not None and request.action == "imds.extended" and self.extended:
            return self._extended(request)
        if request.path in self.more:
            return Answer(200, self.more[request.path].encode())
        return self.error(404, "NotFound", "")

    @staticmethod
    async def _never():
        await asyncio.Event().wait()

    def _token(self, request):
        if self.mode == "far":
            return self._never()
        ttl = request.headers["x-aws-ec2-metadata-token-ttl-seconds"]
        token = secrets.token_urlsafe(40) + "=="
        self._tokens[token] = self.source.ring.clock.now() + int(ttl)
        return Answer(200, token.encode(),
                      headers={"X-Aws-Ec2-Metadata-Token-Ttl-Seconds": ttl})

    def _extended(self, request):
        if request.path.endswith("-extended/"):
            return Answer(200, self.role.encode())
        return self._document(AccountId=self.source.current().account)

    def _document(self, **more):
        keys = self.source.current()
        return credentials_json(keys, Code="Success", Type="AWS-HMAC",
                                LastUpdated=iso8601(keys.issued_s), **more)

    def forget_tokens(self):
        """As after a restart: the next GET is answered 401."""
        self._tokens.clear()

    def tokens(self):
        return list(self._tokens)

    def error(self, status, code, message):
        return Answer(status, f"<html><body><h1>{status} - {code}</h1></body></html>".encode(),
                      "text/html", code=f"imds.{code}")


class Container(Part):
    """
    The credentials endpoint of ECS (`path` as in AWS_CONTAINER_CREDENTIALS_RELATIVE_URI) or of EKS
    Pod Identity. token_file: Authorization must be what that file holds at this moment.
    """

    def __init__(self, source, path="/v2/credentials/0b1c2d3e", token_file=None):
        self.source = source
        self.path = path
        self.token_file = token_file

    def claims(self, request):
        return request.path == self.path

    def action(self, request):
        return "container.credentials"

    def refuse(self, request):
        if self.token_file is None:
            return None
        wanted = self.token_file.read_text(encoding="utf-8").strip()
        if request.headers.get("authorization") == wanted:
            return None
        return self.error(401, "InvalidToken", "The service account token is not valid")

    def serve(self, request):
        keys = self.source.current()
        return credentials_json(keys, RoleArn=keys.arn, AccountId=keys.account)

    def error(self, status, code, message):
        body = json.dumps({"code": code, "message": message}).encode()
        return Answer(status, body, "application/json", code=code)


@dataclass
class Role:
    """
    One that can be assumed: by whom (access key ids' ARNs; None: anybody whose keys are known),
    with which web identity tokens, and which external id if any.
    """

    arn: str
    trusts: list = None
    tokens: list = ()
    external_id: str = None
    ttl_s: float = 3600

    def session_arn(self, session):
        account, name = self.arn.split(":")[4], self.arn.rpartition("/")[2]
        return f"arn:aws:sts::{account}:assumed-role/{name}/{session}"


class StsError(Exception):
    def __init__(self, status, code, message):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Sts(QueryPart):
    """AssumeRole, AssumeRoleWithWebIdentity, GetCallerIdentity; answers as AWS documents them."""

    prefix, version = "sts", "2011-06-15"
    namespace = "https://sts.amazonaws.com/doc/2011-06-15/"

    def __init__(self, ring, region=REGION):
        self.ring = ring
        self.verifier = Verifier(ring, "sts", region)
        self.roles = {}
        self.assumed = []  # (role's ARN, ARN of the caller or None, session's name), in order
        self._actions = {"AssumeRole": self._assume,
                         "AssumeRoleWithWebIdentity": self._assume_with_token,
                         "GetCallerIdentity": self._identity}

    def add_role(self, name, account=ACCOUNT, **details):
        role = Role(f"arn:aws:iam::{account}:role/{name}", **details)
        self.roles[role.arn] = role
        return role

    def refuse(self, request):
        if request.action == "sts.AssumeRoleWithWebIdentity":
            return None  # the token is the proof
        try:
            request.caller = self.verifier.check(request)
        except Refused as refused:
            return self.error(refused.status, refused.legacy, refused.message)
        return None

    def serve(self, request):
        name = request.action[4:]
        act = self._actions.get(name)
        try:
            if act is None:
                raise StsError(400, "InvalidAction", f"Could not find operation {name}")
            result = act(self.form(request), getattr(request, "caller", None))
        except StsError as error:
            return self.error(error.status, error.code, error.message)
        return self.result(name, result)

    def _assume(self, form, caller):
        role = self._role(form)
        denied = StsError(403, "AccessDenied", f"User: {caller.arn} is not authorized to perform: "
                          f"sts:AssumeRole on resource: {form.get('RoleArn')}")
        if role is None or (role.trusts is not None and caller.arn not in role.trusts):
            raise denied
        if role.external_id is not None and form.get("ExternalId") != role.external_id:
            raise denied
        return self._session(role, form, caller.arn)

    def _assume_with_token(self, form, _):
        role = self._role(form)
        if role is None:
            raise StsError(403, "AccessDenied",
                           "Not authorized to perform sts:AssumeRoleWithWebIdentity")
        if form.get("WebIdentityToken") not in role.tokens:
            raise StsError(400, "InvalidIdentityToken", "The web identity token that was passed "
                           "is not valid")
        return self._session(role, form, None)

    def _role(self, form):
        if not re.fullmatch(r"[\w+=,.@-]{2,64}", form.get("RoleSessionName", "")):
            raise StsError(400, "ValidationError", "RoleSessionName")
        duration = form.get("DurationSeconds", "3600")
        if not duration.isdigit() or not 900 <= int(duration) <= 43200:
            raise StsError(400, "ValidationError", "DurationSeconds")
        return self.roles.get(form.get("RoleArn"))

    def _session(self, role, form, caller):
        arn = role.session_arn(form["RoleSessionName"])
        self.assumed.append((role.arn, caller, form["RoleSessionName"]))
        keys = self.ring.issue(role.ttl_s, arn)
        return (f"    <AssumedRoleUser>\n      <Arn>{arn}</Arn>\n"
                f"      <AssumedRoleId>AROAFAKE:{form['RoleSessionName']}</AssumedRoleId>\n"
                f"    </AssumedRoleUser>\n    <Credentials>\n"
                f"      <AccessKeyId>{keys.access_key}</AccessKeyId>\n"
                f"      <SecretAccessKey>{keys.secret}</SecretAccessKey>\n"
                f"      <SessionToken>{keys.token}</SessionToken>\n"
                f"      <Expiration>{iso8601(keys.expires_s)}</Expiration>\n"
                f"    </Credentials>\n    <PackedPolicySize>6</PackedPolicySize>\n")

    @staticmethod
    def _identity(_, caller):
        return (f"    <Arn>{caller.arn}</Arn>\n    <UserId>AIDAFAKE</UserId>\n"
                f"    <Account>{caller.account}</Account>\n")


class FakeAws(FakeServer):
    """
    All of them on one port. `source` feeds IMDS and the container endpoint; skew_s sets the clock
    of the services ahead of this machine's.
    """

    def __init__(self, ring=None, source=None, region=REGION, skew_s=0, token_file=None, **options):
        self.ring = ring if ring is not None else KeyRing(Clock(skew_s))
        self.source = source or KeySource(
            self.ring, arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/i-0123456789abcdef0")
        self.imds = Imds(self.source, region)
        self.container = Container(self.source, token_file=token_file)
        self.sts = Sts(self.ring, region)
        self.sqs = Sqs(self.ring, region)
        super().__init__(self.sqs, self.imds, self.container, self.sts, clock=self.ring.clock,
                         **options)

    def queue_url(self, name):
        """Of a queue at this server."""
        return f"{self.url}/{ACCOUNT}/{name}"

    def send(self, name, bodies, **options):
        """Puts messages into a queue, without a request."""
        queue = self.sqs.queues[name]
        self.call(lambda: [queue.send(body, **options) for body in bodies])

    def counts(self, name):
        """(visible, in flight, delayed)"""
        return self.call(self.sqs.queues[name].counts)

    def secrets(self):
        """What must never be printed: everything handed out, IMDS's tokens too."""
        return self.ring.secrets() + self.imds.tokens()
