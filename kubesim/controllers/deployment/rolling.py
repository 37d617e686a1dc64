"""Arithmetic of rolling updates: pure functions of numbers.

A Deployment owns one ReplicaSet for each version of its pod template. A rolling update moves
replicas from the old ReplicaSets to the new one, with at most *surge* pods above spec.replicas and
at most *unavailable* pods below. These functions decide how far one sync may go.

Ours keeps all of upstream's rules; "spec" is a ReplicaSet's `spec.replicas`, "available" its
`status.availableReplicas`; "oldest first" means by creation time, then by name.

>>> resolve_fenceposts(max_surge="25%", max_unavailable="25%", replicas=10)
Fenceposts(surge=3, unavailable=2)
>>> old = ReplicaSetState("web-old", replicas=10, available=10, created=0.0)
>>> new_replica_set_size(replicas=10, surge=3, new_replicas=0, all_replicas=10)
3
>>> new = ReplicaSetState("web-new", replicas=3, available=0, created=9.0)
>>> scale_down_old([old], new, replicas=10, unavailable=2)
{'web-old': 8}

Source: pkg/controller/deployment/util/deployment_util.go (ResolveFenceposts, NewRSNewReplicas,
MaxUnavailable, GetReplicaSetProportion), rolling.go, sync.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kubesim.objects.intstr import scaled_value


class Fenceposts(NamedTuple):
    """maxSurge and maxUnavailable of a rolling update as numbers of pods."""

    surge: int
    unavailable: int


@dataclass(frozen=True, slots=True)
class ReplicaSetState:
    """The facts of one ReplicaSet that a rollout uses.

    Attributes:
        name: its name; breaks ties of creation time.
        replicas: spec.replicas.
        available: status.availableReplicas.
        created: creation time in seconds.
        max_replicas: annotation ``deployment.kubernetes.io/max-replicas``; 0 if missing.
    """

    name: str
    replicas: int
    available: int = 0
    created: float = 0.0
    max_replicas: int = 0


def resolve_fenceposts(
    *, max_surge: int | str | None, max_unavailable: int | str | None, replicas: int
) -> Fenceposts:
    """Resolve percentages: surge rounds up, unavailable rounds down.

    If both are 0, unavailable becomes 1, so that the rollout can proceed.

    Args:
        max_surge, max_unavailable: numbers or percentages; None counts as 0.
        replicas: spec.replicas of the Deployment.

    >>> resolve_fenceposts(max_surge="0%", max_unavailable="1%", replicas=10)
    Fenceposts(surge=0, unavailable=1)
    """
    surge = scaled_value(max_surge, replicas, round_up=True)
    unavailable = scaled_value(max_unavailable, replicas, round_up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return Fenceposts(surge, unavailable)


def max_unavailable_of(unavailable: int, replicas: int, *, rolling: bool = True) -> int:
    """Return the allowed unavailable pods: capped at replicas; 0 for Recreate or replicas 0.

    Args:
        unavailable: resolved maxUnavailable.
        replicas: spec.replicas of the Deployment.
        rolling: the strategy is RollingUpdate.
    """
    if not rolling or replicas == 0:
        return 0
    return min(unavailable, replicas)


def new_replica_set_size(
    *, replicas: int, surge: int, new_replicas: int, all_replicas: int, recreate: bool = False
) -> int:
    """Return the size of the new ReplicaSet after this sync.

    Args:
        replicas: spec.replicas of the Deployment.
        surge: resolved maxSurge.
        new_replicas: present size of the new ReplicaSet (0 if it is about to be created).
        all_replicas: sum of the sizes of all ReplicaSets. Terminating pods are not included: they
            exist beyond the surge.
        recreate: the strategy is Recreate, which sets the whole number at once.
    """
    if recreate:
        return replicas
    room = replicas + surge - all_replicas
    if room <= 0:
        return new_replicas
    return new_replicas + min(room, replicas - new_replicas)


def scale_down_old(
    old: Sequence[ReplicaSetState], new: ReplicaSetState, *, replicas: int, unavailable: int
) -> dict[str, int]:
    """Return the new sizes of the old ReplicaSets that shrink in this sync, by name.

    First unavailable pods are removed, oldest ReplicaSet first; then available ones, as long as
    `replicas - unavailable` pods stay available. The second budget is taken from the status as
    read, so pods removed in the first step do not lower it.

    Args:
        old: the old ReplicaSets.
        new: the new ReplicaSet.
        replicas: spec.replicas of the Deployment.
        unavailable: resolved maxUnavailable.
    """
    ordered = sorted(old, key=lambda rs: (rs.created, rs.name))
    min_available = replicas - max_unavailable_of(unavailable, replicas)
    everything = sum(rs.replicas for rs in ordered) + new.replicas
    allowed = everything - min_available - (new.replicas - new.available)
    if allowed <= 0 or everything == new.replicas:
        return {}
    sizes: dict[str, int] = {}
    removed = 0
    for rs in ordered:
        take = min(allowed - removed, rs.replicas - rs.available)
        if take > 0:
            sizes[rs.name] = rs.replicas - take
            removed += take
    budget = sum(rs.available for rs in ordered) + new.available - min_available
    removed = 0
    for rs in ordered:
        size = sizes.get(rs.name, rs.replicas)
        take = min(size, budget - removed)
        if take > 0:
            sizes[rs.name] = size - take
            removed += take
    return sizes


def _round_half_away(numerator: int, denominator: int) -> int:
    """Round numerator / denominator to nearest, halves away from zero (both non-negative)."""
    return (2 * numerator + denominator) // (2 * denominator)


def proportional_sizes(
    active: Sequence[ReplicaSetState], *, replicas: int, surge: int, status_replicas: int = 0
) -> dict[str, int]:
    """Return the sizes of all active ReplicaSets when a Deployment is scaled during a rollout.

    Each ReplicaSet gets a share by its size; the *largest*, not the newest, gets the leftover.
    Once nothing is left to distribute, the remaining ReplicaSets keep their sizes.

    Args:
        active: the ReplicaSets with spec.replicas > 0.
        replicas: the new spec.replicas of the Deployment.
        surge: maxSurge, resolved for the new spec.replicas.
        status_replicas: status.replicas of the Deployment, used where the annotation max-replicas
            is missing.

    >>> sizes = proportional_sizes(
    ...     [ReplicaSetState("old", 8, created=0, max_replicas=13),
    ...      ReplicaSetState("new", 5, created=9, max_replicas=13)], replicas=50, surge=6)
    >>> sizes["old"], sizes["new"]
    (34, 22)
    """
    allowed = replicas + surge if replicas > 0 else 0
    to_add = allowed - sum(rs.replicas for rs in active)
    # Growing: ties to the newest; shrinking: ties to the oldest.
    by_age = sorted(active, key=lambda rs: (rs.created, rs.name), reverse=to_add > 0)
    ordered = sorted(by_age, key=lambda rs: -rs.replicas)
    sizes = {rs.name: rs.replicas for rs in ordered}
    if to_add == 0 or not ordered:
        return sizes
    added = 0
    for rs in ordered:
        remaining = to_add - added
        if remaining == 0:
            break
        share = _share(rs, replicas, surge, status_replicas)
        share = min(share, remaining) if to_add > 0 else max(share, remaining)
        sizes[rs.name] += share
        added += share
    first = ordered[0].name
    sizes[first] = max(0, sizes[first] + to_add - added)
    return sizes


def _share(rs: ReplicaSetState, replicas: int, surge: int, status_replicas: int) -> int:
    if replicas == 0:
        return -rs.replicas
    base = rs.max_replicas or status_replicas
    if base == 0:
        return 0
    return _round_half_away(rs.replicas * (replicas + surge), base) - rs.replicas


@dataclass(frozen=True, slots=True)
class RolloutStatus:
    """The counters that decide whether a rollout is complete, progressing or timed out.

    Attributes:
        replicas, updated, ready, available: counters of the Deployment's status.
        observed: observedGeneration is the current generation.
    """

    replicas: int
    updated: int
    ready: int
    available: int
    observed: bool = True


def is_complete(status: RolloutStatus, replicas: int) -> bool:
    """Return whether all pods are of the new version and available, and no old one is left."""
    return status.updated == status.replicas == status.available == replicas and status.observed


def is_progressing(before: RolloutStatus, after: RolloutStatus) -> bool:
    """Return whether there are more updated, ready or available pods, or fewer old ones."""
    return (
        after.updated > before.updated
        or after.replicas - after.updated < before.replicas - before.updated
        or after.ready > before.ready
        or after.available > before.available
    )


def has_timed_out(reason: str, last_update: float, deadline_seconds: int, now: float) -> bool:
    """Return whether the progress deadline has passed; at equality it has not.

    Args:
        reason: reason of the stored condition Progressing.
        last_update: its lastUpdateTime, in seconds.
        deadline_seconds: spec.progressDeadlineSeconds.
        now: in seconds.
    """
    if reason == "NewReplicaSetAvailable":
        return False
    if reason == "ProgressDeadlineExceeded":
        return True
    return last_update + deadline_seconds < now
