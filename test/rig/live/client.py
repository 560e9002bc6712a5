"""Talking to an API server from a namespace."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from rig.api.store import BY_KIND, Resource
from rig.client import family_of
from rig.netns import Namespace
from rig.objects import Object

# Whoever waits this long for an answer waits for ever.
HANG_S = 60.0

RESOURCES = BY_KIND | {
    r.kind: r
    for r in (
        Resource("Secret", "v1", "secrets"),
        Resource("ServiceAccount", "v1", "serviceaccounts"),
        Resource("ClusterRole", "rbac.authorization.k8s.io/v1", "clusterroles"),
        Resource("ClusterRoleBinding", "rbac.authorization.k8s.io/v1", "clusterrolebindings"),
    )
}
WITHOUT_NAMESPACE = ("Namespace", "Node", "ClusterRole", "ClusterRoleBinding")
JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


class ApiError(Exception):
    """What the API server has refused."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class NotFound(ApiError):
    """There is no such object."""


def path_of(kind: str, namespace: str, name: str = "", subresource: str = "") -> str:
    """The path of an object; without a name, that of all of its kind, in all namespaces when that is
    empty too."""
    resource = RESOURCES[kind]
    within = kind not in WITHOUT_NAMESPACE and namespace
    where = ("namespaces", namespace) if within else ()
    parts = (resource.prefix, *where, resource.plural, name, subresource)
    return "/".join(filter(None, parts))


def reference(kind: str, name: str, namespace: str = "default") -> Object:
    """As much of an object as says which it is."""
    return {"kind": kind, "metadata": {"name": name, "namespace": namespace}}


def path_to(made: Object, subresource: str = "") -> str:
    """The path of this object."""
    metadata = made["metadata"]
    namespace = metadata.get("namespace", "default")
    return path_of(made["kind"], namespace, metadata["name"], subresource)


class _Connection(http.client.HTTPSConnection):
    """A connection from inside @space."""

    def __init__(self, space: Namespace, host: str, port: int, context: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=HANG_S, context=context)
        self.space = space
        self.tls = context

    def connect(self) -> None:
        sock = self.space.socket(family_of(self.host), socket.SOCK_STREAM)
        try:
            sock.settimeout(HANG_S)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.connect((self.host, self.port))
            self.sock = self.tls.wrap_socket(sock, server_hostname=self.host)
        except OSError:
            sock.close()
            raise


class ApiClient:
    """One connection, kept open; for one thread. What the server refuses is an ApiError; an OSError
    says that it can't be reached. Objects that are only to be found may be references."""

    def __init__(
        self, space: Namespace, address: tuple[str, int], authority: Path, token: str
    ) -> None:
        context = ssl.create_default_context(cafile=str(authority))
        self._connection = _Connection(space, *address, context)
        self._authorization = f"Bearer {token}"

    def _exchange(self, method: str, path: str, body: bytes | None, kind: str) -> tuple[int, bytes]:
        headers = {"Authorization": self._authorization, "Accept": JSON, "Content-Type": kind}
        try:
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
            return answer.status, answer.read()
        except (http.client.HTTPException, ssl.SSLError) as error:
            self._connection.close()
            raise ConnectionResetError(str(error)) from error
        except OSError:
            self._connection.close()
            raise

    def raw(self, method: str, path: str, body: Object | None = None, kind: str = JSON) -> bytes:
        """One request; @kind is what its body is."""
        data = None if body is None else json.dumps(body).encode()
        reused = self._connection.sock is not None
        try:
            status, answer = self._exchange(method, path, data, kind)
        except ConnectionError:
            # The server may have closed a connection that rested.
            if not reused:
                raise
            status, answer = self._exchange(method, path, data, kind)
        if status >= 300:
            message = f"{method} {path}: {answer.decode(errors='replace')[:500]}"
            raise (NotFound if status == 404 else ApiError)(status, message)
        return answer

    def request(self, method: str, path: str, body: Object, kind: str = JSON) -> Object:
        """One request, and the object that it is answered with."""
        made: Object = json.loads(self.raw(method, path, body, kind))
        return made

    def create(self, made: Object) -> Object:
        namespace = made["metadata"].get("namespace", "default")
        return self.request("POST", path_of(made["kind"], namespace), made)

    def replace(self, made: Object) -> Object:
        return self.request("PUT", path_to(made), made)

    def apply(self, made: Object) -> Object:
        """Create the object, or have in it what @made says and no longer what the last one said."""
        path = path_to(made) + "?fieldManager=test&force=true"
        return self.request("PATCH", path, made, APPLY_PATCH)

    def patch(self, made: Object, change: Object, subresource: str = "") -> Object:
        """Merge @change into an object."""
        return self.request("PATCH", path_to(made, subresource), change, MERGE_PATCH)

    def get(self, made: Object) -> Object:
        found: Object = json.loads(self.raw("GET", path_to(made)))
        return found

    def list(self, kind: str, namespace: str = "", **query: str) -> list[Object]:
        """All objects of a kind, in all namespaces unless one is named."""
        answer = self.raw("GET", f"{path_of(kind, namespace)}?{urlencode(query)}")
        version = RESOURCES[kind].group_version
        return [
            {"apiVersion": version, "kind": kind, **item} for item in json.loads(answer)["items"]
        ]

    def delete(self, made: Object, **options: Any) -> None:
        """Delete an object; @options are those of DeleteOptions."""
        self.raw("DELETE", path_to(made), options or None)
