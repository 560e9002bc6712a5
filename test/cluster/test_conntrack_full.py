"""Row N15: the node can track no more connections."""

from __future__ import annotations

import contextlib
import socket

from rig import frontends
from rig.agent import Agent, wait_until
from rig.client import connected, outcome, outcomes
from rig.frontends import everywhere
from rig.live.cluster import LiveCluster
from rig.tracked import fill

CLIENTS = ("pod", "node", "outside")
FULL = 'msg="connection tracking is full, connections are dropped"'


def talks(sock: socket.socket) -> bool:
    sock.sendall(b"still there\n")
    return sock.recv(4096) == b"web-1 still there\n"


def events(cluster: LiveCluster) -> list[str]:
    told = (e for e in cluster.admin.list("Event") if e["reason"] == "ConnectionTrackingFull")
    return [f"{e['regarding']['kind']} {e['regarding']['name']}" for e in told]


def test_N15_connection_tracking_is_full(cluster: LiveCluster, agent: Agent) -> None:
    """What is open goes on, the agent's own connection too; new ones are dropped, none is let past the
    rules; it is told, and it is told when it is over."""
    web, closed = everywhere(cluster, "web", "web-1"), everywhere(cluster, "closed")
    cluster.settle(agent)
    attempts = web.attempts(CLIENTS, frontends.ALL, ["TCP"])
    assert outcomes(attempts) == {"web-1"}
    with contextlib.ExitStack() as cleanup:
        lines = [
            cleanup.enter_context(connected(cluster.place(client), *web.at(kind, family)))
            for client in CLIENTS
            for kind in ("cluster-ip", "node-port")
            for family in (4, 6)
        ]
        assert all(line.recv(4096).startswith(b"web-1 ") for line in lines)
        assert not agent.logged(FULL)

        fill(cluster.node1, cluster.directory)
        assert outcomes(attempts) == {"dropped"}
        assert outcomes(closed.attempts(CLIENTS, ["cluster-ip"], ["TCP"])) == {"dropped"}
        assert outcome(cluster.client, cluster.pods["web-1"].ips[4], 8080) == "dropped"
        assert all(talks(line) for line in lines)
        agent.wait_logged(FULL)
        # Over the connection that the agent had.
        wait_until("an Event", lambda: bool(events(cluster)))
        assert events(cluster) == ["Node node1"]
        cluster.deploy(web.object, "web-2")
        cluster.settle(agent)
        assert all(talks(line) for line in lines)

    cluster.node1.run("conntrack", "-F")
    assert outcomes(attempts) == {"web-2"}
    agent.wait_logged('msg="connection tracking has room again"')
    assert len(agent.logged(FULL)) == 1
