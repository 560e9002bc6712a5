"""The evaluator agrees with every table, cell by cell."""

from __future__ import annotations

from rig.netpol.cases import Case, Cell
from rig.netpol.evaluator import Evaluator, Party
from rig.netpol.world import World, family_of, pod_addresses


def verdict(world: World, cell: Cell) -> bool:
    evaluator, endpoints = Evaluator(world), world.endpoints()
    source = evaluator.party(endpoints[cell.source], cell.family)
    if not cell.target.startswith("svc:"):
        target = evaluator.party(endpoints[cell.target], cell.family)
        return evaluator.allows(source, target, cell.proto, cell.port)
    service = world.services[cell.target.removeprefix("svc:")]
    [port] = [p for p in service["spec"]["ports"] if p["port"] == cell.port]
    return any(
        evaluator.allows(source, Party(ip, evaluator.owners.get(ip)), cell.proto, number)
        for pod, number in world.backends(service, port)
        for ip in pod_addresses(pod)
        if family_of(ip) == cell.family
    )


def test_tables(case: Case, world: World) -> None:
    wrong = [
        (name, cell, expected)
        for name, _, table in case.play(world)
        for cell, expected in table.items()
        if verdict(world, cell) != expected
    ]
    assert not wrong
