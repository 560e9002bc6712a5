"""Secrets that can be recognised (row S7): nothing that an agent writes may hold one."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator
from pathlib import Path

# What is shorter may be found by chance.
SHORTEST = 16


class Canaries:
    """All secrets of one cluster."""

    def __init__(self) -> None:
        self.words: set[str] = set()

    def new(self, what: str) -> str:
        """A secret that no other is like: a token, a password."""
        return self.add(f"canary-{what}-{secrets.token_hex(12)}")

    def add(self, secret: str) -> str:
        """Watch out for @secret, as it is and in base64."""
        self.words |= {secret, *_in_base64(secret)}
        return secret

    def add_pem(self, path: Path) -> None:
        """Watch out for each whole line of a key or certificate."""
        for line in path.read_text(encoding="ascii").splitlines():
            if len(line) >= SHORTEST and not line.startswith("-----"):
                self.add(line)

    def found_in(self, text: str) -> list[str]:
        """Where a secret is in @text: what stands before it in its line, without the secret."""
        return [
            f"{line[: line.index(word)]}..."
            for word in self.words
            if word in text
            for line in text.splitlines()
            if word in line
        ]

    def check(self, texts: dict[str, str]) -> None:
        """AssertionError when any of @texts, by their names, holds a secret."""
        hits = [f"{name}: {hit}" for name, text in texts.items() for hit in self.found_in(text)]
        if hits:
            raise AssertionError("secrets were written:\n" + "\n".join(hits))


def _in_base64(secret: str) -> Iterator[str]:
    """What base64 makes of @secret wherever it begins in what is encoded."""
    for offset in range(3):
        text = base64.b64encode(bytes(offset) + secret.encode()).decode()
        # The characters at both ends also depend on what is beside.
        yield text[4 if offset else 0 : -4]
