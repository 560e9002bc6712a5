"""Probers on pairs that may connect and on pairs that may not, while something happens."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ..objects import Object
from ..probe import Probe, Probes, probing
from .network import Network, Place
from .world import World

SERVER = Path(__file__).parents[1] / "server.py"
PORT = 8090
# Client, server, family.
Pair = tuple[str, str, int]


def policy(name: str, selector: Object, **spec: object) -> Object:
    """A NetworkPolicy for the pods of namespace/name's namespace that a selector finds."""
    namespace, _, name = name.partition("/")
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"podSelector": selector, **spec},
    }


def ingress(name: str, selector: Object, *peers: Object) -> Object:
    """A policy that lets these peers reach PORT and nothing else in."""
    rules = [{"from": list(peers), "ports": [{"port": PORT}]}]
    return policy(name, selector, policyTypes=["Ingress"], ingress=rules)


def egress(name: str, selector: Object, *peers: Object) -> Object:
    """A policy that lets PORT of these peers be reached and nothing else out."""
    rules = [{"to": list(peers), "ports": [{"port": PORT}]}]
    return policy(name, selector, policyTypes=["Egress"], egress=rules)


class Guards:
    """Both kinds of probers at work."""

    def __init__(self, allowed: Probes, denied: Probes) -> None:
        self.allowed = allowed
        self.denied = denied

    def wait_connections(self, n: int) -> None:
        """Return when each prober has made @n more connections."""
        self.allowed.wait_connections(n)
        self.denied.wait_connections(n)

    def check(self) -> None:
        """No connection that may be has failed, and none was served that may not be."""
        allowed, denied = self.allowed.report(), self.denied.report()
        assert allowed.failures == ()
        assert denied.pods.total() == 0, denied.pods
        assert allowed.exchanges or denied.connections


class Scene:
    """A network with servers that keep their connections, which those of the cases do not."""

    def __init__(self, network: Network, world: World, cleanup: contextlib.ExitStack) -> None:
        self.network = network
        self.world = world
        self.cleanup = cleanup

    def place(self, name: str) -> Place:
        return self.network.place(self.world.endpoints()[name])

    def address(self, name: str, family: int) -> str:
        return self.world.endpoints()[name].ips[family]

    def serve(self, *names: str) -> None:
        """Start servers in these places."""
        for name in names:
            argv = [sys.executable, "-IS", str(SERVER), name, str(PORT)]
            place = self.place(name)
            server = place.spawn(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
            self.cleanup.callback(server.communicate)
            self.cleanup.callback(server.kill)
            assert server.stdout is not None and server.stdout.readline() == "ready\n"

    def probe(self, pair: Pair, *, established: int) -> Probe:
        client, server, family = pair
        address = self.address(server, family)
        return Probe(self.place(client), address, PORT, rate=50, established=established)

    @contextlib.contextmanager
    def guarded(self, allowed: Iterable[Pair], denied: Sequence[Pair]) -> Iterator[Guards]:
        """Have all pairs probed while the block runs, and check them behind it."""
        with (
            probing(*(self.probe(pair, established=2) for pair in allowed)) as may,
            probing(*(self.probe(pair, established=0) for pair in denied)) as may_not,
        ):
            guards = Guards(may, may_not)
            guards.wait_connections(1)
            yield guards
            guards.wait_connections(5)
            guards.check()
