"""Row O13: one object changes again and again, as fast as it can be written."""

from __future__ import annotations

import contextlib
import time

from rig.agent import Agent
from rig.client import ask
from rig.cluster import Cluster
from rig.frontends import everywhere
from rig.generations import Generations

UPDATES = 2000
# A sync comes no earlier than this after the one before.
SYNC_GAP_NS = 10_000_000


def test_O13_updates_are_gathered_and_the_last_one_wins(
    own_cluster: Cluster, own_agent: Agent
) -> None:
    made = everywhere(own_cluster, "stormy", "web-1")
    slices = {pod: own_cluster.slices(made.object, pod) for pod in ("web-1", "web-2")}
    own_cluster.settle(own_agent)
    with contextlib.ExitStack() as cleanup:
        generations = Generations(own_cluster.node1, cleanup)
        began_ns = time.monotonic_ns()
        for n in range(UPDATES):
            own_cluster.apply("stormy", made.object, *slices[("web-2", "web-1")[n % 2]])
        own_cluster.apply("stormy", made.object, *slices["web-2"])
        own_cluster.settle(own_agent)
        seen = generations.after(began_ns)
    assert 1 <= len(seen) - 1 <= (seen[-1].ns - began_ns) / SYNC_GAP_NS
    assert len(seen) < UPDATES / 2
    for family in (4, 6):
        assert ask(own_cluster.pods["shell"], *made.at("cluster-ip", family)).pod == "web-2"
