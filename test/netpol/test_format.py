"""The format of case files: what is not in it is an error that says where."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from rig.netpol.cases import Cell, Table, load_cases
from rig.netpol.world import FormatError, World

POLICY = {
    "kind": "NetworkPolicy",
    "metadata": {"name": "p", "namespace": "x"},
    "spec": {"podSelector": {}},
}
POD = {
    "kind": "Pod",
    "metadata": {"name": "new", "namespace": "x"},
    "spec": {"nodeName": "node-b", "containers": []},
    "status": {"phase": "Running", "podIPs": [{"ip": "10.91.2.99"}]},
}
CASE: dict[str, Any] = {
    "id": "T1",
    "title": "a title",
    "proves": "a sentence",
    "tags": ["one"],
    "ports": ["TCP/80", "UDP/81"],
    "families": [4, 6],
    "policies": [POLICY],
    "expect": {"default": "allow", "except": [{"from": "*", "to": "x/*", "expect": "deny"}]},
    "checks": [
        {"from": "x/a", "to": "svc:x/s-a", "proto": "TCP", "port": 8000, "expect": "allow"},
    ],
    "steps": [
        {
            "actions": [{"do": "delete", "policy": "x/p"}],
            "expect": {"default": "allow"},
            "checks": [],
        }
    ],
}


def tables(tmp_path: Path, world: World, *cases: object, **top: object) -> dict[str, Table]:
    """The tables, by case and step, of a file with these cases."""
    path = tmp_path / "cases.yaml"
    content = {"version": 1, "fixture": "netpol-v1", "cases": list(cases), **top}
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return {
        name: table
        for case in load_cases(path, world)
        for name, _, table in case.play(world.copy())
    }


def row(**entry: object) -> dict[str, Any]:
    """A case of one row."""
    return {**CASE, "checks": [], "steps": [], "expect": {"default": "allow", "except": [entry]}}


def denied(table: Table) -> set[tuple[str, str]]:
    return {(cell.source, cell.target) for cell, allow in table.items() if not allow}


def test_universe(tmp_path: Path, world: World) -> None:
    found = tables(tmp_path, world, CASE)
    assert list(found) == ["T1", "T1 step 1"]
    # 10 pods to 15 others, and 6 others to 10 pods; two ports, two families.
    assert len(found["T1 step 1"]) == (10 * 15 + 6 * 10) * 2 * 2
    assert not denied(found["T1 step 1"])
    assert not any({c.source, c.target} <= {"node-a", "node-b", "y/h", "ext1"} for c in found["T1"])
    service = {c for c in found["T1"] if c.target.startswith("svc:")}
    assert service == {Cell("x/a", "svc:x/s-a", "TCP", 8000, family) for family in (4, 6)}


def test_own_node_always_gets_in(tmp_path: Path, world: World) -> None:
    closed = denied(tables(tmp_path, world, CASE)["T1"])
    assert {("node-b", "x/a"), ("y/h", "x/a"), ("node-a", "x/b"), ("ext1", "x/b")} <= closed
    assert not {("node-a", "x/a"), ("node-a", "x/c"), ("node-b", "x/b"), ("y/h", "x/b")} & closed


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("x/b", {"x/b"}),
        (["x/b", "ext1"], {"x/b", "ext1"}),
        ("x/*", {"x/b", "x/c"}),
        ("*/b", {"x/b", "y/b", "z/b"}),
        ("y/*", {"y/a", "y/b", "y/c"}),
        ("y/h", {"y/h"}),
        ("nodes", {"node-b", "y/h"}),
        ("externals", {"ext1", "ext2", "ext3"}),
        ("pods", {f"{n}/{p}" for n in "xyz" for p in "abc"} - {"x/a"} | {"w/a"}),
    ],
)
def test_patterns(tmp_path: Path, world: World, pattern: object, names: set[str]) -> None:
    entry = {"from": pattern, "to": "x/a", "expect": "deny"}
    assert denied(tables(tmp_path, world, row(**entry))["T1"]) == {(n, "x/a") for n in names}


def test_rows_narrow_and_later_ones_win(tmp_path: Path, world: World) -> None:
    entry = {"from": "x/b", "to": "x/a", "proto": "UDP", "port": 81, "family": 6, "expect": "deny"}
    found = tables(tmp_path, world, row(**entry))["T1"]
    assert [cell for cell, allow in found.items() if not allow] == [
        Cell("x/b", "x/a", "UDP", 81, 6)
    ]
    both = row(**entry)
    both["expect"]["except"].append({"from": "x/b", "to": "*", "expect": "allow"})
    assert not denied(tables(tmp_path, world, both)["T1"])


def test_actions(tmp_path: Path, world: World) -> None:
    case = copy.deepcopy(CASE)
    case["steps"] = [
        {"actions": [action], "expect": {"default": "allow"}}
        for action in (
            {"do": "apply", "policy": POLICY},
            {"do": "label-pod", "pod": "x/a", "set": {"k": "v"}, "remove": ["app"]},
            {"do": "label-namespace", "namespace": "w", "set": {"k": "v"}},
            {"do": "create-pod", "pod": POD},
            {"do": "set-pod-status", "pod": "x/new", "status": {"phase": "Failed"}},
            {"do": "delete-pod", "pod": "x/a"},
        )
    ]
    path = tmp_path / "cases.yaml"
    content = {"version": 1, "fixture": "netpol-v1", "cases": [case]}
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    [loaded] = load_cases(path, world)
    pods = [
        {cell.source for cell in table if "/" in cell.source} for _, _, table in loaded.play(world)
    ]
    everybody = pods[0]
    assert pods == [everybody] * 4 + [everybody | {"x/new"}, everybody, everybody - {"x/a"}]
    assert world.namespaces["w"]["metadata"]["labels"]["k"] == "v"
    assert world.pods["x/new"]["status"]["podIPs"] == [{"ip": "10.91.2.99"}]
    assert list(world.policies) == ["x/p"]


WRONG_ROWS: list[dict[str, Any]] = [
    {"from": "x/nobody", "to": "x/a", "expect": "deny"},
    {"from": "x/a", "to": "x/a", "expect": "deny"},
    {"from": "node-a", "to": "ext1", "expect": "deny"},
    {"from": "x/b", "to": "x/a", "port": 8080, "expect": "deny"},
    {"from": "x/b", "to": "x/a", "proto": "ICMP", "expect": "deny"},
    {"from": "x/b", "to": "x/a", "family": 5, "expect": "deny"},
    {"from": "x/b", "to": "x/a", "expect": "refuse"},
    {"from": "x/b", "to": "x/a"},
    {"from": "x/b", "to": "x/a", "expect": "deny", "ports": [80]},
    {"from": [], "to": "x/a", "expect": "deny"},
]


@pytest.mark.parametrize("entry", WRONG_ROWS, ids=str)
def test_wrong_rows(tmp_path: Path, world: World, entry: dict[str, Any]) -> None:
    with pytest.raises(FormatError, match="T1: row 1"):
        tables(tmp_path, world, row(**entry))


@pytest.mark.parametrize(
    "action",
    [
        {"do": "restart"},
        {"do": "delete", "policy": "x/other"},
        {"do": "delete", "policy": "x/p", "grace": 0},
        {"do": "label-pod", "pod": "x/nobody", "set": {}},
        {"do": "label-namespace", "namespace": "nowhere", "set": {}},
        {"do": "create-pod", "pod": {**POD, "metadata": {"name": "a", "namespace": "x"}}},
        {"do": "create-pod", "pod": {**POD, "kind": "Node"}},
        {"do": "create-pod", "pod": {**POD, "spec": None}},
        {"do": "label-pod", "pod": ["x/a"], "set": {}},
        {"do": "delete-pod", "pod": "x/nobody"},
        {"do": "set-pod-status", "pod": "x/nobody", "status": {}},
        {"do": "apply", "policy": {"kind": "Pod", "metadata": {"name": "p", "namespace": "x"}}},
        "delete everything",
    ],
    ids=str,
)
def test_wrong_actions(tmp_path: Path, world: World, action: object) -> None:
    step = {"actions": [action], "expect": {"default": "allow"}}
    with pytest.raises(FormatError, match="T1 step 1: "):
        tables(tmp_path, world, {**CASE, "steps": [step]})


@pytest.mark.parametrize(
    "change",
    [
        {"steps": [{"actions": [], "expect": {"default": "allow"}, "wait": 1}]},
        {"expect": {"default": "allow", "rows": []}},
        {"expect": {"default": "perhaps"}},
        {"comment": "no such key"},
        {"ports": ["TCP/0"]},
        {"ports": ["GRE/80"]},
        {"families": [5]},
        {"families": []},
        {"policies": "none"},
        {"policies": [{"kind": "NetworkPolicy", "metadata": "x/p", "spec": {}}]},
        {"steps": [{"actions": None, "expect": {"default": "allow"}}]},
        {"expect": {"default": "allow", "except": ["nothing"]}},
        {
            "checks": [
                {"from": "x/a", "to": "x/b", "proto": "TCP", "port": None, "expect": "allow"}
            ]
        },
        {"checks": [{"from": "x/a", "to": "x/a", "proto": "TCP", "expect": "allow"}]},
        {
            "checks": [
                {"from": "x/a", "to": "svc:x/s-z", "proto": "TCP", "port": 1, "expect": "deny"}
            ]
        },
    ],
    ids=str,
)
def test_wrong_cases(tmp_path: Path, world: World, change: dict[str, Any]) -> None:
    with pytest.raises(FormatError, match="T1"):
        tables(tmp_path, world, {**CASE, **change})


def test_a_mistake_is_one_cases_own(tmp_path: Path, world: World) -> None:
    path = tmp_path / "cases.yaml"
    listed: list[object] = [{**CASE, "id": "T0", "ports": ["GRE/1"]}, "nothing", CASE, CASE]
    content = {"version": 1, "fixture": "netpol-v1", "cases": listed}
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    cases = {case.id: case for case in load_cases(path, world)}
    assert list(cases) == ["T0", "case 2", "T1", "case 4"]
    assert [name for name, _, _ in cases.pop("T1").play(world.copy())] == ["T1", "T1 step 1"]
    for name, case in cases.items():
        with pytest.raises(FormatError, match=f"^{name}: "):
            list(case.play(world.copy()))


def test_wrong_files(tmp_path: Path, world: World) -> None:
    for top in ({"version": 2}, {"fixture": "netpol-v2"}, {"more": 1}, {"cases": []}):
        with pytest.raises(FormatError, match="cases.yaml"):
            tables(tmp_path, world, CASE, **top)
    with pytest.raises(FormatError, match="missing.yaml"):
        load_cases(tmp_path / "missing.yaml", world)
