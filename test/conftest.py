"""Clusters for the tests. Whatever ends the run, nothing is left of them."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

from rig.agent import PROGRAM, REPOSITORY, Agent
from rig.client import kernel_has_sctp
from rig.cluster import Cluster
from rig.netns import sweep

PROTOCOLS = ["TCP", "UDP", "SCTP"] if kernel_has_sctp() else ["TCP", "UDP"]


def _end(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt


def pytest_configure() -> None:
    signal.signal(signal.SIGTERM, _end)
    sweep()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if "SCTP" not in PROTOCOLS:
        terminalreporter.write_line(
            "note: no SCTP sockets in this kernel; test_sctp.py and test_verdicts.py do without"
        )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "family" in metafunc.fixturenames:
        metafunc.parametrize("family", [4, 6], ids=["ipv4", "ipv6"])
    if "protocol" in metafunc.fixturenames:
        metafunc.parametrize("protocol", PROTOCOLS, ids=str.lower)
    if "client" in metafunc.fixturenames:
        metafunc.parametrize("client", ["pod", "node", "outside"])


def _with_pods(cluster: Cluster) -> Cluster:
    cluster.add_pods(cluster.node1, "web-1", "web-2", "shell")
    cluster.add_pods(cluster.node2, "web-3", "web-4")
    return cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """web-1, web-2 and the client pod shell on node1, where the agent is; web-3, web-4 on node2.
    For tests that only add manifests of their own; one cluster serves a whole file."""
    with Cluster() as made:
        yield _with_pods(made)


@pytest.fixture(scope="module")
def agent(cluster: Cluster) -> Agent:
    """The agent that runs in `cluster`."""
    made = cluster.agent()
    made.start()
    cluster.settle(made)
    return made


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    """The same as `cluster`, for one test alone."""
    with Cluster() as made:
        yield _with_pods(made)


@pytest.fixture
def own_agent(own_cluster: Cluster) -> Agent:
    """The agent that runs in `own_cluster`."""
    made = own_cluster.agent()
    made.start()
    own_cluster.settle(made)
    return made


@pytest.fixture(scope="session")
def upgraded() -> str:
    """An agent of the next version, so to speak: built with a template that is not the same."""
    build = Path(PROGRAM).parent / "upgraded"
    build.mkdir(exist_ok=True)
    # Several files are run at a time, and two of them want it.
    with open(build / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _build_upgraded(build)


def _build_upgraded(build: Path) -> str:
    template = build / "table.nft"
    text = (REPOSITORY / "nft-templates" / "table.nft").read_text(encoding="utf-8")
    changed = text.replace("\tchain refuse {\n", "\tchain refuse {\n\t\tcounter\n")
    assert changed != text
    if not template.exists() or template.read_text(encoding="utf-8") != changed:
        template.write_text(changed, encoding="utf-8")
        shutil.rmtree(build / "src", ignore_errors=True)
    defines = f"-DTEMPLATE_FILE='\"{template}\"'"
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS")}
    program = build / "kube-nft"
    subprocess.run(
        ["make", "-j2", f"BUILD={build}", f"CPPFLAGS={defines}", str(program)],
        cwd=REPOSITORY,
        env=environment,
        check=True,
    )
    return str(program)
