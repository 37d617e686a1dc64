"""LimitRanger: applies the defaults and bounds of a namespace's LimitRanges to pods and claims.

When a pod is created, containers without requests or limits get the defaults; a pod or claim
outside of the bounds is refused, with all violations in one message.

Source: plugin/pkg/admission/limitranger/admission.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import TYPE_CHECKING, cast

from kubesim.apiserver.registry import Kind
from kubesim.errors import Forbidden
from kubesim.objects.frozen import Document, ReadOnlyDocument, objects_in
from kubesim.objects.pods import CONTAINER_LISTS
from kubesim.objects.usage import Usage, amounts, pod_amounts, text_of
from kubesim.quantity import Amount, parse_quantity
from kubesim.store import KeyValue

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict

PREFIX = "/registry/limitranges/"
ANNOTATION = "kubernetes.io/limit-ranger"
CLAIM = "PersistentVolumeClaim"
LIMITED_KINDS = ("Pod", CLAIM)
NOUNS = {"containers": "container", "initContainers": "init container"}


def admit_limits(kind: Kind, document: Document, ranges: Iterable[KeyValue]) -> None:
    """Set the defaults of LimitRanges in a new pod, and check pods and claims against the bounds.

    Args:
        kind: one of `LIMITED_KINDS`.
        document: the object; it is changed in place.
        ranges: the LimitRanges of its namespace.

    Raises:
        Forbidden: it requests too much or too little, or leaves out what a bound needs.
    """
    if not isinstance(document.get("spec"), dict):
        return
    items = [
        item for kv in ranges for item in objects_in((kv.value.get("spec") or {}).get("limits"))
    ]
    if kind.kind == "Pod":
        apply_defaults(document, items)
    violations = breaches(kind.kind, document, items)
    if violations:
        name = document["metadata"].get("name", "")
        listed = violations[0] if len(violations) == 1 else f"[{', '.join(violations)}]"
        message = f'{kind.resource} "{name}" is forbidden: {listed}'
        raise Forbidden(message, kind=kind.plural, group=kind.group, name=name)


def apply_defaults(pod: Document, items: Iterable[ReadOnlyDocument]) -> None:
    """Set default requests and limits of a pod's containers, and list them in an annotation."""
    defaults: dict[str, Document] = {"requests": {}, "limits": {}}
    for item in items:
        if item.get("type") == "Container":
            defaults["limits"] = {**(item.get("default") or {}), **defaults["limits"]}
            defaults["requests"] = {**(item.get("defaultRequest") or {}), **defaults["requests"]}
    notes = []
    for field in CONTAINER_LISTS:
        for container in objects_in(pod["spec"].get(field)):
            resources = container.get("resources")
            if not isinstance(resources, dict):
                continue
            for side, amount_of in defaults.items():
                existing = resources.get(side) or {}
                added = sorted(name for name in amount_of if name not in existing)
                if added and isinstance(existing, dict):
                    resources[side] = {**existing, **{name: amount_of[name] for name in added}}
                    noun = f"{NOUNS[field]} {container.get('name')}"
                    notes.append(f"{', '.join(added)} {side.removesuffix('s')} for {noun}")
    if notes and isinstance(pod["metadata"].get("annotations") or {}, dict):
        annotations = {**(pod["metadata"].get("annotations") or {})}
        annotations[ANNOTATION] = f"LimitRanger plugin set: {'; '.join(notes)}"
        pod["metadata"]["annotations"] = annotations


def breaches(kind: str, document: Document, items: Iterable[ReadOnlyDocument]) -> list[str]:
    """Return all violations of the bounds, in upstream's wording.

    Args:
        kind: Pod or PersistentVolumeClaim.
        document: the object, with its defaults.
        items: the entries of ``spec.limits`` of all LimitRanges.
    """
    violations = []
    for item in items:
        type_ = str(item.get("type"))
        if kind == CLAIM and type_ == CLAIM:
            usage = {"requests": amounts(document["spec"], "requests"), "limits": {}}
            violations += _outside(item, type_, usage, claim=True)
        elif kind == "Pod" and type_ == "Container":
            for field in CONTAINER_LISTS:
                for container in objects_in(document["spec"].get(field)):
                    usage = {side: amounts(container, side) for side in ("requests", "limits")}
                    violations += _outside(item, type_, usage)
        elif kind == "Pod" and type_ == "Pod":
            usage = {
                side: pod_amounts(cast("PodDict", document), side)
                for side in ("requests", "limits")
            }
            violations += _outside(item, type_, usage)
    return violations


def _outside(
    item: ReadOnlyDocument, type_: str, usage: dict[str, Usage], *, claim: bool = False
) -> list[str]:
    requests, limits = usage["requests"], usage["limits"]
    violations = []
    for name, text in sorted((item.get("min") or {}).items()):
        bound, head = parse_quantity(text), f"minimum {name} usage per {type_} is {text}"
        if name not in requests:
            violations.append(f"{head}.  No request is specified")
        elif requests[name] < bound:
            violations.append(f"{head}, but request is {text_of(name, requests[name])}")
        if name in limits and limits[name] < bound:
            violations.append(f"{head}, but limit is {text_of(name, limits[name])}")
    for name, text in sorted((item.get("max") or {}).items()):
        bound, head = parse_quantity(text), f"maximum {name} usage per {type_} is {text}"
        if claim and name not in requests:
            violations.append(f"{head}.  No request is specified")
        elif not claim and name not in limits:
            violations.append(f"{head}.  No limit is specified")
        elif name in limits and limits[name] > bound:
            violations.append(f"{head}, but limit is {text_of(name, limits[name])}")
        elif name in requests and requests[name] > bound:
            violations.append(f"{head}, but request is {text_of(name, requests[name])}")
    for name, text in sorted((item.get("maxLimitRequestRatio") or {}).items()):
        violations += _ratio(name, text, type_, requests, limits)
    return violations


def _ratio(name: str, text: Amount, type_: str, requests: Usage, limits: Usage) -> list[str]:
    head = f"{name} max limit to request ratio per {type_} is {text}, but"
    zero = Fraction(0)
    if not requests.get(name, zero):
        return [f"{head} no request is specified or request is 0"]
    if not limits.get(name, zero):
        return [f"{head} no limit is specified or limit is 0"]
    ratio = limits[name] / requests[name]
    if ratio > parse_quantity(text):
        return [f"{head} provided ratio is {float(ratio):f}"]
    return []
