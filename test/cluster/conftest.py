"""A cluster with an API server for each file, and an agent in it for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rig.agent import Agent
from rig.live.cluster import LiveCluster


@pytest.fixture(scope="session")
def live_cluster() -> Iterator[LiveCluster]:
    with LiveCluster() as made:
        made.add_pods(made.node1, "web-1", "web-2", "shell")
        made.add_pods(made.node2, "web-3", "web-4")
        yield made


@pytest.fixture
def cluster(live_cluster: LiveCluster) -> Iterator[LiveCluster]:
    """The cluster of the file; nothing is left of what a test applies."""
    with live_cluster.restored():
        yield live_cluster


@pytest.fixture
def agent(cluster: LiveCluster, request: pytest.FixtureRequest) -> Iterator[Agent]:
    """An agent on node1, which begins without tables."""
    made = cluster.agent(name=request.node.name)
    made.start()
    cluster.settle(made)
    yield made
    made.kill()
    cluster.node1.run("nft", "flush ruleset")
