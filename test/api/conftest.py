"""Clusters whose agent is told its objects by a scripted API server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rig.agent import Agent
from rig.api.cluster import ApiCluster
from rig.frontends import Frontends, everywhere


@pytest.fixture
def cluster() -> Iterator[ApiCluster]:
    """Nodes and the API server; no pods, no agent yet."""
    with ApiCluster() as made:
        yield made


@pytest.fixture
def agent(cluster: ApiCluster) -> Agent:
    """An agent that runs in `cluster` and has committed what there was."""
    made = cluster.agent()
    made.start()
    cluster.settle(made)
    return made


@pytest.fixture
def web(cluster: ApiCluster) -> Frontends:
    """A Service with one pod on each node, and "shell", a pod that is no endpoint."""
    cluster.add_pods(cluster.node1, "web-1", "shell")
    cluster.add_pods(cluster.node2, "web-2")
    return everywhere(cluster, "web", "web-1", "web-2")
