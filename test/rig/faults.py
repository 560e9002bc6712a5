"""Faults of netlink and memory inside an agent, by shim/fault.c."""

from __future__ import annotations

import contextlib
import enum
import functools
import ipaddress
import mmap
import os
import struct
import subprocess
from pathlib import Path

from .agent import REPOSITORY, wait_until

SOURCE = Path(__file__).parent / "shim" / "fault.c"
CFLAGS = "-std=gnu17 -D_GNU_SOURCE= -O2 -Wall -Wextra -Werror -shared -fPIC".split()


class Fault(enum.IntEnum):
    """As in shim/fault.c, which says what each does."""

    NONE = 0
    REFUSE = 1
    SEND = 2
    LOSE_REQUEST = 3
    LOSE_REPLY = 4
    RECEIVE = 5
    LOSE_EVENTS = 6
    SPOIL = 7
    KILL = 8
    MEMORY = 9


@functools.cache
def _library() -> Path:
    """The library, compiled."""
    made = REPOSITORY / os.environ.get("BUILD", "build") / "test" / "netns" / "fault.so"
    made.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cc", *CFLAGS, "-o", made, SOURCE], check=True)
    return made


class Faults:
    """What an agent that @wrapper starts suffers from. It may run or not when one is armed."""

    CONTROL = struct.Struct("=IIIiIII16s")

    def __init__(self, cleanup: contextlib.ExitStack, directory: Path) -> None:
        path = directory / "faults"
        path.write_bytes(bytes(self.CONTROL.size))
        with open(path, "r+b") as file:
            self.memory = cleanup.enter_context(mmap.mmap(file.fileno(), 0))
        self.wrapper = ("env", f"LD_PRELOAD={_library()}", f"KUBE_NFT_FAULTS={path}")

    def arm(
        self,
        fault: Fault,
        *,
        skip: int = 0,
        count: int = 1,
        error: int = 0,
        address: str = "",
        prefix: int | None = None,
    ) -> None:
        """Let @fault befall the next @count occasions behind the next @skip ones. An element is one
        if its key begins as @address does, or its first @prefix bytes."""
        self.disarm()
        key = ipaddress.ip_address(address).packed[:prefix] if address else b""
        fields = (skip, count, error, 0, 0, len(key), key)
        self.CONTROL.pack_into(self.memory, 0, Fault.NONE, *fields)
        # Only a whole order counts.
        struct.pack_into("=I", self.memory, 0, fault)

    def disarm(self) -> None:
        struct.pack_into("=I", self.memory, 0, Fault.NONE)

    @property
    def seen(self) -> int:
        """The occasions since arm()."""
        return self.CONTROL.unpack_from(self.memory)[4]

    @property
    def hits(self) -> int:
        """How many of them were hit."""
        return self.CONTROL.unpack_from(self.memory)[5]

    def wait_hits(self, n: int = 1) -> None:
        wait_until(f"{n} occasions to be hit", lambda: self.hits >= n)
