"""The taint eviction controller: deletes pods that do not tolerate a NoExecute taint of their node.

The node controller sets taints; a learner may, too. For each pod on a tainted node this controller
works out how long it may stay. The clock starts when the taint was first seen on the pod's node;
later changes neither lengthen nor shorten it; a taint that goes in time cancels the deletion.

Ours keeps: the rule of tolerations, timers, cancelling, events, the condition DisruptionTarget. On
a dead node the pods then stay Terminating, since the kubelet that should stop them is not there. It
leaves out: nothing that a client could see, but that pods which are being deleted already are not
told once more.

Source: pkg/controller/tainteviction/taint_eviction.go, timed_workers.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kubesim.apiserver import ResourceEvent
from kubesim.client import Controller, Decision, RuleStep, Tools, retry_on_conflict
from kubesim.clock.base import Timer
from kubesim.errors import NotFound
from kubesim.objects import meta
from kubesim.objects.conditions import get_condition, set_condition
from kubesim.objects.frozen import Document
from kubesim.objects.pods import node_of
from kubesim.objects.taints import eviction_delay, taints_of
from kubesim.objects.wellknown import NO_EXECUTE

SOURCE = (
    "https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/"
    "#taint-based-evictions"
)


# -- what is decided -------------------------------------------------------------------------------


def keeps_clock(started: float | None, due: float, delay: float, now: float) -> bool:
    """Whether the clock of a pod goes on as it is.

    One that was started before is neither lengthened nor shortened. At the very second of its start
    it may be exchanged: several changes can come at once.

    Args:
        started: second at which the clock started; None: none runs.
        due: second at which the pod goes by that clock.
        delay: seconds that it may stay by its tolerations and the taints as they are now.
        now: simulated second.

    >>> keeps_clock(160.0, 460.0, 10.0, now=161.0), keeps_clock(160.0, 460.0, 10.0, now=160.0)
    (True, False)
    """
    return started is not None and (started < now or due == now + delay)


@dataclass
class _Pending:
    """A pod that is going to be evicted."""

    uid: str
    started: float
    due: float
    timer: Timer


# -- the controller --------------------------------------------------------------------------------


class TaintEvictionController(Controller):
    """Starts, stops and obeys one clock for each pod on a tainted node.

    Keys: ``node/NAME`` when its taints changed, ``pod/NS/NAME`` when a pod came or changed,
    ``due/NS/NAME`` when a pod's time is up.
    """

    name = "taint-eviction-controller"

    def __init__(self, tools: Tools, **options: float) -> None:
        super().__init__(tools, **options)
        self._nodes = self.informer("Node", self._node_changed)
        self._pods = self.informer("Pod", self._pod_changed, indexers={"node": _node_name})
        self._tainted: dict[str, list[Document]] = {}  # node -> its NoExecute taints
        self._pending: dict[str, _Pending] = {}  # pod -> when it goes
        self._asked: dict[str, str] = {}  # pod -> uid: its deletion was asked for

    # -- what wakes it --------------------------------------------------------------------------

    def _node_changed(self, event: ResourceEvent) -> Iterable[str]:
        name = meta.name_of(event.object)
        taints = [] if event.type == "DELETED" else taints_of(event.object, NO_EXECUTE)
        if taints != self._tainted.get(name, []):
            yield f"node/{name}"

    def _pod_changed(self, event: ResourceEvent) -> Iterable[str]:
        pod, before, key = event.object, event.previous, meta.key_of(event.object)
        if event.type == "DELETED":
            if key in self._pending or key in self._asked:
                yield f"pod/{key}"
        elif node_of(pod) in self._tainted and (
            before is None
            or node_of(before) != node_of(pod)
            or before["spec"].get("tolerations") != pod["spec"].get("tolerations")
        ):
            yield f"pod/{key}"

    def reconcile(self, key: str) -> None:
        """Work out, cancel or do what the key is about."""
        what, _, place = key.partition("/")
        if what == "node":
            self._judge_node(place)
        elif what == "due":
            self._evict(place)
        else:
            self._judge_pod(place)

    # -- judging --------------------------------------------------------------------------------

    def _judge_node(self, name: str) -> None:
        node = self._nodes.get(name)
        if node is None:  # clocks that run go on: its pods have nowhere to come back to
            self._tainted.pop(name, None)
            return
        taints = taints_of(node, NO_EXECUTE)
        if taints:
            self._tainted[name] = taints
        else:
            self._tainted.pop(name, None)
        for pod in self._pods.by_index("node", name):
            self._judge_pod(meta.key_of(pod))

    def _judge_pod(self, key: str) -> None:
        """Start, keep or cancel the clock of a pod."""
        pod = self._pods.get(key)
        pending = self._pending.get(key)
        if pod is None or (pending is not None and pending.uid != meta.uid_of(pod)):
            self._cancel(key, pod, "it is gone already")
            self._asked.pop(key, None)
            pending = None
        if pod is None:
            return
        taints = self._tainted.get(node_of(pod), [])
        delay = eviction_delay(taints, pod["spec"].get("tolerations") or ()) if taints else None
        if delay is None:
            why = "it tolerates every taint for ever" if taints else "the taint is gone"
            self._cancel(key, pod, why)
            self._asked.pop(key, None)
        elif self._asked.get(key) == meta.uid_of(pod) or meta.is_terminating(pod):
            return
        else:
            if delay == 0:
                self._cancel(key, pod, "it goes at once instead")
            self._start_clock(key, pod, taints, delay)

    def _start_clock(self, key: str, pod: Document, taints: list[Document], delay: float) -> None:
        now, pending = self.clock.now(), self._pending.get(key)
        if pending is not None:
            if keeps_clock(pending.started, pending.due, delay, now):
                return
            pending.timer.cancel()
        due = now + delay
        timer = self.worker.call_later(delay, lambda: self.queue.add(f"due/{key}"))
        self._pending[key] = _Pending(meta.uid_of(pod), now, due, timer)
        self._decide(pod, taints, delay, due)

    def _cancel(self, key: str, pod: Document | None, why: str) -> None:
        """Stop the clock of a pod, if one runs."""
        pending = self._pending.pop(key, None)
        if pending is None:
            return
        pending.timer.cancel()
        self.counts["cancelled"] += 1
        namespace, name = meta.split_key(key)
        about = pod or {
            "kind": "Pod",
            "apiVersion": "v1",
            "metadata": {"name": name, "namespace": namespace, "uid": pending.uid},
        }
        said = f"Cancelling deletion of Pod {key}"
        self.recorder.event(about, "Normal", "TaintManagerEviction", said)
        verdict = f"cancel the eviction that was due at t={pending.due:g}: {why}"
        figures = {"started_s": pending.started, "due_s": pending.due}
        step = RuleStep("tolerations", figures, why, SOURCE)
        self._record(about, verdict, step, why, "a NoExecute taint it does not tolerate came back")

    # -- evicting -------------------------------------------------------------------------------

    def _evict(self, key: str) -> None:
        """Delete a pod whose time is up; its own grace period still counts."""
        pending = self._pending.pop(key, None)
        if pending is None and key not in self._asked:
            return  # cancelled at the last moment
        namespace, name = meta.split_key(key)
        pod = self.api.peek("Pod", name, namespace)
        if pod is None or (pending is not None and pending.uid != meta.uid_of(pod)):
            return
        if self._asked.get(key) != meta.uid_of(pod):
            self._asked[key] = meta.uid_of(pod)
            said = f"Marking for deletion Pod {key}"
            self.recorder.event(pod, "Normal", "TaintManagerEviction", said)
        try:
            retry_on_conflict(lambda: self._mark_disrupted(pod))
            self.api.delete("Pod", name, namespace, uid=meta.uid_of(pod))
        except NotFound:
            return
        self.counts["evicted"] += 1

    def _mark_disrupted(self, pod: Document) -> None:
        current = self.api.get("Pod", meta.name_of(pod), meta.namespace_of(pod))
        known = get_condition(current, "DisruptionTarget")
        if meta.uid_of(current) != meta.uid_of(pod) or (
            known is not None and known.get("reason") == "DeletionByTaintManager"
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
        )
        self.api.update_status({**current, "status": {**status, "conditions": conditions}})

    # -- telling --------------------------------------------------------------------------------

    def _decide(self, pod: Document, taints: list[Document], delay: float, due: float) -> None:
        node = node_of(pod)
        names = ", ".join(f"{taint['key']}:{NO_EXECUTE}" for taint in taints)
        figures = {"node": node, "toleration_s": delay, "now_s": self.clock.now(), "due_s": due}
        if delay == 0:
            verdict = f"evict now: {node} has {names}, which it does not tolerate"
            would = "it had a toleration for that taint"
        else:
            verdict = f"evict at t={due:g}, {delay:g} s after {node} got {names}"
            would = f"the taint goes before t={due:g} (the node is Ready again), or the pod is gone"
        self._record(pod, verdict, RuleStep("tolerations", figures, verdict, SOURCE), names, would)

    def _record(
        self, pod: Document, verdict: str, step: RuleStep, binding: str, would_change_if: str
    ) -> None:
        self.decisions.record(
            Decision(
                time=self.clock.now(),
                revision=meta.resource_version_of(pod),
                component=self.name,
                object=meta.reference("pod", meta.key_of(pod)),
                verdict=verdict,
                steps=(step,),
                binding=binding,
                would_change_if=would_change_if,
            )
        )


def _node_name(pod: Document) -> Iterable[str]:
    return [node_of(pod)]
