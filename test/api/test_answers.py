"""Answers that are wrong, hostile or unheard of: rows A8, A10, A19."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rig import objects, state
from rig.agent import Agent
from rig.api import scripts
from rig.api.cluster import ApiCluster
from rig.api.exchange import Exchange, Handler
from rig.api.kubernetes import WatchList
from rig.api.scripts import Script

MIB = 1024 * 1024


def populate(cluster: ApiCluster) -> None:
    for n in range(6):
        cluster.apply(f"s{n}", objects.service(f"s{n}", [f"10.96.1.{n + 1}", f"fd96::1:{n + 1}"]))


# A8 ----------------------------------------------------------------------------------------------


def forbidden(verb: str) -> Script:
    """As RBAC says it."""
    user = 'User "system:serviceaccount:kube-system:kube-nft"'
    what = f'cannot {verb} resource "endpointslices" in API group "discovery.k8s.io"'
    message = f"endpointslices.discovery.k8s.io is forbidden: {user} {what} at the cluster scope"
    return scripts.fail(403, "Forbidden", message)


def forbid(cluster: ApiCluster) -> None:
    """No EndpointSlices from now on."""
    for verb in ("list", "watch", "watchlist"):
        script = forbidden("list" if verb == "list" else "watch")
        cluster.api.on(verb, script=script, resource="endpointslices")


FORBIDDEN = r'level=(warn|error).*cannot (list|watch) resource \\?"endpointslices'


def test_A8_one_resource_is_forbidden(cluster: ApiCluster, agent: Agent) -> None:
    populate(cluster)
    cluster.settle(agent)
    before = state.read(cluster.node1)
    forbid(cluster)
    mark = cluster.api.mark
    cluster.api.relist()
    agent.wait_logged(FORBIDDEN)
    # What was known of them stays, and the others' work goes on.
    assert state.read(cluster.node1) == before
    cluster.apply("new", objects.service("new", ["10.96.7.7", "fd96::7:7"]))
    agent.wait_until("a new Service", lambda: "10.96.7.7" in str(state.read(cluster.node1)))
    assert len(cluster.api.asked(resource="endpointslices", since=mark)) <= 8
    cluster.api.off()
    cluster.settle(agent)
    state.wait_equal(agent, cluster.whole())


def test_A8_one_resource_is_forbidden_at_the_start(cluster: ApiCluster) -> None:
    populate(cluster)
    forbid(cluster)
    agent = cluster.agent()
    agent.start()
    agent.wait_logged(FORBIDDEN)
    assert agent.running
    cluster.api.off()
    cluster.settle(agent)


# A10 ---------------------------------------------------------------------------------------------


def item(name: str, more: str = "", ip: str = "10.96.9.9", labels: str = "{}") -> bytes:
    """A Service with @more members of its spec, as it is in a list."""
    return (
        f'{{"metadata":{{"name":"{name}","namespace":"default","uid":"u-{name}",'
        f'"resourceVersion":"5","labels":{labels}}},"spec":{{"type":"ClusterIP","clusterIP":"{ip}",'
        f'"clusterIPs":["{ip}"],"ports":[{{"port":80,"protocol":"TCP"}}]{more}}}}}'
    ).encode("utf-8", "surrogatepass")


def nested(depth: int) -> str:
    return f',"deep":{"[" * depth}{"]" * depth}'


# Not one of them may cost the others anything; whether it is taken itself is beside the question
# where it says "either".
HOSTILE: dict[str, tuple[bytes, str]] = {
    "nested": (item("nested", nested(100_000)), "refused"),
    "large": (item("large", f',"x":"{"y" * (20 * MIB)}"'), "refused"),
    "labels": (
        item("labels", labels="{" + ",".join(f'"l{n}":""' for n in range(10**6)) + "}"),
        "refused",
    ),
    "port-twice": (item("port-twice", ',"clusterIP":"10.96.9.8"', ip="10.96.9.7"), "either"),
    "beyond": (item("beyond", ',"healthCheckNodePort":123456789012345678901234567890'), "either"),
    "not-a-number": (item("not-a-number", ',"healthCheckNodePort":NaN'), "refused"),
    "surrogate": (item("surrogate", ',"externalName":"\\ud800"'), "refused"),
    "raw-surrogate": (item("raw-surrogate", ',"externalName":"\udfff"'), "refused"),
    "zero": (item("zero", ',"externalName":"a\\u0000b"'), "either"),
    "text-for-list": (item("text-for-list", ',"externalIPs":"192.0.2.1"'), "refused"),
    "number-for-text": (item("number-for-text", ',"externalTrafficPolicy":7'), "refused"),
}


def peak_bytes(agent: Agent) -> int:
    assert agent.process
    status = Path(f"/proc/{agent.process.pid}/status").read_text(encoding="ascii")
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


BETWEEN = [
    item("first", ip="10.96.8.1"),
    *(text for text, _ in HOSTILE.values()),
    item("last", ip="10.96.8.2"),
]


def hostile_list(body: bytes) -> bytes:
    """The list with the hostile items before the others."""
    return body.replace(b'"items":[', b'"items":[' + b",".join(BETWEEN) + b",", 1)


def check_hostile(cluster: ApiCluster, agent: Agent) -> None:
    agent.wait_until("all good ones", lambda: good(agent))
    for name, (_, fate) in HOSTILE.items():
        if fate == "refused":
            assert agent.logged(f"level=warn.*{name}"), name
    assert peak_bytes(agent) < 64 * MIB


def good(agent: Agent) -> bool:
    tables = str(state.read(agent.space))
    ips = ["10.96.8.1", "10.96.8.2", *(f"10.96.1.{n + 1}" for n in range(6))]
    return all(f"'{ip} . tcp . 80 " in tables for ip in ips)


def test_A10_hostile_items_of_a_list(cluster: ApiCluster) -> None:
    populate(cluster)
    cluster.api.behaviour.watch_list = WatchList.REFUSED
    cluster.api.on("list", script=scripts.edited(hostile_list), resource="services")
    agent = cluster.agent()
    agent.start()
    check_hostile(cluster, agent)


def test_A10_hostile_events_of_a_watch(cluster: ApiCluster, agent: Agent) -> None:
    populate(cluster)
    cluster.settle(agent)
    lines = b"".join(b'{"type":"ADDED","object":' + text + b"}\n" for text in BETWEEN)
    script = scripts.body(lines)
    cluster.api.on("watch", script=script, resource="services", times=1)
    cluster.api.close_watches()
    check_hostile(cluster, agent)
    cluster.api.relist()
    cluster.settle(agent)
    state.wait_equal(agent, cluster.whole())


def test_A10_endless_answers(cluster: ApiCluster, agent: Agent) -> None:
    """Of what is no object, nothing is kept."""
    populate(cluster)
    cluster.settle(agent)
    generation = state.generation(cluster.node1)

    def endless(piece: bytes) -> Script:
        async def script(x: Exchange, serve: Handler) -> None:
            del serve
            await x.head(200, {"content-type": "application/json"})
            await x.send(b'{"kind":"ServiceList","apiVersion":"v1","metadata":')
            for _ in range(64):
                await x.send(piece * (MIB // len(piece)))
            await x.end()

        return script

    cluster.api.behaviour.watch_list = WatchList.REFUSED
    for piece in (b" ", b"[", b'{"a":'):
        cluster.api.on("list", script=endless(piece), resource="services", times=1)
    cluster.api.relist()
    agent.wait_until("the answers", lambda: all(r.hits for r in cluster.api.rules))
    assert state.generation(cluster.node1) == generation
    cluster.settle(agent)
    assert peak_bytes(agent) < 64 * MIB


# A19 ---------------------------------------------------------------------------------------------


def of_tomorrow() -> list[objects.Object]:
    """Objects with values and members that this version has not heard of."""
    made = objects.service(
        "web",
        ["10.96.5.5", "fd96::5:5"],
        [{**objects.port(80), "appProtocol": "kubernetes.io/h5", "hue": "blue"}],
        externalTrafficPolicy="Galactic",
        internalTrafficPolicy="Street",
        sessionAffinity="Mood",
        ipFamilyPolicy="PreferTripleStack",
        trafficDistribution="PreferNice",
        trafficOrigin={"verbs": ["teleport"]},
    )
    made["metadata"]["shard"] = {"of": [1, 2]}
    slices = [
        objects.slice_of(made, [objects.endpoint(ip, "node2")], family=family)
        for family, ip in ((4, "10.244.2.66"), (6, "fd44:0:0:2::66"))
    ]
    for part in slices:
        part["endpoints"][0]["conditions"] = {"ready": True, "enlightened": False}
        part["endpoints"][0]["hints"] = {"forGalaxies": [{"name": "andromeda"}]}
    other = objects.slice_of(made, [], family=4, suffix="other")
    other["addressType"] = "IPv9"
    other["endpoints"] = [objects.endpoint("9.9.9.9.9.9")]
    quic = objects.service("quic", ["10.96.5.6"], [objects.port(443, protocol="QUIC")])
    kind = objects.service("kind", ["10.96.5.7"], type="Quantum")
    return [made, *slices, other, quic, kind]


def test_A19_objects_of_a_newer_schema(cluster: ApiCluster, agent: Agent) -> None:
    for o in of_tomorrow():
        cluster.apply(o["metadata"]["name"], o)
    cluster.settle(agent)
    state.wait_equal(agent, cluster.whole())
    tables = state.read(cluster.node1)
    for family, ip in (("ip", "10.96.5.5"), ("ip6", "fd96::5:5")):
        # Served to all, as by default.
        assert any(f"{ip} . tcp . 80" in line for line in tables[f"{family} map services"])
    # The same again by a list.
    cluster.api.relist()
    cluster.settle(agent)
    state.wait_equal(agent, cluster.whole())


def test_A19_events_of_unknown_types(cluster: ApiCluster, agent: Agent) -> None:
    populate(cluster)
    cluster.settle(agent)
    strange: list[Callable[[], None]] = [
        lambda: cluster.api.store.tell("PONDERED", objects.service("s1", ["10.96.1.99"])),
        lambda: cluster.api.store.tell("", objects.service("s2", ["10.96.1.98"])),
    ]
    for tell in strange:
        cluster.api.do(tell)
    cluster.settle(agent)
    state.wait_equal(agent, cluster.whole())
