"""Packets that come to a node for some addresses, counted before any rule has seen them.

What becomes of one is settled by the time that it is counted. So who is dropped needs not be waited
for: it has arrived, and nothing came back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from rig.client import family_of
from rig.netns import Namespace

# Address, port, protocol.
Frontend = tuple[str, int, str]

TABLE = """
table {family} arrivals {{
	set counted {{
		typeof {family} daddr . meta l4proto . th dport
		counter
		elements = {{ {elements} }}
	}}
	chain prerouting {{
		type filter hook prerouting priority raw;
		iifname != "lo" {family} daddr . meta l4proto . th dport @counted
	}}
	chain output {{
		type filter hook output priority raw;
		{family} daddr . meta l4proto . th dport @counted
	}}
}}
"""


def _table(address: str) -> str:
    return "ip6" if family_of(address) == 10 else "ip"


class Arrivals:
    """Counts what comes to these frontends of a node, each packet once."""

    def __init__(self, node: Namespace, frontends: Iterable[Frontend]) -> None:
        self.node = node
        by_family: dict[str, list[str]] = {}
        for address, port, protocol in sorted(set(frontends)):
            element = f"{address} . {protocol.lower()} . {port}"
            by_family.setdefault(_table(address), []).append(element)
        self.families = sorted(by_family)
        for family, elements in by_family.items():
            table = TABLE.format(family=family, elements=",".join(elements))
            node.run("nft", "-f", "-", stdin=table)

    def counts(self) -> dict[Frontend, int]:
        """How many packets came to each."""
        found: dict[Frontend, int] = {}
        for family in self.families:
            listing = self.node.run("nft", "list", "set", family, "arrivals", "counted")
            for key in re.finditer(r"(\S+) \. (\w+) \. (\d+) counter packets (\d+)", listing):
                found[key[1], int(key[3]), key[2].upper()] = int(key[4])
        return found
