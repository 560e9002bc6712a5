"""Objects by resource with their history, as etcd and the API server's watch cache have them."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from rig.objects import Object

Key = tuple[str, str]  # namespace and name


@dataclass(frozen=True)
class Resource:
    """One kind as the API has it."""

    kind: str
    group_version: str
    plural: str

    @property
    def prefix(self) -> str:
        return f"/apis/{self.group_version}" if "/" in self.group_version else "/api/v1"


RESOURCES = {
    r.plural: r
    for r in (
        Resource("Service", "v1", "services"),
        Resource("EndpointSlice", "discovery.k8s.io/v1", "endpointslices"),
        Resource("Node", "v1", "nodes"),
        Resource("Pod", "v1", "pods"),
        Resource("Namespace", "v1", "namespaces"),
        Resource("NetworkPolicy", "networking.k8s.io/v1", "networkpolicies"),
        Resource("Event", "events.k8s.io/v1", "events"),
    )
}
BORN = "2024-01-01T00:00:00Z"
BY_KIND = {r.kind: r for r in RESOURCES.values()}


@dataclass(frozen=True)
class Event:
    """Something that a watch tells. @before is the object as it was, None when it was not."""

    version: int
    type: str
    object: Object
    before: Object | None


class Gone(Exception):
    """The history does not reach back so far."""


def key_of(o: Object) -> Key:
    return o["metadata"].get("namespace", ""), o["metadata"]["name"]


class Store:
    """Not thread-safe: it belongs to the server's thread."""

    def __init__(self) -> None:
        self.version = 1
        self.compacted = 0
        self.objects: dict[str, dict[Key, Object]] = {plural: {} for plural in RESOURCES}
        self.history: dict[str, list[Event]] = {plural: [] for plural in RESOURCES}
        # Called after each change.
        self.listeners: set[Callable[[], None]] = set()

    def all(self, plural: str) -> list[Object]:
        """All objects of a resource, in the order of their keys."""
        return [o for _, o in sorted(self.objects[plural].items())]

    def get(self, plural: str, key: Key) -> Object | None:
        return self.objects[plural].get(key)

    def since(self, plural: str, version: int) -> list[Event]:
        """What came after @version."""
        if version < self.compacted:
            raise Gone
        return [e for e in self.history[plural] if e.version > version]

    def put(self, made: Object) -> Object:
        """Create or update; the object as it is stored."""
        plural = BY_KIND[made["kind"]].plural
        before = self.objects[plural].get(key_of(made))
        old = before["metadata"] if before else {}
        self.version += 1
        stored = copy.deepcopy(made)
        metadata = stored["metadata"]
        metadata.setdefault("uid", old.get("uid", str(uuid.uuid4())))
        metadata.setdefault("creationTimestamp", old.get("creationTimestamp", BORN))
        metadata["resourceVersion"] = str(self.version)
        metadata["managedFields"] = _managed_fields(stored)
        self.objects[plural][key_of(stored)] = stored
        kind = "MODIFIED" if before else "ADDED"
        self._record(plural, Event(self.version, kind, stored, before))
        return stored

    def replace(self, made: Object) -> Object:
        """Delete and create again, both folded into one MODIFIED with another UID."""
        fresh = copy.deepcopy(made)
        fresh["metadata"]["uid"] = str(uuid.uuid4())
        return self.put(fresh)

    def delete(self, kind: str, key: Key) -> None:
        """Remove an object, which must be there."""
        plural = BY_KIND[kind].plural
        before = self.objects[plural].pop(key)
        self.version += 1
        last = copy.deepcopy(before)
        last["metadata"]["resourceVersion"] = str(self.version)
        self._record(plural, Event(self.version, "DELETED", last, before))

    def tell(self, kind: str, made: Object) -> None:
        """Have watches told something that did not happen: @kind is the event's type."""
        plural = BY_KIND[made["kind"]].plural
        self.version += 1
        told = copy.deepcopy(made)
        told["metadata"]["resourceVersion"] = str(self.version)
        self._record(plural, Event(self.version, kind, told, told))

    def compact(self) -> None:
        """Forget the history: who asks for it is told that it has gone."""
        self.version += 1
        self.compacted = self.version
        for events in self.history.values():
            events.clear()

    def rewind(self, versions: int) -> None:
        """Be restored from a backup: with the objects of now, but so many versions ago."""
        self.compact()
        self.version -= versions
        self.compacted = self.version

    def wake(self) -> None:
        """Have those who follow the history look."""
        for listener in self.listeners:
            listener()

    def _record(self, plural: str, event: Event) -> None:
        self.history[plural].append(event)
        self.wake()


def _managed_fields(o: Object) -> list[Object]:
    """As long as those of a real server, and as deep."""
    fields: Object = {
        f"f:{part}": {".": {}, "f:x": {'k:{"port":80}': {}}} for part in o if part != "kind"
    }
    return [
        {
            "manager": "rig",
            "operation": "Update",
            "apiVersion": o["apiVersion"],
            "time": BORN,
            "fieldsType": "FieldsV1",
            "fieldsV1": fields,
        }
    ]
