"""What nft(8) lists in a namespace, made comparable."""

from __future__ import annotations

import re

from .cluster import MARKER_ENDPOINTS, MARKER_IPS
from .netns import Namespace

TABLES = ("ip", "ip6")
MARKS = [rf"{re.escape(ip)} \. tcp" for ip in MARKER_IPS.values()] + [
    re.escape(ip) for ip in MARKER_ENDPOINTS.values()
]
MARK = re.compile(rf"((?:{'|'.join(MARKS)}) \.) \d+")


def without_counts(text: str) -> str:
    """A listing without what packets and time change in it."""
    text = re.sub(r"packets \d+ bytes \d+", "packets 0 bytes 0", text)
    return re.sub(r" expires \w+", "", text)


def ruleset(space: Namespace) -> str:
    """All tables."""
    return without_counts(space.run("nft", "list", "ruleset"))


def _in_order(table: str) -> str:
    """A table with its sets, maps and chains sorted; nft lists them in the order they were made."""
    head, *_ = re.split(r"^\t(?:set|map|chain) ", table, maxsplit=1, flags=re.MULTILINE)
    blocks = re.findall(r"^\t(?:set|map|chain) .*?^\t\}\n", table, re.DOTALL | re.MULTILINE)
    return "\n".join([head, *sorted(blocks)])


def own_tables(space: Namespace) -> str:
    """The agent's tables, to be compared; empty when they are not there. Where Cluster.settle() has
    put its mark last makes no difference."""
    listings = (space.run("nft", "list", "table", t, "kube-nft", check=False) for t in TABLES)
    text = without_counts("".join(map(_in_order, listings)))
    return MARK.sub(r"\1 0", text)


def elements(space: Namespace, family: int, name: str) -> list[str]:
    """The elements of a set or map, as nft writes them."""
    table = "ip" if family == 4 else "ip6"
    text = space.run("nft", "list", "map", table, "kube-nft", name)
    found = re.search(r"elements = \{(.*?)\}", text, re.DOTALL)
    return [e.strip() for e in found[1].split(",")] if found else []


def element_packets(space: Namespace, family: int, name: str, key: str) -> int:
    """The packets that the element with this key has counted."""
    for element in elements(space, family, name):
        if element.startswith(f"{key} counter"):
            return int(element.split("packets ")[1].split()[0])
    raise KeyError(f"{name} has no element {key}")
