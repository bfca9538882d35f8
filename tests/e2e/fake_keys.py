"""AWS keys as the fakes hand them out, and SigV4 as AWS checks it.

Written from "Create a signed AWS API request" (IAM user guide) with hashlib and hmac alone, apart
from the program's signer.
"""

import base64
import calendar
import hashlib
import hmac
import re
import secrets
import string
import time
import urllib.parse
from collections import Counter
from dataclasses import dataclass, field

from fake_http import Clock

ACCOUNT = "123456789012"
REGION = "us-east-1"
SKEW_S = 300
UPPER = string.ascii_uppercase + "234567"
AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/,]+)/(\d{8})/([^/,]+)/([^/,]+)/aws4_request, ?"
    r"SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})")


def iso8601(epoch_s):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch_s))


@dataclass
class Keys:
    access_key: str
    secret: str
    token: str = ""
    expires_s: float = None  # by the fakes' clock; None: never
    arn: str = f"arn:aws:iam::{ACCOUNT}:user/test"
    revoked: bool = False
    issued_s: float = 0

    @property
    def account(self):
        return self.arn.split(":")[4]

    @property
    def environment(self):
        """The AWS_* variables that hold them."""
        found = {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret}
        return {**found, "AWS_SESSION_TOKEN": self.token} if self.token else found


class KeyRing:
    """All keys that are known. Shared by the fakes that hand them out and those that check them."""

    def __init__(self, clock=None):
        self.clock = clock or Clock()
        self._keys = {}

    def issue(self, ttl_s=None, arn=None, user=False):
        """
        New keys, temporary ones (with a session token) unless for a `user`. ttl_s: None, for ever;
        negative, already expired.
        """
        name = "".join(secrets.choice(UPPER) for _ in range(16))
        now = self.clock.now()
        keys = Keys(("AKIA" if user else "ASIA") + name,
                    base64.b64encode(secrets.token_bytes(30)).decode(),
                    "" if user else base64.b64encode(secrets.token_bytes(270)).decode(),
                    None if ttl_s is None else now + ttl_s, issued_s=now)
        if arn:
            keys.arn = arn
        self._keys[keys.access_key] = keys
        return keys

    def adopt(self, keys):
        """Knows another ring's keys, too."""
        self._keys[keys.access_key] = keys

    def find(self, access_key):
        """None: unknown or revoked."""
        keys = self._keys.get(access_key)
        return None if keys is None or keys.revoked else keys

    def secrets(self):
        """Every secret value handed out so far: what must never be printed."""
        return [text for keys in list(self._keys.values())
                for text in (keys.secret, keys.token) if text]


class KeySource:
    """
    Hands keys out as a metadata service does: the same ones until they are every_s old, then new
    ones, each valid for ttl_s. pin() fixes what comes next.
    """

    def __init__(self, ring, ttl_s=3600, every_s=None, arn=None):
        self.ring = ring
        self.ttl_s = ttl_s
        self.every_s = every_s
        self.arn = arn
        self.sets = 0  # handed out so far
        self._keys = None
        self._pinned = None
        self.last = None  # the keys handed out last

    def pin(self, keys):
        """Hands these out from now on; None: as before, beginning with new ones."""
        self._pinned, self._keys = keys, None

    def current(self):
        keys = self._pinned or self._fresh()
        if keys is not self.last:
            self.last = keys
            self.sets += 1
        return keys

    def _fresh(self):
        now = self.ring.clock.now()
        every_s = self.ttl_s if self.every_s is None else self.every_s
        if self._keys is None or now - self._keys.issued_s >= every_s:
            self._keys = self.ring.issue(self.ttl_s, self.arn)
        return self._keys


class Refused(Exception):
    """Why a request is not authentic: code of the JSON protocols, of the query protocol, text."""

    def __init__(self, status, code, legacy, message):
        super().__init__(message)
        self.status, self.code, self.legacy, self.message = status, code, legacy, message


def _hmac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _canonical_query(query):
    pairs = []
    for item in query.split("&") if query else []:
        name, _, value = item.partition("=")
        pairs.append(tuple(urllib.parse.quote(urllib.parse.unquote(text), safe="-._~")
                           for text in (name, value)))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _canonical_path(path):
    """For all services but S3: without dots and doubled slashes, encoded once more."""
    parts = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    text = "/" + "/".join(parts) + ("/" if parts and path.endswith("/") else "")
    return urllib.parse.quote(text, safe="/-._~")


def canonical_request(request, signed):
    """The text that is hashed, of the headers named in `signed`."""
    headers = "".join(f"{name}:{' '.join(request.headers[name].split())}\n" for name in signed)
    return "\n".join([request.method, _canonical_path(request.path),
                      _canonical_query(request.query), headers, ";".join(signed),
                      hashlib.sha256(request.body).hexdigest()])


@dataclass
class Verifier:
    """Checks the signature of each request for one service in one region."""

    ring: KeyRing
    service: str
    region: str = REGION
    expired_status: int = 403  # AWS answers an expired token with 403 or with 400
    failed: int = 0  # signatures, and dates that are off, so far
    used: Counter = field(default_factory=Counter)  # authentic requests by access key id
    _signing: tuple = ("", b"")  # the last scope and its key

    def check(self, request):
        """The Keys that the request was signed with, or raises Refused."""
        match = AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
        if not match:
            self._refuse_form(request)
        access_key, date, region, service, names, signature = match.groups()
        request.access_key = access_key
        keys = self.ring.find(access_key)
        if keys is None or request.headers.get("x-amz-security-token", "") != keys.token:
            raise Refused(403, "UnrecognizedClientException", "InvalidClientTokenId",
                          "The security token included in the request is invalid.")
        if (region, service) != (self.region, self.service):
            self._fail("Credential should be scoped to a valid region and to the service "
                       f"{self.service}.")
        self._check_date(request, date)
        self._check_names(request, names.split(";"))
        if not hmac.compare_digest(self._signature(request, keys, date, names.split(";")),
                                   signature):
            self._fail("The request signature we calculated does not match the signature you "
                       "provided. Check your AWS Secret Access Key and signing method.")
        # Last, so that a wrong signature by expired keys counts as one.
        if keys.expires_s is not None and self.ring.clock.now() >= keys.expires_s:
            raise Refused(self.expired_status, "ExpiredTokenException", "ExpiredToken",
                          "The security token included in the request is expired")
        self.used[access_key] += 1
        return keys

    def _refuse_form(self, request):
        if "authorization" not in request.headers:
            raise Refused(403, "MissingAuthenticationTokenException",
                          "MissingAuthenticationToken", "Request is missing Authentication Token")
        self.failed += 1
        raise Refused(400, "IncompleteSignatureException", "IncompleteSignature",
                      "The request signature does not conform to AWS standards.")

    def _fail(self, message):
        self.failed += 1
        raise Refused(403, "InvalidSignatureException", "SignatureDoesNotMatch", message)

    def _check_date(self, request, date):
        stamp = request.headers.get("x-amz-date", "")
        if not re.fullmatch(r"\d{8}T\d{6}Z", stamp) or stamp[:8] != date:
            self._fail(f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version "
                       f"of date from HTTP: '{date}' != '{stamp[:8]}'.")
        now = self.ring.clock.now()
        off_s = calendar.timegm(time.strptime(stamp, "%Y%m%dT%H%M%SZ")) - now
        text = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
        if off_s < -SKEW_S:
            self._fail(f"Signature expired: {stamp} is now earlier than {text} - 5 min.")
        if off_s > SKEW_S:
            self._fail(f"Signature not yet current: {stamp} is still later than {text} + 5 min.")

    def _check_names(self, request, names):
        """Host and every x-amz- header are signed; what is named is there, in order."""
        needed = {"host"} | {name for name in request.headers if name.startswith("x-amz-")}
        if not needed <= set(names):
            self._fail(f"'{sorted(needed - set(names))[0]}' must be a signed header.")
        if names != sorted(set(names)) or not set(names) <= set(request.headers):
            self._fail("SignedHeaders names headers that are not there, or out of order.")

    def _signature(self, request, keys, date, names):
        scope = f"{date}/{self.region}/{self.service}/aws4_request"
        if self._signing[0] != keys.secret + scope:
            key = ("AWS4" + keys.secret).encode()
            for text in scope.split("/"):
                key = _hmac(key, text)
            self._signing = (keys.secret + scope, key)
        digest = hashlib.sha256(canonical_request(request, names).encode("latin-1")).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{request.headers['x-amz-date']}\n{scope}\n{digest}"
        return _hmac(self._signing[1], text).hex()
