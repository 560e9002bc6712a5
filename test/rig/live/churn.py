"""Services and endpoints that change all the time, written by a thread of its own."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Iterator

from rig import objects
from rig.agent import wait_until
from rig.cluster import cluster_ip
from rig.objects import Object

from .client import ApiError, NotFound, reference
from .cluster import LiveCluster

SERVICES = 20
# Their numbers are those of no other Service.
FIRST = 20000
PAUSE_S = 0.02


class Churn:
    """Writes as long as the API server takes it, and tries again when it doesn't."""

    def __init__(self, cluster: LiveCluster) -> None:
        self.ips = [pod.ips for pod in cluster.pods.values()]
        self.api = cluster.api.client()
        self.dice = random.Random(8)
        self.written = 0
        self.failed = 0
        self.error: Exception | None = None
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _service(self, number: int) -> Object:
        port = objects.port(self.dice.randint(80, 82))
        return objects.service(f"churn-{number}", cluster_ip(FIRST + number).values(), [port])

    def _slice(self, service: Object, family: int) -> Object:
        chosen = self.dice.sample(self.ips, self.dice.randint(0, 3))
        return objects.slice_of(
            service, [objects.endpoint(ips[family]) for ips in chosen], family=family
        )

    def _change(self) -> None:
        number = self.dice.randrange(SERVICES)
        service = self._service(number)
        if self.dice.random() < 0.2:
            with contextlib.suppress(NotFound):
                self.api.delete(service)
        else:
            self.api.apply(service)
            self.api.apply(self._slice(service, self.dice.choice((4, 6))))

    def _run(self) -> None:
        while not self.ending.wait(PAUSE_S):
            try:
                self._change()
                self.written += 1
            except (OSError, ApiError) as error:
                self.failed += 1
                self.error = error

    def wait_written(self, n: int) -> None:
        """Wait for @n more changes that the API server has taken."""
        goal = self.written + n
        wait_until(f"{n} changes to be written", lambda: self.written >= goal)

    def stop(self) -> None:
        """Change nothing more; what is there stays until the end of the block."""
        self.ending.set()
        self.thread.join()

    def clear(self) -> None:
        """Delete all of them."""
        names = [f"churn-{number}" for number in range(SERVICES)]
        made = [reference("Service", name) for name in names]
        made += [reference("EndpointSlice", f"{name}-v{f}-1") for name in names for f in (4, 6)]
        for each in made:
            with contextlib.suppress(NotFound):
                self.api.delete(each)


@contextlib.contextmanager
def churning(cluster: LiveCluster) -> Iterator[Churn]:
    """Have Services change until the end of the block, which takes them away, or until stop()."""
    churn = Churn(cluster)
    churn.thread.start()
    try:
        yield churn
    finally:
        churn.stop()
        churn.clear()
