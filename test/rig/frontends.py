"""Services with every kind of frontend, and probing them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from . import objects
from .cluster import Cluster, cluster_ip, external_ip, load_balancer_ip
from .netns import Namespace
from .objects import Object
from .probe import Probe, Probes, probing

EXTERNAL = ("node-port", "external-ip", "load-balancer-ip")
ALL = ("cluster-ip", *EXTERNAL)


@dataclass(frozen=True)
class Frontends:
    """A Service and where it can be reached."""

    cluster: Cluster
    object: Object
    number: int

    @property
    def name(self) -> str:
        return str(self.object["metadata"]["name"])

    def at(self, kind: str, family: int) -> tuple[str, int]:
        """Address and port of a frontend."""
        if kind == "node-port":
            return self.cluster.node1.ips[family], 30000 + self.number
        ips = {"cluster-ip": cluster_ip, "external-ip": external_ip}.get(kind, load_balancer_ip)
        return ips(self.number)[family], 80

    def attempts(
        self, clients: Sequence[str], kinds: Sequence[str], protocols: Sequence[str]
    ) -> list[tuple[Namespace, str, int, str]]:
        """All combinations, in both families, for outcomes()."""
        return [
            (self.cluster.place(client), *self.at(kind, family), protocol)
            for client in clients
            for kind in kinds
            for protocol in protocols
            for family in (4, 6)
        ]


def everywhere(
    cluster: Cluster, name: str, *pods: str, protocols: Sequence[str] = ("TCP",), **spec: Any
) -> Frontends:
    """Apply a LoadBalancer Service with ClusterIPs, a NodePort, external IPs and load balancer IPs
    in both families, whose endpoints are the named pods."""
    number = cluster.new_number()
    made = objects.service(
        name,
        cluster_ip(number).values(),
        [objects.port(80, protocol=p, name=p.lower(), node_port=30000 + number) for p in protocols],
        load_balancer_ips=list(load_balancer_ip(number).values()),
        type="LoadBalancer",
        externalIPs=list(external_ip(number).values()),
        **spec,
    )
    cluster.deploy(made, *pods)
    return Frontends(cluster, made, number)


@contextlib.contextmanager
def without_failures(web: Frontends) -> Iterator[Probes]:
    """Probe all the while; fail when any connection failed, or when there were none."""
    cluster = web.cluster
    targets = [
        (cluster.client, "node-port"),
        (cluster.client, "cluster-ip"),
        (cluster.pods["shell"], "cluster-ip"),
        (cluster.node1, "cluster-ip"),
    ]
    probes = [
        Probe(place, *web.at(kind, family), rate=100)
        for place, kind in targets
        for family in (4, 6)
    ]
    with probing(*probes) as running:
        running.wait_connections(20)
        yield running
        report = running.wait_connections(20)
    print(report)
    assert report.failures == ()
    assert min(report.connections, report.exchanges) >= 40 * len(probes)
