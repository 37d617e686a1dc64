"""The status that a kubelet writes for a pod, and how it is written.

Status is written only over the state that was read (resourceVersion, uid), so a pod that was
deleted meanwhile never comes back to life.

Source: pkg/kubelet/kubelet_pods.go (generateAPIPodStatus), pkg/kubelet/status/status_manager.go
(mergePodStatus).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kubesim.apiserver import KubeAPI
from kubesim.errors import Conflict, NotFound
from kubesim.kubelet.pod.containers import ContainerLife, Timestamp
from kubesim.kubelet.pod.phase import MAIN, RUNNING, conditions, phase
from kubesim.objects import meta
from kubesim.objects.conditions import set_condition
from kubesim.objects.frozen import Document
from kubesim.objects.pods import FINISHED


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a kubelet ended a pod: evicted, or out of time.

    Attributes:
        reason, message: of the pod's status.
        disruption: set the condition DisruptionTarget, too.
    """

    reason: str
    message: str
    disruption: bool = False


def pod_status(
    pod: Document,
    lives: Sequence[ContainerLife],
    *,
    ip: str,
    host_ip: str,
    now: str,
    timestamp: Timestamp,
    ended: bool = False,
    verdict: Verdict | None = None,
    sandbox: bool = True,
) -> Document:
    """The pod's status: phase, conditions, one entry for each container.

    Args:
        pod: as it stands; what others wrote into its status stays.
        lives: its containers.
        ip, host_ip: its address, and its node's.
        now: RFC 3339 text.
        timestamp: makes such texts of seconds.
        ended: it was deleted, and nothing is started again.
        verdict: the kubelet ended it: phase Failed.
        sandbox: its volumes and its network are ready for containers.
    """
    old, spec = pod.get("status") or {}, pod["spec"]
    facts = [life.facts() for life in lives]
    policy = str(spec.get("restartPolicy", "Always"))
    pod_phase = "Failed" if verdict is not None else phase(facts, policy, ended=ended)
    gates = [str(gate.get("conditionType")) for gate in spec.get("readinessGates") or ()]
    before = old.get("conditions") or ()
    found = conditions(before, facts, pod_phase, now, gates, sandbox=sandbox)
    if pod_phase in FINISHED and any(life.state == RUNNING for life in lives):
        pod_phase = str(old.get("phase") or "Pending")  # a final phase waits for the last container
    status: Document = {
        **old,
        "phase": pod_phase,
        "conditions": found,
        "hostIP": host_ip,
        "hostIPs": [{"ip": host_ip}],
        "podIP": ip,
        "podIPs": [{"ip": ip}],
        "startTime": old.get("startTime") or now,
        "containerStatuses": [life.status(timestamp) for life in lives if life.kind == MAIN],
    }
    inits = [life.status(timestamp) for life in lives if life.kind != MAIN]
    if inits:
        status["initContainerStatuses"] = inits
    if verdict is not None:
        status["reason"], status["message"] = verdict.reason, verdict.message
        if verdict.disruption:
            status["conditions"] = set_condition(
                found, "DisruptionTarget", "True", "TerminationByKubelet", verdict.message, now=now
            )
    return status


def write_status(
    api: KubeAPI, namespace: str, name: str, uid: str, make: Callable[[Document], Document]
) -> bool:
    """Write the status over the newest state of this very pod; False if it is gone.

    Args:
        api: the API server.
        namespace, name, uid: which pod.
        make: makes the status of the pod as it stands.
    """
    while True:
        pod = api.peek("Pod", name, namespace)
        if pod is None or meta.uid_of(pod) != uid:
            return False
        try:
            api.update_status({**pod, "status": make(pod)})
            return True
        except Conflict:
            continue  # somebody wrote in between: take his state and write over that
        except NotFound:
            return False


def delete_for_good(api: KubeAPI, namespace: str, name: str, uid: str) -> None:
    """Remove the object of a pod that has stopped, unless it is gone or another pod by now."""
    while True:
        known = api.peek("Pod", name, namespace)
        if known is None or meta.uid_of(known) != uid:
            return
        try:
            api.delete("Pod", name, namespace, grace_period_seconds=0, uid=uid)
            return
        except NotFound:
            return
        except Conflict:
            continue  # it changed between the look and the deletion
