"""Watches that end, histories that are gone, versions that are too large: rows A3 to A6, A16, A17.

Each test counts what the server was asked: a list is expensive for it, and may only be asked for
when nothing else helps.
"""

from __future__ import annotations

import time
from collections import Counter

import pytest

from rig import objects, state
from rig.agent import Agent
from rig.api import scripts
from rig.api.cluster import KINDS, ApiCluster
from rig.api.exchange import Cut, Request, status_of
from rig.api.kubernetes import WatchList

ONCE = dict.fromkeys(KINDS, 1)


def lists(cluster: ApiCluster, since: int = 0) -> dict[str, int]:
    """How often each kind was listed, either way."""
    asked = cluster.api.asked("list", "watchlist", since=since)
    return dict(Counter(r.plural for r in asked))


def web(number: int, endpoints: int = 2) -> list[objects.Object]:
    """A Service and its slices."""
    made = objects.service(f"web-{number}", [f"10.96.1.{number}", f"fd96::1:{number:x}"])
    pods = {4: "10.244.2.{}", 6: "fd44:0:0:2::{:x}"}
    return [
        made,
        *(
            objects.slice_of(
                made,
                [objects.endpoint(pod.format(n + 2), "node2") for n in range(endpoints)],
                family=family,
            )
            for family, pod in pods.items()
        ),
    ]


def populate(cluster: ApiCluster, number: int) -> None:
    for n in range(number):
        cluster.apply(f"web-{n}", *web(n))


def commits(agent: Agent) -> int:
    return len(agent.logged('msg="synced"'))


# A3 ----------------------------------------------------------------------------------------------


def test_A3_closed_watches_are_resumed(cluster: ApiCluster, agent: Agent) -> None:
    api = cluster.api
    api.behaviour.watch_s = 1
    mark, begin = api.mark, time.monotonic()
    api.close_watches()
    for n in range(1, 16):
        api.wait_asked("watch", resource="services", since=mark, count=n)
        cluster.apply("web", *web(1, n % 4))
        cluster.settle(agent)
    assert lists(cluster) == ONCE
    elapsed_s = time.monotonic() - begin
    for kind in KINDS:
        watches = api.asked("watch", resource=kind, since=mark)
        assert len(watches) <= elapsed_s + 2
        versions = [int(r.version or 0) for r in watches]
        assert versions == sorted(versions)
    state.wait_equal(agent, cluster.whole())


def test_A3_bookmarks_move_the_version(cluster: ApiCluster, agent: Agent) -> None:
    api = cluster.api
    populate(cluster, 1)
    cluster.settle(agent)
    version = api.do(lambda: api.store.version)
    mark = api.mark
    api.bookmark()
    api.close_watches()
    for kind in KINDS:
        (watch,) = api.wait_asked("watch", resource=kind, since=mark)
        assert int(watch.version or 0) == version
    assert lists(cluster) == ONCE


# A4 ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_event", [True, False], ids=["event", "status"])
def test_A4_history_gone(cluster: ApiCluster, agent: Agent, by_event: bool) -> None:
    api = cluster.api
    populate(cluster, 20)
    cluster.settle(agent)
    api.behaviour.gone_by_event = by_event
    mark = api.mark
    held = cluster.hold_watches()
    for n in range(10):
        cluster.remove(f"web-{n}")
    cluster.apply("web-15", *web(15, 1))
    api.compact()
    before = commits(agent)
    api.off(held)
    api.reset_connections()
    cluster.settle(agent)
    state.wait_equal(agent, cluster.whole())
    for kind in KINDS:
        api.wait_asked("list", "watchlist", resource=kind, since=mark)
    # What vanished did so with its kind, at once.
    assert commits(agent) - before <= len(KINDS) + 2
    assert lists(cluster, mark) == ONCE


# A5 ----------------------------------------------------------------------------------------------


def is_rest(request: Request) -> bool:
    return "continue" in request.query


def test_A5_rest_of_a_list_has_expired(cluster: ApiCluster) -> None:
    api = cluster.api
    api.behaviour.watch_list = WatchList.REFUSED
    api.behaviour.page_items = 4
    populate(cluster, 10)
    expired = api.on(
        "list",
        script=scripts.fail(410, "Expired", "The provided continue parameter is too old"),
        resource="services",
        times=1,
        where=is_rest,
    )
    agent = cluster.agent()
    agent.start()
    cluster.settle(agent)
    assert expired.hits == 1
    first, rest, again, *others = api.asked("list", resource="services")
    assert is_rest(rest) and not is_rest(first)
    assert not is_rest(again) and again.version in (None, "")
    assert others and all(is_rest(r) for r in others)
    state.wait_equal(agent, cluster.whole())


def test_A5_half_a_list_changes_nothing(cluster: ApiCluster, agent: Agent) -> None:
    api = cluster.api
    populate(cluster, 10)
    cluster.settle(agent)
    api.behaviour.watch_list = WatchList.REFUSED
    api.behaviour.page_items = 4
    mark = api.mark
    held = cluster.hold_watches()
    old = state.read(cluster.node1)
    cluster.remove("web-9")
    cluster.apply("web-0", objects.service("web-0", ["10.96.2.1", "fd96::2:1"]))
    api.compact()
    api.off(held)
    stuck = api.on("list", script=scripts.silent, where=is_rest)
    api.reset_connections()
    api.wait_asked("list", resource="services", since=mark, count=2)
    # What is told by the other kinds may come, but there is nothing of the first page.
    assert state.read(cluster.node1) == old
    api.off(stuck)
    api.reset_connections()
    cluster.settle(agent)
    state.wait_equal(agent, cluster.whole())


def test_A5_version_too_large(cluster: ApiCluster, agent: Agent) -> None:
    api = cluster.api
    populate(cluster, 20)
    cluster.settle(agent)
    mark = api.mark
    api.crash()
    api.do(lambda: api.store.rewind(50))
    cluster.remove("web-1")
    api.listen()
    cluster.settle(agent)
    state.wait_equal(agent, cluster.whole())
    # Nodes have not changed since before the backup.
    for kind in ("services", "endpointslices"):
        last = api.asked("list", "watchlist", resource=kind, since=mark)[-1]
        assert last.version in (None, "")


# A6 ----------------------------------------------------------------------------------------------

RETRY_AFTER_S = 4


def gaps(requests: list[Request]) -> list[float]:
    """The time from each answer to the next request."""
    return [b.time - a.ended for a, b in zip(requests, requests[1:], strict=False)]


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("verb", ["list", "watch"])
def test_A6_retry_after_is_kept(cluster: ApiCluster, agent: Agent, status: int, verb: str) -> None:
    api = cluster.api
    populate(cluster, 2)
    cluster.settle(agent)
    api.behaviour.watch_list = WatchList.REFUSED
    script = scripts.fail(status, "TooManyRequests", retry_after=str(RETRY_AFTER_S))
    busy = api.on(verb, script=script, resource="services", times=2)
    mark = api.mark
    if verb == "list":
        api.relist()
    else:
        api.close_watches()
    requests = api.wait_asked(verb, resource="services", since=mark, count=3)
    assert busy.hits == 2
    assert all(gap >= RETRY_AFTER_S for gap in gaps(requests)[:2]), gaps(requests)
    # The others did not wait for it.
    for kind in ("endpointslices", "nodes"):
        assert api.asked(verb, resource=kind, since=mark)[0].time < requests[1].time
    if verb == "watch":
        assert len({r.version for r in requests}) == 1
        assert not lists(cluster, mark)
    cluster.settle(agent)
    state.wait_equal(agent, cluster.whole())


@pytest.mark.parametrize("status", [500, 504])
def test_A6_failing_server_is_asked_less_and_less(
    cluster: ApiCluster, agent: Agent, status: int
) -> None:
    api = cluster.api
    failing = api.on("watch", script=scripts.fail(status), resource="services")
    mark = api.mark
    api.close_watches()
    requests = api.wait_asked("watch", resource="services", since=mark, count=4)
    assert all(gap >= 0.8 * 2**n for n, gap in enumerate(gaps(requests))), gaps(requests)
    api.off(failing)
    cluster.settle(agent)
    assert not lists(cluster, mark)


@pytest.mark.parametrize("code", [429, 500, 503])
def test_A6_error_within_a_watch(cluster: ApiCluster, agent: Agent, code: int) -> None:
    api = cluster.api
    populate(cluster, 2)
    cluster.settle(agent)
    told = scripts.events(("ERROR", status_of(code, "Scripted", "not now")))
    failing = api.on("watch", script=told, resource="services", times=2)
    mark = api.mark
    api.close_watches()
    requests = api.wait_asked("watch", resource="services", since=mark, count=3)
    assert failing.hits == 2
    assert len({r.version for r in requests}) == 1
    cluster.settle(agent)
    assert not lists(cluster, mark)


# A17 ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [WatchList.REFUSED, WatchList.IGNORED, WatchList.ENDLESS])
def test_A17_watch_list_is_not_to_be_had(cluster: ApiCluster, how: WatchList) -> None:
    api = cluster.api
    api.behaviour.watch_list = how
    populate(cluster, 5)
    agent = cluster.agent()
    agent.start()
    api.wait_asked("watchlist", resource="services")
    # It was told already by a watch list that came to nothing.
    cluster.remove("web-3")
    cluster.settle(agent)
    state.wait_equal(agent, cluster.whole())
    for kind in KINDS:
        assert len(api.asked("watchlist", resource=kind)) == 1
        assert len(api.asked("list", resource=kind)) == 1


def test_A17_watch_list_breaks_off(cluster: ApiCluster) -> None:
    api = cluster.api
    populate(cluster, 5)
    broken = api.on("watchlist", script=scripts.cut(2000, Cut.ABORT), resource="services", times=1)
    agent = cluster.agent()
    agent.start()
    cluster.settle(agent)
    assert broken.hits == 1
    state.wait_equal(agent, cluster.whole())


def test_A17_deleted_before_a_watch_list_is_whole(cluster: ApiCluster) -> None:
    api = cluster.api
    populate(cluster, 2)
    kept, gone = (objects.service(f"web-{n}", [f"10.96.1.{n}", f"fd96::1:{n}"]) for n in range(2))
    cluster.remove("web-1")
    version = str(api.do(lambda: api.store.version))
    for o in (kept, gone):
        o["metadata"] |= {"uid": o["metadata"]["name"], "resourceVersion": version}
    annotations = {"k8s.io/initial-events-end": "true"}
    end = {
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": {"resourceVersion": version, "annotations": annotations},
    }
    told = [("ADDED", kept), ("ADDED", gone), ("DELETED", gone), ("BOOKMARK", end)]
    rule = api.on("watchlist", script=scripts.events(*told), resource="services", times=1)
    agent = cluster.agent()
    agent.start()
    cluster.settle(agent)
    state.wait_equal(agent, cluster.whole())
    assert rule.hits == 1
    assert lists(cluster)["services"] == 1
