"""Compares our signatures with botocore's over random requests.

usage: check_sigv4_botocore.py SIGN_REQUESTS [SEED [COUNT]]
"""

import datetime
import random
import string
import subprocess
import sys
from urllib.parse import quote

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

UNSIGNED = ["User-Agent", "Expect", "X-Amzn-Trace-Id"]


def text(rng, alphabet, low, high):
    return "".join(rng.choice(alphabet) for _ in range(rng.randint(low, high)))


def random_path(rng):
    segments = []
    for _ in range(rng.randint(0, 6)):
        segments.append(
            rng.choice(
                ["", ".", "..", "a", quote(text(rng, string.printable + "é分身", 1, 12), safe="~")]
            )
        )
    return "/" + "/".join(segments)


def random_query(rng):
    # In the one encoding that botocore takes: it does not encode what is in the URL already.
    pairs = []
    for _ in range(rng.choice([0, 0, 1, 2, 5])):
        name = quote(text(rng, "aAbB-._~/ +é分", 1, 4), safe="-_.~")
        value = quote(text(rng, string.printable + "身", 0, 8), safe="-_.~")
        pairs.append(f"{name}={value}")
        if rng.random() < 0.2:
            pairs.append(pairs[-1])
    return "&".join(pairs)


def random_headers(rng, host):
    headers = [("Host", host)]
    for _ in range(rng.randint(0, 8)):
        name = rng.choice(["X-Amz-Target", "x-amzn-query-mode", "Content-Type", "Accept"])
        if rng.random() < 0.5:
            name = "z" + text(rng, string.ascii_letters + "-_09", 0, 11)
        value = text(rng, string.ascii_letters + string.punctuation + "  \t", 0, 30)
        headers.append((name, value))
    for name in UNSIGNED:
        if rng.random() < 0.2:
            headers.append((name, "anything"))
    rng.shuffle(headers)
    return headers


def random_request(rng):
    host = rng.choice(["sqs.us-east-1.amazonaws.com", "127.0.0.1:9324", "[::1]:9324", "h"])
    return {
        "method": rng.choice(["POST", "GET", "PUT", "DELETE"]),
        "host": host,
        "path": random_path(rng),
        "query": random_query(rng),
        "headers": random_headers(rng, host),
        "body": bytes(rng.randrange(256) for _ in range(rng.choice([0, 1, 63, 64, 65, 3000]))),
        "key": text(rng, string.ascii_uppercase + string.digits, 4, 30),
        "secret": text(rng, string.ascii_letters + string.digits + "+/", 1, 120),
        "token": text(rng, string.ascii_letters + "+/=", 1, 900) if rng.random() < 0.5 else "",
        "region": rng.choice(["us-east-1", "ap-northeast-1", "cn-north-1"]),
        "service": rng.choice(["sqs", "sts", "iam"]),
        "seconds": rng.randrange(0, 4102444800),
    }


def expected(request):
    url = "http://" + request["host"] + request["path"]
    if request["query"]:
        url += "?" + request["query"]
    aws_request = AWSRequest(method=request["method"], url=url, data=request["body"])
    for name, value in request["headers"]:
        aws_request.headers[name] = value  # appends
    credentials = Credentials(request["key"], request["secret"], request["token"] or None)
    auth = SigV4Auth(credentials, request["service"], request["region"])
    moment = datetime.datetime.fromtimestamp(request["seconds"], datetime.timezone.utc)
    aws_request.context["timestamp"] = moment.strftime("%Y%m%dT%H%M%SZ")
    auth._modify_request_before_signing(aws_request)
    canonical = auth.canonical_request(aws_request)
    to_sign = auth.string_to_sign(aws_request, canonical)
    auth._inject_signature_to_request(aws_request, auth.signature(to_sign, aws_request))
    return aws_request.headers["Authorization"], canonical


def as_line(request):
    names = ["method", "path", "query", "body", "key", "secret", "token", "region", "service"]
    fields = [request[name] for name in names]
    fields = [f if isinstance(f, bytes) else f.encode() for f in fields]
    fields = [f.hex() or "-" for f in fields] + [str(request["seconds"] * 1000)]
    for header in request["headers"]:
        fields += [part.encode().hex() or "-" for part in header]
    return " ".join(fields) + "\n"


def main():
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 20261123
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 400
    rng = random.Random(seed)
    requests = [random_request(rng) for _ in range(count)]
    lines = subprocess.run(
        [sys.argv[1]],
        input="".join(map(as_line, requests)),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    if len(lines) != count:
        sys.exit(f"{count} requests, {len(lines)} answers")
    for number, (request, ours) in enumerate(zip(requests, lines)):
        theirs, canonical = expected(request)
        if ours != theirs:
            sys.exit(
                f"seed {seed}, request {number}: {request}\n"
                f"ours:   {ours}\ntheirs: {theirs}\n{canonical}"
            )
    print(f"{count} signatures equal")


if __name__ == "__main__":
    main()
