"""The pod collector: removes pods that no kubelet will ever remove.

Every 20 s it looks for four sorts of pods: finished ones beyond a number, those bound to a node
that is gone, those that are deleted and were never bound, and those that are deleted on a node that
somebody has declared out of service.

Ours keeps: the order (evicted pods first, then the oldest), the quarantine of 40 s before a node
counts as gone, the last phase Failed, the condition DisruptionTarget. It leaves out: metrics.

Source: pkg/controller/podgc/gc_controller.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kubesim.apiserver import ResourceEvent
from kubesim.client import Controller, Decision, RuleStep, Tools, retry_on_conflict
from kubesim.errors import NotFound
from kubesim.objects import meta
from kubesim.objects.conditions import is_condition_true, set_condition
from kubesim.objects.frozen import Document
from kubesim.objects.pods import is_finished, node_of

PERIOD_SECONDS = 20.0  # gcCheckPeriod
TERMINATED_THRESHOLD = 12_500  # --terminated-pod-gc-threshold; 0 or less: never
QUARANTINE_SECONDS = 40.0  # a node may come back under its name
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
LOOK = "look"
SOURCE = "https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-garbage-collection"


# -- what is decided -------------------------------------------------------------------------------


def beyond_threshold(pods: Sequence[Document], threshold: int) -> list[Document]:
    """Which of the finished pods go: evicted ones first, then the oldest, ties by name.

    Args:
        pods: of all phases.
        threshold: how many finished pods may stay; 0 or less: all.
    """
    if threshold <= 0 or len(pods) <= threshold:
        return []
    finished = [pod for pod in pods if is_finished(pod)]
    finished.sort(key=_age_rank)
    return finished[: max(0, len(finished) - threshold)]


def _age_rank(pod: Document) -> tuple[bool, str, str]:
    status = pod.get("status") or {}
    evicted = status.get("phase") == "Failed" and status.get("reason") == "Evicted"
    return not evicted, pod["metadata"].get("creationTimestamp") or "", meta.name_of(pod)


def is_out_of_service(node: Document) -> bool:
    """Not Ready, and somebody says that it is shut down for good: its pods may be forced off."""
    taints = (node.get("spec") or {}).get("taints") or ()
    declared = any(taint.get("key") == OUT_OF_SERVICE for taint in taints)
    return declared and not is_condition_true(node, "Ready")


# -- the controller --------------------------------------------------------------------------------


class PodGarbageCollector(Controller):
    """Looks every 20 s. Its only key is ``look``.

    Args:
        terminated_threshold: finished pods that may stay.
        quarantine_seconds: how long a node has to be missed before its pods go.
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
            "Pod", _nothing, indexers={"node": _node_indexer, "terminating": _terminating_indexer}
        )
        self._nodes = self.informer("Node", _nothing)
        self._missed: dict[str, float] = {}  # node -> since when it is missed

    def start(self) -> None:
        """Begin to watch, and to look."""
        super().start()
        self.worker.every(PERIOD_SECONDS, lambda: self.queue.add(LOOK))

    def reconcile(self, key: str) -> None:
        """One look at all pods."""
        finished = len(self._pods) > self._threshold
        for pod in beyond_threshold(self._pods.list() if finished else (), self._threshold):
            many = f"more than {self._threshold} pods have finished"
            self._collect(pod, many, "finished pods", "the threshold were higher")
        self._orphans()
        for pod in self._pods.by_index("terminating", "True"):
            node = self._nodes.get(node_of(pod))
            if not node_of(pod):
                self._collect(pod, "deleted before it had a node", "unscheduled", "it were bound")
            elif node is not None and is_out_of_service(node):
                why = f"its node {node_of(pod)} is out of service"
                self._collect(pod, why, "out of service", f"the taint {OUT_OF_SERVICE} were gone")

    def _orphans(self) -> None:
        """Pods of nodes that are missed for the whole quarantine, and are truly gone."""
        now = self.clock.now()
        named = self._pods.index_values("node")
        missing = {node for node in named if node and self._nodes.get(node) is None}
        missed = {node: self._missed.get(node, now) for node in sorted(missing)}
        self._missed = missed
        for node, since in missed.items():
            if now - since < self._quarantine or self.api.peek("Node", node) is not None:
                continue
            for pod in self._pods.by_index("node", node):
                why = f"its node {node} is gone for {now - since:g} s"
                would = f"a node {node} had come back within {self._quarantine:g} s"
                self._collect(pod, why, "orphaned", would, gone_node=True)

    def _collect(
        self, pod: Document, why: str, rule: str, would: str, *, gone_node: bool = False
    ) -> None:
        """Give a pod its last state, and remove it without asking any kubelet."""
        name, namespace, uid = meta.name_of(pod), meta.namespace_of(pod), meta.uid_of(pod)
        try:
            if not is_finished(pod):
                retry_on_conflict(lambda: self._fail(pod, gone_node))
            self.api.delete("Pod", name, namespace, grace_period_seconds=0, uid=uid)
        except NotFound:
            return
        self.counts["collected"] += 1
        inputs = {"node": node_of(pod), "quarantine_seconds": self._quarantine}
        self.decisions.record(
            Decision(
                time=self.clock.now(),
                revision=meta.resource_version_of(pod),
                component=self.name,
                object=meta.reference("pod", meta.key_of(pod)),
                verdict=f"remove {name} by force: {why}",
                steps=(RuleStep(rule, inputs, why, SOURCE),),
                binding=rule,
                would_change_if=would,
            )
        )

    def _fail(self, pod: Document, gone_node: bool) -> None:
        current = self.api.get("Pod", meta.name_of(pod), meta.namespace_of(pod))
        if meta.uid_of(current) != meta.uid_of(pod) or is_finished(current):
            return
        status = {**(current.get("status") or {}), "phase": "Failed"}
        if gone_node:
            status["conditions"] = set_condition(
                status.get("conditions") or (),
                "DisruptionTarget",
                "True",
                "DeletionByPodGC",
                "PodGC: node no longer exists",
                self.clock.timestamp(),
            )
        self.api.update_status({**current, "status": status})


def _node_indexer(pod: Document) -> Iterable[str]:
    return (node_of(pod),)


def _terminating_indexer(pod: Document) -> Iterable[str]:
    return ("True",) if meta.is_terminating(pod) else ()


def _nothing(_event: ResourceEvent) -> Iterable[str]:
    """The collector looks by the clock; news only keep its view fresh."""
    return ()
