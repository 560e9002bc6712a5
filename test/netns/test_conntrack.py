"""UDP flows: which of them go on when endpoints change, and which are begun anew."""

from __future__ import annotations

import contextlib
import errno
import re
import signal
import socket
from collections.abc import Callable, Iterator

import pytest

from rig import objects
from rig.agent import Agent, wait_until
from rig.client import HANG_S, Datagrams, connected
from rig.cluster import FLAGS, Cluster
from rig.faults import Fault, Faults
from rig.frontends import Frontends, everywhere
from rig.netns import Namespace
from rig.objects import Object

UDP = ("UDP",)
DRAINING = {"ready": False, "serving": True, "terminating": True}
DEAD = {"ready": False, "serving": False, "terminating": True}
SWEPT = 'msg="UDP flows swept"'
# What somebody else translates: no Service.
STRANGERS_PORT = 9999


def entries(node: Namespace, family: int) -> dict[tuple[str, int], str]:
    """The ids of the node's connection tracking entries, by protocol and client's port."""
    listing = node.run("conntrack", "-L", "-o", "id", "-f", "ipv4" if family == 4 else "ipv6")
    found = re.finditer(r"^(\w+) .*?sport=(\d+) .* id=(\d+)", listing, re.MULTILINE)
    return {(entry[1], int(entry[2])): entry[3] for entry in found}


class Flows:
    """Makes flows, and looks after them."""

    def __init__(self, cluster: Cluster, agent: Agent, cleanup: contextlib.ExitStack) -> None:
        self.cluster = cluster
        self.agent = agent
        self.cleanup = cleanup
        self.turn = 0

    def open(self, client: str, address: str, port: int) -> Datagrams:
        return Datagrams(self.cluster.place(client), address, port, self.cleanup)

    def to(self, client: str, made: Frontends, family: int) -> list[Datagrams]:
        """A flow to each kind of frontend."""
        kinds = ("cluster-ip", "node-port", "external-ip")
        return [self.open(client, *made.at(kind, family)) for kind in kinds]

    def wait_answered(self, flow: Datagrams, who: str) -> None:
        """Wait until @flow, which goes on all the while, is answered by @who."""
        self.agent.wait_until(f"an answer by {who}", lambda: flow.ask() == who)

    def wait_swept(self) -> None:
        """Wait until all flows were looked at since the last change: until one was found."""
        made = everywhere(self.cluster, "sentinel", "web-1", protocols=UDP)
        flow = self.open("pod", *made.at("cluster-ip", 4))
        self.wait_answered(flow, "web-1")
        sweeps = len(self.agent.logged(SWEPT))
        self.cluster.deploy(made.object, "web-2")
        self.wait_answered(flow, "web-2")
        self.agent.wait_logged(SWEPT, sweeps + 1)


@pytest.fixture
def flows(cluster: Cluster, agent: Agent) -> Iterator[Flows]:
    """Flows in a cluster that other tests use too."""
    with contextlib.ExitStack() as cleanup:
        yield Flows(cluster, agent, cleanup)


@pytest.fixture
def own_flows(own_cluster: Cluster, own_agent: Agent) -> Iterator[Flows]:
    """Flows in a cluster of their own."""
    with contextlib.ExitStack() as cleanup:
        yield Flows(own_cluster, own_agent, cleanup)


def replaced(flows: Flows, made: Frontends, pods: list[str], client: str, family: int) -> None:
    """Have the endpoints of a Service be each of @pods, one after the other."""
    running = flows.to(client, made, family)
    for pod in pods:
        flows.cluster.deploy(made.object, *(name for name in pod.split() if name != "refused"))
        for flow in running:
            flows.wait_answered(flow, pod)


def test_N16_flow_goes_to_the_endpoint_that_came(flows: Flows, client: str, family: int) -> None:
    made = everywhere(flows.cluster, f"cycles-{client}-{family}", protocols=UDP)
    replaced(flows, made, ["web-1", "web-3", "web-2", "web-1"], client, family)


def test_N16_scaled_to_zero_and_back(flows: Flows, client: str, family: int) -> None:
    made = everywhere(flows.cluster, f"scales-{client}-{family}", protocols=UDP)
    replaced(flows, made, ["refused", "web-3", "refused", "web-3", "refused"], client, family)


def test_N16_flow_from_before_the_service(flows: Flows, client: str, family: int) -> None:
    """Its entry has no translation: a node's address exists without any Service."""
    number = flows.cluster.new_number()
    port = 30000 + number
    flow = flows.open(client, flows.cluster.node1.ips[family], port)
    assert flow.ask() == "refused"
    ports = [objects.port(80, protocol="UDP", node_port=port)]
    ips = [f"10.96.{number // 256}.{number % 256}", f"fd96::{number:x}"]
    flows.cluster.deploy(objects.service(f"late-{client}-{family}", ips, ports), "web-3")
    flows.wait_answered(flow, "web-3")


def test_N16_flow_to_a_service_that_is_deleted(flows: Flows, client: str, family: int) -> None:
    name = f"deleted-{client}-{family}"
    made = everywhere(flows.cluster, name, "web-1", protocols=UDP)
    flow = flows.open(client, *made.at("node-port", family))
    flows.wait_answered(flow, "web-1")
    flows.cluster.remove(name)
    flows.wait_answered(flow, "refused")


def with_protocol(made: Frontends, protocol: str) -> Object:
    for one in made.object["spec"]["ports"]:
        one.update(protocol=protocol, name="web")
    return made.object


def test_O14_protocol_changes_to_udp_and_back(flows: Flows, client: str, family: int) -> None:
    made = everywhere(flows.cluster, f"turns-{client}-{family}", "web-1", protocols=["TCP"])
    flows.cluster.settle(flows.agent)
    flow = flows.open(client, *made.at("node-port", family))
    for protocol, answer in (("TCP", "refused"), ("UDP", "web-1"), ("TCP", "refused")):
        flows.cluster.deploy(with_protocol(made, protocol), "web-1")
        flows.wait_answered(flow, answer)


@pytest.fixture
def strangers_table(cluster: Cluster) -> Iterator[None]:
    """Somebody else translates a port of the node, as for a container's hostPort."""
    pod, node = cluster.pods["web-2"], cluster.node1
    rules = "".join(
        f"{ip} daddr {node.ips[family]} udp dport {STRANGERS_PORT} "
        f"dnat {ip} to {address}:8080;"
        for family, ip, address in ((4, "ip", pod.ips[4]), (6, "ip6", f"[{pod.ips[6]}]"))
    )
    hook = "type nat hook prerouting priority -110;"
    node.run("nft", f"table inet stranger {{ chain prerouting {{ {hook} {rules} }}; }}")
    yield
    node.run("nft", "delete table inet stranger")


@pytest.mark.usefixtures("strangers_table")
def test_N16_nothing_else_is_touched(flows: Flows, family: int) -> None:
    cluster, node = flows.cluster, flows.cluster.node1
    changing = everywhere(cluster, f"changing-{family}", "web-1", protocols=("TCP", "UDP"))
    staying = everywhere(cluster, f"staying-{family}", "web-1", "web-2", protocols=UDP)
    cluster.settle(flows.agent)
    others = [flow for c in ("pod", "node", "outside") for flow in flows.to(c, staying, family)]
    others.append(flows.open("pod", cluster.pods["web-3"].ips[family], 8080))
    others.append(flows.open("outside", cluster.pods["web-1"].ips[family], 8080))
    others.append(flows.open("outside", node.ips[family], STRANGERS_PORT))
    others.append(flows.open("outside", node.ips[family], 9998))  # where nobody listens
    answers = [flow.ask() for flow in others]
    assert answers[-4:] == ["web-3", "web-1", "web-2", "refused"]

    with connected(cluster.client, *changing.at("node-port", family), timeout_s=HANG_S) as tcp:
        assert tcp.recv(4096).startswith(b"web-1 ")
        kept = [("udp", flow.port) for flow in others] + [("tcp", tcp.getsockname()[1])]
        before = entries(node, family)
        replaced(flows, changing, ["web-1", "web-2", "refused", "web-3"], "outside", family)
        cluster.remove(changing.name)
        flows.wait_swept()
        after = entries(node, family)
        tcp.sendall(b"still there\n")
        assert tcp.recv(4096) == b"web-1 still there\n"
    assert {key: after.get(key) for key in kept} == {key: before[key] for key in kept}
    assert [flow.ask() for flow in others] == answers


def test_O16_draining_endpoint_keeps_its_flows(flows: Flows, client: str, family: int) -> None:
    cluster = flows.cluster
    made = everywhere(cluster, f"drains-{client}-{family}", "web-1", protocols=UDP)
    running = flows.to(client, made, family)
    for flow in running:
        flows.wait_answered(flow, "web-1")

    def deploy(**conditions: bool) -> None:
        old = cluster.slices(made.object, "web-1", **conditions)
        new = cluster.slices(made.object, "web-3", ready=True)
        for one in new:
            one["metadata"]["name"] += "-new"
        cluster.apply(made.name, made.object, *old, *new)

    deploy(**DRAINING)
    flows.wait_swept()
    assert [flow.ask() for flow in running] == ["web-1"] * len(running)
    assert [flow.ask() for flow in flows.to(client, made, family)] == ["web-3"] * len(running)
    deploy(**DEAD)
    for flow in running:
        flows.wait_answered(flow, "web-3")


def test_N16_policy_edit_keeps_flows(flows: Flows, family: int) -> None:
    made = everywhere(flows.cluster, f"edited-{family}", "web-1", "web-3", protocols=UDP)
    flows.cluster.settle(flows.agent)
    running = [flows.open("outside", *made.at("node-port", family)) for _ in range(40)]
    answers = [flow.ask() for flow in running]
    assert set(answers) == {"web-1", "web-3"}
    made.object["spec"]["externalTrafficPolicy"] = "Local"
    flows.cluster.deploy(made.object, "web-1", "web-3")
    flows.wait_swept()
    assert [flow.ask() for flow in running] == answers


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
def test_N16_change_while_the_agent_is_away(own_flows: Flows, how: int) -> None:
    """What it missed is made good, and flows that nothing happened to live on."""
    cluster, agent = own_flows.cluster, own_flows.agent
    names = ("moved", "emptied", "removed", "same")
    made = {n: everywhere(cluster, n, "web-1", protocols=UDP) for n in names}
    cluster.settle(agent)
    running = {
        (name, client, family): own_flows.open(client, *made[name].at("node-port", family))
        for name in names
        for client in ("pod", "node", "outside")
        for family in (4, 6)
    }
    assert {flow.ask() for flow in running.values()} == {"web-1"}
    before = {family: entries(cluster.node1, family) for family in (4, 6)}

    agent.stop(how)
    cluster.deploy(made["moved"].object, "web-3")
    cluster.deploy(made["emptied"].object)
    cluster.remove("removed")
    assert {flow.ask() for flow in running.values()} == {"web-1"}
    agent.start()
    expected = {"moved": "web-3", "emptied": "refused", "removed": "refused"}
    for (name, _, _), flow in running.items():
        if name in expected:
            own_flows.wait_answered(flow, expected[name])
    after = {family: entries(cluster.node1, family) for family in (4, 6)}
    for (name, _, family), flow in running.items():
        if name == "same":
            assert after[family].get(("udp", flow.port)) == before[family]["udp", flow.port]
            assert flow.ask() == "web-1"


def test_N16_last_service_removed_while_the_agent_is_away(own_flows: Flows, family: int) -> None:
    cluster, agent = own_flows.cluster, own_flows.agent
    made = everywhere(cluster, "removed", "web-1", protocols=UDP)
    flow = own_flows.open("outside", *made.at("node-port", family))
    own_flows.wait_answered(flow, "web-1")
    agent.stop()
    cluster.remove("removed")
    agent.start()
    own_flows.wait_answered(flow, "refused")


def test_N16_change_while_it_is_killed_again_and_again(own_flows: Flows, family: int) -> None:
    cluster, agent = own_flows.cluster, own_flows.agent
    made = everywhere(cluster, "hunted", "web-1", protocols=UDP)
    cluster.settle(agent)
    running = own_flows.to("outside", made, family)
    for round_, pod in enumerate(["web-3", "web-2", "web-1"] * 4):
        cluster.deploy(made.object, pod)
        if round_ % 2:
            cluster.settle(agent)  # killed between the commit and the sweep, or right behind it
        agent.stop(signal.SIGKILL)
        agent.start()
        for flow in running:
            own_flows.wait_answered(flow, pod)


def test_N2_flow_that_slipped_through_a_gap(own_flows: Flows, family: int) -> None:
    cluster, agent = own_flows.cluster, own_flows.agent
    made = everywhere(cluster, "web", "web-1", protocols=UDP)
    cluster.settle(agent)
    agent.signal(signal.SIGSTOP)
    # Without a rule that asks for it, the kernel tracks nothing.
    tracking = "chain c { type filter hook prerouting priority 0; ct state new; }"
    cluster.node1.run("nft", f"flush ruleset; table inet stranger {{ {tracking}; }}")
    flow = own_flows.open("outside", *made.at("node-port", family))
    assert flow.ask() == "refused"
    agent.signal(signal.SIGCONT)
    own_flows.wait_answered(flow, "web-1")


@pytest.fixture
def faulty_flows(own_cluster: Cluster) -> Iterator[tuple[Flows, Faults]]:
    """Flows through a node whose agent suffers from faults."""
    with contextlib.ExitStack() as cleanup:
        faults = Faults(cleanup, own_cluster.directory)
        agent = own_cluster.agent(wrapper=faults.wrapper)
        agent.start()
        yield Flows(own_cluster, agent, cleanup), faults


@pytest.mark.parametrize("error", [errno.EINTR, errno.ENOBUFS], ids=errno.errorcode.get)
def test_N16_sweep_that_fails_is_made_again(
    faulty_flows: tuple[Flows, Faults], error: int
) -> None:
    """Whichever answer it hits, of the commit or of the sweep."""
    flows, faults = faulty_flows
    made = everywhere(flows.cluster, "web", "web-1", protocols=UDP)
    running = [flows.open("pod", *made.at("cluster-ip", family)) for family in (4, 6)]
    for flow in running:
        flows.wait_answered(flow, "web-1")
    for skip in range(8):
        faults.arm(Fault.RECEIVE, skip=skip, error=error)
        pod = f"web-{1 + (skip + 1) % 4}"
        flows.cluster.deploy(made.object, pod)
        for flow in running:
            flows.wait_answered(flow, pod)
        faults.disarm()
    assert bool(flows.agent.logged("UDP flows can't be swept")) == (error == errno.ENOBUFS)


def test_N16_killed_behind_the_commit(faulty_flows: tuple[Flows, Faults], family: int) -> None:
    flows, faults = faulty_flows
    made = everywhere(flows.cluster, "web", "web-1", protocols=UDP)
    flow = flows.open("outside", *made.at("node-port", family))
    flows.wait_answered(flow, "web-1")
    for pod in ("web-3", "web-1", "refused", "web-2"):
        faults.arm(Fault.KILL)
        flows.cluster.deploy(made.object, *(name for name in [pod] if name != "refused"))
        wait_until("the agent to be killed", lambda: not flows.agent.running)
        faults.disarm()
        flows.agent.start()
        flows.wait_answered(flow, pod)


def test_nothing_is_done_without_a_change_for_udp(own_cluster: Cluster) -> None:
    agent = own_cluster.agent(flags=[*FLAGS, "--v=1"])
    agent.start()
    made = everywhere(own_cluster, "both", "web-1", protocols=("TCP", "UDP"))
    tcp = everywhere(own_cluster, "tcp", "web-1", protocols=["TCP"])
    own_cluster.settle(agent)
    with contextlib.ExitStack() as cleanup:
        flows = Flows(own_cluster, agent, cleanup)
        flow = flows.open("pod", *made.at("cluster-ip", 4))
        assert flow.ask() == "web-1"
        own_cluster.deploy(made.object, "web-2")
        flows.wait_answered(flow, "web-2")
        # One pass at once, and one for what was on its way.
        agent.wait_logged(f"{SWEPT} deleted=1")
        agent.wait_until("another", lambda: " deleted=0 " in agent.logged(SWEPT)[-1])
        begun = len(agent.logged(SWEPT))
        for number in range(5):
            own_cluster.deploy(tcp.object, f"web-{1 + number % 4}")
            made.object["spec"]["sessionAffinity"] = ["ClientIP", "None"][number % 2]
            made.object["metadata"]["labels"] = {"edit": str(number)}
            own_cluster.deploy(made.object, "web-2")
            own_cluster.settle(agent)
        assert len(agent.logged(SWEPT)) == begun
        own_cluster.deploy(made.object, "web-3")
        flows.wait_answered(flow, "web-3")
        agent.wait_logged(f"{SWEPT} deleted=1", 2)
        agent.wait_logged(SWEPT, begun + 2)


CLIENTS = (("pod", "cluster-ip"), ("node", "cluster-ip"), ("outside", "node-port"))
GRACEFUL = ["--ipvs-graceful-termination", "--v=1"]
Held = Callable[[Frontends], Callable[[], dict[str, str]]]
ENDED = 'msg="connections ended, their endpoints had left" connections='


@pytest.fixture
def held(own_cluster: Cluster) -> Iterator[Held]:
    """Opens a connection from each kind of client, in both families; then tells who is at the other
    end of each, or how it ended."""
    with contextlib.ExitStack() as cleanup:

        def open_all(made: Frontends) -> Callable[[], dict[str, str]]:
            socks = {}
            for client, kind in CLIENTS:
                for family in (4, 6):
                    place = own_cluster.place(client)
                    sock = cleanup.enter_context(connected(place, *made.at(kind, family)))
                    assert sock.recv(4096)
                    socks[f"{client} {family}"] = sock
            return lambda: {name: talk(sock) for name, sock in socks.items()}

        yield open_all


def talk(sock: socket.socket) -> str:
    try:
        sock.sendall(b"still there\n")
        return sock.recv(4096).decode().removesuffix(" still there\n")
    except (ConnectionResetError, BrokenPipeError):
        return "reset"


def test_graceful_termination_ends_connections(own_cluster: Cluster, held: Held) -> None:
    """Those to an endpoint that left, or of a Service that is no more; and no others."""
    agent = own_cluster.agent(flags=[*FLAGS, *GRACEFUL, "--ipvs-graceful-period=2s"])
    agent.start()
    leaving = everywhere(own_cluster, "leaving", "web-1", protocols=("TCP", "UDP"))
    staying = everywhere(own_cluster, "staying", "web-1")
    deleted = everywhere(own_cluster, "deleted", "web-3")
    own_cluster.settle(agent)
    talks, others, _ = held(leaving), held(staying), held(deleted)
    direct = own_cluster.pods["web-1"]
    with contextlib.ExitStack() as cleanup:
        untouched = [
            cleanup.enter_context(connected(own_cluster.client, direct.ips[family], 8080))
            for family in (4, 6)
        ]
        assert all(sock.recv(4096) for sock in untouched)
        own_cluster.deploy(leaving.object, "web-2")
        own_cluster.remove("deleted")
        agent.wait_logged(ENDED)
        agent.wait_until(
            "all to be ended",
            lambda: sum(int(line.split("=")[-1]) for line in agent.logged(ENDED)) == 12,
        )
        assert set(talks().values()) == {"reset"}
        assert set(others().values()) == {"web-1"}
        assert {talk(sock) for sock in untouched} == {"web-1"}


def test_graceful_termination_lets_pods_take_their_time(own_cluster: Cluster, held: Held) -> None:
    """The period begins when a pod is no more, or without terminating stops being ready."""
    agent = own_cluster.agent(flags=[*FLAGS, *GRACEFUL, "--ipvs-graceful-period=0s"])
    agent.start()
    made = everywhere(own_cluster, "web", "web-1")
    own_cluster.settle(agent)
    talks = held(made)
    for conditions in (DRAINING, DEAD):
        slices = own_cluster.slices(made.object, "web-1", **conditions)
        own_cluster.apply(made.name, made.object, *slices)
        own_cluster.settle(agent)
        swept = len(agent.logged(SWEPT))
        # Something that the agent must sweep for.
        everywhere(own_cluster, f"other-{len(agent.logged(SWEPT))}", "web-2", protocols=UDP)
        agent.wait_logged(SWEPT, swept + 2)
        assert set(talks().values()) == {"web-1"}
    own_cluster.deploy(made.object)
    agent.wait_logged(ENDED)
    agent.wait_until("all to be ended", lambda: set(talks().values()) == {"reset"})


def test_graceful_termination_of_an_endpoint_that_comes_back(
    own_cluster: Cluster, held: Held
) -> None:
    agent = own_cluster.agent(flags=[*FLAGS, *GRACEFUL, "--ipvs-graceful-period=3s"])
    agent.start()
    made = everywhere(own_cluster, "web", "web-1")
    short = everywhere(own_cluster, "short", "web-2")
    own_cluster.settle(agent)
    talks, others = held(made), held(short)
    own_cluster.deploy(made.object, "web-2")
    own_cluster.settle(agent)
    own_cluster.deploy(made.object, "web-1", "web-2")
    own_cluster.deploy(short.object, "web-1")
    agent.wait_until("the others to be ended", lambda: set(others().values()) == {"reset"})
    assert set(talks().values()) == {"web-1"}


def test_without_graceful_termination_connections_live_on(
    own_cluster: Cluster, held: Held
) -> None:
    agent = own_cluster.agent(flags=[*FLAGS, "--v=1", "--ipvs-graceful-period=0s"])
    agent.start()
    made = everywhere(own_cluster, "web", "web-1")
    own_cluster.settle(agent)
    talks = held(made)
    own_cluster.deploy(made.object, "web-2")
    with contextlib.ExitStack() as cleanup:
        Flows(own_cluster, agent, cleanup).wait_swept()
    own_cluster.remove("web")
    with contextlib.ExitStack() as cleanup:
        Flows(own_cluster, agent, cleanup).wait_swept()
    assert set(talks().values()) == {"web-1"}
