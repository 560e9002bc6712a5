"""Kubernetes objects as dictionaries, and as YAML files in a manifests directory."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

Object = dict[str, Any]

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*(?<!/)\Z")
_WORDS_OF_YAML = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}


def port(
    number: int, *, target: int = 8080, protocol: str = "TCP", name: str = "", node_port: int = 0
) -> Object:
    """A port of service(); @target is what slice_of() resolves it to."""
    made: Object = {"port": number, "targetPort": target, "protocol": protocol}
    if name:
        made["name"] = name
    if node_port:
        made["nodePort"] = node_port
    return made


def service(
    name: str,
    ips: Iterable[str],
    ports: Iterable[Object] = (),
    *,
    namespace: str = "default",
    labels: Mapping[str, str] | None = None,
    load_balancer_ips: Sequence[str] = (),
    affinity_s: int = 0,
    **spec: Any,
) -> Object:
    """A Service with ClusterIPs @ips; without @ports it has port 80 to 8080 TCP. Other arguments go
    into its spec as they are."""
    ips = list(ips)
    ports = list(ports) or [port(80)]
    made: Object = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": ips[0] if ips else "None",
            "clusterIPs": ips,
            "ipFamilyPolicy": "RequireDualStack" if len(ips) > 1 else "SingleStack",
            "ports": ports,
            **spec,
        },
    }
    if labels:
        made["metadata"]["labels"] = dict(labels)
    if affinity_s:
        made["spec"]["sessionAffinity"] = "ClientIP"
        made["spec"]["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": affinity_s}}
    if load_balancer_ips:
        ingress = [{"ip": ip, "ipMode": "VIP"} for ip in load_balancer_ips]
        made["status"] = {"loadBalancer": {"ingress": ingress}}
    if any("nodePort" in p for p in ports) and "type" not in spec:
        made["spec"]["type"] = "NodePort"
    return made


def endpoint(address: str, node: str = "", **conditions: bool) -> Object:
    """An endpoint of slice_of(); conditions (ready, serving, terminating) that are not given stay
    unset."""
    made: Object = {"addresses": [address]}
    if conditions:
        made["conditions"] = conditions
    if node:
        made["nodeName"] = node
    return made


def slice_of(
    svc: Object, endpoints: Iterable[Object], *, suffix: str = "1", family: int = 4
) -> Object:
    """An EndpointSlice of @svc with the Service's ports, resolved."""
    metadata = svc["metadata"]
    ports = [
        {"name": p.get("name", ""), "protocol": p["protocol"], "port": p["targetPort"]}
        for p in svc["spec"]["ports"]
    ]
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{metadata['name']}-v{family}-{suffix}",
            "namespace": metadata["namespace"],
            "labels": {"kubernetes.io/service-name": metadata["name"]},
        },
        "addressType": f"IPv{family}",
        "endpoints": list(endpoints),
        "ports": ports,
    }


def node(name: str, addresses: Sequence[str], pod_cidrs: Sequence[str]) -> Object:
    """A Node with internal addresses and its pod networks, one a family."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name},
        "spec": {"podCIDR": pod_cidrs[0], "podCIDRs": list(pod_cidrs)},
        "status": {"addresses": [{"type": "InternalIP", "address": a} for a in addresses]},
    }


def _scalar(value: object) -> str:
    if isinstance(value, str) and _PLAIN.match(value) and value.lower() not in _WORDS_OF_YAML:
        return value
    # What JSON writes is YAML too.
    return json.dumps(value, ensure_ascii=False)


def _lines(value: Any, indent: str) -> Iterable[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if item and isinstance(item, (dict, list)):
                yield f"{indent}{_scalar(key)}:"
                yield from _lines(item, indent + ("" if isinstance(item, list) else "  "))
            else:
                yield f"{indent}{_scalar(key)}: {_scalar(item)}"
    else:
        for item in value:
            if item and isinstance(item, dict):
                first, *others = _lines(item, indent + "  ")
                yield f"{indent}- {first.lstrip()}"
                yield from others
            else:
                yield f"{indent}- {_scalar(item)}"


def to_yaml(*objects: Object) -> str:
    """The objects as YAML documents of one file."""
    return "---\n".join("\n".join(_lines(o, "")) + "\n" for o in objects)


def write_manifest(directory: Path, name: str, *objects: Object) -> None:
    """Put the objects into the file @name of @directory, in one step for whoever reads it."""
    hidden = directory / f".{name}.new"
    hidden.write_text(to_yaml(*objects), encoding="utf-8")
    hidden.replace(directory / f"{name}.yaml")
