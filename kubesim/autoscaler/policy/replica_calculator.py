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

kube-controller-manager adds int64 milli units, divides them as integers, and takes ratios and
ceilings of doubles. The result depends on it, so the same is done here:

>>> utilization_percent(1657, 3000)      # 55.23 % becomes 55 %: within the tolerance of a target 50
55
>>> Tolerance().holds(55 / 50), Tolerance().holds(56 / 50)
(True, False)
>>> ceil(124 / 60 * 15)                  # exactly 31, and in doubles a little more
32

Source: pkg/controller/podautoscaler/replica_calculator.go (GetResourceReplicas,
calcPlainMetricReplicas, groupPods, calculateRequests, Tolerances), metrics/utilization.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from kubesim.autoscaler.constants import DEFAULTS, MAX_REPLICAS, PolicyConstants
from kubesim.autoscaler.policy.figures import Groups, PodFigures, RatioResult, SampleSums
from kubesim.autoscaler.policy.steps import FULL_PERCENT, pod_steps
from kubesim.autoscaler.types import Metric, MetricProposal, PodFacts, Reading, Sample

# -- arithmetic: integers that truncate, doubles that do not round --------------------------------


@dataclass(frozen=True, slots=True)
class Tolerance:
    """The range of ratios that cause no change: from 1 - down to 1 + up, both included.

    Up to Kubernetes 1.32 the test was abs(1 - ratio) <= 0.1, which acted at exactly 1.1.
    """

    up: float = 0.1
    down: float = 0.1

    def holds(self, ratio: float) -> bool:
        """Return whether the ratio is too close to 1 to act on."""
        return (1.0 - self.down) <= ratio <= (1.0 + self.up)

    def __str__(self) -> str:
        return f"{1.0 - self.down:g}..{1.0 + self.up:g}"


DEFAULT_TOLERANCE = Tolerance()


def truncated(dividend: int, divisor: int) -> int:
    """Divide integers as Go does: towards zero, also for negative values of custom metrics.

    >>> truncated(7, 2), truncated(-7, 2)
    (3, -3)
    """
    quotient = abs(dividend) // abs(divisor)
    return quotient if (dividend < 0) == (divisor < 0) else -quotient


def utilization_percent(used_milli: int, asked_milli: int) -> int:
    """Return whole percent of the request: a quotient of sums, not a mean of percentages.

    Args:
        used_milli: sum of the samples.
        asked_milli: sum of the requests.

    Raises:
        ValueError: the sum of the requests is 0.
    """
    if asked_milli == 0:
        raise ValueError("no metrics returned matched known pods")
    return truncated(used_milli * 100, asked_milli)


def ratio_of(measured: int, target: int) -> float:
    """Return measured / target as doubles, both converted first."""
    return float(measured) / float(target)


def ceiling(value: float) -> int:
    """Round a double up to a number of pods, at most the maximum of an int32."""
    return MAX_REPLICAS if value >= MAX_REPLICAS else ceil(value)


@dataclass(frozen=True, slots=True)
class PodsTarget:
    """One metric of pods against its target, for the real measurement and for others.

    It is a `types.ProposalCurve`.

    Attributes:
        tally: the sums of the samples.
        target: percent, or milli for each pod.
        by_request: the target is in percent of the request.
        current: spec.replicas of the target.
        tolerance: as configured.
    """

    tally: SampleSums
    target: int
    by_request: bool
    current: int
    tolerance: Tolerance

    def measure(self, used: int, base: int) -> int:
        """Return whole percent of the requests, or whole milli for each pod."""
        return utilization_percent(used, base) if self.by_request else truncated(used, base)

    @property
    def measured(self) -> int:
        """Percent or average of the first reading, which the status reports."""
        return self.measure(self.tally.used, self.tally.base)

    @property
    def level(self) -> int:
        """The measurement at which the ratio is 1: the target."""
        return self.target

    def decide(self, used: int) -> RatioResult:
        """Return the proposal if the samples that count added up to `used`, in milli."""
        tally = self.tally
        first = ratio_of(self.measure(used, tally.base), self.target)
        if not tally.missing and not (first > 1.0 and tally.unready):
            damper = "tolerance" if self.tolerance.holds(first) else ""
            replicas = self.current if damper else ceiling(first * tally.ready)
            return RatioResult(replicas, first, None, 0, tally.ready, damper)
        base, count = tally.base, tally.entries
        if first < 1.0:
            used, base = used + tally.missing_use, base + tally.missing_base
            count += tally.missing
        elif first > 1.0:
            base += tally.missing_base + tally.unready_base
            count += tally.missing + tally.unready
        measured = self.measure(used, base)
        second = ratio_of(measured, self.target)
        desired = ceiling(second * count)
        damper = self._damped(first, second, desired)
        return RatioResult(
            self.current if damper else desired, first, second, measured, count, damper
        )

    def _damped(self, first: float, second: float, desired: int) -> str:
        """Return the rule that keeps the current number after the second reading, or ""."""
        if self.tolerance.holds(second):
            return "tolerance"
        if (first < 1.0 < second) or (second < 1.0 < first):
            return "with estimates for missing and unready pods, the direction reverses"
        if (second < 1.0 and desired > self.current) or (second > 1.0 and desired < self.current):
            return "the number would move against the ratio"
        return ""

    def _used_at(self, measured: int, rising: bool) -> int:
        """Return the least usage with that measurement; the largest one if it is to fall."""
        scale = 100 if self.by_request else 1
        base = self.tally.base
        if rising:
            return -(-measured * base // scale)
        return -(-(measured + 1) * base // scale) - 1

    def attained(self, measured: int, *, rising: bool) -> int:
        """See `types.ProposalCurve`."""
        return self.measure(self._used_at(measured, rising), self.tally.base)

    def at(self, measured: int, *, rising: bool) -> int:
        """See `types.ProposalCurve`."""
        return self.decide(self._used_at(measured, rising)).replicas


# -- which pods count ------------------------------------------------------------------------------


def trusts_cpu(
    pod: PodFacts, sample: Sample, now: float, constants: PolicyConstants = DEFAULTS
) -> bool:
    """Return whether a pod's CPU sample shows its load, and not its start.

    A young pod must not be unready (Ready=False), and the whole window of the sample must lie after
    its condition changed. An older one is trusted unless it is unready and never was ready since it
    started; so a pod that ran for hours and then lost readiness still counts.

    Args:
        pod: the pod.
        sample: its CPU usage.
        now: in seconds.
        constants: the controller's settings.
    """
    if pod.ready is None or pod.started is None:
        return False
    if now - pod.started < constants.cpu_initialization_seconds:
        return pod.ready is not False and sample.time - sample.window >= pod.ready_changed
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
    measured, average = curve.measured, truncated(tally.used, tally.sampled)
    outcome = curve.decide(tally.used)
    counts = (tally.ready, tally.unready, tally.missing, len(groups.ignored))
    figures = PodFigures(metric, counts, tally, curve.target, measured, average, outcome, tolerance)
    return MetricProposal.on_demand(
        lambda: {"steps": pod_steps(figures)},
        replicas=outcome.replicas,
        utilization=measured if metric.by_request else None,
        average_milli=average,
        value_milli=None,
        ratio=outcome.first if outcome.second is None else outcome.second,
        ready=tally.ready,
        held=outcome.held,
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
    with_request = [name for name in values if name in requests]
    requested = sum([requests[name] for name in with_request])
    if requested == 0:
        raise ValueError("no metrics returned matched known pods")
    percent = max(FULL_PERCENT, metric.utilization or 0)
    return SampleSums(
        sum([values[name] for name in with_request]),
        requested,
        len(with_request),
        len(values),
        *counts,
        sum([requests[name] for name in groups.missing]),
        sum([requests[name] for name in groups.unready]),
        sum([requests[name] * percent // 100 for name in groups.missing]),
    )
