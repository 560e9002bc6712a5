"""A cluster whose agent is told its objects by a scripted API server.

The server has a host of its own on the nodes' network, 192.168.50.5 and fd50::5. All that is
secret is in the folder `secrets` of the cluster's directory. Nothing else that was written there,
no table of a node and nothing that the server was asked may hold any of it (row S7): otherwise the
end of the cluster is an AssertionError.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from rig import objects, state
from rig.agent import Agent, from_manifests
from rig.cluster import FLAGS, MARKER_ENDPOINTS, MARKER_IPS, Cluster, Host
from rig.netns import Namespace, unique_prefix
from rig.objects import Object

from . import kubeconfig, scripts
from .canary import Canaries
from .certificates import Authority
from .server import PORT, ApiServer, Rule
from .store import BY_KIND

API_IPS = {4: "192.168.50.5", 6: "fd50::5"}
SERVER_NAMES = ("DNS:kubernetes", *(f"IP:{ip}" for ip in API_IPS.values()))
URLS = {4: f"https://{API_IPS[4]}:{PORT}", 6: f"https://[{API_IPS[6]}]:{PORT}"}
ALL_LOGGED = "-v=9"
# The resources that an agent for Services follows.
KINDS = ("services", "endpointslices", "nodes")


class ApiCluster(Cluster):
    """As Cluster; apply() puts objects into `api`, remove() deletes them."""

    def _build(self) -> None:
        super()._build()
        self.applied: dict[str, tuple[Object, ...]] = {}
        self.canaries = Canaries()
        self.secrets = self.directory / "secrets"
        self.secrets.mkdir()
        self.authority = Authority(self.secrets / "ca", "rig", self.canaries)
        self.client_authority = Authority(self.secrets / "client-ca", "clients", self.canaries)
        self._start_api()
        self.token = self.new_token()

    def _start_api(self) -> None:
        self.api_host = Host("api", API_IPS, self)
        certificate = self.authority.server(*SERVER_NAMES)
        self.api = ApiServer(self.api_host, certificate, self.client_authority.path)
        self.cleanup.enter_context(self.api)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.ExitStack() as last:
            last.callback(super().__exit__, kind, error, trace)
            for agent in self.agents:
                agent.kill()
            self.check_secrets()

    def new_token(self) -> str:
        """A token that the server accepts from now on."""
        token = self.canaries.new("token")
        self.api.tokens.add(token)
        return token

    def check_secrets(self) -> None:
        """AssertionError when a secret is where it should not be."""
        texts = {
            str(path.relative_to(self.directory)): path.read_text(
                encoding="utf-8", errors="replace"
            )
            for path in self.directory.rglob("*")
            if path.is_file() and self.secrets not in path.parents
        }
        for node in self.nodes:
            texts[f"tables of {node.host_name}"] = node.run("nft", "list", "ruleset")
        texts["requests"] = self.api.transcript()
        self.canaries.check(texts)

    # Agents -----------------------------------------------------------------------------------

    @property
    def source(self) -> Sequence[str]:
        """The flags of an agent that is known by `token`."""
        return self.kubeconfig(kubeconfig.with_token(self.token))

    def kubeconfig(
        self, user: Object, *, url: str = URLS[4], name: str = "kubeconfig", **cluster: object
    ) -> tuple[str, ...]:
        """Write a kubeconfig; the flags of an agent that uses it."""
        path = self.secrets / name
        kubeconfig.write(path, url, user, self.authority.path, **cluster)
        return (f"--kubeconfig={path}",)

    def agent(
        self,
        *,
        source: Sequence[str] | None = None,
        flags: Sequence[str] = (*FLAGS, ALL_LOGGED),
        **options: object,
    ) -> Agent:
        """As in Cluster; it logs all that it can."""
        return super().agent(source=source, flags=flags, **options)  # type: ignore[arg-type]

    def whole(self) -> state.State:
        """What a new agent on a node like node1 commits that reads the objects from files."""
        with contextlib.ExitStack() as cleanup:
            directory = Path(cleanup.enter_context(tempfile.TemporaryDirectory(dir=self.directory)))
            everything = [o for kind in BY_KIND for o in self.api.all(kind)]
            objects.write_manifest(directory, "all", *everything)
            space = Namespace(unique_prefix() + "whole", cleanup)
            for addresses in (self.node1.ips, self.node1.gateways):
                space.ip(*(f"address add {address} dev lo" for address in addresses.values()))
            log = self.directory / "whole.log"
            log.unlink(missing_ok=True)
            agent = Agent(space, from_manifests(directory), log, FLAGS)
            cleanup.callback(agent.kill)
            agent.start()
            agent.wait_logged('msg="following"')
            return state.read(space)

    # Objects ----------------------------------------------------------------------------------

    def apply(self, name: str, *made: Object) -> None:
        """Put objects, which are known by @name; those that it had before and lacks now are
        deleted."""
        before = self.applied.get(name, ())
        self.applied[name] = made
        kept = {_key(o) for o in made}
        self.api.put(*made)
        self.api.delete(*(o for o in before if _key(o) not in kept))

    def remove(self, name: str) -> None:
        """Delete what was applied as @name."""
        self.api.delete(*self.applied.pop(name))

    def hold_watches(self) -> Rule:
        """Have all watches begin anew, and be told nothing until this is off."""
        held = self.api.on("watch", script=scripts.silent)
        mark = self.api.mark
        self.api.close_watches()
        for kind in KINDS:
            self.api.wait_asked("watch", resource=kind, since=mark)
        return held

    def settle(self, agent: Agent) -> None:
        """As in Cluster. Services and EndpointSlices come in their order, but not in that of one
        another, so that both must show."""
        self._marks += 1
        target = 10000 + self._marks
        port = objects.port(self._marks, target=target)
        marker = objects.service("marker", MARKER_IPS.values(), [port])
        slices = [
            objects.slice_of(marker, [objects.endpoint(ip, "node2")], family=family)
            for family, ip in MARKER_ENDPOINTS.items()
        ]
        self.apply("zz-marker", marker, *slices)
        wanted = {
            f: (f"{MARKER_IPS[f]} . tcp . {self._marks} ", f": {MARKER_ENDPOINTS[f]} . {target}")
            for f in (4, 6)
        }
        self._wait_listed(agent, "endpoints", wanted)


def _key(o: Object) -> tuple[str, str, str]:
    metadata = o["metadata"]
    return o["kind"], metadata.get("namespace", ""), metadata["name"]
