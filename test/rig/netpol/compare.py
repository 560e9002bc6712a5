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
from .dice import PORTS, PROTOCOLS
from .enforcer import everything
from .evaluator import Evaluator, Party
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


class Parties:
    """Who can be at the ends of connections through a node."""

    def __init__(self, world: World, node: str) -> None:
        self.node = node
        self.own = frozenset(node_addresses(world.nodes[node]))
        self.evaluator = Evaluator(world)
        owners = self.evaluator.owners
        self.local = [Party(a, p) for a, p in owners.items() if p["spec"]["nodeName"] == node]
        remote = [Party(a, p) for a, p in owners.items() if p["spec"]["nodeName"] != node]
        self.others = [*remote, *map(Party, _strangers(world, owners))]
        # The node is told by where its packets come from. What others send in its name is theirs.
        self.itself = [Party(a, None, node) for a in self.own]

    def connections(self, rng: random.Random, n: int) -> Iterator[tuple[Party, Party, str, int]]:
        """@n connections of local pods, of either direction or both."""
        if not self.local:
            return
        everybody = [*self.local, *self.others, *self.itself]
        for _ in range(n):
            pod = rng.choice(self.local)
            peers = [p for p in everybody if family_of(p.address) == family_of(pod.address)]
            peer = rng.choice(peers)
            port = rng.choice(PORTS) + rng.choice((0, 0, 0, 1, -1, 30))
            ends = (pod, peer) if rng.random() < 0.5 else (peer, pod)
            # What a pod sends to its own address stays in it.
            if pod.pod is not peer.pod:
                yield *ends, rng.choice(PROTOCOLS), port

    def allows(self, source: Party, target: Party, proto: str, port: int) -> bool:
        """What the API wants of this node: the say of those ends that are its pods."""
        judge = self.evaluator
        return (source not in self.local or judge.egress_allows(source, target, proto, port)) and (
            target not in self.local or judge.ingress_allows(source, target, proto, port)
        )


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
    renderer: Renderer, world: World, node: str, rng: random.Random, n: int
) -> tuple[int, list[Difference]]:
    """Of at most @n packets: how many there were, and those that are judged wrongly."""
    parties = Parties(world, node)
    ruleset = renderer.ruleset(world, node)
    found, tried = [], 0
    for source, target, proto, port in parties.connections(rng, n):
        packet = Packet(
            source.address, target.address, proto, port, parties.own, own=source.node == node
        )
        wanted = parties.allows(source, target, proto, port)
        verdict = ruleset.judge(packet)
        tried += 1
        if verdict.accepted != wanted:
            found.append(Difference(packet, wanted, tuple(verdict.way)))
    return tried, found
