#!/usr/bin/python3
"""The addresses that a message's host may have, compared with Python's ipaddress module.

usage: check_address_guard.py PRINT_ADDRESSES

Every end of every special range, the address before and the one after it, the ends of every seventh
/16 of IPv4 and of IPv6, and random ones. Where the two differ on purpose is written here.
"""
import ipaddress
import random
import subprocess
import sys

# What is refused here although ipaddress calls it global.
REFUSED = [ipaddress.ip_network(text) for text in (
    "192.0.0.0/24",  # protocol assignments, some of them metadata services
    "192.88.99.0/24", "2002::/16", "2001::/23",  # 6to4, Teredo and their like
    "168.63.129.16/32",  # Azure's metadata
    "3fff::/20",  # documentation, newer than Debian's Python
    "::/96", "::ffff:0:0/96",  # IPv4 in another form
)]
NAT64 = ipaddress.ip_network("64:ff9b::/96")
SPECIAL = REFUSED + [NAT64] + [ipaddress.ip_network(text) for text in (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
    "224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32", "169.254.169.254/32", "100.100.100.200/32",
    "::/128", "::1/128", "64:ff9b:1::/48", "100::/64", "2001::/32", "2001:db8::/32", "fc00::/7",
    "fe80::/10", "fec0::/10", "ff00::/8", "2000::/3", "5f00::/16", "fd00:ec2::254/128")]


def is_public(address):
    if address.version == 6 and address in NAT64:
        return is_public(ipaddress.IPv4Address(int(address) & 0xffffffff))
    if any(address in network for network in REFUSED if network.version == address.version):
        return False
    if address.version == 6 and address.is_site_local:
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def candidates():
    for network in SPECIAL:
        first, last = int(network[0]), int(network[-1])
        kind = ipaddress.IPv4Address if network.version == 4 else ipaddress.IPv6Address
        for number in (first - 1, first, first + 1, last - 1, last, last + 1):
            if 0 <= number < 1 << network.max_prefixlen:
                yield kind(number)
    for high in range(0, 1 << 16, 7):
        for low in (0, 0xffff):
            yield ipaddress.IPv4Address(high << 16 | low)
        yield ipaddress.IPv6Address(high << 112 | 1)
        yield ipaddress.IPv6Address((high + 1 << 112) - 1)
    chance = random.Random(20)
    for _ in range(4000):
        yield ipaddress.IPv4Address(chance.getrandbits(32))
        yield ipaddress.IPv6Address(chance.getrandbits(128))
        yield ipaddress.IPv6Address(1 << 125 | chance.getrandbits(125))
        yield NAT64[chance.getrandbits(32)]
        yield ipaddress.IPv6Address(0xffff << 32 | chance.getrandbits(32))


def main():
    addresses = list(candidates())
    said = subprocess.run([sys.argv[1]], input="\n".join(map(str, addresses)) + "\n", text=True,
                          stdout=subprocess.PIPE, check=True).stdout.splitlines()
    assert len(said) == len(addresses)
    wrong = [f"{address}: {what}" for address, what in zip(addresses, said)
             if (what == "public") != is_public(address)]
    print("\n".join(wrong[:50]))
    print(f"{len(addresses)} addresses, {said.count('public')} public, {len(wrong)} differences")
    sys.exit(1 if wrong else 0)


main()
