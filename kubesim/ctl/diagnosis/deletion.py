"""Objects that are being deleted and are still there: finalizers, silent kubelets, grace periods.

Source: k8s.io/apiserver/pkg/registry/generic/registry/store.go (Delete),
pkg/kubelet/kubelet.go (SyncTerminatedPod), pkg/controller/podgc/gc_controller.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubesim.client import RuleStep
from kubesim.ctl.diagnosis.facts import ApiObject, Diagnosis, Facts, seconds_text
from kubesim.objects import meta
from kubesim.objects.pods import node_of
from kubesim.objects.volumes import CLAIM_FINALIZER, VOLUME_FINALIZER
from kubesim.quantity import count_of

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict

FINALIZERS = "https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/"
FORCE = "https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination-forced"
SHUTDOWN = (
    "https://kubernetes.io/docs/concepts/cluster-administration/node-shutdown/"
    "#non-graceful-node-shutdown"
)
# Finalizers whose controllers record what they wait for: the garbage collector, the protection of
# claims and volumes.
RECORDED = {"foregroundDeletion", "orphan", CLAIM_FINALIZER, VOLUME_FINALIZER}
REMOVERS = {
    "batch.kubernetes.io/job-tracking": "the Job controller, when it has counted the pod",
    "foregroundDeletion": "the garbage collector, when no dependent blocks the deletion any more",
    "orphan": "the garbage collector, when the dependents have lost their owner reference",
    "kubernetes.io/pvc-protection": "the PVC protection controller, when no pod uses the claim",
    "kubernetes.io/pv-protection": "the PV protection controller, when no claim is bound to it",
    "service.kubernetes.io/load-balancer-cleanup": "the controller of load balancers",
}


def held_by_finalizers(facts: Facts, obj: ApiObject) -> Diagnosis | None:
    """Return which finalizers keep an object that is being deleted; None: none does."""
    finalizers = [str(name) for name in obj["metadata"].get("finalizers") or ()]
    if not set(finalizers) - RECORDED:
        return None
    since = _deleted_at(facts, obj)
    request = RuleStep("deletion", {}, f"requested at {seconds_text(since)}", FINALIZERS)
    steps = [RuleStep(f"finalizer {name}", {}, _remover(obj, name), FINALIZERS)
             for name in finalizers]  # fmt: skip
    what = "finalizer" if len(finalizers) == 1 else "finalizers"
    namespace = meta.namespace_of(obj)
    where = f" -n {namespace}" if namespace else ""
    patch = f"kubectl patch {obj['kind'].lower()} {meta.name_of(obj)}{where} --type=merge -p"
    finalizer_patch = '\'{"metadata":{"finalizers":null}}\''
    verb = "are" if len(finalizers) > 1 else "is"
    return Diagnosis(
        f"being deleted since {seconds_text(since)}: waits for the {what} {', '.join(finalizers)}",
        (request, *steps),
        "metadata.finalizers",
        f"the {what} {verb} removed: by the controller that added it, or, if that will never "
        f"happen, by hand: {patch} {finalizer_patch}",
    )


def held_pod(facts: Facts, pod: PodDict) -> Diagnosis | None:
    """Return what keeps a pod that is being deleted; None if it is not being deleted."""
    if not meta.is_terminating(pod):
        return None
    node = facts.node(node_of(pod))
    silent = None if node is None else facts.silent_since(node)
    if _has_stopped(pod) or not node_of(pod):
        return held_by_finalizers(facts, pod)
    if node is None:
        return _without_node(facts, pod)
    if silent is not None:
        return _on_a_silent_node(facts, pod, silent)
    return _in_its_grace(facts, pod) or held_by_finalizers(facts, pod)


def _has_stopped(pod: PodDict) -> bool:
    status = pod.get("status") or {}
    statuses = [
        *(status.get("initContainerStatuses") or ()),
        *(status.get("containerStatuses") or ()),
    ]
    states = [each.get("state") or {} for each in statuses]
    return bool(states) and not any("running" in state for state in states) and (
        status.get("phase") in ("Succeeded", "Failed")
    )  # fmt: skip


def _on_a_silent_node(facts: Facts, pod: PodDict, silent: float) -> Diagnosis:
    name, node = meta.name_of(pod), node_of(pod)
    since = _deleted_at(facts, pod)
    force = f"kubectl delete pod {name} -n {meta.namespace_of(pod)} --force --grace-period=0"
    taint = f"kubectl taint nodes {node} node.kubernetes.io/out-of-service=nodeshutdown:NoExecute"
    return Diagnosis(
        f"being deleted since {seconds_text(since)}: the kubelet of {node}, which has to stop it, "
        f"has been silent since {seconds_text(silent)}",
        (
            RuleStep("deletion", {}, f"requested at {seconds_text(since)}", FORCE),
            RuleStep(
                "node",
                {"node": node, "silent_since_s": silent},
                "only its kubelet can tell that the containers have stopped, so the object stays",
                SHUTDOWN,
            ),
        ),
        f"the kubelet of {node} is silent",
        f"{node} came back; or, if its machine is surely off, the pod is deleted by force "
        f"({force}), or the node is marked as out of service ({taint}), or the Node is deleted",
    )


def _without_node(facts: Facts, pod: PodDict) -> Diagnosis:
    since = _deleted_at(facts, pod)
    node = node_of(pod)
    return Diagnosis(
        f"being deleted since {seconds_text(since)}: its node {node} does not exist any more",
        (RuleStep("node", {"node": node}, "pod garbage collection deletes it", FORCE),),
        f"the node {node} does not exist",
        "pod garbage collection finds it: it looks each 20 s, and waits 40 s for the node",
    )


def _in_its_grace(facts: Facts, pod: PodDict) -> Diagnosis | None:
    """Return that a pod still stops; None if its grace period is over for long."""
    end = facts.second(pod["metadata"].get("deletionTimestamp"))
    if end is None or end + 5 < facts.now:
        return None
    grace = int(pod["metadata"].get("deletionGracePeriodSeconds") or 0)
    step = RuleStep(
        "grace period", {"seconds": grace}, "preStop, then SIGTERM, then SIGKILL", FORCE
    )
    finalizers = pod["metadata"].get("finalizers") or ()
    more = f", then {count_of(len(finalizers), 'finalizer')} to be removed" if finalizers else ""
    return Diagnosis(
        f"being deleted since {seconds_text(end - grace)}: its containers are stopping, until "
        f"{seconds_text(end)} at the latest{more}",
        (step,),
        "terminationGracePeriodSeconds",
        "its containers end earlier after SIGTERM, or it is deleted again with a shorter grace",
    )


def _deleted_at(facts: Facts, obj: ApiObject) -> float | None:
    """Return when the deletion was requested: deletionTimestamp less the grace period."""
    end = facts.second(obj["metadata"].get("deletionTimestamp"))
    grace = int(obj["metadata"].get("deletionGracePeriodSeconds") or 0)
    return None if end is None else end - grace


def _remover(obj: ApiObject, finalizer: str) -> str:
    """Return who has to remove a finalizer."""
    if finalizer in REMOVERS:
        return f"removed by {REMOVERS[finalizer]}"
    for entry in obj["metadata"].get("managedFields") or ():
        owned = (entry.get("fieldsV1") or {}).get("f:metadata") or {}
        if f'v:"{finalizer}"' in (owned.get("f:finalizers") or {}):
            return f"set by {entry.get('manager')}; removed by its controller after its clean-up"
    return "removed by the controller that it belongs to, after its clean-up"
