"""What a Kubernetes API server answers: lists, watches, watch lists, writes."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import enum
import gzip
import itertools
import json
from dataclasses import dataclass, field

from rig.objects import Object

from . import selector
from .exchange import Exchange, status_of
from .store import Event, Gone, Key, Resource, Store, key_of

GONE = "too old resource version"


class WatchList(enum.Enum):
    """What becomes of sendInitialEvents."""

    SERVED = "as by a server of today"
    REFUSED = "422, as by one whose feature gate is off"
    IGNORED = "a plain watch, as by one of old"
    ENDLESS = "the bookmark at its end never comes"


def encode(o: object) -> bytes:
    return json.dumps(o, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass
class Behaviour:
    """What tests may change at any time."""

    watch_list: WatchList = WatchList.SERVED
    # At most so many items in any list; 0: as the request's limit says, which does not count for
    # what comes from the cache (resourceVersion=0).
    page_items: int = 0
    gzip_bytes: int = 1024
    # Each watch is closed after so many seconds; 0: when the client says.
    watch_s: float = 0
    bookmark_s: float = 60
    # Whether a watch from before the compaction is refused by its status or by an event.
    gone_by_event: bool = True


@dataclass
class Kubernetes:
    """Serves the objects of @store."""

    store: Store
    behaviour: Behaviour = field(default_factory=Behaviour)

    def __post_init__(self) -> None:
        # What is left of a list, and its version, by continue token.
        self.pages: dict[str, tuple[int, list[Object]]] = {}
        self.bookmarks = 0
        self.closings = 0
        self.serial = itertools.count(1)

    async def serve(self, x: Exchange) -> None:
        """Answer as a well-behaved server."""
        resource, verb = x.request.resource, x.request.verb
        if not resource:
            await x.fail(404, "NotFound", "the server could not find the requested resource")
        elif verb == "list":
            await self._list(x, resource)
        elif verb in ("watch", "watchlist"):
            await self._watch(x, resource)
        elif verb == "get":
            await self._get(x, resource)
        elif verb == "create":
            await self._create(x, resource)
        else:
            await self._change(x, resource)

    def bookmark(self) -> None:
        """Have every watch get a bookmark now."""
        self.bookmarks += 1
        self.store.wake()

    def close_watches(self) -> None:
        """Have every watch end."""
        self.closings += 1
        self.store.wake()

    def expire_continue_tokens(self) -> None:
        """From now on the rest of a list cannot be had any more."""
        self.pages.clear()

    # Reading ----------------------------------------------------------------------------------

    def _selected(self, x: Exchange, o: Object | None) -> bool:
        query = x.request.query
        return (
            o is not None
            and (not x.request.namespace or o["metadata"].get("namespace") == x.request.namespace)
            and selector.parse(query.get("labelSelector", ""), label=True)(o)
            and selector.parse(query.get("fieldSelector", ""), label=False)(o)
        )

    async def _too_large(self, x: Exchange) -> bool:
        """Whether more was asked for than there is yet; if so, the answer has been given."""
        if int(x.request.version or 0) <= self.store.version:
            return False
        message = f"Too large resource version: {x.request.version}, current: {self.store.version}"
        status = status_of(504, "Timeout", message)
        causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
        status["details"] = {"causes": causes, "retryAfterSeconds": 1}
        await x.answer(504, encode(status), retry_after="1")
        return True

    async def _list(self, x: Exchange, resource: Resource) -> None:
        query = x.request.query
        if token := query.get("continue"):
            if token not in self.pages:
                await x.fail(410, "Expired", "The provided continue parameter is too old")
                return
            version, items = self.pages.pop(token)
        else:
            if await self._too_large(x):
                return
            version = self.store.version
            items = [o for o in self.store.all(resource.plural) if self._selected(x, o)]
        metadata: dict[str, object] = {"resourceVersion": str(version)}
        limit = self._limit(x)
        if limit and len(items) > limit:
            token = self._keep(version, items[limit:])
            metadata |= {"continue": token, "remainingItemCount": len(items) - limit}
        await self._answer_list(x, resource, metadata, items[:limit] if limit else items)

    def _limit(self, x: Exchange) -> int:
        if self.behaviour.page_items:
            return self.behaviour.page_items
        return 0 if x.request.version == "0" else int(x.request.query.get("limit", "0"))

    def _keep(self, version: int, rest: list[Object]) -> str:
        token = base64.b64encode(f"page {next(self.serial)}".encode()).decode()
        self.pages[token] = version, rest
        return token

    async def _answer_list(
        self, x: Exchange, resource: Resource, metadata: dict[str, object], items: list[Object]
    ) -> None:
        # What is in a list does not repeat its kind.
        bare = [{k: v for k, v in o.items() if k not in ("kind", "apiVersion")} for o in items]
        body = encode(
            {
                "kind": f"{resource.kind}List",
                "apiVersion": resource.group_version,
                "metadata": metadata,
                "items": bare,
            }
        )
        accepted = "gzip" in x.request.headers.get("accept-encoding", "")
        if accepted and len(body) >= self.behaviour.gzip_bytes:
            edit = x.edit
            x.edit = lambda plain: gzip.compress(edit(plain), 1)
            await x.answer(200, body, content_encoding="gzip")
        else:
            await x.answer(200, body)

    async def _get(self, x: Exchange, resource: Resource) -> None:
        found = self.store.get(resource.plural, (x.request.namespace, x.request.name))
        if found:
            await x.answer(200, encode(found))
        else:
            await self._not_found(x, resource)

    async def _not_found(self, x: Exchange, resource: Resource) -> None:
        await x.fail(404, "NotFound", f'{resource.plural} "{x.request.name}" not found')

    # Watching ---------------------------------------------------------------------------------

    async def _watch(self, x: Exchange, resource: Resource) -> None:
        initial = x.request.verb == "watchlist"
        if initial and self.behaviour.watch_list is WatchList.REFUSED:
            message = (
                "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch "
                "unless the WatchList feature gate is enabled"
            )
            await x.fail(422, "Invalid", message)
            return
        if await self._too_large(x):
            return
        version = int(x.request.version or 0)
        from_start = initial or version == 0
        if not from_start and version < self.store.compacted and not self.behaviour.gone_by_event:
            await x.fail(410, "Expired", f"{GONE}: {version} ({self.store.compacted})")
            return
        await x.head(200, {"content-type": "application/json"})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._watch_s(x)):
                await self._follow(x, resource, None if from_start else version, initial=initial)
        await x.end()

    def _watch_s(self, x: Exchange) -> float:
        asked = float(x.request.query.get("timeoutSeconds", "1800"))
        return min(asked, self.behaviour.watch_s or asked)

    async def _follow(
        self, x: Exchange, resource: Resource, version: int | None, *, initial: bool
    ) -> None:
        """Tell what happens after @version, or the whole and what happens after it."""
        changed = asyncio.Event()
        self.store.listeners.add(changed.set)
        try:
            if version is None:
                version = self.store.version
                await self._tell_whole(x, resource)
                if initial and self.behaviour.watch_list is WatchList.SERVED:
                    await self._bookmark(x, resource, version, end=True)
            bookmarks, closings = self.bookmarks, self.closings
            while closings == self.closings:
                version = await self._tell_since(x, resource, version)
                if version < 0:
                    return
                if bookmarks != self.bookmarks:
                    bookmarks = self.bookmarks
                    await self._bookmark(x, resource, version)
                try:
                    async with asyncio.timeout(self.behaviour.bookmark_s):
                        await changed.wait()
                        changed.clear()
                except TimeoutError:
                    await self._bookmark(x, resource, version)
        finally:
            self.store.listeners.discard(changed.set)

    async def _tell_whole(self, x: Exchange, resource: Resource) -> None:
        for o in [o for o in self.store.all(resource.plural) if self._selected(x, o)]:
            await self._tell(x, "ADDED", o)

    async def _tell_since(self, x: Exchange, resource: Resource, version: int) -> int:
        """The version that was reached; -1 when the history has been forgotten."""
        now = self.store.version
        try:
            events = self.store.since(resource.plural, version)
        except Gone:
            status = status_of(410, "Expired", f"{GONE}: {version} ({self.store.compacted})")
            await self._tell(x, "ERROR", status)
            return -1
        for event in events:
            if kind := self._seen_as(x, event):
                await self._tell(x, kind, event.object)
        return now

    def _seen_as(self, x: Exchange, event: Event) -> str:
        """The type of @event for a watch with selectors; "" when it is none of its business."""
        before, after = self._selected(x, event.before), self._selected(x, event.object)
        if event.type == "DELETED" or event.before is None:
            return event.type if after else ""
        if before and after:
            return event.type
        return "ADDED" if after else "DELETED" if before else ""

    async def _tell(self, x: Exchange, kind: str, o: object) -> None:
        await x.send(x.edit(encode({"type": kind, "object": o}) + b"\n"))

    async def _bookmark(
        self, x: Exchange, resource: Resource, version: int, *, end: bool = False
    ) -> None:
        if x.request.query.get("allowWatchBookmarks") not in ("1", "true"):
            return
        metadata: dict[str, object] = {"resourceVersion": str(version)}
        if end:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        told = {
            "kind": resource.kind,
            "apiVersion": resource.group_version,
            "metadata": metadata,
        }
        await self._tell(x, "BOOKMARK", told)

    # Writing ----------------------------------------------------------------------------------

    async def _create(self, x: Exchange, resource: Resource) -> None:
        made = json.loads(x.request.body)
        made["metadata"].setdefault("namespace", x.request.namespace)
        if self.store.get(resource.plural, key_of(made)):
            await x.fail(409, "AlreadyExists", f"{resource.plural} already exists")
        else:
            await x.answer(201, encode(self.store.put(made)))

    async def _change(self, x: Exchange, resource: Resource) -> None:
        """PUT and merge PATCH."""
        key: Key = (x.request.namespace, x.request.name)
        found = self.store.get(resource.plural, key)
        given = json.loads(x.request.body)
        if not found:
            await self._not_found(x, resource)
            return
        wanted = given.get("metadata", {}).get("resourceVersion")
        if wanted and wanted != found["metadata"]["resourceVersion"]:
            await x.fail(409, "Conflict", "the object has been modified")
            return
        made = merged(found, given) if x.request.method == "PATCH" else given
        await x.answer(200, encode(self.store.put(made)))


def merged(old: Object, patch: Object) -> Object:
    """A JSON merge patch (RFC 7396)."""
    made = dict(old)
    for key, value in patch.items():
        if value is None:
            made.pop(key, None)
        elif isinstance(value, dict):
            made[key] = merged(old.get(key) or {}, value)
        else:
            made[key] = value
    return made
