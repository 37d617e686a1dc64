"""From samples to a proposed number of pods: the arithmetic of one metric.

The heart is ``desired = ceil(current * measured / target)``; the rest is care: pods that have just
started, samples that are missing, a ratio too close to 1 to act on.

>>> pods = tuple(PodFacts(f"p{n}", started=-999) for n in range(4))
>>> samples = {f"p{n}": Sample(milli) for n, milli in enumerate((200, 220, 180, 240))}
>>> reading = Reading(samples, requests=dict.fromkeys(samples, 250))
>>> target = Metric(utilization=60)
>>> propose(target, reading, pods, current=4, status_replicas=4, now=0.0).replicas
6

Divisions of integers truncate, and ratios are doubles: that is what kube-controller-manager does,
and exact fractions would decide otherwise now and then (124/60 * 15 is 31, and gives 32).

Source: pkg/controller/podautoscaler/replica_calculator.go, metrics/utilization.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from kubesim.autoscaler.types import (
    Constants,
    Metric,
    MetricFailed,
    PodFacts,
    Proposal,
    Reading,
    Sample,
)
from kubesim.client.decisions import Step

MAX_REPLICAS = 2**31 - 1  # a size is an int32
SOURCE = "pkg/controller/podautoscaler/replica_calculator.go"
FAILURES = {
    "Resource": "FailedGetResourceMetric",
    "ContainerResource": "FailedGetContainerResourceMetric",
    "Pods": "FailedGetPodsMetric",
    "Object": "FailedGetObjectMetric",
    "External": "FailedGetExternalMetric",
}


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Ratios from 1 - down to 1 + up, both included, do nothing."""

    up: float = 0.1
    down: float = 0.1

    def holds(self, ratio: float) -> bool:
        """True if the ratio is too close to 1 to act on."""
        return (1.0 - self.down) <= ratio <= (1.0 + self.up)

    def __str__(self) -> str:
        return f"{1.0 - self.down:g}..{1.0 + self.up:g}"


DEFAULTS = Constants()
DEFAULT_TOLERANCE = Tolerance()


@dataclass(frozen=True, slots=True)
class Groups:
    """The selected pods, sorted by what their samples are worth.

    Attributes:
        ready: counted.
        unready: starting or not ready; their samples are dropped.
        missing: without a sample.
        ignored: on their way out or failed; out of everything.
    """

    ready: tuple[str, ...] = ()
    unready: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


def trusts_cpu(pod: PodFacts, sample: Sample, now: float, constants: Constants) -> bool:
    """Whether a pod's CPU sample says something about its load, and not about its start.

    A young pod must be ready, and the whole window of the sample must lie after it became so. An
    old one is trusted unless it never was ready since it started.
    """
    if pod.ready is None or pod.started is None:
        return False
    if now - pod.started < constants.cpu_initialization_seconds:
        return pod.ready and sample.time - sample.window >= pod.ready_changed
    shortly_after_start = pod.ready_changed - pod.started < constants.readiness_delay_seconds
    return pod.ready or not shortly_after_start


def group_pods(
    pods: Sequence[PodFacts],
    samples: Mapping[str, Sample],
    *,
    cpu: bool,
    now: float,
    constants: Constants = DEFAULTS,
) -> Groups:
    """Sort the selected pods; the order of the tests matters.

    Args:
        pods: all pods that the target's selector selects.
        samples: by pod name.
        cpu: the metric is CPU: only then do start-up rules apply.
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


def utilization_ratio(
    values: Mapping[str, int], requests: Mapping[str, int | None], target_percent: int
) -> tuple[float, int, int]:
    """(ratio, percent, average in milli) over the pods that have both a value and a request.

    A quotient of sums, not a mean of percentages; the percent is truncated before the ratio is
    taken.

    Raises:
        ValueError: no such pod, or nothing requested at all.
    """
    used = asked = count = 0
    for name, milli in values.items():
        request = requests.get(name)
        if request is not None:
            used, asked, count = used + milli, asked + request, count + 1
    if asked == 0:
        raise ValueError("no metrics returned matched known pods")
    percent = used * 100 // asked
    return percent / target_percent, percent, used // count


def average_ratio(values: Mapping[str, int], target_milli: int) -> tuple[float, int]:
    """(ratio, average in milli) of a plain value for each pod.

    Raises:
        ValueError: no value at all.
    """
    if not values:
        raise ValueError("no metrics returned matched known pods")
    average = sum(values.values()) // len(values)
    return average / target_milli, average


def propose(
    metric: Metric,
    reading: Reading,
    pods: Sequence[PodFacts],
    *,
    current: int,
    status_replicas: int,
    now: float,
    tolerance: Tolerance = DEFAULT_TOLERANCE,
    constants: Constants = DEFAULTS,
) -> Proposal:
    """What one metric asks for.

    Args:
        metric: the entry of spec.metrics.
        reading: what was measured.
        pods: the selected pods.
        current: spec.replicas of the target.
        status_replicas: status.replicas of the target.
        now: in seconds.
        tolerance, constants: settings.

    Raises:
        MetricFailed: it gives no proposal; `reason` is that of the condition.
    """
    if metric.type not in FAILURES:
        raise MetricFailed("InvalidMetricSourceType", f"unknown metric source type {metric.type!r}")
    reason = FAILURES[metric.type]
    if reading.error:
        raise MetricFailed(reason, reading.error)
    try:
        if metric.type in ("Object", "External"):
            return _whole(metric, reading, pods, current, status_replicas, tolerance)
        return _for_each_pod(metric, reading, pods, current, now, tolerance, constants)
    except ValueError as error:
        raise MetricFailed(reason, str(error)) from error


# -- metrics of pods -----------------------------------------------------------------------------


def _for_each_pod(
    metric: Metric,
    reading: Reading,
    pods: Sequence[PodFacts],
    current: int,
    now: float,
    tolerance: Tolerance,
    constants: Constants,
) -> Proposal:
    is_cpu = metric.type in ("Resource", "ContainerResource") and metric.name == "cpu"
    if not reading.samples:
        raise ValueError(f"no metrics returned from the metrics API for {metric.described()}")
    groups = group_pods(pods, reading.samples, cpu=is_cpu, now=now, constants=constants)
    dropped = {*groups.ignored, *groups.unready}
    values = {n: s.milli for n, s in reading.samples.items() if n not in dropped}
    # Resource uses averageValue whenever it is set, whatever target.type says.
    by_request = metric.average_milli is None and metric.type != "Pods"
    if by_request:
        _check_requests(metric, reading, pods)
    if not values:
        raise ValueError("did not receive metrics for targeted pods (pods might be unready)")
    steps = [_group_step(groups)]
    ratio, percent, average = _read(metric, reading, values, by_request)
    steps.append(_reading_step("first reading", metric, ratio, percent, average, len(values)))
    simple = not groups.missing and not (ratio > 1.0 and groups.unready)
    decided, count = ratio, len(groups.ready)
    held = ""
    if simple:
        wanted = ceil(ratio * count)
    else:
        filled = _assume(metric, reading, values, groups, ratio, by_request)
        decided, second, _ = _read(metric, reading, filled, by_request)
        count = len(filled)
        steps.append(_reading_step("second reading", metric, decided, second, None, count))
        wanted = ceil(decided * count)
        if (ratio < 1.0 < decided) or (decided < 1.0 < ratio):
            held = "the direction flips once missing and unready pods are assumed"
        elif (decided < 1.0 and wanted > current) or (decided > 1.0 and wanted < current):
            held = "the number would move against the ratio"
    if tolerance.holds(decided):
        held = "tolerance"
    replicas = current if held else min(wanted, MAX_REPLICAS)
    steps.append(_proposal_step(decided, count, replicas, held, tolerance))
    return Proposal(replicas, percent, average, None, decided, count, held, tuple(steps))


def _check_requests(metric: Metric, reading: Reading, pods: Sequence[PodFacts]) -> None:
    """Requests are collected for every selected pod; one without breaks the metric."""
    for pod in pods:
        if reading.requests.get(pod.name) is None:
            where = f"container {metric.container} of Pod" if metric.container else "Pod"
            raise ValueError(f"missing request for {metric.name} in {where} {pod.name}")


def _read(
    metric: Metric, reading: Reading, values: Mapping[str, int], by_request: bool
) -> tuple[float, int | None, int]:
    if by_request:
        if metric.utilization is None:
            raise ValueError("the metric has no target")
        return utilization_ratio(values, reading.requests, metric.utilization)
    if metric.average_milli is None:
        raise ValueError("the metric has no target")
    ratio, average = average_ratio(values, metric.average_milli)
    return ratio, None, average


def _assume(
    metric: Metric,
    reading: Reading,
    values: Mapping[str, int],
    groups: Groups,
    ratio: float,
    by_request: bool,
) -> dict[str, int]:
    """The values with assumptions for pods that gave none: whatever damps the change."""
    filled = dict(values)
    if ratio < 1.0:
        for name in groups.missing:
            if by_request:
                percent = max(100, metric.utilization or 0)
                filled[name] = (reading.requests[name] or 0) * percent // 100
            else:
                filled[name] = metric.average_milli or 0
    elif ratio > 1.0:
        for name in (*groups.missing, *groups.unready):
            filled[name] = 0
    return filled


# -- metrics of a whole --------------------------------------------------------------------------


def _whole(
    metric: Metric,
    reading: Reading,
    pods: Sequence[PodFacts],
    current: int,
    status_replicas: int,
    tolerance: Tolerance,
) -> Proposal:
    total = reading.total_milli
    if total is None:
        raise ValueError(f"unable to get {metric.described()}: no metrics returned")
    if metric.type == "Object":  # type and field have to agree here
        average = metric.average_milli if metric.target_type == "AverageValue" else None
        value = metric.value_milli if metric.target_type == "Value" else None
    else:
        average = metric.average_milli
        value = metric.value_milli if average is None else None
    if average is not None:
        return _whole_average(total, average, status_replicas, tolerance)
    if value is None:
        raise ValueError("the metric source has neither a value target nor an average value target")
    return _whole_value(total, value, pods, current, tolerance)


def _whole_value(
    total: int, target: int, pods: Sequence[PodFacts], current: int, tolerance: Tolerance
) -> Proposal:
    ratio = total / target
    count = sum(pod.phase == "Running" and pod.ready is True for pod in pods)
    held = ""
    if current == 0:
        replicas = ceil(ratio)
    elif tolerance.holds(ratio):
        replicas, held = current, "tolerance"
    elif not pods:
        raise ValueError("no pods returned by selector while calculating replica count")
    else:
        replicas = min(ceil(ratio * count), MAX_REPLICAS)
    step = _proposal_step(ratio, count, replicas, held, tolerance)
    return Proposal(replicas, None, None, total, ratio, count, held, (step,))


def _whole_average(total: int, target: int, status_replicas: int, tolerance: Tolerance) -> Proposal:
    """Compared with status.replicas, not with spec.replicas."""
    ratio = total / (target * status_replicas) if status_replicas else float("inf")
    held = "tolerance" if tolerance.holds(ratio) else ""
    replicas = status_replicas if held else min(ceil(total / target), MAX_REPLICAS)
    average = ceil(total / status_replicas) if status_replicas else 0
    step = _proposal_step(ratio, status_replicas, replicas, held, tolerance)
    return Proposal(replicas, None, average, None, ratio, status_replicas, held, (step,))


# -- steps ---------------------------------------------------------------------------------------


def _group_step(groups: Groups) -> Step:
    inputs = {
        "ready": len(groups.ready),
        "unready": len(groups.unready),
        "missing": len(groups.missing),
        "ignored": len(groups.ignored),
    }
    return Step("sort pods", inputs, f"{len(groups.ready)} pods count", f"{SOURCE} groupPods")


def _reading_step(
    rule: str, metric: Metric, ratio: float, percent: int | None, average: int | None, count: int
) -> Step:
    inputs: dict[str, object] = {"pods": count}
    if percent is not None:
        inputs |= {"utilization_percent": percent, "target_percent": metric.utilization}
    elif metric.average_milli is not None:
        inputs["target_milli"] = metric.average_milli
    if average is not None:
        inputs["average_milli"] = average
    return Step(rule, inputs, f"ratio {ratio:.4g}", f"{SOURCE} GetResourceReplicas")


def _proposal_step(
    ratio: float, count: int, replicas: int, held: str, tolerance: Tolerance
) -> Step:
    if held == "tolerance":
        result = f"ratio {ratio:.4g} is within {tolerance}: keep {replicas}"
    elif held:
        result = f"{held}: keep {replicas}"
    else:
        result = f"ceil({ratio:.4g} x {count}) = {replicas}"
    return Step("proposal", {"ratio": ratio, "pods": count}, result, SOURCE)
