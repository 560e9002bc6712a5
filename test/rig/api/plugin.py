"""Exec credential plugins, as shell scripts."""

from __future__ import annotations

import json
from pathlib import Path

CREDENTIAL = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"}


def credential(**status: str) -> str:
    """What a plugin prints: token, expirationTimestamp, clientCertificateData, clientKeyData."""
    return json.dumps({**CREDENTIAL, "status": status})


class Plugin:
    """A plugin in @directory that prints what it is told to, and notes that it ran."""

    def __init__(self, directory: Path) -> None:
        self.command = directory / "plugin"
        self.answer = directory / "answer"
        self.runs = directory / "runs"
        self.runs.touch()
        self.behave(f"cat {self.answer}")

    def behave(self, script: str) -> None:
        """Do what @script says from now on."""
        new = self.command.with_suffix(".new")
        new.write_text(f"#!/bin/sh\necho $$ >>{self.runs}\n{script}\n", encoding="utf-8")
        new.chmod(0o755)
        new.replace(self.command)

    def print(self, text: str) -> None:
        """Print @text from now on."""
        new = self.answer.with_suffix(".new")
        new.write_text(text, encoding="utf-8")
        new.replace(self.answer)

    def processes(self) -> list[int]:
        """All that were ever started."""
        return [int(line) for line in self.runs.read_text(encoding="ascii").split()]
