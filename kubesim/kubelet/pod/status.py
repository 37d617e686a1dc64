"""The status that a kubelet writes for a pod, and how it is written.

Status is written only over the state that was read (resourceVersion, uid), so a pod that was
deleted in the meantime never comes back to life.

Source: pkg/kubelet/kubelet_pods.go (generateAPIPodStatus), pkg/kubelet/status/status_manager.go
(mergePodStatus).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubesim.apiserver import KubeAPI
from kubesim.errors import Conflict, NotFound
from kubesim.kubelet.pod.containers import ContainerState, Timestamp
from kubesim.kubelet.pod.context import PodContext
from kubesim.kubelet.pod.phase import MAIN, RUNNING, conditions, phase
from kubesim.objects import meta
from kubesim.objects.kindnames import POD
from kubesim.objects.meta import set_condition
from kubesim.objects.pods import FINISHED

if TYPE_CHECKING:
    from kubesim.objects.types import PodConditionDict, PodDict, PodStatusDict

KUBELETS_OWN = frozenset(
    (
        "PodReadyToStartContainers",
        "Initialized",
        "Ready",
        "ContainersReady",
        "PodScheduled",
        "DisruptionTarget",
    )
)


@dataclass(frozen=True, slots=True)
class PodFailure:
    """Why a kubelet ends a pod: it was evicted, or its deadline has passed.

    Attributes:
        reason, message: of the pod's status.
        disruption: whether to set the condition DisruptionTarget, too.
    """

    reason: str
    message: str
    disruption: bool = False


class PodStatusManager:
    """Writes the status of one pod.

    Args:
        context: the pod.
    """

    __slots__ = ("_context", "_sandbox_ready")

    def __init__(self, context: PodContext) -> None:
        self._context = context
        self._sandbox_ready = False

    def sandbox_is_ready(self) -> None:
        """Note that the pod's volumes and network are set up."""
        self._sandbox_ready = True

    def write(self) -> bool:
        """Write the status over the newest state of this very pod; return False if it is gone."""
        return self._write(ended=False, failure=None)

    def write_final(self, *, ended: bool, failure: PodFailure | None = None) -> bool:
        """Write the status of a pod whose containers have all stopped.

        Args:
            ended: it was deleted or failed by its kubelet: no container is started again.
            failure: why the kubelet ended it; None: it did not.
        """
        self._sandbox_ready = False
        return self._write(ended=ended, failure=failure)

    def _write(self, *, ended: bool, failure: PodFailure | None) -> bool:
        pod = self._context

        def render(newest: PodDict) -> PodStatusDict:
            return pod_status(
                newest,
                pod.containers,
                ip=pod.ip,
                host_ip=pod.host_ip,
                now=pod.timestamp(),
                timestamp=pod.timestamp,
                ended=ended,
                failure=failure,
                sandbox=self._sandbox_ready,
                generation=pod.pod["metadata"].get("generation") or 0,
            )

        return write_status(pod.api, pod.namespace, pod.name, pod.uid, render)


def pod_status(
    pod: PodDict,
    containers: Sequence[ContainerState],
    *,
    ip: str,
    host_ip: str,
    now: str,
    timestamp: Timestamp,
    ended: bool = False,
    failure: PodFailure | None = None,
    sandbox: bool = True,
    generation: int = 0,
) -> PodStatusDict:
    """Return the pod's status: phase, conditions, one entry for each container.

    Args:
        pod: the newest state; status fields of other writers are kept.
        containers: its containers.
        ip, host_ip: its address, and its node's.
        now: RFC 3339 string.
        timestamp: renders seconds.
        ended: it was deleted, and no container is started again.
        failure: the kubelet ended it: phase Failed.
        sandbox: whether its volumes and its network are ready for containers.
        generation: of the spec that the kubelet follows; 0: it is not stated.
    """
    old, spec = pod.get("status") or {}, pod["spec"]
    facts = [container.facts() for container in containers]
    policy = str(spec.get("restartPolicy", "Always"))
    pod_phase = "Failed" if failure is not None else phase(facts, policy, ended=ended)
    gates = [str(gate.get("conditionType")) for gate in spec.get("readinessGates") or ()]
    before = old.get("conditions") or ()
    new_conditions = conditions(before, facts, pod_phase, now, gates, sandbox=sandbox)
    if pod_phase in FINISHED and any(c.state == RUNNING for c in containers):
        pod_phase = str(old.get("phase") or "Pending")  # a final phase waits for the last container
    status: PodStatusDict = {
        **old,
        "phase": pod_phase,
        "conditions": new_conditions,
        "hostIP": host_ip,
        "hostIPs": [{"ip": host_ip}],
        "podIP": ip,
        "podIPs": [{"ip": ip}],
        "startTime": old.get("startTime") or now,
        "containerStatuses": [c.status(timestamp) for c in containers if c.kind == MAIN],
    }
    if generation:
        status["observedGeneration"] = generation
    inits = [c.status(timestamp) for c in containers if c.kind != MAIN]
    if inits:
        status["initContainerStatuses"] = inits
    if failure is not None:
        status["reason"], status["message"] = failure.reason, failure.message
        if failure.disruption:
            status["conditions"] = set_condition(
                new_conditions,
                "DisruptionTarget",
                "True",
                "TerminationByKubelet",
                failure.message,
                now=now,
            )
    if generation:
        own = status["conditions"]
        status["conditions"] = [_observed(condition, generation) for condition in own]
    return status


def _observed(condition: PodConditionDict, generation: int) -> PodConditionDict:
    """Return a condition that states the generation, if it is one of the kubelet's.

    Source: pkg/api/v1/pod/util.go (CalculatePodConditionObservedGeneration); the gate
    PodObservedGenerationTracking is on by default since 1.34.
    """
    if condition.get("observedGeneration") == generation or condition["type"] not in KUBELETS_OWN:
        return condition
    return {**condition, "observedGeneration": generation}


def write_status(
    api: KubeAPI, namespace: str, name: str, uid: str, render: Callable[[PodDict], PodStatusDict]
) -> bool:
    """Write the status over the newest state of this very pod; return False if it is gone.

    Args:
        api: the API server.
        namespace, name, uid: of the pod.
        render: returns the status for the newest state of the pod.
    """
    while True:
        pod = api.peek(POD, name, namespace)
        if pod is None or meta.uid_of(pod) != uid:
            return False
        try:
            api.update_status({**pod, "status": render(pod)})
            return True
        except Conflict:
            continue  # another client wrote in between: read its state and write over that
        except NotFound:
            return False


def delete_pod_object(api: KubeAPI, namespace: str, name: str, uid: str) -> None:
    """Delete the object of a pod that has stopped, unless it is gone or another pod by now.

    Args:
        api: the API server.
        namespace, name, uid: of the pod.
    """
    while True:
        existing = api.peek(POD, name, namespace)
        if existing is None or meta.uid_of(existing) != uid:
            return
        try:
            api.delete("Pod", name, namespace, grace_period_seconds=0, uid=uid)
            return
        except NotFound:
            return
        except Conflict:
            continue  # it changed between the read and the deletion
