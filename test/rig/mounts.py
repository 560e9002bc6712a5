"""Files of the host replaced for one program alone."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path


def mounted(replaced: Mapping[str, Path]) -> tuple[str, ...]:
    """A wrapper that starts a program in a mount namespace in which the paths show other files or
    folders. What is below /run is made if need be."""
    steps = ["mount -t tmpfs none /run"] if any(p.startswith("/run/") for p in replaced) else []
    for path, shown in replaced.items():
        at = shlex.quote(path)
        if path.startswith("/run/"):
            steps.append(f"mkdir -p {at}")
        steps.append(f"mount --bind {shlex.quote(str(shown))} {at}")
    script = "".join(f"{step} && " for step in steps) + 'exec "$@"'
    return ("unshare", "--mount", "sh", "-c", script, "sh")
