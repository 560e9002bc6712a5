"""The agent as a process: signals, a second one, few rights."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from rig.agent import PROGRAM, Agent
from rig.client import Datagrams, ask
from rig.cluster import Cluster
from rig.frontends import everywhere
from rig.ruleset import own_tables


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_H5_stops_cleanly_and_leaves_the_tables(
    own_cluster: Cluster, own_agent: Agent, how: int
) -> None:
    web = everywhere(own_cluster, "web", "web-1", "web-3")
    own_cluster.settle(own_agent)
    before = own_tables(own_cluster.node1)
    assert own_agent.stop(how) == 0
    assert own_tables(own_cluster.node1) == before
    assert ask(own_cluster.client, *web.at("node-port", 4)).pod in ("web-1", "web-3")


def test_H5_sighup_reads_everything_again(own_cluster: Cluster, own_agent: Agent) -> None:
    before = own_tables(own_cluster.node1)
    own_agent.signal(signal.SIGHUP)
    own_agent.wait_logged("computing everything again")
    own_cluster.node1.run("nft", "flush ruleset")
    own_agent.signal(signal.SIGHUP)
    own_agent.wait_until("tables as before", lambda: own_tables(own_cluster.node1) == before)


def test_H5_storm_of_signals(own_cluster: Cluster, own_agent: Agent) -> None:
    web = everywhere(own_cluster, "web", "web-1")
    dice = random.Random(5)
    harmless = [signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD, signal.SIGWINCH, signal.SIGURG]
    for n in range(300):
        own_agent.signal(dice.choice(harmless))
        if n % 30 == 0:
            own_cluster.deploy(web.object, f"web-{1 + n // 30 % 4}")
    own_cluster.deploy(web.object, "web-4")
    own_cluster.settle(own_agent)
    for family in (4, 6):
        assert ask(own_cluster.client, *web.at("cluster-ip", family)).pod == "web-4"
    assert own_agent.stop(signal.SIGTERM) == 0


def test_H5_stopped_and_continued(own_cluster: Cluster, own_agent: Agent) -> None:
    web = everywhere(own_cluster, "web", "web-1")
    own_cluster.settle(own_agent)
    own_agent.signal(signal.SIGSTOP)
    own_cluster.deploy(web.object, "web-3")
    own_cluster.node1.run("nft", "flush ruleset")
    own_agent.signal(signal.SIGCONT)
    own_cluster.settle(own_agent)
    assert ask(own_cluster.client, *web.at("cluster-ip", 6)).pod == "web-3"


def test_H5_stopped_while_it_starts(own_cluster: Cluster) -> None:
    agent, dice = own_cluster.agent(), random.Random(6)
    for _ in range(20):
        agent.start()
        time.sleep(dice.uniform(0, 0.05))
        # Before it has set up its handlers, the signal itself ends it.
        assert agent.stop(signal.SIGTERM) in (0, -signal.SIGTERM)
    agent.start()
    own_cluster.settle(agent)


def test_H5_goes_on_when_nobody_reads_its_log(own_cluster: Cluster) -> None:
    agent = own_cluster.agent()
    reader, writer = os.pipe()
    agent.process = agent.space.spawn(agent.argv, stderr=writer, stdin=subprocess.DEVNULL)
    os.close(writer)
    own_cluster.settle(agent)
    os.close(reader)
    web = everywhere(own_cluster, "web", "web-1")
    own_cluster.settle(agent)
    assert ask(own_cluster.client, *web.at("cluster-ip", 4)).pod == "web-1"


def test_H6_second_agent_refuses_and_names_the_first(
    own_cluster: Cluster, own_agent: Agent
) -> None:
    assert own_agent.process is not None
    before = own_tables(own_cluster.node1)
    second = own_cluster.agent(name="second")
    second.start()
    assert second.process is not None
    assert second.process.wait(30) == 1
    assert f"process {own_agent.process.pid} " in second.log()
    assert own_tables(own_cluster.node1) == before
    own_cluster.settle(own_agent)


def test_H6_next_agent_takes_over_when_the_first_ends(
    own_cluster: Cluster, own_agent: Agent
) -> None:
    second = own_cluster.agent(name="second")
    second.start()
    own_agent.stop(signal.SIGTERM)
    own_cluster.settle(second)


def test_H7_crash_loop_keeps_the_tables(own_cluster: Cluster, own_agent: Agent) -> None:
    web = everywhere(own_cluster, "web", "web-1", "web-3")
    own_cluster.settle(own_agent)
    before = own_tables(own_cluster.node1)
    own_agent.stop(signal.SIGKILL)
    dice = random.Random(7)
    for _ in range(20):
        own_agent.start()
        time.sleep(dice.uniform(0, 0.1))
        own_agent.stop(signal.SIGABRT)
        assert own_tables(own_cluster.node1) == before
        assert ask(own_cluster.client, *web.at("node-port", 6)).pod in ("web-1", "web-3")


def capable_of(*capabilities: str) -> list[str]:
    """A command that runs another as nobody, with these capabilities alone."""
    added = "".join(f",+{c}" for c in capabilities)
    keep = [f"--{kind}=-all{added}" for kind in ("inh-caps", "ambient-caps", "bounding-set")]
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs", *keep]


def start_as_nobody(cluster: Cluster, *capabilities: str) -> Agent:
    """Start an agent whose program nobody can read, as its own directory may be closed."""
    program = Path(shutil.copy(PROGRAM, cluster.directory / "kube-nft"))
    agent = cluster.agent(name="nobody", program=str(program), wrapper=capable_of(*capabilities))
    agent.start()
    return agent


def test_net_admin_only_serves_everything(own_cluster: Cluster) -> None:
    agent = start_as_nobody(own_cluster, "net_admin")
    web = everywhere(own_cluster, "web", "web-1", "web-3", affinity_s=600)
    everywhere(
        own_cluster, "asked", "web-1", externalTrafficPolicy="Local", healthCheckNodePort=31000
    )
    dns = everywhere(own_cluster, "dns", "web-1", protocols=["UDP"])
    own_cluster.settle(agent)
    own_cluster.node1.run("curl", "--fail", "--retry", "9", "--retry-all-errors", "[::1]:31000")
    assert agent.process is not None
    status = Path(f"/proc/{agent.process.pid}/status").read_text(encoding="ascii")
    assert "\nUid:\t65534\t65534\t" in status
    assert "\nCapEff:\t0000000000001000\n" in status
    for client in ("pod", "node", "outside"):
        for family in (4, 6):
            assert ask(own_cluster.place(client), *web.at("node-port", family)).pod
    own_cluster.node1.run("nft", "flush ruleset")
    agent.wait_logged("foreign change repaired")
    own_cluster.deploy(web.object, "web-2")
    own_cluster.settle(agent)
    assert ask(own_cluster.client, *web.at("cluster-ip", 4)).pod == "web-2"
    with contextlib.ExitStack() as cleanup:
        flow = Datagrams(own_cluster.client, *dns.at("cluster-ip", 4), cleanup)
        assert flow.ask() == "web-1"
        own_cluster.deploy(dns.object, "web-2")
        agent.wait_until("the flow to be ended", lambda: flow.ask() == "web-2")


def test_net_admin_only_is_needed(own_cluster: Cluster) -> None:
    agent = start_as_nobody(own_cluster)
    assert agent.process is not None
    assert agent.process.wait(30) == 1
    assert "NET_ADMIN" in agent.log()
