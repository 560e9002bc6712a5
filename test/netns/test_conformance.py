"""The list of Kubernetes' own end-to-end tests, by their titles, that have a test here.

The title is the first line of a test's docstring; docs/conformance.md lists all of them. What needs a
real API server is in test/cluster/test_conformance.py.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from rig.agent import REPOSITORY

TITLE = re.compile(
    r"(API Server|Services|EndpointSlice|Conntrack|LoadBalancers|Networking|Traffic Distribution)\b"
)


def titles_of(path: Path) -> Iterator[tuple[str, str]]:
    """The titles in the docstrings of a file, with the tests that have them."""
    where = path.relative_to(REPOSITORY)
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            for line in (ast.get_docstring(node) or "").splitlines():
                if TITLE.match(line):
                    yield line, f"{where}::{node.name}"


def test_the_list_of_titles_is_true() -> None:
    files = [f for d in ("netns", "cluster") for f in (REPOSITORY / "test" / d).glob("test_*.py")]
    found = [title for path in files for title in titles_of(path)]
    text = (REPOSITORY / "docs" / "conformance.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| (.+) \| `(test/\S+)` \|$", text, re.MULTILINE)
    assert sorted(told) == sorted(found)
