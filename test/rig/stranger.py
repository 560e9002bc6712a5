"""Somebody who changes the agent's tables."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from . import state
from .netns import Namespace

CIDRS = {"ip": "192.0.2.0/24", "ip6": "2001:db8:bad::/64"}
FRONTENDS = {"ip": "10.96.200.1 . tcp . 1", "ip6": "fd96::c801 . tcp . 1"}


class Stranger:
    """Makes one change at a time, of a random kind."""

    def __init__(self, rng: random.Random, space: Namespace) -> None:
        self.rng = rng
        self.space = space
        self.done = 0

    def meddle(self) -> None:
        """Change something. It may fail: the agent changes the tables, too."""
        family = self.rng.choice(("ip", "ip6"))
        listing = self.space.run("nft", "list", "table", family, "kube-nft", check=False)
        content = state.parse(listing)
        command = self.rng.choice(KINDS)(self, f"{family} kube-nft", family, content)
        if command:
            before = state.generation(self.space)
            self.space.run("nft", "-f", "-", stdin=command, check=False)
            self.done += state.generation(self.space) != before

    def _block(self, family: str, content: state.State, kind: str) -> tuple[str, tuple[str, ...]]:
        """A random set or chain, and its lines."""
        names = [n for n in content if re.match(rf"{family} ({kind}) ", n) and " affinity" not in n]
        if not names:
            return "none", ()
        name = self.rng.choice(names)
        return name.split()[-1], content[name]

    def _disable(self, table: str, family: str, content: state.State) -> str:
        dormant = f"add table {table} {{ flags dormant; }}"
        return self.rng.choice(
            ("flush ruleset", f"delete table {table}", f"flush table {table}", dormant)
        )

    def _delete_elements(self, table: str, family: str, content: state.State) -> str:
        name, lines = self._block(family, content, "set|map")
        keys = [line.split(" counter")[0].split(" comment")[0].split(" :")[0] for line in lines]
        keys = [key for key in keys if re.match(r"[0-9a-f]+[.:]", key)]
        if not keys:
            return f"flush set {table} {name}"
        some = self.rng.sample(keys, self.rng.randint(1, len(keys)))
        return f"delete element {table} {name} {{ {', '.join(some)} }}"

    def _add_elements(self, table: str, family: str, content: state.State) -> str:
        frontend = FRONTENDS[family]
        address = frontend.split()[0]
        name, element = self.rng.choice(
            (
                ("pod-cidrs", CIDRS[family]),
                ("hairpin", f"{address} . {address}"),
                ("services", f"{frontend} : drop"),
                ("no-endpoints", f"{frontend} : goto refuse"),
                ("masquerade-services", f"{frontend} : goto masquerade-all"),
                ("endpoints", f"{frontend} . 0 : {address} . 1"),
                ("guarded-frontends", frontend),
                ("source-ranges", f"{frontend} . {CIDRS[family]}"),
                ("source-ranges", f"{frontend} . {address}"),
                ("service-addresses", address),
                ("cluster-ranges", CIDRS[family]),
            )
        )
        return f"add element {table} {name} {{ {element} }}"

    def _replace_element(self, table: str, family: str, content: state.State) -> str:
        name, lines = self._block(family, content, "map")
        verdicts = [line for line in lines if " : goto " in line]
        if not verdicts:
            return ""
        key = re.split(" counter| comment| :", self.rng.choice(verdicts))[0]
        where = f"element {table} {name}"
        return f"delete {where} {{ {key} }}; add {where} {{ {key} : drop }}"

    def _change_rules(self, table: str, family: str, content: state.State) -> str:
        name, _ = self._block(family, content, "chain")
        listing = self.space.run("nft", "-a", "list", "chain", *table.split(), name, check=False)
        handles = re.findall(r"^\t\t.* # handle (\d+)$", listing, re.MULTILINE)
        if handles and self.rng.random() < 0.5:
            return f"delete rule {table} {name} handle {self.rng.choice(handles)}"
        where = f" handle {self.rng.choice(handles)}" if handles else ""
        how = self.rng.choice(("add", "insert"))
        return f"{how} rule {table} {name}{where} {self.rng.choice(('accept', 'counter', 'drop'))}"

    def _change_chains(self, table: str, family: str, content: state.State) -> str:
        name, _ = self._block(family, content, "chain")
        return self.rng.choice(
            (
                f"add chain {table} foreign-{self.rng.randrange(100)}",
                f"add chain {table} hooked {{ type filter hook input priority 7; policy accept; }}",
                f"add chain {table} lb-{self.rng.randrange(1, 9)}",
                f"rename chain {table} {name} renamed",
                f"flush chain {table} {name}",
                f"flush chain {table} {name}; delete chain {table} {name}",
                f"add chain {table} filter-input {{ policy drop; }}",
            )
        )

    def _change_sets(self, table: str, family: str, content: state.State) -> str:
        name, _ = self._block(family, content, "set|map")
        return self.rng.choice(
            (
                f"flush set {table} {name}",
                f"add set {table} foreign {{ type mark; }}",
                f"flush table {table}; delete set {table} {name}",
                f"flush table {table}; delete set {table} {name}; "
                f"add set {table} {name} {{ type ether_addr; }}",
            )
        )


KINDS: list[Callable[[Stranger, str, str, state.State], str]] = [
    Stranger._disable,
    Stranger._delete_elements,
    Stranger._delete_elements,
    Stranger._add_elements,
    Stranger._replace_element,
    Stranger._change_rules,
    Stranger._change_chains,
    Stranger._change_sets,
]
