"""Health check node ports: what a load balancer sees that asks a node."""

from __future__ import annotations

import json
import signal
import socket
from typing import Any

from rig.agent import Agent
from rig.client import ask
from rig.cluster import Cluster
from rig.frontends import Frontends, everywhere
from rig.health import curl, health, wait_health
from rig.netns import Namespace
from rig.ruleset import own_tables

NOT_READY = {"ready": False, "serving": False, "terminating": False}
DRAINING = {"ready": False, "serving": True, "terminating": True}


def local(cluster: Cluster, name: str, port: int, *pods: str, **spec: Any) -> Frontends:
    """A Service whose external traffic stays on the node, with health check port @port."""
    return everywhere(
        cluster, name, *pods, externalTrafficPolicy="Local", healthCheckNodePort=port, **spec
    )


def listening(space: Namespace) -> int:
    """How many TCP sockets listen there."""
    with space.entered():
        lines = []
        for name in ("tcp", "tcp6"):
            with open(f"/proc/thread-self/net/{name}", encoding="ascii") as table:
                lines += table.readlines()[1:]
    return sum(line.split()[3] == "0A" for line in lines)


def test_answer_is_that_of_kube_proxy(cluster: Cluster, agent: Agent, family: int) -> None:
    port = 31000 + family
    local(cluster, f"format-{family}", port, "web-1", "web-2", "web-3")
    wait_health(agent, cluster, port, "200 2")
    head, _, body = curl(cluster.client, cluster.node1.ips[family], port, "-i").partition("\n\n")
    assert head.startswith("HTTP/1.1 200 OK\n")
    for line in (
        "Content-Type: application/json",
        "X-Content-Type-Options: nosniff",
        "X-Load-Balancing-Endpoint-Weight: 2",
    ):
        assert line in head.splitlines()
    assert json.loads(body) == {
        "service": {"namespace": "default", "name": f"format-{family}"},
        "localEndpoints": 2,
        "serviceProxyHealthy": True,
    }


def test_follows_endpoints(cluster: Cluster, agent: Agent) -> None:
    made = local(cluster, "follow", 31010)
    wait_health(agent, cluster, 31010, "503 0")
    for pods, conditions, expected in (
        (["web-1"], {}, "200 1"),
        (["web-1", "web-2", "web-3"], {}, "200 2"),
        (["web-3", "web-4"], {}, "503 0"),
        (["web-2"], {}, "200 1"),
        (["web-2"], NOT_READY, "503 0"),
        (["web-2"], {"ready": True}, "200 1"),
        ([], {}, "503 0"),
    ):
        cluster.apply(made.name, made.object, *cluster.slices(made.object, *pods, **conditions))
        wait_health(agent, cluster, 31010, expected)


def test_O16_fails_while_terminating_endpoints_still_serve(
    cluster: Cluster, agent: Agent, family: int
) -> None:
    port = 31020 + family
    made = local(cluster, f"terminating-{family}", port, "web-1")
    wait_health(agent, cluster, port, "200 1")
    cluster.apply(made.name, made.object, *cluster.slices(made.object, "web-1", **DRAINING))
    wait_health(agent, cluster, port, "503 0")
    assert ask(cluster.client, *made.at("node-port", family)).pod == "web-1"


def test_families_are_counted_apart(cluster: Cluster, agent: Agent) -> None:
    made = local(cluster, "apart", 31030)
    ipv4, ipv6 = (cluster.slices(made.object, *pods) for pods in (["web-1"], ["web-3"]))
    cluster.apply(made.name, made.object, ipv4[0], ipv6[1])
    agent.wait_until("an IPv4 endpoint", lambda: health(cluster, 31030, 4) == "200 1")
    assert health(cluster, 31030, 6) == "503 0"


def test_every_address_of_the_node_answers(cluster: Cluster, agent: Agent, family: int) -> None:
    port = 31040 + family
    local(cluster, f"addresses-{family}", port, "web-1")
    wait_health(agent, cluster, port, "200 1")
    node = cluster.node1
    loopback = {4: "127.0.0.1", 6: "::1"}[family]
    for space, address in (
        (cluster.client, node.ips[family]),
        (cluster.pods["shell"], node.gateways[family]),
        (cluster.node2, node.gateways[family]),
        (node, loopback),
    ):
        assert '"localEndpoints": 1' in curl(space, address, port)


def test_port_edit(cluster: Cluster, agent: Agent) -> None:
    made = local(cluster, "edited", 31050, "web-1")
    wait_health(agent, cluster, 31050, "200 1")
    made.object["spec"]["healthCheckNodePort"] = 31051
    cluster.deploy(made.object, "web-1")
    wait_health(agent, cluster, 31051, "200 1")
    wait_health(agent, cluster, 31050, "none")


def test_ends_with_policy_type_and_service(cluster: Cluster, agent: Agent) -> None:
    made = local(cluster, "ending", 31060, "web-1")
    spec = made.object["spec"]
    for change in ({"externalTrafficPolicy": "Cluster"}, {"type": "NodePort"}):
        wait_health(agent, cluster, 31060, "200 1")
        before = dict(spec)
        spec.update(change)
        cluster.deploy(made.object, "web-1")
        wait_health(agent, cluster, 31060, "none")
        spec.update(before)
        cluster.deploy(made.object, "web-1")
    wait_health(agent, cluster, 31060, "200 1")
    cluster.remove("ending")
    wait_health(agent, cluster, 31060, "none")


def test_two_services(cluster: Cluster, agent: Agent) -> None:
    local(cluster, "first", 31070, "web-1")
    second = local(cluster, "second", 31071, "web-3")
    wait_health(agent, cluster, 31070, "200 1")
    wait_health(agent, cluster, 31071, "503 0")
    cluster.deploy(second.object, "web-1", "web-2")
    wait_health(agent, cluster, 31071, "200 2")
    assert health(cluster, 31070, 4) == "200 1"
    cluster.remove("second")
    wait_health(agent, cluster, 31071, "none")
    assert health(cluster, 31070, 6) == "200 1"


def test_a_contested_port_goes_to_the_next(cluster: Cluster, agent: Agent) -> None:
    local(cluster, "contest-a", 31080, "web-1")
    local(cluster, "contest-b", 31080, "web-1", "web-2")
    agent.wait_logged("contest-b.*health check port 31080 belongs to Service default/contest-a")
    wait_health(agent, cluster, 31080, "200 1")
    cluster.remove("contest-a")
    wait_health(agent, cluster, 31080, "200 2")


def test_port_in_use_costs_only_that_service(cluster: Cluster, agent: Agent) -> None:
    with cluster.node1.socket(socket.AF_INET, socket.SOCK_STREAM) as stranger:
        stranger.bind(("0.0.0.0", 31090))
        stranger.listen()
        blocked = local(cluster, "blocked", 31090, "web-1")
        local(cluster, "neighbour", 31091, "web-1")
        agent.wait_logged("default/blocked.*IPv4 TCP port 31090: Address already in use")
        wait_health(agent, cluster, 31091, "200 1")
        # The rest of that Service works, and it is told once.
        for family in (4, 6):
            assert ask(cluster.client, *blocked.at("node-port", family)).pod == "web-1"
        assert health(cluster, 31090, 6) == "200 1"
        for pod in ("web-2", "web-1"):
            cluster.deploy(blocked.object, pod)
            cluster.settle(agent)
        assert len(agent.logged("TCP port 31090")) == 1
    # Nothing else happens, and still it is tried again.
    wait_health(agent, cluster, 31090, "200 1")


def test_the_tables_do_not_know_the_port(cluster: Cluster, agent: Agent) -> None:
    local(cluster, "unknown", 31099, "web-1")
    wait_health(agent, cluster, 31099, "200 1")
    assert "31099" not in own_tables(cluster.node1)


def test_listeners_do_not_leak(own_cluster: Cluster, own_agent: Agent) -> None:
    assert listening(own_cluster.node1) == 0
    for n in range(20):
        for name in ("a", "b", "c"):
            made = local(own_cluster, name, 31100 + n, "web-1")
            made.object["spec"]["healthCheckNodePort"] += 100 * ord(name[0]) % 7
            own_cluster.deploy(made.object, "web-1")
        own_cluster.settle(own_agent)
    own_agent.wait_until("both families of three", lambda: listening(own_cluster.node1) == 6)
    for name in ("a", "b", "c"):
        own_cluster.remove(name)
    own_agent.wait_until("no listener", lambda: listening(own_cluster.node1) == 0)


def test_restart(own_cluster: Cluster, own_agent: Agent) -> None:
    local(own_cluster, "web", 31000, "web-1")
    wait_health(own_agent, own_cluster, 31000, "200 1")
    for how in (signal.SIGTERM, signal.SIGKILL):
        own_agent.stop(how)
        assert listening(own_cluster.node1) == 0
        assert health(own_cluster, 31000, 4) == "none"
        own_agent.start()
        wait_health(own_agent, own_cluster, 31000, "200 1")


def test_nothing_listens_before_the_first_commit(own_cluster: Cluster) -> None:
    agent = own_cluster.agent()
    local(own_cluster, "web", 31000, "web-1")
    with own_cluster.node1.socket(socket.AF_INET, socket.SOCK_STREAM) as stranger:
        stranger.bind(("0.0.0.0", 31000))
        stranger.listen()
        agent.start()
        agent.wait_logged("TCP port 31000: Address already in use")
    log = agent.log()
    assert 0 <= log.index('msg="tables replaced"') < log.index("TCP port 31000")


def test_H10_slow_clients_are_cut(own_cluster: Cluster, own_agent: Agent) -> None:
    cluster, agent = own_cluster, own_agent
    web = local(cluster, "web", 31000, "web-1")
    local(cluster, "other", 31001, "web-1")
    wait_health(agent, cluster, 31000, "200 1")
    slow = []
    try:
        for n in range(300):
            sock = cluster.client.socket(socket.AF_INET, socket.SOCK_STREAM)
            slow.append(sock)
            sock.settimeout(20)
            sock.connect((cluster.node1.ips[4], 31000))
            sock.send(b"GET / HTTP/1.1\r\nX: " if n % 2 else b"\x00\xff garbage")
        # Those who ask properly are answered, here and at other ports, and the agent goes on.
        for port in (31000, 31001):
            wait_health(agent, cluster, port, "200 1")
        cluster.deploy(web.object, "web-3")
        wait_health(agent, cluster, 31000, "503 0")
        # Every one of them is cut, whatever it still sends.
        for sock in slow:
            try:
                while sock.recv(4096):
                    pass
            except ConnectionResetError:
                pass
    finally:
        for sock in slow:
            sock.close()
    assert agent.running


def test_H3_ports_leave_descriptors_to_the_rest(own_cluster: Cluster) -> None:
    agent = own_cluster.agent(wrapper=("prlimit", "--nofile=64:64"))
    agent.start()
    for n in range(40):
        local(own_cluster, f"web-{n:02}", 31000 + n, "web-1")
    own_cluster.settle(agent)
    agent.wait_logged("web-39.*IPv6 TCP port 31039: Too many open files")
    # Those that were first have theirs; the agent reads on, and room that is given back is used.
    wait_health(agent, own_cluster, 31000, "200 1")
    for n in range(39):
        own_cluster.remove(f"web-{n:02}")
    own_cluster.settle(agent)
    wait_health(agent, own_cluster, 31039, "200 1")


def test_H3_the_soft_limit_of_descriptors_is_no_limit(own_cluster: Cluster) -> None:
    agent = own_cluster.agent(wrapper=("prlimit", "--nofile=64:1024"))
    agent.start()
    for n in range(40):
        local(own_cluster, f"web-{n:02}", 31000 + n, "web-1")
    wait_health(agent, own_cluster, 31039, "200 1")
    assert listening(own_cluster.node1) == 80
    assert not agent.logged("Too many open files")


def test_any_method_is_answered(cluster: Cluster, agent: Agent) -> None:
    """As kube-proxy does; a probe may use what it likes."""
    local(cluster, "methods", 31098, "web-1")
    wait_health(agent, cluster, 31098, "200 1")
    for method in ("GET", "POST", "OPTIONS"):
        text = curl(cluster.client, cluster.node1.ips[4], 31098, "-i", "-X", method, "-d", "x=1")
        assert text.startswith("HTTP/1.1 200 OK")
        assert '"localEndpoints": 1' in text
