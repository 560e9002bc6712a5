"""A node without pods: an agent, its manifests, and new agents to compare it with."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from . import objects, state
from .agent import Agent, from_manifests
from .faults import Faults
from .netns import Namespace, unique_prefix
from .universe import RANGES

ADDRESSES = ("192.168.50.11/32", "fd50::11/128", "192.168.60.1/32", "fd60::1/128")
MARKER_IPS = ("10.96.255.254", "fd96::fffe")


class LoneNode:
    """The agent is not started yet. Everything goes with @cleanup."""

    def __init__(
        self,
        cleanup: contextlib.ExitStack,
        flags: Sequence[str] = (),
        *,
        faulty: bool = False,
    ) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="kube-nft-"))
        cleanup.callback(shutil.rmtree, self.directory, ignore_errors=True)
        self.manifests = self.directory / "manifests"
        self.manifests.mkdir()
        self.flags = ["--enable-ipv6=true", *RANGES, *flags]
        self.addresses = set(ADDRESSES[:2])
        self.marks = 0
        self.space = self.namespace(cleanup)
        self.faults = Faults(cleanup, self.directory)
        self.agent = self._agent(self.space, cleanup, self.faults.wrapper if faulty else ())

    def namespace(self, cleanup: contextlib.ExitStack) -> Namespace:
        """A namespace with the addresses that this node has now."""
        space = Namespace(unique_prefix() + "lone", cleanup)
        space.ip(*(f"address add {a} dev lo" for a in self.addresses))
        return space

    def toggle_address(self, address: str) -> None:
        """The host gets an address or loses it."""
        how = "delete" if address in self.addresses else "add"
        self.addresses ^= {address}
        self.space.ip(f"address {how} {address} dev lo")

    def _agent(
        self, space: Namespace, cleanup: contextlib.ExitStack, wrapper: Sequence[str] = ()
    ) -> Agent:
        log = self.directory / f"{space.name}.log"
        made = Agent(space, from_manifests(self.manifests), log, self.flags, wrapper=wrapper)
        cleanup.callback(made.kill)
        return made

    def apply(self, name: str, *made: objects.Object) -> None:
        """Put objects into the manifest @name."""
        objects.write_manifest(self.manifests, name, *made)

    def start(self) -> None:
        """Start the agent and wait for its first commit."""
        begun = len(self.agent.logged('msg="following"')) if self.agent.log_path.exists() else 0
        self.agent.start()
        self.agent.wait_logged('msg="following"', begun + 1)

    def whole(self) -> state.State:
        """What a new agent, elsewhere, commits at once."""
        with contextlib.ExitStack() as cleanup:
            agent = self._agent(self.namespace(cleanup), cleanup)
            agent.start()
            agent.wait_logged('msg="following"')
            return state.read(agent.space)

    def check(self) -> None:
        """The agent comes to the same as one that sees the end only."""
        self.marks += 1
        # Without it the agent might be as wanted before it has even seen the last change.
        self.apply("marker", objects.service("marker", MARKER_IPS, [objects.port(self.marks)]))
        state.wait_equal(self.agent, self.whole())
        assert self.agent.running


@contextlib.contextmanager
def lone_node(flags: Sequence[str] = (), *, faulty: bool = False) -> Iterator[LoneNode]:
    """A node for one test; its agent obeys `faults` if it is @faulty."""
    with contextlib.ExitStack() as cleanup:
        yield LoneNode(cleanup, flags, faulty=faulty)
