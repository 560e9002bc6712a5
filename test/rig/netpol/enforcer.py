"""Who enforces the policies of a World on its nodes."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from .. import objects
from ..agent import PROGRAM, Agent, from_manifests
from ..objects import Object
from .evaluator import Evaluator, Party, directions
from .network import Network
from .world import World, family_of, name_of, pod_addresses

# What settle() looks for; a Service's addresses.
MARKER_IPS = {4: "10.96.255.254", 6: "fd00:96::fffe"}


class Enforcer(Protocol):
    """Somebody who is told of every change."""

    def follow(self, world: World) -> None:
        """The objects are these now."""


@dataclass(frozen=True)
class Together:
    """Several, who are told in this order; nobody enforces nothing."""

    enforcers: tuple[Enforcer, ...] = ()

    def follow(self, world: World) -> None:
        for enforcer in self.enforcers:
            enforcer.follow(world)


def defaulted(policy: Object) -> Object:
    """A policy with what an API server fills in."""
    made = copy.deepcopy(policy)
    spec = made["spec"]
    spec.setdefault("policyTypes", sorted(directions(policy), reverse=True))
    for rule in (*(spec.get("ingress") or []), *(spec.get("egress") or [])):
        for port in rule.get("ports") or []:
            port.setdefault("protocol", "TCP")
    return made


def slices(world: World, service: Object) -> Iterator[Object]:
    """The EndpointSlices that a Service has in this state, one a port and family."""
    for port, ip in itertools.product(service["spec"]["ports"], service["spec"]["clusterIPs"]):
        endpoints = [
            (pod, number, address)
            for pod, number in world.backends(service, port)
            for address in pod_addresses(pod)
            if family_of(address) == family_of(ip)
        ]
        for number in {number for _, number, _ in endpoints}:
            resolved = {
                "metadata": service["metadata"],
                "spec": {"ports": [{**port, "targetPort": number}]},
            }
            yield objects.slice_of(
                resolved,
                [
                    objects.endpoint(a, p["spec"]["nodeName"])
                    for p, n, a in endpoints
                    if n == number
                ],
                suffix=f"{port['name']}-{number}",
                family=family_of(ip),
            )


def everything(world: World) -> dict[str, Object]:
    """All objects of a state, by a name for the file of each."""
    of_services = itertools.chain(*(slices(world, service) for service in world.services.values()))
    kinds = (world.nodes, world.namespaces, world.pods, world.services, world.policies)
    found = itertools.chain(*(kind.values() for kind in kinds), of_services)
    return {_file_name(o): o for o in found}


def _file_name(made: Object) -> str:
    name = f"{made['kind']}-{name_of(made).replace('/', '.')}".lower()
    # A file may not be called as long as an object.
    return name if len(name) < 200 else hashlib.sha256(name.encode()).hexdigest()


class Manifests:
    """A directory that follows a World, one object a file, and what is new first; policies as
    @as_stored makes them of those that users wrote. Removed with @cleanup."""

    def __init__(
        self,
        cleanup: contextlib.ExitStack,
        prefix: str,
        as_stored: Callable[[Object], Object],
    ) -> None:
        self.as_stored = as_stored
        self.directory = Path(tempfile.mkdtemp(prefix=prefix))
        cleanup.callback(shutil.rmtree, self.directory, ignore_errors=True)
        self.written: dict[str, str] = {}

    def follow(self, world: World) -> None:
        texts = {name: objects.to_yaml(self._stored(o)) for name, o in everything(world).items()}
        for name, text in texts.items():
            if text != self.written.get(name):
                hidden = self.directory / f".{name}.new"
                hidden.write_text(text, encoding="utf-8")
                hidden.replace(self.directory / f"{name}.yaml")
        for name in self.written.keys() - texts.keys():
            (self.directory / f"{name}.yaml").unlink()
        self.written = texts

    def _stored(self, made: Object) -> Object:
        return self.as_stored(made) if made["kind"] == "NetworkPolicy" else made


class Agents:
    """The agent on every node, all following one directory; not started yet."""

    def __init__(
        self,
        network: Network,
        world: World,
        flags: Iterable[str] = ("--run-firewall=true",),
        *,
        program: str = PROGRAM,
        as_stored: Callable[[Object], Object] = lambda policy: policy,
    ) -> None:
        self.cleanup = contextlib.ExitStack()
        self._marks = 0
        self.logs = Path(tempfile.mkdtemp(prefix=network.prefix))
        self.cleanup.callback(shutil.rmtree, self.logs, ignore_errors=True)
        self.manifests = Manifests(self.cleanup, network.prefix, as_stored)
        self.manifests.follow(world)
        ranges = [f"--service-cluster-ip-range={c}" for c in world.networks["serviceCIDRs"]]
        self.agents = {
            name: self._agent(network, name, ("--enable-ipv6=true", *ranges, *flags), program)
            for name in network.nodes
        }

    def _agent(self, network: Network, name: str, flags: tuple[str, ...], program: str) -> Agent:
        source = from_manifests(self.manifests.directory)
        flags = (f"--hostname-override={name}", *flags)
        made = Agent(network.nodes[name], source, self.logs / f"{name}.log", flags, program=program)
        self.cleanup.callback(made.kill)
        return made

    def start(self) -> None:
        """Start all and wait until each has committed what there is."""
        for agent in self.agents.values():
            agent.start()
        for agent in self.agents.values():
            agent.wait_logged('msg="following"')

    def follow(self, world: World) -> None:
        self.manifests.follow(world)

    def settle(self) -> None:
        """Wait until all that was told so far is committed on every node. The agents read the
        changes of their directory in order, so it is enough to see the effect of a last one."""
        self._marks += 1
        marker = objects.service("marker", MARKER_IPS.values(), [objects.port(self._marks)])
        objects.write_manifest(self.manifests.directory, "zz-marker", marker)
        for agent in self.agents.values():
            agent.wait_until("the last change to be committed", lambda a=agent: self._marked(a))

    def _marked(self, agent: Agent) -> bool:
        return all(
            f"{MARKER_IPS[family]} . tcp . {self._marks} "
            in agent.space.run("nft", "list", "map", table, "kube-nft", "no-endpoints", check=False)
            for family, table in ((4, "ip"), (6, "ip6"))
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *why: object) -> None:
        self.cleanup.close()


DENIED = """\
table {table} reference {{
	set denied {{
		typeof {table} saddr . {table} daddr . meta l4proto . th dport
{elements}
	}}
	chain forward {{
		type filter hook forward priority 0
		{table} saddr . {table} daddr . meta l4proto . th dport @denied jump deny
	}}
	chain input {{
		type filter hook input priority 0
		{table} saddr . {table} daddr . meta l4proto . th dport @denied jump deny
	}}
	chain deny {{
		{deny}
	}}
}}
"""
REFUSE = "meta l4proto tcp reject with tcp reset\n\t\treject"


class Reference:
    """Enforces what the evaluator says, by a list of all connections that are denied: naive, and
    nobody's model. It judges the network that the cases run on."""

    def __init__(self, network: Network, deny: str = REFUSE) -> None:
        self.network = network
        self.deny = deny

    def follow(self, world: World) -> None:
        evaluator = Evaluator(world)
        parties = [
            (endpoint.node, evaluator.party(endpoint, family))
            for endpoint in world.endpoints().values()
            for family in endpoint.ips
        ]
        for name, node in self.network.nodes.items():
            denied = sorted(_denied(evaluator, name, parties, world.listeners))
            text = ""
            for family, table in ((4, "ip"), (6, "ip6")):
                listed = ", ".join(e for f, e in denied if f == family)
                elements = f"\t\telements = {{ {listed} }}" if listed else ""
                text += f"table {table} reference\ndelete table {table} reference\n"
                text += DENIED.format(table=table, elements=elements, deny=self.deny)
            node.run("nft", "-f", "-", stdin=text)


def _denied(
    evaluator: Evaluator,
    node: str,
    parties: Iterable[tuple[str, Party]],
    listeners: Iterable[tuple[str, int]],
) -> Iterator[tuple[int, str]]:
    """What @node must not let through, with the family: its own pods' part of the verdicts."""
    for (source_node, source), (target_node, target) in itertools.permutations(list(parties), 2):
        family = family_of(source.address)
        if family != family_of(target.address) or source.pod is target.pod is not None:
            continue
        for proto, port in listeners:
            if (
                source_node == node
                and not evaluator.egress_allows(source, target, proto, port)
                or target_node == node
                and not evaluator.ingress_allows(source, target, proto, port)
            ):
                key = f"{source.address} . {target.address} . {proto.lower()} . {port}"
                yield family, key
