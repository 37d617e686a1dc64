"""The same run in a whole simulated cluster: API server, scheduler, kubelets, metrics-server, HPA.

A thousand times slower than the model, and the reference for it: pods go through scheduler and
kubelet, and every decision of a policy can be explained.
"""

from __future__ import annotations

import json
from dataclasses import replace
from math import ceil
from typing import Any

from kubesim.autoscaler import AutoscalingPolicy, Observation, PolicyConstants, Recommendation
from kubesim.cluster import Cluster
from kubesim.experiment.scores import LatencyTally, Run, Scores, count_flaps, pod_seconds
from kubesim.experiment.setting import Contender, World
from kubesim.objects.wellknown import START_SECONDS, SYNC_PERIOD, WORKLOAD
from kubesim.quantity import format_duration
from kubesim.simple import autopod
from kubesim.traffic import TrafficModel

NODE_CPU = 16
PAGE_SECONDS = 600.0  # how often the series are read; their ring keeps 7200 s


class _WithConstants:
    """A policy that gets the contender's settings instead of the controller's."""

    def __init__(self, policy: AutoscalingPolicy, constants: PolicyConstants) -> None:
        self._policy = policy
        self._constants = constants

    def recommend(self, observation: Observation) -> Recommendation | int:
        return self._policy.recommend(replace(observation, constants=self._constants))


def run_in_cluster(
    contender: Contender,
    traffic: TrafficModel,
    *,
    duration: float,
    world: World,
    seed: int = 0,
) -> Run:
    """Run one contender in its own cluster, on virtual time.

    Args:
        contender: the policy and its HPA.
        traffic: requests per second over time.
        duration: simulated seconds.
        world: what is scaled; `step_seconds` is not used.
        seed: of the cluster.
    """
    with built(contender, traffic, world=world, seed=seed) as cluster:
        return _watch(cluster, world, duration)


def built(
    contender: Contender,
    traffic: TrafficModel,
    *,
    world: World,
    seed: int = 0,
    **options: Any,
) -> Cluster:
    """Return the cluster of such a run at second 0; the caller closes it.

    Args:
        contender, traffic, world, seed: as in `run_in_cluster`.
        options: further options of `Cluster`, for example ``shadow_policies``.
    """
    cpu = world.request_milli * max(contender.maximum, world.pods) / 1000
    nodes = max(1, ceil(1.2 * cpu / NODE_CPU), ceil(max(contender.maximum, world.pods) / 100))
    cluster = Cluster(
        nodes,
        seed=seed,
        hpa=False,
        node_cpu=str(NODE_CPU),
        node_memory="64Gi",
        policy=_WithConstants(contender.make_policy(), contender.constants),
        metrics_resolution=world.metrics_resolution,
        feature_gates={"HPAConfigurableTolerance": True},
        **options,
    )
    try:
        _create(cluster, contender, world)
        cluster.set_traffic(traffic, queue=world.queue)
    except BaseException:
        cluster.close()
        raise
    return cluster


def _create(cluster: Cluster, contender: Contender, world: World) -> None:
    workload = autopod.workload(replicas=world.pods)
    template = workload["spec"]["template"]
    options = {
        "model": "load",
        "cost_milli_per_rps": world.cost_milli_per_rps,
        "idle_milli": world.idle_milli,
        "noise": 0,
        "startup_seconds": world.startup_seconds,
        "startup_milli": world.startup_milli,
    }
    template["metadata"]["annotations"] = {
        WORKLOAD: json.dumps(options),
        START_SECONDS: str(world.start_seconds),
    }
    (container,) = template["spec"]["containers"]
    container["resources"]["requests"]["cpu"] = f"{world.request_milli}m"
    container["resources"]["limits"]["cpu"] = f"{world.limit_milli}m"
    hpa = autopod.autoscaler(interval=format_duration(contender.sync_seconds))
    hpa["metadata"]["annotations"][SYNC_PERIOD] = format_duration(contender.sync_seconds)
    hpa["spec"].update(contender.spec())
    cluster.api.create(workload)
    cluster.api.create(hpa)


def _watch(cluster: Cluster, world: World, duration: float) -> Run:
    """Let time pass, and compute the scores."""
    tally, cursor, decision_cursor = LatencyTally(), 0, 0
    sizes: list[tuple[float, int]] = [(0.0, world.pods)]
    offered = unmet = slow = 0.0
    remaining_seconds = duration
    while remaining_seconds > 0:
        cluster.sleep(min(remaining_seconds, PAGE_SECONDS))
        remaining_seconds -= PAGE_SECONDS
        page = cluster.traffic.series(autopod.NAME, cursor)
        cursor = page.cursor
        for flow in page.rows:
            tally.add(flow)
            offered += flow.offered
            unmet += flow.unmet
            late = flow.p95 is not None and flow.p95 > world.latency_target_seconds
            slow += flow.unmet > 0 or late
        decisions, decision_cursor = cluster.decisions.since(decision_cursor, f"hpa/{autopod.NAME}")
        sizes += [(d.time, int(d.data["to"])) for d in decisions if d.data.get("written")]
    scores = Scores(
        pod_seconds=pod_seconds(sizes, duration),
        most_pods=max(size for _, size in sizes),
        offered=offered,
        unmet=unmet,
        p95=tally.percentile(95),
        slow_seconds=slow,
        scalings=len(sizes) - 1,
        flaps=count_flaps(sizes),
    )
    return Run("", "", 0, scores, tuple(sizes))


__all__ = ["built", "run_in_cluster"]
