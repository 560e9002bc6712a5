"""How connections spread over endpoints: by chance, in turn, by hashes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from itertools import islice

import pytest

from rig.agent import PROGRAM
from rig.crowd import Crowd, client_ip, crowd, pod_ip

N = 50
CONNECTIONS = 10_000
# A right implementation exceeds it once in a million runs: 49 degrees of freedom.
CHI_SQUARE_LIMIT = 112.0


@pytest.fixture(scope="module")
def many() -> Iterator[Crowd]:
    """A crowd whose agent runs; each test applies Services of its own."""
    with crowd() as made:
        made.start()
        yield made


numbers = iter(range(1, 1000))


def apply(many: Crowd, endpoints: list[int], number: int = 0, **options: object) -> dict[int, list[str]]:
    """Apply a Service with endpoints of these numbers, and wait for it."""
    number = number or next(numbers)
    frontends = many.apply(f"service-{number}", number, endpoints, **options)  # type: ignore[arg-type]
    many.settle()
    return frontends


def chi_square(spread: Counter[str], n: int) -> float:
    """How far a spread over @n endpoints is from an even one."""
    expected = spread.total() / n
    missing = (n - len(spread)) * expected
    return missing + sum((seen - expected) ** 2 / expected for seen in spread.values())


def clients(n: int, family: int, address: str) -> list[tuple[str, str]]:
    """A connection to @address from each of @n clients."""
    return [(client_ip(number, family), address) for number in range(1, n + 1)]


def test_random_is_even(many: Crowd, family: int) -> None:
    address = apply(many, list(range(N)))[family][0]
    spread = many.spread([(client_ip(1, family), address)] * CONNECTIONS)
    print(f"random: chi-square {chi_square(spread, N):.1f} of {CHI_SQUARE_LIMIT}")
    assert set(spread) == {pod_ip(n, family) for n in range(N)}
    assert chi_square(spread, N) < CHI_SQUARE_LIMIT


def test_maglev_is_even(many: Crowd, family: int) -> None:
    address = apply(many, list(range(N)), scheduler="mh")[family][0]
    spread = many.spread(clients(CONNECTIONS, family, address))
    print(f"Maglev: chi-square {chi_square(spread, N):.1f} of {CHI_SQUARE_LIMIT}")
    assert set(spread) == {pod_ip(n, family) for n in range(N)}
    assert chi_square(spread, N) < CHI_SQUARE_LIMIT


def test_maglev_moves_few_others(many: Crowd, family: int) -> None:
    number = next(numbers)
    address = apply(many, list(range(N)), number, scheduler="mh")[family][0]
    before = list(many.met(clients(CONNECTIONS, family, address)))
    assert list(many.met(clients(1000, family, address))) == before[:1000]
    for gone in (0, 17, 49):
        apply(many, [n for n in range(N) if n != gone], number, scheduler="mh")
        after = many.met(clients(CONNECTIONS, family, address))
        others = [
            was != now
            for was, now in zip(before, after, strict=True)
            if was != pod_ip(gone, family)
        ]
        moved = sum(others) / len(others)
        print(f"Maglev: without endpoint {gone}, {moved:.2%} of the other clients have moved")
        assert 0.95 * CONNECTIONS < len(others) < CONNECTIONS
        assert moved <= 0.03
    # And all are back with it.
    apply(many, list(range(N)), number, scheduler="mh")
    assert list(many.met(clients(1000, family, address))) == before[:1000]


def test_maglev_with_more_endpoints_than_slots_is_not_refused(many: Crowd) -> None:
    endpoints = list(range(6554))
    address = apply(many, endpoints, scheduler="mh")[4][0]
    assert len(many.spread(clients(200, 4, address))) > 150


@pytest.mark.parametrize("word", ["rr", "lc"])
def test_round_robin_is_exact(many: Crowd, word: str, family: int) -> None:
    address = apply(many, list(range(N)), scheduler=word)[family][0]
    spread = many.spread(clients(20 * N, family, address))
    assert spread == {pod_ip(n, family): 20 for n in range(N)}


def test_round_robin_is_in_turn(many: Crowd, family: int) -> None:
    address = apply(many, list(range(7)), scheduler="rr")[family][0]
    met = list(many.met([(client_ip(1, family), address)] * 21))
    assert len(set(met[:7])) == 7
    assert met == met[:7] * 3


def test_round_robin_is_exact_for_two_services_in_turn(many: Crowd, family: int) -> None:
    addresses = [apply(many, list(range(4)), scheduler="rr")[family][0] for _ in range(2)]
    source = client_ip(1, family)
    for period in (1, 2, 3):
        connections = [
            (source, address) for _ in range(12) for address in addresses for _ in range(period)
        ]
        met = list(many.met(connections))
        for address in addresses:
            own = Counter(m for m, (_, a) in zip(met, connections, strict=True) if a == address)
            assert own == {pod_ip(n, family): 3 * period for n in range(4)}


def test_round_robin_is_exact_over_all_frontends(many: Crowd, family: int) -> None:
    frontends = apply(many, list(range(6)), scheduler="rr", external=2)[family]
    assert len(frontends) == 3
    met = many.spread([(client_ip(1, family), address) for address in frontends] * 20)
    assert met == {pod_ip(n, family): 10 for n in range(6)}


def test_source_hash_keeps_to_one_endpoint(many: Crowd, family: int) -> None:
    frontends = apply(many, list(range(N)), scheduler="sh", external=1)[family]
    connections = clients(200, family, frontends[0])
    first = list(many.met(connections))
    assert len(set(first)) > N / 2
    for _ in range(3):
        assert list(many.met(connections)) == first
    # Frontends have their endpoints in the same order.
    assert list(many.met(clients(200, family, frontends[1]))) == first


@pytest.mark.parametrize("word", ["sh", "mh"])
def test_source_hash_with_the_port(many: Crowd, word: str, family: int) -> None:
    address = apply(many, list(range(N)), scheduler=word, flags="flag-2")[family][0]
    source = client_ip(1, family)
    # That 100 ports hash to fewer than ten of 50 endpoints can't be, whichever they are.
    assert len(many.spread([(source, address)] * 100)) >= 10
    from_one_port = [
        *many.met([(client_ip(number, family), address) for number in range(1, 6)], source_port=9999)
    ]
    again = [
        *many.met([(client_ip(number, family), address) for number in range(1, 6)], source_port=9999)
    ]
    assert again == from_one_port


def test_destination_hash_is_of_the_frontend(many: Crowd, family: int) -> None:
    frontends = apply(many, list(range(N)), scheduler="dh", external=9)[family]
    chosen = [next(many.met([(client_ip(1, family), address)])) for address in frontends]
    assert len(set(chosen)) > 1
    for address, pod in zip(frontends, chosen, strict=True):
        assert set(many.met(clients(10, family, address))) == {pod}


@pytest.mark.parametrize("word", ["rr", "sh", "dh", "mh"])
def test_policy_local_chooses_among_local_endpoints(many: Crowd, word: str, family: int) -> None:
    frontends = apply(
        many,
        [0, 1, 2, 3, -4, -5, -6],
        scheduler=word,
        external=1,
        externalTrafficPolicy="Local",
    )[family]
    local = {pod_ip(n, family) for n in range(4)}
    spread = many.spread(clients(200, family, frontends[1]))
    assert set(spread) <= local
    if word == "rr":
        assert spread == dict.fromkeys(local, 50)
    elif word != "dh":
        assert set(spread) == local
    assert not set(many.spread(clients(200, family, frontends[0]))) <= local or word == "dh"


def test_affinity_comes_first(many: Crowd, family: int) -> None:
    address = apply(many, list(range(10)), scheduler="rr", affinity_s=600)[family][0]
    connections = clients(20, family, address)
    first = list(many.met(connections))
    assert Counter(first) == {pod_ip(n, family): 2 for n in range(10)}
    for _ in range(3):
        assert list(many.met(connections)) == first


def test_it_can_be_changed_while_it_runs(many: Crowd, family: int) -> None:
    number = next(numbers)
    endpoints = list(range(5))
    address = apply(many, endpoints, number)[family][0]
    for scheduler in ("rr", "sh", "mh", "", "dh", "rr"):
        apply(many, endpoints, number, scheduler=scheduler)
        spread = many.spread(clients(50, family, address))
        assert len(spread) == (1 if scheduler == "dh" else 5)
        if scheduler == "rr":
            assert spread == {pod_ip(n, family): 10 for n in endpoints}
    apply(many, endpoints[:4], number, scheduler="rr")
    assert many.spread(clients(40, family, address)) == {pod_ip(n, family): 10 for n in range(4)}


def test_what_is_not_known_is_told_once(many: Crowd) -> None:
    number = next(numbers)
    address = apply(many, [0, 1], number, scheduler="fastest")[4][0]
    assert len(many.spread([(client_ip(1, 4), address)] * 60)) == 2
    apply(many, [0, 1, 2], number, scheduler="fastest")
    told = many.agent.logged("fastest")
    assert len(told) == 1
    assert f"default/service-{number}" in told[0]
    assert "kube-router.io/service.scheduler" in told[0]
    number = next(numbers)
    apply(many, [0, 1], number, scheduler="lc")
    told = many.agent.logged(f"default/service-{number}.*service.scheduler")
    assert len(told) == 1
    assert "as with rr" in told[0]


SHOWN = [("", "random"), ("rr", "rr"), ("lc", "rr"), ("sh", "sh"), ("dh", "dh"), ("mh", "mh")]


@pytest.mark.parametrize(("word", "shown"), SHOWN)
def test_what_is_in_force_is_shown(many: Crowd, word: str, shown: str) -> None:
    number = next(numbers)
    flags = "flag-2" if word in ("sh", "mh") else ""
    apply(many, [0, 1, -2], number, scheduler=word, flags=flags)
    service = (PROGRAM, "services", f"--service=service-{number}")
    ports = json.loads(many.node.run(*service, "--json"))["servicePorts"]
    for frontend in ports[0]["frontends"]:
        assert frontend["scheduler"] == shown
        assert frontend.get("schedflags", "") == flags
        assert len(frontend["endpoints"]) == 3
    if shown != "random":
        assert f"3 endpoints, {shown}{' ' * bool(flags)}{flags} " in many.node.run(*service)


def test_other_nodes_fill_the_table_alike(many: Crowd) -> None:
    """A second agent, given the endpoints in another order, has the same table."""
    frontends = apply(many, [3, 1, 2, 0], scheduler="mh")
    rows = many.node.run("nft", "list", "map", "ip", "kube-nft", "endpoints")
    with crowd() as other:
        number = int(frontends[4][0].rsplit(".", 1)[1])
        other.apply(f"service-{number}", number, [0, 1, 2, 3], scheduler="mh")
        other.start()
        theirs = other.node.run("nft", "list", "map", "ip", "kube-nft", "endpoints")

    def table(listing: str) -> set[tuple[str, str]]:
        found = (line.split(" counter ") for line in listing.split(","))
        own = ((key, data.rsplit(" : ", 1)[1]) for key, data in islice(found, None) if data)
        return {(k.split()[-1], d.strip(" }\n\t")) for k, d in own if frontends[4][0] + " " in k}

    assert len(table(theirs)) == 6553
    assert table(rows) == table(theirs)
