"""Exec credential plugins that misbehave: row H8."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from rig.agent import Agent, wait_until
from rig.api import kubeconfig
from rig.api.cluster import ApiCluster
from rig.api.plugin import Plugin, credential


@pytest.fixture
def plugin(cluster: ApiCluster) -> Plugin:
    return Plugin(cluster.secrets)


@pytest.fixture
def agent(cluster: ApiCluster, plugin: Plugin) -> Agent:
    """An agent that has to ask `plugin`; not started."""
    return cluster.agent(source=cluster.kubeconfig(kubeconfig.with_plugin(plugin.command)))


def children(agent: Agent) -> list[str]:
    """The processes that the agent has started and not waited for, with their states."""
    assert agent.process
    pid = agent.process.pid
    listing = subprocess.run(
        ["ps", "--ppid", str(pid), "-o", "pid=,stat=,comm="],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    return listing.splitlines()


def descriptors(agent: Agent) -> int:
    assert agent.process
    return len(list(Path(f"/proc/{agent.process.pid}/fd").iterdir()))


def recover(cluster: ApiCluster, agent: Agent, plugin: Plugin) -> None:
    """A plugin that works is all that is needed; nothing is left of the others."""
    assert agent.running
    assert not cluster.api.requests
    plugin.print(credential(token=cluster.token))
    plugin.behave(f"cat {plugin.answer}")
    cluster.settle(agent)
    agent.wait_until("the end of its children", lambda: not children(agent))
    assert descriptors(agent) < 40


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo denied >&2; exit 3", "3"),
        ("kill -9 $$", "signal|killed|9"),
        ("echo nonsense", "JSON|answer|ExecCredential"),
        ("echo '{}'", "ExecCredential|kind|apiVersion"),
        ("exec yes 0123456789", "bytes|large|long|much"),
    ],
    ids=["fails", "dies", "nonsense", "empty", "floods"],
)
def test_H8_plugin_fails(
    cluster: ApiCluster, agent: Agent, plugin: Plugin, script: str, words: str
) -> None:
    plugin.behave(script)
    agent.start()
    agent.wait_logged(f"level=(warn|error).*({words})")
    agent.wait_until("another attempt", lambda: len(plugin.processes()) > 1)
    recover(cluster, agent, plugin)


@pytest.mark.parametrize(
    "answer",
    [
        credential(token="SECRET")[:-5],
        credential(token="SECRET").replace('"SECRET"', '["SECRET"]'),
        credential(token="SECRET\n"),
        credential(token="SECRET").replace("ExecCredential", "SECRET"),
        credential(clientCertificateData="SECRET", clientKeyData="SECRET"),
        "SECRET",
    ],
    ids=["no end", "no text", "two lines", "no credential", "no PEM", "nothing else"],
)
def test_S7_broken_answer(cluster: ApiCluster, agent: Agent, plugin: Plugin, answer: str) -> None:
    plugin.print(answer.replace("SECRET", cluster.canaries.new("plugin")))
    agent.start()
    agent.wait_logged("level=warn")
    assert not any(r.status == 200 for r in cluster.api.requests)


def hang(plugin: Plugin) -> None:
    """Listen to no SIGTERM, with children of its own that hold the pipes and flood one of them."""
    flood, hold = "yes 0123456789 >&2 &", f"sleep 1000 & echo $! >>{plugin.runs}"
    plugin.behave(f"trap '' TERM; {flood} {hold}; sleep 1000")


def alive(pid: int) -> bool:
    """Whether the process runs; it may be a zombie when nobody waits for it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").split()[2] != "Z"
    except OSError:
        return False


def test_H8_plugin_hangs(cluster: ApiCluster, agent: Agent, plugin: Plugin) -> None:
    hang(plugin)
    agent.start()
    agent.wait_logged("level=warn.*plugin.*still ran", hang_s=120)
    recover(cluster, agent, plugin)
    assert not any(map(alive, plugin.processes()))


def test_H8_stops_while_a_plugin_hangs(agent: Agent, plugin: Plugin) -> None:
    hang(plugin)
    agent.start()
    agent.wait_until("the plugin to run", lambda: len(plugin.processes()) == 2)
    assert agent.stop(signal.SIGTERM) == 0
    # They were killed, which takes the kernel a moment.
    wait_until("the plugin's processes to end", lambda: not any(map(alive, plugin.processes())))


def test_H8_plugin_that_is_not_there(cluster: ApiCluster, agent: Agent, plugin: Plugin) -> None:
    plugin.command.rename(plugin.command.with_suffix(".away"))
    agent.start()
    agent.wait_logged("level=(warn|error).*plugin")
    recover(cluster, agent, plugin)
