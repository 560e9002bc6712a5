"""Services and EndpointSlices written to an API server by many at once."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from rig import objects
from rig.cluster import cluster_ip
from rig.live.client import ApiClient
from rig.live.control_plane import ControlPlane
from rig.objects import Object

from layouts import NODES, SERVICE_PORT, TARGET_PORT, Size, pod_ip

WRITERS = 16
NAMESPACE = "bench"
# The first addresses are those of the cluster's own Services.
FIRST = 256
# Those of the spare pods that churn() takes.
CHURNED = 10_000


def address_of(service: int) -> str:
    """The ClusterIP of the Service with this number."""
    return cluster_ip(FIRST + service)[4]


def service_of(service: int) -> Object:
    """The Service with this number."""
    port = objects.port(SERVICE_PORT, target=TARGET_PORT, name="http")
    return objects.service(f"service-{service}", [address_of(service)], [port], namespace=NAMESPACE)


def _spare(size: Size, spare: int) -> int:
    return size.services * size.endpoints + spare


def spare_ip(size: Size, spare: int) -> str:
    """The address of one of the pods that no Service has at first."""
    return pod_ip(_spare(size, spare), 4)


def _endpoint(pod: int) -> Object:
    """An endpoint with all that the endpoint slice controller says of a pod."""
    made = objects.endpoint(
        pod_ip(pod, 4), f"node{pod % NODES + 1}", ready=True, serving=True, terminating=False
    )
    target = {"kind": "Pod", "namespace": NAMESPACE, "name": f"pod-{pod}"}
    return {**made, "targetRef": {**target, "uid": f"00000000-0000-4000-8000-{pod:012}"}}


def slice_of(size: Size, service: int, spare: int | None = None) -> Object:
    """The EndpointSlice of the Service with this number. With @spare, that one of the pods that no
    Service has at first is there instead of one of the endpoints."""
    first = service * size.endpoints
    pods = list(range(first, first + size.endpoints))
    if spare is not None:
        pods[spare % size.endpoints] = _spare(size, spare)
    return objects.slice_of(service_of(service), map(_endpoint, pods))


def in_processes(
    control_plane: ControlPlane, n: int, work: Callable[[ApiClient, int], None]
) -> None:
    """Run work(client, number) for each number below @n in a process of its own, to the end."""
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(target=lambda number=k: work(control_plane.client(), number))
        for k in range(n)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        if process.exitcode != 0:
            raise RuntimeError("a writer has failed")


def fill(control_plane: ControlPlane, size: Size) -> float:
    """Create everything; the seconds it took."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    control_plane.admin.create(namespace)

    def write(client: ApiClient, number: int) -> None:
        for service in range(number, size.services, WRITERS):
            client.create(service_of(service))
            client.create(slice_of(size, service))

    begin = time.monotonic()
    in_processes(control_plane, WRITERS, write)
    return time.monotonic() - begin


@dataclass(frozen=True)
class Update:
    """One change of one EndpointSlice: the times of request and answer, by time.monotonic()."""

    sent: float
    acknowledged: float


def update(client: ApiClient, size: Size, service: int, spare: int) -> Update:
    """Have another endpoint in a Service's slice."""
    made = slice_of(size, service, spare)
    sent = time.monotonic()
    client.replace(made)
    return Update(sent, time.monotonic())


def churn(control_plane: ControlPlane, size: Size, rate: int, seconds: float) -> float:
    """Change EndpointSlices anywhere, @rate a second; how many a second it became."""
    writers = 2
    due = time.monotonic()
    written = multiprocessing.get_context("fork").Value("Q", 0)

    def write(client: ApiClient, number: int) -> None:
        dice = random.Random(number)
        for turn in range(int(seconds * rate / writers)):
            time.sleep(max(0.0, due + turn * writers / rate - time.monotonic()))
            update(client, size, dice.randrange(size.services), dice.randrange(CHURNED))
            with written.get_lock():
                written.value += 1

    in_processes(control_plane, writers, write)
    return written.value / (time.monotonic() - due)
