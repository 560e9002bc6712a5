"""A network with its agents, told of one set of policies after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..agent import wait_until
from ..objects import Object
from .enforcer import Agents
from .network import Network, Place
from .world import World, name_of, pod_addresses


def policy(name: str, **spec: Any) -> Object:
    namespace, plain = name.split("/")
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"namespace": namespace, "name": plain},
        "spec": {"podSelector": {}, **spec},
    }


@dataclass
class Cluster:
    """A network, its agents, and the objects that they were told of."""

    network: Network
    agents: Agents
    world: World

    def tell(self, *policies: Object) -> None:
        """These are the policies now, and the agents have heard of them."""
        self.world.policies = {name_of(made): made for made in policies}
        self.follow()

    def follow(self) -> None:
        self.agents.follow(self.world)
        for name, agent in self.agents.agents.items():
            wanted = _objects(agent.render())

            def same(name: str = name, wanted: str = wanted) -> bool:
                return _objects(self.network.nodes[name].run("nft", "list", "ruleset")) == wanted

            wait_until("the agents have followed", same)

    def place(self, name: str) -> Place:
        if name in self.network.nodes:
            return self.network.nodes[name]
        return self.network.pods[name][1]

    def address(self, name: str, family: int = 4) -> str:
        if name in self.network.nodes:
            listed = [a["address"] for a in self.world.nodes[name]["status"]["addresses"]]
        else:
            listed = pod_addresses(self.world.pods[name])
        return next(a for a in listed if (":" in a) == (family == 6))


def _objects(text: str) -> str:
    """The sets and chains of network policy, and who is in the maps: enough to know a state."""
    words = text.replace(",", " ").replace("\n", " ").split()
    return " ".join(
        sorted({w for w in words if "gress/" in w or "gress-" in w or w.startswith("pods-")})
    )
