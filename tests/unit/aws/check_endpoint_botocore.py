"""Compares our endpoints with botocore's, for every region and variant that it knows.

usage: check_endpoint_botocore.py PRINT_ENDPOINTS

Two sources of botocore's: the endpoint rule sets, which its clients go by, and endpoints.json, which
they went by before.

What Debian's botocore (1.29, December 2022) does not know, and so does not check:
 - the partitions aws-eusc, aws-iso-e and aws-iso-f;
 - dual stack in aws-iso and aws-iso-b: it says that there is none, today's SDKs name
   api.aws.ic.gov and api.aws.scloud;
 - regions opened since, among them ap-southeast-4 and later, ca-west-1, il-central-1, mx-central-1.
test_endpoint.c has rows for all of these, from partitions.json of the SDKs of 2026.

What we leave out: its names that are no regions ("aws-global", "fips-us-east-1").
"""

import itertools
import subprocess
import sys

from botocore.endpoint_provider import EndpointProvider
from botocore.exceptions import EndpointProviderError
from botocore.loaders import create_loader
from botocore.regions import EndpointResolver

SERVICES = ("sqs", "sts")
# It says that these have none; see above.
NO_DUAL_STACK = ("us-iso-", "us-isob-")
LEAST_REGIONS = 30


def is_region(name):
    return not name.startswith("aws-") and "fips" not in name


def known_regions(resolver, partitions):
    regions = {name for partition in partitions["partitions"] for name in partition["regions"]}
    for service, partition in itertools.product(SERVICES, resolver.get_available_partitions()):
        regions.update(resolver.get_available_endpoints(service, partition))
    return sorted(filter(is_region, regions))


def of_rules(provider, region, fips, dual_stack):
    try:
        return provider.resolve_endpoint(
            Region=region, UseFIPS=fips, UseDualStack=dual_stack, UseGlobalEndpoint=False
        ).url
    except EndpointProviderError:
        return None


def of_endpoints(resolver, service, region, fips, dual_stack):
    endpoint = resolver.construct_endpoint(
        service, region, use_fips_endpoint=fips, use_dualstack_endpoint=dual_stack
    )
    return "https://" + endpoint["hostname"]


def ours(program, cases):
    text = "".join(f"{s} {r} {int(f)} {int(d)}\n" for s, r, f, d in cases)
    lines = subprocess.run(
        [program], input=text, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    if len(lines) != len(cases):
        sys.exit(f"{len(cases)} cases, {len(lines)} answers")
    return [line.split(" ") for line in lines]


def read_back(case, url):
    """What endpoint_read_name() is to say: GovCloud's plain endpoint does not say that it is FIPS."""
    _, region, _, dual_stack = case
    return ["1", region, str(int("-fips." in url)), str(int(dual_stack))]


def main():
    loader = create_loader()
    partitions = loader.load_data("partitions")
    resolver = EndpointResolver(loader.load_data("endpoints"))
    providers = {
        service: EndpointProvider(
            loader.load_service_model(service, "endpoint-rule-set-1"), partitions
        )
        for service in SERVICES
    }
    regions = known_regions(resolver, partitions)
    if len(regions) < LEAST_REGIONS:
        sys.exit(f"only {len(regions)} regions: {regions}")
    cases = list(itertools.product(SERVICES, regions, (False, True), (False, True)))
    compared = 0
    for case, (url, *name) in zip(cases, ours(sys.argv[1], cases)):
        service, region, fips, dual_stack = case
        if name != read_back(case, url):
            sys.exit(f"{case}: {url} is read back as {name}")
        theirs = of_rules(providers[service], region, fips, dual_stack)
        if theirs is None and dual_stack and region.startswith(NO_DUAL_STACK):
            continue
        if url != theirs:
            sys.exit(f"{case}: ours {url}, the rule set's {theirs}")
        older = of_endpoints(resolver, service, region, fips, dual_stack)
        if url != older:
            sys.exit(f"{case}: ours {url}, endpoints.json's {older}")
        compared += 1
    print(f"{compared} endpoints equal, {len(cases) - compared} that botocore does not know")


if __name__ == "__main__":
    main()
