"""etcd, kube-apiserver and kube-controller-manager, on the nodes' network of a cluster.

All three run in a namespace of their own, so that their ports are free, whatever else is on this
machine. Who may do what is decided by RBAC. The programs are those of test/kubernetes/build.
"""

from __future__ import annotations

import collections
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

import yaml

from rig.agent import REPOSITORY, wait_until
from rig.api import kubeconfig
from rig.api.cluster import API_IPS as IPS
from rig.api.cluster import SERVER_NAMES, URLS, ApiCluster
from rig.api.server import PORT
from rig.cluster import SERVICE_RANGES, Host
from rig.objects import Object

from .client import ApiClient, ApiError, NotFound, reference

ETCD_PORT = 2379
PROGRAMS = Path(os.environ.get("BUILD", "build")).absolute() / "kubernetes" / "bin"
MANIFESTS = REPOSITORY / "manifests"

# What the agent is in a cluster, as manifests/rbac.yaml has it.
ACCOUNT = ("kube-system", "kube-router")
USER = f"system:serviceaccount:{':'.join(ACCOUNT)}"

# Without kubelets, others would take the nodes for dead and their pods with them.
CONTROLLERS = (
    "endpointslice-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "serviceaccount-controller",
)
ADMIN = "admin"
# It computes for some seconds before it serves, and several may do so at a time.
START_HANG_S = 300.0
AUDITED = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "None", "users": [ADMIN, "system:apiserver"]}, {"level": "Metadata"}],
}


class Program:
    """One program of the control plane. Its log is one file, however often it is started."""

    def __init__(self, host: Host, directory: Path, argv: Sequence[str]) -> None:
        self.host = host
        self.argv = argv
        self.name = Path(argv[0]).name
        self.log = directory / f"{self.name}.log"
        self.process: subprocess.Popen[str] | None = None

    def start(self, *flags: str) -> None:
        """Start it, with more flags than it always has."""
        with open(self.log, "a", encoding="utf-8") as log:
            self.process = self.host.spawn(
                [*self.argv, *flags], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def stop(self, how: int = signal.SIGTERM) -> None:
        """End it; fine when it does not run."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait()
            self.process = None

    def check(self) -> None:
        """RuntimeError when it has ended by itself."""
        if self.process is None or self.process.poll() is not None:
            text = self.log.read_text(encoding="utf-8", errors="replace")
            raise RuntimeError(f"{self.name} does not run:\n{text[-4000:]}")


class ControlPlane(Host):
    """Made, but not started yet; ended with the cluster. With @audit, requests() tells what was
    asked of the API server."""

    def __init__(self, cluster: ApiCluster, *, audit: bool = True) -> None:
        super().__init__("control", IPS, cluster)
        self.cluster = cluster
        self.directory = cluster.secrets / "control"
        self.directory.mkdir()
        self.admin_token = cluster.canaries.new(ADMIN)
        self.audit_log = self.directory / "audit.log"
        self.etcd = self._program(*self._etcd())
        self.api_server = self._program(*self._api_server(), *(self._audit() if audit else ()))
        self.controller_manager = self._program(*self._controller_manager())
        self.admin = self.client()

    def _program(self, *argv: str) -> Program:
        made = Program(self, self.directory, argv)
        self.cluster.cleanup.callback(made.stop, signal.SIGKILL)
        return made

    def start(self, *, controllers: bool = True) -> None:
        """Start everything. The agent's account is there on return."""
        self.etcd.start()
        self.start_api_server()
        for path in sorted(MANIFESTS.glob("*.yaml")):
            for made in yaml.safe_load_all(path.read_text(encoding="utf-8")):
                self.admin.apply(made)
        if controllers:
            self.controller_manager.start()

    def start_api_server(self, *flags: str) -> None:
        """Start the API server, with @flags behind those it always has; it serves on return."""
        self.api_server.start(*flags)

        def ready() -> bool:
            self.api_server.check()
            try:
                self.admin.raw("GET", "/readyz")
                # The last of what a new cluster has.
                for namespace in ("default", ACCOUNT[0]):
                    self.admin.get(reference("Namespace", namespace))
            except (OSError, ApiError):
                return False
            return True

        wait_until("the API server", ready, hang_s=START_HANG_S)

    def restart_api_server(self, *flags: str, how: int = signal.SIGKILL) -> None:
        """End it and start it again. The controllers begin anew too: otherwise it would be half a
        minute until they try again."""
        self.controller_manager.stop(signal.SIGKILL)
        self.api_server.stop(how)
        self.start_api_server(*flags)
        self.controller_manager.start()

    # What it holds ------------------------------------------------------------------------------

    def put(self, *made: Object) -> None:
        """Create these objects, or make what they say so; their status too."""
        for each in made:
            self.admin.apply({key: value for key, value in each.items() if key != "status"})
            if "status" in each:
                self.admin.patch(each, {"status": each["status"]}, "status")

    def delete(self, *made: Object) -> None:
        """Delete objects at once; fine when they are gone."""
        for each in made:
            with contextlib.suppress(NotFound):
                self.admin.delete(each, gracePeriodSeconds=0)

    def all(self, kind: str) -> list[Object]:
        """All objects of a kind."""
        found = self.admin.list(kind)
        for each in found:
            # Who has written what is nobody's business, and half of the text.
            del each["metadata"]["managedFields"]
        return found

    def compact(self) -> None:
        """Let etcd forget all that was before now."""
        etcd = http.client.HTTPConnection("127.0.0.1", ETCD_PORT)
        etcd.sock = self.socket(socket.AF_INET, socket.SOCK_STREAM)
        etcd.sock.connect(("127.0.0.1", ETCD_PORT))

        def ask(path: str, question: Object) -> Object:
            etcd.request("POST", path, json.dumps(question))
            answer: Object = json.loads(etcd.getresponse().read())
            return answer

        with contextlib.closing(etcd):
            header = ask("/v3/kv/range", {"key": "AA=="})["header"]
            done = ask("/v3/kv/compaction", {"revision": header["revision"], "physical": True})
            if "header" not in done:
                raise RuntimeError(f"etcd: {done}")

    # Who may come in ----------------------------------------------------------------------------

    def client(self, token: str = "", authority: Path | None = None) -> ApiClient:
        """A new client; without a token, one who may do everything."""
        trusted = authority or self.cluster.authority.path
        return ApiClient(self, (IPS[4], PORT), trusted, token or self.admin_token)

    def new_token(self, *, bound_to: Object | None = None) -> str:
        """A token of the agent's account. It ends with the object that it is @bound_to."""
        namespace, name = ACCOUNT
        spec: Object = {"expirationSeconds": 3600}
        if bound_to:
            metadata = bound_to["metadata"]
            spec["boundObjectRef"] = {
                "apiVersion": "v1",
                "kind": bound_to["kind"],
                "name": metadata["name"],
                "uid": metadata["uid"],
            }
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        answer = self.admin.request("POST", path, request)
        return self.cluster.canaries.add(str(answer["status"]["token"]))

    # The programs -------------------------------------------------------------------------------

    def _etcd(self) -> list[str]:
        clients, peers = (f"http://127.0.0.1:{ETCD_PORT + n}" for n in (0, 1))
        return [
            str(PROGRAMS / "etcd"),
            f"--data-dir={self.directory / 'etcd'}",
            f"--listen-client-urls={clients}",
            f"--advertise-client-urls={clients}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}",
            "--log-level=warn",
        ]

    def _api_server(self) -> list[str]:
        serving = self.cluster.authority.server(*SERVER_NAMES)
        accounts = self.cluster.authority.client("accounts")
        tokens = self.directory / "tokens.csv"
        tokens.write_text(f'{self.admin_token},{ADMIN},1,"system:masters"\n', encoding="ascii")
        return [
            str(PROGRAMS / "kube-apiserver"),
            f"--etcd-servers=http://127.0.0.1:{ETCD_PORT}",
            "--bind-address=::",
            f"--advertise-address={IPS[4]}",
            f"--secure-port={PORT}",
            f"--service-cluster-ip-range={','.join(SERVICE_RANGES)}",
            f"--tls-cert-file={serving.certificate}",
            f"--tls-private-key-file={serving.key}",
            f"--client-ca-file={self.cluster.client_authority.path}",
            f"--token-auth-file={tokens}",
            f"--service-account-key-file={accounts.certificate}",
            f"--service-account-signing-key-file={accounts.key}",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--authorization-mode=RBAC",
            # Pods name no account here, and none has a token.
            "--disable-admission-plugins=ServiceAccount",
            # The Service "kubernetes" needs no endpoints.
            "--endpoint-reconciler-type=none",
            # When it ends, it ends watches too, instead of waiting a minute for that.
            "--shutdown-watch-termination-grace-period=1s",
        ]

    def _audit(self) -> list[str]:
        policy = self.directory / "audit.yaml"
        policy.write_text(json.dumps(AUDITED), encoding="ascii")
        return [f"--audit-policy-file={policy}", f"--audit-log-path={self.audit_log}"]

    def _controller_manager(self) -> list[str]:
        user = kubeconfig.with_token(self.admin_token)
        path = self.directory / "admin"
        kubeconfig.write(path, URLS[4], user, self.cluster.authority.path)
        return [
            str(PROGRAMS / "kube-controller-manager"),
            f"--kubeconfig={path}",
            f"--authentication-kubeconfig={path}",
            f"--authorization-kubeconfig={path}",
            f"--controllers={','.join(CONTROLLERS)}",
            "--bind-address=127.0.0.1",
            "--leader-elect=false",
        ]

    # What it was asked --------------------------------------------------------------------------

    def transcript(self) -> str:
        """All that was asked so far, as audit events."""
        return self.audit_log.read_text(encoding="utf-8") if self.audit_log.exists() else ""

    def requests(self, user: str = USER) -> list[Object]:
        """What @user has asked of the API server so far, each as its last audit event. Whoever is not
        let in is called ""."""
        found: dict[str, Object] = {}
        with open(self.audit_log, encoding="utf-8") as log:
            for line in log:
                # The last one may be under way.
                event = json.loads(line) if line.endswith("\n") else None
                if event and event["user"].get("username", "") == user:
                    found[event["auditID"]] = event
        return list(found.values())

    def lists(self) -> collections.Counter[str]:
        """How often the agent was given all objects of each kind, by a list or a watch that begins
        with one. Further pages of a list do not count."""
        return collections.Counter(
            request["objectRef"]["resource"]
            for request in self.requests()
            if request["responseStatus"]["code"] == 200
            and (
                "sendInitialEvents=true" in request["requestURI"]
                or (request["verb"] == "list" and "continue=" not in request["requestURI"])
            )
        )
