"""Print what kube-nft and kube-proxy cost in a cluster with a real API server. Started by
test/bench/run-cluster.

One after the other, each on a node of its own. No figure makes it fail; something that does not work
does.
"""

from __future__ import annotations

import os

from rig.api import kubeconfig
from rig.cluster import FLAGS, POD_RANGES
from rig.live.cluster import LiveCluster
from rig.live.control_plane import PROGRAMS
from rig.netns import sweep

import filling
import report
from figures import QUICK, Plan, measure, say
from proxies import Proxy

KUBE_PROXY = """\
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
hostnameOverride: node2
clusterCIDR: {pods}
clientConnection: {{kubeconfig: {kubeconfig}}}
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
conntrack: {{maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}}
"""


def kube_nft(cluster: LiveCluster) -> Proxy:
    """The agent on node1, with the rights that it is shipped with."""
    agent = cluster.agent(flags=FLAGS)
    return Proxy(
        "kube-nft",
        cluster.node1,
        agent.argv,
        "kube-nft",
        "services",
        agent.log_path,
        'msg="following"',
    )


def kube_proxy(cluster: LiveCluster) -> Proxy:
    """kube-proxy on node2."""
    user = kubeconfig.with_token(cluster.api.admin_token)
    (flag,) = cluster.kubeconfig(user, name="kube-proxy")
    config = cluster.directory / "kube-proxy.yaml"
    pods = ",".join(POD_RANGES.values())
    config.write_text(KUBE_PROXY.format(pods=pods, kubeconfig=flag.partition("=")[2]), "utf-8")
    argv = [str(PROGRAMS / "kube-proxy"), f"--config={config}"]
    log = cluster.directory / "kube-proxy.log"
    return Proxy("kube-proxy", cluster.node2, argv, "kube-proxy", "service-ips", log)


def main() -> None:
    plan = QUICK if os.environ.get("BENCH_QUICK", "") not in ("", "0") else Plan()
    only = os.environ.get("BENCH_ONLY", "")
    machine = report.machine()
    sweep()
    with LiveCluster(lean=True) as cluster:
        say(f"filling the API server with {plan.size}")
        filled_s = filling.fill(cluster.api, plan.size)
        proxies = [p for p in (kube_nft(cluster), kube_proxy(cluster)) if only in p.name]
        results = {p.name: measure(cluster, p, plan, turn) for turn, p in enumerate(proxies)}
    print(report.cluster_text(machine, plan, filled_s, results))


if __name__ == "__main__":
    main()
