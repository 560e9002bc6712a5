"""What users can act on is told to them by Events, in the form that the API server takes."""

from __future__ import annotations

from rig import objects
from rig.agent import Agent, wait_until
from rig.cluster import cluster_ip
from rig.live.cluster import LiveCluster
from rig.objects import Object
from rig.ruleset import own_tables

ALLOWED = "203.0.113.200"
REFUSED = "192.0.2.200"


def event_with(cluster: LiveCluster, reason: str) -> Object:
    """The only Event with this reason, when it has come."""

    def found() -> list[Object]:
        return [event for event in cluster.admin.list("Event") if event["reason"] == reason]

    wait_until(f"an Event: {reason}", lambda: bool(found()))
    (event,) = found()
    return event


def test_refused_address(cluster: LiveCluster, agent: Agent) -> None:
    made = objects.service("refused", cluster_ip(71).values(), externalIPs=[REFUSED])
    cluster.deploy(made)
    event = event_with(cluster, "ExternalAddressRefused")
    about = cluster.admin.get(made)["metadata"]
    assert event["regarding"] == {
        "apiVersion": "v1",
        "kind": "Service",
        "namespace": "default",
        "name": "refused",
        "uid": about["uid"],
        "resourceVersion": about["resourceVersion"],
    }
    assert event["metadata"]["namespace"] == "default"
    assert event["type"] == "Warning"
    assert event["reportingController"] == "kube-nft.io/agent"
    assert event["reportingInstance"] == "node1"
    assert REFUSED in event["note"]
    assert event["note"] in agent.log()


def test_O1_contested_address(cluster: LiveCluster, agent: Agent) -> None:
    for number, name in ((72, "older"), (73, "younger")):
        cluster.deploy(objects.service(name, cluster_ip(number).values(), externalIPs=[ALLOWED]))
        # They are as old as each other to the second, so that the name decides.
        cluster.settle(agent)
    event = event_with(cluster, "AddressConflict")
    assert event["regarding"]["name"] == "younger"
    assert "belongs to Service default/older" in event["note"]


def test_N1_repair(cluster: LiveCluster, agent: Agent) -> None:
    before = own_tables(cluster.node1)
    cluster.node1.run("nft", "flush ruleset")
    event = event_with(cluster, "ForeignChangeRepaired")
    assert event["regarding"]["kind"] == "Node"
    assert event["regarding"]["name"] == "node1"
    assert "is not there" in event["note"]
    assert own_tables(cluster.node1) == before
