"""No wrong verdict at any time: what may connect is served, and what may not is not, whatever else
happens."""

from __future__ import annotations

import contextlib
import signal
import socket
import time
from collections.abc import Iterator

import pytest

from rig import objects
from rig.client import ask, connected, greet
from rig.netpol.enforcer import Agents
from rig.netpol.guards import PORT, Scene, ingress, policy
from rig.netpol.network import Network
from rig.netpol.stage import (
    ALLOWED,
    DENIED,
    NAMESPACE_Y,
    OWN_NAMESPACE,
    POD_A,
    Stage,
    guarded_world,
)
from rig.objects import Object
from rig.probe import Probe, probing

OTHERS = 50
HANG_S = 30.0


@pytest.fixture
def stage() -> Iterator[Stage]:
    with contextlib.ExitStack() as cleanup:
        yield Stage(cleanup, guarded_world())


def other(number: int, generation: int) -> Object:
    """A policy for none of the pairs, which shares a peer with one that is."""
    cidr = f"10.{number}.{generation}.0/24"
    name = f"{'wz'[number % 2]}/other-{number}"
    return ingress(name, {}, NAMESPACE_Y, {"ipBlock": {"cidr": cidr}})


def test_during_500_unrelated_policy_changes(stage: Stage) -> None:
    with stage.guarded() as guards:
        for generation in range(500 // OTHERS):
            for number in range(OTHERS):
                if generation % 5 == 4 and number % 2:
                    stage.world.policies.pop(f"z/other-{number}")
                else:
                    stage.world.apply(other(number, generation))
            stage.tell()
            guards.wait_connections(5)


def equal_guards() -> list[Object]:
    """Policies that mean what x/guard does."""
    expression = {"key": "pod", "operator": "In", "values": ["a"]}
    rule = {"from": [OWN_NAMESPACE, OWN_NAMESPACE], "ports": [{"port": PORT, "endPort": PORT}]}
    by_name = {"kubernetes.io/metadata.name": "x"}
    forms = [
        ingress("x/guard", POD_A, OWN_NAMESPACE),
        policy("x/guard", {"matchExpressions": [expression]}, ingress=[rule]),
        policy("x/guard", POD_A, policyTypes=["Ingress"], ingress=[rule, rule]),
        ingress("x/guard", POD_A, {"namespaceSelector": {"matchLabels": by_name}}),
    ]
    return [*forms, ingress("x/watch", POD_A, OWN_NAMESPACE)]


def test_while_a_policy_is_replaced_by_an_equal_one(stage: Stage) -> None:
    forms = equal_guards()
    with stage.guarded() as guards:
        for number in range(40):
            for name in ("x/guard", "x/watch"):
                stage.world.policies.pop(name, None)
            stage.world.apply(forms[number % len(forms)])
            stage.tell()
            guards.wait_connections(2)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
def test_while_the_agents_restart(stage: Stage, how: int) -> None:
    with stage.guarded() as guards:
        for number in range(4):
            for agent in stage.agents.agents.values():
                agent.stop(how)
            guards.wait_connections(10)
            # What changed meanwhile is found at the start.
            stage.world.apply(other(number, 1))
            stage.agents.follow(stage.world)
            for agent in stage.agents.agents.values():
                agent.start()
            stage.agents.settle()
            guards.wait_connections(10)


def crowd(turn: int) -> list[Object]:
    """A Service whose endpoints, others at each turn, are 20,000 elements: a transaction with them takes
    the kernel so long that packets meet every state on the way."""
    ports = [objects.port(1000 + n, target=1000 + n, name=f"p{n}") for n in range(40)]
    service = objects.service("crowd", ["10.96.200.1"], ports)
    addresses = [f"10.200.{turn % 256}.{n}" for n in range(250)]
    addresses += [f"10.201.{turn % 256}.{n}" for n in range(250)]
    return [service, objects.slice_of(service, [objects.endpoint(a) for a in addresses])]


def test_during_upgrade_and_downgrade(stage: Stage, upgraded: str) -> None:
    refuse = ("nft", "list", "chain", "ip6", "kube-nft", "refuse")
    objects.write_manifest(stage.agents.manifests.directory, "crowd", *crowd(0))
    stage.agents.settle()
    with stage.guarded() as guards:
        for program in (upgraded, next(iter(stage.agents.agents.values())).program):
            for agent in stage.agents.agents.values():
                agent.stop()
                agent.program = program
                agent.start()
                guards.wait_connections(5)
            stage.agents.settle()
            for node in stage.network.nodes.values():
                assert ("counter" in node.run(*refuse)) == (program == upgraded)


def test_while_a_policy_and_20000_elements_change_together(stage: Stage) -> None:
    """The policy has other sets of ports and networks each time, which mean the same for who is there."""
    directory = stage.agents.manifests.directory
    stage.world.policies.pop("x/guard")
    with contextlib.ExitStack() as cleanup:
        for turn in range(8):
            peers = [OWN_NAMESPACE, {"ipBlock": {"cidr": f"192.0.2.{turn}/32"}}]
            guard = ingress("x/guard", POD_A, *peers)
            guard["spec"]["ingress"][0]["ports"] = [{"port": PORT, "endPort": PORT + turn}]
            objects.write_manifest(directory, "guard-and-crowd", guard, *crowd(turn))
            stage.tell()
            if turn == 0:
                guards = cleanup.enter_context(stage.guarded())
            guards.wait_connections(2)


def closing_time(stage: Stage, client: str, server: str) -> float:
    """Have a stranger flush the server's node; for how long after that the client was served. Ends
    when the agent has repaired its tables, and the client was refused behind that."""
    space, address = stage.scene.place(client), stage.scene.address(server, 4)
    agent = stage.agents.agents["node-a"]
    repaired = len(agent.logged("foreign change repaired"))
    agent.space.run("nft", "flush", "ruleset")
    begin = last = time.monotonic()
    while True:
        complete = len(agent.logged("foreign change repaired")) > repaired
        try:
            ask(space, address, PORT, timeout_s=1.0)
            last = time.monotonic()
        except OSError:
            if complete:
                return last - begin
        assert time.monotonic() < begin + HANG_S


def test_after_a_strangers_flush(stage: Stage, told: list[str]) -> None:
    times = []
    with stage.scene.guarded(ALLOWED, []) as guards:
        for _ in range(5):
            times.append(closing_time(stage, "z/c", "x/a"))
            guards.wait_connections(5)
    assert not any(stage.served(*pair) for pair in DENIED)
    listed = ", ".join(f"{1000 * s:.1f}" for s in times)
    told.append(f"behind a stranger's flush denied clients were served for {listed} ms")


def new_pod(name: str, address: int, node: str = "node-a", **labels: str) -> Object:
    """A pod with an address of its node's networks."""
    number = {"node-a": 1, "node-b": 2}[node]
    ips = [f"10.91.{number}.{address}", f"fd00:91:{number}::{address}"]
    namespace, _, name = name.partition("/")
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**metadata, "creationTimestamp": "2024-05-01T00:00:00Z"},
        "spec": {"nodeName": node, "containers": [{"name": "c", "image": "probe"}]},
        "status": {"phase": "Running", "podIP": ips[0], "podIPs": [{"ip": ip} for ip in ips]},
    }


def test_very_first_packet_of_a_new_pod() -> None:
    """From its first packet on, long before the agent hears of it, and while it does."""
    with contextlib.ExitStack() as cleanup:
        world = guarded_world()
        world.apply(ingress("z/new", {"matchLabels": {"app": "new"}}, {"podSelector": POD_A}))
        stage = Stage(cleanup, world, "--netpol-default-deny=true")
        world.act({"do": "create-pod", "pod": new_pod("z/new", 77, app="new")})
        # Somebody whom no policy will ever allow tries from before it is there.
        denied = [("z/c", "z/new", 4), ("x/b", "z/new", 6), ("ext1", "z/new", 4)]
        with stage.scene.guarded([], denied):
            stage.network.follow(world)
            stage.scene.serve("z/new")
            for family in (4, 6):
                assert not stage.served("z/a", "z/new", family)
                assert not stage.served("z/new", "z/b", family)
                assert stage.served("node-a", "z/new", family)
            stage.tell()
            for family in (4, 6):
                assert stage.served("z/a", "z/new", family)
                assert stage.served("z/new", "z/b", family)
                assert stage.served("node-a", "z/new", family)


def test_O4_reused_address_has_nobody_elses_rights(stage: Stage) -> None:
    """The address of a pod that has ended becomes another pod's; then the old one goes."""
    world = stage.world
    world.apply(
        ingress(
            "z/b", {"matchLabels": {"pod": "b"}}, {"podSelector": {"matchLabels": {"job": "old"}}}
        )
    )
    world.act({"do": "create-pod", "pod": new_pod("z/old", 77, job="old")})
    stage.network.follow(world)
    stage.tell()
    assert stage.served("z/old", "z/b", 4) and stage.served("z/old", "z/b", 6)

    world.act({"do": "set-pod-status", "pod": "z/old", "status": {"phase": "Succeeded"}})
    world.act({"do": "create-pod", "pod": new_pod("x/new", 77)})
    world.pods["x/new"]["metadata"]["creationTimestamp"] = "2024-05-01T00:01:00Z"
    stage.tell()
    stage.network.follow(world)
    with stage.scene.guarded([("x/new", "x/a", 4)], [("x/new", "z/b", 4), ("x/new", "z/b", 6)]):
        world.act({"do": "delete-pod", "pod": "z/old"})
        stage.tell()


def test_O11_label_flips(stage: Stage) -> None:
    """A peer, a target and a namespace leave what one policy selects for what another one does."""
    world = stage.world
    del world.policies["x/guard"], world.policies["y/fence"]
    for side in ("left", "right"):
        target = {"matchLabels": {"pod": "a", "side": side}}
        peers = [{"podSelector": {"matchLabels": {"turn": side}}}]
        peers.append({"namespaceSelector": {"matchLabels": {"turn": side}}})
        for number in range(2):
            # Each target is always selected by one policy, each client always allowed by it.
            world.apply(ingress(f"x/{side}-{number}", target, *peers, OWN_NAMESPACE))
        world.apply(ingress(f"x/peers-{side}", {"matchLabels": {"pod": "b"}}, *peers))

    def flip(side: str) -> None:
        for labelled in (world.pods["x/a"], world.pods["x/c"], world.namespaces["y"]):
            labelled["metadata"]["labels"].update(side=side, turn=side)
        stage.tell()

    flip("left")
    stage.scene.serve("x/b")
    allowed = [("x/c", "x/a", 4), ("x/c", "x/b", 6), ("y/c", "x/b", 4)]
    denied = [("z/c", "x/a", 6), ("z/c", "x/b", 4), ("ext1", "x/a", 4)]
    with stage.scene.guarded(allowed, denied) as guards:
        for number in range(40):
            flip("right" if number % 2 == 0 else "left")
            guards.wait_connections(1)


@contextlib.contextmanager
def open_connection(stage: Stage, client: str, server: str, family: int) -> Iterator[socket.socket]:
    address = stage.scene.address(server, family)
    with connected(stage.scene.place(client), address, PORT) as sock:
        greet(sock)
        exchange(sock)
        yield sock


def exchange(sock: socket.socket) -> None:
    """Send a line and get it back. OSError if there is no answer."""
    sock.sendall(b"line\n")
    if not sock.recv(100).endswith(b"line\n"):
        raise ConnectionResetError("closed by the other end")


@pytest.mark.parametrize("pair", [("x/c", 4), ("x/c", 6), ("x/b", 4)], ids=str)
def test_N17_revoked_permission_ends_open_connections(stage: Stage, pair: tuple[str, int]) -> None:
    name, version = pair
    with (
        open_connection(stage, name, "x/a", version) as sock,
        open_connection(stage, "node-a", "x/a", version) as of_node,
    ):
        stage.world.apply(ingress("x/guard", POD_A, NAMESPACE_Y))
        stage.tell()
        sock.settimeout(1.0)
        with pytest.raises(OSError):
            exchange(sock)
        exchange(of_node)
    assert not stage.served(name, "x/a", version)
    stage.world.apply(ingress("x/guard", POD_A, OWN_NAMESPACE))
    stage.tell()
    assert stage.served(name, "x/a", version)


def test_H16_first_commit_opens_nothing() -> None:
    """A Service is there no sooner than the policy of the pod behind it."""
    with contextlib.ExitStack() as cleanup:
        world = guarded_world()
        world.apply(ingress("x/guard", POD_A, {"podSelector": {"matchLabels": {"pod": "b"}}}))
        service = world.services["x/s-a"]["spec"]
        service["ports"] = [{**service["ports"][0], "port": PORT, "targetPort": PORT}]
        network = cleanup.enter_context(Network(world))
        agents = cleanup.enter_context(Agents(network, world))
        scene = Scene(network, world, cleanup)
        scene.serve("x/a")
        clients = {name: scene.place(name) for name in ("x/b", "x/c", "y/a", "ext1")}
        address = service["clusterIPs"][0]
        with contextlib.ExitStack() as probes:
            denied = [Probe(clients[n], address, PORT, established=0) for n in ("x/c", "y/a")]
            running = probes.enter_context(probing(*denied))
            agents.start()
            running.wait_connections(2)
            assert running.report().pods.total() == 0
        assert ask(clients["x/b"], address, PORT).pod == "x/a"
