"""What a DaemonSet does next: pure functions of its nodes and its pods.

`plan_node_pods` decides which nodes need a pod and which pods must go. `roll_out` brings a new
template to the nodes: without surge it deletes old pods, which `plan_node_pods` then replaces; with
surge it creates new pods first and deletes the old ones once the new ones are available.

>>> nodes = [DaemonNode("node-1"), DaemonNode("node-2", should_run=False)]
>>> old = DaemonPod("agent-x", "node-2", revision="a")
>>> plan_node_pods(nodes, {"node-2": [old]}, DaemonRules("a"), now=0.0).create
('node-1',)
>>> rollout_numbers("30%", 0, desired=4)         # percentages round up, unlike a Deployment's
(2, 0)

Source: pkg/controller/daemon/daemon_controller.go (podsShouldBeOnNode, updateDaemonSetStatus),
update.go (rollingUpdate, findUpdatedPodsOnNode, updatedDesiredNodeCounts).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, cast

from kubesim.objects.intstr import scaled_value
from kubesim.quantity import count_of

if TYPE_CHECKING:
    from kubesim.objects.types import DaemonSetStatusDict

BURST_REPLICAS = 250  # pods created or deleted in one sync, at most
SOURCE = "https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/"


@dataclass(frozen=True, slots=True)
class DaemonNode:
    """One node, and whether a DaemonSet's pod belongs there.

    Attributes:
        name: of the node.
        should_run: the node needs a pod.
        should_continue: a pod that runs there may stay.
    """

    name: str
    should_run: bool = True
    should_continue: bool = True


@dataclass(frozen=True, slots=True)
class DaemonPod:
    """One pod of a DaemonSet.

    Attributes:
        name: of the pod.
        node: the node that it runs on, or was created for.
        bound: the scheduler has bound it.
        phase: status.phase.
        ready: condition Ready is True.
        ready_since: second of the last transition of Ready; None if unknown.
        created: second of creation.
        terminating: has a deletionTimestamp.
        revision: hash of the template that it was created from.
    """

    name: str
    node: str
    bound: bool = True
    phase: str = "Running"
    ready: bool = True
    ready_since: float | None = None
    created: float = 0.0
    terminating: bool = False
    revision: str = ""

    def available_from(self, min_ready_seconds: int) -> float | None:
        """Return the second from which it is available (inclusive since 1.34); None: not ready."""
        if not self.ready:
            return None
        if min_ready_seconds == 0:
            return 0.0
        return None if self.ready_since is None else self.ready_since + min_ready_seconds


@dataclass(frozen=True, slots=True)
class DaemonRules:
    """The spec of a DaemonSet, with resolved numbers.

    Attributes:
        revision: hash of the current template.
        min_ready_seconds: seconds that a pod must be ready before it counts as available.
        surge: maxSurge as a number of nodes; 0: old pods are deleted first.
        unavailable: maxUnavailable as a number of nodes.
    """

    revision: str
    min_ready_seconds: int = 0
    surge: int = 0
    unavailable: int = 1

    def available(self, pod: DaemonPod, now: float) -> bool:
        """Return whether a pod has been ready for min_ready_seconds."""
        available_at = pod.available_from(self.min_ready_seconds)
        return available_at is not None and available_at <= now


class NodePodsPlan(NamedTuple):
    """Which nodes need a pod, and which pods must go, in one sync.

    Attributes:
        create: names of the nodes that need a pod.
        delete: names of the pods to delete.
        failed, succeeded: the pods among them whose phase is Failed or Succeeded.
        waiting: failed pods that are kept while their node's back-off runs.
    """

    create: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()
    failed: tuple[DaemonPod, ...] = ()
    succeeded: tuple[DaemonPod, ...] = ()
    waiting: tuple[DaemonPod, ...] = ()


class RollingUpdatePlan(NamedTuple):
    """What the rolling update does in one sync.

    Attributes:
        create: names of the nodes that get a new pod next to the old one (surge).
        delete: names of the old pods to delete.
        reason: why not more, as a sentence fragment; "" if no pod is old.
    """

    create: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()
    reason: str = ""


def rollout_numbers(
    max_unavailable: int | str | None, max_surge: int | str | None, *, desired: int
) -> tuple[int, int]:
    """Return (unavailable, surge) as numbers of nodes; both percentages round up.

    If both resolve to 0 although nodes are eligible, unavailable becomes 1, so that the update can
    proceed.

    Args:
        max_unavailable, max_surge: numbers or percentages; None counts as 0.
        desired: number of nodes that should run a pod.
    """
    unavailable = scaled_value(max_unavailable, desired, round_up=True)
    surge = scaled_value(max_surge, desired, round_up=True)
    if desired > 0 and unavailable == 0 and surge == 0:
        unavailable = 1
    return unavailable, surge


def by_age(pods: Sequence[DaemonPod]) -> list[DaemonPod]:
    """Sort pods: bound pods first, then the oldest, ties by name."""
    return sorted(pods, key=lambda pod: (not pod.bound, pod.created, pod.name))


# -- pods on nodes ---------------------------------------------------------------------------------


def plan_node_pods(
    nodes: Sequence[DaemonNode],
    pods: Mapping[str, Sequence[DaemonPod]],
    rules: DaemonRules,
    now: float,
    in_backoff: Callable[[str], bool] = lambda node: False,
) -> NodePodsPlan:
    """Decide which nodes need a pod, and which pods are finished, duplicate or misplaced.

    Args:
        nodes: all nodes.
        pods: the DaemonSet's pods by node, without finished pods that are terminating.
        rules: the DaemonSet's spec.
        now: in seconds.
        in_backoff: returns whether a failed pod of that node was deleted too recently.
    """
    create: list[str] = []
    delete: list[str] = []
    failed: list[DaemonPod] = []
    succeeded: list[DaemonPod] = []
    waiting: list[DaemonPod] = []
    for node in nodes:
        on_node = pods.get(node.name, ())
        staying = [pod for pod in on_node if not pod.terminating]
        if node.should_run and not on_node:
            create.append(node.name)
        elif not node.should_continue:
            delete += [pod.name for pod in staying]
        elif on_node:
            running = []
            for pod in staying:
                if pod.phase == "Failed":
                    (waiting if in_backoff(node.name) else failed).append(pod)
                elif pod.phase == "Succeeded":
                    succeeded.append(pod)
                else:
                    running.append(pod)
            if rules.surge and not running and node.should_run:
                create.append(node.name)  # without waiting for the terminating pod
            delete += _surplus_pods(running, rules, now)
    # A pod that was created for a deleted node will never be scheduled.
    node_names = {node.name for node in nodes}
    stranded = (p for name, on_node in pods.items() if name not in node_names for p in on_node)
    delete += [pod.name for pod in stranded if not pod.bound and not pod.terminating]
    delete += [pod.name for pod in (*failed, *succeeded)]
    return NodePodsPlan(
        tuple(create), tuple(delete), tuple(failed), tuple(succeeded), tuple(waiting)
    )


def _surplus_pods(running: Sequence[DaemonPod], rules: DaemonRules, now: float) -> list[str]:
    """Return the pods of one node beyond the oldest; with surge one old and one new may stay."""
    if len(running) < 2:
        return []
    ordered = by_age(running)
    if not rules.surge:
        return [pod.name for pod in ordered[1:]]
    new = [pod for pod in ordered if pod.revision == rules.revision]
    old = [pod for pod in ordered if pod.revision != rules.revision]
    surplus = [pod.name for pod in ordered if pod in new[1:] or pod in old[1:]]
    if new and old and (not old[0].ready or rules.available(new[0], now)):
        surplus.append(old[0].name)
    return surplus


# -- the rolling update ----------------------------------------------------------------------------


def roll_out(
    nodes: Sequence[DaemonNode],
    pods: Mapping[str, Sequence[DaemonPod]],
    rules: DaemonRules,
    now: float,
) -> RollingUpdatePlan:
    """Decide how far the rolling update may proceed in this sync.

    Args:
        nodes: all nodes.
        pods: the DaemonSet's pods by node, without finished pods that are terminating.
        rules: the DaemonSet's spec.
        now: in seconds.
    """
    eligible = {node.name: pods.get(node.name, ()) for node in nodes if node.should_run}
    by_node = {**eligible, **{name: on_node for name, on_node in pods.items() if on_node}}
    if rules.surge:
        return _roll_out_with_surge(nodes, by_node, rules, now, desired=len(eligible))
    return _roll_out_with_unavailable(by_node, rules, now)


def _new_and_old_pod(
    pods: Sequence[DaemonPod], revision: str
) -> tuple[DaemonPod | None, DaemonPod | None] | None:
    """Return (new, old) of a node; None if there are duplicates for `plan_node_pods` to delete."""
    staying = [pod for pod in pods if not pod.terminating]
    new = [pod for pod in staying if pod.revision == revision]
    old = [pod for pod in staying if pod.revision != revision]
    if len(new) > 1 or len(old) > 1:
        return None
    return (new[0] if new else None, old[0] if old else None)


def _roll_out_with_unavailable(
    pods: Mapping[str, Sequence[DaemonPod]], rules: DaemonRules, now: float
) -> RollingUpdatePlan:
    """Delete old pods, as many as maxUnavailable allows."""
    unavailable = 0
    broken: list[str] = []
    serving: list[str] = []
    for on_node in pods.values():
        pair = _new_and_old_pod(on_node, rules.revision)
        if pair is None or (pair[0] is None) == (pair[1] is None):
            unavailable += 1  # no pod, both or duplicates: `plan_node_pods` acts
            continue
        new, old = pair
        if new is not None:
            unavailable += not rules.available(new, now)
        elif old is not None:
            (serving if rules.available(old, now) else broken).append(old.name)
    room = max(0, rules.unavailable - unavailable)
    if not broken and not serving:
        return RollingUpdatePlan()
    count = len(broken) + len(serving)
    blocked = count_of(unavailable, "node is", "nodes are")
    reason = f"{count_of(count, 'old pod')}; {blocked} unavailable, "
    reason += f"at most {rules.unavailable} may be"
    return RollingUpdatePlan((), (*broken, *serving[:room]), reason)


def _roll_out_with_surge(
    nodes: Sequence[DaemonNode],
    pods: Mapping[str, Sequence[DaemonPod]],
    rules: DaemonRules,
    now: float,
    *,
    desired: int,
) -> RollingUpdatePlan:
    """Create new pods next to old ones; delete old pods that an available new one replaces."""
    should_run = {node.name for node in nodes if node.should_run}
    surging = available = 0
    delete: list[str] = []
    ineligible: list[str] = []
    broken: list[str] = []
    serving: list[str] = []
    for name, on_node in pods.items():
        pair = _new_and_old_pod(on_node, rules.revision)
        if pair is None:
            surging += 1  # `plan_node_pods` deletes the duplicates
            continue
        new, old = pair
        either = old or new
        available += either is not None and rules.available(either, now)
        if old is None:
            continue
        if new is not None:
            if rules.available(new, now):
                delete.append(old.name)
            else:
                surging += 1
        elif name not in should_run:
            (ineligible if rules.available(old, now) else delete).append(old.name)
        else:
            (serving if rules.available(old, now) else broken).append(name)
    # A node that is no longer eligible keeps its pod until enough others are available.
    delete += ineligible[: max(0, available - desired)]
    room = max(0, rules.surge - surging)
    if not (delete or ineligible or broken or serving or surging):
        return RollingUpdatePlan()
    old_pods = len(broken) + len(serving) + surging + len(ineligible)
    reason = f"{count_of(old_pods, 'old pod')}; "
    reason += f"{surging} of {count_of(rules.surge, 'surge pod')} not available yet"
    return RollingUpdatePlan((*broken, *serving[:room]), tuple(delete), reason)


# -- status ----------------------------------------------------------------------------------------


def status_of(
    nodes: Sequence[DaemonNode],
    pods: Mapping[str, Sequence[DaemonPod]],
    rules: DaemonRules,
    now: float,
) -> DaemonSetStatusDict:
    """Return the counters of status; some of them are omitted when they are zero.

    Args:
        nodes: all nodes.
        pods: the DaemonSet's pods by node.
        rules: the DaemonSet's spec.
        now: in seconds.
    """
    desired = current = misscheduled = ready = available = updated = 0
    for node in nodes:
        on_node = pods.get(node.name, ())
        if not node.should_run:
            misscheduled += bool(on_node)
            continue
        desired += 1
        if not on_node:
            continue
        current += 1
        oldest = by_age(on_node)[0]
        ready += oldest.ready
        available += rules.available(oldest, now)
        updated += oldest.revision == rules.revision
    omitted_if_zero = {
        "updatedNumberScheduled": updated,
        "numberAvailable": available,
        "numberUnavailable": desired - available,
    }
    status = {
        "desiredNumberScheduled": desired,
        "currentNumberScheduled": current,
        "numberMisscheduled": misscheduled,
        "numberReady": ready,
        **{name: count for name, count in omitted_if_zero.items() if count},
    }
    return cast("DaemonSetStatusDict", status)


def next_available(
    pods: Mapping[str, Sequence[DaemonPod]], min_ready_seconds: int, now: float
) -> float | None:
    """Return the next second after `now` at which a pod becomes available; None: never.

    Args:
        pods: the DaemonSet's pods by node.
        min_ready_seconds: spec.minReadySeconds.
        now: in seconds.
    """
    times = (p.available_from(min_ready_seconds) for on_node in pods.values() for p in on_node)
    return min((time for time in times if time is not None and time > now), default=None)
