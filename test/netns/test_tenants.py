"""Row S9: what a tenant writes takes nothing of another tenant's."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from rig import frontends, objects
from rig.agent import Agent
from rig.client import outcomes, pods_met
from rig.cluster import Cluster, cluster_ip
from rig.frontends import Frontends, everywhere
from rig.objects import Object

YOUNGER = "2024-06-01T00:00:00Z"
# The victim is web-1; whoever attacks has web-3 of the other node, and web-2.
OWN_PODS = ("web-2", "web-3")
CLIENTS = ("pod", "node", "outside")


@pytest.fixture(scope="module")
def victim(cluster: Cluster, agent: Agent) -> Frontends:
    made = everywhere(cluster, "victim", "web-1")
    made.object["metadata"]["creationTimestamp"] = "2024-05-01T00:00:00Z"
    cluster.deploy(made.object, "web-1")
    cluster.settle(agent)
    return made


class Tenant:
    """Somebody with a namespace of their own, in which they may write all they like."""

    def __init__(self, victim: Frontends) -> None:
        self.cluster = victim.cluster
        self.ips = list(cluster_ip(self.cluster.new_number()).values())

    def service(self, *ports: Object, name: str = "mine", **options: object) -> Object:
        made = objects.service(name, self.ips, ports, namespace="evil", **options)  # type: ignore[arg-type]
        made["metadata"]["creationTimestamp"] = YOUNGER
        return made

    def apply(self, made: Object, *more: Object) -> None:
        self.cluster.apply("mine", made, *self.cluster.slices(made, *OWN_PODS), *more)


def addresses(victim: Frontends, *kinds: str) -> list[str]:
    return [victim.at(kind, family)[0] for kind in kinds for family in (4, 6)]


def check(victim: Frontends, agent: Agent) -> None:
    """Whoever asks for the victim still meets it, and nobody else."""
    victim.cluster.settle(agent)
    for _ in range(4):
        assert outcomes(victim.attempts(CLIENTS, frontends.ALL, ["TCP"])) == {"web-1"}


OWN = ("cluster-ip", "external-ip", "load-balancer-ip")


@pytest.mark.parametrize("claimed", [*OWN, "node-port"])
def test_S9_external_ips(victim: Frontends, agent: Agent, claimed: str) -> None:
    tenant = Tenant(victim)
    _, number = victim.at(claimed, 4)
    tenant.apply(tenant.service(objects.port(number), externalIPs=addresses(victim, claimed)))
    check(victim, agent)


@pytest.mark.parametrize("claimed", [*OWN, "node-port"])
def test_S9_load_balancer_status(victim: Frontends, agent: Agent, claimed: str) -> None:
    tenant = Tenant(victim)
    _, number = victim.at(claimed, 4)
    ips: Sequence[str] = addresses(victim, claimed)
    tenant.apply(
        tenant.service(objects.port(number), type="LoadBalancer", load_balancer_ips=ips)
    )
    check(victim, agent)


def test_S9_cluster_ips(victim: Frontends, agent: Agent) -> None:
    tenant = Tenant(victim)
    tenant.ips = addresses(victim, "cluster-ip")
    tenant.apply(tenant.service())
    check(victim, agent)


def test_S9_node_ports(victim: Frontends, agent: Agent) -> None:
    """One's own, and that of a health check."""
    tenant = Tenant(victim)
    _, number = victim.at("node-port", 4)
    tenant.apply(tenant.service(objects.port(80, node_port=number)))
    check(victim, agent)
    policy = {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}
    tenant.apply(tenant.service(healthCheckNodePort=number, **policy))
    check(victim, agent)


def test_S9_slices_of_another_namespace(victim: Frontends, agent: Agent) -> None:
    """The name is the victim's, the namespace is not."""
    tenant = Tenant(victim)
    lies = [
        objects.slice_of(
            {**victim.object, "metadata": {"name": "victim", "namespace": "evil"}},
            [tenant.cluster.pods[pod].endpoint(family) for pod in OWN_PODS],
            suffix="lie",
            family=family,
        )
        for family in (4, 6)
    ]
    tenant.apply(tenant.service(name="victim"), *lies)
    check(victim, agent)


def test_S9_endpoints_elsewhere(victim: Frontends, agent: Agent) -> None:
    """Endpoints that are the victim's addresses: who asks the tenant may not be led in a circle."""
    tenant = Tenant(victim)
    made = tenant.service()
    lies = [
        objects.slice_of(made, [objects.endpoint(address, "node1")], suffix=f"lie{n}", family=family)
        for n, (family, address) in enumerate(
            zip((4, 6), addresses(victim, "cluster-ip"), strict=True)
        )
    ]
    tenant.apply(made, *lies)
    check(victim, agent)
    met = pods_met(tenant.cluster.client, tenant.ips[0], 80, n=40)
    assert set(met) == set(OWN_PODS)


WORDS = [
    {"kube-router.io/service.local": "true"},
    {"kube-router.io/service.hairpin": ""},
    {"kube-router.io/service.dsr": "tunnel"},
    {"kube-router.io/service.scheduler": "rr; flush ruleset"},
    {"kube-router.io/service.skiplbips": "true"},
    {"kube-router.io/pod-cidrs": "0.0.0.0/0,::/0"},
]
LABELS = [
    {"service.kubernetes.io/service-proxy-name": "kube-router"},
    {"kubernetes.io/service-name": "victim"},
    {"kubernetes.io/metadata.name": "default"},
    {"node-role.kubernetes.io/control-plane": ""},
]


@pytest.mark.parametrize("words", WORDS, ids=lambda words: next(iter(words)))
def test_S9_annotations_narrow_their_own_service(
    victim: Frontends, agent: Agent, words: dict[str, str]
) -> None:
    tenant = Tenant(victim)
    made = tenant.service(objects.port(80, node_port=32000))
    made["metadata"]["annotations"] = words
    tenant.apply(made)
    check(victim, agent)
    assert set(pods_met(tenant.cluster.client, tenant.ips[0], 80, n=40)) <= set(OWN_PODS)


@pytest.mark.parametrize("labels", LABELS, ids=lambda labels: next(iter(labels)))
def test_S9_labels_that_imitate(
    victim: Frontends, agent: Agent, labels: dict[str, str]
) -> None:
    tenant = Tenant(victim)
    tenant.apply(tenant.service(labels=labels))
    check(victim, agent)
    assert set(pods_met(tenant.cluster.client, tenant.ips[0], 80, n=40)) == set(OWN_PODS)
