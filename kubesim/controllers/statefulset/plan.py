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

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from kubesim.objects.frozen import Document
from kubesim.objects.intstr import scaled_value


@dataclass(frozen=True, slots=True)
class SetSpec:
    """What is wanted.

    Attributes:
        name: of the StatefulSet.
        replicas: wanted number of pods.
        start: first ordinal (spec.ordinals.start).
        parallel: podManagementPolicy is Parallel.
        rolling: updateStrategy is RollingUpdate (else OnDelete).
        partition: only pods from this one on, counted from the first, are updated.
        min_ready_seconds: ready so long before a pod counts as available.
        update_revision: hash of the newest template.
        max_unavailable: pods that an update may keep down at once; None: one at a time, as with the
            gate MaxUnavailableStatefulSet off (the default in 1.34).
    """

    name: str
    replicas: int
    start: int = 0
    parallel: bool = False
    rolling: bool = True
    partition: int = 0
    min_ready_seconds: int = 0
    update_revision: str = ""
    max_unavailable: int | None = None


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
    def serving(self) -> bool:
        """Running and ready, even on its way out: what readyReplicas counts."""
        return self.phase == "Running" and self.ready

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
        waits_for: the ordinal that holds everything up; None: nothing does.
    """

    create: tuple[int, ...] = ()
    delete: tuple[int, ...] = ()
    reason: str = ""
    look_again: float | None = None
    waits_for: int | None = None


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
    # The update sees what this very pass has done: pods on their way in, and on their way out.
    after = dict(by_ordinal)
    after |= {o: SetPod(o, "Pending", ready=False, revision=spec.update_revision) for o in create}
    after |= {pod.ordinal: replace(pod, terminating=True) for pod in ended}
    update = _update(spec, after, wanted, now)
    delete = tuple(
        sorted({*(pod.ordinal for pod in [*ended, *goes]), *update.delete}, reverse=True)
    )
    parts = []
    if create:
        parts.append(f"{_names(spec, create)} missing")
    if ended:
        parts.append(f"{_names(spec, [p.ordinal for p in ended])} ended and made anew")
    if goes:
        parts.append(f"{_names(spec, [p.ordinal for p in goes])} beyond {spec.replicas}")
    if not parts:
        return update
    if update.delete:
        parts.append(update.reason)
    return Plan(create, delete, "; ".join(parts), update.look_again)


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
        if (blocked := _blocked(spec, pod, now)) is not None:
            return blocked
    if condemned:
        return _shrink(spec, by_ordinal, condemned)
    return _update(spec, by_ordinal, wanted, now)


def _shrink(spec: SetSpec, by_ordinal: dict[int, SetPod], condemned: list[SetPod]) -> Plan:
    """One pod at a time, from the highest ordinal, while everything below is healthy."""
    last = condemned[-1]
    if last.terminating:
        said = f"waiting for {_name(spec, last.ordinal)} to stop"
        return Plan(reason=said, waits_for=last.ordinal)
    ill = sorted((pod for pod in by_ordinal.values() if not pod.healthy), key=_ordinal)
    if ill and ill[0].ordinal != last.ordinal:
        first = ill[0].ordinal
        said = f"waiting for {_name(spec, first)} to be running and ready"
        return Plan(reason=said, waits_for=first)
    reason = f"{_name(spec, last.ordinal)} is beyond {spec.replicas} replicas"
    return Plan(delete=(last.ordinal,), reason=reason)


def _blocked(spec: SetSpec, pod: SetPod, now: float) -> Plan | None:
    """Nothing further happens while this pod is not available."""
    name = _name(spec, pod.ordinal)
    if not pod.healthy:
        how = "stop" if pod.terminating else "be running and ready"
        return Plan(reason=f"waiting for {name} to {how}", waits_for=pod.ordinal)
    if not pod.available(spec.min_ready_seconds, now):
        moment = pod.ready_since + spec.min_ready_seconds
        said = f"waiting for {name} to be available"
        return Plan(reason=said, look_again=moment, waits_for=pod.ordinal)
    return None


def _update(spec: SetSpec, by_ordinal: dict[int, SetPod], wanted: range, now: float) -> Plan:
    """From the highest ordinal down to the partition: the first pod of an older revision goes."""
    if not spec.rolling:
        return Plan(reason="as wanted (updates are made on delete)")
    if spec.max_unavailable is not None:
        return _update_many(spec, spec.max_unavailable, by_ordinal, wanted, now)
    for ordinal in reversed(wanted[spec.partition :]):
        pod = by_ordinal.get(ordinal)
        if pod is None:
            break
        if pod.revision != spec.update_revision and not pod.terminating:
            reason = f"{_name(spec, ordinal)} is of an older revision"
            return Plan(delete=(ordinal,), reason=reason)
        if (blocked := _blocked(spec, pod, now)) is not None:
            return blocked
    return Plan(reason="as wanted")


def _update_many(
    spec: SetSpec, limit: int, by_ordinal: dict[int, SetPod], wanted: range, now: float
) -> Plan:
    """With the gate: so many pods of older revisions that no more than the limit are down."""
    pods = [by_ordinal[ordinal] for ordinal in wanted if ordinal in by_ordinal]
    down = [pod for pod in pods if not pod.available(spec.min_ready_seconds, now)]
    old = [
        ordinal
        for ordinal in reversed(wanted[spec.partition :])
        if ordinal in by_ordinal
        and by_ordinal[ordinal].revision != spec.update_revision
        and not by_ordinal[ordinal].terminating
    ]
    if not old:
        moments = [pod.ready_since + spec.min_ready_seconds for pod in down if pod.healthy]
        return Plan(reason="as wanted", look_again=min(moments, default=None))
    goes = old[: max(0, limit - len(down))]
    if not goes:
        first = min(down, key=_ordinal)
        moments = [pod.ready_since + spec.min_ready_seconds for pod in down if pod.healthy]
        said = f"{len(down)} pods are unavailable, {limit} may be"
        again = min(moments, default=None)
        return Plan(reason=said, look_again=again, waits_for=first.ordinal)
    are = "is" if len(goes) == 1 else "are"
    reason = f"{_names(spec, goes)} {are} of an older revision ({limit} may be unavailable)"
    return Plan(delete=tuple(goes), reason=reason)


def resolve_max_unavailable(value: int | str | None, replicas: int) -> int:
    """rollingUpdate.maxUnavailable as a number: percentages round down, and it is at least 1.

    Args:
        value: a number or a percentage; None is 1.
        replicas: spec.replicas.

    >>> resolve_max_unavailable("25%", 10), resolve_max_unavailable("25%", 3)
    (2, 1)
    """
    return max(1, scaled_value(1 if value is None else value, replicas, round_up=False))


def status_of(spec: SetSpec, pods: Sequence[SetPod], current_revision: str, now: float) -> Document:
    """status of a StatefulSet; terminating pods count as replicas, but not as current or updated.

    Args:
        spec: what is wanted.
        pods: the pods of the set.
        current_revision: of the status so far; "" at first.
        now: in seconds.
    """
    current = current_revision or spec.update_revision
    alive = [pod for pod in pods if not pod.terminating]
    updated = sum(pod.revision == spec.update_revision for pod in alive)
    ready = sum(pod.serving for pod in pods)
    if spec.rolling and updated == ready == spec.replicas == len(pods):
        current = spec.update_revision  # the update is done
    return {
        "replicas": len(pods),
        "readyReplicas": ready,
        "availableReplicas": _available(pods, spec.min_ready_seconds, now),
        "currentReplicas": sum(pod.revision == current for pod in alive),
        "updatedReplicas": updated,
        "currentRevision": current,
        "updateRevision": spec.update_revision,
    }


def _available(pods: Iterable[SetPod], min_ready_seconds: int, now: float) -> int:
    return sum(pod.serving and pod.ready_since + min_ready_seconds <= now for pod in pods)


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
