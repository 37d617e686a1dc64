"""LimitRange: defaults and bounds of what the pods and claims of a namespace may ask for.

At the creation of a pod: containers that do not say get the defaults, and whatever lies outside of
the bounds is refused, all of it at once.

Source: plugin/pkg/admission/limitranger/admission.go, pkg/apis/core/v1/defaults.go
(SetDefaults_LimitRangeItem).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from kubesim.apiserver.kinds.podspec import CONTAINER_LISTS, objects_in
from kubesim.apiserver.registry import Kind
from kubesim.errors import Forbidden
from kubesim.objects.frozen import Document
from kubesim.objects.usage import Usage, amounts, pod_amounts, text_of
from kubesim.quantity import parse_quantity
from kubesim.store import KeyValue

PREFIX = "/registry/limitranges/"
ANNOTATION = "kubernetes.io/limit-ranger"
CLAIM = "PersistentVolumeClaim"
LIMITED_KINDS = ("Pod", CLAIM)
NOUNS = {"containers": "container", "initContainers": "init container"}


def default_limits(limits: Document) -> None:
    """What a LimitRange does not say of containers follows from what it says."""
    spec = limits.get("spec")
    for item in objects_in(spec.get("limits") if isinstance(spec, dict) else None):
        if item.get("type") != "Container":
            continue
        if not all(isinstance(item.get(side) or {}, dict) for side in ("max", "min", "default")):
            continue  # refused below
        default = {**(item.get("max") or {}), **(item.get("default") or {})}
        asked = item.get("defaultRequest")
        request = {**(item.get("min") or {}), **default}
        if isinstance(asked, dict):
            request |= asked
        if default:
            item["default"] = default
        if request:
            item["defaultRequest"] = request


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
    faults = breaches(kind.kind, document, items)
    if faults:
        name = document["metadata"].get("name", "")
        listed = faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]"
        message = f'{kind.resource} "{name}" is forbidden: {listed}'
        raise Forbidden(message, kind=kind.plural, group=kind.group, name=name)


def apply_defaults(pod: Document, items: Iterable[Mapping[str, Any]]) -> None:
    """Requests and limits for containers without; what was set stands in an annotation."""
    defaults: dict[str, Document] = {"requests": {}, "limits": {}}
    for item in items:
        if item.get("type") == "Container":
            defaults["limits"] = {**(item.get("default") or {}), **defaults["limits"]}
            defaults["requests"] = {**(item.get("defaultRequest") or {}), **defaults["requests"]}
    told = []
    for field in CONTAINER_LISTS:
        for container in objects_in(pod["spec"].get(field)):
            resources = container.get("resources")
            if not isinstance(resources, dict):
                continue
            for side, wanted in defaults.items():
                given = resources.get(side) or {}
                fresh = sorted(name for name in wanted if name not in given)
                if fresh and isinstance(given, dict):
                    resources[side] = {**given, **{name: wanted[name] for name in fresh}}
                    noun = f"{NOUNS[field]} {container.get('name')}"
                    told.append(f"{', '.join(fresh)} {side.removesuffix('s')} for {noun}")
    if told and isinstance(pod["metadata"].get("annotations") or {}, dict):
        annotations = {**(pod["metadata"].get("annotations") or {})}
        annotations[ANNOTATION] = f"LimitRanger plugin set: {'; '.join(told)}"
        pod["metadata"]["annotations"] = annotations


def breaches(kind: str, document: Document, items: Iterable[Mapping[str, Any]]) -> list[str]:
    """What breaks the bounds, in upstream's words.

    Args:
        kind: Pod or PersistentVolumeClaim.
        document: the object, with its defaults.
        items: ``spec.limits`` of the LimitRanges.
    """
    found = []
    for item in items:
        type_ = str(item.get("type"))
        if kind == CLAIM and type_ == CLAIM:
            asked = {"requests": amounts(document["spec"], "requests"), "limits": {}}
            found += _outside(item, type_, asked, claim=True)
        elif kind == "Pod" and type_ == "Container":
            for field in CONTAINER_LISTS:
                for container in objects_in(document["spec"].get(field)):
                    asked = {side: amounts(container, side) for side in ("requests", "limits")}
                    found += _outside(item, type_, asked)
        elif kind == "Pod" and type_ == "Pod":
            asked = {side: pod_amounts(document, side) for side in ("requests", "limits")}
            found += _outside(item, type_, asked)
    return found


def _outside(
    item: Mapping[str, Any], type_: str, asked: dict[str, Usage], *, claim: bool = False
) -> list[str]:
    requests, limits = asked["requests"], asked["limits"]
    found = []
    for name, text in sorted((item.get("min") or {}).items()):
        bound, head = parse_quantity(text), f"minimum {name} usage per {type_} is {text}"
        if name not in requests:
            found.append(f"{head}.  No request is specified")
        elif requests[name] < bound:
            found.append(f"{head}, but request is {text_of(name, requests[name])}")
        if name in limits and limits[name] < bound:
            found.append(f"{head}, but limit is {text_of(name, limits[name])}")
    for name, text in sorted((item.get("max") or {}).items()):
        bound, head = parse_quantity(text), f"maximum {name} usage per {type_} is {text}"
        if claim and name not in requests:
            found.append(f"{head}.  No request is specified")
        elif not claim and name not in limits:
            found.append(f"{head}.  No limit is specified")
        elif name in limits and limits[name] > bound:
            found.append(f"{head}, but limit is {text_of(name, limits[name])}")
        elif name in requests and requests[name] > bound:
            found.append(f"{head}, but request is {text_of(name, requests[name])}")
    for name, text in sorted((item.get("maxLimitRequestRatio") or {}).items()):
        found += _ratio(name, text, type_, requests, limits)
    return found


def _ratio(name: str, text: Any, type_: str, requests: Usage, limits: Usage) -> list[str]:
    head = f"{name} max limit to request ratio per {type_} is {text}, but"
    nothing = Fraction(0)
    if not requests.get(name, nothing):
        return [f"{head} no request is specified or request is 0"]
    if not limits.get(name, nothing):
        return [f"{head} no limit is specified or limit is 0"]
    ratio = limits[name] / requests[name]
    if ratio > parse_quantity(text):
        return [f"{head} provided ratio is {float(ratio):f}"]
    return []
