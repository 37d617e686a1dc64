"""Progress of a rollout, from the document alone: what `kubectl rollout status` prints.

>>> progress_of({"kind": "Deployment", "metadata": {"name": "web", "generation": 1},
...     "spec": {"replicas": 3}, "status": {"observedGeneration": 1, "updatedReplicas": 1}}).text
'Waiting for deployment "web" rollout to finish: 1 out of 3 new replicas have been updated...'

Source: k8s.io/kubectl/pkg/polymorphichelpers/rollout_status.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from kubesim.objects import meta
from kubesim.objects.frozen import ReadOnlyDocument
from kubesim.objects.meta import get_condition

if TYPE_CHECKING:
    from kubesim.objects.types import DaemonSetDict, DeploymentDict, StatefulSetDict


class Progress(NamedTuple):
    """The progress of a rollout.

    Attributes:
        text: the line of `kubectl rollout status`.
        done: whether the rollout is over, successfully or not.
        failed: whether it exceeded its deadline, or has no status.
    """

    text: str
    done: bool = False
    failed: bool = False


def progress_of(workload: ReadOnlyDocument) -> Progress:
    """Return what `kubectl rollout status` prints for a Deployment, StatefulSet or DaemonSet.

    Args:
        workload: the document, with its kind, spec and status.
    """
    kind = workload.get("kind")
    if kind == "StatefulSet":
        return _statefulset_progress(cast("StatefulSetDict", workload))
    if kind == "DaemonSet":
        return _daemonset_progress(cast("DaemonSetDict", workload))
    return _deployment_progress(cast("DeploymentDict", workload))


def _deployment_progress(deployment: DeploymentDict) -> Progress:
    name, status = meta.name_of(deployment), deployment.get("status") or {}
    if meta.generation_of(deployment) > status.get("observedGeneration", 0):
        return Progress("Waiting for deployment spec update to be observed...")
    condition = get_condition(deployment, "Progressing") or {}
    if condition.get("reason") == "ProgressDeadlineExceeded":
        message = f'error: deployment "{name}" exceeded its progress deadline'
        return Progress(message, done=True, failed=True)
    waiting = f'Waiting for deployment "{name}" rollout to finish: '
    desired, updated = deployment["spec"].get("replicas", 1), status.get("updatedReplicas", 0)
    replicas, available = status.get("replicas", 0), status.get("availableReplicas", 0)
    if updated < desired:
        state = f"{updated} out of {desired} new replicas have been updated..."
    elif replicas > updated:
        state = f"{replicas - updated} old replicas are pending termination..."
    elif available < updated:
        state = f"{available} of {updated} updated replicas are available..."
    else:
        return Progress(f'deployment "{name}" successfully rolled out', done=True)
    return Progress(waiting + state)


def _statefulset_progress(statefulset: StatefulSetDict) -> Progress:
    spec, status = statefulset["spec"], statefulset.get("status") or {}
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        return _no_strategy()
    observed = status.get("observedGeneration", 0)
    if not observed or meta.generation_of(statefulset) > observed:
        return Progress("Waiting for statefulset spec update to be observed...")
    desired, ready = spec.get("replicas", 1), status.get("readyReplicas", 0)
    if ready < desired:
        return Progress(f"Waiting for {desired - ready} pods to be ready...")
    updated = status.get("updatedReplicas", 0)
    if strategy.get("rollingUpdate") is not None:
        new = desired - strategy["rollingUpdate"].get("partition", 0)
        if updated < new:
            state = f"{updated} out of {new} new pods have been updated..."
            return Progress(f"Waiting for partitioned roll out to finish: {state}")
        state = f"partitioned roll out complete: {updated} new pods have been updated..."
        return Progress(state, done=True)
    current, update = status.get("currentRevision", ""), status.get("updateRevision", "")
    if current != update:
        state = f"{updated} pods at revision {update}..."
        return Progress(f"waiting for statefulset rolling update to complete {state}")
    state = f"{status.get('currentReplicas', 0)} pods at revision {current}..."
    return Progress(f"statefulset rolling update complete {state}", done=True)


def _daemonset_progress(daemonset: DaemonSetDict) -> Progress:
    name, status = meta.name_of(daemonset), daemonset.get("status") or {}
    strategy = daemonset["spec"].get("updateStrategy") or {}
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        return _no_strategy()
    if meta.generation_of(daemonset) > status.get("observedGeneration", 0):
        return Progress("Waiting for daemon set spec update to be observed...")
    waiting = f'Waiting for daemon set "{name}" rollout to finish: '
    desired = status.get("desiredNumberScheduled", 0)
    updated, available = status.get("updatedNumberScheduled", 0), status.get("numberAvailable", 0)
    if updated < desired:
        return Progress(f"{waiting}{updated} out of {desired} new pods have been updated...")
    if available < desired:
        return Progress(f"{waiting}{available} of {desired} updated pods are available...")
    return Progress(f'daemon set "{name}" successfully rolled out', done=True)


def _no_strategy() -> Progress:
    message = "error: rollout status is only available for RollingUpdate strategy type"
    return Progress(message, done=True, failed=True)
