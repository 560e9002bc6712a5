"""Netlink that fails: the kernel's tables and the agent come together again."""

from __future__ import annotations

import errno
import ipaddress
import os
import signal
from collections.abc import Iterator

import pytest

from rig import objects, state
from rig.agent import wait_until
from rig.faults import Fault
from rig.lone import ADDRESSES, LoneNode, lone_node
from rig.web import Changes, populate, web

ERRORS = [errno.ENOENT, errno.EEXIST, errno.EBUSY, errno.EINVAL, errno.EOVERFLOW, errno.ENOSPC]
READ_BACK = "commit failed, reading the tables back"
SET_ASIDE = 'msg="object set aside'
BAD_IPS = {4: "10.96.66.66", 6: "fd96::6666"}


@pytest.fixture
def node() -> Iterator[LoneNode]:
    """A node whose agent runs and obeys `node.faults`."""
    with lone_node(faulty=True) as made:
        populate(made)
        made.start()
        yield made


@pytest.fixture
def changes(node: LoneNode) -> Changes:
    return Changes(node)


def web_on_node_port() -> list[objects.Object]:
    made = objects.service(
        "port", ["10.96.2.1", "fd96::2:1"], [objects.port(80, node_port=30123)]
    )
    return [made]


def bad_service(number: int) -> objects.Object:
    """One that wants a loopback address."""
    ip = f"10.96.{16 + number // 250}.{1 + number % 250}"
    return objects.service(f"bad-{number}", [ip], externalIPs=["127.0.0.1"])


# N3 ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", ERRORS, ids=errno.errorcode.get)
def test_N3_refused_commit_is_read_back(node: LoneNode, changes: Changes, error: int) -> None:
    # A commit, the search for what is at fault, and the same again while it compares.
    for count in range(1, 6):
        node.faults.arm(Fault.REFUSE, count=count, error=error)
        changes.one()
        node.faults.wait_hits(count)
        node.check()
        assert len(node.agent.logged(READ_BACK)) == count
    assert not node.agent.logged(SET_ASIDE)


def test_N3_refused_sweep_is_made_up_for(node: LoneNode) -> None:
    node.apply("web-9", *web(9, 7))
    node.check()
    # The chains of seven endpoints go later, in a commit of their own.
    node.faults.arm(Fault.REFUSE, skip=1, error=errno.EBUSY)
    os.unlink(node.manifests / "web-9.yaml")
    node.faults.wait_hits()
    node.check()
    assert node.agent.logged("unused sets and chains are left")
    assert not node.agent.logged(READ_BACK)


def test_sweep_is_not_put_off_by_changes(node: LoneNode, changes: Changes) -> None:
    node.apply("web-9", *web(9, 7))
    node.check()
    assert "ip chain lb-7" in state.read(node.space)
    os.unlink(node.manifests / "web-9.yaml")

    def swept() -> bool:
        synced = len(node.agent.logged('msg="synced"'))
        changes.one()
        node.agent.wait_logged('msg="synced"', synced + 1)
        return "ip chain lb-7" not in state.read(node.space)

    wait_until("the sweep", swept)


# N4 ----------------------------------------------------------------------------------------------


def test_N4_killed_right_behind_a_commit(node: LoneNode, changes: Changes) -> None:
    for _ in range(3):
        old = state.lasting(state.read(node.space))
        node.faults.arm(Fault.KILL)
        changes.one()
        assert node.agent.process and node.agent.process.wait(20) == -signal.SIGKILL
        found = state.lasting(state.read(node.space))
        node.faults.disarm()
        assert found != old
        assert found == state.lasting(node.whole())
        node.start()
        node.check()


# N5 ----------------------------------------------------------------------------------------------


def test_N5_overflow_of_notifications_is_an_unknown_change(node: LoneNode) -> None:
    node.faults.arm(Fault.LOSE_EVENTS)
    wanted = state.read(node.space)
    node.space.run("nft", "flush", "map", "ip", "kube-nft", "services")
    node.faults.wait_hits()
    state.wait_equal(node.agent, wanted)
    assert not node.agent.logged("level=error")


def drops(node: LoneNode) -> int:
    """What the agent's sockets have lost in this namespace."""
    rows = [line.split() for line in node.space.run("cat", "/proc/net/netlink").splitlines()[1:]]
    return sum(int(row[8]) for row in rows if row[1] == "12")


def test_N5_a_flood_by_others_does_not_hide_a_change(node: LoneNode) -> None:
    wanted = state.read(node.space)
    numbers = ", ".join(str(n) for n in range(20000))
    fill = f"add element ip other numbers {{ {numbers} }}"
    node.space.run("nft", "add table ip other; add set ip other numbers { type mark; }")
    node.agent.signal(signal.SIGSTOP)
    # Until its queue is full, so that what comes then is lost.
    while drops(node) == 0:
        node.space.run("nft", "-f", "-", stdin=f"{fill}\nflush set ip other numbers\n")
    node.space.run("nft", "flush", "map", "ip", "kube-nft", "services")
    node.agent.signal(signal.SIGCONT)
    state.wait_equal(node.agent, wanted)


# N7 ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [errno.EINTR, errno.EAGAIN], ids=errno.errorcode.get)
def test_N7_send_is_tried_again(node: LoneNode, changes: Changes, error: int) -> None:
    node.faults.arm(Fault.SEND, count=3, error=error)
    changes.one()
    node.faults.wait_hits(3)
    node.check()
    assert not node.agent.logged(READ_BACK)


def test_N7_receive_is_tried_again(node: LoneNode, changes: Changes) -> None:
    # The first answer is a commit's, those behind SIGHUP are parts of dumps.
    node.faults.arm(Fault.RECEIVE, error=errno.EINTR)
    changes.one()
    node.faults.wait_hits()
    node.check()
    for skip in range(40):
        node.faults.arm(Fault.RECEIVE, skip=skip, error=errno.EINTR)
        compared = len(node.agent.logged("tables are as wanted"))
        node.agent.signal(signal.SIGHUP)
        node.agent.wait_logged("tables are as wanted", compared + 1)
        assert node.faults.hits == 1
    assert not node.agent.logged("level=(warn|error)")


def test_N7_overflow_of_answers_is_an_unknown_outcome(node: LoneNode, changes: Changes) -> None:
    done, unknown = 'msg="synced"', "what became of it is unknown"
    # The first answers are to questions about counts: they are lost, and the commit goes on.
    while not node.agent.logged(unknown):
        before = len(node.agent.logged(done))
        # Each occasion in each of the three kinds of change.
        node.faults.arm(Fault.RECEIVE, skip=changes.n // 3, error=errno.ENOBUFS)
        changes.one()
        node.agent.wait_logged(f"{done}|{unknown}", before + 1)
        node.check()
    assert changes.n > 3
    node.agent.wait_logged("tables are as wanted")
    node.check()


@pytest.mark.parametrize("error", [errno.EMSGSIZE, errno.ENOBUFS], ids=errno.errorcode.get)
def test_N7_batch_that_was_not_taken_is_made_up_for(
    node: LoneNode, changes: Changes, error: int
) -> None:
    for count in range(1, 6):
        node.faults.arm(Fault.SEND, count=count, error=error)
        changes.one()
        node.faults.wait_hits(count)
        node.check()
    assert not node.agent.logged(SET_ASIDE)


# N8 ----------------------------------------------------------------------------------------------


def test_N8_lost_reply_is_looked_up_not_sent_again(node: LoneNode, changes: Changes) -> None:
    node.faults.arm(Fault.LOSE_REPLY)
    changes.one()
    node.agent.wait_logged("tables are as wanted")
    node.check()
    assert node.agent.logged("no answer, what became of it is unknown")
    assert not node.agent.logged("foreign change repaired")


def test_N8_lost_request_is_sent_again(node: LoneNode, changes: Changes) -> None:
    node.faults.arm(Fault.LOSE_REQUEST)
    changes.one()
    node.agent.wait_logged("elements differ")
    node.check()
    assert node.agent.logged("no answer, what became of it is unknown")


@pytest.mark.parametrize("fault", [Fault.LOSE_REPLY, Fault.LOSE_REQUEST])
def test_N8_answers_stay_away_for_a_while(node: LoneNode, changes: Changes, fault: Fault) -> None:
    node.faults.arm(fault, count=4)
    changes.one()
    node.faults.wait_hits(1 if fault == Fault.LOSE_REPLY else 4)
    node.check()
    assert not node.agent.logged(SET_ASIDE)


@pytest.mark.parametrize("fault", [Fault.LOSE_REPLY, Fault.LOSE_REQUEST])
def test_N8_reply_lost_while_tables_are_replaced(node: LoneNode, fault: Fault) -> None:
    node.faults.arm(fault)
    node.space.run("nft", "flush", "ruleset")
    node.faults.wait_hits()
    node.check()


# O8 ----------------------------------------------------------------------------------------------


def in_chain_name(address: str) -> str:
    """An address as the names of chains have it."""
    if ":" not in address:
        return address
    return ".".join(f"{int(g, 16):x}" for g in ipaddress.ip_address(address).exploded.split(":"))


def lines_of(found: state.State, name: str) -> set[tuple[str, str]]:
    """The elements of this Service and the rules of its own chains, each with its set or chain. Its
    endpoints and the other chains are also others'."""
    mark = f'comment "default/{name}"'
    own = {(where, line) for where, lines in found.items() for line in lines if mark in line}
    addresses = {line.partition(" . ")[0] for _, line in own}
    chains = tuple(f"chain {w}-{in_chain_name(a)}-" for w in ("recall", "learn") for a in addresses)
    for where, lines in found.items():
        if where.endswith("set service-addresses"):
            own |= {(where, line) for line in lines if line in addresses}
        elif any(chain in where for chain in chains):
            own |= {(where, line) for line in lines}
    return own


def without(wanted: state.State, name: str) -> state.State:
    """As if this Service had no elements."""
    own = lines_of(wanted, name)
    rest = {k: tuple(line for line in v if (k, line) not in own) for k, v in wanted.items()}
    return {k: v for k, v in rest.items() if v or not wanted[k]}


def check_others(node: LoneNode, *bad: str) -> None:
    """All but the Services that were set aside are programmed."""
    wanted = node.whole()
    for name in bad:
        assert without(wanted, name) != wanted
        wanted = without(wanted, name)
    state.wait_equal(node.agent, wanted)


def refuse(node: LoneNode, family: int) -> None:
    """Have the kernel refuse what adds elements of the Service "bad"."""
    node.faults.arm(Fault.SPOIL, count=2**31, address=BAD_IPS[family])


def test_O8_refused_object_costs_nobody_else(node: LoneNode, changes: Changes, family: int) -> None:
    refuse(node, family)
    bad = web(0, 2, ips=list(BAD_IPS.values()), name="bad")
    node.apply("mixed", *web(30, 2), *bad, *web(31, 3))
    changes.one()
    node.agent.wait_logged(SET_ASIDE + '.* object="service default/bad"')
    check_others(node, "bad")

    # What comes later is a difference again.
    read_back = len(node.agent.logged(READ_BACK))
    changes.one()
    check_others(node, "bad")
    assert len(node.agent.logged(READ_BACK)) == read_back
    assert len(node.agent.logged(SET_ASIDE)) == 1


def test_O8_is_tried_again_when_it_changes(node: LoneNode, family: int) -> None:
    refuse(node, family)
    ips = list(BAD_IPS.values())
    for n in range(1, 3):
        node.apply("bad", *web(0, n, ips=ips, name="bad"))
        node.agent.wait_logged(SET_ASIDE, n)
        check_others(node, "bad")
    node.faults.disarm()
    node.apply("bad", *web(0, 3, ips=ips, name="bad"))
    node.check()
    assert len(node.agent.logged(SET_ASIDE)) == 2


def with_lines_of(wanted: state.State, old: state.State, name: str) -> state.State:
    """The elements of this Service as they were in @old, all else as in @wanted."""
    own, kept = lines_of(wanted, name), lines_of(old, name)
    touched = {where for where, _ in own | kept}
    rest = without(wanted, name)
    return {
        k: tuple(sorted((*rest.get(k, ()), *(line for line in old[k] if (k, line) in kept))))
        if k in touched and "chain" not in k
        else v
        for k, v in wanted.items()
    }


def test_O8_keeps_its_last_good_elements(node: LoneNode, changes: Changes, family: int) -> None:
    ips = list(BAD_IPS.values())
    node.apply("mixed", *web(30, 2), *web(0, 2, ips=ips, name="bad"), *web(31, 3))
    node.check()
    old = state.lasting(state.read(node.space))
    refuse(node, family)
    node.apply("mixed", *web(30, 3), *web(0, 3, ips=ips, name="bad"), *web(31, 2))
    node.agent.wait_logged(SET_ASIDE + '.* object="service default/bad" keeps="what it had')
    wanted = with_lines_of(state.lasting(node.whole()), old, "bad")
    assert wanted not in (old, state.lasting(node.whole()))
    wait_until("the others", lambda: state.lasting(state.read(node.space)) == wanted)

    # What comes later is a difference again, and what it had stays.
    read_back = len(node.agent.logged(READ_BACK))
    changes.one()
    wanted = with_lines_of(state.lasting(node.whole()), old, "bad")
    wait_until("the others", lambda: state.lasting(state.read(node.space)) == wanted)
    assert len(node.agent.logged(READ_BACK)) == read_back

    # It is tried again when it changes.
    node.faults.disarm()
    node.apply("mixed", *web(30, 3), *web(0, 1, ips=ips, name="bad"), *web(31, 2))
    node.check()
    assert len(node.agent.logged(SET_ASIDE)) == 1


def test_O8_removed_and_made_again(node: LoneNode) -> None:
    refuse(node, 4)
    node.apply("bad", *web(0, 2, ips=list(BAD_IPS.values()), name="bad"))
    node.agent.wait_logged(SET_ASIDE)
    os.unlink(node.manifests / "bad.yaml")
    node.check()
    node.faults.disarm()
    node.apply("bad", *web(0, 2, ips=list(BAD_IPS.values()), name="bad"))
    node.check()


def test_O8_at_the_start(family: int) -> None:
    with lone_node(faulty=True) as node:
        populate(node)
        node.apply("bad", *web(0, 2, ips=list(BAD_IPS.values()), name="bad"))
        refuse(node, family)
        node.start()
        check_others(node, "bad")
        assert node.agent.logged(SET_ASIDE + '.* object="service default/bad"')


def test_O8_several_at_once(node: LoneNode) -> None:
    # Neighbours: all keys that begin with these three bytes are refused.
    node.faults.arm(Fault.SPOIL, count=2**31, address="10.96.77.0", prefix=3)
    names = [f"bad-{n}" for n in range(5)]
    bad = [o for n, name in enumerate(names) for o in web(0, 2, ips=[f"10.96.77.{n}"], name=name)]
    node.apply("mixed", *web(30, 2), *bad, *web(31, 2))
    node.agent.wait_logged(SET_ASIDE, len(names))
    check_others(node, *names)


# Others -------------------------------------------------------------------------------------------


def test_H1_host_addresses_that_could_not_be_read() -> None:
    """Nothing else tells of the new address, and still it is served."""
    with lone_node(["--nodeport-bindon-all-ip"], faulty=True) as node:
        populate(node)
        node.apply("port", *web_on_node_port())
        node.start()
        failed = "the host's addresses can't be read"
        for address in ADDRESSES[2:]:
            before = len(node.agent.logged(failed))
            # Something else that the agent does meanwhile may take some of these.
            node.faults.arm(Fault.MEMORY, count=3)
            node.toggle_address(address)
            node.agent.wait_logged(failed, before + 1)
            wanted = f"{address.split('/')[0]} . tcp . 30123 "
            node.agent.wait_until(
                f"{address} to be served",
                lambda w=wanted: w in "".join(map("".join, state.read(node.space).values())),
            )
        node.check()


def test_B_flood_of_bad_objects_is_logged_in_part(node: LoneNode) -> None:
    """Ten thousand Services, each with an address that is refused."""
    node.apply("bad", *(bad_service(n) for n in range(10000)))
    node.agent.wait_logged("too many records of this kind")
    node.check()
    written = len(node.agent.logged("service degraded|manifest refused"))
    dropped = sum(int(line.split("dropped=")[1]) for line in node.agent.logged("dropped="))
    assert written + dropped >= 10000
    # A hundred, and one for each second that reading and computing took.
    assert written < 1000
