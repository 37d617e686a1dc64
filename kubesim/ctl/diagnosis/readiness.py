"""Pods that run on a node and are not ready: an init container, a probe, or a readiness gate.

What the kubelet has decided is in its records: containers that wait with a reason of their own
(CrashLoopBackOff, a missing ConfigMap), and probes that failed. These have no such moment.

Source: pkg/kubelet/status/generate.go (GeneratePodReadyCondition), pkg/kubelet/kuberuntime
(computeInitContainerActions), pkg/kubelet/prober/worker.go (doProbe: InitialDelaySeconds).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubesim.client import Decision, RuleStep
from kubesim.ctl.diagnosis.facts import Diagnosis, Facts, seconds_text
from kubesim.objects import meta
from kubesim.objects.meta import get_condition
from kubesim.objects.pods import is_finished, is_ready, node_of

if TYPE_CHECKING:
    from kubesim.objects.types import ContainerDict, ContainerStatusDict, PodDict, ProbeDict

INIT = "https://kubernetes.io/docs/concepts/workloads/pods/init-containers/"
PROBES = "https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#container-probes"
GATES = "https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-readiness-gate"


def unready_pod(facts: Facts, pod: PodDict, *, record: Decision | None) -> Diagnosis | None:
    """Return what a pod on a node waits for before it is ready; None: nothing, or a record says.

    Args:
        facts: what there is.
        pod: not terminating.
        record: the kubelet's, if the newest decision is: it may say which probe fails.
    """
    if not node_of(pod) or is_finished(pod) or is_ready(pod):
        return None
    status = pod.get("status") or {}
    for each in status.get("initContainerStatuses") or ():
        spec = _spec_of(pod, each)
        if spec.get("restartPolicy") != "Always" and "running" in (each.get("state") or {}):
            return _init_container(facts, pod, each)
    statuses = status.get("containerStatuses") or ()
    if not statuses or any("running" not in (each.get("state") or {}) for each in statuses):
        return None
    for each in statuses:
        if not each.get("ready"):
            return None if _tells(record, each) else _probe(facts, _spec_of(pod, each), each)
    return _gates(pod)


def _tells(record: Decision | None, status: ContainerStatusDict) -> bool:
    """Whether a record says that a probe of this container fails."""
    if record is None or not record.binding.endswith(" probe") or record.data.get("failures") == 0:
        return False
    return record.verdict.startswith(f"container {status['name']} ")


def _spec_of(pod: PodDict, status: ContainerStatusDict) -> ContainerDict:
    spec = pod["spec"]
    containers: list[ContainerDict] = [*(spec.get("initContainers") or ()), *spec["containers"]]
    return next(each for each in containers if each.get("name") == status["name"])


def _since(facts: Facts, status: ContainerStatusDict) -> float | None:
    running = (status.get("state") or {}).get("running") or {}
    return facts.second(running.get("startedAt"))


def _init_container(facts: Facts, pod: PodDict, status: ContainerStatusDict) -> Diagnosis:
    name, since = status["name"], seconds_text(_since(facts, status))
    logs = f"kubectl logs {meta.name_of(pod)} -n {meta.namespace_of(pod)} -c {name}"
    effect = "the next container starts when it has ended with exit code 0"
    return Diagnosis(
        f"waits for its init container {name}, which has been running since {since}",
        (RuleStep(f"init container {name}", {"running_since": since}, effect, INIT),),
        f"init container {name}",
        f"{name} ended with exit code 0; {logs} shows what it wrote",
    )


def _probe(facts: Facts, spec: ContainerDict, status: ContainerStatusDict) -> Diagnosis | None:
    """Return which probe of a container has not succeeded yet; None: it becomes ready at once."""
    is_started = status.get("started")
    probe: ProbeDict | None = spec.get("readinessProbe" if is_started else "startupProbe")
    if not probe:
        return None
    what = f"{'readiness' if is_started else 'startup'} probe of container {status['name']}"
    delay = probe.get("initialDelaySeconds") or 0
    first = (_since(facts, status) or 0.0) + delay
    waits = facts.now < first
    result = f"tried for the first time after {seconds_text(first)}" if waits else "no success yet"
    return Diagnosis(
        f"not ready: the {what} has {'not been tried' if waits else 'not succeeded'} yet",
        (RuleStep(what, {"initialDelaySeconds": delay}, result, PROBES),),
        what,
        f"the {what} succeeded" + (f", or initialDelaySeconds ({delay}) were less" * waits),
    )


def _gates(pod: PodDict) -> Diagnosis | None:
    """Return the readiness gates without a condition that is True."""
    kinds = [gate["conditionType"] for gate in pod["spec"].get("readinessGates") or ()]
    closed = [kind for kind in kinds if (get_condition(pod, kind) or {}).get("status") != "True"]
    if not closed:
        return None
    names = ", ".join(closed)
    return Diagnosis(
        f"not ready: its containers are ready, but not its readiness gates ({names})",
        (RuleStep("readiness gates", {"gates": names}, "ReadinessGatesNotReady", GATES),),
        "spec.readinessGates",
        f"whoever owns a gate set its condition in status.conditions to True: {names}",
    )
