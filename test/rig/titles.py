"""What the tests of Kubernetes' titles have in common: Services that change, and who answers then."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from . import objects
from .agent import Agent
from .client import outcomes
from .cluster import Node, start_server, wait_ready
from .frontends import Frontends
from .netns import Namespace
from .objects import Object

PODS = {"web-1", "web-2", "web-3", "web-4"}
LOCAL = {"web-1", "web-2"}
DRAINING = {"ready": False, "serving": True, "terminating": True}
NOT_READY = {"ready": False, "serving": False, "terminating": False}
ALL_PROTOCOLS = ("TCP", "UDP", "SCTP")
HOST_PORT = 8090

At = tuple[str, int]
Meet = Callable[..., set[str]]
Deploy = Callable[..., Frontends]


class Hosts:
    """Servers of pods that have no network but their node's."""

    def __init__(self, nodes: list[Node], cleanup: contextlib.ExitStack) -> None:
        self.nodes = {f"host-{node.number}": node for node in nodes}
        for name, node in self.nodes.items():
            wait_ready(start_server(node, name, cleanup, str(HOST_PORT)))

    def slices(self, made: Object, *names: str) -> list[Object]:
        return [
            objects.slice_of(
                made,
                [
                    objects.endpoint(self.nodes[n].ips[family], self.nodes[n].host_name)
                    for n in names
                ],
                family=family,
            )
            for family in (4, 6)
        ]


def redeploy(made: Frontends, agent: Agent, *pods: str) -> None:
    """The same Service, as its object is now, with other endpoints."""
    made.cluster.deploy(made.object, *pods)
    made.cluster.settle(agent)


def apply_conditions(made: Frontends, agent: Agent, **pods: dict[str, bool]) -> None:
    """Give a Service endpoints in the conditions told; web_1=DRAINING is the pod web-1."""
    cluster = made.cluster
    slices = [
        objects.slice_of(
            made.object,
            [cluster.pods[n.replace("_", "-")].endpoint(f, **c) for n, c in pods.items()],
            family=f,
        )
        for f in (4, 6)
    ]
    cluster.apply(made.name, made.object, *slices)
    cluster.settle(agent)


def assert_nobody(places: list[Namespace], *at: At) -> None:
    """No pod answers there; whether it is refused or dropped is not asked."""
    attempts = [(place, *one, "TCP") for place in places for one in at]
    assert not outcomes(attempts) & PODS
