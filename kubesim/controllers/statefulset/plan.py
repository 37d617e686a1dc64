"""What a StatefulSet does next: a pure function of its spec and its pods.

The pods of a StatefulSet have ordinals: ``web-0``, ``web-1``, ... With the policy OrderedReady each
pod is created once its predecessor is ready, and pods are deleted in reverse order; with Parallel
all at once. Updates proceed from the highest ordinal down, one pod at a time.

>>> spec = SetSpec(name="web", replicas=2, parallel=True)
>>> plan(spec, [], now=0.0).create
(0, 1)
>>> plan(SetSpec(name="web", replicas=2), [], now=0.0).create       # one at a time
(0,)

Source: pkg/controller/statefulset/stateful_set_control.go (updateStatefulSet),
stateful_set_utils.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kubesim.objects.intstr import scaled_value
from kubesim.quantity import count_of

if TYPE_CHECKING:
    from kubesim.objects.types import StatefulSetStatusDict


@dataclass(frozen=True, slots=True)
class SetSpec:
    """The spec of a StatefulSet.

    Attributes:
        name: name of the StatefulSet.
        replicas: spec.replicas.
        start: first ordinal (spec.ordinals.start).
        parallel: podManagementPolicy is Parallel.
        rolling: updateStrategy is RollingUpdate (else OnDelete).
        partition: only pods from this position on are updated.
        min_ready_seconds: seconds that a pod must be ready before it counts as available.
        update_revision: name of the newest template's revision.
        max_unavailable: pods that an update may keep unavailable; None: one at a time, as with the
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
    """One pod of a StatefulSet.

    Attributes:
        ordinal: the number in its name.
        phase: status.phase.
        ready: condition Ready is True.
        ready_since: second of the last transition to Ready.
        terminating: has a deletionTimestamp.
        revision: name of the revision that it was created from.
    """

    ordinal: int
    phase: str = "Running"
    ready: bool = True
    ready_since: float = 0.0
    terminating: bool = False
    revision: str = ""

    @property
    def serving(self) -> bool:
        """Whether it is running and ready, even if terminating: what readyReplicas counts."""
        return self.phase == "Running" and self.ready

    @property
    def healthy(self) -> bool:
        """Whether it is running, ready and not terminating."""
        return self.phase == "Running" and self.ready and not self.terminating

    def available(self, min_ready_seconds: int, now: float) -> bool:
        """Return whether it has been healthy for min_ready_seconds (inclusive since 1.34)."""
        return self.healthy and self.ready_since + min_ready_seconds <= now


@dataclass(frozen=True, slots=True)
class StatefulSetPlan:
    """What to do in one sync.

    Attributes:
        create: ordinals to create, ascending.
        delete: ordinals to delete, descending.
        reason: why, also why nothing is done, as a sentence fragment.
        look_again: second at which a pod becomes available, for the next sync; None: none.
        waits_for: the ordinal that blocks everything else; None: none does.
    """

    create: tuple[int, ...] = ()
    delete: tuple[int, ...] = ()
    reason: str = ""
    look_again: float | None = None
    waits_for: int | None = None


def plan(spec: SetSpec, pods: Sequence[SetPod], now: float) -> StatefulSetPlan:
    """Decide the next step.

    Args:
        spec: the StatefulSet's spec.
        pods: its pods, in any order; at most one for each ordinal.
        now: in seconds, for min_ready_seconds.
    """
    by_ordinal = {pod.ordinal: pod for pod in pods}
    desired = range(spec.start, spec.start + spec.replicas)
    condemned = sorted((pod for pod in pods if pod.ordinal not in desired), key=_ordinal)
    if spec.parallel:
        return _parallel(spec, by_ordinal, desired, condemned, now)
    return _ordered(spec, by_ordinal, desired, condemned, now)


def _parallel(
    spec: SetSpec,
    by_ordinal: dict[int, SetPod],
    ordinals: range,
    condemned: list[SetPod],
    now: float,
) -> StatefulSetPlan:
    create = tuple(ordinal for ordinal in ordinals if ordinal not in by_ordinal)
    finished = [by_ordinal[o] for o in ordinals if o in by_ordinal and _is_finished(by_ordinal[o])]
    surplus = [pod for pod in condemned if not pod.terminating]
    # The update sees the pods as this sync leaves them: created and terminating ones included.
    after = dict(by_ordinal)
    after |= {o: SetPod(o, "Pending", ready=False, revision=spec.update_revision) for o in create}
    after |= {pod.ordinal: replace(pod, terminating=True) for pod in finished}
    update = _update(spec, after, ordinals, now)
    delete = tuple(
        sorted({*(pod.ordinal for pod in [*finished, *surplus]), *update.delete}, reverse=True)
    )
    parts = []
    if create:
        parts.append(f"{_names(spec, create)} missing")
    if finished:
        parts.append(f"{_names(spec, [p.ordinal for p in finished])} finished and recreated")
    if surplus:
        parts.append(f"{_names(spec, [p.ordinal for p in surplus])} beyond {spec.replicas}")
    if not parts:
        return update
    if update.delete:
        parts.append(update.reason)
    return StatefulSetPlan(create, delete, "; ".join(parts), update.look_again)


def _ordered(
    spec: SetSpec,
    by_ordinal: dict[int, SetPod],
    ordinals: range,
    condemned: list[SetPod],
    now: float,
) -> StatefulSetPlan:
    for ordinal in ordinals:
        pod = by_ordinal.get(ordinal)
        if pod is None:
            return StatefulSetPlan(create=(ordinal,), reason=f"{_name(spec, ordinal)} is missing")
        if _is_finished(pod):
            reason = f"{_name(spec, ordinal)} is {pod.phase}: deleted, then recreated"
            return StatefulSetPlan(delete=(ordinal,), reason=reason)
        if (blocked := _blocked(spec, pod, now)) is not None:
            return blocked
    if condemned:
        return _scale_down(spec, condemned, now)
    return _update(spec, by_ordinal, ordinals, now)


def _scale_down(spec: SetSpec, condemned: list[SetPod], now: float) -> StatefulSetPlan:
    """Delete the condemned pod with the highest ordinal.

    If it is unhealthy, it waits for the unhealthy pods below it; the lowest unhealthy pod does not
    wait. So a pod that never becomes ready does not stop a scale-down.

    Source: pkg/controller/statefulset/stateful_set_control.go (processCondemned).
    """
    last = condemned[-1]
    name = _name(spec, last.ordinal)
    if last.terminating:
        return StatefulSetPlan(reason=f"waiting for {name} to stop", waits_for=last.ordinal)
    first_unhealthy = next((pod for pod in condemned if not pod.healthy), None)
    if last is not first_unhealthy:
        if first_unhealthy is not None and not last.healthy:
            event = "stop" if first_unhealthy.terminating else "be running and ready"
            reason = f"waiting for {_name(spec, first_unhealthy.ordinal)} to {event}"
            return StatefulSetPlan(reason=reason, waits_for=first_unhealthy.ordinal)
        if (blocked := _blocked(spec, last, now)) is not None:
            return blocked
    reason = f"{name} is beyond {count_of(spec.replicas, 'replica')}"
    return StatefulSetPlan(delete=(last.ordinal,), reason=reason)


def _blocked(spec: SetSpec, pod: SetPod, now: float) -> StatefulSetPlan | None:
    """Return the plan to wait for a pod that is not available; None if it is available."""
    name = _name(spec, pod.ordinal)
    if not pod.healthy:
        event = "stop" if pod.terminating else "be running and ready"
        return StatefulSetPlan(reason=f"waiting for {name} to {event}", waits_for=pod.ordinal)
    if not pod.available(spec.min_ready_seconds, now):
        available_at = pod.ready_since + spec.min_ready_seconds
        reason = f"waiting for {name} to be available"
        return StatefulSetPlan(reason=reason, look_again=available_at, waits_for=pod.ordinal)
    return None


def _update(
    spec: SetSpec, by_ordinal: dict[int, SetPod], ordinals: range, now: float
) -> StatefulSetPlan:
    """Delete the first pod of an older revision, from the highest ordinal to the partition."""
    if not spec.rolling:
        return StatefulSetPlan(reason="matches spec (updates are made on delete)")
    if spec.max_unavailable is not None:
        return _update_with_max_unavailable(spec, spec.max_unavailable, by_ordinal, ordinals, now)
    for ordinal in reversed(ordinals[spec.partition :]):
        pod = by_ordinal.get(ordinal)
        if pod is None:
            break
        if pod.revision != spec.update_revision and not pod.terminating:
            reason = f"{_name(spec, ordinal)} is of an older revision"
            return StatefulSetPlan(delete=(ordinal,), reason=reason)
        if (blocked := _blocked(spec, pod, now)) is not None:
            return blocked
    return StatefulSetPlan(reason="matches spec")


def _update_with_max_unavailable(
    spec: SetSpec, limit: int, by_ordinal: dict[int, SetPod], ordinals: range, now: float
) -> StatefulSetPlan:
    """Delete as many pods of older revisions as maxUnavailable allows (feature gate)."""
    pods = [by_ordinal[ordinal] for ordinal in ordinals if ordinal in by_ordinal]
    unavailable = [pod for pod in pods if not pod.available(spec.min_ready_seconds, now)]
    old = [
        ordinal
        for ordinal in reversed(ordinals[spec.partition :])
        if ordinal in by_ordinal
        and by_ordinal[ordinal].revision != spec.update_revision
        and not by_ordinal[ordinal].terminating
    ]
    if not old:
        times = [pod.ready_since + spec.min_ready_seconds for pod in unavailable if pod.healthy]
        return StatefulSetPlan(reason="matches spec", look_again=min(times, default=None))
    surplus = old[: max(0, limit - len(unavailable))]
    if not surplus:
        first = min(unavailable, key=_ordinal)
        times = [pod.ready_since + spec.min_ready_seconds for pod in unavailable if pod.healthy]
        reason = f"{count_of(len(unavailable), 'pod is', 'pods are')} unavailable, {limit} may be"
        next_sync = min(times, default=None)
        return StatefulSetPlan(reason=reason, look_again=next_sync, waits_for=first.ordinal)
    verb = "is" if len(surplus) == 1 else "are"
    reason = f"{_names(spec, surplus)} {verb} of an older revision ({limit} may be unavailable)"
    return StatefulSetPlan(delete=tuple(surplus), reason=reason)


def resolve_max_unavailable(value: int | str | None, replicas: int) -> int:
    """Resolve rollingUpdate.maxUnavailable: percentages round down; the result is at least 1.

    Args:
        value: a number or a percentage; None means 1.
        replicas: spec.replicas.

    >>> resolve_max_unavailable("25%", 10), resolve_max_unavailable("25%", 3)
    (2, 1)
    """
    return max(1, scaled_value(1 if value is None else value, replicas, round_up=False))


def status_of(
    spec: SetSpec, pods: Sequence[SetPod], current_revision: str, now: float
) -> StatefulSetStatusDict:
    """Return the status of a StatefulSet.

    Terminating pods count as replicas, but not as current or updated.

    Args:
        spec: the StatefulSet's spec.
        pods: its pods.
        current_revision: status.currentRevision; "" at first.
        now: in seconds.
    """
    current = current_revision or spec.update_revision
    alive = [pod for pod in pods if not pod.terminating]
    updated = sum(pod.revision == spec.update_revision for pod in alive)
    ready = sum(pod.serving for pod in pods)
    if spec.rolling and updated == ready == spec.replicas == len(pods):
        current = spec.update_revision  # the update is complete
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
    """Return the revision of a new pod: the current one below the partition, else the newest.

    Args:
        spec: the StatefulSet's spec.
        ordinal: the pod's ordinal.
        current_revision: status.currentRevision.
    """
    below = spec.rolling and ordinal < spec.start + spec.partition
    return current_revision if below and current_revision else spec.update_revision


def ordinal_of(set_name: str, pod_name: str) -> int | None:
    """Return the ordinal in a pod's name; None if it is not a name of this StatefulSet.

    >>> ordinal_of("web", "web-3"), ordinal_of("web", "web-03"), ordinal_of("web", "db-3")
    (3, None, None)
    """
    parent, _, number = pod_name.rpartition("-")
    if parent != set_name or not (number.isascii() and number.isdigit()):
        return None
    return int(number) if str(int(number)) == number else None


def _is_finished(pod: SetPod) -> bool:
    """Return whether a pod is Failed or Succeeded, and not being deleted."""
    return pod.phase in ("Failed", "Succeeded") and not pod.terminating


def _ordinal(pod: SetPod) -> int:
    return pod.ordinal


def _name(spec: SetSpec, ordinal: int) -> str:
    return f"{spec.name}-{ordinal}"


def _names(spec: SetSpec, ordinals: Sequence[int]) -> str:
    return ", ".join(_name(spec, ordinal) for ordinal in ordinals)
