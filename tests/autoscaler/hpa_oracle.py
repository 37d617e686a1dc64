"""A second implementation of the algorithm, to compare with: pod by pod, in the shape of the Go.

It keeps a dict of samples and changes it as replica_calculator.go does, where kubesim adds up once;
it walks the logs entry by entry where kubesim asks for extremes. It explains nothing.
"""

from __future__ import annotations

from math import ceil

from kubesim.autoscaler import Observation, State

INT32 = 2**31 - 1


class Failed(Exception):
    """The metric gives no proposal."""


def desired(seen: Observation) -> int | None:
    """The size of a pass; None if the metrics fail it."""
    if seen.current == 0 and seen.minimum != 0:
        return 0
    if seen.current > seen.maximum:
        return seen.maximum
    if seen.current < seen.minimum:
        return seen.minimum
    proposals, failures = [], 0
    for metric, reading in seen.metrics:
        try:
            proposals.append(_metric(metric, reading, seen))
        except Failed:
            failures += 1
    if not proposals or (failures and max(proposals) < seen.current):
        return None
    proposal = max(proposals)
    if seen.behavior is None:
        return _plain_normalize(proposal, seen)
    return _behavior_normalize(proposal, seen)


def _metric(metric, reading, seen: Observation) -> int:
    if reading.error:
        raise Failed
    if metric.type in ("External", "Object"):
        return _total(metric, reading.total_milli, seen)
    return _per_pod(metric, dict(reading.samples), reading.requests, seen)


def _within(ratio: float, seen: Observation) -> bool:
    up = down = seen.constants.tolerance
    if seen.behavior is not None:
        given_up, given_down = seen.behavior.up.tolerance, seen.behavior.down.tolerance
        up = up if given_up is None else given_up
        down = down if given_down is None else given_down
    return (1.0 - down) <= ratio <= (1.0 + up)


def _groups(pods, metrics, resource, seen):
    ready, unready, missing, ignored = 0, set(), set(), set()
    constants = seen.constants
    for pod in pods:
        if pod.terminating or pod.phase == "Failed":
            ignored.add(pod.name)
            continue
        if pod.phase == "Pending":
            unready.add(pod.name)
            continue
        metric = metrics.get(pod.name)
        if metric is None:
            missing.add(pod.name)
            continue
        if resource == "cpu":
            if pod.ready is None or pod.started is None:
                bad = True
            elif pod.started + constants.cpu_initialization_seconds > seen.now:
                bad = pod.ready is False or metric.time < pod.ready_changed + metric.window
            else:
                delay = constants.readiness_delay_seconds
                bad = pod.ready is False and pod.started + delay > pod.ready_changed
            if bad:
                unready.add(pod.name)
                continue
        ready += 1
    return ready, unready, missing, ignored


def _per_pod(metric, metrics, requests, seen: Observation) -> int:
    resource = metric.name if metric.type != "Pods" else ""
    if not metrics or not seen.pods:
        raise Failed
    ready, unready, missing, ignored = _groups(seen.pods, metrics, resource, seen)
    for name in ignored | unready:
        metrics.pop(name, None)
    if not metrics:
        raise Failed
    by_request = metric.type != "Pods" and metric.average_milli is None
    if by_request and any(requests.get(pod.name) is None for pod in seen.pods):
        raise Failed
    values = {name: sample.milli for name, sample in metrics.items()}

    def ratio_now() -> float:
        if not by_request:
            return float(int(sum(values.values()) / len(values))) / float(metric.average_milli)
        total = asked = 0
        for name, value in values.items():
            if name in requests:
                total += value
                asked += requests[name]
        if asked == 0:
            raise Failed
        return float(total * 100 // asked) / float(metric.utilization)

    ratio = ratio_now()
    rebalance = bool(unready) and ratio > 1.0
    if not rebalance and not missing:
        return seen.current if _within(ratio, seen) else ceil(ratio * float(ready))
    if missing:
        if ratio < 1.0:
            for name in missing:
                if by_request:
                    values[name] = requests[name] * max(100, metric.utilization) // 100
                else:
                    values[name] = metric.average_milli
        elif ratio > 1.0:
            for name in missing:
                values[name] = 0
    if rebalance:
        for name in unready:
            values[name] = 0
    again = ratio_now()
    if _within(again, seen) or (ratio < 1.0 < again) or (again < 1.0 < ratio):
        return seen.current
    replicas = ceil(again * float(len(values)))
    if (again < 1.0 and replicas > seen.current) or (again > 1.0 and replicas < seen.current):
        return seen.current
    return replicas


def _total(metric, total, seen: Observation) -> int:
    if total is None:
        raise Failed
    if metric.average_milli is not None:
        replicas = seen.status_replicas
        if replicas and _within(total / (metric.average_milli * replicas), seen):
            return replicas
        return min(INT32, ceil(total / metric.average_milli))
    ratio = total / metric.value_milli
    if seen.current == 0:
        return min(INT32, ceil(ratio))
    if _within(ratio, seen):
        return seen.current
    if not seen.pods:
        raise Failed
    ready = len([pod for pod in seen.pods if pod.phase == "Running" and pod.ready is True])
    return min(INT32, ceil(ratio * ready))


def _plain_normalize(proposal: int, seen: Observation) -> int:
    stable = proposal
    for size, at in _log(seen):
        if not at < seen.now - seen.constants.downscale_window_seconds:
            stable = max(stable, size)
    limit = int(max(seen.constants.burst_factor * seen.current, seen.constants.burst_minimum))
    ceiling = limit if seen.maximum > limit else seen.maximum
    if stable < seen.minimum:
        return seen.minimum
    return min(stable, ceiling)


def _log(seen: Observation):
    known = seen.state.recommendations
    return ((seen.current, seen.now),) if known is None else known


def _behavior_normalize(proposal: int, seen: Observation) -> int:
    rules = seen.behavior.filled(seen.constants)
    up_cutoff = seen.now - rules.up.window_seconds
    down_cutoff = seen.now - rules.down.window_seconds
    low = high = proposal
    for size, at in _log(seen):
        if at > up_cutoff:
            low = min(size, low)
        if at > down_cutoff:
            high = max(size, high)
    stable = seen.current
    if stable < low:
        stable = low
    if stable > high:
        stable = high
    if stable > seen.current:
        limit = max(_scale_limit(rules.up, seen, True), seen.current)
        return min(stable, min(limit, seen.maximum))
    if stable < seen.current:
        limit = min(_scale_limit(rules.down, seen, False), seen.current)
        return max(stable, max(limit, seen.minimum))
    return stable


def _scale_limit(rules, seen: Observation, up: bool) -> int:
    if rules.select == "Disabled":
        return seen.current
    results = []
    for policy in rules.policies:
        start = seen.current
        for change, at in seen.state.ups:
            if at > seen.now - policy.period_seconds:
                start -= change
        for change, at in seen.state.downs:
            if at > seen.now - policy.period_seconds:
                start += change
        sign = 1 if up else -1
        if policy.type == "Pods":
            results.append(start + sign * policy.value)
        elif up:
            results.append(ceil(start * (1 + policy.value / 100)))
        else:
            results.append(int(start * (1 - policy.value / 100)))
    return max(results) if up == (rules.select == "Max") else min(results)


def empty() -> State:
    """A log that exists and is empty."""
    return State(recommendations=())
