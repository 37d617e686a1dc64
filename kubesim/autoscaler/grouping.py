"""Which pods count: the selected ones, sorted by what their samples are worth.

A pod that has just started burns CPU to warm up, and one that is going away burns none; an
autoscaler that believed them would chase its own tail. So some samples are dropped, and it is
remembered whose: `replicas` assumes something careful in their place.

>>> pods = [PodFacts("old", started=-999), PodFacts("young", started=0.0, ready_changed=10.0)]
>>> samples = {"old": Sample(100, time=20, window=15), "young": Sample(900, time=20, window=15)}
>>> group_pods(pods, samples, cpu=True, now=20.0)
Groups(ready=('old',), unready=('young',), missing=(), ignored=())

The sample of `young` covers the seconds 5 to 20, and the pod became ready at 10.

Source: pkg/controller/podautoscaler/replica_calculator.go (groupPods, calculateRequests).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kubesim.autoscaler.constants import DEFAULTS, PolicyConstants
from kubesim.autoscaler.types import Metric, PodFacts, Reading, Sample


@dataclass(frozen=True, slots=True)
class Groups:
    """Names of the selected pods.

    Attributes:
        ready: counted.
        unready: pending, starting, or never ready; their samples are dropped.
        missing: without a sample.
        ignored: on their way out or failed; out of everything.
    """

    ready: tuple[str, ...] = ()
    unready: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


def trusts_cpu(
    pod: PodFacts, sample: Sample, now: float, constants: PolicyConstants = DEFAULTS
) -> bool:
    """Whether a pod's CPU sample says something about its load, and not about its start.

    A young pod must be ready, and the whole window of the sample must lie after it became so. An
    old one is trusted unless it is unready and never was ready since it started; so a pod that ran
    for hours and then lost readiness still counts.
    """
    if pod.ready is None or pod.started is None:
        return False
    if now - pod.started < constants.cpu_initialization_seconds:
        return pod.ready is True and sample.time - sample.window >= pod.ready_changed
    never_was_ready = pod.ready_changed - pod.started < constants.readiness_delay_seconds
    return pod.ready is not False or not never_was_ready


def group_pods(
    pods: Sequence[PodFacts],
    samples: Mapping[str, Sample],
    *,
    cpu: bool,
    now: float,
    constants: PolicyConstants = DEFAULTS,
) -> Groups:
    """Sort the selected pods; the order of the tests matters.

    Args:
        pods: all pods that the target's selector selects.
        samples: by pod name.
        cpu: the metric is the resource CPU: only then do the rules of starting pods apply. Memory
            and custom metrics count a brand-new, unready pod at once.
        now: in seconds.
        constants: the controller's settings.
    """
    ready, unready, missing, ignored = [], [], [], []
    for pod in pods:
        sample = samples.get(pod.name)
        if pod.terminating or pod.phase == "Failed":
            ignored.append(pod.name)
        elif pod.phase == "Pending":
            unready.append(pod.name)
        elif sample is None:
            missing.append(pod.name)
        elif cpu and not trusts_cpu(pod, sample, now, constants):
            unready.append(pod.name)
        else:
            ready.append(pod.name)
    return Groups(tuple(ready), tuple(unready), tuple(missing), tuple(ignored))


def check_requests(metric: Metric, reading: Reading, pods: Sequence[PodFacts]) -> None:
    """Utilization needs the request of *every* selected pod, whatever its state.

    Raises:
        ValueError: one has none; so one dying pod without a request breaks the metric.
    """
    for pod in pods:
        if reading.requests.get(pod.name) is None:
            where = f"container {metric.container} of Pod" if metric.container else "Pod"
            said = f"missing request for {metric.name} in {where} {pod.name}"
            raise ValueError(reading.unrequested.get(pod.name, said))
