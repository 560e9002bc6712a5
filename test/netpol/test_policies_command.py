"""`kube-nft policies`: which policies select which pod, in words, and exact counts of packets."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from rig.agent import PROGRAM, wait_until
from rig.netns import Namespace
from rig.netpol.cluster import Cluster, policy

Shown = dict[str, Any]
HANG_S = 60.0
PORT = 5300
NODE = "node-a"


def policies(space: Namespace, *flags: str) -> str:
    """What the command prints in @space."""
    return space.run(PROGRAM, "policies", *flags)


def shown(space: Namespace, *flags: str) -> Shown:
    """The same as JSON."""
    made: Shown = json.loads(policies(space, "--json", *flags))
    return made


def named(listed: list[Shown], name: str) -> Shown:
    """The pod or policy "NAMESPACE/NAME"."""
    found = [one for one in listed if f"{one['namespace']}/{one['name']}" == name]
    assert len(found) == 1, name
    return found[0]


def send(cluster: Cluster, source: str, target: str, n: int, family: int = 4) -> None:
    """Send @n packets of UDP, each to a port of its own; what is refused is refused for each."""
    kind = socket.AF_INET6 if family == 6 else socket.AF_INET
    with cluster.place(source).socket(kind, socket.SOCK_DGRAM) as client:
        for port in range(PORT, PORT + n):
            client.sendto(b"x", (cluster.address(target, family), port))


def counted(count: Any, wanted: int) -> None:
    """Wait until @count() is @wanted."""
    seen: list[int] = []

    def equal() -> bool:
        seen[:] = [count()]
        return seen[0] == wanted

    try:
        wait_until("the packets are counted", equal, hang_s=HANG_S)
    except TimeoutError:
        pytest.fail(f"{seen} packets are counted, not {wanted}", pytrace=False)


def refused_of_pod(cluster: Cluster, pod: str, direction: str) -> int:
    one = named(shown(cluster.network.nodes[NODE])["pods"], pod)
    made: int = one[direction]["refused"]["packets"]
    return made


def allowed(cluster: Cluster, name: str, direction: str) -> dict[str, int]:
    """How often each of its rules was asked, and has allowed it."""
    one = named(shown(cluster.network.nodes[NODE])["policies"], name)
    return {rule["words"]: rule["allowed"]["packets"] for rule in one[direction]["allows"]}


IS_A = {"matchLabels": {"pod": "a"}}
DENY_IN = policy("x/deny", podSelector=IS_A)


def test_denied_packets_count_at_the_pod_and_its_policies(cluster: Cluster) -> None:
    node = cluster.network.nodes[NODE]
    everybody = policy("x/everybody", policyTypes=["Ingress"])
    out = policy("y/closed", podSelector={"matchLabels": {"pod": "b"}}, policyTypes=["Egress"])
    cluster.tell(DENY_IN, everybody, out)
    send(cluster, "x/c", "x/a", 5)
    send(cluster, "z/a", "x/a", 2, family=6)
    send(cluster, "z/a", "x/c", 4)
    send(cluster, "y/b", "z/c", 3)
    counted(lambda: refused_of_pod(cluster, "x/a", "ingress"), 5 + 2)
    counted(lambda: refused_of_pod(cluster, "x/c", "ingress"), 4)
    counted(lambda: refused_of_pod(cluster, "y/b", "egress"), 3)

    told = shown(node)
    assert {p["name"]: p["ingress"]["policies"] for p in told["pods"] if p["ingress"]} == {
        "a": [{"namespace": "x", "name": name} for name in ("deny", "everybody")],
        "c": [{"namespace": "x", "name": "everybody"}],
    }
    assert named(told["pods"], "y/b")["ingress"] is None
    refused = {
        p["name"]: p[d]["refused"]["packets"]
        for p in told["policies"]
        for d in ("ingress", "egress")
        if p[d]
    }
    assert refused == {"deny": 7, "everybody": 7 + 4, "closed": 3}
    assert told["invalid"]["packets"] == 0
    # The pods of the other node are its own matter.
    assert "x/b" not in policies(node)
    assert "x/b" in policies(cluster.network.nodes["node-b"])


def test_what_is_asked_counts_at_the_rule_that_allows_it(cluster: Cluster) -> None:
    rules = [
        {"from": [{"podSelector": {"matchLabels": {"pod": "c"}}}]},
        {
            "from": [{"ipBlock": {"cidr": "10.91.0.0/16", "except": ["10.91.2.0/24"]}}],
            "ports": [{"protocol": "UDP", "port": PORT - 1, "endPort": PORT + 2}],
        },
    ]
    cluster.tell(policy("x/some", podSelector=IS_A, ingress=rules))
    send(cluster, "x/c", "x/a", 6)
    send(cluster, "z/a", "x/a", 2)
    send(cluster, "x/b", "x/a", 3)
    send(cluster, "x/c", "x/a", 1, family=6)
    counted(lambda: refused_of_pod(cluster, "x/a", "ingress"), 3)
    blocks = f"from 10.91.0.0/16 except 10.91.2.0/24, on UDP {PORT - 1}-{PORT + 2}"
    # The first rule that fits counts.
    counts = {"from pods of x: pod is c (1 now)": 6 + 1, blocks: 2}
    counted(lambda: sum(allowed(cluster, "x/some", "ingress").values()), sum(counts.values()))
    assert allowed(cluster, "x/some", "ingress") == counts
    text = policies(cluster.network.nodes[NODE])
    assert f" 2  {blocks}\n" in text
    # What was allowed once is not asked about again, for a minute.
    for _ in range(100):
        send(cluster, "z/a", "x/a", 1)
    send(cluster, "z/a", "x/a", 3)
    counted(lambda: min(allowed(cluster, "x/some", "ingress")[blocks], 3), 3)
    assert allowed(cluster, "x/some", "ingress")[blocks] < 100


def chain_counters(space: Namespace, family: str) -> list[tuple[str, int, int]]:
    """The counters of network policy as nft tells them."""
    listed = json.loads(space.run("nft", "-j", "list", "table", family, "kube-nft"))["nftables"]
    return [
        (rule["chain"], e["counter"]["packets"], e["counter"]["bytes"])
        for rule in (o["rule"] for o in listed if "rule" in o)
        for e in rule["expr"]
        if "counter" in e and rule["chain"].startswith(("ingress", "egress"))
    ]


def test_counters_equal_those_of_nft(cluster: Cluster) -> None:
    node = cluster.network.nodes[NODE]
    some = policy("x/some", podSelector=IS_A, ingress=[{"from": [{"podSelector": {}}]}])
    cluster.tell(some, policy("z/closed", policyTypes=["Ingress", "Egress"]))
    for family in (4, 6):
        send(cluster, "x/c", "x/a", 4, family)
        send(cluster, "y/b", "x/a", 3, family)
        send(cluster, "z/a", "y/b", 2, family)
    counted(lambda: refused_of_pod(cluster, "x/a", "ingress"), 6)
    counted(lambda: refused_of_pod(cluster, "z/a", "egress"), 4)
    told = shown(node)
    sides = [p[d] for p in told["policies"] for d in ("ingress", "egress") if p[d]]
    # Here each chain of pods is that of one policy.
    ours = [s["refused"] for s in sides] + [r["allowed"] for s in sides for r in s["allows"]]
    theirs = chain_counters(node, "ip") + chain_counters(node, "ip6")
    for number, unit in ((1, "packets"), (2, "bytes")):
        assert sum(c[unit] for c in ours) == sum(c[number] for c in theirs) > 0


def test_a_policy_edit_begins_its_counts_anew(cluster: Cluster) -> None:
    open_to_all = policy("x/some", podSelector=IS_A, ingress=[{}])
    cluster.tell(open_to_all)
    send(cluster, "x/c", "x/a", 4)
    counted(lambda: allowed(cluster, "x/some", "ingress")["everything"], 4)
    ports = [{"protocol": "UDP", "port": PORT, "endPort": PORT + 1}]
    cluster.tell(policy("x/some", podSelector=IS_A, ingress=[{"ports": ports}]))
    words = f"from anybody, on UDP {PORT}-{PORT + 1}"
    wait_until(
        "the edit", lambda: words in allowed(cluster, "x/some", "ingress"), hang_s=HANG_S
    )
    send(cluster, "x/c", "x/a", 2)
    counted(lambda: allowed(cluster, "x/some", "ingress")[words], 2)


def test_filters(cluster: Cluster) -> None:
    node = cluster.network.nodes[NODE]
    cluster.tell(DENY_IN, policy("z/closed", policyTypes=["Egress"]))

    def names(*flags: str) -> tuple[list[str], list[str]]:
        told = shown(node, *flags)
        kinds = (told["pods"], told["policies"])
        pods, found = ([f"{o['namespace']}/{o['name']}" for o in k] for k in kinds)
        return pods, found

    assert names() == (["x/a", "z/a", "z/c"], ["x/deny", "z/closed"])
    assert names("-n", "z") == (["z/a", "z/c"], ["z/closed"])
    assert names("--pod", "a") == (["x/a", "z/a"], ["x/deny", "z/closed"])
    assert names("-n", "x", "--pod=a") == (["x/a"], ["x/deny"])


def test_a_pod_without_a_policy(cluster: Cluster) -> None:
    node = cluster.network.nodes[NODE]
    cluster.tell(DENY_IN)
    done = node.spawn(
        [PROGRAM, "policies", "--pod=c"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, log = done.communicate(timeout=HANG_S)
    assert done.returncode == 0
    assert "x/" not in out
    assert "no policy selects such a pod on this node: nothing is refused here" in log
    assert "egress         -  not isolated: everything is allowed" in policies(node, "--pod=a")


def test_the_agent_does_not_notice(cluster: Cluster) -> None:
    node, agent = cluster.network.nodes[NODE], cluster.agents.agents[NODE]
    cluster.tell(DENY_IN)
    before = node.run("nft", "list", "ruleset")
    policies(node)
    shown(node)
    assert node.run("nft", "list", "ruleset") == before
    assert not agent.logged("foreign change")


@contextlib.contextmanager
def without_agent(cluster: Cluster) -> Iterator[None]:
    """The agent of the node has been killed; the next one has followed when this ends."""
    agent = cluster.agents.agents[NODE]
    agent.stop(signal.SIGKILL)
    yield
    started = len(agent.logged('msg="following"'))
    agent.start()
    agent.wait_logged('msg="following"', started + 1)


def test_dead_agent(cluster: Cluster) -> None:
    cluster.tell(DENY_IN)
    with without_agent(cluster):
        send(cluster, "x/c", "x/a", 3)
        counted(lambda: refused_of_pod(cluster, "x/a", "ingress"), 3)
    # The next agent leaves the counters alone.
    send(cluster, "x/c", "x/a", 2)
    counted(lambda: refused_of_pod(cluster, "x/a", "ingress"), 3 + 2)


def test_hostile_names_are_shown_harmless(cluster: Cluster) -> None:
    node = cluster.network.nodes[NODE]
    cluster.tell(DENY_IN)
    with without_agent(cluster):
        node.run(
            "nft",
            "add element ip kube-nft egress-pods { 10.91.1.99 "
            'comment "\x1b[31mred/\x07web\u202e" : drop }; '
            "add rule ip kube-nft ingress/x/deny ip saddr 192.0.2.1 accept",
        )
        text = policies(node)
        assert "10.91.1.99" in text
        assert "a rule that is not kube-nft's" in text
        assert set(text) <= set(map(chr, range(32, 127))) | {"\n"}
        assert len(shown(node)["pods"]) == 2


def failed(space: Namespace, *wrapper: str) -> str:
    """What the command says when it fails with status 1."""
    argv = [*wrapper, PROGRAM, "policies"]
    process = space.spawn(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, log = process.communicate(timeout=HANG_S)
    assert (process.returncode, out) == (1, "")
    return log


def test_no_table(cluster: Cluster) -> None:
    log = failed(cluster.place("x/a"))
    assert 'msg="policies failed" error="there is no table kube-nft here"' in log


def test_no_privileges(cluster: Cluster) -> None:
    drop = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all"]
    assert "CAP_NET_ADMIN" in failed(cluster.network.nodes[NODE], *drop)
