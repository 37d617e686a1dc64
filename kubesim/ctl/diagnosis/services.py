"""Services that nobody answers: the selector matches nothing, no pod is ready, no such port.

Source: pkg/controller/endpointslice, pkg/apis/core/v1/endpoint helpers (FindPort);
https://kubernetes.io/docs/tasks/debug/debug-application/debug-service/.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from kubesim.client import RuleStep
from kubesim.controllers.shared.podstatus import why_not_ready
from kubesim.ctl.diagnosis.facts import Diagnosis, Facts
from kubesim.objects import meta
from kubesim.objects.pods import containers_of, is_finished, is_ready
from kubesim.quantity import count_of

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict, ServiceDict, ServicePortDict

DEBUG = "https://kubernetes.io/docs/tasks/debug/debug-application/debug-service/"
MOST_PODS = 5  # that a text names
# Labels that controllers set: they change with a template, or differ from pod to pod.
CONTROLLERS_LABELS = frozenset(
    (
        "pod-template-hash",
        "controller-revision-hash",
        "pod-template-generation",
        "statefulset.kubernetes.io/pod-name",
        "apps.kubernetes.io/pod-index",
        "batch.kubernetes.io/job-completion-index",
        "batch.kubernetes.io/controller-uid",
        "controller-uid",
    )
)


def unanswered_service(facts: Facts, service: ServiceDict) -> Diagnosis | None:
    """Return why a Service has nobody behind it; None if a selector finds who answers."""
    spec = service["spec"]
    selector: Mapping[str, str] = spec.get("selector") or {}
    if spec.get("type") == "ExternalName":
        return _alias(str(spec.get("externalName")))
    if not selector:
        return _no_selector(meta.name_of(service))
    pods = [pod for pod in facts.pods_in(meta.namespace_of(service)) if not is_finished(pod)]
    matching = [pod for pod in pods if selector.items() <= dict(meta.labels_of(pod)).items()]
    if not matching:
        return _nothing_selected(service, selector, pods)
    serving = [pod for pod in matching if is_ready(pod) and not meta.is_terminating(pod)]
    if not serving and not spec.get("publishNotReadyAddresses"):
        return _nobody_ready(matching)
    for port in spec.get("ports") or ():
        if (wrong := _no_such_port(service, port, serving or matching)) is not None:
            return wrong
    return None


def _alias(name: str) -> Diagnosis:
    return Diagnosis(
        f"an alias: DNS answers with {name}, and no pod is behind it",
        (RuleStep("type", {"externalName": name}, "ExternalName", DEBUG),),
        "spec.type",
        "spec.type were ClusterIP, with a selector",
    )


def _no_selector(name: str) -> Diagnosis:
    """Return that nobody but the user lists the endpoints of a Service."""
    label = f"kubernetes.io/service-name: {name}"
    return Diagnosis(
        "it has no selector: requests go to what its EndpointSlices list, and no controller writes "
        "them",
        (RuleStep("select", {"selector": "none"}, "no pod is selected", DEBUG),),
        "spec.selector",
        f"spec.selector were set, or an EndpointSlice with the label {label} listed addresses",
    )


def _nothing_selected(
    service: ServiceDict, selector: Mapping[str, str], pods: Sequence[PodDict]
) -> Diagnosis:
    """Return the labels that are nearest to a selector that matches no pod."""
    shown = _shown(selector)
    namespace = meta.namespace_of(service)
    nearest = _nearest(selector, pods)
    steps = [RuleStep("select", {"selector": shown, "pods": len(pods)}, "0 pods match", DEBUG)]
    way_out = f"a pod in namespace {namespace} had the labels {shown}"
    if nearest is not None:
        labels = _own_labels(nearest)
        values = {key: labels[key] for key in selector if key in labels} or dict(labels)
        alike = [pod for pod in pods if values.items() <= dict(meta.labels_of(pod)).items()]
        names = ", ".join(sorted(meta.name_of(pod) for pod in alike)[:MOST_PODS])
        result = f"{names}: {_shown(values)}"
        steps.append(RuleStep("nearest labels", {"pods": len(alike)}, result, DEBUG))
        way_out += f", or its spec.selector were {_shown(values)} (as of {names})"
    return Diagnosis(
        f"nobody answers: no pod in namespace {namespace} has the labels {shown}",
        tuple(steps),
        "spec.selector",
        way_out,
    )


def _nearest(selector: Mapping[str, str], pods: Sequence[PodDict]) -> PodDict | None:
    """Return the pod whose labels come nearest to a selector; None if no pod has labels."""

    def likeness(pod: PodDict) -> tuple[int, int, int]:
        labels = _own_labels(pod)
        equal = sum(labels.get(key) == value for key, value in selector.items())
        same_key = sum(key in labels for key in selector)
        alike = sum(_common(labels.get(key, ""), value) for key, value in selector.items())
        return equal, same_key, alike

    labelled = sorted((pod for pod in pods if _own_labels(pod)), key=meta.name_of)
    return max(labelled, key=likeness, default=None)


def _own_labels(pod: PodDict) -> dict[str, str]:
    """Return the labels by which a Service may select a pod for long."""
    labels = meta.labels_of(pod)
    return {key: value for key, value in labels.items() if key not in CONTROLLERS_LABELS}


def _common(one: str, other: str) -> int:
    """Return how many characters two words have in common, counted once each."""
    return sum(min(one.count(character), other.count(character)) for character in set(one))


def _nobody_ready(pods: Sequence[PodDict]) -> Diagnosis:
    ordered = sorted(pods, key=meta.name_of)
    reasons = [f"{meta.name_of(pod)}: {why_not_ready(pod)}" for pod in ordered[:MOST_PODS]]
    first = meta.name_of(ordered[0])
    match = count_of(len(pods), "pod matches", "pods match")
    return Diagnosis(
        f"nobody answers: {match}, and none is ready",
        (RuleStep("readiness", {"pods": len(pods)}, "; ".join(reasons), DEBUG),),
        "; ".join(reasons),
        f"one of them becomes ready; explain('pod/{meta.namespace_of(ordered[0])}/{first}') says "
        "why it is not",
    )


def _no_such_port(
    service: ServiceDict, port: ServicePortDict, pods: Sequence[PodDict]
) -> Diagnosis | None:
    """Return that no pod declares a target port; None if one does, or none declares any."""
    target = port.get("targetPort", port["port"])
    field = "name" if isinstance(target, str) else "containerPort"
    declared = [
        (str(entry.get("name") or ""), entry["containerPort"])
        for pod in pods
        for container in containers_of(pod)
        for entry in container.get("ports") or ()
        if entry.get("protocol", "TCP") == port.get("protocol", "TCP")
    ]
    if target in [name if field == "name" else number for name, number in declared]:
        return None
    if not declared and field == "containerPort":
        return None  # a program may listen on a port that is not declared
    ports = ", ".join(sorted({f"{n} ({p})" if n else str(p) for n, p in declared})) or "none"
    effect = "it has no endpoints for this port"
    if field == "containerPort":
        effect = "nothing answers, unless a program listens on a port that is not declared"
    other = next((name or number for name, number in declared), None)
    way_out = f"a container had a port with the {field} {target}"
    if other is not None:
        way_out += f", or targetPort were {other}"
    return Diagnosis(
        f"targetPort {target} of port {port['port']} is no port of its pods, so {effect}",
        (RuleStep("target port", {"targetPort": target, "declared": ports}, effect, DEBUG),),
        f"spec.ports: targetPort {target}",
        way_out,
    )


def _shown(labels: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
