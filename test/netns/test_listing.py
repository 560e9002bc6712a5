"""What an administrator sees and saves: nft's listing, `kube-nft render`, hostile names in them."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from rig import objects
from rig.agent import Agent
from rig.client import ask
from rig.cluster import Cluster, cluster_ip
from rig.frontends import everywhere
from rig.netns import Namespace, unique_prefix
from rig.ruleset import own_tables, ruleset, without_counts

PODS = ["web-1", "web-2", "web-3", "web-4"]

HOSTILE = [
    'x"; flush ruleset; #',
    'x\\"; flush ruleset; "',
    "x\n}\nflush ruleset\n",
    "x\r\n\tflush ruleset",
    "$x @y {z} [w] <v> 'u' `t` |s| &r;",
    "x\u0000y",
    "\u001b[31mred\u001b[0m\u0007",
    "\u202eright-to-left\u2066",
    "umlaut-\u00e4-\U0001f600",
    "x" * 253,
    "\u00e9" * 126,
    "-",
    "",
    "../../etc/passwd",
    "%s%n%x",
    'x comment "y" : goto refuse',
]


@pytest.fixture
def empty_space() -> Iterator[Namespace]:
    """A namespace with no rules at all."""
    with ExitStack() as cleanup:
        yield Namespace(unique_prefix() + "empty", cleanup)


def apply_everything(cluster: Cluster, agent: Agent, affinity_s: int = 0) -> None:
    """Services that fill every set and map."""
    everywhere(cluster, "empty", protocols=["TCP", "UDP", "SCTP"])
    everywhere(cluster, "web", *PODS, protocols=["TCP", "UDP", "SCTP"])
    everywhere(cluster, "local", *PODS, externalTrafficPolicy="Local", affinity_s=affinity_s)
    everywhere(cluster, "remote", "web-3", externalTrafficPolicy="Local")
    everywhere(cluster, "internal", "web-3", internalTrafficPolicy="Local", affinity_s=affinity_s)
    cluster.settle(agent)


def test_reload_of_the_listing_gives_the_same(
    own_cluster: Cluster, own_agent: Agent, empty_space: Namespace
) -> None:
    apply_everything(own_cluster, own_agent)
    listed = ruleset(own_cluster.node1)
    empty_space.run("nft", "-f", "-", stdin=listed)
    assert ruleset(empty_space) == listed


def test_reload_of_the_listing_with_affinity(
    own_cluster: Cluster, own_agent: Agent, empty_space: Namespace
) -> None:
    apply_everything(own_cluster, own_agent, affinity_s=600)
    for family in (4, 6):
        ask(own_cluster.pods["shell"], cluster_ip(12)[family], 80)
    saved = own_cluster.node1.run("nft", "list", "ruleset")
    assert saved.count("chain mixed-learn-") == 2
    assert saved.count("timeout 10m expires") == 2
    empty_space.run("nft", "-f", "-", stdin=saved)
    assert ruleset(empty_space) == without_counts(saved)


def test_render_is_what_the_agent_commits(
    own_cluster: Cluster, own_agent: Agent, empty_space: Namespace
) -> None:
    apply_everything(own_cluster, own_agent)
    rendered = own_agent.render()
    empty_space.run("nft", "-c", "-f", "-", stdin=rendered)
    assert ruleset(empty_space) == ""
    empty_space.run("nft", "-f", "-", stdin=rendered)
    own_agent.wait_until(
        "the agent's tables to be as rendered",
        lambda: own_tables(own_cluster.node1) == own_tables(empty_space),
    )


def test_render_with_affinity(
    own_cluster: Cluster, own_agent: Agent, empty_space: Namespace
) -> None:
    apply_everything(own_cluster, own_agent, affinity_s=600)
    rendered = own_agent.render()
    # Of each family: from all endpoints, from this node's, and for a ClusterIP of this node only.
    assert rendered.count("timeout 600s") == 6
    empty_space.run("nft", "-f", "-", stdin=rendered)
    own_agent.wait_until(
        "the agent's tables to be as rendered",
        lambda: own_tables(own_cluster.node1) == own_tables(empty_space),
    )


def test_render_does_not_depend_on_the_order_of_files(
    own_cluster: Cluster, own_agent: Agent
) -> None:
    apply_everything(own_cluster, own_agent)
    before = own_agent.render()
    for number, path in enumerate(sorted(own_cluster.manifests.glob("*.yaml"), reverse=True)):
        path.rename(path.with_name(f"{number}.yaml"))
    assert own_agent.render() == before


def test_read_endpoints_of_default_web(own_cluster: Cluster, own_agent: Agent) -> None:
    everywhere(own_cluster, "web", *PODS, protocols=["TCP", "UDP"])
    everywhere(own_cluster, "other", "web-1")
    own_cluster.settle(own_agent)
    listing = own_cluster.node1.run("nft", "list", "ruleset")
    for family in (4, 6):
        for protocol in ("tcp", "udp"):
            lines = [line for line in listing.splitlines() if f'"default/web:{protocol}"' in line]
            for pod in PODS:
                target = f": {own_cluster.pods[pod].ips[family]} . 8080"
                assert any(target in line for line in lines)


def hostile_manifests(cluster: Cluster) -> None:
    """Services with such words for name, namespace, port name and label value, by turns."""
    for n, text in enumerate(HOSTILE):
        for m, field in enumerate(("name", "namespace", "port", "label")):
            made = objects.service(
                text if field == "name" else f"hostile-{n}-{m}",
                cluster_ip(300 + 4 * n + m).values(),
                [objects.port(80, name=text if field == "port" else "http")],
                namespace=text if field == "namespace" else "default",
                labels={"app": text, text: "x"} if field == "label" else None,
            )
            parts = [made, *cluster.slices(made, "web-1", "web-3")]
            path = cluster.manifests / f"hostile-{n}-{m}.json"
            path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": parts}))


def test_S1_S2_hostile_names_stay_text(
    own_cluster: Cluster, own_agent: Agent, empty_space: Namespace
) -> None:
    own_cluster.node1.run("nft", 'add table inet canary { comment "alive"; }')
    hostile_manifests(own_cluster)
    web = everywhere(own_cluster, "web", *PODS)
    own_cluster.settle(own_agent)

    listed = ruleset(own_cluster.node1)
    assert "table inet canary" in listed
    empty_space.run("nft", "-f", "-", stdin=listed)
    assert ruleset(empty_space) == listed
    comments = re.findall(r'comment "([^"]*)" :', own_tables(own_cluster.node1))
    assert len(comments) > 2 * len(HOSTILE)
    for comment in comments:
        assert re.fullmatch(r"[A-Za-z0-9 ._:/-]{1,127}", comment)
    # A port's name may be any word; where only that is odd, the Service is served.
    assert ask(own_cluster.pods["shell"], cluster_ip(300 + 2)[4], 80).pod in PODS
    for family in (4, 6):
        assert ask(own_cluster.client, *web.at("cluster-ip", family)).pod in PODS


def test_S1_render_of_hostile_names_loads(
    own_cluster: Cluster, own_agent: Agent, empty_space: Namespace
) -> None:
    empty_space.run("nft", 'add table inet canary { comment "alive"; }')
    hostile_manifests(own_cluster)
    empty_space.run("nft", "-f", "-", stdin=own_agent.render())
    assert "table inet canary" in ruleset(empty_space)


def test_S4_log_has_no_control_characters(own_cluster: Cluster, own_agent: Agent) -> None:
    hostile_manifests(own_cluster)
    own_cluster.settle(own_agent)
    log = own_agent.log_path.read_bytes().decode("utf-8", errors="strict")
    odd = {c for c in log if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
    assert odd == {"\n"}
    assert all(re.match(r"level=\w+ msg=", line) for line in log.splitlines())
