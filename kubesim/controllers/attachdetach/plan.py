"""Which nodes a volume is attached to, and which it leaves: a pure function.

>>> from dataclasses import replace
>>> old = Attached(desired=False, attached=True, in_use=True)
>>> states = {"node-1": old, "node-2": Attached(desired=True)}
>>> plan_attachments(states, shared=False, now=0.0)
Plan(attach=(), detach=(), refused=('node-2',), again_after=None)
>>> plan_attachments({**states, "node-1": replace(old, in_use=False)}, shared=False, now=0.0)
Plan(attach=(), detach=('node-1',), refused=(), again_after=None)

Source: pkg/controller/volume/attachdetach/reconciler/reconciler.go (reconcile,
attachDesiredVolumes, reportMultiAttachError).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

UNMOUNT_SECONDS = 360.0  # maxWaitForUnmountDuration
EXCLUSIVE = "Volume is already exclusively attached to one node and can't be attached to another"


@dataclass(frozen=True)
class Attached:
    """One volume and one node.

    Attributes:
        desired: whether a pod on the node needs the volume.
        attached: whether there is a VolumeAttachment; one that is being deleted counts.
        leaving: whether it is being deleted.
        in_use: whether the node reports that the volume is mounted.
        healthy: whether the node is ready.
        out_of_service: whether it is tainted so.
        since: second since which no pod needs the volume there; None: since now.
    """

    desired: bool
    attached: bool = False
    leaving: bool = False
    in_use: bool = False
    healthy: bool = True
    out_of_service: bool = False
    since: float | None = None


@dataclass(frozen=True)
class Plan:
    """What to do about a volume.

    Attributes:
        attach, detach: names of nodes.
        refused: nodes that have to wait until the volume has left another one.
        again_after: seconds after which a node that does not answer has to give the volume up.
    """

    attach: tuple[str, ...] = ()
    detach: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    again_after: float | None = None


def plan_attachments(nodes: Mapping[str, Attached], *, shared: bool, now: float) -> Plan:
    """Decide where a volume is attached and detached.

    Args:
        nodes: those that have the volume, and those whose pods need it.
        shared: whether it may be attached to several nodes at once.
        now: the second.
    """
    detach, waits = [], []
    for name, node in nodes.items():
        if node.desired or not node.attached or node.leaving:
            continue
        left = UNMOUNT_SECONDS - (now - (now if node.since is None else node.since))
        forced = node.out_of_service or (not node.healthy and left <= 0)
        if not node.in_use or forced:
            detach.append(name)
        elif not node.healthy:
            waits.append(left)
    holders = {name for name, node in nodes.items() if node.attached}
    moving = {name for name in holders if nodes[name].leaving or name in detach}
    attach, refused = [], []
    for name, node in nodes.items():
        if not node.desired or node.attached:
            continue
        others = set() if shared else holders
        if others - moving:
            refused.append(name)
        elif not others:
            attach.append(name)
            holders.add(name)
    return Plan(tuple(attach), tuple(detach), tuple(refused), min(waits, default=None))


def multi_attach_error(volume: str, namespace: str, pods: Sequence[tuple[str, str]]) -> str:
    """Return the message of the Event of a pod that waits for a volume.

    Args:
        volume: name of the volume.
        namespace: of the pod that waits.
        pods: (namespace, name) of the pods on other nodes that need the volume.

    >>> multi_attach_error("disk", "shop", [("shop", "db-0"), ("other", "x")])
    'Multi-Attach error for volume "disk" Volume is already used by pod(s) db-0 and 1 pod(s) in ...
    """
    names = [name for space, name in pods if space == namespace]
    others = len(pods) - len(names)
    if not pods:
        reason = EXCLUSIVE
    elif not names:
        reason = f"Volume is already used by {others} pod(s) in different namespaces"
    else:
        reason = f"Volume is already used by pod(s) {', '.join(names)}"
        if others:
            reason += f" and {others} pod(s) in different namespaces"
    return f'Multi-Attach error for volume "{volume}" {reason}'
