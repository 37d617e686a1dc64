"""From the samples of pods to a proposed number of pods: Resource, ContainerResource, Pods metrics.

The heart is ``desired = ceil(pods * measured / target)``; the rest is care: samples that are
missing, pods that have just started, a ratio too close to 1 to act on.

>>> from kubesim.autoscaler.types import Sample
>>> pods = tuple(PodFacts(f"p{n}", started=-999) for n in range(4))
>>> samples = {f"p{n}": Sample(milli) for n, milli in enumerate((200, 220, 180, 240))}
>>> reading = Reading(samples, requests=dict.fromkeys(samples, 250))
>>> propose_per_pod(Metric(utilization=60), reading, pods, current=4, now=0.0).replicas
6

A pod without a sample is first left out. If that would change the size, the pods left out are put
back with whatever *damps* the change: full use when shrinking, none when growing; and if the answer
then turns round, nothing is done.

Source: pkg/controller/podautoscaler/replica_calculator.go (GetResourceReplicas, calcPlainMetric-
Replicas).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kubesim.autoscaler.constants import DEFAULTS, PolicyConstants
from kubesim.autoscaler.grouping import Groups, check_requests, group_pods
from kubesim.autoscaler.ratios import Tolerance, ceiling, ratio_of, truncated, utilization_percent
from kubesim.autoscaler.types import Metric, PodFacts, Proposal, Reading
from kubesim.client.decisions import RuleStep

SOURCE = "pkg/controller/podautoscaler/replica_calculator.go"
FULL_PERCENT = 100  # of its request: what a missing pod is assumed to use when shrinking, or more
DEFAULT_TOLERANCE = Tolerance()


@dataclass(frozen=True, slots=True)
class Tally:
    """The samples added up, so that the rest is arithmetic on a few integers.

    Attributes:
        used: sum of the samples that count, in milli.
        base: what `used` is divided by: the requests of the same pods, or their number.
        sampled: pods in `used`.
        entries: samples left, those of pods that are not selected included.
        ready, missing, unready: pods of each group.
        missing_base, unready_base: what these would add to `base`.
        missing_use: what the missing ones are assumed to use when shrinking, in milli.
    """

    used: int
    base: int
    sampled: int
    entries: int
    ready: int
    missing: int = 0
    unready: int = 0
    missing_base: int = 0
    unready_base: int = 0
    missing_use: int = 0


@dataclass(frozen=True, slots=True)
class Decided:
    """How the arithmetic went.

    Attributes:
        replicas: the proposal.
        first, second: ratios of the two readings; second is None if one reading was enough.
        second_measured: percent or average of the second reading.
        count: number of pods that were multiplied.
        held: the rule that kept the current number, or "".
    """

    replicas: int
    first: float
    second: float | None
    second_measured: int
    count: int
    held: str


@dataclass(frozen=True, slots=True)
class PerPod:
    """One metric of pods, ready to be decided: also for other measurements than the real one."""

    tally: Tally
    target: int
    by_request: bool
    current: int
    tolerance: Tolerance

    def measure(self, used: int, base: int) -> int:
        """Whole percent of the requests, or whole milli for each pod."""
        return utilization_percent(used, base) if self.by_request else truncated(used, base)

    @property
    def measured(self) -> int:
        """Percent or average of the first reading: what status reports."""
        return self.measure(self.tally.used, self.tally.base)

    @property
    def level(self) -> int:
        """The measurement at which the ratio is 1: the target."""
        return self.target

    def decide(self, used: int) -> Decided:
        """The proposal if the samples that count added up to `used`."""
        tally = self.tally
        first = ratio_of(self.measure(used, tally.base), self.target)
        if not tally.missing and not (first > 1.0 and tally.unready):
            held = "tolerance" if self.tolerance.holds(first) else ""
            replicas = self.current if held else ceiling(first * tally.ready)
            return Decided(replicas, first, None, 0, tally.ready, held)
        base, count = tally.base, tally.entries
        if first < 1.0:
            used, base = used + tally.missing_use, base + tally.missing_base
            count += tally.missing
        elif first > 1.0:
            base += tally.missing_base + tally.unready_base
            count += tally.missing + tally.unready
        measured = self.measure(used, base)
        second = ratio_of(measured, self.target)
        wanted = ceiling(second * count)
        held = self._damped(first, second, wanted)
        return Decided(self.current if held else wanted, first, second, measured, count, held)

    def _damped(self, first: float, second: float, wanted: int) -> str:
        if self.tolerance.holds(second):
            return "tolerance"
        if (first < 1.0 < second) or (second < 1.0 < first):
            return "the direction flips once missing and unready pods are assumed"
        if (second < 1.0 and wanted > self.current) or (second > 1.0 and wanted < self.current):
            return "the number would move against the ratio"
        return ""

    # -- and if it had measured something else? (types.Curve) ------------------------------------

    def _used_at(self, measured: int, rising: bool) -> int:
        """The least use that measures so much, or the most if the measurement is to fall."""
        scale = 100 if self.by_request else 1
        base = self.tally.base
        if rising:
            return -(-measured * base // scale)
        return -(-(measured + 1) * base // scale) - 1

    def attained(self, measured: int, *, rising: bool) -> int:
        """See `types.Curve`."""
        return self.measure(self._used_at(measured, rising), self.tally.base)

    def at(self, measured: int, *, rising: bool) -> int:
        """See `types.Curve`."""
        return self.decide(self._used_at(measured, rising)).replicas


def propose_per_pod(
    metric: Metric,
    reading: Reading,
    pods: Sequence[PodFacts],
    *,
    current: int,
    now: float,
    tolerance: Tolerance = DEFAULT_TOLERANCE,
    constants: PolicyConstants = DEFAULTS,
) -> Proposal:
    """What a metric of pods asks for.

    Args:
        metric: a Resource, ContainerResource or Pods entry of spec.metrics.
        reading: what was measured.
        pods: the selected pods.
        current: spec.replicas of the target.
        now: in seconds.
        tolerance, constants: settings.

    Raises:
        ValueError: it gives no proposal; the message is upstream's.
    """
    if not pods:
        raise ValueError("no pods returned by selector while calculating replica count")
    is_cpu = metric.type in ("Resource", "ContainerResource") and metric.name == "cpu"
    groups = group_pods(pods, reading.samples, cpu=is_cpu, now=now, constants=constants)
    tally = tally_of(metric, reading, pods, groups)
    target = metric.utilization if metric.by_request else metric.average_milli
    question = PerPod(tally, target or 0, metric.by_request, current, tolerance)
    measured = question.measured
    decided = question.decide(tally.used)
    return Proposal(
        replicas=decided.replicas,
        utilization=measured if metric.by_request else None,
        average_milli=truncated(tally.used, tally.sampled),
        ratio=decided.first if decided.second is None else decided.second,
        ready=tally.ready,
        held=decided.held,
        steps=_steps(metric, groups, question, decided),
        curve=question,
    )


def tally_of(metric: Metric, reading: Reading, pods: Sequence[PodFacts], groups: Groups) -> Tally:
    """Add the samples up, those of ignored and unready pods left out.

    Samples of pods that are not selected at all count for plain values; for utilization they count
    only as entries, since they have no request.

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
        return Tally(used, entries, entries, entries, *counts, missing, unready, assumed)
    check_requests(metric, reading, pods)
    requests = {name: milli for name, milli in reading.requests.items() if milli is not None}
    known = [name for name in values if name in requests]
    asked = sum(requests[name] for name in known)
    if asked == 0:
        raise ValueError("no metrics returned matched known pods")
    percent = max(FULL_PERCENT, metric.utilization or 0)
    return Tally(
        sum(values[name] for name in known),
        asked,
        len(known),
        len(values),
        *counts,
        sum(requests[name] for name in groups.missing),
        sum(requests[name] for name in groups.unready),
        sum(requests[name] * percent // 100 for name in groups.missing),
    )


# -- steps ---------------------------------------------------------------------------------------


def _steps(
    metric: Metric, groups: Groups, question: PerPod, decided: Decided
) -> tuple[RuleStep, ...]:
    tally = question.tally
    figures = {
        "ready": len(groups.ready),
        "unready": len(groups.unready),
        "missing": len(groups.missing),
        "ignored": len(groups.ignored),
    }
    steps = [
        RuleStep("sort pods", figures, f"{len(groups.ready)} pods count", f"{SOURCE} groupPods"),
        _reading_step("first reading", question, decided.first, question.measured, tally.entries),
    ]
    if decided.second is not None:
        steps.append(_assumption_step(metric, tally, decided.first))
        measured, count = decided.second_measured, decided.count
        steps.append(_reading_step("second reading", question, decided.second, measured, count))
    steps.append(proposal_step(decided, question.tolerance))
    return tuple(steps)


def _reading_step(rule: str, question: PerPod, ratio: float, measured: int, pods: int) -> RuleStep:
    inputs: dict[str, object] = {"pods": pods}
    if question.by_request:
        inputs |= {"utilization_percent": measured, "target_percent": question.target}
        if rule == "first reading":
            inputs["average_milli"] = truncated(question.tally.used, question.tally.sampled)
    else:
        inputs |= {"target_milli": question.target, "average_milli": measured}
    return RuleStep(rule, inputs, f"ratio {ratio:.4g}", f"{SOURCE} GetResourceReplicas")


def _assumption_step(metric: Metric, tally: Tally, first: float) -> RuleStep:
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


def proposal_step(decided: Decided, tolerance: Tolerance) -> RuleStep:
    """The last step of a proposal: the multiplication, or the rule that kept the size."""
    ratio = decided.first if decided.second is None else decided.second
    if decided.held == "tolerance":
        result = f"ratio {ratio:.4g} is within {tolerance}: keep {decided.replicas}"
    elif decided.held:
        result = f"{decided.held}: keep {decided.replicas}"
    else:
        result = f"ceil({ratio:.4g} x {decided.count}) = {decided.replicas}"
    return RuleStep("proposal", {"ratio": ratio, "pods": decided.count}, result, SOURCE)
