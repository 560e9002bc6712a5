"""The scripted server by itself: what the other tests take for granted."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

import pytest

from rig import objects
from rig.api import scripts
from rig.api.cluster import API_IPS, URLS, ApiCluster
from rig.api.exchange import Cut

# What curl exits with.
DONE = ("0",)
TIMED_OUT = ("28",)
STREAM_RESET = ("92",)
CONNECTION_RESET = ("55", "56")


@dataclass
class Curl:
    """curl(1) on node1."""

    cluster: ApiCluster
    token: str = field(repr=False)

    def run(self, path: str, *options: str) -> tuple[str, str]:
        """Its exit status and what it printed."""
        authorization = f"Authorization: Bearer {self.token}"
        argv = ["curl", "--silent", "--max-time", "3", "--compressed", "--header", authorization]
        argv += ["--cacert", str(self.cluster.authority.path), *options, URLS[4] + path]
        text = self.cluster.node1.run("sh", "-c", '"$@"; echo " $?"', "sh", *argv)
        body, _, status = text.rpartition(" ")
        return status.strip(), body

    def get(self, path: str, *options: str) -> objects.Object:
        status, body = self.run(path, *options)
        assert status == "0"
        answer: objects.Object = json.loads(body)
        return answer

    def watch(self, query: str) -> list[str]:
        """The types and versions of the events within a second."""
        _, body = self.run(f"/api/v1/services?watch=1&timeoutSeconds=1&{query}")
        events = [json.loads(line) for line in body.splitlines()]
        return [event["type"] for event in events]


@pytest.fixture
def curl(cluster: ApiCluster) -> Curl:
    for number in range(5):
        cluster.apply(f"s{number}", objects.service(f"s{number}", [f"10.96.0.{10 + number}"]))
    return Curl(cluster, cluster.token)


def names(answer: objects.Object) -> list[str]:
    return [o["metadata"]["name"] for o in answer["items"]]


@pytest.mark.parametrize("version", ["--http2", "--http1.1"])
def test_lists_over_both_versions(curl: Curl, version: str) -> None:
    answer = curl.get("/api/v1/services?resourceVersion=0", version)
    assert answer["kind"] == "ServiceList"
    assert names(answer) == ["s0", "s1", "s2", "s3", "s4"]
    (request,) = curl.cluster.api.requests
    assert (request.verb, request.plural, request.status) == ("list", "services", 200)
    assert curl.cluster.api.connections[0].alpn == {"--http2": "h2"}.get(version, "http/1.1")


def test_pages_on_demand(curl: Curl) -> None:
    first = curl.get("/api/v1/services?limit=3")
    assert names(first) == ["s0", "s1", "s2"]
    curl.cluster.apply("s9", objects.service("s9", ["10.96.0.99"]))
    token = first["metadata"]["continue"]
    rest = curl.get(f"/api/v1/services?limit=3&continue={token}")
    assert names(rest) == ["s3", "s4"]
    assert rest["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    assert len(names(curl.get("/api/v1/services?limit=3&resourceVersion=0"))) == 6

    token = curl.get("/api/v1/services?limit=3")["metadata"]["continue"]
    curl.cluster.api.do(curl.cluster.api.kubernetes.expire_continue_tokens)
    assert curl.get(f"/api/v1/services?limit=3&continue={token}")["code"] == 410


def test_watches_from_a_version(curl: Curl) -> None:
    version = curl.get("/api/v1/services")["metadata"]["resourceVersion"]
    curl.cluster.remove("s0")
    curl.cluster.apply("s1", objects.service("s1", ["10.96.0.50"]))
    from_there = f"allowWatchBookmarks=true&resourceVersion={version}"
    assert curl.watch(from_there) == ["DELETED", "MODIFIED"]
    initial = f"{from_there}&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
    assert curl.watch(initial) == ["ADDED"] * 4 + ["BOOKMARK"]
    curl.cluster.api.do(curl.cluster.api.store.compact)
    assert curl.watch(from_there) == ["ERROR"]


def test_selectors(curl: Curl) -> None:
    labels = {"app": "x", "tier": "back"}
    curl.cluster.apply("s5", objects.service("s5", ["10.96.0.55"], labels=labels))
    for query, wanted in (
        ("labelSelector=app%3Dx,tier", ["s5"]),
        ("labelSelector=app%21%3Dx", ["s0", "s1", "s2", "s3", "s4"]),
        ("labelSelector=%21app", ["s0", "s1", "s2", "s3", "s4"]),
        ("labelSelector=app+in+(x,y)", ["s5"]),
        ("fieldSelector=metadata.name%3Ds3", ["s3"]),
    ):
        assert names(curl.get(f"/api/v1/services?{query}")) == wanted


def test_scripts(curl: Curl) -> None:
    server = curl.cluster.api
    for script, status in (
        (scripts.cut(40, Cut.END), DONE),
        (scripts.cut(40, Cut.STALL), TIMED_OUT),
        (scripts.cut(40, Cut.RESET), STREAM_RESET),
        (scripts.cut(40, Cut.ABORT), CONNECTION_RESET),
        (scripts.throttled(40), TIMED_OUT),
        (scripts.silent, TIMED_OUT),
        (scripts.abort, CONNECTION_RESET),
    ):
        server.on("list", script=script, resource="services", times=1)
        assert curl.run("/api/v1/services")[0] in status
    server.on("list", script=scripts.fail(503, retry_after="7"), times=1)
    assert re.search("503.*retry-after: 7", curl.run("/api/v1/services", "-i")[1], re.DOTALL)
    assert len(names(curl.get("/api/v1/services"))) == 5


def test_who_is_let_in(curl: Curl) -> None:
    cluster = curl.cluster
    own = cluster.client_authority.client("kubelet")
    certificate = ("--cert", str(own.certificate), "--key", str(own.key))
    curl.token = "another"
    assert curl.get("/api/v1/services", *certificate)["code"] == 401
    cluster.api.users.add("kubelet")
    assert names(curl.get("/api/v1/services", *certificate))
    assert curl.get("/api/v1/services")["code"] == 401


def test_S7_a_secret_in_a_log_is_noticed() -> None:
    cluster = ApiCluster()
    with pytest.raises(AssertionError, match=r"some.log: token is \.\.\.") as caught, cluster:
        (cluster.directory / "some.log").write_text(f"token is {cluster.token}\n")
    assert cluster.token not in str(caught.value)


def test_S7_a_secret_in_other_words_is_noticed(cluster: ApiCluster) -> None:
    key = cluster.client_authority.client("x").key.read_text(encoding="ascii")
    encoded = json.dumps({"data": key})
    for text in (key.splitlines()[2], encoded):
        with pytest.raises(AssertionError):
            cluster.canaries.check({"log": text})
    cluster.canaries.check({"log": f"{API_IPS} canary"})
