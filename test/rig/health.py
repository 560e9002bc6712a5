"""What a load balancer hears from health check node ports."""

from __future__ import annotations

import json

from .agent import Agent
from .cluster import Cluster
from .netns import Namespace


def url(address: str, port: int) -> str:
    return f"http://[{address}]:{port}/" if ":" in address else f"http://{address}:{port}/"


def curl(space: Namespace, address: str, port: int, *flags: str) -> str:
    """What curl prints; nothing when there is no answer."""
    argv = ("curl", "-sS", "--noproxy", "*", "--max-time", "20", *flags, url(address, port))
    return space.run(*argv, check=False)


def health(cluster: Cluster, port: int, family: int) -> str:
    """The status that a load balancer gets from node1 and the number of endpoints, or "none"."""
    text = curl(cluster.client, cluster.node1.ips[family], port, "-w", "\n%{http_code}")
    body, _, status = text.rpartition("\n")
    return f"{status} {json.loads(body)['localEndpoints']}" if body else "none"


def wait_health(agent: Agent, cluster: Cluster, port: int, expected: str) -> None:
    """The table has the change a moment before the port tells it."""
    for family in (4, 6):
        agent.wait_until(
            f"{expected!r} at port {port} over IPv{family}",
            lambda f=family: health(cluster, port, f) == expected,  # type: ignore[misc]
        )
