"""Try settings of an autoscaler on a load, in a whole simulated cluster: one call, one picture.

    tune(load="spike", target=60)                        a trial: picture, scores, tables, reasons
    tune(Tuning(target=95), load="spike")                the same, based on other settings
    tune(window=0, up="1 pod in 60 s").table("syncs")    what the autoscaler recommended and did

Each trial has its own cluster on the virtual clock, with scheduler, kubelets, metrics-server and
HPA; half an hour takes a fraction of a second. Its pods request 200m of CPU, which is also their
limit: a pod serves at most 18 requests a second, and then uses 100 % of its request.

The nearest in Kubernetes is a load test on a staging cluster.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from kubesim.autoscaler import Observation
from kubesim.client.decisions import Decision
from kubesim.cluster import Cluster
from kubesim.errors import BadRequest
from kubesim.experiment import Contender, Run, World
from kubesim.experiment.cluster_run import built
from kubesim.objects import Document
from kubesim.objects.kindnames import HORIZONTAL_POD_AUTOSCALER, STATEFUL_SET
from kubesim.traffic import Queue, TrafficModel
from lessons.tuning.loads import load_of
from lessons.tuning.trial import HPA, Trial

SEED = 7
PODS = 3  # at the beginning, and the minimum
LIMIT_MILLI = 200  # limit and request of a pod
BURN_MILLI = 150.0  # additional CPU of a pod while it warms up
WAITING = 60.0  # requests that may wait for each second of patience
PIECE = re.compile(r"\s*(\d+)\s*(pods?|%)\s+in\s+(\d+)\s*s\s*", re.IGNORECASE)
ANY_UP = "4 pods in 15 s or 100 % in 15 s"  # Kubernetes' defaults
ANY_DOWN = "100 % in 15 s"


@dataclass(frozen=True)
class Opening:
    """A load that begins when the first pods are ready.

    Attributes:
        model: the load.
        at_seconds: no request arrives earlier.
    """

    model: TrafficModel
    at_seconds: float

    def rate(self, now: float) -> float:
        """Return the requests per second."""
        return 0.0 if now < self.at_seconds else self.model.rate(now)


@dataclass(frozen=True)
class Tuning:
    """Settings of an autoscaler, of the pods that it scales, and the load.

    Attributes:
        load: name of a load profile, see `lessons.tuning.loads`.
        target: averageUtilization, in percent of the CPU request.
        minimum, maximum: bounds of the number of pods.
        window: stabilization window for scaling down, in seconds.
        up, down: scaling policies in words: ``"4 pods in 15 s or 100 % in 15 s"``; the policy
            that allows the largest change counts.
        tolerance: distance from the target within which nothing changes; None: 0.1.
        start: seconds until a new pod is ready.
        burn: seconds for which a new pod uses 150m more, to warm up.
        probe: a readiness probe fails until the pod has warmed up.
        metrics: seconds between two scrapes of metrics-server; None: the last second is known.
        sync: seconds between two evaluations of the autoscaler.
        patience: seconds that a client waits before it gives up.

    Raises:
        BadRequest: a policy or a number is not valid.
    """

    load: str = "lunch break"
    target: int = 80
    minimum: int = PODS
    maximum: int = 20
    window: int = 300
    up: str = ANY_UP
    down: str = ANY_DOWN
    tolerance: float | None = None
    start: float = 20.0
    burn: float = 0.0
    probe: bool = False
    metrics: float | None = 15.0
    sync: float = 15.0
    patience: float = 5.0

    def __post_init__(self) -> None:
        load_of(self.load)
        if self.burn < 0 or self.start < 0:
            raise BadRequest("start and burn must be seconds, 0 or more")
        self.behavior()

    def behavior(self) -> Document:
        """Return spec.behavior of the HPA, as in a manifest."""
        up: Document = {"stabilizationWindowSeconds": 0, "policies": policies(self.up)}
        down: Document = {
            "stabilizationWindowSeconds": self.window,
            "policies": policies(self.down),
        }
        if self.tolerance is not None:
            up["tolerance"] = down["tolerance"] = f"{self.tolerance:g}"
        return {"scaleUp": up, "scaleDown": down}

    def contender(self, policy: Any = None) -> Contender:
        """Return the HPA, for `kubesim.experiment.compare`.

        Args:
            policy: a policy, or its class, in place of the real algorithm.
        """
        own = {} if policy is None else {"policy": policy}
        return Contender(
            target=self.target,
            minimum=self.minimum,
            maximum=self.maximum,
            behavior=self.behavior(),
            sync_seconds=self.sync,
            **own,
        )

    def world(self) -> World:
        """Return the pods and their clients, for `kubesim.experiment.compare`."""
        return World(
            limit_milli=LIMIT_MILLI,
            start_seconds=self.start,
            startup_seconds=self.burn,
            startup_milli=BURN_MILLI if self.burn else 0.0,
            pods=self.minimum,
            queue=Queue(limit=WAITING * self.patience, timeout_seconds=self.patience),
            metrics_resolution=self.metrics,
        )

    def __str__(self) -> str:
        """Return what differs from the defaults, in a few words."""
        defaults = Tuning()
        named = {key: getattr(self, key) for key in self.__dataclass_fields__ if key != "load"}
        changed = [
            f"{key}={value!r}" for key, value in named.items() if value != getattr(defaults, key)
        ]
        return ", ".join([self.load, *(changed or ["the defaults"])])


def policies(words: str) -> list[Document]:
    """Parse scaling policies from words; return them as in a manifest.

    >>> policies("4 pods in 15 s or 100 % in 60 s")[1]
    {'type': 'Percent', 'value': 100, 'periodSeconds': 60}

    Raises:
        BadRequest: the words are not a policy.
    """
    parsed = []
    for piece in str(words).split(" or "):
        match = PIECE.fullmatch(piece)
        if match is None:
            raise BadRequest(
                f"{piece!r} is not a scaling policy",
                hint='write "4 pods in 15 s" or "50 % in 60 s"',
            )
        value, unit, seconds = match.groups()
        kind = "Percent" if unit == "%" else "Pods"
        parsed.append({"type": kind, "value": int(value), "periodSeconds": int(seconds)})
    return parsed


def tune(
    tuning: Tuning | None = None,
    *,
    policy: Any = None,
    shadows: dict[str, Any] | None = None,
    seed: int = SEED,
    **changes: Any,
) -> Trial:
    """Try settings in a new cluster, on the virtual clock.

    Args:
        tuning: settings to start from; None: the defaults.
        policy: a policy in place of the real algorithm.
        shadows: policies that decide but change nothing, by name.
        seed: seed of the cluster.
        changes: settings that differ, see `Tuning`.

    Returns:
        the run; as the last value of a cell it shows its picture.

    Raises:
        BadRequest: a setting is not valid.
        Invalid: the API server refuses the HPA.
    """
    try:
        chosen = replace(tuning or Tuning(), **changes)
    except TypeError as error:
        names = ", ".join(Tuning.__dataclass_fields__)
        raise BadRequest(f"{error}", hint=f"the settings are: {names}") from error
    load = load_of(chosen.load)
    with built(
        chosen.contender(policy),
        Opening(load.model, chosen.start + (chosen.burn if chosen.probe else 0.0) + 2.0),
        world=chosen.world(),
        seed=seed,
        shadow_policies=shadows,
    ) as cluster:
        if chosen.probe:
            _probe(cluster, chosen.burn)
        cluster.sleep(load.seconds)
        return Trial(
            title=str(chosen),
            seconds=load.seconds,
            begin=chosen.minimum,
            bounds=(chosen.minimum, chosen.maximum),
            flows=tuple(cluster.traffic.series(HPA).rows),
            syncs=tuple(cluster.decisions.of(f"hpa/{HPA}")),
            shadows=_shadows(cluster, shadows),
            stored=cluster.api.get(HORIZONTAL_POD_AUTOSCALER, HPA)["spec"],
        )


def pods_needed(observation: Observation) -> float:
    """Return how many pods the current load would keep at the target utilization.

    This is the CPU of the ready pods divided by what one pod uses at the target. A pod at its limit
    reports 100 %, however many requests wait, so the true need may be higher.

    Args:
        observation: what a policy observes; its first metric is CPU utilization.
    """
    metric, reading = observation.metrics[0]
    pods = [pod.name for pod in observation.pods if pod.ready is True]
    ready = [name for name in pods if name in reading.samples]
    requested = sum(reading.requests[name] or 0 for name in ready)
    if not requested or not metric.utilization:
        return float(observation.current)
    used = sum(reading.samples[name].milli for name in ready)
    return len(ready) * 100 * used / (requested * metric.utilization)


def cost(run: Run) -> float:
    """Return one figure for a run, lower is better: pod minutes, and what users noticed.

    A pod minute costs 1, an unmet request 0.05, a slow second 0.1, a flap 5.
    """
    scores = run.scores
    noticed = scores.unmet / 20 + scores.slow_seconds / 10 + 5 * scores.flaps
    return scores.pod_seconds / 60 + noticed


def _shadows(cluster: Cluster, named: dict[str, Any] | None) -> dict[str, tuple[Decision, ...]]:
    return {name: tuple(cluster.decisions.of(f"hpa-shadow/{HPA}/{name}")) for name in named or {}}


def _probe(cluster: Cluster, seconds: float) -> None:
    """Give the pods a readiness probe that fails for the first seconds."""
    workload = cluster.api.get(STATEFUL_SET, HPA)
    workload["spec"]["template"]["spec"]["containers"][0]["readinessProbe"] = {
        "httpGet": {"path": "/", "port": 80},
        "initialDelaySeconds": int(seconds),
        "periodSeconds": 5,
    }
    cluster.api.update(workload)


__all__ = ["Opening", "Tuning", "cost", "pods_needed", "policies", "tune"]
