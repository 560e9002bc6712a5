"""Who may create a pod decides what it is full of. Whatever the API server takes, the agent takes, too:
a pod that is not known would be isolated by no policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from rig.agent import wait_until
from rig.cluster import FLAGS
from rig.live.client import path_of, reference
from rig.live.cluster import LiveCluster
from rig.netpol.cluster import policy
from rig.objects import Object

POD = reference("Pod", "hostile")
ADDRESS = "10.244.1.77"
ZERO = "a\0b"


def many_labels(pod: Object) -> None:
    pod["metadata"]["labels"] |= {f"l{n}": "" for n in range(1025)}


def many_annotations(pod: Object) -> None:
    pod["metadata"]["annotations"] = {f"a{n}": "" for n in range(1025)}


def zero_in_annotations(pod: Object) -> None:
    pod["metadata"]["annotations"] = {"a": ZERO, "kube-router.io/a": ZERO}


def zero_in_a_container(pod: Object) -> None:
    pod["spec"]["containers"][0] |= {"args": [ZERO], "env": [{"name": "A", "value": ZERO}]}


def zero_in_a_key(pod: Object) -> None:
    csi = {"driver": "none.example", "volumeAttributes": {ZERO: "", "a\ufffdb": ""}}
    pod["spec"]["volumes"] = [{"name": "a", "csi": csi}]


def many_ports(pod: Object) -> None:
    pod["spec"]["containers"][0]["ports"] = [{"containerPort": n} for n in range(1, 1200)]


def many_containers(pod: Object) -> None:
    pod["spec"]["containers"] += [{"name": f"c{n}", "image": "none"} for n in range(1024)]


def long_in_json(pod: Object) -> None:
    """Each is six bytes in an answer."""
    pod["spec"]["containers"][0]["args"] = ["<" * 900_000]


@pytest.fixture
def hostile(cluster: LiveCluster) -> Iterator[Callable[[Callable[[Object], None]], None]]:
    """Creates a pod on node1 that was made so, and lets it run."""

    def create(fill: Callable[[Object], None]) -> None:
        container = {"name": "server", "image": "none"}
        pod = {
            "apiVersion": "v1",
            **reference("Pod", "hostile"),
            "spec": {"nodeName": "node1", "containers": [container]},
        }
        pod["metadata"]["labels"] = {"is": "hostile"}
        fill(pod)
        cluster.admin.raw("POST", path_of("Pod", "default"), pod)
        status = {"phase": "Running", "podIP": ADDRESS, "podIPs": [{"ip": ADDRESS}]}
        cluster.admin.patch(POD, {"status": status}, "status")

    yield create
    cluster.admin.delete(POD, gracePeriodSeconds=0)


@pytest.mark.parametrize(
    "fill",
    [
        many_labels,
        many_annotations,
        zero_in_annotations,
        zero_in_a_container,
        zero_in_a_key,
        many_ports,
        many_containers,
        long_in_json,
    ],
)
def test_S11_pod_is_isolated_whatever_it_is_full_of(
    cluster: LiveCluster,
    hostile: Callable[[Callable[[Object], None]], None],
    fill: Callable[[Object], None],
) -> None:
    selector = {"matchLabels": {"is": "hostile"}}
    cluster.apply("closed", policy("default/closed", podSelector=selector))
    agent = cluster.agent(flags=(*FLAGS, "--run-firewall=true"), name=fill.__name__)
    agent.start()
    hostile(fill)

    def isolated() -> bool:
        return ADDRESS in cluster.node1.run("nft", "list map ip kube-nft ingress-pods")

    try:
        agent.wait_logged('msg="following"')
        wait_until("the pod is isolated", isolated)
    finally:
        agent.kill()
        cluster.node1.run("nft", "flush ruleset")
