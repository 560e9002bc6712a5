"""A cluster with agents and with servers, whose probers and policies are the same in several tests."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ..client import ask
from ..objects import Object
from .enforcer import Agents
from .guards import PORT, Guards, Scene, egress, ingress
from .network import Network
from .world import World, fixture

POD_A: Object = {"matchLabels": {"pod": "a"}}
OWN_NAMESPACE: Object = {"podSelector": {}}
NAMESPACE_Y: Object = {"namespaceSelector": {"matchLabels": {"ns": "y"}}}
# Of one node and of two, both families, in and out.
ALLOWED = [
    ("x/c", "x/a", 4),
    ("x/b", "x/a", 6),
    ("node-a", "x/a", 6),
    ("y/a", "y/b", 4),
    ("y/a", "y/c", 6),
]
DENIED = [
    ("z/c", "x/a", 6),
    ("y/c", "x/a", 4),
    ("ext1", "x/a", 6),
    ("y/a", "z/b", 4),
    ("y/a", "node-b", 6),
]
SERVERS = ("x/a", "y/b", "y/c", "z/b", "node-b")


def guarded_world() -> World:
    """The fixture with a policy for each direction."""
    world = fixture()
    world.apply(ingress("x/guard", POD_A, OWN_NAMESPACE))
    world.apply(egress("y/fence", POD_A, NAMESPACE_Y))
    return world


class Stage:
    """The scene, its agents, and the state that both have been told."""

    def __init__(self, cleanup: contextlib.ExitStack, world: World, *flags: str) -> None:
        self.world = world
        self.network = cleanup.enter_context(Network(world))
        flags = ("--run-firewall=true", *flags)
        self.agents = cleanup.enter_context(Agents(self.network, world, flags))
        self.scene = Scene(self.network, world, cleanup)
        self.agents.start()
        self.scene.serve(*SERVERS)

    def tell(self) -> None:
        """Have the agents follow the state, and wait until they have."""
        self.agents.follow(self.world)
        self.agents.settle()

    @contextlib.contextmanager
    def guarded(self) -> Iterator[Guards]:
        with self.scene.guarded(ALLOWED, DENIED) as guards:
            yield guards

    def served(self, client: str, server: str, family: int) -> bool:
        """Whether a connection made now is served."""
        try:
            ask(self.scene.place(client), self.scene.address(server, family), PORT)
        except OSError:
            return False
        return True
