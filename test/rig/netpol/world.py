"""A cluster as Kubernetes objects: what a case begins with, and what its steps make of it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from ..objects import Object

FINISHED = ("Succeeded", "Failed")
FIXTURE = Path(__file__).resolve().parents[2] / "netpol" / "cases" / "fixture.yaml"


class FormatError(Exception):
    """A file is not in the format, or says what cannot be; the message says where."""


def load_yaml(path: Path) -> Object:
    """The one document of a file, which is a mapping."""
    try:
        loaded = yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise FormatError(f"{path}: {error}") from None
    if not isinstance(loaded, dict):
        raise FormatError(f"{path}: no mapping")
    return loaded


def expect_keys(
    what: str, mapping: object, needed: Iterable[str], more: Iterable[str] = ()
) -> None:
    """FormatError unless @mapping has the @needed keys, and no other ones than these and @more."""
    if not isinstance(mapping, dict):
        raise FormatError(f"{what}: not a mapping: {mapping!r}")
    if missing := set(needed) - set(mapping):
        raise FormatError(f"{what}: no {', '.join(sorted(missing))}")
    if unknown := set(mapping) - set(needed) - set(more):
        raise FormatError(f"{what}: unknown key {', '.join(sorted(map(str, unknown)))}")


def name_of(made: Object) -> str:
    """namespace/name, or the name alone of what has no namespace."""
    metadata = made["metadata"]
    return "/".join(filter(None, (metadata.get("namespace"), metadata["name"])))


def family_of(address: str) -> int:
    return 6 if ":" in address else 4


def by_family(addresses: Iterable[str]) -> dict[int, str]:
    """The first address of each family."""
    found: dict[int, str] = {}
    for address in addresses:
        found.setdefault(family_of(address), address)
    return found


def pod_addresses(pod: Object) -> list[str]:
    """status.podIPs, or else podIP."""
    status = pod.get("status") or {}
    listed = [entry["ip"] for entry in status.get("podIPs") or [] if entry.get("ip")]
    return listed or ([status["podIP"]] if status.get("podIP") else [])


def is_host_network(pod: Object) -> bool:
    return bool(pod["spec"].get("hostNetwork"))


def is_finished(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in FINISHED


def node_addresses(node: Object) -> list[str]:
    addresses = node["status"]["addresses"]
    return [a["address"] for a in addresses if a["type"] in ("InternalIP", "ExternalIP")]


@dataclass(frozen=True)
class Endpoint:
    """One end of connections. @node is where it is, "" outside; @pod only of ordinary pods."""

    name: str
    kind: str  # "pod", "host-pod", "node", "external"
    node: str
    ips: dict[int, str] = field(hash=False)
    pod: Object | None = field(default=None, hash=False, compare=False)


class World:
    """Objects by name. @fixture is the mapping of a fixture file."""

    def __init__(self, fixture: Object) -> None:
        needed = "version listeners clusterNetworks nodes namespaces pods services externals"
        expect_keys("fixture", fixture, needed.split())
        self.version = fixture["version"]
        self.listeners = [(entry["proto"], entry["port"]) for entry in fixture["listeners"]]
        self.networks = fixture["clusterNetworks"]
        self.externals = {entry["name"]: entry["ips"] for entry in fixture["externals"]}
        self.nodes = _named(fixture["nodes"])
        self.namespaces = _named(fixture["namespaces"])
        self.pods = _named(fixture["pods"])
        self.services = _named(fixture["services"])
        self.policies: dict[str, Object] = {}

    def copy(self) -> World:
        """One that changes by itself."""
        return copy.deepcopy(self)

    # What is there ----------------------------------------------------------------------------

    def live_pods(self) -> dict[str, Object]:
        """Ordinary pods that have a network: not finished, with an address, not the host's."""
        return {
            name: pod
            for name, pod in self.pods.items()
            if pod_addresses(pod) and not is_finished(pod) and not is_host_network(pod)
        }

    def endpoints(self) -> dict[str, Endpoint]:
        """All that connect and are connected to, by name."""
        found = [
            Endpoint(name, "pod", pod["spec"]["nodeName"], by_family(pod_addresses(pod)), pod)
            for name, pod in self.live_pods().items()
        ]
        for name, node in self.nodes.items():
            found.append(Endpoint(name, "node", name, by_family(node_addresses(node))))
        for name, pod in self.pods.items():
            if is_host_network(pod) and not is_finished(pod) and pod_addresses(pod):
                ips = by_family(pod_addresses(pod))
                found.append(Endpoint(name, "host-pod", pod["spec"]["nodeName"], ips))
        for name, ips in self.externals.items():
            found.append(Endpoint(name, "external", "", by_family(ips)))
        return {endpoint.name: endpoint for endpoint in found}

    def backends(self, service: Object, port: Object) -> list[tuple[Object, int]]:
        """The pods behind a Service's port, each with the number that its target port has there."""
        found = []
        selector = (service["spec"].get("selector") or {}).items()
        for pod in self.pods.values():
            labels = pod["metadata"].get("labels") or {}
            same = pod["metadata"]["namespace"] == service["metadata"]["namespace"]
            if not same or not selector or not selector <= labels.items() or is_finished(pod):
                continue
            target = port.get("targetPort", port["port"])
            number = target if isinstance(target, int) else _named_port(pod, str(target), port)
            if number:
                found.append((pod, number))
        return found

    # What happens -----------------------------------------------------------------------------

    def act(self, action: Object) -> None:
        """Do one action of a step. FormatError when there is no such action or object."""
        if not isinstance(action, dict) or action.get("do") not in ACTIONS:
            raise FormatError(f"no such action: {action!r}")
        what, needed, more, do = ACTIONS[action["do"]]
        expect_keys(f"action {action['do']}", action, ("do", *needed), more)
        try:
            do(self, action)
        except KeyError as error:
            raise FormatError(f"action {action['do']}: no {what} {error}") from None

    def apply(self, policy: Object) -> None:
        """Create or replace a policy."""
        if policy.get("kind") != "NetworkPolicy" or name_of(policy).count("/") != 1:
            raise FormatError(f"not a NetworkPolicy with namespace and name: {policy!r}")
        self.policies[name_of(policy)] = copy.deepcopy(policy)

    def _create_pod(self, action: Object) -> None:
        pod = copy.deepcopy(action["pod"])
        if pod.get("kind") != "Pod" or name_of(pod).count("/") != 1:
            raise FormatError(f"action create-pod: not a Pod with namespace and name: {pod!r}")
        if name_of(pod) in self.pods:
            raise FormatError(f"action create-pod: {name_of(pod)} is there already")
        self.pods[name_of(pod)] = pod

    def _set_pod_status(self, action: Object) -> None:
        pod = self.pods[action["pod"]]
        pod["status"] = _merged(pod.get("status") or {}, copy.deepcopy(action["status"]))


def fixture() -> World:
    """The cluster that all case files are about, without policies."""
    return World(load_yaml(FIXTURE))


def _named(objects: Iterable[Object]) -> dict[str, Object]:
    return {name_of(made): made for made in objects}


def _named_port(pod: Object, name: str, port: Object) -> int | None:
    for container in pod["spec"]["containers"]:
        for entry in container.get("ports") or []:
            if entry.get("name") == name and entry.get("protocol", "TCP") == port["protocol"]:
                return int(entry["containerPort"])
    return None


def _merged(old: object, new: object) -> object:
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    return {**old, **{key: _merged(old.get(key), value) for key, value in new.items()}}


def _label(made: Object, action: Object) -> None:
    labels = made["metadata"].setdefault("labels", {})
    labels.update(action.get("set") or {})
    for key in action.get("remove") or []:
        labels.pop(key, None)


# What is missing when the object is not there, the keys needed, the keys that may be there.
ACTIONS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...], Callable[[World, Object], object]]]
ACTIONS = {
    "apply": ("policy", ("policy",), (), lambda w, a: w.apply(a["policy"])),
    "delete": ("policy", ("policy",), (), lambda w, a: w.policies.pop(a["policy"])),
    "label-pod": ("pod", ("pod",), ("set", "remove"), lambda w, a: _label(w.pods[a["pod"]], a)),
    "label-namespace": (
        "namespace",
        ("namespace",),
        ("set", "remove"),
        lambda w, a: _label(w.namespaces[a["namespace"]], a),
    ),
    "create-pod": ("pod", ("pod",), (), World._create_pod),
    "delete-pod": ("pod", ("pod",), (), lambda w, a: w.pods.pop(a["pod"])),
    "set-pod-status": ("pod", ("pod", "status"), (), World._set_pod_status),
}
