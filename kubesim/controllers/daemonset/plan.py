"""What a DaemonSet needs next: pure functions of its nodes and its pods.

Each node that should run a pod has one: that is the *care of nodes* (`care`). A new template is
brought to the nodes by `roll_out`: without surge old pods are deleted, and the care makes new ones;
with surge the new pod comes first, and the old one goes once the new one is available.

>>> nodes = [DaemonNode("node-1"), DaemonNode("node-2", should_run=False)]
>>> old = DaemonPod("agent-x", "node-2", revision="a")
>>> care(nodes, {"node-2": [old]}, DaemonRules("a"), now=0.0).create     # it may stay on node-2
('node-1',)
>>> rollout_numbers("30%", 0, desired=4)         # percentages round up, unlike a Deployment's
(2, 0)

Source: pkg/controller/daemon/daemon_controller.go (podsShouldBeOnNode, updateDaemonSetStatus),
update.go (rollingUpdate, findUpdatedPodsOnNode, updatedDesiredNodeCounts).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kubesim.objects.frozen import Document
from kubesim.objects.intstr import scaled_value

BURST_REPLICAS = 250  # pods made or deleted in one pass, at most
SOURCE = "https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/"


@dataclass(frozen=True, slots=True)
class DaemonNode:
    """One node, as a DaemonSet sees it.

    Attributes:
        name: of the node.
        should_run: a pod belongs there.
        should_continue: a pod that is there may stay.
    """

    name: str
    should_run: bool = True
    should_continue: bool = True


@dataclass(frozen=True, slots=True)
class DaemonPod:
    """One pod of a DaemonSet.

    Attributes:
        name: of the pod.
        node: that it is on, or was made for.
        bound: the scheduler has placed it.
        phase: of the pod.
        ready: condition Ready is True.
        ready_since: second of its last transition; None if unknown.
        created: second of creation.
        terminating: has a deletionTimestamp.
        revision: hash of the template that it was made from.
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
        """The second from which it is available (inclusive since 1.34); None: it is not ready."""
        if not self.ready:
            return None
        if min_ready_seconds == 0:
            return 0.0
        return None if self.ready_since is None else self.ready_since + min_ready_seconds


@dataclass(frozen=True, slots=True)
class DaemonRules:
    """What the DaemonSet wants.

    Attributes:
        revision: hash of the present template.
        min_ready_seconds: ready so long before a pod counts as available.
        surge: pods that may be made beside old ones, resolved; 0: old ones go first.
        unavailable: nodes that may be without an available pod, resolved.
    """

    revision: str
    min_ready_seconds: int = 0
    surge: int = 0
    unavailable: int = 1

    def available(self, pod: DaemonPod, now: float) -> bool:
        """Ready for long enough."""
        moment = pod.available_from(self.min_ready_seconds)
        return moment is not None and moment <= now


class Care(NamedTuple):
    """What the care of nodes wants in one pass.

    Attributes:
        create: nodes that get a pod.
        delete: names of pods that go.
        failed: those among them that failed, and `succeeded`: that ended well.
        waiting: failed pods that stay while their node's back-off runs.
    """

    create: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()
    failed: tuple[DaemonPod, ...] = ()
    succeeded: tuple[DaemonPod, ...] = ()
    waiting: tuple[DaemonPod, ...] = ()


class RollOut(NamedTuple):
    """What the rolling update wants in one pass.

    Attributes:
        create: nodes that get a new pod beside the old one (surge).
        delete: names of old pods that go.
        reason: why not more, in words; "" if nothing is old.
    """

    create: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()
    reason: str = ""


def rollout_numbers(
    max_unavailable: int | str | None, max_surge: int | str | None, *, desired: int
) -> tuple[int, int]:
    """(unavailable, surge) as numbers; both round up. Both 0 would never move: unavailable is 1.

    Args:
        max_unavailable, max_surge: numbers or percentages; None counts 0.
        desired: nodes that should run a pod.
    """
    unavailable = scaled_value(max_unavailable, desired, round_up=True)
    surge = scaled_value(max_surge, desired, round_up=True)
    if desired > 0 and unavailable == 0 and surge == 0:
        unavailable = 1
    return unavailable, surge


def by_age(pods: Sequence[DaemonPod]) -> list[DaemonPod]:
    """Placed ones first, then the oldest, then by name."""
    return sorted(pods, key=lambda pod: (not pod.bound, pod.created, pod.name))


# -- the care of nodes -----------------------------------------------------------------------------


def care(
    nodes: Sequence[DaemonNode],
    pods: Mapping[str, Sequence[DaemonPod]],
    rules: DaemonRules,
    now: float,
    in_backoff: Callable[[str], bool] = lambda node: False,
) -> Care:
    """Which nodes lack a pod, and which pods are ended, doubled, or where they should not be.

    Args:
        nodes: all nodes.
        pods: by node, those of the DaemonSet; ended ones on their way out are left out.
        rules: what is wanted.
        now: in seconds.
        in_backoff: by name of a node: a failed pod was deleted there a short while ago.
    """
    create: list[str] = []
    delete: list[str] = []
    failed: list[DaemonPod] = []
    succeeded: list[DaemonPod] = []
    waiting: list[DaemonPod] = []
    for node in nodes:
        there = pods.get(node.name, ())
        staying = [pod for pod in there if not pod.terminating]
        if node.should_run and not there:
            create.append(node.name)
        elif not node.should_continue:
            delete += [pod.name for pod in staying]
        elif there:
            running = []
            for pod in staying:
                if pod.phase == "Failed":
                    (waiting if in_backoff(node.name) else failed).append(pod)
                elif pod.phase == "Succeeded":
                    succeeded.append(pod)
                else:
                    running.append(pod)
            if rules.surge and not running and node.should_run:
                create.append(node.name)  # it does not wait for the one that is leaving
            delete += _too_many(running, rules, now)
    # A pod that was made for a node that is gone will never be placed.
    known = {node.name for node in nodes}
    stranded = (p for name, there in pods.items() if name not in known for p in there)
    delete += [pod.name for pod in stranded if not pod.bound and not pod.terminating]
    delete += [pod.name for pod in (*failed, *succeeded)]
    return Care(tuple(create), tuple(delete), tuple(failed), tuple(succeeded), tuple(waiting))


def _too_many(running: Sequence[DaemonPod], rules: DaemonRules, now: float) -> list[str]:
    """Pods of one node that go: all but the oldest; with surge one old and one new may stay."""
    if len(running) < 2:
        return []
    ordered = by_age(running)
    if not rules.surge:
        return [pod.name for pod in ordered[1:]]
    new = [pod for pod in ordered if pod.revision == rules.revision]
    old = [pod for pod in ordered if pod.revision != rules.revision]
    going = [pod.name for pod in ordered if pod in new[1:] or pod in old[1:]]
    if new and old and (not old[0].ready or rules.available(new[0], now)):
        going.append(old[0].name)
    return going


# -- the rolling update ----------------------------------------------------------------------------


def roll_out(
    nodes: Sequence[DaemonNode],
    pods: Mapping[str, Sequence[DaemonPod]],
    rules: DaemonRules,
    now: float,
) -> RollOut:
    """How far the rolling update may go in this pass.

    Args:
        nodes: all nodes.
        pods: by node, those of the DaemonSet; ended ones on their way out are left out.
        rules: what is wanted.
        now: in seconds.
    """
    wanted = {node.name: pods.get(node.name, ()) for node in nodes if node.should_run}
    everywhere = {**wanted, **{name: there for name, there in pods.items() if there}}
    if rules.surge:
        return _with_surge(nodes, everywhere, rules, now, desired=len(wanted))
    return _one_by_one(everywhere, rules, now)


def _pair(
    pods: Sequence[DaemonPod], revision: str
) -> tuple[DaemonPod | None, DaemonPod | None] | None:
    """(new, old) of a node; None if there are two of a sort, which the care of nodes sees to."""
    staying = [pod for pod in pods if not pod.terminating]
    new = [pod for pod in staying if pod.revision == revision]
    old = [pod for pod in staying if pod.revision != revision]
    if len(new) > 1 or len(old) > 1:
        return None
    return (new[0] if new else None, old[0] if old else None)


def _one_by_one(pods: Mapping[str, Sequence[DaemonPod]], rules: DaemonRules, now: float) -> RollOut:
    """Delete old pods, as many as may be missing."""
    missing = 0
    broken: list[str] = []
    serving: list[str] = []
    for there in pods.values():
        pair = _pair(there, rules.revision)
        if pair is None or (pair[0] is None) == (pair[1] is None):
            missing += 1  # none, both or too many: the care of nodes acts
            continue
        new, old = pair
        if new is not None:
            missing += not rules.available(new, now)
        elif old is not None:
            (serving if rules.available(old, now) else broken).append(old.name)
    room = max(0, rules.unavailable - missing)
    if not broken and not serving:
        return RollOut()
    counted = f"{missing} of {rules.unavailable} nodes that may be without a pod are"
    return RollOut((), (*broken, *serving[:room]), f"{len(broken) + len(serving)} old; {counted}")


def _with_surge(
    nodes: Sequence[DaemonNode],
    pods: Mapping[str, Sequence[DaemonPod]],
    rules: DaemonRules,
    now: float,
    *,
    desired: int,
) -> RollOut:
    """Make new pods beside old ones; delete what a new one has replaced."""
    should_run = {node.name for node in nodes if node.should_run}
    surging = available = 0
    delete: list[str] = []
    sunset: list[str] = []
    broken: list[str] = []
    serving: list[str] = []
    for name, there in pods.items():
        pair = _pair(there, rules.revision)
        if pair is None:
            surging += 1  # the care of nodes clears up
            continue
        new, old = pair
        shown = old or new
        available += shown is not None and rules.available(shown, now)
        if old is None:
            continue
        if new is not None:
            if rules.available(new, now):
                delete.append(old.name)
            else:
                surging += 1
        elif name not in should_run:
            (sunset if rules.available(old, now) else delete).append(old.name)
        else:
            (serving if rules.available(old, now) else broken).append(name)
    # A node that is to be left keeps its pod until another node's pod can stand in.
    delete += sunset[: max(0, available - desired)]
    room = max(0, rules.surge - surging)
    if not (delete or sunset or broken or serving or surging):
        return RollOut()
    left = len(broken) + len(serving) + surging + len(sunset)
    reason = f"{left} old; {surging} of {rules.surge} extra pods are not available yet"
    return RollOut((*broken, *serving[:room]), tuple(delete), reason)


# -- status ----------------------------------------------------------------------------------------


def status_of(
    nodes: Sequence[DaemonNode],
    pods: Mapping[str, Sequence[DaemonPod]],
    rules: DaemonRules,
    now: float,
) -> Document:
    """The counters of status, as the API writes them: some are left out when they are zero.

    Args:
        nodes: all nodes.
        pods: by node, those of the DaemonSet.
        rules: what is wanted.
        now: in seconds.
    """
    desired = current = misscheduled = ready = available = updated = 0
    for node in nodes:
        there = pods.get(node.name, ())
        if not node.should_run:
            misscheduled += bool(there)
            continue
        desired += 1
        if not there:
            continue
        current += 1
        oldest = by_age(there)[0]
        ready += oldest.ready
        available += rules.available(oldest, now)
        updated += oldest.revision == rules.revision
    left_out_if_zero = {
        "updatedNumberScheduled": updated,
        "numberAvailable": available,
        "numberUnavailable": desired - available,
    }
    return {
        "desiredNumberScheduled": desired,
        "currentNumberScheduled": current,
        "numberMisscheduled": misscheduled,
        "numberReady": ready,
        **{name: count for name, count in left_out_if_zero.items() if count},
    }


def next_available(
    pods: Mapping[str, Sequence[DaemonPod]], min_ready_seconds: int, now: float
) -> float | None:
    """The earliest second after `now` at which one of the pods becomes available; None: never."""
    moments = (p.available_from(min_ready_seconds) for there in pods.values() for p in there)
    return min((m for m in moments if m is not None and m > now), default=None)
