"""What a StatefulSet needs next: a pure function of its spec and its pods.

A StatefulSet's pods have an identity: ``web-0``, ``web-1``, ... in order. With the policy
OrderedReady they start one after the other, each when the one before is ready, and stop in reverse;
with Parallel all at once. Updates go from the highest ordinal down, one pod at a time.

>>> spec = SetSpec(name="web", replicas=2, parallel=True)
>>> plan(spec, [], now=0.0).create
(0, 1)
>>> plan(SetSpec(name="web", replicas=2), [], now=0.0).create       # one after the other
(0,)

Source: pkg/controller/statefulset/stateful_set_control.go (updateStatefulSet),
stateful_set_utils.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SetSpec:
    """What is wanted.

    Attributes:
        name: of the StatefulSet.
        replicas: wanted number of pods.
        start: first ordinal (spec.ordinals.start).
        parallel: podManagementPolicy is Parallel.
        rolling: updateStrategy is RollingUpdate (else OnDelete).
        partition: only ordinals from here on are updated.
        min_ready_seconds: ready so long before a pod counts as available.
        update_revision: hash of the newest template.
    """

    name: str
    replicas: int
    start: int = 0
    parallel: bool = False
    rolling: bool = True
    partition: int = 0
    min_ready_seconds: int = 0
    update_revision: str = ""


@dataclass(frozen=True, slots=True)
class SetPod:
    """What is: one pod of the set.

    Attributes:
        ordinal: its number.
        phase: status.phase.
        ready: condition Ready is True.
        ready_since: second of its last transition to Ready.
        terminating: has a deletionTimestamp.
        revision: hash of the template that it was made from.
    """

    ordinal: int
    phase: str = "Running"
    ready: bool = True
    ready_since: float = 0.0
    terminating: bool = False
    revision: str = ""

    @property
    def healthy(self) -> bool:
        """Running, ready and not on its way out."""
        return self.phase == "Running" and self.ready and not self.terminating

    def available(self, min_ready_seconds: int, now: float) -> bool:
        """Healthy for long enough; the moment itself counts (since 1.34)."""
        return self.healthy and self.ready_since + min_ready_seconds <= now


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do in this pass.

    Attributes:
        create: ordinals to create, ascending.
        delete: ordinals to delete, descending.
        reason: why, in words; also why nothing is done.
        look_again: second at which a pod becomes available; None: no need.
    """

    create: tuple[int, ...] = ()
    delete: tuple[int, ...] = ()
    reason: str = ""
    look_again: float | None = None


def plan(spec: SetSpec, pods: Sequence[SetPod], now: float) -> Plan:
    """The next step.

    Args:
        spec: what is wanted.
        pods: the pods of the set, in any order; at most one for each ordinal.
        now: in seconds, for min_ready_seconds.
    """
    by_ordinal = {pod.ordinal: pod for pod in pods}
    wanted = range(spec.start, spec.start + spec.replicas)
    condemned = sorted((pod for pod in pods if pod.ordinal not in wanted), key=_ordinal)
    if spec.parallel:
        return _parallel(spec, by_ordinal, wanted, condemned, now)
    return _ordered(spec, by_ordinal, wanted, condemned, now)


def _parallel(
    spec: SetSpec,
    by_ordinal: dict[int, SetPod],
    wanted: range,
    condemned: list[SetPod],
    now: float,
) -> Plan:
    create = tuple(ordinal for ordinal in wanted if ordinal not in by_ordinal)
    ended = [by_ordinal[o] for o in wanted if o in by_ordinal and _ended(by_ordinal[o])]
    goes = [pod for pod in condemned if not pod.terminating]
    delete = tuple(sorted((pod.ordinal for pod in [*ended, *goes]), reverse=True))
    if create or delete:
        parts = []
        if create:
            parts.append(f"{_names(spec, create)} missing")
        if ended:
            parts.append(f"{_names(spec, [p.ordinal for p in ended])} ended and made anew")
        if goes:
            parts.append(f"{_names(spec, [p.ordinal for p in goes])} beyond {spec.replicas}")
        return Plan(create, delete, "; ".join(parts))
    return _update(spec, by_ordinal, wanted, now)


def _ordered(
    spec: SetSpec,
    by_ordinal: dict[int, SetPod],
    wanted: range,
    condemned: list[SetPod],
    now: float,
) -> Plan:
    for ordinal in wanted:
        pod = by_ordinal.get(ordinal)
        if pod is None:
            return Plan(create=(ordinal,), reason=f"{_name(spec, ordinal)} is missing")
        if _ended(pod):
            reason = f"{_name(spec, ordinal)} is {pod.phase}: deleted, then made anew"
            return Plan(delete=(ordinal,), reason=reason)
        if not pod.healthy:
            return Plan(reason=f"waiting for {_name(spec, ordinal)} to be running and ready")
        if not pod.available(spec.min_ready_seconds, now):
            moment = pod.ready_since + spec.min_ready_seconds
            return Plan(reason=f"waiting for {_name(spec, ordinal)}", look_again=moment)
    if condemned:
        return _shrink(spec, by_ordinal, condemned)
    return _update(spec, by_ordinal, wanted, now)


def _shrink(spec: SetSpec, by_ordinal: dict[int, SetPod], condemned: list[SetPod]) -> Plan:
    """One pod at a time, from the highest ordinal, while everything below is healthy."""
    last = condemned[-1]
    if last.terminating:
        return Plan(reason=f"waiting for {_name(spec, last.ordinal)} to stop")
    ill = sorted((pod for pod in by_ordinal.values() if not pod.healthy), key=_ordinal)
    if ill and ill[0].ordinal != last.ordinal:
        return Plan(reason=f"waiting for {_name(spec, ill[0].ordinal)} to be running and ready")
    reason = f"{_name(spec, last.ordinal)} is beyond {spec.replicas} replicas"
    return Plan(delete=(last.ordinal,), reason=reason)


def _update(spec: SetSpec, by_ordinal: dict[int, SetPod], wanted: range, now: float) -> Plan:
    """From the highest ordinal down to the partition: the first pod of an older revision goes."""
    if not spec.rolling:
        return Plan(reason="as wanted (updates are made on delete)")
    for ordinal in reversed(wanted):
        if ordinal < max(spec.partition, wanted.start):
            break
        pod = by_ordinal.get(ordinal)
        if pod is None:
            break
        if pod.revision != spec.update_revision and not pod.terminating:
            reason = f"{_name(spec, ordinal)} is of an older revision"
            return Plan(delete=(ordinal,), reason=reason)
        if not pod.healthy:
            return Plan(reason=f"waiting for {_name(spec, ordinal)} to be running and ready")
        if not pod.available(spec.min_ready_seconds, now):
            return Plan(
                reason=f"waiting for {_name(spec, ordinal)} to be available",
                look_again=pod.ready_since + spec.min_ready_seconds,
            )
    return Plan(reason="as wanted")


def revision_for(spec: SetSpec, ordinal: int, current_revision: str) -> str:
    """Of which revision a new pod is: the current one below the partition, else the newest."""
    below = spec.rolling and ordinal < spec.start + spec.partition
    return current_revision if below and current_revision else spec.update_revision


def ordinal_of(set_name: str, pod_name: str) -> int | None:
    """The number in ``web-3``; None if the name is no such.

    >>> ordinal_of("web", "web-3"), ordinal_of("web", "web-03"), ordinal_of("web", "db-3")
    (3, None, None)
    """
    parent, _, number = pod_name.rpartition("-")
    if parent != set_name or not (number.isascii() and number.isdigit()):
        return None
    return int(number) if str(int(number)) == number else None


def _ended(pod: SetPod) -> bool:
    """It will not run again, and nobody has deleted it yet."""
    return pod.phase in ("Failed", "Succeeded") and not pod.terminating


def _ordinal(pod: SetPod) -> int:
    return pod.ordinal


def _name(spec: SetSpec, ordinal: int) -> str:
    return f"{spec.name}-{ordinal}"


def _names(spec: SetSpec, ordinals: Sequence[int]) -> str:
    return ", ".join(_name(spec, ordinal) for ordinal in ordinals)
