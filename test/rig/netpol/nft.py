"""What a ruleset does with a packet, worked out from what `nft -j list ruleset` says of it.

Only as much of nftables as filters need. A word that is not known here is an error, never passed
over: a verdict must not rest on half of a ruleset.
"""

from __future__ import annotations

import functools
import ipaddress
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ..objects import Object

PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "ipv6-icmp": 58, "icmpv6": 58, "sctp": 132}
# Counting and telling, and what is put into a set for later packets; nothing is decided by them.
WITHOUT_EFFECT = {"counter", "log", "comment", "set"}
FINAL = {"accept", "drop", "reject"}
# A value or, for intervals, its first and last; of a concatenation, a tuple of them.
Value = Any


class UnknownWord(Exception):
    """Something in a ruleset that this interpreter has not learnt."""


@dataclass(frozen=True)
class Packet:
    """The first packet of a connection, as a filter of a node sees it."""

    source: str
    target: str
    proto: str
    port: int
    local: frozenset[str]  # the node's own addresses
    own: bool = False  # whether the node itself sends it; others may do so in its name
    source_port: int = 40000
    state: str = "new"
    direction: str = "original"

    @property
    def table(self) -> str:
        return "ip6" if ":" in self.target else "ip"

    def path(self) -> tuple[str, ...]:
        """The hooks that it comes by."""
        if self.own:
            return ("output", "postrouting")
        return ("prerouting", "input" if self.target in self.local else "forward")


@dataclass
class Verdict:
    """What became of a packet, and the rules by which."""

    accepted: bool
    way: list[str] = field(default_factory=list)


@functools.cache
def _word(text: str) -> Value:
    if text in PROTOCOLS:
        return PROTOCOLS[text]
    try:
        return int(ipaddress.ip_address(text)) if "." in text or ":" in text else text
    except ValueError:
        return text


def _scalar(value: Any) -> Value:
    """A constant as it compares: addresses and protocols as numbers."""
    return _word(value) if isinstance(value, str) else value


def _interval(value: Any) -> tuple[Value, Value]:
    """First and last of one part of a key."""
    if isinstance(value, dict):
        if "prefix" in value:
            prefix = value["prefix"]
            network = ipaddress.ip_network(f"{prefix['addr']}/{prefix['len']}")
            return int(network[0]), int(network[-1])
        if "range" in value:
            first, last = map(_scalar, value["range"])
            return first, last
        raise UnknownWord(f"key {value}")
    if value == "*":
        return float("-inf"), float("inf")
    return _scalar(value), _scalar(value)


class Keys:
    """The keys of a set or map, each with its data."""

    def __init__(self, elements: Iterable[Any], *, data: bool) -> None:
        self.exact: dict[tuple[Value, ...], Any] = {}
        self.intervals: list[tuple[list[tuple[Value, Value]], Any]] = []
        for element in elements:
            key, value = element if data else (element, True)
            if isinstance(key, dict) and "elem" in key:
                key = key["elem"]["val"]
            parts = key["concat"] if isinstance(key, dict) and "concat" in key else [key]
            bounds = [_interval(part) for part in parts]
            if all(first == last for first, last in bounds):
                self.exact[tuple(first for first, _ in bounds)] = value
            else:
                self.intervals.append((bounds, value))

    def find(self, key: Value) -> Any:
        """The data of @key, or None."""
        parts = key if isinstance(key, tuple) else (key,)
        if parts in self.exact:
            return self.exact[parts]
        for bounds, value in self.intervals:
            if all(
                first <= part <= last for (first, last), part in zip(bounds, parts, strict=True)
            ):
                return value
        return None


class Chain:
    """The rules of a chain; a base chain has a hook."""

    def __init__(self, listed: Object) -> None:
        self.name = listed["name"]
        self.kind = listed.get("type")
        self.hook = listed.get("hook")
        self.priority = listed.get("prio", 0)
        self.policy = listed.get("policy", "accept")
        self.rules: list[list[Object]] = []


class Table:
    """The chains and sets of one table."""

    def __init__(self) -> None:
        self.chains: dict[str, Chain] = {}
        self.sets: dict[str, Keys] = {}
        self.anonymous: dict[int, Keys] = {}


class Ruleset:
    """All tables that a node has."""

    def __init__(self, listing: str) -> None:
        self.tables: dict[tuple[str, str], Table] = {}
        for entry in json.loads(listing)["nftables"]:
            for kind, listed in entry.items():
                if kind == "table":
                    self.tables[listed["family"], listed["name"]] = Table()
                elif kind != "metainfo":
                    self._add(kind, listed)

    def _add(self, kind: str, listed: Object) -> None:
        table = self.tables[listed["family"], listed["table"]]
        if kind == "chain":
            table.chains[listed["name"]] = Chain(listed)
        elif kind == "rule":
            table.chains[listed["chain"]].rules.append(listed["expr"])
        elif kind in ("set", "map"):
            table.sets[listed["name"]] = Keys(listed.get("elem", ()), data=kind == "map")
        elif kind not in ("counter", "limit"):
            raise UnknownWord(kind)

    def judge(self, packet: Packet) -> Verdict:
        """Have a packet come by all the filters on its way."""
        way: list[str] = []
        for hook in packet.path():
            for table, chain in self._filters(packet.table, hook):
                verdict = Walk(table, packet, way).base(chain)
                if verdict != "accept":
                    return Verdict(False, way)
        return Verdict(True, way)

    def _filters(self, family: str, hook: str) -> Iterator[tuple[Table, Chain]]:
        found = [
            (table, chain)
            for (table_family, _), table in self.tables.items()
            if table_family in (family, "inet")
            for chain in table.chains.values()
            if chain.hook == hook and chain.kind == "filter"
        ]
        yield from sorted(found, key=lambda pair: pair[1].priority)


class Walk:
    """A packet on its way through the chains of one table."""

    def __init__(self, table: Table, packet: Packet, way: list[str]) -> None:
        self.table = table
        self.packet = packet
        self.way = way

    def base(self, chain: Chain) -> str:
        """What a base chain decides."""
        verdict = self._chain(chain)
        if verdict in FINAL:
            return verdict
        return chain.policy

    def _chain(self, chain: Chain) -> str:
        """A final verdict, "return", or "end" when the packet came to the end of a goto."""
        for number, rule in enumerate(chain.rules, 1):
            verdict = self._rule(rule)
            if verdict:
                self.way.append(f"{chain.name}:{number} {verdict}")
                return verdict
        return "return"

    def _rule(self, rule: list[Object]) -> str:
        """The verdict of a rule, or "" to go on with the next one."""
        for statement in rule:
            [(word, body)] = statement.items()
            if word == "match":
                if not self._matches(body):
                    return ""
            elif word in FINAL or word in ("return", "jump", "goto"):
                return self._verdict(statement)
            elif word == "vmap":
                found = self._lookup(self._value(body["key"]), body["data"], data=True)
                return "" if found is None else self._verdict(found)
            elif word == "limit":
                # Only in front of what has no effect: that is how drops are told of.
                if not all(
                    set(s) <= WITHOUT_EFFECT | {"limit"} for s in rule[rule.index(statement) :]
                ):
                    raise UnknownWord(f"limit in front of {rule}")
                return ""
            elif word not in WITHOUT_EFFECT:
                raise UnknownWord(word)
        return ""

    def _verdict(self, statement: Object) -> str:
        [(word, body)] = statement.items()
        if word == "continue":
            return ""
        if word not in ("jump", "goto"):
            return word
        self.way.append(f"{word} {body['target']}")
        verdict = self._chain(self.table.chains[body["target"]])
        if verdict == "return":
            return "" if word == "jump" else "return"
        return verdict

    # Matches ----------------------------------------------------------------------------------

    def _matches(self, match: Object) -> bool:
        left, right, how = self._value(match["left"]), match["right"], match["op"]
        if left is None:
            return False  # a header that this packet has not
        if how == "in":
            return bool(left & self._flags(right))
        if how in ("==", "!="):
            return self._equal(left, right) == (how == "==")
        right = _scalar(right)
        return bool(
            {"<": left < right, ">": left > right, "<=": left <= right, ">=": left >= right}[how]
        )

    def _equal(self, left: Value, right: Any) -> bool:
        if isinstance(left, frozenset):
            return left == self._flags(right)
        if (
            isinstance(right, str)
            and right.startswith("@")
            or isinstance(right, dict)
            and "set" in right
        ):
            return self._lookup(left, right, data=False) is not None
        return Keys([right], data=False).find(left) is not None

    @staticmethod
    def _flags(right: Any) -> frozenset[str]:
        if isinstance(right, dict) and "|" in right:
            right = right["|"]
        return frozenset([right] if isinstance(right, str) else right)

    def _lookup(self, key: Value, where: Any, *, data: bool) -> Any:
        """What a named set or map, or an anonymous one, has under @key."""
        if isinstance(where, str):
            return self.table.sets[where.removeprefix("@")].find(key)
        # Rules are never changed, so that their anonymous sets can be told apart by where they are.
        if id(where) not in self.table.anonymous:
            self.table.anonymous[id(where)] = Keys(where["set"], data=data)
        return self.table.anonymous[id(where)].find(key)

    def _value(self, expression: Any) -> Value:
        """An expression's value for this packet; None when it has none."""
        if not isinstance(expression, dict):
            return _scalar(expression)
        [(word, body)] = expression.items()
        if word == "concat":
            values = tuple(self._value(part) for part in body)
            return None if None in values else values
        if word in ("&", "|", "^"):
            left, right = map(self._value, body)
            return {"&": left & right, "|": left | right, "^": left ^ right}[word]
        return getattr(self, f"_{word}", self._unknown)(body, word)

    @staticmethod
    def _unknown(body: Any, word: str) -> Value:
        raise UnknownWord(f"{word} {body}")

    def _payload(self, body: Object, word: str) -> Value:
        packet, protocol, name = self.packet, body.get("protocol"), body.get("field")
        if protocol in ("ip", "ip6") and name in ("saddr", "daddr"):
            if protocol != packet.table:
                return None
            return _scalar(packet.source if name == "saddr" else packet.target)
        if protocol in ("th", "tcp", "udp", "sctp") and name in ("sport", "dport"):
            if protocol not in ("th", packet.proto.lower()):
                return None
            return packet.port if name == "dport" else packet.source_port
        if protocol in ("icmp", "icmpv6") and name in ("type", "code"):
            return None  # no packet of ours is one
        return self._unknown(body, word)

    def _meta(self, body: Object, word: str) -> Value:
        values = {
            "l4proto": PROTOCOLS[self.packet.proto.lower()],
            "nfproto": "ipv6" if self.packet.table == "ip6" else "ipv4",
            "protocol": self.packet.table,
            # By what else it came makes no difference.
            "iifname": None if self.packet.own else "eth0",
            "iifkind": None,
            "oifkind": None,
        }
        return values[body["key"]] if body["key"] in values else self._unknown(body, word)

    def _ct(self, body: Object, word: str) -> Value:
        values: dict[str, Value] = {
            "state": frozenset({self.packet.state}),
            "status": frozenset(),
            "direction": self.packet.direction,
        }
        return values[body["key"]] if body["key"] in values else self._unknown(body, word)

    def _fib(self, body: Object, word: str) -> Value:
        flags = body["flags"] if isinstance(body["flags"], list) else [body["flags"]]
        if body["result"] != "type" or flags not in (["saddr"], ["daddr"]):
            return self._unknown(body, word)
        address = self.packet.source if flags == ["saddr"] else self.packet.target
        return "local" if address in self.packet.local else "unicast"
