"""The program between the fakes of AWS and a provider, for one test."""

import json
import urllib.parse
from contextlib import contextmanager

from fake_aws import FakeAws
from fake_http import Answer, FakeServer, Part
from harness import ADMIN, wait_for

QUEUE = "morning"


class Provider(Part):
    """Accepts everything."""

    def __init__(self):
        self.bodies = []

    def claims(self, request):
        return True

    def action(self, request):
        return "provider"

    def serve(self, request):
        self.bodies.append(request.body.decode())
        return Answer(200, b"{}", "application/json")


class World:
    """The program, the fakes, and one queue between them; no keys anywhere yet."""

    def __init__(self, bunshin, aws, provider, sink):
        self.bunshin, self.aws, self.provider, self.sink = bunshin, aws, provider, sink
        self.home = bunshin.directory
        self.env = {
            "AWS_ACCESS_KEY_ID": None,
            "AWS_SECRET_ACCESS_KEY": None,
            "AWS_EC2_METADATA_DISABLED": None,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": aws.url,
            "AWS_ENDPOINT_URL_STS": aws.url,
        }

    def config(self, **sections):
        queue = {"wait": "1s", **sections.pop("queue", {})}
        url = queue.pop("url", self.aws.queue_url(QUEUE))
        return self.bunshin.config(url, self.sink.url, queue=queue, log={"format": "json"},
                                   **sections)

    def probe(self, env=None, code=0):
        """What `bunshin check --probe --json` says of the credentials."""
        result = self.bunshin.run("check", "-c", self.config(), "--probe", "--json",
                                  env={**self.env, **(env or {})})
        assert result.exit == code, result
        return json.loads(result.out)

    def source_of(self, env=None):
        """Which provider had the keys."""
        return self.probe(env)["credentials"]["source"]

    def fails(self, env=None, code=1):
        """Everything that the probe printed when it found no keys that work."""
        result = self.bunshin.run("check", "-c", self.config(), "--probe", "--json",
                                  env={**self.env, **(env or {})})
        assert result.exit == code, result
        return result.out + result.err

    def run(self, env=None, **sections):
        """`bunshin run` with the admin port on a free one."""
        sections = {"admin": ADMIN, **sections}
        return self.bunshin.start("run", "-c", self.config(**sections),
                                  env={**self.env, **(env or {})})

    @staticmethod
    def ready(process):
        """(status, text) of /readyz"""
        status, _, text = process.admin("/readyz")
        return status, text

    @staticmethod
    def metric(process, name):
        """The sum of the series of that name; None: there is none."""
        lines = process.admin("/metrics")[2].splitlines()
        values = [float(line.rpartition(" ")[2]) for line in lines
                  if line.partition("{")[0].partition(" ")[0] == name]
        return sum(values) if values else None

    def used(self):
        """ARNs of the keys that SQS accepted requests of."""
        return {self.aws.ring.find(key).arn for key in self.aws.sqs.verifier.used}

    def write_profiles(self, config="", credentials=""):
        (self.home / ".aws").mkdir(exist_ok=True)
        (self.home / ".aws/config").write_text(config)
        (self.home / ".aws/credentials").write_text(credentials)

    def deliver(self, *bodies):
        """Through a worker that runs."""
        self.aws.send(QUEUE, bodies)
        wait_for(lambda: set(bodies) <= set(self.provider.bodies), f"delivery of {bodies}")

    def assert_no_secret_printed(self):
        hidden = [text for secret in self.aws.secrets()
                  for text in (secret, urllib.parse.quote(secret, safe=""))]
        for process in self.bunshin.processes:
            printed = process.out() + process.err()
            shown = [text[:4] + "..." for text in hidden if text in printed]
            assert not shown, f"printed a secret ({shown}): {' '.join(process.argv)}"


@contextmanager
def make_world(bunshin, **options):
    """A World; `options` are the FakeAws's. What must never happen is checked at its end."""
    provider = Provider()
    with FakeAws(**options) as aws, FakeServer(provider) as sink:
        aws.sqs.create(QUEUE, visibility_s=10)
        world = World(bunshin, aws, provider, sink)
        yield world
        world.assert_no_secret_printed()
        assert aws.imds.proxied == 0, "the metadata service was asked through a proxy"
        assert not aws.stats.errors["FakeFailed"], "the fake itself is wrong"
