"""Which endpoints serve: their conditions, and manifests that are edited while the agent runs."""

from __future__ import annotations

import pytest

from rig import frontends, objects
from rig.agent import Agent
from rig.client import ask, outcome, outcomes, pods_met
from rig.cluster import Cluster, cluster_ip
from rig.frontends import Frontends, everywhere
from rig.objects import Object
from rig.ruleset import own_tables

READY = {"ready": True, "serving": True, "terminating": False}
NOT_READY = {"ready": False, "serving": False, "terminating": False}
DRAINING = {"ready": False, "serving": True, "terminating": True}
DEAD = {"ready": False, "serving": False, "terminating": True}


def apply_states(made: Frontends, agent: Agent, **states: dict[str, bool]) -> None:
    """Give the Service the pods as endpoints; web_1=READY is the pod web-1, ready."""
    cluster = made.cluster

    def endpoints(family: int) -> list[Object]:
        pods = ((cluster.pods[name.replace("_", "-")], state) for name, state in states.items())
        return [pod.endpoint(family, **state) for pod, state in pods]

    slices = [objects.slice_of(made.object, endpoints(f), family=f) for f in (4, 6)]
    cluster.apply(made.name, made.object, *slices)
    cluster.settle(agent)


def test_only_ready_endpoints_serve(cluster: Cluster, agent: Agent, family: int) -> None:
    made = everywhere(cluster, "ready")
    apply_states(made, agent, web_1=READY, web_2=NOT_READY, web_3={}, web_4=DRAINING)
    # Conditions that are not given mean ready.
    met = pods_met(cluster.pods["shell"], *made.at("cluster-ip", family))
    assert set(met) == {"web-1", "web-3"}


def test_O16_without_ready_endpoints_the_terminating_serve(
    cluster: Cluster, agent: Agent, family: int
) -> None:
    made = everywhere(cluster, "draining")
    apply_states(made, agent, web_1=NOT_READY, web_2=DEAD, web_3=DRAINING, web_4=DRAINING)
    met = pods_met(cluster.pods["shell"], *made.at("cluster-ip", family))
    assert set(met) == {"web-3", "web-4"}


def test_O16_local_falls_back_to_local_terminating_endpoints(
    cluster: Cluster, agent: Agent, family: int
) -> None:
    made = everywhere(
        cluster, "draining-local", externalTrafficPolicy="Local", internalTrafficPolicy="Local"
    )
    apply_states(made, agent, web_1=DRAINING, web_2=NOT_READY, web_3=READY)
    assert set(pods_met(cluster.client, *made.at("node-port", family))) == {"web-1"}
    assert set(pods_met(cluster.pods["shell"], *made.at("cluster-ip", family))) == {"web-1"}
    # What is inside is sent to the whole cluster, where one is ready.
    assert set(pods_met(cluster.pods["shell"], *made.at("node-port", family))) == {"web-3"}


def test_without_usable_endpoints_everybody_is_refused(cluster: Cluster, agent: Agent) -> None:
    made = everywhere(cluster, "unusable")
    apply_states(made, agent, web_1=NOT_READY, web_3=DEAD)
    attempts = made.attempts(["pod", "node", "outside"], frontends.ALL, ["TCP"])
    assert outcomes(attempts) == {"refused"}


def test_endpoint_that_becomes_ready_serves(cluster: Cluster, agent: Agent, family: int) -> None:
    made = everywhere(cluster, "becoming")
    at = (cluster.pods["shell"], *made.at("cluster-ip", family))
    apply_states(made, agent, web_1=NOT_READY)
    assert outcome(*at) == "refused"
    apply_states(made, agent, web_1=READY)
    assert ask(*at).pod == "web-1"
    apply_states(made, agent, web_1=READY, web_3=READY)
    assert set(pods_met(*at)) == {"web-1", "web-3"}
    apply_states(made, agent, web_3=READY)
    assert set(pods_met(*at)) == {"web-3"}


def test_ports_come_and_go(cluster: Cluster, agent: Agent, family: int) -> None:
    ips = cluster_ip(cluster.new_number())
    shell = cluster.pods["shell"]

    def deploy(*ports: Object) -> None:
        cluster.deploy(objects.service("ports", ips.values(), ports), "web-1")
        cluster.settle(agent)

    http, admin = objects.port(80, name="http"), objects.port(81, name="admin", target=8081)
    deploy(http)
    assert ask(shell, ips[family], 80).port == 8080
    deploy(http, admin)
    assert ask(shell, ips[family], 81).port == 8081
    deploy(admin)
    assert ask(shell, ips[family], 81).port == 8081
    assert outcome(shell, ips[family], 80) != "web-1"
    deploy(objects.port(81, name="admin", target=8080))
    assert ask(shell, ips[family], 81).port == 8080


def test_type_can_change(cluster: Cluster, agent: Agent, family: int) -> None:
    number = cluster.new_number()
    ips, node_port = cluster_ip(number).values(), 30000 + number
    at = (cluster.client, cluster.node1.ips[family], node_port)
    for ports, expected in (
        ([objects.port(80)], "refused"),
        ([objects.port(80, node_port=node_port)], "web-1"),
        ([objects.port(80)], "refused"),  # by the node, on whose port nobody listens
    ):
        cluster.deploy(objects.service("typed", ips, ports), "web-1")
        cluster.settle(agent)
        assert outcome(*at) == expected


@pytest.mark.parametrize(
    "label", ["service.kubernetes.io/headless", "service.kubernetes.io/service-proxy-name"]
)
def test_a_label_hands_it_to_another_proxy(cluster: Cluster, agent: Agent, label: str) -> None:
    ips = cluster_ip(cluster.new_number())
    made = objects.service("labelled", ips.values())
    for labels, served in (({}, True), ({label: "any"}, False), ({}, True)):
        made["metadata"]["labels"] = labels
        cluster.deploy(made, "web-1")
        cluster.settle(agent)
        assert (f"{ips[4]} . tcp" in own_tables(cluster.node1)) == served


def test_a_deleted_service_is_gone(cluster: Cluster, agent: Agent) -> None:
    made = everywhere(cluster, "deleted", "web-1", "web-3", affinity_s=600)
    cluster.settle(agent)
    assert ask(cluster.pods["shell"], *made.at("cluster-ip", 4)).pod
    cluster.remove("deleted")
    cluster.settle(agent)
    listing = own_tables(cluster.node1)
    assert "default/deleted" not in listing
    for kind in frontends.ALL:
        for family in (4, 6):
            address, port = made.at(kind, family)
            assert f"{address} . tcp . {port} " not in listing


def test_files_are_followed_however_they_are_written(cluster: Cluster, agent: Agent) -> None:
    ips = cluster_ip(cluster.new_number())
    made = objects.service("written", ips.values())
    text = objects.to_yaml(made, *cluster.slices(made, "web-1"))
    shell, path = cluster.pods["shell"], cluster.manifests / "written.yaml"
    at = (shell, ips[4], 80)

    path.write_text(text, encoding="utf-8")
    cluster.settle(agent)
    assert ask(*at).pod == "web-1"

    path.rename(cluster.manifests / "renamed.yml")
    cluster.settle(agent)
    assert ask(*at).pod == "web-1"

    (cluster.manifests / "renamed.yml").unlink()
    cluster.settle(agent)
    assert f"{ips[4]} . tcp" not in own_tables(cluster.node1)


def test_a_broken_file_keeps_what_was_there(cluster: Cluster, agent: Agent) -> None:
    ips = cluster_ip(cluster.new_number())
    cluster.deploy(objects.service("broken", ips.values()), "web-1")
    cluster.settle(agent)
    path = cluster.manifests / "broken.yaml"
    path.write_text(path.read_text(encoding="utf-8")[:200] + "\n: [", encoding="utf-8")
    cluster.settle(agent)
    assert ask(cluster.pods["shell"], ips[4], 80).pod == "web-1"
    assert agent.logged("broken.yaml")
    cluster.deploy(objects.service("broken", ips.values()), "web-3")
    cluster.settle(agent)
    assert ask(cluster.pods["shell"], ips[4], 80).pod == "web-3"


def test_O16_local_without_a_local_endpoint_leaks_nothing(
    cluster: Cluster, agent: Agent, family: int
) -> None:
    """What comes from outside is dropped; the pod on the other node sees not a packet of it."""
    made = everywhere(cluster, f"leaky-{family}", externalTrafficPolicy="Local")
    apply_states(made, agent, web_1=NOT_READY, web_2=DEAD, web_3=READY, web_4=DRAINING)
    pods = [cluster.pods["web-3"], cluster.pods["web-4"]]
    table = "ip" if family == 4 else "ip6"
    hook = "type filter hook prerouting priority -300; meta l4proto tcp counter"
    for pod in pods:
        pod.run("nft", f"table {table} seen {{ chain c {{ {hook}; }}; }}")
    try:
        for kind in frontends.EXTERNAL:
            assert outcome(cluster.client, *made.at(kind, family)) == "dropped"
        for pod in pods:
            assert "packets 0 " in pod.run("nft", "list", "table", table, "seen")
        # And those inside are served, which shows that the count is one.
        assert outcome(cluster.pods["shell"], *made.at("node-port", family)) == "web-3"
        assert "packets 0 " not in pods[0].run("nft", "list", "table", table, "seen")
    finally:
        for pod in pods:
            pod.run("nft", "delete", "table", table, "seen")


def test_O14_a_service_changes_its_nature(cluster: Cluster, agent: Agent) -> None:
    """Headless, without a selector, of the other kinds, of one family or two: what is served follows,
    and so does what was served before."""
    ips = cluster_ip(cluster.new_number())
    made = objects.service("turning", ips.values())
    shell = cluster.pods["shell"]

    def spec(*families: int, **others: str) -> Object:
        chosen = [ips[family] for family in families] or ["None"]
        fields = {"type": "ClusterIP", "clusterIP": chosen[0], "clusterIPs": chosen, **others}
        return {**made["spec"], **fields}

    for wanted, expected in (
        (spec(4), {4}),
        (spec(), set()),
        (spec(6), {6}),
        (spec(4, 6, type="ExternalName", externalName="other.example"), set()),
        (spec(4, 6), {4, 6}),
        (spec(6, 4), {4, 6}),
        (spec(4), {4}),
        # Nobody selects pods for it: whoever likes writes the slices.
        ({key: value for key, value in spec(4, 6).items() if key != "selector"}, {4, 6}),
    ):
        changed = {**made, "spec": wanted}
        cluster.apply("turning", changed, *cluster.slices(made, "web-1"))
        cluster.settle(agent)
        for family in (4, 6):
            answer = outcome(shell, ips[family], 80)
            assert (answer == "web-1") == (family in expected), (wanted, family, answer)
