"""What the tests of Kubernetes' titles deploy and ask; see rig/titles.py."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from rig.agent import Agent
from rig.client import Answer
from rig.cluster import Cluster
from rig.frontends import Frontends, everywhere
from rig.netns import Namespace
from rig.titles import At, Deploy, Hosts, Meet
from rig.verdicts.conversations import Ask, Crowd


@pytest.fixture(scope="module")
def crowd(cluster: Cluster) -> Iterator[Crowd]:
    with contextlib.ExitStack() as cleanup:
        yield Crowd(cluster.pods, cleanup)


@pytest.fixture
def meet(crowd: Crowd) -> Meet:
    """Who answers connections from somewhere, or what else becomes of them."""

    def met(space: Namespace, at: At, protocol: str = "TCP", n: int = 60) -> set[str]:
        outcomes = crowd.converse([Ask(space, *at, protocol)] * n)
        return {o.pod if isinstance(o, Answer) else o for o in outcomes}

    return met


@pytest.fixture
def deploy(cluster: Cluster, agent: Agent, request: pytest.FixtureRequest) -> Iterator[Deploy]:
    """Services of one test, which end with it."""
    deployed: set[str] = set()

    def made(name: str, *pods: str, **options: object) -> Frontends:
        deployed.add(name)
        service = everywhere(cluster, name, *pods, **options)  # type: ignore[arg-type]
        cluster.settle(agent)
        return service

    yield made
    for name in deployed:
        with contextlib.suppress(FileNotFoundError):
            cluster.remove(name)


@pytest.fixture(scope="module")
def hosts(cluster: Cluster) -> Iterator[Hosts]:
    with contextlib.ExitStack() as cleanup:
        yield Hosts(cluster.nodes, cleanup)
