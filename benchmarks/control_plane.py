"""A simulated hour of ten pods with the autoscaler at work, in wall seconds."""

from __future__ import annotations

import statistics
import time

from benchmarks.measure import BenchmarkRow
from kubesim import Cluster
from kubesim.traffic import Sine

HOUR = 3_600.0


def one_hour() -> float:
    """Wall seconds for one simulated hour: ten pods, the autoscaler looking each five seconds."""
    with Cluster(nodes=3, seed=1) as cluster:
        cluster.set_hpa_config(min_pods=2, max_pods=10)
        cluster.set_traffic(Sine(base=70, amplitude=60, period_seconds=1_200))
        start = time.perf_counter()
        cluster.sleep(HOUR)
        return time.perf_counter() - start


def ten_pods() -> float:
    """The same with the number held at ten."""
    with Cluster(nodes=3, seed=1) as cluster:
        cluster.set_hpa_config(min_pods=10, max_pods=10)
        start = time.perf_counter()
        cluster.sleep(HOUR)
        return time.perf_counter() - start


def run(quick: bool) -> list[BenchmarkRow]:
    """Rows for the driver."""
    rounds = 1 if quick else 3
    rows: list[BenchmarkRow] = []
    for name, work in (("2-10 pods under a sine of load", one_hour), ("ten pods", ten_pods)):
        wall = statistics.median(work() for _ in range(rounds))
        rows.append(
            {
                "name": f"a simulated hour, {name}",
                "unit": "wall s",
                "kubesim": wall,
                "peer": HOUR,
                "peer_name": "real time",
                "ratio": HOUR / wall,
                "limit": 2.0,
            }
        )
    return rows
