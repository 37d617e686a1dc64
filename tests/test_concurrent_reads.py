"""What other threads read while components change it: a consistent snapshot, never an error."""

from __future__ import annotations

import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from kubesim import Cluster
from kubesim.apiserver.registry import Kind, Registry
from kubesim.scheduler.queue import SchedulingQueue

pytestmark = pytest.mark.live


@contextmanager
def frequent_switches() -> Iterator[None]:
    """Threads that take turns as often as Python can, so that a race of two is met soon."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def errors_of(
    seconds: float, changes: Callable[[int], object], *reads: Callable[[], object]
) -> Any:
    """Call `changes(n)` in this thread and each of `reads` in one of its own: what they raised."""
    errors: list[BaseException] = []
    end = time.monotonic() + seconds

    def repeat(read: Callable[[], object]) -> None:
        while time.monotonic() < end and not errors:
            try:
                read()
            except Exception as error:  # noqa: BLE001 - counted
                errors.append(error)

    threads = [threading.Thread(target=repeat, args=(read,)) for read in reads]
    with frequent_switches():
        for thread in threads:
            thread.start()
        number = 0
        while time.monotonic() < end and not errors:
            try:
                changes(number)
            except Exception as error:  # noqa: BLE001 - counted
                errors.append(error)
            number += 1
        for thread in threads:
            thread.join()
    return errors


def pod(name: str) -> Any:
    """A Pod document."""
    return {"metadata": {"name": name, "namespace": "d", "uid": name}, "spec": {}}


def test_the_queue_is_counted_while_pods_come_and_go() -> None:
    """`counts()` of another thread: RuntimeError within milliseconds, if it walked the table."""
    queue = SchedulingQueue()
    for number in range(500):
        queue.add(pod(f"old-{number}"), 0.0)

    def come_and_go(number: int) -> None:
        queue.add(pod(f"new-{number % 7}"), 0.0, gated=True)
        queue.remove(f"d/new-{number % 7}")

    assert errors_of(1.0, come_and_go, queue.counts) == []


def test_kinds_are_found_while_definitions_come_and_go() -> None:
    """Two clients define kinds while others look kinds up by plural and group."""
    registry = Registry([Kind(f"Kind{n}", f"kind{n}s", group="g") for n in range(300)])

    def define(prefix: str, number: int) -> None:
        registry.define(Kind(f"{prefix}{number % 5}", f"{prefix.lower()}{number % 5}s", group="g"))

    errors = errors_of(
        1.5,
        lambda number: define("A", number),
        lambda: define("B", 0),
        lambda: define("B", 0),
        lambda: registry.find("kind299s.v1.g"),
        registry.kinds,
    )
    assert errors == []
    assert {registry.at("g", "v1", f"a{n}s") for n in range(5)} == set(registry.kinds()[-6:]) - {
        registry.find("B0")
    }


def test_a_busy_live_cluster_is_read_without_an_error() -> None:
    """Statistics, /metrics, tables, charts and explanations while pods and traffic change."""
    with Cluster(2, clock="live", speed=50, metrics_resolution=10) as cluster:
        url = cluster.serve().url
        cluster.set_traffic(30)

        def fetch(path: str) -> None:
            with urllib.request.urlopen(url + path, timeout=60) as reply:  # an error is raised
                reply.read()

        def change(number: int) -> None:
            replicas = (8, 1, 5, 2)[number % 4]
            cluster.api.patch("StatefulSet", "auto-pod", {"spec": {"replicas": replicas}})
            cluster.set_traffic(20 + number % 9)
            time.sleep(0.02)

        errors = errors_of(
            4.0,
            change,
            cluster.statistics,
            lambda: fetch("/metrics"),
            lambda: fetch("/apis/metrics.k8s.io/v1beta1/pods"),
            lambda: [str(cluster.explain(each)) for each in cluster.decisions.objects()],
            lambda: (cluster.pods(), cluster.traffic.figures(), cluster.traffic.series("auto-pod")),
        )
        assert errors == []
        assert not cluster.failures
