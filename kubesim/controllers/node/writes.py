"""The writes of the node controller, each over the newest state and safe to repeat.

Source: pkg/controller/util/node/controller_utils.go (SwapNodeControllerTaint, MarkPodsNotReady).
"""

from __future__ import annotations

from collections.abc import Sequence

from kubesim.apiserver import KubeAPI
from kubesim.client import retry_on_conflict
from kubesim.controllers.node.health import ready_status, unknown_conditions
from kubesim.errors import NotFound
from kubesim.objects import meta
from kubesim.objects.conditions import get_condition
from kubesim.objects.frozen import Document
from kubesim.objects.taints import same_taint, taints_of, with_taints


def write_unknown(api: KubeAPI, node: Document) -> bool:
    """Make the conditions of a silent node Unknown; False if it reported since it was read.

    Raises:
        NotFound: it is gone.
        Conflict: somebody else keeps writing.
    """

    def write() -> bool:
        current = api.get("Node", meta.name_of(node))
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
    api: KubeAPI, name: str, add: Sequence[Document], remove: Sequence[Document]
) -> bool:
    """Set and take off taints of a node in one write; False if there was nothing to change.

    Taints that are there already keep the time at which they were added.

    Raises:
        NotFound: the node is gone.
        Conflict: somebody else keeps writing.
    """

    def write() -> bool:
        node = api.get("Node", name)
        old = taints_of(node)
        stamp = api.clock.timestamp()
        fresh = [
            {**taint, "timeAdded": stamp}
            for taint in add
            if not any(same_taint(taint, known) for known in old)
        ]
        new = with_taints(old, fresh, remove)
        if new == old:
            return False
        node["spec"]["taints"] = new
        api.update(node)
        return True

    return retry_on_conflict(write)


def mark_not_ready(api: KubeAPI, pod: Document) -> bool:
    """Make a pod's Ready condition False; True if it was not before.

    Raises:
        Conflict: somebody else keeps writing.
    """

    def write() -> bool:
        current = api.get("Pod", meta.name_of(pod), meta.namespace_of(pod))
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
