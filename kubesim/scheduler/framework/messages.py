"""Why no node was feasible, in kube-scheduler's wording.

Source: pkg/scheduler/framework/types.go (FitError.Error), pkg/scheduler/schedule_one.go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from kubesim.scheduler.framework.cycle import Cycle
from kubesim.scheduler.framework.status import Status

NO_NODES = "no nodes available to schedule pods"
NOTE_LIMIT = 1024  # characters of an Event's note; the Pod's condition is not cut


def fit_message(cycle: Cycle, nodes: int) -> str:
    """Return the message of an attempt that found no feasible node.

    Every reason of every node is counted; the counted reasons are sorted as strings, so that
    ``10 ...`` comes before ``2 ...``.

    Args:
        cycle: the results of the attempt.
        nodes: number of nodes in the cluster.

    >>> refused = Status.unschedulable("Insufficient cpu", "Insufficient memory")
    >>> fit_message(Cycle({"a": refused, "b": Status.unschedulable("Insufficient cpu")}), 2)
    '0/2 nodes are available: 1 Insufficient memory, 2 Insufficient cpu.'
    """
    if nodes == 0:
        return NO_NODES
    message = f"0/{nodes} nodes are available:"
    if cycle.pre_filter:
        message += f" {cycle.pre_filter}."
    elif listed := counted_reasons(cycle.statuses.values(), cycle.absent, nodes):
        message += f" {listed}."
    return f"{message} {cycle.post_filter}" if cycle.post_filter else message


def counted_reasons(statuses: Iterable[Status], absent: Status | None, nodes: int) -> str:
    """Return each reason with the number of nodes that it holds for.

    Args:
        statuses: of the nodes that were evaluated.
        absent: the status of all other nodes.
        nodes: number of nodes in the cluster.
    """
    counts: Counter[str] = Counter()
    evaluated = 0
    for status in statuses:
        evaluated += 1
        counts.update(status.reasons)
    if absent is not None and nodes > evaluated:
        for reason in absent.reasons:
            counts[reason] += nodes - evaluated
    return ", ".join(sorted(f"{count} {reason}" for reason, count in counts.items()))


def event_note(message: str) -> str:
    """Cut a message to the length that an Event's note may have.

    >>> len(event_note("x" * 2000)), event_note("x" * 2000)[-5:]
    (1024, 'x ...')
    """
    return message if len(message) <= NOTE_LIMIT else message[: NOTE_LIMIT - 4] + " ..."
