"""A cluster whose agent is told its objects by a real API server.

deploy() leaves the endpoints to the endpoint slice controller: it makes the named pods match the
Service's selector, and says which of them are ready, as their kubelets would.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rig import state
from rig.agent import Agent, wait_until
from rig.api import kubeconfig
from rig.api.cluster import ApiCluster
from rig.cluster import SERVER, Node
from rig.objects import Object

from .client import ApiClient, reference
from .control_plane import ControlPlane


def label_of(service: str) -> str:
    """The label of the pods that are endpoints of a Service."""
    return f"serves-{service}"


class LiveCluster(ApiCluster):
    """As Cluster, with a control plane in `api`. A @lean one has no controllers and no audit."""

    api: ControlPlane

    def __init__(self, server: Path = SERVER, *, lean: bool = False) -> None:
        super().__init__(server)
        self.lean = lean
        self.serving: dict[str, set[str]] = {}

    def _start_api(self) -> None:
        self.api = ControlPlane(self, audit=not self.lean)
        self.api.start(controllers=not self.lean)

    @property
    def admin(self) -> ApiClient:
        """A client who may do everything."""
        return self.api.admin

    def new_token(self) -> str:
        """A token of the agent's account."""
        return self.api.new_token()

    @property
    def source(self) -> Sequence[str]:
        """The flags of an agent that is known by `token`, in a file."""
        path = self.secrets / "token"
        path.write_text(self.token, encoding="ascii")
        return self.kubeconfig(kubeconfig.with_token_file(path))

    @contextlib.contextmanager
    def restored(self) -> Iterator[None]:
        """At the end, nothing is applied that was not at the beginning."""
        before = set(self.applied)
        try:
            yield
        finally:
            for name in set(self.applied) - before:
                self.remove(name)

    def check(self, agent: Agent) -> None:
        """The agent has come to the same as one that reads all objects from files."""
        self.settle(agent)
        state.wait_equal(agent, self.whole())

    # Pods and endpoints -----------------------------------------------------------------------

    def add_pods(self, node: Node, *names: str) -> None:
        """Start pods on a node, all ready on return."""
        super().add_pods(node, *names)
        for name in names:
            self.apply(name, self.pod_object(name))

    def pod_object(self, name: str, *, ready: bool = True) -> Object:
        """The pod as its kubelet would have it."""
        pod = self.pods[name]
        return {
            "apiVersion": "v1",
            **reference("Pod", name),
            "spec": {
                "nodeName": pod.node.host_name,
                "containers": [{"name": "server", "image": "none"}],
            },
            "status": {
                "phase": "Running",
                "conditions": [{"type": "Ready", "status": str(ready)}],
                "podIP": pod.ips[4],
                "podIPs": [{"ip": ip} for ip in pod.ips.values()],
            },
        }

    def select(self, service: str, names: Iterable[str]) -> None:
        """Let these pods match the Service's selector, and no others."""
        wanted, present = set(names), self.serving.get(service, set())
        for name in sorted(wanted ^ present):
            value = "yes" if name in wanted else None
            change = {"metadata": {"labels": {label_of(service): value}}}
            self.admin.patch(reference("Pod", name), change)
        self.serving[service] = wanted

    def deploy(self, made: Object, *names: str) -> None:
        """Apply a Service whose endpoints are the named pods; the controller has made them so on
        return."""
        name = made["metadata"]["name"]
        self.select(name, names)
        self.apply(name, {**made, "spec": {**made["spec"], "selector": {label_of(name): "yes"}}})
        self.wait_endpoints(name, *names)

    def remove(self, name: str) -> None:
        """Delete what was applied as @name."""
        super().remove(name)
        if name in self.serving:
            self.select(name, ())

    def ready_endpoints(self, service: str) -> set[str]:
        """The addresses of the Service's endpoints that are ready, as the API has them."""
        selector = f"kubernetes.io/service-name={service}"
        return {
            address
            for each in self.admin.list("EndpointSlice", "default", labelSelector=selector)
            for endpoint in each["endpoints"] or ()
            if endpoint["conditions"].get("ready")
            for address in endpoint["addresses"]
        }

    def wait_endpoints(self, service: str, *names: str) -> None:
        """Wait until the Service's ready endpoints are the named pods."""
        wanted = {ip for name in names for ip in self.pods[name].ips.values()}
        wait_until(
            f"{service} to have {len(wanted)} endpoints",
            lambda: self.ready_endpoints(service) == wanted,
        )

    def events(self) -> dict[str, Object]:
        """The Events by the names of the objects that they are about."""
        return {e["regarding"].get("name", ""): e for e in self.admin.list("Event")}
