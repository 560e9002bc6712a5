"""The interpreter of rulesets says what the kernel does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from rig.netns import Namespace, unique_prefix
from rig.netpol.nft import Packet, Ruleset, UnknownWord

NODE = frozenset({"10.0.0.1", "fd00::1"})
FORWARD = """
    chain forward {{
        type filter hook forward priority 0; policy {policy};
        {rules}
    }}"""


@pytest.fixture(scope="module")
def space() -> Iterator[Namespace]:
    with contextlib.ExitStack() as cleanup:
        yield Namespace(unique_prefix() + "nft", cleanup)


def load(space: Namespace, text: str) -> Ruleset:
    space.run("nft", "-f", "-", stdin=f"flush ruleset\n{text}")
    return Ruleset(space.run("nft", "-j", "list", "ruleset"))


def table(space: Namespace, rules: str, more: str = "", *, policy: str = "accept") -> Ruleset:
    """A table with one base chain."""
    return load(space, f"table inet t {{\n{more}\n{FORWARD.format(rules=rules, policy=policy)}\n}}")


def packet(text: str, *, own: bool = False) -> Packet:
    """A packet from "source target proto port"."""
    source, target, proto, port = text.split()
    return Packet(source, target, proto, int(port), NODE, own=own)


V4 = "10.1.0.2 10.2.0.3 TCP 80"
V6 = "fd01::2 fd02::3 UDP 53"


@pytest.mark.parametrize(
    ("rule", "hits"),
    [
        ("ip saddr 10.1.0.2", [V4]),
        ("ip saddr != 10.1.0.2", []),
        ("ip saddr != 10.1.0.9", [V4]),
        ("ip saddr 10.1.0.0/24", [V4]),
        ("ip saddr { 10.1.0.0/30, 10.9.9.9 }", [V4]),
        ("ip saddr 10.1.0.3-10.1.0.9", []),
        ("ip saddr & 255.255.0.0 == 10.1.0.0", [V4]),
        ("ip6 daddr fd02::/16", [V6]),
        ("tcp dport 80", [V4]),
        ("udp dport 50-60", [V6]),
        ("th dport { 53, 80 }", [V4, V6]),
        ("th dport != 80", [V6]),
        ("th dport < 80", [V6]),
        ("meta l4proto { tcp, sctp }", [V4]),
        ("meta nfproto ipv6", [V6]),
        ("ct state new", [V4, V6]),
        ('iifname "kube-bridge"', []),
        ('iifname != "lo"', [V4, V6]),
        ('meta iifkind "bridge"', []),
        ("ct state established,related", []),
        ("ct direction original", [V4, V6]),
        ("ct direction reply", []),
        ("ct status dnat", []),
        ("fib saddr type local", []),
        ("icmp type echo-request", []),
        ("meta l4proto ipv6-icmp", []),
        ("ip saddr . ip daddr . th dport { 10.1.0.2 . 10.2.0.0/16 . 80-81 }", [V4]),
        ("ip saddr @networks", [V4]),
        ("ip saddr != @networks", []),
        ("ip daddr . meta l4proto . th dport @ports", [V4]),
        ('limit rate 10/minute log prefix "x" group 100', []),
        ('counter log prefix "x"', [V4, V6]),
    ],
)
def test_matches(space: Namespace, rule: str, hits: list[str]) -> None:
    sets = """
        set networks {
            type ipv4_addr; flags interval
            elements = { 10.1.0.0/25 comment "here" }
        }
        set ports {
            typeof ip daddr . meta l4proto . th dport
            counter
            elements = { 10.2.0.3 . tcp . 80 }
        }"""
    verdict = "" if rule.startswith("limit") else "drop"
    ruleset = table(space, f"{rule} {verdict}", sets)
    assert [text for text in (V4, V6) if not ruleset.judge(packet(text)).accepted] == hits


CHAINS = """
    chain none {
    }
    chain back {
        return
        drop
    }
    chain two {
        tcp dport 81 drop
    }
    chain one {
        jump none
        jump back
        goto two
        drop
    }
    map ends {
        type ipv4_addr : verdict; flags interval
        elements = { 10.2.0.0/24 : jump one, 10.3.0.0/24 : goto one, 10.4.0.1 : drop }
    }
"""


@pytest.mark.parametrize(
    ("target", "port", "accepted"),
    [
        ("10.2.0.3", 81, False),
        ("10.2.0.3", 80, False),  # back from one, the last rule drops
        ("10.2.0.3", 443, True),
        ("10.3.0.3", 80, True),  # a goto does not come back
        ("10.3.0.3", 81, False),
        ("10.4.0.1", 443, False),
        ("10.5.0.1", 80, False),
        ("10.5.0.1", 443, True),
    ],
)
def test_chains(space: Namespace, target: str, port: int, accepted: bool) -> None:
    ruleset = table(space, "ip daddr vmap @ends\n tcp dport 80 drop", CHAINS)
    verdict = ruleset.judge(packet(f"10.1.0.2 {target} TCP {port}"))
    assert verdict.accepted == accepted, verdict.way


def test_policy_and_anonymous_maps(space: Namespace) -> None:
    rules = "meta l4proto vmap { tcp : accept, udp : continue, sctp : drop }"
    ruleset = table(space, rules, policy="drop")
    assert ruleset.judge(packet(V4)).accepted
    assert not ruleset.judge(packet(V6)).accepted


HOOKS = """
table ip a {
    chain c {
        type filter hook forward priority 0
        accept
    }
}
table ip b {
    chain c {
        type filter hook forward priority 5
        tcp dport 80 drop
    }
}
table ip n {
    chain c {
        type nat hook prerouting priority -100
        tcp dport 80 redirect
    }
}
table ip6 b {
    chain c {
        type filter hook forward priority 5
        drop
    }
}
table inet c {
    chain i {
        type filter hook input priority 0
        tcp dport 81 drop
    }
    chain o {
        type filter hook output priority 0
        tcp dport 82 drop
    }
    chain p {
        type filter hook prerouting priority -300
        tcp dport 83 drop
    }
}
"""


@pytest.mark.parametrize(
    ("text", "own", "accepted"),
    [
        (V4, False, False),  # accepted by one table, dropped by the next
        ("10.1.0.2 10.2.0.3 TCP 81", False, True),
        ("10.1.0.2 10.0.0.1 TCP 80", False, True),
        ("10.1.0.2 10.0.0.1 TCP 81", False, False),
        ("10.0.0.1 10.2.0.3 TCP 80", True, True),
        ("10.0.0.1 10.2.0.3 TCP 82", True, False),
        ("10.0.0.1 10.2.0.3 TCP 80", False, False),  # in the node's name
        ("10.1.0.2 10.2.0.3 TCP 83", False, False),
        (V6, False, False),
    ],
)
def test_hooks(space: Namespace, text: str, own: bool, accepted: bool) -> None:
    assert load(space, HOOKS).judge(packet(text, own=own)).accepted == accepted


@pytest.mark.parametrize(
    "rule",
    [
        "ip ttl 1 drop",
        "meta oifname eth0 drop",
        "meta mark 1 drop",
        "tcp flags syn drop",
        "limit rate 1/second drop",
    ],
)
def test_what_is_unknown_is_an_error(space: Namespace, rule: str) -> None:
    with pytest.raises(UnknownWord):
        table(space, rule).judge(packet(V4))


@pytest.mark.parametrize(
    "rule", ["reject", "tcp dport 80 reject with tcp reset", "ip saddr 10.1.0.2 reject"]
)
def test_refusals(space: Namespace, rule: str) -> None:
    assert not table(space, rule).judge(packet(V4)).accepted
