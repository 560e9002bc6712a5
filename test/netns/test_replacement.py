"""All endpoints of a Service replaced at once, under UDP flows and TCP connections that never rest.

Whether a packet came too late is decided, not measured: a client says in each packet when it sent
it, the kernel announces a generation when it is in force, and both are of one clock. What was sent
behind the announcement met that generation or a later one.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import rig
from rig import objects
from rig.agent import Agent
from rig.cluster import Cluster, Pod
from rig.frontends import Frontends
from rig.generations import Generations
from rig.netns import Namespace

ENDPOINTS = 100  # of the Service, at any time
ROUNDS = 6
FLOWS = 20  # of each protocol and client, to each frontend
RATE = 100
CLIENTS = (("pod", "cluster-ip"), ("node", "cluster-ip"), ("outside", "node-port"))


class Program:
    """A program of the rig that answers each line by one line of JSON."""

    def __init__(self, space: Namespace, name: str, *args: object) -> None:
        path = Path(rig.__file__).with_name(name)
        argv = [sys.executable, "-IS", str(path), *map(str, args)]
        self.process = space.spawn(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def read(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the program has died"
        return line

    def report(self) -> dict[str, Any]:
        print(file=self.process.stdin, flush=True)
        told: dict[str, Any] = json.loads(self.read())
        return told

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


class Crowd:
    """Many endpoints: two pods, one on each node, that have many addresses."""

    def __init__(self, cluster: Cluster, cleanup: contextlib.ExitStack) -> None:
        pods = [cluster.pods["web-1"], cluster.pods["web-3"]]
        self.addresses = {
            family: [(a, pod) for pod in pods for a in self._add(pod, family)] for family in (4, 6)
        }
        self.witnesses = [Program(pod, "witness.py", 9000) for pod in pods]
        for witness in self.witnesses:
            cleanup.callback(witness.close)
            assert witness.read() == "ready\n"

    @staticmethod
    def _add(pod: Pod, family: int) -> list[str]:
        numbers = range(100, 100 + ENDPOINTS)
        if family == 4:
            made, options = [f"10.244.{pod.node.number}.{n}" for n in numbers], ""
        else:
            made, options = [f"fd44:0:0:{pod.node.number}::{n:x}" for n in numbers], "nodad"
        pod.ip(*(f"address add {address} dev eth0 {options}" for address in made))
        return made

    def shift(self, turn: int, family: int) -> list[objects.Object]:
        """Every other one of them, as endpoints."""
        chosen = self.addresses[family][turn % 2 :: 2]
        return [objects.endpoint(a, pod.node.host_name) for a, pod in chosen]

    def living(self, turn: int) -> set[str]:
        return {a for family in (4, 6) for a, _ in self.addresses[family][turn % 2 :: 2]}

    def take(self) -> dict[str, list[tuple[str, int]]]:
        """What has come since the last time, as address and time of sending."""
        told = [witness.report() for witness in self.witnesses]
        return {
            kind: [(a, ns) for one in told for a, ns in one[kind]]
            for kind in ("datagrams", "connections")
        }


class Replacements:
    """The Service, its clients, and what is known of its past."""

    def __init__(self, cluster: Cluster, agent: Agent, cleanup: contextlib.ExitStack) -> None:
        self.cluster, self.agent = cluster, agent
        self.crowd = Crowd(cluster, cleanup)
        number = cluster.new_number()
        ips = [f"10.96.0.{number}", f"fd96::{number:x}"]
        ports = [
            objects.port(80, target=9000, protocol=p, name=p.lower(), node_port=30000 + number)
            for p in ("TCP", "UDP")
        ]
        self.made = Frontends(cluster, objects.service("crowd", ips, ports), number)
        self.generations = Generations(cluster.node1, cleanup)
        self.deploy(0)
        cluster.settle(agent)
        self.clients = []
        for client, kind in CLIENTS:
            targets = itertools.chain(*(self.made.at(kind, family) for family in (4, 6)))
            streamer = Program(cluster.place(client), "streamer.py", RATE, FLOWS, *targets)
            cleanup.callback(streamer.close)
            self.clients.append(streamer)

    def deploy(self, turn: int) -> int:
        """Have other endpoints; when."""
        slices = [
            objects.slice_of(self.made.object, self.crowd.shift(turn, family), family=family)
            for family in (4, 6)
        ]
        began_ns = time.monotonic_ns()
        self.cluster.apply("crowd", self.made.object, *slices)
        return began_ns

    def wait_answered_since(self, ns: int) -> None:
        """Wait until every flow and every connection was answered what it sent after @ns."""
        for client in self.clients:
            self.agent.wait_until(
                "all flows to be answered",
                lambda c=client: self.check(c.report(), ns),  # type: ignore[misc]
            )

    @staticmethod
    def check(told: dict[str, Any], ns: int) -> bool:
        """Whether a client has all its answers. Nothing may fail at any time."""
        assert told["failures"] == []
        assert [one for one in told["established"] if one[2]] == []
        return min(told["flows"]) > ns and min(one[1] for one in told["established"]) > ns


@pytest.fixture
def replacements(own_cluster: Cluster, own_agent: Agent) -> Iterator[Replacements]:
    with contextlib.ExitStack() as cleanup:
        yield Replacements(own_cluster, own_agent, cleanup)


def sent(records: list[tuple[str, int]], begin_ns: int, end_ns: int) -> set[str]:
    """Where what was sent between the two moments came to."""
    return {address for address, ns in records if begin_ns < ns < end_ns}


def test_N16_no_packet_to_an_endpoint_that_left(replacements: Replacements) -> None:
    crowd = replacements.crowd
    replacements.wait_answered_since(time.monotonic_ns())
    arrived = crowd.take()
    for kind in ("datagrams", "connections"):
        assert {address for address, _ in arrived[kind]} <= crowd.living(0)
    for turn in range(1, 1 + ROUNDS):
        began_ns = replacements.deploy(turn)
        generation = replacements.generations.wait_after(began_ns)
        replacements.wait_answered_since(generation.ns)
        end_ns = time.monotonic_ns()
        arrived = crowd.take()
        for kind in ("datagrams", "connections"):
            assert sent(arrived[kind], generation.ns, end_ns) <= crowd.living(turn)
            # They were asked before it, and others are after it.
            assert sent(arrived[kind], generation.ns, end_ns)
        # All of it was one transaction.
        assert len(replacements.generations.after(began_ns)) == 1
