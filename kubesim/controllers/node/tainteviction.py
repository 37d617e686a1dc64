"""The taint eviction controller: deletes pods that do not tolerate a NoExecute taint of their node.

The node lifecycle controller sets such taints; users may, too. For each pod on a tainted node this
controller computes how long the pod may stay. The timer starts when the taint was first seen on the
pod's node; later changes neither lengthen nor shorten it; removing the taint in time cancels the
deletion.

Ours keeps tolerations, timers, cancellation, events, and the condition DisruptionTarget. On a dead
node the pods then stay Terminating, since no kubelet stops them. One difference is visible: pods
that are being deleted already get no further event.

Source: pkg/controller/tainteviction/taint_eviction.go, timed_workers.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubesim.apiserver import ResourceEvent
from kubesim.client import Controller, RuleStep, Tools, retry_on_conflict
from kubesim.clock.base import Timer
from kubesim.errors import NotFound
from kubesim.objects import meta
from kubesim.objects.kindnames import LEASE, NODE, POD
from kubesim.objects.meta import get_condition, set_condition
from kubesim.objects.pods import node_of
from kubesim.objects.taints import eviction_delay, taints_of
from kubesim.objects.wellknown import LEASE_NAMESPACE, NO_EXECUTE

if TYPE_CHECKING:
    from kubesim.objects.types import NodeDict, PodDict, TaintDict

SOURCE = (
    "https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/"
    "#taint-based-evictions"
)


# -- decisions -------------------------------------------------------------------------------------


def keeps_clock(started: float | None, due: float, delay: float, now: float) -> bool:
    """Return whether a pod's eviction timer is kept.

    A timer is neither lengthened nor shortened, except in the second in which it started, when
    several changes may arrive at once.

    Args:
        started: second at which the timer started; None: none runs.
        due: second at which the timer expires.
        delay: seconds that the pod may stay by its present tolerations and taints.
        now: simulated second.

    >>> keeps_clock(160.0, 460.0, 10.0, now=161.0), keeps_clock(160.0, 460.0, 10.0, now=160.0)
    (True, False)
    """
    return started is not None and (started < now or due == now + delay)


@dataclass
class _PendingEviction:
    """A pod with an eviction timer."""

    uid: str
    started: float
    due: float
    timer: Timer


# -- the controller --------------------------------------------------------------------------------


class TaintEvictionController(Controller):
    """Runs an eviction timer for each pod on a tainted node.

    Keys: ``node/NAME`` when its taints changed, ``pod/NS/NAME`` when a pod was added or changed,
    ``due/NS/NAME`` when a pod's timer expired.
    """

    name = "taint-eviction-controller"

    def __init__(self, tools: Tools, **options: float) -> None:
        super().__init__(tools, **options)
        self._nodes = self.informer(NODE, self._node_changed)
        self._pods = self.informer(POD, self._pod_changed, indexers={"node": _node_name})
        self._tainted: dict[str, list[TaintDict]] = {}  # node -> its NoExecute taints
        self._pending: dict[str, _PendingEviction] = {}  # by key of the pod
        self._evicted: dict[str, str] = {}  # key of a pod whose deletion was requested -> uid

    # -- watch events ---------------------------------------------------------------------------

    def _node_changed(self, event: ResourceEvent[NodeDict]) -> Iterable[str]:
        name = meta.name_of(event.object)
        taints = [] if event.type == "DELETED" else taints_of(event.object, NO_EXECUTE)
        if taints != self._tainted.get(name, []):
            yield f"node/{name}"

    def _pod_changed(self, event: ResourceEvent[PodDict]) -> Iterable[str]:
        pod, before, key = event.object, event.previous, meta.key_of(event.object)
        if event.type == "DELETED":
            if key in self._pending or key in self._evicted:
                yield f"pod/{key}"
        elif node_of(pod) in self._tainted and (
            before is None
            or node_of(before) != node_of(pod)
            or before["spec"].get("tolerations") != pod["spec"].get("tolerations")
        ):
            yield f"pod/{key}"

    def reconcile(self, key: str) -> None:
        """Handle a node, a pod or an expired timer, by the key's prefix."""
        what, _, name = key.partition("/")
        if what == "node":
            self._handle_node(name)
        elif what == "due":
            self._evict(name)
        else:
            self._handle_pod(name)

    # -- timers ---------------------------------------------------------------------------------

    def _handle_node(self, name: str) -> None:
        """Update the taints of a node, and the timers of its pods."""
        node = self._nodes.get(name)
        if node is None:  # timers that run are kept: the pods are lost anyway
            self._tainted.pop(name, None)
            return
        taints = taints_of(node, NO_EXECUTE)
        if taints:
            self._tainted[name] = taints
        else:
            self._tainted.pop(name, None)
        for pod in self._pods.by_index("node", name):
            self._handle_pod(meta.key_of(pod))

    def _handle_pod(self, key: str) -> None:
        """Start, keep or cancel the timer of a pod."""
        pod = self._pods.get(key)
        pending = self._pending.get(key)
        if pod is None or (pending is not None and pending.uid != meta.uid_of(pod)):
            self._cancel(key, pod, "it is already deleted")
            self._evicted.pop(key, None)
            pending = None
        if pod is None:
            return
        taints = self._tainted.get(node_of(pod), [])
        delay = eviction_delay(taints, pod["spec"].get("tolerations") or ()) if taints else None
        if delay is None:
            reason = "it tolerates every taint for ever" if taints else "the taint is gone"
            self._cancel(key, pod, reason)
            self._evicted.pop(key, None)
        elif self._evicted.get(key) == meta.uid_of(pod) or meta.is_terminating(pod):
            return
        else:
            if delay == 0:
                self._cancel(key, pod, "it is evicted at once instead")
            self._start_timer(key, pod, taints, delay)

    def _start_timer(self, key: str, pod: PodDict, taints: list[TaintDict], delay: float) -> None:
        now, pending = self.clock.now(), self._pending.get(key)
        if pending is not None:
            if keeps_clock(pending.started, pending.due, delay, now):
                return
            pending.timer.cancel()
        due = now + delay
        timer = self.worker.call_later(delay, lambda: self.queue.add(f"due/{key}"))
        self._pending[key] = _PendingEviction(meta.uid_of(pod), now, due, timer)
        self._record_eviction(pod, taints, delay, due)

    def _cancel(self, key: str, pod: PodDict | None, reason: str) -> None:
        """Cancel the timer of a pod, if one runs."""
        pending = self._pending.pop(key, None)
        if pending is None:
            return
        pending.timer.cancel()
        self.counts["cancelled"] += 1
        namespace, name = meta.split_key(key)
        subject = pod or {
            "kind": "Pod",
            "apiVersion": "v1",
            "metadata": {"name": name, "namespace": namespace, "uid": pending.uid},
        }
        message = f"Cancelling deletion of Pod {key}"
        self.recorder.event(subject, "Normal", "TaintManagerEviction", message)
        verdict = f"cancel the eviction that was due at t={pending.due:g}: {reason}"
        figures = {"started_s": pending.started, "due_s": pending.due}
        self.decide(
            subject,
            verdict,
            steps=(RuleStep("tolerations", figures, reason, SOURCE),),
            binding=reason,
            would_change_if="a NoExecute taint it does not tolerate came back",
        )

    # -- evicting -------------------------------------------------------------------------------

    def _evict(self, key: str) -> None:
        """Delete a pod whose timer expired, with its own grace period."""
        pending = self._pending.pop(key, None)
        if pending is None and key not in self._evicted:
            return  # cancelled in the meantime
        namespace, name = meta.split_key(key)
        pod = self.api.peek(POD, name, namespace)
        if pod is None or (pending is not None and pending.uid != meta.uid_of(pod)):
            return
        if self._evicted.get(key) != meta.uid_of(pod):
            self._evicted[key] = meta.uid_of(pod)
            message = f"Marking for deletion Pod {key}"
            self.recorder.event(pod, "Normal", "TaintManagerEviction", message)
        try:
            retry_on_conflict(lambda: self._set_disruption_target(pod))
            self.api.delete("Pod", name, namespace, uid=meta.uid_of(pod))
        except NotFound:
            return
        self.counts["evicted"] += 1

    def _set_disruption_target(self, pod: PodDict) -> None:
        current = self.api.get(POD, meta.name_of(pod), meta.namespace_of(pod))
        existing = get_condition(current, "DisruptionTarget")
        if meta.uid_of(current) != meta.uid_of(pod) or (
            existing is not None and existing.get("reason") == "DeletionByTaintManager"
        ):
            return
        status = current.get("status") or {}
        conditions = set_condition(
            status.get("conditions") or (),
            "DisruptionTarget",
            "True",
            "DeletionByTaintManager",
            "Taint manager: deleting due to NoExecute taint",
            self.clock.timestamp(),
            generation=current["metadata"].get("generation"),
        )
        self.api.update_status({**current, "status": {**status, "conditions": conditions}})

    def _silent_since(self, node: str) -> float | None:
        """Return when the kubelet of a node was last heard of; None while it reports."""
        document = self.api.peek(NODE, node)
        ready = None if document is None else get_condition(document, "Ready")
        if ready is None or ready.get("status") != "Unknown":
            return None
        lease = self.api.peek(LEASE, node, LEASE_NAMESPACE)
        renewed = None if lease is None else lease["spec"].get("renewTime")
        return self.clock.seconds_at(renewed) if renewed else None

    # -- decision records -----------------------------------------------------------------------

    def _record_eviction(
        self, pod: PodDict, taints: list[TaintDict], delay: float, due: float
    ) -> None:
        node = node_of(pod)
        names = ", ".join(f"{taint['key']}:{NO_EXECUTE}" for taint in taints)
        figures = {"node": node, "toleration_s": delay, "now_s": self.clock.now(), "due_s": due}
        silent = self._silent_since(node)
        steps = [RuleStep("tolerations", figures, f"{node} has {names}", SOURCE)]
        if silent is not None:
            note = f"the kubelet of {node} has been silent since t={silent:g}"
            steps.insert(0, RuleStep("node", {"silent_since_s": silent}, note, SOURCE))
        if delay == 0:
            verdict = f"evict now: {node} has {names}, which it does not tolerate"
            change = "it had a toleration for that taint"
        else:
            verdict = f"evict at t={due:g}, {delay:g} s after {node} got {names}"
            change = f"the taint is removed before t={due:g}, or the pod is deleted"
        if silent is not None:
            verdict += f"; its kubelet has been silent since t={silent:g}"
            change = (
                f"{node} comes back before t={due:g}" if delay else f"{change}, or {node} came back"
            )
        self.decide(
            pod,
            verdict,
            steps=steps,
            binding=names,
            would_change_if=change,
        )


def _node_name(pod: PodDict) -> Iterable[str]:
    return [node_of(pod)]
