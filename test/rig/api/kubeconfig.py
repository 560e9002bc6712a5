"""Kubeconfig files in all their variants."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

from rig.objects import Object, to_yaml

from .certificates import Certificate


def with_token(token: str) -> Object:
    """A user who is known by a token in the kubeconfig itself."""
    return {"token": token}


def with_token_file(path: Path) -> Object:
    return {"tokenFile": str(path)}


def with_password(user: str, password: str) -> Object:
    return {"username": user, "password": password}


def with_certificate(own: Certificate) -> Object:
    """A user who is known by a certificate in files."""
    return {"client-certificate": str(own.certificate), "client-key": str(own.key)}


def with_inline_certificate(own: Certificate) -> Object:
    """As with_certificate(), both in the kubeconfig itself."""
    return {
        f"client-{what}-data": base64.b64encode(path.read_bytes()).decode()
        for what, path in (("certificate", own.certificate), ("key", own.key))
    }


def with_plugin(command: Path, *arguments: str, env: Mapping[str, str] | None = None) -> Object:
    """A user who is known by what an exec credential plugin says."""
    plugin: Object = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": str(command),
        "args": list(arguments),
        "interactiveMode": "Never",
    }
    if env:
        plugin["env"] = [{"name": name, "value": value} for name, value in env.items()]
    return {"exec": plugin}


def write(path: Path, server: str, user: Object, ca: Path | None = None, **cluster: object) -> Path:
    """Write a kubeconfig to @path, for nobody else to read. Other arguments go into its cluster,
    with a dash for each underscore."""
    of_cluster: Object = {"server": server}
    if ca:
        of_cluster["certificate-authority"] = str(ca)
    of_cluster |= {name.replace("_", "-"): value for name, value in cluster.items()}
    text = to_yaml(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "rig", "cluster": of_cluster}],
            "users": [{"name": "agent", "user": user}],
            "contexts": [{"name": "agent@rig", "context": {"cluster": "rig", "user": "agent"}}],
            "current-context": "agent@rig",
        }
    )
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
    return path
