"""The agent's tables as data: what two namespaces, or two moments, are compared by."""

from __future__ import annotations

import contextlib
import difflib
import re
import socket
import struct

from .agent import Agent, wait_until
from .netns import Namespace
from .ruleset import TABLES, without_counts

# A table's content: the lines of each set and chain. Elements are sorted, rules are not.
State = dict[str, tuple[str, ...]]

NETLINK_NETFILTER = 12
NFT_MSG_GETGEN = 10 << 8 | 16
NFTA_GEN_ID = 1


def nftables_socket(space: Namespace) -> socket.socket:
    """To be kept by whoever asks often: to close it may take long behind a commit, since the kernel
    waits until all is freed that the commit has deleted."""
    return space.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)


def read_generation(sock: socket.socket) -> int:
    """The same as generation(), of the namespace that this nftables_socket() is in."""
    sock.send(struct.pack("=IHHIIBBH", 20, NFT_MSG_GETGEN, 1, 0, 0, 0, 0, 0))
    kind, number = struct.unpack_from(">2xHI", sock.recv(4096), 20)
    assert kind == NFTA_GEN_ID << 8 or kind == NFTA_GEN_ID
    return number


def generation(space: Namespace) -> int:
    """A number that every commit in this namespace changes, whoever made it."""
    with nftables_socket(space) as sock:
        return read_generation(sock)


def _lines(text: str) -> list[str]:
    """The lines of a set or chain without what only the layout puts there."""
    lines = (re.sub(r"^\s*(elements = \{ )?|( \}|,)$", "", line) for line in text.splitlines())
    return [line for line in lines if line]


def _elements(text: str) -> list[str]:
    """The same of a set or map, sorted; several short elements share a line of the listing."""
    return sorted(element for line in _lines(text) for element in line.split(", "))


def parse(listing: str) -> State:
    """What nft(8) listed, without the order that follows from history and hashes."""
    state: State = {}
    for table in re.finditer(r"^table (\w+) .*?^\}", listing, re.MULTILINE | re.DOTALL):
        family, text = table[1], table[0]
        # Table flags and comment stand before the first block.
        head = re.split(r"^\t\w+ \S+ \{$", text, maxsplit=1, flags=re.MULTILINE)[0]
        state[family] = tuple(head.splitlines())
        for block in re.finditer(r"^\t(\w+ \S+) \{\n(.*?)^\t\}", text, re.MULTILINE | re.DOTALL):
            of_chain = block[1].startswith("chain")
            lines = _lines(block[2]) if of_chain else _elements(block[2])
            state[f"{family} {block[1]}"] = tuple(lines)
    return state


def read(space: Namespace) -> State:
    """The tables at one moment. A listing that a commit disturbed may be of two."""
    while True:
        before = generation(space)
        listings = (space.run("nft", "list", "table", t, "kube-nft", check=False) for t in TABLES)
        state = parse(without_counts("".join(listings)))
        if generation(space) == before:
            return state


def lasting(state: State) -> State:
    """Without the dispatch chains, which stay for a while when nobody uses them any more."""
    return {n: lines for n, lines in state.items() if not re.search(r" chain \S+-\d+$", n)}


def of_family(state: State, family: str) -> State:
    """One of the two tables."""
    return {name: lines for name, lines in state.items() if name.split()[0] == family}


def differences(found: State, wanted: State) -> str:
    """Readable, for a failed test."""

    def flat(state: State) -> list[str]:
        return [f"{n}: {line}" for n, lines in sorted(state.items()) for line in (*lines, "end")]

    return "\n".join(difflib.unified_diff(flat(wanted), flat(found), "wanted", "found", n=0))


def wait_equal(agent: Agent, wanted: State, *, hang_s: float = 120.0) -> None:
    """Wait until the tables of @agent are @wanted; AssertionError with the difference if never."""
    assert wanted
    found: list[State] = [{}]

    def equal() -> bool:
        found[0] = read(agent.space)
        return found[0] == wanted or not agent.running

    with contextlib.suppress(TimeoutError):
        wait_until("the tables to be as wanted", equal, hang_s=hang_s)
    if found[0] != wanted:
        what = differences(found[0], wanted)
        story = f"{agent.command}\nrunning: {agent.running}\n{agent.log()[-4000:]}"
        raise AssertionError(f"{what}\n{story}")
