"""Strangers who change, delete or surround the tables, and an agent killed while it commits."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import time

import pytest

from rig import objects
from rig.agent import Agent
from rig.client import ask
from rig.cluster import Cluster, cluster_ip
from rig.frontends import Frontends, everywhere
from rig.ruleset import own_tables, without_counts

PODS = ["web-1", "web-2", "web-3", "web-4"]
# Objects of every kind that this kernel may not have; each is added by itself.
FOREIGN = """
table inet firewall { comment "of somebody else"; }
table inet firewall { counter c { comment "counted" ; } ; }
table inet firewall { quota q { over 100 mbytes ; } ; }
table inet firewall { limit l { rate 400/minute ; } ; }
table inet firewall { ct helper ftp { type "ftp" protocol tcp ; } ; }
table inet firewall { ct timeout brief { protocol tcp ; policy = { established: 100s } ; } ; }
table inet firewall { synproxy s { mss 1460 ; wscale 7 ; timestamp sack-perm ; } ; }
table inet firewall { secmark m { "system_u:object_r:x_t:s0" ; } ; }
table inet firewall { flowtable f { hook ingress priority 0 ; } ; }
table inet firewall { set nets { type ipv4_addr ; flags interval ; elements = { 10.0.0.0/8 } ; } ; }
table inet firewall { map m { type mark : verdict ; elements = { 22 timeout 1d : drop } ; } ; }
table inet firewall { chain input { type filter hook input priority 9 ; tcp dport 7 drop ; } ; }
table inet kube-nft { chain mine { counter comment "our name in another family" ; } ; }
table ip kube-nft-other { map services { type ipv4_addr : verdict ; } ; chain c { accept ; } ; }
table arp kube-nft { chain input { type filter hook input priority 0 ; } ; }
table bridge kube-nft { chain forward { type filter hook forward priority 0 ; } ; }
table netdev kube-nft { chain ingress { type filter hook ingress device eth0 priority 0 ; } ; }
""".strip().splitlines()


@pytest.fixture
def web(own_cluster: Cluster, own_agent: Agent) -> Frontends:
    """A Service whose tables hold something of every kind, and settled."""
    everywhere(own_cluster, "empty")
    everywhere(own_cluster, "sticky", "web-1", "web-2", affinity_s=600)
    everywhere(own_cluster, "local", *PODS, externalTrafficPolicy="Local")
    made = everywhere(own_cluster, "web", *PODS)
    own_cluster.settle(own_agent)
    return made


def foreign(cluster: Cluster) -> str:
    """All that is not the agent's, with handles: what is made anew gets others."""
    space = cluster.node1
    tables = [
        line.removeprefix("table ") for line in space.run("nft", "list", "tables").splitlines()
    ]
    others = [t.split() for t in tables if t not in ("ip kube-nft", "ip6 kube-nft")]
    return without_counts("".join(space.run("nft", "-a", "list", "table", *t) for t in others))


def add_foreign(cluster: Cluster) -> str:
    """Add foreign tables, and tell what was added."""
    for line in FOREIGN:
        cluster.node1.run("nft", line, check=False)
    added = foreign(cluster)
    assert len(added.splitlines()) > 40
    return added


def assert_served(web: Frontends) -> None:
    for family in (4, 6):
        for client in ("pod", "node", "outside"):
            assert ask(web.cluster.place(client), *web.at("cluster-ip", family)).pod in PODS


@pytest.mark.parametrize(
    "command",
    [
        "flush ruleset",
        "delete table ip kube-nft",
        "delete table ip6 kube-nft; delete table ip kube-nft",
    ],
)
def test_N1_deleted_tables_are_restored(web: Frontends, own_agent: Agent, command: str) -> None:
    before = own_tables(web.cluster.node1)
    web.cluster.node1.run("nft", command)
    own_agent.wait_until("tables as before", lambda: own_tables(web.cluster.node1) == before)
    assert_served(web)
    assert own_agent.logged("foreign change repaired")


def test_N1_restoring_leaves_other_tables_alone(web: Frontends, own_agent: Agent) -> None:
    others, before = add_foreign(web.cluster), own_tables(web.cluster.node1)
    web.cluster.node1.run("nft", "delete table ip kube-nft; delete table ip6 kube-nft")
    own_agent.wait_until("tables as before", lambda: own_tables(web.cluster.node1) == before)
    assert foreign(web.cluster) == others


def test_N1_flushed_again_and_again(web: Frontends, own_agent: Agent) -> None:
    before = own_tables(web.cluster.node1)
    for _ in range(20):
        web.cluster.node1.run("nft", "flush ruleset")
    own_agent.wait_until("tables as before", lambda: own_tables(web.cluster.node1) == before)
    web.cluster.deploy(web.object, "web-3")
    web.cluster.settle(own_agent)
    assert ask(web.cluster.client, *web.at("node-port", 6)).pod == "web-3"


CHANGES = [
    "add rule {t} kube-nft prerouting counter accept",
    "insert rule {t} kube-nft prerouting accept",
    "insert rule {t} kube-nft refuse accept",
    "flush chain {t} kube-nft prerouting",
    "flush chain {t} kube-nft lb-4",
    "add rule {t} kube-nft lb-4 drop",
    "add chain {t} kube-nft intruder {{ type filter hook forward priority -5; policy drop; }}",
    "add chain {t} kube-nft visitor",
    "rename chain {t} kube-nft refuse polite",
    "add set {t} kube-nft luggage {{ type inet_service; }}",
    "add counter {t} kube-nft clicks",
    "add element {t} kube-nft services {{ {other} . tcp . 80 : drop }}",
    "delete element {t} kube-nft services {{ {web} . tcp . 80 }}",
    "delete element {t} kube-nft services {{ {web} . tcp . 80 }};"
    " add element {t} kube-nft services {{ {web} . tcp . 80 : goto lb-2 }}",
    "delete element {t} kube-nft endpoints {{ {web} . tcp . 80 . 0 }}",
    "flush map {t} kube-nft endpoints",
    "flush map {t} kube-nft no-endpoints",
    "flush map {t} kube-nft masquerade-services",
    "flush set {t} kube-nft masquerade-ranges",
    "flush set {t} kube-nft hairpin",
    "flush set {t} kube-nft pod-cidrs",
    "add element {t} kube-nft pod-cidrs {{ {other} }}",
    "add table {t} kube-nft {{ flags dormant; }}",
]


@pytest.mark.parametrize("command", CHANGES)
def test_N2_foreign_change_is_repaired(
    web: Frontends, own_agent: Agent, family: int, command: str
) -> None:
    node = web.cluster.node1
    before = own_tables(node)
    words = {
        "t": "ip" if family == 4 else "ip6",
        "web": web.at("cluster-ip", family)[0],
        "other": cluster_ip(77)[family],
    }
    node.run("nft", command.format(**words))
    own_agent.wait_until("tables as before", lambda: own_tables(node) == before)
    assert_served(web)
    assert own_agent.logged("foreign change repaired")


@pytest.mark.parametrize("seed", range(4))
def test_N2_many_foreign_changes_are_repaired(web: Frontends, own_agent: Agent, seed: int) -> None:
    node, dice = web.cluster.node1, random.Random(seed)
    before = own_tables(node)
    for _ in range(40):
        family = dice.choice((4, 6))
        words = {
            "t": "ip" if family == 4 else "ip6",
            "web": web.at("cluster-ip", family)[0],
            "other": cluster_ip(77)[family],
        }
        # Some fail, as the one before has deleted what they would change.
        node.run("nft", dice.choice(CHANGES).format(**words), check=False)
        if dice.random() < 0.3:
            web.cluster.deploy(web.object, *dice.sample(PODS, dice.randint(1, 4)))
    web.cluster.deploy(web.object, *PODS)
    web.cluster.settle(own_agent)
    own_agent.wait_until("tables as before", lambda: own_tables(node) == before)
    assert_served(web)


def big_manifest(target: int) -> str:
    """2,000 Services with two endpoints each, all at port @target."""
    made = []
    for n in range(2000):
        ips = [f"10.97.{n // 250}.{n % 250}"]
        svc = objects.service(f"big-{n}", ips, [objects.port(80, target=target)])
        pods = [f"10.244.{9 + k}.{n % 250}" for k in range(2)]
        made += [svc, objects.slice_of(svc, [objects.endpoint(ip) for ip in pods])]
    return objects.to_yaml(*made)


def big_state(cluster: Cluster) -> tuple[int, set[int]]:
    """How many elements the endpoints map has of the big manifest, and their target ports."""
    listing = cluster.node1.run("nft", "list", "map", "ip", "kube-nft", "endpoints", check=False)
    targets = re.findall(r'comment "default/big-\d+" : [0-9.]+ \. (\d+)', listing)
    return len(targets), {int(target) for target in targets}


class Aim:
    """When to kill so that it falls near a commit: later after a try that was early, and the other
    way round, in steps that get smaller."""

    def __init__(self) -> None:
        self.delay_s = 0.2
        self.step_s = 0.1
        self.early = 0
        self.late = 0

    def learn(self, committed: bool) -> None:
        self.late += committed
        self.early += not committed
        self.delay_s = max(0.0, self.delay_s + (-self.step_s if committed else self.step_s))
        # It may have been unlucky: keep steps of some size.
        self.step_s = max(self.step_s * 0.7, 0.01)


def test_N4_killed_while_it_commits_leaves_old_or_new(own_cluster: Cluster) -> None:
    agent, aim = own_cluster.agent(), Aim()
    texts = {target: big_manifest(target) for target in (8080, 8081)}
    manifest = own_cluster.manifests / "big.yaml"
    old, new = texts
    manifest.write_text(texts[old], encoding="utf-8")
    for _ in range(12):
        agent.start()
        own_cluster.settle(agent)
        assert big_state(own_cluster) == (4000, {old})
        manifest.write_text(texts[new], encoding="utf-8")
        time.sleep(aim.delay_s)
        agent.stop(signal.SIGKILL)
        count, targets = big_state(own_cluster)
        assert (count, len(targets)) == (4000, 1)
        aim.learn(targets == {new})
        old, new = new, old
    assert aim.early > 0
    assert aim.late > 0


def test_N4_killed_at_its_first_commit_leaves_none_or_all(own_cluster: Cluster) -> None:
    agent, aim = own_cluster.agent(), Aim()
    (own_cluster.manifests / "big.yaml").write_text(big_manifest(8080), encoding="utf-8")
    for _ in range(20):
        own_cluster.node1.run("nft", "flush ruleset")
        agent.start()
        time.sleep(aim.delay_s)
        agent.stop(signal.SIGKILL)
        count, _ = big_state(own_cluster)
        assert count in (0, 4000)
        aim.learn(count > 0)
    assert aim.early > 0
    assert aim.late > 0


def test_N6_dumps_race_with_other_writers(web: Frontends, own_agent: Agent) -> None:
    node = web.cluster.node1
    node.run("nft", "add table inet busy; add set inet busy s { type inet_service; }")
    loop = "while :; do nft add element inet busy s '{ 1-60 }'; nft flush set inet busy s; done"
    writer = node.spawn(["sh", "-c", loop], start_new_session=True, stderr=subprocess.DEVNULL)
    try:
        for n in range(10):
            own_agent.stop(signal.SIGKILL)
            # Something to repair, or nothing.
            node.run("nft", "flush map ip kube-nft endpoints" if n % 2 else "list tables")
            own_agent.start()
            web.cluster.settle(own_agent)
            assert_served(web)
    finally:
        writer.kill()
        writer.wait()
    agent_log = own_agent.log()
    assert "level=error" not in agent_log, agent_log


def test_N11_foreign_tables_stay_untouched(own_cluster: Cluster) -> None:
    others = add_foreign(own_cluster)
    agent = own_cluster.agent()
    agent.start()
    web = everywhere(own_cluster, "web", *PODS)
    own_cluster.settle(agent)
    assert_served(web)
    own_cluster.deploy(web.object, "web-1")
    own_cluster.settle(agent)
    own_cluster.node1.run("nft", "flush table ip kube-nft")
    agent.wait_until("repair", lambda: bool(agent.logged("foreign change repaired")))
    agent.stop(signal.SIGTERM)
    agent.start()
    own_cluster.settle(agent)
    agent.stop(signal.SIGTERM)
    assert foreign(own_cluster) == others


def test_N11_foreign_tables_that_change_do_not_wake_the_agent(
    web: Frontends, own_agent: Agent
) -> None:
    add_foreign(web.cluster)
    lines = len(own_agent.log().splitlines())
    for n in range(50):
        web.cluster.node1.run("nft", f"add rule inet firewall input tcp dport {1000 + n} accept")
    web.cluster.settle(own_agent)
    assert len(own_agent.log().splitlines()) == lines + 1  # the marker's commit
