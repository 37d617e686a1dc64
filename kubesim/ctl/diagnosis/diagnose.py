"""The rules of diagnosis by kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from kubesim.apiserver import KubeAPI
from kubesim.client import Decision
from kubesim.ctl.diagnosis.attachments import unattached_pod
from kubesim.ctl.diagnosis.containers import crashing_container, half_ended_pod
from kubesim.ctl.diagnosis.deletion import held_by_finalizers, held_pod
from kubesim.ctl.diagnosis.facts import ApiObject, Diagnosis, Facts
from kubesim.ctl.diagnosis.pods import failed_pod, gated_pod
from kubesim.ctl.diagnosis.readiness import unready_pod
from kubesim.ctl.diagnosis.services import unanswered_service
from kubesim.ctl.diagnosis.volumes import claim_of_released, released_volume
from kubesim.ctl.diagnosis.workloads import (
    kept_daemon_pods,
    kept_revisions,
    waiting_job,
    waiting_statefulset,
)
from kubesim.objects import meta
from kubesim.objects.references import Reference

if TYPE_CHECKING:
    from kubesim.objects.types import (
        DaemonSetDict,
        JobDict,
        PersistentVolumeClaimDict,
        PersistentVolumeDict,
        PodDict,
        ServiceDict,
        StatefulSetDict,
    )

KUBELET = "kubelet"


def diagnose(api: KubeAPI, target: Reference, records: Sequence[Decision]) -> Decision | None:
    """Return what holds an object up now; None if nothing does, or if there is no such object.

    Args:
        api: the API server.
        target: the object.
        records: the recorded decisions about it, oldest first.
    """
    obj = api.peek(target.kind, target.name, target.namespace or None)
    if obj is None:
        return None
    facts = Facts(api)
    diagnosis = _diagnosis(facts, target.kind, obj, records)
    return None if diagnosis is None else diagnosis.decision(obj, facts.now)


def _diagnosis(
    facts: Facts, kind: str, obj: ApiObject, records: Sequence[Decision]
) -> Diagnosis | None:
    """Return the diagnosis of an object.

    Args:
        facts: what there is.
        kind, obj: the object.
        records: the recorded decisions about it. If the newest is the kubelet's, it may say why a
            pod has failed, or which of its probes fails.
    """
    if kind == "Pod":
        pod = cast("PodDict", obj)
        waiting = held_pod(facts, pod) or gated_pod(pod) or unattached_pod(facts, pod)
        waiting = waiting or half_ended_pod(pod) or crashing_container(pod, records)
        newest = records[-1] if records and records[-1].component.startswith(KUBELET) else None
        waiting = waiting or unready_pod(facts, pod, record=newest)
        return waiting or (failed_pod(pod) if newest is None else None)
    if meta.is_terminating(obj) and kind != "Namespace":
        return held_by_finalizers(facts, obj)
    if kind == "StatefulSet":
        statefulset = cast("StatefulSetDict", obj)
        return waiting_statefulset(facts, statefulset) or kept_revisions(facts, statefulset)
    if kind == "DaemonSet":
        return kept_daemon_pods(cast("DaemonSetDict", obj))
    if kind == "PersistentVolume":
        return released_volume(cast("PersistentVolumeDict", obj))
    if kind == "PersistentVolumeClaim":
        return claim_of_released(facts, cast("PersistentVolumeClaimDict", obj))
    if kind == "Job":
        return waiting_job(facts, cast("JobDict", obj))
    if kind == "Service":
        return unanswered_service(facts, cast("ServiceDict", obj))
    return None
