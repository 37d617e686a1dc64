"""Writes of the node lifecycle controller: each reads the newest state and is idempotent.

Source: pkg/controller/util/node/controller_utils.go (SwapNodeControllerTaint, MarkPodsNotReady).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubesim.apiserver import KubeAPI
from kubesim.client import retry_on_conflict
from kubesim.controllers.node.health import ready_status, unknown_conditions
from kubesim.errors import NotFound
from kubesim.objects import meta
from kubesim.objects.kindnames import NODE, POD
from kubesim.objects.meta import get_condition
from kubesim.objects.taints import same_taint, taints_of, with_taints

if TYPE_CHECKING:
    from kubesim.objects.types import NodeDict, PodDict, TaintDict


def write_unknown(api: KubeAPI, node: NodeDict) -> bool:
    """Set the conditions of an unresponsive node to Unknown.

    Returns:
        False if the node reported since it was read.

    Raises:
        NotFound: the node was deleted.
        Conflict: all retries conflicted.
    """

    def write() -> bool:
        current = api.get(NODE, meta.name_of(node))
        if ready_status(current) != ready_status(node):
            return False
        status = current.get("status") or {}
        conditions = unknown_conditions(
            status.get("conditions") or (),
            created=node["metadata"]["creationTimestamp"],
            now=api.clock.timestamp(),
        )
        api.update_status({**current, "status": {**status, "conditions": conditions}})
        return True

    return retry_on_conflict(write)


def swap_taints(
    api: KubeAPI, name: str, add: Sequence[TaintDict], remove: Sequence[TaintDict]
) -> bool:
    """Add and remove taints of a node in one write; return whether it changed.

    Taints that are present keep their timeAdded.

    Args:
        api: the API server.
        name: name of the node.
        add, remove: taints.

    Raises:
        NotFound: the node was deleted.
        Conflict: all retries conflicted.
    """

    def write() -> bool:
        node = api.get(NODE, name)
        old = taints_of(node)
        now = api.clock.timestamp()
        added: list[TaintDict] = [
            {**taint, "timeAdded": now}
            for taint in add
            if not any(same_taint(taint, present) for present in old)
        ]
        new = with_taints(old, added, remove)
        if new == old:
            return False
        node["spec"]["taints"] = new
        api.update(node)
        return True

    return retry_on_conflict(write)


def mark_not_ready(api: KubeAPI, pod: PodDict) -> bool:
    """Set a pod's Ready condition to False; return whether it changed.

    Raises:
        Conflict: all retries conflicted.
    """

    def write() -> bool:
        current = api.get(POD, meta.name_of(pod), meta.namespace_of(pod))
        ready = get_condition(current, "Ready")
        if meta.uid_of(current) != meta.uid_of(pod) or ready is None:
            return False
        if ready.get("status") == "False":
            return False
        changed = {**ready, "status": "False", "lastTransitionTime": api.clock.timestamp()}
        conditions = [changed if c is ready else c for c in current["status"]["conditions"]]
        status = {**current["status"], "conditions": conditions}
        api.update_status({**current, "status": status})
        return True

    try:
        return retry_on_conflict(write)
    except NotFound:
        return False
