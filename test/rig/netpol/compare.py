"""A node's ruleset, evaluated, beside what the API means: of every packet the same must be said."""

from __future__ import annotations

import ipaddress
import itertools
import json
import random
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..agent import PROGRAM
from ..netns import Namespace
from ..objects import Object
from .dice import PORTS, PROTOCOLS
from .enforcer import everything
from .evaluator import Evaluator, Party, named_ports
from .nft import Packet, Ruleset
from .world import World, family_of, is_finished, node_addresses, pod_addresses


@dataclass(frozen=True)
class Difference:
    """A packet of which the two say different things."""

    packet: Packet
    wanted: bool
    way: tuple[str, ...]

    def __str__(self) -> str:
        packet, verdicts = self.packet, ("deny", "allow")
        return (
            f"{packet.source} -> {packet.target} {packet.proto}/{packet.port}: "
            f"{verdicts[self.wanted]} is right, the ruleset says {verdicts[not self.wanted]}: "
            f"{', '.join(self.way) or 'no rule decides'}"
        )


class Renderer:
    """What the agent of a node would commit, in a namespace where the kernel has taken it."""

    def __init__(self, directory: Path, space: Namespace) -> None:
        self.manifest = directory / "all.yaml"
        self.space = space

    def text(self, world: World, node: str) -> str:
        """The ruleset as the program writes it."""
        documents = (json.dumps(made) + "\n" for made in everything(world).values())
        self.manifest.write_text("---\n".join(documents), encoding="utf-8")
        argv = [PROGRAM, "render", f"--manifests={self.manifest.parent}", "--enable-ipv6=true"]
        argv += [f"--hostname-override={node}", "--run-router=false", "--run-firewall=true"]
        argv += [f"--service-cluster-ip-range={c}" for c in world.networks["serviceCIDRs"]]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode != 0 or done.stderr:
            raise RuntimeError(f"render: exit {done.returncode}\n{done.stderr}")
        return done.stdout

    def ruleset(self, world: World, node: str) -> Ruleset:
        """The same as nft has read it, to be evaluated."""
        self.space.run("nft", "-f", "-", stdin=f"flush ruleset\n{self.text(world, node)}")
        return Ruleset(self.space.run("nft", "-j", "list", "ruleset"))


@dataclass(frozen=True)
class Aim:
    """A rule, and the local pods that its policy selects."""

    policy: Object
    rule: Object
    inward: bool
    pods: list[Party]


class Parties:
    """Who can be at the ends of connections through a node."""

    def __init__(self, world: World, node: str) -> None:
        self.node = node
        self.own = frozenset(node_addresses(world.nodes[node]))
        self.evaluator = Evaluator(world)
        owners = self.evaluator.owners
        self.local = [Party(a, p) for a, p in owners.items() if p["spec"]["nodeName"] == node]
        remote = [Party(a, p) for a, p in owners.items() if p["spec"]["nodeName"] != node]
        # The node is told by where its packets come from. What others send in its name is theirs.
        itself = [Party(a, None, node) for a in self.own]
        self.everybody = [*self.local, *remote, *map(Party, _strangers(world, owners)), *itself]
        self.aims = list(self._aims(world.policies.values()))

    def _aims(self, policies: Iterable[Object]) -> Iterator[Aim]:
        for policy in policies:
            pods = [p for p in self.local if policy in self.evaluator.policies_of(p.pod)]
            for rules, inward in (("ingress", True), ("egress", False)):
                for rule in policy["spec"].get(rules) or [] if pods else ():
                    yield Aim(policy, rule, inward, pods)

    def connections(self, rng: random.Random, n: int) -> Iterator[tuple[Party, Party, str, int]]:
        """At most @n connections of local pods; most aim at what a rule allows, or beside it."""
        for _ in range(n if self.local else 0):
            if self.aims and rng.random() < 0.7:
                source, target, ports = self._aimed(rng, rng.choice(self.aims))
            else:
                pod = rng.choice(self.local)
                peer = rng.choice(self._of_family(pod))
                source, target = (pod, peer) if rng.random() < 0.5 else (peer, pod)
                ports = []
            # What a pod sends to its own address stays in it.
            if source.pod is None or source.pod is not target.pod:
                yield source, target, *_port(rng, ports, target.pod)

    def _of_family(self, party: Party) -> list[Party]:
        return [p for p in self.everybody if family_of(p.address) == family_of(party.address)]

    def _aimed(self, rng: random.Random, aim: Aim) -> tuple[Party, Party, list[Object]]:
        """The ends of a connection that a rule may be about, and the rule's ports."""
        pod = rng.choice(aim.pods)
        peers = self._of_family(pod)
        meant = aim.rule.get("from" if aim.inward else "to")
        matching = [p for p in peers if self.evaluator.peers_match(meant, aim.policy, p)]
        peer = rng.choice(matching if matching and rng.random() < 0.8 else peers)
        return *((peer, pod) if aim.inward else (pod, peer)), aim.rule.get("ports") or []

    def allows(self, source: Party, target: Party, proto: str, port: int) -> bool:
        """What the API wants of this node: the say of those ends that are its pods."""
        judge = self.evaluator
        return (source not in self.local or judge.egress_allows(source, target, proto, port)) and (
            target not in self.local or judge.ingress_allows(source, target, proto, port)
        )


def _port(rng: random.Random, meant: list[Object], server: Object | None) -> tuple[str, int]:
    """A protocol and port: what one of the entries means at @server, or a neighbour, or any."""
    entry = rng.choice(meant) if meant and rng.random() < 0.8 else {}
    proto, port = entry.get("protocol", "TCP"), entry.get("port")
    if isinstance(port, int):
        return proto, rng.choice((port, entry.get("endPort", port))) + rng.choice((0, 0, 1, -1))
    for name, its_proto, number in named_ports(server) if server else ():
        if (name, its_proto) == (port, proto):
            return proto, number
    return rng.choice(PROTOCOLS), rng.choice(PORTS)


def _strangers(world: World, owners: Iterable[str]) -> Iterator[str]:
    """Addresses that are no ordinary pod's: nodes', outside ones, those of pods that have finished,
    and one of each pod network that nobody has."""
    known = itertools.chain(
        *(node_addresses(node) for node in world.nodes.values()),
        *world.externals.values(),
        *(pod_addresses(pod) for pod in world.pods.values() if is_finished(pod)),
        (str(ipaddress.ip_network(c)[77]) for n in world.nodes.values() for c in _cidrs(n)),
    )
    yield from dict.fromkeys(address for address in known if address not in owners)


def _cidrs(node: dict) -> list[str]:
    return node["spec"]["podCIDRs"]


def differences(
    ruleset: Ruleset, parties: Parties, rng: random.Random, n: int
) -> tuple[int, list[Difference]]:
    """Of at most @n packets: how many there were, and those that are judged wrongly."""
    found, tried = [], 0
    for source, target, proto, port in parties.connections(rng, n):
        packet = Packet(
            source.address,
            target.address,
            proto,
            port,
            parties.own,
            own=source.node == parties.node,
        )
        # Who passes for the node is stopped by a rule; with IPv4, by the kernel before any rule.
        spoofed = packet.table == "ip6" and packet.source in parties.own and not packet.own
        wanted = not spoofed and parties.allows(source, target, proto, port)
        verdict = ruleset.judge(packet)
        tried += 1
        if verdict.accepted != wanted:
            found.append(Difference(packet, wanted, tuple(verdict.way)))
    return tried, found
