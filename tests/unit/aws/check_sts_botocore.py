"""Compares our STS client with botocore's, over random calls to a server on loopback.

usage: check_sts_botocore.py ASK_STS [SEED [COUNT]]

The same call goes through both: the forms must have the same parameters and the same headers, our
signature must be the one that botocore's signer makes of what arrived, and both must read the same
out of the same answer.
"""

import datetime
import http.server
import io
import random
import string
import subprocess
import sys
import threading
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

REGION = "ap-northeast-1"
NAMESPACE = 'xmlns="https://sts.amazonaws.com/doc/2011-06-15/"'
ERRORS = ["AccessDenied", "ExpiredToken", "InvalidClientTokenId", "ValidationError"]
CODES = {
    "AccessDenied": "ERR_ACCESS_DENIED",
    "ExpiredToken": "ERR_EXPIRED_CREDENTIALS",
    "InvalidClientTokenId": "ERR_BAD_CREDENTIALS",
    "ValidationError": "ERR_REFUSED",
}


def text(rng, alphabet, low, high):
    return "".join(rng.choice(alphabet) for _ in range(rng.randint(low, high)))


def random_call(rng):
    word = string.ascii_letters + string.digits
    graphic = word + string.punctuation
    call = {
        "operation": rng.choice(
            ["AssumeRole", "AssumeRole", "AssumeRoleWithWebIdentity", "GetCallerIdentity"]
        ),
        "key": text(rng, string.ascii_uppercase + string.digits, 16, 40),
        "secret": text(rng, word + "+/", 20, 60),
        "token": text(rng, word + "+/=", 20, 900) if rng.random() < 0.5 else "",
        "role": "arn:aws:iam::123456789012:role/" + text(rng, word + "+=,.@-_/é身 ~", 1, 60),
        "name": text(rng, word + "_+=,.@-", 2, 64),
        "external": text(rng, word + "_+=,.@:/\\- &", 2, 100) if rng.random() < 0.5 else "",
        "duration": str(rng.randint(900, 43200)) if rng.random() < 0.5 else "0",
        "web": text(rng, word + "-_.=%&+", 4, 2000),
        "error": rng.choice(ERRORS) if rng.random() < 0.3 else None,
        "message": text(rng, graphic + "  身é", 1, 60).strip() or "m",
        "seconds": rng.randrange(1, 4102444800),
        "fraction": rng.choice(["", ".5", ".250", ".123456"]),
        "new": [text(rng, graphic, 16, 100) for _ in range(3)],
    }
    if call["operation"] != "AssumeRole":
        call["external"] = ""
    return call


def expiration(call):
    moment = datetime.datetime.fromtimestamp(call["seconds"], datetime.timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + call["fraction"] + "Z"


def answer(call):
    """Status and body."""
    if call["error"]:
        return 403, (
            f"<ErrorResponse {NAMESPACE}>\n  <Error>\n    <Type>Sender</Type>\n"
            f"    <Code>{call['error']}</Code>\n"
            f"    <Message>{escape(call['message'])}</Message>\n  </Error>\n"
            "  <RequestId>r</RequestId>\n</ErrorResponse>\n"
        )
    name = call["operation"]
    if name == "GetCallerIdentity":
        inside = (
            "<Arn>arn:aws:iam::210987654321:user/Alice</Arn><UserId>U</UserId>"
            "<Account>210987654321</Account>"
        )
    else:
        key, secret, token = map(escape, call["new"])
        inside = (
            "<AssumedRoleUser><AssumedRoleId>A:s</AssumedRoleId>"
            "<Arn>arn:aws:sts::123456789012:assumed-role/r/s</Arn></AssumedRoleUser>\n"
            f"<Credentials>\n <AccessKeyId>{key}</AccessKeyId>\n"
            f" <SecretAccessKey>{secret}</SecretAccessKey>\n"
            f" <SessionToken>{token}</SessionToken>\n"
            f" <Expiration>{expiration(call)}</Expiration>\n</Credentials>"
        )
    return 200, (
        f"<{name}Response {NAMESPACE}><{name}Result>{inside}</{name}Result>"
        f"<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{name}Response>"
    )


class Server(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one piece
    calls = []
    arrived = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        call = self.calls[len(self.arrived)]
        self.arrived.append((self.path, dict(self.headers.items()), body))
        status, content = answer(call)
        content = content.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


class Raw(io.BytesIO):
    def stream(self, **_):
        yield self.read()


class Botocore:
    """What botocore would send, and what it makes of the answer."""

    def __init__(self, endpoint):
        self.client = botocore.session.Session().create_client(
            "sts",
            region_name=REGION,
            endpoint_url=endpoint,
            aws_access_key_id="AKID",
            aws_secret_access_key="secret",
            config=Config(retries={"max_attempts": 0}),
        )
        self.client.meta.events.register("before-send.sts", self.catch)

    def catch(self, request, **_):
        self.request = request
        status, content = answer(self.call)
        return AWSResponse(request.url, status, {"Content-Type": "text/xml"}, Raw(content.encode()))

    def run(self, call):
        self.call = call
        params = {"RoleArn": call["role"], "RoleSessionName": call["name"]}
        if call["external"]:
            params["ExternalId"] = call["external"]
        if call["duration"] != "0":
            params["DurationSeconds"] = int(call["duration"])
        try:
            if call["operation"] == "AssumeRole":
                return self.client.assume_role(**params)
            if call["operation"] == "GetCallerIdentity":
                return self.client.get_caller_identity()
            return self.client.assume_role_with_web_identity(WebIdentityToken=call["web"], **params)
        except ClientError as error:
            return error.response


def signature(call, path, headers, body, endpoint):
    """botocore's Authorization of what arrived."""
    request = AWSRequest(method="POST", url=endpoint + path, data=body)
    request.headers["Host"] = headers["Host"]
    request.headers["Content-Type"] = headers["Content-Type"]
    credentials = Credentials(call["key"], call["secret"], call["token"] or None)
    auth = SigV4Auth(credentials, "sts", REGION)
    request.context["timestamp"] = headers["X-Amz-Date"]
    auth._modify_request_before_signing(request)
    canonical = auth.canonical_request(request)
    to_sign = auth.string_to_sign(request, canonical)
    auth._inject_signature_to_request(request, auth.signature(to_sign, request))
    return request.headers["Authorization"]


def compare(call, arrived, ours, theirs, response, endpoint):
    """What differs, or None."""
    path, headers, body = arrived
    pairs = sorted(parse_qsl(body.decode(), strict_parsing=True))
    their_pairs = sorted(parse_qsl(theirs.body, strict_parsing=True))
    if pairs != their_pairs:
        return f"form: {pairs} / {their_pairs}"
    content_type = theirs.headers["Content-Type"]
    content_type = content_type.decode() if isinstance(content_type, bytes) else content_type
    if headers["Content-Type"] != content_type:
        return f"Content-Type: {headers['Content-Type']} / {content_type}"
    if call["operation"] == "AssumeRoleWithWebIdentity":
        if "Authorization" in headers or "Authorization" in theirs.headers:
            return "a signature where none is wanted"
    elif headers["Authorization"] != signature(call, path, headers, body, endpoint):
        return f"signature: {headers['Authorization']}"
    return compare_answer(call, ours, response)


def compare_answer(call, ours, response):
    err, reason, key, secret, token, expiry, account, principal = ours
    if call["error"]:
        error = response["Error"]
        wanted = f"{call['operation']}: {error['Code']} (HTTP 403): {error['Message']}"
        if (err, reason) != (CODES[call["error"]], wanted):
            return f"error: {err} {reason} / {wanted}"
        return None
    if err != "ERR_OK":
        return f"{err}: {reason}"
    if call["operation"] == "GetCallerIdentity":
        same = (account, principal) == (response["Account"], response["Arn"])
        return None if same else f"identity: {account} {principal}"
    keys = response["Credentials"]
    wanted = (
        keys["AccessKeyId"],
        keys["SecretAccessKey"],
        keys["SessionToken"],
        str(int(keys["Expiration"].timestamp()) * 1000 + keys["Expiration"].microsecond // 1000),
        "123456789012",
        response["AssumedRoleUser"]["Arn"],
    )
    if (key, secret, token, expiry, account, principal) != wanted:
        return f"keys: {ours} / {wanted}"
    return None


def as_line(call):
    names = "operation key secret token role name external duration web".split()
    return " ".join(call[name].encode().hex() or "-" for name in names) + "\n"


def from_line(line):
    return [bytes.fromhex(f).decode() if f != "-" else "" for f in line.split()]


def main():
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 20261123
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 200
    rng = random.Random(seed)
    calls = [random_call(rng) for _ in range(count)]
    Server.calls = calls
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    lines = subprocess.run(
        [sys.argv[1], endpoint, REGION],
        input="".join(map(as_line, calls)),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    server.shutdown()
    if len(lines) != count or len(Server.arrived) != count:
        sys.exit(f"{count} calls, {len(Server.arrived)} requests, {len(lines)} answers")
    theirs = Botocore(endpoint)
    for number, call in enumerate(calls):
        response = theirs.run(call)
        difference = compare(
            call,
            Server.arrived[number],
            from_line(lines[number]),
            theirs.request,
            response,
            endpoint,
        )
        if difference:
            sys.exit(f"seed {seed}, call {number}: {call}\n{difference}")
    print(f"{count} calls equal")


if __name__ == "__main__":
    main()
