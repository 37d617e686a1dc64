"""The pod garbage collector: removes pods that no kubelet will remove.

Every 20 s it collects four groups of pods: finished pods beyond a threshold, orphaned pods (their
node does not exist), terminating pods that were never bound, and terminating pods on a node with
the taint out-of-service.

Ours keeps the order (evicted pods first, then the oldest), the quarantine of 40 s for orphaned
pods, the phase Failed, and the condition DisruptionTarget. It leaves out metrics.

Source: pkg/controller/podgc/gc_controller.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from kubesim.apiserver import ResourceEvent
from kubesim.client import Controller, RuleStep, Tools, retry_on_conflict
from kubesim.errors import NotFound
from kubesim.objects import meta
from kubesim.objects.attachments import OUT_OF_SERVICE
from kubesim.objects.kindnames import NODE, POD, D
from kubesim.objects.meta import is_condition_true, set_condition
from kubesim.objects.pods import is_finished, node_of
from kubesim.quantity import count_of

if TYPE_CHECKING:
    from kubesim.objects.types import NodeDict, PodDict, PodStatusDict

PERIOD_SECONDS = 20.0  # gcCheckPeriod
TERMINATED_THRESHOLD = 12_500  # --terminated-pod-gc-threshold; 0 or less: never
QUARANTINE_SECONDS = 40.0  # a node may be recreated under its name
COLLECT = "collect"  # the only key
SOURCE = "https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-garbage-collection"


# -- decisions -------------------------------------------------------------------------------------


def beyond_threshold(pods: Sequence[PodDict], threshold: int) -> list[PodDict]:
    """Return the finished pods to delete: evicted ones first, then the oldest, ties by name.

    Args:
        pods: pods of all phases.
        threshold: number of finished pods to keep; 0 or less: keep all.
    """
    if threshold <= 0 or len(pods) <= threshold:
        return []
    finished = [pod for pod in pods if is_finished(pod)]
    finished.sort(key=_age_rank)
    return finished[: max(0, len(finished) - threshold)]


def _age_rank(pod: PodDict) -> tuple[bool, str, str]:
    status = pod.get("status") or {}
    evicted = status.get("phase") == "Failed" and status.get("reason") == "Evicted"
    return not evicted, pod["metadata"].get("creationTimestamp") or "", meta.name_of(pod)


def is_out_of_service(node: NodeDict) -> bool:
    """Return whether a node is not Ready and has the taint out-of-service."""
    taints = (node.get("spec") or {}).get("taints") or ()
    tainted = any(taint.get("key") == OUT_OF_SERVICE for taint in taints)
    return tainted and not is_condition_true(node, "Ready")


# -- the controller --------------------------------------------------------------------------------


class PodGarbageCollector(Controller):
    """Collects pods every 20 s.

    Args:
        terminated_threshold: number of finished pods to keep.
        quarantine_seconds: seconds that a node must be missing before its pods are deleted.
        options: of the base class.
    """

    name = "pod-garbage-collector"

    def __init__(
        self,
        tools: Tools,
        *,
        terminated_threshold: int = TERMINATED_THRESHOLD,
        quarantine_seconds: float = QUARANTINE_SECONDS,
        **options: float,
    ) -> None:
        super().__init__(tools, **options)
        self._threshold = terminated_threshold
        self._quarantine = quarantine_seconds
        self._pods = self.informer(
            POD, _no_keys, indexers={"node": _node_indexer, "terminating": _terminating_indexer}
        )
        self._nodes = self.informer(NODE, _no_keys)
        self._missing_since: dict[str, float] = {}  # by name of a node that pods refer to

    def start(self) -> None:
        """Start the informers and the periodic collection."""
        super().start()
        self.worker.every(PERIOD_SECONDS, lambda: self.queue.add(COLLECT))

    def reconcile(self, key: str) -> None:
        """Collect pods once."""
        finished = len(self._pods) > self._threshold
        for pod in beyond_threshold(self._pods.list() if finished else (), self._threshold):
            reason = f"more than {count_of(self._threshold, 'pod has', 'pods have')} finished"
            self._collect(pod, reason, "finished pods", "the threshold were higher")
        self._collect_orphans()
        for pod in self._pods.by_index("terminating", "True"):
            node = self._nodes.get(node_of(pod))
            if not node_of(pod):
                self._collect(pod, "deleted before it had a node", "unscheduled", "it were bound")
            elif node is not None and is_out_of_service(node):
                reason = f"its node {node_of(pod)} is out of service"
                self._collect(
                    pod, reason, "out of service", f"the taint {OUT_OF_SERVICE} is removed"
                )

    def _collect_orphans(self) -> None:
        """Collect the pods of nodes that have been missing for the whole quarantine."""
        now = self.clock.now()
        named = self._pods.index_values("node")
        missing = {node for node in named if node and self._nodes.get(node) is None}
        self._missing_since = {node: self._missing_since.get(node, now) for node in sorted(missing)}
        for node, since in self._missing_since.items():
            if now - since < self._quarantine or self.api.peek(NODE, node) is not None:
                continue
            for pod in self._pods.by_index("node", node):
                reason = f"its node {node} has been gone for {now - since:g} s"
                change = f"a node {node} had come back within {self._quarantine:g} s"
                self._collect(pod, reason, "orphaned", change, gone_node=True)

    def _collect(
        self, pod: PodDict, reason: str, rule: str, change: str, *, gone_node: bool = False
    ) -> None:
        """Set a pod to Failed, and delete it by force.

        Args:
            pod: the document.
            reason, rule, change: verdict, rule and way out of the decision record.
            gone_node: set the condition DisruptionTarget, since the node does not exist.
        """
        name, namespace, uid = meta.name_of(pod), meta.namespace_of(pod), meta.uid_of(pod)
        try:
            if not is_finished(pod):
                retry_on_conflict(lambda: self._set_failed(pod, gone_node))
            self.api.delete("Pod", name, namespace, grace_period_seconds=0, uid=uid)
        except NotFound:
            return
        self.counts["collected"] += 1
        inputs = {"node": node_of(pod), "quarantine_seconds": self._quarantine}
        self.decide(
            pod,
            f"remove {name} by force: {reason}",
            steps=(RuleStep(rule, inputs, reason, SOURCE),),
            binding=rule,
            would_change_if=change,
        )

    def _set_failed(self, pod: PodDict, gone_node: bool) -> None:
        current = self.api.get(POD, meta.name_of(pod), meta.namespace_of(pod))
        if meta.uid_of(current) != meta.uid_of(pod) or is_finished(current):
            return
        status: PodStatusDict = {**(current.get("status") or {}), "phase": "Failed"}
        if gone_node:
            status["conditions"] = set_condition(
                status.get("conditions") or (),
                "DisruptionTarget",
                "True",
                "DeletionByPodGC",
                "PodGC: node no longer exists",
                self.clock.timestamp(),
                generation=current["metadata"].get("generation"),
            )
        self.api.update_status({**current, "status": status})


def _node_indexer(pod: PodDict) -> Iterable[str]:
    return (node_of(pod),)


def _terminating_indexer(pod: PodDict) -> Iterable[str]:
    return ("True",) if meta.is_terminating(pod) else ()


def _no_keys(_event: ResourceEvent[D]) -> Iterable[str]:
    """Return no keys: the collector is driven by the clock, events only update its caches."""
    return ()
