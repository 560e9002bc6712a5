"""This node's own object."""

from __future__ import annotations

from rig import objects
from rig.agent import Agent
from rig.cluster import FLAGS
from rig.frontends import everywhere, without_failures
from rig.live.client import reference
from rig.live.cluster import LiveCluster
from rig.ruleset import own_tables


def test_O20_waits_for_its_node(cluster: LiveCluster) -> None:
    made = objects.node("node9", list(cluster.node1.ips.values()), ["10.244.9.0/24"])
    agent = cluster.agent(name="node9", flags=(*FLAGS, "--hostname-override=node9"))
    agent.start()
    agent.wait_logged("waiting for this node's object")
    assert not own_tables(cluster.node1)
    cluster.apply("node9", made)
    agent.wait_logged('msg="following" node=node9')
    agent.kill()
    cluster.node1.run("nft", "flush ruleset")


def test_O20_deleted_node_leaves_what_it_said(cluster: LiveCluster, agent: Agent) -> None:
    web = everywhere(cluster, "web", "web-1", "web-3")
    cluster.settle(agent)
    node = reference("Node", "node1", "")
    with without_failures(web) as probes:
        cluster.admin.delete(node)
        agent.wait_logged("this node's object was deleted")
        cluster.settle(agent)
        probes.wait_connections(20)
        # With its status at once, as the kubelet does it. The controller leaves out the pods of a
        # node that it does not know.
        cluster.admin.create(cluster.node1.object())
        cluster.wait_endpoints("web", "web-1", "web-3")
        cluster.settle(agent)
    cluster.check(agent)
