"""Answers that are no answers: row A9. Nothing of them is believed."""

from __future__ import annotations

import json

import pytest

from rig import objects, state
from rig.agent import Agent
from rig.api import scripts
from rig.api.cluster import KINDS, ApiCluster
from rig.api.exchange import Cut, Exchange, Handler, status_of
from rig.api.kubernetes import WatchList
from rig.api.scripts import Script

MIB = 1024 * 1024


def populate(cluster: ApiCluster) -> None:
    for n in range(6):
        cluster.apply(f"s{n}", objects.service(f"s{n}", [f"10.96.1.{n + 1}", f"fd96::1:{n + 1}"]))


PROXY_PAGE = "<!DOCTYPE html><html><body><h1>Sign in to Wi-Fi \x1b[31m</h1></body></html>"
EMPTY_LIST = json.dumps(
    {"kind": "ServiceList", "apiVersion": "v1", "metadata": {"resourceVersion": "9"}, "items": []}
)


def renamed(old: bytes, new: bytes) -> Script:
    return scripts.edited(lambda body: body.replace(old, new))


GARBAGE: dict[str, Script] = {
    "a page of a proxy": scripts.body(PROXY_PAGE, "text/html"),
    "a page that says it is JSON": scripts.body(PROXY_PAGE),
    "JSON that says it is a page": scripts.body(EMPTY_LIST, "text/html"),
    "nothing": scripts.body(""),
    "null": scripts.body("null"),
    "an array": scripts.body("[]"),
    "an object": scripts.body("{}"),
    "a Status": scripts.body(json.dumps(status_of(500, "InternalError", "no"))),
    "noise": scripts.body(bytes(range(256)) * 40),
    "zeros": scripts.body(bytes(5000)),
    "half, then the end": scripts.cut(1500, Cut.END),
    "half, then a reset": scripts.cut(1500, Cut.RESET),
    "half, then the connection": scripts.cut(1500, Cut.ABORT),
    "a list and something more": scripts.edited(lambda body: body + b"}"),
    "another kind's list": renamed(b'"ServiceList"', b'"PodList"'),
    "items that are none": renamed(b'"items":[', b'"items":[[],null,'),
    "no version": renamed(b'"resourceVersion"', b'"version"'),
    "an endless version": renamed(
        b'"metadata":{"resourceVersion":"', b'"metadata":{"resourceVersion":"' + b"9" * 5000
    ),
    "204": scripts.body("", status=204),
    "302": scripts.fail(302, location="https://192.0.2.1/"),
    "400": scripts.body(PROXY_PAGE, "text/html", status=400),
    "503": scripts.body(PROXY_PAGE, "text/html", status=503),
}


REFUSED = "level=warn.*can't (list|watch) services"


def check_no_part(cluster: ApiCluster, agent: Agent, verb: str, script: Script) -> None:
    """What @script answers to a list changes nothing, and the next answer everything."""
    populate(cluster)
    cluster.settle(agent)
    api = cluster.api
    api.behaviour.gzip_bytes = MIB
    if verb == "list":
        api.behaviour.watch_list = WatchList.REFUSED
    held = cluster.hold_watches()
    generation = state.generation(cluster.node1)
    cluster.remove("s5")
    cluster.apply("s0", objects.service("s0", ["10.96.2.1", "fd96::2:1"]))
    api.compact()
    bad = api.on(verb, script=script, resource="services")
    api.off(held)
    # Where a watch list is given up for a list, there is none yet.
    held = api.on("list", script=scripts.silent, resource="services")
    if verb == "list":
        api.off(held)
    api.reset_connections()
    agent.wait_until(
        "the answer to be refused", lambda: bool(agent.logged(REFUSED)) or held.hits > 0
    )
    assert bad.hits
    assert state.generation(cluster.node1) == generation
    assert agent.running
    api.off()
    if held.hits:
        api.reset_connections()
    cluster.settle(agent)
    state.wait_equal(agent, cluster.whole())


@pytest.mark.parametrize("garbage", GARBAGE)
def test_A9_list_is_garbage(cluster: ApiCluster, agent: Agent, garbage: str) -> None:
    check_no_part(cluster, agent, "list", GARBAGE[garbage])
    assert "\x1b" not in agent.log()


WATCH_GARBAGE = (
    "a page of a proxy",
    "a page that says it is JSON",
    "nothing",
    "an array",
    "noise",
    "204",
)


@pytest.mark.parametrize("garbage", [*WATCH_GARBAGE, "half, then the end", "half, then a reset"])
def test_A9_watch_list_is_garbage(cluster: ApiCluster, agent: Agent, garbage: str) -> None:
    check_no_part(cluster, agent, "watchlist", GARBAGE[garbage])


@pytest.mark.parametrize("garbage", WATCH_GARBAGE)
def test_A9_watch_is_garbage(cluster: ApiCluster, agent: Agent, garbage: str) -> None:
    populate(cluster)
    cluster.settle(agent)
    bad = cluster.api.on("watch", script=GARBAGE[garbage], resource="services", times=2)
    cluster.api.close_watches()
    agent.wait_until("the answers to be refused", lambda: bad.hits == 2)
    cluster.remove("s5")
    cluster.settle(agent)
    state.wait_equal(agent, cluster.whole())


@pytest.mark.parametrize("how", [Cut.END, Cut.RESET, Cut.ABORT])
def test_A9_watch_breaks_off_within_an_event(cluster: ApiCluster, agent: Agent, how: Cut) -> None:
    populate(cluster)
    cluster.settle(agent)
    mark = cluster.api.mark
    broken = cluster.api.on("watch", script=scripts.cut(300, how), resource="services", times=1)
    cluster.api.close_watches()
    cluster.api.wait_asked("watch", resource="services", since=mark)
    cluster.remove("s5")
    cluster.settle(agent)
    state.wait_equal(agent, cluster.whole())
    assert broken.hits == 1
    assert not cluster.api.asked("list", "watchlist", since=mark)


def test_A9_spoilt_gzip(cluster: ApiCluster, agent: Agent) -> None:
    populate(cluster)
    cluster.settle(agent)
    cluster.api.behaviour.watch_list = WatchList.REFUSED

    async def spoilt(x: Exchange, serve: Handler) -> None:
        del serve
        await x.answer(200, b"\x1f\x8b\x08\x00" + bytes(200), content_encoding="gzip")

    bad = cluster.api.on("list", script=spoilt, resource="services")
    generation = state.generation(cluster.node1)
    cluster.api.relist()
    agent.wait_until("the answers to be refused", lambda: bad.hits == 2)
    assert state.generation(cluster.node1) == generation
    cluster.api.off(bad)
    cluster.settle(agent)
    state.wait_equal(agent, cluster.whole())
