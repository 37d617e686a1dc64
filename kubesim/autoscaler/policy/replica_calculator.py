"""The replica calculator: from the samples of pods to a proposed number of replicas.

The core is ``desired = ceil(pods * measured / target)``. The rest handles samples that cannot be
trusted. First the selected pods are sorted: a pod that has just started uses CPU to warm up, and
one that is terminating uses none, so their samples are dropped:

>>> pods = [PodFacts("old", started=-999), PodFacts("young", started=0.0, ready_changed=10.0)]
>>> samples = {"old": Sample(100, time=20, window=15), "young": Sample(900, time=20, window=15)}
>>> group_pods(pods, samples, cpu=True, now=20.0)
Groups(ready=('old',), unready=('young',), missing=(), ignored=())

The sample of `young` covers the seconds 5 to 20, and the pod became ready at 10.

A pod without a sample is left out of the first reading. If that would change the number, all pods
that were left out are added with the usage that *damps* the change: full usage when scaling down,
none when scaling up. If the direction changes then, the number is kept.

>>> pods = tuple(PodFacts(f"p{n}", started=-999) for n in range(4))
>>> samples = {f"p{n}": Sample(milli) for n, milli in enumerate((200, 220, 180, 240))}
>>> reading = Reading(samples, requests=dict.fromkeys(samples, 250))
>>> propose_per_pod(Metric(utilization=60), reading, pods, current=4, now=0.0).replicas
6

Source: pkg/controller/podautoscaler/replica_calculator.go (GetResourceReplicas,
calcPlainMetricReplicas, groupPods, calculateRequests).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kubesim.autoscaler.constants import DEFAULTS, PolicyConstants
from kubesim.autoscaler.ratios import (
    PodsTarget,
    RatioResult,
    SampleSums,
    Tolerance,
    truncated,
)
from kubesim.autoscaler.types import Metric, MetricProposal, PodFacts, Reading, Sample
from kubesim.client.decisions import RuleStep

SOURCE = "pkg/controller/podautoscaler/replica_calculator.go"
FULL_PERCENT = 100  # least assumed usage of a missing pod when scaling down, of its request
DEFAULT_TOLERANCE = Tolerance()


# -- which pods count ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Groups:
    """The selected pods, by name.

    Attributes:
        ready: their samples count.
        unready: pending, starting, or never ready; their samples are dropped.
        missing: without a sample.
        ignored: terminating or failed; they take no part at all.
    """

    ready: tuple[str, ...] = ()
    unready: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


def trusts_cpu(
    pod: PodFacts, sample: Sample, now: float, constants: PolicyConstants = DEFAULTS
) -> bool:
    """Whether a pod's CPU sample shows its load, and not its start.

    A young pod must be ready, and the whole window of the sample must lie after it became ready. An
    older one is trusted unless it is unready and never was ready since it started; so a pod that
    ran for hours and then lost readiness still counts.

    Args:
        pod: the pod.
        sample: its CPU usage.
        now: in seconds.
        constants: the controller's settings.
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
    """Sort the selected pods; the order of the rules matters.

    Args:
        pods: all pods that the target's selector selects.
        samples: by pod name.
        cpu: the metric is the resource CPU: only then do the rules for starting pods apply. Memory
            and custom metrics count a new, unready pod at once.
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
    """Check that *every* selected pod has a request, whatever its state.

    Args:
        metric: with a utilization target.
        reading: its requests.
        pods: the selected pods.

    Raises:
        ValueError: a pod has none; so one terminating pod without a request fails the metric.
    """
    for pod in pods:
        if reading.requests.get(pod.name) is None:
            where = f"container {metric.container} of Pod" if metric.container else "Pod"
            message = f"missing request for {metric.name} in {where} {pod.name}"
            raise ValueError(reading.unrequested.get(pod.name, message))


# -- proposal --------------------------------------------------------------------------------------


def propose_per_pod(
    metric: Metric,
    reading: Reading,
    pods: Sequence[PodFacts],
    *,
    current: int,
    now: float,
    tolerance: Tolerance = DEFAULT_TOLERANCE,
    constants: PolicyConstants = DEFAULTS,
) -> MetricProposal:
    """Return the proposal of a metric of pods.

    Args:
        metric: a Resource, ContainerResource or Pods entry of spec.metrics.
        reading: what was measured.
        pods: the selected pods.
        current: spec.replicas of the target.
        now: in seconds.
        tolerance, constants: settings.

    Raises:
        ValueError: there is no proposal; the message is upstream's.
    """
    if not pods:
        raise ValueError("no pods returned by selector while calculating replica count")
    is_cpu = metric.type in ("Resource", "ContainerResource") and metric.name == "cpu"
    groups = group_pods(pods, reading.samples, cpu=is_cpu, now=now, constants=constants)
    tally = sums_of(metric, reading, pods, groups)
    target = metric.utilization if metric.by_request else metric.average_milli
    curve = PodsTarget(tally, target or 0, metric.by_request, current, tolerance)
    measured = curve.measured
    outcome = curve.decide(tally.used)
    return MetricProposal(
        replicas=outcome.replicas,
        utilization=measured if metric.by_request else None,
        average_milli=truncated(tally.used, tally.sampled),
        ratio=outcome.first if outcome.second is None else outcome.second,
        ready=tally.ready,
        held=outcome.held,
        steps=_steps(metric, groups, curve, outcome),
        curve=curve,
    )


def sums_of(
    metric: Metric, reading: Reading, pods: Sequence[PodFacts], groups: Groups
) -> SampleSums:
    """Add up the samples, without those of ignored and unready pods.

    Samples of pods that are not selected at all count for plain values; for utilization they count
    only as entries, since they have no request.

    Args:
        metric: the metric.
        reading: its samples and requests.
        pods: the selected pods.
        groups: the same pods, sorted.

    Raises:
        ValueError: no sample is left, or a request is missing.
    """
    dropped = {*groups.ignored, *groups.unready}
    values = {name: s.milli for name, s in reading.samples.items() if name not in dropped}
    if not values:
        raise ValueError("did not receive metrics for targeted pods (pods might be unready)")
    counts = (len(groups.ready), len(groups.missing), len(groups.unready))
    if not metric.by_request:
        _, missing, unready = counts
        used, assumed = sum(values.values()), missing * (metric.average_milli or 0)
        entries = len(values)
        return SampleSums(used, entries, entries, entries, *counts, missing, unready, assumed)
    check_requests(metric, reading, pods)
    requests = {name: milli for name, milli in reading.requests.items() if milli is not None}
    known = [name for name in values if name in requests]
    requested = sum([requests[name] for name in known])
    if requested == 0:
        raise ValueError("no metrics returned matched known pods")
    percent = max(FULL_PERCENT, metric.utilization or 0)
    return SampleSums(
        sum([values[name] for name in known]),
        requested,
        len(known),
        len(values),
        *counts,
        sum([requests[name] for name in groups.missing]),
        sum([requests[name] for name in groups.unready]),
        sum([requests[name] * percent // 100 for name in groups.missing]),
    )


# -- steps of the decision record ------------------------------------------------------------------


def _steps(
    metric: Metric, groups: Groups, curve: PodsTarget, outcome: RatioResult
) -> tuple[RuleStep, ...]:
    tally = curve.tally
    figures = {
        "ready": len(groups.ready),
        "unready": len(groups.unready),
        "missing": len(groups.missing),
        "ignored": len(groups.ignored),
    }
    ready = "1 pod counts" if len(groups.ready) == 1 else f"{len(groups.ready)} pods count"
    steps = [
        RuleStep("sort pods", figures, ready, f"{SOURCE} groupPods"),
        _reading_step("first reading", curve, outcome.first, curve.measured, tally.entries),
    ]
    if outcome.second is not None:
        steps.append(_assumption_step(metric, tally, outcome.first))
        measured, count = outcome.second_measured, outcome.count
        steps.append(_reading_step("second reading", curve, outcome.second, measured, count))
    steps.append(proposal_step(outcome, curve.tolerance))
    return tuple(steps)


def _reading_step(rule: str, curve: PodsTarget, ratio: float, measured: int, pods: int) -> RuleStep:
    inputs: dict[str, object] = {"pods": pods}
    if curve.by_request:
        inputs |= {"utilization_percent": measured, "target_percent": curve.target}
        if rule == "first reading":
            inputs["average_milli"] = truncated(curve.tally.used, curve.tally.sampled)
    else:
        inputs |= {"target_milli": curve.target, "average_milli": measured}
    return RuleStep(rule, inputs, f"ratio {ratio:.4g}", f"{SOURCE} GetResourceReplicas")


def _assumption_step(metric: Metric, tally: SampleSums, first: float) -> RuleStep:
    inputs = {"missing": tally.missing, "unready": tally.unready}
    if first > 1.0:
        result = "missing and unready pods are assumed to use nothing"
    elif first < 1.0:
        share = max(FULL_PERCENT, metric.utilization or 0)
        use = f"{share}% of their request" if metric.by_request else "exactly the target"
        result = f"missing pods are assumed to use {use}"
    else:
        result = "exactly on target: nothing is assumed"
    return RuleStep("assume", inputs, result, SOURCE)


def proposal_step(outcome: RatioResult, tolerance: Tolerance) -> RuleStep:
    """Return the last step of a proposal: the multiplication, or the rule that kept the number."""
    ratio = outcome.first if outcome.second is None else outcome.second
    if outcome.held == "tolerance":
        result = f"ratio {ratio:.4g} is within {tolerance}: keep {outcome.replicas}"
    elif outcome.held:
        result = f"{outcome.held}: keep {outcome.replicas}"
    else:
        result = f"ceil({ratio:.4g} x {outcome.count}) = {outcome.replicas}"
    return RuleStep("proposal", {"ratio": ratio, "pods": outcome.count}, result, SOURCE)
