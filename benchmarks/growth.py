"""How a cluster grows: CPU and memory of a pod of a Deployment, from its creation to Running.

The peer is kubesim itself with a hundred pods: a control plane whose work for a pod depends on the
number of pods is quadratic. Each figure comes from a process of its own, because memory that was
used once is not given back.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from benchmarks.measure import BenchmarkRow
from kubesim import Cluster
from kubesim.objects.pods import phase_of

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict

SMALL = (10, 100, 1)  # nodes, pods, Deployments
SIZES = ((100, 1_000, 10), (1_000, 10_000, 100))
STATUS = Path("/proc/self/status")
REQUESTS = {"cpu": "100m", "memory": "64Mi"}
LOOK_SECONDS = 5.0  # simulated
MOST_LOOKS = 60


def deployment(name: str, replicas: int) -> dict[str, Any]:
    """A Deployment of small pods."""
    labels = {"app": name}
    container = {"name": "main", "image": "nginx:1", "resources": {"requests": REQUESTS}}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def measure(nodes: int, pods: int, deployments: int) -> dict[str, float]:
    """Milliseconds of CPU and KB of memory that a pod costs, in this process."""
    with Cluster(nodes=nodes, seed=1, hpa=False) as cluster:
        cluster.sleep(10)
        memory, start = _memory_kb(), time.process_time()
        for number in range(deployments):
            cluster.api.create(deployment(f"web-{number}", pods // deployments))

        for _ in range(MOST_LOOKS):
            cluster.sleep(LOOK_SECONDS)
            present = cluster.api.snapshot("Pod")[0]
            running = sum(phase_of(cast("PodDict", pod)) == "Running" for pod in present)
            if running >= pods:
                break
        assert running >= pods, "not all pods run"
        spent = time.process_time() - start
        return {"ms": spent / pods * 1_000, "kb": (_memory_kb() - memory) / pods}


def _memory_kb() -> float:
    """Resident memory now; where the system does not tell, the most that was resident."""
    if STATUS.exists():  # not ru_maxrss: on Linux a new process begins with that of its parent
        return float(STATUS.read_text().partition("VmRSS:")[2].split()[0])
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 1_024 if sys.platform == "darwin" else most


def elsewhere(size: tuple[int, int, int]) -> dict[str, float]:
    """Measure in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.growth", *map(str, size)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def run(quick: bool) -> list[BenchmarkRow]:
    """Rows for the driver."""
    small, rows = elsewhere(SMALL), list[BenchmarkRow]()
    for size in SIZES[:1] if quick else SIZES:
        figures = elsewhere(size)
        what = f"{size[1]:,} pods of {size[2]} Deployments on {size[0]:,} nodes"
        for key, unit in (("ms", "CPU ms / pod"), ("kb", "KB / pod")):
            rows.append(
                {
                    "name": what,
                    "unit": unit,
                    "kubesim": figures[key],
                    "peer": small[key],
                    "peer_name": f"{SMALL[1]} pods on {SMALL[0]} nodes",
                    "ratio": small[key] / figures[key],
                }
            )
    return rows


if __name__ == "__main__":
    print(json.dumps(measure(*map(int, sys.argv[1:4]))))
