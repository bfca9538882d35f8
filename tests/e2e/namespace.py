"""A network namespace with AWS's link-local addresses on its loopback, and fakes behind them.

run() starts this file again inside one; there it serves, runs the program, and prints what came of
it as JSON. Nothing in the namespace reaches any other network.
"""

import json
import os
import subprocess
import sys

ECS, IMDS = "169.254.170.2", "169.254.169.254"
SQS_PORT = 9324
QUEUE_URL = f"http://127.0.0.1:{SQS_PORT}/123456789012/morning"


def _unshare():
    """The command that enters a new network namespace, as root or as anybody; None: not allowed."""
    for flags in (["-n"], ["-rn"]):
        command = ["unshare", *flags]
        if subprocess.run([*command, "true"], stderr=subprocess.DEVNULL).returncode == 0:
            return command
    return None


def run(binary, arguments, environment, timeout):
    """What the program did: exit, out, err; actions and ARNs that the fakes saw; secrets."""
    command = _unshare()
    if command is None:
        return None
    job = json.dumps({"command": [str(binary), *map(str, arguments)], "environment": environment})
    done = subprocess.run([*command, sys.executable, __file__], input=job, capture_output=True,
                          text=True, timeout=timeout, env={"PATH": os.environ["PATH"]})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _inside(job):
    from fake_aws import FakeAws
    from fake_http import FakeServer

    for command in (["link", "set", "lo", "up"], *(["addr", "add", f"{address}/32", "dev", "lo"]
                                                   for address in (ECS, IMDS))):
        subprocess.run(["ip", *command], check=True)
    with FakeAws(listen=("127.0.0.1", SQS_PORT)) as aws, \
            FakeServer(aws.container, listen=(ECS, 80)) as ecs, \
            FakeServer(aws.imds, listen=(IMDS, 80)) as imds:
        aws.sqs.create("morning")
        done = subprocess.run(job["command"], env=job["environment"], capture_output=True,
                              text=True, timeout=60, stdin=subprocess.DEVNULL)
        return {
            "exit": done.returncode, "out": done.stdout, "err": done.stderr,
            "actions": [r.action for server in (ecs, imds, aws) for r in server.stats.seen()],
            "arns": sorted({aws.ring.find(key).arn for key in aws.sqs.verifier.used}),
            "secrets": aws.secrets(),
        }


if __name__ == "__main__":
    print(json.dumps(_inside(json.load(sys.stdin))))
