"""Who answers whom, as whom: all that a client can meet at a Service, case by case.

Each case is a cell of rig/verdicts/cells.py and is compared with rig/verdicts/evaluator.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import pytest

from rig.verdicts import visit
from rig.verdicts.cells import WORLDS, Cell, World, cells
from rig.verdicts.visit import Result

CELLS, IMPOSSIBLE = cells()


@pytest.fixture(scope="module")
def results(request: pytest.FixtureRequest, world: World) -> dict[Cell, Result]:
    """What became of all the cells of a world that are to be tested."""
    chosen = [
        item.callspec.params["cell"]  # type: ignore[attr-defined]
        for item in request.session.items
        if item.name.startswith("test_verdict[")
    ]
    return dict(visit.run([cell for cell in chosen if cell.world is world]))


@pytest.mark.parametrize(
    ("world", "cell"), [(cell.world, cell) for cell in CELLS], ids=map(str, CELLS), scope="module"
)
def test_verdict(results: dict[Cell, Result], cell: Cell) -> None:
    result = results[cell]
    if cell.variant.affinity:
        assert len(result.seen) == 1
        assert result.seen <= result.expected
        assert len(met_elsewhere(results, cell)) == 1
    else:
        assert result.seen == result.expected


def met_elsewhere(results: dict[Cell, Result], cell: Cell) -> frozenset[str]:
    """Whom this client met at all frontends of the service port that lead to the same endpoints."""
    return frozenset().union(
        *(
            pods(result.seen)
            for other, result in results.items()
            if dataclasses.replace(other, kind=cell.kind) == cell
            and pods(result.expected) == pods(results[cell].expected)
        )
    )


def pods(outcomes: Iterable[str]) -> frozenset[str]:
    """Who answered, whoever was seen."""
    return frozenset(outcome.split()[0] for outcome in outcomes)


def test_no_case_is_missing() -> None:
    products = [(world, product) for world in WORLDS for product in world.products]
    told = [*CELLS, *(cell for cells_of_one in IMPOSSIBLE.values() for cell in cells_of_one)]
    assert len(set(map(str, told))) == len(told) == sum(len(product) for _, product in products)
    # The table of verdicts: 4 frontends, 4 sets of endpoints, 4 pairs of policies, 6 clients, 3
    # protocols, 2 families.
    plain, table = products[0]
    assert (plain.name, len(table)) == ("plain", 4 * 4 * 4 * 6 * 3 * 2)
    assert all(IMPOSSIBLE)
