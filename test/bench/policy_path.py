"""Print what NetworkPolicies cost the packets of pods. Started by test/bench/run-policy-path.

Each variant has a lab of its own, two nodes with three pods, and nothing but iperf3 runs while it is
measured: the agents have committed their tables and ended. The variants take turns, in a random order
each round, so that whatever else the machine does meets all alike.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import statistics
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rig import objects
from rig.agent import Agent, from_manifests
from rig.netns import Namespace, sweep, unique_prefix
from rig.objects import Object

import population
import report
from figures import say
from population import Population
from program import HANG_S

NAMESPACE = "lab"
# The pods: who sends, and who receives on the same node and on the other one.
CLIENT, NEAR, FAR = "client", "near", "far"
PODS = {CLIENT: 1, NEAR: 1, FAR: 2}
PORT = 5201


@dataclass(frozen=True)
class Variant:
    """So many policies select all pods of the lab, and the last of them allows the traffic. Others
    select pods of other nodes. Without @tables there is no agent."""

    name: str
    policies: int = 0
    cluster: Population | None = None
    tables: bool = True


NO_TABLES = Variant("no tables", tables=False)
BASELINE = Variant("no policies")
VARIANTS = (
    NO_TABLES,
    BASELINE,
    Variant("1 on the pods", 1),
    Variant("100 on the pods", 100),
    Variant("1, and 10,000 elsewhere", 1, Population(500, 100, 20, near=0)),
)
# What iperf3 sends, and for each what counts of its report.
TRAFFIC = {
    "TCP, Gbit/s": ("--zerocopy",),
    "64 bytes of UDP, 1,000 packets/s": ("--udp", "--bitrate=0", "--length=64"),
}


@dataclass(frozen=True)
class Plan:
    """How often each is measured, and how long."""

    rounds: int
    seconds: int


PLAN, QUICK = Plan(rounds=15, seconds=2), Plan(rounds=3, seconds=1)


def pod_ip(pod: str) -> str:
    return f"10.244.{PODS[pod]}.{10 + list(PODS).index(pod)}"


def pod_object(pod: str) -> Object:
    """A pod of the lab."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": NAMESPACE, "name": pod, "labels": {"app": "app-0"}},
        "spec": {"nodeName": f"node{PODS[pod]}", "containers": [{"name": "c", "image": "none"}]},
        "status": {"phase": "Running", "podIP": pod_ip(pod), "podIPs": [{"ip": pod_ip(pod)}]},
    }


def policy_object(number: int, last: bool) -> Object:
    """One of the policies of the lab's pods: as those of the cluster, but the last allows all pods the
    ports that are measured."""
    made = population.policy_of(0, number)
    made["metadata"] = {"namespace": NAMESPACE, "name": f"policy-{number:03}"}
    made["spec"]["podSelector"] = {}
    if last:
        ports = [{"protocol": protocol, "port": PORT} for protocol in ("TCP", "UDP")]
        peers = [{"namespaceSelector": {}}]
        made["spec"]["ingress"] = [{"from": peers, "ports": ports}]
        made["spec"]["egress"] = [{"to": peers, "ports": ports}]
    return made


def manifests(variant: Variant) -> Iterator[list[Object]]:
    """What the agents of a variant are told, in files."""
    made = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}]
    for number in set(PODS.values()):
        networks = [f"10.244.{number}.0/24"]
        made.append(objects.node(f"node{number}", [f"192.168.50.{number}"], networks))
    policies = (policy_object(n, n == variant.policies - 1) for n in range(variant.policies))
    yield [*made, *map(pod_object, PODS), *policies]
    if variant.cluster:
        for number in range(variant.cluster.namespaces):
            rest = population.objects_of(variant.cluster, number, {})
            yield [population.namespace_of(number), *rest]


class Lab:
    """Nodes and pods of a variant, with its tables; ended with @cleanup."""

    def __init__(self, variant: Variant, cleanup: contextlib.ExitStack) -> None:
        self.prefix = unique_prefix()
        self.cleanup = cleanup
        self.nodes = {number: self._node(number) for number in sorted(set(PODS.values()))}
        one, two = self.nodes.values()
        one.ip(f"link add eth0 type veth peer eth0 netns {two.name}")
        for number, node in self.nodes.items():
            other = 3 - number
            node.ip(
                "link set eth0 up",
                f"address add 192.168.50.{number}/24 dev eth0",
                f"route add 10.244.{other}.0/24 via 192.168.50.{other}",
            )
        self.pods = {pod: self._pod(pod) for pod in PODS}
        if variant.tables:
            self._commit(variant)
        for pod in (NEAR, FAR):
            argv = ["iperf3", "--server", "--forceflush"]
            server = self.pods[pod].spawn(argv, stdout=subprocess.PIPE)
            cleanup.callback(server.communicate)
            cleanup.callback(server.kill)
            assert server.stdout is not None
            while "listening" not in server.stdout.readline():
                pass

    def _node(self, number: int) -> Namespace:
        node = Namespace(f"{self.prefix}node{number}", self.cleanup)
        node.sysctl({"net.ipv4.ip_forward": 1})
        node.ip(
            "link add cni0 type bridge",
            "link set cni0 up",
            f"address add 10.244.{number}.1/24 dev cni0",
        )
        return node

    def _pod(self, pod: str) -> Namespace:
        space, node = Namespace(self.prefix + pod, self.cleanup), self.nodes[PODS[pod]]
        node.ip(
            f"link add {pod} type veth peer eth0 netns {space.name}",
            f"link set {pod} master cni0 up",
        )
        space.ip(
            "link set eth0 up",
            f"address add {pod_ip(pod)}/24 dev eth0",
            f"route add default via 10.244.{PODS[pod]}.1",
        )
        return space

    def _commit(self, variant: Variant) -> None:
        """Have an agent on each node commit its tables and end."""
        with tempfile.TemporaryDirectory(prefix=self.prefix) as path:
            directory, log = Path(path, "manifests"), Path(path, "log")
            directory.mkdir()
            for number, made in enumerate(manifests(variant)):
                text = "".join(json.dumps(each) + "\n" for each in made)
                (directory / f"{number:03}.json").write_text(text, encoding="utf-8")
            for number, node in self.nodes.items():
                flags = ("--run-firewall=true", f"--hostname-override=node{number}")
                agent = Agent(node, from_manifests(directory), log, flags)
                agent.start()
                agent.wait_logged('msg="following"', number, hang_s=HANG_S)
                agent.stop()

    def measure(self, pod: str, traffic: tuple[str, ...], seconds: int) -> float:
        """Send to @pod: what arrived, in Gbit/s or thousand packets a second."""
        argv = ("iperf3", "--json", f"--client={pod_ip(pod)}", f"--time={seconds}", *traffic)
        end = json.loads(self.pods[CLIENT].run(*argv))["end"]
        if "--udp" not in traffic:
            return float(end["sum_received"]["bits_per_second"]) / 1e9
        total = end["sum"]
        return float(total["packets"] - total["lost_packets"]) / float(total["seconds"]) / 1e3


Samples = Mapping[str, Mapping[Variant, list[float]]]


def measure(labs: Mapping[Variant, Lab], plan: Plan) -> Samples:
    """All rows, each with the samples of all variants in the order of the rounds."""
    samples: dict[str, dict[Variant, list[float]]] = defaultdict(lambda: defaultdict(list))
    dice = random.Random(1)
    for number in range(plan.rounds):
        say(f"round {number + 1} of {plan.rounds}")
        for pod, (name, traffic) in itertools.product((NEAR, FAR), TRAFFIC.items()):
            row = f"{'one node' if pod == NEAR else 'across nodes'}: {name}"
            for variant in dice.sample(list(labs), len(labs)):
                made = labs[variant].measure(pod, traffic, plan.seconds)
                samples[row][variant].append(made)
    return samples


def table(samples: Samples) -> str:
    """Medians; behind those with policies, the median of the differences from the baseline in the same
    round."""
    variants = list(next(iter(samples.values())))

    def cells(row: Mapping[Variant, list[float]]) -> Iterator[str]:
        base = row[BASELINE]
        for variant in sorted(variants, key=VARIANTS.index):
            median = f"{statistics.median(row[variant]):.1f}"
            ratios = [made / other - 1 for made, other in zip(row[variant], base, strict=True)]
            if variant is BASELINE:
                low, _, high = statistics.quantiles(base, n=4)
                yield f"{median} ({low:.1f} to {high:.1f})"
            else:
                yield f"{median} ({statistics.median(ratios):+.1%})"

    names = [v.name for v in sorted(variants, key=VARIANTS.index)]
    return report.table(("", *names), ([name, *cells(row)] for name, row in samples.items()))


def main() -> None:
    plan = QUICK if os.environ.get("BENCH_QUICK", "") not in ("", "0") else PLAN
    sweep()
    print(report.machine(), flush=True)
    with contextlib.ExitStack() as cleanup:
        labs = {}
        for variant in VARIANTS:
            say(f"a lab with {variant.name}")
            labs[variant] = Lab(variant, cleanup)
        print(f"\n{table(measure(labs, plan))}")


if __name__ == "__main__":
    main()
