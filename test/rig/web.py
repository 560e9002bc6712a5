"""Services for tests that look at tables and send no packets."""

from __future__ import annotations

from collections.abc import Sequence

from . import objects
from .lone import LoneNode
from .objects import Object

POD_CIDRS = ("10.244.1.0/24", "fd44:0:0:1::/64")
PODS = {4: "10.244.1.{}", 6: "fd44:0:0:1::{:x}"}


def web(number: int, endpoints: int, *, ips: Sequence[str] = (), name: str = "") -> list[Object]:
    """A Service with affinity, and its slices. Services share their endpoints."""
    made = objects.service(
        name or f"web-{number}", ips or [f"10.96.1.{number}", f"fd96::1:{number:x}"], affinity_s=60
    )
    return [
        made,
        *(
            objects.slice_of(
                made,
                [objects.endpoint(pods.format(n + 2), "node1") for n in range(endpoints)],
                family=family,
            )
            for family, pods in PODS.items()
        ),
    ]


def populate(node: LoneNode) -> None:
    """The Node, and twenty Services with up to three endpoints."""
    node.apply("node1", objects.node("node1", ["192.168.50.11", "fd50::11"], POD_CIDRS))
    for number in range(1, 21):
        node.apply(f"web-{number}", *web(number, number % 4))


class Changes:
    """Changes of one Service, each with something to delete and something to add."""

    def __init__(self, node: LoneNode) -> None:
        self.node = node
        self.n = 0

    def one(self) -> None:
        self.n += 1
        self.node.apply("web-1", *web(1, 1 + self.n % 3))
