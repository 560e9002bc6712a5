"""The cluster of a World as network namespaces: its nodes and pods, and who is outside.

    lan --+-- node-a 10.90.0.11 -- bridge with the first address of its pod network -- pods
          +-- node-b 10.90.0.12 -- the same
          +-- ext1, ext2, ext3: on the lan, routed to and from the nodes as they are

In a routed network a pod has a /32 address, so that its node routes everything it sends; in a
bridged one pods of a node are on one link, and what they send each other is only bridged.
"""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import json
import selectors
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..netns import Namespace, unique_prefix
from .world import Endpoint, World, family_of

TEST = Path(__file__).resolve().parents[2]
LENGTH = {4: 32, 6: 128}
# Number, protocol, address, port, and whether it is wanted; see rig/netpol/endpoint.py.
Connection = tuple[int, str, str, int, bool]


def _mac(address: str) -> str:
    """A MAC address that follows from an IP address, as CNI plugins make them."""
    return "0a:58:" + ipaddress.ip_address(address).packed[-4:].hex(":")


class Place(Namespace):
    """A namespace in which a process serves, and connects when it is told to."""

    def __init__(self, name: str, prefix: str, cleanup: contextlib.ExitStack) -> None:
        super().__init__(prefix, cleanup)
        self.place_name = name
        self.cleanup = cleanup
        self.addresses: dict[int, set[str]] = {4: set(), 6: set()}

    def begin(self, ips: Iterable[str], listeners: Iterable[tuple[str, int]]) -> None:
        """Start the process; wait_ready() waits for it."""
        ips = list(ips)
        for ip in ips:
            self.addresses[family_of(ip)].add(ip)
        ports = ",".join(f"{proto}/{port}" for proto, port in listeners)
        argv = [sys.executable, "-S", "-m", "rig.netpol.endpoint", self.place_name]
        self.process = self.spawn(
            [*argv, ",".join(ips), ports],
            cwd=TEST,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.cleanup.callback(self.process.communicate)
        self.cleanup.callback(self.process.kill)

    def read(self) -> str:
        """The next line that the process says."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process of {self.place_name} has ended")
        return line.strip()

    def wait_ready(self) -> None:
        assert self.read() == "ready"

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        print(line, file=self.process.stdin, flush=True)


class Node(Place):
    """A place with a bridge for pods. @cidrs are its pod networks."""

    def __init__(
        self,
        name: str,
        prefix: str,
        cleanup: contextlib.ExitStack,
        cidrs: Iterable[str],
        bridge: str,
    ) -> None:
        super().__init__(name, prefix, cleanup)
        self.bridge = bridge
        self.cidrs = {family_of(cidr): ipaddress.ip_network(cidr) for cidr in cidrs}
        self.gateways = {family: str(cidr[1]) for family, cidr in self.cidrs.items()}
        self.sysctl({"net.ipv4.ip_forward": 1, "net.ipv6.conf.all.forwarding": 1})
        # Else it has the lowest one of its ports', and changes it when that goes.
        mac = _mac(next(iter(self.gateways.values())))
        self.ip(f"link add {bridge} address {mac} type bridge", f"link set {bridge} up")
        for family, gateway in self.gateways.items():
            self.addresses[family].add(gateway)
            length = self.cidrs[family].prefixlen
            self.ip(f"address add {gateway}/{length} dev {bridge}{' nodad' * (family == 6)}")


class Network:
    """All of it, as a context manager that leaves nothing behind."""

    def __init__(self, world: World, *, bridged: bool = False) -> None:
        self.bridged = bridged
        self.listeners = world.listeners
        self.prefix = unique_prefix()
        self.pods: dict[str, tuple[Endpoint, Place]] = {}
        self._serial = itertools.count(1)
        self.cleanup = contextlib.ExitStack()
        with contextlib.ExitStack() as cleanup:
            self.lan = Namespace(self.prefix + "lan", cleanup)
            self.lan.ip("link add lan type bridge", "link set lan up")
            self.nodes = {name: self._node(name, world, cleanup) for name in world.nodes}
            self.externals = {
                name: self._external(name, world, cleanup) for name in world.externals
            }
            for place in (*self.nodes.values(), *self.externals.values()):
                self._add_routes(place, world)
            endpoints = world.endpoints()
            for name, place in (*self.nodes.items(), *self.externals.items()):
                place.begin(endpoints[name].ips.values(), self.listeners)
            for place in (*self.nodes.values(), *self.externals.values()):
                place.wait_ready()
            cleanup.callback(self._remove_pods)
            self.cleanup = cleanup.pop_all()
        self.follow(world)

    def __enter__(self) -> Network:
        return self

    def __exit__(self, *why: object) -> None:
        self.cleanup.close()

    def _node(self, name: str, world: World, cleanup: contextlib.ExitStack) -> Node:
        cidrs = world.nodes[name]["spec"]["podCIDRs"]
        bridge = "cni0" if self.bridged else "kube-bridge"
        node = Node(name, self.prefix + name, cleanup, cidrs, bridge)
        self._join_lan(node, world.endpoints()[name].ips.values(), world.networks["nodeCIDRs"])
        return node

    def _external(self, name: str, world: World, cleanup: contextlib.ExitStack) -> Place:
        place = Place(name, self.prefix + name, cleanup)
        self._join_lan(place, world.externals[name], ())
        return place

    def _join_lan(self, place: Place, ips: Iterable[str], on_link: Iterable[str]) -> None:
        """Connect @place; an address is as long as the network @on_link that it is in, or alone."""
        self.lan.ip(
            f"link add {place.place_name} type veth peer eth0 netns {place.name}",
            f"link set {place.place_name} master lan up",
        )
        place.ip("link set eth0 up")
        for ip in ips:
            lengths = [c.split("/")[1] for c in on_link if family_of(c) == family_of(ip)]
            length = lengths[0] if lengths else LENGTH[family_of(ip)]
            place.ip(f"address add {ip}/{length} dev eth0{' nodad' * (family_of(ip) == 6)}")

    def _add_routes(self, place: Place, world: World) -> None:
        endpoints = world.endpoints()
        if place.place_name in self.externals:
            place.ip(*(f"route add {cidr} dev eth0" for cidr in world.networks["nodeCIDRs"]))
        for name in self.externals:
            if place.place_name in self.nodes:
                ips = endpoints[name].ips
                place.ip(*(f"route add {ip}/{LENGTH[f]} dev eth0" for f, ip in ips.items()))
        for name, node in self.nodes.items():
            if node is not place:
                ips = endpoints[name].ips
                place.ip(*(f"route add {c} via {ips[f]}" for f, c in node.cidrs.items()))
        # A node needs a route to a Service's address before it can translate it.
        place.ip(*(f"route add {cidr} dev eth0" for cidr in world.networks["serviceCIDRs"]))

    # Pods -------------------------------------------------------------------------------------

    def follow(self, world: World) -> None:
        """Give every pod that runs in @world its network, and take away what others have."""
        wanted = {n: e for n, e in world.endpoints().items() if e.kind == "pod"}
        for name, (endpoint, _) in list(self.pods.items()):
            if wanted.get(name) != endpoint:
                self._remove_pod(name)
        fresh = [e for name, e in wanted.items() if name not in self.pods]
        for endpoint in fresh:
            self.pods[endpoint.name] = endpoint, self._add_pod(endpoint)
        for endpoint in fresh:
            self.pods[endpoint.name][1].wait_ready()

    def _add_pod(self, endpoint: Endpoint) -> Place:
        node, number = self.nodes[endpoint.node], next(self._serial)
        space = self.prefix + endpoint.name.replace("/", ".")
        place = Place(endpoint.name, space, contextlib.ExitStack())
        node.ip(
            f"link add pod{number} type veth peer eth0 netns {place.name}",
            f"link set pod{number} master {node.bridge} up",
        )
        place.cleanup.callback(node.ip, f"link delete pod{number}")
        # With br_netfilter, what a Service sends back to its own pod does not leave the bridge.
        node.run("bridge", "link", "set", "dev", f"pod{number}", "hairpin", "on")
        # The address may have been another pod's: who has seen that one must not be misled.
        mac = _mac(next(iter(endpoint.ips.values())))
        place.ip(f"link set eth0 address {mac}", "link set eth0 up")
        for family, ip in endpoint.ips.items():
            length = node.cidrs[family].prefixlen if self.bridged else LENGTH[family]
            gateway = node.gateways[family]
            place.ip(
                f"address add {ip}/{length} dev eth0{' nodad' * (family == 6)}",
                *([] if self.bridged else [f"route add {gateway} dev eth0"]),
                f"route add default via {gateway}",
            )
        place.begin(endpoint.ips.values(), self.listeners)
        return place

    def _remove_pod(self, name: str) -> None:
        self.pods.pop(name)[1].cleanup.close()

    def _remove_pods(self) -> None:
        for name in list(self.pods):
            self._remove_pod(name)

    def place(self, endpoint: Endpoint) -> Place:
        """Where an endpoint is."""
        if endpoint.kind == "pod":
            return self.pods[endpoint.name][1]
        return self.nodes.get(endpoint.node) or self.externals[endpoint.name]

    # Connections ------------------------------------------------------------------------------

    def connect(
        self, batches: Mapping[Place, list[Connection]], limit_s: float, grace_s: float
    ) -> dict[int, str]:
        """Make connections from many places at a time; what each has come to, by its number.

        Ends @grace_s after the last of the wanted ones has come to something, @limit_s at the
        latest. So what is not wanted has had as long as all the others, on a slow machine, too."""
        for place, batch in batches.items():
            place.tell(json.dumps(batch))
        _wait_done(batches, limit_s)
        time.sleep(grace_s)
        for place in batches:
            place.tell("null")
        found: dict[int, str] = {}
        for place in batches:
            while (line := place.read()) == "done":
                pass
            found.update((int(number), outcome) for number, outcome in json.loads(line).items())
        return found


def _wait_done(places: Iterable[Place], limit_s: float) -> None:
    """Wait for each to say that it is done. What they say is left for others to read."""
    deadline = time.monotonic() + limit_s
    with selectors.DefaultSelector() as selector:
        for place in places:
            assert place.process.stdout is not None
            selector.register(place.process.stdout, selectors.EVENT_READ, place)
        while selector.get_map() and (left := deadline - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                selector.unregister(key.fileobj)
