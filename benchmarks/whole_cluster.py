"""Simulated time per CPU second of a whole cluster: 100 nodes, 1,000 pods, an HPA, a rollout.

kubesim's side is everything: a Deployment of a thousand pods under a load that swings, an HPA of
800 to 1,200, and a rolling update in the middle of it; every sample, watch, status and decision.
The peer is SimPy with a process for each pod that writes its state as JSON each second, and nothing
else: no scheduler, no controllers, no API server. It says what the pods alone would cost.
"""

from __future__ import annotations

from typing import Any

from benchmarks.measure import BenchmarkRow, cpu_seconds, row, take_turns
from benchmarks.virtual_ticks import simpy_run
from kubesim import Cluster
from kubesim.traffic import Sine

NODES = 100
PODS = 1_000
BOOT_SECONDS = 120.0
HOUR = 3_600.0


def template(image: str) -> dict[str, Any]:
    """The pods of the Deployment."""
    requests = {"cpu": "200m", "memory": "128Mi"}
    container = {"name": "main", "image": image, "resources": {"requests": requests}}
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}


def prepare(cluster: Cluster) -> None:
    """A Deployment, its autoscaler, and its load."""
    selector = {"matchLabels": {"app": "web"}}
    spec = {"replicas": PODS, "selector": selector, "template": template("nginx:1")}
    cluster.api.create({"kind": "Deployment", "metadata": {"name": "web"}, "spec": spec})
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    utilization = {"type": "Utilization", "averageUtilization": 70}
    metric = {"type": "Resource", "resource": {"name": "cpu", "target": utilization}}
    hpa = {"scaleTargetRef": target, "minReplicas": 800, "maxReplicas": 1_200, "metrics": [metric]}
    cluster.api.create(
        {"kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"}, "spec": hpa}
    )
    cluster.set_traffic(Sine(base=13_000, amplitude=2_000, period_seconds=1_800), "web")
    cluster.sleep(BOOT_SECONDS)


def whole_cluster(seconds: float) -> float:
    """Simulated hours per CPU second, rollout included."""
    with Cluster(nodes=NODES, seed=1, hpa=False, node_cpu="16", node_memory="32Gi") as cluster:
        prepare(cluster)

        def work() -> None:
            cluster.api.patch("Deployment", "web", {"spec": {"template": template("nginx:2")}})
            cluster.sleep(seconds)

        spent = cpu_seconds(work)
        status = cluster.api.get("Deployment", "web")["status"]
        assert status["updatedReplicas"] == status["replicas"], "the rollout has not ended"
        return seconds / HOUR / spent


def run(quick: bool) -> list[BenchmarkRow]:
    """Rows for the driver."""
    seconds, rounds = (600.0, 1) if quick else (HOUR, 3)
    results = take_turns(
        rounds,
        kubesim=lambda: whole_cluster(seconds),
        simpy=lambda: simpy_run(PODS, encode=True) / (PODS * HOUR),
    )
    name = f"{NODES} nodes, {PODS:,} pods, HPA and a rolling update"
    peer = "SimPy: the pods alone"
    return [row(name, "simulated h/CPU s", results["kubesim"], results["simpy"], peer)]
