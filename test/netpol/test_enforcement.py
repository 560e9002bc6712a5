"""What the tables of the cases do not tell: open connections, the node itself, what is logged."""

from __future__ import annotations

import contextlib
import copy
import errno
import itertools
import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from rig.agent import PROGRAM, wait_until
from rig.netpol.cluster import Cluster, policy
from rig.netpol.enforcer import Agents
from rig.netpol.network import Network
from rig.netpol.world import World, fixture
from rig.nflog import Log
from rig.objects import Object

NO_ANSWER_S = 0.5
HANG_S = 10.0
TOLD_S = 60.0  # by an ICMP error, of which a host sends few a second
PORTS = itertools.count(5000)
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


@pytest.fixture(scope="module", params=[False, True], ids=["routed", "bridged"])
def bridged(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


DENY_IN = policy("x/deny", podSelector={"matchLabels": {"pod": "a"}})
OTHER = {"podSelector": {"matchLabels": {"pod": "c"}}}


class Line:
    """A connection from one to another, over which both can speak."""

    def __init__(self, cluster: Cluster, client: str, server: str, kind: int) -> None:
        port = next(PORTS)
        self.kind = kind
        listener = cluster.place(server).socket(socket.AF_INET, kind)
        listener.bind((cluster.address(server), port))
        self.client = cluster.place(client).socket(socket.AF_INET, kind)
        self.client.settimeout(HANG_S)
        if kind == socket.SOCK_STREAM:
            listener.listen()
            self.client.connect((cluster.address(server), port))
            self.server, _ = listener.accept()
            listener.close()
        else:
            self.client.connect((cluster.address(server), port))
            self.server = listener
            self.client.send(b"hello")
            _, peer = listener.recvfrom(64)
            listener.connect(peer)
        self.server.settimeout(HANG_S)

    def exchange(self) -> None:
        for one, other in ((self.client, self.server), (self.server, self.client)):
            one.send(b"word")
            assert other.recv(64) == b"word"

    def close(self) -> None:
        self.client.close()
        self.server.close()


@contextlib.contextmanager
def lines(cluster: Cluster, *ends: tuple[str, str]) -> Iterator[list[Line]]:
    kinds = (socket.SOCK_STREAM, socket.SOCK_DGRAM)
    made = [Line(cluster, *pair, kind) for pair in ends for kind in kinds]
    try:
        yield made
    finally:
        for line in made:
            line.close()


def refused(send: Callable[[], object]) -> bool:
    """Whether the other side is told that it was refused, once it speaks."""
    try:
        for _ in range(100):
            send()
    except OSError as error:
        return error.errno in (errno.ECONNREFUSED, errno.ECONNRESET, errno.EPIPE)
    return False


# Same node, and across.
PAIRS = [("x/c", "x/a"), ("y/b", "x/a"), ("x/b", "x/a")]


def test_N17_a_permission_that_is_taken_back_ends_what_it_allowed(cluster: Cluster) -> None:
    with lines(cluster, *PAIRS, ("x/c", "y/b")) as open_ones:
        for line in open_ones:
            line.exchange()
        cluster.tell(DENY_IN)
        *ended, tcp, udp = open_ones
        for line in ended:

            def speak(line: Line = line) -> None:
                line.client.send(b"more")
                line.client.recv(1)

            assert refused(speak)
        tcp.exchange()
        udp.exchange()


def test_N17_what_is_still_allowed_goes_on(cluster: Cluster) -> None:
    allow = policy("x/allow", podSelector={"matchLabels": {"pod": "a"}}, ingress=[{}])
    cluster.tell(allow)
    with lines(cluster, *PAIRS) as open_ones:
        for number in range(20):
            rule = {"ports": [{"port": 1 + number}]}
            other = policy(f"x/other-{number}", **OTHER, ingress=[rule])
            cluster.tell(allow, DENY_IN, other)
            for line in open_ones:
                line.exchange()


def remembered(cluster: Cluster, direction: str, family: str = "ip") -> str:
    """What the policies of pods on x/a's node have allowed."""
    listed = ("nft", "list", "set", family, "kube-nft", f"{direction}-accepted")
    return cluster.network.nodes["node-a"].run(*listed)


def few_peers(cluster: Cluster, direction: str) -> Object:
    """The one policy of x/a: one peer of each kind."""
    peers = [
        {"podSelector": {"matchLabels": {"app": "db"}}},
        {"namespaceSelector": {"matchLabels": {"team": "blue"}}},
        {"ipBlock": {"cidr": f"{cluster.address('x/b')}/32"}},
    ]
    rules = [{"from" if direction == "ingress" else "to": peers}]
    target = {"matchLabels": {"pod": "a"}}
    types = [direction.capitalize()]
    return policy("x/allow", podSelector=target, policyTypes=types, **{direction: rules})


def lose_label(world: World, _rule: Object) -> None:
    world.pods["x/c"]["metadata"]["labels"].pop("app")


def lose_namespace_label(world: World, _rule: Object) -> None:
    world.namespaces["y"]["metadata"]["labels"]["team"] = "red"


def lose_address(world: World, _rule: Object) -> None:
    heir = world.pods.pop("x/c")
    heir["metadata"] = {"namespace": "x", "name": "heir"}
    world.pods["x/heir"] = heir


def change_block(_world: World, rule: Object) -> None:
    block = next(peers for peers in rule.values())[2]["ipBlock"]
    block.update(cidr="10.91.0.0/16", **{"except": [block["cidr"]]})


def change_ports(_world: World, rule: Object) -> None:
    rule["ports"] = [{"port": 1}]


REVOCATIONS = [
    (lose_label, {"x/c"}),
    (lose_namespace_label, {"y/b"}),
    (lose_address, {"x/c"}),
    (change_block, {"x/b"}),
    (change_ports, {"x/c", "y/b", "x/b"}),
]


@pytest.mark.parametrize("direction", ["ingress", "egress"])
@pytest.mark.parametrize(
    ("revoke", "losers"), REVOCATIONS, ids=[revoke.__name__ for revoke, _ in REVOCATIONS]
)
def test_N17_what_a_policy_allowed_is_forgotten_with_the_permission(
    cluster: Cluster,
    direction: str,
    revoke: Callable[[World, Object], None],
    losers: set[str],
) -> None:
    allow = few_peers(cluster, direction)
    cluster.tell(allow)
    pairs = PAIRS if direction == "ingress" else [(b, a) for a, b in PAIRS]
    with lines(cluster, *pairs) as open_ones:
        for line in open_ones:
            line.exchange()
        for pair in pairs:
            for proto in ("tcp", "udp"):
                key = " . ".join([*map(cluster.address, pair), proto])
                assert key in remembered(cluster, direction)
        cluster.tell(allow, policy("x/other", **OTHER, ingress=[{}]))
        for line in open_ones:
            line.exchange()
        revoke(cluster.world, allow["spec"][direction][0])
        cluster.follow()
        cluster.agents.settle()
        for line, pair in zip(open_ones, [p for p in pairs for _ in range(2)], strict=True):
            if not losers & set(pair):
                line.exchange()
                continue

            def speak(line: Line = line) -> None:
                line.client.send(b"more")
                line.client.recv(1)

            assert refused(speak)


ALLOW_IN = policy("x/allow", podSelector={"matchLabels": {"pod": "a"}}, ingress=[{}])


def test_what_has_no_port_is_not_remembered(cluster: Cluster) -> None:
    """The checksum of a ping stands where others have a port: each would be one more."""
    cluster.tell(ALLOW_IN)
    for family in (4, 6):
        target = cluster.address("x/a", family)
        cluster.place("x/b").run("ping", "-c5", "-i0.01", "-W5", target)
    with lines(cluster, ("x/b", "x/a")) as open_ones:
        for line in open_ones:
            line.exchange()
    assert "udp" in remembered(cluster, "ingress")
    for family in ("ip", "ip6"):
        assert "icmp" not in remembered(cluster, "ingress", family)


@contextlib.contextmanager
def full(cluster: Cluster) -> Iterator[None]:
    """No more permissions to x/a's node can be remembered."""
    run, name = cluster.network.nodes["node-a"].run, "ip kube-nft ingress-accepted"
    others = (f"192.0.2.1 . 192.0.2.2 . udp . {port} timeout 1h" for port in range(1 << 16))
    run("nft", "-f", "-", stdin=f"add element {name} {{ {', '.join(others)} }}")
    with pytest.raises(RuntimeError, match="Too many open files in system"):
        run("nft", f"add element {name} {{ 192.0.2.3 . 192.0.2.2 . udp . 1 }}")
    yield
    run("nft", f"flush set {name}")  # nft takes long to list so much


def test_policies_are_asked_when_no_more_can_be_remembered(cluster: Cluster) -> None:
    cluster.tell(ALLOW_IN, policy("y/deny", podSelector={"matchLabels": {"pod": "b"}}))
    with full(cluster), lines(cluster, *PAIRS) as open_ones:
        for _ in range(3):
            for line in open_ones:
                line.exchange()
        with pytest.raises(OSError, match="refused|reset"):
            Line(cluster, "x/c", "y/b", socket.SOCK_STREAM)


def test_N17_replies_need_no_permission(cluster: Cluster) -> None:
    closed = policy("x/closed", podSelector={"matchLabels": {"pod": "a"}}, policyTypes=["Egress"])
    cluster.tell(closed)
    with lines(cluster, *PAIRS) as open_ones:
        for line in open_ones:
            line.exchange()
    with pytest.raises(OSError, match="refused|reset"):
        Line(cluster, "x/a", "x/c", socket.SOCK_STREAM)


def test_who_is_refused_behind_a_service_is_told(cluster: Cluster, family: int) -> None:
    cluster.tell(DENY_IN)
    spec = cluster.world.services["x/s-a"]["spec"]
    [address] = [ip for ip in spec["clusterIPs"] if (":" in ip) == (family == 6)]
    kind = socket.AF_INET6 if family == 6 else socket.AF_INET
    for client in dict(PAIRS):
        with cluster.place(client).socket(kind, socket.SOCK_STREAM) as connection:
            connection.settimeout(TOLD_S)
            with pytest.raises(ConnectionRefusedError):
                connection.connect((address, spec["ports"][0]["port"]))


def test_the_own_node_always_reaches_its_pods(cluster: Cluster) -> None:
    cluster.tell(DENY_IN)
    with lines(cluster, ("node-a", "x/a")) as open_ones:
        for line in open_ones:
            line.exchange()
    with pytest.raises(OSError, match="refused|reset"):
        Line(cluster, "node-b", "x/a", socket.SOCK_STREAM)


def test_pods_are_judged_on_the_way_to_their_node(cluster: Cluster) -> None:
    with lines(cluster, ("x/a", "node-a")) as open_ones:
        cluster.tell(policy("x/closed", policyTypes=["Egress"]))
        for line in open_ones:
            assert refused(lambda line=line: (line.client.send(b"more"), line.client.recv(1)))
    listener = cluster.place("node-a").socket(socket.AF_INET, socket.SOCK_STREAM)
    with listener:
        # Where node ports are, as with kube-router.
        listener.bind((cluster.address("node-a"), 30123))
        listener.listen()
        with cluster.place("x/a").socket(socket.AF_INET, socket.SOCK_STREAM) as client:
            client.settimeout(HANG_S)
            client.connect((cluster.address("node-a"), 30123))


def test_N19_the_address_of_the_node_opens_nothing(cluster: Cluster) -> None:
    cluster.tell(DENY_IN)
    node, port = cluster.address("node-a"), next(PORTS)
    pod = cluster.place("z/a")
    pod.ip(f"address add {node}/32 dev lo")
    try:
        with (
            cluster.place("x/a").socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
            pod.socket(socket.AF_INET, socket.SOCK_DGRAM) as spoofer,
            cluster.place("node-a").socket(socket.AF_INET, socket.SOCK_DGRAM) as itself,
        ):
            server.bind((cluster.address("x/a"), port))
            server.settimeout(HANG_S)
            spoofer.bind((node, 0))
            for _ in range(3):
                with contextlib.suppress(ConnectionRefusedError):
                    spoofer.sendto(b"spoofed", (cluster.address("x/a"), port))
            itself.sendto(b"itself", (cluster.address("x/a"), port))
            assert server.recv(64) == b"itself"
    finally:
        pod.ip(f"address delete {node}/32 dev lo")


def test_N21_errors_and_echo_pass(cluster: Cluster) -> None:
    cluster.tell(policy("x/closed", policyTypes=["Ingress", "Egress"]))
    for family, size in itertools.product((4, 6), (56, 4000)):
        target = cluster.address("x/a", family)
        for source in ("x/b", "y/b"):
            cluster.place(source).run("ping", "-c1", "-W5", f"-s{size}", target)
        # Neighbours are found anew.
        cluster.place("x/a").run("ip", "neigh", "flush", "all")


@pytest.mark.parametrize("source", ["x/c", "y/b"], ids=["one node", "across"])
def test_N21_fragments_follow_their_packet(cluster: Cluster, family: int, source: str) -> None:
    closed, open_port = next(PORTS), next(PORTS)
    cluster.tell(policy("x/some", ingress=[{"ports": [{"protocol": "UDP", "port": open_port}]}]))
    target, kind = cluster.address("x/a", family), socket.SOCK_DGRAM
    with contextlib.ExitStack() as stack:
        servers = {}
        for port in (closed, open_port):
            server = stack.enter_context(cluster.place("x/a").socket(FAMILIES[family], kind))
            server.bind((target, port))
            server.settimeout(HANG_S)
            servers[port] = server
            client = stack.enter_context(cluster.place(source).socket(FAMILIES[family], kind))
            client.sendto(bytes(5000), (target, port))
        assert len(servers[open_port].recv(1 << 16)) == 5000
        servers[closed].setblocking(False)
        with pytest.raises(BlockingIOError):
            servers[closed].recv(1 << 16)


def transfer(sender: socket.socket, receiver: socket.socket, size: int) -> None:
    """Have @size bytes come through."""
    with ThreadPoolExecutor() as pool:
        sent = pool.submit(sender.sendall, bytes(size))
        left = size
        while left > 0:
            left -= len(receiver.recv(1 << 16))
        sent.result()


def test_N21_path_mtu_is_found(cluster: Cluster, family: int) -> None:
    port = next(PORTS)
    ports = [{"ports": [{"port": port}]}]
    both = ["Ingress", "Egress"]
    cluster.tell(policy("x/some", policyTypes=both, ingress=ports, egress=ports))
    with contextlib.ExitStack() as stack:
        # What is too large for the network of the other node's pods is answered by that node.
        for node in cluster.network.nodes.values():
            node.ip(f"link set {node.bridge} mtu 1300")
            stack.callback(node.ip, f"link set {node.bridge} mtu 1500")
        listener = stack.enter_context(cluster.place("x/b").socket(FAMILIES[family], socket.SOCK_STREAM))
        listener.bind((cluster.address("x/b", family), port))
        listener.listen()
        client = stack.enter_context(cluster.place("x/a").socket(FAMILIES[family], socket.SOCK_STREAM))
        client.settimeout(HANG_S)
        client.connect((cluster.address("x/b", family), port))
        server, _ = listener.accept()
        server.settimeout(HANG_S)
        stack.enter_context(server)
        transfer(client, server, 100_000)
        transfer(server, client, 100_000)


def test_H13_what_is_refused_is_logged_at_most_so_often(cluster: Cluster) -> None:
    both = policy("x/also", podSelector={"matchLabels": {"pod": "a"}})
    out = policy("y/closed", podSelector={"matchLabels": {"pod": "b"}}, policyTypes=["Egress"])
    cluster.tell(DENY_IN, both, out)
    with Log(cluster.network.nodes["node-a"], 100) as log:
        for source, target in (("x/c", "x/a"), ("y/b", "x/c")):
            with cluster.place(source).socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                for _ in range(200):
                    with contextlib.suppress(ConnectionRefusedError):
                        client.sendto(b"x", (cluster.address(target), 9))
        found = log.prefixes()
    assert set(found) == {"ingress isolated by: x/also x/deny ", "egress y/closed "}
    for prefix in set(found):
        # A burst of ten, then ten a minute.
        assert 10 <= found.count(prefix) <= 12


def test_restart_sends_nothing(cluster: Cluster) -> None:
    cluster.tell(DENY_IN, policy("z/closed", policyTypes=["Ingress", "Egress"]))
    for agent in cluster.agents.agents.values():
        agent.stop()
        before = len(agent.logged('msg="following"'))
        agent.start()
        agent.wait_logged('msg="following"', before + 1)
        assert agent.logged('msg="tables are as wanted"')


DEFAULT_DENY = ("--run-firewall=true", "--netpol-default-deny")


def without(world: World, name: str) -> World:
    made = world.copy()
    del made.pods[name]
    return made


def test_H16_default_deny_holds_who_is_not_known() -> None:
    """A pod that nobody has told of yet: its first packet, and the first to it."""
    world = fixture()
    with Network(world) as network, Agents(
        network, without(world, "x/a"), DEFAULT_DENY
    ) as agents:
        agents.start()
        cluster = Cluster(network, agents, world)
        for pair in (("x/a", "x/c"), ("x/c", "x/a"), ("x/b", "x/a"), ("x/a", "x/b")):
            with pytest.raises(OSError, match="refused|reset"):
                Line(cluster, *pair, socket.SOCK_STREAM)
        told = json.loads(network.nodes["node-a"].run(PROGRAM, "policies", "--json"))
        assert told["defaultDeny"]
        assert told["unknownPods"]["packets"] >= 4
        # Those that no policy selects are known all the same.
        known = {f"{pod['namespace']}/{pod['name']}": pod["ingress"] for pod in told["pods"]}
        assert known == {"x/c": None, "y/b": None, "z/a": None, "z/c": None}
        with lines(cluster, ("x/a", "node-a"), ("node-a", "x/a"), ("x/b", "x/c")) as open_ones:
            for line in open_ones:
                line.exchange()
        agents.follow(world)
        for agent in agents.agents.values():
            agent.wait_logged('msg="synced"')
        with lines(cluster, ("x/a", "x/c"), ("x/c", "x/a")) as open_ones:
            for line in open_ones:
                line.exchange()


def test_default_deny_needs_pod_networks() -> None:
    world = fixture()
    nodes = copy.deepcopy(world.nodes)
    for node in nodes.values():
        del node["spec"]
    with Network(world) as network:
        world.nodes = nodes
        with Agents(network, world, DEFAULT_DENY) as agents:
            agent = agents.agents["node-a"]
            agent.start()
            wait_until("it has ended", lambda: not agent.running)
            assert agent.logged("the pod networks of node node-a are not known")
